#!/usr/bin/env bash
# Tries what the target `package` made, on bare systems by tools/on-debian.sh: the Debian packages are installed, used (the library by its
# example, which is built there) and purged on the release that they were built on, the tarball is used on Debian 12 and 13 with nothing
# installed at all, and then two replicas with that Debian's MPI. Without root or debootstrap it ends with 77, as
# on-debian.sh does.
#
#     cmake --build --preset release --target package && tools/packaging/try.sh [DEBIAN-RELEASE-OF-THE-BUILD]
set -euo pipefail
cd "$(dirname "$0")/../.."
images=build/try-images

# Whether the programs start where glibc lacks the version 2.36, as that of Ubuntu 22.04 does: here the version is renamed in a copy.
start_on_older_glibc() {
    local folder program
    folder=$(mktemp -d)
    sed 's/GLIBC_2\.36/GLIBC_9.99/g' /lib/x86_64-linux-gnu/libc.so.6 >"$folder/libc.so.6"
    for program in an-ingest an-train an-show an-bench-io; do
        LD_BIND_NOW=1 LD_LIBRARY_PATH=$folder "$program" --version >/dev/null
    done
}

# Packs, trains, evaluates and draws with the programs in PATH.
use() {
    cd "$(mktemp -d)"
    an-train --version
    an-train --devices list
    an-ingest --size 72 --class-names /an/tools/fashion-mnist-classes.tsv "/an/$images/t10k-images-idx3-ubyte.gz" data
    an-ingest info data >/dev/null
    an-ingest sheet data sheet.png
    an-train --run run --crop 64 --batch 32 --init he --rate 0.01 --steps 2 data
    an-train eval --run run data
    an-show report --output report.html run data
    an-show filters --run run filters.png
    an-bench-io --crop 64 --seconds 0.2 data >/dev/null
    grep -q '</html>' report.html
}

# Two replicas, with the MPI of the machine. an-train says what is missing before it is there.
use_replicas() {
    local train=(an-train --run run --crop 64 --batch 32 --init he --rate 0.01 --steps 2 data)
    cd "$(mktemp -d)"
    an-ingest --size 72 "/an/$images/t10k-images-idx3-ubyte.gz" data
    if ! command -v mpirun >/dev/null; then
        if [ "${1:-}" = lacking ]; then
            ! OMPI_COMM_WORLD_SIZE=2 "${train[@]}" 2>lacking || { echo "trained without MPI" >&2 && exit 1; }
            cat lacking
            grep -q 'openmpi-bin' lacking
        fi
        apt-get update -qq
        apt-get install -qq -y --no-install-recommends openmpi-bin >/dev/null
    fi
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    mpirun --oversubscribe --bind-to none -np 2 "${train[@]}"
    an-train eval --run run data
}

# Builds the library's example with what is installed, and runs it on a dataset.
build_with_library() {
    cd "$(mktemp -d)"
    apt-get install -qq -y --no-install-recommends gcc libc6-dev pkg-config >/dev/null
    # shellcheck disable=SC2046 # flags
    cc -std=c11 /an/examples/c/classes.c $(pkg-config --cflags --libs an) -o classes
    an-ingest --size 72 "/an/$images/t10k-images-idx3-ubyte.gz" data
    ./classes data 64
}

case ${1:-} in
inside-deb)
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    shift
    apt-get install -qq -y --no-install-recommends "${@/#/./}" >/dev/null
    (use)
    (use_replicas)
    (build_with_library)
    mapfile -t names < <(for deb in "$@"; do dpkg-deb -f "$deb" Package; done)
    apt-get purge -qq -y "${names[@]}" >/dev/null
    for left in /usr/bin/an-train /usr/lib/an /usr/lib/liban.so.0 /usr/include/an /usr/share/doc/{an,an-mpi,an-cuda,liban0,liban-dev} /usr/share/an; do
        [ ! -e "$left" ] || { echo "purging left $left" >&2 && exit 1; }
    done
    ;;
inside-tarball)
    tar -C /opt -xf "$2"
    mv /opt/an-* "/opt/moved an" # it may lie anywhere
    PATH="/opt/moved an/bin:$PATH"
    (use)
    (DEBIAN_FRONTEND=noninteractive use_replicas lacking)
    # Only where nothing of glibc itself needs that version of it.
    if grep -q bookworm /etc/os-release; then
        start_on_older_glibc
    fi
    ;;
*)
    release=${1:-bookworm}
    packages=build/release/packages
    rm -rf "$images"
    mkdir -p "$images"
    cp /usr/share/datasets/fashion-mnist/t10k-* "$images/"
    debs=("$packages"/*.deb)
    echo "=== ${debs[*]} on $release"
    tools/on-debian.sh "${debs[@]/#/--with=}" --with="$images" "$release" tools/packaging/try.sh inside-deb "${debs[@]}"
    for tarball in "$packages"/an-*.tar.gz; do
        for release in bookworm trixie; do
            echo "=== $tarball on $release"
            tools/on-debian.sh --with="$tarball" --with="$images" "$release" tools/packaging/try.sh inside-tarball "$tarball"
        done
    done
    rm -r "$images"
    ;;
esac
