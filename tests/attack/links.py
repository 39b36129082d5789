"""What another user of the machine can do where everybody may write: links to the victim's files under the names that the
programs write to, folders of his own where they make theirs. The superuser plays both parts: what is planted belongs to
nobody (65534). Nothing that is the victim's may change, and a program that refuses says why with exit code 2."""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "ingest"))
from pictures import png_folders

BIN = pathlib.Path(os.environ["AN_BIN_DIR"])
NOBODY = 65534
PRECIOUS = b"precious\n"


def run(program, *arguments):
    return subprocess.run([BIN / program, *map(str, arguments)], capture_output=True, text=True, timeout=200)


class Links(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="an-links-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.source = pathlib.Path(png_folders(f"{self.root}/in", 2, 12))
        self.open = self.root / "open"
        self.open.mkdir()
        self.open.chmod(0o777)  # without the sticky bit, whose links the kernel may refuse to follow by itself
        self.victim = self.root / "victim"
        self.victim.write_bytes(PRECIOUS)
        self.inode = self.victim.stat().st_ino

    def plant(self, path, target=None):
        path.symlink_to(target or self.victim)
        os.lchown(path, NOBODY, NOBODY)

    def assert_untouched(self):
        self.assertEqual(self.victim.read_bytes(), PRECIOUS)
        self.assertEqual(self.victim.stat().st_ino, self.inode)

    def assert_refused(self, result, path):
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn(str(path), result.stderr)
        self.assert_untouched()

    def ingest(self, destination, *options):
        return run("an-ingest", "-q", "--size", "32", *options, self.source, destination)

    def dataset(self):
        result = self.ingest(self.root / "data")
        self.assertEqual(result.returncode, 0, result.stderr)
        return self.root / "data"

    def test_output_of_a_program(self):
        data, sheet = self.dataset(), self.open / "sheet.png"
        self.plant(sheet)
        self.assert_refused(run("an-ingest", "sheet", data, sheet), sheet)
        self.assertEqual(os.listdir(self.open), ["sheet.png"])

    def test_names_that_could_be_guessed(self):
        data, sheet = self.dataset(), self.open / "sheet.png"
        most = int(pathlib.Path("/proc/sys/kernel/pid_max").read_text())
        for number in range(os.getpid(), min(os.getpid() + 3000, most)):
            self.plant(self.open / f"sheet.png.tmp-{number}")
        result = run("an-ingest", "sheet", data, sheet)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(sheet.read_bytes()[:4], b"\x89PNG")
        self.assertFalse(sheet.is_symlink())
        self.assert_untouched()

    def test_partial_that_is_a_link(self):
        mine = self.root / "mine"
        mine.mkdir()
        (mine / "data.mdb").write_bytes(PRECIOUS)
        self.plant(self.open / "out.partial", mine)
        self.assert_refused(self.ingest(self.open / "out"), self.open / "out.partial")
        self.assertEqual((mine / "data.mdb").read_bytes(), PRECIOUS)
        self.assertEqual(os.listdir(mine), ["data.mdb"])

    def test_partial_of_another_user(self):
        partial = self.open / "out.partial"
        partial.mkdir()
        partial.chmod(0o777)
        for name in ("data.mdb", "lock.mdb"):
            self.plant(partial / name)
        os.chown(partial, NOBODY, NOBODY)
        self.assert_refused(self.ingest(self.open / "out"), partial)
        self.assertEqual(sorted(os.listdir(partial)), ["data.mdb", "lock.mdb"])

    def test_files_in_our_own_partial(self):
        partial = self.open / "out.partial"
        partial.mkdir()
        partial.chmod(0o777)
        self.plant(partial / "lock.mdb")
        self.assertEqual(self.ingest(self.open / "out").returncode, 0)  # no program of ours has such a file
        self.assert_untouched()
        other = self.open / "other.partial"
        other.mkdir()
        other.chmod(0o777)
        self.plant(other / "data.mdb")
        result = self.ingest(self.open / "other")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assert_untouched()

    def test_list_of_rejected_inputs(self):
        (self.source / "class-0" / "bad.png").write_bytes(b"bad")
        self.plant(self.open / "out.rejected.ndjson")
        self.assert_refused(self.ingest(self.open / "out", "--max-bad", "5"), self.open / "out.rejected.ndjson")

    def train(self, folder):
        return run("an-train", "--network", "cifar", "--crop", "32", "--batch", "4", "--steps", "2", "--epochs", "20", "--save-every", "1",
                   "--compute-threads", "1", "-j", "1", "--quiet", "--run", folder, self.data)

    def test_files_of_a_run(self):
        if not (BIN / "an-train").exists():
            self.skipTest("an-train is not built")
        self.data = self.dataset()
        for number, name in enumerate(("recipe.txt", "metrics.jsonl", "checkpoints/step-000000001.safetensors")):
            folder = self.open / f"run-{number}"
            (folder / "checkpoints").mkdir(parents=True)
            folder.chmod(0o777)
            (folder / "checkpoints").chmod(0o777)
            self.plant(folder / name)
            # A link under a checkpoint's name stands for a checkpoint: the folder already holds a run.
            self.assert_refused(self.train(folder), folder if name.startswith("checkpoints") else folder / name)

    def test_leavings_under_the_name_of_the_best(self):
        if not (BIN / "an-train").exists():
            self.skipTest("an-train is not built")
        self.data = self.dataset()
        folder = self.open / "run"
        (folder / "checkpoints").mkdir(parents=True)
        folder.chmod(0o777)
        command = ["an-train", "--network", "cifar", "--crop", "32", "--batch", "4", "--epochs", "1", "--compute-threads", "1", "-j", "1",
                   "--quiet", "--run", folder, self.data, self.data]
        self.plant(folder / "best.safetensors")
        self.assert_refused(run(*command), folder / "best.safetensors")  # it stands for another run
        (folder / "best.safetensors").unlink()
        self.plant(folder / "best.safetensors.new")
        result = run(*command)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertFalse((folder / "best.safetensors").is_symlink())
        self.assertFalse(os.path.lexists(folder / "best.safetensors.new"))
        self.assert_untouched()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", help="taken, and without a meaning: each attack is made once")
    parser.add_argument("--seed", help="the same")
    parser.parse_args()
    if os.geteuid() != 0:
        print("links: only the superuser can plant what belongs to others: skipped")
        return 77
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Links)
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    findings = len(result.failures) + len(result.errors)
    print(f"links: {result.testsRun} variants, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
