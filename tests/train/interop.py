#!/usr/bin/python3
"""Weights that an-train wrote, read by Python; weights that Python wrote, read by an-train.

The format is read and written by code of its own here, and by the safetensors package where that is installed."""
import array
import json
import math
import os
import struct
import subprocess
import tempfile

import pictures

BIN = os.environ["AN_BIN_DIR"]


def parse(path):
    """Metadata, and name -> (shape, bytes)."""
    data = open(path, "rb").read()
    (length,) = struct.unpack_from("<Q", data)
    assert (8 + length) % 8 == 0, "data is not aligned"
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__")
    assert all(isinstance(value, str) for value in metadata.values())
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        assert entry["dtype"] == "F32" and end - begin == 4 * math.prod(entry["shape"])
        tensors[name] = (entry["shape"], data[8 + length + begin:8 + length + end])
    return metadata, tensors


def write(path, tensors):
    header, at = {}, 0
    for name, (shape, values) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(values)]}
        at += len(values)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(values for _, values in tensors.values()))


def run(*arguments, expect=0):
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == expect, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def main(work):
    pictures.write(f"{work}/images", 12, 3)
    run(f"{BIN}/an-ingest", "--size", str(pictures.SIDE), "--codec", "rgb", f"{work}/images", f"{work}/data")
    train = [f"{BIN}/an-train", "--network", "cifar", "--crop", "32", "--batch", "4", "--init", "he", "--epochs", "1",
             "--compute-threads", "1"]
    run(*train, "--run", f"{work}/run", f"{work}/data")
    assert "nothing is left to do" in run(*train, "--run", f"{work}/run", "--resume", "auto", f"{work}/data")
    run(f"{BIN}/an-train", "export", "--run", f"{work}/run", f"{work}/weights.safetensors")

    metadata, tensors = parse(f"{work}/weights.safetensors")
    assert metadata["format"] == "an-checkpoint" and json.loads(metadata["classes"]) == ["class0", "class1", "class2"]
    assert tensors["conv1.weight"][0] == [32, 3, 5, 5] and tensors["fc10.bias"][0] == [3]
    assert tensors["input.mean_image"][0] == [pictures.SIDE, pictures.SIDE, 3] and tensors["input.scale"][0] == [1]
    assert not any(name.startswith("momentum.") for name in tensors)
    weights = array.array("f", tensors["conv1.weight"][1])
    deviation = math.sqrt(sum(w * w for w in weights) / len(weights))
    assert 0.5 < deviation / math.sqrt(2 / 75) < 2, deviation  # He's, a few steps on

    # Back again: the same weights, written by other hands, give the same first step as the export itself.
    def first_loss(path):
        events = map(json.loads, run(*train, "--steps", "1", "--json", "--weights", path, f"{work}/data").splitlines())
        return next(event["loss"] for event in events if event["type"] == "train")

    write(f"{work}/python.safetensors", tensors)
    loss = first_loss(f"{work}/weights.safetensors")
    assert first_loss(f"{work}/python.safetensors") == loss

    write(f"{work}/wrong.safetensors", {**tensors, "fc10.bias": ([4], bytes(16))})
    text = run(*train, "--weights", f"{work}/wrong.safetensors", f"{work}/data", expect=2)
    assert "fc10.bias" in text and "4" in text, text

    evaluate = [f"{BIN}/an-train", "eval", "--weights", f"{work}/weights.safetensors"]
    for view, options in (("centre", []), ("ten-crop", ["--ten-crop", "--batch", "25"])):
        report = json.loads(run(*evaluate, *options, "--json", "--per-class", "--confusions", "4", "--show", "2", f"{work}/data"))
        assert report["training_set"] and report["view"] == view and report["images"] == 12 and report["step"] == 3
        assert sum(c["images"] for c in report["classes"]) == 12
        assert sum(c["correct"] for c in report["classes"]) == round(12 * report["top1"])
        wrong = sum(c["images"] for c in report["confusions"])
        assert wrong <= 12 - round(12 * report["top1"])
        for shown in report["shown"]:
            p = [item["probability"] for item in shown["predictions"]]
            assert p == sorted(p, reverse=True) and abs(sum(p) - 1) < 1e-4 and len(p) == 3
    told = run(*evaluate, "--per-class", "--confusions", "2", "--show", "1", f"{work}/data")
    assert "top-1" in told and "/data (the training set): 12 images" in told and "the centre of each image" in told, told
    assert "ten crops of each image, averaged" in run(*evaluate, "--ten-crop", "--batch", "25", f"{work}/data")
    pictures.write(f"{work}/others", 12, 3, seed=2)
    run(f"{BIN}/an-ingest", "--size", str(pictures.SIDE), "--codec", "rgb", f"{work}/others", f"{work}/other")
    assert "(the training set)" not in run(*evaluate, f"{work}/other")
    assert json.loads(run(*evaluate, "--json", f"{work}/other"))["training_set"] is False
    run(*evaluate, "--ten-crop", "--batch", "9", f"{work}/data", expect=2)
    run(f"{BIN}/an-train", "eval", f"{work}/data", expect=2)
    odd = os.fsencode(work) + b"/donn\xe9es"  # a path is bytes, JSON is UTF-8
    os.symlink(f"{work}/data", odd)
    assert json.loads(run(*evaluate, "--json", odd))["dataset"] == f"{work}/donn\\xe9es"
    with open("/dev/full", "w") as full:  # what could not be printed is no success
        done = subprocess.run([*evaluate, "--json", f"{work}/data"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "standard output" in done.stderr, done

    try:
        from safetensors.numpy import load_file, save_file
    except ImportError:
        print("the safetensors package is not installed: checked by own code only")
        return
    loaded = load_file(f"{work}/run/checkpoints/step-000000003.safetensors")
    exported = load_file(f"{work}/weights.safetensors")
    assert "momentum.conv1.weight" in loaded
    assert all((exported[name] == loaded[name]).all() for name in exported)
    save_file(exported, f"{work}/saved.safetensors")
    assert first_loss(f"{work}/saved.safetensors") == loss


with tempfile.TemporaryDirectory() as folder:
    main(folder)
