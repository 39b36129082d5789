#!/usr/bin/env python3
"""Figure 1's network in an-train and in PyTorch: the same weights, batches and rates, the losses beside each other.

    confirm.py [--bin FOLDER] [--init paper|he] [--epochs 2] [--rates 0.003,0.01] DATASET

DATASET must hold RGB records of 32 px (an-ingest --codec rgb --size 32), so that both sides see the same pixels. Needs torch,
safetensors, numpy and lmdb. Nothing random is left: the records' own order, no mirroring, no jitter. For each nonlinearity and
rate it prints the first loss, how far the losses of the first 20 steps and of all differ at most, and the mean loss of each epoch.
What differs late is what rounding becomes in a network that learns: the first steps tell whether the two compute the same."""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../parity"))
from parity import records  # noqa: E402

BATCH = 128
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


def logits(weights, images, activation):
    for layer, pool in (("conv1", F.max_pool2d), ("conv2", F.avg_pool2d), ("conv3", F.avg_pool2d)):
        images = activation(F.conv2d(images, weights[f"{layer}.weight"], weights[f"{layer}.bias"], padding=2))
        images = pool(images, 3, 2, ceil_mode=True)
    return F.linear(images.flatten(1), weights["fc10.weight"], weights["fc10.bias"])


def theirs(start, images, labels, activation, rate, steps):
    mean = start["input.mean_image"].permute(2, 0, 1)
    images = (images - mean) * start["input.scale"]
    weights = {name: value.requires_grad_() for name, value in start.items() if not name.startswith("input.")}
    biases = [value for name, value in weights.items() if name.endswith("bias")]
    others = [value for name, value in weights.items() if not name.endswith("bias")]
    optimiser = torch.optim.SGD([{"params": others}, {"params": biases, "lr": 2 * rate}], lr=rate, momentum=0.9)
    losses = []
    for step in range(steps):
        at = step % (len(images) // BATCH) * BATCH
        loss = F.cross_entropy(logits(weights, images[at:at + BATCH], ACTIVATIONS[activation]), labels[at:at + BATCH])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def call(arguments, *more):
    subprocess.run([os.path.join(arguments.bin, "an-train"), *map(str, more)], check=True, stdout=subprocess.DEVNULL)


def ours(arguments, work, activation, rate, steps):
    """The weights that both start from (those of a step at next to no rate) and our losses."""
    recipe = ["--network", "cifar", "--crop", 32, "--init", arguments.init, "--decay", 0, "--bias-decay", 0, "--bias-rate", 2,
              "--jitter", 0, "--no-flip", "--order", "sequential", "--schedule", "constant", "--last", "drop", "--activation", activation]
    call(arguments, *recipe, "--rate", 1e-30, "--steps", 1, "--run", f"{work}/start", arguments.dataset)
    call(arguments, "export", "--run", f"{work}/start", f"{work}/start.safetensors")
    call(arguments, *recipe, "--rate", rate, "--steps", steps, "--epochs", arguments.epochs, "--log-every", 1, "--weights",
         f"{work}/start.safetensors", "--run", f"{work}/run", arguments.dataset)
    lines = [json.loads(line) for line in open(f"{work}/run/metrics.jsonl")]
    return load_file(f"{work}/start.safetensors"), [line["loss"] for line in lines if line["type"] == "train"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--init", default="paper")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rates", default="0.003,0.01")
    parser.add_argument("dataset")
    arguments = parser.parse_args()
    images, labels = records(arguments.dataset, 1 << 30, 32)
    epoch = len(images) // BATCH
    print("| nonlinearity | rate | first loss, both | difference in 20 steps | in all | mean loss of each epoch | in PyTorch |\n"
          "|---|---|---|---|---|---|---|")
    for activation in ACTIVATIONS:
        for rate in map(float, arguments.rates.split(",")):
            with tempfile.TemporaryDirectory() as work:
                start, a = ours(arguments, work, activation, rate, epoch * arguments.epochs)
                b = theirs(start, images, labels, activation, rate, len(a))
            apart = [abs(x - y) / y for x, y in zip(a, b)]
            means = [", ".join(f"{np.mean(side[i:i + epoch]):.3f}" for i in range(0, len(a), epoch)) for side in (a, b)]
            print(f"| {activation} | {rate:g} | {a[0]:.4f}, {b[0]:.4f} | {max(apart[:20]):.0e} | {max(apart):.0e} | {means[0]} | "
                  f"{means[1]} |", flush=True)


if __name__ == "__main__":
    main()
