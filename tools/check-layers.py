#!/usr/bin/env python3
"""Names every #include that breaks the layering which docs/architecture.md describes.

usage: check-layers.py ROOT     exit status: 0 all keep to it, 1 some do not, 2 ROOT is not a source tree
"""
import re
import sys
from pathlib import Path

LIBRARIES = {
    "base": {"base"},
    "store": {"base", "store"},
    "ingest": {"base", "store", "ingest"},
    "augment": {"base", "store", "augment"},
    "model": {"base", "model"},
    "train": {"base", "augment", "model", "train"},
}
# What stands above the libraries may use all of them; nobody else includes these, but tests of what benchmarks decide and tools draw.
ABOVE = ("tools", "benchmarks", "tests")
ALLOWED = {**LIBRARIES, **{folder: {*LIBRARIES, folder} for folder in ABOVE}}
ALLOWED["tests"].update(("benchmarks", "tools"))
ALLOWED["benchmarks"].add("tools")

# Headers of other projects and the only files of ours that may include them; those that compare with them are free.
FREE = ("tests", "benchmarks")
FENCED = [
    (r"(jpeglib|jerror|jmorecfg|jconfig|jpegint|turbojpeg)\.h", r"store/(jpeg|coef)/.*", "store's JPEG codec"),
    (r"liburing(/.*)?\.h", r"store/reader/uring\.c", "store/reader/uring.c"),
    (r"lmdb\.h", r"store/.*", "store/"),
    (r"(oneapi/)?(dnnl/)?dnnl.*\.h", r"model/cpu/.*", "model/cpu/"),
    (r"(cuda|cublas|cudnn|curand|nccl|nvml|nvtx|driver_types|vector_types|cooperative_groups).*", r"model/cuda/.*",
     "model/cuda/"),
]
SOURCES = {".c", ".h", ".cu", ".cuh", ".in", ".inc"}
INCLUDE = re.compile(r"^\s*#\s*include\s+(.*)", re.MULTILINE)
NAME = re.compile(r'(?:"([^"]+)"|<([^>]+)>)')


def includes(path):
    """The line number and the name of every #include; a name made by a macro is given as it stands."""
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start(1)) + 1
        name = NAME.match(match.group(1))
        yield line, (name.group(1) or name.group(2)) if name else match.group(1), bool(name)


def exposed_to_train(root):
    """Headers of store that augment's own headers include: whoever includes those has them anyway."""
    return {name for path in sorted((root / "augment").rglob("*.h")) for _, name, _ in includes(path)
            if name.startswith("store/")}


def fault(file, name, known, exposed):
    """Why file may not include name; None if it may."""
    folder, other = file.split("/")[0], name.split("/")[0]
    if not known:
        return "a computed #include cannot be checked"
    if ".." in name.split("/"):
        return "paths start at the root of the source tree"
    if "/" in name and other in ALLOWED:
        if other in ALLOWED[folder] or (folder == "train" and name in exposed):
            return None
        return f"{folder} may include only {', '.join(sorted(ALLOWED[folder]))}"
    for header, home, where in FENCED:
        if folder not in FREE and re.fullmatch(header, name) and not re.fullmatch(home, file):
            return f"only {where} may include it"
    return None


def check(root):
    """All faults under root, as lines, and the number of files looked at."""
    exposed, faults, count = exposed_to_train(root), [], 0
    for folder in ALLOWED:
        for path in sorted(p for p in (root / folder).rglob("*") if p.suffix in SOURCES):
            file = path.relative_to(root).as_posix()
            count += 1
            for line, name, known in includes(path):
                why = fault(file, name, known, exposed)
                if why:
                    faults.append(f"{file}:{line}: '{name}': {why}")
    return faults, count


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
