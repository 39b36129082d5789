#!/usr/bin/env python3
"""an_loader.Writer: images of every kind, refusals, going on."""
import ctypes
import errno
import os
import pickle
import shutil
import tempfile
import threading
import unittest

import an_loader
from tests.ingest.pictures import png
from tests.python import dlpack
from tests.python.support import child, numbers, with_numpy

SIDE = 16
WIDTH, HEIGHT = 20, 24


def pixel(y, x, channel, seed=0):
    return (y * 7 + x * 11 + channel * 50 + seed * 31) % 256


def picture(channels=3, seed=0):
    """Rows of pixels, without gaps."""
    return bytes(pixel(y, x, c, seed) for y in range(HEIGHT) for x in range(WIDTH) for c in range(channels))


def shaped(data, *shape):
    return memoryview(data).cast("B", shape)


class Capsules:
    """Speaks DLPack and nothing else: bytes with a shape and strides. old: as before DLPack 1.0."""

    def __init__(self, data, shape, strides=None, kind=dlpack.UINT, bits=8, device=dlpack.CPU, old=False, major=1):
        self.data, self.old = ctypes.create_string_buffer(bytes(data), len(data)), old
        self.shape = (ctypes.c_int64 * len(shape))(*shape)
        self.strides = strides and (ctypes.c_int64 * len(strides))(*strides)
        self.managed = dlpack.Managed() if old else dlpack.ManagedVersioned()
        if not old:
            self.managed.major = major
        tensor = self.managed.tensor
        tensor.data, tensor.dimensions = ctypes.addressof(self.data), len(shape)
        tensor.device.kind = device
        tensor.type.kind, tensor.type.bits, tensor.type.lanes = kind, bits, 1
        tensor.shape = ctypes.cast(self.shape, ctypes.POINTER(ctypes.c_int64))
        if strides:
            tensor.strides = ctypes.cast(self.strides, ctypes.POINTER(ctypes.c_int64))

    def __dlpack_device__(self):
        return dlpack.CPU, 0

    def __dlpack__(self, **arguments):
        if self.old and arguments:
            raise TypeError("unknown argument")
        make = ctypes.pythonapi.PyCapsule_New
        make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return make(ctypes.addressof(self.managed), b"dltensor" if self.old else b"dltensor_versioned", None)


class Interface:
    """Has nothing but NumPy's older protocol."""

    def __init__(self, data, shape, /, strides=None, typestr="|u1", **more):
        self.data = ctypes.create_string_buffer(bytes(data), len(data))
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": typestr, "strides": strides,
                                    "data": (ctypes.addressof(self.data), False), **more}


class Pil:
    """What a PIL image can do, without PIL."""

    def __init__(self, mode="RGB", size=(WIDTH, HEIGHT), data=None, failure=None):
        self.mode, self.size, self.data, self.failure = mode, size, data, failure

    def convert(self, mode):
        assert mode == "RGB"
        return Pil("RGB", self.size, self.data, self.failure)

    def tobytes(self):
        if self.failure:
            raise self.failure
        return self.data if self.data is not None else picture(1 if self.mode == "L" else 3)


class WriterCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="an-writer-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "set")

    def writer(self, **options):
        return an_loader.Writer(self.path, **{"size": SIDE, "codec": "rgb", **options})


class Images(WriterCase):
    def same(self, images, reference):
        """All images become the pixels that reference becomes."""
        with self.writer() as writer:
            for image in (reference, *images):
                writer.add(image, 0)
        dataset = an_loader.Dataset(self.path)
        self.assertEqual(len(dataset), len(images) + 1)
        for place in range(1, len(dataset)):
            self.assertEqual(bytes(dataset[place][0]), bytes(dataset[0][0]), type(images[place - 1]))

    def test_pixels_of_every_protocol(self):
        data, shape = picture(), (HEIGHT, WIDTH, 3)
        padded = b"".join(data[y * WIDTH * 3:(y + 1) * WIDTH * 3] + b"gap" for y in range(HEIGHT))
        row = WIDTH * 3 + 3
        planes = bytes(pixel(y, x, c) for c in range(3) for y in range(HEIGHT) for x in range(WIDTH))
        exchanged = (WIDTH, 1, WIDTH * HEIGHT)
        self.same([Capsules(data, shape), Capsules(data, shape, (WIDTH * 3, 3, 1)), Capsules(data, shape, old=True),
                   Capsules(planes, shape, exchanged), Capsules(padded, shape, (row, 3, 1)), Interface(data, shape),
                   Interface(planes, shape, exchanged), Interface(padded, shape, (row, 3, 1)), Pil(),
                   Pil("CMYK", data=data), shaped(bytearray(data), *shape)], shaped(data, *shape))

    def test_grey(self):
        grey = picture(1)
        colours = bytes(value for value in grey for _ in range(3))
        self.same([shaped(grey, HEIGHT, WIDTH), shaped(grey, HEIGHT, WIDTH, 1), Capsules(grey, (HEIGHT, WIDTH)), Pil("L")],
                  shaped(colours, HEIGHT, WIDTH, 3))

    def test_files(self):
        file = png(5)
        self.same([bytearray(file), memoryview(file), memoryview(file).cast("c"), Capsules(file, (len(file),)),
                   Interface(file, (len(file),))], file)

    @with_numpy
    def test_numpy(self):
        import numpy

        array = numpy.frombuffer(picture(), numpy.uint8).reshape(HEIGHT, WIDTH, 3)
        wide = numpy.zeros((HEIGHT, 2 * WIDTH, 3), numpy.uint8)
        wide[:, ::2] = array
        self.same([array.copy(), numpy.asfortranarray(array), array[::-1].copy()[::-1], wide[:, ::2],
                   array.transpose(2, 0, 1).copy().transpose(1, 2, 0)], shaped(picture(), HEIGHT, WIDTH, 3))

    def test_pil(self):
        try:
            from PIL import Image
        except ImportError:
            self.skipTest("there is no Pillow")
        image = Image.frombytes("RGB", (WIDTH, HEIGHT), picture())
        transparent = image.convert("RGBA")
        transparent.putalpha(77)
        self.same([image, transparent], shaped(picture(), HEIGHT, WIDTH, 3))

    def test_an_image_of_a_dataset(self):
        with self.writer() as writer:
            writer.add(shaped(picture(), HEIGHT, WIDTH, 3), 0)
        first = an_loader.Dataset(self.path)
        self.path += "-again"
        with self.writer() as writer:
            writer.add(first[0][0], 0)
        self.assertEqual(bytes(an_loader.Dataset(self.path)[0][0]), bytes(first[0][0]))

    def test_what_is_no_image_writes_nothing(self):
        data, shape = picture(), (HEIGHT, WIDTH, 3)
        wrong = [
            (TypeError, "image must be .*, not str", "cat.jpg"), (TypeError, "not NoneType", None), (TypeError, "not list", [1]),
            (TypeError, "image must be of uint8.*f", memoryview(bytes(4 * 6)).cast("f", (2, 3))),
            (TypeError, "image must be of uint8", Capsules(data, shape, kind=dlpack.INT)),
            (TypeError, "image must be of uint8", Capsules(data, shape, bits=16)),
            (TypeError, "image must be of uint8.*<f4", Interface(data, (2, 3), typestr="<f4")),
            (TypeError, "without an address", Interface(data, shape, data=None)),
            (TypeError, "without a shape", Interface(data, None)),
            (ValueError, "strides do not fit", Interface(data, shape, (3, 1))),
            (ValueError, r"image has the shape \(24, 20, 2\)", shaped(bytes(24 * 40), 24, 20, 2)),
            (ValueError, r"shape \(3, 24, 20\).*permute\(1, 2, 0\)", shaped(bytes(24 * 60), 3, 24, 20)),
            (ValueError, "image has 4 dimensions", Capsules(data, (1, *shape))),
            (ValueError, "image has 0 dimensions", Interface(data, ())),
            (ValueError, "image has the shape", Capsules(b"", (0, 5, 3))),
            (ValueError, "image has the shape", Capsules(data, (1 << 62, 1 << 62, 3))),
            (ValueError, "image lies on a device", Capsules(data, shape, device=dlpack.CUDA)),
            (ValueError, "image speaks DLPack 2", Capsules(data, shape, major=2)),
            (ValueError, "side by side", memoryview(data)[::2]),
            (ValueError, "image gives another number of bytes", Pil(data=b"123")),
            (ValueError, "image gives another number of bytes", Pil(size=(1 << 62, 1 << 62))),
            (TypeError, "no pair of numbers", Pil(size=None)),
            (ValueError, "image cannot be used: cut off", Pil(failure=OSError("cut off"))),
            (KeyError, "mine", Pil(failure=KeyError("mine"))),
            (ValueError, "image '0': empty file", b""), (ValueError, "not a JPEG or PNG file", b"text of no image"),
            (ValueError, "truncated", png(1)[:-20]),
        ]
        with self.writer() as writer:
            for kind, words, image in wrong:
                with self.subTest(words), self.assertRaisesRegex(kind, words):
                    writer.add(image, 0)
            with self.assertRaises(ValueError) as context:
                writer.add(Pil(failure=OSError("cut off")), 0)
            self.assertIsInstance(context.exception.__cause__, OSError)
            self.assertEqual((len(writer), writer.position), (0, 0))
            writer.add(png(), 0)
        self.assertEqual(len(an_loader.Dataset(self.path)), 1)


class Arguments(WriterCase):
    def test_wrong_ones_are_named(self):
        wrong = [(ValueError, "size is 4", {"size": 4}), (TypeError, "size must be", {"size": "256"}),
                 (ValueError, "codec is 'webp'", {"codec": "webp"}), (ValueError, "quality is 0", {"quality": 0}),
                 (ValueError, "subsampling is 411", {"subsampling": 411}), (TypeError, "source must be", {"source": 5}),
                 (TypeError, "classes must be", {"classes": "cat"}), (TypeError, "classes must be", {"classes": 5}),
                 (TypeError, "classes must be a str", {"classes": [1]}), (ValueError, "classes has 0", {"classes": []}),
                 (ValueError, "classes holds an id twice", {"classes": ["a", "a"]}),
                 (ValueError, "classes holds an empty id", {"classes": {"": "name"}}),
                 (ValueError, "null character", {"classes": ["a\0b"]}), (TypeError, "speed", {"speed": 1})]
        for kind, words, options in wrong:
            with self.subTest(words), self.assertRaisesRegex(kind, words):
                self.writer(**options)
        self.assertEqual(os.listdir(self.folder), [])
        for path in (None, 5, ["a"]):
            with self.assertRaisesRegex(TypeError, "path must be"):
                an_loader.Writer(path)
        with self.assertRaisesRegex(ValueError, "path is .*null"):
            an_loader.Writer("a\0b")

    def test_labels_and_names(self):
        with self.writer(classes=["cat", "dog"]) as writer:
            for label, words in ((2, "label is 2"), (-1, "label is -1")):
                with self.assertRaisesRegex(ValueError, words):
                    writer.add(png(), label)
            for label in ("0", 0.0, None):
                with self.assertRaisesRegex(TypeError, "label must be"):
                    writer.add(png(), label)
            with self.assertRaisesRegex(TypeError, "name must be"):
                writer.add(png(), 0, 5)
            with self.assertRaisesRegex(ValueError, "name is .*null character"):
                writer.add(png(), 0, "a\0b")
            with self.assertRaisesRegex(ValueError, "name is .*UTF-8"):
                writer.add(png(), 0, "\ud800")
            writer.add(png(), 0, "ä/\udcff.png")
            writer.add(png(), True)
            writer.add(image=png(), label=0, name="twice")
            writer.add(png(), 0, "twice")
        dataset = an_loader.Dataset(self.path)
        self.assertEqual(list(dataset.names), ["ä/\udcff.png", "1", "twice", "twice"])
        self.assertEqual(numbers(dataset.labels), [0, 1, 0, 0])
        self.assertEqual(dataset.classes, ["cat", "dog"])

    def test_classes(self):
        with self.writer(classes={"n01": "tench", "n02": "shark"}) as writer:
            writer.add(png(), 1)
        dataset = an_loader.Dataset(self.path)
        self.assertEqual((dataset.class_ids, dataset.classes), (["n01", "n02"], ["tench", "shark"]))
        self.path += "-2"
        writer = self.writer()
        writer.add(png(), 2)
        with self.assertRaisesRegex(ValueError, "label 0 has neither images nor a class"):
            writer.finish()
        with self.assertRaisesRegex(RuntimeError, "finished or closed"):
            writer.add(png(), 0)
        with self.writer() as writer:
            self.assertEqual(len(writer), 1)
            writer.add(png(), 0)
            writer.add(png(), 1)
        self.assertEqual(an_loader.Dataset(self.path).class_ids, ["0", "1", "2"])

    def test_info_tells_the_maker(self):
        with self.writer(source="my scans") as writer:
            writer.add(png(), 0)
        manifest = an_loader.Dataset(self.path).info()["manifest"]
        self.assertIn('"program":"liban ', manifest)
        self.assertIn('"source":"my scans"', manifest)


class Life(WriterCase):
    def test_finish_gives_the_dataset(self):
        writer = self.writer(codec="coef")
        self.assertEqual((writer.path, len(writer)), (self.path, 0))
        writer.add(png(1), 0)
        writer.reject("bad.jpg", "no image", 7)
        self.assertEqual((len(writer), writer.position), (1, 2))
        dataset = writer.finish()
        self.assertIsInstance(dataset, an_loader.Dataset)
        self.assertEqual((len(dataset), dataset.side, dataset.encoded(0)[0]), (1, SIDE, "coef"))
        for call in (writer.finish, writer.commit, lambda: len(writer), lambda: writer.position):
            with self.assertRaisesRegex(RuntimeError, "finished or closed"):
                call()
        writer.close()
        with self.assertRaises(FileExistsError) as context:
            self.writer()
        self.assertEqual((context.exception.errno, context.exception.filename), (errno.EEXIST, self.path))

    def test_an_exception_keeps_what_was_added(self):
        with self.assertRaises(KeyboardInterrupt), self.writer() as writer:
            for place in range(5):
                writer.add(png(place), place % 2)
            writer.reject("left out", "for a reason")
            raise KeyboardInterrupt
        self.assertFalse(os.path.exists(self.path))
        with self.writer() as writer:
            self.assertEqual((len(writer), writer.position), (5, 6))
            for place in range(5, 9):
                writer.add(png(place), place % 2)
        whole, self.path = an_loader.Dataset(self.path), self.path + "-whole"
        with self.writer() as writer:
            for place in range(9):
                writer.add(png(place), place % 2)
                if place == 4:
                    writer.reject("left out", "for a reason")
        self.assertEqual(whole.info()["fingerprint"], an_loader.Dataset(self.path).info()["fingerprint"])

    def test_finished_or_closed_by_hand_within_a_block(self):
        with self.writer() as writer:
            writer.add(png(), 0)
            writer.finish()
        self.path += "-2"
        with self.writer() as writer:
            writer.add(png(), 0)
            writer.close()
        self.assertFalse(os.path.exists(self.path))

    def test_no_image_at_all(self):
        with self.assertRaisesRegex(ValueError, "needs an image"), self.writer():
            pass

    def test_a_path_has_one_writer(self):
        with self.writer() as writer:
            with self.assertRaisesRegex(OSError, "being written by another") as context:
                self.writer()
            self.assertEqual(context.exception.filename, self.path)
            writer.add(png(), 0)

    def test_other_arguments_do_not_go_on(self):
        self.writer().close()
        with self.assertRaisesRegex(ValueError, "codec was \"rgb\" and is \"jpeg\" now"):
            self.writer(codec="jpeg")

    def test_threads_share_a_writer(self):
        """Images so large that threads without a lock would meet."""
        images = [shaped(bytes([seed * 60]) * (600 * 600 * 3), 600, 600, 3) for seed in range(4)]

        def add(seed):
            for _ in range(40):
                writer.add(images[seed], seed)

        with self.writer() as writer:
            threads = [threading.Thread(target=add, args=(seed,)) for seed in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        dataset = an_loader.Dataset(self.path)
        self.assertEqual(sorted(numbers(dataset.labels)), sorted(list(range(4)) * 40))
        for place in range(len(dataset)):
            image, label = dataset[place]
            self.assertEqual(set(bytes(image)), {label * 60})

    def test_pickling_is_refused(self):
        with self.assertRaisesRegex(TypeError, "a Writer cannot be pickled"):
            pickle.dumps(self.writer())

    def test_forks_are_refused(self):
        done = child("""
import os
sys.path.insert(0, os.environ["AN_SOURCE_DIR"])
from tests.ingest.pictures import png
writer = an_loader.Writer(sys.argv[1], size=16)
writer.add(png(), 0)
pid = os.fork()
if not pid:
    for call in (lambda: writer.add(png(), 0), writer.commit, writer.finish, lambda: len(writer)):
        try:
            call()
            os._exit(1)
        except RuntimeError as failure:
            assert "fork" in str(failure)
    writer.close()
    del writer
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
writer.add(png(), 0)
print(len(writer.finish()))
""", self.path)
        self.assertEqual(done, (0, "2\n", ""))

    def test_left_open_at_the_end(self):
        done = child("""
writer = an_loader.Writer(sys.argv[1], size=16)
writer.add(memoryview(bytes(48)).cast("B", (4, 4, 3)), 0)
""", self.path)
        self.assertEqual(done, (0, "", ""))
        self.writer(codec="jpeg").close()

    def test_a_full_disk(self):
        """A limit to the size of files stands for the disk's."""
        done = child("""
import errno, resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
writer = an_loader.Writer(sys.argv[1], size=64, codec="rgb")
image = memoryview(bytes(64 * 64 * 3)).cast("B", (64, 64, 3))
try:
    while True:
        writer.add(image, 0)
        if len(writer) % 20 == 0:
            writer.commit()
            kept = len(writer)
except OSError as failure:
    print(failure.filename == sys.argv[1])
try:
    writer.add(image, 0)
except OSError:
    print("fails")
writer.close()
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
print(kept > 0)
""", self.path)
        self.assertEqual(done, (0, "True\nfails\nTrue\n", ""))
        with self.writer(size=64) as writer:
            self.assertGreater(len(writer), 0)


if __name__ == "__main__":
    unittest.main()
