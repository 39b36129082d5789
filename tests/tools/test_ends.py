#!/usr/bin/env python3
"""How the programs end: the exit code for each kind of failure, and that closed standard streams do no harm."""
import os
import pathlib
import signal
import struct
import subprocess
import tarfile
import tempfile
import time
import unittest

BIN = os.environ["AN_BIN_DIR"]
OK, SYSTEM, USAGE, DATA, INTERRUPTED = 0, 1, 2, 3, 130

# {} is a folder with: set, a dataset; idx, its source; text and noise, files that are nothing; pipe, a named pipe; empty,
# a folder; one, a dataset with one class; flat and flat.tar, an image without a class; ids, blank, mixed, twice and other, texts;
# damaged, half of a dataset; piped, a folder whose data.mdb is a named pipe.
CASES = {
    "an-ingest": [
        (USAGE, "", "too few"), (USAGE, "--frob", "--frob"),
        (USAGE, "--size 4 {}/idx/train-images-idx3-ubyte {}/new", "--size"), (USAGE, "{}/idx/train-images-idx3-ubyte", "DESTINATION"),
        (USAGE, "{}/idx/train-images-idx3-ubyte {}/empty", "exists"), (USAGE, "{}/idx/train-images-idx3-ubyte {}/text", "exists"),
        (USAGE, "--kind zip {}/idx/train-images-idx3-ubyte {}/new", "no such kind"), (USAGE, "- {}/new", "--classes-from"),
        (USAGE, "--max-bad x {}/idx/train-images-idx3-ubyte {}/new", "--max-bad"), (USAGE, "--codec x {}/idx/train-images-idx3-ubyte {}/new", "--codec"),
        (SYSTEM, "{}/absent {}/new", "absent"), (SYSTEM, "{}/idx/train-images-idx3-ubyte {}/text/new", "text/new"),
        (SYSTEM, "--classes-from {}/absent {}/idx/train-images-idx3-ubyte {}/new", "absent"), (SYSTEM, "info {}/absent", "absent"),
        (SYSTEM, "sheet {}/set {}/absent/a.png", "absent"), (SYSTEM, "export {}/set {}/text/new", "text"),
        (DATA, "{}/noise {}/new", "no source of images"), (DATA, "{}/empty {}/new", "no class folders"),
        (DATA, "{}/pipe {}/new", "a named pipe"), (DATA, "--class-names {}/pipe {}/idx/train-images-idx3-ubyte {}/new", "a named pipe"),
        (DATA, "--classes-from {}/pipe {}/idx/train-images-idx3-ubyte {}/new", "pipe"), (DATA, "--labels {}/pipe {}/idx/train-images-idx3-ubyte {}/new", "a named pipe"),
        (DATA, "--labels {}/text {}/idx/train-images-idx3-ubyte {}/new", "text"), (DATA, "--devkit {}/pipe {}/empty {}/new", "a named pipe"),
        (DATA, "--devkit {}/text {}/empty {}/new", "devkit"), (DATA, "{}/text {}/new", "line 1: no file 'This is no image"),
        (DATA, "{}/mixed {}/new", "line 2: class 'cat' is no number"), (DATA, "{}/twice {}/new", "line 2: 'a.jpg' is of class"),
        (DATA, "--classes-from {}/blank {}/idx/train-images-idx3-ubyte {}/new", "no classes in"),
        (DATA, "--classes-from {}/blank - {}/new", "no classes in"), (DATA, "--classes-from {}/ids - {}/new", "no images on standard input"),
        (DATA, "--classes-from {}/ids {}/mixed {}/new", "line 2: class 'cat' is not among the 2 given classes"),
        (DATA, "--classes-from {}/ids {}/set {}/new", "is not among the 2 given classes"),
        (DATA, "--class-names {}/ids {}/idx/train-images-idx3-ubyte {}/new", "a name for none of the 10 classes"),
        (DATA, "--labels {}/blank {}/flat {}/new", "no labels in it"), (DATA, "--labels {}/ids {}/flat {}/new", "2 labels"),
        (DATA, "--labels {}/other {}/flat {}/new", "other': no label for 'a.jpg'"), (DATA, "--labels {}/mixed {}/flat.tar {}/new", "mixed': no label for 'c.jpg'"),
        (DATA, "{}/flat.tar {}/new", "--devkit"), (DATA, "info {}/text", "no dataset"),
        (DATA, "verify {}/damaged", "damaged"), (DATA, "info {}/piped", "a named pipe"),
        (DATA, "transcode {}/empty {}/new", "no dataset"), (USAGE, "transcode {}/set", "too few"),
        (USAGE, "info --frob {}/set", "--frob")],
    "an-train": [
        (USAGE, "", "too few"), (USAGE, "--frob {}/set", "--frob"), (USAGE, "--rate 0 {}/set", "--rate"),
        (USAGE, "--network x {}/set", "--network"), (USAGE, "{}/set", "--crop"), (USAGE, "eval {}/set", "--weights"),
        (USAGE, "--network cifar --crop 24 --batch 8 --devices quantum {}/set", "--devices quantum"),
        (SYSTEM, "{}/absent", "absent"), (SYSTEM, "--recipe {}/absent {}/set", "absent"),
        (SYSTEM, "eval --weights {}/absent {}/set", "absent"), (SYSTEM, "export --weights {}/absent {}/new", "absent"),
        (DATA, "{}/empty", "no dataset"), (DATA, "{}/damaged", "damaged"), (DATA, "--crop 24 {}/one", "1 class:"), (DATA, "--recipe {}/pipe {}/set", "a named pipe"),
        (DATA, "eval --weights {}/pipe {}/set", "a named pipe"), (DATA, "eval --weights {}/text {}/set", "text"),
        (DATA, "export --weights {}/text {}/new", "text")],
    "an-bench-io": [
        (USAGE, "", "too few"), (USAGE, "--stage x {}/set", "--stage"), (USAGE, "--crop 99 {}/set", "crop 99"),
        (SYSTEM, "{}/absent", "absent"), (DATA, "{}/empty", "no dataset"), (DATA, "{}/piped", "a named pipe")],
    "an-show": [
        (USAGE, "", "too few"), (USAGE, "draw", "draw"), (USAGE, "network {}/x.gif", ".png, .svg or .pdf"),
        (SYSTEM, "network {}/absent/x.svg", "absent"), (SYSTEM, "filters --weights {}/absent {}/x.svg", "absent"),
        (DATA, "filters --weights {}/text {}/x.svg", "text"), (DATA, "filters --weights {}/pipe {}/x.svg", "a named pipe"),
        (DATA, "augment {}/empty {}/x.svg", "no dataset")],
}


def make_images(folder, classes=10):
    folder.mkdir()
    images = folder / "train-images-idx3-ubyte"
    images.write_bytes(struct.pack(">IIII", 0x803, 64, 28, 28) +
                       bytes((i * 7 + p) % 256 for i in range(64) for p in range(28 * 28)))
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 64) + bytes(i % classes for i in range(64)))
    return images


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="an-ends-")
        cls.root = root = pathlib.Path(cls.temporary.name)
        cls.source = make_images(root / "idx")
        subprocess.run([f"{BIN}/an-ingest", "--quiet", "--size", "32", cls.source, root / "set"], check=True)
        (root / "text").write_text("This is no image, no list, no weights.\n" * 20)
        (root / "noise").write_bytes(bytes(range(200, 256)) * 20)
        (root / "empty").mkdir()
        for name, content in {"ids": "ant\nbee\n", "blank": "\n", "mixed": "a.jpg\t1\nb.jpg\tcat\n",
                              "twice": "a.jpg\t1\na.jpg\t2\n", "other": "b.jpg\tant\n"}.items():
            (root / name).write_text(content)
        (root / "flat").mkdir()
        (root / "flat" / "a.jpg").write_bytes(b"\xff\xd8\xff")
        with tarfile.open(root / "flat.tar", "w") as tar:
            tar.add(root / "flat" / "a.jpg", "c.jpg")
        make_images(root / "idx1", 1)
        subprocess.run([f"{BIN}/an-ingest", "--quiet", "--size", "32", root / "idx1" / "train-images-idx3-ubyte", root / "one"], check=True)
        os.mkfifo(root / "pipe")
        for name in ("piped", "damaged"):
            (root / name).mkdir()
        os.mkfifo(root / "piped" / "data.mdb")
        whole = (root / "set" / "data.mdb").read_bytes()
        (root / "damaged" / "data.mdb").write_bytes(whole[:len(whole) // 2])

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()


class Codes(Files):
    def check_program(self, program):
        for code, line, text in CASES[program]:
            words = [word.replace("{}", str(self.root)) for word in line.split()]
            with self.subTest(program=program, line=line):
                result = subprocess.run([f"{BIN}/{program}", *words], capture_output=True, text=True, timeout=100,
                                        stdin=subprocess.DEVNULL)
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertIn(text, result.stderr)
                self.assertRegex(result.stderr, rf"(?m)^{program}: error: ")
        self.assertFalse((self.root / "new").exists())

    def test_ingest(self):
        self.check_program("an-ingest")

    def test_train(self):
        self.check_program("an-train")

    def test_bench(self):
        self.check_program("an-bench-io")

    def test_show(self):
        self.check_program("an-show")

    def test_help_says_the_codes(self):
        for program in CASES:
            text = subprocess.run([f"{BIN}/{program}", "--help"], capture_output=True, text=True, check=True).stdout
            words = [line.split() for line in text.partition("Exit status:")[2].partition("\n\n")[0].splitlines()]
            codes = [int(line[0]) for line in words if line and line[0].isdigit()]
            self.assertEqual(codes, [OK, SYSTEM, USAGE, DATA, INTERRUPTED])


class ClosedStreams(Files):
    """Each program runs until it is told to end, so that one can look at its descriptors meanwhile."""

    def start(self, program, *words):
        return subprocess.Popen([f"{BIN}/{program}", *map(str, words)], preexec_fn=lambda: os.closerange(0, 3))

    def check_streams(self, process):
        """Descriptor 2 is the last to be opened: once it is there, all three must be the null device."""
        link = f"/proc/{process.pid}/fd/2"
        while process.poll() is None and not os.path.lexists(link):
            time.sleep(0.005)
        self.assertIsNone(process.poll(), "it ended too early")
        for fd in range(3):
            self.assertEqual(os.readlink(f"/proc/{process.pid}/fd/{fd}"), "/dev/null")

    def check_interrupted(self, process, begun=None):
        """begun: a file that is there once the program is at work."""
        try:
            self.check_streams(process)
            while process.poll() is None and begun and not begun.exists():
                time.sleep(0.005)
            while process.poll() is None and not self.caught(process) >> (signal.SIGINT - 1) & 1:
                time.sleep(0.005)
            self.assertIsNone(process.poll(), "it ended too early")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(timeout=100), INTERRUPTED)
        finally:
            process.kill()
            process.wait()

    def caught(self, process):
        for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return int(line.split()[1], 16)
        self.fail("the process is gone")

    def test_ingest_writes_a_sound_dataset(self):
        out = self.root / "closed"
        self.assertEqual(self.start("an-ingest", "--size", 32, self.source, out).wait(timeout=100), OK)
        self.assertEqual((out / "data.mdb").read_bytes(), (self.root / "set" / "data.mdb").read_bytes())

    def test_bench_streams(self):
        self.check_interrupted(self.start("an-bench-io", "--crop", 24, "--seconds", 1000, self.root / "set"))

    def test_train_streams(self):
        metrics = self.root / "run" / "metrics.jsonl"
        self.check_interrupted(self.start("an-train", "--network", "cifar", "--crop", 24, "--batch", 8, "--epochs", 100000,
                                          "--run", self.root / "run", self.root / "set"), metrics)
        for line in metrics.read_text().splitlines():
            self.assertTrue(line.startswith("{"), line)

    def test_show_streams(self):
        picture = self.root / "network.svg"
        os.mkfifo(picture)  # the program waits until somebody reads it
        process = self.start("an-show", "network", picture)
        try:
            self.check_streams(process)
            with open(picture, "rb") as file:
                text = file.read()
            self.assertTrue(text.startswith(b"<?xml") and text.rstrip().endswith(b"</svg>"))
            self.assertEqual(process.wait(timeout=100), OK)
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    unittest.main()
