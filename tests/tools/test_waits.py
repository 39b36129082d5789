#!/usr/bin/env python3
"""No program waits for ever. A named pipe, or a device, stands wherever a program opens a path that somebody named or that lies in a folder
somebody named: it is refused or passed over within a time limit. Where a program does wait, the first signal ends it."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import unittest

sys.dont_write_bytecode = True
sys.path += [str(pathlib.Path(__file__).parents[1] / folder) for folder in ("ingest", "train")]
from pictures import png
from test_ends import BIN, DATA, INTERRUPTED, OK, SYSTEM, USAGE, Files
from weights import load, save

LIMIT = 120  # seconds; a program that waits for the other end of a pipe waits for ever
SMALL = ["--network", "cifar", "--crop", "24", "--batch", "8", "--compute-threads", "1", "-j", "1", "--quiet"]


class Waits(Files):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pipe = cls.root / "pipe"
        cls.set = cls.root / "set"
        cls.trained = cls.root / "trained"
        cls.must("an-train", *SMALL, "--steps", 4, "--save-every", 2, "--run", cls.trained, cls.set, cls.set)
        cls.weights = cls.trained / "best.safetensors"
        cls.alone = save(cls.root / "alone.safetensors", load(cls.weights))

    @classmethod
    def environment(cls):
        return {**os.environ, "XDG_CACHE_HOME": str(cls.root / "cache")}

    @classmethod
    def call(cls, program, *arguments):
        return subprocess.run([f"{BIN}/{program}", *map(str, arguments)], capture_output=True, text=True, timeout=LIMIT,
                              stdin=subprocess.DEVNULL, env=cls.environment(), cwd=cls.root)

    @classmethod
    def must(cls, *arguments):
        result = cls.call(*arguments)
        if result.returncode:
            raise AssertionError(result.stderr)

    def refused(self, name, *arguments, code=DATA):
        """name: what the message must call by its name."""
        with self.subTest(arguments=arguments):
            result = self.call(*arguments)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn(str(name), result.stderr)
            return result.stderr

    def pipe_at(self, path):
        """In place of whatever is there."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
        return path

    def new(self, name):
        path = self.root / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def copy(self, name):
        path = self.root / name
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.trained, path)
        return path


class Training(Waits):
    def train(self, *arguments):
        return ("an-train", *SMALL, "--steps", 8, *arguments)

    def test_what_is_named(self):
        for odd in (self.pipe, "/dev/zero"):
            self.refused(odd, *self.train("--weights", odd, self.set))
            self.refused(odd, *self.train("--resume", odd, self.set))
            self.refused(odd, *self.train("--recipe", odd, self.set))
            for command in (["an-train", "eval", self.set], ["an-show", "filters", "x.svg"], ["an-show", "predict", "--dataset", self.set]):
                self.refused(odd, *command, "--weights", odd)
            self.refused(odd, "an-train", "eval", "--weights", self.alone, "--recipe", odd, self.set)
            self.refused(odd, "an-train", "export", "--weights", odd, "new")
        self.refused("piped", *self.train(self.set, self.root / "piped"))
        self.refused("piped", "an-train", "eval", "--weights", self.weights, self.root / "piped")
        self.refused(self.pipe, *self.train("--run", self.pipe, self.set), code=SYSTEM)

    def test_what_lies_in_the_folder(self):
        for name in ("recipe.txt", "metrics.jsonl", "checkpoints/step-000000004.safetensors", "best.safetensors"):
            run = self.copy("run")
            self.pipe_at(run / name)
            self.refused(name, *self.train("--run", run, "--resume", "auto", self.set, self.set))
            self.assertTrue((run / name).is_fifo())
        for name in ("checkpoints", "tensorboard"):
            run = self.copy("run")
            self.pipe_at(run / name)
            self.refused(name, *self.train("--run", run, "--resume", "auto", "--tensorboard", self.set), code=SYSTEM)

    def test_where_a_checkpoint_will_be_written(self):
        run = self.copy("run")
        name = self.pipe_at(run / "checkpoints" / "step-000000006.safetensors")
        self.refused(name, *self.train("--run", run, "--resume", "auto", "--save-every", 2, self.set))
        name.unlink()
        name.mkdir()
        self.refused(name, *self.train("--run", run, "--resume", "auto", "--save-every", 2, self.set))
        # Beyond the last step it is in nobody's way.
        name.rename(name.with_name("step-000000009.safetensors"))
        self.must(*self.train("--run", run, "--resume", "auto", "--save-every", 2, self.set))

    def test_choices_of_kernels(self):
        run = self.copy("run")
        self.pipe_at(run / "engines.txt")
        pipe = self.pipe_at(self.root / "cache" / "an" / "engines.txt")
        result = self.call(*self.train("--run", run, "--resume", "auto", self.set))
        self.assertEqual(result.returncode, OK, result.stderr)
        for path in (run / "engines.txt", pipe):
            self.assertIn(f"'{path}' is a named pipe", result.stderr)
            self.assertTrue(path.is_fifo())
        pipe.unlink()

    def test_readers_of_a_run(self):
        run = self.copy("run")
        self.pipe_at(run / "best.safetensors")
        for command in (["an-train", "eval", self.set], ["an-train", "export", "new"], ["an-show", "filters", "x.svg"],
                        ["an-show", "predict", "--dataset", self.set], ["an-show", "report", "-o", "x.html"]):
            where = [run] if command[1] == "report" else ["--run", run]
            self.refused("best.safetensors", *command, *where)
        (run / "best.safetensors").unlink()
        self.pipe_at(run / "checkpoints" / "step-000000004.safetensors")
        self.must("an-train", "eval", "--run", run, self.set)  # from the checkpoint before
        self.pipe_at(run / "metrics.jsonl")
        self.refused("metrics.jsonl", "an-show", "curves", run)
        self.refused("metrics.jsonl", "an-show", "report", "-o", "x.html", run)


class Ingesting(Waits):
    def ingest(self, *arguments):
        shutil.rmtree(self.root / "out", ignore_errors=True)
        return ("an-ingest", "--quiet", "--size", 16, *arguments, self.root / "out")

    def test_what_is_named(self):
        source = self.root / "idx" / "train-images-idx3-ubyte"
        for odd in (self.pipe, "/dev/zero"):
            self.refused(odd, *self.ingest(odd))
            for option in ("--labels", "--class-names", "--classes-from"):
                self.refused(odd, *self.ingest(option, odd, source))
            self.refused(odd, *self.ingest("--devkit", odd, self.root / "flat"))
        for command in ("info", "verify", "stats"):
            self.refused("piped", "an-ingest", command, self.root / "piped")
        for command in ("transcode", "export"):
            self.refused("piped", "an-ingest", command, self.root / "piped", self.root / "new")
        self.refused("piped", *self.ingest(self.root / "piped"))

    def test_idx(self):
        for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
            folder = self.root / "pipes"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(self.root / "idx", folder)
            self.pipe_at(folder / name)
            self.refused(name, *self.ingest(folder / "train-images-idx3-ubyte"))

    def test_cifar(self):
        folder = self.new("cifar")
        self.pipe_at(folder / "data_batch_1.bin")
        self.refused("data_batch_1.bin", *self.ingest("--kind", "cifar10", folder / "data_batch_1.bin"))

    def test_tars(self):
        folder = self.new("shards")
        self.pipe_at(folder / "a.tar")
        self.refused("a.tar", *self.ingest(folder))

    def test_list(self):
        folder = self.new("listed")
        self.pipe_at(folder / "a.png")
        (folder / "list.tsv").write_text("a.png\tant\n")
        self.refused("inputs are unusable", *self.ingest(folder / "list.tsv"))
        self.assertIn("a named pipe", (self.root / "out.rejected.ndjson").read_text())
        shutil.rmtree(self.root / "out.partial")
        self.pipe_at(folder / "list.tsv")
        self.refused("list.tsv", *self.ingest(folder / "list.tsv"))

    def test_beside_the_images(self):
        folder = self.new("classes")
        for name in ("ant", "bee"):
            (folder / name).mkdir()
            (folder / name / "a.png").write_bytes(png(1))
        self.pipe_at(folder / "classes.tsv")
        self.refused("classes.tsv", *self.ingest(folder))

    def test_the_destination(self):
        source = self.root / "idx" / "train-images-idx3-ubyte"
        for name, code in (("out.partial", USAGE), ("out.partial/data.mdb", None)):
            shutil.rmtree(self.root / "out.partial", ignore_errors=True)
            self.pipe_at(self.root / name)
            with self.subTest(name=name):
                result = self.call(*self.ingest(source))
                self.assertIn(result.returncode, (code,) if code else (1, 2, DATA), result.stderr)
                self.assertIn("out.partial", result.stderr)
                self.assertTrue((self.root / name).is_fifo())
            (self.root / name).unlink()
        shutil.rmtree(self.root / "out.partial", ignore_errors=True)

    def test_the_report(self):
        folder = self.new("bad")
        (folder / "ant").mkdir()
        (folder / "ant" / "a.png").write_bytes(b"no picture")
        report = self.pipe_at(self.root / "out.rejected.ndjson")
        self.refused(report, *self.ingest("--max-bad", "100%", folder))
        report.unlink()
        shutil.rmtree(self.root / "out.partial", ignore_errors=True)


class Drawing(Waits):
    def test_what_is_named(self):
        for odd in (self.pipe, "/dev/zero"):
            self.refused(odd, "an-show", "network", "--weights", self.alone, "--recipe", odd, "x.svg")
            self.refused(odd, "an-show", "neighbors", "--weights", self.weights, "--features", odd, self.set, self.set)
        picture = self.pipe_at(self.root / "picture.png")
        self.refused(picture, "an-show", "predict", "--weights", self.weights, picture)
        for command in (["augment"], ["predict", "--weights", self.weights, "--dataset"]):
            self.refused("piped", "an-show", *command, self.root / "piped", *(["x.svg"] if command == ["augment"] else []))
        self.refused("piped", "an-bench-io", self.root / "piped")


class Signals(Waits):
    """Where a program waits for a reader, as it should, the first signal ends it."""

    def ready(self, process):
        """Whether it sleeps with its handlers installed: it may go on to wait elsewhere, which must not matter."""
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        return caught >> (signal.SIGTERM - 1) & 1 and "State:\tS" in status

    def stopped(self, *arguments, codes=(INTERRUPTED,)):
        with self.subTest(arguments=arguments):
            process = subprocess.Popen([f"{BIN}/{arguments[0]}", *map(str, arguments[1:])], stdin=subprocess.DEVNULL, cwd=self.root,
                                       stdout=subprocess.DEVNULL, env=self.environment())
            try:
                seen, until = 0, time.monotonic() + LIMIT
                while process.poll() is None and seen < 20 and time.monotonic() < until:
                    seen = seen + 1 if self.ready(process) else 0
                    time.sleep(0.02)
                self.assertIsNone(process.poll(), "it ended too early")
                process.send_signal(signal.SIGTERM)
                self.assertIn(process.wait(timeout=LIMIT), codes)
            finally:
                process.kill()
                process.wait()

    def test_pictures(self):
        for name in ("x.svg", "y.png"):
            picture = self.pipe_at(self.root / name)
            for command in (["network"], ["filters", "--weights", self.weights], ["augment", "--crop", 24, self.set]):
                self.stopped("an-show", *command, picture)
        self.stopped("an-show", "report", "-o", self.pipe_at(self.root / "x.html"), self.trained)
        self.stopped("an-show", "curves", "-o", self.pipe_at(self.root / "z.svg"), self.trained)

    def test_weights(self):
        self.stopped("an-train", "export", "--run", self.trained, self.pipe_at(self.root / "export"))

    def test_chart(self):
        chart = self.pipe_at(self.root / "chart.png")
        self.stopped("an-bench-io", "--crop", 24, "--batch", 8, "--stage", "full", "--seconds", 1, "--chart", chart, self.set)


if __name__ == "__main__":
    unittest.main()
