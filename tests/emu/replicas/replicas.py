#!/usr/bin/python3
"""The unmodified an-train as several ranks, each on emulated GPUs of its own, which the emulated NCCL adds up: it trains as one process
with the whole batch does on the CPU, resumes with another number of ranks, and ends everywhere when one rank fails.

    replicas.py FOLDER      the emulator: its libraries
    replicas.py real        none: two ranks on this machine's first GPU, for which NCCL must be 2.30 or later

Exit status 77: something that this needs is not here.
"""
import filecmp
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "train"))
import pictures  # noqa: E402

BIN = os.environ.get("AN_BIN_DIR", "build/release/bin")
EMULATOR = None if sys.argv[1] == "real" else os.path.abspath(sys.argv[1])
MPIRUN = shutil.which("mpirun")
CIFAR = ["--network", "cifar", "--batch", "8", "--rate", "0.0002", "--crop", "32", "--schedule", "constant"]
ALEXNET = ["--crop", "64", "--batch", "4", "--rate", "0.001", "--schedule", "constant"]
UPDATES = ["--nesterov", "--clip", "0.5", "--ema", "0.7", "--accumulate", "2", "--mixup", "0.4", "--label-smoothing", "0.1", "--class-weights",
           "balanced"]


def skip(why):
    print(why)
    sys.exit(77)


def environment(**more):
    emulated = {"AN_CUDA_LIBRARIES": EMULATOR, "AN_NCCL_LIBRARIES": EMULATOR, "AN_EMU_DEVICES": "4"} if EMULATOR else {}
    return dict(os.environ, OMP_WAIT_POLICY="passive", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", **emulated, **more)


def launcher():
    said = subprocess.run([MPIRUN, "--version"], capture_output=True, text=True).stdout
    return [MPIRUN, *(["--oversubscribe", "--bind-to", "none"] if "Open MPI" in said else [])]


def command(work, network, devices, run, steps, *more):
    return [f"{BIN}/an-train", *network, "--devices", devices, "--init", "he", "--epochs", "4", "--steps", str(steps), "--log-every", "1",
            "--compute-threads", "1", "-j", "1", "--json", "--run", f"{work}/{run}", *more, f"{work}/data"]


def ranks_of(count, program, *variables):
    """The launcher's command. variables: of each rank; "NAME=VALUE", or "" for none."""
    each = [[] if not name else ["env", name] for name in variables] or [[]] * count
    parts = []
    for prefix in each:
        parts += [":"] * bool(parts) + ["-np", "1", *prefix, *program]
    return [*launcher(), *parts]


def lines_of(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def train(work, network, devices, run, steps, *more, ranks=1, expect=0, variables=(), **env):
    """Returns the training lines and what was said."""
    program = command(work, network, devices, run, steps, *more)
    whole = ranks_of(ranks, program, *variables) if ranks > 1 else program
    done = subprocess.run(whole, env=environment(**env), capture_output=True, text=True, timeout=200)
    lacks = not EMULATOR and ranks > 1 and re.search("which needs MPI.*|ranks share a GPU.*|the NCCL module lacks.*|NCCL .* is too old.*", done.stderr)
    if lacks:
        skip(lacks[0])
    assert done.returncode == expect or (expect == "failed" and done.returncode not in (0, 77)), (whole, done.returncode, done.stdout, done.stderr)
    return [line for line in lines_of(done.stdout) if line["type"] == "train"], done.stderr


def checkpoint(work, run, step):
    return f"{work}/{run}/checkpoints/step-{step:09d}.safetensors"


def compare(one, other, tolerance):
    """The same samples, and losses that differ by rounding only."""
    assert len(one) == len(other) and one, (one, other)
    for a, b in zip(one, other):
        assert a["samples"] == b["samples"], (a, b)
        assert abs(a["loss"] - b["loss"]) <= tolerance * abs(a["loss"]), (a, b)


def check_same(work):
    """One device each and two each, replayed as graphs and not, and what --devices auto comes to."""
    expected, _ = train(work, CIFAR, "cpu", "cpu", 6)
    got, said = train(work, CIFAR, "cuda:0;cuda:1", "one", 6, ranks=2)
    compare(expected, got, 1e-5)
    assert "operation by operation" not in said, said
    got, said = train(work, CIFAR, "auto", "auto", 6, ranks=2)
    compare(expected, got, 1e-5)
    assert filecmp.cmp(checkpoint(work, "one", 6), checkpoint(work, "auto", 6), shallow=False)
    got, said = train(work, CIFAR, "auto", "four", 6, "--bucket", "0", ranks=4)
    compare(expected, got, 1e-5)
    got, said = train(work, CIFAR, "cuda:0", "walked", 6, ranks=2, AN_EMU_CAPTURE="0")
    compare(expected, got, 1e-5)
    assert "operation by operation" in said, said
    assert filecmp.cmp(checkpoint(work, "one", 6), checkpoint(work, "walked", 6), shallow=False)
    got, _ = train(work, [*CIFAR, "--precision", "bf16"], "auto", "bf16", 6, ranks=2)
    compare(expected, got, 0.05)


def check_two(work):
    """Two devices in each rank: the paper's halves, with dropout."""
    expected, _ = train(work, ALEXNET, "cpu", "alexnet", 4)
    got, said = train(work, ALEXNET, "cuda:0,cuda:1;cuda:2,cuda:3", "alexnet-two", 4, "--deterministic", ranks=2)
    compare(expected, got, 1e-3)
    assert "operation by operation" not in said, said


def check_updates(work):
    network = [*CIFAR, *UPDATES]
    expected, _ = train(work, network, "cpu", "updates-cpu", 4)
    got, _ = train(work, network, "auto", "updates", 4, ranks=2)
    compare(expected, got, 1e-4)


def check_resume(work):
    """Exactly with as many ranks, also where steps are timed layer by layer, and with the same samples from two ranks to one and to four."""
    straight, _ = train(work, CIFAR, "auto", "straight", 6, ranks=2)
    train(work, CIFAR, "auto", "profiled", 6, "--profile", ranks=2)
    assert filecmp.cmp(checkpoint(work, "straight", 6), checkpoint(work, "profiled", 6), shallow=False)
    train(work, CIFAR, "auto", "halves", 3, ranks=2)
    for count in (1, 4):
        shutil.copytree(f"{work}/halves", f"{work}/to{count}")
        got, _ = train(work, CIFAR, "cuda:0" if count == 1 else "auto", f"to{count}", 6, "--resume", "auto", ranks=count)
        compare(straight[3:], got, 1e-5)
    train(work, CIFAR, "auto", "halves", 6, "--resume", "auto", ranks=2)
    assert filecmp.cmp(checkpoint(work, "straight", 6), checkpoint(work, "halves", 6), shallow=False)


def check_lost_device(work):
    """The device of one rank fails: both end, one message names the rank, and what was saved goes on."""
    began = time.monotonic()
    _, said = train(work, CIFAR, "auto", "lost", 20, "--save-every", "2", ranks=2, expect="failed", variables=("", "AN_EMU_LOST=600"))
    assert time.monotonic() - began < 60, said
    assert len(re.findall("the device failed and is lost", said)) == 1 and re.search("rank 1 on '[^']+': .*cuda:1", said), said
    saved = os.listdir(f"{work}/lost/checkpoints")
    assert saved and all(name.endswith(".safetensors") for name in saved), saved
    train(work, CIFAR, "auto", "lost", 20, "--resume", "auto", ranks=2)


def processes(pattern):
    """Numbers of the an-train processes whose command line has the text, those with the highest rank last."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            with open(f"/proc/{name}/environ", "rb") as file:
                variables = dict(entry.split(b"=", 1) for entry in file.read().split(b"\0") if b"=" in entry)
        except (OSError, ValueError):
            continue
        rank = variables.get(b"OMPI_COMM_WORLD_RANK", variables.get(b"PMI_RANK"))
        if rank is not None and words[0].endswith(b"an-train") and pattern.encode() in b" ".join(words):
            found.append((int(rank), int(name)))
    return [number for _, number in sorted(found)]


def check_killed(work):
    """One rank is killed while the other waits for its gradients on the device: that wait comes to an end, with a message."""
    program = command(work, CIFAR, "auto" if EMULATOR else "cuda:0", "killed", 100000, "--save-every", "50", "--epochs", "100000")
    job = subprocess.Popen(ranks_of(2, program), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for line in job.stdout:
            if '"type":"saved"' in line:
                break
        victim = processes(f"{work}/killed")[1]
        began = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        _, said = job.communicate(timeout=60)
        assert time.monotonic() - began < 30 and job.returncode != 0, (job.returncode, said)
        assert not processes(f"{work}/killed"), said
    finally:
        job.kill()
        job.wait()
    names = os.listdir(f"{work}/killed/checkpoints")
    assert names and all(name.endswith(".safetensors") for name in names), names


def check_refusals(work):
    _, said = train(work, CIFAR, "auto", "refused", 2, ranks=2, expect="failed", AN_EMU_NCCL_VERSION="21210")
    assert said.count("NCCL 2.12.10 is too old") == 1, said
    _, said = train(work, CIFAR, "cuda:0;cuda:0", "refused", 2, ranks=2, expect="failed", AN_EMU_NCCL_SHARED="1")
    assert said.count("ranks share a GPU") == 1, said
    train(work, CIFAR, "cuda:0;cuda:0", "shared", 2, ranks=2, AN_EMU_NCCL_SHARED="1", NCCL_MULTI_RANK_GPU_ENABLE="1")
    _, said = train(work, CIFAR, "auto", "refused", 2, "--transport", "bf16", ranks=2, expect="failed")
    assert said.count("let them travel as fp32") == 1, said


def check_shared(work):
    """Two ranks on one GPU, against one process there with the whole batch."""
    os.environ["NCCL_MULTI_RANK_GPU_ENABLE"] = "1"
    for network, tolerance in ((CIFAR, 1e-4), ([*CIFAR, "--precision", "bf16"], 0.05), *([] if EMULATOR else [(ALEXNET, 1e-3)])):
        name = f"{network[1]}-{network[-1]}"
        expected, _ = train(work, network, "cuda:0", f"alone-{name}", 4)
        got, said = train(work, network, "cuda:0", f"shared-{name}", 4, "--deterministic", ranks=2)
        compare(expected, got, tolerance)
        assert "operation by operation" not in said, said
    train(work, CIFAR, "cuda:0", "again", 2, "--deterministic", ranks=2)
    train(work, CIFAR, "cuda:0", "again", 4, "--deterministic", "--resume", "auto", ranks=2)
    assert filecmp.cmp(checkpoint(work, "again", 4), checkpoint(work, f"shared-{CIFAR[1]}-{CIFAR[-1]}", 4), shallow=False)


def main(work):
    os.environ["XDG_CACHE_HOME"] = f"{work}/cache"
    os.environ["AN_EMU_MEMO"] = tempfile.mkdtemp(dir=work)  # what proofs gave, for all processes
    pictures.SIDE = 72
    pictures.write(f"{work}/images", 48, 3)
    subprocess.run([f"{BIN}/an-ingest", "--size", "72", f"{work}/images", f"{work}/data"], check=True, capture_output=True)
    every = (check_same, check_two, check_updates, check_resume, check_lost_device, check_refusals, check_shared, check_killed)
    checks = {check.__name__.removeprefix("check_"): check for check in (every if EMULATOR else every[-2:])}
    for name in sys.argv[2:] or checks:
        began = time.monotonic()
        checks[name](work)
        print(f"{name}: {time.monotonic() - began:.1f} s")


if not MPIRUN:
    skip("no mpirun here")
if EMULATOR and not os.path.exists(f"{BIN}/../lib/an/an_mpi.so"):
    skip("this build has no module for MPI")
with tempfile.TemporaryDirectory() as folder:
    main(folder)
