#!/usr/bin/env python3
"""Other runtimes on the same card in the same session: PyTorch, torchvision's nvJPEG, ONNX Runtime, as far as they are installed.

    peers.py --device cuda --weights iresnet.safetensors --layers 100 --pairs 1000000 --dim 512 --dump DUMP > peers.json
    peers.py --weights iresnet.safetensors --layers 100      # only makes the weights, where the file is not there

What is measured: faces a second through IResNet (random weights; f32, f16, bf16; several batch sizes), all pairs of random
templates by matrix products in blocks with a threshold, and JPEGs a second. Each figure is the best of several rounds after a
warm-up, with the device waited for before the clock stops. What is not installed is said, not faked.
"""
import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

UNITS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 14, 3], 100: [3, 13, 30, 3]}
WIDTHS = [64, 64, 128, 256, 512]


# ------------------------------------------------------------------------------------------------ weights

def state(layers):
    """insightface's IResNet with random weights, by the names of its own files."""
    rng, tensors = np.random.default_rng(7), {}

    def conv(name, cout, cin, side, gain):
        scale = np.sqrt(gain / (cin * side * side))
        tensors[f"{name}.weight"] = rng.uniform(-scale, scale, (cout, cin, side, side)).astype(np.float32)

    def norm(name, width):
        for part, low, high in (("weight", 0.8, 1.2), ("bias", -0.2, 0.2), ("running_mean", -0.2, 0.2), ("running_var", 0.5, 1.5)):
            tensors[f"{name}.{part}"] = rng.uniform(low, high, width).astype(np.float32)

    def prelu(name, width):
        tensors[f"{name}.weight"] = rng.uniform(0.15, 0.35, width).astype(np.float32)

    conv("conv1", 64, 3, 3, 3.0)
    norm("bn1", 64)
    prelu("prelu", 64)
    cin = 64
    for layer, (count, width) in enumerate(zip(UNITS[layers], WIDTHS[1:]), 1):
        for i in range(count):
            name = f"layer{layer}.{i}"
            norm(f"{name}.bn1", cin)
            conv(f"{name}.conv1", width, cin, 3, 3.0)
            norm(f"{name}.bn2", width)
            prelu(f"{name}.prelu", width)
            conv(f"{name}.conv2", width, width, 3, 0.3)
            norm(f"{name}.bn3", width)
            if i == 0:
                conv(f"{name}.downsample.0", width, cin, 1, 3.0)
                norm(f"{name}.downsample.1", width)
            cin = width
    norm("bn2", 512)
    scale = np.sqrt(3.0 / (512 * 49))
    tensors["fc.weight"] = rng.uniform(-scale, scale, (512, 512 * 49)).astype(np.float32)
    tensors["fc.bias"] = rng.uniform(-0.1, 0.1, 512).astype(np.float32)
    norm("features", 512)
    return tensors


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for values in tensors.values():
            out.write(values.tobytes())


# ------------------------------------------------------------------------------------------------ peers

class Tally:
    def __init__(self, quick):
        self.results, self.left_out, self.seconds = [], [], 0.3 if quick else 2.0

    def rate(self, peer, what, unit, work, count, wait, note=""):
        """The best of five rounds, each of at least a part of the time."""
        work(), wait()
        best = 0.0
        for _ in range(5):
            start, done = time.perf_counter(), 0
            while True:
                work()
                done += count
                wait()
                spent = time.perf_counter() - start
                if spent >= self.seconds / 5:
                    break
            best = max(best, done / spent)
        self.results.append({"peer": peer, "what": what, "rate": best, "unit": unit, "note": note})
        print(f"# {peer}, {what}: {best:.4g} {unit}", file=sys.stderr, flush=True)

    def tried(self, what, work):
        try:
            work()
        except Exception as error:  # Memory, a missing operator: the others still run.
            self.left_out.append(f"{what} ({type(error).__name__}: {str(error).splitlines()[0][:160]})")
            print(f"# left out: {self.left_out[-1]}", file=sys.stderr, flush=True)


def torch_iresnet(torch, tensors, layers):
    functional = torch.nn.functional

    def run(w, x):
        norm = lambda x, name: functional.batch_norm(x, w[f"{name}.running_mean"], w[f"{name}.running_var"], w[f"{name}.weight"],
                                                     w[f"{name}.bias"], eps=1e-5)
        conv = lambda x, name, stride=1, pad=1: functional.conv2d(x, w[f"{name}.weight"], None, stride, pad)
        x = functional.prelu(norm(conv(x, "conv1"), "bn1"), w["prelu.weight"])
        for layer, count in enumerate(UNITS[layers], 1):
            for i in range(count):
                name, stride = f"layer{layer}.{i}", 2 if i == 0 else 1
                y = conv(norm(x, f"{name}.bn1"), f"{name}.conv1")
                y = functional.prelu(norm(y, f"{name}.bn2"), w[f"{name}.prelu.weight"])
                y = norm(conv(y, f"{name}.conv2", stride), f"{name}.bn3")
                if i == 0:
                    x = norm(conv(x, f"{name}.downsample.0", 2, 0), f"{name}.downsample.1")
                x = x + y
        x = norm(x, "bn2").flatten(1)
        x = functional.linear(x, w["fc.weight"], w["fc.bias"])
        return norm(x, "features")

    return run


def with_torch(args, tally, tensors):
    import torch
    if args.device != "cpu" and not torch.cuda.is_available():
        raise RuntimeError("PyTorch sees no card")
    device = torch.device("cpu" if args.device == "cpu" else args.device)
    wait = (lambda: None) if device.type == "cpu" else (lambda: torch.cuda.synchronize(device))
    peer = f"PyTorch {torch.__version__}"
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
    run = torch_iresnet(torch, tensors, args.layers)
    kinds = [("f32", torch.float32)] if device.type == "cpu" else [("f32", torch.float32), ("f16", torch.float16), ("bf16", torch.bfloat16)]
    for kind, dtype in kinds:
        last = torch.channels_last
        turned = lambda v: v.contiguous(memory_format=last) if v.dim() == 4 else v
        w = {name: turned(torch.from_numpy(v).to(device, dtype)) for name, v in tensors.items()}
        for batch in ([args.batch] if args.quick else sorted({64, args.batch})):
            x = torch.rand(batch, 3, 112, 112, device=device).to(dtype).contiguous(memory_format=last)

            def once():
                with torch.inference_mode():
                    run(w, x)
            tally.tried(f"{peer}, IResNet-{args.layers} {kind} batch {batch}", lambda: tally.rate(
                peer, f"IResNet-{args.layers}, {kind}, batch {batch}", "faces/s", once, batch, wait))
    tally.tried(f"{peer}, all pairs", lambda: torch_pairs(torch, device, args, tally, peer, wait))
    tally.tried("torchvision's decoder", lambda: torch_jpeg(torch, device, args, tally, wait))


def torch_pairs(torch, device, args, tally, peer, wait):
    """Every pair once, in blocks; scores above a threshold are counted, the matrix is never whole."""
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    block = min(16384, args.pairs)
    x = torch.nn.functional.normalize(torch.randn(args.pairs, args.dim, device=device), dim=1).to(dtype)

    def once():
        count = torch.zeros((), dtype=torch.int64, device=device)
        for a in range(0, args.pairs, block):
            for b in range(a, args.pairs, block):
                count += ((x[a:a + block] @ x[b:b + block].T) >= 0.45).sum()
        return count
    pairs = args.pairs * (args.pairs - 1) / 2
    once() if args.quick else None
    wait()
    start = time.perf_counter()
    once()
    wait()
    rate = pairs / (time.perf_counter() - start)
    tally.results.append({"peer": peer, "what": f"all pairs of {args.pairs:,} x {args.dim}, matrix products in {dtype}".replace("torch.", ""),
                          "rate": rate, "unit": "pairs/s", "note": f"{2 * args.dim * rate / 1e12:.1f} Tera-op/s"})


def selfies(args, most):
    import pyarrow.parquet as pq
    found = []
    for path in sorted(Path(args.dump).glob("*.parquet")):
        table = pq.ParquetFile(path)
        if "selfie" in table.schema_arrow.names:
            for batch in table.iter_batches(batch_size=64, columns=["selfie"]):
                found += [v for v in batch.column(0).to_pylist() if v and v[:2] == b"\xff\xd8"]
                if len(found) >= most:
                    return found[:most]
    return found


def torch_jpeg(torch, device, args, tally, wait):
    import torchvision
    files = [torch.frombuffer(bytearray(v), dtype=torch.uint8) for v in selfies(args, 16 if args.quick else 256)]
    if not files:
        raise RuntimeError("the dump has no JPEG")
    decode = torchvision.io.decode_jpeg
    once = (lambda: [decode(f) for f in files]) if device.type == "cpu" else (lambda: decode(files, device=device))
    tally.rate(f"torchvision {torchvision.__version__}", "JPEGs of the dump", "pictures/s", once, len(files), wait,
               "nvJPEG" if device.type != "cpu" else "")


def with_onnxruntime(args, tally, tensors):
    import onnxruntime as ort
    provider = "CPUExecutionProvider" if args.device == "cpu" else "CUDAExecutionProvider"
    if provider not in ort.get_available_providers():
        raise RuntimeError(f"this ONNX Runtime has no {provider}")
    model = onnx_iresnet(tensors, args.layers)
    session = ort.InferenceSession(model, providers=[provider])
    if session.get_providers()[0] != provider:
        raise RuntimeError(f"ONNX Runtime took {session.get_providers()[0]} instead of {provider}")
    peer = f"ONNX Runtime {ort.__version__}"
    for batch in ([args.batch] if args.quick else [32, args.batch]):
        x = np.random.default_rng(1).random((batch, 3, 112, 112), dtype=np.float32)
        tally.tried(f"{peer}, batch {batch}", lambda: tally.rate(
            peer, f"IResNet-{args.layers}, f32, batch {batch}", "faces/s", lambda: session.run(None, {"x": x}), batch,
            lambda: None, "with the copies there and back"))


def onnx_iresnet(tensors, layers):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    nodes, at = [], ["x"]

    def put(kind, inputs, **attributes):
        out = f"t{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    norm = lambda x, n: put("BatchNormalization", [x] + [f"{n}.{p}" for p in ("weight", "bias", "running_mean", "running_var")], epsilon=1e-5)
    conv = lambda x, n, stride=1, pad=1: put("Conv", [x, f"{n}.weight"], strides=[stride] * 2, pads=[pad] * 4)
    slopes = {}

    def prelu(x, n):
        slopes[f"{n}.weight"] = tensors[f"{n}.weight"].reshape(-1, 1, 1)
        return put("PRelu", [x, f"{n}.weight"])

    x = prelu(norm(conv(at[0], "conv1"), "bn1"), "prelu")
    for layer, count in enumerate(UNITS[layers], 1):
        for i in range(count):
            n, stride = f"layer{layer}.{i}", 2 if i == 0 else 1
            y = prelu(norm(conv(norm(x, f"{n}.bn1"), f"{n}.conv1"), f"{n}.bn2"), f"{n}.prelu")
            y = norm(conv(y, f"{n}.conv2", stride), f"{n}.bn3")
            if i == 0:
                x = norm(conv(x, f"{n}.downsample.0", 2, 0), f"{n}.downsample.1")
            x = put("Add", [x, y])
    x = put("Flatten", [norm(x, "bn2")])
    x = norm(put("Gemm", [x, "fc.weight", "fc.bias"], transB=1), "features")
    values = [numpy_helper.from_array(slopes.get(n, v), n) for n, v in tensors.items()]
    graph = helper.make_graph(nodes, "iresnet", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 112, 112])],
                              [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["n", 512])], values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--layers", type=int, choices=sorted(UNITS), default=100)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--dump", type=Path)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    tensors = state(args.layers)
    if not args.weights.exists():
        write_safetensors(args.weights, tensors)
    if not args.device:
        return
    tally = Tally(args.quick)
    tally.tried("PyTorch", lambda: with_torch(args, tally, tensors))
    tally.tried("ONNX Runtime", lambda: with_onnxruntime(args, tally, tensors))
    json.dump({"results": tally.results, "left_out": tally.left_out}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
