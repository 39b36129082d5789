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
from pictures import idx_set, png_folders

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

    def test_progress(self):
        """Lines for programs, which tell of bad inputs; or none; a word that is neither is refused."""
        folder = pathlib.Path(png_folders(str(self.root / "progress"), 2, 30))
        (folder / "class-0" / "bad.png").write_bytes(b"no picture")
        made = run("--size", 8, "--progress", "json", folder, self.root / "json")
        lines = [json.loads(line) for line in made.stderr.splitlines()]
        self.assertEqual({tuple(line) for line in lines}, {("inputs", "total", "images_per_second", "set_aside")})
        self.assertEqual([(line["inputs"], line["total"], line["set_aside"]) for line in (lines[0], lines[-1])],
                         [(0, 61, 0), (61, 61, 1)])
        self.assertIn("60 images of 2 classes", made.stdout)
        made = run("--size", 8, "--progress", "none", folder, self.root / "none-shown")
        self.assertEqual((made.returncode, made.stderr), (0, ""))
        self.assertIn("60 images of 2 classes", made.stdout)
        quiet = run("--size", 8, "--progress=json", "--quiet", folder, self.root / "quiet")
        self.assertEqual((quiet.returncode, quiet.stderr, quiet.stdout), (0, "", ""))
        self.fails(2, "'--progress'", "--progress", "xml", folder, self.root / "never")

    def test_quiet_and_quality(self):
        """-q was --quality once."""
        for number, command in enumerate(((), ("transcode", "--codec", "jpeg"))):
            source = self.data if command else self.source
            out = self.root / f"quiet{number}"
            for old in (("-q", "85"), ("-q85",)):
                self.fails(2, "-q is --quiet: for a JPEG quality of 85 write -Q 85", *command, *old, source, out)
            result = run(*command, "-q", "-Q", 30, source, out)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
            self.assertEqual(json.loads(self.ok("info", "--json", out))["manifest"]["quality"], 30)
        self.assertEqual(self.ok("verify", "-q", self.data), "")
        self.assertEqual(self.ok("export", "-q", self.data, self.root / "quiet-files"), "")
        folder = self.root / "85" # a source may be called like a number
        self.ok("export", "-q", self.data, folder)
        result = run("-q", "85", "from-85", cwd=self.root)
        self.assertEqual((result.returncode, result.stdout), (0, ""), result.stderr)

    def test_export_and_labels(self):
        """Labels of folders go by names: an export says when they are others, and an ingest of it, too."""
        folder, ids = self.root / "numbers", self.root / "ids.txt"
        ids.write_text("".join(f"{i}\n" for i in (*range(10), 10, 11)))
        data, files = self.root / "eleven", self.root / "eleven-files"
        self.ok("--classes-from", ids, self.source, data)
        exported = run("export", data, files)
        self.assertIn(f"give --classes-from '{files}/classes.tsv'", exported.stderr)
        self.assertEqual(len(list(files.glob("*/"))), 12, "classes without an image have folders, too")
        plain, kept = self.root / "plain", self.root / "kept"
        made = run("--kind", "folder", files, plain)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertIn(f"give --classes-from '{files}/classes.tsv'", made.stderr)
        ids_of = lambda dataset: [c["id"] for c in json.loads(self.ok("info", "--json", dataset))["classes"]]
        self.assertEqual(ids_of(plain)[:3], ["0", "1", "10"])
        made = run("--classes-from", files / "classes.tsv", files, kept)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertNotIn("another order", made.stderr)
        self.assertEqual(ids_of(kept), ids_of(data))
        self.assertNotIn("warning", run("export", self.data, folder).stderr, "0 to 9 are in order")

    def test_export_of_ids_that_are_no_folder_names(self):
        images, ids, data, files = (self.root / name for name in ("odd.txt", "odd.ids", "odd", "odd-files"))
        names = ["#tag", "../up", ".hidden", "plain"]
        self.ok("export", self.data, self.root / "odd-in")
        found = sorted((self.root / "odd-in").glob("*/*.jpg"))[:4]
        images.write_text("".join(f"{path}\t{name}\n" for path, name in zip(found, names)))
        self.ok(images, data)
        self.ok("export", data, files)
        self.assertEqual(sorted(path.name for path in files.glob("*/")), ["class-0", "class-1", "class-2", "plain"])
        self.ok("--classes-from", files / "classes.tsv", files, self.root / "odd-again")

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
