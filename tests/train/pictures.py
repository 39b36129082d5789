"""Small PNG files without any library: noise, with the colour of the class."""
import os
import random
import struct
import zlib

SIDE = 36


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pixels(path):
    """Of a file that write wrote: SIDE x SIDE x 3 bytes."""
    with open(path, "rb") as file:
        data = file.read()
    begin = data.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", data[begin - 8:begin - 4])
    rows, line = zlib.decompress(data[begin:begin + length]), 1 + 3 * SIDE
    return b"".join(rows[line * y + 1:line * (y + 1)] for y in range(SIDE))


def write(folder, count, classes, seed=1):
    """count pictures in folder/class0, class1 ... in turn."""
    chance = random.Random(seed)
    for i in range(count):
        label = i % classes
        os.makedirs(f"{folder}/class{label}", exist_ok=True)
        rows = b"".join(b"\0" + bytes(200 if c == label % 3 else chance.randrange(80) for _ in range(SIDE) for c in range(3))
                        for _ in range(SIDE))
        with open(f"{folder}/class{label}/{i}.png", "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)) +
                       chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
