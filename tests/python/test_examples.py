#!/usr/bin/env python3
"""examples/pytorch_resnet.py: its losses are those of images taken one by one; killed and resumed in mid-epoch, and with other numbers of
processes, it goes on where it was. Needs PyTorch and torchvision."""
import importlib.util
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import unittest
import unittest.mock

from torch_support import ROOT, Folder, OneByOne, ingest

import torch

import an_loader

EXAMPLE = ROOT / "examples/pytorch_resnet.py"
IMAGES, BATCH, CROP, EPOCHS = 47, 8, 32, 2
STEPS = EPOCHS * -(-IMAGES // BATCH)
OPTIONS = ["--batch-size", BATCH, "--crop", CROP, "--epochs", EPOCHS, "--rate", 0.01, "--rate-epochs", 1, "--threads", 1, "--device", "cpu",
           "--resized", 0]


def lines_of(folder, rank=0):
    with open(folder / f"rank-{rank}.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


class OneByOneLoader:
    """In the place of the example's loader: a Dataset and its numbers in the right order."""

    def __init__(self, path):
        self.images, self.epoch, self.rank, self.world = OneByOne(an_loader.Dataset(path), CROP), itertools.count(), 0, 1
        self.dataset = self.images.dataset

    def __iter__(self):
        for images, labels, indices in self.images.batches(next(self.epoch), BATCH):
            yield images.contiguous(memory_format=torch.channels_last), labels, indices

    def state_dict(self):
        return {"epoch": 0}


class Resnet(Folder, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = ingest(cls.folder, IMAGES, "jpeg")
        cls.undisturbed = cls.folder / "undisturbed"
        done = cls.start(cls.undisturbed, cls.path).communicate()[0]
        cls.lines = lines_of(cls.undisturbed)
        assert f"of {IMAGES} images" in done, done

    @classmethod
    def start(cls, name, *words, more=(), **variables):
        """A run that keeps its checkpoint and traces in the folder."""
        command = [sys.executable, EXAMPLE, cls.path, *words, "--output", name, "--trace", name, *OPTIONS, *more]
        return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True, env={**os.environ, **variables})

    @classmethod
    def start_both(cls, name, more):
        """Two processes as torchrun starts them; that of PyTorch 1.13 cannot do it with Python 3.11."""
        with socket.socket() as free:
            free.bind(("localhost", 0))
            group = {"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(free.getsockname()[1])}
        return [cls.start(name, more=more, RANK=str(rank), LOCAL_RANK=str(rank), **group) for rank in range(2)]

    def finish(self, child):
        said = child.communicate()[0]
        self.assertEqual(child.returncode, 0, said)
        return said

    def test_trace(self):
        self.assertEqual([line["step"] for line in self.lines], list(range(1, STEPS + 1)))
        for epoch in range(EPOCHS):
            seen = sum((line["indices"] for line in self.lines if line["epoch"] == epoch), [])
            self.assertEqual(sorted(seen), list(range(IMAGES)))

    def test_one_by_one(self):
        """The same training, in this process, fed by a Dataset: equal losses, to the last bit."""
        spec = importlib.util.spec_from_file_location("pytorch_resnet", EXAMPLE)
        example = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(example)
        folder = self.folder / "one-by-one"
        words = [self.path, "--output", folder, "--trace", folder, *OPTIONS]
        with unittest.mock.patch.object(sys, "argv", ["pytorch_resnet", *map(str, words)]), \
                unittest.mock.patch.object(example, "loaders", lambda options, device: (OneByOneLoader(options.train), None)):
            example.main()
        self.assertEqual(lines_of(folder), self.lines)

    def test_killed(self):
        """Killed in mid-epoch twice, at whatever place that was: the steps that follow are the undisturbed run's."""
        folder = self.folder / "killed"
        for wanted in (3, 9):
            child = self.start(folder, more=["--save-every", 1, "--print-every", 1])
            for line in child.stdout:
                if f"step {wanted} " in line:
                    break
            child.send_signal(signal.SIGKILL)
            child.communicate()
        self.assertIn("going on at step", self.finish(self.start(folder)))
        lines = lines_of(folder)
        for line in lines:  # a step whose checkpoint was not written is there twice
            self.assertEqual(line, self.lines[line["step"] - 1])
        self.assertEqual({line["step"] for line in lines}, set(range(1, STEPS + 1)))

    def test_end_of_epoch(self):
        """A checkpoint behind an epoch's last batch is not lost in the next epoch."""
        folder, each = self.folder / "ends", STEPS // EPOCHS
        self.finish(self.start(folder, self.path, more=["--steps", each]))
        self.assertIn("epoch 0 validation", self.finish(self.start(folder, self.path)))
        self.assertEqual(lines_of(folder), self.lines)

    def test_worlds(self):
        """From one process to two and back: the epoch is every image once. 2 x 8 + 1 x 2 x 8 + 15 images."""
        folder = self.folder / "worlds"
        self.finish(self.start(folder, more=["--steps", 2]))
        for child in self.start_both(folder, ["--steps", 3]):
            self.finish(child)
        self.finish(self.start(folder, more=["--steps", 5]))
        self.assertEqual([line["step"] for line in lines_of(folder)], [1, 2, 3, 4, 5])
        self.assertEqual([line["step"] for line in lines_of(folder, 1)], [3])
        seen = sum((line["indices"] for rank in (0, 1) for line in lines_of(folder, rank)), [])
        self.assertEqual(sorted(seen), list(range(IMAGES)))

    def test_extras(self):
        """Mixing and crops that grow: it trains, and the draws are not without effect."""
        folder = self.folder / "extras"
        self.finish(self.start(folder, more=["--mixup", 0.2, "--cutmix", 1, "--smoothing", 0.1, "--crops", "0:16,1:32", "--amp", "--resized", 0.3]))
        lines = lines_of(folder)
        self.assertEqual([line["indices"] for line in lines], [line["indices"] for line in self.lines])
        self.assertNotEqual(lines[0]["loss"], self.lines[0]["loss"])


if __name__ == "__main__":
    if not importlib.util.find_spec("torchvision"):
        print("no torchvision here")
        sys.exit(77)
    os.environ["OMP_NUM_THREADS"] = "1"  # small images: threads would wait for each other
    torch.set_num_threads(1)
    unittest.main()
