"""The networks of an-train in PyTorch: loads what `an-train export` writes and gives the same logits.

    model = load("weights.safetensors").eval()
    logits = model(images)        # N x 3 x crop x crop, RGB, 0..255, the centre of square images of model.input's side

The file's metadata holds the recipe, which says what network it is. A file without one, as other programs write it, needs the recipe
beside it: `load("weights.safetensors", recipe=open("recipe.txt").read())`; options that it does not name have an-train's defaults. A recipe
that names an option or a value which stands not in this file is refused with ValueError: the network could be another one.

Tensor names are those of the file: conv1.weight (O x I/groups x K x K), fc6.weight (O x I), and the preprocessing that the
weights were trained with: input.mean_image (side x side x 3, 0..255) is subtracted, input.scale multiplied with.
"""
import json
import re
import struct

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}

# Options of a recipe that decide the network, with their defaults. AlexNet reads all of them, the small network crop and activation.
DEFAULTS = {"network": "alexnet", "crop": "224", "activation": "relu", "dropout": "0.5", "dropout-layers": "fc6,fc7", "lrn": "conv1,conv2",
            "lrn-alpha": "0.0001", "pool": "3", "padding": "overhang", "one-column": "false", "no-communication": "false"}

# The other options: how the weights were found, and how results are rounded.
OTHERS = {"batch", "seed", "rate", "momentum", "decay", "bias-rate", "bias-decay", "schedule", "rate-epochs", "rate-divisor", "patience",
          "rate-drops", "validate-every", "init", "precision", "kernels", "no-flip", "no-random-crop", "jitter", "jitter-scaled", "jitter-epochs",
          "mixup", "cutmix", "label-smoothing", "class-weights", "mean", "input-scale",
          "order", "order-block", "overfit"}


class Input(nn.Module):
    """Mean image and scale; images are the centre of what was stored."""

    def __init__(self, side):
        super().__init__()
        self.register_buffer("mean_image", torch.zeros(side, side, 3))
        self.register_buffer("scale", torch.ones(1))

    def forward(self, images):
        crop, side = images.shape[-1], self.mean_image.shape[0]
        at = (side - crop) // 2
        mean = self.mean_image[at:at + crop, at:at + crop].permute(2, 0, 1)
        return (images.float() - mean) * self.scale


class Halves(nn.Module):
    """Fully connected, but each half of the outputs sees only its half of the inputs."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs // 2))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, x):
        halves = zip(x.chunk(2, dim=1), self.weight.chunk(2), self.bias.chunk(2))
        return torch.cat([F.linear(inputs, weight, bias) for inputs, weight, bias in halves], dim=1)


class AlexNet(nn.Module):
    """The network of the paper with its two halves: groups=2 where a layer sees only its own half."""

    def __init__(self, classes=1000, crop=224, side=256, dropout=0.5, lrn_alpha=1e-4, activation="relu", dropout_layers=("fc6", "fc7"),
                 lrn=("conv1", "conv2"), pool=3, padding="overhang", one_column=False, communication=True):
        super().__init__()
        self.input = Input(side)
        self.activation = ACTIVATIONS[activation]
        self.dropout = {layer: dropout for layer in dropout_layers}
        self.lrn, self.lrn_alpha = lrn, lrn_alpha
        self.pool, self.overhangs, self.halves = pool, padding == "overhang", 1 if one_column else 2
        joined = 1 if communication else self.halves  # groups of the layers at which the halves talk
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4, padding=0 if self.overhangs else 2)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=self.halves)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1, groups=joined)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=self.halves)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=self.halves)
        last = (crop - 11 + 3) // 4 + 1 if self.overhangs else (crop + 4 - 11) // 4 + 1
        for _ in range(3):
            last = (last - pool) // 2 + 1
        dense = nn.Linear if joined == 1 else Halves
        self.fc6 = dense(256 * last * last, 4096)
        self.fc7 = dense(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)

    def conv(self, name, x):
        """A convolution, then normalisation if the layer has it."""
        x = self.activation(getattr(self, name)(x))
        return self.normalise(x) if name in self.lrn else x

    def normalise(self, x):
        """k = 2, n = 5, beta = 0.75, the sum divided by n; windows never cross the two halves."""
        halves = x.chunk(self.halves, dim=1)
        return torch.cat([F.local_response_norm(half, 5, alpha=self.lrn_alpha, beta=0.75, k=2.0) for half in halves], dim=1)

    def hidden(self, name, x):
        return F.dropout(self.activation(getattr(self, name)(x)), self.dropout.get(name, 0), self.training)

    def forward(self, images):
        x = self.input(images)
        if self.overhangs:
            overhang = -(x.shape[-1] - 11) % 4  # the last windows overhang right and bottom
            x = F.pad(x, (0, overhang, 0, overhang))
        x = F.max_pool2d(self.conv("conv1", x), self.pool, 2)
        x = F.max_pool2d(self.conv("conv2", x), self.pool, 2)
        x = self.conv("conv4", self.conv("conv3", x))
        x = F.max_pool2d(self.conv("conv5", x), self.pool, 2)
        return self.fc8(self.hidden("fc7", self.hidden("fc6", x.flatten(1))))


class CifarNet(nn.Module):
    """The small four-layer network of the paper's Figure 1. Its pools' windows overhang right and bottom, where nothing counts."""

    def __init__(self, classes=10, crop=32, side=32, activation="relu"):
        super().__init__()
        self.input = Input(side)
        self.activation = ACTIVATIONS[activation]
        self.conv1 = nn.Conv2d(3, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 32, 5, padding=2)
        self.conv3 = nn.Conv2d(32, 64, 5, padding=2)
        last = crop
        for _ in range(3):
            last = (last - 2) // 2 + 1
        self.fc10 = nn.Linear(64 * last * last, classes)

    def forward(self, images):
        x = F.max_pool2d(self.activation(self.conv1(self.input(images))), 3, 2, ceil_mode=True)
        for conv in (self.conv2, self.conv3):
            x = F.avg_pool2d(self.activation(conv(x)), 3, 2, ceil_mode=True, count_include_pad=False)
        return self.fc10(x.flatten(1))


def recipe_read(text):
    """The options of a recipe that decide the network, all of them."""
    options = dict(DEFAULTS)
    for line in text.splitlines():
        name, equals, value = (part.strip() for part in re.split(r"(?:^|[ \t])#", line)[0].partition("="))
        if not name:
            continue
        if not equals:
            raise ValueError(f"recipe: '{line}' is not 'name = value'")
        if name in options:
            options[name] = value
        elif name not in OTHERS:
            raise ValueError(f"recipe: option '{name}' is unknown here and may change the network: add it to OTHERS if it does not")
    return options


def choice(options, name, allowed):
    """The value of an option that must be one of those that stand in this file."""
    if options[name] not in allowed:
        raise ValueError(f"recipe: {name} = {options[name]} is unknown here: there are {', '.join(allowed)}")
    return options[name]


def layers(options, name, allowed):
    """The names in "conv1,conv2", or none."""
    names = [] if options[name] == "none" else options[name].split(",")
    for layer in names:
        if layer not in allowed:
            raise ValueError(f"recipe: {name} = {options[name]}: layer '{layer}' is unknown here: there are {', '.join(allowed)}")
    return names


def flag(options, name):
    return choice(options, name, ("false", "true")) == "true"


def network(recipe, classes, side):
    """The network that a recipe describes, with random weights. side: of the images that crops are taken from."""
    options = recipe_read(recipe)
    which, crop = choice(options, "network", ("alexnet", "cifar")), int(options["crop"])
    activation = choice(options, "activation", ACTIVATIONS)
    if which == "cifar":
        return CifarNet(classes, crop, side, activation)
    return AlexNet(classes, crop, side, float(options["dropout"]), float(options["lrn-alpha"]), activation,
                   layers(options, "dropout-layers", ("fc6", "fc7")), layers(options, "lrn", ("conv1", "conv2", "conv5")),
                   int(choice(options, "pool", ("2", "3"))), choice(options, "padding", ("overhang", "pad2")),
                   flag(options, "one-column"), not flag(options, "no-communication"))


def file_read(path):
    """Metadata and tensors of a safetensors file. The safetensors package does the same."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    metadata, tensors = header.pop("__metadata__", {}), {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"'{path}': {name} is of type {entry['dtype']}, not F32")
        begin, end = entry["data_offsets"]
        tensors[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32).reshape(entry["shape"])
    return metadata, tensors


def load(path, recipe=None):
    """The trained network of a checkpoint or an export. Momentum in it is left out."""
    metadata, tensors = file_read(path)
    recipe = metadata.get("recipe") if recipe is None else recipe
    if recipe is None:
        raise ValueError(f"'{path}' does not say what network it is: give load() the recipe")
    output = next((name for name in ("fc8.bias", "fc10.bias") if name in tensors), None)
    if output is None or "input.mean_image" not in tensors:
        raise ValueError(f"'{path}' has no output layer, or no input.mean_image: it holds no weights of an-train")
    model = network(recipe, tensors[output].shape[0], tensors["input.mean_image"].shape[0])
    model.load_state_dict({name: values for name, values in tensors.items() if not name.startswith("momentum.")})
    return model
