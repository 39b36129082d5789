#!/usr/bin/env python3
"""A whole training step (forward, backward, update) of ours and of PyTorch, in turns; medians and ratios by wall and by
processor time.

usage: step_ratio.py [--bin build/release/benchmarks] [--batch 128] [--rounds 3] [--steps 2] [--ours]

Every turn is a new process: one step that is not counted, then --steps of which it tells the median; of those of all
rounds the median again. Ours always normalises (LRN); PyTorch does or does not. --ours leaves PyTorch, and the need for
it, out: precisions and placements only. Both sides let waiting threads sleep. Run it on a machine at rest."""
import argparse
import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = {"ours fp32": ["--precision", "fp32"], "ours fp32 cpu,cpu": ["--precision", "fp32", "--devices", "cpu,cpu"],
        "ours bf16": ["--precision", "bf16"], "ours bf16 cpu,cpu": ["--precision", "bf16", "--devices", "cpu,cpu"]}
TORCH = {"PyTorch fp32, LRN": [], "PyTorch fp32, no LRN": ["--no-lrn"], "PyTorch bf16, LRN": ["--bf16"],
         "PyTorch bf16, no LRN": ["--bf16", "--no-lrn"]}
# How many times as fast is the second as the first, and how fast it is meant to be.
RATIOS = [("PyTorch fp32, LRN", "ours fp32", 3.6), ("PyTorch fp32, no LRN", "ours fp32", 1.7),
          ("PyTorch bf16, LRN", "ours bf16", None), ("PyTorch bf16, no LRN", "ours bf16", None),
          ("ours fp32", "ours bf16", 1.35), ("ours fp32", "ours fp32 cpu,cpu", 0.95),
          ("ours bf16", "ours bf16 cpu,cpu", 0.95)]


def commands(options):
    shape = ["--batch", str(options.batch), "--rounds", str(options.steps)]
    ours = [os.path.join(options.bin, "bench_step"), "--step-only"]
    found = {name: [*ours, *shape, *more] for name, more in OURS.items()}
    if not options.ours:
        theirs = [sys.executable, os.path.join(HERE, "torch_step.py")]
        found |= {name: [*theirs, *shape, *more] for name, more in TORCH.items()}
    return found


def measure(command):
    """Milliseconds of wall and of processor time."""
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True,
                           env={**os.environ, "OMP_WAIT_POLICY": "passive"}).stdout
    return tuple(map(float, re.search(r"^together +([\d.]+) ms +\(([\d.]+) ms", shown, re.M).groups()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/benchmarks")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--ours", action="store_true")
    options = parser.parse_args()
    contenders = commands(options)
    times = {name: [] for name in contenders}
    for turn in range(options.rounds):
        for name, command in contenders.items():
            times[name].append(measure(command))
            print(f"round {turn + 1}: {name} {times[name][-1][0]:.0f} ms", file=sys.stderr, flush=True)
    wall, processor = ({name: statistics.median(t[i] for t in taken) for name, taken in times.items()} for i in (0, 1))
    print("| step and update | wall, ms | processor, ms |\n|---|---|---|")
    for name in contenders:
        print(f"| {name} | {wall[name]:,.0f} | {processor[name]:,.0f} |")
    print("\n| how many times as fast | wall | processor | wanted |\n|---|---|---|---|")
    for slow, fast, wanted in RATIOS:
        if slow in wall:
            print(f"| {fast} as {slow} | {wall[slow] / wall[fast]:.2f} | {processor[slow] / processor[fast]:.2f} | "
                  f"{wanted or ''} |")


if __name__ == "__main__":
    main()
