#!/usr/bin/env python3
"""Every switch of every network, an-train against PyTorch: logits and gradients of the same weights and images.

    switches.py [--bin FOLDER] [--crop 70] [--images 8] [--kernels fast] [--devices cpu] [--precision fp32] [--large] [--only TEXT]

Needs PyTorch. The images are noise, made here, and the weights are He's random ones with biases that matter. The network in PyTorch is that of
docs/alexnet_torch.py. Logits: an-show's probabilities of three classes tell them but for a constant, which is taken away; printed is the largest
difference. Gradients: an-train makes one step of one batch that holds every image, at rate 1, without momentum, decay and dropout; what it
takes from a weight is the gradient. Of each tensor |a - b| / |b| is computed as Euclidean norms, against PyTorch in fp64; printed is the worst
tensor's. Beside both stands what rounding in fp32 does to PyTorch itself. --large: a few networks at the crop of 224 as well. Dropout's masks are
an-train's own, so they are not compared here; tests/model/test_ops.c does that. Prints a Markdown table."""
import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

import torch
from torch.nn import functional as F

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))
import alexnet_torch  # noqa: E402

CLASSES, MARGIN = 3, 10  # pixels more than the crop has, so that it is cut out
PLACES = "--lrn-before-activation conv1,conv2 --lrn-after-pool conv2,conv5 --lrn conv1,conv2,conv5"
SWITCHES = ["", "--activation tanh", "--activation sigmoid", "--pool 2", "--padding pad2", "--lrn none", "--lrn conv1,conv2,conv5",
            "--lrn-alpha 0.1", "--lrn-k 1 --lrn-alpha 0.1", "--lrn-before-activation conv1", "--lrn-before-activation conv1 --activation tanh",
            "--lrn-after-pool conv1,conv2", PLACES, "--columns one", "--columns one --lrn conv1,conv2,conv5", "--columns one-half",
            "--no-communication", "--no-communication --without conv3,fc6",
            *(f"--without {layer}" for layer in ("conv2", "conv3", "conv4", "conv5", "fc6", "fc7")), "--without conv3,conv4,conv5 --columns one",
            "--without fc6,fc7", "--network torchvision", "--network torchvision --activation sigmoid", "--network cifar",
            "--network cifar --activation tanh", "--network cifar --activation sigmoid"]
LARGE = ["", "--columns one-half", "--lrn-before-activation conv1", "--lrn-after-pool conv1,conv2 --lrn-k 1", "--network torchvision"]


def run(arguments, program, *words):
    done = subprocess.run([os.path.join(arguments.bin, program), *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{program} {' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_write(path, image):
    side = image.shape[0]
    rows = b"".join(b"\0" + bytes(row.flatten().tolist()) for row in image)
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def dataset_make(arguments, work, side):
    """Noise of another brightness in each image. Returns images, labels and names, and ingests them."""
    torch.manual_seed(5)
    images, labels, names = [], [], []
    for number in range(arguments.images):
        label = number % CLASSES
        images.append(torch.randint(0, 120 + 130 * number // arguments.images, (side, side, 3), dtype=torch.uint8))
        labels.append(label)
        names.append(f"class{label}/{number}.png")
        (work / "images" / names[-1]).parent.mkdir(parents=True, exist_ok=True)
        png_write(work / "images" / names[-1], images[-1])
    run(arguments, "an-ingest", "--size", side, "--codec", "rgb", work / "images", work / "data")
    return torch.stack(images), torch.tensor(labels), names


def weights_write(path, tensors):
    header, data, at = {}, [], 0
    for name, values in tensors.items():
        data.append(values.detach().contiguous().numpy().tobytes())
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + len(data[-1])]}
        at += len(data[-1])
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(data)


def parameters(tensors):
    return {name: values for name, values in tensors.items() if not name.startswith("input.")}


def start_make(recipe, side):
    torch.manual_seed(7)
    model = alexnet_torch.network(recipe, CLASSES, side)
    for name, values in parameters(model.state_dict()).items():
        values.normal_(0, 0.1 if name.endswith("bias") else (2 / values[0].numel()) ** 0.5)
    return model


def logits_told(arguments, work, weights, recipe, names):
    """Logarithms of an-show's probabilities, images x classes."""
    said = json.loads(run(arguments, "an-show", "predict", "--weights", weights, "--recipe", recipe, "--dataset", work / "data", "--images",
                          len(names), "--devices", arguments.devices, "--json"))
    table = torch.zeros(len(names), CLASSES, dtype=torch.float64)
    for image in said:
        for top in image["top"]:
            table[names.index(image["name"]), top["label"]] = top["probability"]
    return table.log()


def trained(arguments, work, options):
    """The tensors after one step from start.safetensors."""
    run(arguments, "an-train", *options, "--weights", work / "start.safetensors", "--run", work / "run", "--batch", arguments.images, "--steps", 1,
        "--rate", 1, "--momentum", 0, "--decay", 0, "--bias-decay", 0, "--schedule", "constant", "--dropout", 0, "--no-flip", "--no-random-crop",
        "--jitter", 0, "--input-scale", "unit", "--kernels", arguments.kernels, "--devices", arguments.devices, "--precision", arguments.precision,
        "--quiet", work / "data")
    run(arguments, "an-train", "export", "--run", work / "run", work / "after.safetensors")
    return alexnet_torch.file_read(work / "after.safetensors")[1]


def computed(model, images, labels):
    """Logarithms of probabilities, and all gradients of the mean loss."""
    model.zero_grad()
    logs = model(images).log_softmax(1)
    F.nll_loss(logs, labels).backward()
    return logs.detach(), {name: values.grad.double() for name, values in model.named_parameters()}


def furthest(gradients, exact):
    """The tensor that is furthest from what it should be, and how far."""
    return max(((gradients[name] - exact[name]).norm() / exact[name].norm()).item() for name in exact)


def compare(arguments, work, data, options, crop):
    """[our logits, PyTorch's, our gradients, PyTorch's]: how far each is from PyTorch's in fp64."""
    images, labels, names = data
    words = [word.lstrip("-") for word in options]
    pairs, at = {"crop": str(crop)}, 0
    while at < len(words):
        flag = at + 1 == len(words) or options[at + 1].startswith("--")
        pairs[words[at]] = "true" if flag else words[at + 1]
        at += 1 if flag else 2
    recipe = "".join(f"{name} = {value}\n" for name, value in pairs.items())
    model = start_make(f"{recipe}dropout = 0\n", images.shape[1])
    weights_write(work / "start.safetensors", parameters(model.state_dict()))
    after = trained(arguments, work, [*options, "--crop", crop])
    start = {name: values.clone() for name, values in parameters(model.state_dict()).items()}
    model.load_state_dict({**start, "input.mean_image": after["input.mean_image"], "input.scale": after["input.scale"]})
    weights_write(work / "shown.safetensors", model.state_dict())
    (work / "recipe").write_text(f"{recipe}precision = {arguments.precision}\nkernels = {arguments.kernels}\n")
    at = (images.shape[1] - crop) // 2
    cut = images[:, at:at + crop, at:at + crop].permute(0, 3, 1, 2)
    logs, gradients = computed(model, cut, labels)
    exact_logs, exact = computed(double(model), cut, labels)
    ours = {name: start[name].double() - after[name].double() for name in exact}
    told = logits_told(arguments, work, work / "shown.safetensors", work / "recipe", names)
    return ((told - exact_logs).abs().max().item(), (logs.double() - exact_logs).abs().max().item(), furthest(ours, exact), furthest(gradients, exact))


def double(model):
    """The model in fp64; images become fp64 too."""
    model.double()
    model.input.forward = lambda images: alexnet_torch.Input.forward(model.input, images.double())
    return model


def table_print(arguments, switches, crop):
    side = crop + MARGIN
    for text in switches:
        if arguments.only not in text:
            continue
        options = text.split()
        own = 32 if "cifar" in options else crop
        with tempfile.TemporaryDirectory(prefix="an-parity-") as folder:
            work = pathlib.Path(folder)
            data = dataset_make(arguments, work, own + MARGIN if own != crop else side)
            logits, torch_logits, gradients, torch_gradients = compare(arguments, work, data, options, own)
        shown = f"`{text}`" if text else "the paper's"
        print(f"| {shown} | {own} | {logits:.1e} | {torch_logits:.1e} | {gradients:.1e} | {torch_gradients:.1e} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"))
    parser.add_argument("--crop", type=int, default=70)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--kernels", default="fast")
    parser.add_argument("--devices", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only", default="", help="switches that hold this text")
    arguments = parser.parse_args()
    print("| options | crop | logits | PyTorch's | gradients | PyTorch's |\n|---|---|---|---|---|---|")
    table_print(arguments, SWITCHES, arguments.crop)
    if arguments.large:
        table_print(arguments, LARGE, 224)


if __name__ == "__main__":
    main()
