"""The programs that come with the package: where they lie, and the console scripts that start them."""

import os
import sys


def path(name: str) -> str:
    """The path of a program of this package. It is there in packages that pip installed; in a build folder it may not be."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", name)


def ingest() -> None:
    """Become an-ingest, with this process's arguments."""
    program = path("an-ingest")
    try:
        os.execv(program, [program, *sys.argv[1:]])
    except OSError as failure:
        sys.exit(f"an-ingest: error: cannot start '{program}': {failure.strerror}")
