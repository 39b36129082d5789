#!/usr/bin/python3
"""What a training step on many GPUs should take: replicas that share a batch and add up their gradients (docs/replicas.md).

usage: scale-model.py [TABLE...] [--gpus LIST] [--batch LIST] [--whole LIST] [--precision P] [--transport T] [--bucket MB]
                      [--algorithm A] [--no-overlap] [--link GBPS] [--layers FILE] [--set NAME=VALUE] [--json]

A model: nothing of it was measured on more than one GPU. It takes the times of each layer's passes on one GPU (AlexNet at 224 pixels on
an H100, from tools/gpu-model.py, or FILE), counts the bytes of gradients by the formulas of ring, tree and hierarchical all-reduce, and
reduces bucket after bucket while backward goes on. Without a word it prints the tables of docs/scale.md.

Tables:
  assumptions   every number that the others rest on, and where it is from
  layers        what a layer takes on one GPU, the bytes of its gradient, and the buckets
  weak          batch a GPU fixed, more GPUs: efficiency and time of a step
  strong        the whole batch fixed, divided among more GPUs: times as fast as one, and time of a step
  buckets       when each bucket is ready, begins and ends
  bytes         what an all-reduce sends, by algorithm
  bandwidth     which link a node needs for 95, 90 and 50 % efficiency
  images        how many images a GPU needs for 90 and 50 %
  changes       what transport, buckets, algorithm and batch change
  pairs         replicas of two GPUs, each with a half of every split layer
  trick         fully connected layers split over all GPUs ("one weird trick", Krizhevsky 2014), by bytes and by time
  loading       what a node's loader must deliver
  published     the model beside what others measured

Options:
  --gpus LIST       how many GPUs, such as 2,8,64; up to 8 of them share a node (--set node=4: another number)
  --batch LIST      images a GPU in a step (128,512)
  --whole LIST      images in a step of all GPUs, for strong and trick (1024,8192)
  --precision P     bf16, tf32 or fp32: the step's (bf16)
  --transport T     fp32 or bf16: the gradients', on their way (fp32)
  --bucket MB       layers that follow each other share a bucket of at most this, as an-train's --bucket (25)
  --algorithm A     ring, tree, hierarchical, or auto: the fastest for each bucket (auto)
  --no-overlap      reduce after backward, not beside it
  --link GBPS       one more network: Gb/s of a node. May be given more than once
  --layers FILE     another network: {"batch": 64, "layers": [{"name": "conv1", "parameters": 1728, "forward": 90, "backward": 180,
                    "update": 1}, ...]}, in the order of forward, times in microseconds at that batch, which grow with it
  --set NAME=VALUE  another value of an assumption; the table of that name lists them
  --json            a line of JSON for each number of a table

  scale-model.py weak --gpus 16,64 --batch 128 --transport bf16
  scale-model.py weak --link 200 --set reached=0.9 --set node=4
"""
import getopt
import json
import math
import sys
from collections import namedtuple
from pathlib import Path

sys.dont_write_bytecode = True
from scale_step import ALGORITHMS, ASSUMPTIONS, GPU_MODEL, VALUE, Case, Layer, Link, alexnet, all_reduce, buckets, step, variant  # noqa: E402

LOADING = {  # kB a record, us of a processor an image in the loader's workers, and where that is from: docs/performance.md, docs/gpu.md
    "jpeg, decoded by the host": (20.7, 1e6 * 16 / 58480, "58,480 images/s of 16 processors beside an H100"),
    "coef, decoded by the host": (23.6, 1e6 * 16 / 206580, "206,580 images/s of the same"),
    "coef, decoded by the GPU": (23.6, 9.5, "training on an H200"),
}
TRAINING = 21.4   # us of a processor an image beside the loader's workers: 30.9 - 9.5 in docs/gpu.md
IMAGES = 1281167  # ILSVRC 2012's training set
INPUTS = {"fc6": 9216, "fc7": 4096, "fc8": 4096}  # values of an image that fully connected layers read

# records: what --json prints, a dict for each number of the table; rows: what is read.
Table = namedtuple("Table", "columns rows records")


def percent(x):
    return f"{100 * x:.0f} %"


def plain(columns, rows):
    return Table(columns, rows, [dict(zip(columns, row)) for row in rows])


def numbers_of(one):
    return {"ms": one.seconds * 1e3, "forward_ms": one.forward * 1e3, "backward_ms": one.backward * 1e3, "update_ms": one.update * 1e3,
            "reduce_ms": sum(bucket.end - bucket.begin for bucket in one.buckets) * 1e3, "not_hidden_ms": one.exposed * 1e3}


def table_assumptions(case):
    return plain(("name", "value", "what, and where it is from"),
                 [(name, f"{case.value[name]:g} {unit}".strip(), source) for name, (_, unit, source) in ASSUMPTIONS.items()])


def table_layers(case):
    rows, all_ = [], [case.layers(batch) for batch in case.batch]
    for number, bucket in enumerate(buckets(all_[0], case.bucket)):
        for layer in bucket:
            same = [next(one for one in layers if one.name == layer.name) for layers in all_]
            rows.append((number + 1, layer.name, f"{layer.parameters:,.0f}", f"{layer.parameters * VALUE[case.transport] / 1e6:.1f}",
                         *(f"{time:.0f}" for one in same for time in (one.forward, one.backward, one.update))))
    sums = [f"{sum(getattr(one, what) for one in layers):.0f}" for layers in all_ for what in ("forward", "backward", "update")]
    count = sum(layer.parameters for layer in all_[0])
    rows.append(("", "sum", f"{count:,.0f}", f"{count * VALUE[case.transport] / 1e6:.1f}", *sums))
    passes = [f"{what}, us, {batch}" for batch in case.batch for what in ("forward", "backward", "update")]
    return plain(("bucket", "layer", "parameters", "gradient, MB", *passes), rows)


def scaling(case, batches, weak):
    cases = [(link, batch) for link in case.links() for batch in batches]
    rows, records = [], []
    for gpus in [n for n in case.gpus if n > 1]:
        cells = []
        for link, batch in cases:
            if not weak and batch % gpus:
                cells.append("")
                continue
            share = batch if weak else batch // gpus
            one, many = step(case.layers(batch), 1, link, case), step(case.layers(share), gpus, link, case)
            faster = one.seconds / many.seconds * (gpus if weak else 1)
            cells.append(f"{percent(faster / gpus) if weak else f'{faster:.1f} x'}, {many.seconds * 1e3:.2f} ms")
            records.append({"gpus": gpus, "link": link.name, "images": share, "efficiency": faster / gpus, "speedup": faster,
                            "images_per_second": share * gpus / many.seconds, **numbers_of(many)})
        rows.append((gpus, *cells))
    return Table(("GPUs", *(f"{link.name}: {batch}" for link, batch in cases)), rows, records)


def table_weak(case):
    return scaling(case, case.batch, True)


def table_strong(case):
    return scaling(case, case.whole, False)


def table_buckets(case, gpus=64):
    rows = []
    for link in case.links():
        for batch in case.batch:
            one = step(case.layers(batch), gpus, link, case)
            for bucket in one.buckets:
                names = bucket.layers[0] if len(bucket.layers) == 1 else f"{bucket.layers[0]} to {bucket.layers[-1]}"
                rows.append((link.name, batch, names, f"{bucket.size / 1e6:.1f}",
                             *(f"{1e3 * x:.2f}" for x in (bucket.ready, bucket.begin, bucket.end, one.forward + one.backward))))
    return plain((f"{gpus} GPUs", "images a GPU", "bucket", "MB", "ready, ms", "begins", "ends", "backward ends"), rows)


def table_bytes(case):
    """By hand: nothing but sizes and formulas."""
    size, node = sum(layer.parameters for layer in case.layers(128)) * VALUE[case.transport], int(case.value["node"])
    rows = []
    for n in [n for n in case.gpus if n > 1]:
        local = min(n, node)
        m = math.ceil(n / local)
        sent = 2 * (n - 1) / n * size
        rows.append((n, m, *(f"{b / 1e6:.0f} MB" for b in (sent, sent if m > 1 else 0, 2 * size if m > 1 else 0, 2 * (m - 1) / m * size)),
                     2 * (n - 1), 2 * (math.ceil(math.log2(m)) + local - 1), 2 * (m - 1) + 2 * (local - 1)))
    return plain(("GPUs", "nodes", "ring: a GPU sends", "ring: a node sends", "tree: a node sends at most", "hierarchical: a node sends",
                  "steps: ring", "tree", "hierarchical"), rows)


def least(enough, low, high):
    """The least number, to 0.1 %, that is enough, by bisection; None where high is not."""
    if not enough(high):
        return None
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def needed(case, batch, gpus, efficiency):
    """Gb/s of a node."""
    layers = case.layers(batch)
    one = step(layers, 1, Link("", 0), case).seconds
    return least(lambda gbps: one / step(layers, gpus, Link("", gbps / 8 * 1e9), case).seconds >= efficiency, 0.1, 1e5)


def table_bandwidth(case, gpus=64, shares=(0.95, 0.9, 0.5)):
    rows = []
    for batch in case.batch:
        for transport in ("fp32", "bf16"):
            cells = [needed(variant(case, transport=transport), batch, gpus, share) for share in shares]
            rows.append((batch, transport, *("none is enough" if cell is None else f"{cell:,.0f} Gb/s" for cell in cells)))
    return plain(("images a GPU", "transport", *(f"{percent(share)} with {gpus} GPUs" for share in shares)), rows)


def table_images(case, gpus=64):
    rows = []
    for share in (0.9, 0.5):
        for transport in ("fp32", "bf16"):
            other, cells = variant(case, transport=transport), []
            for link in case.links():
                cell = least(lambda n: step(other.layers(int(n)), 1, link, other).seconds
                             / step(other.layers(int(n)), gpus, link, other).seconds >= share, 1, 1e6)
                cells.append("none is enough" if cell is None else f"{cell:,.0f}")
            rows.append((percent(share), transport, *cells))
    return plain((f"of {gpus} GPUs", "transport", *(link.name for link in case.links())), rows)


def table_changes(case, gpus=64):
    batch, rows, records = case.batch[0], [], []
    bf16 = variant(case, transport="bf16")
    for what, other, images in ((f"{batch} images a GPU, as above", case, batch), ("reduced after backward", variant(case, overlap=False), batch),
                                ("each layer a bucket of its own", variant(case, bucket=0), batch),
                                ("one bucket", variant(case, bucket=math.inf), batch), ("bf16 transport", bf16, batch),
                                ("ring", variant(case, algorithm="ring"), batch), ("tree", variant(case, algorithm="tree"), batch),
                                ("backward slowed by 10 %", variant(case, {"slowed": 0.1}), batch),
                                (f"{4 * batch} images a GPU", case, 4 * batch), (f"{4 * batch} images a GPU, bf16 transport", bf16, 4 * batch)):
        cells = []
        for link in case.links():
            one, many = (step(other.layers(images), n, link, other) for n in (1, gpus))
            cells.append(f"{percent(one.seconds / many.seconds)}, {many.seconds * 1e3:.2f} ms")
            records.append({"what": what, "gpus": gpus, "link": link.name, "efficiency": one.seconds / many.seconds, **numbers_of(many)})
        rows.append((what, *cells))
    return Table((f"{gpus} GPUs", *(link.name for link in case.links())), rows, records)


def pair(case, batch, gpus, link):
    """Replicas of two GPUs with twice the images, so as many a GPU. Each has half of all parameters, and reduces with those of the other
    replicas that have the same half; both communicators share the node's link."""
    layers = alexnet(case.precision, 2 * batch, devices=2)
    crossing = GPU_MODEL.CROSSING * 2 * batch * VALUE[case.precision] / 2 / (case.value["nvlink"] * 1e9 * case.value["reached"]) * 1e6
    first = layers[0]._replace(forward=layers[0].forward + crossing, backward=layers[0].backward + crossing)
    return step([first, *layers[1:]], gpus // 2, link, case, share=0.5)


def beside(case, columns, pairs):
    """Rows of two times each: (what, cells before the times, function of the link that gives both)."""
    rows, records = [], []
    for what, before, times in pairs:
        cells = []
        for link in case.links():
            both = times(link)
            cells.append(", ".join(f"{time * 1e3:.2f}" for time in both))
            records.append({**what, "link": link.name, **dict(zip(columns, (time * 1e3 for time in both)))})
        rows.append((*before, *cells))
    return rows, records


def table_pairs(case):
    batch = case.batch[0]
    rows, records = beside(case, ("one_ms", "two_ms"), [
        ({"gpus": gpus}, (gpus,), lambda link, n=gpus: (step(case.layers(batch), n, link, case).seconds, pair(case, batch, n, link).seconds))
        for gpus in case.gpus if gpus > 1])
    return Table((f"GPUs, {batch} images each", *(f"{link.name}: one, two; ms" for link in case.links())), rows, records)


def trick(case, batch, gpus, link):
    """Seconds. Convolutions are data parallel; of each fully connected layer a GPU has a part of the outputs, for the images of all: the
    inputs are gathered, their gradients scattered back. Nothing hides that; the convolutions' gradients travel behind their backward."""
    whole = {layer.name: layer for layer in case.layers(batch * gpus)}
    dense = sum(whole[name].forward + whole[name].backward + whole[name].update for name in INPUTS) / gpus / 1e6
    rest = step([layer for layer in case.layers(batch) if layer.name not in INPUTS], gpus, link, case).seconds
    # An all-gather forward and a reduce-scatter backward are together as many bytes and steps as an all-reduce, and begin twice.
    moving = sum(all_reduce(batch * gpus * inputs * VALUE[case.precision], gpus, link, variant(case, algorithm="hierarchical"))
                 for inputs in INPUTS.values()) + len(INPUTS) * case.value["start"] / 1e6
    return rest + dense + moving


def table_trick(case):
    layers, pairs = case.layers(128), []
    dense, rest = (sum(layer.parameters for layer in layers if (layer.name in INPUTS) == is_) for is_ in (True, False))
    for images in (*case.whole, "128 a GPU"):
        for gpus in [n for n in case.gpus if n in (8, 16, 64, 256)]:
            batch = 128 if isinstance(images, str) else images // gpus
            scale = 2 * (gpus - 1) / gpus
            data = scale * (dense + rest) * VALUE[case.transport]
            split = scale * (gpus * batch * sum(INPUTS.values()) * VALUE[case.precision] + rest * VALUE[case.transport])
            pairs.append(({"images": batch * gpus, "gpus": gpus}, (images, gpus, f"{data / 1e6:.0f}, {split / 1e6:.0f}"),
                          lambda link, n=gpus, b=batch: (step(case.layers(b), n, link, case).seconds, trick(case, b, n, link))))
    rows, records = beside(case, ("data_parallel_ms", "split_ms"), pairs)
    return Table(("images", "GPUs", "a GPU sends, MB: data parallel, split", *(f"{link.name}: both, ms" for link in case.links())), rows, records)


def table_loading(case):
    rows = []
    for batch in case.batch:
        rate = batch / step(case.layers(batch), 1, Link("", 0), case).seconds * case.value["node"]
        for records, (kilobytes, each, source) in LOADING.items():
            rows.append((batch, f"{rate:,.0f}", records, f"{rate * kilobytes / 1e6:.1f} GB/s", f"{rate * each / 1e6:.0f}",
                         f"{rate * TRAINING / 1e6:.0f}", f"{IMAGES * kilobytes / 1e6:.0f} GB", source))
    return plain(("images a GPU", "images/s of a node", "records", "read", "processors: loader", "the rest", "the training set has",
                  "a processor's rate from"), rows)


def even(name, count, seconds, backward, parts=16):
    """A network of which only sums are known: even parts."""
    return [Layer(f"{name} {i}", count / parts, (seconds - backward) / parts * 1e6, backward / parts * 1e6, 0) for i in range(parts)]


def vgg16(seconds):
    """13 convolutions, among which time is divided, and three fully connected layers, whose bytes count and whose time does not."""
    channels = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    convolutions = [Layer(f"conv{i}", 9 * a * b + b, seconds / 3 / 13 * 1e6, seconds * 2 / 3 / 13 * 1e6, 0)
                    for i, (a, b) in enumerate(zip(channels, channels[1:]))]
    return convolutions + [Layer(name, (a + 1) * b, 0, 0, 0) for name, a, b in (("fc6", 25088, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 1000))]


# A P100's images/s with 64 images (ResNet-50: 32) are TensorFlow's, May 2017 (docs_src/performance/benchmarks.md): 195, 142, 154. Backward
# is 120 ms where Goyal says so, else taken to be 2/3 of a step. (what, layers, GPUs of a node, GPUs, compared with, Gb/s of a node, measured, source)
PUBLISHED = [
    ("ResNet-50, 32 images a GPU", even("ResNet-50", 25.6e6, 32 / 195, 0.12), 8, 256, 8, 50, 0.9, "Goyal et al. 2017, arXiv:1706.02677"),
    ("Inception V3, 64 images a GPU", even("Inception V3", 23.8e6, 64 / 142, 64 / 142 * 2 / 3), 4, 512, 1, 25, 0.9, "Horovod's docs/benchmarks.rst"),
    ("VGG-16, 64 images a GPU", vgg16(64 / 154), 4, 512, 1, 25, 0.68, "Horovod's docs/benchmarks.rst"),
]


def table_published(case):
    rows = []
    for what, layers, node, gpus, base, gbps, measured, source in PUBLISHED:
        says, link = [], Link("", gbps / 8 * 1e9)
        for overlap in (True, False):
            other = variant(case, {"node": node, "nvlink": 80}, overlap=overlap, transport="fp32")
            says.append(step(layers, base, link, other).seconds / step(layers, gpus, link, other).seconds)
        rows.append((what, f"{base} to {gpus}", f"{gbps} Gb/s", percent(measured), *(percent(one) for one in says), source))
    return plain(("what", "GPUs", "a node", "measured", "model", "model, reduced after backward", "source"), rows)


TABLES = {name[6:]: function for name, function in globals().copy().items() if name.startswith("table_")}


def text(table):
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in (table.columns, *table.rows)]
    return "\n".join([lines[0], "|" + "---|" * len(table.columns), *lines[1:]])


def numbers(word):
    out = [int(each) for each in word.split(",")]
    if min(out) < 1:
        raise ValueError("numbers must be positive")
    return out


def chosen(word, *allowed):
    if word not in allowed:
        raise ValueError(f"not one of {', '.join(allowed)}")
    return word


def network(path):
    file = json.loads(Path(path).read_text())
    for layer in file["layers"]:
        if not all(layer[key] >= 0 for key in ("parameters", "forward", "backward")) or not layer["name"]:
            raise ValueError("a layer needs name, parameters, forward and backward")
    if not file["batch"] > 0 or not file["layers"]:
        raise ValueError("it needs a batch, and layers")
    return file


def read(case, option, word):
    if option in ("--gpus", "--batch", "--whole"):
        setattr(case, option[2:], numbers(word))
    elif option == "--precision":
        case.precision = chosen(word, "bf16", "tf32", "fp32")
    elif option == "--transport":
        case.transport = chosen(word, "fp32", "bf16")
    elif option == "--bucket":
        case.bucket = float(word) * 1e6
    elif option == "--algorithm":
        case.algorithm = chosen(word, "auto", *ALGORITHMS)
    elif option == "--no-overlap":
        case.overlap = False
    elif option == "--link":
        case.more.append(float(word))
    elif option == "--layers":
        case.file = network(word)
    elif option == "--set":
        name, value = word.split("=")
        case.value[chosen(name, *ASSUMPTIONS)] = float(value)


def main():
    case = Case()
    long = ("help", "json", "gpus=", "batch=", "whole=", "precision=", "transport=", "bucket=", "algorithm=", "no-overlap", "link=", "layers=", "set=")
    try:
        pairs, names = getopt.gnu_getopt(sys.argv[1:], "h", long)
    except getopt.GetoptError as e:
        sys.exit(f"scale-model.py: {e}; see --help")
    if any(option in ("-h", "--help") for option, _ in pairs):
        print(__doc__.strip())
        return
    for option, word in pairs:
        try:
            read(case, option, word)
        except (ValueError, TypeError, KeyError, OSError) as e:
            sys.exit(f"scale-model.py: {option} {word}: {e}; see --help")
    for name in names:
        if name not in TABLES:
            sys.exit(f"scale-model.py: there is no table '{name}': {', '.join(TABLES)}")
    own = ("pairs", "trick") if case.file else ()  # these know AlexNet only
    tables = {name: TABLES[name](case) for name in names or TABLES if name not in own}
    if ("--json", "") in pairs:
        print(*(json.dumps({"table": name, **record}) for name, table in tables.items() for record in table.records), sep="\n")
    else:
        print(*(text(table) for table in tables.values()), sep="\n\n")


if __name__ == "__main__":
    main()
