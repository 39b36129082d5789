#!/usr/bin/env python3
"""scikit-learn's brute force on the features that an-show neighbors wrote, for comparison with bench_show.

usage: bench_show_peer.py FEATURES [QUERIES]     the queries are the first rows; six nearest, median of five
"""
import json
import statistics
import struct
import sys
import time

import numpy
from sklearn.neighbors import NearestNeighbors


def load(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        shape = json.loads(file.read(size))["features"]["shape"]
        return numpy.fromfile(file, dtype="<f4").reshape(shape)


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    base = load(sys.argv[1])
    queries = base[:int(sys.argv[2]) if len(sys.argv) > 2 else 2048]
    finder = NearestNeighbors(n_neighbors=6, algorithm="brute", metric="euclidean", n_jobs=-1).fit(base)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        finder.kneighbors(queries)
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    print(f"scikit-learn: {len(queries)} among {len(base)}: {seconds:.3f} s, "
          f"{2e-9 * base.size * len(queries) / seconds:.0f} GFLOP/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
