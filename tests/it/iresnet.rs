//! Networks of the user's own: `weights add` with the real binary, and the IResNet family against ONNX Runtime.
//!
//! Weights and answers are made by `fixtures/golden/iresnet.py`; `noise` is the same function here and there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use chehra::nn::import::to_safetensors;
use chehra::nn::weights::Weight;
use chehra::nn::{WeightStore, load_embedder};
use chehra::ops::Precision;

use crate::util::{Place, chehra, fixture, run};

/// Smallest cosine between an embedding and ONNX Runtime's.
const COSINE: f64 = 0.99999;
/// Largest difference of a value, as a share of the largest.
const SHARE: f64 = 1e-4;
/// Smallest cosine in bf16.
const COSINE_BF16: f64 = 0.99;

fn golden(name: &str) -> Vec<f64> {
    let text = fs::read_to_string(fixture("golden/iresnet.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    all[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Numbers from -1 to 1: tensor number `tensor` of a network.
fn noise(tensor: u64, count: usize) -> impl Iterator<Item = f64> {
    let start = ((tensor * 0x9e37_79b9 + 12_345) % (1 << 32)) as u32;
    (0..count as u32).map(move |index| {
        let mut x = index.wrapping_mul(0x85eb_ca6b).wrapping_add(start);
        x ^= x >> 16;
        x = x.wrapping_mul(0x7feb_352d);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        f64::from(x >> 8) / f64::from(1 << 23) - 1.0
    })
}

fn crop() -> Tensor {
    let bytes = noise(9999, 112 * 112 * 3).map(|v| f32::from(((v + 1.0) * 128.0) as u8)).collect();
    Tensor::from_vec(bytes, (1, 112, 112, 3), &Device::Cpu).unwrap()
}

/// insightface's network with made-up weights, in the order in which the script makes them.
#[derive(Default)]
struct Maker(BTreeMap<String, Weight>);

impl Maker {
    fn put(&mut self, name: String, shape: &[usize], scale: f64, shift: f64) {
        let values = noise(self.0.len() as u64, shape.iter().product()).map(|v| (v * scale + shift) as f32).collect();
        self.0.insert(name, Weight { shape: shape.to_vec(), values });
    }

    fn conv(&mut self, name: &str, [cout, cin, side]: [usize; 3], gain: f64) {
        let scale = (gain / (cin * side * side) as f64).sqrt();
        self.put(format!("{name}.weight"), &[cout, cin, side, side], scale, 0.0);
    }

    fn norm(&mut self, name: &str, width: usize) {
        for (part, scale, shift) in
            [("weight", 0.2, 1.0), ("bias", 0.2, 0.0), ("running_mean", 0.2, 0.0), ("running_var", 0.5, 1.0)]
        {
            self.put(format!("{name}.{part}"), &[width], scale, shift);
        }
    }

    fn insightface(units: [usize; 4]) -> BTreeMap<String, Weight> {
        let mut m = Maker::default();
        m.conv("conv1", [64, 3, 3], 3.0);
        m.norm("bn1", 64);
        m.put("prelu.weight".into(), &[64], 0.1, 0.25);
        let mut cin = 64;
        for (layer, (count, width)) in units.into_iter().zip([64, 128, 256, 512]).enumerate() {
            for i in 0..count {
                let name = format!("layer{}.{i}", layer + 1);
                m.norm(&format!("{name}.bn1"), cin);
                m.conv(&format!("{name}.conv1"), [width, cin, 3], 3.0);
                m.norm(&format!("{name}.bn2"), width);
                m.put(format!("{name}.prelu.weight"), &[width], 0.1, 0.25);
                m.conv(&format!("{name}.conv2"), [width, width, 3], 0.75);
                m.norm(&format!("{name}.bn3"), width);
                if i == 0 {
                    m.conv(&format!("{name}.downsample.0"), [width, cin, 1], 3.0);
                    m.norm(&format!("{name}.downsample.1"), width);
                }
                cin = width;
            }
        }
        m.norm("bn2", 512);
        m.put("fc.weight".into(), &[512, 512 * 49], (3.0 / (512.0 * 49.0f64)).sqrt(), 0.0);
        m.put("fc.bias".into(), &[512], 0.1, 0.0);
        m.norm("features", 512);
        m.0
    }
}

fn add(place: &Place, file: &Path, name: &str, more: &[&str]) -> (i32, String, String) {
    let mut command = chehra();
    command.args(["weights", "add"]).arg(file).args(["--name", name, "--into"]).arg(place.path("weights"));
    run(command.args(more))
}

fn embed(place: &Place, name: &str, precision: Precision) -> Vec<f64> {
    let store = WeightStore::open(Some(&place.path("weights"))).unwrap().with_precision(precision);
    let values = load_embedder(&store, name).unwrap().embed(&crop()).unwrap();
    values.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn check(place: &Place, name: &str, expected: &[f64]) {
    let found = embed(place, name, Precision::F32);
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0f64, |m, v| m.max(v.abs()));
    let off = found.iter().zip(expected).fold(0f64, |m, (a, b)| m.max((a - b).abs())) / largest;
    let similar = cosine(&found, expected);
    println!("{name}: cosine {similar:.9}, values within {off:.2e} of the largest");
    assert!(similar > COSINE && off < SHARE, "{name}: cosine {similar}, {off:e}");
}

#[test]
fn files_of_others_become_networks() {
    let place = Place::new();
    for (file, name, more, expected, said) in [
        ("iresnet_folded.onnx", "folded", &[][..], "insightface", "ONNX, IResNet-12, 16 values, RGB, (pixel - 127.5)"),
        ("iresnet_insightface.pth", "torch", &[], "insightface", "PyTorch, insightface, IResNet-12, 16 values, RGB"),
        ("iresnet_adaface.pth", "adaface", &[], "adaface", "PyTorch, AdaFace, IResNet-12, 16 values, BGR"),
        ("iresnet_plain.onnx", "plain", &[], "adaface_rgb", "ONNX, IResNet-12, 16 values, RGB, (pixel - 127.5)"),
        ("iresnet_plain.onnx", "bgr", &["--colour", "bgr", "--licence", "MIT"], "adaface", "16 values, BGR"),
    ] {
        let (code, out, err) = add(&place, &fixture("golden").join(file), name, more);
        assert_eq!(code, 0, "{file}: {err}");
        assert!(out.contains(said), "{out}");
        check(&place, name, &golden(expected));
    }
    // The folder is whole, with what was there before, and every command takes it.
    let (code, out, err) = run(chehra().args(["weights", "verify", "--weights"]).arg(place.path("weights")));
    assert_eq!(code, 0, "{err}");
    for name in ["yunet", "sface", "liveness", "folded", "adaface", "bgr"] {
        assert!(out.contains(name), "{out}");
    }
    let (_, out, _) = run(chehra().args(["weights", "list", "--weights"]).arg(place.path("weights")));
    assert!(out.contains("MIT          file iresnet_plain.onnx"), "{out}");
    let mut audit = chehra();
    audit.arg("audit").arg(fixture("night2")).args(["--embedder", "folded", "--weights"]).arg(place.path("weights"));
    let (code, _, err) = run(audit.arg("--out").arg(place.path("out")));
    assert_eq!(code, 0, "{err}");
    let record = fs::read_to_string(place.path("out").join("run.json")).unwrap();
    assert!(record.contains("\"folded:"), "the record names the network");
}

#[test]
fn what_is_no_such_network_is_refused_and_leaves_nothing() {
    let place = Place::new();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = place.path(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let onnx = fs::read(fixture("golden/iresnet_folded.onnx")).unwrap();
    let torch = fs::read(fixture("golden/iresnet_insightface.pth")).unwrap();
    let other = |name: &str| fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("weights").join(name)).unwrap();
    for (path, said) in [
        (write("cut.onnx", &onnx[..onnx.len() / 2]), "a whole ONNX model"),
        (write("empty.onnx", b""), "no graph"),
        (write("cut.pth", &torch[..torch.len() / 2]), "PyTorch's zip format"),
        (write("text.pt", b"no zip"), "PyTorch's zip format"),
        (write("other.safetensors", &other("mobilefacenet192.safetensors")), "names of layers"),
        (write("net.bin", b""), "kind of file"),
    ] {
        let (code, _, err) = add(&place, &path, "x", &[]);
        assert_eq!(code, 65, "{}: {err}", path.display());
        assert!(err.contains(said), "{err}");
    }
    assert!(!place.path("weights").exists());
    for name in ["../x", "", ".x", "a b"] {
        let (code, _, err) = add(&place, &fixture("golden/iresnet_folded.onnx"), name, &[]);
        assert_eq!(code, 64, "{name}: {err}");
    }
    assert_eq!(add(&place, &fixture("golden/iresnet_folded.onnx"), "sface", &[]).0, 64, "a name that is taken");
    assert_eq!(add(&place, &place.path("nowhere.onnx"), "x", &[]).0, 65, "a file that is not there");
}

/// Any operation swapped, left out or given other attributes is refused, or the answer stays that of ONNX Runtime: a
/// graph is never read as something near it.
#[test]
fn a_graph_that_differs_anywhere_is_refused() {
    let place = Place::new();
    let onnx = fs::read(fixture("golden/iresnet_folded.onnx")).unwrap();
    for (kind, other) in
        [("PRelu", "PRelX"), ("Add", "Sub"), ("Flatten", "Flattex"), ("Gemm", "Gexm"), ("Conv", "Conx")]
    {
        // The last of its kind, as an operation: the byte before it is the length of the name.
        let marker = [&[kind.len() as u8][..], kind.as_bytes()].concat();
        let at = (0..onnx.len() - marker.len()).rfind(|&i| onnx[i..].starts_with(&marker)).unwrap();
        let mut changed = onnx.clone();
        changed[at + 1..at + 1 + kind.len()].copy_from_slice(other.as_bytes());
        let path = place.path(&format!("{kind}.onnx"));
        fs::write(&path, changed).unwrap();
        let (code, _, err) = add(&place, &path, "x", &[]);
        assert_eq!(code, 65, "{kind}: {err}");
        assert!(err.contains("after value"), "{err}");
    }
}

pub fn full_size(name: &str, units: [usize; 4]) {
    let place = Place::new();
    let file = place.path("net.safetensors");
    fs::write(&file, to_safetensors(&Maker::insightface(units)).unwrap()).unwrap();
    let (code, out, err) = add(&place, &file, name, &[]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains(&format!("IResNet-{name}, 512 values")), "{out}");
    let expected = golden(name);
    check(&place, name, &expected);
    if Precision::Bf16.is_supported() {
        let similar = cosine(&embed(&place, name, Precision::Bf16), &expected);
        println!("{name} in bf16: cosine {similar:.6}");
        assert!(similar > COSINE_BF16, "{similar}");
    }
}

#[test]
fn iresnet_50_matches_onnx_runtime() {
    full_size("50", [3, 4, 14, 3]);
}
