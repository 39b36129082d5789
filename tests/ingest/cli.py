"""The commands of an-ingest as a user types them: what they print, and how they exit."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.dont_write_bytecode = True
from pictures import idx_set

PROGRAM = os.path.join(os.environ["AN_BIN_DIR"], "an-ingest")


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, **options)


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="an-cli-")
        cls.root = pathlib.Path(cls.folder.name)
        cls.source = idx_set(cls.root / "in", 40)
        cls.data = cls.root / "data"
        cls.made = run("--size", 32, "--threads", 2, cls.source, cls.data)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def ok(self, *arguments, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def fails(self, code, text, *arguments):
        result = run(*arguments)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertIn(text, result.stderr)
        self.assertTrue(result.stderr.startswith("an-ingest: error: "), result.stderr)

    def test_ingest_prints_a_summary(self):
        self.assertEqual(self.made.returncode, 0, self.made.stderr)
        self.assertIn("40 images of 10 classes", self.made.stdout)

    def test_usage(self):
        self.fails(2, "DESTINATION", self.source)
        self.fails(2, "--size", "--size", 4, self.source, self.root / "none")
        text = self.ok("--help")
        self.assertIn("Exit status", text)
        kinds = re.findall(r"^  ([a-z0-9]+) +\S", text.partition("Sources (--kind):")[2].partition("\n\n")[0], re.MULTILINE)
        self.assertGreaterEqual(len(kinds), 8)
        documented = (pathlib.Path(__file__).parents[2] / "docs" / "ingest.md").read_text()
        for kind in kinds:
            self.assertIn(f"`{kind}`", documented)
        for command in ("info", "verify", "export", "stats", "sheet", "transcode"):
            self.assertIn("DATASET" if command != "transcode" else "SOURCE", self.ok(command, "--help"))
            self.assertEqual(run(command).returncode, 2)

    def test_no_dataset(self):
        for command in (["info"], ["verify"], ["stats"]):
            self.assertIn(run(*command, self.root / "absent").returncode, (1, 3))
        self.fails(3, "in", "verify", self.root / "in")

    def test_info(self):
        self.assertIn("40 of 32 x 32 pixels: 40 jpeg", self.ok("info", "--classes", self.data))
        described = json.loads(self.ok("info", "--json", self.data))
        self.assertEqual(described["records"], 40)
        self.assertEqual(sum(c["count"] for c in described["classes"]), 40)

    def test_stats(self):
        both = json.loads(self.ok("stats", "--quiet", "--json", self.data))
        for stored, decoded in zip(both["stored"]["mean"], both["decoded"]["mean"]):
            self.assertAlmostEqual(stored, decoded, delta=2)
        self.assertIn("eigenvalue", self.ok("stats", "--quiet", self.data))

    def test_verify_names_the_damaged_record(self):
        self.assertIn("all 40 records are sound", self.ok("verify", self.data))
        copy = self.root / "damaged"
        self.ok("transcode", "--quiet", "--codec", "rgb", self.data, copy)
        file = bytearray((copy / "data.mdb").read_bytes())
        at = file.rindex(b"ANRC") + 1000
        file[at] ^= 1
        (copy / "data.mdb").write_bytes(file)
        result = run("verify", copy)
        self.assertEqual(result.returncode, 3)
        self.assertRegex(result.stdout, r"record \d+ \(train-images-idx3-ubyte/\d+\): ")
        self.assertIn("1 of 40 records are damaged", result.stderr)

    def test_export_transcode_sheet(self):
        out = self.root / "files"
        self.ok("export", "--count", 5, self.data, out)
        self.assertEqual(len(list(out.glob("*/*.jpg"))), 5)
        self.fails(2, "exists", "export", self.data, out)
        self.ok("transcode", "--codec", "coef", self.data, self.root / "coef")
        self.assertIn("40 coef", self.ok("info", self.root / "coef"))
        self.ok("sheet", "--images", 4, self.data, self.root / "sheet.png")
        self.assertEqual((self.root / "sheet.png").read_bytes()[:4], b"\x89PNG")

    def test_dry_run_writes_nothing(self):
        before = sorted(self.root.iterdir())
        self.assertIn("40 inputs", self.ok("--dry-run", self.source))
        self.assertEqual(before, sorted(self.root.iterdir()))

    def test_tar_on_standard_input(self):
        files, tar = self.root / "piped", self.root / "piped.tar"
        self.ok("export", "--quiet", self.data, files)
        with tarfile.open(tar, "w") as out:
            for path in files.glob("*/*.jpg"):
                out.add(path, path.relative_to(files))
        with open(tar, "rb") as file:
            self.ok("--quiet", "--size", 32, "--classes-from", self.data, "-", self.root / "from-pipe", stdin=file)
        self.assertIn("40 of 32", self.ok("info", self.root / "from-pipe"))


if __name__ == "__main__":
    unittest.main()
