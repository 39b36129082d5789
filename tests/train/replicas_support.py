"""What the tests of several ranks have in common: mpirun, what a run tells, and the processes of ranks. Exits with 77 where there is no mpirun."""
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import pictures

BIN = pathlib.Path(os.environ.get("AN_BIN_DIR", "build/release/bin")).absolute()
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_WAIT_POLICY": "passive"}


def mpirun_major():
    """Open MPI's version, 4 or 5; 0 where there is no mpirun, or another one."""
    if not shutil.which("mpirun"):
        return 0
    told = subprocess.run(["mpirun", "--version"], capture_output=True, text=True).stdout
    found = re.search(r"Open MPI\D*(\d+)\.", told)
    return int(found.group(1)) if found else 0


MPIRUN = ("mpirun", "--quiet", "--oversubscribe", "--bind-to", "none")  # quiet: what it says itself would stand in the middle of our lines
ONE_THREAD = ("--compute-threads", "1", "--threads", "1")


def events(text):
    return [json.loads(line) for line in text.splitlines()]


def trained(told):
    return [event for event in told if event["type"] == "train"]


def read_metrics(run):
    return events((run / "metrics.jsonl").read_text())


def rank_of(pid):
    """The rank that mpirun gave a process; None if it is none, or has ended."""
    try:
        variables = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None
    values = dict(one.split(b"=", 1) for one in variables if b"=" in one)
    return int(values[b"OMPI_COMM_WORLD_RANK"]) if name == "an-train" and b"OMPI_COMM_WORLD_RANK" in values else None


def pid_of(parent, rank):
    """The process of a rank that this mpirun started."""
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit() or rank_of(folder.name) != rank:
            continue
        status = (folder / "status").read_text()
        if f"PPid:\t{parent}\n" in status:
            return int(folder.name)
    return None


class Ranks(unittest.TestCase):
    """A folder with a dataset of three classes, 36 px."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="an-replicas-")
        cls.root = pathlib.Path(cls.temporary.name)
        cls.data = cls.dataset("data", 50)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def dataset(cls, name, images, seed=1, options=("--size", "36", "--codec", "rgb")):
        pictures.write(cls.root / f"{name}.in", images, 3, seed)
        subprocess.run([BIN / "an-ingest", *options, cls.root / f"{name}.in", cls.root / name], check=True, capture_output=True)
        return cls.root / name

    @staticmethod
    def mpirun(ranks, *arguments):
        return [*MPIRUN, "-np", str(ranks), *map(str, arguments)]

    def command(self, ranks, *arguments):
        program = (BIN / "an-train", *map(str, arguments))
        return self.mpirun(ranks, *program) if ranks > 1 else list(program)

    def different(self, ranks, which, arguments, others):
        """One rank has other arguments. Not by mpirun's own way: that of Open MPI 5.0.7 crashes where it is given two programs."""
        first, second = (shlex.join(map(str, (BIN / "an-train", *each))) for each in (arguments, others))
        return self.mpirun(ranks, "sh", "-c", f'if [ "$OMPI_COMM_WORLD_RANK" = {which} ]; then exec {second}; else exec {first}; fi')

    def call(self, command):
        return subprocess.run(command, capture_output=True, text=True, cwd=self.root, env=ENVIRONMENT, timeout=240)

    def run_ranks(self, ranks, *arguments):
        done = self.call(self.command(ranks, *arguments))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def told(self, ranks, *arguments):
        return events(self.run_ranks(ranks, "--json", *arguments))

    def fails(self, ranks, code, text, *arguments):
        """All ranks end with the code, and one of them says why."""
        done = self.call(self.command(ranks, *arguments))
        self.assertEqual(done.returncode, code, done.stderr)
        said = [line for line in done.stderr.splitlines() if line.startswith("an-train: error:")]
        self.assertEqual(len(said), 1, done.stderr)
        self.assertIn(text, said[0])
        return said[0]

    def signalled(self, ranks, rank, number, at, run, *arguments):
        """Sends a signal to a rank once the run's metrics tell of step `at`; returns mpirun's exit code and what it said."""
        with subprocess.Popen(self.command(ranks, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.root,
                              env=ENVIRONMENT) as process:
            deadline = time.monotonic() + 100
            while not self.reached(run, at) and process.poll() is None:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            os.kill(pid_of(process.pid, rank), number)
            out, err = process.communicate(timeout=200)
        return process.returncode, out, err

    @staticmethod
    def reached(run, step):
        try:
            lines = (run / "metrics.jsonl").read_text().splitlines()
        except OSError:
            return False
        return any(f'"type":"train","step":{step},' in line for line in lines)

    def assert_same_training(self, one, other):
        """Losses up to the rounding of sums, everything that is counted exactly."""
        self.assertEqual(len(one), len(other))
        for a, b in zip(one, other):
            self.assertLess(abs(a["loss"] - b["loss"]), 1e-5 * a["loss"], (a, b))
            for name in ("step", "samples", "top1", "best"):
                self.assertEqual(a.get(name), b.get(name), (a, b))


def main():
    if mpirun_major() != 4:  # that of version 5 writes among the ranks' lines, and ends ranks before they are heard
        print("skipped: no mpirun of Open MPI 4")
        sys.exit(77)
    unittest.main()


TERMINATE, SAVE = signal.SIGTERM, signal.SIGUSR1
