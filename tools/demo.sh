#!/usr/bin/env bash
# The whole road in one command: installs what is needed, builds, packs Fashion-MNIST (70,000 labelled images, a Debian
# package) into datasets at 72 px, trains the two-device AlexNet on random 64 px crops, evaluates it on the test images,
# shows some predictions and writes a report. --short does the same with a few training steps. Everything lands in demo-data/; running it again
# continues where it stopped.
set -euo pipefail
cd "$(dirname "$0")/.."

epochs=2 out=demo-data limit=()
case "${1:-}" in
--short) out=demo-data/short limit=(--steps 30) ;;
"") ;;
*)
    echo "usage: tools/demo.sh [--short]" >&2
    exit 2
    ;;
esac

source tools/packages.sh
step() { printf '\n=== %s\n' "$*"; }
started=$(date +%s)

step "packages"
an_install build demo

step "build"
mkdir -p build "$out"
cmake --preset release >build/configure-release.log 2>&1 || { cat build/configure-release.log; exit 1; }
cmake --build --preset release -- --quiet
PATH="$PWD/build/release/bin:$PATH"

images=/usr/share/datasets/fashion-mnist
for split in train t10k; do
    step "ingest: $split images into $out/$split"
    [ -d "$out/$split" ] || an-ingest --size 72 --class-names tools/fashion-mnist-classes.tsv \
        "$images/$split-images-idx3-ubyte.gz" "$out/$split"
done
an-ingest info "$out/train"

step "train: AlexNet at crop 64, He initialisation (the paper's does not start at this size: see README.md)"
an-train --run "$out/run" --resume auto --crop 64 --batch 128 --init he --rate 0.01 --epochs "$epochs" "${limit[@]}" \
    "$out/train" "$out/t10k"

step "evaluate"
an-train eval --run "$out/run" --show 10 "$out/t10k"

step "pictures and report"
an-show report --output "$out/report.html" "$out/run" "$out/t10k"
an-show curves --output "$out/curves.svg" "$out/run"
an-show filters --run "$out/run" "$out/filters.png"
an-show predict --run "$out/run" --dataset "$out/t10k" --output "$out/predictions.png" >/dev/null

echo
echo "all of it took $(($(date +%s) - started)) s; checkpoints and metrics are in $out/run, the report is $out/report.html"
