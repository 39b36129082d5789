#!/usr/bin/env python3
"""A training step of the same network in PyTorch: seconds for forward, backward and SGD, median of the rounds.

usage: torch_step.py [--batch 128] [--rounds 3] [--bf16] [--no-lrn] [--threads N]

Channels last; the halves as grouped convolutions; batch and shapes as bench_step's defaults. Run it in turns with
bench_step: times of different moments of a shared machine do not compare."""
import argparse
import statistics
import time

import torch
from torch import nn


def layers(lrn):
    """AlexNet of the paper for a 224 crop: windows of conv1 overhang right and bottom."""
    normalise = [nn.LocalResponseNorm(5, 1e-4, 0.75, 2)] if lrn else []
    return nn.Sequential(
        nn.ZeroPad2d((0, 3, 0, 3)), nn.Conv2d(3, 96, 11, 4), nn.ReLU(True), *normalise, nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(True), *normalise, nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(True),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(True),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(True), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(True), nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(0.5),
        nn.Linear(4096, 1000))


def step(network, optimiser, images, labels, bf16):
    optimiser.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = network(images)
    loss = nn.functional.cross_entropy(logits.float(), labels)
    loss.backward()
    optimiser.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--no-lrn", action="store_true")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    network = layers(not options.no_lrn).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(network.parameters(), 0.0001, 0.9, weight_decay=0.0005)
    images = torch.rand(options.batch, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 1000, (options.batch,))
    step(network, optimiser, images, labels, options.bf16)
    wall, processor = [], []
    for _ in range(options.rounds):
        start, used = time.perf_counter(), time.process_time()
        step(network, optimiser, images, labels, options.bf16)
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    seconds = statistics.median(wall)
    print(f"torch {torch.__version__} {'bf16' if options.bf16 else 'f32'} {'no lrn' if options.no_lrn else 'lrn'}")
    print(f"together    {seconds * 1e3:9.1f} ms  ({statistics.median(processor) * 1e3:.1f} ms of processor time)")
    print(f"images      {options.batch / seconds:9.1f} a second")


if __name__ == "__main__":
    main()
