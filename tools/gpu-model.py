#!/usr/bin/python3
"""What a training step of AlexNet at 224 pixels costs on a GPU: from kernels that were timed on an H100, and from bytes and the speed of
its memory for what was not.

    gpu-model.py                        the tables of docs/gpu.md
    gpu-model.py PRECISION:BATCH...     milliseconds of a step on an H100, a line each: bf16:128 tf32:512

Nothing is fitted to the time of a whole step. Each row says where its time comes from:
    timed   the kernel was measured in bf16 at batch 128, in this program or (PyTorch) the same convolution in PyTorch
    scaled  the same, brought to another batch or precision (functions conv, dense and own)
    bytes   what the kernel reads and writes, at the speed at which the H100 copied memory
    flop    fp32 arithmetic, at a share of the peak
    gap     between launches that were not timed
"""
import sys
from collections import namedtuple

SIDE, MEAN_SIDE, BATCH = 224, 256, 128  # BATCH: that of the timed kernels
MEMORY = 2.99e12        # bytes/s of a copy, read and written
LINK = 54e9             # bytes/s from pinned memory
GAP = 100 / 58          # us: a graph saves 0.1 ms for 58 launches; what is left between two is taken to be as much
FP32 = 0.45 * 66.9e12   # operations/s. The share is cuda-convnet2's on a Titan X, taken before there was an H100
VALUE = {"bf16": 2, "tf32": 4, "fp32": 4}  # bytes
SUMMING = 132 * 512     # threads that sum a bias's gradient: each writes sums of as many channels as fit into 16 bytes

Layer = namedtuple("Layer", "name channels side outputs to window groups pooled normalised")
Row = namedtuple("Row", "part what us bytes source")
CONVOLUTIONS = [
    Layer("conv1", 3, 224, 96, 55, 11, 1, 27, True),
    Layer("conv2", 96, 27, 256, 27, 5, 2, 13, True),
    Layer("conv3", 256, 13, 384, 13, 3, 1, 0, False),
    Layer("conv4", 384, 13, 384, 13, 3, 2, 0, False),
    Layer("conv5", 384, 13, 256, 13, 3, 2, 6, False),
]
IN_BLOCKS = [Layer("conv1", 48, 57, 96, 55, 3, 1, 27, True)] + CONVOLUTIONS[1:]  # conv1 reads blocks of 4 x 4 pixels
DENSE = [("fc6", 9216, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 1000)]

# Microseconds on the H100, bf16, batch 128. FIRST, commit d5f9f79: convolutions and products forward, data gradient, weight gradient (of
# products both together) by the program's own measuring of kernels, all others by --profile. SECOND: the same convolutions in PyTorch.
FIRST = {
    "conv1": (934, 0, 359), "conv2": (315, 286, 314), "conv3": (68, 55, 57), "conv4": (117, 95, 119), "conv5": (66, 66, 119),
    "fc6": (36, 94), "fc7": (15, 46), "convert": 530, "norm1": (110, 130), "norm2": (70, 90), "pool1": (70, 110), "pool2": (50, 60),
}
UPDATES = {"fc6": 300, "fc7": 130}
# (nothing but the convolution, engines that need not be deterministic, numbers that are not all equal).
SECOND = {"conv1": (100, 0, 137), "conv2": (138, 201, 165), "conv3": (68, 59, 60), "conv4": (80, 72, 82), "conv5": (48, 52, 63)}
MEASURED = {("bf16", 128): 5.57, ("bf16", 512): 18.07, ("tf32", 128): 8.55, ("fp32", 128): 19.56}  # ms a step, first design
AIMS = {("bf16", 128): 3.0, ("bf16", 512): 9.5, ("tf32", 128): 5.0, ("fp32", 128): 12.0}
PASSES = ("forward", "data gradient", "weight gradient")

# Nominal operations/s of bf16 (of fp32 on the GTX 580) and bytes/s of memory; bytes/s to the other device and from the host, one way.
DEVICES = {
    "H100": (989e12, 3350e9, 400e9, LINK),
    "A100": (312e12, 2039e9, 270e9, 25e9),
    "B200": (2250e12, 8000e9, 800e9, 50e9),
    "GTX 580": (1.58e12, 192e9, 6e9, 6e9),
}
MARGIN = 0.7  # this much of the assumed shares brings the model to the paper's time on its two GTX 580
LOADER = {"jpeg": 58480 / 16, "coef": 206580 / 16}  # images/s of one of the H100 machine's 16 processors, all at work
RECORD = 23600          # bytes of a photograph of 256 pixels in codec coef, on the average
DECODE_ISSUED = 32.5    # us of a batch of 128: its instructions at an instruction a cycle and scheduler (tools/gpu-count-decode.py)
DECODE_AIM = 120        # us of a batch of 128, if nothing hides it
HOST_AIM = 3            # us of a processor an image, for reading, checking and moving undecoded records
CROSSING = 2 * 128 * 13 * 13 + 2 * 128 * 6 * 6 + 2 * 2048 + 2048  # values an image between two devices: conv3, fc6, fc7, fc8


def us(size):
    return size / MEMORY * 1e6


def moved(part, what, size):
    return Row(part, what, us(size), size, "bytes")


def conv(layer, times, precision, batch, where):
    """tf32 has half the rate of bf16 and twice its bytes; time grows with the batch. In fp32 nothing was timed: operations count."""
    rows = []
    flop = 2 * batch * layer.outputs * layer.to**2 * layer.window**2 * layer.channels // layer.groups
    size = batch * (layer.channels * layer.side**2 + layer.outputs * layer.to**2) * VALUE[precision]
    for what, time in zip(PASSES, times):
        if time and precision == "fp32":
            rows.append(Row(layer.name, what, flop / FP32 * 1e6, size, "flop"))
        elif time:
            factor = batch / BATCH * (1 if precision == "bf16" else 2)
            rows.append(Row(layer.name, what, time * factor, size, where if factor == 1 else "scaled"))
    return rows


def own(part, what, time, size_of, precision, batch):
    """A kernel of our own that was timed: as its bytes grow."""
    size = size_of(VALUE[precision], batch)
    factor = size / size_of(2, BATCH)
    return Row(part, what, time * factor, size, "timed" if factor == 1 else "scaled")


def dense(precision, batch):
    """Weights (read; read, and the gradient written) take as long as their bytes do; what is timed beyond that grows with the batch."""
    rows, value = [], VALUE[precision]
    for name, inputs, outputs in DENSE:
        weights, images = inputs * outputs, batch * (inputs + outputs)
        for index, (what, gradient, products) in enumerate((("forward", 0, 1), ("gradients", 4, 2))):
            size = weights * (value + gradient) + products * images * value
            if precision == "fp32":
                rows.append(Row(name, what, max(2 * batch * weights * products / FP32 * 1e6, us(size)), size, "flop"))
            elif name in FIRST:
                rest = max(0, FIRST[name][index] - us(weights * (2 + gradient))) * batch / BATCH * value / 2
                exact = precision == "bf16" and batch == BATCH
                rows.append(Row(name, what, us(weights * (value + gradient)) + rest, size, "timed" if exact else "scaled"))
            else:
                rows.append(moved(name, what, size))
    return rows


def update(precision, layers):
    """Weights and momentum read and written, the gradient read, in bf16 a copy written; that of convolutions' weights is bf16 there.
    The gradient's writing, 4 bytes more, is part of the fully connected layers' gradients."""
    rows, copy, rest = [], 2 if precision == "bf16" else 0, 0
    for name, inputs, outputs in DENSE:
        size = inputs * outputs * (20 + copy)
        rest += 0 if name in UPDATES else size
        if name in UPDATES:
            factor = (20 + copy) / 22
            rows.append(Row("update", name, UPDATES[name] * factor, size, "timed" if factor == 1 else "scaled"))
    for layer in layers:
        weights = layer.outputs * layer.window**2 * layer.channels // layer.groups
        rest += weights * (16 + VALUE[precision] + copy)
    return rows + [moved("update", "the others", rest)]


def small(precision, batch):
    """Dropout, loss, and the slopes and bias sums of fully connected layers: (values, bytes each)."""
    value = VALUE[precision]
    size = batch * (2 * 4096 * 2 * (2 * value + 1) + 2 * 4096 * 3 * value + 1000 * (4 * 4 + 2 * value))
    return moved("fc6 to fc8", "dropout, loss, slopes, bias sums", size)


def shapes(layer):
    """Values of a convolution's output and of its pooled output, an image."""
    return layer.outputs * layer.to**2, layer.outputs * layer.pooled**2


def first(precision, batch):
    """The step that was measured: every operation a kernel."""
    value = VALUE[precision]
    rows = [own("input", "bytes to values", FIRST["convert"], lambda v, n: n * SIDE**2 * (3 + 16), precision, batch)]
    for layer in CONVOLUTIONS:
        y, p = shapes(layer)
        rows += conv(layer, FIRST[layer.name], precision, batch, "timed")
        rows.append(moved(layer.name, "slope, bias sums", batch * 3 * y * value))
        if layer.normalised:
            times = FIRST[layer.name.replace("conv", "norm")]
            rows.append(own(layer.name, "normalisation", times[0], lambda v, n, y=y: n * y * (2 * v + 4), precision, batch))
            rows.append(own(layer.name, "normalisation's gradient", times[1], lambda v, n, y=y: n * y * (3 * v + 4), precision, batch))
        if layer.pooled:
            times = FIRST.get(layer.name.replace("conv", "pool"))
            for index, what in enumerate(("pooling", "pooling's gradient")):
                if times:
                    rows.append(own(layer.name, what, times[index], lambda v, n, y=y, p=p: n * (y * v + p * (v + 1)), precision, batch))
                else:
                    rows.append(moved(layer.name, what, batch * (y * value + p * (value + 1))))
    rows += dense(precision, batch) + [small(precision, batch)] + update(precision, CONVOLUTIONS)
    return rows + [Row("all", "28 launches that were not timed", 28 * GAP, 0, "gap")]


def sums(value):
    """The partial sums of a bias's gradient, floats: written, and read by the kernel that adds them up."""
    return 2 * SUMMING * 16 // value * 4


def second(precision, batch):
    """conv1 of blocks; split layers as two halves; normalisation, pooling, slope and bias sums in one pass over memory each way."""
    value, blocks = VALUE[precision], IN_BLOCKS[0]
    size = batch * (SIDE**2 * 3 + blocks.channels * blocks.side**2 * value) + MEAN_SIDE**2 * 3 * 4
    rows = [moved("input", "bytes to blocks of values", size)]
    for layer in IN_BLOCKS:
        y, p = shapes(layer)
        what = "normalisation, pooling" if layer.normalised else "pooling"
        rows += conv(layer, SECOND[layer.name], precision, batch, "PyTorch")
        if layer.pooled:
            rows.append(moved(layer.name, what, batch * (y * value + p * (value + 1))))
            gradient = "gradient of both" if layer.normalised else "pooling's gradient"
            rows.append(moved(layer.name, f"{gradient}, slope, bias sums", batch * (2 * y * value + p * (value + 1)) + sums(value)))
        else:
            rows.append(moved(layer.name, "slope, bias sums", batch * 3 * y * value + sums(value)))
    rows += dense(precision, batch) + [small(precision, batch)] + update(precision, IN_BLOCKS)
    return rows + [Row("all", "35 launches that were not timed", 35 * GAP, 0, "gap")]


def copy(batch, link=LINK):
    """us that a batch's images take from pinned memory, beside the step."""
    return batch * (SIDE**2 * 3 + 24) / link * 1e6


def decoding(batch):
    """Records to bytes on the device. What lies between the two kernels, samples of Y, Cb and Cr, stays in the cache: 22 MB at 128."""
    return [moved("decode", "records, to samples of Y, Cb and Cr", batch * RECORD),
            moved("decode", "samples, to bytes", batch * SIDE**2 * 3)]


def step(rows, batch):
    """Milliseconds: the images' copy is hidden unless it is the longer of the two."""
    return max(sum(row.us for row in rows), copy(batch)) / 1e3


def reach():
    """The least share of the memory's speed that a pooling kernel of the first design reached."""
    rows = [row for row in first("bf16", BATCH) if row.source == "timed" and row.what in ("pooling", "pooling's gradient")]
    return min(row.bytes / row.us for row in rows) / MEMORY * 1e6


def slow(rows):
    """The same step where our kernels beside the convolutions reach no more than that."""
    parts = {"input", *(layer.name for layer in CONVOLUTIONS)}
    return [row._replace(us=row.us / reach()) if row.source == "bytes" and row.part in parts else row for row in rows]


def on(device, rows, margin):
    """An estimate: convolutions as the nominal peaks, of which margin is reached; all else as the nominal speeds of memory."""
    peak, memory = DEVICES[device][:2]
    arithmetic, bytes_ = DEVICES["H100"][0] / peak / margin, DEVICES["H100"][1] / memory
    out = []
    for row in rows:
        if row.source == "flop":
            factor = FP32 / (0.45 * peak) / margin
        elif row.source == "gap":
            factor = 1
        else:
            factor = arithmetic if row.part.startswith("conv") and row.what in PASSES else bytes_
        out.append(row._replace(us=row.us * factor))
    return out


def seconds(device, count, margin):
    """Of a step on one or two devices: two share the work and wait for what they send each other."""
    precision, design = ("fp32", first) if device == "GTX 580" else ("bf16", second)
    rows = on(device, design(precision, BATCH), margin)
    gaps = sum(row.us for row in rows if row.source == "gap")
    crossing = 2 * CROSSING * BATCH * VALUE[precision] / 2 / DEVICES[device][2] if count == 2 else 0
    return ((sum(row.us for row in rows) - gaps) / count + gaps) / 1e6 + crossing


def span(low, high, form):
    return f"{low:{form}} to {high:{form}}"


def table(*rows):
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0])] + lines[1:])


def share(rows, *sources):
    return f"{100 * sum(row.us for row in rows if row.source in sources) / sum(row.us for row in rows):.0f} %"


def compared():
    """The first design's step, measured and by the model."""
    out = [("first design", "measured", "model", "", "timed", "scaled", "by bytes", "by operations")]
    for (precision, batch), measured in MEASURED.items():
        rows = first(precision, batch)
        says = step(rows, batch)
        out.append((f"{precision}, {batch}", f"{measured:.2f} ms", f"{says:.2f} ms", f"{100 * (says / measured - 1):+.1f} %",
                    share(rows, "timed"), share(rows, "scaled"), share(rows, "bytes", "gap"), share(rows, "flop")))
    return table(*out)


def listed():
    """The second design, kernel by kernel."""
    cases = list(AIMS)
    columns = [second(*case) for case in cases]
    out = [("part", "what", "MB", "from", *(f"us: {precision}, {batch}" for precision, batch in cases))]
    for rows in zip(*columns):
        row = rows[0]
        out.append((row.part, row.what, f"{row.bytes / 1e6:.1f}" if row.bytes else "", row.source, *(f"{r.us:.0f}" for r in rows)))
    return table(*out, ("sum", "", "", "", *(f"{sum(row.us for row in rows):.0f}" for rows in columns)))


def totals():
    """The second design beside the aims, and what it asks of the loader."""
    out = [("second design", "aim", "model", f"own kernels at {100 * reach():.0f} %", "convolutions", "update", "images/s",
            "processors for jpeg", "for coef", "images' copy, hidden")]
    for (precision, batch), aim in AIMS.items():
        rows = second(precision, batch)
        says, total = step(rows, batch), sum(row.us for row in rows)
        passes = sum(row.us for row in rows if row.part.startswith("conv") and row.what in PASSES)
        updates = sum(row.us for row in rows if row.part == "update")
        rate = batch / says * 1e3
        out.append((f"{precision}, {batch}", f"{aim:.1f} ms", f"{says:.2f} ms", f"{step(slow(rows), batch):.2f} ms",
                    f"{100 * passes / total:.0f} %", f"{100 * updates / total:.0f} %", f"{rate:,.0f}",
                    *(f"{rate / LOADER[codec]:.1f}" for codec in ("jpeg", "coef")), f"{copy(batch) / 1e3:.2f} ms"))
    return table(*out)


def decoded():
    """The second design where the device decodes. Nothing is taken to hide the decoding: the step is the longer by all of it."""
    out = [("second design, `--decode device`", "decoding by bytes", "by instructions", "a step then", "more", "images/s", "more with the aim",
            "images' copy, hidden", "processors for coef")]
    for precision, batch in AIMS:
        rows, says = second(precision, batch), decoding(batch)
        before, moves, issued = step(rows, batch), sum(row.us for row in says), DECODE_ISSUED * batch / BATCH
        after, aim = before + max(moves, issued) / 1e3, DECODE_AIM * batch / BATCH / 1e3
        block = batch * (RECORD + 40)
        out.append((f"{precision}, {batch}", f"{sum(row.bytes for row in says) / 1e6:.1f} MB, {moves:.0f} us", f"{issued:.0f} us", f"{after:.2f} ms",
                    f"{100 * (after / before - 1):.1f} %", f"{batch / after * 1e3:,.0f}", f"{100 * aim / before:.1f} %",
                    f"{copy(batch) / 1e3:.2f} to {block / LINK * 1e3:.2f} ms",
                    f"{batch / before * 1e3 / LOADER['coef']:.1f} to {batch / after * 1e3 * HOST_AIM / 1e6:.2f}"))
    return table(*out)


def estimates():
    """Devices that nobody measured, and the paper's."""
    out = [("estimate", "step, one", "images/s", "step, two", "images/s", "between devices", "images' copy")]
    for device, (_, _, link, bus) in DEVICES.items():
        one, two = ([seconds(device, count, margin) for margin in (1, MARGIN)] for count in (1, 2))
        crossing = 2 * CROSSING * BATCH * VALUE["fp32" if device == "GTX 580" else "bf16"]
        out.append((device, span(one[0] * 1e3, one[1] * 1e3, ".2f") + " ms", span(BATCH / one[1], BATCH / one[0], ",.0f"),
                    span(two[0] * 1e3, two[1] * 1e3, ".2f") + " ms", span(BATCH / two[1], BATCH / two[0], ",.0f"),
                    f"{crossing / 1e6:.1f} MB, {crossing / 2 / link * 1e3:.2f} ms", f"{copy(BATCH, bus) / 1e3:.2f} ms"))
    return table(*out)


def check():
    """The paper's two GTX 580, for which a time is known: what it says about the share of the peak."""
    passes, images, days = 90, 1.2e6, (6, 5)
    low, high = (passes * images / (d * 86400) for d in days)
    reached = [margin / 1000 for margin in range(1, 1001) if low <= BATCH / seconds("GTX 580", 2, margin / 1000) <= high]
    assert reached[0] <= MARGIN <= reached[-1], "MARGIN must bring the paper's machine into the paper's time"
    return (f"The paper's two GTX 580 made {low:.0f} to {high:.0f} images/s. The model says so where convolutions reach "
            f"{45 * reached[0]:.0f} to {45 * reached[-1]:.0f} % of the peak; with 45 % it says {BATCH / seconds('GTX 580', 2, 1):.0f}.")


def main():
    for case in sys.argv[1:]:
        precision, batch = case.split(":")
        print(f"{precision} {batch} {step(second(precision, int(batch)), int(batch)):.2f} ms")
    if len(sys.argv) == 1:
        print(compared(), listed(), totals(), decoded(), estimates(), check(), sep="\n\n")


if __name__ == "__main__":
    main()
