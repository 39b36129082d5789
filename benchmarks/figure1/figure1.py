#!/usr/bin/env python3
"""Figure 1 of the AlexNet paper: epochs until a four-layer network on CIFAR-10 has 25 % training error, by nonlinearity.

    figure1.py [--bin FOLDER] [--activations relu,tanh,sigmoid] [--init paper|he] [--epochs 40] [--seeds 3] [--out figure1.csv] DATASET

As in the paper, each nonlinearity has the rate that gets there first, and nothing regularises: no decay, no mirroring, no cropping,
no jitter. Rates are 0.003 times powers of the root of 2. The search begins at --rate, takes the better neighbour until both
neighbours of the best are worse, and runs the other seeds at the best two rates. A run of the search stops where it cannot win:
when it has run as many epochs as the best rate needed, or when after a third of the best run its error is --behind above that
run's at the same epoch. Other seeds run up to --epochs.

The defaults are cuda-convnet's: its initial weights, inputs of 0..255 less the mean, biases at twice the rate, batches of 128;
--init he scales the weights by their number of inputs and the inputs to unit deviation. DATASET is CIFAR-10 (or a part of it)
ingested at 32 px; the training error is measured on all of it after each epoch. A finished run appends its epochs to --out, and
one that stands there is not run again: the same command goes on after an interruption. results.py makes the table and the picture."""
import argparse
import json
import os
import signal
import subprocess

from results import GOAL, append, read, standing

LATTICE = [float(f"{0.003 * 2 ** (step / 2):.2g}") for step in range(-8, 15)]
STARTS = {("paper", "relu"): 0.003, ("he", "relu"): 0.012}  # others: 0.048


def cannot_win(errors, best, behind):
    """Whether a run with these errors by epoch is behind the best one (its errors, None: there is none) for good."""
    if best is None or 3 * len(errors) < len(best):
        return False
    late = len(errors) >= len(best) and best[-1] <= GOAL
    return late or errors[-1] > best[min(len(errors), len(best)) - 1] + behind


def train(arguments, activation, rate, seed, best):
    """Training errors by epoch, up to the goal, --epochs or where the run cannot win."""
    command = [os.path.join(arguments.bin, "an-train"), "--network", "cifar", "--crop", "32", "--init", arguments.init, "--decay", "0",
               "--bias-decay", "0", "--bias-rate", "2", "--jitter", "0", "--no-flip", "--schedule", "constant", "--last", "drop", "--json",
               "--epochs", str(arguments.epochs), "--precision", arguments.precision, "--compute-threads", str(arguments.threads),
               "--activation", activation, "--rate", str(rate), "--seed", str(seed), arguments.dataset, arguments.dataset]
    errors = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            event = json.loads(line)
            if event["type"] == "validation":
                errors.append(1 - event["top1"])
                if errors[-1] <= GOAL or cannot_win(errors, best, arguments.behind):
                    process.send_signal(signal.SIGTERM)
                    break
        process.stdout.read()
    return errors


def run(arguments, activation, rate, seed, best=None):
    """The run's errors by epoch, from the file if it stands there."""
    key = (arguments.init, arguments.precision, activation, rate, seed)
    errors = read(arguments.out).get(key)
    if errors is None:
        errors = train(arguments, activation, rate, seed, best) or [1.0]  # not finite in the first epoch: all are wrong
        append(arguments.out, key, errors)
    reached = errors[-1] <= GOAL
    print(f"{activation:8} rate {rate:<7} seed {seed}  " + (f"{len(errors)} epochs" if reached else
          f"not within {len(errors)} epochs, error {100 * errors[-1]:.1f} %"), flush=True)
    return errors


def search(arguments, activation):
    """The rates that were tried with the first seed, best first."""
    first = arguments.rate or STARTS.get((arguments.init, activation), 0.048)
    at = min(range(len(LATTICE)), key=lambda place: abs(LATTICE[place] - first))
    tried = {at: run(arguments, activation, LATTICE[at], 1)}

    def order():
        return sorted(tried, key=lambda place: standing(tried[place], arguments.epochs))

    while True:
        at = order()[0]
        beside = [place for place in (at + 1, at - 1) if 0 <= place < len(LATTICE) and place not in tried]
        if not beside:
            return [LATTICE[place] for place in order()]
        tried[beside[0]] = run(arguments, activation, LATTICE[beside[0]], 1, tried[at])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--activations", default="relu,tanh,sigmoid")
    parser.add_argument("--init", default="paper")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rate", type=float, help="where the search begins (default: near the best one found so far)")
    parser.add_argument("--behind", type=float, default=0.05, help="error above the best run's that ends a run (default 0.05)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", default="figure1.csv")
    parser.add_argument("dataset")
    arguments = parser.parse_args()
    for activation in arguments.activations.split(","):
        for rate in search(arguments, activation)[:2]:
            for seed in range(2, arguments.seeds + 1):
                run(arguments, activation, rate, seed)


if __name__ == "__main__":
    main()
