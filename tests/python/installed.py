#!/usr/bin/env python3
"""The installed package, on a system that has Python and nothing else: tools/wheel.sh runs this.

AN_INSTALLED_FROM=source: pip built the package there, so its libraries are the system's."""
import bz2
import gzip
import io
import lzma
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zlib
from pathlib import Path

import an_loader
from an_loader import _programs

PACKAGE = Path(an_loader.__file__).parent
SITE = PACKAGE.parent
FROM_SOURCE = os.environ.get("AN_INSTALLED_FROM") == "source"
# What every manylinux system has: glibc's libraries, and zlib.
OF_THE_SYSTEM = re.compile(r"(linux-vdso|ld-linux-x86-64|libc|libm|libdl|libpthread|librt|libz)\.so[.\d]*")
PROGRAM = [_programs.path("an-ingest")]


def png(width, height, color):
    """A PNG file of one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + bytes(color) * width) * height
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def zstd(data):
    """A zstd file of blocks that are stored as they are."""
    blocks = [data[i:i + 100000] for i in range(0, len(data), 100000)]
    headers = [(len(block) << 3 | (i == len(blocks) - 1)).to_bytes(3, "little") for i, block in enumerate(blocks)]
    frame = b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little")  # one segment, its size in four bytes
    return frame + b"".join(header + block for header, block in zip(headers, blocks))


def make_images(folder):
    """Two classes of four images: folder/red/0.png..."""
    for name, color in ("red", (200, 30, 20)), ("blue", (10, 40, 190)):
        (folder / name).mkdir(parents=True)
        for i in range(4):
            (folder / name / f"{i}.png").write_bytes(png(40 + i, 36, color))


def binaries():
    for path in [*PACKAGE.rglob("*"), *SITE.glob("an_loader.libs/*")]:
        if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
            yield path


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


class Importing(unittest.TestCase):
    def test_loads_nothing_else(self):
        """What takes time to import is only imported where it is used."""
        new = run_python("import sys; known = set(sys.modules); import an_loader; print(*set(sys.modules) - known)").split()
        others = {name for name in new if name.partition(".")[0] != "an_loader"} - set(sys.builtin_module_names)
        self.assertEqual(others, set())

    def test_version(self):
        from importlib.metadata import version
        self.assertEqual(an_loader.__version__, version("an-loader"))

    def test_typed(self):
        self.assertTrue((PACKAGE / "py.typed").exists())
        self.assertTrue((PACKAGE / "__init__.pyi").exists())


class Libraries(unittest.TestCase):
    def test_found(self):
        """Each file finds its libraries, and takes none from outside that not every system has."""
        found = list(binaries())
        self.assertGreaterEqual({path.name for path in found}, {"an-ingest"})
        self.assertTrue(any(path.name.startswith("_native.") for path in found))
        for path in found:
            listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
            self.assertNotIn("not found", listed, path)
            for line in [] if FROM_SOURCE else listed.splitlines():
                name = Path(line.split()[0]).name
                if not OF_THE_SYSTEM.fullmatch(name):
                    self.assertIn(str(SITE), os.path.realpath(line.split()[2]), f"{path} takes {name} from outside")

    def test_names_no_place_of_its_making(self):
        for path in binaries():
            self.assertIsNone(re.search(rb"/(an/build|tmp|root|home)/[\w./-]*", path.read_bytes()), path)

    @unittest.skipIf(FROM_SOURCE, "the libraries are the system's")
    def test_licenses(self):
        folder = next(SITE.glob("an_loader-*.dist-info")) / "licenses" / "libraries"
        names = {path.name for path in folder.iterdir()}
        for part in "libjpeg", "liblmdb", "liburing", "libxxhash", "libjansson", "libpng", "libarchive", "liblzma":
            self.assertTrue([name for name in names if name.startswith(part)], part)


class Using(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        make_images(self.folder / "images")

    def check(self, dataset):
        """8 records of 2 classes; a loader shows each once."""
        self.assertEqual(len(dataset), 8)
        self.assertEqual(sorted(dataset.classes), ["blue", "red"])
        with an_loader.Loader(dataset, 4, crop=24, layout="nhwc", return_index=True) as loader:
            self.assertEqual(len(loader), 2)
            seen = []
            for images, labels, indices in loader:
                pixels, classes = memoryview(images).tolist(), memoryview(labels).tolist()
                self.assertEqual(images.shape, (4, 24, 24, 3))
                for image, label in zip(pixels, classes):
                    red, _, blue = image[12][12]
                    self.assertEqual(dataset.classes[label], "red" if red > blue else "blue")
                seen += memoryview(indices).tolist()
            self.assertEqual(sorted(seen), list(range(8)))

    def test_program(self):
        """The program that comes along reads every kind of compressed tar."""
        first = self.folder / "first"
        subprocess.run([*PROGRAM, "-q", "--size", "32", self.folder / "images", first], check=True)
        self.check(an_loader.Dataset(first))
        pack = {"tar": lambda data: data, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd}
        with io.BytesIO() as plain:
            with tarfile.open(fileobj=plain, mode="w") as tar:
                tar.add(self.folder / "images", "images")
            packed = {kind: compress(plain.getvalue()) for kind, compress in pack.items()}
        for kind, data in packed.items():
            done = subprocess.run([*PROGRAM, "-q", "--size", "32", "--classes-from", first, "-", self.folder / kind],
                                  input=data, capture_output=True, cwd="/")
            self.assertEqual(done.returncode, 0, (kind, done.stderr))
            self.check(an_loader.Dataset(self.folder / kind))

    def test_script(self):
        script = Path(sys.executable).with_name("an-ingest")
        self.assertEqual(subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout.split()[:2],
                         ["an-ingest", an_loader.__version__])

    def test_program_has_no_sheets(self):
        subprocess.run([*PROGRAM, "-q", "--size", "32", self.folder / "images", self.folder / "data"], check=True)
        done = subprocess.run([*PROGRAM, "sheet", self.folder / "data", self.folder / "sheet.png"], capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("without Cairo", done.stderr)

    def test_ingest(self):
        self.check(an_loader.ingest(self.folder / "images", self.folder / "data", size=32, progress=False))

    def test_writer(self):
        with an_loader.Writer(self.folder / "data", size=32, codec="coef", classes=["red", "blue"]) as writer:
            for i in range(8):
                color = (200, 30, 20) if i % 2 == 0 else (10, 40, 190)
                writer.add(png(40 + i, 36, color) if i < 4 else memoryview(bytes(color) * 36 * 40).cast("B", (36, 40, 3)), i % 2)
        self.check(an_loader.Dataset(self.folder / "data"))


if __name__ == "__main__":
    times = sorted(float(run_python("import time; t = time.perf_counter(); import an_loader; print(time.perf_counter() - t)"))
                   for _ in range(10))
    print(f"{sys.version.split()[0]}: import an_loader takes {times[0] * 1000:.1f} ms, {times[5] * 1000:.1f} ms in the middle of ten")
    unittest.main()
