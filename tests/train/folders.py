#!/usr/bin/python3
"""A run's folder as a symbolic link, on another disk's behalf, and where nothing may be written: told before training, not after an epoch."""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import kills_support as support
import pictures

BIN = os.path.abspath(os.environ.get("AN_BIN_DIR", "build/release/bin"))
NOBODY = 65534


def train(work, run, steps, **options):
    return subprocess.run([word for word in support.command(work, str(run), steps) if word != "--quiet"], capture_output=True, text=True, **options)


def check_links(work):
    """The folder, or its checkpoints, may lie elsewhere."""
    for name in ("run", "run/checkpoints"):
        elsewhere, run = work / f"elsewhere-{name.count('/')}", work / f"linked-{name.count('/')}"
        elsewhere.mkdir()
        link = run if name == "run" else run / "checkpoints"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(elsewhere)
        for steps, start in ((3, 0), (6, 3)):
            done = train(work, run, steps)
            assert done.returncode == 0, done.stderr
            assert f"step {start} to {steps}" in done.stdout, done.stdout
        assert link.is_symlink()


def check_forbidden(work):
    """Root may write anywhere, so it is tried as somebody else."""
    root = os.getuid() == 0
    other = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if root else {}
    run = work / "forbidden"
    assert train(work, run, 2).returncode == 0
    try:
        subprocess.run([f"{BIN}/an-train", "--version"], check=True, capture_output=True, cwd=work, **other)
    except (PermissionError, subprocess.CalledProcessError):
        print("not tried as somebody else, who may not read the programs")
        return
    for folder in (run, run / "checkpoints"):
        folder.chmod(0o555)
        before = sorted(os.listdir(run / "checkpoints"))
        done = train(work, run, 4, **other)
        assert done.returncode == 1 and "cannot write into" in done.stderr and str(run) in done.stderr, (done.returncode, done.stderr)
        assert sorted(os.listdir(run / "checkpoints")) == before
        folder.chmod(0o777)


def main(work):
    work.chmod(0o755)
    pictures.write(work / "images", 21, 3)
    subprocess.run([f"{BIN}/an-ingest", "--size", str(pictures.SIDE), "--codec", "rgb", work / "images", work / "data"], check=True, capture_output=True)
    check_links(work)
    check_forbidden(work)


with tempfile.TemporaryDirectory() as folder:
    main(pathlib.Path(folder))
