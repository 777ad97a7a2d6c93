//! `chehra devices` and `--device`, with the real binary. The same tests hold for a binary built with `cuda`:
//! `cargo --config kernels/build/cuda.toml test --release --features cuda --test it devices`.

use crate::util::{Place, chehra, fixture, run};

const DEVICE_ABSENT: i32 = 69;

fn devices() -> serde_json::Value {
    let (code, out, err) = run(chehra().args(["devices", "--json"]));
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

fn cards(kind: &str) -> usize {
    devices()[kind]["cards"].as_array().unwrap().len()
}

#[test]
fn what_is_there_is_listed() {
    let found = devices();
    let features: Vec<&str> = found["features"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    assert_eq!(features.contains(&"cuda"), cfg!(feature = "cuda"));
    assert_eq!(features.contains(&"metal"), cfg!(feature = "metal"));
    assert_eq!(found["cuda"]["built"], cfg!(feature = "cuda"));
    assert!(found["cpu"]["cores"].as_u64().unwrap() >= 1);
    assert!(!found["cpu"]["name"].as_str().unwrap().is_empty());
    let (code, text, _) = run(chehra().arg("devices"));
    assert_eq!(code, 0);
    for line in ["features of this binary:", "cpu ", "cuda", "metal"] {
        assert!(text.contains(line), "{text}");
    }
    if cfg!(feature = "cuda") && cards("cuda") == 0 {
        let problem = found["cuda"]["problem"].as_str().unwrap();
        assert!(problem.contains("libcuda.so.1") || problem.contains("lists no card"), "{problem}");
    }
}

#[test]
fn a_device_that_is_absent_ends_the_run_before_any_work() {
    let place = Place::new();
    for (device, feature) in [("cuda", "cuda"), ("cuda:4000", "cuda"), ("metal", "metal"), ("metal:4000", "metal")] {
        if device == feature && cards(feature) > 0 {
            continue;
        }
        let out = place.path("out");
        let mut command = chehra();
        command.arg("audit").arg(fixture("night")).args(["--device", device]).arg("--out").arg(&out);
        let (code, _, err) = run(&mut command);
        assert_eq!(code, DEVICE_ABSENT, "{device}: {err}");
        assert!(err.contains(&format!("--device {device}:")), "{err}");
        let built = [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))].contains(&(feature, true));
        assert_eq!(err.contains("was built without"), !built, "{err}");
        // Without one, what was looked for; with the other, what it would take.
        match (built, feature) {
            (true, "cuda") if cards("cuda") == 0 => {
                assert!(err.contains("libcuda.so.1") || err.contains("lists"), "{err}");
            }
            (true, "metal") => assert!(err.contains("lists") || err.contains("Apple7"), "{err}"),
            (true, _) => {}
            (false, feature) => assert!(err.contains(&format!("feature '{feature}'")), "{err}"),
        }
        assert!(!out.exists(), "{device} left a run folder");
    }
}

/// `auto` says what it took, on standard error and in `run.json`.
#[test]
fn auto_says_what_it_took() {
    let place = Place::new();
    let out = place.path("out");
    let (code, _, err) = run(chehra().arg("audit").arg(fixture("night")).arg("--out").arg(&out));
    assert_eq!(code, 0, "{err}");
    let record: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap();
    let device = record["device"].as_str().unwrap();
    assert!(err.contains(&format!("networks run on {device}")), "{err}");
    assert_eq!(device == "cpu", cards("cuda") + cards("metal") == 0);
    // A card or a driver that is passed over is never passed over in silence.
    if device == "cpu" && cfg!(feature = "cuda") {
        assert!(err.contains("--device auto takes the CPU"), "{err}");
    }
}

/// Who decodes stands in `run.json`; a card that is asked for and not there is no reason to let the cores do it.
#[test]
fn who_decodes_jpegs_is_said_and_never_changed_in_silence() {
    let place = Place::new();
    for who in ["auto", "cpu"] {
        let out = place.path(who);
        let mut command = chehra();
        command.arg("audit").arg(fixture("night")).arg("--out").arg(&out);
        let (code, _, err) = run(command.args(["--device", "cpu", "--jpeg", who, "--no-report"]));
        assert_eq!(code, 0, "{err}");
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("run.json")).unwrap()).unwrap();
        assert_eq!((&record["jpeg"]["asked"], &record["jpeg"]["decoder"]), (&who.into(), &"cpu".into()));
        assert!(!record["jpeg"]["reason"].as_str().unwrap().is_empty());
    }
    let out = place.path("gpu");
    let mut command = chehra();
    command.arg("audit").arg(fixture("night")).arg("--out").arg(&out).args(["--device", "cpu", "--jpeg", "gpu"]);
    let (code, _, err) = run(&mut command);
    assert_eq!(code, DEVICE_ABSENT, "{err}");
    assert!(err.contains("with --jpeg gpu: only an NVIDIA card decodes") && !out.exists(), "{err}");
}

#[test]
fn a_device_that_cannot_be_meant_is_wrong_usage() {
    for device in ["gpu", "cuda:x", "cpu:1", ""] {
        let (code, _, err) = run(chehra().args(["audit", "nowhere", "--out", "x", "--device", device]));
        assert_eq!(code, 64, "{device}: {err}");
        assert!(err.contains("auto, cpu, cuda[:N], metal[:N]") || err.contains("cuda:1"), "{err}");
    }
}
