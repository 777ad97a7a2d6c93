//! Speed of the operations at the shapes of the face networks, one thread: GFLOP/s, and as a share of what the core
//! can do in registers. `cargo bench --bench ops [-- <part of a name>]`; `CHEHRA_ISA` chooses the instruction set.

use std::hint::black_box;
use std::time::{Duration, Instant};

use candle_core::{Device, Result, Tensor};
use chehra::ops::cpu::{Isa, fma_peak};
use chehra::ops::{Activation, Conv2d, ConvShape, Precision};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time to measure one layer for.
const BUDGET: Duration = Duration::from_millis(60);

/// `cin, cout, kernel, stride, side, depthwise` of the layers of SFace (MobileNet v1 at 112x112), and dense 3x3 as in
/// residual networks.
const LAYERS: &[(usize, usize, usize, usize, usize, bool)] = &[
    (3, 32, 3, 1, 112, false),
    (3, 64, 3, 2, 112, false),
    (32, 64, 1, 1, 112, false),
    (64, 128, 1, 1, 56, false),
    (128, 128, 1, 1, 56, false),
    (128, 256, 1, 1, 28, false),
    (256, 256, 1, 1, 28, false),
    (256, 512, 1, 1, 14, false),
    (512, 512, 1, 1, 14, false),
    (512, 1024, 1, 1, 7, false),
    (1024, 1024, 1, 1, 7, false),
    (103, 231, 1, 1, 14, false),
    (50176, 128, 1, 1, 1, false),
    (64, 64, 3, 1, 56, false),
    (128, 128, 3, 1, 28, false),
    (256, 256, 3, 1, 14, false),
    (512, 512, 3, 1, 7, false),
    (128, 256, 3, 2, 28, false),
    (32, 32, 3, 1, 112, true),
    (64, 64, 3, 2, 112, true),
    (128, 128, 3, 1, 56, true),
    (256, 256, 3, 1, 28, true),
    (256, 256, 3, 2, 28, true),
    (512, 512, 3, 1, 14, true),
    (1024, 1024, 3, 1, 7, true),
    (512, 512, 7, 1, 7, true),
];

fn main() -> Result<()> {
    let isa = Isa::current()?;
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    println!("{:<34} {:<6} {:>3} {:>10} {:>9} {:>7}", "layer", "in", "n", "us/image", "GFLOP/s", "share");
    for precision in [Precision::F32, Precision::Bf16, Precision::Bf16x3] {
        let Some(peak) = fma_peak(isa, precision, Duration::from_millis(100)) else { continue };
        println!("{isa} {precision:?}: multiply-add peak {:.1} GFLOP/s a core", peak / 1e9);
        for &(cin, cout, kernel, stride, side, depthwise) in LAYERS {
            let pad = if kernel == 3 { 1 } else { 0 };
            let groups = if depthwise { cin } else { 1 };
            let shape = ConvShape { cin, cout, kernel: [kernel; 2], stride, pad: [pad; 4], groups };
            let kind = if depthwise { "dw" } else { "conv" };
            let name = format!("{kind} {kernel}x{kernel}/{stride} {cin}->{cout} @{side}");
            if wanted.as_ref().is_none_or(|w| name.contains(w.as_str())) {
                layer(shape, precision, side, (&name, peak))?;
            }
        }
    }
    Ok(())
}

/// Measures and prints one layer at two batch sizes, unless it would stay in another precision.
fn layer(shape: ConvShape, precision: Precision, side: usize, (name, peak): (&str, f64)) -> Result<()> {
    let weights = shape.cout * shape.cin / shape.groups * shape.kernel[0] * shape.kernel[1];
    let prelu = Activation::PRelu(vec![0.25; shape.cout]);
    let conv = Conv2d::with_precision(shape, &ramp(weights), &ramp(shape.cout), prelu, precision)?;
    if conv.precision() != precision {
        return Ok(());
    }
    for batch in [1, 8] {
        let x = Tensor::from_vec(ramp(batch * side * side * shape.cin), (batch, side, side, shape.cin), &Device::Cpu)?;
        let seconds = quickest(|| conv.forward(&x))?;
        let rate = 2.0 * (batch * shape.multiply_adds(side, side)) as f64 / seconds;
        let (each, share) = (seconds * 1e6 / batch as f64, 100.0 * rate / peak);
        println!("{name:<34} {precision:<6?} {batch:>3} {each:>10.1} {:>9.1} {share:>6.1}%", rate / 1e9);
    }
    Ok(())
}

fn ramp(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i % 17) as f32 / 17.0 - 0.5).collect()
}

/// Seconds of the quickest call: other work on the machine only ever adds.
fn quickest(mut work: impl FnMut() -> Result<Tensor>) -> Result<f64> {
    work()?;
    let (mut best, mut runs, start) = (f64::INFINITY, 0, Instant::now());
    while start.elapsed() < BUDGET || runs < 3 {
        let begin = Instant::now();
        black_box(work()?);
        best = best.min(begin.elapsed().as_secs_f64());
        runs += 1;
    }
    Ok(best)
}
