"""The fastest road from JPEG files on a disk to batches of images: an-loader for Python.

The stub is the contract; docs/python.md explains it."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Callable, Literal, final, overload

__all__ = ["Array", "Batch", "Dataset", "DatasetError", "Loader", "Names", "Writer", "__version__", "ingest"]

__version__: str

class DatasetError(Exception):
    """A dataset is damaged. `path` is its folder; `record` is the number of the record, or None."""

    path: str | None
    record: int | None

@final
class Array:
    """One array of a batch or of a dataset, without a copy: DLPack and, on the host, the buffer protocol (but for bf16,
    which that protocol cannot express). It keeps the memory alive; nothing overwrites it while an Array, a tensor made
    of it, or its batch is held."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str:
        """"uint8", "float32", "bfloat16", "float16", "int64", "int32" or "uint16"."""
    @property
    def nbytes(self) -> int: ...
    @property
    def device(self) -> str:
        """"cpu" or "cuda:0"."""
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __array__(self, *arguments: Any, **options: Any) -> Any:
        """numpy.array of this memory, with these arguments; BufferError where the buffer protocol cannot express it."""
    def __dlpack__(self, *, stream: Any | None = None, max_version: tuple[int, int] | None = None,
                   dl_device: tuple[int, int] | None = None, copy: bool | None = None) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

@final
class Batch:
    """A batch that the loader has lent. Unpacks as `images, labels`, or as `images, labels, indices` with
    return_index=True. Its memory is used again once it and every Array and tensor of it are gone, or after release()
    and when every Array and tensor is gone."""

    @property
    def images(self) -> Array:
        """(n, channels, crop, crop) with layout "nchw", (n, crop, crop, channels) with "nhwc"."""
    @property
    def labels(self) -> Array:
        """(n,) classes; (n, classes) float32 with labels="onehot"."""
    @property
    def indices(self) -> Array:
        """(n,) int64: numbers of the records in the dataset."""
    @property
    def shares(self) -> Array | None:
        """(n,) float32 with mixup or cutmix: the weight of a sample's own label; the rest is its partner's, sample i ^ 1."""
    @property
    def boxes(self) -> Array | None:
        """(n, 4) uint16 with mixup or cutmix: x0, y0, x1, y1 (excluded) of the pixels that CutMix takes from the partner;
        all 0 for mixup and for nothing."""
    @property
    def epoch(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def repeated(self) -> int:
        """The last so many samples were shown before in this epoch (last="short" and "pad")."""
    def release(self) -> None: ...
    def use(self, stream: int | None, /) -> None:
        """For batches on a device: what is given to this stream from now on finds the images finished, and their memory is
        used again only when the stream has done what it was given until then. from_dlpack does that for its own stream;
        name others that use the images. stream: as in __dlpack__, such as torch.cuda.Stream.cuda_stream."""
    def __len__(self) -> int:
        """2 or 3: what it unpacks to."""
    def __getitem__(self, index: int, /) -> Array: ...
    def __iter__(self) -> Iterator[Array]: ...

@final
class Loader:
    """Batches of a dataset's images. Iterating gives one epoch, from the current place on; the next iteration gives the
    next epoch, also after one that was left in its middle. An iterator ends with a RuntimeError when the loader has gone
    elsewhere: by another iteration, set_epoch or load_state_dict. Threads that share an iterator get a batch each."""

    def __new__(
        cls,
        path: str | PathLike[str] | Dataset,
        batch_size: int,
        *,
        rank: int = 0,
        world: int = 1,
        seed: int = 1,
        epoch: int = 0,
        order: str = "global",
        crop: int = 224,
        resized: float | None = None,
        mirror: bool = True,
        centre: bool = False,
        mean: float | Sequence[float] | Literal["dataset", "pixel"] | None = None,
        std: float | Sequence[float] | Literal["dataset"] | None = None,
        jitter: float = 0.0,
        grey: bool = False,
        mixup: float = 0.0,
        cutmix: float = 0.0,
        dtype: Literal["u8", "f32", "bf16", "f16"] = "u8",
        layout: Literal["nchw", "nhwc"] = "nchw",
        threads: int = 0,
        slots: int = 4,
        slots_max: int = 64,
        indices: Any | None = None,
        weights: Any | None = None,
        last: Literal["drop", "short", "pad"] = "drop",
        labels: Literal["i64", "i32", "onehot"] = "i64",
        return_index: bool = False,
        size_by_epoch: Mapping[int, int] | None = None,
        verify: bool = True,
        engine: Literal["auto", "uring", "uring-direct", "pread", "mmap"] = "auto",
        device: str | None = None,
    ) -> Loader: ...
    def __len__(self) -> int:
        """Batches of a whole epoch, the same for every rank."""
    def __iter__(self) -> Iterator[Batch]: ...
    def set_epoch(self, epoch: int, /) -> None:
        """The next iteration gives this epoch. Costs nothing if it comes next anyway. The place that load_state_dict chose
        in this epoch is kept."""
    def state_dict(self) -> dict[str, Any]:
        """The place behind the last batch that was delivered, as numbers and strings: fit for JSON and pickle."""
    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Go there: exact with another number of threads, another batch size and another world. The next iteration gives
        the rest of the state's epoch. ValueError names the key that does not fit this loader's data."""
    def stats(self) -> dict[str, int]:
        """Counts, and where time went in nanoseconds, summed over the threads named."""
    def verdict(self) -> tuple[str, str]:
        """("decode", "a sentence that gives the reason"): the stage that is the limit."""
    def interrupt(self) -> None:
        """Every thread that waits for a batch, and every later one, gets a RuntimeError, until resume()."""
    def resume(self) -> None:
        """Go on after interrupt(). No batch is lost."""
    def close(self) -> None:
        """Stop the threads. Batches, arrays and tensors stay valid."""
    @property
    def dataset(self) -> Dataset: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def note(self) -> str | None: ...
    def __enter__(self) -> Loader: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /) -> None: ...

@final
class Names:
    """Each record's path in the source, a sequence of str. A name is read when it is asked for; bytes of it that are not
    UTF-8 become surrogates, as in os.fsdecode."""

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int, /) -> str: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[str]: ...
    def __iter__(self) -> Iterator[str]: ...

@final
class Dataset:
    """A dataset: image by image. Any number of threads may use it."""

    def __new__(cls, path: str | PathLike[str]) -> Dataset: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[Array, int]]: ...
    def __getitem__(self, index: int, /) -> tuple[Array, int]:
        """The whole image, (side, side, 3) uint8 RGB, and its label."""
    @property
    def path(self) -> str: ...
    @property
    def side(self) -> int: ...
    @property
    def classes(self) -> list[str]:
        """Names for people, by label."""
    @property
    def class_ids(self) -> list[str]: ...
    @property
    def labels(self) -> Array:
        """(n,) int64: the labels of all records, without reading them."""
    @property
    def names(self) -> Names:
        """Each record's path in the source; read one by one."""
    def encoded(self, index: int, /) -> tuple[str, bytes]:
        """The record's codec and its payload."""
    def info(self) -> dict[str, Any]:
        """count, side, codec (of the first record), classes (their number), mean and std (three numbers on the scale of 0 to
        255), eigenvalues, eigenvectors, fingerprint, manifest (JSON text)."""
    def close(self) -> None:
        """Loaders of the dataset go on."""
    def __enter__(self) -> Dataset: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /) -> None: ...

@final
class Writer:
    """Writes a dataset of size x size pixels. As a context manager it finishes at the end; on an exception it keeps what was
    added, and a Writer with the same arguments goes on. Any number of threads may use it, one at a time writes."""

    def __new__(
        cls,
        path: str | PathLike[str],
        *,
        size: int = 256,
        codec: Literal["jpeg", "coef", "yuv420", "rgb"] = "jpeg",
        quality: int = 90,
        subsampling: Literal[420, 422, 444] = 420,
        classes: Sequence[str] | Mapping[str, str] | None = None,
        source: str | None = None,
    ) -> Writer: ...
    def add(self, image: Any, label: int, name: str | None = None) -> None:
        """image: bytes of a JPEG or PNG file; or (h, w, 3), (h, w, 1) or (h, w) uint8 by the buffer protocol, __array_interface__
        or DLPack; or a PIL image. ValueError if it cannot be used: nothing is written then."""
    def reject(self, name: str, reason: str, size: int = 0) -> None:
        """Note an image that was left out."""
    @property
    def path(self) -> str: ...
    @property
    def position(self) -> int:
        """Images so far, added and rejected: where the source of an interrupted writer goes on."""
    def commit(self) -> None: ...
    def finish(self) -> Dataset: ...
    def close(self) -> None: ...
    def __len__(self) -> int:
        """Images so far, those of before an interruption included."""
    def __enter__(self) -> Writer: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None,
                 /) -> None: ...

def ingest(
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    progress: bool | Callable[[int, int | None, float], None] = True,
    **options: Any,
) -> Dataset:
    """Run an-ingest. options are its own, with underscores: codec="coef", size=256, quality=90, threads=4... progress: True
    shows it on a terminal, a function is called with (inputs done, inputs or None, images per second). KeyboardInterrupt
    keeps what is done: the same call continues."""
