#!/usr/bin/python3
"""SIGKILL at random moments: a run that is killed again and again and resumed with --resume auto ends in the same bytes as
one that was left alone.

    kills.py [KILLS [SEED]]      default: 3 kills, seed 1
"""
import filecmp
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

import pictures

BIN = os.environ.get("AN_BIN_DIR", "build/release/bin")
KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
chance = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)


def command(work, run):
    return [f"{BIN}/an-train", "--network", "cifar", "--crop", "32", "--batch", "4", "--init", "he", "--epochs", "3", "--save-every", "2", "--keep",
            "2", "--compute-threads", "1", "--quiet", "--run", run, "--resume", "auto", f"{work}/data", f"{work}/data"]


def validations(run):
    """What is the same in every run: of an epoch that was repeated after a kill, one line is left. Each process says where it started."""
    with open(f"{run}/metrics.jsonl") as file:
        lines = [json.loads(line) for line in file]
    starts = [line["step"] for line in lines if line["type"] == "start"]
    assert lines[0]["type"] == "start" and starts[0] == 0 and starts == sorted(set(starts)), starts
    assert all("time" in line for line in lines), lines
    assert len({json.dumps(line["recipe"]) for line in lines if line["type"] == "start"}) == 1, lines
    return [[line[name] for name in ("step", "epoch", "loss", "top1", "top5", "best")] for line in lines if line["type"] == "validation"]


def main(work):
    pictures.write(f"{work}/images", 21, 3)
    subprocess.run([f"{BIN}/an-ingest", "--size", str(pictures.SIDE), "--codec", "rgb", f"{work}/images", f"{work}/data"], check=True,
                   capture_output=True)
    started = time.monotonic()
    subprocess.run(command(work, f"{work}/straight"), check=True)
    whole = time.monotonic() - started

    kills = finished = 0
    while kills < KILLS or not finished:
        with subprocess.Popen(command(work, f"{work}/killed")) as process:
            if kills < KILLS:
                # Mostly within the time that start and a few steps take, so that many kills fit into one run.
                time.sleep(chance.uniform(0.02, 0.6 * whole))
                process.send_signal(signal.SIGKILL)
                kills += 1
            code = process.wait()
        assert code in (0, -signal.SIGKILL), code
        if code == 0:
            finished += 1
            name = "checkpoints/step-000000016.safetensors"
            assert filecmp.cmp(f"{work}/straight/{name}", f"{work}/killed/{name}", shallow=False), "the weights differ"
            assert validations(f"{work}/killed") == validations(f"{work}/straight"), "the metrics differ"
            leftovers = [n for n in os.listdir(f"{work}/killed/checkpoints") if not n.endswith(".safetensors")]
            assert not leftovers, leftovers
            if kills < KILLS:
                subprocess.run(["rm", "-r", f"{work}/killed"], check=True)
    print(f"{kills} kills, {finished} finished runs, all equal to the undisturbed one")


with tempfile.TemporaryDirectory() as folder:
    main(folder)
