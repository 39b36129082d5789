#!/usr/bin/python3
"""What an-train answers to command lines and recipes: mistakes, what one option implies for others, and how a stopped run goes on."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import pictures

BIN = os.path.abspath(os.environ.get("AN_BIN_DIR", "build/release/bin"))
SMALL = ["--network", "cifar", "--crop", "32", "--init", "he", "--compute-threads", "1", "-j", "1"]


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.folder.name)
        pictures.write(cls.root / "images", 21, 3)
        subprocess.run([f"{BIN}/an-ingest", "--size", str(pictures.SIDE), "--codec", "rgb", cls.root / "images", cls.root / "data"],
                       check=True, capture_output=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def train(self, *words, code=0):
        done = subprocess.run([f"{BIN}/an-train", *map(str, words), str(self.root / "data")], capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def recipe(self, text):
        path = self.root / "recipe"
        path.write_text(text)
        return path

    def refused(self, message, *words):
        self.assertIn(message, self.train(*words, code=2).stderr)

    def test_mistakes_are_named(self):
        for given, meant in (("--lr", "--rate"), ("--weight-decay", "--decay"), ("--batch-size", "--batch"), ("--workers", "--threads"),
                             ("--gpus", "--devices"), ("--epohcs", "--epochs"), ("--drop-last", "--last"), ("--num_epochs", "--epochs")):
            self.refused(f"unknown option '{given}': did you mean '{meant}'?", given, "1")
        for text, line in (("batch = 4\nlr = 0.1\n", "line 2: unknown option 'lr': did you mean 'rate'?"),
                           ("batch = 4\n\nbatch = 4\n", "line 3: 'batch' is given twice, in line 1 before"),
                           ("recipe = other\n", "line 1: 'recipe' has no effect in a file")):
            self.refused(line, "--recipe", self.recipe(text))

    def test_of_two_values_the_last_counts(self):
        done = self.train("--rate", 0.1, "--rate", 0.001, "--recipe", "other", "--recipe", self.recipe("batch = 4"), "--steps", 1, *SMALL)
        self.assertIn("  rate 0.001 ", done.stdout)
        self.assertEqual([line for line in done.stderr.splitlines() if "twice" in line],
                         ["an-train: warning: option '--rate' is given twice: '0.001' counts, not '0.1'",
                          f"an-train: warning: option '--recipe' is given twice: '{self.root / 'recipe'}' counts, not 'other'"])

    def test_overfit_takes_a_recipe_of_another_run(self):
        run = self.root / "overfit"
        recipe = self.recipe("network = cifar\ncrop = 32\ninit = he\nbatch = 20\nschedule = plateau\nrate = 0.001\n")
        self.train("--recipe", recipe, "--overfit", 6, "--steps", 2, "--run", run, "--compute-threads", 1, "-j", 1)
        used = dict(line.split(" = ") for line in (run / "recipe.txt").read_text().splitlines())
        self.assertEqual([used[name] for name in ("overfit", "batch", "schedule", "validate-every", "rate")],
                         ["6", "6", "constant", "100", "0.001"])
        self.refused("--batch 20 is more than the 6 images", "--recipe", recipe, "--overfit", 6, "--batch", 20)

    def test_find_lr_as_json(self):
        lines = [json.loads(line) for line in self.train("--find-lr", 12, "--json", "--batch", 4, *SMALL).stdout.splitlines()]
        self.assertEqual([line["type"] for line in lines], ["find-lr"] * (len(lines) - 1) + ["found-lr"])
        self.assertEqual([line["step"] for line in lines[:-1]], list(range(len(lines) - 1)))
        self.assertEqual(sorted(lines[-1]), ["bar", "bar_is", "lowest_loss", "lowest_rate", "rate", "type"])

    def test_a_stopped_run_says_how_it_goes_on(self):
        run = self.root / "stopped"
        words = [*SMALL, "--batch", 4, "--schedule", "constant", "--epochs", 100000, "--log-every", 1, "--run", run]
        with subprocess.Popen([f"{BIN}/an-train", *map(str, words), str(self.root / "data")], stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if line.startswith("step      2/"):
                    process.send_signal(signal.SIGTERM)
                    break
            rest = process.stdout.read()
        self.assertEqual(process.returncode, 130)
        self.assertRegex(rest, r"stopped at step \d+ of 525000: the same command with --resume auto continues\n")
        step = int(rest.split("stopped at step ")[1].split()[0])
        metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        self.assertIn(step, [line["step"] for line in metrics if line["type"] == "train"])
        after = self.train(*words, "--resume", "auto", "--steps", step + 1)
        self.assertIn(f"step {step} to {step + 1}", after.stdout)


unittest.main()
