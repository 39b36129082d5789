#!/usr/bin/env bash
# Installs what is needed, builds and runs every test: optimised, under AddressSanitizer with UBSan, and under
# ThreadSanitizer. With arguments, only those presets: tools/test.sh asan
# AN_TEST_ARCHITECTURES: the GPU architectures of the optimised build, which takes longest to compile for all that are shipped.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/packages.sh
an_install build test

presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(release asan tsan)
jobs=$(nproc)
mkdir -p build
passed=0 failed=0 skipped=0
skipped_names=()

for preset in "${presets[@]}"; do
    echo "=== $preset: configure and build"
    configure_log="build/configure-$preset.log"
    architectures=()
    [ "$preset" != release ] || [ -z "${AN_TEST_ARCHITECTURES:-}" ] || architectures=(-D "AN_CUDA_ARCHITECTURES=$AN_TEST_ARCHITECTURES")
    cmake --preset "$preset" "${architectures[@]}" >"$configure_log" 2>&1 || { cat "$configure_log"; exit 1; }
    sed -n '/^-- an [0-9]/,/^-- Configuring done/p' "$configure_log" | sed '/Configuring done/d'
    cmake --build --preset "$preset" -- --quiet
    echo "=== $preset: tests"
    results="build/$preset/results.txt"
    ctest --preset "$preset" -j "$jobs" | tee "$results" || true
    # CTest prints one line a test: "12/40 Test #3: queue ....   Passed    0.02 sec".
    passed=$((passed + $(grep -cE '^ *[0-9]+/[0-9]+ Test .* Passed ' "$results" || true)))
    skipped=$((skipped + $(grep -cE '^ *[0-9]+/[0-9]+ Test .*\*\*\*Skipped' "$results" || true)))
    failed=$((failed + $(grep -E '^ *[0-9]+/[0-9]+ Test ' "$results" | grep -vcE ' Passed |\*\*\*Skipped' || true)))
    while read -r name; do skipped_names+=("$preset/$name"); done < <(
        sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) .*\*\*\*Skipped.*/\1/p' "$results")
done

[ ${#skipped_names[@]} -eq 0 ] || echo "skipped (missing hardware, rights or packages): ${skipped_names[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
