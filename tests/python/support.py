"""What the tests of an_loader share: datasets of known pixels, and Python in processes of its own."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import an_loader

SIDE = 32
CLASSES = 10


def colour(index):
    """Every pixel of record index."""
    return index % 256, index * 7 % 256, 255 - index % 256


def write_source(path, count):
    """A file of CIFAR-10: a byte for the label, then planes of red, green and blue."""
    with open(path, "wb") as out:
        for index in range(count):
            out.write(bytes([index % CLASSES]))
            for value in colour(index):
                out.write(bytes([value]) * (SIDE * SIDE))


class DatasetCase(unittest.TestCase):
    """Tests of one dataset: `COUNT` records of one colour each, stored as they are. Record i has label i % 10."""

    COUNT = 100
    CODEC = "rgb"

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="an-python-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        source, cls.path = os.path.join(cls.folder, "source.bin"), os.path.join(cls.folder, "set")
        write_source(source, cls.COUNT)
        subprocess.run([os.path.join(os.environ["AN_BIN_DIR"], "an-ingest"), "--codec", cls.CODEC, "--size", str(SIDE),
                        "--threads", "1", "--order", "source", source, cls.path], check=True, capture_output=True)

    def loader(self, batch_size=8, **options):
        """A small loader, in the order of the records if nothing else is said."""
        options = {"order": "sequential", "crop": 16, "threads": 2, **options}
        return an_loader.Loader(options.pop("path", self.path), batch_size, **options)

    def damaged(self, record):
        """A copy of the dataset whose record has another payload than its checksum says."""
        payload = an_loader.Dataset(self.path).encoded(record)[1]
        path = tempfile.mkdtemp(dir=self.folder)
        with open(os.path.join(self.path, "data.mdb"), "rb") as file:
            content = bytearray(file.read())
        content[content.index(payload) + len(payload) // 2] ^= 255
        with open(os.path.join(path, "data.mdb"), "wb") as file:
            file.write(content)
        return path

    def refused(self, kind, *words):
        """A context in which an exception of that kind comes whose message has these words."""
        case = self

        class Refused:
            def __enter__(self):
                self.context = case.assertRaises(kind)
                self.raised = self.context.__enter__()
                return self.raised

            def __exit__(self, *failure):
                expected = self.context.__exit__(*failure)
                for word in words:
                    case.assertIn(word, str(self.raised.exception))
                return expected

        return Refused()


def numbers(array):
    """An array of one dimension as a list."""
    return memoryview(array).tolist()


def indices(batches):
    """The records of all batches, in order."""
    return [index for batch in batches for index in numbers(batch.indices)]


def child(code, *arguments, environment=None, timeout=120):
    """Run Python code to its end: (exit status, standard output, standard error). `import an_loader` stands before it."""
    command = [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", "import an_loader, sys\n" + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(environment or {})})
    return done.returncode, done.stdout, done.stderr


def with_numpy(test):
    """Skips a test without NumPy."""
    try:
        import numpy  # noqa: F401
    except ImportError:
        return unittest.skip("there is no NumPy")(test)
    return test
