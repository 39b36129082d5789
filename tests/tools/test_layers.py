#!/usr/bin/env python3
"""The layering holds in this source tree, and tools/check-layers.py notices where one does not."""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(os.environ["AN_SOURCE_DIR"])

GOOD = {
    "base/error.c": ['"base/error.h"', '<stdio.h>'],
    "store/jpeg/jpeg.c": ['"store/jpeg/jpeg.h"', '<jpeglib.h>', '"base/error.h"'],
    "store/coef/encode.c": ['<jpeglib.h>'],
    "store/reader/uring.c": ['<liburing.h>'],
    "store/env.c": ['<lmdb.h>'],
    "ingest/run/run.c": ['"store/dataset/writer.h"', '"ingest/run/run.h"'],
    "augment/loader.h": ['"store/reader/reader.h"'],
    "model/cpu/conv.c": ['<oneapi/dnnl/dnnl.h>', '"model/backend.h"'],
    "model/cuda/conv.c": ['<cudnn.h>', '<cuda_runtime.h>'],
    "train/state/run.c": ['"augment/loader.h"', '"model/graph/graph.h"', '"store/reader/reader.h"'],
    "tools/show.c": ['"train/state/run.h"'],
    "benchmarks/io.c": ['"augment/loader.h"', '<jpeglib.h>'],
    "tests/store/jpeg/test_jpeg.c": ['"store/jpeg/jpeg.h"', '"fixture.h"', '"tests/base/scratch.h"', '<lmdb.h>'],
}

BAD = [
    ("base/error.c", '"store/record.h"'),
    ("store/env.c", '"ingest/run/run.h"'),
    ("store/env.c", '"augment/loader.h"'),
    ("ingest/run/run.c", '"augment/loader.h"'),
    ("augment/loader.c", '"ingest/run/run.h"'),
    ("model/graph/graph.c", '"store/record.h"'),
    ("model/graph/graph.c", '"train/state/run.h"'),
    ("model/cpu/deep/er.h", '<augment/loader.h>'),
    ("train/state/run.c", '"ingest/run/run.h"'),
    ("train/state/run.c", '"store/dataset/writer.h"'),
    ("train/state/run.c", '"tools/show.h"'),
    ("train/state/run.c", '"benchmarks/io.h"'),
    ("base/queue.c", '"tests/base/scratch.h"'),
    ("tools/show.c", '"tests/base/scratch.h"'),
    ("base/error.c", '"../store/record.h"'),
    ("base/error.c", "SOME_HEADER"),
    ("ingest/run/run.c", '<jpeglib.h>'),
    ("store/env.c", '<turbojpeg.h>'),
    ("store/reader/reader.c", '<liburing.h>'),
    ("augment/loader.c", '<lmdb.h>'),
    ("model/exec.c", '<oneapi/dnnl/dnnl.h>'),
    ("model/cpu/conv.c", '<cuda_runtime.h>'),
    ("model/exec.c", '<cudnn.h>'),
    ("tools/show.c", '<lmdb.h>'),
]


def run(root):
    return subprocess.run([sys.executable, ROOT / "tools/check-layers.py", root], capture_output=True, text=True)


def plant(root, files):
    for name, headers in files.items():
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"#include {header}\n" for header in headers))


class Layers(unittest.TestCase):
    def test_this_tree_keeps_the_layering(self):
        result = run(ROOT)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)

    def test_a_good_tree_passes(self):
        with tempfile.TemporaryDirectory() as root:
            plant(root, GOOD)
            self.assertEqual(run(root).stdout, f"{len(GOOD)} files, 0 faults\n")

    def test_every_fault_is_found(self):
        for name, header in BAD:
            with self.subTest(name=name, header=header), tempfile.TemporaryDirectory() as root:
                plant(root, {**GOOD, name: GOOD.get(name, []) + ["<stdint.h>", header]})
                result = run(root)
                line = len(GOOD.get(name, [])) + 2
                self.assertEqual(result.returncode, 1, result.stdout)
                self.assertTrue(result.stdout.startswith(f"{name}:{line}: "), result.stdout)
                self.assertTrue(result.stdout.endswith("files, 1 faults\n"), result.stdout)

    def test_unusual_spelling(self):
        with tempfile.TemporaryDirectory() as root:
            plant(root, GOOD)
            (Path(root) / "base/x.h").write_text('int x;\n  #  include   "store/record.h" /* no */\n')
            self.assertIn("base/x.h:2: 'store/record.h'", run(root).stdout)

    def test_no_tree(self):
        with tempfile.TemporaryDirectory() as root:
            self.assertEqual(run(root).returncode, 2)


if __name__ == "__main__":
    unittest.main()
