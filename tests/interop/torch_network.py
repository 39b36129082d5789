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

# A switch, and whether fc7, which holds most of the weights, stays. It is compared with the paper's network, likewise with or without fc7.
WHOLE = [("paper", ""), ("no communication", "no-communication = true"), ("dropout", "dropout-layers = fc7\ndropout = 0.25"),
         ("without fc7", "without = fc7"), ("torchvision", "network = torchvision"), ("all", """
            activation = tanh   # a comment
            no-communication = true
            lrn = conv5
            pool = 2
            padding = pad2
            dropout-layers = none""")]
LIGHT = [("tanh", "activation = tanh"), ("sigmoid", "activation = sigmoid"), ("one column", "columns = one"), ("old name", "one-column = true"),
         ("half a column", "columns = one-half"), ("pool 2", "pool = 2"), ("pad2", "padding = pad2"), ("no lrn", "lrn = none"),
         ("lrn conv5", "lrn = conv2,conv5"), ("one column, lrn", "columns = one\nlrn = conv1,conv2,conv5"), ("lrn alpha", "lrn-alpha = 0.1"),
         ("lrn k", "lrn-k = 1\nlrn-alpha = 0.1"), ("lrn first", "lrn-before-activation = conv1\nlrn-alpha = 0.1"),
         ("lrn last", "lrn-after-pool = conv1,conv2\nlrn-alpha = 0.1"), ("both orders", """
            lrn = conv1,conv2,conv5
            lrn-before-activation = conv1,conv2
            lrn-after-pool = conv2,conv5
            activation = tanh
            lrn-alpha = 0.1"""),
         *((f"without {layer}", layer) for layer in ("conv2", "conv3", "conv4", "conv5", "fc6", "conv2,conv3,fc6"))]
SWITCHES = [(name, lines, False) for name, lines in WHOLE]
SWITCHES += [(name, f"without = {lines},fc7" if name.startswith("without") else f"{lines}\nwithout = fc7", True) for name, lines in LIGHT]
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


def pixels(crop):
    """The centres of all images: images x 3 x crop x crop bytes."""
    at = (SIDE - crop) // 2
    images = torch.stack([torch.frombuffer(bytearray(noise(i)), dtype=torch.uint8).reshape(SIDE, SIDE, 3) for i in range(len(NAMES))])
    return images[:, at:at + crop, at:at + crop].permute(0, 3, 1, 2)


def theirs_make(classes, crop):
    """torchvision's network, layer by layer as its source states it; but for the size that its averaging makes at this crop."""
    nn, side = torch.nn, crop
    side = (side + 4 - 11) // 4 + 1
    for _ in range(3):
        side = (side - 3) // 2 + 1
    network = nn.Module()
    network.features = nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(3, 2))
    network.classifier = nn.Sequential(nn.Dropout(), nn.Linear(256 * side * side, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096),
                                       nn.ReLU(), nn.Linear(4096, classes))
    return network.eval()


def theirs_computed(network):
    """Logarithms of its probabilities, of images normalised as torchvision does."""
    colours = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).reshape(2, 3, 1, 1)
    with torch.no_grad():
        return network.classifier(network.features((pixels(CROP) / 255 - colours[0]) / colours[1]).flatten(1)).log_softmax(1)


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
        with torch.no_grad():
            return model.eval()(pixels(crop)).log_softmax(1)

    def same(self, model, crop, *weights):
        difference = (self.computed(model, crop) - self.told(*weights)).abs().max().item()
        self.assertLess(difference, TOLERANCE)

    def changes(self, model, light):
        """Whether the paper's network would give another result of these weights, or cannot have them."""
        paper = alexnet_torch.network(f"crop = {CROP}\nwithout = {'fc7' if light else 'none'}", 3, SIDE)
        try:
            paper.load_state_dict(model.state_dict())
        except RuntimeError:
            return True
        return (self.computed(model, CROP) - self.computed(paper, CROP)).abs().max().item() > 10 * TOLERANCE

    def test_every_switch(self):
        for name, lines, light in SWITCHES:
            with self.subTest(name):
                recipe = f"crop = {CROP}\n{lines}\n"
                (self.root / "recipe.txt").write_text(recipe)
                random_model = alexnet_torch.network(recipe, 3, SIDE)
                randomise(random_model)
                path = save(self.root / "weights.safetensors", random_model.state_dict(), {"recipe": recipe})
                model = alexnet_torch.load(path)
                self.same(model, CROP, "--weights", path, "--recipe", self.root / "recipe.txt")
                self.assertEqual(self.changes(model, light), name not in SAME_RESULT)

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

    def test_torchvisions_weights(self):
        """A state_dict of torchvision's shape goes through docs/torchvision_weights.py: the same probabilities as with torchvision's own
        network and normalisation, and the same weights when it comes back."""
        torch.manual_seed(3)
        theirs = theirs_make(3, CROP)
        for values in theirs.parameters():
            values.data.normal_(0, (2 / values[0].numel()) ** 0.5 if values.dim() > 1 else 0.1)
        torch.save(theirs.state_dict(), self.root / "theirs.pth")
        script = [sys.executable, ROOT / "docs/torchvision_weights.py"]
        run(*script, "--side", SIDE, self.root / "theirs.pth", self.root / "ours.safetensors")
        recipe = self.root / "ours.recipe"
        recipe.write_text(recipe.read_text().replace("crop = 224", f"crop = {CROP}"))
        told = self.told("--weights", self.root / "ours.safetensors", "--recipe", recipe)
        self.assertLess((theirs_computed(theirs) - told).abs().max().item(), TOLERANCE)
        self.same(alexnet_torch.load(self.root / "ours.safetensors", recipe.read_text()), CROP, "--weights", self.root / "ours.safetensors",
                  "--recipe", recipe)
        said = run(*script, "--back", self.root / "ours.safetensors", self.root / "back.pth")
        self.assertIn("Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])", said)
        for name, values in torch.load(self.root / "back.pth", weights_only=True).items():
            self.assertTrue(torch.allclose(values, theirs.state_dict()[name], rtol=1e-6, atol=0), name)
        # After training with another mean the weights stay as they are, and what to normalise with is said.
        tensors = alexnet_torch.file_read(self.root / "ours.safetensors")[1]
        tensors["input.mean_image"] = torch.tensor([51.0, 102.0, 153.0]).expand(SIDE, SIDE, 3)
        tensors["input.scale"] = torch.tensor([1 / 51])
        save(self.root / "other.safetensors", tensors, None)
        self.assertIn("Normalize([0.2, 0.4, 0.6], [0.2, 0.2, 0.2])",
                      run(*script, "--back", self.root / "other.safetensors", self.root / "back.pth"))
        tensors["input.mean_image"] = torch.rand(SIDE, SIDE, 3)
        save(self.root / "other.safetensors", tensors, None)
        self.assertIn("--mean channel", run(*script, "--back", self.root / "other.safetensors", self.root / "back.pth", code=1))
        self.assertIn("features.0.weight", run(*script, self.root / "ours.safetensors", self.root / "x.safetensors", code=1))

    def test_published_recipes(self):
        for path in (ROOT / "recipes").iterdir():
            with self.subTest(path.name), torch.device("meta"):
                self.assertEqual(alexnet_torch.network(path.read_text(), 3, SIDE).fc8.out_features, 3)

    def test_what_is_unknown_is_refused(self):
        for recipe, said in (("network = vgg", "network = vgg"), ("activation = gelu", "there are relu, tanh, sigmoid"),
                             ("columns = 3", "two, one, one-half"), ("colour = 3", "option 'colour'"), ("without = conv1", "'conv1'"), ("pool = 4", "there are 2, 3"), ("padding = same", "overhang, pad2"),
                             ("lrn = conv1,conv3", "'conv3'"), ("dropout-layers = fc8", "'fc8'"), ("one-column = yes", "two, one, one-half"),
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
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 1):
        print(f"PyTorch {torch.__version__} is older than 2.1: only the names of options were checked")
        sys.exit(77)
    import alexnet_torch
    torch.set_num_threads(1)
    unittest.main()
