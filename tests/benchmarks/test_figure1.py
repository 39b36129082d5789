#!/usr/bin/env python3
"""Figure 1's search, with a stand-in for an-train whose runs take as many epochs as a rule says; its table; and that docs/reproducing.md
has the table that results.py makes of the file beside it."""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
FOLDER = os.path.join(ROOT, "benchmarks/figure1")
sys.path.insert(0, FOLDER)
sys.dont_write_bytecode = True
from figure1 import cannot_win  # noqa: E402
from results import append, read, table  # noqa: E402

# Fastest at a rate of 0.024: two epochs more for each step of the root of 2 away from it, one for each seed after the first.
STAND_IN = """#!/usr/bin/env python3
import json, math, sys
value = {name: text for name, text in zip(sys.argv, sys.argv[1:])}
print(f"{value['--activation']} {value['--rate']} {value['--seed']}", file=open(sys.argv[0] + ".log", "a"))
needed = 12 + round(2 * abs(math.log2(float(value["--rate"]) / 0.024)) * 2) + int(value["--seed"]) - 1
for epoch in range(1, int(value["--epochs"]) + 1):
    print(json.dumps(dict(type="validation", top1=min(0.99, 0.75 * epoch / needed))), flush=True)
"""


def search(folder, *options):
    command = [sys.executable, f"{FOLDER}/figure1.py", "--bin", folder, "--out", f"{folder}/runs.csv", "--activations", "tanh", *options]
    return subprocess.run([*command, "dataset"], check=True, capture_output=True, text=True).stdout


def test_search(folder):
    with open(f"{folder}/an-train", "w") as file:
        file.write(STAND_IN)
    os.chmod(f"{folder}/an-train", 0o755)
    search(folder, "--behind", "0.2")
    runs = {(key[3], key[4]): errors for key, errors in read(f"{folder}/runs.csv").items()}
    assert len(runs[0.024, 1]) == 12 and runs[0.024, 1][-1] <= 0.25, runs
    assert len(runs[0.048, 1]) == 16, runs  # where the search began: nothing to compare it with
    assert len(runs[0.034, 1]) == 14, runs
    # Both neighbours of the best were tried. The slower one was stopped: 14 epochs, of which it had as many as the best needed.
    assert len(runs[0.017, 1]) == 12 and runs[0.017, 1][-1] > 0.25, runs
    assert 0.012 not in {rate for rate, _ in runs}, runs
    # The other seeds at the best two rates, up to their end.
    assert [len(runs[0.024, seed]) for seed in (2, 3)] == [13, 14] and [len(runs[0.034, seed]) for seed in (2, 3)] == [15, 16], runs
    log = open(f"{folder}/an-train.log").read()
    said = search(folder, "--behind", "0.2")
    assert log == open(f"{folder}/an-train.log").read(), "a run that stands in the file was run again"
    assert "rate 0.024   seed 3  14 epochs" in said, said
    # A file that was cut off between two runs is gone on with.
    lines = open(f"{folder}/runs.csv").read().splitlines(keepends=True)
    with open(f"{folder}/runs.csv", "w") as file:
        file.writelines(line for line in lines if ",0.034,3," not in line)
    search(folder, "--behind", "0.2")
    assert open(f"{folder}/an-train.log").read()[len(log):] == "tanh 0.034 3\n"


def test_who_cannot_win():
    best = [0.6, 0.5, 0.4, 0.35, 0.3, 0.24]
    assert not cannot_win([0.9] * 5, None, 0.05)
    assert cannot_win([0.9, 0.9], [0.6, 0.5], 0.05)  # the best run never got there either
    assert not cannot_win([0.6, 0.5], [0.6, 0.5], 0.05) and not cannot_win([0.6, 0.54], [0.6, 0.5], 0.05)
    assert not cannot_win([0.9], best, 0.05)  # before a third of the best run's epochs
    assert cannot_win([0.9, 0.56], best, 0.05)
    assert not cannot_win([0.9, 0.54], best, 0.05)
    assert cannot_win([0.6, 0.5, 0.4, 0.35, 0.3, 0.26], best, 0.05)


def test_table(folder):
    path = f"{folder}/table.csv"
    append(path, ("paper", "fp32", "relu", 0.003, 1), [0.5, 0.24])
    append(path, ("paper", "fp32", "relu", 0.003, 2), [0.5, 0.4, 0.25])
    append(path, ("paper", "fp32", "relu", 0.0042, 1), [0.7, 0.5125])
    append(path, ("paper", "bf16", "tanh", 0.1, 1), [0.2])
    assert table(read(path), "paper", "fp32").splitlines() == [
        "| nonlinearity | rate | seed 1 | seed 2 |", "|---|---|---|---|", "| ReLU | **0.003** | **2** | **3** |", "| ReLU | 0.0042 | 51.2 % after 2 |  |"]


def test_documents():
    with open(f"{ROOT}/docs/reproducing.md") as file:
        text = file.read()
    runs = read(f"{FOLDER}/figure1.csv")
    for kind in sorted({key[:2] for key in runs}):
        assert table(runs, *kind) in text, f"docs/reproducing.md lacks the table of {kind}: benchmarks/figure1/results.py prints it"


with tempfile.TemporaryDirectory() as work:
    test_search(work)
    test_who_cannot_win()
    test_table(work)
    test_documents()
