#!/usr/bin/env python3
"""tools/scale-model.py against sums done by hand, against what cannot be otherwise, and against what others measured; docs/scale.md has its
tables."""
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(os.environ["AN_SOURCE_DIR"])
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools"))
loader = importlib.machinery.SourceFileLoader("scale_model", str(ROOT / "tools" / "scale-model.py"))
model = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
loader.exec_module(model)

LINK = model.Link("", 10e9)
NO_LATENCY = {"start": 0, "hop": 0, "network_hop": 0, "reached": 1}
TWO = [model.Layer("first", 10e6, 1000, 3000, 500), model.Layer("second", 90e6, 2000, 1000, 700)]  # us


def case(value=None, **changes):
    return model.variant(model.Case(), {**NO_LATENCY, **(value or {})}, **changes)


def run(*words):
    return subprocess.run([sys.executable, ROOT / "tools" / "scale-model.py", *words], capture_output=True, text=True)


class Reduction(unittest.TestCase):
    def test_two_ranks(self):
        """Each sends a half, and then the other half's sum: all bytes once. Here at 8 GB/s within a node, at 2 between two of them."""
        ring = case({"nvlink": 8}, algorithm="ring")
        self.assertAlmostEqual(model.all_reduce(8e6, 2, LINK, ring), 1e-3)
        apart = case({"nvlink": 8, "node": 1}, algorithm="ring")
        self.assertAlmostEqual(model.all_reduce(8e6, 2, model.Link("", 2e9), apart), 4e-3)

    def test_formulas(self):
        """16 ranks on two nodes: bytes and steps by hand."""
        link, size = model.Link("", 4e9), 16e6
        value = {"nvlink": 8, "tree": 1}
        for algorithm, seconds in (("ring", 2 * 15 / 16 * size / 4e9), ("tree", 2 * size / 4e9),
                                   ("hierarchical", 2 * 7 / 8 * size / 8e9 + 2 * 1 / 2 * size / 4e9)):
            with self.subTest(algorithm):
                self.assertAlmostEqual(model.all_reduce(size, 16, link, case(value, algorithm=algorithm)), seconds)
        steps = {**value, "start": 100, "hop": 1, "network_hop": 10}
        for algorithm, us in (("ring", 100 + 2 * 10 + 28 * 1), ("tree", 100 + 2 * 10 + 14 * 1), ("hierarchical", 100 + 2 * 10 + 14 * 1)):
            with self.subTest(algorithm):
                self.assertAlmostEqual(model.all_reduce(0, 16, link, case(steps, algorithm=algorithm)) * 1e6, us)

    def test_the_fastest_is_chosen(self):
        all_ = [model.all_reduce(1e6, 64, LINK, case({"hop": 3, "network_hop": 10}, algorithm=name)) for name in model.ALGORITHMS]
        self.assertEqual(model.all_reduce(1e6, 64, LINK, case({"hop": 3, "network_hop": 10})), min(all_))

    def test_one_rank_sends_nothing(self):
        self.assertEqual(model.all_reduce(1e9, 1, LINK, model.Case()), 0)

    def test_a_link_is_shared(self):
        """Two communicators, each with half of the node's ranks, half of the bytes and half of the link: as long as one with all of them."""
        one = model.all_reduce(8e6, 16, LINK, case({"nvlink": 1e9}, algorithm="hierarchical"))
        self.assertAlmostEqual(model.all_reduce(4e6, 8, LINK, case({"nvlink": 1e9}, algorithm="hierarchical"), share=0.5), one)


class Steps(unittest.TestCase):
    def test_without_overlap(self):
        """All passes, then 400 MB at 10 GB/s, then the update."""
        two = case({"node": 1}, overlap=False)
        one = model.step(TWO, 2, LINK, two)
        self.assertAlmostEqual(one.seconds, 3e-3 + 4e-3 + 40e-3 + 1.2e-3)
        self.assertAlmostEqual(one.exposed, 40e-3)

    def test_overlap(self):
        """second is ready at 4 ms and takes 36; first is ready at 7 ms, waits, and takes 4."""
        one = model.step(TWO, 2, LINK, case({"node": 1}))
        second, first = one.buckets
        for bucket, ready, begin, end in ((second, 4e-3, 4e-3, 40e-3), (first, 7e-3, 40e-3, 44e-3)):
            for is_, should in ((bucket.ready, ready), (bucket.begin, begin), (bucket.end, end)):
                self.assertAlmostEqual(is_, should)
        self.assertAlmostEqual(one.exposed, 37e-3)
        self.assertAlmostEqual(one.seconds, 44e-3 + 1.2e-3)

    def test_fast_links_hide_all_but_the_last(self):
        """20 times as fast: second's 1.8 ms are over before first is ready, whose 0.2 ms nothing hides."""
        one = model.step(TWO, 2, model.Link("", 200e9), case({"node": 1, "nvlink": 1e6}))
        self.assertAlmostEqual(one.exposed, 0.2e-3)

    def test_infinitely_fast(self):
        for gpus in (2, 8, 1024):
            nothing = case({"nvlink": 1e30, "tree": 1})
            self.assertAlmostEqual(model.step(TWO, gpus, model.Link("", 1e40), nothing).seconds, model.step(TWO, 1, LINK, nothing).seconds)

    def test_transport(self):
        """bf16: half the bytes, and what it takes to round and to put back: 12 bytes a parameter at 1,000 GB/s."""
        one = model.step(TWO, 2, LINK, case({"node": 1, "memory": 1000}, transport="bf16", overlap=False))
        self.assertAlmostEqual(one.exposed, 20e-3 + 1.2e-3)

    def test_more_of_everything(self):
        """Never faster with more GPUs for each of them, never slower with a faster link or fewer bytes a value."""
        usual, before = model.Case(), 0
        layers = usual.layers(128)
        for gpus in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
            now = model.step(layers, gpus, usual.links()[0], usual).seconds
            self.assertGreaterEqual(now, before)
            before = now
        times = [model.step(layers, 64, model.Link("", gbps / 8 * 1e9), usual).seconds for gbps in (10, 25, 100, 400, 3200)]
        self.assertEqual(times, sorted(times, reverse=True))
        slow = usual.links()[1]
        self.assertLess(model.step(layers, 64, slow, model.variant(usual, transport="bf16")).seconds, model.step(layers, 64, slow, usual).seconds)

    def test_buckets(self):
        """Each fully connected layer its own, the convolutions together; a layer is never divided."""
        layers = model.Case().layers(128)
        names = [[layer.name for layer in bucket] for bucket in model.buckets(layers, 25e6)]
        self.assertEqual(names, [["fc8"], ["fc7"], ["fc6"], ["conv5", "conv4", "conv3", "conv2", "conv1"]])
        self.assertEqual(len(model.buckets(layers, 0)), 8)
        both = 4 * (layers[-1].parameters + layers[-2].parameters)
        self.assertEqual([len(model.buckets(layers, limit)[0]) for limit in (both - 1, both)], [1, 2])
        self.assertEqual(len(model.buckets(layers, float("inf"))), 1)

    def test_layers_are_those_of_the_model_of_one_gpu(self):
        """Nothing of its time is lost or counted twice, and the parameters are AlexNet's."""
        for precision, batch in (("bf16", 128), ("fp32", 512)):
            layers = model.alexnet(precision, batch)
            time = sum(layer.forward + layer.backward + layer.update for layer in layers)
            self.assertAlmostEqual(time / 1e3, model.GPU_MODEL.step(model.GPU_MODEL.second(precision, batch), batch))
        self.assertEqual([layer.parameters for layer in layers],
                         [34944, 307456, 885120, 663936, 442624, 37752832, 16781312, 4097000])

    def test_pairs(self):
        """Two GPUs as one replica reduce nothing, and do half of what one does with twice the images, plus the values that they exchange."""
        pair = model.pair(case(), 64, 2, LINK)
        layers = model.alexnet("bf16", 128)
        gaps = 35 * model.GPU_MODEL.GAP / 1e6
        whole = sum(layer.forward + layer.backward + layer.update for layer in layers) / 1e6
        crossing = 2 * model.GPU_MODEL.CROSSING * 128 * 2 / 2 / 450e9
        self.assertAlmostEqual(pair.seconds, (whole - gaps) / 2 + gaps + crossing)
        self.assertEqual(pair.exposed, 0)

    def test_trick(self):
        """With an infinitely fast link: the convolutions' passes for the GPU's images, and the others' for all images in equal parts."""
        split = case({"nvlink": 1e30}, overlap=False)
        of = {layer.name: layer for layer in model.alexnet("bf16", 128)}
        all_ = {layer.name: layer for layer in model.alexnet("bf16", 1024)}
        seconds = sum(one.forward + one.backward + one.update for name, one in of.items() if name.startswith("conv")) / 1e6
        seconds += sum(one.forward + one.backward + one.update for name, one in all_.items() if name.startswith("fc")) / 8 / 1e6
        self.assertAlmostEqual(model.trick(split, 128, 8, LINK), seconds)

    def test_least_link(self):
        """What it says is enough is, and a little less is not."""
        usual = model.Case()
        gbps = model.needed(usual, 512, 64, 0.9)
        one = model.step(usual.layers(512), 1, LINK, usual).seconds
        share = [one / model.step(usual.layers(512), 64, model.Link("", each / 8 * 1e9), usual).seconds for each in (gbps * 0.99, gbps)]
        self.assertLess(share[0], 0.9)
        self.assertGreaterEqual(share[1], 0.9)


class Published(unittest.TestCase):
    def test_near_what_others_measured(self):
        """Where communication binds, within five points. Where it is hidden, what was measured lies between the model with and without
        overlap: the model knows nothing else that costs time."""
        rows = {row[0].split(",")[0]: [int(cell.rstrip(" %")) for cell in row[3:6]] for row in model.table_published(model.Case()).rows}
        self.assertEqual(len(rows), 3)
        measured, says, _ = rows["VGG-16"]
        self.assertAlmostEqual(says, measured, delta=5)
        for name in ("ResNet-50", "Inception V3"):
            measured, says, worst = rows[name]
            self.assertTrue(worst <= measured <= says <= measured + 10, (name, rows[name]))


class Command(unittest.TestCase):
    def test_documents_have_its_output(self):
        said = run()
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        text, parts = (ROOT / "docs" / "scale.md").read_text(), said.stdout.strip().split("\n\n")
        self.assertEqual(len(parts), len(model.TABLES))
        for part in parts:
            with self.subTest(part=part.splitlines()[0]):
                self.assertTrue(part in text, f"docs/scale.md lacks what tools/scale-model.py prints:\n{part}")

    def test_help_names_everything(self):
        said = run("--help").stdout
        for name in model.TABLES:
            self.assertRegex(said, rf"(?m)^  {name} +\w")
        for option in ("gpus", "batch", "whole", "precision", "transport", "bucket", "algorithm", "no-overlap", "link", "layers", "set", "json"):
            self.assertRegex(said, rf"(?m)^  --{option}\b")

    def test_json(self):
        said = run("weak", "strong", "--gpus", "1,16", "--batch", "128", "--whole", "1024", "--link", "200", "--json")
        lines = [json.loads(line) for line in said.stdout.splitlines()]
        self.assertEqual([(line["table"], line["gpus"], line["images"]) for line in lines], [("weak", 16, 128)] * 4 + [("strong", 16, 64)] * 4)
        for line in lines:
            self.assertAlmostEqual(line["ms"], line["forward_ms"] + line["backward_ms"] + line["not_hidden_ms"] + line["update_ms"])
        self.assertEqual(lines[3]["link"], "200 Gb/s")
        self.assertEqual(len(run("--json").stdout.splitlines()), sum(len(table(model.Case()).records) for table in model.TABLES.values()))

    def test_a_network_of_a_file(self):
        """Times grow with the batch, but for the update's; tables that know AlexNet alone are left out."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"batch": 10, "layers": [{"name": "a", "parameters": 5e6, "forward": 10, "backward": 20, "update": 3},
                                               {"name": "b", "parameters": 1e6, "forward": 1, "backward": 2}]}, file)
            file.flush()
            said = run("weak", "--layers", file.name, "--batch", "100", "--gpus", "2", "--set", "nvlink=1e30", "--set", "start=0", "--set", "hop=0",
                       "--json")
            self.assertAlmostEqual(json.loads(said.stdout.splitlines()[0])["ms"], 0.333)
            all_ = run("--layers", file.name)
            self.assertEqual((all_.returncode, all_.stderr, len(all_.stdout.strip().split("\n\n"))), (0, "", len(model.TABLES) - 2))

    def test_mistakes(self):
        for words, answer in ((["--algorithm", "star"], "not one of auto, ring"), (["--gpus", "0"], "positive"), (["--set", "speed=3"], "not one of"),
                              (["--layers", "/nonexistent"], "No such file"), (["strange"], "no table 'strange'"), (["--strange"], "--help")):
            said = run(*words)
            self.assertEqual((said.returncode, said.stdout), (1, ""))
            self.assertIn(answer, said.stderr)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write('{"batch": 1, "layers": [{"name": "a", "parameters": 1}]}')
            file.flush()
            said = run("--layers", file.name)
            self.assertEqual(said.returncode, 1)
            self.assertNotIn("Traceback", said.stderr)


if __name__ == "__main__":
    unittest.main()
