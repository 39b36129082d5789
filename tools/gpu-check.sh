#!/bin/sh
# Everything that has to be seen on a first machine with a GPU, in one report.
#
#   tools/gpu-check.sh DATASET [an-train options]      report: gpu-report.txt, or $REPORT
#
# Build folder: build/gpu, or $BUILD. The crop is 224, or less where the images are smaller. A step that fails is reported
# and the next one runs. Exit status: 0 all well, 1 failures, 77 nothing failed but there is no GPU and the steps that need
# one were skipped.
set -u
[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
dataset=$(realpath "$1") report=$(realpath "${REPORT:-gpu-report.txt}") failures=0 skipped=0
shift
cd "$(dirname "$0")/.." || exit 1
build=$(realpath -m "${BUILD:-build/gpu}")
: >"$report" || exit 1

say() {
    printf '%s\n' "$@" | tee -a "$report"
}

step() { # step TITLE COMMAND...
    printf '\n== %s\n' "$1" | tee -a "$report"
    shift
    printf '$ %s\n' "$*" >>"$report"
    if "$@" >>"$report" 2>&1; then
        say "ok"
    else
        say "FAILED (exit status $?), see $report"
        failures=$((failures + 1))
    fi
}

gpu_step() { # the same, for what needs a GPU
    if [ "$gpus" -gt 0 ]; then
        step "$@"
    else
        printf '\n== %s\nSKIPPED: no GPU\n' "$1" | tee -a "$report"
        skipped=$((skipped + 1))
    fi
}

# The largest usual crop that the images and AlexNet allow; sets crop and network, or ends with the remedy.
choose_crop() {
    side=$("$build/bin/an-ingest" info --json "$dataset" | sed -n 's/^  "side": \([0-9]*\).*/\1/p')
    network=alexnet crop=224
    [ "${side:-0}" -ge 224 ] && return
    crop=$((${side:-0} / 32 * 32))
    if [ "$crop" -lt 64 ]; then
        network=cifar crop=32
    fi
    if [ "${side:-0}" -lt 32 ]; then
        say "the images of '$dataset' have ${side:-unknown} pixels a side: ingest them with --size 64 or more"
        exit 1
    fi
}

devices_found() {
    "$build/bin/an-train" --devices list 2>/dev/null | grep -c '^cuda:'
}

# "an-train ARGUMENTS": with the dataset, the crop and what the user gave.
train() {
    "$build/bin/an-train" --network "$network" --crop "$crop" "$@" "$dataset"
}

# Kernels chosen twice from nothing: what was chosen, and where the two differ, how close the race was.
tuning() {
    rm -rf "$build/check-cache" "$build/check-first.txt"
    train --dry-run --precision bf16 --devices cuda:0 --run "$build/check-none" "$@" || return 1
    cp "$build/check-cache/an/engines.txt" "$build/check-first.txt" || return 1
    rm -rf "$build/check-cache"
    train --dry-run --precision bf16 --devices cuda:0 --run "$build/check-none" "$@" || return 1
    printf '\nkernel, microseconds of the chosen one, of the library'"'"'s favourite, its name\n'
    sed 1d "$build/check-first.txt" | awk -F '\t' '{sub(/^[^:]*: /, "", $1); printf "%9.2f %9.2f  %s  [%s]\n", $3, $4, $1, $2; c += $3; f += $4}
        END {printf "%9.2f %9.2f  sum\n", c, f}'
    printf '\nwhat a second measurement chose otherwise:\n'
    sed 1d "$build/check-first.txt" | cut -f 1,2 | sort >"$build/check-a.txt"
    sed 1d "$build/check-cache/an/engines.txt" | cut -f 1,2 | sort >"$build/check-b.txt"
    comm -13 "$build/check-a.txt" "$build/check-b.txt"
    printf '\na start with the choices at hand:\n'
    train --dry-run --precision bf16 --devices cuda:0 --run "$build/check-none" "$@" | tail -1
    rm -f "$build/check-a.txt" "$build/check-b.txt" "$build/check-first.txt"
}

step "the machine" sh -c 'date -u; git rev-parse HEAD; nproc; uname -sr; lscpu | sed -n "s/^Model name: *//p"'
step "configure" cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DAN_CUDA=ON
step "build" ninja -C "$build"
[ -x "$build/bin/an-train" ] || { say "nothing was built: see $report (the CUDA toolkit 13 and cuDNN 9 are needed)"; exit 1; }
choose_crop
say "" "network $network, crop $crop"
gpus=$(devices_found)
[ "$gpus" -gt 0 ] || say "NO GPU: $("$build/bin/an-train" --devices list 2>&1 | grep '^cuda')"
gpu_step "the GPUs" sh -c 'nvidia-smi -L && nvidia-smi && { nvidia-smi topo -m || true; }' # containers may not know the topology
step "devices" "$build/bin/an-train" --devices list
step "tests with a GPU, and those that need none" ctest --test-dir "$build" --output-on-failure -R 'gpu|cuda|emu|model|engines'
export AN_BIN_DIR="$build/bin" XDG_CACHE_HOME="$build/check-cache" # nothing of what was chosen before, and nothing left
gpu_step "training as on the CPU, resuming, moving between devices" python3 tests/emu/trainer.py real
gpu_step "kernels chosen by measuring" tuning "$@"
devices="cuda:0"
[ "$gpus" -ge 2 ] && devices="cuda:0 cuda:0,cuda:1"
for where in $devices; do
    for precision in fp32 tf32 bf16; do
        gpu_step "step time without loading: $where, $precision" train --dry-run --devices "$where" --precision "$precision" \
            --run "$build/check-dry" "$@"
    done
    gpu_step "where a step's time goes, by the device's clock: $where, bf16" train --devices "$where" --precision bf16 --steps 50 \
        --profile --run "$build/check-$where" "$@"
    rm -rf "$build/check-$where"
    gpu_step "200 steps with loading: $where, bf16 (wait: the device had no batch)" train --devices "$where" --precision bf16 \
        --steps 200 --run "$build/check-$where" "$@"
    rm -rf "$build/check-$where" "$build/check-dry"
done
rm -rf "$build/check-cache"
step "the loader alone" "$build/bin/an-bench-io" --crop "$crop" "$dataset"
step "what the model says (AlexNet, crop 224, batch 128, bf16)" python3 tools/gpu-model.py

printf '\n== measured, to compare with the model\n' | tee -a "$report"
awk '/^== step time|^== where|^== 200 steps/ {title = substr($0, 4)} /^speed .*without loading/ {print title; print "    " $0}
     /^graphs / {print "    " $0} /queued operation by operation, which/ {print title; print "    " $0}
     /^data .*the network waited/ {print title; print "    " $0} /^devices +idle|^sum .* ms a step/ {print "    " $0} /device idle/ {idle = $0}
     /^== / {if (idle) print "    last: " idle; idle = ""}' "$report" >"$report.part"
[ -s "$report.part" ] || echo "nothing: no GPU" >"$report.part"
cat "$report.part"
cat "$report.part" >>"$report"
rm -f "$report.part"
say "" "$failures failures, $skipped steps skipped for want of a GPU; report in $report"
[ "$failures" -eq 0 ] || exit 1
[ "$skipped" -eq 0 ] || exit 77
