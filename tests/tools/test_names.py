#!/usr/bin/env python3
"""Names of files and classes may be any bytes. They are kept, no program chokes on them, and none of them can control the
terminal: what is not plain text is shown as \\xHH."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ingest"))
from pictures import png

BIN = os.environ["AN_BIN_DIR"].encode()
CLASSES = [b"\x1b[31mRED", "bär".encode(), b"caf\xe9"]  # in the order of their labels
SHOWN = [rb"\x1b[31mRED", "bär".encode(), rb"caf\xe9"]
RECIPE = b"network = cifar\ncrop = 32\nbatch = 8\n"


class Names(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="an-names-")
        root = os.fsencode(cls.temporary.name)
        cls.root, cls.data, cls.run_folder = root, root + b"/d\xe9ta", root + b"/r\xffn"
        cls.source = root + b"/in"
        for number, name in enumerate(CLASSES):
            os.makedirs(cls.source + b"/" + name)
            for i in range(8):
                with open(cls.source + b"/" + name + b"/p\xfc%d\x1b[2J.png" % i, "wb") as file:
                    file.write(png(8 * number + i))
        with open(cls.source + b"/caf\xe9/rub\x1b]0;bish\x07\nan-ingest: error.jpg", "wb") as file:
            file.write(b"rubbish")
        with open(root + b"/recipe", "wb") as file:
            file.write(RECIPE)
        cls.made = cls.call("an-ingest", "--size", "40", "--max-bad", "1", cls.source, cls.data)
        cls.trained = cls.call("an-train", "--recipe", root + b"/recipe", "--run", cls.run_folder, "--steps", "3",
                               cls.data, cls.data)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def call(cls, program, *arguments):
        return subprocess.run([BIN + b"/" + program.encode(), *map(os.fsencode, arguments)], capture_output=True,
                              cwd=cls.root)

    def output(self, result, code=0):
        """What was printed and logged, which must be fit for a terminal."""
        self.assertEqual(result.returncode, code, result.stderr)
        text = result.stdout + result.stderr
        text.decode()
        controls = {byte for byte in text if byte < 32 or byte == 127} - {ord("\n"), ord("\t")}
        self.assertEqual(controls, set(), text)
        return text

    def shown(self, code, *arguments):
        return self.output(self.call(*arguments), code)

    def parsed(self, *arguments):
        result = self.call(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_ingest_and_train(self):
        self.assertIn(rb"d\xe9ta: 24 images of 3 classes", self.output(self.made))
        self.assertIn(rb"r\xffn", self.output(self.trained))
        self.shown(0, "an-ingest", "--dry-run", "--max-bad", "1", self.source)
        self.shown(0, "an-train", "--recipe", self.root + b"/recipe", "--dry-run", self.data, self.data)

    def test_info(self):
        text = self.shown(0, "an-ingest", "info", "--classes", self.data)
        for name in SHOWN:
            self.assertIn(b"  %s  %s\n" % (name, name), text)
        self.assertIn(rb"    caf\xe9/rub\x1b]0;bish\x07\x0aan-ingest: error.jpg: not a JPEG", text)
        info = self.parsed("an-ingest", "info", "--json", self.data)
        self.assertEqual([c["id"] for c in info["classes"]], ["\x1b[31mRED", "bär", r"caf\xe9"])
        self.assertEqual(info["set_aside"][0]["path"], "caf\\xe9/rub\x1b]0;bish\x07\nan-ingest: error.jpg")

    def test_errors(self):
        self.assertIn(rb"no\x1b[31mpe", self.shown(1, "an-ingest", "info", b"no\x1b[31mpe"))
        self.assertIn(rb"no\x1b[31mpe", self.shown(1, "an-train", b"no\x1b[31mpe"))
        self.assertIn(rb"no\x1b[31mpe", self.shown(1, "an-show", "filters", "--weights", b"no\x1b[31mpe", "x.png"))
        self.assertIn(rb"no\x1b[31mpe", self.shown(1, "an-bench-io", b"no\x1b[31mpe"))

    def test_verify_and_sheet(self):
        self.shown(0, "an-ingest", "verify", self.data)
        self.shown(0, "an-ingest", "sheet", "-n", "9", self.data, self.root + b"/sh\xe9\xe9t.png")

    def test_damage_is_named(self):
        copy = self.root + b"/damaged"
        os.mkdir(copy)
        with open(self.data + b"/data.mdb", "rb") as file:
            content = bytearray(file.read())
        at = content.index(b"\xff\xd8\xff")
        content[at + 300] ^= 255
        with open(copy + b"/data.mdb", "wb") as file:
            file.write(content)
        self.assertIn(rb"\x1b[2J.png): ", self.shown(3, "an-ingest", "verify", copy))

    def test_export_and_back(self):
        files, again = self.root + b"/files", self.root + b"/again"
        self.shown(0, "an-ingest", "export", self.data, files)
        self.assertEqual(sorted(os.listdir(files)), sorted([*CLASSES, b"classes.tsv"]))
        self.shown(0, "an-ingest", "--classes-from", files + b"/classes.tsv", "--size", "40", files, again)
        classes = [c["id"] for c in self.parsed("an-ingest", "info", "--json", again)["classes"]]
        self.assertEqual(classes, ["\x1b[31mRED", "bär", r"caf\xe9"])

    def test_eval(self):
        text = self.shown(0, "an-train", "eval", "--run", self.run_folder, "--show", "24", "--per-class", "--confusions",
                          "9", self.data)
        for name in SHOWN:
            self.assertIn(name + b"\n", text)
        self.assertIn(rb"caf\xe9/p\xfc0\x1b[2J.png: caf\xe9", text)
        report = self.parsed("an-train", "eval", "--run", self.run_folder, "--json", "--show", "24", self.data)
        self.assertIn(r"caf\xe9", {shown["class"] for shown in report["shown"]})

    def test_predict(self):
        self.shown(0, "an-show", "predict", "--run", self.run_folder, "--dataset", self.data)
        shown = self.parsed("an-show", "predict", "--json", "--run", self.run_folder, "--dataset", self.data)
        ids = {(one["id"], one["name"]) for image in shown for one in image["top"]}
        self.assertEqual(ids, {(name, name) for name in ("\x1b[31mRED", "bär", r"caf\xe9")})
        # A file's class is known by its folder, though the training set has gone and only escaped ids are left.
        os.rename(self.data, self.data + b".gone")
        try:
            text = self.shown(0, "an-show", "predict", "--run", self.run_folder, self.source + b"/caf\xe9/p\xfc0\x1b[2J.png")
        finally:
            os.rename(self.data + b".gone", self.data)
        self.assertIn(rb"\x1b[2J.png: caf\xe9", text)

    def test_pictures(self):
        svg, page = self.root + b"/p.svg", self.root + b"/p.html"
        self.shown(0, "an-show", "predict", "--run", self.run_folder, "--dataset", self.data, "--output", svg)
        xml.dom.minidom.parse(os.fsdecode(svg))
        self.shown(0, "an-show", "report", "--output", page, self.run_folder, self.data)
        with open(page, "rb") as file:
            text = file.read()
        text.decode()
        self.assertEqual({byte for byte in text if byte < 32} - {10, 9, 13}, set())
        self.assertNotIn(b"&#x1b;", text)

    def test_neighbors_and_bench(self):
        text = self.shown(0, "an-show", "neighbors", "--run", self.run_folder, self.data, self.data)
        for line in text.splitlines():
            if line[:1].isdigit():
                self.assertEqual(line.count(b"\t"), 5)
        report = self.parsed("an-bench-io", "--json", "--batch", "4", "--crop", "32", "--seconds", "0.1", self.data)
        self.assertTrue(report["dataset"].endswith(r"d\xe9ta"))


if __name__ == "__main__":
    unittest.main()
