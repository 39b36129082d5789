#!/usr/bin/env bash
# Two Python environments with the peers, under build/peers: TensorFlow does not share one with the others. Several gigabytes.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=build/peers
python=${AN_PEERS_PYTHON:-python3}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# What FFCV compiles against and what SPDL loads; a peer whose installation fails is left out of the table.
as_root apt-get install -y --no-install-recommends libopencv-dev libturbojpeg0-dev pkg-config g++ libavdevice59 \
    libavfilter8 || echo "peers: some Debian packages are missing: FFCV or SPDL may be left out" >&2

[ -d "$root/main" ] || "$python" -m venv "$root/main"
[ -d "$root/tf" ] || "$python" -m venv "$root/tf"
install() { "$root/$1/bin/pip" install --quiet "${@:2}" || echo "peers: cannot install ${*:2}: left out" >&2; }

install tf tensorflow-cpu
install main setuptools wheel pybind11 numpy pillow torch torchvision
install main nvidia-dali-cuda130
install main simplejpeg
install main spdl
install main numba opencv-python-headless pytorch_pfn_extras fastargs assertpy pandas terminaltables tqdm psutil
install main --no-build-isolation --no-deps ffcv==1.0.2
