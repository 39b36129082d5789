#!/usr/bin/env python3
"""The programs as a user meets them: the whole road on small images, bad input, kills, full and read-only disks.

Run by CTest, one class at a time: road.py Ingest. Exits 77 (skipped) without python3-pil or python3-lmdb."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import lmdb
    from PIL import Image
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

BIN = os.environ["AN_BIN_DIR"]
SIDE = 72
CLASSES = ["ant", "bee", "cat", "dog"]


def picture(seed, width=96, height=80):
    """A picture of one colour gradient with a few rectangles: compresses like a photograph, differs by seed."""
    rng = random.Random(seed)
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    for _ in range(12):
        x, y = rng.randrange(width - 8), rng.randrange(height - 8)
        colour = tuple(rng.randrange(256) for _ in range(3))
        image.paste(colour, (x, y, x + rng.randrange(4, 40), y + rng.randrange(4, 40)))
    return image


def make_tree(folder, per_class):
    for label, name in enumerate(CLASSES):
        os.makedirs(os.path.join(folder, name))
        for number in range(per_class):
            picture(label * 1000 + number).save(os.path.join(folder, name, f"{number:04}.jpg"), quality=90)


def run(program, *arguments, timeout=120, **options):
    """Run to the end; a crash (signal, sanitizer report) fails at once, whatever code the test expects."""
    result = subprocess.run([os.path.join(BIN, program), *map(str, arguments)], capture_output=True, text=True,
                            timeout=timeout, errors="replace", **options)
    assert result.returncode >= 0, f"{program} died of signal {-result.returncode}: {result.stderr}"
    assert "Sanitizer" not in result.stderr and "runtime error" not in result.stderr, result.stderr
    return result


def records(dataset):
    """Everything that makes a dataset: its records and their names."""
    with lmdb.open(dataset, readonly=True, lock=False, max_dbs=8) as environment:
        with environment.begin() as transaction:
            return [list(transaction.cursor(environment.open_db(name, transaction)))
                    for name in (b"records", b"names", b"classes", b"rejected")]


class Road(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="an-road-")
        self.mounts = []

    def tearDown(self):
        for mount in self.mounts:
            subprocess.run(["umount", mount], check=False)
        shutil.rmtree(self.folder)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def mount(self, name, options):
        """A small tmpfs; skipped where that takes rights we lack."""
        path = self.path(name)
        os.makedirs(path, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"cannot mount a tmpfs: {done.stderr.strip()}")
        self.mounts.append(path)
        return path

    def tree(self, per_class=6):
        make_tree(self.path("images"), per_class)
        return self.path("images")

    def ingest(self, destination, *options, source=None):
        result = run("an-ingest", "--size", SIDE, *options, source or self.path("images"), destination)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def fails(self, code, *words, command):
        """The command ends with this exit code and a message that holds all of words."""
        result = run(*command)
        self.assertEqual(result.returncode, code, f"{command}: {result.stderr}")
        for word in words:
            self.assertIn(str(word), result.stderr, f"{command}")


class Ingest(Road):
    def test_bad_images_are_set_aside_and_listed(self):
        images = self.tree()
        good = os.path.join(images, "ant", "0000.jpg")
        bad = {"empty.jpg": b"", "text.jpg": b"this is no image\n" * 10, "cut.jpg": open(good, "rb").read()[:900]}
        for name, data in bad.items():
            with open(os.path.join(images, "bee", name), "wb") as file:
                file.write(data)
        self.ingest(self.path("set"))
        info = json.loads(run("an-ingest", "info", "--json", self.path("set")).stdout)
        self.assertEqual(info["records"], 24)
        rejected = records(self.path("set"))[3]
        self.assertEqual(len(rejected), 3)
        for name in bad:
            self.assertTrue(any(name.encode() in value for _, value in rejected), name)
        with open(self.path("set.rejected.ndjson")) as report:
            self.assertEqual(len([json.loads(line) for line in report]), 3)

    def test_same_contents_for_any_number_of_threads(self):
        self.tree()
        self.ingest(self.path("one"), "--threads", 1)
        self.ingest(self.path("three"), "--threads", 3)
        self.assertEqual(records(self.path("one")), records(self.path("three")))

    def test_killed_at_any_moment_it_continues_to_the_same_result(self):
        self.tree(per_class=40)
        self.ingest(self.path("whole"))
        rng = random.Random(1)
        command = [os.path.join(BIN, "an-ingest"), "--size", str(SIDE), self.path("images"), self.path("killed")]
        for _ in range(8):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0.0, 0.12))
            process.send_signal(signal.SIGKILL)
            process.wait()
            if os.path.exists(self.path("killed")):
                break  # it got as far as the final name, so all must be there
        else:
            self.assertEqual(run(*command).returncode, 0)
        self.assertEqual(records(self.path("whole")), records(self.path("killed")))

    def test_interrupt_keeps_the_work(self):
        self.tree(per_class=200)
        command = [os.path.join(BIN, "an-ingest"), "--size", "256", self.path("images"), self.path("set")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(0.15)
        process.send_signal(signal.SIGINT)
        message = process.communicate(timeout=60)[1]
        if process.returncode == 0:
            self.skipTest("finished before it could be interrupted")
        self.assertEqual(process.returncode, 130, message)
        self.assertFalse(os.path.exists(self.path("set")))
        self.assertEqual(run(*command).returncode, 0)

    def test_other_options_do_not_continue_an_interrupted_run(self):
        self.tree(per_class=200)
        command = [os.path.join(BIN, "an-ingest"), "--size", "256", self.path("images"), self.path("set")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.15)
        process.send_signal(signal.SIGINT)
        if process.wait() == 0:
            self.skipTest("finished before it could be interrupted")
        self.fails(2, "size", "256", command=("an-ingest", "--size", SIDE, self.path("images"), self.path("set")))

    def test_nothing_to_ingest(self):
        os.makedirs(self.path("empty"))
        for source in ("empty", "missing"):
            result = run("an-ingest", self.path(source), self.path("set"))
            self.assertIn(result.returncode, (1, 3), result.stderr)
            self.assertIn(self.path(source), result.stderr)
            self.assertFalse(os.path.exists(self.path("set")))

    def test_only_rubbish(self):
        os.makedirs(self.path("images", "ant"))
        for number in range(5):
            with open(self.path("images", "ant", f"{number}.jpg"), "wb") as file:
                file.write(os.urandom(500))
        result = run("an-ingest", self.path("images"), self.path("set"))
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertFalse(os.path.exists(self.path("set")))

    def test_an_existing_destination_is_left_alone(self):
        self.tree()
        self.ingest(self.path("set"))
        before = records(self.path("set"))
        result = run("an-ingest", "--size", SIDE, self.path("images"), self.path("set"))
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(self.path("set"), result.stderr)
        self.assertEqual(records(self.path("set")), before)

    def test_impossible_options(self):
        self.tree()
        for options in (["--size", "0"], ["--size", "x"], ["--quality", "101"], ["--codec", "gif"], ["--nonsense"],
                        ["--threads", "-1"]):
            self.fails(2, options[0], command=("an-ingest", *options, self.path("images"), self.path("set")))
        self.fails(2, command=("an-ingest",))

    def test_read_only_folder(self):
        self.tree()
        place = self.mount("readonly", "ro,size=1m")
        self.fails(1, place, "ead-only", command=("an-ingest", "--size", SIDE, self.path("images"),
                                                  os.path.join(place, "set")))

    def test_full_disk_and_then_room(self):
        self.tree(per_class=60)
        place = self.mount("small", "size=600k")
        destination = os.path.join(place, "set")
        self.fails(1, destination, "pace", command=("an-ingest", "--size", SIDE, "--codec", "rgb",
                                                    self.path("images"), destination))
        self.assertFalse(os.path.exists(destination))
        subprocess.run(["mount", "-o", "remount,size=64m", place], check=True)
        self.ingest(destination, "--codec", "rgb")
        self.ingest(self.path("whole"), "--codec", "rgb")
        self.assertEqual(records(destination), records(self.path("whole")))


class Dataset(Road):
    """A dataset that is not one, or not whole, met by every program that reads it."""

    def readers(self, dataset):
        return (("an-ingest", "info", dataset), ("an-bench-io", "--batches", "2", "--batch", "4", "--crop", "64", dataset),
                ("an-train", "--run", self.path("run"), "--crop", "64", "--batch", "4", "--steps", "1", dataset))

    def all_fail(self, dataset, *words):
        for command in self.readers(dataset):
            result = run(*command)
            self.assertIn(result.returncode, (1, 3), f"{command}: {result.stderr}")
            for word in (dataset, *words):
                self.assertIn(word, result.stderr, f"{command}")

    def test_missing(self):
        self.all_fail(self.path("missing"))

    def test_not_lmdb(self):
        os.makedirs(self.path("set"))
        with open(self.path("set", "data.mdb"), "wb") as file:
            file.write(b"not a database" * 1000)
        self.all_fail(self.path("set"))

    def test_empty_file(self):
        os.makedirs(self.path("set"))
        open(self.path("set", "data.mdb"), "wb").close()
        self.all_fail(self.path("set"))

    def test_lmdb_of_somebody_else(self):
        with lmdb.open(self.path("set"), max_dbs=4) as environment:
            with environment.begin(write=True) as transaction:
                transaction.put(b"key", b"value")
        self.all_fail(self.path("set"))

    def test_cut_short(self):
        self.tree()
        self.ingest(self.path("set"))
        data = self.path("set", "data.mdb")
        for share in (0.9, 0.5, 0.1):
            os.truncate(data, int(os.path.getsize(data) * share))
            self.all_fail(self.path("set"))

    def test_one_flipped_bit_in_a_record(self):
        self.tree()
        self.ingest(self.path("set"))
        key, value = records(self.path("set"))[0][7]
        data = self.path("set", "data.mdb")
        with open(data, "r+b") as file:
            at = file.read().find(value) + len(value) // 2
            file.seek(at)
            byte = file.read(1)[0] ^ 0x10
            file.seek(at)
            file.write(bytes([byte]))
        name = records(self.path("set"))[1][7][1][4:].decode()
        for command in (("an-bench-io", "--batches", "6", "--batch", "4", "--crop", "64", self.path("set")),
                        ("an-train", "--run", self.path("run"), "--crop", "64", "--batch", "4", "--epochs", "1",
                         self.path("set"))):
            self.fails(3, name, self.path("set"), command=command)


class Train(Road):
    def test_learns_and_evaluates(self):
        self.tree()
        self.ingest(self.path("set"))
        common = ("--crop", "64", "--batch", "8", "--init", "he")
        result = run("an-train", "--run", self.path("run"), *common, "--steps", "4", self.path("set"), self.path("set"))
        self.assertEqual(result.returncode, 0, result.stderr)
        result = run("an-train", "eval", "--run", self.path("run"), "--show", "3", self.path("set"))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("top-1", result.stdout)
        self.assertTrue(any(name in result.stdout for name in CLASSES), result.stdout)

    def test_impossible_options(self):
        self.tree()
        self.ingest(self.path("set"))
        for options in (["--crop", "500"], ["--crop", "16"], ["--batch", "0"], ["--rate", "nan"], ["--init", "zero"],
                        ["--devices", "tpu"]):
            result = run("an-train", "--run", self.path("run"), "--batch", "4", "--crop", "64", *options, "--steps", "1",
                         self.path("set"))
            self.assertEqual(result.returncode, 2, f"{options}: {result.stderr}")
            self.assertIn(options[0].strip("-"), result.stderr)

    def test_full_disk(self):
        self.tree()
        self.ingest(self.path("set"))
        place = self.mount("small", "size=300k")
        result = run("an-train", "--run", os.path.join(place, "run"), "--crop", "64", "--batch", "8", "--init", "he",
                     "--steps", "1", self.path("set"))
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("pace", result.stderr)
        leftovers = [name for _, _, files in os.walk(place) for name in files if name.endswith(".safetensors")]
        self.assertEqual(leftovers, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
