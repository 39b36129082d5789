#!/usr/bin/env bash
# Attacks the programs with hostile files and prints what that did:
#
#     tools/attack.sh [--short] [--seed S] [--build DIR] [ATTACKER...]
#
# An attacker is a script in tests/attack that takes --count N and --seed S and finds the programs in AN_BIN_DIR. Its last line of the
# form "NAME: 40 variants, 0 crashes, 0 hangs, 0 wrong results" goes into the table. What is lost, beyond a limit or without a message, and
# findings of no kind count as wrong results, too. It exits with 1 after findings, and with 77 where a module is missing. Offending files and the
# attackers' output are kept in DIR/attack. Without --build, the AddressSanitizer build is made first. --short takes less than a minute;
# CTest runs it in that build. Exit status: 0, or 1 after findings or failures.
set -euo pipefail
cd "$(dirname "$0")/.."

# variants: in the short form, in the long one
counts() {
    case $1 in
    payloads) echo "3000 100000" ;;
    structure) echo "30 2000" ;;
    checkpoints) echo "12 600" ;;
    devkits) echo "40 2000" ;;
    tars) echo "40 2000" ;;
    *) echo "20 1000" ;;
    esac
}

short=0 seed=1 build='' wanted=()
while [ $# -gt 0 ]; do
    case $1 in
    --short) short=1 ;;
    --seed) seed=$2 && shift ;;
    --build) build=$2 && shift ;;
    -*) sed -n '2,/^set/s/^# \{0,1\}//p' tools/attack.sh && exit 2 ;;
    *) wanted+=("$1") ;;
    esac
    shift
done
if [ -z "$build" ]; then
    build=build/asan
    cmake --preset asan >/dev/null
    cmake --build --preset asan -- --quiet
fi
if [ ${#wanted[@]} -eq 0 ]; then
    for file in tests/attack/*.py; do
        if grep -q -- --count "$file" && grep -q __main__ "$file"; then
            wanted+=("$(basename "$file" .py)")
        fi
    done
fi

build=$(realpath "$build")
findings=$build/attack
rm -rf "$findings"
mkdir -p "$findings"
export AN_BIN_DIR=$build/bin AN_ATTACK_FINDINGS=$findings PYTHONDONTWRITEBYTECODE=1
export PATH=$AN_BIN_DIR:$PATH
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1:allocator_may_return_null=1}
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$PWD/tests/lsan.supp:print_suppressions=0}
# Debian's own Python, which sees Debian's modules; another one first in PATH would not.
python=/usr/bin/python3
[ -x "$python" ] || python=python3

# The number before a word in the summary line on standard input; 0 if it is not there.
number() {
    local found
    found=$({ grep -oE "[0-9]+ $1" || true; } | head -n 1 | cut -d ' ' -f 1)
    echo "${found:-0}"
}

rows=() failures=0
for name in "${wanted[@]}"; do
    read -r few many <<<"$(counts "$name")"
    count=$many
    [ "$short" -eq 0 ] || count=$few
    log=$findings/$name.log status=0 start=$SECONDS
    "$python" "tests/attack/$name.py" --count "$count" --seed "$seed" >"$log" 2>&1 || status=$?
    summary=$(grep -E "^$name: [0-9]+ variants" "$log" | tail -n 1 || true)
    all=$({ grep -oE '[0-9]+ (crash|hang|wrong|loss|beyond|without|finding)' || true; } <<<"$summary" | awk '{ sum += $1 } END { print sum + 0 }')
    crashes=$(number crash <<<"$summary") hangs=$(number hang <<<"$summary")
    note=''
    case $status in
    0 | 1)
        [ -n "$summary" ] || note='no summary'
        [ "$status" -eq "$((all > 0))" ] || note="exit status $status"
        ;;
    77) note='skipped: a module is missing' ;;
    *) note="failed: exit status $status" ;;
    esac
    if [ "$status" -ne 77 ] && { [ "$status" -ne 0 ] || [ "$all" -ne 0 ] || [ -z "$summary" ]; }; then
        failures=$((failures + 1))
        tail -n 30 "$log"
    fi
    rows+=("$(printf '%-14s %9s %8s %6s %14s %8s  %s' "$name" "$(number variants <<<"$summary")" "$crashes" "$hangs" \
        "$((all - crashes - hangs))" "$((SECONDS - start))" "$note")")
done

printf '%-14s %9s %8s %6s %14s %8s\n' attacker variants crashes hangs 'wrong results' seconds
printf '%s\n' "${rows[@]}"
[ "$failures" -eq 0 ] || echo "offending files and output: $findings"
[ "$failures" -eq 0 ]
