#!/usr/bin/env python3
"""The runs of Figure 1: the file that holds them, the table and the picture made from it.

    results.py [--init paper|he] [--precision fp32|bf16] [--picture figure1.svg] figure1.csv

Prints a line for each nonlinearity and rate: after how many epochs each seed's run had 25 % training error or less, or how far it
came. The picture shows the runs of each nonlinearity's best rate, a line for each seed. One line of the file is one epoch of one
run: init, precision, activation, rate, seed, epoch, training error."""
import argparse
import csv
import os

GOAL = 0.25
HEADER = ["init", "precision", "activation", "rate", "seed", "epoch", "training error"]
TITLES = {"relu": "ReLU", "tanh": "tanh", "sigmoid": "sigmoid"}
COLOURS = {"relu": "#2f6fb5", "tanh": "#d0702a", "sigmoid": "#2e8b6b"}


def read(path):
    """{(init, precision, activation, rate, seed): errors by epoch}"""
    runs = {}
    if os.path.exists(path):
        with open(path, newline="") as file:
            for line in csv.DictReader(file):
                key = (line["init"], line["precision"], line["activation"], float(line["rate"]), int(line["seed"]))
                runs.setdefault(key, []).append(float(line["training error"]))
    return runs


def append(path, key, errors):
    """Adds a finished run in one write, so that several searches may share the file."""
    lines = [] if os.path.exists(path) and os.path.getsize(path) else [HEADER]
    lines += [[*key, epoch + 1, f"{value:.4f}"] for epoch, value in enumerate(errors)]
    with open(path, "a", newline="") as file:
        file.write("".join(",".join(map(str, line)) + "\n" for line in lines))


def standing(errors, limit):
    """What to sort runs by: those that reached the goal by epochs, then those that ran to the limit, then those that were stopped."""
    if errors[-1] <= GOAL:
        return 0, len(errors), errors[-1]
    return 1 if len(errors) >= limit else 2, errors[-1], 0


def of(runs, init, precision, activation):
    """{rate: {seed: errors}}, and the best rate by the first seed; None without runs."""
    rates = {}
    for key, errors in sorted(runs.items()):
        if key[:3] == (init, precision, activation):
            rates.setdefault(key[3], {})[key[4]] = errors
    limit = max((len(errors) for seeds in rates.values() for errors in seeds.values()), default=0)
    first = {rate: seeds[min(seeds)] for rate, seeds in rates.items()}
    return rates, min(first, key=lambda rate: standing(first[rate], limit), default=None)


def cell(errors):
    if errors is None:
        return ""
    return f"{len(errors)}" if errors[-1] <= GOAL else f"{100 * errors[-1]:.1f} % after {len(errors)}"


def table(runs, init, precision):
    seeds = sorted({key[4] for key in runs if key[:2] == (init, precision)})
    lines = ["| nonlinearity | rate | " + " | ".join(f"seed {seed}" for seed in seeds) + " |", "|---|---" + "|---" * len(seeds) + "|"]
    for activation, title in TITLES.items():
        rates, best = of(runs, init, precision, activation)
        for rate, results in rates.items():
            cells = [f"{rate:g}", *(cell(results.get(seed)) for seed in seeds)]
            if rate == best:
                cells = [f"**{text}**" if text else "" for text in cells]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def text(x, y, words, anchor="middle", colour="#5b6475", size=11):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{words}</text>'


def picture(runs, init, precision):
    """Error by epoch at the best rates, as SVG."""
    left, right, top, bottom = 60, 780, 40, 400
    shown = {activation: (best, rates[best]) for activation in TITLES
             for rates, best in [of(runs, init, precision, activation)] if best is not None}
    most = max(len(errors) for _, seeds in shown.values() for errors in seeds.values())

    def at(epoch, error):
        return left + (right - left) * epoch / most, bottom - (bottom - top) * error

    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="800" height="450" viewBox="0 0 800 450" font-family="DejaVu Sans, sans-serif">',
             "<title>Training error by epoch for each nonlinearity</title>", '<rect width="800" height="450" fill="#ffffff"/>']
    for percent in (0, 25, 50, 75, 100):
        _, y = at(0, percent / 100)
        dash = ' stroke-dasharray="5 3"' if percent == 25 else ""
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{"#5b6475" if dash else "#d9dde5"}"{dash}/>')
        parts.append(text(left - 6, y + 4, f"{percent} %", "end"))
    step = 5 if most > 12 else 2
    parts += [text(at(epoch, 0)[0], bottom + 18, epoch) for epoch in range(0, most + 1, step)]
    parts.append(text((left + right) / 2, bottom + 38, "epochs"))
    for number, (activation, (rate, seeds)) in enumerate(shown.items()):
        colour = COLOURS[activation]
        for errors in seeds.values():
            points = " ".join("{:.1f},{:.1f}".format(*at(epoch + 1, error)) for epoch, error in enumerate(errors))
            end = at(len(errors), errors[-1])
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
            parts.append(f'<circle cx="{end[0]:.1f}" cy="{end[1]:.1f}" r="3" fill="{colour}"/>')
        parts.append(text(left + 230 * number, 24, f"{TITLES[activation]}, rate {rate:g}, {len(seeds)} seeds".replace("1 seeds", "1 seed"),
                          "start", colour, 13))
    return "\n".join([*parts, "</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--init", default="paper")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--picture")
    parser.add_argument("runs")
    arguments = parser.parse_args()
    runs = read(arguments.runs)
    print(table(runs, arguments.init, arguments.precision))
    if arguments.picture:
        with open(arguments.picture, "w") as file:
            file.write(picture(runs, arguments.init, arguments.precision))


if __name__ == "__main__":
    main()
