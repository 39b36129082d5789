#!/usr/bin/env python3
"""Lets libraries start on an older glibc than the one that they were linked with.

    older_glibc.py 2.35 LIBRARY...

In each, functions that are wanted from a version of glibc newer than the first argument are wanted from GLIBC_2.2.5 instead, which every
glibc has. The dynamic linker then no longer refuses the library, and takes the functions from a library without versions. Each must
be one of ELSEWHERE, which arc4random.c defines, or it is an error."""
import re
import struct
import subprocess
import sys

ELSEWHERE = {"arc4random", "arc4random_buf"}
ANYWHERE = "GLIBC_2.2.5"


def newer(name, limit):
    match = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(?:\.\d+)?", name)
    return bool(match) and (int(match[1]), int(match[2])) > limit


def needed(path, limit):
    """The functions that a library takes from newer versions."""
    table = subprocess.run(["objdump", "-T", path], capture_output=True, text=True, check=True).stdout
    return {name for version, name in re.findall(r"\*UND\*\s+\S+\s+\(?(GLIBC_[\d.]+)\)?\s+(\S+)", table) if newer(version, limit)}


def section(path, name):
    """Offset of a section in the file."""
    table = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    match = re.search(rf"\] {re.escape(name)}\s+\S+\s+[0-9a-f]+ ([0-9a-f]+) ", table)
    return int(match[1], 16)


def needs(path, data):
    """Where each version that is needed stands in the file (an Elf64_Vernaux), and its name."""
    strings, entry = section(path, ".dynstr"), section(path, ".gnu.version_r")
    while True:
        _, count, _, first, following = struct.unpack_from("<HHIII", data, entry)
        at = entry + first
        for _ in range(count):
            _, _, _, name, step = struct.unpack_from("<IHHII", data, at)
            yield at, data[strings + name:data.index(0, strings + name)].decode()
            at += step
        if not following:
            return
        entry += following


def mend(path, limit):
    functions = needed(path, limit)
    if not functions:
        return
    if functions - ELSEWHERE:
        sys.exit(f"{path} needs a newer glibc for {', '.join(sorted(functions - ELSEWHERE))}")
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        versions = dict(needs(path, data))
        offsets = {text: at for at, text in versions.items()}
        known = offsets.get(ANYWHERE)
        if known is None:
            sys.exit(f"{path} needs nothing of {ANYWHERE}, which could stand for newer versions")
        for at, text in versions.items():
            if newer(text, limit):
                data[at:at + 4] = data[known:known + 4]  # the name's hash
                data[at + 8:at + 12] = data[known + 8:known + 12]  # where the name stands
        file.seek(0)
        file.write(data)
    print(f"{path}: starts on older versions of glibc")


if __name__ == "__main__":
    major, minor = map(int, sys.argv[1].split("."))
    for library in sys.argv[2:]:
        mend(library, (major, minor))
