"""Structural variants of a dataset's file: attack_structure makes --count of them from --seed and reads each in every way,
in processes of its own (structure.c says what counts). Then a few of its kind go through the programs themselves."""
import argparse
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
BIN = pathlib.Path(os.environ["AN_BIN_DIR"])
DRIVER = BIN.parent / "tests" / "attack" / "attack_structure"
PAGE = 4096
TIME_LIMIT = 10


def make(folder):
    """A dataset of eight tiny pictures, made by an-ingest."""
    for label in range(2):
        (folder / "in" / f"class-{label}").mkdir(parents=True)
        for i in range(4):
            pixels = bytes(random.Random(label * 4 + i).randrange(256) for _ in range(3 * 32 * 32))
            path = folder / "in" / f"class-{label}" / f"{i}.png"
            path.write_bytes(png(32, 32, pixels))
    subprocess.run([BIN / "an-ingest", "-q", "--size", "32", "--codec", "rgb", folder / "in", folder / "set"], check=True)
    return (folder / "set" / "data.mdb").read_bytes()


def png(width, height, rgb):
    import struct
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    rows = b"".join(b"\0" + rgb[3 * width * y:3 * width * (y + 1)] for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def variant(base, generator):
    """A few bytes where the structure lies, or pages moved."""
    data = bytearray(base)
    pages = len(data) // PAGE
    for _ in range(generator.randrange(1, 4)):
        page, other = generator.randrange(pages), generator.randrange(pages)
        kind = generator.randrange(4)
        if kind == 0:
            data[page * PAGE + generator.randrange(160)] = generator.randrange(256)
        elif kind == 1:
            data[page * PAGE:(page + 1) * PAGE] = data[other * PAGE:(other + 1) * PAGE]
        elif kind == 2:
            del data[page * PAGE if page > 1 else len(data) - 1:]
            pages = max(2, len(data) // PAGE)
            data += bytes(max(0, 2 * PAGE - len(data)))
        else:
            at = page * PAGE + 8 * generator.randrange(PAGE // 8)
            data[at:at + 8] = generator.randrange(pages + 2).to_bytes(8, "little")
    return bytes(data)


def commands(folder):
    dataset = folder / "set"
    yield [BIN / "an-ingest", "verify", "-q", dataset]
    yield [BIN / "an-ingest", "info", dataset]
    yield [BIN / "an-ingest", "info", "--json", dataset]
    if (BIN / "an-bench-io").exists():
        for engine in ("uring", "uring-direct", "pread", "mmap"):
            yield [BIN / "an-bench-io", "--stage=full", "--epochs=1", "--rounds=1", "-t1", "-b4", "-c16", f"--engine={engine}",
                   dataset]


def run_programs(count, seed):
    """Findings among `count` variants that the programs themselves have read."""
    findings = 0
    with tempfile.TemporaryDirectory(prefix="an-attack-") as name:
        folder = pathlib.Path(name)
        base, data = make(folder), folder / "set" / "data.mdb"
        for i in range(count):
            data.write_bytes(variant(base, random.Random(f"{seed} {i}")))
            for command in commands(folder):
                wrong = judge(command, folder)
                if wrong:
                    findings += 1
                    print(f"seed {seed}, program {i}: {' '.join(map(str, command[:2]))}: {wrong}", flush=True)
    return findings


def judge(command, folder):
    """None, or what is wrong with how this ends."""
    try:
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace", timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return f"took more than {TIME_LIMIT} s"
    if result.returncode not in (0, 3):
        return f"exit code {result.returncode}: {result.stderr[-600:]}"
    if result.returncode and str(folder / "set") not in result.stderr:
        return f"the message does not name the dataset: {result.stderr[-600:]}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    driver = subprocess.run([DRIVER, f"--count={options.count}", f"--seed={options.seed}"], capture_output=True, text=True,
                            errors="replace")
    programs = max(1, options.count // 50)
    findings = run_programs(programs, options.seed)
    print(driver.stderr, end="")
    lines = driver.stdout.strip().splitlines() or ["structure: attack_structure said nothing"]
    for line in lines[:-1]:
        print(line)
    print(f"{lines[-1]}; {programs} through the programs: {findings} findings")
    return 1 if driver.returncode or findings else 0


if __name__ == "__main__":
    sys.exit(main())
