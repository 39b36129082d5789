#!/usr/bin/python3
"""LARS, warm-up and polynomial decay against their formulas in NumPy, in double precision over all of a run; and recipes/alexnet-large."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import pictures

STEPS = sys.argv.pop(1) if len(sys.argv) > 1 else ""  # the program lars_steps
BIN = pathlib.Path(os.environ.get("AN_BIN_DIR", "build/release/bin"))
ROOT = pathlib.Path(__file__).resolve().parents[2]
TOLERANCE = 1e-6  # of the largest norm that a tensor had: momenta fall with the rate, biases come back to 0
EPOCH_STEPS, EPOCHS = 6, 7
TOTAL, RUN = EPOCH_STEPS * EPOCHS, 32  # steps: of the schedule, and taken of it

COMMON = {"network": "cifar", "crop": 32, "batch": 8, "init": "he", "kernels": "direct", "epochs": EPOCHS, "optimizer": "lars", "trust": 0.01,
          "rate": 0.3, "momentum": 0.9, "decay": 0.005, "bias-rate": 0.03, "bias-decay": 0.001, "schedule": "poly", "power": 2, "warmup-epochs": 1.5}
CASES = [("lars", {}),
         ("nesterov", {"nesterov": "true"}),
         ("clipped", {"clip": 0.2, "trust": 0.02}),
         ("averages, rates by layer", {"ema": 0.9, "layer-rates": "conv2=0.5,fc10=2", "freeze": "conv1"}),
         ("all, linear decay", {"nesterov": "true", "clip": 0.2, "ema": 0.9, "layer-rates": "conv3=0.25", "power": 1, "warmup-epochs": 0}),
         ("sgd", {"optimizer": "sgd", "rate": 0.005, "bias-rate": 1})]


def warmed(step, steps):
    """What the warm-up multiplies the rate with: 1/n, 2/n ... n/n, then 1."""
    return min(1, (step + 1) / steps) if steps else 1


def poly(step, total, power):
    return (1 - step / total) ** power


def rate_of(options, step):
    return options["rate"] * poly(step, TOTAL, options["power"]) * warmed(step, options["warmup-epochs"] * EPOCH_STEPS)


def factor_of(options, layer):
    if layer in options.get("freeze", "").split(","):
        return 0
    return dict((name, float(factor)) for name, _, factor in (item.partition("=") for item in options.get("layer-rates", "").split(",")) if name).get(layer, 1)


def clip_of(options, gradients):
    """Frozen layers have no gradient."""
    if not options.get("clip"):
        return 1
    norm = np.sqrt(sum((values ** 2).sum() for name, values in gradients.items() if factor_of(options, name.split(".")[0])))
    return min(1, options["clip"] / (norm + 1e-6))


def norm_of(values):
    return np.sqrt((values ** 2).sum())


class Lars:
    """You, Gitman, Ginsburg 2017, algorithm 1, for weights; biases learn as with SGD."""

    def __init__(self, options, values):
        self.options, self.values = options, {name: v.copy() for name, v in values.items()}
        self.momenta = {name: np.zeros_like(v) for name, v in values.items()}
        self.averages = {name: v.copy() for name, v in values.items()}
        self.peaks = {kind: {name: norm_of(v) for name, v in start.items()}  # largest norms so far
                      for kind, start in (("values", values), ("momenta", self.momenta), ("averages", values))}

    def local(self, w, g):
        norms = norm_of(w), norm_of(g)
        if self.options["optimizer"] != "lars" or not all(norms):
            return 1
        return self.options["trust"] * norms[0] / (norms[1] + self.options["decay"] * norms[0])

    def step(self, number, gradients):
        o, clip = self.options, clip_of(self.options, gradients)
        for name, w in self.values.items():
            layer, kind = name.split(".")
            g = clip * gradients[name]
            rate = rate_of(o, number) * factor_of(o, layer) * (o["bias-rate"] if kind == "bias" else self.local(w, g))
            if not rate:
                continue
            down = rate * (g + o["bias-decay" if kind == "bias" else "decay"] * w)
            self.momenta[name] = o["momentum"] * self.momenta[name] - down
            self.values[name] = w + (o["momentum"] * self.momenta[name] - down if o.get("nesterov") else self.momenta[name])
            self.averages[name] += (1 - o.get("ema", 0)) * (self.values[name] - self.averages[name])
            for kind, peaks in self.peaks.items():
                peaks[name] = max(peaks[name], norm_of(getattr(self, kind)[name]))


class Updates(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="an-lars-")
        self.addCleanup(self.temporary.cleanup)
        self.root = pathlib.Path(self.temporary.name)

    def tensors(self, values):
        """One float array as a dictionary of the parameters."""
        found, at = {}, 0
        for line in (self.root / "parameters").read_text().splitlines():
            name, size = line.split()
            found[name] = values[at:at + int(size)].astype(np.float64)
            at += int(size)
        self.assertEqual(at, len(values))
        return found

    def read(self, name):
        return self.tensors(np.fromfile(self.root / name, np.float32))

    def close(self, reference, kind):
        got = self.read(kind)
        for name, values in getattr(reference, kind).items():
            far, norm = norm_of(got[name] - values), reference.peaks[kind][name]
            self.assertLessEqual(far, TOLERANCE * norm, f"{kind} of {name}")

    def check(self, options, devices):
        self.options = options
        (self.root / "recipe").write_text("".join(f"{name} = {value}\n" for name, value in options.items()))
        done = subprocess.run([STEPS, self.root / "recipe", devices, str(RUN), self.root], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        rates = [float(line) for line in (self.root / "rates").read_text().split()]
        for step, rate in enumerate(rates):
            self.assertLess(abs(rate - rate_of(options, step)), 1e-12 * options["rate"], step)
        reference = Lars(options, self.read("start"))
        for step, gradients in enumerate(np.fromfile(self.root / "gradients", np.float32).reshape(RUN, -1)):
            reference.step(step, self.tensors(gradients))
        moved = [norm_of(reference.values[name] - values) / norm_of(values) for name, values in self.read("start").items()
                 if name.endswith("weight") and factor_of(options, name.split(".")[0])]
        self.assertGreater(min(moved), 1e-3)  # or the comparison would see nothing
        self.close(reference, "values")
        self.close(reference, "momenta")
        if options.get("ema"):
            self.close(reference, "averages")

    def test_updates(self):
        for name, changes in CASES:
            with self.subTest(name):
                self.check({**COMMON, **changes}, "cpu")

    def test_a_layer_split_over_two_devices_has_one_norm(self):
        self.check({**COMMON, "network": "alexnet", "crop": 64, "dropout-layers": "none", "without": "conv4,conv5,fc6,fc7"}, "cpu,cpu")


class Recipe(unittest.TestCase):
    """The recipe's own words, on a set that fits the test: the rate of a smaller batch is scaled by hand, as the recipe says."""

    def test_alexnet_large(self):
        with tempfile.TemporaryDirectory(prefix="an-lars-") as folder:
            root, batch, images, epochs = pathlib.Path(folder), 4, 12, 3
            pictures.write(root / "images", images, 3)
            ingest = [BIN / "an-ingest", "--size", "72", "--codec", "rgb", root / "images", root / "data"]
            subprocess.run(ingest, check=True, capture_output=True)
            options = ["--batch", batch, "--rate", 2 * batch / 512, "--bias-rate", 0.5, "--crop", 64, "--epochs", epochs, "--log-every", 1,
                       "--compute-threads", 1, "-j", 1, "--json", "--warmup-epochs", 1, "--columns", "one", "--without", "fc6,fc7"]
            words = [BIN / "an-train", "--recipe", ROOT / "recipes/alexnet-large", *options, root / "data"]
            done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            told = [line["rate"] for line in map(json.loads, done.stdout.splitlines()) if line["type"] == "train"]
            each = images // batch
            expected = [2 * batch / 512 * poly(i, each * epochs, 2) * warmed(i, each) for i in range(each * epochs)]
            self.assertEqual(len(told), len(expected))
            for got, rate in zip(told, expected):
                self.assertLess(abs(got - rate), 1e-6 * max(expected))


if __name__ == "__main__":
    try:
        import numpy as np
    except ImportError:
        print("no NumPy here")
        sys.exit(77)
    unittest.main()
