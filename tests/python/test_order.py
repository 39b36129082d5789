#!/usr/bin/env python3
"""an_loader.Loader: epochs, ranks, and places that are kept and gone back to."""
import itertools
import json
import os
import pickle
import threading
import unittest

from tests.python.support import DatasetCase, indices, numbers


def content(batches):
    """All that a batch says, to compare runs."""
    return [(batch.epoch, batch.step, bytes(batch.images), bytes(batch.labels), bytes(batch.indices)) for batch in batches]


class Epochs(DatasetCase):
    def test_each_iteration_is_the_next_epoch(self):
        loader = self.loader(order="global")
        epochs = [list((batch.epoch, *numbers(batch.indices)) for batch in loader) for _ in range(3)]
        self.assertEqual([{batch[0] for batch in epoch} for epoch in epochs], [{0}, {1}, {2}])
        self.assertEqual(len({str(epoch) for epoch in epochs}), 3)
        self.assertEqual(epochs[2], [(batch.epoch, *numbers(batch.indices)) for batch in self.loader(order="global", epoch=2)])

    def test_threads_change_nothing(self):
        self.assertEqual(content(self.loader(order="global", threads=1)), content(self.loader(order="global", threads=3, slots=9)))

    def test_seed(self):
        self.assertNotEqual(indices(self.loader(order="global")), indices(self.loader(order="global", seed=2)))

    def test_block_order(self):
        seen = indices(self.loader(10, order="block:10"))
        self.assertEqual(sorted(seen), list(range(100)))
        self.assertEqual(len({record // 10 for record in seen[:10]}), 1)

    def test_the_working_directory_may_change(self):
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        loader = self.loader(path=os.path.basename(self.path))
        next(iter(loader))
        os.chdir("/")
        self.assertEqual([batch.epoch for batch in loader], [1] * len(loader))
        self.assertEqual(loader.dataset.path, os.path.basename(self.path))

    def test_an_epoch_that_is_left_is_over(self):
        loader = self.loader(order="global")
        for batch in loader:
            if batch.step == 3:
                break
        self.assertEqual(content(loader), content(self.loader(order="global", epoch=1)))
        for batch in itertools.islice(loader, len(loader)):  # its end was never asked for
            self.assertEqual(batch.epoch, 2)
        self.assertEqual({batch.epoch for batch in loader}, {3})

    def test_an_iterator_of_an_epoch_that_was_left(self):
        loader = self.loader()
        first = iter(loader)
        next(first)
        second = iter(loader)
        self.assertEqual(next(second).epoch, 1)
        with self.refused(RuntimeError, "another epoch"):
            next(first)
        self.assertEqual(next(second).step, 1)
        loader.set_epoch(5)
        with self.assertRaises(RuntimeError):
            next(second)

    def test_a_finished_iterator_stays_finished(self):
        loader = self.loader()
        iterator = iter(loader)
        self.assertIs(iter(iterator), iterator)
        self.assertEqual(len(list(iterator)), 12)
        self.assertEqual(list(iterator), [])
        self.assertEqual(len(list(loader)), 12)
        self.assertEqual(list(iterator), [])

    def test_set_epoch(self):
        loader = self.loader(order="global")
        for epoch in (0, 1, 7, 7, 2):
            loader.set_epoch(epoch)
            self.assertEqual({batch.epoch for batch in loader}, {epoch})
        for wrong, kind in ((-1, ValueError), (1 << 64, ValueError), ("1", TypeError), (1.0, TypeError)):
            with self.refused(kind, "epoch"):
                loader.set_epoch(wrong)

    def test_threads_share_an_iterator(self):
        loader = self.loader(2, order="global", slots_max=64)
        for _ in range(3):
            iterator, seen, ends = iter(loader), [], []

            def take():
                for batch in iterator:
                    seen.extend(numbers(batch.indices))
                ends.append(True)

            threads = [threading.Thread(target=take) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual((sorted(seen), len(ends)), (list(range(100)), 4))


class Ranks(DatasetCase):
    def test_every_rank_has_as_many_batches(self):
        for last in ("drop", "short", "pad"):
            loaders = [self.loader(7, rank=rank, world=3, last=last, order="global") for rank in range(3)]
            lengths = [[len(batch.images) for batch in loader] for loader in loaders]
            self.assertEqual(lengths[0], lengths[1])
            self.assertEqual(lengths[0], lengths[2])
            self.assertEqual({len(loader) for loader in loaders}, {len(lengths[0])})

    def test_ranks_share_an_epoch(self):
        seen = [indices(self.loader(5, rank=rank, world=4, order="global")) for rank in range(4)]
        self.assertEqual(sorted(itertools.chain(*seen)), list(range(100)))
        short = [indices(self.loader(7, rank=rank, world=3, order="global", last="short")) for rank in range(3)]
        self.assertEqual(set(itertools.chain(*short)), set(range(100)))
        self.assertLessEqual(sum(map(len, short)), 102)


class States(DatasetCase):
    def test_fit_for_json_and_pickle(self):
        state = self.loader(order="block:10", seed=1 << 63).state_dict()
        self.assertEqual(state["version"], 1)
        self.assertEqual(json.loads(json.dumps(state)), state)
        self.assertEqual(pickle.loads(pickle.dumps(state)), state)
        self.assertEqual({type(value) for value in state.values()}, {int, str})

    def test_going_on_from_everywhere(self):
        whole = self.loader(order="global", dtype="f32", last="short")
        expected = [content(whole) for _ in range(3)]
        stopped = self.loader(order="global", dtype="f32", last="short")
        for epoch in range(2):
            for place, _ in enumerate(stopped):
                resumed = self.loader(order="global", dtype="f32", last="short", threads=1)
                resumed.load_state_dict(json.loads(json.dumps(stopped.state_dict())))
                rest = expected[epoch][place + 1:] or expected[epoch + 1]
                self.assertEqual(content(resumed), rest)
                break_at_the_end = place + 1 == len(expected[epoch])
                if not break_at_the_end:
                    self.assertEqual(content(resumed), expected[epoch + 1])

    def test_before_and_after_an_epoch(self):
        loader = self.loader(order="global")
        start = loader.state_dict()
        self.assertEqual((start["epoch"], start["position"]), (0, 0))
        first = content(loader)
        after = loader.state_dict()
        self.assertEqual((after["epoch"], after["position"]), (1, 0))
        loader.load_state_dict(start)
        self.assertEqual(content(loader), first)

    def test_set_epoch_keeps_the_place_of_a_state(self):
        """A training script calls set_epoch before each epoch, also before the one that it goes on with."""
        loader = self.loader()
        next(iter(loader))
        state = loader.state_dict()
        for epoch, records in ((0, range(8, 96)), (1, range(96))):
            resumed = self.loader()
            resumed.load_state_dict(state)
            resumed.set_epoch(epoch)
            self.assertEqual(indices(resumed), list(records))
        resumed.set_epoch(1)
        self.assertEqual(indices(resumed), list(range(96)))

    def test_another_world_and_batch_size(self):
        """The union of all ranks' samples is each sample once, whatever the worlds before and after."""
        for before, after in (((8, 1), (5, 2)), ((4, 3), (16, 1)), ((3, 2), (7, 4))):
            seen = []
            loaders = [self.loader(before[0], rank=rank, world=before[1], order="global") for rank in range(before[1])]
            for loader in loaders:
                seen += indices(itertools.islice(loader, 3))
            states = [loader.state_dict() for loader in loaders]
            self.assertTrue(all(state == states[0] for state in states))
            for rank in range(after[1]):
                resumed = self.loader(after[0], rank=rank, world=after[1], order="global", last="short")
                resumed.load_state_dict(states[0])
                seen += indices(resumed)
            self.assertEqual(set(seen), set(range(100)))
            self.assertLess(len(seen), 100 + after[1])

    def test_a_handed_on_state_is_behind_the_delivered_batch(self):
        loader = self.loader(slots=8)
        iterator = iter(loader)
        for step in range(5):
            next(iterator)
            self.assertEqual(loader.state_dict()["position"], (step + 1) * 8)

    def test_wrong_states_name_the_key(self):
        loader = self.loader(order="global", seed=3)
        good = loader.state_dict()
        for key, wrong in (("version", 2), ("order", "sequential"), ("seed", 4), ("records", 5), ("fingerprint", "0" * 16),
                           ("sampling", "1" * 16), ("position", 101), ("position", -1), ("epoch", -1)):
            with self.subTest(key), self.refused(ValueError, f"'{key}'"):
                loader.load_state_dict({**good, key: wrong})
        for key in good:
            with self.subTest(key), self.refused(ValueError, f"'{key}'"):
                loader.load_state_dict({name: value for name, value in good.items() if name != key})
        for key in ("epoch", "position"):
            with self.refused(TypeError, f"'{key}'"):
                loader.load_state_dict({**good, key: "1"})
        for wrong in (3, [1], "state", None):
            with self.refused(TypeError, "state"):
                loader.load_state_dict(wrong)
        self.assertEqual(loader.state_dict(), good)

    def test_other_data_is_refused(self):
        state = self.loader(order="global").state_dict()
        with self.refused(ValueError, "'records'"):
            self.loader(order="global", indices=range(50)).load_state_dict(state)
        with self.refused(ValueError, "'sampling'"):
            self.loader(order="global", weights=[1] * 100).load_state_dict(state)


if __name__ == "__main__":
    unittest.main()
