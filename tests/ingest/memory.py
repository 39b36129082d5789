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


def png():
    """A grey 8 x 8 PNG, by hand."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(range(y, y + 8)) for y in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


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
