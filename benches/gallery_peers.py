"""hnswlib and usearch beside chehra's gallery, on the same rows, in the same run; and the growth of cost with N.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy==2.3.5 hnswlib==0.8.0 usearch==2.26.6 matplotlib
    /tmp/peers/bin/python benches/gallery_peers.py 10000 30000 100000      # or: --plot LINES.jsonl OUT.svg

For each N it runs `cargo bench --bench gallery -- write ... hnsw ...`, then builds M 16, efConstruction 200 with either
package on one thread, searches the same probes for 100 neighbours, keeps those above the threshold and compares with
the exact pairs. Rates are per second of processor time. Lines of JSON go to standard output.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

DIM = int(os.environ.get("DIM", 128))
PROBES = 2000
THRESHOLD = 0.45
ROOT = Path(__file__).resolve().parent.parent


def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def measure(name, rows, build, search, pairs):
    """Builds and searches; says speed, memory and the share of true pairs found."""
    before, clock = resident(), time.process_time()
    index = build()
    built, memory = time.process_time() - clock, resident() - before
    for ef in (64, 128, 256):
        clock = time.process_time()
        labels, distances = search(index, ef)
        seconds = time.process_time() - clock
        near = np.nonzero(1 - distances >= THRESHOLD)
        found = set(zip(near[0].tolist(), labels[near].tolist()))
        say = {"bench": "peer", "engine": name, "rows": rows, "dim": DIM, "breadth": ef}
        say |= {"build_rows_per_cpu_s": rows / built, "bytes_per_row": memory / rows}
        say |= {"probes_per_cpu_s": PROBES / seconds, "pair_recall": len(found & pairs) / max(1, len(pairs))}
        print(json.dumps(say), flush=True)


def hnswlib_engine(data, probes):
    import hnswlib

    def build():
        index = hnswlib.Index(space="ip", dim=DIM)
        index.init_index(max_elements=len(data), M=16, ef_construction=200, random_seed=1)
        index.add_items(data, num_threads=1)
        return index

    def search(index, ef):
        index.set_ef(max(ef, 100))
        return index.knn_query(probes, k=100, num_threads=1)

    return build, search


def usearch_engine(data, probes, dtype):
    from usearch.index import Index

    def build():
        index = Index(ndim=DIM, metric="ip", dtype=dtype, connectivity=16, expansion_add=200)
        index.add(np.arange(len(data)), data, threads=1)
        return index

    def search(index, ef):
        index.expansion_search = max(ef, 100)
        found = index.search(probes, 100, threads=1)
        return np.asarray(found.keys), np.asarray(found.distances)

    return build, search


def run(rows):
    size = [str(rows), str(DIM), str(PROBES)]
    command = ["cargo", "bench", "-q", "--bench", "gallery", "--", "write", *size, "hnsw", *size]
    subprocess.run(command, cwd=ROOT, check=True)
    load = lambda name, kind: np.fromfile(ROOT / "target/peers" / name, dtype=kind)
    data, probes = load("rows.f32", "<f4").reshape(-1, DIM), load("probes.f32", "<f4").reshape(-1, DIM)
    pairs = set(map(tuple, load("pairs.u32", "<u4").reshape(-1, 2).tolist()))
    measure("hnswlib f32", rows, *hnswlib_engine(data, probes), pairs)
    measure("usearch f32", rows, *usearch_engine(data, probes, "f32"), pairs)
    measure("usearch i8", rows, *usearch_engine(data, probes, "i8"), pairs)


def plot(source, target):
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    lines = [json.loads(line) for line in open(source) if line.startswith("{")]
    series = {}
    for line in lines:
        rate = line.get("probes_per_cpu_s") or (line["probes"] / line["cpu_seconds"] if line.get("cpu_seconds") else None)
        if rate and line.get("breadth", 128) == 128 and line["dim"] == DIM:
            name = line.get("engine") or "chehra HNSW, breadth 128"
            name = "chehra exact" if name == "exact" else name
            series.setdefault(name, {})[line["rows"]] = rate
    for name, points in sorted(series.items()):
        xs = sorted(points)
        plt.plot(xs, [points[x] for x in xs], "o-", label=name)
    plt.xscale("log"), plt.yscale("log"), plt.grid(True, which="both", alpha=0.3), plt.legend()
    plt.xlabel(f"templates of {DIM} values"), plt.ylabel("probes per second of one core")
    plt.savefig(target)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--plot"]:
        plot(*sys.argv[2:4])
    else:
        for number in sys.argv[1:]:
            run(int(number))
