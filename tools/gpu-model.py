#!/usr/bin/python3
"""What a training step of AlexNet costs on a GPU, from floating point operations, bytes and link speeds: a model, not a measurement.

Each operation takes the longer of its arithmetic at a share of the peak and its traffic at a share of the memory's speed; launches
come on top. docs/gpu.md explains the assumptions.
"""
BATCH = 128
LAUNCH = 4e-6  # seconds from one kernel's end to the next one's start, queued ahead

# name: peak operations/s of the type, memory bytes/s, bytes/s to the other device and from the host (one way), bytes a value,
# shares of peak reached by convolutions, by fully connected layers and by the memory
DEVICES = {
    "GTX 580": (1.58e12, 192e9, 6e9, 6e9, 4, 0.45, 0.45, 0.75),
    "A100": (312e12, 2039e9, 270e9, 25e9, 2, 0.45, 0.6, 0.8),
    "H100": (989e12, 3350e9, 400e9, 50e9, 2, 0.35, 0.5, 0.8),
    "B200": (2250e12, 8000e9, 800e9, 50e9, 2, 0.25, 0.4, 0.8),
}
# The shares above are those of good kernels; this much of them brings the model to the time that the paper reports.
REACH = 0.7
LOADER = {"jpeg": 6400, "coef": 17000}  # images/s of one core that decodes and converts crops, from docs/performance.md's order

# name, inputs (channels, side), outputs (channels, side), window, groups; after it: normalised, pooled to side
CONVOLUTIONS = [
    ("conv1", 3, 224, 96, 55, 11, 1, True, 27),
    ("conv2", 96, 27, 256, 27, 5, 2, True, 13),
    ("conv3", 256, 13, 384, 13, 3, 1, False, 0),
    ("conv4", 384, 13, 384, 13, 3, 2, False, 0),
    ("conv5", 384, 13, 256, 13, 3, 2, False, 6),
]
DENSE = [("fc6", 9216, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 1000)]
CROSSING = 2 * 128 * 13 * 13 + 2 * 128 * 6 * 6 + 2 * 2048 + 2048  # values an image: conv3, fc6, fc7, fc8


def operations(value):
    """(kind, flop, bytes, kernels) of each operation of a step of the whole batch; value: bytes of an activation."""
    out = [("copy", 0, BATCH * 224 * 224 * (3 + 16), 1)]  # bytes to 8 channels of bf16 or 4 of fp32
    parameters = 0
    for name, c, side, k, to, window, groups, normalised, pooled in CONVOLUTIONS:
        x, y = BATCH * c * side * side, BATCH * k * to * to
        flop, first = 2 * y * window * window * c // groups, name == "conv1"
        x = x * 8 // 3 if first else x
        parameters += k * window * window * c // groups
        out.append(("conv", flop, (x + y) * value, 1))
        out.append(("copy", 0, 3 * y * value, 2))  # activation's derivative and bias gradient
        out.append(("conv", flop, (x + y) * value, 1))
        if not first:
            out.append(("conv", flop, (x + y) * value, 1))
        if normalised:
            out += [("copy", 0, y * (2 * value + 4), 1), ("copy", 0, y * (3 * value + 4), 1)]
        if pooled:
            p = BATCH * k * pooled * pooled
            out += [("copy", 0, y * value + p * (value + 1), 1), ("copy", 0, y * value + p * (value + 1), 1)]
    for _, inputs, outputs in DENSE:
        w, activations = inputs * outputs, BATCH * (inputs + outputs)
        parameters += w
        out += [("dense", 2 * BATCH * w, (w + activations) * value, 2)] * 2
        out.append(("dense", 2 * BATCH * w, 4 * w + activations * value, 4))
    out.append(("copy", 0, parameters * (4 + 8 + 8 + (value if value < 4 else 0)), 1))  # SGD
    return out


def step(device, count, reach):
    """Seconds of a step on one or two devices, apart from feeding: arithmetic and memory, transfers between devices not hidden.
    reach: how much of the assumed shares of the peak is reached."""
    peak, memory, link, _, value, conv, dense, share = DEVICES[device]
    reached = {"conv": reach * conv * peak, "dense": reach * dense * peak, "copy": peak}
    seconds = sum(max(flop / reached[kind], size / (memory * share)) / count + kernels * LAUNCH for kind, flop, size, kernels in operations(value))
    crossing = 2 * CROSSING * BATCH * value / 2 / link if count == 2 else 0
    return seconds + crossing


def span(low, high, form):
    return f"{low:{form}} to {high:{form}}"


def check():
    """The paper's two GTX 580, for which a time is known: what it says about the shares of the peak."""
    passes, images, days = 90, 1.2e6, (6, 5)
    slow, fast = (passes * images / (d * 86400) for d in days)
    conv = DEVICES["GTX 580"][5]
    reached = [reach / 1000 for reach in range(1, 1001) if slow <= BATCH / step("GTX 580", 2, reach / 1000) <= fast]
    assert reached[0] <= REACH <= reached[-1], "REACH must bring the paper's machine into the paper's time"
    print(f"Check: the paper's two GTX 580 made {slow:.0f} to {fast:.0f} images/s. The model says so where convolutions reach "
          f"{100 * conv * reached[0]:.0f} to {100 * conv * reached[-1]:.0f} % of the peak; with {100 * conv * REACH:.0f} % it says "
          f"{BATCH / step('GTX 580', 2, REACH):.0f} images/s, with {100 * conv:.0f} % {BATCH / step('GTX 580', 2, 1):.0f}.")


def main():
    check()
    print("\n| device | step, one | images/s | step, two | images/s | between devices | images' copy | cores for jpeg | for coef |")
    print("|---|---|---|---|---|---|---|---|---|")
    for device, (_, _, link, bus, value, *_) in DEVICES.items():
        one, two = [step(device, 1, reach) for reach in (1, REACH)], [step(device, 2, reach) for reach in (1, REACH)]
        crossing, images = 2 * CROSSING * BATCH * value, BATCH * (224 * 224 * 3 + 24)
        rate = [BATCH / two[1], BATCH / two[0]]
        cores = [span(rate[0] / LOADER[codec], rate[1] / LOADER[codec], ".1f") for codec in ("jpeg", "coef")]
        print(f"| {device} | {span(one[0] * 1e3, one[1] * 1e3, '.2f')} ms | {span(BATCH / one[1], BATCH / one[0], ',.0f')} | "
              f"{span(two[0] * 1e3, two[1] * 1e3, '.2f')} ms | {span(rate[0], rate[1], ',.0f')} | {crossing / 1e6:.1f} MB, "
              f"{crossing / 2 / link * 1e3:.2f} ms | {images / 1e6:.0f} MB, {images / bus * 1e3:.2f} ms | {cores[0]} | {cores[1]} |")


main()
