"""For tests that stop an-train while it writes a checkpoint: a small run that is saved after every step, so that nearly always one is being
written, and what its folder holds."""
import filecmp
import os
import time

BIN = os.environ.get("AN_BIN_DIR", "build/release/bin")


def command(work, run, steps):
    return [f"{BIN}/an-train", "--network", "cifar", "--crop", "32", "--batch", "4", "--init", "he", "--steps", str(steps), "--epochs", "20",
            "--save-every", "1", "--keep", "1000", "--compute-threads", "1", "-j", "1", "--quiet", "--run", run, "--resume", "auto",
            f"{work}/data"]


def names(run):
    folder = f"{run}/checkpoints"
    return os.listdir(folder) if os.path.isdir(folder) else []


def is_half(name):
    return ".tmp-" in name


def wait_for_write(process, run, known):
    """Until the process writes a file that was not there, or ends."""
    while process.poll() is None:
        if any(is_half(name) and name not in known for name in names(run)):
            return
        time.sleep(0.0002)


def check(straight, run):
    """Whatever has a checkpoint's name equals that of the undisturbed run."""
    for name in names(run):
        if not is_half(name):
            assert filecmp.cmp(f"{straight}/checkpoints/{name}", f"{run}/checkpoints/{name}", shallow=False), f"{name} is not whole"
