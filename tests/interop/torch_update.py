#!/usr/bin/env python3
"""What --nesterov, --clip, --ema, --freeze, --layer-rates and --accumulate make of the weights, against PyTorch: the same start, the same
images, the weights and averages after some steps. A step sees all images, so that their order makes no difference. Needs PyTorch."""
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
import pictures

BIN = pathlib.Path(os.environ["AN_BIN_DIR"])
TOLERANCE = 1e-5  # of a tensor's largest value
IMAGES, CLASSES, STEPS, CROP = 8, 3, 6, 32
RATE, MOMENTUM, DECAY, BIAS_DECAY = 0.005, 0.9, 0.01, 0.001
NETWORK = ["--network", "cifar", "--crop", CROP, "--batch", IMAGES, "--init", "he", "--no-flip", "--no-random-crop", "--jitter", 0,
           "--schedule", "constant", "--rate", RATE, "--momentum", MOMENTUM, "--decay", DECAY, "--bias-decay", BIAS_DECAY, "--kernels", "direct",
           "--compute-threads", 1, "--threads", 1, "--log-every", 1, "--epochs", STEPS, "--quiet"]

# Options, and what they mean to train().
CASES = [("plain", [], {}),
         ("nesterov", ["--nesterov"], {"nesterov": True}),
         ("clip", ["--clip", 0.3], {"clip": 0.3}),
         ("ema", ["--ema", 0.8], {"ema": 0.8}),
         ("freeze", ["--freeze", "conv1,conv3", "--clip", 0.3], {"rates": {"conv1": 0, "conv3": 0}, "clip": 0.3}),
         ("layer rates", ["--layer-rates", "conv2=0.5,fc10=3", "--bias-rate", 2], {"rates": {"conv2": 0.5, "fc10": 3}, "bias": 2}),
         ("accumulate", ["--accumulate", 4], {}),
         ("all", ["--nesterov", "--clip", 0.3, "--ema", 0.8, "--freeze", "conv1", "--layer-rates", "fc10=2", "--accumulate", 2],
          {"nesterov": True, "clip": 0.3, "ema": 0.8, "rates": {"conv1": 0, "fc10": 2}})]


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)


def groups(model, rates, bias):
    """A group for each parameter that learns, and the parameters of the others."""
    found = []
    for name, values in model.named_parameters():
        layer, kind = name.split(".")
        factor = rates.get(layer, 1) * (bias if kind == "bias" else 1)
        values.requires_grad_(factor > 0)
        if factor > 0:
            found.append({"params": [values], "lr": RATE * factor, "weight_decay": BIAS_DECAY if kind == "bias" else DECAY})
    return found


def train(model, images, labels, nesterov=False, clip=0, ema=0, rates={}, bias=1):
    """The averaged model, None without ema, and the norms of the gradients. AveragedModel begins with the first weights that it is given."""
    optimiser = torch.optim.SGD(groups(model, rates, bias), lr=RATE, momentum=MOMENTUM, nesterov=nesterov)
    averaged, norms = None, []
    if ema:
        averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(ema))
        averaged.update_parameters(model)
    for _ in range(STEPS):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), clip or float("inf")).item())
        optimiser.step()
        if averaged:
            averaged.update_parameters(model)
    return averaged.module if averaged else None, norms


class Update(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="an-torch-update-")
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.root = pathlib.Path(cls.temporary.name)
        pictures.write(cls.root / "images", IMAGES, CLASSES)
        run(BIN / "an-ingest", "--size", pictures.SIDE, "--codec", "rgb", cls.root / "images", cls.root / "data")
        run(BIN / "an-train", *NETWORK, "--steps", 1, "--run", cls.root / "begin", cls.root / "data")
        cls.start = cls.root / "start.safetensors"
        run(BIN / "an-train", "export", "--run", cls.root / "begin", cls.start)
        at = (pictures.SIDE - CROP) // 2
        pixels = [torch.frombuffer(bytearray(cls.pixels(i)), dtype=torch.uint8).reshape(pictures.SIDE, pictures.SIDE, 3) for i in range(IMAGES)]
        cls.images = torch.stack(pixels)[:, at:at + CROP, at:at + CROP].permute(0, 3, 1, 2)
        cls.labels = torch.tensor([i % CLASSES for i in range(IMAGES)])

    @classmethod
    def pixels(cls, number):
        return pictures.pixels(cls.root / f"images/class{number % CLASSES}/{number}.png")

    def close(self, tensors, prefix, model):
        for name, expected in model.named_parameters():
            got = tensors[prefix + name]
            far = ((got - expected.detach()).abs().max() / max(expected.abs().max().item(), 1e-2)).item()
            self.assertLess(far, TOLERANCE, prefix + name)

    def differs(self, one, other, prefix):
        """Whether it shows that an option was given."""
        far = max((one[prefix + name] - values).abs().max().item() for name, values in other.items() if name.startswith(("conv", "fc")))
        self.assertGreater(far, 10 * TOLERANCE)

    def test_updates(self):
        plain = None
        for number, (name, options, meaning) in enumerate(CASES):
            with self.subTest(name):
                folder = self.root / f"run{number}"
                run(BIN / "an-train", *NETWORK, *options, "--weights", self.start, "--run", folder, self.root / "data")
                _, tensors = alexnet_torch.file_read(folder / f"checkpoints/step-{STEPS:09}.safetensors")
                model = alexnet_torch.load(self.start)
                averaged, norms = train(model, self.images, self.labels, **meaning)
                self.close(tensors, "", model)
                if averaged:
                    self.close(tensors, "average.", averaged)
                    self.close(dict(alexnet_torch.load(folder / f"checkpoints/step-{STEPS:09}.safetensors").named_parameters()), "", averaged)
                self.assertEqual(averaged is not None, "average.conv1.weight" in tensors)
                self.assertTrue(min(norms) > 0.3 or "clip" not in meaning, norms)
                self.told(folder, norms)
                plain = plain or tensors
                if meaning:
                    self.differs(tensors, plain, "average." if averaged else "")

    def told(self, folder, norms):
        """The norms that metrics.jsonl tells, if it does."""
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        told = [line["gradient_norm"] for line in lines if "gradient_norm" in line]
        for got, expected in zip(told, norms):
            self.assertLess(abs(got - expected), 1e-4 * expected)


if __name__ == "__main__":
    try:
        import torch
    except ImportError:
        print("no PyTorch here")
        sys.exit(77)
    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 1):
        print(f"PyTorch {torch.__version__} is older than 2.1")
        sys.exit(77)
    import alexnet_torch
    torch.set_num_threads(1)
    unittest.main()
