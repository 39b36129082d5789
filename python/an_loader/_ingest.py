"""an_loader.ingest: the program an-ingest, run as a child process.

The child has a process group of its own, so Ctrl-C reaches this process alone, which passes it on once and waits: then
an-ingest writes down what it has done. Standard error of the child holds lines of progress (JSON) and of its log."""

import errno
import os
import sys

from an_loader import _native, _programs

PROGRAM = "an-ingest"
REFUSED = {"progress": "it is an argument of its own", "quiet": "progress=False shows nothing",
           "dry_run": "it writes nothing: run an-ingest --dry-run", "help": "run an-ingest --help",
           "usage": "run an-ingest --usage", "version": "run an-ingest --version"}
STREAM = "-"  # a source: standard input
USAGE, DATA, INTERRUPTED = 2, 3, 130  # exit codes of an-ingest; all others but 0: the system failed


def find_program(name=PROGRAM):
    """The program of this package, or of the build folder that it lies in, or of PATH."""
    import shutil

    build = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for path in (_programs.path(name), os.path.join(build, "bin", name)):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    found = shutil.which(name)
    if found:
        return found
    raise FileNotFoundError(
        errno.ENOENT, "no such program in the package an_loader nor on PATH: install the package again, or an-ingest", name)


def _check_text(name, value):
    """Of an argument of a process."""
    try:
        whole = b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        whole = False
    if not whole:
        raise ValueError(f"{name} is {value!r}: it must not hold null characters or surrogates")
    return value


def _path(name, value):
    try:
        return _check_text(name, os.fspath(value))
    except TypeError:
        raise TypeError(f"{name} must be a path, not {value!r}") from None


def _arguments(options):
    """Options as a command line has them. None and False: not given."""
    for name, value in options.items():
        if name in REFUSED:
            raise ValueError(f"{name} is no option of ingest(): {REFUSED[name]}")
        option = "--" + name.replace("_", "-")
        if value is True:
            yield option
        elif value is not None and value is not False:
            if not isinstance(value, (str, bytes, int, float, os.PathLike)) and not hasattr(value, "__index__"):
                raise TypeError(f"{name} must be a number, a str or a path, not {value!r}")
            text = os.fsdecode(value) if isinstance(value, (bytes, os.PathLike)) else str(value)
            yield f"{option}={_check_text(name, text)}"


class _Terminal:
    """Progress on one line of standard error, if that is a terminal."""

    def __init__(self):
        self.stream = sys.stderr if sys.stderr is not None and sys.stderr.isatty() else None
        self.drawn = False

    def __call__(self, line):
        if self.stream is None:
            return
        done, total, aside = line["inputs"], line["total"], line["set_aside"]
        text = f"ingest: {done}" + (f"/{total} images ({100 * done // total}%)" if total else " images")
        text += f", {line['images_per_second']:.0f}/s" + (f", {aside} set aside" if aside else "")
        self.stream.write("\r\033[K" + text)
        self.stream.flush()
        self.drawn = True

    def close(self):
        if self.drawn:
            self.stream.write("\n")
            self.stream.flush()


def _show(progress):
    """What takes a line of progress, and what ends it."""
    if progress is True:
        terminal = _Terminal()
        return terminal, terminal.close
    if progress is False or progress is None:
        return None, lambda: None
    if not callable(progress):
        raise TypeError(f"progress must be a bool or a function, not {progress!r}")
    return lambda line: progress(line["inputs"], line["total"], line["images_per_second"]), lambda: None


def _follow(child, show):
    """Read what the child says to its end: the texts of its errors, and of its warnings."""
    import json

    errors, warned = [], []
    for raw in child.stderr:
        line = raw.decode("utf-8", "replace").rstrip("\n")
        if line.startswith("{"):
            if show:
                show(json.loads(line))
            continue
        text = line.removeprefix(f"{PROGRAM}: ")
        if text.startswith("warning: "):
            warned.append(text.removeprefix("warning: "))
        else:
            errors.append(text.removeprefix("error: "))
    return errors, warned


def _stop(child):
    """Let the child end in order: it commits what it has done. A second interruption ends it at once, which costs a
    quarter of a second of its work."""
    import signal

    try:
        child.send_signal(signal.SIGINT)
        for _ in child.stderr:
            pass
        child.wait()
    except BaseException:
        child.kill()
        child.wait()
        raise


def _fail(code, errors, source, destination):
    message = errors[-1] if errors else f"{PROGRAM} ended with exit code {code}"
    if code == USAGE:
        raise ValueError(message)
    if code == DATA:
        failure = _native.DatasetError(message)
        failure.path = os.fsdecode(source)
        raise failure
    if code < 0 or code == INTERRUPTED:  # by a signal that somebody else sent it
        raise InterruptedError(errno.EINTR, f"{PROGRAM} was ended by a signal: the same call goes on", os.fsdecode(destination))
    if os.fsdecode(source) != STREAM and not os.path.lexists(source):
        raise FileNotFoundError(errno.ENOENT, message, os.fsdecode(source))
    raise OSError(errno.EIO, message, os.fsdecode(destination))


def ingest(source, destination, *, progress=True, **options):
    """Run an-ingest: pack the labelled images of source (a folder, a tar, a list ...) into a dataset at destination.

    options are those of an-ingest, with underscores: codec="coef", size=256, quality=90, classes_from="train.data" ...; `an-ingest
    --help` lists them. progress: True shows it on a terminal; a function is called with (inputs done, inputs or None, images
    per second), about ten times a second. Warnings of an-ingest become Python's. KeyboardInterrupt and exceptions of the function
    keep what is done: the same call goes on.

    ValueError: an option is wrong, and the message says which; FileExistsError: destination exists; OSError: the system failed;
    DatasetError: the data is unusable. Returns the Dataset."""
    import subprocess
    import warnings

    show, done = _show(progress)
    source, destination = _path("source", source), _path("destination", destination)
    arguments = list(_arguments(options))
    if os.path.lexists(destination):
        raise FileExistsError(errno.EEXIST, "exists already: remove it or choose another destination", os.fsdecode(destination))
    command = [find_program(), "--progress=" + ("json" if show else "none"), *arguments, "--", source, destination]
    stdin = None if os.fsdecode(source) == STREAM else subprocess.DEVNULL
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0) as child:
        try:
            errors, warned = _follow(child, show)
        except BaseException:
            _stop(child)
            raise
        finally:
            done()
    for text in warned:
        warnings.warn(f"{PROGRAM}: {text}", stacklevel=2)
    if child.returncode:
        _fail(child.returncode, errors, source, destination)
    return _native.Dataset(destination)
