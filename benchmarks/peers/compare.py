#!/usr/bin/env python3
"""The loader beside its peers on the same images and the same number of threads, measured in turns; a Markdown table of
medians. setup.sh makes the environments first.

    benchmarks/peers/compare.py DATASET [--threads 2] [--rounds 5] [--seconds 3] [--bin build/release/bin]

DATASET is a jpeg dataset of 256 px images, made by an-ingest."""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PEERS = {"dali": "main", "tf.data": "tf", "ffcv": "main", "spdl": "main", "simplejpeg": "main", "torchvision": "main"}
NAMES = {"dali": "DALI (CPU) `decoders.image_crop`", "tf.data": "tf.data `decode_and_crop_jpeg`, fast DCT",
         "ffcv": "FFCV, jpg, centre crop", "spdl": "SPDL, centre crop", "simplejpeg": "simplejpeg in a torch DataLoader",
         "torchvision": "torchvision, PIL, DataLoader"}
OURS = {"u8": ["--dtype", "u8"],
        "f32": ["--dtype", "f32", "--layout", "nchw", "--mean", "pixel", "--jitter", "0.1"]}


class Ours:
    """One stage of an-bench-io, started anew for each measurement."""

    def __init__(self, args, dtype, stage):
        self.command = [os.path.join(args.bin, "an-bench-io"), "--json", "--rounds", "1", "--stage", stage, "--threads",
                        str(args.threads), "--seconds", str(args.seconds)] + OURS[dtype] + [args.dataset]
        self.stage = stage

    def measure(self):
        report = json.loads(subprocess.run(self.command, check=True, capture_output=True).stdout)
        part = report["full"][0] if self.stage == "full" else report[self.stage]
        return part["images_per_second"]

    def stop(self):
        pass


class Peer:
    def __init__(self, args, dtype, name, folder):
        python = os.path.join(ROOT, "build", "peers", PEERS[name], "bin", "python")
        self.seconds = args.seconds
        self.log = open(os.path.join(folder + "." + name + "." + dtype + ".log"), "w")
        self.child = subprocess.Popen([python, os.path.join(HERE, "peer.py"), name, folder, str(args.threads), dtype],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.wait("ready")

    def wait(self, word=None):
        for line in self.child.stdout:
            if word is None or line.strip() == word:
                try:
                    return float(line) if word is None else None
                except ValueError:
                    continue
        raise RuntimeError(f"ended early: see {self.log.name}")

    def measure(self):
        self.child.stdin.write(f"{self.seconds}\n")
        self.child.stdin.flush()
        return self.wait()

    def stop(self):
        self.child.kill()
        self.child.wait()
        self.log.close()


def start_all(args, dtype, folder):
    runs = {"limit: libjpeg-turbo crop decode from memory": Ours(args, dtype, "decode"),
            "an-bench-io, the whole loader": Ours(args, dtype, "full")}
    for name in args.peers.split(","):
        try:
            runs[NAMES[name]] = Peer(args, dtype, name, folder)
        except (OSError, RuntimeError) as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
    return runs


def compare(args, dtype, folder):
    runs = start_all(args, dtype, folder)
    rates = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            rates[name].append(run.measure())
    for run in runs.values():
        run.stop()
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ours = medians["an-bench-io, the whole loader"]
    print(f"\n{dtype}, {args.threads} threads, medians of {args.rounds} rounds in turns\n")
    print("| what | images/s | ours is |\n|---|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {value:,.0f} | {ours / value:.2f} x |")


def export(args):
    folder = os.path.join(args.work, "images")
    if not os.path.isdir(folder):
        subprocess.run([os.path.join(args.bin, "an-ingest"), "export", "--quiet", args.dataset, folder], check=True)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"))
    parser.add_argument("--work", default=os.path.join(ROOT, "build", "peers"), help="exported images, logs")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--dtypes", default="u8,f32")
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    folder = export(args)
    for dtype in args.dtypes.split(","):
        compare(args, dtype, folder)


if __name__ == "__main__":
    main()
