//! 2-D convolution with folded bias, fused activation and fused residual, in NHWC.
//!
//! One type for all kinds that the networks use: 1x1, k x k, depthwise, and the fully connected layer as a 1x1 over
//! `(n, 1, 1, c)`. The weights are packed for the instruction set at load time. `plain` keeps the reference,
//! [`crate::ops::cpu`] the fast paths; in f32 all give the same bits.

use std::sync::atomic::Ordering;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Device, Layout, Result, Shape, Tensor, bail};

use super::check;
use super::cpu::Isa;
#[cfg(target_arch = "x86_64")]
use super::cpu::amx::{chain::Stage, dense::Dense as TiledDense};
use super::cpu::depthwise::Depthwise;
use super::cpu::gemm::Dense;
use super::on_device::OnDevice;
use super::plain::{Plain, rounded};
use super::spec::{Activation, ConvShape, MULTIPLY_ADDS, Parameters, Precision};
#[cfg(target_arch = "x86_64")]
use super::tiles::{Fused, OnTiles};

/// A convolution ready to run: weights packed for the device at load time.
#[derive(Debug, Clone)]
pub struct Conv2d {
    shape: ConvShape,
    isa: Isa,
    precision: Precision,
    path: Path,
}

#[derive(Debug, Clone)]
enum Path {
    Plain(Plain),
    Dense(Dense),
    Depthwise(Depthwise),
    /// By tiles, alone or in a chain.
    #[cfg(target_arch = "x86_64")]
    Tiles(Box<OnTiles>),
    OnDevice(Box<OnDevice>),
}

impl Conv2d {
    /// Packs a convolution for [`Isa::current`] in f32.
    ///
    /// `weight` is in the order of ONNX and PyTorch, `(cout, cin / groups, kernel_y, kernel_x)`; `bias` has `cout` values.
    ///
    /// # Errors
    /// When a length does not fit the shape, or the instruction set asked for is not there.
    pub fn new(shape: ConvShape, weight: &[f32], bias: &[f32], activation: Activation) -> Result<Self> {
        Self::with_precision(shape, weight, bias, activation, Precision::F32)
    }

    /// As [`Conv2d::new`], with a choice of precision.
    ///
    /// # Errors
    /// As for [`Conv2d::new`], and when the machine cannot multiply in this precision.
    pub fn with_precision(
        shape: ConvShape,
        weight: &[f32],
        bias: &[f32],
        activation: Activation,
        precision: Precision,
    ) -> Result<Self> {
        let parameters = Parameters { weight, bias };
        shape.check(parameters, &activation)?;
        let isa = Isa::current()?;
        if !precision.is_supported() {
            bail!("conv2d: expected a CPU that multiplies {precision:?}, got {isa}");
        }
        #[cfg(target_arch = "x86_64")]
        if isa == Isa::Amx && matches!(precision, Precision::Bf16 | Precision::Bf16x3) {
            return Ok(Self::on_tiles(shape, parameters, &activation, precision));
        }
        let precision = match (precision, shape.groups) {
            (Precision::Bf16 | Precision::F16, 1) if shape.cin < 8 => Precision::F32,
            (_, 1) => precision,
            _ => Precision::F32,
        };
        let fast = if shape.groups == 1 {
            Dense::new(isa, precision, shape, parameters, &activation).map(Path::Dense)
        } else {
            Depthwise::new(isa, shape, weight, bias, &activation).map(Path::Depthwise)
        };
        let path = fast.unwrap_or_else(|| {
            let (weight, bias) = (rounded(weight, precision).into_owned(), bias.to_vec());
            Path::Plain(Plain { shape, weight, bias, activation })
        });
        Ok(Conv2d { shape, isa, precision, path })
    }

    /// A checked convolution on AMX tiles. Few channels are pictures, whose first layer is cheap and worth splitting.
    #[cfg(target_arch = "x86_64")]
    fn on_tiles(shape: ConvShape, parameters: Parameters, activation: &Activation, precision: Precision) -> Self {
        let Parameters { weight, bias } = parameters;
        let precision = match shape.groups {
            1 if shape.cin < 8 => Precision::Bf16x3,
            1 => precision,
            _ => Precision::F32,
        };
        let stage = match Depthwise::new(Isa::Amx, shape, weight, bias, activation) {
            Some(depthwise) if shape.groups != 1 => Stage::Depthwise(depthwise),
            _ => Stage::Dense(TiledDense::new(shape, precision == Precision::Bf16x3, weight, bias, activation)),
        };
        let path = Path::Tiles(Box::new(OnTiles { stage, narrow: false }));
        Conv2d { shape, isa: Isa::Amx, precision, path }
    }

    /// Hands the result on in bf16 where it is computed on AMX tiles, for the next layer rounds it to that anyway; elsewhere
    /// it stays f32.
    #[must_use]
    pub fn narrow(self) -> Self {
        self.handing_on(true)
    }

    /// Takes [`Conv2d::narrow`] back, for the last layer of a network.
    #[must_use]
    pub fn wide(self) -> Self {
        self.handing_on(false)
    }

    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, unused_variables, reason = "no tiles there"))]
    fn handing_on(mut self, narrow: bool) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Path::Tiles(tiles) = &mut self.path {
            tiles.narrow = narrow;
        }
        self
    }

    /// The layer for AMX tiles, where it is one.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn tiles(&self) -> Option<&OnTiles> {
        if let Path::Tiles(tiles) = &self.path { Some(tiles) } else { None }
    }

    /// As [`Conv2d::with_precision`], on a device: the CPU's own code on the CPU, else a matrix product with kernels before
    /// and behind it, or a depthwise kernel.
    ///
    /// # Errors
    /// When a length does not fit the shape, or the device has no memory left.
    pub fn on_device(
        shape: ConvShape,
        parameters: Parameters,
        activation: Activation,
        precision: Precision,
        device: &Device,
    ) -> Result<Self> {
        if device.is_cpu() {
            return Self::with_precision(shape, parameters.weight, parameters.bias, activation, precision);
        }
        Self::composed(shape, parameters, activation, precision, device)
    }

    /// As [`Conv2d::on_device`] composes it, whatever the device: on the CPU this is how the composition is tested.
    ///
    /// # Errors
    /// As [`Conv2d::on_device`].
    pub fn composed(
        shape: ConvShape,
        parameters: Parameters,
        activation: Activation,
        precision: Precision,
        device: &Device,
    ) -> Result<Self> {
        shape.check(parameters, &activation)?;
        let path = Path::OnDevice(Box::new(OnDevice::new(shape, parameters, &activation, precision, device)?));
        Ok(Conv2d { shape, isa: Isa::current()?, precision, path })
    }

    /// The geometry.
    pub fn shape(&self) -> ConvShape {
        self.shape
    }

    /// The precision it computes in: f32 where bf16 was asked for but does not pay.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The instruction set it was packed for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// `activation(conv(x) + bias)`: `(n, h, w, cin)` to `(n, h', w', cout)`.
    ///
    /// # Errors
    /// When `x` is not contiguous f32 (on AMX tiles also bf16) with `cin` channels, is empty, or is smaller than the kernel.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.path {
            Path::OnDevice(conv) => self.count(conv.forward(x, None)?),
            #[cfg(target_arch = "x86_64")]
            Path::Tiles(tiles) => Fused { stages: &[&tiles.stage], narrow: tiles.narrow }.forward(x, None),
            _ => x.apply_op1_no_bwd(self),
        }
    }

    /// `activation(conv(x) + bias) + residual`: the residual has the shape of the result.
    ///
    /// # Errors
    /// As for [`Conv2d::forward`], and when `residual` is not contiguous f32 of that shape.
    pub fn forward_add(&self, x: &Tensor, residual: &Tensor) -> Result<Tensor> {
        match &self.path {
            Path::OnDevice(conv) => self.count(conv.forward(x, Some(residual))?),
            #[cfg(target_arch = "x86_64")]
            Path::Tiles(tiles) => Fused { stages: &[&tiles.stage], narrow: tiles.narrow }.forward(x, Some(residual)),
            _ => x.apply_op2_no_bwd(residual, self),
        }
    }

    /// Counts what a result has cost.
    fn count(&self, y: Tensor) -> Result<Tensor> {
        let ConvShape { cin, kernel: [ky, kx], groups, .. } = self.shape;
        MULTIPLY_ADDS.fetch_add((y.elem_count() * ky * kx * (cin / groups)) as u64, Ordering::Relaxed);
        Ok(y)
    }

    /// The input and its sides, and the shape of the result.
    fn input<'a>(&self, storage: &'a CpuStorage, layout: &Layout) -> Result<(&'a [f32], [usize; 3], [usize; 4])> {
        let x = check::slice("conv2d", storage, layout)?;
        let (sides, out) = self.sides(layout)?;
        Ok((x, sides, out))
    }

    /// The sides of an input, and the shape of the result.
    pub(super) fn sides(&self, layout: &Layout) -> Result<([usize; 3], [usize; 4])> {
        let [n, h, w, c] = check::sides("conv2d", layout)?;
        let ConvShape { cin, cout, kernel: [ky, kx], pad: [top, left, bottom, right], .. } = self.shape;
        if c != cin {
            bail!("conv2d: expected {cin} input channels, got {:?}", layout.shape());
        }
        if h + top + bottom < ky || w + left + right < kx {
            bail!("conv2d: expected an input of at least the kernel of {:?}, got {:?}", self.shape, layout.shape());
        }
        let (oh, ow) = self.shape.output(h, w);
        Ok(([n, h, w], [n, oh, ow, cout]))
    }

    fn run(&self, x: &[f32], sides: [usize; 3], out: [usize; 4], residual: Option<&[f32]>) -> (CpuStorage, Shape) {
        let len = out.iter().product();
        let ConvShape { cin, kernel: [ky, kx], groups, .. } = self.shape;
        MULTIPLY_ADDS.fetch_add((len * ky * kx * (cin / groups)) as u64, Ordering::Relaxed);
        let mut y: Vec<f32> = Vec::with_capacity(len);
        match &self.path {
            Path::Plain(plain) => {
                y.resize(len, 0.0);
                plain.forward(&rounded(x, self.precision), sides, residual, &mut y);
            }
            // SAFETY: `input` checked the sides against `x`, `same_shape` the residual; every element is written.
            Path::Dense(dense) => unsafe {
                dense.forward(x, sides, residual, y.as_mut_ptr());
                y.set_len(len);
            },
            // SAFETY: as above.
            Path::Depthwise(depthwise) => unsafe {
                depthwise.forward(x, sides, residual, y.as_mut_ptr());
                y.set_len(len);
            },
            // `forward` and `forward_add` never come here with one of these.
            #[cfg(target_arch = "x86_64")]
            Path::Tiles(_) => y.resize(len, f32::NAN),
            Path::OnDevice(_) => y.resize(len, f32::NAN),
        }
        (CpuStorage::F32(y), Shape::from(&out[..]))
    }
}

impl CustomOp1 for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, sides, out) = self.input(storage, layout)?;
        Ok(self.run(x, sides, out, None))
    }
}

impl CustomOp2 for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d_add"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, sides, out) = self.input(storage, layout)?;
        let residual = check::same_shape("conv2d_add", residual, residual_layout, &out)?;
        Ok(self.run(x, sides, out, Some(residual)))
    }
}
