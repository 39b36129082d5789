#!/usr/bin/env python3
"""an-train against PyTorch: the same weights, the same batches, dropout off.

    parity.py [--bin FOLDER] [--crop 224] [--batch 32] [--steps 20] [--init he] [--kernels direct] DATASET

DATASET must hold RGB records (an-ingest --codec rgb), so that both sides see the same pixels. Needs torch, safetensors,
numpy and lmdb. Prints how far the probabilities of the start weights differ on a few images, the loss of every step on both sides, and how
far each weight tensor differs in the end, |a - b| / |b| as Euclidean norms."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import lmdb
import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs"))
from alexnet_torch import AlexNet  # noqa: E402


def probabilities(arguments, work, images):
    """The largest difference in the five highest class probabilities of a few images."""
    start = load_file(f"{work}/start.safetensors")
    model = build(arguments, start).eval()
    shown = json.loads(subprocess.run([os.path.join(arguments.bin, "an-train"), "eval", "--weights",
                                       f"{work}/start.safetensors", "--show", "20", "--json", arguments.dataset],
                                      check=True, capture_output=True).stdout)["shown"]
    difference = 0
    for item in (item for item in shown if item["index"] < len(images)):
        with torch.no_grad():
            top = model(images[item["index"]][None]).softmax(1)[0].topk(5).values
        difference = max(difference, *(abs(a["probability"] - b.item()) for a, b in zip(item["predictions"], top)))
    return difference


def build(arguments, start):
    model = AlexNet(start["fc8.bias"].shape[0], arguments.crop, start["input.mean_image"].shape[0], dropout=0)
    model.load_state_dict(start)
    return model


def records(path, count, crop):
    """The centres of the first records, N x 3 x crop x crop, and their labels."""
    env = lmdb.open(path, readonly=True, lock=False, max_dbs=8)
    database = env.open_db(b"records", create=False)
    images, labels = [], []
    with env.begin(db=database) as transaction:
        for _, value in transaction.cursor():
            assert value[:4] == b"ANRC" and value[5] == 3, "DATASET must hold rgb records"
            width, height = np.frombuffer(value[8:12], "<u2")
            labels.append(int.from_bytes(value[12:16], "little"))
            pixels = np.frombuffer(value[32:], np.uint8).reshape(height, width, 3)
            y, x = (height - crop) // 2, (width - crop) // 2
            images.append(torch.from_numpy(pixels[y:y + crop, x:x + crop].transpose(2, 0, 1).copy()))
            if len(images) == count:
                break
    return torch.stack(images), torch.tensor(labels)


def ours(arguments, work):
    """Losses of each step and the path of the last checkpoint; both sides start from work/start.safetensors."""
    program = os.path.join(arguments.bin, "an-train")
    recipe = ["--crop", arguments.crop, "--batch", arguments.batch, "--init", arguments.init, "--dropout", 0, "--no-flip",
              "--no-random-crop", "--jitter", 0, "--order", "sequential", "--schedule", "constant", "--rate", arguments.rate,
              "--kernels", arguments.kernels]
    call = lambda *more: subprocess.run([program, *map(str, more)], check=True, stdout=subprocess.DEVNULL)
    call(*recipe, "--steps", 1, "--run", f"{work}/start", arguments.dataset)
    call("export", "--run", f"{work}/start", f"{work}/start.safetensors")
    call(*recipe, "--steps", arguments.steps, "--log-every", 1, "--weights", f"{work}/start.safetensors", "--run",
         f"{work}/run", arguments.dataset)
    lines = [json.loads(line) for line in open(f"{work}/run/metrics.jsonl")]
    return ([line["loss"] for line in lines if line["type"] == "train"],
            f"{work}/run/checkpoints/step-{arguments.steps:09}.safetensors")


def theirs(arguments, work, images, labels):
    model = build(arguments, load_file(f"{work}/start.safetensors"))
    optimiser = torch.optim.SGD(model.parameters(), lr=arguments.rate, momentum=0.9, weight_decay=0.0005)
    losses = []
    for batch in range(arguments.steps):
        at = batch % (len(images) // arguments.batch) * arguments.batch
        loss = F.cross_entropy(model(images[at:at + arguments.batch]), labels[at:at + arguments.batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses, model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--crop", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--init", default="he")
    parser.add_argument("--kernels", default="direct")
    parser.add_argument("dataset")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        our_losses, checkpoint = ours(arguments, work)
        images, labels = records(arguments.dataset, arguments.batch * arguments.steps, arguments.crop)
        print(f"probabilities: largest difference {probabilities(arguments, work, images):.1e}")
        their_losses, model = theirs(arguments, work, images, labels)
        trained = load_file(checkpoint)
        worst_loss = 0
        for step, (a, b) in enumerate(zip(our_losses, their_losses)):
            worst_loss = max(worst_loss, abs(a - b) / abs(b))
            print(f"step {step + 1:3}  ours {a:.6f}  PyTorch {b:.6f}  relative difference {abs(a - b) / abs(b):.1e}")
        print(f"loss: largest relative difference {worst_loss:.1e}")
        state = model.state_dict()
        for name in sorted(name for name in state if not name.startswith("input.")):
            difference = (trained[name] - state[name]).norm() / state[name].norm()
            print(f"{name:12} {difference:.1e}")


main()
