#!/usr/bin/env python3
"""Attacks everything that reads what an-train wrote: damaged and hostile checkpoints with right checksums, and run folders in which names,
links and other files are not what they should be. Each variant goes through one of the programs, which must end in time, with one of the
documented exit codes, without much memory, with a message that names the culprit, and without harm to anybody's files.

    AN_BIN_DIR=build/release/bin tests/attack/checkpoints.py [--count N] [--seed S] [--only NUMBER] [--verbose]

A variant depends on nothing but seed and number. Exit status: 0 no findings, 1 findings, 77 a module is missing."""
import argparse
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading

try:
    import xxhash
except ImportError:
    print("skipped: no module xxhash; apt-get install python3-xxhash")
    sys.exit(77)

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "train"))
import pictures

BIN = pathlib.Path(os.environ.get("AN_BIN_DIR", "build/release/bin"))
SANITIZED = any(name in (BIN / "an-train").read_bytes() for name in (b"__asan_init", b"__tsan_init"))  # these need far more memory
CODES = (0, 1, 2, 3)
SECONDS = 40 if SANITIZED else 10  # of the processor's time
PATIENCE = 300  # seconds: whoever takes no time either waits for ever
MEMORY = 1 << 30  # bytes that a program may hold; the networks of these files need a hundredth of it
TRAIN = ["an-train", "--network", "cifar", "--crop", "32", "--batch", "4", "--init", "he", "--compute-threads", "1", "-j", "1", "--seed", "1"]
NUMBERS = ["", "-1", "0", "1", "4294967296", "9223372036854775807", "18446744073709551615", "18446744073709551616", "9" * 400, "nan", "inf",
           "-inf", "1e999", "0x1p-1074", "0x1p+1023", " 4", "4 ", "+4", "4.5", "\u0664", "step"]
TEXTS = ["", "[", "[]", "{}", "null", '"', "[" * 5000, '["class0"]', '["class0","class1",null]', '["a","b","c"]', "[1,2,3]", "\\x00\\xff\\", "\n" * 1000,
         "%s%n" * 100, "\u0000", "\x1b]0;title\x07", "x" * 1000000, "[" + "{}," * 10000000 + "0]", json.dumps([str(i) for i in range(200000)])]
OPTIONS = {"network": ["alexnet", "resnet", ""], "crop": ["1", "4096", "0", "33", "2147483648"], "batch": ["65536", "0", "-1"], "classes": ["9"],
           "dropout": ["nan", "1", "0.99", "-1"], "lrn": ["conv1", "none", "x" * 10000], "pool": ["2", "9"], "precision": ["bf16", "fp8"],
           "mean": ["channel", "none", "?"], "input-scale": ["unit", "1e300"], "rate": ["nan", "inf", "1e999", "-1"], "activation": ["tanh", "gelu"],
           "one-column": ["true", "maybe"], "columns": ["one-half", "three"], "without": ["conv3,fc7", "conv1", ","], "init-deviations": ["conv3=0.03", "conv3=", "=", "conv3=nan"], "rate-epochs": ["1,2,3", "3,2,1", "1," * 5000, "99999999999999999999"], "nonsense": ["1"], "lrn-alpha": ["nan", "1000"],
           "seed": ["18446744073709551616"], "padding": ["same", "valid", ""], "dropout-layers": ["fc7", "conv9,"], "jitter": ["nan", "10"]}
FOREIGN = ["step-5000.safetensors", "step-0000000004.safetensors", "step-18446744073709551615.safetensors", "step-99999999999999999999.safetensors",
           "step--00000004.safetensors", "step-000000004.safetensors.bak", "step-000000004.safetensors.tmp-mine", "step-000000004.safetensors.damaged",
           "STEP-000000004.SAFETENSORS", "notes.txt", "\udcff\n.safetensors"]


class File:
    """A safetensors file: its header as pairs, so that names may occur twice, and its data."""

    def __init__(self, content):
        size, = struct.unpack("<Q", content[:8])
        self.pairs = json.loads(content[8:8 + size], object_pairs_hook=list)
        self.pairs = [[name, dict(value) if name != "__metadata__" else value] for name, value in self.pairs]
        self.data = bytearray(content[8 + size:])

    def metadata(self):
        return next(value for name, value in self.pairs if name == "__metadata__")

    def tensors(self):
        return [pair for pair in self.pairs if pair[0] != "__metadata__"]

    def bytes(self):
        """With the right checksum, if there is a place for one."""
        def text(value):
            if isinstance(value, list) and value and isinstance(value[0], (list, tuple)):
                return "{" + ",".join(json.dumps(name) + ":" + text(one) for name, one in value) + "}"
            return json.dumps(value, separators=(",", ":"))
        header = text(self.pairs).encode("utf-8", "surrogateescape")
        header += b" " * (-len(header) % 8)
        return seal(struct.pack("<Q", len(header)) + header + bytes(self.data))


def seal(content):
    place = content.find(b'"xxh3":"') + 8
    if place < 8 + 8 or len(content) < place + 16:
        return content
    zeros = content[:place] + b"0" * 16 + content[place + 16:]
    return content[:place] + b"%016x" % xxhash.xxh3_64_intdigest(zeros[8:]) + content[place + 16:]


# Mutations of one file: each takes a generator of random numbers and a checkpoint's bytes, and returns other bytes.

def truncated(rng, content):
    return content[:rng.choice([0, 1, 7, 8, 9, 100, rng.randrange(len(content)), len(content) - 1])]


def extended(rng, content):
    return content + rng.randbytes(rng.choice([1, 4, 4096]))


def flipped(rng, content):
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1:]


def header_bytes(rng, content):
    size, = struct.unpack("<Q", content[:8])
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        changed[8 + rng.randrange(size)] = rng.choice(b'0123456789-.eE{}[]",:\\ \0\xff' + rng.randbytes(1))
    return seal(bytes(changed))


def header_length(rng, content):
    return struct.pack("<Q", rng.choice([0, 1, 2, 7, 10**8, 10**8 + 1, 2**31, 2**63, 2**64 - 1, 2**64 - 8])) + content[8:]


def not_finite(rng, content):
    file = File(content)
    _, tensor = rng.choice(file.tensors())
    begin, end = tensor["data_offsets"]
    at = begin + 4 * rng.randrange((end - begin) // 4)
    file.data[at:at + 4] = struct.pack("<f", rng.choice([float("nan"), float("inf"), float("-inf")]))
    return file.bytes()


def extreme_values(rng, content):
    file = File(content)
    name, tensor = rng.choice(file.tensors())
    begin, end = tensor["data_offsets"]
    file.data[begin:end] = struct.pack("<f", rng.choice([3.4e38, -3.4e38, 1e-45, 0.0, -0.0, 1e30])) * ((end - begin) // 4)
    return file.bytes()


def tensor_entry(rng, content):
    file = File(content)
    entry = rng.choice(file.tensors())
    big = rng.choice([0, 1, -1, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, 1.5, None, "4", [1], True])
    kind = rng.randrange(8)
    if kind == 0:
        entry[1]["shape"] = rng.choice([[], [big], [big, big], [1] * 9, [2**62, 4], [2**62 + 1], 7, entry[1]["shape"] + [1], entry[1]["shape"][::-1]])
    elif kind == 1:
        entry[1]["data_offsets"][rng.randrange(2)] = big
    elif kind == 2:
        entry[1]["dtype"] = rng.choice(["F64", "F16", "BF16", "I32", "U8", "f32", "", 4, None, "F32\0"])
    elif kind == 3:
        entry[0] = rng.choice(["", "x", "conv1.weight", "momentum." + entry[0], entry[0] * 100, "\u0000", "__metadata__"])
    elif kind == 4:
        file.pairs.remove(entry)
    elif kind == 5:
        file.pairs.append([entry[0], dict(entry[1])])
    elif kind == 6:
        file.pairs.append(["other", {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}])
    else:
        del entry[1][rng.choice(list(entry[1]))]
    return file.bytes()


def exchanged_tensors(rng, content):
    file = File(content)
    one, two = rng.sample(file.tensors(), 2)
    part = rng.choice(["data_offsets", "shape"])
    one[1][part], two[1][part] = two[1][part], one[1][part]
    return file.bytes()


def metadata_value(rng, content):
    file = File(content)
    metadata = file.metadata()
    pair = rng.choice(metadata)
    if rng.randrange(6) == 0:
        rng.choice([lambda: metadata.remove(pair), lambda: metadata.append(pair), lambda: metadata.clear()])()
    else:
        at = metadata.index(pair)
        metadata[at] = (pair[0], rng.choice(rng.choice([NUMBERS, TEXTS])) if rng.randrange(8) else 7)
    return file.bytes()


def recipe_line(rng, content):
    file = File(content)
    metadata = file.metadata()
    at = next(i for i, pair in enumerate(metadata) if pair[0] == "recipe")
    recipe = metadata[at][1]
    for _ in range(rng.choice([1, 1, 2])):
        name = rng.choice(list(OPTIONS))
        line = f"{name} = {rng.choice(OPTIONS[name])}\n"
        recipe = re.sub(rf"(?m)^{name} = .*\n", lambda _: line, recipe) if f"\n{name} = " in "\n" + recipe else recipe + line
    metadata[at] = ("recipe", recipe)
    return file.bytes()


def many_classes(rng, content):
    """A small file that describes a large network."""
    file = File(content)
    changes = {"classes": json.dumps([str(i) for i in range(rng.choice([10000, 1000000]))])}
    if rng.randrange(2):
        mean = next(value for name, value in file.tensors() if name == "input.mean_image")
        others = [value["data_offsets"] for _, value in file.tensors() if value is not mean]
        begin, end = mean["data_offsets"]
        file.data[begin:end] = bytes(224 * 224 * 3 * 4)
        for offsets in others:
            offsets[:] = [at + 224 * 224 * 3 * 4 - (end - begin) if at >= end else at for at in offsets]
        mean.update(shape=[224, 224, 3], data_offsets=[begin, begin + 224 * 224 * 3 * 4])
        changes["recipe"] = dict(file.metadata())["recipe"].replace("network = cifar", "network = alexnet").replace("crop = 32", "crop = 224")
    for i, (name, _) in enumerate(file.metadata()):
        if name in changes:
            file.metadata()[i] = (name, changes[name])
    return file.bytes()


def odd_input(rng, content):
    file = File(content)
    mean = next(value for name, value in file.tensors() if name == "input.mean_image")
    mean["shape"] = rng.choice([[1, len(file.data)], [36, 36, 4], [36 * 36, 1, 3], [0, 0, 3], [3888], [72, 18, 3]])
    return file.bytes()


MUTATIONS = [truncated, extended, flipped, header_bytes, header_length, not_finite, extreme_values, tensor_entry, tensor_entry, exchanged_tensors, metadata_value,
             metadata_value, recipe_line, recipe_line, many_classes, odd_input]


class Place:
    """A sound run and its dataset, from which all variants are made."""

    def __init__(self, root):
        self.root = root
        pictures.write(root / "images", 12, 3)
        self.data, self.sound = root / "data", root / "sound"
        for command in (["an-ingest", "--quiet", "--size", "36", "--codec", "rgb", root / "images", self.data],
                        [*TRAIN, "--quiet", "--steps", "4", "--save-every", "1", "--keep", "100", "--run", self.sound, self.data, self.data]):
            subprocess.run([BIN / command[0], *map(str, command[1:])], check=True, capture_output=True)
        self.content = (self.sound / "best.safetensors").read_bytes()


def checkpoint(run, step):
    return run / "checkpoints" / f"step-{step:09d}.safetensors"


def file_variant(rng, place, work):
    """One file through one of the programs that take weights."""
    mutation = rng.choice(MUTATIONS)
    path = work / "odd.safetensors"
    path.write_bytes(mutation(rng, place.content))
    commands = {"eval": ["an-train", "eval", "--batch", "10", "--compute-threads", "1", "-j", "1", "--weights", path, place.data],
                "ten-crop": ["an-train", "eval", "--ten-crop", "--batch", "10", "--compute-threads", "1", "-j", "1", "--weights", path, place.data],
                "export": ["an-train", "export", "--weights", path, work / "export.safetensors"],
                "weights": [*TRAIN, "--quiet", "--steps", "1", "--weights", path, place.data],
                "resume": [*TRAIN, "--quiet", "--steps", "6", "--resume", path, "--run", work / "run", place.data],
                "filters": ["an-show", "filters", "--weights", path, work / "x.png"],
                "network": ["an-show", "network", "--weights", path, work / "x.svg"],
                "predict": ["an-show", "predict", "--batch", "4", "--weights", path, "--dataset", place.data]}
    name = rng.choice(list(commands))
    return f"{mutation.__name__} {name}", commands[name], "odd.safetensors", None


def spoil(rng, place, run, steps):
    for step in steps:
        changed = rng.choice([truncated, flipped, header_bytes, not_finite, tensor_entry])(rng, place.content)
        checkpoint(run, step).unlink()
        checkpoint(run, step).write_bytes(changed)


def odd_metrics(rng, run):
    lines = [b'{"step":1e400,"type":"train"}', b'{"step":-1}', b"[" * 5000, b"\0" * 5000, b'{"step":99999999999999999999}', b'{"step":2,"type":7,"epoch":"x"}',
             b'{"type":"train","step":2,"epoch":1e308,"loss":-1e308,"top1":1e308,"rate":1e-320,"images_per_second":0,"wait":-5}',
             b'{"type":"train","step":3,"epoch":-1e308,"loss":1e308,"top1":-1e308,"rate":0,"images_per_second":1e308,"wait":5}',
             b'{"step":1,"type":[' + b"{}," * 3000000 + b"0]}", b'{"type":"saved","step":9223372036854775807,"text":"x"}', b"\xff\xfe" * 100, b'{"type":"validation","step":4,"epoch":1e15,"loss":0,"top1":0.5}']
    content = bytearray((run / "metrics.jsonl").read_bytes())
    for _ in range(rng.randrange(1, 5)):
        at = rng.choice([0, len(content), rng.randrange(len(content) + 1)])
        content[at:at] = b"\n" + rng.choice(lines) + b"\n"
    (run / "metrics.jsonl").write_bytes(content)


def folder_variant(rng, place, work):
    """A run's folder, in which an-train goes on or from which others read. The last entry: the files that must survive."""
    run = work / "run"
    shutil.copytree(place.sound, run)
    mine, keep = {}, 100
    kinds = rng.sample(["foreign", "newest", "all", "exchanged", "renamed", "links", "folders", "metrics", "texts", "best"], rng.choice([1, 1, 2]))
    if kinds == ["foreign"]:
        keep = rng.choice([1, 100])
    for kind in kinds:
        if kind == "foreign":
            for name in rng.sample(FOREIGN, rng.randrange(1, len(FOREIGN))):
                mine[run / "checkpoints" / name] = place.content
                (run / "checkpoints" / name).write_bytes(place.content)
        elif kind == "newest":
            spoil(rng, place, run, rng.sample([3, 4], rng.randrange(1, 3)))
        elif kind == "all":
            spoil(rng, place, run, [1, 2, 3, 4])
        elif kind == "renamed":
            path = checkpoint(run, rng.choice([5, 5000, 999999999, 2**63 - 1]))
            if not os.path.lexists(path):
                path.write_bytes(place.content)
        elif kind == "exchanged":
            os.rename(checkpoint(run, 4), work / "x"), os.rename(checkpoint(run, 3), checkpoint(run, 4)), os.rename(work / "x", checkpoint(run, 3))
        elif kind == "links":
            checkpoint(run, 4).unlink()
            checkpoint(run, 4).symlink_to(rng.choice(["/nowhere", "step-000000003.safetensors", "/dev/zero", checkpoint(run, 4), run]))
        elif kind == "folders":
            path = checkpoint(run, rng.choice([0, 5, 6, 7, 5000]))
            if not os.path.lexists(path):
                rng.choice([os.mkdir, os.mkfifo])(path)
        elif kind == "metrics":
            odd_metrics(rng, run)
        elif kind == "texts":
            (run / rng.choice(["recipe.txt", "engines.txt"])).write_bytes(rng.choice([b"", b"\0" * 100, b"an-engines 1 " + b"0" * 16 + b"\n", rng.randbytes(500)]))
        else:
            best = run / "best.safetensors"
            best.unlink()
            if rng.randrange(2):
                best.symlink_to(rng.choice(["/nowhere", best]))
    commands = {"auto": [*TRAIN, "--steps", "6", "--save-every", "1", "--keep", str(keep), "--resume", "auto", "--run", run, place.data],
                "anew": [*TRAIN, "--steps", "6", "--run", run, place.data],
                "eval": ["an-train", "eval", "--batch", "12", "--compute-threads", "1", "-j", "1", "--run", run, place.data],
                "export": ["an-train", "export", "--run", run, work / "export.safetensors"],
                "curves": ["an-show", "curves", "--output", work / "x.svg", run],
                "report": ["an-show", "report", "--output", work / "x.html", run]}
    name = rng.choice(["auto", "auto", "auto", *commands])
    if keep == 100:  # whatever is there stays, under its name or set aside
        for path in (run / "checkpoints").iterdir():
            if path.is_file() and not path.is_symlink():
                mine[path] = path.read_bytes()
    return f"{'+'.join(kinds)} {name}", commands[name], str(run), mine


def survives(path, content):
    candidates = [path, *path.parent.glob(f"{glob_escape(path.name)}.damaged*")]
    return any(one.is_file() and one.read_bytes() == content for one in candidates)


def glob_escape(name):
    return re.sub(r"([*?[])", r"[\1]", name)


def limits():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))


def run_program(command, environment):
    """The exit code (None: too slow), what was printed, and the most memory that the program held."""
    process = subprocess.Popen([BIN / command[0], *map(str, command[1:])], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               preexec_fn=limits, env=environment)
    late = []
    timer = threading.Timer(PATIENCE, lambda: (late.append(1), process.kill()))
    timer.start()
    text = process.stdout.read().decode("utf-8", "replace")
    _, status, usage = os.wait4(process.pid, 0)
    timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    late = late or -process.returncode == signal.SIGXCPU
    return None if late else process.returncode, text, usage.ru_maxrss << 10


def judge(command, culprit, mine, result):
    """What is wrong with how a program ended, as pairs of a kind and a text."""
    code, text, memory = result
    if code is None:
        yield "hang", f"no end in {SECONDS} s of work or {PATIENCE} s"
    elif code not in CODES or re.search("Sanitizer|runtime error:", text):
        yield "crash", f"exit code {code}"
    elif code and not re.search(rf"(?m)^{command[0]}: error: ", text):
        yield "silence", f"exit code {code} without a message"
    elif code and culprit not in text and not re.search("error: step [0-9]+: loss is ", text):  # a training that diverges
        yield "silence", f"the message does not name {culprit}"
    if memory > MEMORY and not SANITIZED:
        yield "memory", f"{memory >> 20} MiB"
    if "--resume" in command and "auto" in command and code == 0 and re.search(r"(?m)^from +step 0 ", text):
        yield "loss", "began anew beside checkpoints"
    for path, content in (mine or {}).items():
        if not survives(path, content):
            yield "loss", f"{path.name!r} is gone"


def attack(place, seed, number, environment):
    rng = random.Random(f"{seed} {number}")
    work = pathlib.Path(tempfile.mkdtemp(dir=place.root))
    try:
        make = folder_variant if number % 3 == 0 else file_variant
        name, command, culprit, mine = make(rng, place, work)
        result = run_program(command, environment)
        return name, result, list(judge(command, culprit, mine, result))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="this variant alone")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    counts = dict.fromkeys(("crash", "hang", "memory", "silence", "loss"), 0)
    numbers = range(options.count) if options.only is None else [options.only]
    with tempfile.TemporaryDirectory(prefix="an-attack-") as folder:
        environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "XDG_CACHE_HOME": folder}
        place = Place(pathlib.Path(folder))
        for number in numbers:
            name, (code, text, memory), faults = attack(place, options.seed, number, environment)
            for kind, what in faults:
                counts[kind] += 1
                print(f"--seed {options.seed} --only {number}: {name}: {kind}: {what}\n    {text[-600:].strip()!r}")
            if options.verbose:
                print(f"{number}: {name}: {code}, {memory >> 20} MiB: {text.strip().splitlines()[-1:]}")
    found = ("crashes", "hangs", "beyond memory", "without a message", "losses")
    print(f"checkpoints: {len(numbers)} variants, " + ", ".join(f"{n} {word}" for n, word in zip(counts.values(), found)))
    return 1 if any(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
