//! Each network by itself, in each precision and at several batch sizes, on one thread or several.
//!
//! ```text
//! cargo bench --bench networks [-- PART OF A NAME] [--threads 2] [--precision bf16] [--batch 8] [--seconds 1] [--json] [--test]
//! ```
//! Each thread runs batches of its own, as an audit does. Stated are images a second by the clock, processor time an image,
//! and what share of it the multiply-adds would take at the peak of the precision (`fma_peak`), which is attainable and
//! never attained. `benches/peers/networks.py` runs this in turns with other runtimes.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use chehra::nn::{WeightStore, Yunet, load_embedder, load_liveness};
use chehra::ops::cpu::{Isa, fma_peak};
use chehra::ops::{Precision, multiply_adds};
use cpu_time::ThreadTime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NETWORKS: [(&str, [usize; 2]); 4] =
    [("yunet", [480, 640]), ("liveness", [128, 128]), ("sface", [112, 112]), ("mobilefacenet192", [112, 112])];
const PRECISIONS: [(&str, Precision); 3] =
    [("f32", Precision::F32), ("bf16x3", Precision::Bf16x3), ("bf16", Precision::Bf16)];
const BATCHES: [usize; 3] = [1, 8, 32];

type Network = Box<dyn Fn(&Tensor) -> chehra::Result<()> + Send + Sync>;

/// What was typed.
#[derive(Default)]
struct Args {
    name: Option<String>,
    precision: Option<String>,
    batch: Option<usize>,
    threads: usize,
    seconds: f64,
    json: bool,
}

impl Args {
    fn read() -> Self {
        let mut args = Args { threads: 1, seconds: 1.0, ..Args::default() };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--threads" => args.threads = words.next().and_then(|n| n.parse().ok()).expect("--threads N"),
                "--precision" => args.precision = words.next(),
                "--batch" => args.batch = Some(words.next().and_then(|n| n.parse().ok()).expect("--batch N")),
                "--seconds" => args.seconds = words.next().and_then(|n| n.parse().ok()).expect("--seconds N"),
                "--json" => args.json = true,
                // What continuous integration does: each once.
                "--test" => args.seconds = 0.0,
                "--bench" => {}
                name => args.name = Some(name.to_owned()),
            }
        }
        args
    }
}

fn load(name: &str, precision: Precision) -> Network {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let store = WeightStore::open(Some(&root.join("weights"))).expect("the weights of the source tree");
    let store = store.with_precision(precision);
    match name {
        "yunet" => {
            let network = Yunet::load(&store).expect("the detector");
            Box::new(move |x| network.raw(x).map(drop))
        }
        "liveness" => {
            let network = load_liveness(&store, name).expect("the liveness network");
            Box::new(move |x| network.bona_fide(x).map(drop))
        }
        name => {
            let network = load_embedder(&store, name).expect("an embedder");
            Box::new(move |x| network.embed(x).map(drop))
        }
    }
}

/// What was measured.
#[derive(Default)]
struct Figures {
    /// By all threads.
    images: usize,
    /// Seconds by the clock.
    wall: f64,
    /// Seconds of processor time.
    cpu: f64,
    /// Seconds of processor time of the quickest batch: other work on the machine only ever adds.
    least: f64,
}

fn measure(network: &Network, [height, width]: [usize; 2], batch: usize, args: &Args) -> Figures {
    let values = (0..batch * height * width * 3).map(|i| ((i * 2_654_435_761) >> 13 & 255) as f32).collect();
    let x: Tensor = Tensor::from_vec(values, (batch, height, width, 3), &Device::Cpu).expect("a tensor");
    let (barrier, time) = (Barrier::new(args.threads), Duration::from_secs_f64(args.seconds));
    let one = || {
        network(&x).expect("a result");
        barrier.wait();
        let (wall, cpu) = (Instant::now(), ThreadTime::now());
        let mut figures = Figures { least: f64::INFINITY, ..Figures::default() };
        while figures.images == 0 || wall.elapsed() < time {
            let one = ThreadTime::now();
            network(&x).expect("a result");
            figures.least = figures.least.min(one.elapsed().as_secs_f64());
            figures.images += batch;
        }
        (figures.wall, figures.cpu) = (wall.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
        figures
    };
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..args.threads).map(|_| scope.spawn(one)).collect();
        let runs = runs.into_iter().map(|run| run.join().expect("a thread"));
        runs.reduce(|a, b| Figures {
            images: a.images + b.images,
            wall: a.wall.max(b.wall),
            cpu: a.cpu + b.cpu,
            least: a.least.min(b.least),
        })
        .unwrap_or_default()
    })
}

fn main() {
    let args = Args::read();
    let isa = Isa::current().expect("an instruction set");
    if !args.json {
        println!("{isa}, {} threads", args.threads);
        println!(
            "network          precision batch  images/s  cpu ms/image  quickest  Mmac/image  Gmac/s a core  of the peak"
        );
    }
    for (precision, kind) in PRECISIONS {
        let skipped = args.precision.as_ref().is_some_and(|wanted| wanted != precision);
        if skipped || !kind.is_supported() {
            continue;
        }
        let peak = fma_peak(isa, kind, Duration::from_millis(100)).unwrap_or(f64::NAN) / 2e9;
        for (name, sides) in NETWORKS {
            if args.name.as_ref().is_some_and(|part| !name.contains(part.as_str())) {
                continue;
            }
            let network = load(name, kind);
            for batch in args.batch.map_or(BATCHES.to_vec(), |batch| vec![batch]) {
                let before = multiply_adds();
                measure(&network, sides, batch, &Args { threads: 1, seconds: 0.0, ..Args::default() });
                let macs = (multiply_adds() - before) as f64 / (2 * batch) as f64;
                let Figures { images, wall, cpu, least } = measure(&network, sides, batch, &args);
                let (rate, each, least) = (images as f64 / wall, 1e3 * cpu / images as f64, 1e3 * least / batch as f64);
                let (mmac, gmac) = (macs / 1e6, macs / each / 1e6);
                if args.json {
                    println!(
                        "{{\"network\":\"{name}\",\"precision\":\"{precision}\",\"batch\":{batch},\"images_s\":{rate:.2},\
                         \"cpu_ms\":{each:.4},\"least_cpu_ms\":{least:.4},\"mmac\":{mmac:.1},\"peak_gmac_s\":{peak:.0}}}"
                    );
                } else {
                    println!(
                        "{name:<17}{precision:<10}{batch:>5}{rate:>10.1}{each:>14.3}{least:>10.3}{mmac:>12.1}{gmac:>15.1}\
                         {:>12.1}%",
                        100.0 * gmac / peak
                    );
                }
            }
        }
    }
}
