"""ENOSPC and EIO at every write, sync and rename of a small ingest: a clear error that names the file, nothing under the
final name, and the same command then finishes with the result of an undisturbed run. And images that cannot be opened:
the system's failure stops the run, which can be continued; only a file that is not there is set aside.
    faults.py [--every N]   (N: only each N-th call fails, for a quick run)"""
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from pictures import idx_set, png_folders

PROGRAM = os.path.join(os.environ["AN_BIN_DIR"], "an-ingest")
SHIM = os.environ.get("AN_FAULT_SHIM")


def ingest(source, destination, **faults):
    environment = dict(os.environ)
    if faults:
        faults = {"PATH": destination, **faults} if "OPEN" not in faults else faults
        environment.update({"LD_PRELOAD": SHIM}, **{f"AN_FAULT_{key}": str(value) for key, value in faults.items()})
    command = [PROGRAM, "--quiet", "--threads", "2", "--size", "48", source, destination]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def contents(dataset):
    subprocess.run([PROGRAM, "verify", "--quiet", dataset], check=True)
    text = subprocess.run([PROGRAM, "info", "--json", dataset], check=True, capture_output=True, text=True).stdout
    described = json.loads(text)
    return {key: described[key] for key in ("records", "classes", "statistics", "manifest", "set_aside", "fingerprint")}


def reading(root):
    """Failures while the images are opened; returns the number of wrong outcomes."""
    source, whole, out = png_folders(f"{root}/files", 3, 20), f"{root}/files-whole", f"{root}/files-out"
    assert ingest(source, whole).returncode == 0
    wanted, failures = contents(whole), 0
    for number in (errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENOMEM):
        stopped = ingest(source, out, OPEN=".png", AT=30, ERRNO=number)
        reported = os.path.exists(f"{out}.rejected.ndjson")
        problem = None
        if stopped.returncode != 1 or os.strerror(number) not in stopped.stderr or reported:
            problem = f"exit code {stopped.returncode}, report {reported}, message: {stopped.stderr.strip()}"
        elif ingest(source, out).returncode or contents(out) != wanted:
            problem = "continued, it wrote something else"
        if problem:
            failures += 1
            print(f"opening an image, {errno.errorcode[number]}: {problem}")
        for leftover in (out, f"{out}.partial"):
            shutil.rmtree(leftover, ignore_errors=True)
    missing = ingest(source, out, OPEN=".png", AT=30, ERRNO=errno.ENOENT)
    if missing.returncode or len(contents(out)["set_aside"]) != 1:
        failures += 1
        print(f"a missing image is not set aside: {missing.stderr.strip()}")
    return failures


def main():
    every = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory(prefix="an-faults-") as root:
        failures = reading(root)
        source, whole, out = idx_set(f"{root}/in", 3000), f"{root}/whole", f"{root}/out"
        counter = f"{root}/count"
        assert ingest(source, whole, AT=0, COUNT=counter).returncode == 0
        wanted = contents(whole)
        calls = int(open(counter).read())
        assert calls > 5, calls
        for number in (errno.ENOSPC, errno.EIO):
            for at in range(1, calls + 1, every):
                for leftover in (out, f"{out}.partial"):
                    shutil.rmtree(leftover, ignore_errors=True)
                sticky = {"STICKY": 1} if number == errno.ENOSPC else {}
                result = ingest(source, out, AT=at, ERRNO=number, **sticky)
                problem = None
                if result.returncode == 0:
                    if contents(out) != wanted:
                        problem = "it went on and wrote something else"
                elif result.returncode != 1 or out not in result.stderr or os.strerror(number) not in result.stderr:
                    problem = f"exit code {result.returncode}, message: {result.stderr.strip()}"
                if not problem and result.returncode:
                    again = ingest(source, out) if not os.path.exists(out) else None
                    if again and again.returncode:
                        problem = f"it cannot be continued: {again.stderr.strip()}"
                    elif contents(out) != wanted:
                        problem = "continued, it wrote something else"
                if problem:
                    failures += 1
                    print(f"call {at} of {calls}, {errno.errorcode[number]}: {problem}")
        print(f"{calls} calls, {failures} failures")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
