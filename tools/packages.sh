#!/usr/bin/env bash
# Installs the Debian packages that building, testing, linting and the demo need. Sourced or run; asks for sudo only where it is
# not root, and touches nothing when everything is there already.
set -euo pipefail

AN_PACKAGES_BUILD=(gcc libc6-dev cmake ninja-build pkg-config liblmdb-dev libjpeg62-turbo-dev liburing-dev libdnnl-dev
    libxxhash-dev libjansson-dev zlib1g-dev libpng-dev libarchive-dev libmatio-dev libcairo2-dev
    libpango1.0-dev libopenblas-dev fonts-dejavu-core libcmocka-dev help2man)
AN_PACKAGES_DEMO=(dataset-fashion-mnist)
AN_PACKAGES_TEST=(clang libclang-rt-14-dev python3 python3-lmdb python3-xxhash python3-pil python3-numpy fonts-dejavu-core)
AN_PACKAGES_LINT=(clang-format clang-tidy)

an_install_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "these packages are missing and neither root nor sudo is at hand: ${missing[*]}" >&2
            return 1
        }
        as_root=(sudo)
    fi
    echo "installing ${missing[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    an_install_packages "${AN_PACKAGES_BUILD[@]}" "${AN_PACKAGES_DEMO[@]}" "${AN_PACKAGES_TEST[@]}"
fi
