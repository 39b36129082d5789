#!/usr/bin/env python3
"""an_loader.Loader: arguments, what batches hold, and failures."""
import array
import unittest

import an_loader
from tests.python.support import CLASSES, DatasetCase, colour, indices, numbers, with_numpy


class Batches(DatasetCase):
    def test_images_labels_indices(self):
        seen = []
        for batch in self.loader(8, layout="nhwc", return_index=True):
            images, labels, records = batch
            self.assertEqual(images.shape, (8, 16, 16, 3))
            view, records = memoryview(images), numbers(records)
            self.assertEqual(numbers(labels), [record % CLASSES for record in records])
            for place, record in enumerate(records):
                self.assertEqual(tuple(view[place, 5, 7, channel] for channel in range(3)), colour(record))
            seen += records
        self.assertEqual(seen, list(range(96)))

    def test_unpacking(self):
        batch = next(iter(self.loader()))
        self.assertEqual(len(batch), 2)
        images, labels = batch
        self.assertEqual((images.shape, labels.shape), (batch[0].shape, batch[1].shape))
        with self.assertRaises(IndexError):
            batch[2]
        self.assertEqual(len(next(iter(self.loader(return_index=True)))), 3)
        self.assertEqual(len(batch.indices), 8)
        self.assertIsNone(batch.shares)
        self.assertIsNone(batch.boxes)

    def test_labels(self):
        classes = numbers(next(iter(self.loader(4))).labels)
        small = next(iter(self.loader(4, labels="i32"))).labels
        self.assertEqual((small.dtype, numbers(small)), ("int32", classes))
        hot = next(iter(self.loader(4, labels="onehot"))).labels
        self.assertEqual((hot.dtype, hot.shape), ("float32", (4, CLASSES)))
        self.assertEqual(memoryview(hot).tolist(), [[float(label == place) for place in range(CLASSES)] for label in classes])

    def test_grey(self):
        for layout, shape in (("nchw", (4, 1, 16, 16)), ("nhwc", (4, 16, 16, 1))):
            images = next(iter(self.loader(4, grey=True, layout=layout))).images
            self.assertEqual(images.shape, shape)
            view = memoryview(images)
            for place in range(4):
                red, green, blue = colour(place)
                self.assertEqual(view[place, 0, 0, 0], (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16)

    def test_mean_and_std(self):
        mean, std = (10.0, 20.0, 30.0), (2.0, 4.0, 8.0)
        view = memoryview(next(iter(self.loader(4, dtype="f32", mean=mean, std=std))).images)
        for place in range(4):
            for channel in range(3):
                self.assertAlmostEqual(view[place, channel, 3, 3], (colour(place)[channel] - mean[channel]) / std[channel], 4)
        one = memoryview(next(iter(self.loader(4, dtype="f32", mean=5, std=2.5))).images)
        self.assertAlmostEqual(one[3, 1, 0, 0], (colour(3)[1] - 5) / 2.5, 4)
        info = an_loader.Dataset(self.path).info()
        both = memoryview(next(iter(self.loader(4, dtype="f32", mean="dataset", std="dataset"))).images)
        self.assertAlmostEqual(both[2, 1, 0, 0], (colour(2)[1] - info["mean"][1]) / info["std"][1], 4)
        next(iter(self.loader(4, dtype="f32", mean="pixel")))

    def test_mixing(self):
        for kind in ("mixup", "cutmix"):
            batch = next(iter(self.loader(6, **{kind: 1.0})))
            self.assertEqual((batch.shares.dtype, batch.shares.shape), ("float32", (6,)))
            self.assertEqual((batch.boxes.dtype, batch.boxes.shape), ("uint16", (6, 4)))
            self.assertTrue(all(0 <= share <= 1 for share in numbers(batch.shares)))
            empty = all(x0 == x1 or y0 == y1 for x0, y0, x1, y1 in memoryview(batch.boxes).tolist())
            self.assertEqual(empty, kind == "mixup")

    def test_size_by_epoch(self):
        loader = self.loader(50, crop=8, size_by_epoch={2: 24, 1: 16})
        sides = [{batch.images.shape[-1] for batch in loader} for _ in range(4)]
        self.assertEqual(sides, [{8}, {16}, {24}, {24}])

    def test_a_size_that_no_training_reaches(self):
        loader = self.loader(50, crop=8, size_by_epoch={1: 16, 2**64 - 1: 24})
        self.assertEqual([{batch.images.shape[-1] for batch in loader} for _ in range(3)], [{8}, {16}, {16}])

    def test_last(self):
        counts = {last: [len(batch.images) for batch in self.loader(16, last=last)] for last in ("drop", "short", "pad")}
        self.assertEqual(counts, {"drop": [16] * 6, "short": [16] * 6 + [4], "pad": [16] * 7})
        self.assertEqual([batch.repeated for batch in self.loader(16, last="pad")], [0] * 6 + [12])
        for last, steps in (("drop", 6), ("short", 7), ("pad", 7)):
            self.assertEqual(len(self.loader(16, last=last)), steps)

    def test_subset(self):
        chosen = [3, 1, 99, 3]
        for given in (chosen, tuple(chosen), array.array("i", chosen), array.array("Q", chosen), iter(chosen),
                      memoryview(array.array("q", [3, 0, 1, 0, 99, 0, 3]))[::2]):
            self.assertEqual(indices(self.loader(2, indices=given)), chosen)

    @with_numpy
    def test_subset_of_numpy(self):
        import numpy

        for kind in (numpy.int64, numpy.int32, numpy.uint8):
            self.assertEqual(indices(self.loader(2, indices=numpy.array([7, 5], kind))), [7, 5])

    def test_weights(self):
        weights = [0.0] * self.COUNT
        weights[10], weights[20] = 1, 3
        for given in (weights, array.array("d", weights), array.array("f", weights)):
            seen = indices(self.loader(10, weights=given, order="global"))
            self.assertEqual(set(seen), {10, 20})
            self.assertGreater(seen.count(20), seen.count(10))

    def test_properties(self):
        dataset = an_loader.Dataset(self.path)
        loader = self.loader(path=dataset)
        self.assertIs(loader.dataset, dataset)
        self.assertEqual((loader.batch_size, len(loader)), (8, 12))
        self.assertTrue(loader.note is None or isinstance(loader.note, str))
        self.assertIn("12 batches of 8", repr(loader))
        list(loader)
        self.assertEqual({key: loader.stats()[key] for key in ("batches", "samples", "threads")},
                         {"batches": 12, "samples": 96, "threads": 2})
        stage, reason = loader.verdict()
        self.assertIn(stage, ("consumer", "decode", "read"))
        self.assertIn(stage, reason)

    def test_released(self):
        batch = next(iter(self.loader()))
        images = batch.images
        before = bytes(images)
        batch.release()
        batch.release()
        for member in ("images", "labels", "indices", "shares", "boxes"):
            with self.refused(RuntimeError, "released"):
                getattr(batch, member)
        self.assertIn("released", repr(batch))
        self.assertEqual((batch.epoch, batch.step), (0, 0))
        self.assertEqual(bytes(images), before)


class Arguments(DatasetCase):
    def test_wrong_types_name_the_argument(self):
        for name, value in (("batch_size", "8"), ("rank", 1.5), ("mirror", "no"), ("centre", None), ("crop", None),
                            ("mean", object()), ("std", [1, 2, "3"]), ("jitter", "0.1"), ("order", 3), ("dtype", None),
                            ("indices", 5), ("indices", [1.5]), ("indices", array.array("d", [1.0])), ("weights", ["x"]),
                            ("size_by_epoch", [1]), ("size_by_epoch", {"a": 1}), ("labels", 64), ("engine", 1),
                            ("device", 0), ("path", 4), ("grey", []), ("mean", 1j), ("std", 1j)):
            with self.subTest(name=name, value=value), self.refused(TypeError, name):
                self.loader(**{name: value})

    def test_wrong_values_name_the_argument(self):
        for name, value in (("batch_size", 0), ("batch_size", -1), ("batch_size", 1 << 40), ("rank", 1), ("world", 0),
                            ("seed", -1), ("seed", 1 << 64), ("epoch", -1), ("order", "random"), ("order", "block:0"),
                            ("order", "block:4x"), ("crop", 33), ("crop", 0), ("resized", 0), ("resized", 1.5),
                            ("mean", "mean"), ("mean", [1, 2]), ("mean", float("nan")), ("mean", 1), ("std", 0),
                            ("std", [1, 1, -1]), ("std", 1), ("std", "pixel"), ("jitter", -1), ("jitter", float("inf")),
                            ("mixup", -1), ("cutmix", float("nan")), ("dtype", "f64"), ("layout", "nhw"), ("threads", -1),
                            ("slots", 1), ("slots_max", 3), ("indices", []), ("indices", [-1]), ("indices", [100]),
                            ("indices", [1 << 70]), ("weights", [1.0]), ("weights", [-1.0] * 100), ("weights", [0] * 100),
                            ("weights", [float("nan")] * 100), ("last", "keep"), ("labels", "i8"), ("engine", "aio"),
                            ("size_by_epoch", {0: 33}), ("size_by_epoch", {-1: 16}), ("size_by_epoch", {0: 0}),
                            ("mean", 10**400), ("std", [1, 10**400, 1]), ("jitter", 10**400), ("weights", [10**400] * 100),
                            ("dtype", "u8\0"), ("order", "block:4\0"), ("layout", "\ud800"), ("device", "cpu\0")):
            with self.subTest(name=name, value=value), self.refused(ValueError, name):
                self.loader(**{name: value, **({"order": "global"} if name == "weights" else {})})

    def test_unknown_arguments_get_the_nearest_name(self):
        for wrong, right in (("batchsize", "batch_size"), ("center", "centre"), ("sizes_by_epoch", "size_by_epoch")):
            with self.refused(TypeError, wrong, f"did you mean '{right}'"):
                an_loader.Loader(self.path, 8, **{wrong: 1})
        with self.refused(TypeError, "zzz") as raised:
            an_loader.Loader(self.path, 8, zzz=1)
        self.assertNotIn("mean", str(raised.exception))

    def test_how_many_arguments(self):
        with self.refused(TypeError, "batch_size"):
            an_loader.Loader(self.path)
        with self.refused(TypeError, "path"):
            an_loader.Loader(batch_size=3)
        with self.refused(TypeError, "3"):
            an_loader.Loader(self.path, 8, 0)
        with self.refused(TypeError, "path", "twice"):
            an_loader.Loader(self.path, 8, path=self.path)
        self.assertEqual(len(an_loader.Loader(path=self.path, batch_size=8, crop=16)), 12)

    def test_a_mask_is_refused_with_the_remedy(self):
        with self.refused(TypeError, "indices", "mask"):
            self.loader(indices=memoryview(bytes(100)).cast("?"))

    def test_a_mask_that_is_no_buffer(self):
        class Truth:  # an element of a tensor
            dtype = "torch.bool"

            def __index__(self):
                return 1

        for mask in ([True] * 100, [Truth()] * 100):
            with self.refused(TypeError, "indices", "mask"):
                self.loader(indices=mask)

    def test_a_mean_like_a_tensor(self):
        class Tensor:  # a number, and no sequence
            def __float__(self):
                raise ValueError("only one element")

            def __len__(self):
                return 3

            def __iter__(self):
                return iter((1.0, 2.0, 3.0))

        one, other = (next(iter(self.loader(dtype="f32", mean=mean))) for mean in (Tensor(), (1, 2, 3)))
        self.assertEqual(bytes(one.images), bytes(other.images))

    def test_missing_dataset(self):
        with self.refused(FileNotFoundError, "/none/such") as raised:
            an_loader.Loader("/none/such", 8)
        self.assertEqual(raised.exception.filename, "/none/such")

    def test_a_device_that_is_not_there(self):
        with self.refused(RuntimeError, "device"):
            self.loader(device="cuda:0")
        self.assertEqual(next(iter(self.loader(device="cpu"))).images.device, "cpu")


class Damage(DatasetCase):
    def test_the_record_is_named_after_the_batches_before_it(self):
        loader = self.loader(path=self.damaged(42))
        iterator, delivered = iter(loader), []
        with self.refused(an_loader.DatasetError, "42") as raised:
            for batch in iterator:
                delivered += numbers(batch.indices)
        self.assertEqual(delivered, list(range(40)))
        self.assertEqual((raised.exception.record, raised.exception.path), (42, loader.dataset.path))
        with self.refused(an_loader.DatasetError, "42"):
            next(iterator)

    def test_unverified(self):
        self.assertEqual(len(indices(self.loader(path=self.damaged(42), verify=False))), 96)


if __name__ == "__main__":
    unittest.main()
