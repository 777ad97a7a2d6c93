//! What takes minutes.

use crate::evaluate_dedup::{limit, report, write};
use crate::util::Place;
use crate::{iresnet, slow};

pub fn iresnet_100_matches_onnx_runtime() {
    slow();
    iresnet::full_size("100", [3, 13, 30, 3]);
}

pub fn predicted_and_observed_agree_up_to_a_million() {
    slow();
    let place = Place::new();
    let templates = place.path("people.parquet");
    write(&templates, 1500, 500);
    for seed in ["1", "2"] {
        let report = report(&templates, &["--sizes", "100000,1000000", "--seed", seed]);
        for size in report["sizes"].as_array().unwrap() {
            for expected in [100.0, 1000.0] {
                let ratio = limit(size, expected)["observed"].as_f64().unwrap() / expected;
                assert!((0.5..=2.0).contains(&ratio), "seed {seed}: {expected} expected, {ratio} of it");
            }
        }
    }
}
