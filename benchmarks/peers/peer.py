#!/usr/bin/env python3
"""One peer as a long-lived child of compare.py: prints 'ready', then for each line 'S' read from standard input runs for S
seconds and prints images per second. Peers: see PEERS below. Random (or, where a peer has none, centre) crops of 224 from
256 px JPEG files with random flips; u8 in NHWC, f32 normalised in the layout that the peer gives, or "resized": u8 of random
resized crops (8 to 100 % of the area), by those that have them."""
import functools
import glob
import os
import sys
import time

CROP, BATCH = 224, 128  # the batch may be given as the fifth word
MEAN, DEVIATION = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)


def files(folder):
    """At least 8,000 paths, repeated if need be: starting an epoch shall not weigh on those that start threads for it."""
    found = sorted(glob.glob(os.path.join(folder, "*", "*.jpg")))
    return found * max(1, -(-8000 // len(found)))


def normalise(image):
    import numpy as np

    return (image.astype(np.float32) - np.float32(MEAN)) / np.float32(DEVIATION)


def endless(make):
    while True:
        for count in make():
            yield count


def an(dataset, threads, dtype):
    """Our own loader's tensors. The folder is a dataset."""
    import an_loader.torch

    options = {"dtype": "f32", "mean": "pixel", "jitter": 0.1} if dtype == "f32" else {"channels_last": True}
    loader = an_loader.torch.loader(dataset, BATCH, crop=CROP, threads=threads, resized=0.08 if dtype == "resized" else None, **options)
    return endless(lambda: (len(images) for images, _ in loader))


def dali_pipeline(folder, threads, dtype):
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(batch_size=BATCH, num_threads=threads, device_id=None, prefetch_queue_depth=2)
    def pipeline():
        jpegs, _ = fn.readers.file(file_root=folder, random_shuffle=True, name="reader")
        x, y = fn.random.uniform(range=(0.0, 1.0)), fn.random.uniform(range=(0.0, 1.0))
        if dtype == "resized":
            images = fn.decoders.image_random_crop(jpegs, device="cpu", random_area=(0.08, 1.0))
            images = fn.resize(images, size=(CROP, CROP), interp_type=types.INTERP_TRIANGULAR)
        else:
            images = fn.decoders.image_crop(jpegs, device="cpu", crop=(CROP, CROP), crop_pos_x=x, crop_pos_y=y)
        mirror = fn.random.coin_flip()
        if dtype != "f32":
            return fn.flip(images, horizontal=mirror)
        return fn.crop_mirror_normalize(images, dtype=types.FLOAT, output_layout="CHW", mirror=mirror, mean=MEAN,
                                        std=DEVIATION)

    return pipeline()


def dali(folder, threads, dtype):
    pipe = dali_pipeline(folder, threads, dtype)
    pipe.build()
    while True:
        pipe.run()
        yield BATCH


def dali_torch(folder, threads, dtype):
    """What its iterator for PyTorch gives."""
    from nvidia.dali.plugin.pytorch import DALIGenericIterator

    for data in DALIGenericIterator([dali_pipeline(folder, threads, dtype)], ["images"]):
        yield len(data[0]["images"])


def tf_data(folder, threads, dtype, dct="INTEGER_FAST"):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    def window():
        if dtype != "resized":
            return tf.concat([tf.random.uniform([2], 0, 256 - CROP + 1, tf.int32), [CROP, CROP]], 0)
        begin, size, _ = tf.image.sample_distorted_bounding_box([256, 256, 3], tf.zeros([1, 0, 4]), area_range=(0.08, 1.0),
                                                                aspect_ratio_range=(3 / 4, 4 / 3),
                                                                use_image_if_no_bounding_boxes=True)
        return tf.concat([begin[:2], size[:2]], 0)

    def load(path):
        data = tf.io.read_file(path)
        image = tf.image.decode_and_crop_jpeg(data, window(), channels=3, dct_method=dct)
        if dtype == "resized":
            image = tf.cast(tf.image.resize(image, [CROP, CROP]), tf.uint8)
        image = tf.image.random_flip_left_right(image)
        if dtype == "f32":
            image = (tf.cast(image, tf.float32) - MEAN) / DEVIATION
        return image

    paths = files(folder)
    dataset = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths)).repeat()
    dataset = dataset.map(load, num_parallel_calls=threads).batch(BATCH, drop_remainder=True).prefetch(2)
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    options.threading.max_intra_op_parallelism = 1
    for _ in dataset.with_options(options):
        yield BATCH


def ffcv(folder, threads, dtype, mode="jpg"):
    import numpy as np
    from ffcv.fields import IntField, RGBImageField
    from ffcv.fields.decoders import CenterCropRGBImageDecoder, RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import NormalizeImage, RandomHorizontalFlip
    from ffcv.writer import DatasetWriter
    from PIL import Image

    class Folder:
        def __init__(self):
            self.files = files(folder)

        def __len__(self):
            return len(self.files)

        def __getitem__(self, i):
            return Image.open(self.files[i]).convert("RGB"), 0

    beton = folder.rstrip("/") + ("" if mode == "jpg" else "." + mode) + ".beton"
    if not os.path.exists(beton):
        fields = {"image": RGBImageField(write_mode=mode, jpeg_quality=90), "label": IntField()}
        DatasetWriter(beton, fields, num_workers=1).from_indexed_dataset(Folder())
    crop = (RandomResizedCropRGBImageDecoder((CROP, CROP)) if dtype == "resized" else
            CenterCropRGBImageDecoder((CROP, CROP), ratio=CROP / 256))
    image = [crop, RandomHorizontalFlip()]
    if dtype == "f32":
        image.append(NormalizeImage(np.array(MEAN), np.array(DEVIATION), np.float32))
    loader = Loader(beton, batch_size=BATCH, num_workers=threads, order=OrderOption.RANDOM, drop_last=True, os_cache=True,
                    pipelines={"image": image, "label": None})
    return endless(lambda: (len(batch[0]) for batch in loader))


RESIZE_TOO = ("an.jpeg", "an.coef", "dali", "dali.torch", "tf.data", "tf.data.exact", "ffcv", "ffcv.raw", "torchvision")


def spdl(folder, threads, dtype):
    import random

    import spdl.io
    from spdl.pipeline import PipelineBuilder

    paths = files(folder)

    def source():
        while True:
            order = paths[:]
            random.shuffle(order)
            for i in range(0, len(order) - BATCH + 1, BATCH):
                yield order[i : i + BATCH]

    def decode(batch):
        filters = spdl.io.get_video_filter_desc(scale_width=None, scale_height=None, crop_width=CROP, crop_height=CROP,
                                                pix_fmt="rgb24")
        frames = [spdl.io.decode_packets(spdl.io.demux_image(path), filter_desc=filters) for path in batch]
        buffer = spdl.io.convert_frames(frames)
        array = spdl.io.to_numpy(buffer)
        if dtype == "f32":
            array = normalise(array)
        return len(array)

    pipeline = PipelineBuilder().add_source(source()).pipe(decode, concurrency=threads).add_sink(2).build(
        num_threads=threads)
    with pipeline.auto_stop():
        yield from pipeline


def torch_loader(dataset, threads):
    from torch.utils.data import DataLoader

    loader = DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=threads, drop_last=True,
                        persistent_workers=True)
    return endless(lambda: (len(batch) for batch in loader))


def simplejpeg(folder, threads, dtype):
    import random

    import numpy as np
    import simplejpeg as jpeg
    import torch

    class Images(torch.utils.data.Dataset):
        def __init__(self):
            self.files = files(folder)

        def __len__(self):
            return len(self.files)

        def __getitem__(self, i):
            with open(self.files[i], "rb") as file:
                image = jpeg.decode_jpeg(file.read(), fastdct=True, fastupsample=True)
            y, x = random.randint(0, 256 - CROP), random.randint(0, 256 - CROP)
            image = image[y : y + CROP, x : x + CROP]
            if random.random() < 0.5:
                image = image[:, ::-1]
            if dtype == "f32":
                image = normalise(image)
            return torch.from_numpy(np.ascontiguousarray(image))

    return torch_loader(Images(), threads)


def torchvision(folder, threads, dtype):
    import torch
    from PIL import Image
    from torchvision import transforms

    crop = transforms.RandomResizedCrop(CROP) if dtype == "resized" else transforms.RandomCrop(CROP)
    steps = [crop, transforms.RandomHorizontalFlip()]
    if dtype != "f32":
        steps.append(transforms.PILToTensor())
    else:
        steps += [transforms.ToTensor(), transforms.Normalize([m / 255 for m in MEAN], [d / 255 for d in DEVIATION])]
    transform = transforms.Compose(steps)

    class Images(torch.utils.data.Dataset):
        def __init__(self):
            self.files = files(folder)

        def __len__(self):
            return len(self.files)

        def __getitem__(self, i):
            return transform(Image.open(self.files[i]).convert("RGB"))

    return torch_loader(Images(), threads)


def nvjpeg(folder, threads, dtype):
    """Read by threads, decoded whole on the GPU in batches, cropped and mirrored there."""
    import random
    from concurrent.futures import ThreadPoolExecutor

    import torch
    from torchvision.io import decode_jpeg, read_file

    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA device")
    mean, deviation = (torch.tensor(values, device="cuda").view(3, 1, 1) for values in (MEAN, DEVIATION))
    paths = files(folder)

    def window(image):
        x, y = random.randint(0, image.shape[2] - CROP), random.randint(0, image.shape[1] - CROP)
        return image[:, y : y + CROP, x : x + CROP]

    def finish(images):
        batch = torch.stack([window(image) for image in images])
        mirrored = torch.rand(len(batch), 1, 1, 1, device="cuda") < 0.5
        batch = torch.where(mirrored, batch.flip(3), batch)
        return (batch - mean) / deviation if dtype == "f32" else batch

    with ThreadPoolExecutor(threads) as pool:
        waiting = pool.map(read_file, random.sample(paths, BATCH))
        while True:
            encoded, waiting = list(waiting), pool.map(read_file, random.sample(paths, BATCH))
            batch = finish(decode_jpeg(encoded, device="cuda"))
            torch.cuda.synchronize()
            yield len(batch)


PEERS = {"an.jpeg": an, "an.coef": an, "dali": dali, "dali.torch": dali_torch, "tf.data": tf_data,
         "tf.data.exact": functools.partial(tf_data, dct="INTEGER_ACCURATE"), "ffcv": ffcv,
         "ffcv.raw": functools.partial(ffcv, mode="raw"), "spdl": spdl, "simplejpeg": simplejpeg,
         "torchvision": torchvision, "nvjpeg": nvjpeg}


def main():
    global BATCH
    name, folder, threads, dtype = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    BATCH = int(sys.argv[5]) if len(sys.argv) > 5 else BATCH
    if dtype == "resized" and name not in RESIZE_TOO:
        sys.exit(f"{name} is not asked for resized crops")
    batches = PEERS[name](folder, threads, dtype)
    for _ in range(8):
        next(batches)
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, images = float(line), 0
        for _ in range(4):  # what was prefetched while the others ran does not count
            next(batches)
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            images += next(batches)
        print(images / (time.monotonic() - start), flush=True)


if __name__ == "__main__":
    main()
