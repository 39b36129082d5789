#!/usr/bin/env python3
"""What the loader claims, held against what it does, one command each:

    claims.py scaling DATASET     images/s with one and with two threads, in turns: the median ratio
    claims.py consumer DATASET    a consumer that takes 90 % of the measured rate: the share of the time that it waits
    claims.py verdict DATASET     an-bench-io's proposal followed (an-ingest transcode): the gain predicted and reached

Wall-clock ratios want a machine at rest; those of processor time stand beside them."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def bench(args, dataset, *options):
    command = [os.path.join(args.bin, "an-bench-io"), "--json", "--seconds", str(args.seconds), *options, dataset]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def full(args, dataset, threads, *options):
    return bench(args, dataset, "--stage", "full", "--rounds", "1", "--threads", str(threads), *options)["full"][0]


def rate(run):
    return run["images_per_second"]


def cost(run):
    return run["cpu_seconds"] / run["images"]


def in_turns(args, *runs):
    """Rounds of one result of each run."""
    return [[run() for run in runs] for _ in range(args.rounds)]


def median_ratio(rounds, value):
    return statistics.median(value(b) / value(a) for a, b in rounds)


def scaling(args):
    rounds = in_turns(args, lambda: full(args, args.dataset, 1), lambda: full(args, args.dataset, 2))
    for a, b in rounds:
        print(f"  {rate(a):8,.0f} {rate(b):8,.0f} images/s   {cost(a) * 1e6:6.1f} {cost(b) * 1e6:6.1f} us of a processor")
    print(f"1 -> 2 threads: {median_ratio(rounds, rate):.2f} x by the clock, "
          f"{2 / median_ratio(rounds, cost):.2f} x by processor time (medians of {args.rounds} rounds in turns; wanted 1.9)")


def consumer(args):
    measured = statistics.median(rate(full(args, args.dataset, args.threads)) for _ in range(args.rounds))
    pause = 1000 * args.batch / (0.9 * measured)
    for slots in (2, 3):
        run = full(args, args.dataset, args.threads, "--batch", str(args.batch), "--compute", f"{pause:.3f}", "--batches",
                   str(args.batches), "--slots", str(slots))
        print(f"{measured:,.0f} images/s measured; with {slots} slots a consumer of {pause:.2f} ms a batch of {args.batch} got "
              f"{rate(run):,.0f} and waited {100 * run['consumer_waited']:.2f} % of the time over {args.batches} batches "
              "(wanted: at most 1 %)")


def follow(args, change):
    codec = change["codec"] if change["share"] == 1 else f"mixed:{change['share']:.1f}"
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        other = os.path.join(folder, "proposed")
        subprocess.run([os.path.join(args.bin, "an-ingest"), "transcode", "--quiet", "--codec", codec, args.dataset, other],
                       check=True)
        rounds = in_turns(args, lambda: full(args, args.dataset, args.threads), lambda: full(args, other, args.threads))
    for name, reached in (("the clock", median_ratio(rounds, rate)), ("processor time", 1 / median_ratio(rounds, cost))):
        print(f"{codec}: {change['gain']:.2f} x predicted, {reached:.2f} x reached by {name}: "
              f"{100 * (reached / change['gain'] - 1):+.0f} % (wanted: within 15 %)")


def verdict(args):
    report = bench(args, args.dataset, "--threads", str(args.threads))["verdict"]
    print(report["text"])
    changes = [report[key] for key in ("change", "further") if key in report]
    for change in changes:
        follow(args, change)
    if not changes:
        sys.exit("no change was proposed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claim", choices=("scaling", "consumer", "verdict"))
    parser.add_argument("dataset")
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of a measurement")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--folder", help="where the proposed dataset is written (default: a temporary folder)")
    args = parser.parse_args()
    {"scaling": scaling, "consumer": consumer, "verdict": verdict}[args.claim](args)


if __name__ == "__main__":
    main()
