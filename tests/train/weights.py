"""Weights alone, as Python writes them: eval and an-show use them with a recipe, as if they were the checkpoint."""
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
RECIPE = "network = cifar\ncrop = 32\nbatch = 8\nmean = channel\n"


def load(path):
    """The tensors of a safetensors file: {name: (shape, bytes)}."""
    content = path.read_bytes()
    size, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + size])
    header.pop("__metadata__")
    return {name: (one["shape"], content[8 + size:][slice(*one["data_offsets"])]) for name, one in header.items()}


def save(path, tensors):
    header, data = {}, b""
    for name, (shape, values) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


class Weights(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="an-weights-")
        cls.root = pathlib.Path(cls.temporary.name)
        for number, name in enumerate(("ant", "bee", "cat")):
            (cls.root / "in" / name).mkdir(parents=True)
            for i in range(8):
                (cls.root / "in" / name / f"{i}.png").write_bytes(png(8 * number + i))
        cls.recipe = cls.root / "recipe"
        cls.recipe.write_text(RECIPE)
        cls.data, cls.run_folder, export = cls.root / "data", cls.root / "run", cls.root / "export.safetensors"
        cls.must("an-ingest", "--size", 40, cls.root / "in", cls.data)
        cls.must("an-train", "--recipe", cls.recipe, "--run", cls.run_folder, "--steps", 6, cls.data, cls.data)
        cls.must("an-train", "export", "--run", cls.run_folder, export)
        tensors = load(export)
        cls.export = export
        cls.alone = save(cls.root / "alone.safetensors", tensors)
        cls.bare = save(cls.root / "bare.safetensors", {n: t for n, t in tensors.items() if "input." not in n})
        cls.half = save(cls.root / "half.safetensors", {n: t for n, t in tensors.items() if n != "input.scale"})
        broken = dict(tensors)
        broken["input.scale"] = ([1], struct.pack("<f", float("nan")))
        cls.broken = save(cls.root / "broken.safetensors", broken)
        broken["input.scale"] = ([1], struct.pack("<f", -1))
        cls.negative = save(cls.root / "negative.safetensors", broken)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def call(cls, program, *arguments):
        return subprocess.run([BIN / program, *map(str, arguments)], capture_output=True, text=True,
                              cwd=cls.root)

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

    def test_eval(self):
        expected = self.evaluation("--run", self.run_folder)
        # The file's own mean and scale; those of the dataset, which here is the training set.
        for weights in (self.alone, self.bare):
            self.assertEqual(self.evaluation("--weights", weights, "--recipe", self.recipe), expected)
        self.assertEqual(self.evaluation("--weights", self.alone, "--recipe", self.run_folder / "recipe.txt"), expected)

    def test_the_file_has_the_last_word_on_input(self):
        # Other statistics, same classes: the mean in the file counts, not that of the dataset.
        part = self.root / "part"
        for name in ("ant", "bee", "cat"):
            (part / name).mkdir(parents=True)
        (part / "cat" / "0.png").write_bytes(png(16))
        data = self.root / "part.data"
        self.must("an-ingest", "--size", 40, part, data)
        of_run = self.evaluation("--run", self.run_folder, dataset=data)
        self.assertEqual(self.evaluation("--weights", self.alone, "--recipe", self.recipe, dataset=data), of_run)
        self.assertNotEqual(self.evaluation("--weights", self.bare, "--recipe", self.recipe, dataset=data), of_run)

    def test_eval_refuses(self):
        evaluate = lambda *source: ("an-train", "eval", *source, self.data)
        self.fails(2, "say with --recipe FILE", *evaluate("--weights", self.alone))
        self.fails(2, "leave out --recipe", *evaluate("--weights", self.export, "--recipe", self.recipe))
        self.fails(2, "--recipe is for --weights FILE", *evaluate("--run", self.run_folder, "--recipe", self.recipe))
        self.fails(2, "input.mean_image without input.scale", *evaluate("--weights", self.half, "--recipe", self.recipe))
        self.fails(3, f"'{self.broken}': input.scale is nan", *evaluate("--weights", self.broken, "--recipe", self.recipe))
        self.fails(3, f"'{self.negative}': input.scale is -1", *evaluate("--weights", self.negative, "--recipe", self.recipe))
        other = self.root / "other"
        other.write_text("crop = 67\n")
        self.fails(2, "lacks 'fc8.bias'", *evaluate("--weights", self.alone, "--recipe", other))
        # A file gets no more memory than it could fill, and its crops lie within its mean image.
        small = save(self.root / "small.safetensors", {"fc8.bias": ([3], bytes(12))})
        other.write_text("crop = 67\n")
        self.fails(2, f"'{small}' is too small for", *evaluate("--weights", small, "--recipe", other))
        other.write_text(RECIPE.replace("crop = 32", "crop = 41").replace("channel", "none"))
        large = dict(load(self.export))
        large["fc10.weight"] = ([3, 64 * 5 * 5], bytes(3 * 64 * 5 * 5 * 4))
        large = save(self.root / "large.safetensors", large)
        self.fails(2, f"'{large}' is for crops of 41 pixels, but its mean image has only 40", *evaluate("--weights", large, "--recipe", other))
        other.write_text("crops = 67\n")
        self.fails(2, "line 1", *evaluate("--weights", self.alone, "--recipe", other))
        two = self.root / "two.data"
        (self.root / "ids").write_text("ant\nbee\ncat\ndog\n")
        self.must("an-ingest", "--size", 40, "--classes-from", self.root / "ids", self.root / "in", two)
        self.fails(2, "has 4 classes", "an-train", "eval", "--weights", self.alone, "--recipe", self.recipe, two)
        self.fails(2, "--classes-from", "an-train", "eval", "--run", self.run_folder, two)

    def test_show(self):
        source = ("--weights", self.alone, "--recipe", self.recipe)
        image = self.root / "in" / "bee" / "3.png"
        top = lambda *options: [(one["label"], one["probability"])
                                for one in json.loads(self.must("an-show", "predict", "--json", *options))[0]["top"]]
        self.assertEqual(top(*source, image), top("--run", self.run_folder, image))
        self.assertIn(" %  1\n", self.must("an-show", "predict", *source, image))
        bare = ("--weights", self.bare, "--recipe", self.recipe)
        self.fails(2, "lacks input.mean_image", "an-show", "predict", *bare, image)
        self.assertIn("bee", self.must("an-show", "predict", *bare, "--dataset", self.data))
        neighbors = lambda *options: self.must("an-show", "neighbors", *options, self.data, self.data)
        self.assertEqual(neighbors(*source), neighbors("--run", self.run_folder))
        for command in (("filters",), ("network",), ("augment", self.data)):
            pictures = [self.root / f"{command[0]}{i}.png" for i in range(2)]
            self.must("an-show", *command, *bare, pictures[0])
            self.must("an-show", *command, "--run", self.run_folder, pictures[1])
            self.assertEqual(pictures[0].read_bytes(), pictures[1].read_bytes(), command)
        self.fails(2, "give the weights", "an-show", "network", "--recipe", self.recipe, self.root / "x.png")


if __name__ == "__main__":
    unittest.main()
