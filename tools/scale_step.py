"""The model of tools/scale-model.py: what it assumes, what a layer takes, buckets, all-reduce, and a step of them. Times are seconds but for
those of layers (microseconds), sizes bytes."""
import importlib.machinery
import importlib.util
import math
from collections import namedtuple
from pathlib import Path

# name: (value, unit, where it is from)
ASSUMPTIONS = {
    "node": (8, "GPUs", "of one node, joined by NVLink"),
    "nvlink": (450, "GB/s", "nominal, one way, of an H100: 18 links of 25 GB/s"),
    "infiniband": (400, "Gb/s a GPU", "nominal: one NDR adapter for each GPU, as in a DGX H100"),
    "ethernet": (100, "Gb/s a node", "nominal"),
    "slow": (25, "Gb/s a node", "nominal"),
    "reached": (0.8, "", "share of a link's nominal speed that large messages reach: assumed, for each kind of link"),
    "tree": (0.9, "", "of that, a tree's share: what NCCL's own choice of algorithm assumes (src/graph/tuning.cc)"),
    "start": (8.4, "us", "to begin an all-reduce: as NCCL assumes of its ring"),
    "hop": (3.4, "us", "a step over NVLink: as NCCL assumes"),
    "network_hop": (9.6, "us", "a step over a network: as NCCL assumes"),
    "memory": (2990, "GB/s", "a copy on an H100, measured (docs/gpu.md)"),
    "packing": (12, "bytes a parameter", "moved where a gradient travels as bf16: 4 + 2 to round it, 2 + 4 to put the sum back"),
    "slowed": (0, "", "by which backward takes longer while gradients travel (NCCL's kernels take processors of the GPU): not known"),
    "lost": (0, "", "share of a step that nothing below explains, such as waiting for the slowest GPU: not known"),
}
VALUE = {"fp32": 4, "tf32": 4, "bf16": 2}

Layer = namedtuple("Layer", "name parameters forward backward update")  # us
Link = namedtuple("Link", "name node")  # bytes/s of a node, of which a share is reached; 0: there is no network
Bucket = namedtuple("Bucket", "layers size ready begin end")
Step = namedtuple("Step", "seconds forward backward update exposed buckets")


class Case:
    """What is asked for: by the command line, or by a table that varies it."""

    def __init__(self):
        self.gpus = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
        self.batch, self.whole = [128, 512], [1024, 8192]
        self.precision, self.transport, self.bucket = "bf16", "fp32", 25e6
        self.algorithm, self.overlap, self.file, self.more = "auto", True, None, []
        self.value = {name: row[0] for name, row in ASSUMPTIONS.items()}

    def links(self):
        v = self.value
        return [Link(f"InfiniBand {v['infiniband']:g}", v["infiniband"] * v["node"] / 8 * 1e9),
                Link(f"Ethernet {v['ethernet']:g}", v["ethernet"] / 8 * 1e9),
                Link(f"Ethernet {v['slow']:g}", v["slow"] / 8 * 1e9),
                *(Link(f"{gbps:g} Gb/s", gbps / 8 * 1e9) for gbps in self.more)]

    def layers(self, batch):
        return scaled(self.file, batch) if self.file else alexnet(self.precision, batch)


def gpu_model():
    path = Path(__file__).with_name("gpu-model.py")
    loader = importlib.machinery.SourceFileLoader("gpu_model", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_model", loader))
    loader.exec_module(module)
    return module


def parameters(model):
    count = {layer.name: layer.outputs * (layer.channels // layer.groups * layer.window**2 + 1) for layer in model.CONVOLUTIONS}
    return {**count, **{name: (inputs + 1) * outputs for name, inputs, outputs in model.DENSE}}


GPU_MODEL = gpu_model()


def alexnet(precision, batch, devices=1, model=GPU_MODEL):
    """Of tools/gpu-model.py's kernels; launches' gaps lie evenly between them. Of two devices each does half of everything, but waits
    for the other's values (conv3, fc6, fc7 and fc8 read both halves)."""
    rows = model.second(precision, batch)
    gap = sum(row.us for row in rows if row.source == "gap") / (len(rows) - 1)
    count = parameters(model)
    time = {name: [0, 0, 0] for name in count}
    for row in rows:
        part = {"input": "conv1", "fc6 to fc8": "fc7", "update": row.what if row.what in count else "fc8"}.get(row.part, row.part)
        if row.part == "fc6 to fc8":
            time[part][0] += (row.us / devices + gap) / 2
            time[part][1] += (row.us / devices + gap) / 2
        elif row.source != "gap":
            back = any(word in row.what for word in ("gradient", "slope"))
            time[part][2 if row.part == "update" else 1 if back else 0] += row.us / devices + gap
    return [Layer(name, count[name] / devices, *time[name]) for name in count]


def scaled(file, batch):
    """A network of a file. The update does not depend on the batch."""
    factor = batch / file["batch"]
    return [Layer(row["name"], row["parameters"], row["forward"] * factor, row["backward"] * factor, row.get("update", 0))
            for row in file["layers"]]


def buckets(layers, limit):
    """Lists of layers, in the order of backward."""
    out = []
    for layer in reversed(layers):
        if out and sum(one.parameters for one in [*out[-1], layer]) * 4 <= limit:
            out[-1].append(layer)
        else:
            out.append([layer])
    return out


def ring(size, ranks, nodes, inner, outer, v):
    """Each rank sends 2 (n - 1) / n of the bytes to its neighbour, in 2 (n - 1) steps."""
    return (2 * (ranks - 1) / ranks * size / (min(inner, outer) if nodes > 1 else inner)
            + 2 * ((nodes - 1) * v["network_hop"] + (ranks - nodes) * v["hop"]) / 1e6)


def tree(size, ranks, nodes, inner, outer, v):
    """All bytes go up and down, by two trees of nodes, each of half of them; within a node from GPU to GPU."""
    return (2 * size / (min(inner, outer) if nodes > 1 else inner) / v["tree"]
            + 2 * (math.ceil(math.log2(nodes)) * v["network_hop"] + (ranks // nodes - 1) * v["hop"]) / 1e6)


def hierarchical(size, ranks, nodes, inner, outer, v):
    """Reduce-scatter within the nodes, a ring for each piece through all nodes, all-gather within the nodes: one after the other."""
    local = ranks // nodes
    within = 2 * (local - 1) / local * size / inner + 2 * (local - 1) * v["hop"] / 1e6
    between = 2 * (nodes - 1) / nodes * size / min(outer, local * inner) + 2 * (nodes - 1) * v["network_hop"] / 1e6
    return within + (between if nodes > 1 else 0)


ALGORITHMS = {"ring": ring, "tree": tree, "hierarchical": hierarchical}


def all_reduce(size, ranks, link, case, share=1):
    """Seconds. share: of a node's ranks and of its link, where several communicators work side by side."""
    v = case.value
    if ranks == 1:
        return 0
    local = min(ranks, max(1, int(v["node"] * share)))
    nodes = math.ceil(ranks / local)
    inner, outer = v["nvlink"] * 1e9 * v["reached"], link.node * v["reached"] * share
    names = ALGORITHMS if case.algorithm == "auto" else [case.algorithm]
    return v["start"] / 1e6 + min(ALGORITHMS[name](size, ranks, nodes, inner, outer, v) for name in names)


def step(layers, ranks, link, case, share=1):
    """A bucket's reduction begins when backward is done with it and the one before is reduced; the update when all are."""
    v = case.value
    many = ranks > 1
    forward, update = (sum(getattr(layer, what) for layer in layers) / 1e6 for what in ("forward", "update"))
    now, free, times = forward, 0, []
    for bucket in buckets(layers, case.bucket):
        now += sum(layer.backward for layer in bucket) / 1e6 * (1 + (v["slowed"] if many else 0))
        count = sum(layer.parameters for layer in bucket)
        time = all_reduce(count * VALUE[case.transport], ranks, link, case, share)
        time += count * v["packing"] / v["memory"] / 1e9 if many and case.transport == "bf16" else 0
        begin = max(now, free)
        free = begin + time
        times.append(Bucket([layer.name for layer in bucket], count * VALUE[case.transport], now, begin, free))
    if not case.overlap:
        free = now + sum(bucket.end - bucket.begin for bucket in times)
    exposed = max(0, free - now) if many else 0
    return Step((now + exposed + update) * (1 + (v["lost"] if many else 0)), forward, now - forward, update, exposed, times)


def variant(case, value=None, **changes):
    out = Case()
    out.__dict__.update(case.__dict__)
    out.value = {**case.value, **(value or {})}
    for name, new in changes.items():
        setattr(out, name, new)
    return out
