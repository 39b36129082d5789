#!/usr/bin/env python3
"""Figure 1 of the AlexNet paper: epochs until a four-layer network on CIFAR-10 has 25 % training error, by nonlinearity.

    figure1.py [--bin FOLDER] [--epochs 40] [--rates 0.003,0.01,0.03,0.1,0.001] [--activations relu,tanh,sigmoid]
               [--init paper|he] [--precision fp32|bf16] [--out figure1.csv] DATASET

As in the paper the rate is chosen for each nonlinearity as the one that gets there first (once one has, the others run no longer
than it took), and nothing regularises: no decay, no mirroring, no cropping, no jitter. The defaults are cuda-convnet's: its
initial weights, inputs of 0..255 less the mean, biases at twice the rate, batches of 128; --init he scales the weights by their
number of inputs and the inputs to unit deviation. DATASET is CIFAR-10 (or a part of it) ingested at 32 px; the training error is
measured on all of it after each epoch. Writes one line for each epoch of each run (activation, rate, epoch, error): the plot's data."""
import argparse
import csv
import json
import os
import signal
import subprocess

GOAL = 0.25


def curve(arguments, activation, rate, most):
    """Training errors by epoch, up to the goal or most epochs."""
    command = [os.path.join(arguments.bin, "an-train"), "--network", "cifar", "--crop", "32", "--init", arguments.init, "--decay", "0",
               "--bias-decay", "0", "--bias-rate", "2", "--jitter", "0", "--no-flip", "--schedule", "constant", "--epochs", str(most),
               "--precision", arguments.precision, "--json", "--activation", activation, "--rate", str(rate), arguments.dataset,
               arguments.dataset]
    errors = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            event = json.loads(line)
            if event["type"] == "validation":
                errors.append(1 - event["top1"])
                if errors[-1] <= GOAL:
                    process.send_signal(signal.SIGTERM)
                    break
        process.stdout.read()
    return errors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rates", default="0.003,0.01,0.03,0.1,0.001")
    parser.add_argument("--activations", default="relu,tanh,sigmoid")
    parser.add_argument("--init", default="paper")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--out", default="figure1.csv")
    parser.add_argument("dataset")
    arguments = parser.parse_args()
    with open(arguments.out, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["activation", "rate", "epoch", "training error"])
        for activation in arguments.activations.split(","):
            best, most = None, arguments.epochs
            for rate in map(float, arguments.rates.split(",")):
                errors = curve(arguments, activation, rate, most)
                writer.writerows([activation, rate, epoch + 1, f"{error:.4f}"] for epoch, error in enumerate(errors))
                file.flush()
                reached = bool(errors) and errors[-1] <= GOAL
                if reached and (best is None or len(errors) < best[1]):
                    best, most = (rate, len(errors)), len(errors)  # slower rates need not run longer
                print(f"{activation:8} rate {rate:<6} " + (f"{len(errors)} epochs" if reached else
                      f"not within {len(errors)} epochs, error {100 * errors[-1]:.1f} %" if errors else "diverged"), flush=True)
            print(f"{activation:8} " + (f"best: {best[1]} epochs at rate {best[0]}" if best else "never got there"), flush=True)


main()
