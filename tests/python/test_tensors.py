#!/usr/bin/env python3
"""Batches as tensors of PyTorch. Exits 77 (skipped) where there is no PyTorch."""
import gc
import sys
import unittest

try:
    import torch
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

import an_loader
from tests.python.support import CLASSES, DatasetCase, colour


class Tensors(DatasetCase):
    TYPES = {"u8": torch.uint8, "f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}

    def test_every_type_without_a_copy(self):
        for dtype, kind in self.TYPES.items():
            for images, labels, records in self.loader(8, dtype=dtype, return_index=True):
                tensor, classes, numbers = map(torch.from_dlpack, (images, labels, records))
                self.assertEqual((tensor.dtype, classes.dtype, numbers.dtype), (kind, torch.int64, torch.int64))
                self.assertEqual(tensor.shape, (8, 3, 16, 16))
                expected = torch.tensor([colour(int(record)) for record in numbers], dtype=kind)
                self.assertTrue(torch.equal(tensor, expected[:, :, None, None].expand_as(tensor)))
                self.assertTrue(torch.equal(classes, numbers % CLASSES))
                self.assertEqual(tensor.data_ptr(), torch.from_dlpack(images).data_ptr())

    def test_old_capsules(self):
        images, _ = next(iter(self.loader(8)))
        self.assertEqual(torch.utils.dlpack.from_dlpack(images.__dlpack__()).data_ptr(), torch.from_dlpack(images).data_ptr())

    def test_a_tensor_keeps_its_slot(self):
        loader = self.loader(8, slots=2, slots_max=3, mirror=False)
        iterator = iter(loader)
        tensor = torch.from_dlpack(next(iterator).images)
        before = tensor.clone()
        for _ in range(3):
            for _ in iterator:
                self.assertTrue(torch.equal(tensor, before))
            iterator = iter(loader)
        del iterator, loader
        gc.collect()
        self.assertTrue(torch.equal(tensor, before))

    def test_tensors_give_their_slots_back(self):
        for _ in range(3):
            for images, labels in self.loader(8, slots=2, slots_max=2):
                view = torch.from_dlpack(images)[2:5].float()
                del images, labels
            self.assertEqual(view.shape[0], 3)

    def test_views_hold_the_slot(self):
        loader = self.loader(8, slots=2, slots_max=2)
        iterator = iter(loader)
        views = [torch.from_dlpack(next(iterator).images)[0, 0, :4, :4].t() for _ in range(2)]
        with self.assertRaises(RuntimeError):
            next(iterator)
        views.pop()
        next(iterator)

    def test_dataset_images(self):
        image, _ = an_loader.Dataset(self.path)[7]
        self.assertEqual(tuple(torch.from_dlpack(image)[3, 4].tolist()), colour(7))


if __name__ == "__main__":
    unittest.main()
