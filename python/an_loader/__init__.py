"""The fastest road from JPEG files on a disk to batches of images: an-loader for Python.

    import an_loader

    loader = an_loader.Loader("data/train", 256, crop=224, dtype="f32", mean="dataset", std="dataset")
    for epoch in range(90):
        for images, labels in loader:
            ...

Batches and their arrays speak DLPack (torch.from_dlpack, jax.dlpack, numpy.from_dlpack) and the buffer protocol
(numpy.asarray, memoryview), both without a copy.
"""

from an_loader._ingest import ingest
from an_loader._native import Array, Batch, Dataset, DatasetError, Loader, Names, Writer, __version__

__all__ = ["Array", "Batch", "Dataset", "DatasetError", "Loader", "Names", "Writer", "__version__", "ingest"]
