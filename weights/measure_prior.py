#!/usr/bin/env python3
"""Measures the curves of src/matching/prior.rs, and the shares of an ensemble, from templates.

    chehra evaluate verification --pairs lfw/pairs.csv --images lfw --embedder sface --save sface.parquet
    chehra evaluate verification --pairs lfw/pairs.csv --images lfw --embedder mobilefacenet192 --save mfn.parquet
    python measure_prior.py sface.parquet [--same-people twice.csv]
    python measure_prior.py sface.parquet mfn.parquet [--same-people twice.csv]      # shares of the two

One file: quantiles of impostor and mated similarities and a generalised Pareto tail above the rate 1e-4, as Rust.
Two files: share of mated pairs found (TAR) at several false-match rates for each share of the first in the squared norm.
Pairs of different people that are above 0.66 (or whatever --noise says) in any file are printed, and left out when their
names are in --same-people: a benchmark has people under two names. Needs numpy, pyarrow and scipy.
"""
import argparse
import csv

import numpy as np
import pyarrow.parquet as pq


def load(path):
    table = pq.read_table(path)
    templates = np.array(table["template"].to_pylist(), dtype=np.float32)
    identities = np.array(table["identity"].to_pylist())
    return templates / np.linalg.norm(templates, axis=1, keepdims=True), identities, table["path"].to_pylist()


def known_pairs(path, names):
    number = {name: i for i, name in enumerate(names)}
    with open(path, newline="") as file:
        rows = [(number[row["name_a"]], number[row["name_b"]]) for row in csv.DictReader(file)]
    return {(min(a, b), max(a, b)) for a, b in rows}


def scores(files, labels, known, floor):
    """Similarities of mated pairs and of impostor pairs above `floor` in any file; and how many impostor pairs."""
    rows = len(labels)
    mated, impostor, places, pairs = [], [], [], 0
    for start in range(0, rows, 500):
        end = min(start + 500, rows)
        blocks = [x[start:end] @ x.T for x in files]
        later = np.arange(rows)[None, :] > np.arange(start, end)[:, None]
        same = labels[start:end, None] == labels[None, :]
        mated.append(np.stack([b[later & same] for b in blocks]))
        high = np.zeros_like(same)
        for block in blocks:
            high |= block > floor
        chosen = later & ~same & high
        pairs += int((later & ~same).sum())
        at, to = np.nonzero(chosen)
        names = np.sort(np.stack([labels[at + start], labels[to]]), axis=0)
        wanted = np.array([tuple(p) not in known for p in names.T], dtype=bool) if known else np.ones(len(at), dtype=bool)
        pairs -= int((~wanted).sum())
        impostor.append(np.stack([b[chosen] for b in blocks])[:, wanted])
        places.append(np.stack([at + start, to])[:, wanted])
    return np.concatenate(mated, 1), np.concatenate(impostor, 1), np.concatenate(places, 1), pairs


def prior(mated, impostor, pairs):
    from scipy.stats import genpareto

    falling = np.sort(impostor)[::-1]
    print("    strangers: (similarity, log10 of the rate)")
    rates = [-0.001, -0.01, -0.05, -0.1, -0.2, -0.3] + [-0.25 * k for k in range(2, 17)]
    for log10 in rates:
        at = int(pairs * 10**log10)
        if at < len(falling):
            print(f"        ({falling[at]:.4f}, {log10}),")
    count = int(pairs * 1e-4)
    start = falling[count]
    shape, _, scale = genpareto.fit(falling[:count] - start, floc=0)
    print(f"    tail: start {start:.4f}, rate 1e-4, scale {scale:.4f}, shape {shape:.3f} ({count} pairs)")
    for log10 in (-5, -6, -7):
        print(f"    measured at 1e{log10}: {falling[int(pairs * 10.0**log10)]:.4f}")
    shares = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9,
              0.95, 0.98, 0.99, 0.995, 0.999]
    print("    mates:", ", ".join(f"({np.quantile(mated, s):.4f}, {s})" for s in shares))


def shares(mated, impostor, pairs):
    print("share of the first file: TAR at FMR 1e-4, 1e-5, 1e-6, and the mean over FMR 2e-7 to 2e-6")
    for share in np.arange(1.0, -0.01, -0.05):
        m = share * mated[0] + (1 - share) * mated[1]
        i = np.sort(share * impostor[0] + (1 - share) * impostor[1])[::-1]
        tar = [np.mean(m >= i[int(pairs * rate)]) for rate in (1e-4, 1e-5, 1e-6)]
        mean = np.mean([np.mean(m >= i[k]) for k in range(int(pairs * 2e-7), int(pairs * 2e-6))])
        print(f"  {share:.2f}  " + "  ".join(f"{value:.4f}" for value in [*tar, mean]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("templates", nargs="+")
    parser.add_argument("--same-people")
    parser.add_argument("--noise", type=float, default=0.66)
    args = parser.parse_args()
    files, tables = [], []
    for path in args.templates:
        templates, identities, paths = load(path)
        files.append(templates)
        tables.append((identities, paths))
    identities, paths = tables[0]
    if any(other[1] != paths for other in tables):
        raise SystemExit("the files are of different pictures")
    names, labels = np.unique(identities, return_inverse=True)
    known = known_pairs(args.same_people, names) if args.same_people else set()
    one = len(files) == 1
    mated, impostor, places, pairs = scores(files, labels, known, -2.0 if one else 0.25)
    noisy = np.nonzero(impostor.max(0) > args.noise)[0]
    for k in noisy[np.argsort(-impostor[:, noisy].max(0))]:
        print("look at", " ".join(f"{s:.3f}" for s in impostor[:, k]), paths[places[0, k]], paths[places[1, k]])
    print(f"{mated.shape[1]} mated and {pairs} impostor pairs")
    if one:
        prior(mated[0], impostor[0], pairs)
    else:
        shares(mated, impostor, pairs)


if __name__ == "__main__":
    main()
