//! What every operation asks of its inputs, with errors that carry operation, expected and got.

use candle_core::{CpuStorage, DType, Layout, Result, bail};
use half::bf16;

/// The elements of a tensor of either kind that a convolution takes on a CPU.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
}

/// The elements of a contiguous tensor, f32 or bf16.
pub(super) fn values<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<Values<'a>> {
    if let (CpuStorage::BF16(values), Some((start, end))) = (storage, layout.contiguous_offsets()) {
        return Ok(Values::Bf16(&values[start..end]));
    }
    Ok(Values::F32(slice(op, storage, layout)?))
}

/// The sides of a tensor in NHWC order without an empty one.
pub(super) fn sides(op: &str, layout: &Layout) -> Result<[usize; 4]> {
    let shape = layout.shape();
    let &[n, h, w, c] = shape.dims() else {
        bail!("{op}: expected (batch, height, width, channels), got {shape:?}");
    };
    if n * h * w * c == 0 {
        bail!("{op}: expected at least one element, got {shape:?}");
    }
    Ok([n, h, w, c])
}

/// A contiguous f32 tensor in NHWC order without an empty side.
pub(super) fn nhwc<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<(&'a [f32], [usize; 4])> {
    let sides = sides(op, layout)?;
    Ok((slice(op, storage, layout)?, sides))
}

/// The elements of a contiguous f32 tensor.
pub(super) fn slice<'a>(op: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let shape = layout.shape();
    let CpuStorage::F32(values) = storage else {
        let got = candle_core::backend::BackendStorage::dtype(storage);
        bail!("{op}: expected {:?}, got {got:?} of {shape:?}", DType::F32);
    };
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("{op}: expected a contiguous tensor, got {shape:?} with strides {:?}", layout.stride());
    };
    Ok(&values[start..end])
}

/// A second input with the shape of the result.
pub(super) fn same_shape<'a>(
    op: &str,
    storage: &'a CpuStorage,
    layout: &Layout,
    expected: &[usize],
) -> Result<&'a [f32]> {
    dims(op, layout, expected)?;
    slice(op, storage, layout)
}

/// A second input of a shape.
pub(super) fn dims(op: &str, layout: &Layout, expected: &[usize]) -> Result<()> {
    if layout.shape().dims() != expected {
        bail!("{op}: expected a second input of {expected:?}, got {:?}", layout.shape());
    }
    Ok(())
}
