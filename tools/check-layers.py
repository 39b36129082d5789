#!/usr/bin/env python3
"""Checks that every #include keeps to the rooms of docs/architecture.md.

usage: check-layers.py ROOT     exit status: 0 no faults, 1 faults, 2 ROOT is not a source tree

A room is a folder with source files. ROOMS says for each room which others it may include; a room includes itself.
Reported are: an include that the table does not allow; a room that is missing from the table; a cycle in the table; a
private header that another room includes; a header of another project outside its home; a folder with too many files.
"""
import re
import sys
from pathlib import Path

STORE = {"store", "store/image", "store/image/planes", "store/jpeg", "store/coef", "store/dataset", "store/reader"}
MODEL = {"model", "model/graph", "model/nets"}
# base/program is for programs: it prints, parses command lines and handles signals.
ROOMS = {
    "base": set(),
    "base/text": {"base"},
    "base/module": {"base"},
    "base/epochs": set(),
    "base/program": {"base", "base/text"},

    "store/image": {"base"},
    "store/image/planes": {"base", "store/image"},
    "store/jpeg": {"base", "store/image", "store/image/planes"},
    "store/coef": {"base", "store/image", "store/image/planes", "store/jpeg"},
    "store": {"base", "base/text", "store/image", "store/image/planes", "store/jpeg", "store/coef"},
    "store/dataset": {"base", "base/text", "store", "store/image"},
    "store/reader": {"base", "base/text"},

    "ingest/sources/labels": {"base", "base/text", "store/dataset"},
    "ingest/sources/archive": {"base", "base/text", "ingest/sources/labels"},
    "ingest/sources": {"base", "base/text", "store", "store/dataset", "ingest/sources/labels", "ingest/sources/archive"},
    "ingest/picture": {"base", "base/text", "store", "store/image", "store/jpeg", "ingest/sources"},
    "ingest/run": {"base", "base/text", "base/program", *STORE, "ingest/sources", "ingest/picture"},
    "ingest/commands": {"base", "base/text", "base/program", *STORE, "ingest/sources", "ingest/picture", "ingest/run"},

    "augment/order": {"base"},
    "augment/pixels": {"base"},
    "augment": {"base", "base/epochs", "base/module", "base/text", "augment/order", *STORE},
    "augment/sample": {"base", "augment", "augment/pixels", "store", "store/image"},
    "augment/cuda/kernels": {"base", "augment", "augment/pixels", "store/image", "store/image/planes", "store/coef"},
    "augment/cuda": {"base", "augment", "augment/pixels", "augment/cuda/kernels", "store/coef", "store/image"},
    "augment/cuda/module": {"base", "augment", "augment/cuda"},

    # The public library. Those who use it, python and examples, see its headers alone.
    "liban/an": set(),
    "liban": {"base", "base/text", "augment", *STORE, "ingest/picture", "liban/an"},

    "model/graph": {"base"},
    "model/nets": {"base", "base/text", "model/graph"},
    "model": {"base", "base/module", "base/text", "model/graph"},
    "model/exec": {"base", "model", "model/graph"},
    "model/cpu/kernels": {"base"},
    "model/cpu": {"base", "model", "model/graph", "model/cpu/kernels"},
    "model/cuda/kernels": {"base"},
    "model/cuda/library": {"base", "model/graph"},
    "model/cuda/proof": {"base", "model/graph", "model/cuda/kernels", "model/cuda/library"},
    "model/cuda/module": {"base", "model", "model/graph"},
    "model/cuda": {"base", "model", "model/graph", "model/cuda/kernels", "model/cuda/library",
                   "model/cuda/proof"},
    "model/cuda/layers": {"base", "model", "model/graph", "model/cuda", "model/cuda/kernels", "model/cuda/library"},

    "train/group": {"base", "base/module", "model", "model/cpu/kernels"},
    "train/replicas": {"base", "model", "train/group"},
    "train/state": {"base", "base/epochs", "base/text", "model", "model/graph"},
    "train/watch": {"base", "base/text", "model", "train/state"},
    "train/setup": {"base", "base/epochs", "base/text", "base/program", "augment", *MODEL, "train/group", "train/replicas",
                    "train/state"},
    "train/advice": {"base", "base/program", "augment", "model", "train/setup"},
    "train/trained": {"base", "base/epochs", "base/text", "base/program", "augment", *MODEL, "train/state", "train/setup"},
    "train/loop": {"base", "base/epochs", "base/text", "base/program", "augment", "model", "model/graph", "train/group", "train/replicas",
                   "train/state", "train/watch", "train/setup", "train/advice"},
    "train/commands": {"base", "base/text", "base/program", "augment", *MODEL, "train/group", "train/replicas", "train/state",
                       "train/watch", "train/setup", "train/advice", "train/trained", "train/loop"},
}
LIBRARIES = set(ROOMS)
SHOW = {f"tools/show/{room}" for room in ("canvas", "content", "views")}
ROOMS |= {
    "tools/packaging": set(),
    "tools/show/canvas": {"base", "base/text", "store/image"},
    "tools/show/content": LIBRARIES | {"tools/show/canvas"},
    "tools/show/views": LIBRARIES | {"tools/show/canvas", "tools/show/content"},
    "tools/show/commands": LIBRARIES | SHOW,

    "python/src/values": set(),
    "python/src/arguments": {"liban/an", "python/src/values"},
    "python/src/device": {"liban/an", "python/src/values"},
    "python/src": {"liban/an", "python/src/values", "python/src/arguments", "python/src/device"},
    "examples/c": {"liban/an"},

    "benchmarks": LIBRARIES | SHOW,
    "benchmarks/ingest": LIBRARIES,
    "benchmarks/io": LIBRARIES | {"tools/show/canvas"},
}

# Tests mirror the rooms, need no row, and may include everything, private headers too.
TESTS = "tests"
# A private header is for its own room and for the rooms that this one lies in: ingest/sources may include
# ingest/sources/labels/truth_private.h, and nobody else may.
PRIVATE = "_private.h"
# Public headers are included as programs include them: <an/loader.h> is liban/an/loader.h.
PUBLIC = "an/"
FILES_MAX = 25  # source files of one folder, without those of the folders in it

# Headers of other projects and the only files that may include them. Tests and benchmarks compare with other projects'
# results and so may include them all.
UNFENCED = ("tests", "benchmarks")
FENCED = [
    (r"(jpeglib|jerror|jmorecfg|jconfig|jpegint|turbojpeg)\.h", r"store/(jpeg|coef)/.*", "store/jpeg and store/coef"),
    (r"liburing(/.*)?\.h", r"store/reader/uring\.c", "store/reader/uring.c"),
    (r"lmdb\.h", r"store/dataset/.*", "store/dataset"),
    (r"(archive|archive_entry|zlib)\.h", r"ingest/sources/.*", "ingest/sources"),
    (r"png\.h", r"base/png\.c|ingest/picture/.*", "base/png.c and ingest/picture"),
    (r"(cairo.*|pango/.*)\.h", r"(tools/show/canvas|ingest/commands)/.*", "tools/show/canvas and ingest/commands"),
    (r"(oneapi/)?(dnnl/)?dnnl.*\.h", r"model/cpu/.*", "model/cpu"),
    (r"nccl.*\.h|mpi\.h", r"train/group/.*", "train/group"),
    (r"(cuda|cublas|cudnn|curand|nvml|nvtx|nvToolsExt|driver_types|vector_types|cooperative_groups).*",
     r"(model|augment)/cuda/.*", "model/cuda and augment/cuda"),
    (r"(cblas|fts)\.h", r"tools/show/content/.*", "tools/show/content"),
]
SOURCES = {".c", ".h", ".cu", ".cuh", ".in", ".inc"}
INCLUDE = re.compile(r"^\s*#\s*include\s+(.*)", re.MULTILINE)
NAME = re.compile(r'(?:"([^"]+)"|<([^>]+)>)')


def includes(path):
    """The line number and the name of every #include, and whether it is a name: a macro is given as it stands."""
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start(1)) + 1
        name = NAME.match(match.group(1))
        yield line, (name.group(1) or name.group(2)) if name else match.group(1), bool(name)


def room_of(file):
    return file.rpartition("/")[0]


def top_of(file):
    return file.split("/")[0]


def cycle(rooms):
    """The rooms of one cycle in the table, first and last the same; None if there is none."""
    done = set()

    def visit(room, way):
        if room in way:
            return [*way[way.index(room):], room]
        if room in done:
            return None
        found = (visit(other, [*way, room]) for other in sorted(rooms.get(room, ())))
        result = next((way for way in found if way), None)
        done.add(room)
        return result

    return next((way for way in (visit(room, []) for room in sorted(rooms)) if way), None)


def fault_of_ours(file, name):
    """Why file may not include our own header name; None if it may."""
    room, other = room_of(file), room_of(name)
    if top_of(file) == TESTS or room == other:
        return None
    if name.endswith(PRIVATE) and not other.startswith(f"{room}/"):
        return f"a private header is for {other} and the rooms around it"
    if other not in ROOMS.get(room, set()):
        return f"{room} may include only {', '.join(sorted(ROOMS.get(room, set()) | {room}))}"
    return None


def fault(file, name, known, tops):
    """Why file may not include name; None if it may."""
    if not known:
        return "a computed #include cannot be checked"
    if name.startswith(PUBLIC):
        name = f"liban/{name}"
    if ".." in name.split("/"):
        return "paths start at the root of the source tree"
    if "/" in name and top_of(name) in tops:
        return fault_of_ours(file, name)
    for header, home, where in FENCED:
        fenced = re.fullmatch(header, name) or re.fullmatch(header, name.rpartition("/")[2])
        if fenced and top_of(file) not in UNFENCED and not re.fullmatch(home, file):
            return f"only {where} may include it"
    return None


def sources(root, tops):
    """The paths of all source files, relative to root."""
    for top in sorted(tops):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SOURCES and path.is_file():
                yield path.relative_to(root).as_posix()


def folder_faults(files):
    """Folders that are too full or, tests aside, missing from the table."""
    rooms = {}
    for file in files:
        if not file.endswith(".in"):
            rooms.setdefault(room_of(file), []).append(file)
    for room, held in sorted(rooms.items()):
        if room not in ROOMS and top_of(room) != TESTS:
            yield f"{room}: not in the table of rooms in tools/check-layers.py"
        if len(held) > FILES_MAX:
            yield f"{room}: {len(held)} source files, more than {FILES_MAX}: make rooms in it"


def check(root):
    """All faults under root, as lines, and the number of files looked at."""
    tops = {top_of(room) for room in ROOMS} | {TESTS}
    files = list(sources(root, tops))
    faults = list(folder_faults(files))
    way = cycle(ROOMS)
    if way:
        faults.append(f"the table of rooms has a cycle: {' -> '.join(way)}")
    for file in files:
        for line, name, known in includes(root / file):
            why = fault(file, name, known, tops)
            if why:
                faults.append(f"{file}:{line}: '{name}': {why}")
    return faults, len(files)


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    faults, count = check(Path(sys.argv[1]))
    if not count:
        print(f"'{sys.argv[1]}' holds no source files: name the root of the source tree", file=sys.stderr)
        return 2
    print("\n".join(faults + [f"{count} files, {len(faults)} faults"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
