//! What networks are made of: elementwise operations, pooling, and the parts of a convolution.

use candle_core::cuda_backend::{CudaStorage, CudaStorageSlice};
use candle_core::{Layout, Result, Shape, Storage, Tensor, bail};
use half::{bf16, f16};

use super::{File, Number, elements, launch, view};
use crate::ops::check;
use crate::ops::params::ConvParams;

/// Calls `$run::<T>` for the type of a storage.
macro_rules! typed {
    ($op:literal, $storage:expr, $run:ident($($arg:expr),* $(,)?)) => {
        match &$storage.slice {
            CudaStorageSlice::F32(_) => $run::<f32>($($arg),*),
            CudaStorageSlice::F16(_) => $run::<f16>($($arg),*),
            CudaStorageSlice::BF16(_) => $run::<bf16>($($arg),*),
            _ => bail!(concat!($op, ": expected f32, f16 or bf16")),
        }
    };
}

type Fwd = Result<(CudaStorage, Shape)>;

/// A per-channel vector of f32 on the device.
fn channels<R>(op: &str, x: &Tensor, run: impl FnOnce(&CudaStorage, &Layout) -> Result<R>) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cuda(storage) => run(storage, layout),
        _ => bail!("{op}: expected factors on the same device"),
    }
}

/// `x * scale + shift` per channel; `factors` is `(2, channels)`, f32.
pub(crate) fn affine(s: &CudaStorage, l: &Layout, factors: &Tensor) -> Fwd {
    fn run<T: Number>(s: &CudaStorage, l: &Layout, factors: &Tensor) -> Fwd {
        let [.., c] = check::sides("affine", l)?;
        if factors.dims() != [2, c] {
            bail!("affine: expected (2, {c}) factors, got {:?}", factors.shape());
        }
        let x = view::<T>("affine", s, l)?;
        let count = l.shape().elem_count();
        // SAFETY: the kernel writes every element.
        let mut y = unsafe { s.device.alloc::<T>(count)? };
        channels("affine", factors, |f, fl| {
            let both = view::<f32>("affine", f, fl)?;
            let (scale, shift) = both.split_at(c);
            let (channels, total) = (c as i32, count as i64);
            launch!(&s.device, File::Pointwise, &format!("affine_{}", T::SUFFIX), elements(count)?;
                &x, &scale, &shift, &mut y, &channels, &total);
            Ok(())
        })?;
        Ok((CudaStorage::wrap_cuda_slice(y, s.device.clone()), l.shape().clone()))
    }
    typed!("affine", s, run(s, l, factors))
}

/// `x` times one factor per image and channel.
pub(crate) fn scale_channels(s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Fwd {
    fn run<T: Number>(s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Fwd {
        let [n, h, w, c] = check::sides("scale_channels", l1)?;
        check::dims("scale_channels", l2, &[n, 1, 1, c])?;
        let (x, scale) = (view::<T>("scale_channels", s1, l1)?, view::<T>("scale_channels", s2, l2)?);
        let (pixels, channels, total) = ((h * w) as i32, c as i32, (n * h * w * c) as i64);
        // SAFETY: the kernel writes every element.
        let mut y = unsafe { s1.device.alloc::<T>(n * h * w * c)? };
        launch!(&s1.device, File::Pointwise, &format!("scale_channels_{}", T::SUFFIX), elements(n * h * w * c)?;
            &x, &scale, &mut y, &pixels, &channels, &total);
        Ok((CudaStorage::wrap_cuda_slice(y, s1.device.clone()), l1.shape().clone()))
    }
    typed!("scale_channels", s1, run(s1, l1, s2, l2))
}

/// The logistic function.
pub(crate) fn sigmoid(s: &CudaStorage, l: &Layout) -> Fwd {
    fn run<T: Number>(s: &CudaStorage, l: &Layout) -> Fwd {
        let x = view::<T>("sigmoid", s, l)?;
        let count = l.shape().elem_count();
        let total = count as i64;
        // SAFETY: the kernel writes every element.
        let mut y = unsafe { s.device.alloc::<T>(count)? };
        launch!(&s.device, File::Pointwise, &format!("sigmoid_{}", T::SUFFIX), elements(count)?; &x, &mut y, &total);
        Ok((CudaStorage::wrap_cuda_slice(y, s.device.clone()), l.shape().clone()))
    }
    typed!("sigmoid", s, run(s, l))
}

/// The second input and the first, each pixel repeated 2x2.
pub(crate) fn upsample2_add(s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Fwd {
    fn run<T: Number>(s1: &CudaStorage, l1: &Layout, s2: &CudaStorage, l2: &Layout) -> Fwd {
        let [n, h, w, c] = check::sides("upsample2_add", l1)?;
        check::dims("upsample2_add", l2, &[n, 2 * h, 2 * w, c])?;
        let (small, x) = (view::<T>("upsample2_add", s1, l1)?, view::<T>("upsample2_add", s2, l2)?);
        let count = n * h * w * c * 4;
        let (height, width, channels, total) = (h as i32, w as i32, c as i32, count as i64);
        // SAFETY: the kernel writes every element.
        let mut y = unsafe { s1.device.alloc::<T>(count)? };
        launch!(&s1.device, File::Pointwise, &format!("upsample2_add_{}", T::SUFFIX), elements(count)?;
            &small, &x, &mut y, &height, &width, &channels, &total);
        Ok((CudaStorage::wrap_cuda_slice(y, s1.device.clone()), l2.shape().clone()))
    }
    typed!("upsample2_add", s1, run(s1, l1, s2, l2))
}

/// The largest of each 2x2.
pub(crate) fn max_pool2(s: &CudaStorage, l: &Layout) -> Fwd {
    fn run<T: Number>(s: &CudaStorage, l: &Layout) -> Fwd {
        let [n, h, w, c] = check::sides("max_pool2", l)?;
        if h < 2 || w < 2 {
            bail!("max_pool2: expected height and width of at least 2, got {:?}", l.shape());
        }
        let x = view::<T>("max_pool2", s, l)?;
        let count = n * (h / 2) * (w / 2) * c;
        let [ni, hi, wi, ci] = [n, h, w, c].map(|v| v as i32);
        // SAFETY: the kernel writes every element.
        let mut y = unsafe { s.device.alloc::<T>(count)? };
        launch!(&s.device, File::Pool, &format!("max_pool2_{}", T::SUFFIX), elements(count)?;
            &x, &mut y, &ni, &hi, &wi, &ci);
        Ok((CudaStorage::wrap_cuda_slice(y, s.device.clone()), Shape::from((n, h / 2, w / 2, c))))
    }
    typed!("max_pool2", s, run(s, l))
}

/// Every so many rows and columns.
pub(crate) fn subsample(s: &CudaStorage, l: &Layout, step: usize) -> Fwd {
    fn run<T: Number>(s: &CudaStorage, l: &Layout, step: usize) -> Fwd {
        let [n, h, w, c] = check::sides("subsample", l)?;
        if step == 0 {
            bail!("subsample: expected a step of at least 1, got 0");
        }
        let x = view::<T>("subsample", s, l)?;
        let (oh, ow) = (h.div_ceil(step), w.div_ceil(step));
        let [ni, hi, wi, ci, si] = [n, h, w, c, step].map(|v| v as i32);
        // SAFETY: the kernel writes every element.
        let mut y = unsafe { s.device.alloc::<T>(n * oh * ow * c)? };
        launch!(&s.device, File::Pool, &format!("subsample_{}", T::SUFFIX), elements(n * oh * ow * c)?;
            &x, &mut y, &ni, &hi, &wi, &ci, &si);
        Ok((CudaStorage::wrap_cuda_slice(y, s.device.clone()), Shape::from((n, oh, ow, c))))
    }
    typed!("subsample", s, run(s, l, step))
}

/// The mean over all pixels.
pub(crate) fn global_avg_pool(s: &CudaStorage, l: &Layout) -> Fwd {
    fn run<T: Number>(s: &CudaStorage, l: &Layout) -> Fwd {
        let [n, h, w, c] = check::sides("global_avg_pool", l)?;
        let x = view::<T>("global_avg_pool", s, l)?;
        let (ni, pixels, ci) = (n as i32, (h * w) as i32, c as i32);
        // SAFETY: the kernel writes every element.
        let mut y = unsafe { s.device.alloc::<T>(n * c)? };
        launch!(&s.device, File::Pool, &format!("global_avg_pool_{}", T::SUFFIX), elements(n * c)?;
            &x, &mut y, &ni, &pixels, &ci);
        Ok((CudaStorage::wrap_cuda_slice(y, s.device.clone()), Shape::from((n, 1, 1, c))))
    }
    typed!("global_avg_pool", s, run(s, l))
}

/// Rows of patches, `(patches, kernel * channels)`.
pub(crate) fn im2col(s: &CudaStorage, l: &Layout, p: ConvParams) -> Fwd {
    fn run<T: Number>(s: &CudaStorage, l: &Layout, p: ConvParams) -> Fwd {
        let x = view::<T>("im2col", s, l)?;
        let rows = (p.n * p.out_height * p.out_width) as usize;
        let patch = (p.kernel_y * p.kernel_x * p.channels) as usize;
        // SAFETY: the kernel writes every element.
        let mut y = unsafe { s.device.alloc::<T>(rows * patch)? };
        launch!(&s.device, File::Conv, &format!("im2col_{}", T::SUFFIX), elements(rows * patch)?; &x, &mut y, &p);
        Ok((CudaStorage::wrap_cuda_slice(y, s.device.clone()), Shape::from((rows, patch))))
    }
    typed!("im2col", s, run(s, l, p))
}

/// What follows a matrix product: bias and slopes `(channels)`, f32, on the device, and the kind of activation.
pub(crate) struct Following<'a> {
    pub(crate) bias: &'a Tensor,
    pub(crate) slope: &'a Tensor,
    pub(crate) activation: i32,
}

/// `activation(x + bias) + residual`, channels last.
pub(crate) fn bias_act(
    s: &CudaStorage,
    l: &Layout,
    residual: Option<(&CudaStorage, &Layout)>,
    f: &Following<'_>,
) -> Fwd {
    fn run<T: Number>(
        s: &CudaStorage,
        l: &Layout,
        residual: Option<(&CudaStorage, &Layout)>,
        f: &Following<'_>,
    ) -> Fwd {
        let x = view::<T>("bias_act", s, l)?;
        let count = l.shape().elem_count();
        // Without a residual the kernel reads none; it is given the input for a pointer.
        let added = match residual {
            Some((s, l)) => view::<T>("bias_act", s, l)?,
            None => view::<T>("bias_act", s, l)?,
        };
        // SAFETY: the kernel writes every element.
        let mut y = unsafe { s.device.alloc::<T>(count)? };
        let (c, total, with) = (f.bias.elem_count() as i32, count as i64, i32::from(residual.is_some()));
        channels("bias_act", f.bias, |b, bl| {
            channels("bias_act", f.slope, |a, al| {
                let (bias, slope) = (view::<f32>("bias_act", b, bl)?, view::<f32>("bias_act", a, al)?);
                launch!(&s.device, File::Conv, &format!("bias_act_{}", T::SUFFIX), elements(count)?;
                    &x, &bias, &slope, &added, &mut y, &c, &f.activation, &with, &total);
                Ok(())
            })
        })?;
        Ok((CudaStorage::wrap_cuda_slice(y, s.device.clone()), l.shape().clone()))
    }
    typed!("bias_act", s, run(s, l, residual, f))
}

/// A depthwise convolution with what follows it; weights `(kernel, channels)`, f32, on the device.
pub(crate) fn depthwise(
    (s, l): (&CudaStorage, &Layout),
    residual: Option<(&CudaStorage, &Layout)>,
    weight: &Tensor,
    f: &Following<'_>,
    p: ConvParams,
) -> Fwd {
    type Input<'a> = (&'a CudaStorage, &'a Layout);
    fn run<T: Number>(
        (s, l): Input<'_>,
        residual: Option<Input<'_>>,
        weight: &Tensor,
        f: &Following<'_>,
        p: ConvParams,
    ) -> Fwd {
        let x = view::<T>("depthwise", s, l)?;
        let count = (p.n * p.out_height * p.out_width * p.channels) as usize;
        let added = match residual {
            Some((s, l)) => view::<T>("depthwise", s, l)?,
            None => view::<T>("depthwise", s, l)?,
        };
        // SAFETY: the kernel writes every element.
        let mut y = unsafe { s.device.alloc::<T>(count)? };
        channels("depthwise", weight, |w, wl| {
            channels("depthwise", f.bias, |b, bl| {
                channels("depthwise", f.slope, |a, al| {
                    let weight = view::<f32>("depthwise", w, wl)?;
                    let (bias, slope) = (view::<f32>("depthwise", b, bl)?, view::<f32>("depthwise", a, al)?);
                    launch!(&s.device, File::Conv, &format!("depthwise_{}", T::SUFFIX), elements(count)?;
                        &x, &weight, &bias, &slope, &added, &mut y, &p);
                    Ok(())
                })
            })
        })?;
        let [n, h, w, c] = [p.n, p.out_height, p.out_width, p.channels].map(|v| v as usize);
        Ok((CudaStorage::wrap_cuda_slice(y, s.device.clone()), Shape::from((n, h, w, c))))
    }
    typed!("depthwise", s, run((s, l), residual, weight, f, p))
}
