#!/usr/bin/env python3
"""Who keeps what alive: slots that are held, loaders that are dropped, memory over many epochs."""
import gc
import os
import queue
import random
import sys
import threading
import unittest

import an_loader
from tests.python.support import CLASSES, DatasetCase, child, numbers


def resident():
    """Bytes of memory that the process has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


class Slots(DatasetCase):
    def test_held_batches_keep_their_contents(self):
        held = list(self.loader(4, slots=2, slots_max=25))
        self.assertEqual(len(held), 25)
        for step, batch in enumerate(held):
            self.assertEqual(numbers(batch.indices), list(range(step * 4, step * 4 + 4)))

    def test_the_limit_is_said_and_can_be_mended(self):
        loader = self.loader(4, slots=2, slots_max=3)
        iterator = iter(loader)
        held = [next(iterator) for _ in range(3)]
        with self.refused(RuntimeError, "3"):
            next(iterator)
        held.pop(1)
        self.assertEqual(next(iterator).step, 3)

    def test_an_array_holds_the_batch(self):
        loader = self.loader(4, slots=2, slots_max=2)
        iterator = iter(loader)
        labels = [next(iterator).labels, next(iterator).labels]
        with self.assertRaises(RuntimeError):
            next(iterator)
        view = memoryview(labels.pop())
        with self.assertRaises(RuntimeError):
            next(iterator)
        view.release()
        next(iterator)

    def test_labels_of_their_own_do_not_hold_the_batch(self):
        for labels in ("i32", "onehot"):
            kept = [batch.labels for batch in self.loader(4, slots=2, slots_max=2, labels=labels)]
            self.assertEqual(len(kept), 25)

    def test_released_by_hand(self):
        loader = self.loader(4, slots=2, slots_max=2)
        kept = []
        for batch in loader:
            kept.append(batch)
            batch.release()

    def test_everything_outlives_the_loader(self):
        loader = self.loader(4, slots_max=32)
        batches = list(loader)
        images = batches[3].images
        loader.close()
        del loader
        gc.collect()
        self.assertEqual(numbers(batches[5].labels), [0, 1, 2, 3])
        del batches
        self.assertEqual(images.shape, (4, 3, 16, 16))
        bytes(images)

    def test_dropped_in_mid_epoch(self):
        for steps in range(8):
            iterator = iter(self.loader(4, order="global"))
            held = [next(iterator) for _ in range(steps)]
            del iterator
            for batch in held:
                bytes(batch.images)

    def test_the_iterator_keeps_the_loader(self):
        iterator = iter(self.loader())
        gc.collect()
        self.assertEqual(len(list(iterator)), 12)

    def test_releases_in_any_order_from_several_threads(self):
        """10,000 batches: 64 are kept, from which one at random goes to whichever thread is free."""
        loader = self.loader(1, order="global", slots_max=96)
        given, kept, pick, seen = queue.Queue(16), [], random.Random(1), []

        def drop():
            while batch := given.get():
                seen.append((numbers(batch.indices)[0], numbers(batch.labels)[0]))

        threads = [threading.Thread(target=drop) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(100):
            for batch in loader:
                kept.append(batch)
                if len(kept) == 64:
                    given.put(kept.pop(pick.randrange(64)))
        for one in kept + [None] * len(threads):
            given.put(one)
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(seen), sorted((record, record % CLASSES) for record in range(self.COUNT) for _ in range(100)))


@unittest.skipIf(os.environ.get("AN_PRELOAD"), "sanitizers keep memory that was freed")
class Growth(DatasetCase):
    def check(self, work, times, limit):
        """While work is done so many times the process grows by less than limit bytes, and keeps less than half as many
        blocks of Python's memory as it was done: not one object each time. The first tenth is not counted."""
        for _ in range(times // 10):
            work()
        gc.collect()
        memory, blocks = resident(), sys.getallocatedblocks()
        for _ in range(times):
            work()
        gc.collect()
        self.assertLess(sys.getallocatedblocks() - blocks, times // 2)
        self.assertLess(resident() - memory, limit)

    def test_200_epochs(self):
        loader = self.loader(8, order="global", return_index=True, mixup=0.2)

        def epoch():
            for batch in loader:
                images, labels, records = batch
                memoryview(images)
                images.__dlpack__(max_version=(1, 0))
                (batch.shares, batch.boxes, repr(batch), labels.shape, records.device)
            loader.load_state_dict(loader.state_dict())
            (loader.stats(), loader.verdict(), loader.note, repr(loader), loader.dataset)

        self.check(epoch, 200, 1 << 20)

    def test_loaders(self):
        def make():
            loader = self.loader(8, indices=range(50), order="global", weights=[1] * 50, size_by_epoch={1: 8})
            next(iter(loader))
            loader.load_state_dict(loader.state_dict())

        self.check(make, 60, 4 << 20)

    def test_datasets(self):
        def read():
            with an_loader.Dataset(self.path) as dataset:
                dataset[1]
                (dataset.labels, dataset.names[:], dataset.classes, dataset.info(), dataset.encoded(2))

        self.check(read, 500, 2 << 20)

    def test_failures(self):
        damaged = an_loader.Dataset(self.damaged(42))

        def fail():
            for call in (lambda: damaged[42], lambda: damaged[100], lambda: an_loader.Dataset("/none"),
                         lambda: self.loader(indices=[1] * 5000 + ["3"]), lambda: self.loader(weights=[1] * 5000 + [-1]),
                         lambda: self.loader(indices=[1] * 5000, mirror=[]), lambda: self.loader(weights=[1] * 5000),
                         lambda: self.loader(size_by_epoch={1: 99, 2: "x"}), lambda: self.loader(zzz=1)):
                try:
                    call()
                except Exception:  # pylint: disable=broad-except
                    pass

        # Python's cache of attributes fills with some hundred names meanwhile, and then takes no more.
        self.check(fail, 2000, 2 << 20)

    def test_references(self):
        """Objects that everything uses are given back as often as they are taken."""
        loader, shared = self.loader(8), (None, True, an_loader.Batch, an_loader.Array, an_loader.Loader)

        def use():
            for batch in loader:
                (batch.shares, batch.boxes, batch.images, batch.release())
            loader.load_state_dict(loader.state_dict())
            loader.stats()
            self.loader(8).close()

        use()
        before = [sys.getrefcount(one) for one in shared]
        for _ in range(50):
            use()
        for one, count in zip(shared, before):
            self.assertLess(sys.getrefcount(one) - count, 25, one)


class Exit(DatasetCase):
    """The interpreter ends while things are alive."""

    HELD = {
        "loader in mid-epoch": "it = iter(loader); next(it)",
        "batches": "kept = list(loader)",
        "arrays": "kept = [batch.images for batch in loader]",
        "views": "kept = [memoryview(batch.images) for batch in loader]",
        "capsules": "kept = [batch.images.__dlpack__(max_version=(1, 0)) for batch in loader]",
        "old capsules": "kept = [batch.images.__dlpack__() for batch in loader]",
        "a cycle": "kept = [list(loader)]; kept.append(kept)",
        "the module": "sys.modules['an_loader._native'].kept = list(loader); an_loader.Loader",
        "tensors": "from tests.python import dlpack; kept = [dlpack.Taken(b.labels.__dlpack__()) for b in loader]",
        "a waiting thread": "import threading; threading.Thread(target=lambda: [None for _ in range(10**9) for _ in loader], "
                            "daemon=True).start(); next(iter(an_loader.Loader(loader.dataset, 4, crop=16)))",
    }

    def test_ends_with_everything_alive(self):
        for what, code in self.HELD.items():
            with self.subTest(what):
                done = child(f"loader = an_loader.Loader(sys.argv[1], 4, crop=16, slots_max=64)\n{code}\nprint('end')",
                             self.path)
                self.assertEqual(done, (0, "end\n", ""))


if __name__ == "__main__":
    unittest.main()
