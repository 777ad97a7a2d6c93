#!/usr/bin/env python3
"""A large dump made quickly: what it takes to see whether cost and memory grow with the rows of a night.

    python3 -m venv .venv && .venv/bin/pip install -r benches/peers/requirements.txt
    .venv/bin/python benches/scale.py --faces lfw/images --rows 100000 --out dump
    chehra audit dump --out out/scale --precision bf16 --no-report

Each selfie is 640x480 with two pictures of the folder side by side, moved and scaled at random, on a background of its own; a
worker has 50 members. There are fewer people in the folder than rows, so members recur: a hundred thousand rows of LFW have
each person two dozen times, which gives matching far more to do than any real night. For dumps with a truth use `chehra synth`.
"""
import argparse
import datetime
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WIDTH, HEIGHT, MEMBERS, WRITE = 640, 480, 50, 1000
SCHEMA = pa.schema([("submission_id", pa.string()), ("worker_id", pa.string()), ("district", pa.string()),
                    ("captured_at", pa.timestamp("us", tz="UTC")), ("selfie", pa.binary())])


def paste(canvas, face, left, rng):
    """A face in one half of the picture."""
    side = int(rng.integers(220, 280))
    top = int(rng.integers(60, HEIGHT - side))
    left += int(rng.integers(0, WIDTH // 2 - side))
    canvas[top:top + side, left:left + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_LINEAR)


def selfie(worker, member, rng):
    """The JPEG of one submission."""
    corners = rng.integers(40, 216, (2, 2, 3)).astype(np.uint8)
    canvas = cv2.resize(corners, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    paste(canvas, worker, 0, rng)
    paste(canvas, member, WIDTH // 2, rng)
    return cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(80, 92))])[1].tobytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True, help="a folder NAME/*.jpg")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    people = [sorted(folder.glob("*.jpg")) for folder in sorted(args.faces.iterdir()) if folder.is_dir()]
    people = [pictures for pictures in people if pictures]
    if len(people) < 2:
        parser.error(f"{args.faces}: at least two folders with pictures expected, found {len(people)}")
    images = [[cv2.imread(str(path)) for path in pictures] for pictures in people]
    order = np.random.default_rng(args.seed).permutation(len(people))
    # Workers and members are different people, or every member of a worker would be a worker of another.
    workers, members = order[:len(order) // 10 + 1], order[len(order) // 10 + 1:]
    start = datetime.datetime(2026, 11, 26, 3, tzinfo=datetime.timezone.utc)
    args.out.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(args.out / "submissions.parquet", SCHEMA, compression="none") as writer:
        for first in range(0, args.rows, WRITE):
            rows = []
            for row in range(first, min(first + WRITE, args.rows)):
                rng = np.random.default_rng((args.seed, row))
                worker = row // MEMBERS
                of_worker, of_member = images[workers[worker % len(workers)]], images[members[row % len(members)]]
                picture = selfie(of_worker[rng.integers(len(of_worker))], of_member[rng.integers(len(of_member))], rng)
                rows.append((f"S-{row:07}", f"W-{worker:06}", f"D-{worker % 50:02}",
                             start + datetime.timedelta(seconds=row // 3), picture))
            writer.write_table(pa.table([list(column) for column in zip(*rows)], schema=SCHEMA), row_group_size=WRITE)


if __name__ == "__main__":
    main()
