#!/usr/bin/env python3
"""Groups of real processes, started by mpirun: what they compute, and how they end when one of them does.

usage: ranks.py [unittest arguments]     in the environment: AN_RANK, the program of rank.c. Exit status 77 without mpirun
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

RANK = os.environ.get("AN_RANK", "")
ENDS = 60  # seconds after a fault within which all must have ended, on a machine that does much else
TCP = ["--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "lo"]


def environment(**more):
    values = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **more}
    # What an mpirun around this test says is not for the one below it.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_COMM", "PMIX_", "PMI_"))}
    return {**kept, **values}


def command(ranks, options, *arguments):
    run = subprocess.run(["mpirun", "--version"], capture_output=True, text=True, check=True)
    flags = ["--oversubscribe", "--bind-to", "none"] if "Open MPI" in run.stdout else []
    return ["mpirun", *flags, *options, "-np", str(ranks), RANK, *arguments]


class Run:
    """A run under mpirun whose ranks are known as soon as they say who they are."""

    def __init__(self, ranks, options, *arguments, **variables):
        self.lines, self.processes, self.status = [], {}, None
        self.child = subprocess.Popen(command(ranks, options, *arguments), env=environment(**variables), text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def until(self, text):
        """Reads until a line holds text. Returns whether one did."""
        for line in self.child.stdout:
            self.lines.append(line)
            match = re.match(r"rank (\d+) is process (\d+)", line)
            if match:
                self.processes[int(match[1])] = int(match[2])
            if text in line:
                return True
        return False

    def end(self):
        self.until("\0")
        self.status = self.child.wait()
        return "".join(self.lines)

    def close(self):
        """Whatever is left of the run, the stopped ones too."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
        for process in self.processes.values():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.child.stdout.close()


class Ranks(unittest.TestCase):
    def run_all(self, ranks, *arguments, options=(), **variables):
        run = Run(ranks, list(options), *arguments, **variables)
        self.addCleanup(run.close)
        return run.end(), run.status

    def fault(self, what, who, sent, ranks=2, options=(), **variables):
        """Sends a signal to one rank while all are busy, and returns what was printed and the status."""
        run = Run(ranks, list(options), "loop", what, **variables)
        self.addCleanup(run.close)
        self.assertTrue(run.until("going"), run.lines)
        while len(run.processes) < ranks:
            self.assertTrue(run.until("is process"), run.lines)
        os.kill(run.processes[who], sent)
        since = time.monotonic()
        text = run.end()
        self.assertLess(time.monotonic() - since, ENDS)
        self.assertNotEqual(run.status, 0)
        return text

    def test_exercise(self):
        for ranks in (2, 4):
            text, status = self.run_all(ranks, "exercise")
            self.assertEqual(status, 0, text)
            self.assertRegex(text, rf"(?m)^{ranks} ranks on 1 host, .*, gradients in shared memory, local 0 of {ranks}\n")

    def test_exercise_messages(self):
        for ranks in (2, 4):
            text, status = self.run_all(ranks, "exercise", APART="1")
            self.assertEqual(status, 0, text)
            self.assertRegex(text, rf"(?m)^{ranks} ranks on {ranks} hosts, .*, local 0 of 1\n")
            self.assertNotIn("shared", text)

    def test_exercise_tcp(self):
        text, status = self.run_all(3, "exercise", options=TCP, APART="1")
        self.assertEqual(status, 0, text)

    def test_failure(self):
        for who in (0, 2):
            text, status = self.run_all(3, "fail", str(who))
            self.assertEqual(text.count(" says: "), 1, text)
            self.assertRegex(text, rf"rank 0 says: rank {who} on '.*': '/data/train': record 7 is damaged\n")
            self.assertEqual(status, 3, text)

    def test_other_layout(self):
        text, status = self.run_all(2, "other")
        self.assertRegex(text, r"rank 0 says: rank 1 on '.*' computes with other kernels")
        self.assertEqual(text.count(" says: "), 1, text)
        self.assertEqual(status, 3, text)

    def test_ends_without_a_word(self):
        for who, speaker in ((0, 1), (2, 0)):
            text, status = self.run_all(3, "leave", str(who))
            self.assertRegex(text, rf"rank {speaker} says: rank {who} on '.*' ended without a word")
            self.assertNotEqual(status, 0, text)

    def test_stuck(self):
        text, status = self.run_all(2, "stuck")
        self.assertRegex(text, r"gave up: rank 1 on '.*': no more\n")
        self.assertEqual(status, 1, text)

    def test_killed(self):
        for what, who, speaker in (("sum", 2, 0), ("reduce", 0, 1)):
            text = self.fault(what, who, signal.SIGKILL, ranks=3)
            self.assertRegex(text, rf"rank {speaker} says: rank {who} on '.*' ended without a word")

    def test_killed_messages(self):
        text = self.fault("reduce", 0, signal.SIGKILL, ranks=3, APART="1")
        self.assertRegex(text, r"rank 1 says: rank 0 on '.*' ended without a word")

    def test_killed_tcp(self):
        for who, speaker in ((1, 0), (0, 1)):
            text = self.fault("reduce", who, signal.SIGKILL, options=TCP, APART="1")
            self.assertRegex(text, rf"rank {speaker} says: rank {who} on '.*' ended without a word")

    def test_stopped(self):
        for what, who, options in (("reduce", 1, []), ("sum", 0, TCP)):
            text = self.fault(what, who, signal.SIGSTOP, options=options, SILENCE="2")
            self.assertRegex(text, rf"rank {1 - who} says: rank {who} on '.*' has given no sign of life for ")

    def test_other_launcher(self):
        run = subprocess.run([RANK], env=environment(OMPI_COMM_WORLD_SIZE="3"), capture_output=True, text=True,
                             timeout=100)
        self.assertIn("the launcher started 3 processes, but ", run.stdout)
        self.assertEqual(run.returncode, 3)


if __name__ == "__main__":
    if not shutil.which("mpirun") or not RANK:
        print("skipped: there is no mpirun")
        sys.exit(77)
    told = subprocess.run(["mpirun", "--version"], capture_output=True, text=True, check=True).stdout
    if "Open MPI) 4." not in told: # what ranks still say when others are killed depends on the launcher
        print("skipped: the tests are for Open MPI 4")
        sys.exit(77)
    unittest.main()
