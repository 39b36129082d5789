#!/usr/bin/env bash
# Builds everything, without warnings (-Werror is on), with each compiler that is promised: GCC 12 to 14, Clang 14 and 19, in bare
# systems by tools/on-debian.sh. With arguments, builds with these compilers on the system where it runs, installing what is missing:
#
#     tools/compilers.sh                      # all of them
#     tools/compilers.sh gcc-14 clang-19      # on Debian 13
set -euo pipefail
cd "$(dirname "$0")/.."

if [ $# -eq 0 ]; then
    tools/on-debian.sh bookworm tools/compilers.sh gcc-12 clang-14
    tools/on-debian.sh trixie tools/compilers.sh gcc-13 gcc-14 clang-19
    exit
fi

source tools/packages.sh
an_install build
failed=()
for compiler in "$@"; do
    packages=("$compiler")
    [[ $compiler != clang-* ]] || packages+=("libomp-${compiler#clang-}-dev")
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
    log="build/compiler-$compiler.log"
    mkdir -p build
    if cmake -G Ninja -B "build/compiler-$compiler" -D CMAKE_C_COMPILER="$compiler" >"$log" 2>&1 &&
        cmake --build "build/compiler-$compiler" -- -k 0 >>"$log" 2>&1; then
        echo "$compiler: built without warnings"
    else
        grep -E '(warning|error):|CMake Error' "$log" | sort -u | head -n 100 || tail -n 20 "$log"
        failed+=("$compiler")
    fi
done
[ ${#failed[@]} -eq 0 ] || echo "failed: ${failed[*]}" >&2
[ ${#failed[@]} -eq 0 ]
