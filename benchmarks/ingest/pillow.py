"""The same work by Pillow: centre square of the shorter side to 256 pixels, JPEG quality 90, in processes.
   pillow.py PROCESSES [full] < list
   full: decoded at full size, as most scripts do; otherwise through draft(), Pillow's fast way."""
import functools
import io
import multiprocessing
import sys
import time

from PIL import Image


def one(path, full):
    with Image.open(path) as image:
        if not full:
            image.draft("RGB", (256, 256))
        image = image.convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        image = image.resize((256, 256), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, subsampling="4:2:0")
    return len(out.getvalue())


if __name__ == "__main__":
    paths = sys.stdin.read().split("\n")[:-1]
    work = functools.partial(one, full="full" in sys.argv)
    with multiprocessing.Pool(int(sys.argv[1])) as pool:
        pool.map(work, paths[:8])  # started
        start = time.perf_counter()
        total = sum(pool.imap_unordered(work, paths, chunksize=16))
        seconds = time.perf_counter() - start
    print(f"{len(paths) / seconds:.1f} images/s, {len(paths)} images in {seconds:.3f} s, {total / 1e6:.1f} MB encoded")
