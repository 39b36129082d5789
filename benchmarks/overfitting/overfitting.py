#!/usr/bin/env python3
"""What dropout and augmentation are for: training and test error of AlexNet with each of them switched off.

    overfitting.py [--bin FOLDER] [--epochs 15] [--out overfitting.csv] TRAINING TEST

TRAINING and TEST are datasets of the same classes, a little larger than the crop (CIFAR-10 ingested at 72 px, crop 64). Each network is
trained from the same initial weights, with the same seed and rate; both errors are measured without dropout on the centres of
the images after the last epoch."""
import argparse
import csv
import json
import os
import subprocess
import tempfile

PLAIN = ["--no-flip", "--no-random-crop", "--jitter", "0"]
CASES = {"both": [], "dropout only": PLAIN, "augmentation only": ["--dropout", "0"], "neither": [*PLAIN, "--dropout", "0"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--crop", default="64")
    parser.add_argument("--epochs", default="15")
    parser.add_argument("--rate", default="0.01")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--out", default="overfitting.csv")
    parser.add_argument("training")
    parser.add_argument("test")
    arguments = parser.parse_args()
    program = os.path.join(arguments.bin, "an-train")
    with open(arguments.out, "w", newline="") as file, tempfile.TemporaryDirectory() as work:
        writer = csv.writer(file)
        writer.writerow(["case", "training error", "test error"])
        for number, (case, options) in enumerate(CASES.items()):
            run = f"{work}/{number}"
            subprocess.run([program, "--crop", arguments.crop, "--init", "he", "--schedule", "cosine", "--last", "drop", "--epochs", arguments.epochs,
                            "--rate", arguments.rate, "--precision", arguments.precision, "--save-every", "0", "--validate-every",
                            arguments.epochs, "--quiet", "--run", run, *options, arguments.training], check=True)
            errors = [1 - json.loads(subprocess.run([program, "eval", "--run", run, "--json", dataset], check=True,
                                                    capture_output=True).stdout)["top1"]
                      for dataset in (arguments.training, arguments.test)]
            writer.writerow([case, *(f"{error:.4f}" for error in errors)])
            file.flush()
            print(f"{case:18} training error {100 * errors[0]:5.1f} %   test error {100 * errors[1]:5.1f} %", flush=True)


main()
