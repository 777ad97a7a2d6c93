//! The networks once more, from their papers and in candle's own layers, one line a layer: `Conv2d`, `BatchNorm`, `PReLU`,
//! `Linear`, channels first, nothing folded, nothing fused.
//!
//! They share nothing with `src/ops` and `src/nn` but the numbers in the files, so that agreement with a device's kernels does
//! not rest on our own operations of the CPU. Each runs on the device that is tested, by candle's kernels there, and on the CPU.

use std::collections::BTreeMap;

use candle_core::{D, Device, Result, Tensor, pickle};
use candle_nn::ops::{sigmoid, softmax};
use candle_nn::{BatchNorm, Conv2d, Conv2dConfig, Linear, Module, ModuleT, PReLU, Sequential, seq};
use chehra::nn::weights::Addition;
use chehra::nn::{Embedder, WeightStore, Yunet, load_embedder, load_liveness};

use crate::engine::fixtures;
use crate::ops::{flat, tensor};

/// Most that a value may be off, as a share of the largest: f32, added in another order.
const SHARE: f32 = 1e-4;

/// The tensors of a file, by name, on one device.
struct Weights(BTreeMap<String, Tensor>);

impl Weights {
    /// Of a network that ships.
    fn shipped(store: &WeightStore, name: &str) -> Weights {
        let map = store.tensors(name).unwrap();
        let tensor = |name: &str| {
            let weight = map.get(name).unwrap();
            Tensor::from_slice(&weight.values, weight.shape.as_slice(), &Device::Cpu).unwrap()
        };
        Weights(map.names().map(|name| (name.to_owned(), tensor(name))).collect())
    }

    fn on(&self, device: &Device) -> Weights {
        Weights(self.0.iter().map(|(name, x)| (name.clone(), x.to_device(device).unwrap())).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn find(&self, name: &str) -> Option<Tensor> {
        self.0.get(name).cloned()
    }

    fn get(&self, name: &str) -> Tensor {
        self.find(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    fn conv(&self, name: &str, stride: usize, padding: usize, groups: usize) -> Conv2d {
        let config = Conv2dConfig { stride, padding, groups, ..Conv2dConfig::default() };
        Conv2d::new(self.get(&format!("{name}.weight")), self.find(&format!("{name}.bias")), config)
    }

    fn depthwise(&self, name: &str, stride: usize, padding: usize) -> Conv2d {
        self.conv(name, stride, padding, self.get(&format!("{name}.weight")).dim(0).unwrap())
    }

    fn linear(&self, name: &str) -> Linear {
        Linear::new(self.get(&format!("{name}.weight")), self.find(&format!("{name}.bias")))
    }

    fn norm(&self, name: &str) -> Norm {
        let part = |part: &str| self.get(&format!("{name}.{part}"));
        let eps = self.find(&format!("{name}.eps")).map_or(1e-5, |eps| f64::from(flat(&eps)[0]));
        let (mean, variance) = (part("running_mean"), part("running_var"));
        let channels = mean.dim(0).unwrap();
        Norm(BatchNorm::new(channels, mean, variance, part("weight"), part("bias"), eps).unwrap())
    }

    fn prelu(&self, name: &str) -> PReLU {
        PReLU::new(self.get(&format!("{name}.weight")), false)
    }

    /// A convolution with the batch-norm and the slopes that the file has for it.
    fn block(&self, name: &str, conv: Conv2d) -> Sequential {
        let mut layers = seq().add(conv);
        if self.has(&format!("{name}.bn.running_var")) {
            layers = layers.add(self.norm(&format!("{name}.bn")));
        }
        if self.has(&format!("{name}.prelu.weight")) {
            layers = layers.add(self.prelu(&format!("{name}.prelu")));
        }
        layers
    }

    fn dense_block(&self, name: &str, stride: usize, padding: usize) -> Sequential {
        self.block(name, self.conv(&format!("{name}.conv"), stride, padding, 1))
    }

    fn depthwise_block(&self, name: &str, stride: usize, padding: usize) -> Sequential {
        self.block(name, self.depthwise(&format!("{name}.conv"), stride, padding))
    }
}

/// A batch-norm with its running statistics.
struct Norm(BatchNorm);

impl Module for Norm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward_t(x, false)
    }
}

/// `(n, height, width, channels)` to `(n, channels, height, width)`.
fn channels_first(x: &Tensor) -> Result<Tensor> {
    x.permute((0, 3, 1, 2))?.contiguous()
}

/// TensorFlow's "SAME" for a 3x3 kernel at stride 2 on even sides: a row of zeros below, a column to the right.
fn below_and_right(x: &Tensor) -> Result<Tensor> {
    x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)
}

/// Heads of the three levels, `(n, height, width, 16)`: cls, obj, bbox, kps.
fn yunet(w: &Weights, pictures: &Tensor) -> Result<[Tensor; 3]> {
    let unit = |name: &str, x: &Tensor| -> Result<Tensor> {
        let x = w.conv(&format!("{name}.conv1"), 1, 0, 1).forward(x)?;
        w.depthwise(&format!("{name}.conv2"), 1, 1).forward(&x)?.relu()
    };
    let stage = |number: usize, x: &Tensor| -> Result<Tensor> {
        unit(&format!("backbone.model{number}.conv2"), &unit(&format!("backbone.model{number}.conv1"), x)?)
    };
    let x = w.conv("backbone.model0.conv1", 2, 1, 1).forward(&channels_first(pictures)?)?.relu()?;
    let x = unit("backbone.model0.conv2", &x)?;
    let x = stage(2, &stage(1, &x.max_pool2d(2)?)?)?;
    let fine = stage(3, &x.max_pool2d(2)?)?;
    let middle = stage(4, &fine.max_pool2d(2)?)?;
    let coarse = stage(5, &middle.max_pool2d(2)?)?;

    let twice = |x: &Tensor| x.upsample_nearest2d(2 * x.dim(2)?, 2 * x.dim(3)?);
    let coarse = unit("neck.lateral_convs.2", &coarse)?;
    let middle = unit("neck.lateral_convs.1", &(middle + twice(&coarse)?)?)?;
    let fine = unit("neck.lateral_convs.0", &(fine + twice(&middle)?)?)?;

    let heads = |level: usize, x: &Tensor| -> Result<Tensor> {
        let head = |kind: &str| -> Result<Tensor> {
            let name = format!("bbox_head.multi_level_{kind}.{level}");
            let x = w.conv(&format!("{name}.conv1"), 1, 0, 1).forward(x)?;
            w.depthwise(&format!("{name}.conv2"), 1, 1).forward(&x)
        };
        Tensor::cat(&[head("cls")?, head("obj")?, head("bbox")?, head("kps")?], 1)?.permute((0, 2, 3, 1))
    };
    Ok([heads(0, &fine)?, heads(1, &middle)?, heads(2, &coarse)?])
}

/// Embeddings of normalised crops.
fn sface(w: &Weights, crops: &Tensor) -> Result<Tensor> {
    let mut x = w.dense_block("stem", 1, 1).forward(&channels_first(crops)?)?;
    for (i, stride) in [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1].into_iter().enumerate() {
        x = w.depthwise_block(&format!("blocks.{i}.depthwise"), stride, 1).forward(&x)?;
        x = w.dense_block(&format!("blocks.{i}.pointwise"), 1, 0).forward(&x)?;
    }
    let x = w.norm("features.bn").forward(&x)?.flatten_from(1)?;
    w.norm("embedding.bn").forward(&w.linear("embedding.linear").forward(&x)?)
}

/// Embeddings of normalised crops.
fn mobilefacenet(w: &Weights, crops: &Tensor) -> Result<Tensor> {
    let x = w.dense_block("stem", 2, 0).forward(&below_and_right(&channels_first(crops)?)?)?;
    let x = w.depthwise_block("stem_depthwise", 1, 1).forward(&x)?;
    let mut x = w.dense_block("stem_project", 1, 0).forward(&x)?;
    for (stage, (depth, stride)) in [(5, 2), (1, 2), (6, 1), (1, 2), (2, 1)].into_iter().enumerate() {
        for i in 0..depth {
            let name = format!("stages.{stage}.{i}");
            let y = w.dense_block(&format!("{name}.expand"), 1, 0).forward(&x)?;
            let halves = stride == 2 && i == 0;
            let y = match halves {
                true => w.depthwise_block(&format!("{name}.depthwise"), 2, 0).forward(&below_and_right(&y)?)?,
                false => w.depthwise_block(&format!("{name}.depthwise"), 1, 1).forward(&y)?,
            };
            let y = w.dense_block(&format!("{name}.project"), 1, 0).forward(&y)?;
            x = if halves { y } else { (x + y)? };
        }
    }
    let x = w.dense_block("features", 1, 0).forward(&x)?;
    let x = w.depthwise_block("global_depthwise", 1, 0).forward(&x)?;
    let x = w.dense_block("global_project", 1, 0).forward(&x)?;
    w.dense_block("embedding", 1, 0).forward(&x)?.flatten_from(1)
}

/// Probabilities of the classes.
fn minifasnet(w: &Weights, crops: &Tensor) -> Result<Tensor> {
    let bottleneck = |name: &str, stride: usize, x: &Tensor| -> Result<Tensor> {
        let x = w.dense_block(&format!("{name}.conv"), 1, 0).forward(x)?;
        let x = w.depthwise_block(&format!("{name}.conv_dw"), stride, 1).forward(&x)?;
        w.dense_block(&format!("{name}.project"), 1, 0).forward(&x)
    };
    let excite = |name: &str, x: Tensor| -> Result<Tensor> {
        if !w.has(&format!("{name}.fc1.weight")) {
            return Ok(x);
        }
        let mean = x.mean_keepdim(D::Minus1)?.mean_keepdim(D::Minus2)?;
        let narrow = w.conv(&format!("{name}.fc1"), 1, 0, 1).forward(&mean)?.relu()?;
        x.broadcast_mul(&sigmoid(&w.conv(&format!("{name}.fc2"), 1, 0, 1).forward(&narrow)?)?)
    };
    let x = w.dense_block("conv1", 2, 1).forward(&channels_first(crops)?)?;
    let mut x = w.depthwise_block("conv2_dw", 1, 1).forward(&x)?;
    for (halving, stage, depth) in [("conv_23", "conv_3", 4), ("conv_34", "conv_4", 6), ("conv_45", "conv_5", 2)] {
        x = bottleneck(halving, 2, &x)?;
        for i in 0..depth {
            let name = format!("{stage}.model.{i}");
            let y = bottleneck(&name, 1, &x)?;
            x = (x + excite(&format!("{name}.se_module"), y)?)?;
        }
    }
    let x = w.dense_block("conv_6_sep", 1, 0).forward(&x)?;
    let x = w.depthwise_block("conv_6_dw", 1, 0).forward(&x)?.flatten_from(1)?;
    let x = w.norm("bn").forward(&w.linear("linear").forward(&x)?)?;
    softmax(&w.linear("prob").forward(&x)?, D::Minus1)
}

/// Embeddings of normalised crops, by insightface's own names of the layers.
fn iresnet(w: &Weights, units: [usize; 4], crops: &Tensor) -> Result<Tensor> {
    let x = w.norm("bn1").forward(&w.conv("conv1", 1, 1, 1).forward(&channels_first(crops)?)?)?;
    let mut x = w.prelu("prelu").forward(&x)?;
    for (layer, depth) in (1..).zip(units) {
        for i in 0..depth {
            let (name, stride) = (format!("layer{layer}.{i}"), if i == 0 { 2 } else { 1 });
            let y = w.norm(&format!("{name}.bn1")).forward(&x)?;
            let y = w.conv(&format!("{name}.conv1"), 1, 1, 1).forward(&y)?;
            let y = w.prelu(&format!("{name}.prelu")).forward(&w.norm(&format!("{name}.bn2")).forward(&y)?)?;
            let y = w.conv(&format!("{name}.conv2"), stride, 1, 1).forward(&y)?;
            let y = w.norm(&format!("{name}.bn3")).forward(&y)?;
            if i == 0 {
                x = w.conv(&format!("{name}.downsample.0"), 2, 0, 1).forward(&x)?;
                x = w.norm(&format!("{name}.downsample.1")).forward(&x)?;
            }
            x = (x + y)?;
        }
    }
    let x = w.norm("bn2").forward(&x)?.flatten_from(1)?;
    w.norm("features").forward(&w.linear("fc").forward(&x)?)
}

/// Bytes of two pictures, 0..=255, the second of half the light.
fn pixels(seed: u64, sides: [usize; 2]) -> Tensor {
    let [bright, dark] = [127.5, 63.75].map(|light| {
        let noise = tensor(seed + light as u64, &[1, sides[0], sides[1], 3]);
        noise.affine(light, light).unwrap().round().unwrap()
    });
    Tensor::cat(&[bright, dark], 0).unwrap()
}

fn close(what: &str, found: &Tensor, expected: &Tensor) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let (found, expected) = (flat(found), flat(expected));
    let largest = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
    let off = found.iter().zip(&expected).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    println!("{what}: off by {off:e}, largest {largest:e}");
    assert!(largest > 0.0 && off <= SHARE * largest, "{what}: off by {off:e}, largest {largest:e}");
}

/// Whether what was found for the two pictures differs by more than it may be off: else agreement would say nothing.
fn tells_pictures_apart(name: &str, found: &Tensor) {
    let values = flat(found);
    let (first, second) = values.split_at(values.len() / 2);
    let largest = values.iter().fold(0f32, |most, value| most.max(value.abs()));
    let apart = first.iter().zip(second).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(apart > 10.0 * SHARE * largest, "{name}: two pictures give the same within {apart:e} of {largest:e}");
}

/// Holds a result to what the plain network gives on the same device, and on the CPU.
fn hold(
    (name, device): (&str, &Device),
    weights: &Weights,
    (input, found): (&Tensor, &Tensor),
    plain: impl Fn(&Weights, &Tensor) -> Result<Tensor>,
) {
    tells_pictures_apart(name, found);
    let on_cpu = plain(weights, input).unwrap();
    close(&format!("{name} and candle's layers on the CPU"), found, &on_cpu);
    if !device.is_cpu() {
        let there = plain(&weights.on(device), &input.to_device(device).unwrap()).unwrap();
        close(&format!("{name} and candle's layers on the device"), found, &there);
    }
}

/// `(pixel - mean) * factor`, as the manifest says.
fn normalised(crops: &Tensor, store: &WeightStore, name: &str) -> Tensor {
    let input = &store.passport(name).unwrap().input;
    let (mean, factor) = (f64::from(input.mean), f64::from(input.factor));
    crops.affine(factor, -mean * factor).unwrap()
}

fn embedded(store: &WeightStore, name: &str, device: &Device, crops: &Tensor) -> Tensor {
    let embedder: Box<dyn Embedder> = load_embedder(&store.clone().with_device(device.clone()), name).unwrap();
    embedder.embed(&crops.to_device(device).unwrap()).unwrap()
}

/// On random pictures, more than one level of which has an odd number of cells.
pub fn yunet_in_plain_layers(device: &Device) {
    let store = WeightStore::open(None).unwrap();
    let (weights, pictures) = (Weights::shipped(&store, "yunet"), pixels(41, [96, 160]));
    let own = Yunet::load(&store.with_device(device.clone())).unwrap();
    let found = own.raw(&pictures.to_device(device).unwrap()).unwrap();
    for (level, found) in found.iter().enumerate() {
        hold((&format!("YuNet, level {level}"), device), &weights, (&pictures, found), |w, pictures| {
            Ok(yunet(w, pictures)?[level].clone())
        });
    }
}

pub fn sface_in_plain_layers(device: &Device) {
    let store = WeightStore::open(None).unwrap();
    let crops = pixels(42, [112, 112]);
    let (found, input) = (embedded(&store, "sface", device, &crops), normalised(&crops, &store, "sface"));
    hold(("SFace", device), &Weights::shipped(&store, "sface"), (&input, &found), sface);
}

pub fn mobilefacenet_in_plain_layers(device: &Device) {
    let (store, name) = (WeightStore::open(None).unwrap(), "mobilefacenet192");
    let crops = pixels(43, [112, 112]);
    let (found, input) = (embedded(&store, name, device, &crops), normalised(&crops, &store, name));
    hold(("MobileFaceNet", device), &Weights::shipped(&store, name), (&input, &found), mobilefacenet);
}

/// Our crops are red, green, blue; this network was trained on blue, green, red.
pub fn minifasnet_in_plain_layers(device: &Device) {
    let store = WeightStore::open(None).unwrap();
    let (weights, crops) = (Weights::shipped(&store, "liveness"), pixels(44, [128, 128]));
    let own = load_liveness(&store.with_device(device.clone()), "liveness").unwrap();
    let found = Tensor::new(own.bona_fide(&crops.to_device(device).unwrap()).unwrap(), &Device::Cpu).unwrap();
    let [red, green, blue] = [0, 1, 2].map(|channel| crops.narrow(3, channel, 1).unwrap());
    let turned = Tensor::cat(&[blue, green, red], 3).unwrap();
    hold(("MiniFASNet", device), &weights, (&turned, &found), |w, crops| {
        minifasnet(w, crops)?.narrow(1, 0, 1)?.flatten_all()
    });
}

/// A small IResNet in a file of insightface's layout: read by candle here, and by our importer, as `weights add` does.
pub fn iresnet_in_plain_layers(device: &Device) {
    let file = fixtures().join("golden/iresnet_insightface.pth");
    let weights = Weights(pickle::read_all(&file).unwrap().into_iter().collect());
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("weights");
    let addition = Addition {
        file,
        name: "iresnet".into(),
        colour: None,
        mean: None,
        factor: None,
        licence: "unknown".into(),
        notes: String::new(),
    };
    WeightStore::open(None).unwrap().add(&addition, &folder).unwrap();
    let store = WeightStore::open(Some(&folder)).unwrap();
    let crops = pixels(45, [112, 112]);
    let (found, input) = (embedded(&store, "iresnet", device, &crops), normalised(&crops, &store, "iresnet"));
    hold(("IResNet", device), &weights, (&input, &found), |w, crops| iresnet(w, [1, 2, 1, 1], crops));
}
