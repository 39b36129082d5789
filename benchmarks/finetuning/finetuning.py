#!/usr/bin/env python3
"""What fine-tuning gains: the test error of AlexNet after the same few steps, from random numbers and from another training's weights.

    finetuning.py [--bin FOLDER] [--crop 64] [--first-epochs 100] [--epochs 1] [--seeds 1,2,3] [--work FOLDER] [--out finetuning.csv]
                  FIRST TRAINING TEST

FIRST is the dataset of the first network (the sample of ImageNet), TRAINING and TEST are of the classes that are wanted (CIFAR-10), all of
them ingested a little larger than the crop. Both kinds of training have one recipe, and with one seed also one order of images, one
augmentation and one initialisation: --weights FIRST's --fresh fc8 is the whole difference. Errors are of the centre of the test images,
after the last step. The first network is kept in --work, where a second call finds it."""
import argparse
import csv
import json
import os
import subprocess
import tempfile

RECIPE = ["--init", "he", "--schedule", "cosine", "--last", "drop", "--rate", "0.01", "--dropout", "0.25", "--save-every", "0", "--quiet"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--crop", default="64")
    parser.add_argument("--first-epochs", default="100")
    parser.add_argument("--epochs", default="1")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--threads", default="0", help="compute threads")
    parser.add_argument("--work")
    parser.add_argument("--out", default="finetuning.csv")
    parser.add_argument("first")
    parser.add_argument("training")
    parser.add_argument("test")
    arguments = parser.parse_args()
    program = os.path.join(arguments.bin, "an-train")

    def train(run, dataset, *options):
        subprocess.run([program, "--crop", arguments.crop, "--compute-threads", arguments.threads, *RECIPE, *options, "--run", run,
                        "--resume", "auto", dataset], check=True)

    def error(run):
        done = subprocess.run([program, "eval", "--run", run, "--json", "--compute-threads", arguments.threads, arguments.test], check=True,
                              capture_output=True)
        return 1 - json.loads(done.stdout)["top1"]

    with open(arguments.out, "w", newline="") as file, tempfile.TemporaryDirectory() as scratch:
        work = arguments.work or scratch
        first = f"{work}/first"
        train(first, arguments.first, "--batch", "100", "--epochs", arguments.first_epochs, "--validate-every", arguments.first_epochs)
        writer = csv.writer(file)
        writer.writerow(["seed", "start", "test error"])
        starts = {"random numbers": [], "first network": ["--weights", first, "--fresh", "fc8"]}
        for seed in arguments.seeds.split(","):
            for number, (start, options) in enumerate(starts.items()):
                run = f"{scratch}/{seed}-{number}"
                train(run, arguments.training, "--epochs", arguments.epochs, "--seed", seed, *options)
                wrong = error(run)
                writer.writerow([seed, start, f"{wrong:.4f}"])
                file.flush()
                print(f"seed {seed}  {start:15} test error {100 * wrong:5.1f} %", flush=True)


main()
