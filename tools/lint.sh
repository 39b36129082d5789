#!/usr/bin/env bash
# Checks the formatting of all C and CUDA sources, runs shellcheck over the scripts and clang-tidy over the C sources. Installs what it needs. Both clang tools
# are those of Debian 12 (version 14), because other versions format and complain differently; where these are
# missing, the check is skipped and says so. With --fix, formats the sources in place first.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/packages.sh

version=14
folders=(base store ingest augment liban python examples model train tools benchmarks tests)

# The name under which a tool of the right version is installed; nothing if there is none.
tool() {
    local name
    for name in "$1-$version" "$1"; do
        if command -v "$name" >/dev/null && "$name" --version 2>/dev/null | grep -q "version $version\."; then
            echo "$name"
            return
        fi
    done
}

an_install build lint

format=$(tool clang-format)
if [ -n "$format" ]; then
    mapfile -t sources < <(find "${folders[@]}" -regex '.*\.\(c\|h\|cu\|cuh\)' | sort)
    [ "${1:-}" != --fix ] || "$format" -i "${sources[@]}"
    "$format" --dry-run -Werror "${sources[@]}"
    echo "${#sources[@]} files are formatted"
else
    echo "skipped: formatting, as there is no clang-format $version"
fi

if command -v shellcheck >/dev/null; then
    shellcheck -x --severity=warning tools/*.sh tools/packaging/*.sh .ci/run
    echo "shellcheck has nothing to say"
else
    echo "skipped: shellcheck, as it is not installed"
fi

tidy=$(tool clang-tidy)
if [ -n "$tidy" ] && command -v run-clang-tidy >/dev/null; then
    mkdir -p build
    cmake --preset release >build/configure-lint.log 2>&1 || { cat build/configure-lint.log; exit 1; }
    # -w: the compiler's own warnings are gcc's to give.
    run-clang-tidy -clang-tidy-binary "$tidy" -quiet -j "$(nproc)" -p build/release -extra-arg=-w "$PWD/.*\.c$" \
        >build/tidy.log 2>build/tidy.errors || { grep -E '(warning|error):' build/tidy.log build/tidy.errors; exit 1; }
    echo "clang-tidy has nothing to say"
else
    echo "skipped: clang-tidy, as there is no version $version"
fi
