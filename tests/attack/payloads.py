#!/usr/bin/env python3
"""Attacks the codecs with payloads that are damaged under right checksums: attack_payloads in each SIMD tier, whose answers and pixels
must be equal.

    AN_BIN_DIR=build/release/bin tests/attack/payloads.py [--count N] [--seed S]

Exit status: 0 no findings, 1 findings."""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from attack import BIN, Attack

TIERS = ("scalar", "avx2", "avx512")
PROGRAM = BIN.parent / "tests/attack/attack_payloads"


def decode(attack, tier, folder, count):
    """The first mutants. Returns how the program ended, and the files with the last mutant and with the digests of all."""
    current, digests = folder / f"{tier}-record", folder / f"{tier}-digests"
    result = subprocess.run([PROGRAM, str(count), str(attack.options.seed), current, digests], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            env={**os.environ, "AN_SIMD": tier}, text=True, errors="replace")
    return result, current, digests


def run(attack, tier, folder):
    """The digests of all mutants that the tier decoded."""
    count = attack.options.count
    result, current, digests = decode(attack, tier, folder, count)
    made = digests.read_bytes() if digests.exists() else b""
    number, files = len(made) // 8, [current] if current.exists() else []
    if result.returncode == -signal.SIGPROF:
        attack.find("hangs", number, f"{tier}: no end", files)
    elif result.returncode == 1 and "mutant " in result.stdout and "Sanitizer" not in result.stdout:
        attack.find("wrong results", number, f"{tier}: {result.stdout.strip()}", files)
    elif result.returncode:
        attack.find("crashes", number, f"{tier}: exit code {result.returncode}: {result.stdout[-2000:]}", files)
    elif number != count:
        attack.find("wrong results", number, f"{tier}: {number} digests of {count} mutants", files)
    elif tier == TIERS[0]:
        print(result.stdout.strip())
    return made


def main():
    attack = Attack("payloads")
    with tempfile.TemporaryDirectory(prefix="an-attack-") as folder:
        reference = None
        for tier in TIERS:  # a tier that the processor lacks is the next lower one
            made = run(attack, tier, pathlib.Path(folder))
            reference = reference or made
            if len(made) == len(reference) and made != reference:
                number = next(i for i in range(len(made) // 8) if made[8 * i:8 * i + 8] != reference[8 * i:8 * i + 8])
                current = decode(attack, tier, pathlib.Path(folder), number + 1)[1]
                attack.find("wrong results", number, f"{tier} has another answer or other pixels than {TIERS[0]}", [current])
    return attack.end()


if __name__ == "__main__":
    sys.exit(main())
