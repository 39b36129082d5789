#!/usr/bin/python3
"""The unmodified an-train on emulated GPUs: it trains as on the CPU, a run stopped in mid-epoch and resumed ends in the same
bytes, and a checkpoint goes on wherever it is taken.

    trainer.py FOLDER       the emulator: its libraries
    trainer.py real         none: this machine's own GPUs
"""
import filecmp
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "train"))
import pictures  # noqa: E402

BIN = os.environ.get("AN_BIN_DIR", "build/release/bin")
EMULATOR = None if sys.argv[1] == "real" else os.path.abspath(sys.argv[1])
CIFAR = ["--network", "cifar", "--batch", "4", "--rate", "0.0002"]
SMALL = [*CIFAR, "--crop", "32"]
ALEXNET = ["--crop", "64", "--batch", "2", "--rate", "0.001"]


UPDATES = ["--nesterov", "--clip", "0.5", "--ema", "0.7", "--freeze", "conv1", "--accumulate", "2"]
TARGETS = ["--mixup", "0.4", "--cutmix", "1", "--label-smoothing", "0.1", "--class-weights", "balanced", "--jitter-scaled"]


def check_updates(work, second):
    """Every way to update, of mixed images and labels: as on the CPU, averages in validation included, and resumed exactly."""
    network = [*SMALL, *UPDATES, *TARGETS]
    expected, _ = train(work, network, "cpu", "updates-cpu", 6, "--overfit", "12")
    for devices in ("cpu,cpu", "cuda:0", f"cuda:0,{second}"):
        got, said = train(work, network, devices, "updates-" + devices.replace(":", "").replace(",", "-"), 6, "--overfit", "12")
        close(expected, got, 1e-3)
        assert "operation by operation" not in said, said
    check_resume(work, [*network, "--seed", "3"], "cuda:0", 4, 2)


def check_closing_page(work):
    """Without --json: the devices' idle time, what they waited for and what stood behind it."""
    command = [f"{BIN}/an-train", *SMALL, "--devices", "cuda:0", "--init", "he", "--steps", "3", "--compute-threads", "1", "-j", "1",
               "--run", f"{work}/page", f"{work}/data"]
    said = subprocess.run(command, env=environment("cuda:0"), capture_output=True, text=True, check=True).stdout
    found = re.search(r"^devices     idle for ([0-9.]+) % of the training time by their own clock: ([0-9.]+) % for images on their way, "
                      r"([0-9.]+) % for the host, with (the loader behind: (decode|read)|batches ready)$", said, re.M)
    assert found and float(found[1]) <= 100, said
    assert abs(float(found[1]) - float(found[2]) - float(found[3])) < 0.02, said
    found = re.search(r"^processors  ([0-9.]+) at work while training, ([0-9.]+) us an image; the loader's workers were busy for "
                      r"([0-9.]+) us an image$", said, re.M)
    assert found and min(map(float, found.groups())) > 0, said


def environment(devices):
    """Of a process. The words of cuBLASLt's algorithms hold other leftover bits in each."""
    more = {"AN_CUDA_LIBRARIES": EMULATOR, "AN_EMU_LEFTOVERS": f"{random.getrandbits(32):x}"} if "cuda" in devices and EMULATOR else {}
    return dict(os.environ, OMP_WAIT_POLICY="passive", **more)


def train(work, network, devices, run, steps, *more, expect=0, data=("data",), save_every=1000):
    """Runs an-train to a number of steps on a training set and, if data names two, a validation set. Returns its losses."""
    command = [f"{BIN}/an-train", *network, "--devices", devices, "--init", "he", "--epochs", "2", "--steps", str(steps), "--save-every",
               str(save_every), "--log-every", "1", "--compute-threads", "1", "-j", "1", "--json", "--run", f"{work}/{run}", *more,
               *(f"{work}/{name}" for name in data)]
    done = subprocess.run(command, env=environment(devices), capture_output=True, text=True)
    assert done.returncode == expect, (command, done.returncode, done.stdout, done.stderr)
    assert "is given twice" not in done.stderr, (command, done.stderr)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert all(0 <= line["device_copy"] <= line["device_idle"] <= 1 for line in lines if "device_idle" in line), lines
    return [line["loss"] for line in lines if "loss" in line and "step" in line], done.stderr


def checkpoint(work, run, step):
    return f"{work}/{run}/checkpoints/step-{step:09d}.safetensors"


def close(one, other, tolerance):
    assert len(one) == len(other) and one, (one, other)
    for a, b in zip(one, other):
        assert abs(a - b) <= tolerance * (abs(a) + 0.1), (one, other)


def check_evaluation(work, run):
    """The mean image lies on the device: centre and ten crops read it at their places, mirrored or not."""
    for more in ([], ["--ten-crop"]):
        command = [f"{BIN}/an-train", "eval", "--json", "--batch", "20", "--run", f"{work}/{run}", *more, f"{work}/data"]
        said = [json.loads(subprocess.run([*command, "--devices", devices], env=environment(devices), check=True, capture_output=True,
                                          text=True).stdout) for devices in ("cpu", "cuda:0")]
        close([said[0]["loss"]], [said[1]["loss"]], 1e-4)


def check_validation(work):
    """After each epoch, by a loader that is opened while training: its batches lie in pinned memory, and are no other than the CPU's."""
    each = ["--overfit", "12", "--validate-every", "1"]
    expected, _ = train(work, SMALL, "cpu", "validated-cpu", 6, *each)
    got, _ = train(work, SMALL, "cuda:0", "validated-cuda", 6, *each)
    assert len(expected) == 6 + 2, expected
    close(expected, got, 1e-3)


def gpu_count():
    if EMULATOR:
        return int(os.environ.get("AN_EMU_DEVICES", "2"))
    done = subprocess.run([f"{BIN}/an-train", "--devices", "list"], capture_output=True, text=True, check=True)
    return done.stdout.count("cuda:")


def check_resume(work, network, devices, steps, half):
    name = devices.replace(":", "").replace(",", "-") + "-" + network[-1]
    train(work, network, devices, f"{name}-straight", steps)
    train(work, network, devices, f"{name}-halves", half)
    train(work, network, devices, f"{name}-halves", steps, "--resume", "auto")
    assert filecmp.cmp(checkpoint(work, f"{name}-straight", steps), checkpoint(work, f"{name}-halves", steps), shallow=False), name
    return name


def check_saving(work, network, devices, name, steps):
    """Saved after every step while training goes on: the same end, and any of the checkpoints leads there."""
    train(work, network, devices, f"{name}-saved", steps, "--keep", "100", save_every=1)
    with open(f"{work}/{name}-saved/metrics.jsonl") as lines:
        saved = [line for line in map(json.loads, lines) if line["type"] == "saved"]
    assert [line["step"] for line in saved][:steps] == list(range(1, steps + 1)), saved
    for step in (1, steps // 2):
        train(work, network, devices, f"{name}-from{step}", steps, "--resume", checkpoint(work, f"{name}-saved", step))
    for run in ("saved", "from1", f"from{steps // 2}"):
        assert filecmp.cmp(checkpoint(work, f"{name}-straight", steps), checkpoint(work, f"{name}-{run}", steps), shallow=False), run


def engines(work, run):
    with open(f"{work}/{run}/engines.txt") as lines:
        return lines.read()


def check_engines(work):
    """Kernels are measured at the first start. A run keeps its choices whatever a later measurement would say; a damaged file is
    told and replaced."""
    before = os.environ["XDG_CACHE_HOME"]
    os.environ["XDG_CACHE_HOME"] = f"{work}/other-cache"
    cache = f"{work}/other-cache/an/engines.txt"
    os.environ["AN_EMU_COST"] = "1:9000000,3:0,4:5000000"
    train(work, SMALL, "cuda:0", "tuned", 4)
    kept = engines(work, "tuned")
    assert "\t10 2=1\t" in kept and "\t8\t" not in kept, kept
    os.environ["AN_EMU_COST"] = "1:0,3:9000000,4:5000000"
    os.remove(cache)
    train(work, SMALL, "cuda:0", "tuned", 9, "--resume", "auto")
    assert engines(work, "tuned") == kept and not os.path.exists(cache)
    train(work, SMALL, "cuda:0", "other", 9)
    assert "\t8\t" in engines(work, "other")
    assert not filecmp.cmp(checkpoint(work, "tuned", 9), checkpoint(work, "other", 9), shallow=False)
    with open(cache, "a") as file:
        file.write("x")
    _, said = train(work, SMALL, "cuda:0", "third", 2)
    assert "engines.txt' is damaged: kernels are measured again" in said, said
    _, said = train(work, SMALL, "cuda:0", "fourth", 2)
    assert "damaged" not in said and engines(work, "fourth") == engines(work, "third"), said
    del os.environ["AN_EMU_COST"]
    os.environ["XDG_CACHE_HOME"] = before


def check_faults(work):
    """Kernels that compute wrongly, or not the same twice, are by far the fastest. They are told and not used; trainings match the
    CPU's, and a resumed run goes on in the same bytes. Evaluation, which measures nothing, does not use them either."""
    before = os.environ["XDG_CACHE_HOME"]
    os.environ["XDG_CACHE_HOME"] = f"{work}/faulty-cache"
    expected, _ = train(work, SMALL, "cpu", "sound", 4)
    os.environ["AN_EMU_COST"] = "3:9000000"
    os.environ["AN_EMU_FAULT"] = "0:1:3,0:4:4,1:0:3"  # emu.h: cuDNN's first leaves out a product, its third is unsteady; cuBLASLt's first
    for precision, tolerance in (("fp32", 1e-3), ("tf32", 1e-3), ("bf16", 0.05)):
        network = [*SMALL, "--precision", precision]
        got, said = train(work, network, "cuda:0", f"faulty-{precision}", 4)
        close(expected, got, tolerance)
        kept = engines(work, f"faulty-{precision}")
        assert "\t10 2=1\t" in kept and "\t8\t" not in kept and "\t10 2=2\t" not in kept and "\t10 1=15 " not in kept, kept
        if precision == "fp32":
            assert re.search("cuDNN's kernel '8' is not used for a f32 convolution's forward, .* wrong", said), said
            assert re.search("cuDNN's kernel '10 2=2' is not used for .*: its result is not the same twice", said), said
            assert re.search("cuBLASLt's kernel '10 1=15 .*' is not used for a f32 product of .* wrong", said), said
            assert said.count("kernel '8' is not used for a f32 convolution's forward, 4 x 32 x 32 x 4 ") == 1, said
    check_resume(work, [*SMALL, "--precision", "fp32"], "cuda:0", 4, 2)
    check_evaluation(work, "sound")
    del os.environ["AN_EMU_COST"], os.environ["AN_EMU_FAULT"]
    os.environ["XDG_CACHE_HOME"] = before


def check_profiled(work, network, devices, plain, steps):
    """Profiled steps are queued operation by operation, the others as graphs: the same bytes."""
    train(work, network, devices, f"{plain}-profiled", steps, "--profile")
    assert filecmp.cmp(checkpoint(work, plain, steps), checkpoint(work, f"{plain}-profiled", steps), shallow=False), plain


def check_graphs(work):
    """Where a driver refuses to capture a step, the run says so once, and ends in the same bytes."""
    _, said = train(work, SMALL, "cuda:0", "graphs", 6)
    assert "operation by operation" not in said, said
    os.environ["AN_EMU_CAPTURE"] = "0"
    _, said = train(work, SMALL, "cuda:0", "no-graphs", 6)
    del os.environ["AN_EMU_CAPTURE"]
    assert said.count("operation by operation") == 1 and "capture a step on cuda:0" in said, said
    assert filecmp.cmp(checkpoint(work, "graphs", 6), checkpoint(work, "no-graphs", 6), shallow=False)
    dry = subprocess.run([f"{BIN}/an-train", *SMALL, "--devices", "cuda:0", "--dry-run", "--run", f"{work}/none", f"{work}/data"],
                         env=environment("cuda:0"), capture_output=True, text=True, check=True).stdout
    assert re.search(r"^graphs +[0-9.]+ ms a step; queued operation by operation [0-9.]+ ms$", dry, re.M), dry
    processors = int(re.search(r"(\d+) compute and \d+ loader threads", dry)[1])
    assert f"{max(processors - 1, 1)} loader threads" in dry, dry  # GPUs leave them to the loader


def check_stop(work):
    """The first signal ends a program that chooses kernels, whether it trains, tries or evaluates, also while it waits for a device."""
    run = ["--run", f"{work}/cuda"]
    for command in (["--dry-run", *SMALL], SMALL, ["eval", *run]):
        for number in (signal.SIGTERM, signal.SIGINT):
            program = subprocess.Popen([f"{BIN}/an-train", *command, "--devices", "cuda:0", f"{work}/data"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, text=True, env=dict(environment("cuda:0"), AN_EMU_STALL="1"))
            try:
                assert "stalled" in program.stderr.readline(), command
                program.send_signal(number)
                assert program.wait(60) == 130, (command, program.returncode)
            finally:
                program.kill()
                program.stderr.close()


def check_module(work):
    """The programs do without the module and NVIDIA's libraries; who asks for a GPU then is told what is missing."""
    for program in ("an-ingest", "an-train", "an-show", "an-bench-io"):
        needs = subprocess.run(["readelf", "-d", f"{BIN}/{program}"], capture_output=True, text=True, check=True).stdout
        assert "NEEDED" in needs and not re.search("libcu|libnv", needs), needs
    os.environ["AN_CUDA_MODULE"] = f"{work}/no-module.so"
    listed = subprocess.run([f"{BIN}/an-train", "--devices", "list"], capture_output=True, text=True, check=True).stdout
    assert listed.startswith("cpu ") and "\ncuda     none: the CUDA module cannot be read" in listed, listed
    _, said = train(work, SMALL, "cuda:0", "no-module", 2, expect=1)
    assert "AN_CUDA_MODULE names" in said, said
    train(work, SMALL, "cpu", "no-module", 2)
    del os.environ["AN_CUDA_MODULE"]


def check_lost_device(work):
    """A device that fails in mid-training ends the run with a message; what was saved before is whole and goes on."""
    os.environ["AN_EMU_LOST"] = "500"
    _, said = train(work, SMALL, "cuda:0", "lost", 12, expect=1, save_every=2)
    del os.environ["AN_EMU_LOST"]
    assert "cuda:0" in said and "the device failed and is lost" in said, said
    saved = sorted(os.listdir(f"{work}/lost/checkpoints"))
    assert saved and all(name.endswith(".safetensors") for name in saved), saved
    train(work, SMALL, "cuda:0", "lost", 12, "--resume", "auto")


def check_alexnet(work, devices):
    """Its layers and dropout on two devices, once: an emulated device takes many times as long for its 22 million weights as for SMALL's."""
    expected, _ = train(work, ALEXNET, "cpu", "alexnet", 4)
    got, said = train(work, ALEXNET, devices, "alexnet-two", 4)
    close(expected, got, 1e-3)
    assert "operation by operation" not in said, said  # steps are replayed as graphs


def check_two(work, second):
    """Two devices; on a machine with one, twice the same: what crosses between them is then at least copied and waited for."""
    both = f"cuda:0,{second}"
    check_alexnet(work, both)
    network = SMALL if EMULATOR else ALEXNET
    expected, _ = train(work, network, "cpu", "alone", 4)
    got, said = train(work, network, "cuda:0,cuda:0", "shared", 4)
    close(expected, got, 1e-3)
    assert "operation by operation" not in said, said
    name = check_resume(work, network, both, 4, 2)
    check_profiled(work, network, both, f"{name}-straight", 4)
    check_saving(work, network, both, name, 4)
    for devices in ("cpu", "cpu,cpu", second):  # what two devices began
        run = "moved-" + devices.replace(":", "").replace(",", "-")
        os.makedirs(f"{work}/{run}/checkpoints")
        os.link(checkpoint(work, f"{name}-halves", 2), checkpoint(work, run, 2))
        got, _ = train(work, network, devices, run, 4, "--resume", "auto")
        close(expected[2:], got, 1e-3)


def main(work):
    os.environ["AN_EMU_MEMO"] = tempfile.mkdtemp(dir=work)  # what proofs gave, for all of its processes
    os.environ["XDG_CACHE_HOME"] = f"{work}/cache"  # nothing of this machine's, and nothing left in it
    pictures.SIDE = 72
    pictures.write(f"{work}/images", 24, 3)
    subprocess.run([f"{BIN}/an-ingest", "--size", "72", "--codec", "rgb", f"{work}/images", f"{work}/data"], check=True, capture_output=True)

    expected, _ = train(work, SMALL, "cpu", "cpu", 9)
    got, _ = train(work, SMALL, "cuda:0", "cuda", 9)
    close(expected, got, 1e-3)
    check_saving(work, SMALL, "cuda:0", check_resume(work, SMALL, "cuda:0", 9, 4), 9)  # an epoch is six steps: both stop and go on in mid-epoch
    check_resume(work, [*SMALL, "--precision", "bf16"], "cuda:0", 9, 4)
    check_profiled(work, SMALL, "cuda:0", "cuda", 9)
    check_evaluation(work, "cuda")
    check_validation(work)
    check_updates(work, "cuda:1" if gpu_count() > 1 else "cuda:0")
    check_closing_page(work)
    if EMULATOR:
        check_module(work)
        check_engines(work)
        check_faults(work)
        check_graphs(work)
        check_stop(work)
        check_lost_device(work)
    _, said = train(work, SMALL, "cuda:99", "none", 2, expect=1)
    assert "no cuda:99: this machine has" in said, said
    check_two(work, "cuda:1" if gpu_count() > 1 else "cuda:0")
    print("all equal")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(folder)
