#!/usr/bin/env python3
"""Cold reads with O_DIRECT beside fio's: random records of a dataset, as many in flight, in turns; a Markdown table of
medians. fio reads blocks as large as a record's span of whole pages, from the same file, for the same number of seconds.

    benchmarks/read/fio.py DATASET [--depth 64] [--rounds 5] [--seconds 3] [--bin build/release/bin]

DATASET should be larger than the disk's own cache: some gigabytes of rgb records. fio is Debian's package `fio`."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE, HEADER = 4096, 16  # LMDB puts a large value behind a header, on pages of its own


def drop_cache(path):
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Ours:
    """One stage of an-bench-io: records/s and microseconds of processor time a record."""

    def __init__(self, args, stage):
        self.stage = stage
        self.command = [os.path.join(args.bin, "an-bench-io"), "--json", "--rounds", "1", "--cold", "--engine",
                        "uring-direct", "--stage", stage, "--depth", str(args.depth), "--seconds", str(args.seconds),
                        args.dataset]

    def measure(self):
        report = json.loads(subprocess.run(self.command, check=True, capture_output=True).stdout)
        part = report["full"][0] if self.stage == "full" else report[self.stage]
        if self.stage == "full" and part["engine"] != "uring-direct":
            sys.exit(f"read {part['engine']} instead: this file system or kernel refuses io_uring with O_DIRECT")
        self.length = part["bytes"] / part["images"]
        return part["images_per_second"], 1e6 * part["cpu_seconds"] / part["images"]


class Fio:
    def __init__(self, args, engine, path, block):
        self.command = ["fio", "--name=cold", "--readonly", "--output-format=json", "--rw=randread", "--direct=1",
                        f"--bs={block}", f"--iodepth={args.depth}", f"--filename={path}", "--time_based", "--norandommap",
                        f"--runtime={args.seconds}", "--ramp_time=0.5", *engine]

    def measure(self):
        job = json.loads(subprocess.run(self.command, check=True, capture_output=True).stdout)["jobs"][0]
        rate = job["read"]["iops"]
        return rate, 1e6 * (job["usr_cpu"] + job["sys_cpu"]) / 100 / rate


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("--depth", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "release", "bin"))
    args = parser.parse_args()
    if not shutil.which("fio"):
        sys.exit("fio is missing: apt-get install fio")
    path = os.path.join(args.dataset, "data.mdb")
    read = Ours(args, "read")
    read.measure()
    block = -(-int(read.length + HEADER) // PAGE) * PAGE
    runs = {"fio, io_uring, registered buffers and file": Fio(args, ["--ioengine=io_uring", "--fixedbufs",
                                                                     "--registerfiles"], path, block),
            "fio, libaio": Fio(args, ["--ioengine=libaio"], path, block),
            "an-bench-io --stage read": read,
            "an-bench-io --stage full": Ours(args, "full")}
    results = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            drop_cache(path)
            results[name].append(run.measure())
    rates = {name: statistics.median(rate for rate, _ in values) for name, values in results.items()}
    best = max(rates[name] for name in rates if name.startswith("fio"))
    print(f"blocks of {block} bytes, depth {args.depth}, O_DIRECT, cold, medians of {args.rounds} rounds in turns\n")
    print("| | records/s | MB/s from the disk | processor us/record | against the faster fio |\n|---|---|---|---|---|")
    for name, values in results.items():
        cpu = statistics.median(cost for _, cost in values)
        print(f"| {name} | {rates[name]:,.0f} | {rates[name] * block / 1e6:,.0f} | {cpu:.1f} | {rates[name] / best:.2f} x |")


if __name__ == "__main__":
    main()
