#!/usr/bin/env python3
"""tools/wheel.sh refuses plainly; the licences of what a wheel carries get into it, and it stays a sound wheel."""
import base64
import hashlib
import os
import stat
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

TOOLS = Path(os.environ["AN_SOURCE_DIR"]) / "tools"
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
INFO = "an_loader-1.0.dist-info"
METADATA = "Metadata-Version: 2.4\nName: an-loader\nLicense-File: LICENSE\nRequires-Python: >=3.11\n\nText\n"


class Usage(unittest.TestCase):
    def test_usage(self):
        for words in (), ("nonsense",):
            result = subprocess.run([TOOLS / "wheel.sh", *words], capture_output=True, text=True)
            self.assertEqual(result.returncode, 2, words)
            self.assertIn("tools/wheel.sh build", result.stderr)


@unittest.skipUnless(Path("/usr/bin/dpkg-query").exists(), "not a Debian")
class Licenses(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.wheel = Path(folder.name) / "an_loader-1.0-cp311-abi3-manylinux_2_34_x86_64.whl"

    def make(self, library, metadata=METADATA):
        with zipfile.ZipFile(self.wheel, "w") as archive:
            archive.writestr("an_loader/__init__.py", "")
            program = zipfile.ZipInfo("an_loader/bin/an-ingest")
            program.external_attr = 0o100755 << 16
            archive.writestr(program, "program")
            archive.writestr(f"an_loader.libs/{library}", "library")
            archive.writestr(f"{INFO}/METADATA", metadata)
            archive.writestr(f"{INFO}/RECORD", "old")

    def put(self, *packages):
        return subprocess.run([sys.executable, TOOLS / "packaging" / "wheel_licenses.py", self.wheel, *packages],
                              capture_output=True, text=True)

    def library(self):
        """As auditwheel calls it: the file's name, with eight digits of its hash."""
        name = next(path.resolve().name for path in LIBRARIES.glob("libpng16.so.16"))
        return name.replace(".so", "-0a0c6ccf.so", 1)

    def test_wheel(self):
        self.make(self.library())
        done = self.put("zlib1g")
        self.assertEqual(done.returncode, 0, done.stderr)
        with zipfile.ZipFile(self.wheel) as archive:
            self.assertIsNone(archive.testzip())
            names = archive.namelist()
            licenses = [name for name in names if name.startswith(f"{INFO}/licenses/libraries/")]
            self.assertEqual(len(licenses), 2)
            for name in licenses:
                package = name.rpartition("/")[2]
                self.assertTrue(package == "zlib1g" or package.startswith("libpng16"), package)
                self.assertEqual(archive.read(name), Path(f"/usr/share/doc/{package}/copyright").read_bytes())
                self.assertIn(f"License-File: libraries/{package}\n", archive.read(f"{INFO}/METADATA").decode())
            self.assertEqual(stat.S_IMODE(archive.getinfo("an_loader/bin/an-ingest").external_attr >> 16), 0o755)
            # Each file stands in RECORD once, with its hash and size; RECORD itself has neither.
            rows = [line.split(",") for line in archive.read(f"{INFO}/RECORD").decode().splitlines()]
            self.assertEqual(sorted(row[0] for row in rows), sorted(names))
            for name, digest, size in rows:
                data = archive.read(name)
                wanted = "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                self.assertEqual((digest, size), ("", "") if name.endswith("RECORD") else (wanted, str(len(data))), name)

    def test_unknown_library(self):
        self.make("libnobodyhasit-12345678.so.1")
        self.assertIn("no package has libnobodyhasit.so.1", self.put().stderr)

    def test_unknown_package(self):
        self.make(self.library())
        self.assertIn("'nobody-has-it' has no licence", self.put("nobody-has-it").stderr)

    def test_no_license_of_its_own(self):
        self.make(self.library(), METADATA.replace("License-File: LICENSE\n", ""))
        before = self.wheel.read_bytes()
        self.assertIn("names no licence of its own", self.put().stderr)
        self.assertEqual(self.wheel.read_bytes(), before)


if __name__ == "__main__":
    unittest.main()
