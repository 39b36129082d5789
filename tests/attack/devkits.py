#!/usr/bin/env python3
"""Attacks an-ingest --devkit with damaged development kits: meta.mat with hostile sizes, kinds and values, packed or not, in damaged archives.

    AN_BIN_DIR=build/release/bin tests/attack/devkits.py [--count N] [--seed S] [--only NUMBER]

Exit status: 0 no findings, 1 findings."""
import gzip
import io
import pathlib
import random
import struct
import sys
import tarfile
import tempfile
import zlib

sys.dont_write_bytecode = True
from attack import Attack

FIELDS = (b"ILSVRC2012_ID", b"WNID", b"words", b"num_children")
NUMBERS = (0.0, -1.0, 1.5, 1e6, 1e7, 2.0 ** 32, 2.0 ** 63, 1e308, float("inf"), float("-inf"), float("nan"), 5e-324)
SIZES = (0, 1, 2, 3, 7, 8, 9, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff)
TRUTHS = (b"1\n2\n3\n", b"", b"1", b"0\n", b"-1\n", b"99999999999999999999\n", b"1\n" * 100000, b"\xff\xfe1\n", b"1\0\n", b"1 2 3\n", b"n01\n", b"\n" * 1000)


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def array(kind, dimensions, name, body):
    return element(14, element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack(f"<{len(dimensions)}i", *dimensions)) + element(1, name) + body)


def number(rng, value):
    if rng.random() < 0.02:
        value = rng.choice(NUMBERS)
    if rng.random() < 0.02:
        return array(rng.randrange(20), (rng.choice((0, 1, 2)), rng.choice((0, 1, 2))), b"", element(rng.randrange(20), bytes(rng.randrange(24))))
    return array(6, (1, 1), b"", element(9, struct.pack("<d", value)))


def text(rng, value):
    if rng.random() < 0.02:
        value = rng.choice(("", "\0", "a\0b", "x" * 100000, "\udc80", "\u4e00", "../../etc", "\n", "n01"))
    return array(4 if rng.random() < 0.99 else rng.randrange(20), (1, len(value)), b"", element(rng.choice((4, 17)), value.encode("utf-16-le", "surrogatepass")))


def make_meta(rng):
    count = rng.choice((0, 1, 3, 3, 3, 1000))
    names = [rng.choice((name, name, name, name, name, b"", b"x" * 31)) if rng.random() < 0.02 else name for name in FIELDS]
    body = element(5, struct.pack("<i", 32)) + element(1, b"".join(name.ljust(32, b"\0") for name in names))
    for i in range(count):
        body += number(rng, i + 1) + text(rng, f"n{i:08}") + text(rng, "a word") + number(rng, 0)
    dimensions = (count, 1) if rng.random() < 0.8 else tuple(rng.choice((0, 1, count, 2 ** 31 - 1, -1, 65536)) for _ in range(rng.randrange(1, 6)))
    variable = array(2 if rng.random() < 0.95 else rng.randrange(20), dimensions, b"synsets", body)
    header = bytearray(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM")
    if rng.random() < 0.05:
        header[124:128] = rng.choice((b"\0\2IM", b"\1\0MI", b"\0\0\0\0", b"\0\1XX"))
    return bytes(header), damage(rng, variable)


def damage(rng, data):
    """Sizes and types of elements lie at multiples of four."""
    data = bytearray(data)
    for _ in range(rng.choice((0, 0, 0, 1, 4))):
        at = rng.randrange(len(data) // 4) * 4 if rng.random() < 0.5 else rng.randrange(min(len(data), 200) // 4) * 4
        how = rng.random()
        if how < 0.5:
            data[at:at + 4] = struct.pack("<I", rng.choice(SIZES))
        elif how < 0.8:
            data[at] ^= 1 << rng.randrange(8)
        elif how < 0.9:
            del data[at:at + rng.randrange(1, 40)]
        else:
            data[at:at] = data[:rng.randrange(1, 40)]
    return bytes(data[:rng.randrange(len(data))] if rng.random() < 0.05 and data else data)


def make_kit(rng):
    header, variable = make_meta(rng)
    if rng.random() < 0.5:
        packed = zlib.compress(bytes(rng.choice((1000, 1 << 20))) + variable if rng.random() < 0.05 else variable)
        variable = struct.pack("<II", 15, len(packed)) + damage(rng, packed) if rng.random() < 0.2 else struct.pack("<II", 15, len(packed)) + packed
    kit = io.BytesIO()
    with tarfile.open(fileobj=kit, mode="w") as tar:
        for name, content in (("kit/data/meta.mat", header + variable), ("kit/data/ILSVRC2012_validation_ground_truth.txt", rng.choice(TRUTHS) if rng.random() < 0.3 else TRUTHS[0])):
            for _ in range(rng.choice((1,) * 30 + (0, 2))):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    kit = kit.getvalue()
    if rng.random() < 0.02:
        kit = kit[:rng.randrange(len(kit))]
    return gzip.compress(kit, 1, mtime=0) if rng.random() < 0.8 else kit


def main():
    attack = Attack("devkits")
    with tempfile.TemporaryDirectory(prefix="an-attack-") as folder:
        folder = pathlib.Path(folder)
        (folder / "images").mkdir()
        for i in range(3):
            (folder / f"images/ILSVRC2012_val_0000000{i + 1}.JPEG").write_bytes(b"x")
        kit = folder / "kit.tar.gz"
        taken = 0
        for n in attack.numbers():
            kit.write_bytes(make_kit(random.Random(f"{attack.options.seed} {n}")))
            code, printed = attack.run(n, ["an-ingest", "--dry-run", "--devkit", kit, folder / "images", folder / "out"], [kit])
            taken += code == 0
            if code is not None and not all(line.startswith(("an-ingest: ", "  ")) or code == 0 for line in printed.splitlines()):
                attack.find("wrong results", n, f"a library printed: {printed[-500:]}", [kit])
        print(f"{taken} of the devkits were taken")
    return attack.end()


if __name__ == "__main__":
    sys.exit(main())
