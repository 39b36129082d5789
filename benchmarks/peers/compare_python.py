#!/usr/bin/env python3
"""What arrives in Python as PyTorch's tensors: our loader beside an-bench-io, DALI's and torchvision's iterators, on the same images and the same
number of threads, measured in turns: Markdown tables of medians and ratios. setup.sh makes the environment first.

    benchmarks/peers/compare_python.py DATASET [--threads 2] [--rounds 5] [--seconds 3] [--bin build/release/bin] [--python build/release/python]

DATASET is a jpeg dataset of 256 px images, made by an-ingest, of more images than the largest batch; they are written as coef, too."""
import os
import statistics
import sys

from compare import ROOT, Ours, Peer, common_options, prepare

CODECS = ("jpeg", "coef")
PEERS = {"dali.torch": "DALI (CPU), `DALIGenericIterator`", "torchvision": "torchvision, PIL, `DataLoader`"}
LABELS = {f"bench.{codec}": f"an-bench-io, {codec}" for codec in CODECS} | \
    {f"an.{codec}": f"an-loader (Python, torch tensors), {codec}" for codec in CODECS} | PEERS
RATIOS = (("an.jpeg", "bench.jpeg", 0.97), ("an.coef", "bench.coef", 0.97), ("an.jpeg", "dali.torch", 2.5), ("an.jpeg", "torchvision", 5),
          ("an.coef", "dali.torch", 8))


def start_all(args, dtype, folder, datasets):
    runs = {f"bench.{codec}": Ours(args, dtype, datasets[codec]) for codec in CODECS}
    runs |= {f"an.{codec}": Peer(args, dtype, f"an.{codec}", datasets[codec]) for codec in CODECS}
    for name in filter(None, args.peers.split(",")):
        try:
            runs[name] = Peer(args, dtype, name, folder)
        except (OSError, RuntimeError) as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
    return runs


def measure(args, dtype, folder, datasets):
    runs = start_all(args, dtype, folder, datasets)
    rates = {name: [] for name in runs}
    try:
        for _ in range(args.rounds):
            for name, run in runs.items():
                rates[name].append(run.measure())
    finally:
        for run in runs.values():
            run.stop()
    return rates


def print_table(args, dtype, rates):
    print(f"\n{dtype}, batches of {args.batch}, {args.threads} threads, medians of {args.rounds} rounds in turns\n")
    print("| what | images/s |\n|---|---|")
    for name, values in rates.items():
        print(f"| {LABELS[name]} | {statistics.median(values):,.0f} |")
    print("\n| ratio, median of each round's | measured | wanted |\n|---|---|---|")
    for one, other, wanted in RATIOS:
        if other in rates:  # a peer may be left out
            ratio = statistics.median(a / b for a, b in zip(rates[one], rates[other]))
            print(f"| {LABELS[one]} / {LABELS[other]} | {ratio:.2f} x | {wanted} x |", flush=True)


def main():
    parser = common_options(__doc__)
    parser.add_argument("--python", default=os.path.join(ROOT, "build", "release", "python"), help="folder with the package an_loader")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--dtypes", default="u8,f32")
    parser.add_argument("--batches", default="128,512")
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (args.python, os.environ.get("PYTHONPATH"))))
    folder, datasets = prepare(args, ("coef",))
    for args.batch in map(int, args.batches.split(",")):
        for dtype in args.dtypes.split(","):
            print_table(args, dtype, measure(args, dtype, folder, datasets))


if __name__ == "__main__":
    main()
