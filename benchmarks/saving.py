#!/usr/bin/env python3
"""What checkpoints cost a training: runs that are saved every few steps and runs that are never saved, in turns.

usage: saving.py [--bin build/release/bin] [--rounds 3] [--every 10] [--saves 4] [--report 50] [--batch 128] [--precision fp32]
                 [--devices cpu] [--crop 224] [--work FOLDER] [--dataset DATASET]

Each turn is a new process. Its clock runs for --every x --saves steps, from half an interval before the first checkpoint to half an
interval after the last, by when that should be written. Told are, as medians over the rounds: the time of a step; what a checkpoint
adds, by wall and by processor time; for how long it held the thread that trains, and how long it took in all; and from these the ratio
of a run that is saved every --report steps to one that is never saved. --work is where the runs lie: on the disk that is to be measured.
Without --dataset, pictures of noise are made. Run it on a machine at rest."""
import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib

SIDE = 256
TICK = os.sysconf("SC_CLK_TCK")


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pictures_make(folder, count):
    for label in range(2):
        os.makedirs(f"{folder}/class{label}")
    for i in range(count):
        rows = b"".join(b"\0" + os.urandom(3 * SIDE) for _ in range(SIDE))
        with open(f"{folder}/class{i % 2}/{i}.png", "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)) +
                       chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def dataset_make(options, work):
    pictures_make(f"{work}/pictures", options.batch)
    subprocess.run([f"{options.bin}/an-ingest", "--size", str(SIDE), f"{work}/pictures", f"{work}/data"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return f"{work}/data"


def processor_time(pid):
    """Seconds of all the process's threads."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def measure(options, work, dataset, every):
    """Wall and processor time of the steps that count, and the events of the checkpoints among them."""
    first, steps = options.every // 2, options.every * options.saves
    run = f"{work}/run"
    command = [f"{options.bin}/an-train", "--crop", str(options.crop), "--batch", str(options.batch), "--precision", options.precision, "--devices",
               options.devices, "--init", "he", "--rate", "1e-6", "--epochs", "1000000", "--validate-every", "1000000", "--steps",
               str(first + steps), "--log-every", "1", "--save-every", str(every), "--keep", "1", "--json", "--run", run, dataset]
    at, saved = {}, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("type") == "train" and event["step"] in (first, first + steps):
                at[event["step"]] = time.monotonic(), processor_time(process.pid)
            if event.get("type") == "saved" and event["step"] < first + steps:
                saved.append(event)
    if process.returncode or len(at) != 2:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}")
    subprocess.run(["rm", "-r", run], check=True)
    return (*(b - a for a, b in zip(*(at[step] for step in sorted(at)))), saved)


def report(options, never, often):
    steps = options.every * options.saves
    step = [statistics.median(turn[i] for turn in never) / steps for i in (0, 1)]
    cost = [(statistics.median(turn[i] for turn in often) / steps - step[i]) * options.every for i in (0, 1)]
    events = [event for turn in often for event in turn[2]]
    held = [event["held"] for event in events]
    print(f"a step                     {step[0]:.3f} s, {step[1]:.3f} s of processors")
    print(f"a checkpoint adds          {cost[0]:.3f} s, {cost[1]:.3f} s of processors")
    print(f"  holds the training       {statistics.median(held) * 1e3:.2f} ms, at most {max(held) * 1e3:.2f} ms")
    print(f"  is written after         {statistics.median(event['seconds'] for event in events):.2f} s")
    print(f"saved every {options.every} steps       " + ", ".join(f"{1 + c / s / options.every:.4f}" for c, s in zip(cost, step)) +
          " x never saved, by wall and by processor time")
    print(f"so every {options.report} steps          " + ", ".join(f"{1 + c / s / options.report:.4f}" for c, s in zip(cost, step)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin")
    for name, value in (("rounds", 3), ("every", 10), ("saves", 4), ("report", 50), ("batch", 128), ("crop", 224)):
        parser.add_argument(f"--{name}", type=int, default=value)
    for name, value in (("precision", "fp32"), ("devices", "cpu"), ("work", None), ("dataset", None)):
        parser.add_argument(f"--{name}", default=value)
    options = parser.parse_args()
    never, often = [], []
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        dataset = options.dataset or dataset_make(options, work)
        for turn in range(options.rounds):
            for results, every in ((never, 1000000), (often, options.every)):
                results.append(measure(options, work, dataset, every))
                print(f"round {turn + 1}: {'saved' if results is often else 'never saved'} {results[-1][0]:.1f} s, "
                      f"{results[-1][1]:.1f} s of processors", file=sys.stderr, flush=True)
    report(options, never, often)


main()
