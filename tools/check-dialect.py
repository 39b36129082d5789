#!/usr/bin/env python3
"""Checks the conventions of docs/contributing.md that a compiler and clang-format do not know.

usage: check-dialect.py ROOT [FOLDER...]     exit status: 0 no faults, 1 faults, 2 nothing to check

FOLDERs are relative to ROOT; without any, the whole tree is checked. Reported are: a status compared with AN_OK; an int
called error; a condition that assigns rc more than twice; a private header that is not called *_private.h; a header
guard that does not spell the header's path. Comments and strings are not looked at.
"""
import re
import sys
from pathlib import Path

FOLDERS = ("base", "store", "ingest", "augment", "model", "train", "tools", "benchmarks", "tests", "liban",
           "python", "examples")
SOURCES = {".c", ".h", ".cu", ".cuh", ".inc"}
HEADERS = {".h", ".cuh"}
ASSIGNMENTS_MAX = 2
PUBLIC = "liban/an/"  # headers that are installed: their guards have the prefix of their symbols

# A comment, a string or a character constant, whichever begins first.
NO_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
STATUS = re.compile(r"[!=]=\s*AN_OK\b|\bAN_OK\s*[!=]=")
ERROR = re.compile(r"\bint\s+(?:\w+\s*(?:=[^,;(){}]*)?,\s*)*\**error\b(?!\s*\()")
CHAINED = re.compile(r"\(\s*rc\s*=(?!=)")
UNPRIVATE = re.compile(r"(internal|impl|private|priv)$")
GUARD = re.compile(r"\s*#ifndef (\w+)\n#define (\w+)\n")


def code_of(text):
    """The text with comments and strings blanked out, each line where it was."""
    return NO_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def statements(code):
    """Where each statement begins, and its text. A for's semicolons end statements too, which does no harm here."""
    for match in re.finditer(r"[^;{}]+", code):
        yield match.start() + len(match.group()) - len(match.group().lstrip()), match.group()


def faults_in_code(code):
    """Position and description of each fault in the code of a file."""
    for match in STATUS.finditer(code):
        yield match.start(), "0 is success: write 'if (rc)' or 'if (!rc)' instead of comparing with AN_OK"
    for match in ERROR.finditer(code):
        yield match.start(), "a status is called rc, not error"
    for start, statement in statements(code):
        if len(CHAINED.findall(statement)) > ASSIGNMENTS_MAX:
            yield start, "more than two calls in one condition: write a line for each"


def guard_of(file):
    if file.startswith(PUBLIC):
        return "LIBAN_" + re.sub(r"[^A-Z0-9]", "_", file[len(PUBLIC):].upper())
    return "AN_" + re.sub(r"[^A-Z0-9]", "_", file.upper())


def faults_of_header(file, code):
    """Position and description of what is wrong with a header's name or guard."""
    stem = Path(file).stem
    if UNPRIVATE.search(stem) and not stem.endswith("_private"):
        yield 0, "a private header is called *_private.h"
    match = GUARD.match(code)
    if not match or set(match.groups()) != {guard_of(file)}:
        yield 0, f"the include guard must be {guard_of(file)}"


def check_file(root, path):
    """All faults of one file, as lines."""
    file = path.relative_to(root).as_posix()
    code = code_of(path.read_text(encoding="utf-8"))
    found = list(faults_in_code(code))
    if path.suffix in HEADERS:
        found += faults_of_header(file, code)
    return [f"{file}:{code.count(chr(10), 0, at) + 1}: {what}" for at, what in sorted(found)]


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    root = Path(sys.argv[1])
    paths = [path for folder in sys.argv[2:] or FOLDERS for path in sorted((root / folder).rglob("*"))
             if path.suffix in SOURCES and path.is_file()]
    if not paths:
        print(f"'{root}' holds no source files: name the root of the source tree", file=sys.stderr)
        return 2
    faults = [line for path in paths for line in check_file(root, path)]
    print("\n".join(faults + [f"{len(paths)} files, {len(faults)} faults"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
