//! Speed of the operations at the shapes of the face networks, one thread: GFLOP/s, and as a share of what the core
//! can do in registers. `cargo bench --bench ops [-- <part of a name>]`; `CHEHRA_ISA` chooses the instruction set.

use std::hint::black_box;
use std::time::{Duration, Instant};

use candle_core::{Device, Result, Tensor};
use chehra::ops::cpu::{Isa, fma_peak};
use chehra::ops::{Activation, Conv2d, ConvShape};

/// Time to measure one layer for.
const BUDGET: Duration = Duration::from_millis(150);

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
    let peak = fma_peak(isa, Duration::from_millis(200)).unwrap_or(f64::NAN);
    println!("{isa}: multiply-add peak {:.1} GFLOP/s a core", peak / 1e9);
    println!("{:<34} {:>5} {:>10} {:>9} {:>7}", "layer", "batch", "us/image", "GFLOP/s", "share");
    for &(cin, cout, kernel, stride, side, depthwise) in LAYERS {
        let pad = if kernel == 3 { 1 } else { 0 };
        let groups = if depthwise { cin } else { 1 };
        let shape = ConvShape { cin, cout, kernel: [kernel; 2], stride, pad: [pad; 4], groups };
        let kind = if depthwise { "dw" } else { "conv" };
        let name = format!("{kind} {kernel}x{kernel}/{stride} {cin}->{cout} @{side}");
        if wanted.as_ref().is_some_and(|w| !name.contains(w.as_str())) {
            continue;
        }
        for batch in [1, 8] {
            let seconds = layer(shape, batch, side)?;
            let rate = 2.0 * (batch * shape.multiply_adds(side, side)) as f64 / seconds;
            let (each, share) = (seconds * 1e6 / batch as f64, 100.0 * rate / peak);
            println!("{name:<34} {batch:>5} {each:>10.1} {:>9.1} {share:>6.1}%", rate / 1e9);
        }
    }
    Ok(())
}

/// Median seconds of one call.
fn layer(shape: ConvShape, batch: usize, side: usize) -> Result<f64> {
    let weights = shape.cout * shape.cin / shape.groups * shape.kernel[0] * shape.kernel[1];
    let ramp = |len: usize| (0..len).map(|i| (i % 17) as f32 / 17.0 - 0.5).collect::<Vec<f32>>();
    let prelu = Activation::PRelu(vec![0.25; shape.cout]);
    let conv = Conv2d::new(shape, &ramp(weights), &ramp(shape.cout), prelu)?;
    let x = Tensor::from_vec(ramp(batch * side * side * shape.cin), (batch, side, side, shape.cin), &Device::Cpu)?;
    conv.forward(&x)?;
    let (mut times, start) = (Vec::new(), Instant::now());
    while start.elapsed() < BUDGET || times.len() < 3 {
        let begin = Instant::now();
        black_box(conv.forward(&x)?);
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
