#!/usr/bin/env python3
"""--version says version, commit and libraries; the commit follows the repository and is written only when it changes."""
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(os.environ["AN_SOURCE_DIR"])
PROGRAMS = Path(os.environ["AN_BIN_DIR"])
DATA = ["LMDB", "libjpeg-turbo"]
LIBRARIES = {"an-ingest": DATA, "an-bench-io": DATA, "an-train": [*DATA, "oneDNN"], "an-show": [*DATA, "oneDNN"]}


class Version(unittest.TestCase):
    def test_programs(self):
        version = re.search(r"^project\(an VERSION (\d+\.\d+\.\d+) ", (SOURCE / "CMakeLists.txt").read_text(), re.M)[1]
        for program, libraries in LIBRARIES.items():
            first, *rest = subprocess.run([PROGRAMS / program, "--version"], capture_output=True, text=True,
                                          check=True).stdout.splitlines()
            self.assertRegex(first, rf"^{program} {re.escape(version)} \(commit (unknown|[0-9a-f]{{12,40}}(-modified)?)\)$")
            self.assertEqual([line.split(" ")[0] for line in rest], libraries)
            for line in rest:
                self.assertRegex(line, r"^[A-Za-z-]+ \d+\.\d+(\.\d+)*$")

    def test_subcommands(self):
        whole = subprocess.run([PROGRAMS / "an-train", "--version"], capture_output=True, check=True).stdout
        part = subprocess.run([PROGRAMS / "an-train", "eval", "--version"], capture_output=True, check=True).stdout
        self.assertEqual(part, whole)


class Commit(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source = Path(folder.name) / "source"
        self.source.mkdir()
        self.header = Path(folder.name) / "build" / "commit.h"

    def git(self, *words):
        identity = {f"GIT_{who}_{what}": "nobody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        return subprocess.run(["git", *words], cwd=self.source, capture_output=True, text=True, check=True,
                              env={**os.environ, **identity}).stdout.strip()

    def commit(self, *words):
        subprocess.run(["cmake", "-D", f"AN_COMMIT_SOURCE={self.source}", "-D", f"AN_COMMIT_HEADER={self.header}", *words, "-P",
                        SOURCE / "cmake" / "AnCommit.cmake"], check=True)
        return re.search(r'#define AN_COMMIT "(.*)"', self.header.read_text())[1]

    def test_without_repository(self):
        self.assertEqual(self.commit(), "unknown")
        self.assertEqual(self.commit("-D", "AN_COMMIT_OTHERWISE=abc"), "abc")

    def test_repository(self):
        try:
            self.git("init", "-q")
        except FileNotFoundError:
            self.skipTest("git is not installed")
        (self.source / "file").write_text("one")
        self.git("add", "file")
        self.git("commit", "-qm", "one")
        first = self.commit()
        self.assertEqual(self.commit("-D", "AN_COMMIT_OTHERWISE=abc"), first)
        self.assertTrue(len(first) >= 12 and self.git("rev-parse", "HEAD").startswith(first), first)
        (self.source / "file").write_text("two")
        self.assertEqual(self.commit(), first + "-modified")
        self.git("commit", "-qam", "two")
        self.assertNotIn(self.commit(), (first, first + "-modified"))

    def test_written_only_when_it_changes(self):
        self.commit()
        os.utime(self.header, (1, 1))
        self.commit()
        self.assertEqual(self.header.stat().st_mtime, 1)


if __name__ == "__main__":
    unittest.main()
