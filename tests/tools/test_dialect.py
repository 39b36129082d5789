#!/usr/bin/env python3
"""This source tree keeps the project's conventions, and tools/check-dialect.py notices every kind of fault."""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(os.environ["AN_SOURCE_DIR"])

GOOD_C = '''/* if (rc == AN_OK) would be wrong, and so would int error; "quotes" do not matter. */
#include "base/good.h"

typedef struct { const char *error; } words;

int an_good(int a)
{
    int rc = an_step(a, "rc == AN_OK"); // rc != AN_OK
    if (rc)
        return an_error(rc, "int error = %d", '"');
    rc = an_step(a + 1);
    if ((rc = an_step(2)) || (rc = an_step(3)))
        return rc;
    for (int i = 0; !rc && i < 3; i++)
        rc = an_step(i);
    return rc ? rc : AN_OK;
}
'''
GOOD_H = '''/* What it is. */
#ifndef AN_BASE_GOOD_PRIVATE_H
#define AN_BASE_GOOD_PRIVATE_H

int an_good(int a);

#endif
'''
GOOD = {"base/good.c": GOOD_C, "base/good_private.h": GOOD_H,
        "liban/an/good.h": "#ifndef LIBAN_GOOD_H\n#define LIBAN_GOOD_H\n#endif\n"}

# Name and text of a file, the line of its fault and a word of what is said about it.
BAD = [
    ("base/bad.c", "int f(int rc)\n{\n    return rc == AN_OK;\n}\n", 3, "AN_OK"),
    ("base/bad.c", "int f(int rc)\n{\n    return rc!=AN_OK;\n}\n", 3, "AN_OK"),
    ("base/bad.c", "int f(int rc)\n{\n    if (AN_OK == rc)\n        g();\n}\n", 3, "AN_OK"),
    ("model/cuda/bad.cu", "int f(int rc)\n{\n    return g(\n        1) == AN_OK;\n}\n", 4, "AN_OK"),
    ("base/bad.c", "int f(void)\n{\n    int error = g();\n    return error;\n}\n", 3, "rc"),
    ("base/bad.c", "int f(void)\n{\n    int a = 0, error;\n}\n", 3, "rc"),
    ("base/bad.c", "int f(void *p,\n      int error)\n{\n}\n", 2, "rc"),
    ("base/bad.c", "void f(int *error)\n{\n}\n", 1, "rc"),
    ("base/bad.c", "int f(int rc)\n{\n    if ((rc = a()) ||\n        (rc = b()) || (rc = c()))\n        return rc;\n}\n", 3,
     "one condition"),
    ("base/good_internal.h", GOOD_H.replace("PRIVATE", "INTERNAL"), 1, "_private.h"),
    ("base/bad.h", GOOD_H, 1, "AN_BASE_BAD_H"),
    ("liban/an/bad.h", "#ifndef AN_LIBAN_AN_BAD_H\n#define AN_LIBAN_AN_BAD_H\n#endif\n", 1, "LIBAN_BAD_H"),
    ("liban/bad.h", "#ifndef LIBAN_BAD_H\n#define LIBAN_BAD_H\n#endif\n", 1, "AN_LIBAN_BAD_H"),
    ("base/bad.h", "#pragma once\n", 1, "AN_BASE_BAD_H"),
    ("base/bad.h", "#ifndef AN_BASE_BAD_H\n#define AN_BASE_BED_H\n#endif\n", 1, "AN_BASE_BAD_H"),
]


def run(root, *folders):
    return subprocess.run([sys.executable, ROOT / "tools/check-dialect.py", root, *folders], capture_output=True, text=True)


def plant(root, files):
    for name, text in files.items():
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Dialect(unittest.TestCase):
    def test_this_tree_keeps_the_conventions(self):
        result = run(ROOT)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)

    def test_a_good_tree_passes(self):
        with tempfile.TemporaryDirectory() as root:
            plant(root, GOOD)
            self.assertEqual(run(root).stdout, f"{len(GOOD)} files, 0 faults\n")

    def test_every_fault_is_found(self):
        for name, text, line, word in BAD:
            with self.subTest(text=text), tempfile.TemporaryDirectory() as root:
                plant(root, {**GOOD, name: text})
                result = run(root)
                self.assertEqual(result.returncode, 1, result.stdout)
                self.assertTrue(result.stdout.startswith(f"{name}:{line}: "), result.stdout)
                self.assertIn(word, result.stdout)
                self.assertTrue(result.stdout.endswith(f"{len({**GOOD, name: text})} files, 1 faults\n"), result.stdout)

    def test_single_folders(self):
        with tempfile.TemporaryDirectory() as root:
            plant(root, {**GOOD, BAD[0][0]: BAD[0][1], "store/good.c": ""})
            self.assertEqual(run(root, "store").stdout, "1 files, 0 faults\n")
            self.assertEqual(run(root, "store", "base").returncode, 1)

    def test_no_tree(self):
        with tempfile.TemporaryDirectory() as root:
            self.assertEqual(run(root).returncode, 2)


if __name__ == "__main__":
    unittest.main()
