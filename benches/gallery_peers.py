"""hnswlib and usearch beside chehra's gallery, on the same rows, in the same run; and the growth of cost with N.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy hnswlib==0.8.0 usearch matplotlib
    /tmp/peers/bin/python benches/gallery_peers.py 100000 250000           # or: --plot LINES.jsonl OUT.svg

For each N it runs `cargo bench --bench gallery -- peers ... hnsw ...` (or the binary that CHEHRA_BENCH names), then
builds M 16, efConstruction 200 with either package, searches the same probes for 100 neighbours, keeps those above the
threshold and compares with the exact pairs. Rates are per second of processor time. Lines of JSON go to standard output.
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
THREADS = os.cpu_count()
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
        index.add_items(data, num_threads=THREADS)
        return index

    def search(index, ef):
        index.set_ef(max(ef, 100))
        return index.knn_query(probes, k=100, num_threads=THREADS)

    return build, search


def usearch_engine(data, probes, dtype):
    from usearch.index import Index

    def build():
        index = Index(ndim=DIM, metric="ip", dtype=dtype, connectivity=16, expansion_add=200)
        index.add(np.arange(len(data)), data, threads=THREADS)
        return index

    def search(index, ef):
        index.expansion_search = max(ef, 100)
        found = index.search(probes, 100, threads=THREADS)
        return np.asarray(found.keys), np.asarray(found.distances)

    return build, search


def run(rows):
    size = [str(rows), str(DIM), str(PROBES)]
    bench = os.environ.get("CHEHRA_BENCH")
    program = [bench] if bench else ["cargo", "bench", "-q", "--bench", "gallery", "--"]
    command = [*program, "peers", *size, "hnsw", *size]
    subprocess.run(command, cwd=ROOT, check=True)
    load = lambda name, kind: np.fromfile(ROOT / "target/peers" / name, dtype=kind)
    data, probes = load("rows.f32", "<f4").reshape(-1, DIM), load("probes.f32", "<f4").reshape(-1, DIM)
    pairs = set(map(tuple, load("pairs.u32", "<u4").reshape(-1, 2).tolist()))
    measure("hnswlib f32", rows, *hnswlib_engine(data, probes), pairs)
    measure("usearch f32", rows, *usearch_engine(data, probes, "f32"), pairs)
    measure("usearch i8", rows, *usearch_engine(data, probes, "i8"), pairs)


def series(lines, rate):
    """Points (rows, value) by name, the last measurement of each."""
    found = {}
    for line in lines:
        name, value = rate(line)
        if value and line["dim"] == DIM:
            found.setdefault(name, {})[line["rows"]] = value
    return found


def speed(line):
    name = {"exact": "chehra exact", "hnsw": "chehra HNSW"}.get(line.get("engine"), line.get("engine"))
    # As wide as it takes for a pair recall of 0.985; the exact scan has none to set.
    good = line["bench"] == "scan" or line.get("pair_recall", 0) >= 0.985
    return name, line.get("probes_per_cpu_s") if good else None


def building(line):
    if line["bench"] == "add":
        return "chehra, commit to disk", line["rows_per_cpu_s"] if line["added"] else None
    if line["bench"] == "hnsw-build":
        return "chehra HNSW", line["rows_per_cpu_s"]
    return line.get("engine"), line.get("build_rows_per_cpu_s")


def opening(line):
    return "chehra, open a store", line["cpu_seconds"] if line["bench"] == "open" else None


def plot(source, target):
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    lines = [json.loads(line) for line in open(source) if line.startswith("{")]
    lines = [line for line in lines if "rows" in line and "dim" in line]
    # The narrowest search that is good enough comes last, so that it is the one kept.
    lines.sort(key=lambda line: -line.get("breadth", 0))
    panels = [(speed, "probes per second of one core"), (building, "rows per second of one core"), (opening, "seconds of one core")]
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.5))
    for axis, (rate, label) in zip(axes, panels):
        for name, points in sorted(series(lines, rate).items()):
            xs = sorted(points)
            axis.plot(xs, [points[x] for x in xs], "o-", label=name)
        axis.set(xscale="log", yscale="log", xlabel=f"templates of {DIM} values", ylabel=label)
        axis.grid(True, which="both", alpha=0.3), axis.legend(fontsize="small")
    axes[0].set_title("search, pair recall at least 0.985")
    axes[1].set_title("adding rows, building graphs")
    axes[2].set_title("opening")
    figure.tight_layout()
    figure.savefig(target)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--plot"]:
        plot(*sys.argv[2:4])
    else:
        for number in sys.argv[1:]:
            run(int(number))
