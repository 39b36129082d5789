#!/bin/sh
# Everything that has to be seen on a machine with a GPU, in one report that ends in a table.
#
#   gpu-check.sh [DATASET [an-train options]]      report: gpu-report.txt, or $REPORT
#
# From an unpacked archive or an installation (share/an/gpu-check.sh) it needs the driver, CUDA 13's libraries and cuDNN 9, and no
# compiler; Python, PyTorch and compute-sanitizer are used where they are. From a source tree (tools/gpu-check.sh) it builds and tests first,
# in build/gpu or $BUILD. Without a dataset it makes 2,048 pictures. The crop is 224, or less where the images are smaller; a step is timed at
# each batch of $BATCHES ("128 512"), everything else is done at the first. Each step has a time limit, and all together $LIMIT seconds (285),
# building and its tests not counted; what matters most comes first. A step that fails, or has no time left, does not end the others. Exit
# status: 0 all well, 1 failures, 77 nothing failed, but steps were skipped for want of a GPU, of Python or of time.
set -u
case "${1:-}" in -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
dataset=${1:+$(realpath "$1")} report=$(realpath "${REPORT:-gpu-report.txt}") failures=0 skipped=0 figure=''
[ $# -eq 0 ] || shift
here=$(cd "$(dirname "$0")" && pwd) || exit 1
work=$(mktemp -d "${TMPDIR:-/tmp}/an-gpu-check.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
: >"$report" || exit 1
: >"$work/table"
: >"$work/warnings"
: >"$work/times"

say() {
    printf '%s\n' "$@" | tee -a "$report"
}

row() { # row RESULT SECONDS TITLE FIGURE
    printf '%-9s %5s  %-44s %s\n' "$@" >>"$work/table"
}

skip() { # skip TITLE REASON
    say "" "== $1" "SKIPPED: $2"
    row skipped - "$1" "$2"
    skipped=$((skipped + 1))
}

left() {
    echo $((deadline - $(date +%s)))
}

# step TITLE LIMIT PATTERN COMMAND...: PATTERN is a sed expression that prints the figure for the table out of what the command said.
step() {
    title=$1 limit=$2 pattern=$3 began=$(date +%s)
    shift 3
    [ "$(left)" -ge 3 ] || { skip "$title" "no time left"; return; }
    [ "$limit" -le "$(left)" ] || limit=$(left)
    say "" "== $title"
    printf '$ %s\n' "$*" >>"$report"
    timeout -k 3 "$limit" "$@" >"$work/said" 2>&1 </dev/null
    status=$? seconds=$(($(date +%s) - began))
    cat "$work/said" >>"$report"
    sed -n 's/^\(an-[a-z-]*: \)\{0,1\}warning: //p' "$work/said" >>"$work/warnings"
    figure=$(sed -n "$pattern" "$work/said" | tail -4 | paste -s -d ';' -)
    case $status in
    0) result=ok ;;
    77) result=skipped figure=${figure:-$(tail -1 "$work/said")} skipped=$((skipped + 1)) ;;
    124 | 137)
        result='TIME OUT' figure="$figure (more than $limit s)" failures=$((failures + 1))
        [ -z "${spare:-}" ] || result=skipped failures=$((failures - 1)) skipped=$((skipped + 1))
        ;;
    *) result=FAILED figure=${figure:-$(tail -1 "$work/said" | cut -c 1-90)} failures=$((failures + 1)) ;;
    esac
    say "$result, $seconds s${figure:+: $figure}"
    row "$result" "$seconds" "$title" "$figure"
}

gpu_step() { # the same, for what needs a GPU
    if [ "$gpus" -gt 0 ]; then
        step "$@"
    else
        skip "$1" "no GPU"
    fi
}

# Where the programs, the tests and Python's part lie.
if [ -f "$here/../CMakeLists.txt" ]; then
    source=$(cd "$here/.." && pwd) && build=$(realpath -m "${BUILD:-$source/build/gpu}") deadline=$(($(date +%s) + 7200))
    step "configure" 600 '' cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DAN_CUDA=ON
    step "build" 3600 '' ninja -C "$build"
    step "tests, on emulated devices and on real ones" 1800 '/tests passed/p' ctest --test-dir "$build" --output-on-failure \
        -R 'gpu_|cuda|emu_[^tg]|model|engines'
    bin=$build/bin tests=$build/tests/model python=$source/tests/emu ranks=$source/tests/emu/replicas/replicas.py model=$source/tools/gpu-model.py torch=$source/tools/gpu-torch.py
    decode=$build/tests/augment/test_gpu_decode lend=$build/tests/augment/test_gpu_lend bench=$build/benchmarks/bench_gpu_decode
    export AN_DECODE_MODULE="${AN_DECODE_MODULE:-$build/lib/an/an_decode_cuda.so}"
    export PYTHONPATH="$source/docs" AN_CUDA_MODULE="${AN_CUDA_MODULE:-$build/lib/an/an_cuda.so}"
else
    prefix=$(cd "$here/../.." && pwd) && bin=$prefix/bin python=$here/tests ranks=$here/tests/replicas.py model=$here/tests/gpu-model.py torch=$here/tests/gpu-torch.py
    for module in "$prefix"/lib/an/an_cuda.so "$prefix"/lib/*/an/an_cuda.so; do
        [ -f "$module" ] && tests=${module%/*}/tests && export AN_CUDA_MODULE="${AN_CUDA_MODULE:-$module}" \
            AN_DECODE_MODULE="${AN_DECODE_MODULE:-${module%/*}/an_decode_cuda.so}" && break # from the folder of tests it is not found
    done
fi
[ -x "$bin/an-train" ] || { say "no '$bin/an-train': see $report"; exit 1; }
export AN_BIN_DIR="$bin" XDG_CACHE_HOME="$work/cache" PYTHONDONTWRITEBYTECODE=1 # nothing of what was chosen before, and nothing left
deadline=$(($(date +%s) + ${LIMIT:-285}))

# 16 smooth pictures with a little noise, 128 times, as an IDX file: 16 classes.
pictures() {
    mkdir "$work/idx"
    LC_ALL=C awk 'BEGIN { for (i = 0; i < 16; i++) for (y = 0; y < 256; y++) for (x = 0; x < 256; x++)
        printf "%c", int(120 + 50 * sin(x / (5 + i)) + 40 * cos((x + y) / (9 + i)) + 24 * rand()) }' >"$work/sixteen"
    printf '\000\000\010\003\000\000\010\000\000\000\001\000\000\000\001\000' >"$work/idx/train-images-idx3-ubyte"
    printf '\000\000\010\001\000\000\010\000' >"$work/idx/train-labels-idx1-ubyte"
    for _ in 1 2 3 4 5 6 7 8; do
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
            cat "$work/sixteen" >>"$work/idx/train-images-idx3-ubyte"
            printf '\000\001\002\003\004\005\006\007\010\011\012\013\014\015\016\017' >>"$work/idx/train-labels-idx1-ubyte"
        done
    done
    dataset=$work/data
    step "make pictures" 60 '' "$bin/an-ingest" "$work/idx/train-images-idx3-ubyte" "$dataset"
    rm -rf "$work/idx" "$work/sixteen"
    [ -e "$dataset" ] || { say "no pictures: see $report"; exit 1; }
}

# The pictures as coefficients, which devices decode, in $coef. A large dataset is not written again.
coefficients() {
    coef=''
    [ "$gpus" -gt 0 ] || return
    "$bin/an-ingest" info --json "$dataset" >"$work/info"
    count=$(sed -n 's/^  "records": \([0-9]*\).*/\1/p' "$work/info")
    if [ "$(sed -n '/^  "codecs"/,/}/s/^ *"coef": \([0-9]*\).*/\1/p' "$work/info")" = "$count" ]; then
        coef=$dataset
    elif [ "$count" -gt 50000 ]; then
        skip "the pictures as coefficients" "too many: give a dataset of codec coef"
    else
        step "the pictures as coefficients" 60 '' "$bin/an-ingest" transcode --quiet --codec coef "$dataset" "$work/coef"
        [ ! -e "$work/coef" ] || coef=$work/coef
    fi
}

# The largest usual crop that the images and AlexNet allow; sets crop and network, or ends with the remedy.
choose_crop() {
    side=$("$bin/an-ingest" info --json "$dataset" | sed -n 's/^  "side": \([0-9]*\).*/\1/p')
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

# Measuring chose this often another kernel than before; what it chose is in the report.
compare_choices() {
    for i in 1 2; do
        sed 1d "$work/cache-$i/an/engines.txt" 2>/dev/null | cut -f 1,2 | sort >"$work/chosen-$i"
    done
    say "" "== kernels: microseconds of the chosen one, of the library's favourite, its name"
    sed 1d "$work/cache-1/an/engines.txt" 2>/dev/null | awk -F '\t' '{sub(/^[^:]*: /, "", $1); printf "%9.2f %9.2f  %s  [%s]\n", $3, $4, $1, $2
        c += $3; f += $4} END {printf "%9.2f %9.2f  sum\n", c, f}' >>"$report"
    say "what a second measurement chose otherwise:"
    comm -13 "$work/chosen-1" "$work/chosen-2" >>"$report"
    row "" "" "kernels that a second measurement chose" "$(comm -13 "$work/chosen-1" "$work/chosen-2" | wc -l) of $(wc -l <"$work/chosen-1")"
}

# measure PRECISION BATCH [an-train options]: a step without loading on one device, for the table of times.
measure() {
    precision=$1 batch=$2
    shift 2
    # shellcheck disable=SC2086 # several words
    gpu_step "step without loading: $precision, batch $batch" 30 "$graphs" "$bin/an-train" $common --batch "$batch" --dry-run \
        --devices cuda:0 --precision "$precision" "$@" "$dataset"
    [ "$gpus" -eq 0 ] || sed -n "s/^graphs  *\([0-9.]*\) ms.*/$precision $batch ours \1/p
        s/^speed  *\([0-9.]*\) ms a step.*/$precision $batch slow \1/p" "$work/said" >>"$work/times"
}

# Two ranks on the one GPU, which NCCL allows from 2.30 on. What a machine lacks for that is no failure.
two_ranks() {
    title=$1
    shift
    command -v mpirun >/dev/null || { skip "$title" "no mpirun"; return; }
    gpu_step "$title" 40 "$trained" env NCCL_MULTI_RANK_GPU_ENABLE=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
        OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none sh -c '
            mpirun -np 2 "$@" >"$0" 2>&1
            status=$?
            cat "$0"
            lacks=$(grep -m 1 -o "ranks share a GPU.*\|the NCCL module lacks.*\|NCCL [0-9.]* is too old.*\|which needs MPI.*" "$0")
            [ -z "$lacks" ] || { echo "$lacks" | cut -c 1-90; exit 77; }
            exit $status' "$work/ranks" "$@"
}

# The table of times: ours, PyTorch's, and the model's for an H100, which knows AlexNet at 224 pixels only.
compare_times() {
    awk '{ time[$1 " " $2, $3] = $4; if (!($1 " " $2 in seen)) { seen[$1 " " $2]; order[++n] = $1 " " $2 } }
        function cell(which) { return which ? sprintf("%.2f", which) : "-" }
        END {
            form = "%-12s %9s %14s %17s %14s %10s\n"
            printf form, "ms a step", "ours", "PyTorch eager", "PyTorch compiled", "model (H100)", "ours/model"
            for (i = 1; i <= n; i++) {
                c = order[i]; ours = time[c, "ours"] ? time[c, "ours"] : time[c, "slow"]
                printf form, c, cell(ours), cell(time[c, "eager"]), cell(time[c, "compiled"]), cell(time[c, "model"]), \
                    cell(time[c, "model"] ? ours / time[c, "model"] : 0)
            }
        }' "$work/times"
}

speed='s/^speed  *\(.*\)/\1/p'
graphs='s/^speed .*: \([0-9.]* images.s\),.*/\1/p; s/^graphs  *\(.*\)/\1/p'
loader='s/^  full  *\(.*\)/\1/p'
alone='s/^u8 NHWC *batch *\([0-9]*: *[0-9.]* us (rows [0-9.]*, pixels [0-9.]*)\).*; \([0-9]* images.s\),.*/batch \1, \2/p'
undecoded='s/^  decoding on  *//p; s/^  device  *//p'
trained='s/^speed  *\(.*\)/\1/p; s/^data  *\(.*the network waited.*\)/\1/p; s/^devices  *\(idle.*\)/\1/p; s/^processors  *\(.*\)/\1/p'
held='s/^time .*\(checkpoints .*\)/\1/p; s/^devices  *\(idle.*\)/\1/p'

step "the machine" 10 '' sh -c 'date -u; nproc; uname -sr; sed -n "s/^model name[^:]*: //p" /proc/cpuinfo | sort | uniq -c; free -g | head -2'
step "versions" 10 1p "$bin/an-train" --version
step "devices" 30 '/^cuda/p' "$bin/an-train" --devices list
gpus=$(grep -c '^cuda:' "$work/said")
[ "$gpus" -gt 0 ] || say "NO GPU: $(sed -n 's/^cuda *//p' "$work/said")"
gpu_step "the GPUs" 20 '' sh -c 'command -v nvidia-smi || { echo "no nvidia-smi"; exit 77; }
    nvidia-smi -L && nvidia-smi && { nvidia-smi topo -m || true; }' # containers may not know the topology
[ -n "$dataset" ] || pictures
choose_crop
say "" "network $network, crop $crop, dataset $dataset"
ops=${tests:-}/test_gpu_ops
if [ -x "$ops" ]; then
    gpu_step "every operation against the reference" 90 's/^\[ *\(PASSED\|FAILED\) *\] \(.*test.*\)/\1 \2/p' "$ops"
else
    skip "every operation against the reference" "no test_gpu_ops in '${tests:-}'"
fi

[ ! -x "${tests:-}/gpu_kernels" ] || gpu_step "own kernels of a step" 20 's/^sum  *\(.*\)/\1/p' "$tests/gpu_kernels"

coefficients
decode=${decode:-${tests:-}/test_gpu_decode} lend=${lend:-${tests:-}/test_gpu_lend} bench=${bench:-${tests:-}/bench_gpu_decode}
if [ -x "$decode" ]; then
    gpu_step "decoding on the GPU against the host" 45 's/^\[ *\(PASSED\|FAILED\) *\] \(.*test.*\)/\1 \2/p' "$decode"
else
    skip "decoding on the GPU against the host" "no test_gpu_decode in '${tests:-}'"
fi

if [ -x "$lend" ]; then
    gpu_step "decoded batches, lent to other streams" 30 's/^\[ *\(PASSED\|FAILED\) *\] \(.*test.*\)/\1 \2/p' "$lend"
else
    skip "decoded batches, lent to other streams" "no test_gpu_lend in '${tests:-}'"
fi

[ -z "$coef" ] || [ ! -x "$bench" ] ||
    gpu_step "decoding alone, from and to the GPU's memory" 40 "$alone" "$bench" "$coef"

batches=${BATCHES:-128 512} cases=''
common="--network $network --crop $crop --batch ${batches%% *} --rate 0.0001 --schedule constant" # a rate at which no network diverges: speed is measured
for batch in $batches; do
    for precision in bf16 tf32 fp32; do
        cases="$cases $precision:$batch"
        measure $precision "$batch" "$@"
        [ -d "$work/cache-1" ] || [ ! -d "$work/cache" ] || cp -r "$work/cache" "$work/cache-1" # what the first one chose
    done
done

# shellcheck disable=SC2086
{
    gpu_step "200 steps with loading: cuda:0, bf16" 30 "$trained" "$bin/an-train" $common --devices cuda:0 --precision bf16 --steps 200 \
        "$@" "$dataset"
    if [ -n "$coef" ]; then
        for where in host device; do
            gpu_step "200 steps, decoded by the $where: bf16" 30 "$trained" "$bin/an-train" $common --devices cuda:0 \
                --precision bf16 --steps 200 --decode $where "$@" "$coef"
        done
    fi
    [ -z "$coef" ] || gpu_step "the loader, decoding on the GPU" 30 "$undecoded" "$bin/an-bench-io" --decode device --devices cuda:0 \
        --stage full --rounds 1 --seconds 1 --crop "$crop" --batch "${batches%% *}" "$coef"
    gpu_step "two logical devices on one GPU: bf16" 25 "$graphs" "$bin/an-train" $common --dry-run --devices cuda:0,cuda:0 --precision bf16 \
        "$@" "$dataset"
    gpu_step "40 steps, a checkpoint every 10: bf16" 35 "$held" "$bin/an-train" $common --devices cuda:0 --precision bf16 --steps 40 \
        --save-every 10 --log-every 10 --run "$work/saved" "$@" "$dataset"
    two_ranks "two ranks on one GPU, 100 steps: bf16" "$bin/an-train" $common --devices cuda:0 --precision bf16 --steps 100 "$@" "$dataset"
    if [ "$gpus" -ge 2 ]; then
        for precision in bf16 tf32 fp32; do
            gpu_step "step without loading: cuda:0,cuda:1, $precision" 30 "$graphs" "$bin/an-train" $common --dry-run --devices cuda:0,cuda:1 \
                --precision $precision "$@" "$dataset"
        done
        gpu_step "200 steps with loading: cuda:0,cuda:1, bf16" 30 "$trained" "$bin/an-train" $common --devices cuda:0,cuda:1 \
            --precision bf16 --steps 200 "$@" "$dataset"
    fi
}
rm -rf "$work/saved"

if ! command -v python3 >/dev/null; then
    skip "training as on the CPU, resuming, moving" "no python3"
    skip "decoding on the GPU: training, resuming" "no python3"
    skip "ranks: training as one, resuming, failing" "no python3"
    skip "PyTorch, the same network" "no python3"
elif [ "$gpus" -eq 0 ]; then
    skip "training as on the CPU, resuming, moving" "no GPU"
    skip "decoding on the GPU: training, resuming" "no GPU"
    skip "ranks: training as one, resuming, failing" "no GPU"
    skip "PyTorch, the same network" "no GPU"
else
    step "training as on the CPU, resuming, moving" 75 '$p' python3 "$python/trainer.py" real
    step "decoding on the GPU: training, resuming" 60 '$p' python3 "$python/decode.py" real
    step "ranks: training as one, resuming, failing" 60 '$p' python3 "$ranks" real
    for how in eager compiled; do
        # shellcheck disable=SC2086
        step "PyTorch, the same network: $how" 60 '1p' python3 "$torch" $how 25 $cases
        sed -n "s/^\([a-z0-9]* [0-9]*\) $how \([0-9.]*\) ms.*/\1 $how \2/p" "$work/said" >>"$work/times"
    done
    "$bin/an-ingest" export --quiet --count 2048 "$dataset" "$work/files" >/dev/null 2>&1 # as PNG where there are no JPEGs
    step "nvJPEG, the same pictures whole" 30 's/^nvjpeg \([0-9]*\) \(.*\)/batch \1: \2/p' python3 "$torch" nvjpeg 6 "$work/files" \
        128 512 2048
    rm -rf "$work/files"
fi

# shellcheck disable=SC2086
{
    gpu_step "time of each layer: cuda:0, bf16" 20 's/^sum  *\(.*\)/\1/p' "$bin/an-train" $common --devices cuda:0 --precision bf16 --steps 50 \
        --profile "$@" "$dataset"
    gpu_step "kernels chosen from nothing again" 25 "$speed" env XDG_CACHE_HOME="$work/cache-2" "$bin/an-train" $common \
        --dry-run --devices cuda:0 --precision bf16 "$@" "$dataset"
}
[ "$gpus" -eq 0 ] || compare_choices

PATH=$PATH:/usr/local/cuda/bin
spare=yes # what is not done in time is skipped
for program in "$ops" "$decode" "$lend"; do
    for tool in memcheck racecheck; do
        name="compute-sanitizer, $tool: ${program##*/test_}"
        if [ ! -x "$program" ]; then
            skip "$name" "no ${program##*/} in '${tests:-}'"
        elif ! command -v compute-sanitizer >/dev/null; then
            skip "$name" "no compute-sanitizer"
        else
            gpu_step "$name" 60 's/.*ERROR SUMMARY: //p; s/.*RACECHECK SUMMARY: //p' compute-sanitizer --tool $tool --error-exitcode 1 \
                "$program"
        fi
    done
done
spare=''
step "the loader alone" 25 "$loader" "$bin/an-bench-io" --rounds 1 --seconds 0.5 --warm-up 0.1 --crop "$crop" "$dataset"
if command -v python3 >/dev/null && [ "$network $crop" = "alexnet 224" ]; then
    # shellcheck disable=SC2086
    step "what the model says" 10 '' python3 "$model" $cases
    sed -n 's/^\([a-z0-9]* [0-9]*\) \([0-9.]*\) ms$/\1 model \2/p' "$work/said" >>"$work/times"
fi

if [ -s "$work/warnings" ]; then
    say "" "== warnings, how often" "$(sort "$work/warnings" | uniq -c | sort -rn)"
    row "" "" "warnings: listed above" "$(sort -u "$work/warnings" | wc -l) different ones"
fi
if [ -s "$work/times" ]; then
    say "" "== a step of $network, crop $crop${*:+, with $*}" "$(compare_times)"
fi
say "" "== all steps" "result     time  step                                         figure" "$(cat "$work/table")" ""
say "$failures failures, $skipped steps skipped; $((${LIMIT:-285} - $(left))) s; report in $report"
[ "$failures" -eq 0 ] || exit 1
[ "$skipped" -eq 0 ] || exit 77
