#!/usr/bin/python3
"""SIGKILL while a checkpoint is being written: whatever has a checkpoint's name is whole, byte for byte what an undisturbed run wrote at
that step, and the run goes on from it to the same end.

    kills_writing.py [KILLS [SEED]]      default: 100 kills, seed 1
"""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import kills_support as support
import pictures

BIN = os.environ.get("AN_BIN_DIR", "build/release/bin")
KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
STEPS = 60
chance = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)


def kill(work, run, longest):
    """Starts or goes on with the run and kills it during a write. Returns whether that left half a file."""
    known = support.names(run)
    with subprocess.Popen(support.command(work, run, STEPS)) as process:
        for _ in range(chance.randrange(3) + 1):  # not always the first one
            support.wait_for_write(process, run, known)
            time.sleep(chance.choice((0, chance.uniform(0, longest))))  # writes may take a small part of a step
        process.send_signal(signal.SIGKILL)
        code = process.wait()
    assert code in (0, -signal.SIGKILL), code
    return any(support.is_half(name) for name in support.names(run))


def main(work):
    straight, run = f"{work}/straight", f"{work}/killed"
    pictures.write(f"{work}/images", 21, 3)
    subprocess.run([f"{BIN}/an-ingest", "--size", str(pictures.SIDE), "--codec", "rgb", f"{work}/images", f"{work}/data"], check=True,
                   capture_output=True)
    started = time.monotonic()
    subprocess.run(support.command(work, straight, STEPS), check=True)
    longest = (time.monotonic() - started) / STEPS
    halves = finished = kills = 0
    while kills < KILLS or (not halves and kills < 20 * KILLS):  # few kills may all miss
        kills += 1
        halves += kill(work, run, longest)
        support.check(straight, run)
        if f"step-{STEPS:09d}.safetensors" in support.names(run):
            finished += 1
            subprocess.run(["rm", "-r", run], check=True)
    subprocess.run(support.command(work, run, STEPS), check=True)
    support.check(straight, run)
    assert sorted(support.names(run)) == sorted(support.names(straight)), support.names(run)
    assert halves, "no kill hit a write"
    print(f"{kills} kills, {halves} left half a file under another name, {finished} runs came to their end before; every checkpoint was whole")


with tempfile.TemporaryDirectory() as folder:
    main(folder)
