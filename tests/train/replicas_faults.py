#!/usr/bin/python3
"""Two ranks on two hosts (hosts.py). One is killed, or stopped, or the network between them goes: the other ends in time, with a message that
names the lost rank, its host and what may have happened, and its checkpoints are whole. The same command then goes on, to the same bytes
as a run that nothing disturbed. SIGTERM to either rank saves once and ends both with 130.

    replicas_faults.py [kill|stop|link|term ...]      default: all
"""
import filecmp
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile

import hosts
import pictures

BIN = os.environ.get("AN_BIN_DIR", "build/release/bin")
STEPS = 60
LIMIT = 10  # seconds in which all ranks have to end; twice as long here, where other tests use the processors, too
PATIENCE = 20 * LIMIT


def command(work, run, every=5):
    return [os.path.abspath(f"{BIN}/an-train"), "--network", "cifar", "--crop", "32", "--batch", "8", "--init", "he", "--epochs", "40", "--steps",
            str(STEPS), "--save-every", str(every), "--keep", "100", "--log-every", "5", "--compute-threads", "1", "-j", "1", "--deterministic", "--run",
            run, "--resume", "auto", f"{work}/data"]


def told(output):
    """What the ranks said, by rank."""
    texts = ["", ""]
    for path in sorted(glob.glob(f"{output}/**/std*", recursive=True)):
        rank = int(re.search(r"rank\.(\d+)", path).group(1))
        with open(path) as file:
            texts[rank] += file.read()
    return texts


def checkpoints(run):
    return sorted(glob.glob(f"{run}/checkpoints/*.safetensors"))


def check_whole(work, run):
    for path in checkpoints(run):
        assert filecmp.cmp(path, f"{work}/straight/checkpoints/{os.path.basename(path)}", shallow=False), f"{path} is not whole"


def finish(work, there, run, output):
    """The same command goes on, to the end."""
    process = there.mpirun(command(work, run), output)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, (process.returncode, out, err, told(output))
    check_whole(work, run)
    assert checkpoints(run)[-1].endswith(f"-{STEPS:09}.safetensors"), checkpoints(run)


def under_way(work, there, name):
    """Starts a run and waits until it has saved twice. Gives the process, the ranks' process numbers, the run and the output folder."""
    run, output = f"{work}/{name}", f"{work}/{name}-output"
    process = there.mpirun(command(work, run), output)
    assert hosts.wait_until(lambda: len(checkpoints(run)) >= 2 or process.poll() is not None, PATIENCE) is not None, "it does not begin"
    assert process.poll() is None, (process.communicate(), told(output))
    return process, there.ranks("an-train"), run, output


def expect_end(pids, seconds=2 * LIMIT):
    took = hosts.wait_until(lambda: all(hosts.ended(pid) for pid in pids), seconds)
    assert took is not None, f"after {seconds} s ranks still run"
    return took


def case_kill(work, there):
    for victim in (1, 0):
        process, pids, run, output = under_way(work, there, f"kill-{victim}")
        os.kill(pids[victim], signal.SIGKILL)
        took = expect_end(pids)
        out, err = process.communicate(timeout=PATIENCE)
        said = out + err + "".join(told(output))
        assert process.returncode != 0
        # The rank that is left says it, or mpirun does, which ends it at once.
        ours = f"rank {victim} on '{hosts.NAMES[victim]}'" in said
        launcher = re.search(rf"process rank {victim} .*on node \S+ exited on signal 9", said)
        assert ours or launcher, said
        print(f"rank {victim} killed: all ended after {took:.1f} s, told by {'the other rank' if ours else 'mpirun'}")
        finish(work, there, run, f"{output}-2")


def case_stop(work, there):
    for victim in (1, 0):
        process, pids, run, output = under_way(work, there, f"stop-{victim}")
        os.kill(pids[victim], signal.SIGSTOP)
        took = expect_end([pids[1 - victim]])
        said = told(output)[1 - victim]
        assert f"rank {victim} on '{hosts.NAMES[victim]}'" in said and "no sign of life" in said, said
        print(f"rank {victim} stopped: the other ended after {took:.1f} s")
        process.communicate(timeout=PATIENCE)
        assert process.returncode != 0
        assert hosts.wait_until(lambda: hosts.ended(pids[victim]), PATIENCE) is not None, "mpirun leaves the stopped rank behind"
        finish(work, there, run, f"{output}-2")


def case_link(work, there):
    process, pids, run, output = under_way(work, there, "link")
    there.link(1, False)
    took = expect_end(pids)
    for rank, said in enumerate(told(output)):
        assert f"rank {1 - rank} on '{hosts.NAMES[1 - rank]}'" in said and "no sign of life" in said, (rank, said)
    print(f"link down: both ended after {took:.1f} s, each with a message")
    # mpirun waits for its own daemon, which it cannot reach either.
    there.clear()
    process.communicate(timeout=PATIENCE)
    there.link(1, True)
    finish(work, there, run, f"{output}-2")


def case_term(work, there):
    for target in (1, 0):
        process, pids, run, output = under_way(work, there, f"term-{target}")
        before = len(checkpoints(run))
        os.kill(pids[target], signal.SIGTERM)
        expect_end(pids, PATIENCE)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 130, (process.returncode, told(output))
        assert len(checkpoints(run)) > before
        assert "stopped at step" in told(output)[0] and "stopped at step" not in told(output)[1], told(output)
        finish(work, there, run, f"{output}-2")
    print("SIGTERM to either rank: saved once, both ended with 130")


CASES = {"kill": case_kill, "stop": case_stop, "link": case_link, "term": case_term}


def main(work):
    hosts.need_tools()
    pictures.write(f"{work}/images", 21, 3)
    subprocess.run([f"{BIN}/an-ingest", "--size", str(pictures.SIDE), "--codec", "rgb", f"{work}/images", f"{work}/data"], check=True,
                   capture_output=True)
    with hosts.Hosts(work) as there:
        finish_straight(work, there)
        for name in sys.argv[1:] or CASES:
            CASES[name](work, there)


def finish_straight(work, there):
    process = there.mpirun(command(work, f"{work}/straight", 1), f"{work}/straight-output")
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, (process.returncode, out, err, told(f"{work}/straight-output"))


with tempfile.TemporaryDirectory() as folder:
    main(folder)
