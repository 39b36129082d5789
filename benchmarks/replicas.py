#!/usr/bin/env python3
"""What adding up gradients costs a training step of two replicas on processors, beside a step that is alone.

usage: replicas.py [--bin build/release/benchmarks] [--batch 64] [--side 224] [--rounds 7] [--steps 2] [--ranks 2] [--threads 1]
                   [--case PRECISION:TRANSPORT:DEVICES]...

mpirun starts bench_replica, each rank bound to --threads processors of its own (taskset). In each round, in the same processes: rank 0
steps alone with its share of the batch, all step at the same time without a reduction, all step as replicas. Medians of the rounds, of
the slowest rank: their ratio is what replicas cost beside one process with half of the batch. Images are numbers in memory, so that no
loader takes processors. Cases are fp32:fp32:cpu, bf16:fp32:cpu, fp32:bf16:cpu where none are named. Needs Open MPI."""
import argparse
import json
import os
import subprocess
import sys

BIND = 'exec taskset -c "$(echo "$AN_PROCESSORS" | cut -d " " -f "$((OMPI_COMM_WORLD_LOCAL_RANK + 1))")" "$@"'


def command(options, precision, transport, devices):
    program = [f"{options.bin}/bench_replica", "--batch", str(options.batch), "--side", str(options.side), "--rounds", str(options.rounds), "--steps",
               str(options.steps), "--threads", str(options.threads), "--precision", precision, "--transport", transport, "--devices", devices]
    return ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(options.ranks), "sh", "-c", BIND, "sh", *program]


def places(options):
    """A list of processors for each rank, as taskset takes them."""
    own = sorted(os.sched_getaffinity(0))
    if options.ranks * options.threads > len(own):
        sys.exit(f"replicas.py: {options.ranks} ranks of {options.threads} threads need more than the {len(own)} processors of this process")
    return " ".join(",".join(map(str, own[rank * options.threads:(rank + 1) * options.threads])) for rank in range(options.ranks))


def run(options, case):
    environment = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_WAIT_POLICY": "passive",
                   "AN_PROCESSORS": places(options)}
    try:
        said = subprocess.run(command(options, *case.split(":")), stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    except FileNotFoundError:
        sys.exit("replicas.py: there is no mpirun: apt-get install openmpi-bin")
    if said.returncode:
        sys.exit(f"replicas.py: {case} failed")
    return json.loads(said.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/benchmarks")
    for name, number in ("batch", 64), ("side", 224), ("rounds", 7), ("steps", 2), ("ranks", 2), ("threads", 1):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--case", action="append")
    options = parser.parse_args()
    print("| step:transport:devices | alone | at the same time | as replicas | to alone | to at the same time | processor time, alone, replicas | waited "
          "| a rank sends |\n|---|---|---|---|---|---|---|---|---|")
    for case in options.case or ["fp32:fp32:cpu", "bf16:fp32:cpu", "fp32:bf16:cpu"]:
        r = run(options, case)
        print(f"| {case} | {r['alone_ms']:.0f} ms | {r['apart_ms']:.0f} ms | {r['together_ms']:.0f} ms | {r['together_to_alone']:.3f} x "
              f"| {r['together_to_apart']:.3f} x | {r['alone_cpu_ms']:.0f}, {r['together_cpu_ms']:.0f} ms | {r['waited_ms']:.0f} ms "
              f"| {r['sent_mb']:.0f} MB |", flush=True)
    print(f"\n{r['ranks']}; {r['share']} images a rank, medians of {r['rounds']} rounds of {r['steps']} steps")


if __name__ == "__main__":
    main()
