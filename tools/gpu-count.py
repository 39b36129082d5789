#!/usr/bin/python3
"""How many machine instructions our kernels take for a value at most, beside the bytes that they move, and which of the two binds.

    gpu-count.py KERNELS.O [ARCHITECTURE]       build/release/model/cuda/kernels.o, sm_90

Needs the CUDA toolkit's cuobjdump: on PATH, or the file that $CUOBJDUMP names. Counted is the longest way through a kernel that an item
can go, with its loops as often as the table KERNELS says. Left out are ways that call a subroutine (division of numbers beyond 32 bits,
roots of denormal numbers), unless there is no other, and, where a kernel stores 16 bytes at once, ways that do not. Times are those of
AlexNet at batch 128 in bf16: an instruction of a warp a cycle in each of an H100's 528 schedulers, and the bytes of tools/gpu-model.py.
Both are what the hardware can do at best: a kernel that is far slower than both waits, because too few loads are on their way.
"""
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
from collections import namedtuple

sys.dont_write_bytecode = True  # of the model, which is loaded as a module
ISSUED = 528 * 32 * 1.98e9  # instructions/s of threads, at the highest clock
BATCH = 128
Loop = namedtuple("Loop", "begin end")

# Kernel; part and row of the model; items of a launch and values of an item; loads that an item makes in its innermost loops, and how
# often it goes through the loops around these; instructions that are only on ways that AlexNet never goes (powf, where beta is not 3/4).
CONV1, CONV2, POOL1, POOL2 = BATCH * 96 * 55 * 55, BATCH * 256 * 27 * 27, BATCH * 96 * 27 * 27, BATCH * 256 * 13 * 13
KERNELS = [
    ("convert", ("input", "bytes to values"), BATCH * 224 * 224 * 2, 4, 1, 1, None),
    ("lrn", ("conv1", "normalisation"), CONV1 // 8, 8, 1, 1, "FRND"),
    ("lrn_back", ("conv1", "normalisation's gradient"), CONV1 // 8, 8, 1, 1, "FRND"),
    ("pool", ("conv1", "pooling"), POOL1 // 8, 8, 9, 3, None),
    ("pool_back", ("conv1", "pooling's gradient"), CONV1 // 8, 8, 4, 2, None),
    ("lrn", ("conv2", "normalisation"), CONV2 // 8, 8, 1, 1, "FRND"),
    ("lrn_back", ("conv2", "normalisation's gradient"), CONV2 // 8, 8, 1, 1, "FRND"),
    ("pool", ("conv2", "pooling"), POOL2 // 8, 8, 9, 3, None),
    ("pool_back", ("conv2", "pooling's gradient"), CONV2 // 8, 8, 4, 2, None),
    ("slope", ("conv1", "slope, bias sums"), CONV1 // 128, 128, 256, 1, None),
    ("sgd", ("update", "fc6"), 9216 * 4096, 1, 4, 1, None),
]


def model():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gpu-model.py")
    loader = importlib.machinery.SourceFileLoader("gpu_model", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_model", loader))
    loader.exec_module(module)
    return module


def functions(text):
    """(name, instructions) of each kernel in what cuobjdump prints; an instruction is an address and its words."""
    for part in re.split(r"^\s*Function : ", text, flags=re.M)[1:]:
        name, _, body = part.partition("\n")
        found = re.findall(r"/\*([0-9a-f]{4,})\*/\s+([^;/]+?)\s*;", body)
        yield name.strip().removeprefix("an_device_"), [(int(address, 16), words) for address, words in found]


def target(words):
    """Where a branch leads; None: no branch."""
    found = re.search(r"\bBRA(?:\.\S+)? (?:.*, )?`?\(?(0x[0-9a-f]+)", words)
    return int(found[1], 16) if found else None


def is_conditional(words):
    return words.startswith("@") or bool(re.search(r"\b(BRA|EXIT)\S* !?U?P\d", words))


def loops_of(code):
    """Loops within an item: backward branches, apart from the loop over items, which encloses what an item stores."""
    found = [Loop(target(words), address) for address, words in code if target(words) is not None and target(words) < address]
    inside = {loop: [words for address, words in code if loop.begin <= address <= loop.end] for loop in found}

    def over_items(loop):
        return not any(other != loop and other.begin <= loop.begin and loop.end <= other.end for other in found) and \
            any("STG" in words for words in inside[loop])
    return {loop: words for loop, words in inside.items() if not over_items(loop)}


def weights_of(code, loads, turns):
    """How often each instruction is executed."""
    loops, weight = loops_of(code), {address: 1.0 for address, _ in code}
    for loop, words in loops.items():
        if any(other != loop and loop.begin <= other.begin and other.end <= loop.end for other in loops):
            times = turns
        else:
            times = loads / max(1, sum("LDG" in word for word in words)) / (turns if is_within(loop, loops) else 1)  # unrolled: more loads
        for address in weight:
            if loop.begin <= address <= loop.end:
                weight[address] *= max(1.0, times)
    return weight


def is_within(loop, loops):
    return any(other != loop and other.begin <= loop.begin and loop.end <= other.end for other in loops)


def longest(code, loads=1, turns=1, never=None, calls=False):
    """The instructions of the longest way from the first to an end that stores (16 bytes at once, where any do)."""
    weight, place = weights_of(code, loads, turns), {address: i for i, (address, _) in enumerate(code)}
    wanted, none = "STG.E.128" if any("STG.E.128" in words for _, words in code) else "STG", float("-inf")
    best = [[none, none] for _ in range(len(code) + 1)]  # from an instruction on: whether it was stored before
    for i in range(len(code) - 1, -1, -1):
        address, words = code[i]
        to, ends = target(words), re.search(r"\b(EXIT|RET)\b", words)
        if (not calls and "CALL" in words) or "RET" in words or (never and never in words):
            continue
        for seen in (0, 1):
            now = int(seen or wanted in words)
            ways = [0.0] if ends and now else []
            if to is not None and to > address:
                ways.append(best[place[to]][now])
            if is_conditional(words) or not (ends or to is not None):
                ways.append(best[i + 1][now])
            best[i][seen] = weight[address] + max(ways, default=none)
    if best[0][0] == none and not calls:
        return longest(code, loads, turns, never, calls=True)
    return best[0][0]


def disassemble(path, architecture):
    tool = os.environ.get("CUOBJDUMP", "cuobjdump")
    try:
        return subprocess.run([tool, "-arch", architecture, "-sass", path], check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        print(f"no '{tool}': install the CUDA toolkit's (cuda-cuobjdump-13-0), or name it in CUOBJDUMP")
        sys.exit(77)


def rows(kernels):
    """A row for each line of KERNELS whose kernel exists, and one for each kernel without a line."""
    module = model()
    known = {(row.part, row.what): row for design in (module.first, module.second) for row in design("bf16", BATCH)}
    for name, which, items, values, loads, turns, never in KERNELS:
        if name in kernels:
            count, size = longest(kernels[name], loads, turns, never), known[which].bytes
            issued, moved = count * items / ISSUED * 1e6, module.us(size)
            yield (name, ": ".join(which), f"{count:.0f}", f"{count / values:.0f}", f"{issued:.0f} us",
                   f"{size / 1e6:.1f} MB, {moved:.0f} us", "instructions" if issued > moved else "bytes")
    for name in sorted(set(kernels) - {row[0] for row in KERNELS}):
        yield name, "", f"{longest(kernels[name]):.0f}, loops once", "", "", "", ""


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    kernels = dict(functions(disassemble(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "sm_90")))
    print(model().table(("kernel", "as", "instructions an item", "a value", "issued in", "bytes", "bound by"), *rows(kernels)))


if __name__ == "__main__":
    main()
