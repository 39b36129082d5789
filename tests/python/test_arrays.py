#!/usr/bin/env python3
"""an_loader.Array: the buffer protocol and DLPack, each without a copy."""
import ctypes
import gc
import struct
import threading
import unittest

import an_loader
from tests.python import dlpack
from tests.python.support import SIDE, DatasetCase, colour, with_numpy


def address(array):
    view = memoryview(array).cast("B")
    return ctypes.addressof(ctypes.c_char.from_buffer(view)) if not view.readonly else None


class Buffers(DatasetCase):
    FORMATS = {"u8": ("uint8", "B", 1), "f32": ("float32", "f", 4), "f16": ("float16", "e", 2)}

    def test_formats(self):
        for dtype, (name, letter, size) in self.FORMATS.items():
            images = next(iter(self.loader(4, dtype=dtype))).images
            view = memoryview(images)
            self.assertEqual(images.dtype, name)
            self.assertEqual((view.format, view.itemsize, view.shape), (letter, size, (4, 3, 16, 16)))
            self.assertEqual((images.nbytes, view.nbytes), (4 * 3 * 16 * 16 * size,) * 2)
            self.assertTrue(view.c_contiguous)

    def test_values(self):
        for dtype, (_, letter, _) in self.FORMATS.items():
            images, _ = next(iter(self.loader(4, dtype=dtype, layout="nhwc", mirror=False)))
            values = struct.unpack(f"{images.nbytes // struct.calcsize(letter)}{letter}", images)
            self.assertEqual(values, tuple(value for place in range(4) for _ in range(256) for value in colour(place)))

    def test_bfloat16_is_refused_with_the_remedy(self):
        images = next(iter(self.loader(4, dtype="bf16"))).images
        with self.refused(BufferError, "bfloat16", "DLPack"):
            memoryview(images)

    @with_numpy
    def test_numpy_says_why_it_cannot(self):
        import numpy
        with self.refused(BufferError, "bfloat16", "DLPack"):
            numpy.asarray(next(iter(self.loader(4, dtype="bf16"))).images)

    @with_numpy
    def test_those_who_ask_for_an_array_of_numpy_get_one(self):
        import numpy
        images = next(iter(self.loader(4))).images
        numpy.testing.assert_array_equal(images.__array__(), numpy.asarray(images))
        self.assertEqual(images.__array__(numpy.float64).dtype, numpy.float64)
        self.assertEqual(images.__array__(dtype="f4", copy=True).dtype, numpy.float32)

    def test_images_are_writable_and_the_rest_is_not(self):
        batch = next(iter(self.loader(4, mixup=0.2)))
        self.assertFalse(memoryview(batch.images).readonly)
        for array in (batch.labels, batch.indices, batch.shares, batch.boxes):
            self.assertTrue(memoryview(array).readonly)
            with self.assertRaises(TypeError):
                ctypes.c_char.from_buffer(array)

    def test_what_else_an_array_says(self):
        images, labels = next(iter(self.loader(4)))
        self.assertEqual((len(images), images.shape, images.device), (4, (4, 3, 16, 16), "cpu"))
        self.assertEqual(repr(labels), "<an_loader.Array (4,) int64 on cpu>")
        with self.assertRaises(TypeError):
            an_loader.Array()
        with self.assertRaises(AttributeError):
            images.shape = (1,)

    @with_numpy
    def test_numpy_shares_the_memory(self):
        import numpy

        images, labels = next(iter(self.loader(4)))
        direct, through = numpy.asarray(images), numpy.from_dlpack(images)
        self.assertEqual(direct.ctypes.data, through.ctypes.data)
        self.assertEqual((direct.dtype, direct.shape), (numpy.uint8, (4, 3, 16, 16)))
        self.assertTrue(direct.flags.writeable)
        self.assertEqual(numpy.asarray(labels).dtype, numpy.int64)
        self.assertFalse(numpy.asarray(labels).flags.writeable)


class DLPack(DatasetCase):
    TYPES = {"u8": (dlpack.UINT, 8, 1), "f32": (dlpack.FLOAT, 32, 1), "bf16": (dlpack.BFLOAT, 16, 1),
             "f16": (dlpack.FLOAT, 16, 1)}

    def test_both_kinds_of_capsule(self):
        for dtype, code in self.TYPES.items():
            images = next(iter(self.loader(4, dtype=dtype))).images
            for versions in ({}, {"max_version": None}, {"max_version": (0, 8)}, {"max_version": (1, 0)},
                             {"max_version": (1, 3)}, {"max_version": (2, 0)}):
                taken = dlpack.Taken(images.__dlpack__(**versions))
                wanted = versions.get("max_version") or (0, 0)
                self.assertEqual(taken.versioned, wanted >= (1, 0))
                self.assertEqual((taken.type, taken.device), (code, (dlpack.CPU, 0)))
                self.assertEqual((taken.shape, taken.strides), ((4, 3, 16, 16), (768, 256, 16, 1)))
                if taken.versioned:
                    self.assertEqual((taken.managed.major, taken.managed.minor, taken.flags), (1, 0, 0))
                taken.drop()

    def test_the_memory_is_the_same(self):
        images = next(iter(self.loader(4))).images
        taken = [dlpack.Taken(images.__dlpack__(**version)) for version in ({}, {"max_version": (1, 0)})]
        for one in taken:
            self.assertEqual(one.data, address(images))
            one.drop()

    def test_other_types(self):
        batch = next(iter(self.loader(4, return_index=True, mixup=0.2)))
        for array, code, shape in ((batch.labels, (dlpack.INT, 64, 1), (4,)), (batch.indices, (dlpack.INT, 64, 1), (4,)),
                                   (batch.shares, (dlpack.FLOAT, 32, 1), (4,)), (batch.boxes, (dlpack.UINT, 16, 1), (4, 4))):
            taken = dlpack.Taken(array.__dlpack__(max_version=(1, 0)))
            self.assertEqual((taken.type, taken.shape, taken.flags), (code, shape, dlpack.READ_ONLY))
            taken.drop()

    def test_copy(self):
        images, labels = next(iter(self.loader(4)))
        for array in (images, labels):
            taken = dlpack.Taken(array.__dlpack__(max_version=(1, 0), copy=True))
            self.assertEqual(taken.flags, dlpack.IS_COPIED)
            self.assertEqual(taken.bytes(), bytes(array))
            taken.drop()
        taken = dlpack.Taken(images.__dlpack__(copy=True))
        self.assertNotEqual(taken.data, address(images))
        taken.drop()
        taken = dlpack.Taken(images.__dlpack__(copy=False))
        self.assertEqual(taken.data, address(images))
        taken.drop()

    def test_devices_and_streams(self):
        images = next(iter(self.loader(4))).images
        self.assertEqual(images.__dlpack_device__(), (dlpack.CPU, 0))
        images.__dlpack__(dl_device=(dlpack.CPU, 0), stream=None)
        with self.refused(BufferError, "dl_device", "(2, 0)"):
            images.__dlpack__(dl_device=(dlpack.CUDA, 0))
        with self.refused(ValueError, "stream"):
            images.__dlpack__(stream=1)
        for wrong in ({"dl_device": 3}, {"dl_device": (1,)}, {"max_version": "1.0"}, {"max_version": (1,)}, {"max": 1}):
            with self.assertRaises(TypeError):
                images.__dlpack__(**wrong)
        with self.assertRaises(TypeError):
            images.__dlpack__(None)

    def test_a_tensor_holds_the_memory(self):
        """Whatever else goes, and while the loader goes on with every slot that it has."""
        for version in ({}, {"max_version": (1, 0)}):
            loader = self.loader(4, slots=2, mirror=False, layout="nhwc")
            iterator = iter(loader)
            taken = dlpack.Taken(next(iterator).images.__dlpack__(**version))
            expected = taken.bytes()
            self.assertEqual(expected[:3], bytes(colour(0)))
            for _ in iterator:
                self.assertEqual(taken.bytes(), expected)
            del iterator
            loader.close()
            del loader
            gc.collect()
            self.assertEqual(taken.bytes(), expected)
            taken.drop()

    def test_dropped_in_another_thread(self):
        taken = [dlpack.Taken(batch.images.__dlpack__()) for batch in self.loader(10, slots_max=16)]
        threads = [threading.Thread(target=one.drop) for one in reversed(taken)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_a_capsule_that_nobody_takes_gives_the_memory_back(self):
        """Two batches at most are lent at any time; a third that stayed lent would be refused."""
        loader = self.loader(4, slots=2, slots_max=2)
        for version in ({}, {"max_version": (1, 0)}):
            for batch in loader:
                capsule = batch.images.__dlpack__(**version)
                del batch
            del capsule

    def test_a_capsule_that_was_taken_does_not(self):
        images = next(iter(self.loader(4))).images
        capsule = images.__dlpack__()
        taken = dlpack.Taken(capsule)
        del capsule
        gc.collect()
        self.assertEqual(taken.bytes(), bytes(images))
        taken.drop()

    def test_dataset_images(self):
        image, _ = an_loader.Dataset(self.path)[3]
        taken = dlpack.Taken(image.__dlpack__(max_version=(1, 0)))
        del image
        self.assertEqual((taken.shape, taken.flags), ((SIDE, SIDE, 3), 0))
        self.assertEqual(taken.bytes(), bytes(colour(3)) * (SIDE * SIDE))
        taken.drop()


if __name__ == "__main__":
    unittest.main()
