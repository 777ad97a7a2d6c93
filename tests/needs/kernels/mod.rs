//! The kernels of `kernels/`, compiled for the CPU through the host shim, against the CPU's own operations on random inputs,
//! odd sizes included, and launched by the code that launches them on a GPU: order and sizes of arguments, what is written,
//! and grids are checked with them. Needs a C++ compiler (`$CXX`, `c++`, `g++` or `clang++`).
//!
//! What this cannot see: races, the order of memory accesses, and what a real compiler makes of the source.

pub mod faces;
pub mod form;
pub mod network;
pub mod search;
mod shim;

use candle_core::{DType, Tensor};
use chehra::photo::Photo;

/// The same numbers in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// From 0 to below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }

    /// From -1 to 1.
    fn float(&mut self) -> f32 {
        self.next() as f32 / (1u32 << 30) as f32 - 1.0
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }

    /// A photo of soft shapes with some grain.
    fn photo(&mut self, width: usize, height: usize) -> Photo {
        let mut rgb = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                for c in 0..3 {
                    let soft = ((x as f32 * 0.031 + c as f32).sin() + (y as f32 * 0.023).cos()) * 60.0 + 128.0;
                    rgb.push((soft + self.float() * 6.0) as u8);
                }
            }
        }
        Photo { width, height, rgb }
    }
}

/// Largest difference; NaN where a value is none.
fn worst(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).fold(0.0, |m: f32, (a, b)| {
        let off = (a - b).abs();
        if off > m || off.is_nan() { off } else { m }
    })
}

/// The values of a tensor of any type.
fn floats(x: &Tensor) -> Vec<f32> {
    x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}
