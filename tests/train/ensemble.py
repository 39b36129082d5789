"""The mean of several networks' predictions, as an-train eval tells it, beside the mean of what it tells of each of them alone."""
import json
import math
import struct
import unittest

from weights_support import Place, load, save

SECOND = "network = cifar\ncrop = 24\nbatch = 8\ninit = he\nseed = 7\n"  # another crop, mean, scale, network


class Ensemble(Place):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.second = cls.root / "second"
        cls.second.write_text(SECOND)
        cls.a, cls.b, export = cls.root / "a", cls.root / "b", cls.root / "export.safetensors"
        cls.must("an-train", "--recipe", cls.recipe, "--run", cls.a, "--steps", 6, cls.data, cls.data)
        cls.must("an-train", "--recipe", cls.second, "--run", cls.b, "--steps", 4, cls.data)
        cls.must("an-train", "export", "--run", cls.b, export)
        cls.alone = save(cls.root / "alone.safetensors", load(export))
        cls.sources = (("--run", cls.a), ("--run", cls.b))

    def report(self, *options, dataset=None):
        return json.loads(self.must("an-train", "eval", "--json", "--show", 24, *options, dataset or self.data))

    def predictions(self, report):
        """For each image its class, and the probability of each class."""
        return [(one["class"], {p["class"]: p["probability"] for p in one["predictions"]}) for one in report["shown"]]

    def check(self, *options):
        alone = [self.report(*source, *options) for source in self.sources]
        mean = self.report(*self.sources[0], *self.sources[1], *options)
        top1, loss = 0, 0
        for (label, probabilities), *each in zip(self.predictions(mean), *map(self.predictions, alone)):
            expected = {name: sum(p[name] for _, p in each) / 2 for name in probabilities}
            self.assertEqual({label}, {one for one, _ in each})
            self.assertEqual(len(expected), 3)
            for name, value in expected.items():
                self.assertAlmostEqual(probabilities[name], value, delta=1e-7)
            top1 += max(expected, key=expected.get) == label
            loss -= math.log(expected[label])
        self.assertEqual(len(mean["shown"]), 24)
        self.assertEqual(round(24 * mean["top1"]), top1)
        self.assertAlmostEqual(mean["loss"], loss / 24, delta=1e-5)
        self.assertEqual(mean["top5"], 1)
        self.assertEqual([[one[key] for key in ("weights", "step", "top1", "top5", "loss")] for one in mean["networks"]],
                         [[one[key] for key in ("weights", "step", "top1", "top5", "loss")] for one in alone])
        self.assertTrue(mean["training_set"])
        self.assertNotIn("weights", mean)
        return mean

    def test_centre(self):
        mean = self.check("--batch", 5)
        self.assertNotEqual(self.predictions(mean), self.predictions(self.report("--run", self.a)))

    def test_ten_crops(self):
        self.assertEqual(self.check("--ten-crop", "--batch", 20)["view"], "ten-crop")

    def test_kinds_of_sources(self):
        of_runs = self.predictions(self.report("--run", self.a, "--run", self.b))
        # a's best is a checkpoint, b alone comes with a recipe, which a does not take.
        best = self.a / "best.safetensors"
        for sources in (("--weights", self.alone, "--run", self.a), ("--weights", best, "--weights", self.alone)):
            of_files = self.predictions(self.report(*sources, "--recipe", self.second))
            for (one, p), (other, q) in zip(of_runs, of_files):
                self.assertEqual(one, other)
                for name in p:
                    self.assertAlmostEqual(p[name], q[name], delta=1e-6)
        twice = self.report("--run", self.a, "--run", self.a)
        self.assertEqual(self.predictions(twice), self.predictions(self.report("--run", self.a)))

    def test_text(self):
        text = self.must("an-train", "eval", "--run", self.a, "--run", self.b, "--per-class", "--confusions", 2, self.data)
        first, second = (line for line in text.splitlines() if line.startswith("weights "))
        self.assertRegex(first, r"^weights     .*/a/best.safetensors, step \d: top-1 [\d.]+ %, top-5 100.00 %, loss [\d.]+$")
        self.assertRegex(second, r"/b/checkpoints/step-000000004.safetensors, step 4: ")
        self.assertIn("view        the centre of each image; the mean of 2 networks' predictions\n", text)
        self.assertNotIn("the mean of", self.must("an-train", "eval", "--run", self.a, self.data))

    def test_refusals(self):
        evaluate = lambda *options: ("an-train", "eval", *options, self.data)
        self.fails(2, "give the weights by --run FOLDER or --weights FILE, several of them for the mean", *evaluate())
        self.fails(2, "each of these networks has its own recipe", *evaluate("--run", self.a, "--run", self.b, "--recipe", self.recipe))
        self.fails(2, f"'{self.alone}' holds weights alone: say with --recipe", *evaluate("--run", self.a, "--weights", self.alone))
        other = self.dataset("other", ("ant", "bee", "cat", "dog"), images=4)
        run = self.root / "other.run"
        self.must("an-train", "--recipe", self.recipe, "--run", run, "--steps", 1, other)
        # The last one is looked at before the first is evaluated.
        result = self.call(*evaluate("--run", self.a, "--run", run))
        self.assertEqual(result.returncode, 2)
        self.assertIn(f"'{self.data}' has 3 classes, '{run}/checkpoints/step-000000001.safetensors' has 4", result.stderr)
        missing = self.root / "missing"
        self.fails(1, str(missing), *evaluate("--run", self.a, "--run", missing))
        # Which of several is to blame.
        tensors = load(self.alone)
        name = "conv1.weight"
        huge = save(self.root / "huge.safetensors", {**tensors, name: (tensors[name][0], struct.pack("<f", 3e38) * (len(tensors[name][1]) // 4))})
        self.fails(3, f"evaluating '{huge}'", *evaluate("--run", self.a, "--weights", huge, "--recipe", self.second))


if __name__ == "__main__":
    unittest.main()
