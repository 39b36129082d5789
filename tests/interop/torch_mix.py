#!/usr/bin/env python3
"""What --mixup, --cutmix, --label-smoothing, --class-weights and --jitter-scaled make of the losses and the weights, against PyTorch.

The reference makes a step's input itself, from the pixels: draws.py draws, and docs/training.md says what is done with that. It computes in double
precision. The network has tanh: where a rectifier's input is as good as 0, rounding decides whether a gradient passes. Needs PyTorch."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "tests/train")]
import draws
import pictures

BIN = pathlib.Path(os.environ["AN_BIN_DIR"])
TOLERANCE = 1e-5  # of a loss, and of a tensor's largest value
IMAGES, CLASSES, STEPS, CROP, SEED = 15, 3, 6, 32, 3 << 32 | 7
RATE, MOMENTUM, DECAY = 0.005, 0.9, 0.01
NETWORK = ["--network", "cifar", "--activation", "tanh", "--crop", CROP, "--init", "he", "--seed", SEED, "--no-flip", "--no-random-crop",
           "--schedule", "constant", "--rate", RATE, "--momentum", MOMENTUM, "--decay", DECAY, "--bias-decay", DECAY, "--kernels", "direct",
           "--compute-threads", 1, "--threads", 1, "--log-every", 1, "--epochs", 9, "--steps", STEPS, "--top", 2, "--json"]
# Not the classes of the colours, which would be learned within a few steps, and not equally many of each.
LABELS = [0, 1, 1, 2, 0, 0, 2, 0, 1, 0, 2, 0, 1, 0, 1]
WEIGHTS = {"class0": 0.5, "class2": 2.5}  # what the file of --class-weights says; class1, which it does not name, weighs 1

# Options, as --NAME VALUE. A batch of 6 leaves a last one of 3, one of 8 a last one of 7.
PLAIN = {"batch": 6, "last": "short", "jitter": 0}
CASES = {"plain": {},
         "mixup": {"mixup": 0.4},
         "mixup, large alpha": {"mixup": 3},
         "cutmix": {"cutmix": 1},
         "mixup or cutmix": {"mixup": 0.2, "cutmix": 0.5},
         "smoothing": {"label-smoothing": 0.1},
         "balanced": {"class-weights": "balanced"},
         "weights of a file": {"class-weights": "FILE"},
         "smoothing and weights": {"label-smoothing": 0.2, "class-weights": "FILE"},
         "jitter": {"jitter": 0.5},
         "scaled jitter": {"jitter": 0.5, "jitter-scaled": True},
         "jitter that ends": {"jitter": 0.5, "jitter-scaled": True, "jitter-epochs": 1},
         "odd batch": {"batch": 7, "last": "carry", "mixup": 0.4, "cutmix": 1},
         "all": {"mixup": 0.4, "cutmix": 1, "label-smoothing": 0.1, "class-weights": "FILE", "jitter": 0.5, "jitter-scaled": True},
         "all, balanced, dropped": {"last": "drop", "mixup": 1, "cutmix": 0.3, "label-smoothing": 0.3, "class-weights": "balanced", "jitter": 0.2,
                                    "jitter-scaled": True, "jitter-epochs": 2}}
WHOLE = {"batch": 8, "mixup": 0.4, "label-smoothing": 0.1, "class-weights": "FILE"}


def targets(labels, others, shares, smoothing):
    """The probability of each class that the outputs are compared with."""
    one_hot = torch.nn.functional.one_hot
    mixed = shares[:, None] * one_hot(labels, CLASSES) + (1 - shares[:, None]) * one_hot(others, CLASSES)
    return (1 - smoothing) * mixed + smoothing / CLASSES


def loss_of(logits, labels, others, shares, smoothing, weights):
    logs = torch.log_softmax(logits, dim=1)
    total = (shares * weights[labels] + (1 - shares) * weights[others]).sum()
    return -(weights * targets(labels, others, shares, smoothing) * logs).sum() / total


class Pictures:
    """All images as the dataset has them, in double precision: pixels N x 3 x side x side, and what is computed over all of them."""

    def __init__(self, folder):
        files = sorted(folder.glob("*/*.png"), key=str)
        bytes_of = [torch.frombuffer(bytearray(pictures.pixels(file)), dtype=torch.uint8) for file in files]
        pixels = torch.stack(bytes_of).reshape(len(files), pictures.SIDE, pictures.SIDE, 3).permute(0, 3, 1, 2).double()
        self.labels = torch.tensor([int(file.parent.name.removeprefix("class")) for file in files])
        values = pixels.permute(1, 0, 2, 3).flatten(1)
        covariance = torch.cov(values, correction=0)
        self.scale = 1 / covariance.diagonal().sqrt().mean().item()
        at = (pictures.SIDE - CROP) // 2
        self.centred = (pixels - pixels.mean(0))[:, :, at:at + CROP, at:at + CROP]
        eigenvalues, vectors = (found.flip(-1) for found in torch.linalg.eigh(covariance))
        signs = torch.where(vectors[0] < 0, -1, 1)
        self.amplitudes = vectors * signs * eigenvalues.sqrt()  # a column for each eigenvalue, the largest first

    def image(self, meaning, epoch, record):
        jitter = meaning["jitter"]
        if not jitter or epoch >= meaning.get("jitter-epochs", epoch + 1):
            return self.centred[record] * self.scale
        rng = draws.Rng(SEED, draws.JITTER, epoch, record)
        shift = self.amplitudes @ torch.tensor([rng.normal() * jitter for _ in range(3)], dtype=torch.double)
        return (self.centred[record] + shift[:, None, None]) * self.scale / (1 + jitter if meaning.get("jitter-scaled") else 1)

    def batch(self, meaning, taken):
        """Input, labels, the labels mixed in, and the shares of the own ones."""
        own = torch.stack([self.image(meaning, *one) for one in taken])
        labels = self.labels[[record for _, record in taken]]
        mixed, others, shares = own.clone(), labels.clone(), torch.ones(len(taken), dtype=torch.double)
        for i, one in enumerate(taken):
            partner = i ^ 1
            if partner == len(taken):
                continue
            shares[i], box = draws.mix(SEED, CROP, meaning, *one)
            others[i] = labels[partner]
            if box:
                mixed[i][:, box[0], box[1]] = own[partner][:, box[0], box[1]]
            else:
                mixed[i] = shares[i] * own[i] + (1 - shares[i]) * own[partner]
        return mixed, labels, others, shares


def class_weights(meaning, images):
    kind = meaning.get("class-weights")
    if kind == "balanced":
        return IMAGES / (CLASSES * images.labels.bincount().double())
    return torch.tensor([WEIGHTS.get(f"class{c}", 1) if kind else 1 for c in range(CLASSES)], dtype=torch.double)


def train(start, images, meaning):
    """The network after all steps, and of each step loss and top-1, last the loss of a validation on all images."""
    model, told = alexnet_torch.load(start), []
    model.input = torch.nn.Identity()
    model.double()
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    for taken in draws.batches(SEED, IMAGES, meaning["batch"], meaning["last"], STEPS):
        pixels, labels, others, shares = images.batch(meaning, taken)
        optimiser.zero_grad()
        logits = model(pixels)
        loss = loss_of(logits, labels, others, shares, meaning.get("label-smoothing", 0), class_weights(meaning, images))
        loss.backward()
        optimiser.step()
        told.append((loss.item(), (logits.argmax(1) == labels).double().mean().item()))
    with torch.no_grad():
        logits = model(images.centred * images.scale)
        told.append((torch.nn.functional.cross_entropy(logits, images.labels).item(), (logits.argmax(1) == images.labels).double().mean().item()))
    return model, told


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


class Loss(unittest.TestCase):
    """The formula of the documents is that of PyTorch."""

    def setUp(self):
        torch.manual_seed(1)
        self.logits = torch.randn(7, CLASSES, dtype=torch.double, requires_grad=True)
        self.labels, self.others = torch.tensor([0, 1, 2, 2, 1, 0, 2]), torch.tensor([1, 0, 2, 1, 2, 0, 0])

    def same(self, one, other):
        gradients = [torch.autograd.grad(loss, self.logits)[0] for loss in (one, other)]
        self.assertLess(abs(one.item() - other.item()), 1e-12)
        self.assertLess((gradients[0] - gradients[1]).abs().max().item(), 1e-12)

    def test_labels(self):
        for smoothing in (0, 0.1, 1):
            for weights in ([1, 1, 1], [0.5, 1, 2.5], [0, 3, 1]):
                weights = torch.tensor(weights, dtype=torch.double)
                expected = torch.nn.CrossEntropyLoss(weights, label_smoothing=smoothing)(self.logits, self.labels)
                self.same(loss_of(self.logits, self.labels, self.others, torch.ones(7).double(), smoothing, weights), expected)

    def test_mixed_labels(self):
        """The sum of what each label alone gives, times its share."""
        shares, weights = torch.rand(7, dtype=torch.double), torch.tensor([0.5, 1, 2.5], dtype=torch.double)
        each = torch.nn.CrossEntropyLoss(weights, label_smoothing=0.1, reduction="none")
        total = (shares * weights[self.labels] + (1 - shares) * weights[self.others]).sum()
        expected = (shares * each(self.logits, self.labels) + (1 - shares) * each(self.logits, self.others)).sum() / total
        self.same(loss_of(self.logits, self.labels, self.others, shares, 0.1, weights), expected)


class Mix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="an-torch-mix-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.root = pathlib.Path(cls.temporary.name)
        pictures.write(cls.root / "coloured", IMAGES, CLASSES)
        for number, label in enumerate(LABELS):
            to = cls.root / f"images/class{label}"
            to.mkdir(parents=True, exist_ok=True)
            (cls.root / f"coloured/class{number % CLASSES}/{number}.png").rename(to / f"{number}.png")
        cls.images = Pictures(cls.root / "images")
        (cls.root / "weights").write_text("".join(f"{name} {weight}\n" for name, weight in WEIGHTS.items()))
        run(BIN / "an-ingest", "--size", pictures.SIDE, "--codec", "rgb", "--order", "source", cls.root / "images", cls.root / "data")
        run(BIN / "an-train", *NETWORK, "--batch", 6, "--steps", 1, "--run", cls.root / "begin", cls.root / "data")
        cls.start = cls.root / "start.safetensors"
        run(BIN / "an-train", "export", "--run", cls.root / "begin", cls.start)

    def trained(self, meaning, *more):
        """What an-train makes of it: tensors, and of each line loss and top-1, the last one that of the validation."""
        folder, words = pathlib.Path(tempfile.mkdtemp(prefix="run", dir=self.root)), []
        for name, value in meaning.items():
            words += [f"--{name}"] + ([] if value is True else [self.root / "weights" if value == "FILE" else value])
        printed = run(BIN / "an-train", *NETWORK, *words, *more, "--weights", self.start, "--run", folder, self.root / "data", self.root / "data")
        lines = [json.loads(line) for line in printed.splitlines()]
        told = [(line["loss"], line["top1"]) for line in lines if line["type"] == "train"]
        told.append([(line["loss"], line["top1"]) for line in lines if line["type"] == "validation"][-1])
        return alexnet_torch.file_read(folder / f"checkpoints/step-{STEPS:09}.safetensors")[1], told

    def close(self, got, told, expected, expected_told):
        self.assertEqual(len(told), STEPS + 1)
        for step, ((loss, top1), (expected_loss, expected_top1)) in enumerate(zip(told, expected_told, strict=True)):
            self.assertLess(abs(loss - expected_loss), TOLERANCE * expected_loss, f"loss of step {step}")
            self.assertAlmostEqual(top1, expected_top1, msg=f"top-1 of step {step}")
        for name, values in expected.items():
            far = ((got[name] - values).abs().max() / max(values.abs().max().item(), 1e-2)).item()
            self.assertLess(far, TOLERANCE, name)

    def test_cases(self):
        plain = None
        for name, options in CASES.items():
            with self.subTest(name):
                meaning = {**PLAIN, **options}
                tensors, told = self.trained(meaning)
                model, expected = train(self.start, self.images, meaning)
                self.close(tensors, told, dict(model.named_parameters()), expected)
                plain = plain or told
                if options:  # it shows that they were given
                    self.assertGreater(max(abs(one[0] - other[0]) for one, other in zip(told, plain)), 1e-3)

    def test_accumulated(self):
        """Two parts of a batch are the whole, also of the last batch of 7."""
        meaning = {**PLAIN, **WHOLE}
        model, expected = train(self.start, self.images, meaning)
        whole, told = self.trained(meaning)
        self.close(whole, told, dict(model.named_parameters()), expected)
        parts, told_parts = self.trained(meaning, "--accumulate", 2)
        self.close(parts, told_parts, {name: whole[name] for name, _ in model.named_parameters()}, told)


if __name__ == "__main__":
    try:
        import torch
    except ImportError:
        print("no PyTorch here")
        sys.exit(77)
    import alexnet_torch
    torch.set_num_threads(1)
    unittest.main()
