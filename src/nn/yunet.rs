//! YuNet-s, the face detector (Wu, Peng and Yu, Machine Intelligence Research 20, 2023).
//!
//! A backbone of depthwise-separable units, a neck that adds coarse features to finer ones, and four heads on strides
//! 8, 16 and 32. What comes out is raw: turning it into boxes, scores and landmarks is left to `face`.

use candle_core::{DType, Device, Tensor};

use crate::nn::fold::Linear;
use crate::nn::layers::{Geometry, Layers};
use crate::nn::weights::{Role, WeightStore};
use crate::ops::{Activation, Chain, Conv2d, ConvShape, Layer, upsample2_add};
use crate::{Error, Result};

/// The strides of the three levels, in the order of [`Yunet::forward`].
pub const STRIDES: [usize; 3] = [8, 16, 32];

/// The heads and how many values each gives per cell, in the order in which they are stacked.
const HEADS: [(&str, usize); 4] = [("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)];

/// The detector.
#[derive(Debug)]
pub struct Yunet {
    id: String,
    device: Device,
    /// From the picture to stride 8, from there to 16, and from there to 32.
    backbone: [Chain; 3],
    /// Finest first, as in the file.
    laterals: [Chain; 3],
    heads: [Chain; 3],
}

/// One level of the detector's output, for a batch of `n` pictures.
///
/// Cell `(b, y, x)` has index `(b * height + y) * width + x`; it covers the square of `stride` pixels whose top left
/// corner is `(x * stride, y * stride)`.
#[derive(Debug, Clone, PartialEq)]
pub struct YunetLevel {
    /// Pixels per cell: 8, 16 or 32.
    pub stride: usize,
    /// Rows of cells.
    pub height: usize,
    /// Columns of cells.
    pub width: usize,
    /// Probability of a face, one per cell, 0..=1. The detector's score is `sqrt(cls * obj)`.
    pub cls: Vec<f32>,
    /// Predicted overlap of the box with the face, one per cell, 0..=1.
    pub obj: Vec<f32>,
    /// Four per cell: centre `dx, dy` in cells from the cell's corner, then `ln(width / stride), ln(height / stride)`.
    pub bbox: Vec<f32>,
    /// Ten per cell: five landmarks `x, y` in cells from the cell's corner, in the order of
    /// `face::Detection::landmarks`.
    pub kps: Vec<f32>,
}

impl Yunet {
    /// Loads the detector from the weights named "yunet".
    ///
    /// # Errors
    /// When the file is missing or wrong.
    pub fn load(store: &WeightStore) -> Result<Self> {
        Self::load_named(store, "yunet")
    }

    /// Loads the detector from the weights of a name.
    ///
    /// # Errors
    /// When the file is missing or wrong.
    pub fn load_named(store: &WeightStore, name: &str) -> Result<Self> {
        let id = super::network::passport(store, name, Role::Detector, "yunet-s")?.id();
        let weights = store.tensors(name)?;
        let layers = Layers::new(&weights, store);
        let stem = layers.conv("backbone.model0.conv1", 3, Geometry::dense(2, 1), Activation::Relu)?;
        let mut channels = stem.shape().cout;
        let mut backbone = [vec![Layer::from(stem)], Vec::new(), Vec::new()];
        for i in 0..6 {
            let level = &mut backbone[usize::saturating_sub(i, 3)];
            // `model2` alone keeps the size of the map.
            if ![0, 2].contains(&i) {
                level.push(Layer::MaxPool2(channels));
            }
            for j in if i == 0 { 2..3 } else { 1..3 } {
                let unit = unit(&layers, &format!("backbone.model{i}.conv{j}"), channels)?;
                channels = unit[1].shape().cout;
                level.extend(unit.map(Layer::from));
            }
        }
        let [fine, middle, coarse] = backbone;
        let backbone = [Chain::new(fine)?, Chain::new(middle)?, Chain::new(coarse)?];
        let lateral = |i: usize| -> Result<Chain> {
            Ok(Chain::new(unit(&layers, &format!("neck.lateral_convs.{i}"), backbone[i].cout())?)?)
        };
        let laterals = [lateral(0)?, lateral(1)?, lateral(2)?];
        let heads = |i: usize| heads(&layers, i, laterals[i].cout());
        let heads = [heads(0)?, heads(1)?, heads(2)?];
        Ok(Yunet { id, device: store.device().clone(), backbone, laterals, heads })
    }

    /// Name and sum of the weights.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it runs.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Runs the network on pictures `(n, height, width, 3)` in **blue, green, red**, 0..=255, sides multiples of 32.
    /// The levels come in the order of [`STRIDES`].
    ///
    /// # Errors
    /// When the shape is another.
    pub fn forward(&self, pictures: &Tensor) -> Result<[YunetLevel; 3]> {
        let (n, h, w, _) = pictures.dims4()?;
        if n == 0 {
            return Ok([0, 1, 2].map(|i| YunetLevel::empty(STRIDES[i], h / STRIDES[i], w / STRIDES[i])));
        }
        let [fine, middle, coarse] = self.raw(pictures)?;
        let level = |i: usize, heads: &Tensor| YunetLevel::read(STRIDES[i], heads);
        Ok([level(0, &fine)?, level(1, &middle)?, level(2, &coarse)?])
    }

    /// As [`Yunet::forward`] of at least one picture, with the heads as they leave the network, on its device: `(n,
    /// height / stride, width / stride, 16)`, f32, per cell the logits of face and overlap, four of the box, ten of landmarks.
    ///
    /// # Errors
    /// When the shape is another.
    pub fn raw(&self, pictures: &Tensor) -> Result<[Tensor; 3]> {
        let (n, h, w, c) = pictures.dims4()?;
        if n * h * w == 0 || h % 32 != 0 || w % 32 != 0 || c != 3 {
            return Err(Error::bug("detecting faces", format!("pictures of {:?}", pictures.dims())));
        }
        let fine = self.backbone[0].forward(&pictures.contiguous()?)?;
        let middle = self.backbone[1].forward(&fine)?;
        let coarse = self.backbone[2].forward(&middle)?;

        let coarse = self.laterals[2].forward(&coarse)?;
        let middle = self.laterals[1].forward(&upsample2_add(&coarse, &middle)?)?;
        let fine = self.laterals[0].forward(&upsample2_add(&middle, &fine)?)?;
        Ok([self.heads[0].forward(&fine)?, self.heads[1].forward(&middle)?, self.heads[2].forward(&coarse)?])
    }
}

/// YuNet's unit: a pointwise convolution `NAME.conv1`, then a 3x3 depthwise one `NAME.conv2`, with a ReLU at the end.
fn unit(layers: &Layers, name: &str, cin: usize) -> Result<[Conv2d; 2]> {
    let pointwise = layers.conv(&format!("{name}.conv1"), cin, Geometry::POINTWISE, Activation::None)?;
    let geometry = Geometry::depthwise(1, 1);
    let depthwise = layers.conv(&format!("{name}.conv2"), pointwise.shape().cout, geometry, Activation::Relu)?;
    Ok([pointwise, depthwise])
}

/// The four heads of a level, which see the same input, as one unit with their channels stacked.
fn heads(layers: &Layers, level: usize, cin: usize) -> Result<Chain> {
    let stack = |part: &str, total: usize, geometry: Geometry| -> Result<Conv2d> {
        let (mut weight, mut bias, mut shape) = (Vec::new(), Vec::new(), None::<ConvShape>);
        for (head, channels) in HEADS {
            let name = format!("bbox_head.multi_level_{head}.{level}.{part}");
            let cin = if part == "conv1" { cin } else { channels };
            let (own, linear) = layers.linear(&name, cin, geometry)?;
            if own.cout != channels {
                let expected = format!("{channels} output channels");
                return Err(layers.weights().refuse(&name, expected, own.cout.to_string()));
            }
            weight.extend(linear.weight);
            bias.extend(linear.bias);
            shape = Some(own);
        }
        let own = shape.ok_or_else(|| Error::bug("loading the detector", "no heads"))?;
        let shape = match part {
            "conv1" => ConvShape { cout: total, ..own },
            _ => ConvShape { cin: total, cout: total, groups: total, ..own },
        };
        layers.pack(shape, &Linear { weight, bias }, Activation::None)
    };
    let total = HEADS.iter().map(|(_, channels)| channels).sum();
    let pointwise = stack("conv1", total, Geometry::POINTWISE)?;
    Ok(Chain::new([pointwise, stack("conv2", total, Geometry::depthwise(1, 1))?])?)
}

impl YunetLevel {
    fn empty(stride: usize, height: usize, width: usize) -> Self {
        let (cls, obj, bbox, kps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        YunetLevel { stride, height, width, cls, obj, bbox, kps }
    }

    /// Splits the stacked heads and puts the two probabilities through their sigmoid.
    fn read(stride: usize, heads: &Tensor) -> Result<Self> {
        let (n, height, width, channels) = heads.dims4()?;
        let values = heads.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
        let cells = n * height * width;
        let mut level = YunetLevel {
            stride,
            height,
            width,
            cls: Vec::with_capacity(cells),
            obj: Vec::with_capacity(cells),
            bbox: Vec::with_capacity(4 * cells),
            kps: Vec::with_capacity(10 * cells),
        };
        for cell in values.chunks_exact(channels) {
            level.cls.push(sigmoid(cell[0]));
            level.obj.push(sigmoid(cell[1]));
            level.bbox.extend_from_slice(&cell[2..6]);
            level.kps.extend_from_slice(&cell[6..16]);
        }
        Ok(level)
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}
