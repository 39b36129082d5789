#!/usr/bin/env python3
"""Weights of torchvision's AlexNet for an-train, and back.

    torchvision_weights.py [--side 256] alexnet.pth weights.safetensors
    torchvision_weights.py --back weights.safetensors alexnet.pth

alexnet.pth is a state_dict of torchvision.models.alexnet (torch.save, or safetensors where the name ends so), whatever its number of
classes. Beside weights.safetensors lies weights.recipe then, which says what network it is; with both, every program takes it:

    an-train eval --weights weights.safetensors --recipe weights.recipe DATASET
    an-train --network torchvision --weights weights.safetensors --mean channel --input-scale unit DATASET

torchvision's models read (byte / 255 - mean) / deviation, with a mean and a deviation for each colour. an-train's files say what is subtracted
from bytes, input.mean_image, and one scale. So mean_image holds 255 mean, the scale is one for the mean of the deviations, and what is left of
each colour's deviation goes into conv1's weights: the network computes the same. --side is the side of the dataset's images.

--back writes torchvision's names. If the colours' means are torchvision's, as in a file that was made here, torchvision's deviations are taken out
of conv1's weights again. If they are others, as after training with --mean channel, conv1 stays as it is, and what to normalise with is printed. A
mean image whose pixels differ cannot be told to torchvision and is refused.
"""
import argparse
import json
import os
import struct
import sys

import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from alexnet_torch import file_read  # noqa: E402

NAMES = {"features.0": "conv1", "features.3": "conv2", "features.6": "conv3", "features.8": "conv4", "features.10": "conv5",
         "classifier.1": "fc6", "classifier.4": "fc7", "classifier.6": "fc8"}
MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)
DEVIATION = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)
RECIPE = "network = torchvision\ncrop = 224\nmean = channel\ninput-scale = unit\n"


def state_read(path):
    if path.endswith(".safetensors"):
        return file_read(path)[1]
    return torch.load(path, map_location="cpu", weights_only=True)


def safetensors_write(path, tensors):
    """Tensors in fp32, each on a multiple of 8 bytes."""
    header, data, at = {}, [], 0
    for name, values in tensors.items():
        data.append(values.to(torch.float32).contiguous().numpy().tobytes())
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + len(data[-1])]}
        at += len(data[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(data)


def renamed(tensors, names):
    """The tensors of all layers under other names; a layer that lacks is an error."""
    out = {}
    for layer, other in names.items():
        for part in ("weight", "bias"):
            if f"{layer}.{part}" not in tensors:
                raise ValueError(f"there is no '{layer}.{part}': these are no weights of torchvision's AlexNet")
            out[f"{other}.{part}"] = tensors[f"{layer}.{part}"].double()
    return out


def from_torchvision(state, side):
    """torchvision's state_dict to the tensors of a file of an-train."""
    tensors = renamed(state, NAMES)
    scale = 1 / (255 * DEVIATION.mean())
    tensors["conv1.weight"] = tensors["conv1.weight"] / (255 * DEVIATION * scale)[:, None, None]
    tensors["input.mean_image"] = (255 * MEAN).expand(side, side, 3)
    tensors["input.scale"] = scale.reshape(1)
    return tensors


def to_torchvision(tensors):
    """The way back: a state_dict, and mean and deviation to normalise images with."""
    image, scale = tensors["input.mean_image"].double(), tensors["input.scale"].double()
    mean = image[0, 0] / 255
    if (image / 255 - mean).abs().max() > 1e-6:
        raise ValueError("the mean image differs from pixel to pixel, which torchvision cannot subtract: train with --mean channel")
    state = renamed(tensors, {ours: name for name, ours in NAMES.items()})
    deviation = 1 / (255 * scale).expand(3)
    if (mean - MEAN).abs().max() < 1e-6:
        state["features.0.weight"] = state["features.0.weight"] * (255 * DEVIATION * scale)[:, None, None]
        deviation = DEVIATION
    return {name: values.float() for name, values in state.items()}, mean, deviation


def listed(values):
    return "[" + ", ".join(f"{value:.6g}" for value in values.tolist()) + "]"


def back(source, target):
    state, mean, deviation = to_torchvision(file_read(source)[1])
    if target.endswith(".safetensors"):
        safetensors_write(target, state)
    else:
        torch.save(state, target)
    print(f"normalise with torchvision.transforms.Normalize({listed(mean)}, {listed(deviation)})")


def forth(source, target, side):
    safetensors_write(target, from_torchvision(state_read(source), side))
    recipe = os.path.splitext(target)[0] + ".recipe"
    with open(recipe, "w", encoding="utf-8") as file:
        file.write(RECIPE)
    print(f"{target}, and its recipe, {recipe}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--back", action="store_true", help="from an-train to torchvision")
    parser.add_argument("--side", type=int, default=256, help="of the dataset's images (default 256)")
    parser.add_argument("source")
    parser.add_argument("target")
    options = parser.parse_args()
    try:
        if options.back:
            back(options.source, options.target)
        else:
            forth(options.source, options.target, options.side)
    except (OSError, ValueError) as problem:
        sys.exit(f"torchvision_weights.py: '{options.source}': {problem}")


if __name__ == "__main__":
    main()
