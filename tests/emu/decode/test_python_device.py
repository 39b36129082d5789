#!/usr/bin/env python3
"""an_loader with device="cuda:0", on an emulated device: the host's bytes, the consumers' streams, and who keeps what alive."""
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import emulator  # noqa: E402
from tests.train import pictures  # noqa: E402
from tests.python import dlpack  # noqa: E402
from tests.python.support import child, numbers  # noqa: E402

import an_loader  # noqa: E402

SIDE, CROP, BATCH, RECORDS = 40, 32, 8, 60
COMMON = {"crop": CROP, "threads": 2, "seed": 3, "last": "short"}


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        emulator.violations()
        cls.path = os.environ["AN_DEVICE_DATA"]

    def setUp(self):
        self.addCleanup(self.check)

    def check(self):
        gc.collect()
        count, first = emulator.violations()
        self.assertEqual(count, 0, first)

    def loaders(self, **options):
        options = {**COMMON, **options}
        return an_loader.Loader(self.path, BATCH, device="cuda:0", **options), an_loader.Loader(self.path, BATCH, **options)


def take(array, stream):
    return dlpack.Taken(array.__dlpack__(stream=stream, max_version=(1, 0)))


def start_copy(tensor, stream):
    """What a consumer queues on its stream."""
    size = tensor.type[1] // 8
    for extent in tensor.shape:
        size *= extent
    return emulator.Copy(tensor.data, size, stream)


def host_bytes(array):
    """Also of bfloat16, which the buffer protocol does not know."""
    tensor = dlpack.Taken(array.__dlpack__(max_version=(1, 0)))
    out = tensor.bytes()
    tensor.drop()
    return out


class Bytes(Case):
    def compare(self, **options):
        device, host = self.loaders(**options)
        stream, batches = emulator.stream(), 0
        for got, wanted in zip(device, host, strict=True):
            self.assertEqual(numbers(got.labels), numbers(wanted.labels))
            self.assertEqual(numbers(got.indices), numbers(wanted.indices))
            self.assertEqual((got.images.shape, got.images.dtype), (wanted.images.shape, wanted.images.dtype))
            tensor = take(got.images, stream)
            self.assertEqual((tensor.device, tensor.shape), ((dlpack.CUDA, 0), wanted.images.shape))
            copy = start_copy(tensor, stream)
            tensor.drop()
            self.assertEqual(copy.bytes(), host_bytes(wanted.images))
            batches += 1
        self.assertEqual(batches, len(host))

    def test_formats(self):
        for dtype in ("u8", "f32", "bf16", "f16"):
            for layout in ("nchw", "nhwc"):
                with self.subTest(dtype=dtype, layout=layout):
                    self.compare(dtype=dtype, layout=layout)

    def test_values(self):
        for options in ({"mean": "dataset", "std": "dataset"}, {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)},
                        {"mean": "pixel", "jitter": 0.1}, {"mean": 128, "std": 64, "jitter": 0.1, "resized": 0.3}):
            with self.subTest(**options):
                self.compare(dtype="f32", **options)

    def test_crops_that_grow(self):
        device, host = self.loaders(dtype="bf16", size_by_epoch={1: 16})
        stream = emulator.stream()
        for _ in range(2):
            for got, wanted in zip(device, host, strict=True):
                tensor = take(got.images, stream)
                copy = start_copy(tensor, stream)
                tensor.drop()
                self.assertEqual(copy.bytes(), host_bytes(wanted.images))


class Arrays(Case):
    def test_what_an_array_says(self):
        device, _ = self.loaders()
        batch = next(iter(device))
        self.assertEqual(batch.images.device, "cuda:0")
        self.assertEqual(batch.images.__dlpack_device__(), (dlpack.CUDA, 0))
        self.assertEqual((batch.labels.device, batch.indices.device), ("cpu", "cpu"))
        with self.assertRaisesRegex(BufferError, "CUDA"):
            memoryview(batch.images)
        with self.assertRaisesRegex(BufferError, "copy it there"):
            batch.images.__dlpack__(dl_device=(dlpack.CPU, 0))
        with self.assertRaisesRegex(BufferError, "copy must not be True"):
            batch.images.__dlpack__(copy=True)

    def test_streams(self):
        device, host = self.loaders()
        own = emulator.stream()
        for argument, stream in ((None, emulator.LEGACY), (1, emulator.LEGACY), (2, emulator.PER_THREAD), (own, own)):
            copies = []
            for got, wanted in zip(device, host, strict=True):
                tensor = take(got.images, argument)
                copies.append((start_copy(tensor, stream), host_bytes(wanted.images)))
                tensor.drop()
                del got  # its place may be used again, behind the copy
            for copy, wanted in copies:
                self.assertEqual(copy.bytes(), wanted)

    def test_streams_that_are_none(self):
        device, _ = self.loaders()
        batch = next(iter(device))
        for stream in (0, -2, 1 << 80):
            with self.assertRaisesRegex(ValueError, "stream is"):
                batch.images.__dlpack__(stream=stream)
        for stream in ("1", 1.0, True):
            with self.assertRaisesRegex(TypeError, "stream must be an integer"):
                batch.images.__dlpack__(stream=stream)
        with self.assertRaisesRegex(ValueError, "is no stream"):
            batch.images.__dlpack__(stream=id(batch))
        _, host = self.loaders()
        with self.assertRaisesRegex(ValueError, "no streams"):
            next(iter(host)).use(1)

    def test_who_asks_for_nothing_gets_nothing(self):
        """With -1 the consumer orders its work itself. It does not here, and the emulator sees it."""
        device, _ = self.loaders(slots=2)
        stream, copies = emulator.stream(), []
        for batch in device:
            tensor = take(batch.images, -1)
            copies.append(start_copy(tensor, stream))
            tensor.drop()
        for copy in copies:
            copy.bytes()
        self.assertGreater(emulator.violations()[0], 0)

    def test_other_streams_that_use_a_batch(self):
        device, host = self.loaders(slots=2)
        mine, other = emulator.stream(), emulator.stream()
        for got, wanted in zip(device, host, strict=True):
            tensor = take(got.images, mine)
            got.use(other)
            copies = start_copy(tensor, mine), start_copy(tensor, other)
            tensor.drop()
            got.release()
            del got
            for copy in copies:
                self.assertEqual(copy.bytes(), host_bytes(wanted.images))


class Lifetimes(Case):
    def test_nothing_is_overwritten_under_a_tensor(self):
        """Tensors are dropped in any order, by another thread, while their streams still have work."""
        device, host = self.loaders(slots=2, slots_max=12)
        streams, held, generator = [emulator.stream() for _ in range(3)], [], random.Random(5)
        wanted = {}
        for batch in host:
            wanted[batch.step] = host_bytes(batch.images)
        copies = []
        for _ in range(12):
            device.set_epoch(0)
            for batch in device:
                stream = generator.choice(streams)
                tensor = take(batch.images, stream)
                copies.append((start_copy(tensor, stream), wanted[batch.step]))
                held.append(tensor)
                if len(held) > 8:
                    thread = threading.Thread(target=held.pop(generator.randrange(len(held))).drop)
                    thread.start()
                    thread.join()
            for copy, expected in copies:
                self.assertEqual(copy.bytes(), expected)
            copies.clear()
        for tensor in held:
            tensor.drop()

    def test_the_limit_is_told(self):
        device, _ = self.loaders(slots=2, slots_max=3)
        batches = iter(device)
        held = [next(batches) for _ in range(3)]
        with self.assertRaisesRegex(RuntimeError, "all 3 batches are lent"):
            next(batches)
        held.pop()
        self.assertEqual(next(batches).step, 3)

    def test_tensors_outlive_the_loader(self):
        device, host = self.loaders()
        stream = emulator.stream()
        wanted = host_bytes(next(iter(host)).images)
        for end in ("close", "drop"):
            loader, _ = self.loaders()
            tensor = take(next(iter(loader)).images, stream)
            if end == "close":
                loader.close()
            del loader
            gc.collect()
            copy = start_copy(tensor, stream)
            tensor.drop()
            self.assertEqual(copy.bytes(), wanted)

    def test_the_interpreter_ends_with_tensors_alive(self):
        code = """
import os, emulator
loader = an_loader.Loader(os.environ["AN_DEVICE_DATA"], 8, device="cuda:0", crop=16)
batches = [batch for batch, _ in zip(loader, range(3))]
capsule = batches[0].images.__dlpack__(stream=1)
print("end")
"""
        self.assertEqual(child(code), (0, "end\n", ""))

    def test_an_interruption_ends_a_wait_for_a_stuck_device(self):
        """The places wait for a stream that does not go on, so there is no batch, but KeyboardInterrupt comes."""
        device, _ = self.loaders(slots=2, slots_max=2)
        stream, copies = emulator.stream(), []
        emulator.stop(stream)
        main = threading.get_ident()

        def interrupt():
            time.sleep(0.3)
            signal.pthread_kill(main, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            with self.assertRaises(KeyboardInterrupt):
                for _ in range(100):
                    for batch in device:
                        tensor = take(batch.images, stream)
                        copies.append(start_copy(tensor, stream))
                        tensor.drop()
            device.close()
        finally:
            emulator.stop(stream, False)  # freeing memory waits for the device
            thread.join()
        self.assertEqual(len(copies), 2)
        for copy in copies:
            copy.bytes()


class Modules(Case):
    CODE = """
import os
try:
    an_loader.Loader(os.environ["AN_DEVICE_DATA"], 8, device=sys.argv[1], crop=16)
except (RuntimeError, ValueError) as error:
    print(type(error).__name__, error)
"""

    def test_without_the_module(self):
        status, said, _ = child(self.CODE, "cuda:0", environment={"AN_DECODE_MODULE": ""})
        self.assertEqual(status, 0)
        self.assertRegex(said, "RuntimeError device 'cuda:0': the CUDA decoder module is not installed: .*an-loader-cuda13 brings it")

    def test_without_the_device(self):
        self.assertRegex(child(self.CODE, "cuda:5")[1], "RuntimeError device 'cuda:5': no cuda:5: this machine has 2 CUDA devices")
        self.assertRegex(child(self.CODE, "tpu")[1], "ValueError no device 'tpu'")

    def test_the_package_says_where_the_module_lies(self):
        """The second distribution, with the emulated module in it."""
        folder = os.environ["AN_CUDA13_PACKAGE"]
        environment = {"AN_DECODE_MODULE": "", "PYTHONPATH": f"{folder}{os.pathsep}{os.environ['PYTHONPATH']}"}
        code = """
import os, emulator
loader = an_loader.Loader(os.environ["AN_DEVICE_DATA"], 8, device="cuda:0", crop=16)
print(next(iter(loader)).images.device)
"""
        self.assertEqual(child(code, environment=environment), (0, "cuda:0\n", ""))


def make_package(work):
    """The package as it is installed, but for its module, which is the emulated one."""
    folder = os.path.join(work, "site", "an_loader_cuda13")
    os.makedirs(folder)
    source = os.path.join(os.environ["AN_SOURCE"], "python", "cuda13", "an_loader_cuda13", "__init__.py")
    os.symlink(source, os.path.join(folder, "__init__.py"))
    os.symlink(os.environ["AN_DECODE_MODULE"], os.path.join(folder, "an_decode_cuda.so"))
    os.environ["AN_CUDA13_PACKAGE"] = os.path.dirname(folder)


def main(work):
    pictures.SIDE = SIDE
    pictures.write(f"{work}/images", RECORDS, 3)
    os.environ["AN_DEVICE_DATA"] = f"{work}/data"
    subprocess.run([f"{os.environ['AN_BIN_DIR']}/an-ingest", "--size", str(SIDE), "--codec", "coef", f"{work}/images", f"{work}/data"], check=True,
                   capture_output=True)
    make_package(work)
    unittest.main()


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        main(folder)
