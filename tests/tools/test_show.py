#!/usr/bin/env python3
"""an-show draws from a small trained network: every command, the same bytes twice, and errors that say what to do."""
import ctypes
import html
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree
import zlib
from pathlib import Path

LONG = "a class with a name that goes on and on, longer than any picture of it is wide, in every alphabet: ΑΒΓ Жук 鳥"
NAMES = ["Ångström ✓", LONG, "<b>&\"quoted\""]
SIDE = 40


def png(pixel):
    """A PNG file of SIDE x SIDE, pixel(x, y) -> (r, g, b)."""
    rows = b"".join(b"\0" + bytes(c for x in range(SIDE) for c in pixel(x, y)) for y in range(SIDE))
    chunk = lambda kind, data: (struct.pack(">I", len(data)) + kind + data
                                + struct.pack(">I", zlib.crc32(kind + data)))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def plant(folder, per_class, classes=("c0", "c1", "c2")):
    generator = random.Random(str(folder.name))
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(per_class):
            noise = bytes(generator.randrange(90) for _ in range(SIDE * SIDE * 3))
            drawn = (number + (i == 0)) % 3 # the first of each class is a mistake
            corner = 4 + 9 * drawn

            def pixel(x, y):
                at = 3 * (y * SIDE + x)
                value = list(noise[at:at + 3])
                if corner <= x < corner + 10 and corner <= y < corner + 10:
                    value[drawn] = 255
                return value
            (folder / name / f"{i:03}.png").write_bytes(png(pixel))


def xxh3(data):
    """XXH3-64, from the library that the programs use."""
    function = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
    function.argtypes, function.restype = (ctypes.c_char_p, ctypes.c_size_t), ctypes.c_uint64
    return function(data, len(data))


def run(*words, code=0, env=None):
    words = [str(w) for w in words]
    result = subprocess.run(words, capture_output=True, text=True, timeout=250, env={**os.environ, **(env or {})})
    if result.returncode != code:
        raise AssertionError(f"{' '.join(words)}: exit {result.returncode}, not {code}\n{result.stdout}{result.stderr}")
    return result.stdout if code == 0 else result.stdout + result.stderr


class Trained(unittest.TestCase):
    """A dataset and two runs, in a folder that goes away."""

    @classmethod
    def setUpClass(cls):
        cls.root = Path(tempfile.mkdtemp(prefix="an-show-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        (cls.root / "names.tsv").write_text("".join(f"c{i}\t{n}\n" for i, n in enumerate(NAMES)))
        for split, images in (("train", 24), ("val", 8)):
            plant(cls.root / f"{split}-images", images)
            run("an-ingest", "--size", SIDE, "--class-names", cls.root / "names.tsv", cls.root / f"{split}-images",
                cls.root / split)
        for name, activation in (("relu", "relu"), ("tanh", "tanh")):
            run("an-train", "--run", cls.root / name, "--network", "cifar", "--crop", 32, "--batch", 12, "--init", "he",
                "--rate", 0.001, "--epochs", 2, "--log-every", 1, "--activation", activation, "--threads", 1,
                "--compute-threads", 1, cls.root / "train", cls.root / "val")
        cls.weights = ("--run", cls.root / "relu")

    def out(self, name):
        path = self.root / f"{self.id().split('.')[-1]}-{name}"
        self.addCleanup(path.unlink, missing_ok=True)
        return path


class Show(Trained):
    def fails(self, code, text, *words, env=None):
        said = run("an-show", *words, code=code, env=env)
        self.assertIn(text, said)

    def draws(self, *words, ending):
        """The command, with the picture last, in every format and twice."""
        for suffix, magic in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
            first, second = self.out("1" + suffix), self.out("2" + suffix)
            run("an-show", *words, *ending(first))
            run("an-show", *words, *ending(second))
            self.assertTrue(first.read_bytes().startswith(magic), suffix)
            self.assertEqual(first.read_bytes(), second.read_bytes(), suffix)

    def last(self, path):
        return [path]

    def test_help(self):
        for command in ("network", "filters", "predict", "augment", "curves", "neighbors", "report"):
            self.assertIn(command, run("an-show", "--help"))
            self.assertIn("Examples:", run("an-show", command, "--help"))
        self.fails(2, "no command 'draw'", "draw")

    def test_network(self):
        self.draws("network", ending=self.last)
        seen = set()
        for options in ([], ["--one-column"], ["--no-communication"], ["--pool", 2], ["--lrn", "none"], ["--crop", 227],
                        ["--classes", 10], ["--network", "cifar", "--crop", 32], self.weights):
            run("an-show", "network", *options, self.out("x.svg"))
            seen.add(self.out("x.svg").read_bytes())
        self.assertEqual(len(seen), 9)
        self.fails(2, "input side 20", "network", "--crop", 20, self.out("x.svg"))
        run("an-show", "network", "--network", "cifar", self.out("x.svg"))
        run("an-show", "network", "--network", "cifar", "--crop", 32, "--classes", 10, self.out("y.svg"))
        self.assertEqual(self.out("x.svg").read_bytes(), self.out("y.svg").read_bytes())
        self.assertIn(">3 \u00d7 32 \u00d7 32</text>", self.out("x.svg").read_text())
        run("an-show", "network", self.out("x.svg"))
        text = self.out("x.svg").read_text()
        self.assertIn("1000 classes</text>", text)
        self.assertEqual(text.count(">ReLU</text>"), 7)
        for padding in ("0; right and below 3", "2", "1"):
            self.assertIn(f">{padding}</text>", text)
        run("an-show", "network", "--activation", "tanh", "--padding", "pad2", self.out("x.svg"))
        text = self.out("x.svg").read_text()
        self.assertEqual((text.count(">tanh</text>"), text.count(">2</text>")), (7, 2)) # conv1 and conv2
        self.assertNotIn("below", text)
        self.assertIn("--lrn-alpha", run("an-show", "network", "--help"))  # AlexNet reads it
        self.fails(2, ".png, .svg or .pdf", "network", self.out("x.gif"))

    def test_filters(self):
        self.draws("filters", *self.weights, ending=self.last)
        run("an-show", "filters", *self.weights, "--scale", "together", self.out("x.svg"))
        run("an-show", "filters", *self.weights, self.out("y.svg"))
        self.assertNotEqual(self.out("x.svg").read_bytes(), self.out("y.svg").read_bytes())
        self.fails(2, "--run", "filters", self.out("x.svg"))
        self.fails(1, "nowhere", "filters", "--run", self.root / "nowhere", self.out("x.svg"))
        self.fails(3, "names.tsv", "filters", "--weights", self.root / "names.tsv", self.out("x.svg"))

    def predict(self, *words):
        return json.loads(run("an-show", "predict", *self.weights, "--json", *words))

    def test_predict_agrees_with_eval(self):
        said = self.predict("--dataset", self.root / "val", "--images", 1000, "--batch", 7)
        self.assertEqual([p["index"] for p in said], list(range(24)))
        right = sum(p["true"]["id"] == p["top"][0]["id"] for p in said)
        measured = json.loads(run("an-train", "eval", *self.weights, "--json", self.root / "val"))
        self.assertAlmostEqual(measured["top1"], right / 24, places=6)
        for p in said:
            self.assertAlmostEqual(sum(t["probability"] for t in p["top"]), 1, places=4) # all three classes
            self.assertEqual(p["true"]["name"], NAMES[p["true"]["label"]])

    def test_predict_at_another_side(self):
        """The mean colour is subtracted from images of any side, as an-train eval does."""
        weights, data = ("--run", self.root / "colour"), self.root / "val-48"
        run("an-train", *weights, "--network", "cifar", "--crop", 32, "--batch", 12, "--init", "he", "--rate", 0.001,
            "--epochs", 1, "--mean", "channel", "--compute-threads", 1, self.root / "train")
        run("an-ingest", "--size", 48, self.root / "val-images", data)
        shown = json.loads(run("an-train", "eval", *weights, "--json", "--show", 24, data))["shown"]
        said = json.loads(run("an-show", "predict", *weights, "--json", "--dataset", data, "--images", 24))
        self.assertEqual(len(said), len(shown))
        for ours, theirs in zip(said, shown):
            self.assertEqual(ours["name"], theirs["name"])
            self.assertAlmostEqual(ours["top"][0]["probability"], theirs["predictions"][0]["probability"], 4)

    def test_predict_files(self):
        folder = self.root / "val-images"
        said = self.predict(folder)
        names = [str(folder / f"c{c}/{i:03}.png") for c in range(3) for i in range(8)]
        self.assertEqual([p["name"] for p in said], names)
        self.assertEqual([p["true"]["label"] for p in said], [c for c in range(3) for _ in range(8)])
        by_index = {p["name"]: p for p in self.predict("--dataset", self.root / "val", "--images", 24)}
        for p in said: # the record of the file says nearly the same: JPEG lies between
            twin = by_index[str(Path(p["name"]).relative_to(folder))]
            self.assertAlmostEqual(twin["top"][0]["probability"], p["top"][0]["probability"], delta=0.2)
        alone = self.out("alone.png")
        shutil.copy(folder / "c0/000.png", alone)
        text = run("an-show", "predict", *self.weights, alone)
        self.assertIn(NAMES[0], text)
        self.assertIsNone(self.predict(alone)[0]["true"])

    def test_predict_panel(self):
        self.draws("predict", *self.weights, "--dataset", self.root / "val", "--records", "3,17,9",
                   ending=lambda path: ["--output", path])

    def test_text_of_svg_is_text(self):
        """Text can be searched and edited, in any alphabet; the file is sound XML and asks for nothing else."""
        picture = self.out("panel.svg")
        run("an-show", "predict", *self.weights, "--dataset", self.root / "val", "-o", picture)
        root = xml.etree.ElementTree.parse(picture).getroot()
        texts = ["".join(e.itertext()) for e in root.iter("{http://www.w3.org/2000/svg}text")]
        for name in (NAMES[0], NAMES[2], "The most probable classes"):
            self.assertIn(name, texts)
        self.assertTrue(any(t.endswith("\u2026") and NAMES[1].startswith(t[:-1]) for t in texts))
        images = list(root.iter("{http://www.w3.org/2000/svg}image"))
        self.assertEqual(len(images), 8)
        for image in images:
            self.assertTrue(image.get("{http://www.w3.org/1999/xlink}href").startswith("data:image/png;base64,iVBOR"))

    def test_predict_errors(self):
        broken, empty = self.root / "broken", self.root / "empty"
        for folder in (broken, empty):
            folder.mkdir()
            self.addCleanup(shutil.rmtree, folder)
        good = (self.root / "val-images/c0/000.png").read_bytes()
        (broken / "a.png").write_bytes(good)
        (broken / "b.png").write_bytes(good[:len(good) // 2])
        (broken / "c.png").write_bytes(good)
        said = run("an-show", "predict", *self.weights, broken, code=3)
        self.assertIn("1 of 3 images cannot be used", said)
        self.assertIn("b.png", said)
        self.assertIn("c.png\n", said)
        panel = self.out("kept.svg")
        panel.write_text("before")
        self.fails(1, "no image files", "predict", *self.weights, empty)
        self.fails(1, "nothing.png", "predict", *self.weights, self.root / "nothing.png")
        self.fails(2, "one of the two", "predict", *self.weights)
        self.fails(2, "no record 24", "predict", *self.weights, "-d", self.root / "val", "--records", "24", "-o", panel)
        self.fails(2, "like 3,17,9", "predict", *self.weights, "-d", self.root / "val", "--records", "3;4")
        self.assertEqual(panel.read_text(), "before")

    def test_wrong_dataset(self):
        plant(self.root / "other-images", 2, ("c0", "c1", "c2", "c3"))
        run("an-ingest", "--size", SIDE, self.root / "other-images", self.root / "other")
        self.fails(2, "do not belong together", "predict", *self.weights, "--dataset", self.root / "other")
        self.fails(1, "nowhere", "predict", *self.weights, "--dataset", self.root / "nowhere")

    def test_augment(self):
        self.draws("augment", *self.weights, "--record", 5, self.root / "train", ending=self.last)
        seen = set()
        for options in (["--crop", 32], ["--crop", 32, "--seed", 2], ["--crop", 32, "--no-flip"], ["--crop", 30],
                        ["--crop", 32, "--jitter", 0], ["--crop", 32, "--epochs", 3]):
            run("an-show", "augment", *options, self.root / "train", self.out("x.svg"))
            seen.add(self.out("x.svg").read_bytes())
        self.assertEqual(len(seen), 6)
        for options, there, missing in (([], ["Subtracted", "the mean image", "each also mirrored"], []),
                                        (["--mean", "channel"], ["Subtracted", "the mean colour"], []),
                                        (["--mean", "none"], ["each also mirrored"], ["Subtracted"]),
                                        (["--epochs", 6], ["Subtracted", "The ten crops"], ["each also mirrored"])):
            run("an-show", "augment", "--crop", 32, *options, self.root / "train", self.out("x.svg"))
            text = self.out("x.svg").read_text()
            for word in there:
                self.assertIn(f">{word}</text>", text)
            for word in missing:
                self.assertNotIn(f">{word}</text>", text)
            beside = "each also mirrored" in there  # each place is told at the crop and its mirror image, and there
            for place in ("top left", "top right", "bottom left", "bottom right", "centre"):
                self.assertEqual(text.count(f">{place}</text>"), 3 if beside or "channel" in options else 2, place)
            self.assertEqual(text.count(">mirrored</text>"), 5)
        self.fails(2, "no record 72", "augment", "--crop", 32, "--record", 72, self.root / "train", self.out("x.svg"))
        self.fails(2, "crop 224", "augment", self.root / "train", self.out("x.svg"))

    def test_curves(self):
        self.draws("curves", self.root / "relu", self.root / "tanh", ending=lambda path: ["--output", path])
        self.fails(1, "is no run of an-train", "curves", self.root, "-o", self.out("x.svg"))
        cut = self.root / "cut"
        cut.mkdir()
        self.addCleanup(shutil.rmtree, cut)
        lines = (self.root / "relu/metrics.jsonl").read_text()
        (cut / "metrics.jsonl").write_text(lines[:-10])
        run("an-show", "curves", cut, "-o", self.out("x.svg"))
        (cut / "metrics.jsonl").write_text("")
        self.fails(2, "has logged no step yet", "curves", cut, "-o", self.out("x.svg"))
        (cut / "metrics.jsonl").write_text("nonsense\n" + lines)
        run("an-show", "curves", cut, "-o", self.out("x.svg"))
        twin = cut / "relu"
        twin.mkdir()
        (twin / "metrics.jsonl").write_text(lines[:len(lines) // 2])
        run("an-show", "curves", self.root / "relu", twin, "-o", self.out("x.svg"))
        text = self.out("x.svg").read_text()
        self.assertRegex(text, r">cut/relu \(ends at [\d.]+\)</text>")
        self.assertRegex(text, rf">{self.root.name}/relu</text>")
        run("an-show", "curves", self.root / "relu", twin, "--smooth", 0, "-o", self.out("y.svg"))
        self.assertIn("stroke-opacity", text)
        self.assertNotIn("stroke-opacity", self.out("y.svg").read_text())

    def features(self, name):
        data = (self.root / name).read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        table = json.loads(data[8:8 + size])["features"]
        rows, units = table["shape"]
        values = struct.unpack(f"<{rows * units}f", data[8 + size:])
        return [values[i * units:(i + 1) * units] for i in range(rows)]

    def neighbors(self, *words):
        lines = run("an-show", "neighbors", *self.weights, *words).splitlines()
        return [line.split("\t") for line in lines]

    def test_neighbors(self):
        train, val = self.root / "train", self.root / "val"
        found = self.neighbors("-f", self.root / "train.f", "--all", "-k", 4, "--batch", 7, train, val)
        self.neighbors("-f", self.root / "val.f", "-k", 1, val, val)
        base, queries = self.features("train.f"), self.features("val.f")
        self.assertEqual((len(base), len(queries)), (72, 24))
        expected = []
        for q, query in enumerate(queries):
            order = sorted((sum((x - y) ** 2 for x, y in zip(query, row)) ** 0.5, i) for i, row in enumerate(base))
            expected += [(str(q), str(rank + 1), str(i), d) for rank, (d, i) in enumerate(order[:4])]
        self.assertEqual([tuple(f[:3]) for f in found], [e[:3] for e in expected])
        for f, e in zip(found, expected):
            self.assertAlmostEqual(float(f[3]), e[3], delta=1e-4 * e[3] + 1e-6)
        self.assertGreater(float(found[0][3]), 0)
        before = (self.root / "train.f").stat()
        some = self.neighbors("-f", self.root / "train.f", "-n", 3, "-k", 4, train, val)
        self.assertEqual(some, [f for f in found if f[0] in ("0", "8", "16")]) # from the features that were kept
        self.assertEqual((self.root / "train.f").stat().st_mtime_ns, before.st_mtime_ns)
        run("an-show", "neighbors", "--run", self.root / "tanh", "-f", self.root / "train.f", train, val)
        self.assertNotEqual((self.root / "train.f").stat().st_ino, before.st_ino) # made anew for other weights

    def test_features_of_other_settings(self):
        path, data = self.root / "settings.f", (self.root / "train", self.root / "val")
        inode = lambda: path.stat().st_ino
        self.neighbors("-f", path, *data)
        first = inode()
        self.neighbors("-f", path, *data)
        self.assertEqual(inode(), first)
        self.neighbors("-f", path, "--devices", "cpu,cpu", *data)
        second = inode()
        self.assertNotEqual(second, first)
        other = path.read_bytes().replace(b'"precision":"fp32"', b'"precision":"bf16"')
        path.write_bytes(other)
        self.neighbors("-f", path, "--devices", "cpu,cpu", *data)
        self.assertIn(b'"precision":"fp32"', path.read_bytes())

    def test_outputs_that_are_not_finite(self):
        exported, val = self.root / "huge.safetensors", self.root / "val"
        run("an-train", "export", *self.weights, exported)
        whole = exported.read_bytes()
        size = struct.unpack("<Q", whole[:8])[0]
        header = json.loads(whole[8:8 + size])
        values = struct.unpack(f"<{(len(whole) - 8 - size) // 4}f", whole[8 + size:])
        data = struct.pack(f"<{len(values)}f", *(max(-3e38, min(3e38, v * 1e30)) for v in values))
        text = whole[8:8 + size].replace(header["__metadata__"]["xxh3"].encode(), b"0" * 16)
        digest = f"{xxh3(text + data):016x}".encode()
        exported.write_bytes(whole[:8] + text.replace(b'"xxh3":"' + b"0" * 16, b'"xxh3":"' + digest) + data)
        for words in (["neighbors", "-f", self.root / "huge.f", self.root / "train", val],
                      ["predict", "--dataset", val]):
            self.fails(3, "not finite", words[0], "--weights", exported, *words[1:])

    def test_neighbors_panel(self):
        self.draws("neighbors", *self.weights, "-f", self.root / "panel.f", self.root / "train", self.root / "val",
                   ending=lambda path: ["--output", path])
        common = (*self.weights, self.root / "train", self.root / "val")
        self.fails(2, "holds only 72 images", "neighbors", "-f", self.root / "panel.f", "-k", 73, *common)
        self.fails(3, "give --features another name", "neighbors", "-f", self.root / "names.tsv", *common)
        self.fails(1, "nowhere", "neighbors", "-f", self.root / "nowhere/f", *common)
        self.assertIn(NAMES[0], (self.root / "names.tsv").read_text())

    def test_report_of_a_run_that_steps_ended(self):
        page, folder = self.out("page.html"), self.root / "short"
        self.addCleanup(shutil.rmtree, folder)
        run("an-train", "--recipe", self.root / "relu/recipe.txt", "--run", folder, "--epochs", 2, "--steps", 4, self.root / "train")
        run("an-show", "report", folder, self.root / "val", "-o", page)
        self.assertIn("--run again --epochs 2 --steps 4 ", page.read_text())

    def test_report(self):
        page, again = self.out("1.html"), self.out("2.html")
        run("an-show", "report", self.root / "relu", self.root / "val", "--mistakes", 24, "-o", page)
        run("an-show", "report", self.root / "relu", self.root / "val", "--mistakes", 24, "-o", again)
        text = page.read_text()
        self.assertEqual(text, again.read_text())
        for word in ("top-1 accuracy", " of 24 images</span>", " of 8</td>", "At the centre of each image",
                     "Recognised worst", "Most confident mistakes", "an-train --recipe", "seed = 1",
                     "The device waited for data", "First-layer kernels", "&lt;b&gt;&amp;"):
            self.assertIn(word, text)
        self.assertNotIn(NAMES[2], text)
        self.assertNotRegex(text, r"(src|href)=\"(?!data:)")
        measured = json.loads(run("an-train", "eval", *self.weights, "--json", self.root / "val"))
        self.assertIn(f"<b>{100 * measured['top1']:.2f} %</b><span>top-1", text)
        step = measured["step"]
        self.assertIn(f"of the weights after step {step} (epoch {step / 6:.3g}), those with the best validation", text)
        self.assertIn("<b>12</b><span>steps in all", text)
        self.assertIn("--run again --epochs 2 --steps 12 ", text)
        start = json.loads((self.root / "relu/metrics.jsonl").read_text().splitlines()[0])
        self.assertIn(f"{self.root / 'train'} {start['validation'][0]['path']}</pre>", text)  # not the evaluated set, which may be any
        self.assertIn(f"<td>an-train {start['version']}", text)
        old = self.root / "old"  # as version 0.1.0 wrote it
        self.addCleanup(shutil.rmtree, old)
        shutil.copytree(self.root / "relu", old)
        (old / "metrics.jsonl").write_text("".join(line + "\n" for line in (old / "metrics.jsonl").read_text().splitlines()
                                                   if json.loads(line)["type"] != "start"))
        run("an-show", "report", old, "-o", again)
        self.assertIn(f"{self.root / 'train'} VALIDATION</pre>", again.read_text())
        self.assertNotIn("training set itself", text)
        run("an-show", "report", self.root / "relu", self.root / "train", "-o", page)
        self.assertIn("the training set itself</strong>", page.read_text())
        self.assertIn(": the training set</td>", page.read_text())
        run("an-show", "report", self.root / "relu", "-o", page)
        self.assertNotIn("accuracy", page.read_text())
        before = page.read_bytes()
        self.fails(1, "nowhere", "report", self.root / "relu", self.root / "nowhere", "-o", page)
        self.fails(1, "is no run of an-train", "report", self.root, "-o", page)
        self.assertEqual(page.read_bytes(), before)

    def test_no_font(self):
        config = self.root / "no-fonts.conf"
        config.write_text('<?xml version="1.0"?><fontconfig><cachedir>/nonexistent</cachedir></fontconfig>')
        self.fails(1, "install fonts-dejavu-core", "network", self.out("x.png"), env={"FONTCONFIG_FILE": str(config)})

    def test_output_cannot_be_written(self):
        self.fails(1, "nowhere", "network", self.root / "nowhere/x.png")


class Page(Trained):
    """The report in a browser: drawn, without errors, and on a phone nothing sticks out."""
    PROBE = """<!DOCTYPE html><body><pre id="found">nothing</pre><script>
        const errors = [], frame = document.createElement("iframe");
        frame.style.width = "%dpx";
        frame.onload = () => {
            const page = frame.contentDocument, box = e => e.getBoundingClientRect();
            const out = [...page.querySelectorAll("main *")].filter(e => !e.closest(".wide > *") && !e.closest("svg *")
                && box(e).right > page.documentElement.clientWidth + 0.5).map(e => e.outerHTML.slice(0, 80));
            document.getElementById("found").textContent = JSON.stringify({
                width: page.documentElement.clientWidth, scroll: page.documentElement.scrollWidth, out: out,
                charts: [...page.querySelectorAll("svg")].map(e => [box(e).width, box(e).height,
                                                                    e.querySelectorAll("text").length]),
                images: [...page.images].map(e => e.complete && e.naturalWidth), title: page.title,
                paper: frame.contentWindow.getComputedStyle(page.body).backgroundColor});
        };
        frame.srcdoc = %s;
        document.body.append(frame);
    </script>"""

    def look(self, page, width, *options):
        probe = self.out("probe.html")
        text = json.dumps(page.read_text()).replace("</", "<\\/").replace("<!--", "<\\!--")
        probe.write_text(self.PROBE % (width, text))
        with tempfile.TemporaryDirectory() as home:
            said = run(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                       f"--user-data-dir={home}", "--virtual-time-budget=8000", *options, "--dump-dom", probe.as_uri())
        return json.loads(html.unescape(said.split('<pre id="found">')[1].split("</pre>")[0]))

    def test_page(self):
        page = self.out("report.html")
        run("an-show", "report", self.root / "relu", self.root / "val", "-o", page)
        for width in (360, 1280):
            seen = self.look(page, width)
            self.assertEqual((seen["width"], seen["scroll"], seen["out"]), (width, width, []))
            self.assertEqual(len(seen["charts"]), 6) # four curves, filters, network
            self.assertTrue(all(w > 200 and h > 60 and texts >= 2 for w, h, texts in seen["charts"]), seen)
            self.assertTrue(seen["images"] and all(seen["images"]))
            self.assertIn("relu", seen["title"])
        self.assertNotEqual(seen["paper"], self.look(page, 800, "--blink-settings=preferredColorScheme=0")["paper"])


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

if __name__ == "__main__":
    if "Page" in sys.argv and not BROWSER:
        print("no Chromium here: the page was not looked at")
        sys.exit(77)
    unittest.main()
