#!/usr/bin/python3
"""How many machine instructions decoding a batch takes on a GPU, the bytes that it moves, and how long that is at least.

    gpu-count-decode.py KERNELS.O [ARCHITECTURE]       build/release/augment/cuda/kernels.o, sm_90

Needs cuobjdump, as gpu-count.py does. The batch is 128 photographs of 256 pixels, 4:2:0, quality 90, and crops of 224 pixels, RGB bytes.
Counted is the longest way through a kernel that does not go through what such photographs do not need (rows of more than 32 blocks, values of
more than a byte, other samplings), with its loops as often as PHOTOGRAPH says. Loops are told apart by what is in them.
"""
import importlib.machinery
import importlib.util
import os
import sys
from collections import namedtuple

sys.dont_write_bytecode = True

# A row of blocks: how many a crop of 224 pixels touches in a sample, on the mean over its places; blocks of it that the crop needs; values.
# The values are means over 500 photographs of ImageNet.
Row = namedtuple("Row", "name rows blocks values")
PHOTOGRAPH = [Row("luma", 28.9, 28.9, 697), Row("chroma", 2 * 15.0, 15.0, 83)]
SAMPLES, SIDE, CROP, PAYLOAD = 128, 256, 224, 23581  # PAYLOAD: bytes, the mean of the same photographs
PATCHES = SAMPLES * (CROP // 8) ** 2  # threads of the kernel pixels
LENGTHS = 64  # rows of blocks in a payload
CLOCK, SCHEDULERS, MEMORY = 1.755e9, 528, 2.99e12  # an H100's clock under load, and what a copy was seen to move in a second


def counter():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gpu-count.py")
    loader = importlib.machinery.SourceFileLoader("gpu_count", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_count", loader))
    loader.exec_module(module)
    return module


def has(words, *parts):
    return all(any(part in word for word in words) for part in parts)


def turns_of_rows(words, row):
    """How often a loop of the kernel rows is gone through; None: not at all."""
    if has(words, "LDS.S16", "LDS.128"):
        return None  # more than 32 blocks
    if has(words, "LDS.S16"):
        return -(-row.blocks // 4)  # the inverse DCT of four blocks
    if has(words, "LDS.S8") and not has(words, "LDS.128"):
        return None  # counts values of more than a byte
    if has(words, "LDS.128"):
        return None if has(words, "LDG") else row.blocks  # the coefficients of a block
    if has(words, "SHFL.UP", "STS"):
        return -(-row.values // 128)
    return LENGTHS / 32 if has(words, "LDG.E.U16") else 1


def turns_of_pixels(words, _):
    return 8 if has(words, "STG") else 1


# In pixels: bytes at the picture's edges and into crops that are not a multiple of eight; chroma that is not halved or only repeated.
NEVER = ("STG.E.U8", "LDG.E.U8", ", 0xffffff80, ")


def weights(count, code, turns, row):
    """How often each instruction is executed; those that never are, are left out. A branch back from code that the compiler keeps behind
    the kernel has no condition, unlike that of a loop."""
    found = [(count.target(words), address) for address, words in code
             if count.is_conditional(words) and count.target(words) is not None and count.target(words) < address]
    result = {address: 1.0 for address, _ in code}
    for begin, end in found:
        inside = [words for address, words in code if begin <= address <= end]
        times = turns(inside, row)
        for address in result:
            if begin <= address <= end:
                result[address] = 0.0 if times is None else result[address] * times
    return result


def longest(count, code, weight):
    """Instructions of the longest way from the first one to an end."""
    place, none = {address: i for i, (address, _) in enumerate(code)}, float("-inf")
    best = [none] * (len(code) + 1)
    for i in range(len(code) - 1, -1, -1):
        address, words = code[i]
        to, ends = count.target(words), "EXIT" in words
        if weight[address] == 0.0 or "CALL" in words or "RET" in words:
            continue
        ways = [0.0] if ends else []
        if to is not None and to > address and "BRA.DIV" not in words:
            ways.append(best[place[to]])
        if count.is_conditional(words) or not (ends or to is not None):
            ways.append(best[i + 1])
        best[i] = weight[address] + max(ways, default=none)
    return best[0]


def rows(count, kernels):
    code, whole = kernels["an_decode_rows"], 0.0
    for row in PHOTOGRAPH:
        each = longest(count, code, weights(count, code, turns_of_rows, row))
        whole += each * row.rows
        yield f"rows, {row.name}", f"{row.rows:.1f} warps", f"{each:.0f}", f"{each * row.rows / 1e3:.0f} k", issued(each * row.rows * SAMPLES)
    code = kernels["an_decode_pixels"]
    weight, first = weights(count, code, turns_of_pixels, None), next(address for address, words in code if "LDG.E.U8" in words)
    weight |= {address: 0.0 for address, words in code if address > first and any(part in words for part in NEVER)}
    each = longest(count, code, weight)
    warps = PATCHES / SAMPLES / 32
    yield "pixels", f"{warps:.1f} warps", f"{each:.0f}", f"{each * warps / 1e3:.0f} k", issued(each * warps * SAMPLES)
    yield "both", "", "", f"{(whole + each * warps) / 1e3:.0f} k", issued((whole + each * warps) * SAMPLES)


def issued(instructions):
    return f"{instructions / (SCHEDULERS * CLOCK) * 1e6:.1f} us"


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    count = counter()
    kernels = dict(count.functions(count.disassemble(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "sm_90")))
    print(count.model().table(("kernel", "a sample", "instructions of a warp", "of a sample", "a batch issued in"), *rows(count, kernels)))
    moved = SAMPLES * (PAYLOAD + 3 * CROP * CROP)
    print(f"\nMemory: {moved / 1e6:.1f} MB of payloads and samples, {moved / MEMORY * 1e6:.1f} us; the planes between the two kernels stay in "
          "the L2 cache.")


if __name__ == "__main__":
    main()
