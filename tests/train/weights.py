"""Weights alone, as Python writes them: eval and an-show use them with a recipe, as if they were the checkpoint."""
import json
import struct
import unittest

from weights_support import RECIPE, Place, converted, load, save, widened
from pictures import png


class Weights(Place):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_folder, export = cls.root / "run", cls.root / "export.safetensors"
        cls.must("an-train", "--recipe", cls.recipe, "--run", cls.run_folder, "--steps", 6, cls.data, cls.data)
        cls.must("an-train", "export", "--run", cls.run_folder, export)
        tensors = load(export)
        cls.export = export
        cls.alone = save(cls.root / "alone.safetensors", tensors)
        cls.bare = save(cls.root / "bare.safetensors", {n: t for n, t in tensors.items() if "input." not in n})
        cls.half = save(cls.root / "half.safetensors", {n: t for n, t in tensors.items() if n != "input.scale"})
        broken = dict(tensors)
        broken["input.scale"] = ([1], struct.pack("<f", float("nan")))
        cls.broken = save(cls.root / "broken.safetensors", broken)
        broken["input.scale"] = ([1], struct.pack("<f", -1))
        cls.negative = save(cls.root / "negative.safetensors", broken)

    def test_eval(self):
        expected = self.evaluation("--run", self.run_folder)
        # The file's own mean and scale; those of the dataset, which here is the training set.
        for weights in (self.alone, self.bare):
            self.assertEqual(self.evaluation("--weights", weights, "--recipe", self.recipe), expected)
        self.assertEqual(self.evaluation("--weights", self.alone, "--recipe", self.run_folder / "recipe.txt"), expected)

    def test_the_file_has_the_last_word_on_input(self):
        # Other statistics, same classes: the mean in the file counts, not that of the dataset.
        part = self.root / "part"
        for name in ("ant", "bee", "cat"):
            (part / name).mkdir(parents=True)
        (part / "cat" / "0.png").write_bytes(png(16))
        data = self.root / "part.data"
        self.must("an-ingest", "--size", 40, part, data)
        of_run = self.evaluation("--run", self.run_folder, dataset=data)
        self.assertEqual(self.evaluation("--weights", self.alone, "--recipe", self.recipe, dataset=data), of_run)
        self.assertNotEqual(self.evaluation("--weights", self.bare, "--recipe", self.recipe, dataset=data), of_run)

    def test_what_other_programs_write(self):
        """Other orders, metadata of their own, other types of numbers."""
        tensors = load(self.export)
        expected = self.evaluation("--run", self.run_folder)
        backwards = save(self.root / "backwards.safetensors", dict(reversed(tensors.items())), {"format": "pt"})
        foreign = lambda path: ("--weights", path, "--recipe", self.recipe)
        self.assertEqual(self.evaluation(*foreign(backwards)), expected)
        self.fails(2, "say with --recipe FILE", "an-train", "eval", "--weights", backwards, self.data)
        for dtype in ("F16", "BF16", "F64"):
            other = converted(tensors, dtype)
            written, same = save(self.root / f"{dtype}.safetensors", other), save(self.root / f"{dtype}-F32.safetensors", widened(other))
            self.assertEqual(self.evaluation(*foreign(written)), self.evaluation(*foreign(same)))
            result = self.call("an-train", "eval", *foreign(written), self.data)
            self.assertIn(f"an-train: '{written}' holds {dtype}, which is converted to F32\n", result.stderr)
            self.assertNotIn("converted", self.call("an-train", "eval", *foreign(same), self.data).stderr)
            for file, picture in ((written, "a.png"), (same, "b.png")):
                self.must("an-show", "filters", *foreign(file), self.root / picture)
            self.assertEqual((self.root / "a.png").read_bytes(), (self.root / "b.png").read_bytes())
            self.assertIn(" %  1\n", self.must("an-show", "predict", *foreign(written), self.root / "data.in" / "bee" / "3.png"))
        self.assertEqual(self.evaluation(*foreign(self.root / "F64.safetensors")), expected)
        nan = {**converted(tensors, "BF16"), "conv1.bias": ([32], b"\xc0\x7f" * 32, "BF16")}
        nan = save(self.root / "nan.safetensors", nan)
        self.fails(3, f"'{nan}': tensor 'conv1.bias' holds values that are not finite", "an-train", "eval", *foreign(nan), self.data)
        whole = save(self.root / "whole.safetensors", {**tensors, "conv1.bias": ([32], bytes(32), "I8")})
        self.fails(3, f"'{whole}': tensor 'conv1.bias' is I8: convert it to F32", "an-train", "eval", *foreign(whole), self.data)

    def test_the_dataset_takes_the_place_of_the_input(self):
        bare = ("--weights", self.bare, "--recipe", self.recipe)
        result = self.call("an-train", "eval", "--json", *bare, self.data)
        self.assertIn(f"'{self.bare}' lacks input.mean_image and input.scale: images are prepared as for a training on '{self.data}', "
                      "by its statistics, --mean and --input-scale paper\n", result.stderr)
        self.assertNotIn("lacks", self.call("an-train", "eval", "--weights", self.alone, "--recipe", self.recipe, self.data).stderr)

    def test_no_checkpoint(self):
        train = ("an-train", "--recipe", self.recipe, "--steps", 8)
        self.fails(3, f"'{self.alone}': not a checkpoint of an-train but weights alone, without momentum and without a recipe: --weights "
                   "starts a training", *train, "--resume", self.alone, self.data)
        self.fails(2, f"'{self.export}' holds weights without their momentum: start a training from it with --weights", *train, "--resume",
                   self.export, self.data)
        self.fails(2, f"'{self.alone}' holds weights alone: that is all that an export", "an-train", "export", "--weights", self.alone,
                   self.root / "x.safetensors")
        # Written again with our metadata but not our checksum, and without it.
        content = self.export.read_bytes()
        size, = struct.unpack("<Q", content[:8])
        metadata = json.loads(content[8:8 + size])["__metadata__"]
        again = save(self.root / "again.safetensors", load(self.export), metadata)
        self.fails(3, f"'{again}': checksum ", "an-train", "eval", "--weights", again, self.data)
        metadata.pop("xxh3")
        again = save(self.root / "again.safetensors", load(self.export), metadata)
        self.fails(3, "a checkpoint without its checksum: if another program wrote it, let it leave out the metadata", "an-train", "eval",
                   "--weights", again, self.data)

    def test_eval_refuses(self):
        evaluate = lambda *source: ("an-train", "eval", *source, self.data)
        self.fails(2, "say with --recipe FILE", *evaluate("--weights", self.alone))
        self.fails(2, "leave out --recipe", *evaluate("--weights", self.export, "--recipe", self.recipe))
        self.fails(2, "--recipe is for --weights FILE", *evaluate("--run", self.run_folder, "--recipe", self.recipe))
        self.fails(2, "input.mean_image without input.scale", *evaluate("--weights", self.half, "--recipe", self.recipe))
        self.fails(3, f"'{self.broken}': input.scale is nan", *evaluate("--weights", self.broken, "--recipe", self.recipe))
        self.fails(3, f"'{self.negative}': input.scale is -1", *evaluate("--weights", self.negative, "--recipe", self.recipe))
        other = self.root / "other"
        other.write_text("crop = 67\n")
        self.fails(2, "lacks 'fc8.bias'", *evaluate("--weights", self.alone, "--recipe", other))
        # A file gets no more memory than it could fill, and its crops lie within its mean image.
        small = save(self.root / "small.safetensors", {"fc8.bias": ([3], bytes(12))})
        other.write_text("crop = 67\n")
        self.fails(2, f"'{small}' is too small for", *evaluate("--weights", small, "--recipe", other))
        other.write_text(RECIPE.replace("crop = 32", "crop = 41").replace("channel", "none"))
        large = dict(load(self.export))
        large["fc10.weight"] = ([3, 64 * 5 * 5], bytes(3 * 64 * 5 * 5 * 4))
        large = save(self.root / "large.safetensors", large)
        self.fails(2, f"'{large}' is for crops of 41 pixels, but its mean image has only 40", *evaluate("--weights", large, "--recipe", other))
        misshapen = dict(load(self.export))
        misshapen["conv2.weight"] = ([32, 32, 25], misshapen["conv2.weight"][1])
        misshapen = save(self.root / "misshapen.safetensors", misshapen)
        result = self.call(*evaluate("--weights", misshapen, "--recipe", self.recipe))
        self.assertEqual(result.returncode, 2)
        self.assertIn("tensor 'conv2.weight' is 32x32x25, this network wants 32x32x5x5: made with other classes, crop or options\n", result.stderr)
        other.write_text("crops = 67\n")
        self.fails(2, "line 1", *evaluate("--weights", self.alone, "--recipe", other))
        two = self.root / "two.data"
        (self.root / "ids").write_text("ant\nbee\ncat\ndog\n")
        self.must("an-ingest", "--size", 40, "--classes-from", self.root / "ids", self.root / "data.in", two)
        self.fails(2, "has 4 classes", "an-train", "eval", "--weights", self.alone, "--recipe", self.recipe, two)
        self.fails(2, "--classes-from", "an-train", "eval", "--run", self.run_folder, two)

    def test_show(self):
        source = ("--weights", self.alone, "--recipe", self.recipe)
        image = self.root / "data.in" / "bee" / "3.png"
        top = lambda *options: [(one["label"], one["probability"])
                                for one in json.loads(self.must("an-show", "predict", "--json", *options))[0]["top"]]
        self.assertEqual(top(*source, image), top("--run", self.run_folder, image))
        self.assertIn(" %  1\n", self.must("an-show", "predict", *source, image))
        bare = ("--weights", self.bare, "--recipe", self.recipe)
        self.fails(2, "lacks input.mean_image", "an-show", "predict", *bare, image)
        self.assertIn("bee", self.must("an-show", "predict", *bare, "--dataset", self.data))
        neighbors = lambda *options: self.must("an-show", "neighbors", *options, self.data, self.data)
        self.assertEqual(neighbors(*source), neighbors("--run", self.run_folder))
        for command in (("filters",), ("network",), ("augment", self.data)):
            pictures = [self.root / f"{command[0]}{i}.png" for i in range(2)]
            self.must("an-show", *command, *bare, pictures[0])
            self.must("an-show", *command, "--run", self.run_folder, pictures[1])
            self.assertEqual(pictures[0].read_bytes(), pictures[1].read_bytes(), command)
        self.fails(2, "give the weights", "an-show", "network", "--recipe", self.recipe, self.root / "x.png")


if __name__ == "__main__":
    unittest.main()
