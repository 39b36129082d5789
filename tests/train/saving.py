#!/usr/bin/python3
"""an-train while it writes checkpoints: Ctrl-C waits for the one under way; a file that cannot grow any more ends the run with a message;
what metrics.jsonl says about them."""
import filecmp
import json
import os
import resource
import signal
import subprocess
import tempfile

import kills_support as support
import pictures

BIN = os.environ.get("AN_BIN_DIR", "build/release/bin")
STEPS = 60


def check_hparams(run, codes):
    """TensorBoard is told the recipe by every process, and of the end only by those that reach it."""
    folder = f"{run}/tensorboard"
    events = [open(f"{folder}/{name}", "rb").read() for name in sorted(os.listdir(folder))]
    assert [event.count(b"_hparams_/session_start_info") for event in events] == [1] * len(codes)
    assert [event.count(b"_hparams_/session_end_info") for event in events] == [int(code == 0) for code in codes], codes


def files(run):
    """Checkpoints as they are: one of the same step that is written anew, because its epoch was closed only then, is another file."""
    return {(name, os.stat(f"{run}/checkpoints/{name}").st_ino) for name in support.names(run)}


def check_interrupted(work):
    """Ctrl-C during a write, again and again: always a whole checkpoint at the step that was reached, and the same end."""
    run = f"{work}/interrupted"
    command = [*support.command(work, run, STEPS), "--tensorboard"]
    codes = []
    for _ in range(5):
        known, before = support.names(run), files(run)
        with subprocess.Popen(command) as process:
            support.wait_for_write(process, run, known)
            process.send_signal(signal.SIGINT)
            codes.append(process.wait())
        assert codes[-1] in (0, 130), codes
        assert not any(support.is_half(name) for name in support.names(run)), support.names(run)
        assert files(run) - before or codes[-1] == 0
    subprocess.run(command, check=True)
    check_hparams(run, [*codes, 0])
    support.check(f"{work}/straight", run)
    assert sorted(support.names(run)) == sorted(support.names(f"{work}/straight"))


def check_metrics(work):
    """A checkpoint is told with its own step, once it is written; nothing else goes back."""
    with open(f"{work}/straight/metrics.jsonl") as file:
        lines = [json.loads(line) for line in file]
    saved = [line for line in lines if line["type"] == "saved"]
    assert [line["step"] for line in saved] == list(range(1, STEPS + 1)), saved
    assert all(line["text"].endswith(f"step-{line['step']:09d}.safetensors") and 0 <= line["held"] for line in saved), saved
    trained = [line for line in lines if line["type"] == "train"]
    assert all(line["gradient_norm"] >= 0 for line in trained) and trained[0]["gradient_norm"] > 0, trained[0]
    others = [line["step"] for line in lines if line["type"] != "saved"]
    assert others == sorted(others), others


def check_full(work):
    """Files may not grow beyond a part of a checkpoint. Whoever runs out of space in the middle of one leaves nothing of it."""
    limit = os.path.getsize(f"{work}/straight/checkpoints/step-000000001.safetensors") // 2
    run = f"{work}/full"
    done = subprocess.run(support.command(work, run, STEPS), capture_output=True, text=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert "cannot write" in done.stderr and "step-000000001.safetensors" in done.stderr, done.stderr
    assert support.names(run) == [], support.names(run)
    subprocess.run(support.command(work, run, STEPS), check=True)
    last = f"checkpoints/step-{STEPS:09d}.safetensors"
    assert filecmp.cmp(f"{work}/straight/{last}", f"{run}/{last}", shallow=False)


def main(work):
    pictures.write(f"{work}/images", 21, 3)
    subprocess.run([f"{BIN}/an-ingest", "--size", str(pictures.SIDE), "--codec", "rgb", f"{work}/images", f"{work}/data"], check=True,
                   capture_output=True)
    subprocess.run(support.command(work, f"{work}/straight", STEPS), check=True)
    check_interrupted(work)
    check_metrics(work)
    check_full(work)


with tempfile.TemporaryDirectory() as folder:
    main(folder)
