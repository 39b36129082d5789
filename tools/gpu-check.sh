#!/bin/sh
# Everything that has to be seen on a first machine with a GPU, in one report.
#
#   tools/gpu-check.sh DATASET [an-train options]      report: gpu-report.txt, or $REPORT
#
# Build folder: build/gpu, or $BUILD. A step that fails is reported and the next one runs; the exit status counts failures.
set -u
[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 2; }
dataset=$(realpath "$1") report=$(realpath "${REPORT:-gpu-report.txt}") failures=0
shift
cd "$(dirname "$0")/.." || exit 1
build=$(realpath -m "${BUILD:-build/gpu}")
: >"$report" || exit 1

step() { # step TITLE COMMAND...
    printf '\n== %s\n' "$1" | tee -a "$report"
    shift
    printf '$ %s\n' "$*" >>"$report"
    if "$@" >>"$report" 2>&1; then
        echo "ok" | tee -a "$report"
    else
        echo "FAILED (exit status $?), see $report" | tee -a "$report"
        failures=$((failures + 1))
    fi
}

step "the machine" sh -c 'date -u; git rev-parse HEAD; nproc; uname -sr; nvidia-smi -L; nvidia-smi topo -m; nvidia-smi'
step "configure" cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DAN_CUDA=ON
step "build" ninja -C "$build"
step "devices" "$build/bin/an-train" --devices list
step "tests with a GPU, and those that need none" ctest --test-dir "$build" --output-on-failure -R 'gpu|cuda|emu|model'
export AN_BIN_DIR="$build/bin"
devices="cuda:0"
step "training as on the CPU, resuming, moving between devices" python3 tests/emu/trainer.py real
if [ "$("$build/bin/an-train" --devices list 2>/dev/null | grep -c '^cuda:')" -ge 2 ]; then
    devices="cuda:0 cuda:0,cuda:1"
fi
for where in $devices; do
    for precision in fp32 tf32 bf16; do
        step "step time without loading: $where, $precision" "$build/bin/an-train" --dry-run --devices "$where" \
            --precision "$precision" --run "$build/check-dry" "$@" "$dataset"
    done
    step "200 steps with loading: $where, bf16 (wait: the device had no batch)" "$build/bin/an-train" --devices "$where" \
        --precision bf16 --steps 200 --run "$build/check-$where" "$@" "$dataset"
    rm -rf "$build/check-$where" "$build/check-dry"
done
step "the loader alone" "$build/bin/an-bench-io" "$dataset"
printf '\n%s failures; report in %s\n' "$failures" "$report" | tee -a "$report"
[ "$failures" -eq 0 ]
