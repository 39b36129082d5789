#!/usr/bin/env python3
"""The loader beside its peers on the same images and the same number of threads, measured in turns: a Markdown table of
medians, and one of the ratios that matter. setup.sh makes the environments first.

    benchmarks/peers/compare.py DATASET [--threads 2] [--rounds 5] [--seconds 3] [--bin build/release/bin] [--devices cuda:0]

DATASET is a jpeg dataset of 256 px images, made by an-ingest; its images are written as coef, yuv420 and rgb, too. compare_python.py
compares what arrives in Python as PyTorch's tensors."""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LIMITS = {"limit": "limit: libjpeg-turbo crop decode from memory alone", "copy": "limit: rgb crops copied with memcpy alone"}
OURS = {codec: f"an-bench-io, {codec}" for codec in ("jpeg", "coef", "yuv420", "rgb")}
PEERS = {"dali": "DALI (CPU) `decoders.image_crop`", "tf.data": "tf.data `decode_and_crop_jpeg`, fast (inexact) DCT",
         "tf.data.exact": "tf.data, exact DCT (the same pixels as ours)", "ffcv": "FFCV, jpg, centre crop",
         "ffcv.raw": "FFCV, raw, centre crop", "spdl": "SPDL, centre crop", "simplejpeg": "simplejpeg in a torch DataLoader",
         "torchvision": "torchvision, PIL, DataLoader", "nvjpeg": "nvJPEG on a GPU, by torchvision `decode_jpeg(device='cuda')`"}
RESIZED = {"dali": "DALI (CPU) `decoders.image_random_crop`, `resize`",
           "tf.data": "tf.data `decode_and_crop_jpeg`, `resize` (no antialiasing), fast (inexact) DCT",
           "tf.data.exact": "tf.data, the same, exact DCT", "ffcv": "FFCV, jpg, `RandomResizedCropRGBImageDecoder`",
           "ffcv.raw": "FFCV, raw, the same", "torchvision": "torchvision, PIL, `RandomResizedCrop`, DataLoader"}
OPTIONS = {"u8": ["--dtype", "u8"],
           "f32": ["--dtype", "f32", "--layout", "nchw", "--mean", "pixel", "--jitter", "0.1"],
           "resized": ["--dtype", "u8", "--resized", "0.08"]}
RATIOS = {"u8": (("jpeg", "limit", 0.95), ("jpeg", "dali", 1.25), ("jpeg", "tf.data", 1.8), ("jpeg", "tf.data.exact", 1.8),
                 ("jpeg", "ffcv", 1.8), ("coef", "limit", 4), ("coef", "dali", 5), ("coef", "ffcv.raw", 3),
                 ("device", "nvjpeg", 30), ("yuv420", "jpeg", 4), ("rgb", "copy", 0.8), ("rgb", "ffcv.raw", 4)),
          "f32": (("jpeg", "limit", 0.85), ("jpeg", "dali", 1.8), ("coef", "jpeg", 3)),
          "resized": (("jpeg", "dali", None), ("jpeg", "tf.data.exact", None), ("jpeg", "ffcv", None), ("jpeg", "ffcv.raw", None),
                      ("coef", "ffcv.raw", None), ("rgb", "ffcv.raw", None))}


def output_of(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Ours:
    """The whole loader, started anew for each measurement."""

    def __init__(self, args, dtype, dataset):
        self.command = [os.path.join(args.bin, "an-bench-io"), "--json", "--rounds", "1", "--stage", "full", "--threads",
                        str(args.threads), "--seconds", str(args.seconds), "--batch", str(args.batch)] + OPTIONS[dtype] + [dataset]

    def measure(self):
        return json.loads(output_of(self.command))["full"][0]["images_per_second"]

    def stop(self):
        pass


class Device:
    """The loader of undecoded records with a GPU that decodes them, bytes of crops at the end."""

    def __init__(self, args, dataset):
        self.command = [os.path.join(args.bin, "an-bench-io"), "--json", "--rounds", "1", "--stage", "full", "--decode", "device", "--devices",
                        args.devices, "--threads", str(args.threads), "--seconds", str(args.seconds), "--crop", "224", dataset]

    def measure(self):
        return json.loads(output_of(self.command))["device"]["full"]["images_per_second"]

    def stop(self):
        pass


class Limit:
    def __init__(self, args, dataset):
        self.command = [os.path.join(args.bin, "..", "benchmarks", "bench_limit"), dataset, str(args.threads),
                        str(max(1, round(args.seconds)))]

    def measure(self):
        return float(re.search(r"([0-9]+) crops/s", output_of(self.command))[1])

    def stop(self):
        pass


class Peer:
    def __init__(self, args, dtype, name, folder):
        python = os.path.join(args.environments, "tf" if name.startswith("tf") else "main", "bin", "python")
        if not os.path.exists(python):  # a machine's own PyTorch will do
            python = sys.executable
        self.seconds = args.seconds
        self.log = open(f"{os.path.join(args.work, name)}.{dtype}.{args.batch}.log", "w")
        self.child = subprocess.Popen([python, os.path.join(HERE, "peer.py"), name, folder, str(args.threads), dtype, str(args.batch)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.wait("ready")

    def wait(self, word=None):
        for line in self.child.stdout:
            if word is None or line.strip() == word:
                try:
                    return float(line) if word is None else None
                except ValueError:
                    continue
        with open(self.log.name) as log:
            said = log.read().strip().splitlines() or ["ended early"]
        raise RuntimeError(f"{said[-1]} ({self.log.name})")

    def measure(self):
        self.child.stdin.write(f"{self.seconds}\n")
        self.child.stdin.flush()
        return self.wait()

    def stop(self):
        self.child.kill()
        self.child.wait()
        self.log.close()


def start_all(args, dtype, folder, datasets):
    runs = {}
    if dtype != "resized":  # the limits are for crops as they are
        runs |= {"limit": Limit(args, datasets["jpeg"]), "copy": Limit(args, datasets["rgb"])}
    runs |= {name: Ours(args, dtype, datasets[name]) for name in OURS}
    if args.devices and dtype == "u8":
        runs["device"] = Device(args, datasets["coef"])
    for name in filter(None, args.peers.split(",")):
        try:
            runs[name] = Peer(args, dtype, name, folder)
        except (OSError, RuntimeError) as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
    return runs


def print_tables(args, dtype, rates):
    medians = {name: statistics.median(values) for name, values in rates.items()}
    labels = LIMITS | OURS | {"device": f"an-bench-io, coef, decoded on {args.devices}"} | PEERS | (RESIZED if dtype == "resized" else {})
    print(f"\n{dtype}, {args.threads} threads, medians of {args.rounds} rounds in turns\n")
    print("| what | images/s | our jpeg is | our coef is |\n|---|---|---|---|")
    for name, value in medians.items():
        print(f"| {labels[name]} | {value:,.0f} | {medians['jpeg'] / value:.2f} x | {medians['coef'] / value:.2f} x |")
    print("\n| ratio, median of each round's | measured | wanted |\n|---|---|---|")
    for one, other, wanted in RATIOS[dtype]:
        if one in rates and other in rates:  # a peer may be left out
            ratio = statistics.median(a / b for a, b in zip(rates[one], rates[other]))
            print(f"| {one} / {other} | {ratio:.2f} x | {f'{wanted} x' if wanted else '-'} |")


def compare(args, dtype, folder, datasets):
    runs = start_all(args, dtype, folder, datasets)
    rates = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            rates[name].append(run.measure())
    for run in runs.values():
        run.stop()
    print_tables(args, dtype, rates)


def prepare(args, codecs=("coef", "yuv420", "rgb")):
    """The images as files for the peers and as a dataset of each codec for us; what exists is used again."""
    ingest, folder = os.path.join(args.bin, "an-ingest"), os.path.join(args.work, "images")
    if not os.path.isdir(folder):
        subprocess.run([ingest, "export", "--quiet", args.dataset, folder], check=True)
    datasets = {"jpeg": args.dataset}
    for codec in codecs:
        datasets[codec] = os.path.join(args.work, "dataset." + codec)
        if not os.path.isdir(datasets[codec]):
            subprocess.run([ingest, "transcode", "--quiet", "--codec", codec, args.dataset, datasets[codec]], check=True)
    return folder, datasets


def common_options(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"))
    parser.add_argument("--environments", default=os.path.join(ROOT, "build", "peers"), help="that setup.sh made")
    parser.add_argument("--work", default=os.path.join(ROOT, "build", "peers"), help="exported images, datasets, logs")
    return parser


def main():
    parser = common_options(__doc__)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--devices", default="", help="the GPU that decodes for us as well, beside nvJPEG: cuda:0")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--dtypes", default="u8,f32,resized")
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    folder, datasets = prepare(args)
    for dtype in args.dtypes.split(","):
        compare(args, dtype, folder, datasets)


if __name__ == "__main__":
    main()
