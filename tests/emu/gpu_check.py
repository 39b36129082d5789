#!/usr/bin/python3
"""tools/gpu-check.sh as it is installed, from an installation in another place than the build: without GPUs, and with emulated ones and
too little time. Each must end in its table.

    gpu_check.py BUILD EMULATOR     the build folder; the folder of the emulator's libraries
"""
import glob
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "train"))
import pictures  # noqa: E402

BUILD, EMULATOR = (os.path.abspath(path) for path in sys.argv[1:])


def check(work, limit, *more, **environment):
    """The exit status, and the table's rows by title: result and figure."""
    report = f"{work}/report.txt"
    done = subprocess.run([f"{work}/an/share/an/gpu-check.sh", *more], text=True, capture_output=True, stdin=subprocess.DEVNULL,
                          env=dict(os.environ, REPORT=report, LIMIT=str(limit), TMPDIR=work, **environment))
    with open(report) as file:
        text = file.read()
    assert done.stderr == "", done.stderr
    table = text.partition("== all steps\n")[2]
    assert table and table in done.stdout, done.stdout
    rows = re.findall(r"^(ok|FAILED|TIME OUT|skipped) +\S+  (.{44}) (.*)$", table, re.M)
    assert not glob.glob(f"{work}/an-gpu-check.*"), "left behind"
    return done.returncode, {title.strip(): (result, figure) for result, title, figure in rows}


def check_paths(work):
    """No path of the build machine in what the dynamic linker reads."""
    files = [f"{work}/an/bin/{name}" for name in os.listdir(f"{work}/an/bin")]
    files += glob.glob(f"{work}/an/lib/**/an_cuda.so", recursive=True) + glob.glob(f"{work}/an/lib/**/test_gpu_ops", recursive=True)
    assert len(files) == 6, files
    for file in files:
        said = subprocess.run(["readelf", "-d", file], check=True, capture_output=True, text=True).stdout
        assert all(path.startswith("$ORIGIN/") for path in re.findall(r"R(?:UN)?PATH.*\[(.*)\]", said)), (file, said)


def main(work):
    subprocess.run(["cmake", "--install", BUILD, "--prefix", f"{work}/an"], check=True, capture_output=True)
    check_paths(work)
    pictures.SIDE = 72
    pictures.write(f"{work}/images", 160, 3)
    subprocess.run([f"{work}/an/bin/an-ingest", "--size", "72", f"{work}/images", f"{work}/data"], check=True, capture_output=True)

    status, rows = check(work, 60, f"{work}/data", AN_CUDA_MODULE=f"{work}/none")
    assert status == 77, (status, rows)
    assert rows["devices"][0] == "ok" and "AN_CUDA_MODULE names" in rows["devices"][1], rows
    assert rows["every operation against the reference"][0] == "skipped" and rows["the loader alone"][0] == "ok", rows

    began = time.monotonic()
    status, rows = check(work, 20, f"{work}/data", "--batch", "2", AN_CUDA_LIBRARIES=EMULATOR)
    assert status in (1, 77) and time.monotonic() - began < 60, (status, rows)
    assert rows["devices"][1].startswith("cuda:0"), rows
    assert rows["the loader alone"][0] == "skipped", rows  # no time is left for it
    assert "FAILED" not in [result for result, _ in rows.values()], rows


with tempfile.TemporaryDirectory() as folder:
    main(folder)
