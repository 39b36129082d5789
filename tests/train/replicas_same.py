#!/usr/bin/python3
"""Any number of ranks gives the same training as one process with the whole batch: losses, samples, validation; also where the number changes at a
checkpoint, and where a rank has no images."""
import json

from replicas_support import ONE_THREAD, Ranks, main, read_metrics, trained

# Directly computed, and at low rates: kernels differ with the number of images that they are made for, Winograd's more than others, and a training
# that learns fast makes more than rounding of that within ten steps. test_bits_of_a_batch_in_parts compares without such care.
ALL = ("--jitter", "0.1", "--mixup", "0.3", "--cutmix", "0.5", "--mean", "channel", "--init", "he", "--log-every", "1", "--epochs", "9", "--seed", "3",
       "--kernels", "direct")
CIFAR = ("--network", "cifar", "--crop", "32", "--batch", "8", "--steps", "30", "--rate", "0.001", *ALL, *ONE_THREAD)
ALEXNET = ("--crop", "64", "--batch", "8", "--steps", "30", "--rate", "0.0003", *ALL, *ONE_THREAD)


def tensors(path):
    """By name: the bytes of a safetensors file's tensors."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    return {name: data[begin + entry["data_offsets"][0]:begin + entry["data_offsets"][1]] for name, entry in header.items() if name != "__metadata__"}


def numbers(told):
    return [event for event in told if event["type"] in ("train", "validation")]


class SameTraining(Ranks):
    def compare(self, *arguments, counts=(2, 4)):
        alone = numbers(self.told(1, *arguments))
        for ranks in counts:
            with self.subTest(ranks=ranks):
                self.assert_same_training(alone, numbers(self.told(ranks, *arguments)))
        return alone

    def test_cifar_net(self):
        alone = self.compare(*CIFAR, self.data, self.data)
        self.assertEqual(len(trained(alone)), 30)
        self.assertEqual(len({event["samples"] for event in alone if "samples" in event}), 30)
        other = trained(self.told(1, *CIFAR, "--seed", "4", self.data))
        self.assertTrue(all(a["samples"] != b["samples"] for a, b in zip(trained(alone), other)))

    def test_alexnet(self):
        data = self.dataset("large", 40, options=("--size", "72", "--codec", "rgb"))
        self.compare(*ALEXNET, data, data)

    def test_samples_add_up(self):
        """A line's fingerprint is the sum of those of its steps."""
        single = [int(event["samples"], 16) for event in trained(self.told(1, *CIFAR, self.data))]
        told = {event["step"]: int(event["samples"], 16) for event in trained(self.told(2, *CIFAR, "--log-every", "10", self.data))}
        self.assertLess(len(told), 15)
        for first, last in zip((0, *told), told):
            self.assertEqual(sum(single[first:last]) % 2**64, told[last])

    def test_weights_of_classes_and_smoothing(self):
        weights = self.root / "weights.tsv"
        weights.write_text("class0 0.2\nclass1 3\nclass2 1\n")
        self.compare(*CIFAR, "--class-weights", weights, "--label-smoothing", "0.1", self.data)

    def test_parts(self):
        self.compare(*CIFAR, "--accumulate", "2", self.data, counts=(2,))

    def test_norm_and_averages(self):
        self.compare(*CIFAR, "--clip", "0.5", "--ema", "0.9", "--nesterov", self.data, self.data, counts=(2,))

    def test_ends_of_epochs(self):
        """50 images: of a short last step of 2, the ranks behind the first have none."""
        for last in ("drop", "short", "carry"):
            self.compare(*CIFAR, "--last", last, self.data, self.data)

    def test_validation_sets_of_every_size(self):
        """Ranks without an image, with a short batch, with more rounds than others; two sets; and a part of the training set."""
        for images in (3, 9, 17):
            some = self.dataset(f"some{images}", images, seed=images)
            self.compare(*CIFAR, "--steps", "7", self.data, some, self.data)
        self.compare(*CIFAR, "--overfit", "9", "--steps", "6", self.data)

    def test_bits_of_a_batch_in_parts(self):
        """A process that runs the batch in as many parts as there are ranks computes with the same kernels and adds in the same order. So all
        bits must be the same, whatever the rate and the kernels: what differs from a whole batch is rounding alone."""
        data = self.dataset("parts", 40, options=("--size", "72", "--codec", "rgb"))
        options = ("--crop", "64", "--batch", "16", "--steps", "6", "--rate", "0.01", *ALL[:-2], *ONE_THREAD, "--clip", "5", "--ema", "0.9")
        for ranks in (2, 4):
            single, many = self.root / f"single{ranks}", self.root / f"many{ranks}"
            self.run_ranks(1, *options, "--accumulate", ranks, "--run", single, data)
            self.run_ranks(ranks, *options, "--run", many, data)
            of_parts, of_ranks = (tensors(run / "checkpoints/step-000000006.safetensors") for run in (single, many))
            self.assertEqual(of_parts.keys(), of_ranks.keys())
            self.assertEqual([name for name in of_parts if of_parts[name] != of_ranks[name]], [])

    def test_plateau_decides_alike(self):
        told = [self.told(ranks, *CIFAR, "--steps", "0", "--schedule", "plateau", "--patience", "1", "--stop-after", "3", self.data, self.data)
                for ranks in (1, 2)]
        self.assert_same_training(*map(numbers, told))
        notes = [[event["text"] for event in one if event["type"] == "note"] for one in told]
        self.assertEqual(*notes)
        self.assertTrue(any("stopped early" in note for note in notes[0]), notes)


class ChangingRanks(Ranks):
    def test_another_number_at_each_checkpoint(self):
        alone, changing = self.root / "alone", self.root / "changing"
        options = (*CIFAR, "--resume", "auto", "--save-every", "0", "--ema", "0.9")
        self.run_ranks(1, *options, "--run", alone, "--steps", "28", self.data, self.data)
        warnings = []
        for ranks, steps in ((1, 7), (2, 14), (4, 21), (1, 28)):
            done = self.call(self.command(ranks, *options, "--run", changing, "--steps", steps, self.data, self.data))
            self.assertEqual(done.returncode, 0, done.stderr)
            warnings += [line for line in done.stderr.splitlines() if "the checkpoint was made with" in line]
        told = read_metrics(changing)
        self.assert_same_training(trained(read_metrics(alone)), trained(told))
        self.assertEqual(len(warnings), 3, warnings)
        self.assertIn("made with 1 compute threads for 'cpu'", warnings[0])
        self.assertIn("now it is 2 ranks of 1 compute threads for 'cpu'", warnings[0])
        starts = [event.get("ranks") for event in told if event["type"] == "start"]
        self.assertEqual([start and start[:1] for start in starts], [None, "2", "4", None])

    def test_the_same_bits_each_time(self):
        options = (*CIFAR, "--steps", "9", self.data)
        for transport in ("fp32", "bf16"):
            one, other = (self.root / f"{transport}{i}" for i in range(2))
            for run in (one, other):
                self.run_ranks(2, "--run", run, "--transport", transport, *options)
            last = "checkpoints/step-000000009.safetensors"
            self.assertEqual((one / last).read_bytes(), (other / last).read_bytes())

    def test_transport_belongs_to_the_recipe(self):
        run = self.root / "transport"
        options = (*CIFAR, "--run", run, "--resume", "auto", self.data)
        self.run_ranks(2, *options, "--steps", "4", "--transport", "bf16")
        self.assertIn("transport = bf16\n", (run / "recipe.txt").read_text())
        self.fails(2, 2, "made with another recipe", *options, "--steps", "8")

    def test_buckets_change_nothing(self):
        whole = numbers(self.told(2, *CIFAR, self.data))
        self.assert_same_training(whole, numbers(self.told(2, *CIFAR, "--bucket", "0", self.data)))


if __name__ == "__main__":
    main()
