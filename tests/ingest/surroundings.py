"""What surrounds an-ingest: named pipes, a stream that stands still, few descriptors, a folder on another file system."""
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
from pictures import png_folders

PROGRAM = os.path.join(os.environ["AN_BIN_DIR"], "an-ingest")


def ingest(*arguments, **options):
    return subprocess.run([PROGRAM, "--quiet", "--size", "16", *map(str, arguments)], capture_output=True, text=True,
                          timeout=100, **options)


class Surroundings(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="an-around-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.source = pathlib.Path(png_folders(f"{self.root}/in", 2, 60))
        self.out = self.root / "out"

    def info(self, text):
        told = subprocess.run([PROGRAM, "info", self.out], capture_output=True, text=True, check=True).stdout
        self.assertIn(text, told)

    def test_named_pipe_among_the_images(self):
        os.mkfifo(self.source / "class-0" / "pipe.jpg")
        result = ingest(self.source, self.out)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.info("class-0/pipe.jpg")
        self.assertIn("a named pipe, not a regular file", (self.root / "out.rejected.ndjson").read_text())

    def test_named_pipe_as_a_tar(self):
        shards = self.root / "shards"
        shards.mkdir()
        os.mkfifo(shards / "one.tar")
        result = ingest(shards, self.out)
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertIn("one.tar", result.stderr)

    def stream(self):
        (self.root / "ids").write_text("class-0\nclass-1\n")
        return subprocess.Popen([PROGRAM, "--size", "16", "--threads", "1", "--order", "source", "--classes-from",
                                 self.root / "ids", "-", self.out], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=False)

    def stop(self, process):
        """The first signal ends it, though its standard input stays open and silent."""
        process.send_signal(signal.SIGINT)
        try:
            self.assertEqual(process.wait(timeout=100), 130)
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stderr.close()

    def test_stream_that_never_begins(self):
        process = self.stream()
        while process.poll() is None:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            if int(status.partition("SigCgt:")[2].split()[0], 16) >> (signal.SIGINT - 1) & 1:
                break
        self.stop(process)
        self.assertFalse(self.out.exists())

    def test_stream_that_stands_still(self):
        tar = self.root / "all.tar"
        with tarfile.open(tar, "w") as file:
            for path in sorted(self.source.glob("*/*.png")):
                file.add(path, path.relative_to(self.source))
        whole = tar.read_bytes()
        process = self.stream()
        process.stdin.write(whole[:len(whole) // 2 + 100])
        process.stdin.flush()
        while process.poll() is None and not (self.root / "out.partial" / "data.mdb").exists():
            time.sleep(0.005)
        time.sleep(0.2)  # more often than not it waits for the stream by now
        self.stop(process)
        with open(tar, "rb") as file:
            again = subprocess.run(process.args, stdin=file, capture_output=True, text=True, timeout=100)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.info("120 of 16 x 16 pixels")

    def test_few_descriptors_end_the_run(self):
        for limit in range(3, 12):
            result = ingest("--threads", 16, "--max-bad", "100%", self.source, self.out,
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
            if result.returncode == 0:
                break
            self.assertIn(result.returncode, (1, 127), result.stderr)  # 127: not even the libraries can be loaded
            self.assertFalse((self.root / "out.rejected.ndjson").exists())
        else:
            result = ingest(self.source, self.out)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.info("set aside    0")

    def test_partial_on_another_file_system(self):
        (self.root / "out.partial").mkdir()
        script = 'mount -t tmpfs none "$1" 2>/dev/null || exit 77; shift; exec "$@"'
        try:
            result = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", self.root / "out.partial",
                                     PROGRAM, self.source, self.out], capture_output=True, text=True, timeout=100)
        except FileNotFoundError:
            self.skipTest("unshare is not installed")
        if result.returncode == 77 or "unshare" in result.stderr:
            self.skipTest("no rights to mount")
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn("another file system", result.stderr)


if __name__ == "__main__":
    unittest.main()
