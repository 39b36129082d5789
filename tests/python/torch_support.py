"""What the tests of PyTorch and JAX share: datasets, and the reference, which takes a dataset's images one by one and draws in Python."""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/interop"), str(ROOT / "tests/train")]
import draws
import pictures

BIN = pathlib.Path(os.environ["AN_BIN_DIR"])
SIDE, CLASSES = pictures.SIDE, 3


def ingest(folder, count, codec):
    """A dataset of so many coloured pictures, each class every third, in the order of their numbers."""
    if not (folder / "pictures").exists():
        pictures.write(folder / "pictures", count, CLASSES)
    to = folder / codec
    command = [BIN / "an-ingest", "--quiet", "--size", str(SIDE), "--codec", codec, folder / "pictures", to]
    subprocess.run(command, check=True, capture_output=True)
    return str(to)


class Folder:
    """Of a test class, removed with it."""

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="an-torch-")
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = pathlib.Path(temporary.name)


class OneByOne:
    """The images of a dataset, each decoded whole and alone; then cropped and mirrored as docs/python.md says that the loader does."""

    def __init__(self, dataset, crop, seed=1, centre=False):
        self.dataset, self.crop, self.seed, self.centre = dataset, crop, seed, centre

    def __getitem__(self, place):
        """place: epoch and record. Pixels (3, crop, crop) and label."""
        epoch, record = place
        array, label = self.dataset[record]
        pixels = torch.from_dlpack(array).permute(2, 0, 1)
        x, y, mirrored = draws.window(self.seed, self.dataset.side, self.crop, epoch, record)
        if self.centre:
            x, y, mirrored = (self.dataset.side - self.crop) // 2, (self.dataset.side - self.crop) // 2, False
        pixels = pixels[:, y:y + self.crop, x:x + self.crop]
        return (pixels.flip(2) if mirrored else pixels).clone(), label

    def batches(self, epoch, size, begin=0):
        """Those of an epoch from a place in its order: images, labels, record numbers; the last one may be short."""
        order = draws.order(self.seed, len(self.dataset), epoch)[begin:]
        for i in range(0, len(order), size):
            records = order[i:i + size]
            images, labels = zip(*(self[epoch, record] for record in records))
            yield torch.stack(images), torch.tensor(labels), torch.tensor(records)


try:
    import torch
except ImportError:
    print("no PyTorch here; AN_TORCH_PYTHON names the Python that has it")
    sys.exit(77)
