"""Resident memory does not grow with the number of images: peak of an ingest of many small files, in MB.
    memory.py [--images 100000] [--limit 400]"""
import argparse
import os
import resource
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from faults import PROGRAM
from pictures import png


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100000)
    parser.add_argument("--limit", type=int, default=400)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="an-memory-") as root:
        for i in range(args.images):
            folder = f"{root}/in/{i // 1000:03}"
            if i % 1000 == 0:
                os.makedirs(folder)
                with open(f"{folder}/first.png", "wb") as file:
                    file.write(png())
            else:
                os.link(f"{folder}/first.png", f"{folder}/{i}.png")
        subprocess.run([PROGRAM, "--quiet", "--threads", "2", "--size", "64", f"{root}/in", f"{root}/out"], check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        size = os.path.getsize(f"{root}/out/data.mdb") / 1e6
    print(f"{args.images} images, data.mdb {size:.0f} MB: peak resident size {peak:.0f} MB")
    return peak > args.limit


if __name__ == "__main__":
    sys.exit(main())
