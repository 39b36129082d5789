#!/usr/bin/env python3
"""This source tree keeps to its rooms, and tools/check-layers.py notices every kind of fault."""
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(os.environ["AN_SOURCE_DIR"])

GOOD = {
    "base/error.c": ['"base/error.h"', '"base/error_private.h"', '<stdio.h>'],
    "base/program/log.c": ['"base/error.h"'],
    "store/jpeg/jpeg.c": ['"store/jpeg/jpeg.h"', '<jpeglib.h>', '"base/error.h"', '"store/image/image.h"'],
    "store/coef/encode.c": ['<jpegint.h>', '"store/jpeg/jpeg.h"'],
    "store/record.c": ['"store/coef/coef.h"'],
    "store/reader/uring.c": ['<liburing.h>'],
    "store/dataset/env.c": ['<lmdb.h>', '"store/record.h"'],
    "ingest/sources/tar.c": ['<archive.h>', '"ingest/sources/labels/truth_private.h"'],
    "ingest/run/run.c": ['"store/dataset/writer.h"', '"ingest/run/run.h"', '"base/program/progress.h"'],
    "augment/loader.h": ['"store/reader/reader.h"'],
    "model/cpu/conv.c": ['<oneapi/dnnl/dnnl.h>', '"model/backend.h"'],
    "model/cuda/layers/conv.c": ['<cudnn.h>', '<cuda_runtime.h>', '<nvtx3/nvToolsExt.h>', '"model/cuda/library/plan.h"'],
    "train/setup/data.c": ['"augment/loader.h"', '"model/graph/graph.h"', '"train/state/run.h"'],
    "tools/show/views/draw.c": ['"train/state/run.h"', '"tools/show/content/viewer.h"'],
    "liban/an/loader.h": ['<an/dataset.h>'],
    "liban/loader.c": ['"liban/loader_private.h"', '<an/loader.h>', '"augment/loader.h"'],
    "python/src/loader.c": ['<an/loader.h>'],
    "examples/c/classes.c": ['<an/loader.h>', '<stdio.h>'],
    "benchmarks/io/io.c": ['"augment/loader.h"', '<jpeglib.h>'],
    "tests/store/jpeg/test_jpeg.c": ['"store/jpeg/jpeg.h"', '"store/jpeg/scan_private.h"', '"fixture.h"',
                                     '"tests/base/scratch.h"', '<lmdb.h>'],
}

BAD = [
    # upwards, or to a room beside that the table does not name
    ("base/error.c", '"store/record.h"'),
    ("base/error.c", '"base/program/log.h"'),
    ("store/dataset/env.c", '"ingest/run/run.h"'),
    ("store/dataset/env.c", '"augment/loader.h"'),
    ("store/dataset/env.c", '"base/program/log.h"'),
    ("store/image/resize.c", '"store/jpeg/jpeg.h"'),
    ("store/jpeg/jpeg.c", '"store/coef/coef.h"'),
    ("store/coef/encode.c", '"store/record.h"'),
    ("store/reader/uring.c", '"store/dataset/dataset.h"'),
    ("store/record.c", '"store/dataset/dataset.h"'),
    ("ingest/sources/labels/names.c", '"ingest/sources/source.h"'),
    ("ingest/sources/tar.c", '"ingest/run/run.h"'),
    ("ingest/picture/png.c", '"base/program/log.h"'),
    ("ingest/run/run.c", '"ingest/commands/commands.h"'),
    ("ingest/run/run.c", '"augment/loader.h"'),
    ("augment/loader.c", '"ingest/run/run.h"'),
    ("model/graph/graph.c", '"model/exec.h"'),
    ("model/graph/graph.c", '"store/record.h"'),
    ("model/graph/graph.c", '"train/state/run.h"'),
    ("model/nets/net.c", '"model/exec.h"'),
    ("model/exec/exec.c", '"model/cpu/cpu.h"'),
    ("model/cpu/conv.c", '"model/cuda/cuda.h"'),
    ("model/cpu/conv.c", '<augment/loader.h>'),
    ("model/cuda/kernels/pool.cu", '"model/backend.h"'),
    ("train/state/run.c", '"train/loop/trainer.h"'),
    ("train/state/run.c", '"ingest/run/run.h"'),
    ("train/state/run.c", '"store/dataset/writer.h"'),
    ("train/state/run.c", '"tools/show/views/draw.h"'),
    ("train/state/run.c", '"benchmarks/io/io.h"'),
    ("tools/show/canvas/chart.c", '"tools/show/content/history.h"'),
    ("tools/show/content/viewer.c", '"tools/show/views/draw.h"'),
    ("liban/an/loader.h", '"augment/loader.h"'),
    ("liban/loader.c", '"train/state/run.h"'),
    ("liban/loader.c", '"base/program/log.h"'),
    ("augment/loader.c", '<an/loader.h>'),
    ("python/src/loader.c", '"augment/loader.h"'),
    ("examples/c/classes.c", '"base/error.h"'),
    ("base/queue.c", '"tests/base/scratch.h"'),
    ("tools/show/views/draw.c", '"tests/base/scratch.h"'),
    # headers that are private to another room
    ("store/coef/encode.c", '"store/jpeg/scan_private.h"'),
    ("base/program/log.c", '"base/error_private.h"'),
    ("ingest/run/run.c", '"ingest/sources/labels/truth_private.h"'),
    ("benchmarks/io/io.c", '"augment/loader_private.h"'),
    # names that cannot be checked
    ("base/error.c", '"../store/record.h"'),
    ("base/error.c", "SOME_HEADER"),
    # headers of other projects
    ("ingest/run/run.c", '<jpeglib.h>'),
    ("store/dataset/env.c", '<turbojpeg.h>'),
    ("store/reader/reader.c", '<liburing.h>'),
    ("store/record.c", '<lmdb.h>'),
    ("augment/loader.c", '<lmdb.h>'),
    ("ingest/picture/png.c", '<archive.h>'),
    ("train/loop/trainer.c", '<png.h>'),
    ("tools/show/views/draw.c", '<pango/pangocairo.h>'),
    ("model/exec/exec.c", '<oneapi/dnnl/dnnl.h>'),
    ("model/cpu/conv.c", '<cuda_runtime.h>'),
    ("model/exec/exec.c", '<cudnn.h>'),
    ("model/exec/exec.c", '<nvtx3/nvToolsExt.h>'),
    ("model/cuda/layers/conv.c", '<nccl.h>'),
    ("train/loop/trainer.c", '<mpi.h>'),
    ("tools/show/views/draw.c", '<cblas.h>'),
]


def module():
    """tools/check-layers.py as a module: its name is none that import could take."""
    spec = importlib.util.spec_from_file_location("check_layers", ROOT / "tools/check-layers.py")
    result = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(result)
    return result


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

    def test_a_room_that_is_not_in_the_table(self):
        with tempfile.TemporaryDirectory() as root:
            plant(root, {**GOOD, "store/tape/tape.c": []})
            result = run(root)
            self.assertEqual(result.returncode, 1)
            self.assertTrue(result.stdout.startswith("store/tape: not in the table"), result.stdout)

    def test_a_folder_that_is_too_full(self):
        with tempfile.TemporaryDirectory() as root:
            plant(root, {**{f"store/jpeg/{i}.c": [] for i in range(25)}, **{f"store/{i}.h": [] for i in range(25)}})
            self.assertEqual(run(root).stdout, "50 files, 0 faults\n")
            plant(root, {"store/jpeg/another.h": []})
            self.assertTrue(run(root).stdout.startswith("store/jpeg: 26 source files, more than 25"))

    def test_cycles_in_the_table(self):
        layers = module()
        self.assertIsNone(layers.cycle({"a": set(), "b": {"a"}, "c": {"a", "b"}}))
        self.assertEqual(layers.cycle({"a": set(), "b": {"a", "d"}, "c": {"b"}, "d": {"c"}}), ["b", "d", "c", "b"])
        layers.ROOMS["store/jpeg"].add("store/coef")
        with tempfile.TemporaryDirectory() as root:
            plant(root, GOOD)
            faults, _ = layers.check(Path(root))
            self.assertEqual(faults, ["the table of rooms has a cycle: store/coef -> store/jpeg -> store/coef"])

    def test_no_tree(self):
        with tempfile.TemporaryDirectory() as root:
            self.assertEqual(run(root).returncode, 2)


if __name__ == "__main__":
    unittest.main()
