"""Batches as PyTorch tensors.

    import an_loader.torch

    loader = an_loader.torch.loader("data/train", 256, crop=224, channels_last=True, pin=True)
    for epoch in range(90):
        for images, labels in loader:
            images = images.to("cuda", non_blocking=True)

The loader is an IterableDataset whose items are whole batches. It is used as it is, or in a
DataLoader(loader, batch_size=None, num_workers=0). It has threads of its own, so worker processes are refused.

Lifetimes. Tensors of images and labels lie in the loader's memory, without a copy; a batch's memory is used again once
its tensors are gone. A loader belongs to the process that made it. Threads: one at a time iterates. Failures: those of
an_loader.Loader."""

import os
import warnings
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

import an_loader

__all__ = ["TensorLoader", "loader", "mix"]

_WORKERS = ("num_workers: an_loader decodes in threads of its own and cannot work in worker processes; use the loader as it is, or in "
            "DataLoader(loader, batch_size=None, num_workers=0), and give the number of threads as threads=")


class TensorLoader(IterableDataset):
    """What `loader` returns: iterating gives one epoch, the next iteration the next epoch. An item is a tuple:

    images, labels[, indices][, shares, boxes]

    images: (n, channels, crop, crop), or (n, crop, crop, channels) with layout="nhwc" and without channels_last; of the
    loader's dtype. labels: (n,) int64, or as labels= says. indices: (n,) int64, the numbers of the records in the
    dataset, with return_index=True. shares, (n,) float32, and boxes, (n, 4) int32, with mixup or cutmix: see `mix`."""

    def __init__(self, path: Any, batch_size: int, *, rank: int | None = None, world: int | None = None, pin: bool = False,
                 channels_last: bool = False, **options: Any) -> None:
        super().__init__()
        if channels_last and options.setdefault("layout", "nhwc") != "nhwc":
            raise ValueError(f"channels_last: is layout 'nhwc', and layout={options['layout']!r} was given")
        if pin and options.get("device") not in (None, "cpu"):
            raise ValueError("pin: images that are decoded on a device do not lie in the host's memory")
        rank, world = _place(rank, world)
        self._pin = pin and _can_pin()
        self._channels_last = channels_last
        self._return_index = bool(options.get("return_index"))
        self._loader = an_loader.Loader(path, batch_size, rank=rank, world=world, **options)
        self.rank, self.world = rank, world
        self.repeated = 0  # of the last batch delivered: its last so many samples were shown before in this epoch

    def __len__(self) -> int:
        """Batches of a whole epoch, the same for every rank."""
        return len(self._loader)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        if get_worker_info() is not None:
            raise RuntimeError(_WORKERS)
        return map(self._tensors, self._loader)

    def _tensors(self, batch: an_loader.Batch) -> tuple[torch.Tensor, ...]:
        images = torch.from_dlpack(batch.images)
        tensors = [images.permute(0, 3, 1, 2) if self._channels_last else images, torch.from_dlpack(batch.labels)]
        if self._return_index:
            tensors.append(_copy(batch.indices, torch.int64))
        if batch.shares is not None:
            # PyTorch has unsigned 16-bit numbers only lately, and calculates with them in few operations.
            tensors += [_copy(batch.shares, torch.float32), _copy(batch.boxes, torch.int16).to(torch.int32) & 0xFFFF]
        self.repeated = batch.repeated
        return tuple(tensor.pin_memory() for tensor in tensors) if self._pin else tuple(tensors)

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle a loader. {_WORKERS}")

    def set_epoch(self, epoch: int) -> None:
        """The beginning of this epoch is next. Not needed by scripts that go through their epochs in turn."""
        self._loader.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """The place behind the last batch that was delivered: numbers and strings, the same on every rank."""
        return self._loader.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go there: exact with another number of threads, another batch size and another world."""
        self._loader.load_state_dict(state)

    def stats(self) -> dict[str, Any]:
        return self._loader.stats()

    def verdict(self) -> tuple[str, str]:
        return self._loader.verdict()

    def close(self) -> None:
        self._loader.close()

    @property
    def dataset(self) -> an_loader.Dataset:
        """Its len() is the number of images, as scripts expect of a DataLoader's."""
        return self._loader.dataset

    @property
    def batch_size(self) -> int:
        """Of this rank."""
        return self._loader.batch_size

    def __enter__(self) -> "TensorLoader":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def loader(path: Any, batch_size: int, *, rank: int | None = None, world: int | None = None, pin: bool = False,
           channels_last: bool = False, **options: Any) -> TensorLoader:
    """A loader of tensors. path, batch_size (samples of this rank) and options are those of an_loader.Loader.

    rank, world: both or neither; without them torch.distributed's where it is initialised, else one process.
    pin: tensors in pinned memory, for copies with non_blocking=True. It costs a copy of each batch into memory of PyTorch's
      own, which alone knows when a copy to the device has ended. Without a CUDA device a warning says that nothing is pinned.
    channels_last: images of shape (n, channels, crop, crop) in PyTorch's memory format channels_last. Nothing is copied for it."""
    return TensorLoader(path, batch_size, rank=rank, world=world, pin=pin, channels_last=channels_last, **options)


def mix(images: torch.Tensor, labels: torch.Tensor, shares: torch.Tensor, boxes: torch.Tensor,
        classes: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply mixup and CutMix, as drawn by a loader with mixup= or cutmix=, where the images are.

    images: (n, channels, side, side), floating point, on any device. labels: (n,) classes, of which there are `classes`, or
    (n, classes) with labels="onehot". shares, boxes: the loader's. Gives the mixed images and (n, classes) float32
    probabilities, which torch.nn.CrossEntropyLoss takes as they are."""
    if not images.is_floating_point():
        raise TypeError(f"images: mixing needs a floating point type, not {images.dtype}")
    if labels.dim() == 1:
        if classes is None:
            raise ValueError("classes: needed to mix labels that are numbers")
        labels = torch.nn.functional.one_hot(labels, classes)
    count, side = images.shape[0], images.shape[-1]
    own = torch.arange(count, device=images.device)
    partner = own ^ 1
    partner = torch.where(partner < count, partner, own)  # the last of an odd number has none
    shares, boxes = (values.to(images.device, non_blocking=True) for values in (shares, boxes))
    shares = torch.where(partner == own, torch.ones_like(shares), shares)

    x0, y0, x1, y1 = (edge[:, None] for edge in boxes.unbind(1))
    place = torch.arange(side, device=images.device)
    inside = ((place >= y0) & (place < y1))[:, :, None] & ((place >= x0) & (place < x1))[:, None, :]
    cut = (x1 > x0)[:, :, None] & (partner != own)[:, None, None]
    weight = torch.where(cut, (~inside).to(shares.dtype), shares[:, None, None])[:, None].to(images.dtype)
    mixed = images * weight + images[partner] * (1 - weight)

    labels, shares = labels.to(images.device, torch.float32, non_blocking=True), shares[:, None]
    return mixed, labels * shares + labels[partner] * (1 - shares)


def _copy(array: an_loader.Array, dtype: torch.dtype) -> torch.Tensor:
    """A few bytes for each sample, as a type that every version of PyTorch has: cheaper to copy than to lend."""
    return torch.frombuffer(bytearray(memoryview(array).cast("B")), dtype=dtype).reshape(array.shape)


def _can_pin() -> bool:
    if torch.cuda.is_available():
        return True
    warnings.warn("pin=True: PyTorch finds no CUDA device, so batches stay in ordinary memory", RuntimeWarning, stacklevel=4)
    return False


def _place(rank: int | None, world: int | None) -> tuple[int, int]:
    """Which process this is, of how many."""
    if (rank is None) != (world is None):
        raise ValueError("rank and world: give both or neither")
    if rank is not None and world is not None:
        return rank, world
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    started = os.environ.get("WORLD_SIZE", "1")
    if started != "1":
        warnings.warn(f"torch.distributed is not initialised, although WORLD_SIZE is {started}: every process will load the same images. "
                      "Call torch.distributed.init_process_group first, or give rank and world", RuntimeWarning, stacklevel=4)
    return 0, 1
