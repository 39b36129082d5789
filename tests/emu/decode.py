#!/usr/bin/python3
"""The unmodified an-train where GPUs decode the records: a run ends in the bytes of one whose records the host decodes, whatever is
mixed or resumed, and a damaged record ends it in the same words.

    decode.py FOLDER MODULE REMAKE [damage]     the emulator's libraries; the decoder's module on it; the program that mixes datasets;
                                                damage: that part, which is left out otherwise
    decode.py real                              none: this machine's own GPUs
"""
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import trainer
from trainer import ALEXNET, BIN, CIFAR, EMULATOR, SMALL, checkpoint, close, environment, gpu_count, train

REMAKE = os.path.abspath(sys.argv[3]) if EMULATOR else None
HOST, DEVICE = ["--decode", "host"], ["--decode", "device"]
WIDE = [*CIFAR, "--crop", "64"]  # windows that no damage of a record of 72 pixels escapes
BF16 = ["--precision", "bf16"]


def same(work, one, other, step):
    assert filecmp.cmp(checkpoint(work, one, step), checkpoint(work, other, step), shallow=False), (one, other)


def validations(work, run):
    with open(f"{work}/{run}/metrics.jsonl") as lines:
        return [(line["loss"], line["top1"], line["top5"]) for line in map(json.loads, lines) if line["type"] == "validation"]


def check_training(work, name, network, devices, steps, data):
    """Decoded by the host and by the devices."""
    expected, _ = train(work, network, devices, f"{name}-host", steps, *HOST, data=data)
    got, said = train(work, network, devices, f"{name}-device", steps, *DEVICE, data=data)
    assert got == expected and len(got) >= steps, (got, expected)
    assert EMULATOR is None or "operation by operation" not in said, said
    same(work, f"{name}-host", f"{name}-device", steps)


def check_resume(work, network, devices):
    """By the host, then by the devices, then by the host again."""
    for stop, how, more in ((2, HOST, []), (7, DEVICE, ["--resume", "auto"]), (9, HOST, ["--resume", "auto"])):
        train(work, network, devices, "moved", stop, *how, *more, data=("coef",))
    same(work, "fp32-host", "moved", 9)


def check_choice(work):
    """auto measures where there is a choice, says what it found, and changes no byte."""
    train(work, SMALL, "cuda:0", "chosen", 9, "--decode", "auto", data=("coef",))
    same(work, "fp32-host", "chosen", 9)
    for data, measured in (("coef", True), ("data", False)):
        command = [f"{BIN}/an-train", *SMALL, "--devices", "cuda:0", "--steps", "2", "--compute-threads", "1", "-j", "1", f"{work}/{data}"]
        said = subprocess.run(command, env=environment("cuda:0"), check=True, capture_output=True, text=True).stdout
        found = re.search(r"^decoding    (on cuda:0|by the loader threads).*\n            chosen by measuring: the host decodes ([0-9]+) "
                          r"images/s, the network takes about ([0-9]+)$", said, re.M)
        assert bool(found) == measured and (measured or "decoding  " not in said), said
        if found:
            assert (found[1] != "on cuda:0") == (int(found[2]) >= 1.2 * int(found[3])), found[0]


def check_finetuning(work):
    """A run goes on although the weights that it began with are gone, also where it measures again how to decode."""
    shutil.copy(f"{work}/chosen/checkpoints/step-000000009.safetensors", f"{work}/weights")
    begin = ["--weights", f"{work}/weights", "--fresh", "fc10", "--decode", "auto"]
    train(work, SMALL, "cuda:0", "tuned", 4, *begin, data=("coef",))
    train(work, SMALL, "cpu", "tuned-cpu", 4, *begin, data=("coef",))
    os.unlink(f"{work}/weights")
    losses, said = train(work, SMALL, "cuda:0", "tuned", 6, *begin, "--resume", "auto", data=("coef",))
    assert len(losses) == 2, (losses, said)
    got, _ = train(work, SMALL, "cpu", "tuned-cpu", 6, *begin, "--resume", "auto", data=("coef",))
    close(losses, got, 0.01)


def check_validation(work):
    """The last batch of a validation is short, and it comes between two steps whose second batch had been announced."""
    network = [*SMALL, *BF16, "--mean", "pixel", "--jitter", "0.1"]
    check_training(work, "bf16", network, "cuda:0", 9, ("coef", "few"))
    assert validations(work, "bf16-host") == validations(work, "bf16-device") and validations(work, "bf16-host")


def check_evaluation(work, run, data):
    for more in ([], ["--ten-crop"]):
        command = [f"{BIN}/an-train", "eval", "--json", "--batch", "23", "--run", f"{work}/{run}", "--devices", "cuda:0", *more, f"{work}/{data}"]
        said = [json.loads(subprocess.run([*command, *how], env=environment("cuda:0"), check=True, capture_output=True, text=True).stdout)
                for how in (HOST, DEVICE)]
        assert said[0] == said[1], said


def words(said):
    """What an-train died of."""
    return re.sub(r"^an-train: (error: )?", "", said.strip().splitlines()[-1])


def damages(work, how):
    """What becomes of trainings and evaluations that meet a damaged record: the losses before it, and the last words."""
    name = how[-1]
    trained, said = train(work, WIDE, "cuda:0", f"damaged-{name}", 12, *how, expect=3, data=("damaged",))
    validated, more = train(work, WIDE, "cuda:0", f"unseen-{name}", 12, *how, expect=3, data=("coef", "damaged"))
    return [(trained, words(said)), (validated, words(more))]


def evaluations(work, how):
    for more in ([], ["--ten-crop"]):
        done = subprocess.run([f"{BIN}/an-train", "eval", "--batch", "20", "--weights", checkpoint(work, "wide-host", 4), "--devices", "cuda:0",
                               *how, *more, f"{work}/damaged"], env=environment("cuda:0"), capture_output=True, text=True)
        assert done.returncode == 3, done
        yield words(done.stderr)


def check_damage(work):
    """A record with a right checksum that is damaged inside, in training, validation and evaluation. What is measured ahead does not meet it
    before its step."""
    expected = damages(work, HOST)
    assert all("record 13" in said for _, said in expected) and len(expected[0][0]) > 0, expected
    for how in (DEVICE, ["--decode", "auto"]):
        assert damages(work, how) == expected, (how, expected)
    spoken = list(evaluations(work, HOST))
    assert all("record 13" in said for said in spoken), spoken
    assert list(evaluations(work, DEVICE)) == spoken, spoken


def check_refusals(work):
    said = train(work, SMALL, "cpu", "none", 2, *DEVICE, expect=2, data=("coef",))[1]
    assert "--decode" in said or "cpu" in said, said
    before = os.environ.get("AN_DECODE_MODULE")
    os.environ["AN_DECODE_MODULE"] = f"{work}/no-module.so"
    said = train(work, SMALL, "cuda:0", "none", 2, *DEVICE, expect=1, data=("coef",))[1]
    assert "AN_DECODE_MODULE" in said, said
    train(work, SMALL, "cuda:0", "none", 2, *HOST, data=("coef",))
    if before:
        os.environ["AN_DECODE_MODULE"] = before
    else:
        del os.environ["AN_DECODE_MODULE"]


def make(work):
    trainer.pictures.SIDE = 72
    trainer.pictures.write(f"{work}/images", 24, 3)
    trainer.pictures.write(f"{work}/fewer", 10, 3, seed=2)
    for folder, codec, name in (("images", "coef", "coef"), ("images", "jpeg", "jpeg"), ("images", "rgb", "data"), ("fewer", "coef", "few")):
        subprocess.run([f"{BIN}/an-ingest", "--size", "72", "--codec", codec, f"{work}/{folder}", f"{work}/{name}"], check=True,
                       capture_output=True)
    if REMAKE:
        subprocess.run([REMAKE, f"{work}/coef", f"{work}/jpeg", f"{work}/mixed"], check=True)
        subprocess.run([REMAKE, f"{work}/coef", f"{work}/coef", f"{work}/damaged", "13"], check=True)


def check_ways(work):
    check_training(work, "fp32", SMALL, "cuda:0", 9, ("coef",))
    check_resume(work, SMALL, "cuda:0")
    check_choice(work)
    check_finetuning(work)
    check_validation(work)
    check_evaluation(work, "fp32-host", "coef")
    network = SMALL if EMULATOR else ALEXNET  # whose many weights are nothing to a decoder, and much to emulate
    check_training(work, "shared", network, "cuda:0,cuda:0", 4, ("coef",))
    if gpu_count() > 1:
        check_training(work, "two", network, "cuda:0,cuda:1", 3, ("coef",))
    if REMAKE:
        check_refusals(work)
        check_training(work, "profiled", [*SMALL, "--profile"], "cuda:0", 3, ("coef",))
        check_training(work, "pixels", SMALL, "cuda:0", 3, ("data",))  # nothing that a device decodes
        check_training(work, "mixed", SMALL, "cuda:0", 6, ("mixed",))
        check_evaluation(work, "mixed-host", "mixed")
        # 10 images in batches of 4: the rest of an epoch in a batch of its own, and together with the next epoch's first images
        check_training(work, "resized", [*SMALL, "--resized", "0.3", "--mean", "channel", "--last", "short"], "cuda:0", 4, ("few",))
        check_training(work, "carried", [*SMALL, "--last", "carry"], "cuda:0", 4, ("few",))


def main(work):
    os.environ["AN_EMU_MEMO"] = tempfile.mkdtemp(dir=work)  # what proofs gave, for all of its processes
    os.environ["XDG_CACHE_HOME"] = f"{work}/cache"
    if EMULATOR:
        os.environ["AN_DECODE_MODULE"] = os.path.abspath(sys.argv[2])
    make(work)
    if sys.argv[4:] == ["damage"]:
        check_training(work, "wide", WIDE, "cuda:0", 4, ("coef",))
        check_damage(work)
    else:
        check_ways(work)
    print("all equal")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(folder)
