"""Trainings that start from weights: what they take, what begins anew, what is refused and with which remedy, and their resumption."""
import json
import struct
import unittest

from weights_support import Place, converted, load, save

STILL = ("--rate", "1e-30", "--momentum", "0", "--decay", "0", "--bias-decay", "0")  # steps that leave values as they are


def numbers(shape, values):
    return shape, [0.0 if abs(one) < 1e-20 else one for one in struct.unpack(f"<{len(values) // 4}f", values)]


class Finetuning(Place):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.four = cls.dataset("four", ("ant", "bee", "cat", "dog"), images=6)
        cls.first = cls.root / "first"
        cls.must("an-train", "--recipe", cls.recipe, "--run", cls.first, "--steps", 6, cls.data, cls.data)
        cls.export = cls.root / "export.safetensors"
        cls.must("an-train", "export", "--run", cls.first, cls.export)
        cls.tensors = load(cls.export)

    def train(self, *options, dataset=None):
        return ("an-train", "--recipe", self.recipe, "--steps", 1, *options, dataset or self.four)

    def events(self, *options, **named):
        return list(map(json.loads, self.must(*self.train("--json", *options, **named)).splitlines()))

    def told(self, kind, *options, **named):
        return [event["text"] for event in self.events(*options, **named) if event["type"] == kind]

    def started(self, name, *options):
        """What a run's weights are before they change; zeros are changed by less than 1e-20."""
        run = self.root / name
        self.must(*self.train("--run", run, *STILL, *options))
        tensors = load(run / "checkpoints" / "step-000000001.safetensors")
        return {name: numbers(*tensor) for name, tensor in tensors.items()}

    def test_fresh_layers_are_random_and_others_are_the_files(self):
        begun = self.started("fresh", "--weights", self.export, "--fresh", "fc10")
        random = self.started("random")
        for name, (shape, values) in self.tensors.items():
            if "input." not in name:
                self.assertEqual(begun[name], random[name] if name.startswith("fc10.") else numbers(shape, values), name)
        self.assertNotEqual(random["conv1.weight"], begun["conv1.weight"])
        two = self.started("two", "--weights", self.export, "--fresh", "fc10,conv2")
        self.assertEqual(two["conv2.weight"], random["conv2.weight"])
        self.assertEqual(two["conv1.weight"], numbers(*self.tensors["conv1.weight"]))

    def test_the_beginning_is_told(self):
        weights = ("--weights", self.export, "--fresh", "fc10")
        expected = f"weights of '{self.export}', step 6 of a training on '{self.data}'; fc10 begins with random numbers (--init)"
        self.assertEqual(self.told("note", *weights), [expected])
        self.assertIn(expected + "\n", self.must(*self.train(*weights)))
        run = self.root / "told"
        self.must(*self.train(*weights, "--run", run))
        self.assertIn(expected, (run / "metrics.jsonl").read_text())
        note, = self.told("note", "--weights", self.export, "--fresh", "fc10,conv2")
        self.assertIn("; fc10,conv2 begin with", note)
        self.assertEqual(self.told("note", "--weights", self.export, dataset=self.data), [expected.partition(";")[0]])
        self.assertEqual(self.told("note"), [])
        half = save(self.root / "half.safetensors", converted(self.tensors, "BF16"), {"format": "pt"})
        self.assertEqual(self.told("note", "--weights", half, dataset=self.data), [f"weights of '{half}', converted from BF16 to F32"])

    def test_a_runs_folder(self):
        best = self.first / "best.safetensors"
        of_run, of_file = ({event["type"]: event for event in self.events("--weights", path, dataset=self.data)} for path in (self.first, best))
        self.assertEqual(of_run["note"]["text"], of_file["note"]["text"])
        self.assertIn(f"weights of '{best}'", of_run["note"]["text"])
        self.assertEqual(of_run["train"]["loss"], of_file["train"]["loss"])
        self.fails(1, f"no weights in folder '{self.root}/data.in': cannot open folder", *self.train("--weights", self.root / "data.in"))

    def test_refusals_name_the_remedy(self):
        refuse = lambda text, *options, code=2, **named: self.fails(code, text, *self.train(*options, **named))
        refuse(f"'{self.export}': fc10 has 3 classes there and 4 here: --fresh fc10 lets it begin with random numbers", "--weights", self.export)
        refuse("--fresh fc10 is for --weights FILE: without it all layers begin with random numbers", "--fresh", "fc10")
        for name in ("fc8", "fc10,", "", "conv1.weight", "pool1"):
            refuse(f"--fresh: '{name.rpartition(',')[2]}' is no layer with weights of this network: conv1, conv2, conv3, fc10", "--weights", self.export,
                   "--fresh", name)
        refuse("--fresh names every layer: that leaves nothing of --weights", "--weights", self.export, "--fresh", "conv1,conv2,conv3,fc10")
        refuse("--fresh and --freeze both name 'fc10': its random numbers would never learn", "--weights", self.export, "--fresh", "fc10",
               "--freeze", "conv1,fc10")
        refuse("tensor 'fc10.weight' is 3x1024, this network wants 4x1600: made with other classes, crop or options; --fresh fc10 lets what does "
               "not fit", "--weights", self.export, "--crop", 40)
        refuse(f"'{self.export}' fits no layer of this network, beginning with 'conv1.weight'", "--weights", self.export, "--network", "alexnet", "--crop", 36,
               "--one-column", "--padding", "pad2", "--pool", "2")
        part = save(self.root / "part.safetensors", {n: t for n, t in self.tensors.items() if n not in ("conv2.bias", "fc10.bias")})
        refuse(f"'{part}': no tensor 'conv2.bias'; --fresh conv2,fc10 lets what does not fit", "--weights", part)
        other = save(self.root / "torchvision.safetensors", {"features.0.weight": ([1], bytes(4)), "conv1": ([1], bytes(4))})
        refuse("its tensors have other names than an-train export writes", "--weights", other)
        nan = save(self.root / "nan.safetensors", {**self.tensors, "fc10.bias": ([3], struct.pack("<3f", 0, float("nan"), 0))})
        refuse("tensor 'fc10.bias' holds values that are not finite", "--weights", nan, code=3, dataset=self.data)
        self.events("--weights", nan, "--fresh", "fc10")  # what is not taken is not looked at

    def test_inputs_of_another_scale_are_doubted(self):
        weights = ("--weights", self.export, "--fresh", "fc10")
        self.assertEqual(self.told("warning", *weights), [])
        warning, = self.told("warning", *weights, "--input-scale", "unit")
        self.assertIn(f"'{self.export}' was trained on inputs multiplied by 1, here they are multiplied by 0.0", warning)
        self.assertTrue(warning.endswith("times as large: give --input-scale paper"), warning)
        unit = save(self.root / "unit.safetensors", {**self.tensors, "input.scale": ([1], struct.pack("<f", 1 / 64))})
        warning, = self.told("warning", "--weights", unit, "--fresh", "fc10")
        self.assertTrue(warning.endswith(": give --input-scale unit"), warning)
        odd = save(self.root / "odd.safetensors", {**self.tensors, "input.scale": ([1], struct.pack("<f", 1000))})
        warning, = self.told("warning", "--weights", odd, "--fresh", "fc10")
        self.assertTrue(warning.endswith("expect inputs 1e+03 times as large"), warning)
        warning, = self.told("warning", *weights, "--mean", "none")
        self.assertEqual(warning, f"'{self.export}' was trained with a mean subtracted from its inputs, here none is: leave out --mean none")
        shape, values = self.tensors["input.mean_image"]
        none = save(self.root / "none.safetensors", {**self.tensors, "input.mean_image": (shape, bytes(len(values)))})
        warning, = self.told("warning", "--weights", none, "--fresh", "fc10")
        self.assertEqual(warning, f"'{none}' was trained without a mean subtracted from its inputs, here one is: give --mean none")
        bare = save(self.root / "bare.safetensors", {n: t for n, t in self.tensors.items() if "input." not in n})
        self.assertEqual(self.told("warning", "--weights", bare, "--fresh", "fc10", "--input-scale", "unit"), [])
        self.assertIn("give --input-scale paper", self.call(*self.train(*weights, "--input-scale", "unit", "--find-lr", 3)).stderr)

    def test_averages_are_taken_where_a_training_kept_them(self):
        run = self.root / "averaged"
        self.must("an-train", "--recipe", self.recipe, "--run", run, "--steps", 4, "--ema", "0.9", self.data)
        kept = load(run / "checkpoints" / "step-000000004.safetensors")
        begun = self.started("of-averages", "--weights", run, "--fresh", "fc10")
        self.assertEqual(begun["conv1.weight"], numbers(*kept["average.conv1.weight"]))
        self.assertNotEqual(kept["average.conv1.weight"], kept["conv1.weight"])

    def test_frozen_layers_stay_the_files(self):
        run = self.root / "frozen"
        self.must("an-train", "--recipe", self.recipe, "--run", run, "--steps", 3, "--weights", self.export, "--fresh", "fc10", "--freeze",
                  "conv1,conv2", self.four)
        after = load(run / "checkpoints" / "step-000000003.safetensors")
        for name in ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"):
            self.assertEqual(after[name], self.tensors[name])
        self.assertNotEqual(after["conv3.weight"], self.tensors["conv3.weight"])

    def test_resumed_runs_are_those_that_were_never_stopped(self):
        straight, stopped, weights = self.root / "straight", self.root / "stopped", save(self.root / "begin.safetensors", self.tensors)
        command = lambda run, steps: ("an-train", "--recipe", self.recipe, "--weights", weights, "--fresh", "fc10", "--epochs", 4, "--run", run,
                                      "--resume", "auto", "--steps", steps, self.four, self.four)
        self.must(*command(straight, 7))
        self.must(*command(stopped, 4))
        weights.unlink()  # only the beginning needs it
        self.assertNotIn("random numbers", self.must(*command(stopped, 7)))
        last = "checkpoints/step-000000007.safetensors"
        self.assertEqual(load(straight / last), load(stopped / last))


if __name__ == "__main__":
    unittest.main()
