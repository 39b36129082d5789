#!/usr/bin/env python3
"""an_loader and the process around it: signals, forks, pickling, interpreters, interruptions."""
import copy
import os
import pickle
import sys
import sysconfig
import threading
import unittest

import an_loader
from tests.python.support import DatasetCase, child, indices

# The source of a loader that waits: reads are held back while the file `stall` exists.
STALLED = """
import os, signal, threading, time
dataset, stall = an_loader.Dataset(sys.argv[1]), os.environ["AN_STALL"]
open(stall, "w").close()
loader = an_loader.Loader(dataset, 8, crop=16, order="sequential", engine="pread")
iterator = iter(loader)
"""


class Signals(DatasetCase):
    def stalled(self, code):
        preload = " ".join(filter(None, (os.environ.get("AN_PRELOAD"), os.environ["AN_STALL_SHIM"])))
        return child(STALLED + code, self.path,
                     environment={"LD_PRELOAD": preload, "AN_STALL": os.path.join(self.folder, "stall")})

    def test_keyboard_interrupt_while_waiting(self):
        done = self.stalled("""
def press():
    time.sleep(0.3)
    global pressed
    pressed = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=press).start()
try:
    next(iterator)
except KeyboardInterrupt:
    print("interrupted", file=sys.stdout)
    if "show" in sys.argv:
        print(time.monotonic() - pressed)
os.remove(stall)
print(memoryview(next(iterator).indices).tolist())
""")
        self.assertEqual(done, (0, "interrupted\n[0, 1, 2, 3, 4, 5, 6, 7]\n", ""))

    def test_keyboard_interrupt_of_a_consumer_in_c(self):
        done = child("""
import collections, itertools, os, signal, threading, time
loader = an_loader.Loader(sys.argv[1], 1, crop=1, threads=1)
next(iter(loader))
def press():
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=press).start()
try:
    collections.deque(itertools.chain.from_iterable(itertools.repeat(loader)), maxlen=0)
except KeyboardInterrupt:
    print("interrupted")
""", self.path, timeout=60)
        self.assertEqual(done, (0, "interrupted\n", ""))

    def test_a_handler_may_use_the_loader(self):
        done = self.stalled("""
def handler(number, frame):
    print(loader.state_dict()["position"], loader.stats()["batches"])
    os.remove(stall)
    loader.set_epoch(3)
signal.signal(signal.SIGUSR1, handler)
threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
try:
    next(iterator)
except RuntimeError as stale:
    print(stale)
print(next(iter(loader)).epoch)
""")
        self.assertEqual(done[0], 0, done)
        self.assertEqual(done[1], "0 0\nthe loader has begun another epoch or went elsewhere: this iterator ends here\n3\n")

    def test_other_threads_run_while_one_waits(self):
        done = self.stalled("""
count = 0
def work():
    global count
    for count in range(1000):
        time.sleep(0)
    os.remove(stall)
threading.Thread(target=work).start()
next(iterator)
print(count)
""")
        self.assertEqual(done, (0, "999\n", ""))

    def test_threads_that_wait_for_their_turn_take_signals(self):
        done = self.stalled("""
threading.Thread(target=lambda: next(iterator), daemon=True).start()
time.sleep(0.2)
threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    next(iterator)
except KeyboardInterrupt:
    print("interrupted")
os.remove(stall)
""")
        self.assertEqual(done, (0, "interrupted\n", ""))

    def test_interrupt_and_close_wake_who_waits(self):
        for call, message in (("interrupt", "the loader was interrupted"), ("close", "the loader is closed")):
            done = self.stalled(f"""
def wait():
    try:
        next(iterator)
    except RuntimeError as failure:
        print(failure)
    os.remove(stall)
thread = threading.Thread(target=wait)
thread.start()
time.sleep(0.2)
loader.{call}()
thread.join()
""")
            self.assertEqual(done, (0, message + "\n", ""))


class Interruptions(DatasetCase):
    def test_interrupt_lasts_until_resume_and_loses_nothing(self):
        loader = self.loader()
        iterator = iter(loader)
        seen = indices([next(iterator)])
        loader.interrupt()
        for _ in range(2):
            with self.refused(RuntimeError, "interrupted"):
                next(iterator)
        loader.resume()
        seen += indices(iterator)
        self.assertEqual(seen, list(range(96)))

    def test_closed(self):
        with self.loader() as loader:
            iterator = iter(loader)
            batch = next(iterator)
        for use in (lambda: next(iterator), lambda: iter(loader), lambda: loader.set_epoch(1),
                    lambda: loader.load_state_dict(loader.state_dict())):
            with self.refused(RuntimeError, "closed"):
                use()
        self.assertEqual(len(loader), 12)
        self.assertEqual(loader.stats()["batches"], 1)
        self.assertEqual(loader.state_dict()["position"], 8)
        loader.verdict()
        loader.close()
        self.assertEqual(len(bytes(batch.images)), batch.images.nbytes)

    def test_an_exception_closes_too(self):
        with self.assertRaises(KeyError):
            with self.loader() as loader:
                raise KeyError
        with self.assertRaises(RuntimeError):
            iter(loader)

    def test_close_while_threads_iterate(self):
        loader, ends = self.loader(2, order="global"), []

        def work():
            try:
                while True:
                    for batch in loader:
                        batch.images.__dlpack__()
            except RuntimeError as failure:
                ends.append(str(failure))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        loader.close()
        for thread in threads:
            thread.join()
        self.assertEqual(len(ends), 4)


@unittest.skipIf("libtsan" in os.environ.get("LD_PRELOAD", ""), "ThreadSanitizer supports no threads after a fork")
class Forks(DatasetCase):
    FORKED = """
import os, threading
dataset = an_loader.Dataset(sys.argv[1])
loader = an_loader.Loader(dataset, 8, crop=16, order="sequential")
iterator = iter(loader)
batch = next(iterator)
image, _ = dataset[3]
pid = os.fork()
if not pid:
    for call in (lambda: next(iterator), lambda: iter(loader), lambda: loader.set_epoch(2), loader.state_dict, loader.stats,
                 lambda: dataset[0], lambda: dataset.labels, lambda: an_loader.Loader(dataset, 8)):
        try:
            call()
            print("no exception", call)
        except RuntimeError as failure:
            assert "fork" in str(failure), failure
    bytes(batch.images), bytes(image), loader.verdict
    own = an_loader.Loader(sys.argv[1], 8, crop=16, order="sequential")
    assert memoryview(next(iter(own)).indices).tolist() == list(range(8))
    sys.stdout.flush()
    END
_, status = os.waitpid(pid, 0)
print(status, memoryview(next(iterator).indices).tolist())
"""

    def test_a_fork_raises_and_ends(self):
        for end in ("sys.exit(0)", "os._exit(0)", "loader.close(); del loader, iterator, batch, dataset, image; sys.exit(0)",
                    "loader.interrupt(); loader.resume(); batch.release(); sys.exit(0)"):
            with self.subTest(end):
                done = child(self.FORKED.replace("END", end), self.path)
                self.assertEqual(done, (0, "0 [8, 9, 10, 11, 12, 13, 14, 15]\n", ""))

    def test_a_fork_while_a_thread_waits(self):
        done = child("""
import os, threading
loader = an_loader.Loader(sys.argv[1], 8, crop=16)
def work():
    while True:
        for _ in loader:
            pass
threading.Thread(target=work, daemon=True).start()
for _ in range(20):
    pid = os.fork()
    if not pid:
        try:
            iter(loader)
        except RuntimeError:
            sys.exit(0)
        sys.exit(1)
    assert os.waitpid(pid, 0)[1] == 0
print("end")
""", self.path)
        self.assertEqual(done, (0, "end\n", ""))


class Pickling(DatasetCase):
    def test_refused_with_a_reason(self):
        loader, dataset = self.loader(), an_loader.Dataset(self.path)
        iterator = iter(loader)
        batch = next(iterator)
        for one, word in ((loader, "Loader"), (dataset, "Dataset"), (batch, "Batch"), (batch.images, "Array"),
                          (iterator, "state_dict"), (dataset.names, "Names")):
            for act in (pickle.dumps, copy.copy, copy.deepcopy, lambda one: pickle.dumps(one, 0)):
                with self.refused(TypeError, word, "cannot be pickled"):
                    act(one)

    def test_failures_can_be_pickled(self):
        try:
            an_loader.Dataset(self.damaged(7))[7]
        except an_loader.DatasetError as failure:
            copied = pickle.loads(pickle.dumps(failure))
            self.assertEqual((copied.record, copied.path, str(copied)), (7, failure.path, str(failure)))


def interpreters():
    """The module for interpreters, and arguments that make one which shares the main one's lock, and one that does not
    (None where there are none such)."""
    try:
        import _interpreters
        return _interpreters, ("legacy",), ("isolated",)  # since 3.13
    except ImportError:
        pass
    try:
        import _xxsubinterpreters
        return _xxsubinterpreters, (), () if sys.version_info >= (3, 12) else None
    except ImportError:
        return None, None, None


class Interpreters(DatasetCase):
    def setUp(self):
        self.module, self.shared, self.isolated = interpreters()
        if not self.module:
            self.skipTest("this Python has no module for interpreters")

    def run_in(self, one, code):
        """What went wrong, or None."""
        try:
            return self.module.run_string(one, f"import sys\nsys.path[:] = {sys.path!r}\n" + code)
        except self.module.RunFailedError as failure:
            return failure
        finally:
            self.module.destroy(one)

    def test_several_interpreters(self):
        """Each has a module of its own, and its loaders end with it."""
        code = f"""
import an_loader
loader = an_loader.Loader({self.path!r}, 8, crop=16)
kept = next(iter(loader)), memoryview(next(iter(loader)).images)
try:
    an_loader.Dataset("/none")
except FileNotFoundError:
    pass
"""
        isolated = {} if self.shared else {"isolated": False}
        for _ in range(3):
            self.assertIsNone(self.run_in(self.module.create(*self.shared, **isolated), code))
        self.assertEqual(len(list(self.loader())), 12)

    def test_an_interpreter_with_a_lock_of_its_own_refuses(self):
        """Free-threaded builds have no limited API and so the slot that says that it is fine."""
        if self.isolated is None:
            self.skipTest("in this Python all interpreters share a lock")
        failure = self.run_in(self.module.create(*self.isolated), "import an_loader")
        if sysconfig.get_config_var("Py_GIL_DISABLED"):
            self.assertIsNone(failure)
            return
        self.assertIn("does not support loading in subinterpreters", str(getattr(failure, "msg", failure)))


if __name__ == "__main__":
    unittest.main()
