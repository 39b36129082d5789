"""What the tests of weights have in common: safetensors files as Python writes them, a place with a dataset, and the programs."""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "ingest"))
from pictures import png

BIN = pathlib.Path(os.environ["AN_BIN_DIR"])
RECIPE = "network = cifar\ncrop = 32\nbatch = 8\nmean = channel\nschedule = constant\n"


def load(path):
    """The tensors of a safetensors file: {name: (shape, bytes)}."""
    content = path.read_bytes()
    size, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (one["shape"], content[8 + size:][slice(*one["data_offsets"])]) for name, one in header.items()}


def save(path, tensors, metadata=None):
    """Values are of type F32, unless a tensor says another: (shape, bytes, type)."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, (shape, values, *dtype) in tensors.items():
        header[name] = {"dtype": dtype[0] if dtype else "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def converted(tensors, dtype):
    """The same values in that type, rounded towards zero where it is a small one."""
    def one(shape, values):
        count = len(values) // 4
        if dtype == "BF16":
            return shape, b"".join(values[4 * i + 2:4 * i + 4] for i in range(count)), dtype
        return shape, struct.pack(f"<{count}{dict(F16='e', F64='d')[dtype]}", *struct.unpack(f"<{count}f", values)), dtype
    return {name: one(*tensor) for name, tensor in tensors.items()}


def widened(tensors):
    """What converted made, as F32 again."""
    def one(shape, values, dtype):
        if dtype == "BF16":
            return shape, b"".join(b"\0\0" + values[i:i + 2] for i in range(0, len(values), 2))
        kind, size = dict(F16=("e", 2), F64=("d", 8))[dtype]
        count = len(values) // size
        return shape, struct.pack(f"<{count}f", *struct.unpack(f"<{count}{kind}", values))
    return {name: one(*tensor) for name, tensor in tensors.items()}


class Place(unittest.TestCase):
    """A folder with a dataset of three classes and a recipe."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="an-weights-")
        cls.root = pathlib.Path(cls.temporary.name)
        cls.recipe = cls.root / "recipe"
        cls.recipe.write_text(RECIPE)
        cls.data = cls.dataset("data", ("ant", "bee", "cat"))

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def dataset(cls, name, classes, images=8, size=40):
        for number, one in enumerate(classes):
            (cls.root / f"{name}.in" / one).mkdir(parents=True)
            for i in range(images):
                (cls.root / f"{name}.in" / one / f"{i}.png").write_bytes(png(8 * number + i))
        cls.must("an-ingest", "--size", size, cls.root / f"{name}.in", cls.root / name)
        return cls.root / name

    @classmethod
    def call(cls, program, *arguments):
        return subprocess.run([BIN / program, *map(str, arguments)], capture_output=True, text=True, cwd=cls.root)

    @classmethod
    def must(cls, *arguments):
        result = cls.call(*arguments)
        if result.returncode:
            raise AssertionError(result.stderr)
        return result.stdout

    def fails(self, code, text, *arguments):
        result = self.call(*arguments)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertIn(text, result.stderr)

    def evaluation(self, *source, dataset=None):
        report = json.loads(self.must("an-train", "eval", "--json", "--show", 24, *source, dataset or self.data))
        return {key: report[key] for key in ("top1", "loss", "shown")}
