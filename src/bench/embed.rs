//! The embedder by itself: made-up crops that lie on the device already, so many at a time. What another runtime is set against,
//! for it is the same work there: a batch in, embeddings back on the host.

use std::fmt;

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{Run, median, timed};
use crate::nn::{Embedder, WeightStore, load_embedder};
use crate::ops;
use crate::{Error, Result, device};

/// Height and width of a crop.
const SIDE: usize = 112;
/// Batches before the clock starts: libraries choose how to multiply, memory is taken.
const WARM_UP: usize = 3;

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Embedding {
    /// Name and sum of the weights.
    pub model: String,
    /// Arithmetic.
    pub precision: String,
    /// Where it ran.
    pub device: String,
    /// Faces of one run.
    pub faces: u64,
    /// Faces at a time.
    pub batch: usize,
    /// Median over the runs.
    pub seconds: f64,
    /// Faces a second, by the clock.
    pub faces_per_s: f64,
    /// Multiply-adds a face, in units of 1e9.
    pub gmac: f64,
    /// Multiplications and additions a second, in units of 1e12.
    pub tera_ops_s: f64,
    /// The runs.
    pub runs: Vec<Run>,
}

/// Measures `runs` times over at least `faces` made-up crops, `batch` at a time, with the weights' device and precision.
///
/// # Errors
/// [`Error::Input`] when there is no such embedder, [`Error::Device`] when the device has no memory for a batch.
pub fn measure((faces, batch): (u64, usize), runs: usize, weights: &WeightStore, name: &str) -> Result<Embedding> {
    let device = weights.device().clone();
    let out_of_memory = |error: Error| match error {
        Error::Bug { doing, found } if ops::gpu::is_out_of_memory(&found) => {
            device::out_of_memory(&device, &format!("{doing}, {batch} faces at a time"), &found)
        }
        other => other,
    };
    let embedder = load_embedder(weights, name).map_err(out_of_memory)?;
    let (faces, done, macs) = measure_on(&device, (faces, batch), runs, embedder.as_ref()).map_err(out_of_memory)?;
    let seconds = median(done.iter().map(|run| run.wall_s)).max(1e-9);
    let (faces_per_s, gmac) = (faces as f64 / seconds, macs as f64 / faces as f64 / 1e9);
    Ok(Embedding {
        model: embedder.id().to_owned(),
        precision: format!("{:?}", weights.precision()).to_lowercase(),
        device: device::describe(&device),
        faces,
        batch,
        seconds,
        faces_per_s,
        gmac,
        tera_ops_s: 2.0 * gmac * faces_per_s / 1e3,
        runs: done,
    })
}

/// Faces of one run, the runs, and multiply-adds of one.
fn measure_on(
    device: &Device,
    (faces, batch): (u64, usize),
    runs: usize,
    embedder: &dyn Embedder,
) -> Result<(u64, Vec<Run>, u64)> {
    // Pixels of every value: what is measured does not hang on them, and none is zero throughout.
    let pixels = (0..batch * SIDE * SIDE * 3).map(|at| (at.wrapping_mul(2_654_435_761) >> 13 & 255) as f32).collect();
    let crops = Tensor::from_vec(pixels, (batch, SIDE, SIDE, 3), &Device::Cpu)?.to_device(device)?;
    let once = || -> Result<()> {
        // Back on the host: that waits for the device.
        let embeddings = embedder.embed(&crops)?.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        std::hint::black_box(embeddings.to_vec2::<f32>()?);
        Ok(())
    };
    (0..WARM_UP).try_for_each(|_| once())?;
    let batches = faces.div_ceil(batch as u64);
    let mut done = Vec::new();
    let before = ops::multiply_adds();
    for _ in 0..runs {
        done.push(timed(|| (0..batches).try_for_each(|_| once()))?.0);
    }
    let macs = (ops::multiply_adds() - before) / runs.max(1) as u64;
    Ok((batches * batch as u64, done, macs))
}

impl fmt::Display for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "embedder   {} in {} on {}: ", self.model, self.precision, self.device)?;
        write!(f, "{:.1} faces/s, {} at a time; ", self.faces_per_s, self.batch)?;
        write!(f, "{:.2} Gmac a face, {:.2} Tera-op/s", self.gmac, self.tera_ops_s)
    }
}
