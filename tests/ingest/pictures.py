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
