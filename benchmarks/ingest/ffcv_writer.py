"""The same work by FFCV's DatasetWriter: a dataset that gives PIL images resized like ours, written as JPEG of quality 90.
   ffcv_writer.py PROCESSES DESTINATION [full] < list       (a Python with ffcv, torch and Pillow)
   full: decoded at full size, as torchvision's ImageFolder does; otherwise through draft(), Pillow's fast way."""
import sys
import time

import numpy
from ffcv.fields import IntField, RGBImageField
from ffcv.writer import DatasetWriter
from PIL import Image


class Pictures:
    def __init__(self, paths, full):
        self.paths, self.full = paths, full

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        with Image.open(self.paths[index]) as image:
            if not self.full:
                image.draft("RGB", (256, 256))
            image = image.convert("RGB")
            side = min(image.size)
            left, top = (image.width - side) / 2, (image.height - side) / 2
            image = image.resize((256, 256), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
        return numpy.asarray(image), 0


if __name__ == "__main__":
    paths = sys.stdin.read().split("\n")[:-1]
    writer = DatasetWriter(sys.argv[2], {"image": RGBImageField(write_mode="jpg", jpeg_quality=90), "label": IntField()},
                           num_workers=int(sys.argv[1]))
    start = time.perf_counter()
    writer.from_indexed_dataset(Pictures(paths, "full" in sys.argv), chunksize=16)
    seconds = time.perf_counter() - start
    print(f"{len(paths) / seconds:.1f} images/s, {len(paths)} images in {seconds:.3f} s")
