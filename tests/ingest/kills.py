"""SIGKILL at random moments, each time continued by the same command: the result equals that of an undisturbed run.
    kills.py [--kills 100] [--images 30000]"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from faults import PROGRAM, contents
from pictures import idx_set


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--images", type=int, default=30000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix="an-kills-") as root:
        source, whole, out = idx_set(f"{root}/in", args.images), f"{root}/whole", f"{root}/out"
        command = [PROGRAM, "--quiet", "--threads", "2", "--size", "96", source]
        start = time.monotonic()
        subprocess.run([*command, whole], check=True)
        length, wanted = time.monotonic() - start, contents(whole)
        kills = rounds = resumed = 0
        while kills < args.kills or not rounds:
            process = subprocess.Popen([*command, out])
            if kills < args.kills:
                time.sleep(rng.uniform(0, length / 3))
                process.send_signal(signal.SIGKILL)
            code = process.wait()
            if code == -signal.SIGKILL:
                kills += 1
                resumed += os.path.exists(f"{out}.partial")
                assert not os.path.exists(out) or contents(out) == wanted
            else:
                assert code == 0, code
            if os.path.exists(out):
                assert contents(out) == wanted, "the result differs"
                rounds += 1
                shutil.rmtree(out)
        print(f"{kills} kills, {resumed} with work to continue, {rounds} finished datasets, all equal")


if __name__ == "__main__":
    sys.exit(main())
