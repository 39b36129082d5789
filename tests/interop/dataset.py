#!/usr/bin/env python3
"""Reads a dataset after docs/record-format.md, with lmdb, xxhash and PIL and none of our code.

dataset.py MAKE_DATASET: runs that program, which writes a dataset and the pixels that should come out of it.
"""
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

try:
    import lmdb
    import xxhash
    from PIL import Image
except ImportError as missing:
    print(f"skipped: {missing}; apt-get install python3-lmdb python3-xxhash python3-pil")
    sys.exit(77)

DATABASES = [b"classes", b"meta", b"names", b"records", b"rejected"]
JPEG, YUV420, RGB, COEF = 1, 2, 3, 4


def clamp(value):
    return min(max(value, 0), 255)


def decode_yuv420(payload, width, height):
    chroma_width, chroma_height = (width + 1) // 2, (height + 1) // 2
    planes = [payload[width * height:], payload[width * height + chroma_width * chroma_height:]]

    def upsampled(plane, x, y):
        def c(i, j):
            return plane[min(max(j, 0), chroma_height - 1) * chroma_width + min(max(i, 0), chroma_width - 1)]

        i, j = x // 2, y // 2
        n, m = i + 1 if x % 2 else i - 1, j + 1 if y % 2 else j - 1
        near = 3 * c(i, j) + c(i, m)
        far = 3 * c(n, j) + c(n, m)
        return (3 * near + far + (7 if x % 2 else 8)) >> 4

    out = bytearray()
    for y in range(height):
        for x in range(width):
            luma = payload[y * width + x]
            b, r = (upsampled(plane, x, y) - 128 for plane in planes)
            out += bytes((clamp(luma + ((91881 * r + 32768) >> 16)),
                          clamp(luma + ((-22554 * b - 46802 * r + 32768) >> 16)),
                          clamp(luma + ((116130 * b + 32768) >> 16))))
    return bytes(out)


def decode(codec, payload, width, height):
    if codec == JPEG:
        return Image.open(io.BytesIO(payload)).convert("RGB").tobytes()
    if codec == YUV420:
        return decode_yuv420(payload, width, height)
    return bytes(payload) if codec == RGB else None


class Dataset(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        subprocess.run([MAKE_DATASET, cls.folder.name], check=True)
        with open(os.path.join(cls.folder.name, "source.rgb"), "rb") as file:
            cls.source = file.read()
        with open(os.path.join(cls.folder.name, "decoded.rgb"), "rb") as file:
            cls.decoded = file.read()
        cls.environment = lmdb.open(os.path.join(cls.folder.name, "set"), readonly=True, lock=False, max_dbs=8)
        cls.transaction = cls.environment.begin()
        cls.items = {}
        for name in DATABASES:
            database = cls.environment.open_db(name, cls.transaction, create=False)
            cls.items[name] = list(cls.transaction.cursor(database))
        cls.meta = dict(cls.items[b"meta"])
        cls.side = struct.unpack("<I", cls.meta[b"side"])[0]
        cls.count = struct.unpack("<Q", cls.meta[b"count"])[0]

    @classmethod
    def tearDownClass(cls):
        cls.transaction.abort()
        cls.environment.close()
        cls.folder.cleanup()

    def pixels(self, data, index):
        size = self.side * self.side * 3
        return data[index * size:(index + 1) * size]

    def test_meta(self):
        self.assertEqual(struct.unpack("<I", self.meta[b"format"])[0], 1)
        self.assertEqual(self.side, 37)
        self.assertEqual(self.count, 24)
        self.assertEqual(struct.unpack("<Q", self.meta[b"rejects"])[0], 1)
        self.assertEqual(json.loads(self.meta[b"manifest"]), {"source": "interop"})

    def test_only_the_data_file(self):
        self.assertEqual(os.listdir(os.path.join(self.folder.name, "set")), ["data.mdb"])

    def test_checksum(self):
        stream = xxhash.xxh3_64()
        for name in DATABASES:
            for key, value in self.items[name]:
                if name == b"meta" and key == b"checksum":
                    continue
                stream.update(struct.pack("<II", len(key), len(value)) + key)
                if name != b"records":
                    stream.update(value)
        self.assertEqual(stream.intdigest(), struct.unpack("<Q", self.meta[b"checksum"])[0])

    def test_fingerprint(self):
        def lower(*parts):
            return xxhash.xxh3_64_intdigest(b"".join(parts)) & 0xffffffff

        def u64(*numbers):
            return struct.pack(f"<{len(numbers)}Q", *numbers)

        labelled = b"".join(struct.pack("<I", len(value)) + value for _, value in self.items[b"names"])
        ids = b"".join(value.split(b"\0")[0] + b"\0" for _, value in self.items[b"classes"])
        pictures = lower(u64(self.side, self.count, xxhash.xxh3_64_intdigest(labelled)), ids, b"\0")
        found = lower(self.meta[b"headers"], u64(xxhash.xxh3_64_intdigest(self.meta[b"sums"])))
        with open(os.path.join(self.folder.name, "fingerprint")) as file:
            self.assertEqual(f"{pictures:08x}{found:08x}", file.read())

    def test_classes(self):
        self.assertEqual([struct.unpack(">I", key)[0] for key, _ in self.items[b"classes"]], [0, 1, 2])
        self.assertEqual([value.decode().split("\0") for _, value in self.items[b"classes"]],
                         [["n0", "tench"], ["n1", "gold, fish"], ["n2", "h\u00e9ron"]])

    def test_names(self):
        for index, (key, value) in enumerate(self.items[b"names"]):
            self.assertEqual(key, struct.pack(">Q", index))
            self.assertEqual(value, struct.pack("<I", index * 7 % 3) + f"class/{index}.JPEG".encode())

    def test_rejected(self):
        self.assertEqual(self.items[b"rejected"],
                         [(bytes(8), struct.pack("<Q", 17) + b"class/broken.JPEG\0not an image")])

    def test_records(self):
        self.assertEqual(len(self.items[b"records"]), self.count)
        headers, codecs = 0, set()
        for index, (key, value) in enumerate(self.items[b"records"]):
            self.assertEqual(key, struct.pack(">Q", index))
            magic, version, codec, flags, width, height, label, checksum, length, check = struct.unpack(
                "<4sBBHHHIQII", value[:32])
            self.assertEqual((magic, version, flags), (b"ANRC", 1, 0))
            self.assertEqual((width, height, label), (37, 37, index * 7 % 3))
            self.assertEqual(check, xxhash.xxh3_64_intdigest(value[:28]) & 0xffffffff)
            payload = value[32:]
            self.assertEqual(length, len(payload))
            self.assertEqual(checksum, xxhash.xxh3_64_intdigest(payload))
            pixels = decode(codec, payload, width, height)
            if pixels is not None:
                self.assertEqual(pixels, self.pixels(self.decoded, index), f"record {index}, codec {codec}")
            if codec == RGB:
                self.assertEqual(pixels, self.pixels(self.source, index))
            headers += xxhash.xxh3_64_intdigest(value[:32], index)
            codecs.add(codec)
        self.assertEqual(headers % 2**64, struct.unpack("<Q", self.meta[b"headers"])[0])
        self.assertEqual(codecs, {JPEG, YUV420, RGB, COEF})

    def test_sums(self):
        sums = self.meta[b"sums"]
        size = self.side * self.side * 3
        self.assertEqual(len(sums), 88 + 8 * size)
        self.assertEqual(struct.unpack("<IIQ", sums[:16]), (self.side, 0, self.count))
        red, green, blue = (self.source[channel::3] for channel in range(3))
        self.assertEqual(struct.unpack("<3Q", sums[16:40]), (sum(red), sum(green), sum(blue)))
        pairs = [(red, red), (red, green), (red, blue), (green, green), (green, blue), (blue, blue)]
        self.assertEqual(struct.unpack("<6Q", sums[40:88]), tuple(sum(a * b for a, b in zip(*pair)) for pair in pairs))
        self.assertEqual(struct.unpack(f"<{size}Q", sums[88:]), tuple(sum(self.source[i::size]) for i in range(size)))


if __name__ == "__main__":
    MAKE_DATASET = sys.argv.pop(1)
    unittest.main()
