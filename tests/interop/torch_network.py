#!/usr/bin/env python3
"""docs/alexnet_torch.py builds the network that a recipe describes: an-show's probabilities and those of its logits agree for every switch.

The dataset has three classes, so that an-show tells every probability, and the logits but for a constant. Weights are random, of a size
that makes every layer matter; each switch also changes the result. Needs PyTorch; without it only the list of options is checked."""
import ast
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "tests/train")]
import pictures

BIN = pathlib.Path(os.environ["AN_BIN_DIR"])
TOLERANCE = 2e-4  # of logarithms of probabilities: fp32, summed in another order
SIDE, CROP = 80, 70  # conv1's windows overhang such a crop
NAMES = [f"class{i % 3}/{i}.png" for i in range(6)]

# What a switch is compared with: the paper's network, or the small one.
SWITCHES = [("paper", ""), ("tanh", "activation = tanh"), ("sigmoid", "activation = sigmoid"), ("one column", "one-column = true"),
            ("no communication", "no-communication = true"), ("pool 2", "pool = 2"), ("pad2", "padding = pad2"), ("no lrn", "lrn = none"),
            ("lrn conv5", "lrn = conv2,conv5"), ("one column, lrn", "one-column = true\nlrn = conv1,conv2,conv5"),
            ("lrn alpha", "lrn-alpha = 0.1"), ("dropout", "dropout-layers = fc7\ndropout = 0.25"), ("all", """
            activation = tanh   # a comment
            no-communication = true
            lrn = conv5
            pool = 2
            padding = pad2
            dropout-layers = none""")]
SAME_RESULT = {"paper", "dropout"}  # dropout does nothing in evaluation


def run(*words, code=0):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def recipe_options():
    """The names of a recipe's options, as an-train lists them."""
    text = run(BIN / "an-train", "--help").split("Recipe (")[1].split("\n\n")[0]
    return {word.strip().split("--")[1].split()[0].split("=")[0] for word in text.splitlines() if word.strip()[:1] == "-"}


def check_names():
    """Every option of a recipe stands in the file, once."""
    tree = ast.parse((ROOT / "docs/alexnet_torch.py").read_text())
    found = {node.targets[0].id: ast.literal_eval(node.value) for node in tree.body
             if isinstance(node, ast.Assign) and node.targets[0].id in ("DEFAULTS", "OTHERS")}
    decide, others = set(found["DEFAULTS"]), found["OTHERS"]
    assert not decide & others, decide & others
    assert decide | others == recipe_options(), (decide | others) ^ recipe_options()


def save(path, tensors, metadata):
    header, data, at = {"__metadata__": metadata} if metadata else {}, [], 0
    for name, values in tensors.items():
        data.append(values.detach().contiguous().numpy().tobytes())
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + len(data[-1])]}
        at += len(data[-1])
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))
    return path


def randomise(model):
    """He's weights, biases that matter, and inputs of about unit size."""
    torch.manual_seed(7)
    for name, values in model.state_dict().items():
        if name == "input.mean_image":
            values.uniform_(40, 80)
        elif name == "input.scale":
            values.fill_(1 / 32)
        elif name.endswith("bias"):
            values.normal_(0, 0.3)
        else:
            values.normal_(0, (2 / values[0].numel()) ** 0.5)


def noise(number):
    """SIDE x SIDE x 3 bytes, brighter from image to image."""
    chance = random.Random(number)
    return bytes(chance.randrange(60 + 38 * number) for _ in range(SIDE * SIDE * 3))


def png(pixels):
    rows = b"".join(b"\0" + pixels[3 * SIDE * y:3 * SIDE * (y + 1)] for y in range(SIDE))
    return (b"\x89PNG\r\n\x1a\n" + pictures.chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
            + pictures.chunk(b"IDAT", zlib.compress(rows)) + pictures.chunk(b"IEND", b""))


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="an-torch-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.root = pathlib.Path(cls.temporary.name)
        for number, name in enumerate(NAMES):
            path = cls.root / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(noise(number)))
        run(BIN / "an-ingest", "--size", SIDE, "--codec", "rgb", cls.root / "images", cls.root / "data")

    def told(self, *weights):
        """Logarithms of an-show's probabilities: images x classes."""
        said, _ = json.JSONDecoder().raw_decode(run(BIN / "an-show", "predict", *weights, "--dataset", self.root / "data", "--images", 6,
                                                    "--compute-threads", 1, "--json"))  # what was converted is told after it
        table = torch.zeros(len(NAMES), 3)
        for image in said:
            for top in image["top"]:
                table[NAMES.index(image["name"]), top["label"]] = top["probability"]
        return table.log()

    def computed(self, model, crop):
        """The same of a model."""
        at = (SIDE - crop) // 2
        images = torch.stack([torch.frombuffer(bytearray(noise(i)), dtype=torch.uint8).reshape(SIDE, SIDE, 3) for i in range(len(NAMES))])
        with torch.no_grad():
            return model.eval()(images[:, at:at + crop, at:at + crop].permute(0, 3, 1, 2)).log_softmax(1)

    def same(self, model, crop, *weights):
        difference = (self.computed(model, crop) - self.told(*weights)).abs().max().item()
        self.assertLess(difference, TOLERANCE)

    def changes(self, model):
        """Whether the paper's network would give another result of these weights, or cannot have them."""
        paper = alexnet_torch.network(f"crop = {CROP}", 3, SIDE)
        try:
            paper.load_state_dict(model.state_dict())
        except RuntimeError:
            return True
        return (self.computed(model, CROP) - self.computed(paper, CROP)).abs().max().item() > 10 * TOLERANCE

    def test_every_switch(self):
        for name, lines in SWITCHES:
            with self.subTest(name):
                recipe = f"crop = {CROP}\n{lines}\n"
                (self.root / "recipe.txt").write_text(recipe)
                random_model = alexnet_torch.network(recipe, 3, SIDE)
                randomise(random_model)
                path = save(self.root / "weights.safetensors", random_model.state_dict(), {"recipe": recipe})
                model = alexnet_torch.load(path)
                self.same(model, CROP, "--weights", path, "--recipe", self.root / "recipe.txt")
                self.assertEqual(self.changes(model), name not in SAME_RESULT)

    def test_small_network(self):
        for activation in ("relu", "tanh", "sigmoid"):
            for crop in (32, 35):
                with self.subTest(activation=activation, crop=crop):
                    recipe = f"network = cifar\ncrop = {crop}\nactivation = {activation}\nlrn = none\n"
                    (self.root / "recipe.txt").write_text(recipe)
                    model = alexnet_torch.network(recipe, 3, SIDE)
                    randomise(model)
                    path = save(self.root / "small.safetensors", model.state_dict(), None)
                    loaded = alexnet_torch.load(path, recipe)
                    self.same(loaded, crop, "--weights", path, "--recipe", self.root / "recipe.txt")

    def trained(self, name, *options):
        folder, path = self.root / name, self.root / f"{name}.safetensors"
        run(BIN / "an-train", "--run", folder, "--batch", 3, "--steps", 2, "--init", "he", "--rate", 0.001, "--compute-threads", 1,
            *options, self.root / "data")
        run(BIN / "an-train", "export", "--run", folder, path)
        return path, folder

    def test_files_of_an_train(self):
        """The recipe comes from the file that an-train wrote: an export, or a checkpoint with its momentum."""
        path, folder = self.trained("small", "--network", "cifar", "--crop", 32, "--activation", "tanh")
        self.same(alexnet_torch.load(path), 32, "--weights", path)
        checkpoint = folder / "checkpoints/step-000000002.safetensors"
        self.same(alexnet_torch.load(checkpoint), 32, "--weights", checkpoint)
        path, _ = self.trained("large", "--crop", CROP, "--no-communication", "--lrn", "conv1,conv5", "--activation", "sigmoid")
        self.same(alexnet_torch.load(path), CROP, "--weights", path)

    def test_files_of_python(self):
        """What Python's safetensors writes, in each type that weights come in: an-show computes with the rounded values."""
        try:
            from safetensors.torch import save_file
        except ImportError:
            self.skipTest("no module safetensors")
        recipe = "network = cifar\ncrop = 32\n"
        (self.root / "recipe.txt").write_text(recipe)
        for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
            with self.subTest(dtype):
                model = alexnet_torch.network(recipe, 3, SIDE)
                randomise(model)
                tensors = {name: values.to(dtype) for name, values in model.state_dict().items()}
                save_file({"unused": torch.zeros(3, dtype=torch.int64), **tensors}, self.root / "python.safetensors", {"format": "pt"})
                model.load_state_dict({name: values.float() for name, values in tensors.items()})
                self.same(model, 32, "--weights", self.root / "python.safetensors", "--recipe", self.root / "recipe.txt")

    def test_what_is_unknown_is_refused(self):
        for recipe, said in (("network = vgg", "network = vgg"), ("activation = gelu", "there are relu, tanh, sigmoid"),
                             ("columns = 3", "option 'columns'"), ("pool = 4", "there are 2, 3"), ("padding = same", "overhang, pad2"),
                             ("lrn = conv1,conv3", "'conv3'"), ("dropout-layers = fc8", "'fc8'"), ("one-column = yes", "false, true"),
                             ("crop 224", "'crop 224'")):
            with self.subTest(recipe), self.assertRaises(ValueError) as caught:
                alexnet_torch.network(recipe, 3, SIDE)
            self.assertIn(said, str(caught.exception))
        model = alexnet_torch.network("network = cifar\ncrop = 32", 3, SIDE)
        path = save(self.root / "plain.safetensors", model.state_dict(), None)
        with self.assertRaisesRegex(ValueError, "plain.safetensors' does not say what network"):
            alexnet_torch.load(path)
        with self.assertRaisesRegex(RuntimeError, "fc8"):
            alexnet_torch.load(path, "crop = 224")
        with self.assertRaisesRegex(ValueError, "no output layer"):
            alexnet_torch.load(save(self.root / "plain.safetensors", {"x": torch.zeros(2)}, None), "crop = 224")


if __name__ == "__main__":
    check_names()
    try:
        import torch
    except ImportError:
        print("no PyTorch here: only the names of options were checked")
        sys.exit(77)
    import alexnet_torch
    torch.set_num_threads(1)
    unittest.main()
