# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "opencv-python-headless"]
# ///
"""Is liveness steady? The same faces in worse light, with grain, compressed, small, flashed and beautified.

    steadiness.py labels lfw LFW OUT              one picture of each person of LFW, as bona fide, in two halves by person:
                                                  OUT/lfw-a.csv, OUT/lfw-b.csv (label, subject, path)
    steadiness.py labels replay REPLAY OUT        train and devel of Replay-Attack with their species (print, mobile, highdef)
    steadiness.py degrade CSV IMAGES OUT [--bona-fide] [--most N]
                                                  OUT/KIND/*.png and OUT/KIND.csv for each kind of degradation
    steadiness.py curve CHEHRA OUT                `chehra evaluate liveness` on each OUT/KIND.csv, as a table

Pictures are written as PNG, so that nothing but the degradation is added; noise is seeded by the file's name. Nothing of
the data sets may be committed.
"""

import argparse
import csv
import json
import os
import subprocess
import zlib
from pathlib import Path

import cv2
import numpy as np


def levels(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def noise(deviation):
    return lambda picture, random: levels(picture + random.normal(0, deviation, picture.shape))


def jpeg(quality):
    def change(picture, _):
        return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)

    return change


def dark(divisor, deviation):
    return lambda picture, random: levels(picture / divisor + random.normal(0, deviation, picture.shape))


def contrast(factor):
    return lambda picture, _: levels(picture.mean() + (picture - picture.mean()) * factor)


def bright(factor):
    return lambda picture, _: levels(picture * float(factor))


def flash(picture, _):
    """A light beside the lens: the middle more than doubled, the edges as they were, whites clipped."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    spot = np.exp(-(((x - width / 2) / (0.3 * width)) ** 2 + ((y - height / 2) / (0.3 * height)) ** 2))
    return levels(picture * (0.9 + 1.1 * spot)[..., None])


KINDS = {
    "as-is": lambda picture, _: picture,
    "noise-1": noise(1),
    "noise-2": noise(2),
    "noise-5": noise(5),
    "noise-10": noise(10),
    "light-2": dark(2, 0),
    "light-3": dark(3, 0),
    "light-5-grain": dark(5, 3),
    "light-8-grain": dark(8, 3),
    "bright-1.5": bright(1.5),
    "bright-2": bright(2),
    "contrast-0.75": contrast(0.75),
    "contrast-0.5": contrast(0.5),
    "jpeg-30": jpeg(30),
    "jpeg-50": jpeg(50),
    "jpeg-75": jpeg(75),
    "jpeg-95": jpeg(95),
    "half-size": lambda picture, _: cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "flash": flash,
    "beauty": lambda picture, _: cv2.bilateralFilter(picture, 9, 30, 5),
}


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    print(path, len(rows))


def label_lfw(root, out):
    halves = {"a": [], "b": []}
    for person in sorted(os.listdir(root / "images")):
        picture = sorted(os.listdir(root / "images" / person))[0]
        half = "ab"[zlib.crc32(person.encode()) & 1]
        halves[half].append({"label": "live", "subject": person, "path": f"images/{person}/{picture}"})
    for half, rows in halves.items():
        write(out / f"lfw-{half}.csv", rows)


def label_replay(root, out):
    for split in ("train", "devel"):
        rows = list(csv.DictReader(open(root / f"{split}.csv")))
        for row in rows:
            name = os.path.basename(row["path"])
            species = next((s for s in ("print", "mobile", "highdef") if s in name), "")
            row["species"] = species if row["label"] == "spoof" else ""
        write(out / f"replay-{split}.csv", rows)


def degrade(args):
    rows = list(csv.DictReader(open(args.csv)))
    if args.bona_fide:
        rows = [row for row in rows if row["label"] in ("live", "real")]
    if args.most and len(rows) > args.most:
        rows = rows[:: len(rows) // args.most][: args.most]
    for kind, change in KINDS.items():
        (args.out / kind).mkdir(parents=True, exist_ok=True)
        degraded = []
        for row in rows:
            name = row["path"].replace("/", "_").rsplit(".", 1)[0] + ".png"
            random = np.random.default_rng(zlib.crc32((kind + name).encode()))
            picture = cv2.imread(str(args.images / row["path"]), cv2.IMREAD_COLOR)
            cv2.imwrite(str(args.out / kind / name), change(picture, random))
            degraded.append({**row, "path": f"{kind}/{name}"})
        write(args.out / f"{kind}.csv", degraded)


def curve(args):
    print("| | faces | rejected | rejected or asked | of these, to be taken again |")
    print("|---|---|---|---|---|")
    for kind in KINDS:
        labels = args.out / f"{kind}.csv"
        command = [args.chehra, "-q", "--json", "evaluate", "liveness", "--labels", labels, "--images", args.out]
        report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        if "bpcer_rejecting" not in report:  # before there were two limits
            print(f"| {kind} | {report['bona_fide']} | {report['bpcer']:.3f} | {report['bpcer']:.3f} | |", flush=True)
            continue
        reject, ask = report["bpcer_rejecting"]["rate"], report["bpcer_asking"]["rate"]
        unsure = report["bona_fide_unsure"] / report["bona_fide"]
        print(f"| {kind} | {report['bona_fide']} | {reject:.3f} | {ask:.3f} | {unsure:.3f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    labels = commands.add_parser("labels")
    labels.add_argument("collection", choices=["lfw", "replay"])
    labels.add_argument("root", type=Path)
    labels.add_argument("out", type=Path)
    worse = commands.add_parser("degrade")
    worse.add_argument("csv", type=Path)
    worse.add_argument("images", type=Path)
    worse.add_argument("out", type=Path)
    worse.add_argument("--bona-fide", action="store_true")
    worse.add_argument("--most", type=int)
    table = commands.add_parser("curve")
    table.add_argument("chehra")
    table.add_argument("out", type=Path)
    args = parser.parse_args()
    if args.command == "labels":
        {"lfw": label_lfw, "replay": label_replay}[args.collection](args.root, args.out)
    else:
        {"degrade": degrade, "curve": curve}[args.command](args)


if __name__ == "__main__":
    main()
