#!/usr/bin/env python3
"""Trains a ResNet of torchvision on datasets that an-ingest or an_loader.Writer made.

    python examples/pytorch_resnet.py data/train data/val --output runs/resnet18
    torchrun --nproc-per-node 4 examples/pytorch_resnet.py data/train data/val --output runs/resnet18

The recipe is that of torchvision's reference training: SGD with momentum, the rate divided by 10 every 30 epochs, random
resized crops and mirroring for training, centre crops for validation, ImageNet's mean and deviation. Images travel as bytes and
are normalised on the device.

The same command goes on with an interrupted run, in mid-epoch where it was: the next batch is the one that was due. The
number of processes may change: an epoch is still every image once. On one CPU the resumed run ends in the same weights."""
import argparse
import contextlib
import json
import os
import time

import an_loader.torch
import torch
import torchvision
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet's bytes


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="dataset to train on")
    parser.add_argument("val", nargs="?", help="dataset to validate on after each epoch")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="keeps the checkpoint; if there is one, go on with it")
    parser.add_argument("--model", default="resnet18", help="a classification network of torchvision (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=90)
    parser.add_argument("--steps", type=int, metavar="N", help="stop after N steps in all, with a checkpoint")
    parser.add_argument("--batch-size", type=int, default=32, help="images of one process (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=0.1, help="learning rate (default: %(default)s)")
    parser.add_argument("--rate-epochs", type=int, default=30, metavar="N", help="divide the rate by 10 every N epochs (default: %(default)s)")
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--decay", type=float, default=1e-4, help="weight decay (default: %(default)s)")
    parser.add_argument("--crop", type=int, default=224, help="pixels of the side of an image (default: %(default)s)")
    parser.add_argument("--crops", default="", metavar="E:S,...", help="progressive resizing: from epoch E on crops of S pixels")
    parser.add_argument("--resized", type=float, default=0.08, help="least share of an image in a random resized crop; 0: crops as they are")
    parser.add_argument("--mixup", type=float, default=0.0, metavar="ALPHA")
    parser.add_argument("--cutmix", type=float, default=0.0, metavar="ALPHA")
    parser.add_argument("--smoothing", type=float, default=0.0, help="label smoothing")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="that load images; 0: one for each processor")
    parser.add_argument("--device", help="default: cuda, if there is a device, else cpu")
    parser.add_argument("--amp", action="store_true", help="compute in bfloat16 where PyTorch thinks it safe")
    parser.add_argument("--decode", choices=("host", "device"), default="host", help="device: a GPU decodes records of codec coef")
    parser.add_argument("--save-every", type=int, default=1000, metavar="N", help="steps between checkpoints (default: %(default)s)")
    parser.add_argument("--print-every", type=int, default=10, metavar="N", help="steps between lines (default: %(default)s)")
    parser.add_argument("--trace", metavar="FOLDER", help="write each step's loss and record numbers to a file for each process")
    return parser.parse_args()


def join_processes():
    """What torchrun says about this process; without torchrun it is the only one. Gives its number among those of the machine."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return 0
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return int(os.environ["LOCAL_RANK"])


def loaders(options, device):
    common = {"channels_last": True, "threads": options.threads}
    if options.decode == "device":
        common["device"] = f"cuda:{device.index or 0}"
    else:
        common["pin"] = device.type == "cuda"
    train = an_loader.torch.loader(options.train, options.batch_size, seed=options.seed, crop=options.crop, resized=options.resized or None,
                                   size_by_epoch=sizes_of(options.crops), mixup=options.mixup, cutmix=options.cutmix, last="short",
                                   return_index=True, **common)
    if not options.val:
        return train, None
    return train, an_loader.torch.loader(options.val, options.batch_size, order="sequential", crop=options.crop, centre=True, mirror=False,
                                         last="short", **common)


def sizes_of(text):
    return {int(epoch): int(side) for epoch, side in (pair.split(":") for pair in text.split(","))} if text else None


class Training:
    def __init__(self, options):
        local = join_processes()
        torch.manual_seed(options.seed)  # the same initial weights everywhere
        self.options = options
        self.device = torch.device(options.device or (f"cuda:{local}" if torch.cuda.is_available() else "cpu"))
        self.train, self.val = loaders(options, self.device)
        self.classes = len(self.train.dataset.classes)
        self.model = torchvision.models.get_model(options.model, num_classes=self.classes)
        self.model.to(self.device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.SGD(self.model.parameters(), options.rate, options.momentum, weight_decay=options.decay)
        self.criterion = torch.nn.CrossEntropyLoss(label_smoothing=options.smoothing)
        self.network = self.model
        if distributed.is_initialized():
            self.network = DistributedDataParallel(self.model, [self.device.index] if self.device.type == "cuda" else None)
        self.mean, self.deviation = (torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
        self.epoch = self.step = 0
        self.checkpoint = os.path.join(options.output, "checkpoint.pt")
        self.trace = None

    def parts(self):
        return {"model": self.model, "optimiser": self.optimiser, "loader": self.train}

    def save(self):
        """One process writes, under another name first, so that what has the name is whole. All processes stand at the same place."""
        if self.train.rank:
            return
        state = {name: part.state_dict() for name, part in self.parts().items()}
        state |= {"epoch": self.epoch, "step": self.step}
        os.makedirs(self.options.output, exist_ok=True)
        with open(self.checkpoint + ".new", "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.checkpoint + ".new", self.checkpoint)

    def load(self):
        if not os.path.exists(self.checkpoint):
            return
        state = torch.load(self.checkpoint, map_location=self.device)
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.epoch, self.step = state["epoch"], state["step"]
        self.say(f"going on at step {self.step} in epoch {self.epoch}")

    def say(self, text):
        if self.train.rank == 0:
            print(text, flush=True)

    def prepare(self, images):
        return (images.to(self.device, non_blocking=True).float() - self.mean) / self.deviation

    def compute(self, images):
        with torch.autocast(self.device.type, torch.bfloat16) if self.options.amp else contextlib.nullcontext():
            return self.network(images)

    def train_step(self, images, labels, indices, *draws):
        # What a network draws itself, dropout for one, is a function of the step, so that a resumed run draws it, too.
        torch.manual_seed(hash((self.options.seed, self.step, self.train.rank)))
        images, labels = self.prepare(images), labels.to(self.device, non_blocking=True)
        if draws:
            images, labels = an_loader.torch.mix(images, labels, *draws, classes=self.classes)
        loss = self.criterion(self.compute(images).float(), labels)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.step += 1
        return loss.detach()

    def train_epoch(self):
        """Whether the epoch has ended; else the run has."""
        if self.train.state_dict()["epoch"] > self.epoch:
            return True  # the checkpoint was written behind the epoch's last batch
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.options.rate * 0.1 ** (self.epoch // self.options.rate_epochs)
        began, images = time.monotonic(), 0
        for batch in self.train:
            loss = self.train_step(*batch)
            images += len(batch[0]) * self.train.world
            self.note(loss, batch[2])
            if self.step % self.options.print_every == 0:
                rate = images / (time.monotonic() - began)
                self.say(f"epoch {self.epoch} step {self.step} loss {loss.item():.4f} {rate:.0f} images/s")
            if self.step == self.options.steps:
                return False
            if self.step % self.options.save_every == 0:
                self.save()
        return True

    def note(self, loss, indices):
        if self.trace:
            line = {"epoch": self.epoch, "step": self.step, "loss": loss.item(), "indices": indices.tolist()}
            self.trace.write(json.dumps(line) + "\n")
            self.trace.flush()

    @torch.no_grad()
    def validate(self):
        self.network.eval()
        counts = torch.zeros(2, dtype=torch.int64, device=self.device)  # images, and those whose class was the most probable one
        for images, labels in self.val:
            labels = labels[:len(labels) - self.val.repeated].to(self.device)  # not those that were shown before
            right = self.compute(self.prepare(images)).argmax(1)[:len(labels)] == labels
            counts[0] += len(labels)
            counts[1] += right.sum()
        if distributed.is_initialized():
            distributed.all_reduce(counts)
        seen, right = counts.tolist()
        self.say(f"epoch {self.epoch} validation {100 * right / seen:.2f} % of {seen} images")

    def run(self):
        self.load()
        if self.options.trace:
            os.makedirs(self.options.trace, exist_ok=True)
            self.trace = open(os.path.join(self.options.trace, f"rank-{self.train.rank}.jsonl"), "a", encoding="utf-8")
        while self.epoch < self.options.epochs and self.step != self.options.steps:
            if self.train_epoch():
                if self.val:
                    self.validate()
                self.epoch += 1
            self.save()
        if self.trace:
            self.trace.close()


def main():
    training = Training(parse_options())
    try:
        training.run()
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


if __name__ == "__main__":
    main()
