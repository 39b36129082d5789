#!/usr/bin/env python3
"""examples/jax_train.py learns, and JAX's arrays are the loader's. Needs JAX."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/train"))
import pictures

IMAGES, CLASSES, CROP, BATCH = 60, 3, 32, 16


class Jax(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="an-jax-")
        cls.addClassCleanup(temporary.cleanup)
        folder = pathlib.Path(temporary.name)
        pictures.write(folder / "pictures", IMAGES, CLASSES)
        cls.path = str(folder / "data")
        ingest = pathlib.Path(os.environ["AN_BIN_DIR"]) / "an-ingest"
        subprocess.run([ingest, "--quiet", "--size", str(pictures.SIDE), folder / "pictures", cls.path], check=True, capture_output=True)

    def test_arrays(self):
        for dtype in ("u8", "f32", "bf16"):
            with an_loader.Loader(self.path, BATCH, crop=CROP, dtype=dtype, layout="nhwc", labels="i32", threads=1, slots=2) as loader:
                held = [tuple(jax.dlpack.from_dlpack(array) for array in batch) for batch in loader]
            again = [tuple(jax.numpy.array(jax.dlpack.from_dlpack(array)) for array in batch)
                     for batch in an_loader.Loader(self.path, BATCH, crop=CROP, dtype=dtype, layout="nhwc", labels="i32", threads=1)]
            self.assertEqual(len(held), IMAGES // BATCH)
            for one, other in zip(held, again, strict=True):
                self.assertEqual((one[0].shape, one[1].dtype), ((BATCH, CROP, CROP, 3), jax.numpy.int32))
                self.assertTrue(all((mine == theirs).all() for mine, theirs in zip(one, other, strict=True)))

    def test_example(self):
        command = [sys.executable, ROOT / "examples/jax_train.py", self.path, self.path, "--epochs", "3", "--crop", str(CROP), "--batch-size", "8",
                   "--threads", "1"]
        said = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(said.returncode, 0, said.stderr)
        lines = said.stdout.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertGreater(float(lines[-1].split()[-2]), 90, said.stdout)


if __name__ == "__main__":
    try:
        import jax
    except ImportError:
        print("no JAX here; AN_JAX_PYTHON names the Python that has it")
        sys.exit(77)
    import an_loader
    unittest.main()
