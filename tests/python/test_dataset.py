#!/usr/bin/env python3
"""an_loader.Dataset: records one by one, and what is known of all of them."""
import errno
import os
import pathlib
import threading
import unittest

import an_loader
from tests.python.support import CLASSES, SIDE, DatasetCase, colour, numbers


class Dataset(DatasetCase):
    def setUp(self):
        self.dataset = an_loader.Dataset(self.path)

    def test_pixels_and_labels(self):
        self.assertEqual(len(self.dataset), self.COUNT)
        for index in (0, 1, 57, self.COUNT - 1):
            image, label = self.dataset[index]
            self.assertEqual(image.shape, (SIDE, SIDE, 3))
            self.assertEqual(image.dtype, "uint8")
            self.assertEqual(bytes(image), bytes(colour(index)) * (SIDE * SIDE))
            self.assertEqual(label, index % CLASSES)

    def test_indices(self):
        self.assertEqual(bytes(self.dataset[-1][0]), bytes(self.dataset[self.COUNT - 1][0]))
        for wrong in (self.COUNT, -self.COUNT - 1, 1 << 70):
            with self.assertRaises(IndexError):
                self.dataset[wrong]
        for wrong in ("1", 1.0, None, slice(2)):
            with self.assertRaises(TypeError):
                self.dataset[wrong]

    def test_iteration(self):
        self.assertEqual([label for _, label in self.dataset], [index % CLASSES for index in range(self.COUNT)])

    def test_an_image_outlives_its_dataset(self):
        image, _ = self.dataset[5]
        self.dataset.close()
        del self.dataset
        self.assertEqual(bytes(image), bytes(colour(5)) * (SIDE * SIDE))

    def test_images_are_writable_and_nobody_elses(self):
        image, _ = self.dataset[5]
        memoryview(image).cast("B")[0] = 99
        self.assertEqual(bytes(self.dataset[5][0]), bytes(colour(5)) * (SIDE * SIDE))

    def test_labels(self):
        self.assertEqual(self.dataset.labels.dtype, "int64")
        self.assertEqual(numbers(self.dataset.labels), [index % CLASSES for index in range(self.COUNT)])

    def test_names(self):
        names = self.dataset.names
        self.assertEqual(len(names), self.COUNT)
        self.assertEqual(list(names), names[:])
        self.assertEqual(names[-2:], [names[self.COUNT - 2], names[self.COUNT - 1]])
        self.assertEqual(names[5:2:-1], [names[5], names[4], names[3]])
        self.assertEqual(len(set(names)), self.COUNT)
        with self.assertRaises(IndexError):
            names[self.COUNT]

    def test_classes(self):
        self.assertEqual(len(self.dataset.classes), CLASSES)
        self.assertEqual(len(self.dataset.class_ids), CLASSES)
        self.assertTrue(all(isinstance(name, str) for name in self.dataset.classes))

    def test_encoded(self):
        codec, payload = self.dataset.encoded(3)
        self.assertEqual(codec, "rgb")
        self.assertIsInstance(payload, bytes)

    def test_info(self):
        info = self.dataset.info()
        self.assertEqual((info["count"], info["side"], info["codec"], info["classes"]), (self.COUNT, SIDE, "rgb", CLASSES))
        means = [sum(colour(index)[channel] for index in range(self.COUNT)) / self.COUNT for channel in range(3)]
        for mean, expected in zip(info["mean"], means):
            self.assertAlmostEqual(mean, expected, places=3)
        self.assertEqual([len(row) for row in info["eigenvectors"]], [3, 3, 3])
        self.assertEqual(len(info["fingerprint"]), 16)
        self.assertIn("codec", info["manifest"])

    def test_paths(self):
        self.assertEqual(self.dataset.path, self.path)
        self.assertEqual(an_loader.Dataset(pathlib.Path(self.path)).path, self.path)
        self.assertEqual(an_loader.Dataset(os.fsencode(self.path)).path, self.path)
        self.assertEqual(an_loader.Dataset(path=self.path).path, self.path)

    def test_wrong_paths(self):
        with self.refused(FileNotFoundError, "/none/such") as raised:
            an_loader.Dataset("/none/such")
        self.assertEqual(raised.exception.filename, "/none/such")
        self.assertEqual(raised.exception.errno, errno.ENOENT)
        loop = os.path.join(self.folder, "loop")
        os.symlink("loop", loop)
        with self.refused(OSError, loop) as raised:
            an_loader.Dataset(loop)
        self.assertEqual((raised.exception.errno, raised.exception.filename), (errno.ELOOP, loop))
        with self.refused(NotADirectoryError):
            an_loader.Dataset(os.path.join(self.path, "data.mdb", "more"))
        with self.refused(TypeError, "path", "17"):
            an_loader.Dataset(17)
        with self.refused(ValueError, "path"):
            an_loader.Dataset("a\0b")
        with self.refused(an_loader.DatasetError, self.folder) as raised:
            an_loader.Dataset(self.folder)
        self.assertEqual((raised.exception.path, raised.exception.record), (self.folder, None))

    def test_damage_names_the_record(self):
        dataset = an_loader.Dataset(self.damaged(42))
        dataset[41]
        with self.refused(an_loader.DatasetError, "42") as raised:
            dataset[42]
        self.assertEqual((raised.exception.record, raised.exception.path), (42, dataset.path))

    def test_closed(self):
        with self.dataset as dataset:
            names = dataset.names
        for use in (lambda: dataset[0], lambda: len(dataset), lambda: dataset.labels, lambda: names[0],
                    lambda: dataset.classes, dataset.info, lambda: an_loader.Loader(dataset, 8, crop=16)):
            with self.refused(RuntimeError, "closed"):
                use()
        dataset.close()

    def test_close_while_threads_read(self):
        failures = []

        def read():
            try:
                while True:
                    self.dataset[7]
            except RuntimeError as closed:
                failures.append(str(closed))

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        self.dataset[3]
        self.dataset.close()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, ["the dataset is closed"] * 4)


if __name__ == "__main__":
    unittest.main()
