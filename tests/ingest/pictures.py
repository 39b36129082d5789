"""Small sources for the scripts: without Pillow, so that they run everywhere."""
import os
import random
import struct


def idx_set(folder, count, side=28, seed=1):
    """An IDX images file with its labels; returns the images file's path."""
    os.makedirs(folder, exist_ok=True)
    rng = random.Random(seed)
    images = os.path.join(folder, "train-images-idx3-ubyte")
    with open(images, "wb") as file:
        file.write(struct.pack(">IIII", 0x803, count, side, side))
        for _ in range(count):
            file.write(rng.randbytes(side) * side)
    with open(os.path.join(folder, "train-labels-idx1-ubyte"), "wb") as file:
        file.write(struct.pack(">II", 0x801, count))
        file.write(bytes(rng.randrange(10) for _ in range(count)))
    return images


def png(seed=None):
    """A grey 8 x 8 PNG, by hand: a ramp, or random pixels."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rng = random.Random(seed)
    rows = b"".join(b"\0" + (bytes(range(y, y + 8)) if seed is None else rng.randbytes(8)) for y in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_folders(root, classes, each):
    """A folder source: each PNG files (all alike) in each of the class folders. Returns root."""
    for c in range(classes):
        os.makedirs(f"{root}/class-{c}")
        for i in range(each):
            with open(f"{root}/class-{c}/{i}.png", "wb") as file:
                file.write(png())
    return root
