#!/usr/bin/env python3
"""an-train against PyTorch: the same weights, the same batches, dropout off.

    parity.py [--bin FOLDER] [--crop 224] [--batch 24] [--steps 20] [--init he] [--rate 0.001] DATASET

DATASET must hold RGB records (an-ingest --codec rgb), so that both sides see the same pixels, at least batch x steps of them.
Needs torch, safetensors, numpy and lmdb. Trains four times from one file of weights: with direct convolutions, with the fast
ones (Winograd's where they pay), in PyTorch, and in PyTorch with fp64, the yardstick: what rounding in fp32 does to PyTorch
itself. Prints how far the probabilities of the start weights differ on a few images, every loss, and two tables: how far the
losses and each tensor differ in the end, |a - b| / |b| as Euclidean norms. A bias starts at 0 and is still tiny, so
little says more than its own norm: beside it stands the difference of the layer's parameters, bias and weight as one vector."""
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


def recipe(arguments):
    return ["--crop", arguments.crop, "--batch", arguments.batch, "--init", arguments.init, "--dropout", 0, "--no-flip",
            "--no-random-crop", "--jitter", 0, "--order", "sequential", "--schedule", "constant", "--last", "drop", "--rate", arguments.rate]


def call(arguments, *more):
    subprocess.run([os.path.join(arguments.bin, "an-train"), *map(str, more)], check=True, stdout=subprocess.DEVNULL)


def start_make(arguments, work):
    """The weights that all begin with, in work/start.safetensors: of a first step, which is left out of the comparison."""
    call(arguments, *recipe(arguments), "--steps", 1, "--run", f"{work}/start", arguments.dataset)
    call(arguments, "export", "--run", f"{work}/start", f"{work}/start.safetensors")
    return load_file(f"{work}/start.safetensors")


def ours(arguments, work, kernels):
    """Losses of each step and the parameters after the last."""
    run = f"{work}/{kernels}"
    call(arguments, *recipe(arguments), "--kernels", kernels, "--steps", arguments.steps, "--log-every", 1, "--weights",
         f"{work}/start.safetensors", "--run", run, arguments.dataset)
    lines = [json.loads(line) for line in open(f"{run}/metrics.jsonl")]
    return ([line["loss"] for line in lines if line["type"] == "train"],
            load_file(f"{run}/checkpoints/step-{arguments.steps:09}.safetensors"))


def theirs(arguments, start, images, labels, dtype):
    model = build(arguments, start).to(dtype)
    optimiser = torch.optim.SGD(model.parameters(), lr=arguments.rate, momentum=0.9, weight_decay=0.0005)
    losses = []
    for batch in range(arguments.steps):
        at = batch % (len(images) // arguments.batch) * arguments.batch
        loss = F.cross_entropy(model(images[at:at + arguments.batch]), labels[at:at + arguments.batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses, model.state_dict()


def difference(a, b, names):
    """|a - b| / |b| of the named tensors as one vector."""
    joined = [torch.cat([state[name].double().flatten() for name in names]) for state in (a, b)]
    return ((joined[0] - joined[1]).norm() / joined[1].norm()).item()


PAIRS = [("direct", "PyTorch"), ("fast", "PyTorch"), ("PyTorch", "PyTorch fp64"), ("direct", "PyTorch fp64"),
         ("fast", "PyTorch fp64")]


def row(name, values):
    print(f"| {name} | " + " | ".join(f"{value:.1e}" for value in values) + " |")


def report(runs):
    sides = list(runs)
    print("\n| step | " + " | ".join(sides) + " |\n|---" + "|---" * len(sides) + "|")
    for step, losses in enumerate(zip(*(runs[side][0] for side in sides))):
        print(f"| {step + 1} | " + " | ".join(f"{loss:.6f}" for loss in losses) + " |")
    print("\n| relative difference | " + " | ".join(f"{a} to {b}" for a, b in PAIRS) + " |\n|---" + "|---" * len(PAIRS) + "|")
    row("loss, at most", (max(abs(x - y) / abs(y) for x, y in zip(runs[a][0], runs[b][0])) for a, b in PAIRS))
    layers = sorted({name.split(".")[0] for name in runs["PyTorch"][1]} - {"input"})
    for layer in layers:
        both = [f"{layer}.weight", f"{layer}.bias"]
        for name, names in ((both[0], both[:1]), (both[1], both[1:]), (layer, both)):
            row(name, (difference(runs[a][1], runs[b][1], names) for a, b in PAIRS))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--crop", type=int, default=224)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rate", type=float, default=0.001)
    parser.add_argument("--init", default="he")
    parser.add_argument("dataset")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        images, labels = records(arguments.dataset, arguments.batch * arguments.steps, arguments.crop)
        start = start_make(arguments, work)
        print(f"probabilities: largest difference {probabilities(arguments, work, images):.1e}")
        runs = {"direct": ours(arguments, work, "direct"), "fast": ours(arguments, work, "fast")}
        runs["PyTorch"] = theirs(arguments, start, images, labels, torch.float32)
        runs["PyTorch fp64"] = theirs(arguments, start, images, labels, torch.float64)
        report(runs)


if __name__ == "__main__":
    main()
