#!/usr/bin/python3
"""How many machine instructions our kernels take for a value at most, beside the bytes that they move, and which of the two binds.

    gpu-count.py KERNELS.O [ARCHITECTURE]       build/release/model/cuda/kernels.o, sm_90

Needs the CUDA toolkit's cuobjdump: on PATH, or the file that $CUOBJDUMP names. Counted is the longest way through a kernel that an item
can go, with its loops as often as the table KERNELS says. Left out are ways that call a subroutine (division of numbers beyond 32 bits,
roots of denormal numbers), unless there is no other, and, where a kernel stores 16 bytes at once, ways that do not. bf16 takes longer
ways than fp32, as its 16 bytes hold twice as many values. Times are those of AlexNet at batch 128 in bf16: an instruction of a warp a
cycle in each of an H100's 528 schedulers, and the bytes of tools/gpu-model.py. Both are what the hardware can do at best: a kernel that
is far slower than both waits, because too few loads are on their way.
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

# row: part and row of the model; items: of a launch; values: that the table counts instructions for; loads: that an item makes in its
# innermost loops; turns: how often it goes through the loops around these, or through loops from the outermost to the innermost; never: instructions that are only on ways, and in loops, that
# AlexNet in bf16 does not take; through: an instruction that the way meets, and how often.
Kernel = namedtuple("Kernel", "name row items values loads turns never through", defaults=(1, 1, None, None))
PROCESSORS, SUMMING = 132, 132 * 512  # threads that the kernels with sums are made for (model/cuda/layers/slope.c)
GROUP = 8  # channels of a thread


def peaks(name, row, channels, h, oh):
    """Two rows of y, across columns of it (model/cuda/layers/peaks.c), in 2 windows + 1 steps; normalised, a step loads neighbours too."""
    whole = BATCH * ((oh + 1) // 2) * channels // GROUP
    across = min(range(oh, 0, -1), key=lambda a: -(-whole * -(-oh // a) // SUMMING) * (2 * a + 1))
    parts = -(-oh // across)
    steps = (2 * oh + parts) / parts
    return Kernel(name, row, whole * parts, BATCH * channels * h * h, steps * (15 if name == "lrn_peaks" else 5))


def peaks_back(name, row, channels, h):
    """Chunks of blocks of 2 x 2 pixels, in each of which a row of pixels follows the other. They are covered by windows of two rows, and of
    one. The way that adds to what is there is the longest; AlexNet takes the other one, which has 50 instructions less a row."""
    blocks, groups = BATCH * ((h + 1) // 2) ** 2, channels // GROUP
    chunks = min(SUMMING // groups, (blocks + 1) // 2)
    return Kernel(name, row, chunks * groups, BATCH * channels * h * h, 1, (blocks / chunks, 2, 1.5))


def slope(row, channels, h):
    """Four rows of y and of its gradient a step. Activations other than ReLU are told apart in the loop."""
    rows, groups = BATCH * h * h, channels // GROUP
    chunks = SUMMING // groups
    return Kernel("slope", row, chunks * groups, rows * channels, 8 * -(-rows // (4 * chunks)), 1, r"ISETP\.NE.*, 0x[23], PT")


GRADIENT, CONVERTED = "gradient of both, slope, bias sums", BATCH * 57 * 57 * 48
KERNELS = [
    # in the middle of an image: six times four means
    Kernel("convert_pairs", ("input", "bytes to blocks of values"), CONVERTED // 24, CONVERTED, 1, 1, r"LD\.E\.U8", ("LD.E.128", 6)),
    peaks("lrn_peaks", ("conv1", "normalisation, pooling"), 96, 55, 27),
    peaks_back("lrn_peaks_back", ("conv1", GRADIENT), 96, 55),
    peaks("lrn_peaks", ("conv2", "normalisation, pooling"), 256, 27, 13),
    peaks_back("lrn_peaks_back", ("conv2", GRADIENT), 256, 27),
    slope(("conv3", "slope, bias sums"), 384, 13),
    peaks("peaks", ("conv5", "pooling"), 256, 13, 6),
    peaks_back("peaks_back", ("conv5", "pooling's gradient, slope, bias sums"), 256, 13),
    Kernel("sgd", ("update", "fc6"), 9216 * 4096, 9216 * 4096, 4),
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
    return words.startswith("@") or "BRA.DIV" in words or bool(re.search(r"\b(BRA|EXIT)\S* !?U?P\d", words))


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
        if isinstance(turns, tuple):
            around = sum(other != loop and other.begin <= loop.begin and loop.end <= other.end for other in loops)
            times = turns[around] if around < len(turns) else 1
        elif any(other != loop and loop.begin <= other.begin and other.end <= loop.end for other in loops):
            times = turns
        else:
            times = loads / max(1, sum("LDG" in word for word in words)) / (turns if is_within(loop, loops) else 1)  # unrolled: more loads
        for address in weight:
            if loop.begin <= address <= loop.end:
                weight[address] *= max(1.0, times)
    return weight


def is_within(loop, loops):
    return any(other != loop and other.begin <= loop.begin and loop.end <= other.end for other in loops)


def longest(code, loads=1, turns=1, never=None, through=None, calls=False):
    """The instructions of the longest way from the first to an end that stores (16 bytes at once, where any do)."""
    weight, place = weights_of(code, loads, turns), {address: i for i, (address, _) in enumerate(code)}
    wanted, none = "STG.E.128" if any("STG.E.128" in words for _, words in code) else "STG", float("-inf")
    met, often = through or ("", 0)
    left_out = [loop for loop, words in loops_of(code).items() if never and any(re.search(never, word) for word in words)]
    states = [(stored, times) for stored in (0, 1) for times in range(often + 1)]
    best = [dict.fromkeys(states, none) for _ in range(len(code) + 1)]  # from an instruction on: by what the way has met before
    for i in range(len(code) - 1, -1, -1):
        address, words = code[i]
        to, ends = target(words), re.search(r"\b(EXIT|RET)\b", words)
        if (not calls and "CALL" in words) or "RET" in words or (never and re.search(never, words)) or \
                any(loop.begin <= address <= loop.end for loop in left_out):
            continue
        for stored, times in states:
            now = int(stored or wanted in words), min(often, times + (met in words))
            ways = [0.0] if ends and now == (1, often) else []
            if to is not None and to > address:
                ways.append(best[place[to]][now])
            if is_conditional(words) or not (ends or to is not None):
                ways.append(best[i + 1][now])
            best[i][stored, times] = weight[address] + max(ways, default=none)
    if best[0][0, 0] == none and not calls:
        return longest(code, loads, turns, never, through, calls=True)
    return best[0][0, 0]


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
    for kernel in KERNELS:
        if kernel.name in kernels:
            count, size = longest(kernels[kernel.name], *kernel[4:]), known[kernel.row].bytes
            issued, moved = count * kernel.items / ISSUED * 1e6, module.us(size)
            yield (kernel.name, ": ".join(kernel.row), f"{count:.0f}", f"{count * kernel.items / kernel.values:.1f}", f"{issued:.1f} us",
                   f"{size / 1e6:.1f} MB, {moved:.0f} us", "instructions" if issued > moved else "bytes")
    for name in sorted(set(kernels) - {kernel.name for kernel in KERNELS}):
        yield name, "", f"{longest(kernels[name]):.0f}, loops once", "", "", "", ""


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    kernels = dict(functions(disassemble(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "sm_90")))
    print(model().table(("kernel", "as", "instructions an item", "a value", "issued in", "bytes", "bound by"), *rows(kernels)))


if __name__ == "__main__":
    main()
