#!/usr/bin/env python3
"""How near is an-ingest to its floor? Runs, interleaved, on the same images and thread count:
     a  floor    libjpeg-turbo decode + encode alone (bench-ingest-floor)
     b  ingest   an-ingest end to end to disk, fsync included
     c  pillow   the same work by Pillow, in processes
     d  ffcv     the same work by FFCV's writer, with --ffcv PYTHON (one that has ffcv, torch and Pillow)
   both peers twice: decoding at full size, as most scripts do, and through Pillow's draft(), its fast way;
   and prints images/s of every round, medians, processor time an image (start of processes included) and the ratios.

     compare.py --bin build/release/bin --images FOLDER [--count 4000] [--threads 2] [--rounds 3] [--folder DIR]"""
import argparse
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def make_tree(images, count, folder):
    files = sorted(p for p in pathlib.Path(images).rglob("*") if p.suffix.lower() in (".jpeg", ".jpg"))
    if not files:
        sys.exit(f"no JPEG files in {images}")
    made = []
    for i in range(count):
        source = files[i % len(files)]
        target = folder / source.parent.name / f"{i:06d}{source.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(source.resolve(), target)
        made.append(target)
    return made


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed_ingest(program, tree, destination, threads, options):
    shutil.rmtree(destination, ignore_errors=True)
    start = time.perf_counter()
    subprocess.run([program, "--quiet", "--threads", str(threads), *options, tree, destination], check=True)
    return time.perf_counter() - start


def rate_of(command, stdin):
    return float(subprocess.run(command, input=stdin, text=True, check=True, capture_output=True).stdout.split()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where the dataset is written (default: a temporary folder)")
    parser.add_argument("--python", default="/usr/bin/python3", help="a Python with Pillow")
    parser.add_argument("--ffcv", help="a Python with ffcv")
    parser.add_argument("options", nargs="*", help="more options of an-ingest, after --")
    args = parser.parse_args()
    here = pathlib.Path(__file__).parent
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        temporary = pathlib.Path(temporary)
        files = make_tree(args.images, args.count, temporary / "tree")
        listing = "".join(f"{p}\n" for p in files)
        contenders = {
            "floor": lambda: rate_of([f"{args.bin}/bench-ingest-floor", str(args.threads)], listing),
            "ingest": lambda: args.count / timed_ingest(f"{args.bin}/an-ingest", temporary / "tree",
                                                        temporary / "out.data", args.threads, args.options),
            "pillow": lambda: rate_of([args.python, here / "pillow.py", str(args.threads), "full"], listing),
            "pillow, draft": lambda: rate_of([args.python, here / "pillow.py", str(args.threads)], listing),
        }
        if args.ffcv:
            command = [args.ffcv, here / "ffcv_writer.py", str(args.threads), temporary / "out.beton"]
            contenders["ffcv"] = lambda: rate_of([*command, "full"], listing)
            contenders["ffcv, draft"] = lambda: rate_of(command, listing)
        rates = {name: [] for name in contenders}
        processor = {name: [] for name in contenders}
        for _ in range(args.rounds):
            for name, run in contenders.items():
                before = cpu_seconds()
                rates[name].append(run())
                processor[name].append((cpu_seconds() - before) / args.count)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name:13} {middle[name]:8.0f} images/s {1e3 * statistics.median(processor[name]):6.2f} ms of processor "
              f"  rounds " + " ".join(f"{v:.0f}" for v in values))
    for name in middle:
        if name != "ingest":
            print(f"ingest / {name:13} {middle['ingest'] / middle[name]:.2f}")


if __name__ == "__main__":
    main()
