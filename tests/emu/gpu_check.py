#!/usr/bin/python3
"""tools/gpu-check.sh as it is installed, from an installation in another place than the build: without GPUs, with emulated ones and too
little time, and with emulated ones that refuse to capture a step. Each must end in its table.

    gpu_check.py BUILD EMULATOR MODULE      the build folder; the folder of the emulator's libraries; the decoder's module on it
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "train"))
import pictures  # noqa: E402

BUILD, EMULATOR, MODULE = (os.path.abspath(path) for path in sys.argv[1:])


def check(work, limit, *more, **environment):
    """The exit status, the table's rows by title (result and figure), and all that was said before it."""
    report = f"{work}/report.txt"
    done = subprocess.run([f"{work}/an/share/an/gpu-check.sh", *more], text=True, capture_output=True, stdin=subprocess.DEVNULL,
                          env=dict(os.environ, REPORT=report, LIMIT=str(limit), TMPDIR=work, **environment))
    with open(report) as file:
        text = file.read()
    assert done.stderr == "", done.stderr
    before, _, table = text.partition("== all steps\n")
    assert table and table in done.stdout, done.stdout
    rows = re.findall(r"^(ok|FAILED|TIME OUT|skipped) +\S+  (.{44}) (.*)$", table, re.M)
    assert not glob.glob(f"{work}/an-gpu-check.*"), "left behind"
    return done.returncode, {title.strip(): (result, figure) for result, title, figure in rows}, before


PYTHON = """#!/bin/sh
case "$1" in
*/gpu-torch.py)
    if [ "$2" = nvjpeg ]; then echo "nvjpeg 128 5 images/s"; exit; fi
    printf 'PyTorch\\nbf16 2 %s 0.02 ms: 1 images/s\\nfp32 3 %s 4000.00 ms: 1 images/s\\n' "$2" "$2" ;;
*/gpu-model.py) exec {python} "$@" ;;
*) echo "all equal" ;;
esac
"""


BENCH = """#!/bin/sh
exec "$0.installed" $(echo "$*" | sed 's/--seconds [0-9.]*/--seconds 0.05/; s/--warm-up [0-9.]*/--warm-up 0.01/')
"""


def shorten(work):
    """The loader's speed in less time than it takes to tell it well: only its row matters here."""
    bench = f"{work}/an/bin/an-bench-io"
    os.rename(bench, bench + ".installed")
    with open(bench, "w") as file:
        file.write(BENCH)
    os.chmod(bench, 0o755)


def check_figures(work):
    """The table of times, the warnings, and what two devices and checkpoints came to: for a network that emulation runs in no time, while
    the images would do for AlexNet at 224 pixels, so that the model is asked; python3 stands in for PyTorch."""
    os.mkdir(f"{work}/stand-in")
    with open(f"{work}/stand-in/python3", "w") as file:
        file.write(PYTHON.format(python=sys.executable))
    os.chmod(f"{work}/stand-in/python3", 0o755)
    subprocess.run([f"{work}/an/bin/an-ingest", "--size", "224", f"{work}/images", f"{work}/large"], check=True, capture_output=True)
    for file in glob.glob(f"{work}/an/lib/**/test_gpu_ops", recursive=True):
        os.remove(file)  # it began in the check before, and the test emu_ops sees what it says
    options = ["--network", "cifar", "--crop", "32"]
    _, rows, text = check(work, 300, f"{work}/large", *options, AN_CUDA_LIBRARIES=EMULATOR, AN_NCCL_LIBRARIES=EMULATOR, AN_DECODE_MODULE=MODULE, AN_EMU_CAPTURE="0",
                           BATCHES="2 3",
                          PATH=f"{work}/stand-in:{os.environ['PATH']}")
    assert rows["every operation against the reference"][0] == "skipped", rows
    times = text.partition("== a step of ")[2]
    found = {case: figures.split() for case, figures in re.findall(r"^((?:bf16|tf32|fp32) [23]) +(.*)$", times, re.M)}
    assert len(found) == 6 and all(float(figures[0]) > 0 for figures in found.values()), times
    assert found["bf16 2"][1:3] == ["0.02", "0.02"] and found["fp32 3"][1:3] == ["4000.00", "4000.00"], times
    assert found["tf32 2"][1:3] == ["-", "-"], times
    for ours, _, _, model, ratio in found.values():
        assert abs(float(ours) / float(model) / float(ratio) - 1) < 0.02, times
    warnings = text.partition("== warnings, how often\n")[2].partition("\n\n")[0]
    refused = r"^ +[0-9]+ steps are queued operation by operation, .*cannot capture a step on cuda:0"
    assert len(re.findall(refused, warnings, re.M)) == 1, text
    for title in ("two logical devices on one GPU: bf16", "step without loading: bf16, batch 2"):
        assert rows[title][0] == "ok" and "none, steps are queued operation by operation" in rows[title][1], rows
    for where in ("host", "device"):
        result, figure = rows[f"200 steps, decoded by the {where}: bf16"]
        assert result == "ok" and re.search(r"images/s.*;the network waited.*;idle for .*;[0-9.]+ at work", figure), rows
    result, figure = rows["two ranks on one GPU, 100 steps: bf16"]
    possible = shutil.which("mpirun") and glob.glob(f"{work}/an/lib/**/an_mpi.so", recursive=True)
    assert (result == "ok" and "images/s" in figure) if possible else result == "skipped", (result, figure)
    result, figure = rows["the loader, decoding on the GPU"]
    assert result == "ok" and re.search(r"^cuda:0 .* images/s .* MB there;.*;.* [0-9.]+x$", figure), rows
    assert rows["nvJPEG, the same pictures whole"] == ("ok", "batch 128: 5 images/s"), rows
    assert re.match(r"checkpoints [0-9.]+ s;idle for ", rows["40 steps, a checkpoint every 10: bf16"][1]), rows


def own_runtimes(work):
    """Programs into which CUDA's runtime is linked."""
    return [file for name in ("*gpu_decode", "*gpu_lend") for file in glob.glob(f"{work}/an/lib/**/{name}", recursive=True)]


def check_paths(work):
    """No path of the build machine in what the dynamic linker reads."""
    files = [f"{work}/an/bin/{name}" for name in os.listdir(f"{work}/an/bin")]
    files += glob.glob(f"{work}/an/lib/**/an_cuda.so", recursive=True) + glob.glob(f"{work}/an/lib/**/test_gpu_ops", recursive=True)
    files += own_runtimes(work)
    assert len(files) == 9, files
    for file in files:
        said = subprocess.run(["readelf", "-d", file], check=True, capture_output=True, text=True).stdout
        assert all(path.startswith("$ORIGIN/") for path in re.findall(r"R(?:UN)?PATH.*\[(.*)\]", said)), (file, said)


def main(work):
    os.environ["AN_EMU_MEMO"] = tempfile.mkdtemp(dir=work)  # what proofs gave, for all processes
    subprocess.run(["cmake", "--install", BUILD, "--prefix", f"{work}/an"], check=True, capture_output=True)
    check_paths(work)
    shorten(work)
    for file in own_runtimes(work):
        os.remove(file)  # they have a CUDA runtime of their own, not the emulator's
    pictures.SIDE = 72
    pictures.write(f"{work}/images", 160, 3)
    subprocess.run([f"{work}/an/bin/an-ingest", "--size", "72", f"{work}/images", f"{work}/data"], check=True, capture_output=True)

    status, rows, _ = check(work, 60, f"{work}/data", AN_CUDA_MODULE=f"{work}/none")
    assert status == 77, (status, rows)
    assert rows["devices"][0] == "ok" and "AN_CUDA_MODULE names" in rows["devices"][1], rows
    assert rows["every operation against the reference"][0] == "skipped" and rows["the loader alone"][0] == "ok", rows

    began = time.monotonic()
    status, rows, _ = check(work, 8, f"{work}/data", AN_CUDA_LIBRARIES=EMULATOR, AN_DECODE_MODULE=MODULE, BATCHES="2")
    assert status in (1, 77) and time.monotonic() - began < 60, (status, rows)
    assert rows["devices"][1].startswith("cuda:0"), rows
    assert rows["the loader alone"][0] == "skipped", rows  # no time is left for it
    assert "FAILED" not in [result for result, _ in rows.values()], rows

    check_figures(work)


with tempfile.TemporaryDirectory() as folder:
    main(folder)
