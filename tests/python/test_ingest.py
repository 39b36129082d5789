#!/usr/bin/env python3
"""an_loader.ingest: options, progress, failures, interruptions."""
import errno
import os
import pathlib
import pty
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import warnings

import an_loader
from tests.ingest.pictures import idx_set, png_folders
from tests.python.support import child, with_numpy

EACH = 15


def children():
    """The processes that this one has started and that still run."""
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return file.read().split()


class IngestCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="an-ingest-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.source = png_folders(os.path.join(self.folder, "source"), 2, EACH)
        self.path = os.path.join(self.folder, "set")

    def ingest(self, source=None, path=None, **options):
        return an_loader.ingest(source or self.source, path or self.path, **{"size": 8, "progress": False, **options})

    def spoil(self, count, content=b"no picture"):
        for place in range(count):
            pathlib.Path(self.source, "class-0", f"{place}.png").write_bytes(content)


class Options(IngestCase):
    def test_a_dataset_comes_back(self):
        dataset = self.ingest(codec="coef", quality=75, order="source", class_names=None, accept_truncated=True, threads=1)
        self.assertEqual((len(dataset), dataset.side, dataset.path), (2 * EACH, 8, self.path))
        self.assertEqual(dataset.encoded(0)[0], "coef")
        manifest = dataset.info()["manifest"]
        for words in ('"quality":75', '"order":"source"', '"accept-truncated":true'):
            self.assertIn(words, manifest)
        self.assertEqual(dataset.class_ids, ["class-0", "class-1"])

    def test_paths_and_flags_of_other_kinds(self):
        names = pathlib.Path(self.folder, "names.tsv")
        names.write_text("class-1\tone\n")
        dataset = self.ingest(pathlib.Path(self.source), os.fsencode(self.path), class_names=names, accept_truncated=False)
        self.assertEqual(dataset.classes, ["class-0", "one"])
        self.assertIn('"accept-truncated":false', dataset.info()["manifest"])

    @with_numpy
    def test_numbers_of_numpy(self):
        import numpy

        self.assertEqual(self.ingest(size=numpy.int64(12)).side, 12)

    def test_wrong_options_are_named_by_the_program(self):
        for words, options in (("unknown option '--sise'.*'--size'", {"sise": 16}), ("--size.*4", {"size": 4}),
                               ("--codec 'webp'", {"codec": "webp"}), ("'--accept-truncated' takes no value",
                                                                       {"accept_truncated": "yes"})):
            with self.subTest(words), self.assertRaisesRegex(ValueError, words):
                self.ingest(**options)
        for name in ("dry_run", "quiet", "help"):
            with self.assertRaisesRegex(ValueError, f"{name} is no option of ingest"):
                self.ingest(**{name: True})
        with self.assertRaisesRegex(TypeError, "size must be a number, a str or a path"):
            self.ingest(size=[8])
        with self.assertRaisesRegex(TypeError, "progress must be a bool or a function"):
            self.ingest(progress="yes")
        for source, path, words in ((5, self.path, "source must be a path"), (self.source, 5, "destination must be a path")):
            with self.assertRaisesRegex(TypeError, words):
                self.ingest(source, path)
        for words, source, options in (("source is .*null", "a\0b", {}), ("codec is .*null", self.source, {"codec": "jpeg\0"}),
                                       ("codec is .*surrogates", self.source, {"codec": "\ud800"})):
            with self.assertRaisesRegex(ValueError, words):
                self.ingest(source, **options)
        self.assertEqual(os.listdir(self.folder), ["source"])

    def test_a_source_like_an_option(self):
        with self.assertRaises(FileNotFoundError):
            self.ingest("--help")


class Failures(IngestCase):
    def test_paths(self):
        with self.assertRaises(FileNotFoundError) as context:
            self.ingest(os.path.join(self.folder, "nothing"))
        self.assertEqual(context.exception.filename, os.path.join(self.folder, "nothing"))
        self.ingest()
        with self.assertRaises(FileExistsError) as context:
            self.ingest()
        self.assertEqual((context.exception.errno, context.exception.filename), (errno.EEXIST, self.path))

    def test_unusable_data(self):
        self.spoil(12)
        with self.assertRaisesRegex(an_loader.DatasetError, "12 of 30 inputs are unusable") as context:
            self.ingest(max_bad=11)
        self.assertEqual((context.exception.path, context.exception.record), (self.source, None))
        self.assertEqual(len(self.ingest(max_bad="50%")), 18)

    def test_the_system(self):
        """Files larger than a few pages cannot be written."""
        done = child("""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    an_loader.ingest(sys.argv[1], sys.argv[2], size=64, codec="rgb", progress=False)
except OSError as failure:
    print(type(failure).__name__, failure.filename == sys.argv[2], "data.mdb" in str(failure))
""", self.source, self.path)
        self.assertEqual(done, (0, "OSError True True\n", ""))

    def test_warnings_are_pythons(self):
        os.mkdir(os.path.join(self.source, "class-2"))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.ingest()
        self.assertIn("class-2", str(caught[0].message))
        self.assertTrue(str(caught[0].message).startswith("an-ingest: "))
        self.assertEqual(caught[0].filename, __file__)

    def test_a_program_that_is_nowhere(self):
        package = os.path.join(self.folder, "alone", "an_loader")
        shutil.copytree(os.path.dirname(an_loader.__file__), package, ignore=shutil.ignore_patterns("bin"))
        code = """
try:
    print(len(an_loader.ingest(sys.argv[1], sys.argv[2], size=8, progress=False)))
except FileNotFoundError as failure:
    print(failure.filename, "nor on PATH" in str(failure))
"""
        environment = {"PYTHONPATH": os.path.dirname(package), "PATH": "/nowhere"}
        self.assertEqual(child(code, self.source, self.path, environment=environment), (0, "an-ingest True\n", ""))
        environment["PATH"] = os.environ["AN_BIN_DIR"]
        self.assertEqual(child(code, self.source, self.path, environment=environment), (0, "30\n", ""))


class Progress(IngestCase):
    def test_a_function_hears_of_it(self):
        calls = []
        self.ingest(progress=lambda *numbers: calls.append(numbers))
        self.assertEqual([call[:2] for call in (calls[0], calls[-1])], [(0, 30), (30, 30)])
        self.assertTrue(all(isinstance(rate, float) and rate >= 0 for _, _, rate in calls))

    def test_a_stream_has_no_total(self):
        tar, classes = os.path.join(self.folder, "source.tar"), os.path.join(self.folder, "classes.txt")
        with tarfile.open(tar, "w") as file:
            file.add(self.source, arcname=".")
        pathlib.Path(classes).write_text("class-0\nclass-1\n")
        code = """
calls = []
an_loader.ingest("-", sys.argv[1], size=8, classes_from=sys.argv[2], progress=lambda *numbers: calls.append(numbers[:2]))
print(calls[0], calls[-1])
"""
        with open(tar, "rb") as file:
            done = subprocess.run([sys.executable, "-c", "import an_loader, sys" + code, self.path, classes], stdin=file,
                                  capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "(0, None) (30, None)\n", ""))

    def shown(self, **options):
        """What appears on a terminal."""
        leader, follower = pty.openpty()
        code = "import an_loader, sys; an_loader.ingest(sys.argv[1], sys.argv[2], size=8, **eval(sys.argv[3]))"
        with subprocess.Popen([sys.executable, "-c", code, self.source, self.path, repr(options)], stderr=follower,
                              stdout=follower, stdin=subprocess.DEVNULL) as process:
            os.close(follower)
            shown = b""
            try:
                while part := os.read(leader, 4096):
                    shown += part
            except OSError:
                pass  # a terminal without writers
            os.close(leader)
        self.assertEqual(process.returncode, 0, shown)
        return shown.decode()

    def test_a_terminal_shows_it(self):
        self.spoil(2)
        shown = self.shown()
        self.assertTrue(shown.startswith("\r\033[Kingest: 0/30 images (0%), 0/s"), shown)
        self.assertIn("ingest: 30/30 images (100%)", shown)
        self.assertTrue(shown.endswith("/s, 2 set aside\r\n"), shown)

    def test_nothing_is_shown(self):
        self.assertEqual(self.shown(progress=False), "")

    def test_no_terminal_no_progress(self):
        done = child("an_loader.ingest(sys.argv[1], sys.argv[2], size=8)", self.source, self.path)
        self.assertEqual(done, (0, "", ""))


class Interruptions(IngestCase):
    def setUp(self):
        super().setUp()
        self.source = idx_set(os.path.join(self.folder, "digits"), 20000)

    def ingest(self, **options):
        return super().ingest(threads=1, **options)  # slow enough to be interrupted

    def whole(self):
        return self.ingest(path=self.path + "-whole").info()["fingerprint"]

    def test_an_exception_of_the_function(self):
        def stop(done, total, rate):
            if done:
                raise ZeroDivisionError("mine")

        with self.assertRaisesRegex(ZeroDivisionError, "mine"):
            self.ingest(progress=stop)
        self.assertEqual(children(), [])
        self.assertFalse(os.path.exists(self.path))
        first = []
        dataset = self.ingest(progress=lambda done, total, rate: first.append(done))
        self.assertGreater(first[0], 0)  # it went on
        self.assertEqual(dataset.info()["fingerprint"], self.whole())

    def test_keyboard_interrupt(self):
        """Sent to the group, as a terminal does; the child, which has a group of its own, must hear of it all the same."""
        code = """
import os, signal
def press(done, total, rate):
    if done:
        os.killpg(0, signal.SIGINT)
try:
    an_loader.ingest(sys.argv[1], sys.argv[2], size=8, threads=1, progress=press)
except KeyboardInterrupt:
    print("interrupted")
with open(f"/proc/self/task/{os.getpid()}/children") as file:
    print(file.read().split())
"""
        done = subprocess.run([sys.executable, "-c", "import an_loader, sys" + code, self.source, self.path],
                              process_group=0, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "interrupted\n[]\n", ""))
        self.assertTrue(os.path.exists(self.path + ".partial"))
        first = []
        dataset = self.ingest(progress=lambda done, total, rate: first.append(done))
        self.assertGreater(first[0], 0)
        self.assertEqual(dataset.info()["fingerprint"], self.whole())

    def test_somebody_else_ends_the_child(self):
        def end(done, total, rate):
            if done:
                for process in children():
                    os.kill(int(process), 15)

        with self.assertRaisesRegex(InterruptedError, "the same call goes on"):
            self.ingest(progress=end)
        self.assertEqual(len(self.ingest()), 20000)


if __name__ == "__main__":
    unittest.main()
