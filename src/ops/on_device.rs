//! A convolution as a GPU runs it: patches gathered into rows, one matrix product, bias with activation and residual; or
//! a depthwise kernel.
//!
//! The product is candle's (cuBLAS on CUDA), f16 and bf16 with f32 sums. On the CPU the same composition runs in plain code,
//! so that a machine without a GPU holds it to the convolutions of [`super::conv`].

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Device, Layout, Result, Shape, Tensor, bail};

use super::check;
use super::gpu::network::Following;
use super::gpu::{self, Card};
use super::params::ConvParams;
use super::pointwise::cast;
use super::spec::{Activation, ConvShape, Parameters, Precision};

/// Elements of patches held at a time: more pictures than give so many go through in parts.
const MOST_PATCHES: usize = 1 << 28;

/// A convolution with its weights on a device.
#[derive(Debug, Clone)]
pub(super) struct OnDevice {
    shape: ConvShape,
    dtype: DType,
    /// Dense: `(kernel * cin, cout)` in the type of the product. Depthwise: `(kernel, channels)`, f32.
    weight: Tensor,
    /// `(cout)`, f32.
    bias: Tensor,
    /// `(cout)`, f32; one zero where there are no slopes.
    slope: Tensor,
    activation: i32,
}

impl OnDevice {
    /// Turns checked weights from `(cout, cin / groups, kernel_y, kernel_x)` and copies them over.
    pub(super) fn new(
        shape: ConvShape,
        parameters: Parameters,
        activation: &Activation,
        precision: Precision,
        device: &Device,
    ) -> Result<Self> {
        let Parameters { weight, bias } = parameters;
        let dtype = match precision {
            Precision::F32 => DType::F32,
            Precision::F16 => DType::F16,
            Precision::Bf16 => DType::BF16,
            Precision::Bf16x3 => bail!("conv2d: expected f32, f16 or bf16 on a device, got {precision:?}"),
        };
        let ConvShape { cin, cout, kernel: [ky, kx], groups, .. } = shape;
        let (taps, per_group) = (ky * kx, cin / groups);
        let mut turned = vec![0.0; weight.len()];
        for (row, own) in weight.chunks_exact(per_group * taps).enumerate() {
            for (i, taps_of) in own.chunks_exact(taps).enumerate() {
                taps_of.iter().enumerate().for_each(|(tap, &w)| turned[(tap * per_group + i) * cout + row] = w);
            }
        }
        // Rounded here, and then copied: that needs no kernel of the device.
        let weight = Tensor::from_vec(turned, (taps * per_group, cout), &Device::Cpu)?;
        let weight = if groups == 1 { weight.to_dtype(dtype)? } else { weight }.to_device(device)?;
        let (slope, activation) = match activation {
            Activation::None => (vec![0.0], 0),
            Activation::Relu => (vec![0.0], 1),
            Activation::PRelu(slope) => (slope.clone(), 2),
        };
        let (slope, bias) = (Tensor::new(slope, device)?, Tensor::new(bias, device)?);
        Ok(OnDevice { shape, dtype, weight, bias, slope, activation })
    }

    /// `activation(conv(x) + bias) + residual`.
    pub(super) fn forward(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        let ConvShape { cin, cout, kernel: [ky, kx], stride, pad, groups } = self.shape;
        let [top, left, bottom, right] = pad;
        if c != cin || n == 0 || h + top + bottom < ky || w + left + right < kx {
            bail!("conv2d: expected an input of at least the kernel of {:?}, got {:?}", self.shape, x.shape());
        }
        let (oh, ow) = self.shape.output(h, w);
        let x = cast(&x.contiguous()?, self.dtype)?;
        let residual = residual.map(|r| cast(&r.contiguous()?, self.dtype)).transpose()?;
        if let Some(residual) = &residual
            && residual.dims() != [n, oh, ow, cout]
        {
            bail!("conv2d_add: expected a residual of {:?}, got {:?}", [n, oh, ow, cout], residual.shape());
        }
        let params = ConvParams {
            n: n as i32,
            height: h as i32,
            width: w as i32,
            channels: c as i32,
            out_height: oh as i32,
            out_width: ow as i32,
            kernel_y: ky as i32,
            kernel_x: kx as i32,
            stride: stride as i32,
            pad_top: top as i32,
            pad_left: left as i32,
            activation: self.activation,
            residual: i32::from(residual.is_some()),
        };
        if groups != 1 {
            return self.depthwise(&x, residual.as_ref(), params);
        }
        let product = self.product(&x, params)?;
        let residual = residual.map(|residual| residual.reshape((n * oh * ow, cout))).transpose()?;
        self.follow(&product, residual.as_ref())?.reshape((n, oh, ow, cout))
    }

    /// The matrix product, `(n * out_height * out_width, cout)`.
    fn product(&self, x: &Tensor, params: ConvParams) -> Result<Tensor> {
        let ConvShape { cin, kernel, stride, pad, .. } = self.shape;
        let (n, h, w, _) = x.dims4()?;
        if kernel == [1, 1] && stride == 1 && pad == [0; 4] {
            return x.reshape((n * h * w, cin))?.matmul(&self.weight);
        }
        let per_image = (params.out_height * params.out_width) as usize * kernel[0] * kernel[1] * cin;
        let step = (MOST_PATCHES / per_image).max(1);
        let mut parts = Vec::with_capacity(n.div_ceil(step));
        for start in (0..n).step_by(step) {
            let count = step.min(n - start);
            let params = ConvParams { n: count as i32, ..params };
            let x = x.narrow(0, start, count)?;
            let rows = match x.device() {
                Device::Cpu => x.apply_op1_no_bwd(&Im2col { params })?,
                device => gpu::network::im2col(&Card::of(device)?, &x, params)?,
            };
            parts.push(rows.matmul(&self.weight)?);
        }
        match parts.as_slice() {
            [whole] => Ok(whole.clone()),
            parts => Tensor::cat(parts, 0),
        }
    }

    /// What follows the product.
    fn follow(&self, product: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        let op = BiasAct { conv: self };
        match (product.device(), residual) {
            (Device::Cpu, Some(residual)) => product.apply_op2_no_bwd(residual, &op),
            (Device::Cpu, None) => product.apply_op1_no_bwd(&op),
            (device, _) => gpu::network::bias_act(&Card::of(device)?, product, residual, &self.following()),
        }
    }

    fn depthwise(&self, x: &Tensor, residual: Option<&Tensor>, params: ConvParams) -> Result<Tensor> {
        let op = Depthwise { conv: self, params };
        match (x.device(), residual) {
            (Device::Cpu, Some(residual)) => x.apply_op2_no_bwd(residual, &op),
            (Device::Cpu, None) => x.apply_op1_no_bwd(&op),
            (device, _) => {
                let card = Card::of(device)?;
                gpu::network::depthwise(&card, (x, residual), &self.weight, &self.following(), params)
            }
        }
    }

    fn following(&self) -> Following<'_> {
        Following { bias: &self.bias, slope: &self.slope, activation: self.activation }
    }

    /// Bias, slopes and what they do, for the plain code.
    fn plain(&self) -> Result<impl Fn(f32, usize) -> f32> {
        let (bias, slope) = (self.bias.to_vec1::<f32>()?, self.slope.to_vec1::<f32>()?);
        let activation = self.activation;
        Ok(move |x: f32, channel: usize| {
            let x = x + bias[channel];
            match activation {
                1 if x <= 0.0 => 0.0,
                2 if x <= 0.0 => slope[channel] * x,
                _ => x,
            }
        })
    }
}

/// Rows of patches.
struct Im2col {
    params: ConvParams,
}

impl CustomOp1 for Im2col {
    fn name(&self) -> &'static str {
        "im2col"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, [_, h, w, c]) = check::nhwc("im2col", storage, layout)?;
        let p = self.params;
        let rows = (p.n * p.out_height * p.out_width) as usize;
        let (ky, kx) = (p.kernel_y as usize, p.kernel_x as usize);
        let mut y = Vec::with_capacity(rows * ky * kx * c);
        for row in 0..rows {
            let (ox, oy) = (row % p.out_width as usize, row / p.out_width as usize % p.out_height as usize);
            let image = row / (p.out_width * p.out_height) as usize;
            for (dy, dx) in (0..ky).flat_map(|dy| (0..kx).map(move |dx| (dy, dx))) {
                let iy = (oy * p.stride as usize + dy).checked_sub(p.pad_top as usize).filter(|&v| v < h);
                let ix = (ox * p.stride as usize + dx).checked_sub(p.pad_left as usize).filter(|&v| v < w);
                match (iy, ix) {
                    (Some(iy), Some(ix)) => y.extend_from_slice(&x[((image * h + iy) * w + ix) * c..][..c]),
                    _ => y.resize(y.len() + c, 0.0),
                }
            }
        }
        Ok((CpuStorage::F32(y), Shape::from((rows, ky * kx * c))))
    }
}

/// What follows the product.
struct BiasAct<'a> {
    conv: &'a OnDevice,
}

impl CustomOp1 for BiasAct<'_> {
    fn name(&self) -> &'static str {
        "bias_act"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = check::slice("bias_act", storage, layout)?;
        let (follow, channels) = (self.conv.plain()?, self.conv.shape.cout);
        let y = x.iter().enumerate().map(|(at, &x)| follow(x, at % channels)).collect();
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }
}

impl CustomOp2 for BiasAct<'_> {
    fn name(&self) -> &'static str {
        "bias_act_add"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(mut y), shape) = CustomOp1::cpu_fwd(self, s1, l1)? else { bail!("bias_act_add: no f32") };
        let residual = check::same_shape("bias_act_add", s2, l2, shape.dims())?;
        y.iter_mut().zip(residual).for_each(|(y, r)| *y += r);
        Ok((CpuStorage::F32(y), shape))
    }
}

/// Every channel filtered by itself, with what follows.
struct Depthwise<'a> {
    conv: &'a OnDevice,
    params: ConvParams,
}

impl CustomOp1 for Depthwise<'_> {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, [n, .., c]) = check::nhwc("depthwise", storage, layout)?;
        let (CpuStorage::F32(rows), _) = Im2col { params: self.params }.cpu_fwd(storage, layout)? else {
            bail!("depthwise: no f32");
        };
        let weight = self.conv.weight.flatten_all()?.to_vec1::<f32>()?;
        let follow = self.conv.plain()?;
        let mut y = Vec::with_capacity(rows.len() * c / weight.len());
        for patch in rows.chunks_exact(weight.len()) {
            y.extend((0..c).map(|channel| {
                let taps = patch.iter().zip(&weight).skip(channel).step_by(c);
                follow(taps.map(|(x, w)| x * w).sum(), channel)
            }));
        }
        let [oh, ow] = [self.params.out_height as usize, self.params.out_width as usize];
        Ok((CpuStorage::F32(y), Shape::from((n, oh, ow, c))))
    }
}

impl CustomOp2 for Depthwise<'_> {
    fn name(&self) -> &'static str {
        "depthwise_add"
    }

    fn cpu_fwd(&self, s1: &CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(mut y), shape) = CustomOp1::cpu_fwd(self, s1, l1)? else { bail!("depthwise_add: no f32") };
        let residual = check::same_shape("depthwise_add", s2, l2, shape.dims())?;
        y.iter_mut().zip(residual).for_each(|(y, r)| *y += r);
        Ok((CpuStorage::F32(y), shape))
    }
}
