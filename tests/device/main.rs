//! Every operation and network on every device, held to the CPU's own.
//!
//! A harness of its own, because a machine without a card must not count as passed what only a card can show: such tests
//! are listed and ignored there, with the reason on standard error. `--include-ignored` runs them all the same, and they
//! fail. Each test on a card has a process and a time limit of its own: after a fault a card's context answers every later call
//! with the same error, and a kernel that hangs cannot be stopped from within.
//!
//! The binary needs nothing but `weights/` (built in by default, else `CHEHRA_WEIGHTS`) and `fixtures/`, so that it can be
//! carried to a machine that has a card and no Rust: `benches/gpu/check.sh`.

mod engine;
#[cfg(feature = "cuda")]
mod jpeg;
mod networks;
mod ops;
mod plain;
#[cfg(feature = "cuda")]
mod refusals;
mod search;

use std::process::Command;
use std::time::{Duration, Instant};

use candle_core::Device;
use chehra::device::{self, DeviceChoice};
use libtest_mimic::{Arguments, Failed, Trial};

type Test = fn(&Device);

/// What the CPU runs as well: operations as they are composed for a device, and networks beside candle's own layers.
const EVERYWHERE: &[(&str, Test)] = &[
    ("convolutions", ops::convolutions),
    ("elementwise_operations_and_pools", ops::elementwise_operations_and_pools),
    ("yunet_in_plain_layers", plain::yunet_in_plain_layers),
    ("sface_in_plain_layers", plain::sface_in_plain_layers),
    ("mobilefacenet_in_plain_layers", plain::mobilefacenet_in_plain_layers),
    ("minifasnet_in_plain_layers", plain::minifasnet_in_plain_layers),
    ("iresnet_in_plain_layers", plain::iresnet_in_plain_layers),
];

/// What compares a card with the CPU.
const ON_A_CARD: &[(&str, Test)] = &[
    ("embedders", networks::embedders),
    ("liveness_and_detector", networks::liveness_and_detector),
    ("pictures_decoded_by_the_cores", engine::pictures_decoded_by_the_cores),
    ("integer_scan", search::integer_scan),
    ("full_lists", search::full_lists),
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
    {
        nvjpeg(&mut trials);
        refusals(&mut trials);
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A test on a device, on a card in a process of its own.
fn on(choice: DeviceChoice, name: &str, test: Test, runs: bool) -> Trial {
    let name = format!("{choice}::{name}");
    let own = name.clone();
    let run = move || {
        if choice != DeviceChoice::Cpu && std::env::var_os(IN_THIS_PROCESS).is_none() {
            return apart(&own);
        }
        let device = device::open(choice).map_err(|error| error.to_string())?;
        test(&device);
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(!runs)
}

/// Set in a process that is to run its one test itself.
const IN_THIS_PROCESS: &str = "TEST_IN_THIS_PROCESS";
/// How long a test on a card may take; each takes seconds.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs one test in another process, which is ended when it takes too long.
fn apart(name: &str) -> Result<(), Failed> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", name, "--include-ignored"]).env(IN_THIS_PROCESS, "1");
    let (mut child, started) = (command.spawn()?, Instant::now());
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Err(format!("ended after {} s", LIMIT.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if status.success() { Ok(()) } else { Err(format!("its process ended with {status}").into()) }
}

/// Those of cards that cannot be used: they need no card.
#[cfg(feature = "cuda")]
fn refusals(trials: &mut Vec<Trial>) {
    let missing = refusals::missing();
    if let Some(missing) = &missing {
        eprintln!("tests of refusals are ignored: {missing}");
    }
    let run = || {
        refusals::a_card_that_cannot_be_used_is_refused_in_one_message();
        Ok(())
    };
    let name = "refusals::a_card_that_cannot_be_used_is_refused_in_one_message";
    trials.push(Trial::test(name, run).with_ignored_flag(missing.is_some()));
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
    trials.push(alone("kinds_of_pictures_are_told", jpeg::kinds_of_pictures_are_told, true));
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
