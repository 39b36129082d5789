#!/usr/bin/env bash
# Installs the packages that building, testing, linting and the demo need, by the names that the distribution gives them:
#
#     tools/packages.sh [--list] [build] [demo] [test] [lint] [package] [python] [wheel] [examples]
#
# Without words: build, demo and test. python is what `pip install .` needs, wheel what tools/wheel.sh needs besides, examples
# what the tests of PyTorch need. --list prints the names and installs nothing. Sourced, it gives an_install. It asks for sudo only where
# it is not root, and touches nothing when everything is there already.
#
# Debian 12 and 13 are tried. Ubuntu 22.04 and 24.04 have the same packages but for the rows that say otherwise; that is known from
# their archives' names and has not been run. For other systems it prints what is needed.
set -euo pipefail

# groups | what it is | Debian's names | Ubuntu's, where they differ | Ubuntu 22.04's, where they differ from these
an_packages_table() {
    cat <<'END'
build python | GCC 12 to 14, or Clang with its libomp  | gcc libc6-dev |
build python | CMake 3.22 or later, Ninja, pkg-config  | cmake ninja-build pkg-config |
build python | LMDB                                    | liblmdb-dev |
build python | libjpeg-turbo                           | libjpeg62-turbo-dev | libjpeg-turbo8-dev |
build python | liburing 2.1 or later                   | liburing-dev |
build        | oneDNN 2.6 or later                     | libdnnl-dev |
build python | xxHash, jansson                         | libxxhash-dev libjansson-dev |
build python | zlib, libpng, libarchive                | zlib1g-dev libpng-dev libarchive-dev |
build        | Cairo, Pango and a font                 | libcairo2-dev libpango1.0-dev fonts-dejavu-core |
build        | OpenBLAS                                | libopenblas-dev |
build        | Open MPI (for replicas; builds without) | libopenmpi-dev |
build        | cmocka, matio (of the tests)            | libcmocka-dev libmatio-dev |
build        | help2man                                | help2man |
demo         | the Fashion-MNIST images                | dataset-fashion-mnist |
test         | mpirun                                  | openmpi-bin |
test         | ip (network namespaces as hosts)        | iproute2 |
test         | Clang with its sanitizers and libFuzzer | clang libclang-rt-dev | | clang
test         | Python's lmdb, xxhash, PIL, NumPy       | python3-lmdb python3-xxhash python3-pil python3-numpy |
test python  | Python 3.11 or later, and its headers   | python3 python3-dev |
python       | pip                                     | python3-pip python3-venv |
lint         | clang-format and clang-tidy 14          | clang-format clang-tidy |
lint         | ShellCheck                              | shellcheck |
package      | dpkg-shlibdeps, file, patchelf, Python 3 | dpkg-dev file patchelf python3 |
wheel        | xz, bzip2, zstd and lz4, to link statically | liblzma-dev libbz2-dev libzstd-dev liblz4-dev |
examples     | PyTorch and torchvision                 | python3-torch python3-torchvision |
END
}

# Whose names this system uses: debian, ubuntu, jammy (Ubuntu 22.04) or nothing; a note on standard error where it is a guess.
an_packages_family() {
    local ID='' ID_LIKE='' VERSION_ID='' PRETTY_NAME='' UBUNTU_CODENAME=''
    # shellcheck source=/dev/null
    [ ! -e "${AN_OS_RELEASE:-/etc/os-release}" ] || . "${AN_OS_RELEASE:-/etc/os-release}"
    case "$ID-$VERSION_ID" in
    debian-12 | debian-13) echo debian && return ;;
    ubuntu-22.04) echo jammy && return ;;
    ubuntu-24.04) echo ubuntu && return ;;
    esac
    case "$UBUNTU_CODENAME $ID $ID_LIKE " in
    jammy*) echo jammy ;;
    *" ubuntu "*) echo ubuntu ;;
    *" debian "*) echo debian ;;
    *) return 0 ;;
    esac
    echo "${PRETTY_NAME:-this system} is not among the systems that this was tried on; taking the names of its family" >&2
}

# an_packages_wanted "GROUP..." GROUP...: whether one of a row's groups is among those that are asked for.
an_packages_wanted() {
    local groups=$1 group
    shift
    for group in $groups; do
        case " $* " in *" $group "*) return 0 ;; esac
    done
    return 1
}

# an_packages FAMILY GROUP...: one name a line.
an_packages() {
    local family=$1 groups role debian ubuntu jammy wanted
    shift
    while IFS='|' read -r groups role debian ubuntu jammy; do
        an_packages_wanted "$groups" "$@" || continue
        wanted=$debian
        [ "$family" = debian ] || [ -z "${ubuntu// /}" ] || wanted=$ubuntu
        [ "$family" != jammy ] || [ -z "${jammy// /}" ] || wanted=$jammy
        # shellcheck disable=SC2086 # several names
        printf '%s\n' $wanted
    done < <(an_packages_table)
}

# What somebody must find on a system whose names are not known here.
an_packages_explain() {
    local groups role debian others
    echo "This system is neither a Debian nor an Ubuntu, and tools/packages.sh does not know the names of its packages. These are"
    echo "needed, with headers where it is a library (in brackets: Debian's names):"
    # shellcheck disable=SC2034 # the other columns
    while IFS='|' read -r groups role debian others; do
        an_packages_wanted "$groups" "$@" || continue
        echo "- $role ($debian)" | tr -s ' ' | sed 's/ (/ (/; s/( /(/; s/ )/)/'
    done < <(an_packages_table)
    echo "Going on without installing anything."
}

# an_install GROUP...: fails where something is missing and cannot be installed.
an_install() {
    local family missing=() package as_root=()
    family=$(an_packages_family)
    [ -n "$family" ] || { an_packages_explain "$@" >&2 && return 0; }
    while read -r package; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done < <(an_packages "$family" "$@")
    [ ${#missing[@]} -eq 0 ] && return 0
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
    list=0
    [ "${1:-}" != --list ] || { list=1 && shift; }
    [ $# -gt 0 ] || set -- build demo test
    for group in "$@"; do
        case $group in
        build | demo | test | lint | package | python | wheel | examples) ;;
        *)
            echo "usage: tools/packages.sh [--list] [build] [demo] [test] [lint] [package] [python] [wheel] [examples]" >&2
            exit 2
            ;;
        esac
    done
    if [ "$list" -eq 1 ]; then
        family=$(an_packages_family)
        if [ -n "$family" ]; then
            an_packages "$family" "$@"
        else
            an_packages_explain "$@"
        fi
    else
        an_install "$@"
    fi
fi
