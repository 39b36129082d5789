#!/usr/bin/env python3
"""The documents name files that exist, in links and in code such as `store/record.h`, and headings that exist, in links such as
docs/gpu.md#not-yet. docs/training.md names every option of an-train, and no other."""
import os
import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(os.environ["AN_SOURCE_DIR"])
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FOLDERS = "base|store|ingest|augment|liban|python|examples|model|train|tools|benchmarks|tests|docs|cmake|recipes"
# A path from the root with an ending, or a folder with a slash at its end.
PATH = re.compile(rf"(?:{FOLDERS})/(?:[\w./-]*\.[a-z]+|[\w./-]*/)")
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
ANCHOR = re.compile(r"\]\(([^)#:]*)#([^)]+)\)")
OPTION = re.compile(r"--([a-z][a-z-]*)")
# Every program has these, so that an-train's document need not name them.
COMMON = {"help", "usage", "version"}
# Options that docs/training.md names of other programs, an older name, and a mistaken one.
OTHERS = {"back", "logdir", "one-column", "lr"}
STANDS_FOR_OTHERS = re.compile(r"NAME|\*")


def missing(text, folder, root=ROOT):
    """What text, a document in folder, names and does not exist."""
    for name in CODE.findall(text):
        if PATH.fullmatch(name) and not STANDS_FOR_OTHERS.search(name) and not (root / name).exists():
            yield name
    for name in LINK.findall(text):
        if not (folder / name).exists():
            yield name


def anchors(text):
    """The names that GitHub gives to the headings of text."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for heading in re.findall(r"^#+ (.*)$", prose, re.M):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def missing_anchors(text, path):
    """What text, the document at path, links to and no heading is called."""
    for name, anchor in ANCHOR.findall(text):
        target = path.parent / name
        if not name and anchor not in anchors(text) or target.is_file() and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"{name}#{anchor}"


def options(command):
    """The options that the program explains."""
    program, *words = command.split()
    said = subprocess.run([f"{os.environ['AN_BIN_DIR']}/{program}", *words, "--help"], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"^ +(?:-\w, )?--([a-z][a-z-]*)", said, re.M))


class Documents(unittest.TestCase):
    def test_headings_that_links_name_exist(self):
        for path in DOCUMENTS:
            with self.subTest(path=path.name):
                self.assertEqual(list(missing_anchors(path.read_text(encoding="utf-8"), path)), [])

    def test_headings_that_do_not_exist_are_found(self):
        text = "# Not `yet`, we\n```\n# code\n```\n[a](#not-yet-we) [b](#code) [c](README.md#no-such) [d](https://e.f#g)"
        self.assertEqual(list(missing_anchors(text, ROOT / "NEW.md")), ["#code", "README.md#no-such"])

    def test_training_explains_every_option(self):
        named = set(OPTION.findall((ROOT / "docs/training.md").read_text(encoding="utf-8")))
        own = options("an-train")
        self.assertGreater(len(own), 80)
        self.assertEqual(own - named - COMMON, set(), "docs/training.md says nothing of these options")
        known = own.union(OTHERS, *map(options, ("an-train eval", "an-train export", "an-ingest", "an-ingest transcode", "an-show report")))
        self.assertEqual(named - known, set(), "docs/training.md names options that do not exist")

    def test_what_they_name_exists(self):
        self.assertGreater(len(DOCUMENTS), 8)
        for path in DOCUMENTS:
            with self.subTest(path=path.name):
                self.assertEqual(list(missing(path.read_text(encoding="utf-8"), path.parent)), [])

    def test_what_does_not_exist_is_found(self):
        text = "`base/error.h` `base/eror.h` `model/NAME.c` `docs/` `nodocs/` [a](README.md) [b](READYOU.md#c) [d](https://e.f)"
        self.assertEqual(list(missing(text, ROOT)), ["base/eror.h", "READYOU.md"])


if __name__ == "__main__":
    unittest.main()
