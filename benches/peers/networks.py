#!/usr/bin/env python3
"""Each network by itself under ONNX Runtime and OpenVINO, in turns with chehra's own.

    python3 -m venv .venv && .venv/bin/pip install -r benches/peers/requirements.txt
    .venv/bin/python benches/peers/networks.py [--threads 2] [--rounds 3] [--bench PROGRAM] [--packages DIR]

The same weights, the same input sides, batches of 1, 8 and 32; PROGRAM is what `cargo bench --bench networks --no-run` names.
Stated is the median over the rounds of images a second by the clock, and of processor milliseconds an image, which a busy
machine disturbs less. chehra runs a batch on each thread, as its audit does; the others share each batch out.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx

import peers

SIDES = {"yunet": (480, 640), "liveness": (128, 128), "sface": (112, 112)}
ENGINES = {"ort f32": (peers.Ort, "f32"), "openvino f32": (peers.OpenVino, "f32"), "openvino bf16": (peers.OpenVino, "bf16")}


def with_batch(data):
    """The detector is read with its sides free; here its batch is what varies."""
    model = onnx.load_from_string(data)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    for output in model.graph.output:
        for axis in (0, 1):
            output.type.tensor_type.shape.dim[axis].dim_param = f"rows_{axis}_{output.name}"
    return model.SerializeToString()


def measure(engine, name, batch, seconds):
    height, width = SIDES[name]
    x = np.random.default_rng(1).integers(0, 256, (batch, 3, height, width)).astype(np.float32)
    engine.run(name, x)
    wall, cpu, images = time.perf_counter(), time.process_time(), 0
    while images == 0 or time.perf_counter() - wall < seconds:
        engine.run(name, x)
        images += batch
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"images_s": images / wall, "cpu_ms": 1000 * cpu / images}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--networks", nargs="+", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--packages", type=Path, default=peers.ROOT / "target/peers/packages")
    parser.add_argument("--json", type=Path, help="write every run here")
    args = parser.parse_args()
    models = peers.networks(args.packages)
    models["yunet"] = with_batch(models["yunet"])
    engines = {name: make(models, args.threads, precision) for name, (make, precision) in ENGINES.items()}
    runs = {}
    for _ in range(args.rounds):
        for network in args.networks:
            for batch in args.batches:
                for name, engine in engines.items():
                    try:
                        runs.setdefault((network, batch, name), []).append(measure(engine, network, batch, args.seconds))
                    except Exception as error:  # a network whose file fixes its batch
                        print(f"{name}: {network} at batch {batch}: {str(error).splitlines()[0]}", file=sys.stderr)
                command = [args.bench, network, "--batch", str(batch), "--threads", str(args.threads), "--seconds",
                           str(args.seconds), "--json"]
                lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
                for run in map(json.loads, lines):
                    runs.setdefault((network, batch, f"chehra {run['precision']}"), []).append(run)
    if args.json:
        flat = [{"network": n, "batch": b, "engine": e, "runs": r} for (n, b, e), r in runs.items()]
        args.json.write_text(json.dumps(flat, indent=1) + "\n")
    names = ["chehra f32", "chehra bf16x3", "chehra bf16", *ENGINES]
    for key, title in (("images_s", "images a second"), ("cpu_ms", "processor ms an image")):
        print(f"\n| {title} | batch | " + " | ".join(names) + " |\n|---|---|" + "---|" * len(names))
        for network in args.networks:
            for batch in args.batches:
                values = [[run[key] for run in runs.get((network, batch, name), [])] for name in names]
                cells = [f"{statistics.median(v):.4g}" if v else "-" for v in values]
                print(f"| {network} | {batch} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
