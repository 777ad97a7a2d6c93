//! Every operation and network on every device, held to the CPU's own.
//!
//! A harness of its own, because a machine without a card must not count as passed what only a card can show: such tests
//! are listed and ignored there, with the reason on standard error. `--include-ignored` runs them all the same, and they
//! fail. The binary stands alone (weights inside, no source needed beside it but `fixtures/`), so that it can be carried to a
//! machine that has a card and no Rust: `benches/gpu/run.sh`.

mod engine;
#[cfg(feature = "cuda")]
mod jpeg;
mod networks;
mod ops;
mod search;

use candle_core::Device;
use chehra::device::{self, DeviceChoice};
use libtest_mimic::{Arguments, Trial};

type Test = fn(&Device);

/// What the CPU runs as well: operations as they are composed for a device, in plain code.
const EVERYWHERE: &[(&str, Test)] =
    &[("convolutions", ops::convolutions), ("elementwise_operations_and_pools", ops::elementwise_operations_and_pools)];

/// What compares a card with the CPU.
const ON_A_CARD: &[(&str, Test)] = &[
    ("embedders", networks::embedders),
    ("liveness_and_detector", networks::liveness_and_detector),
    ("pictures_decoded_by_the_cores", engine::pictures_decoded_by_the_cores),
    ("integer_scan", search::integer_scan),
    ("exact_search", search::exact_search),
];

fn main() {
    let mut arguments = Arguments::from_args();
    // One at a time: they share a card's memory.
    arguments.test_threads = Some(1);
    let mut trials = Vec::new();
    for choice in [DeviceChoice::Cpu, DeviceChoice::Cuda(0), DeviceChoice::Metal(0)] {
        let missing = device::open(choice).err().map(|error| error.to_string());
        let own = if choice == DeviceChoice::Cpu { &[] } else { ON_A_CARD };
        let tests = EVERYWHERE.iter().chain(own);
        trials.extend(tests.map(|&(name, test)| on(choice, name, test, missing.is_none())));
        if let Some(missing) = missing {
            eprintln!("tests on {choice} are ignored: {missing}");
        }
    }
    #[cfg(feature = "cuda")]
    nvjpeg(&mut trials);
    libtest_mimic::run(&arguments, trials).exit();
}

/// A test on a device, opened anew: a fault on a card spoils its context.
fn on(choice: DeviceChoice, name: &str, test: Test, runs: bool) -> Trial {
    let run = move || {
        let device = device::open(choice).map_err(|error| error.to_string())?;
        test(&device);
        Ok(())
    };
    Trial::test(format!("{choice}::{name}"), run).with_ignored_flag(!runs)
}

/// Those of the card's decoder: some need its library alone, or its header.
#[cfg(feature = "cuda")]
fn nvjpeg(trials: &mut Vec<Trial>) {
    use chehra::device::nvjpeg;

    let (header, library) = (jpeg::header().err(), nvjpeg::version().err());
    for (what, missing) in [("its header", &header), ("its library", &library)] {
        if let Some(missing) = missing {
            eprintln!("tests of nvJPEG that need {what} are ignored: {missing}");
        }
    }
    let alone = |name: &str, test: fn(), runs: bool| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(format!("nvjpeg::{name}"), run).with_ignored_flag(!runs)
    };
    trials.push(alone(
        "the_interface_is_that_of_the_header",
        jpeg::the_interface_is_that_of_the_header,
        header.is_none(),
    ));
    trials.push(alone("the_library_has_the_functions", jpeg::the_library_has_the_functions, library.is_none()));
    let cuda = DeviceChoice::Cuda(0);
    let card = device::open(cuda).is_ok() && library.is_none();
    trials.push(on(cuda, "nvjpeg_pixels_are_those_of_the_cpu", jpeg::pixels_are_those_of_the_cpu, card));
    trials.push(on(cuda, "pictures_decoded_by_the_card", engine::pictures_decoded_by_the_card, card));
}
