"""What the attackers that run the project's programs have in common: running one with limits, keeping what it did wrong, and the summary line.

Programs are found in AN_BIN_DIR (build/release/bin). Offending files are copied to AN_ATTACK_FINDINGS, if that is set. Programs that were
built with AddressSanitizer have no limit to their memory: they reserve much that they do not use."""
import argparse
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess

BIN = pathlib.Path(os.environ.get("AN_BIN_DIR", "build/release/bin")).resolve()
FINDINGS = os.environ.get("AN_ATTACK_FINDINGS")
SECONDS = 10  # of the processor's time: what takes more hangs; four times that under a sanitizer
PATIENCE = 300  # seconds, on a busy machine; what uses no time either waits for ever
MEMORY = 1 << 30
CODES = (0, 1, 2, 3)


def is_sanitized(program):
    return b"__asan_init" in program.read_bytes()


class Attack:
    """Counts of one attacker's run. Findings are printed as they come."""

    def __init__(self, name):
        parser = argparse.ArgumentParser(description=f"Attacks: {name}")
        parser.add_argument("--count", type=int, default=60, help="variants")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--only", type=int, help="this variant alone")
        self.options = parser.parse_args()
        self.name = name
        self.counts = dict.fromkeys(("crashes", "hangs", "wrong results"), 0)
        self.sanitized = is_sanitized(BIN / "an-ingest")

    def numbers(self):
        return range(self.options.count) if self.options.only is None else [self.options.only]

    def find(self, kind, number, what, files=()):
        self.counts[kind] += 1
        print(f"--seed {self.options.seed} --only {number}: {kind}: {what}")
        for file in files if FINDINGS else ():
            os.makedirs(FINDINGS, exist_ok=True)
            shutil.copy(file, f"{FINDINGS}/{self.name}-{self.options.seed}-{number}-{pathlib.Path(file).name}")

    def run(self, number, command, files, stdin=None):
        """Run a program and judge how it ended. Returns its exit code and what it printed; None after a hang."""
        seconds = SECONDS * 4 if self.sanitized else SECONDS

        def limits():
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
            if not self.sanitized:
                resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))

        with open(stdin, "rb") if stdin else open(os.devnull, "rb") as given:
            process = subprocess.Popen([BIN / command[0], *command[1:]], stdin=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       preexec_fn=limits)
            try:
                text = process.communicate(timeout=PATIENCE)[0].decode("utf-8", "replace")
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                self.find("hangs", number, f"no end in {PATIENCE} s: {command}", files)
                return None, ""
        code = process.returncode
        if code in (-signal.SIGXCPU, -signal.SIGKILL):
            self.find("hangs", number, f"no end in {seconds} s of the processor's time: {command}", files)
            return None, ""
        if code not in CODES or "Sanitizer" in text or "runtime error" in text:
            self.find("crashes", number, f"exit code {code}: {command}\n{text[-2000:]}", files)
        elif code and not re.search(rf"(?m)^{command[0]}: error: ", text):
            self.find("wrong results", number, f"exit code {code} without a message: {command}\n{text[-500:]}", files)
        elif "out of memory" in text or "cannot allocate" in text:
            self.find("wrong results", number, f"asks for too much memory: {command}\n{text[-500:]}", files)
        return code, text

    def end(self):
        print(f"{self.name}: {len(self.numbers())} variants, " + ", ".join(f"{n} {kind}" for kind, n in self.counts.items()))
        return 1 if any(self.counts.values()) else 0
