#!/usr/bin/env python3
"""The documents name files that exist: in links, and in code such as `store/record.h`."""
import os
import re
import unittest
from pathlib import Path

ROOT = Path(os.environ["AN_SOURCE_DIR"])
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FOLDERS = "base|store|ingest|augment|model|train|tools|benchmarks|tests|docs|cmake|recipes"
# A path from the root with an ending, or a folder with a slash at its end.
PATH = re.compile(rf"(?:{FOLDERS})/(?:[\w./-]*\.[a-z]+|[\w./-]*/)")
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
STANDS_FOR_OTHERS = re.compile(r"NAME|\*")


def missing(text, folder, root=ROOT):
    """What text, a document in folder, names and does not exist."""
    for name in CODE.findall(text):
        if PATH.fullmatch(name) and not STANDS_FOR_OTHERS.search(name) and not (root / name).exists():
            yield name
    for name in LINK.findall(text):
        if not (folder / name).exists():
            yield name


class Documents(unittest.TestCase):
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
