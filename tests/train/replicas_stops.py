#!/usr/bin/python3
"""Several ranks end and fail together: signals to any of them, failures of one of them, and what is refused before the first step."""
import os
import pathlib
import shutil
import subprocess
import time

from replicas_support import ENVIRONMENT, ONE_THREAD, SAVE, TERMINATE, Ranks, main, pid_of, read_metrics

OPTIONS = ("--network", "cifar", "--crop", "32", "--mean", "channel", "--init", "he", "--rate", "0.001", "--log-every", "1", "--save-every", "0", *ONE_THREAD)
TRAIN = (*OPTIONS, "--batch", "8", "--epochs", "500")


def checkpoints(run):
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def handles(pid, number):
    """Whether a process has a handler for a signal; None is no process."""
    if pid is None:
        return False
    handled = pathlib.Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0]
    return bool(int(handled, 16) >> (number - 1) & 1)


class Signals(Ranks):
    def test_a_stopped_run_goes_on_as_if_it_had_not_been(self):
        straight, stopped = self.root / "straight", self.root / "stopped"
        options = (*TRAIN, "--quiet", "--resume", "auto", "--keep", "1000", self.data)
        code, _, err = self.signalled(2, 1, TERMINATE, 5, stopped, "--run", stopped, *options)
        self.assertEqual(code, 130, err)
        self.assertEqual(len(checkpoints(stopped)), 1)
        told = read_metrics(stopped)
        self.assertIn("the same command continues", told[-1]["text"])
        end = told[-1]["step"] + 9
        for run in (stopped, straight):
            self.run_ranks(2, "--run", run, *options, "--steps", end)
        last = f"checkpoints/step-{end:09d}.safetensors"
        self.assertEqual((straight / last).read_bytes(), (stopped / last).read_bytes())
        samples = [[(event["step"], event["samples"]) for event in read_metrics(run) if event["type"] == "train"] for run in (straight, stopped)]
        self.assertEqual(*samples)

    def test_a_stop_during_validation(self):
        """Each rank stops after the same batch of it, and the epoch is closed again."""
        run, many = self.root / "validating", self.dataset("many", 400)
        options = (*OPTIONS, "--epochs", "500", "--batch", "2", "--run", run, "--resume", "auto", self.data, many)
        code, _, err = self.signalled(2, 1, TERMINATE, 25, run, *options)
        self.assertEqual(code, 130, err)
        self.run_ranks(2, *options, "--steps", "80")

    def test_a_stop_during_preparation(self):
        """A rank that is told to stop as soon as it listens to signals: all end together, after the first steps."""
        run = self.root / "preparing"
        with subprocess.Popen(self.command(2, "--run", run, *TRAIN, self.data), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=ENVIRONMENT) as process:
            deadline = time.monotonic() + 100
            while not handles(pid_of(process.pid, 1), TERMINATE) and process.poll() is None:
                self.assertLess(time.monotonic(), deadline)
            os.kill(pid_of(process.pid, 1), TERMINATE)
            out, err = process.communicate(timeout=200)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(len(checkpoints(run)), 1)
        self.assertIn("stopped at step ", out)

    def test_a_save_that_one_rank_is_asked_for(self):
        run = self.root / "saving"
        options = ("--run", run, *OPTIONS, "--batch", "8", "--epochs", "1000", "--steps", "400", "--validate-every", "1000", "--log-every", "1", self.data)
        code, out, err = self.signalled(2, 1, SAVE, 3, run, *options)
        self.assertEqual(code, 0, err)
        saved = [event["step"] for event in read_metrics(run) if event["type"] == "saved"]
        self.assertEqual(len(saved), 2, saved)
        self.assertEqual(saved[1], 400)
        self.assertIn("done ", out)


class Failures(Ranks):
    def test_a_damaged_record(self):
        damaged = self.root / "damaged"
        shutil.copytree(self.data, damaged)
        content = bytearray((damaged / "data.mdb").read_bytes())
        middle = len(content) // 2
        content[middle] ^= 1
        (damaged / "data.mdb").write_bytes(content)
        said = self.fails(2, 3, "record ", "--run", self.root / "run-damaged", *TRAIN, damaged)
        self.assertRegex(said, r"rank [01] on '.+': ")

    def test_a_loss_that_is_not_finite(self):
        run = self.root / "diverged"
        said = self.fails(2, 3, "no checkpoint had been written", "--run", run, *TRAIN, "--rate", "1000", self.data)
        self.assertIn("step ", said)

    def test_the_last_good_checkpoint_is_known_to_all(self):
        """Whichever rank it is that fails first."""
        run = self.root / "later"
        said = self.fails(2, 3, "the last good checkpoint is '", "--run", run, *TRAIN, "--rate", "0.05", "--save-every", "1", "--keep", "99",
                          self.data)
        named = said.partition("checkpoint is '")[2].partition("'")[0]
        self.assertIn(named.rpartition("/")[2], checkpoints(run))

    def test_another_dataset_on_one_rank(self):
        other = self.dataset("other", 50, seed=9)
        done = self.call(self.different(4, 3, (*TRAIN, "--steps", "2", self.data), (*TRAIN, "--steps", "2", other)))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stderr.count("an-train: error:"), 1, done.stderr)
        self.assertIn("rank 3 on '", done.stderr)
        self.assertIn("differs from rank 0 in its training set: 50 images, fingerprint ", done.stderr)

    def test_another_option_on_one_rank(self):
        options = (*TRAIN, "--steps", "2", self.data)
        done = self.call(self.different(2, 1, options, ("--decay", "0.1", *options)))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("differs from rank 0 in its decay: 0.1; rank 0 has 0.0005; start all ranks with the same", done.stderr)

    def test_a_run_folder_of_another_run(self):
        run = self.root / "taken"
        self.run_ranks(2, "--run", run, *TRAIN, "--steps", "2", self.data)
        self.fails(2, 2, "already holds a run", "--run", run, *TRAIN, "--steps", "2", self.data)


class Refusals(Ranks):
    def test_batches_that_cannot_be_shared(self):
        refuse = lambda text, *options, ranks=2: self.fails(ranks, 2, text, *OPTIONS, *options, self.data)
        refuse("--batch 7 cannot be shared equally by 2 ranks: use --batch 8, or another number of ranks", "--batch", "7")
        refuse("--batch 6 gives each of 2 ranks 3 images, but --mixup and --cutmix mix pairs: use --batch 8", "--batch", "6", "--mixup", "0.2")
        refuse("--batch 12 gives each of 2 ranks 6 images, which --accumulate 2 divides into no equal parts of an even number: use --batch 16",
               "--batch", "12", "--accumulate", "2")
        refuse("--devices 'cpu;cpu' has 2 lists for the 3 ranks of this host", "--batch", "6", "--devices", "cpu;cpu", ranks=3)
        refuse("--find-lr measures in one process", "--batch", "8", "--find-lr", "3")
        refuse("unknown option '--nonsense'", "--nonsense")

    def test_other_commands_are_for_one_process(self):
        for command in (("eval", "--run", "x", self.data), ("export", "--run", "x", "y")):
            done = self.call(self.command(2, *command))
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"an-train {command[0]} is for one process: start it without mpirun or srun", done.stderr)

    def test_only_rank_0_speaks(self):
        for options in (("--version",), ("--help",), (*TRAIN, "--dry-run", self.data)):
            many, one = (self.run_ranks(ranks, *options) for ranks in (2, 1))
            self.assertEqual(many.splitlines()[0], one.splitlines()[0])
            self.assertEqual(many.count(one.splitlines()[0]), 1, options)
        self.assertIn("with 4 images on each of 2 ranks", self.run_ranks(2, *TRAIN, "--dry-run", self.data))

    def test_devices_of_each_rank(self):
        for devices in ("auto", "cpu;cpu,cpu"):
            start, = (event for event in self.told(2, *TRAIN, "--steps", "2", "--devices", devices, self.data) if event["type"] == "start")
            self.assertEqual(start["devices"], "cpu")


if __name__ == "__main__":
    main()
