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

# Options of a recipe that decide the network, with their defaults. AlexNet reads all of them, the others crop and activation.
DEFAULTS = {"network": "alexnet", "crop": "224", "activation": "relu", "dropout": "0.5", "dropout-layers": "fc6,fc7", "lrn": "conv1,conv2",
            "lrn-alpha": "0.0001", "lrn-k": "2", "lrn-before-activation": "none", "lrn-after-pool": "none", "pool": "3", "padding": "overhang",
            "columns": "two", "no-communication": "false", "without": "none"}

# Options of older recipes, and what their values mean today.
OLD = {"one-column": ("columns", {"false": "two", "true": "one"})}

# The other options: how the weights were found, and how results are rounded.
OTHERS = {"batch", "last", "accumulate", "transport", "seed", "optimizer", "trust", "rate", "momentum", "decay", "bias-rate", "bias-decay", "nesterov", "clip", "ema", "freeze",
          "layer-rates", "schedule", "rate-epochs", "rate-divisor", "patience", "rate-drops", "power", "warmup-epochs", "validate-every",
          "init", "init-deviations", "init-bias", "precision", "kernels", "no-flip", "no-random-crop", "resized", "jitter", "jitter-scaled", "jitter-epochs",
          "mixup", "cutmix", "label-smoothing", "class-weights", "mean",
          "input-scale", "order", "order-block", "overfit"}

# What a whole run's recipe may hold beside: how long it lasted.
LENGTHS = {"epochs", "steps"}


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

    def __init__(self, classes=1000, crop=224, side=256, *, dropout=0.5, activation="relu", dropout_layers=("fc6", "fc7"), lrn=("conv1", "conv2"),
                 lrn_alpha=1e-4, lrn_k=2.0, lrn_before_activation=(), lrn_after_pool=(), pool=3, padding="overhang", columns="two",
                 communication=True, without=()):
        super().__init__()
        self.input = Input(side)
        self.activation = ACTIVATIONS[activation]
        self.dropout = {layer: dropout for layer in dropout_layers}
        self.lrn, self.lrn_alpha, self.lrn_k = set(lrn) - set(without), lrn_alpha, lrn_k
        self.lrn_first, self.lrn_after_pool = lrn_before_activation, lrn_after_pool
        self.pool, self.overhangs, self.halves = pool, padding == "overhang", 2 if columns == "two" else 1
        joined = 1 if communication else self.halves  # groups of the layers at which the halves talk
        share = 2 if columns == "one-half" else 1
        self.conv1 = nn.Conv2d(3, 96 // share, 11, stride=4, padding=0 if self.overhangs else 2)
        channels = 96 // share
        for name, outputs, kernel, groups in (("conv2", 256 // share, 5, self.halves), ("conv3", 384 // share, 3, joined),
                                              ("conv4", 384 // share, 3, self.halves), ("conv5", 256, 3, self.halves)):
            if name not in without:
                setattr(self, name, nn.Conv2d(channels, outputs, kernel, padding=kernel // 2, groups=groups))
                channels = outputs
        last = (crop - 11 + 3) // 4 + 1 if self.overhangs else (crop + 4 - 11) // 4 + 1
        for _ in range(3):
            last = (last - pool) // 2 + 1
        inputs = channels * last * last
        for name in ("fc6", "fc7"):
            if name not in without:
                setattr(self, name, (nn.Linear if joined == 1 else Halves)(inputs, 4096))
                inputs = 4096
        self.fc8 = nn.Linear(inputs, classes)

    def normalise(self, x):
        """n = 5, beta = 0.75, the sum divided by n; windows never cross the two halves."""
        halves = x.chunk(self.halves, dim=1)
        return torch.cat([F.local_response_norm(half, 5, alpha=self.lrn_alpha, beta=0.75, k=self.lrn_k) for half in halves], dim=1)

    def conv(self, name, x, pooled=False):
        """A convolution with what follows it. Of a layer that is left out only the pooling stays."""
        normalised = name in self.lrn
        steps = []
        if hasattr(self, name):
            steps = [getattr(self, name), self.activation]
        if normalised:
            steps.insert(1 if name in self.lrn_first else 2, self.normalise)
        if pooled:
            at = steps.index(self.normalise) if normalised and name in self.lrn_after_pool else len(steps)
            steps.insert(at, lambda values: F.max_pool2d(values, self.pool, 2))
        for step in steps:
            x = step(x)
        return x

    def hidden(self, name, x):
        if not hasattr(self, name):
            return x
        return F.dropout(self.activation(getattr(self, name)(x)), self.dropout.get(name, 0), self.training)

    def forward(self, images):
        x = self.input(images)
        if self.overhangs:
            overhang = -(x.shape[-1] - 11) % 4  # the last windows overhang right and bottom
            x = F.pad(x, (0, overhang, 0, overhang))
        x = self.conv("conv2", self.conv("conv1", x, True), True)
        x = self.conv("conv5", self.conv("conv4", self.conv("conv3", x)), True)
        return self.fc8(self.hidden("fc7", self.hidden("fc6", x.flatten(1))))


class Torchvision(nn.Module):
    """torchvision's AlexNet, with this file's names: one column, fewer kernels, no normalisation, dropout before fc6 and fc7."""

    def __init__(self, classes=1000, crop=224, side=256, dropout=0.5, activation="relu"):
        super().__init__()
        self.input = Input(side)
        self.activation, self.dropout = ACTIVATIONS[activation], dropout
        self.conv1 = nn.Conv2d(3, 64, 11, stride=4, padding=2)
        self.conv2 = nn.Conv2d(64, 192, 5, padding=2)
        self.conv3 = nn.Conv2d(192, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 256, 3, padding=1)
        self.conv5 = nn.Conv2d(256, 256, 3, padding=1)
        last = (crop + 4 - 11) // 4 + 1
        for _ in range(3):
            last = (last - 3) // 2 + 1
        self.fc6 = nn.Linear(256 * last * last, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)

    def forward(self, images):
        x = F.max_pool2d(self.activation(self.conv1(self.input(images))), 3, 2)
        x = F.max_pool2d(self.activation(self.conv2(x)), 3, 2)
        x = self.activation(self.conv4(self.activation(self.conv3(x))))
        x = F.max_pool2d(self.activation(self.conv5(x)), 3, 2).flatten(1)
        for layer in (self.fc6, self.fc7):
            x = self.activation(layer(F.dropout(x, self.dropout, self.training)))
        return self.fc8(x)


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
        if name in OLD:
            name, values = OLD[name][0], OLD[name][1]
            value = values.get(value, value)
        if name in options:
            options[name] = value
        elif name not in OTHERS | LENGTHS:
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
    which, crop = choice(options, "network", ("alexnet", "torchvision", "cifar")), int(options["crop"])
    activation, dropout = choice(options, "activation", ACTIVATIONS), float(options["dropout"])
    if which == "cifar":
        return CifarNet(classes, crop, side, activation)
    if which == "torchvision":
        return Torchvision(classes, crop, side, dropout, activation)
    normalised = ("conv1", "conv2", "conv5")
    return AlexNet(classes, crop, side, dropout=dropout, activation=activation, dropout_layers=layers(options, "dropout-layers", ("fc6", "fc7")),
                   lrn=layers(options, "lrn", normalised), lrn_alpha=float(options["lrn-alpha"]), lrn_k=float(options["lrn-k"]),
                   lrn_before_activation=layers(options, "lrn-before-activation", normalised),
                   lrn_after_pool=layers(options, "lrn-after-pool", normalised), pool=int(choice(options, "pool", ("2", "3"))),
                   padding=choice(options, "padding", ("overhang", "pad2")), columns=choice(options, "columns", ("two", "one", "one-half")),
                   communication=not flag(options, "no-communication"),
                   without=layers(options, "without", ("conv2", "conv3", "conv4", "conv5", "fc6", "fc7")))


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
    """The trained network of a checkpoint or an export. Momentum in it is left out, and averages of the weights, as --ema keeps them, take
    their place."""
    metadata, tensors = file_read(path)
    recipe = metadata.get("recipe") if recipe is None else recipe
    if recipe is None:
        raise ValueError(f"'{path}' does not say what network it is: give load() the recipe")
    output = next((name for name in ("fc8.bias", "fc10.bias") if name in tensors), None)
    if output is None or "input.mean_image" not in tensors:
        raise ValueError(f"'{path}' has no output layer, or no input.mean_image: it holds no weights of an-train")
    model = network(recipe, tensors[output].shape[0], tensors["input.mean_image"].shape[0])
    averages = {name.removeprefix("average."): values for name, values in tensors.items() if name.startswith("average.")}
    weights = {name: values for name, values in tensors.items() if not name.startswith(("momentum.", "average."))}
    model.load_state_dict({**weights, **averages})
    return model
