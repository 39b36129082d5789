#!/usr/bin/env python3
"""an_loader.torch: the same tensors as from images that are taken one by one, lifetimes, places, ranks, mixing, what is refused. Needs PyTorch."""
import importlib.util
import io
import json
import os
import pickle
import re
import subprocess
import sys
import unittest
import unittest.mock
import warnings

import torch_support
from torch_support import CLASSES, SIDE, Folder, OneByOne, ingest

import torch
from torch.utils.data import DataLoader

import an_loader
import an_loader.torch

IMAGES, BATCH, CROP, EPOCHS = 47, 8, 32, 2
MEAN, DEVIATION = (120.5, 115, 100), (60, 57.5, 55)

# A process of a group: prints the records that it gets, how far an epoch was done before, and the state at the end.
MEMBER = """
import json, sys
import torch, an_loader.torch
path, meeting, rank, world, state, steps = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:5]), json.loads(sys.argv[5]), int(sys.argv[6])
torch.distributed.init_process_group("gloo", init_method="file://" + meeting, rank=rank, world_size=world)
loader = an_loader.torch.loader(path, 4, crop=32, last="short", return_index=True, threads=1)
assert (loader.rank, loader.world) == (rank, world)
if state:
    loader.load_state_dict(state)
batches = []
for images, labels, indices in loader:
    batches.append((indices.tolist(), loader.repeated))
    if len(batches) == steps:
        break
print(json.dumps({"batches": batches, "state": loader.state_dict(), "len": len(loader)}))
torch.distributed.destroy_process_group()
"""


class Loading(Folder, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = {codec: ingest(cls.folder, IMAGES, codec) for codec in ("jpeg", "coef")}
        cls.dataset = an_loader.Dataset(cls.path["jpeg"])

    def loader(self, codec="jpeg", batch_size=BATCH, **options):
        loader = an_loader.torch.loader(self.path[codec], batch_size, **{"crop": CROP, "threads": 2, "last": "short", **options})
        self.addCleanup(loader.close)
        return loader

    def reference(self, **options):
        return OneByOne(self.dataset, CROP, **options)

    def same(self, got, expected):
        got, expected = list(got), list(expected)
        self.assertEqual(len(got), len(expected))
        for one, other in zip(got, expected, strict=True):
            for mine, reference in zip(one, other):
                self.assertEqual((mine.dtype, mine.shape), (reference.dtype, reference.shape))
                self.assertTrue(torch.equal(mine, reference))

    def test_one_by_one(self):
        """Every byte, in every layout and of both codecs, which hold the same pixels."""
        for codec in self.path:
            for options in ({}, {"channels_last": True}, {"seed": 5 << 32 | 9}, {"threads": 1, "slots": 2}):
                with self.subTest(codec, **options):
                    loader, reference = self.loader(codec, return_index=True, **options), self.reference(seed=options.get("seed", 1))
                    for epoch in range(EPOCHS):
                        self.same(loader, reference.batches(epoch, BATCH))

    def test_layout(self):
        images, labels = next(iter(self.loader(channels_last=True)))
        self.assertEqual((images.shape, labels.dtype), ((BATCH, 3, CROP, CROP), torch.int64))
        self.assertTrue(images.is_contiguous(memory_format=torch.channels_last))
        images, _ = next(iter(self.loader(layout="nhwc")))
        self.assertEqual(images.shape, (BATCH, CROP, CROP, 3))

    def test_normalised(self):
        for dtype, tolerance in (("f32", 1e-6), ("f16", 2e-3), ("bf16", 2e-2)):
            loader = self.loader(dtype=dtype, mean=MEAN, std=DEVIATION)
            for (images, _), (pixels, _, _) in zip(loader, self.reference().batches(0, BATCH), strict=True):
                expected = (pixels.double() - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(3, 1, 1)
                self.assertEqual(images.dtype, {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[dtype])
                self.assertLess((images.double() - expected).abs().max().item(), tolerance)

    def test_labels(self):
        for (_, numbers), (_, probabilities) in zip(self.loader(), self.loader(labels="onehot"), strict=True):
            self.assertTrue(torch.equal(probabilities, torch.nn.functional.one_hot(numbers, CLASSES).float()))

    def test_held(self):
        """Tensors lie in the loader's memory, which is not used again while they are held: it makes more."""
        loader = self.loader(slots=2)
        held = [images for _ in range(EPOCHS) for images, _ in loader]
        self.assertEqual(len({images.data_ptr() for images in held}), len(held))
        expected = [images for epoch in range(EPOCHS) for images, _, _ in self.reference().batches(epoch, BATCH)]
        self.assertTrue(all(torch.equal(one, other) for one, other in zip(held, expected, strict=True)))
        loader.close()
        del loader
        self.assertTrue(torch.equal(held[-1], expected[-1]))

    def test_dropped(self):
        """One batch at a time needs no more memory than there was at the start."""
        places = {images.data_ptr() for images, _ in self.loader(slots=3, batch_size=1)}
        self.assertLessEqual(len(places), 3)

    def test_data_loader(self):
        """One without worker processes passes on what it gets."""
        loader = DataLoader(self.loader(return_index=True), batch_size=None, num_workers=0)
        self.assertEqual(len(loader), -(-IMAGES // BATCH))
        for epoch in range(EPOCHS):
            self.same(loader, self.reference().batches(epoch, BATCH))

    def test_workers(self):
        loader = DataLoader(self.loader(), batch_size=None, num_workers=1, multiprocessing_context="fork")
        with self.assertRaisesRegex(RuntimeError, "num_workers: an_loader decodes in threads of its own"):
            next(iter(loader))
        with self.assertRaisesRegex(TypeError, "num_workers"):
            pickle.dumps(self.loader())

    def test_length(self):
        self.assertEqual([len(self.loader(last=last)) for last in ("drop", "short", "pad")], [IMAGES // BATCH] + 2 * [-(-IMAGES // BATCH)])
        self.assertEqual(len(self.loader().dataset), IMAGES)
        self.assertEqual(self.loader().batch_size, BATCH)

    def test_epochs(self):
        loader = self.loader(return_index=True)
        loader.set_epoch(3)
        self.same(loader, self.reference().batches(3, BATCH))
        self.same(loader, self.reference().batches(4, BATCH))
        next(iter(loader))
        self.same(loader, self.reference().batches(6, BATCH))

    def test_places(self):
        """A state says how many samples are done, whatever the batches were, and can be kept as text or by torch.save."""
        loader = self.loader(return_index=True)
        for number, _ in enumerate(loader, 1):
            state, file = loader.state_dict(), io.BytesIO()
            over = number == len(loader)
            self.assertEqual((state["epoch"], state["position"]), (1, 0) if over else (0, number * BATCH))
            torch.save(state, file)
            file.seek(0)
            self.assertEqual(torch.load(file), state)
            for size in (BATCH, 5):
                other = self.loader(batch_size=size, threads=1, return_index=True)
                other.load_state_dict(json.loads(json.dumps(state)))
                if not over:
                    self.same(other, self.reference().batches(0, size, number * BATCH))
                self.same(other, self.reference().batches(1, size))

    @unittest.skipUnless(importlib.util.find_spec("torchdata"), "no torchdata here")
    def test_stateful(self):
        """torchdata's loader finds the state, and goes on in mid-epoch with it."""
        from torchdata.stateful_dataloader import StatefulDataLoader
        first, second = (StatefulDataLoader(self.loader(return_index=True), batch_size=None, num_workers=0) for _ in range(2))
        batches = iter(first)
        for _ in range(2):
            next(batches)
        second.load_state_dict(first.state_dict())
        self.same(second, self.reference().batches(0, BATCH, 2 * BATCH))
        self.same(second, self.reference().batches(1, BATCH))

    def test_pinned(self):
        """Every tensor is copied into PyTorch's pinned memory, and so the loader has its own back at once."""
        pinned, places = [], set()

        def pin_memory(tensor):
            pinned.append(tensor.clone())
            if tensor.dim() == 4:
                places.add(tensor.data_ptr())
            return pinned[-1]

        with unittest.mock.patch.multiple(torch.Tensor, pin_memory=pin_memory), \
                unittest.mock.patch("torch.cuda.is_available", return_value=True):
            loader = self.loader(pin=True, return_index=True, mixup=0.3, slots=2)
        with unittest.mock.patch.object(torch.Tensor, "pin_memory", pin_memory):
            held = list(loader)
        self.assertEqual([id(tensor) for batch in held for tensor in batch], [id(tensor) for tensor in pinned])
        self.same([batch[:3] for batch in held], self.reference().batches(0, BATCH))
        self.assertLess(len(places), len(held))

    @unittest.skipIf(torch.cuda.is_available(), "there is a CUDA device")
    def test_pinned_without_device(self):
        with self.assertWarnsRegex(RuntimeWarning, "pin=True: PyTorch finds no CUDA device"):
            loader = self.loader(pin=True, return_index=True, device="cpu")
        self.same(loader, self.reference().batches(0, BATCH))

    def test_refused(self):
        for words, options in (("channels_last", {"channels_last": True, "layout": "nchw"}), ("pin", {"pin": True, "device": "cuda:0"}),
                               ("rank and world", {"rank": 1}), ("crop", {"crop": SIDE + 1})):
            with self.subTest(words), self.assertRaisesRegex(ValueError, words):
                self.loader(**options)

    def test_ungrouped(self):
        """Where processes were started for a group that nobody has joined, all would load the same. The environment itself stays as it is:
        libjpeg reads it in the loader's threads, which the C library forbids while it changes."""
        with unittest.mock.patch("os.environ", {**os.environ, "WORLD_SIZE": "2"}):
            with self.assertWarnsRegex(RuntimeWarning, "WORLD_SIZE is 2"):
                self.loader()
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.assertEqual(self.loader(rank=1, world=2).rank, 1)

    def group(self, world, state, steps):
        """What each process of a group tells."""
        meeting = self.folder / f"meeting-{world}-{steps}"
        words = [[sys.executable, "-c", MEMBER, self.path["jpeg"], str(meeting), str(rank), str(world), json.dumps(state), str(steps)]
                 for rank in range(world)]
        children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in words]
        told = [json.loads(child.communicate()[0] or "null") for child in children]
        self.assertEqual([child.returncode for child in children], [0] * world)
        return told

    def test_ranks(self):
        """Rank and world are those of torch.distributed; a place goes from one world to another, and an epoch is every image once."""
        first, = self.group(1, None, 3)
        both = self.group(2, first["state"], 2)
        self.assertEqual(both[0]["state"], both[1]["state"])
        self.assertEqual(both[0]["len"], -(-IMAGES // 8))
        last, = self.group(1, both[0]["state"], -1)
        batches = [told["batches"] for told in (first, *both, last)]
        self.assertEqual([len(told) for told in batches], [3, 2, 2, 5])
        seen = [record for told in batches for records, _ in told for record in records]
        self.assertEqual(sorted(seen), list(range(IMAGES)))

    def test_even_ranks(self):
        """All processes have the same number of batches and samples; what is shown twice is said."""
        both = self.group(2, None, -1)
        sizes = [[len(records) for records, _ in told["batches"]] for told in both]
        self.assertEqual(sizes, 2 * [5 * [4] + [4]])
        seen = [record for told in both for records, repeated in told["batches"] for record in records[:len(records) - repeated]]
        self.assertEqual(sorted(seen), list(range(IMAGES)))


class Mixing(Folder, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = ingest(cls.folder, IMAGES, "jpeg")

    def check(self, images, labels, shares, boxes):
        """Sample by sample, as the documents say."""
        mixed, targets = an_loader.torch.mix(images, labels, shares, boxes, CLASSES)
        for i, (own, label) in enumerate(zip(images, labels, strict=True)):
            expected, target = own.clone(), torch.zeros(CLASSES)
            partner = i ^ 1
            share = shares[i].item() if partner < len(images) else 1
            x0, y0, x1, y1 = boxes[i].tolist()
            if partner < len(images) and x1 > x0:
                expected[:, y0:y1, x0:x1] = images[partner][:, y0:y1, x0:x1]
            elif partner < len(images):
                expected = share * own + (1 - share) * images[partner]
            target[label] += share
            if partner < len(images):
                target[labels[partner]] += 1 - share
            self.assertTrue(torch.allclose(mixed[i], expected, atol=1e-4))
            self.assertTrue(torch.allclose(targets[i], target, atol=1e-6))

    def test_drawn(self):
        for mixup, cutmix in ((0.4, 0), (0, 1), (0.4, 1)):
            changed = 0
            with an_loader.torch.loader(self.path, 9, crop=CROP, threads=1, last="short", mixup=mixup, cutmix=cutmix) as loader:
                for images, labels, shares, boxes in loader:
                    self.assertEqual((shares.dtype, boxes.dtype, boxes.shape), (torch.float32, torch.int32, (len(labels), 4)))
                    self.check(images.float(), labels, shares, boxes)
                    changed += (shares < 1).sum().item()
            self.assertGreater(changed, IMAGES / 2)

    def test_as_drawn(self):
        """The draws are those of an-train's own mixing."""
        with an_loader.torch.loader(self.path, IMAGES, crop=CROP, threads=1, mixup=0.4, cutmix=1, return_index=True) as loader:
            (_, _, indices, shares, boxes), = loader
        for record, share, box in zip(indices.tolist(), shares.tolist(), boxes.tolist(), strict=True):
            expected, cut = torch_support.draws.mix(1, CROP, {"mixup": 0.4, "cutmix": 1}, 0, record)
            self.assertAlmostEqual(share, expected, 6)
            self.assertEqual(box, [cut[1].start, cut[0].start, cut[1].stop, cut[0].stop] if cut else [0] * 4)

    def test_probabilities(self):
        """Labels may be probabilities already."""
        images, labels = torch.rand(5, 3, 8, 8), torch.tensor([0, 1, 2, 1, 0])
        shares, boxes = torch.tensor([0.25, 0.5, 0.75, 1, 0.5]), torch.zeros(5, 4, dtype=torch.int32)
        one_hot = torch.nn.functional.one_hot(labels, CLASSES).float()
        for one, other in zip(an_loader.torch.mix(images, labels, shares, boxes, CLASSES), an_loader.torch.mix(images, one_hot, shares, boxes)):
            self.assertTrue(torch.equal(one, other))

    def test_refused(self):
        images, labels = torch.rand(4, 3, 8, 8), torch.zeros(4, dtype=torch.int64)
        shares, boxes = torch.ones(4), torch.zeros(4, 4, dtype=torch.int32)
        with self.assertRaisesRegex(TypeError, "images"):
            an_loader.torch.mix(images.to(torch.uint8), labels, shares, boxes, CLASSES)
        with self.assertRaisesRegex(ValueError, "classes"):
            an_loader.torch.mix(images, labels, shares, boxes)


class QuickStart(Folder, unittest.TestCase):
    """What the documents begin with runs as it stands there, but for smaller numbers."""

    SMALLER = {'"data/train"': "path", "256, crop=224": "8, crop=32", "range(90)": "range(2)", '"place.pt"': "place", ', pin=True': ""}

    def run_block(self, document, **names):
        text = (torch_support.ROOT / document).read_text(encoding="utf-8")
        code = next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "an_loader.torch.loader" in block)
        for large, small in self.SMALLER.items():
            code = code.replace(large, small)
        exec(compile(code.replace('"cuda"', '"cpu"'), document, "exec"), names)

    def test_documents(self):
        path, place = ingest(self.folder, IMAGES, "jpeg"), self.folder / "place.pt"
        self.run_block("docs/python.md", path=path)
        self.run_block("README.md", path=path, place=place)
        self.assertEqual(torch.load(place)["epoch"], 2)


if __name__ == "__main__":
    torch.set_num_threads(1)
    unittest.main()
