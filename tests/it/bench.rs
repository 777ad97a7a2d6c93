//! `chehra bench` through the real binary: what it reports, and how it compares. No figure is asserted, only that it is
//! one.

use serde_json::Value;

use crate::util::{Place, chehra, fixture, run};

fn bench(flags: &[&str]) -> (i32, String, String) {
    let mut command = chehra();
    command.arg("bench").arg(fixture("night")).args(["--stage", "see", "--rows", "4", "--runs", "3", "-q"]).args(flags);
    run(&mut command)
}

#[test]
fn costs_are_reported_and_compared() {
    let place = Place::new();
    let (code, text, stderr) = bench(&["--json"]);
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let see = &report["see"];
    assert_eq!((&see["selfies"], see["runs"].as_array().unwrap().len()), (&Value::from(4), 3));
    assert!(see["faces"].as_u64().unwrap() > 0 && see["gmac"].as_f64().unwrap() > 1.0, "{see}");
    let stages = see["stages_cpu_s"].as_array().unwrap();
    let cost = |name: &str| stages.iter().find(|s| s[0] == name).unwrap()[1].as_f64().unwrap();
    for stage in ["decode", "detect", "align", "liveness", "embed"] {
        assert!(cost(stage) > 0.0, "{stage} in {see}");
    }
    // What the stages booked is within what the process used.
    let total: f64 = stages.iter().map(|s| s[1].as_f64().unwrap()).sum();
    let used = see["runs"].as_array().unwrap().iter().map(|r| r["cpu_s"].as_f64().unwrap()).fold(0.0, f64::max);
    assert!(total <= used * 1.2, "{total} of {used}");
    assert!(report["machine"]["read_gb_s"].as_f64().unwrap() > 0.0);

    // A report in which everything was a thousand times as cheap: a regression. In which it was a thousand times dearer: none.
    let kept = |factor: f64| {
        let mut old = report.clone();
        for run in old["see"]["runs"].as_array_mut().unwrap() {
            run["cpu_s"] = Value::from(run["cpu_s"].as_f64().unwrap() * factor);
            for stage in run["stages"].as_array_mut().unwrap() {
                stage[1] = Value::from(stage[1].as_f64().unwrap() * factor);
            }
        }
        let path = place.path(&format!("old-{factor}.json"));
        std::fs::write(&path, old.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // Three runs of four selfies leave a wide interval; a factor of a thousand is beyond any.
    let (junit, figures) = (place.path("costs.xml"), place.path("costs.json"));
    let files = ["--junit", junit.to_str().unwrap(), "--benchmark", figures.to_str().unwrap()];
    let (code, text, stderr) = bench(&[&["--compare", &kept(0.001), "--fail-above", "10%"][..], &files].concat());
    assert_eq!(code, 1, "{text}\n{stderr}");
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("name=\"see\"") && xml.contains("<failure message=\"see costs"), "{xml}");
    // What github-action-benchmark asks of customSmallerIsBetter: name, unit, and a number.
    let entries: Vec<Value> = serde_json::from_slice(&std::fs::read(&figures).unwrap()).unwrap();
    let of = |name: &str| {
        entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("{name}: {entries:?}"))
    };
    for (name, unit) in [("see, processor", "ms/selfie"), ("see, work", "Gmac/selfie"), ("see: embed", "ms/selfie")] {
        assert!(of(name)["unit"] == unit && of(name)["value"].as_f64() > Some(0.0), "{}", of(name));
    }
    assert!(of("see, processor")["range"].as_str().unwrap().contains(" to "));
    assert!(text.contains("SLOWER") && stderr.contains("see costs"), "{text}\n{stderr}");
    let (code, text, stderr) = bench(&["--compare", &kept(1000.0)]);
    assert_eq!(code, 0, "{text}\n{stderr}");
    assert!(!text.contains("SLOWER") && text.contains("95 % interval"), "{text}");
}

/// Every pair that the same generator plants is found, and the figures hang together.
#[test]
fn all_pairs_of_a_made_up_gallery_are_measured() {
    let (code, text, stderr) = run(chehra().args([
        "bench",
        "--all-pairs",
        "3000",
        "--dim",
        "128",
        "--runs",
        "2",
        "--device",
        "cpu",
        "--json",
    ]));
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["rows"], &report["dim"], &report["device"]), (&3000.into(), &128.into(), &"cpu".into()));
    assert_eq!(report["pairs"].as_f64().unwrap(), 3000.0 * 2999.0 / 2.0);
    assert_eq!(report["runs"].as_array().unwrap().len(), 2);
    let crowd = chehra::gallery::generate::Crowd::new(128, 1);
    let templates: Vec<_> = (0..3000).map(|row| crowd.template(row).unwrap()).collect();
    let alike = |a: usize, b: usize| chehra::infer::template::similarity(&templates[a], &templates[b]) >= 0.45;
    let planted = (0..3000).map(|a| (a + 1..3000).filter(|&b| alike(a, b)).count()).sum::<usize>();
    assert!(planted > 10, "{planted}");
    assert_eq!(report["found"].as_u64().unwrap() as usize, planted);
    let (rate, seconds) = (report["pairs_per_s"].as_f64().unwrap(), report["seconds"].as_f64().unwrap());
    assert!((rate * seconds / report["pairs"].as_f64().unwrap() - 1.0).abs() < 1e-6);
    assert_eq!(run(chehra().args(["bench", "--all-pairs", "3000", "--dim", "100"])).0, 64);
    assert_eq!(run(chehra().args(["bench", "--all-pairs", "9"]).arg(fixture("night"))).0, 64);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let place = Place::new();
    let path = place.path("not-a-report.json");
    std::fs::write(&path, "{\"version\": 1}").unwrap();
    let (code, _, stderr) = bench(&["--compare", path.to_str().unwrap()]);
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("not-a-report.json") && stderr.contains("chehra bench"), "{stderr}");
    assert_eq!(bench(&["--fail-above", "10%"]).0, 64);
    assert_eq!(bench(&["--compare", "x", "--fail-above", "much"]).0, 64);
    let (code, _, stderr) = run(chehra().args(["bench", "-q"]).arg(fixture("broken/norows.parquet")));
    assert_eq!(code, 65, "{stderr}");
}

#[test]
fn bf16_is_taken_where_it_is_and_refused_where_it_is_not() {
    let (code, text, stderr) = bench(&["--json", "--precision", "auto"]);
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&text).unwrap();
    let has_bf16 = !report["machine"]["peak_bf16_gmac_s"].is_null();
    assert_eq!(report["precision"], if has_bf16 { "bf16" } else { "f32" });
    let (code, _, stderr) = bench(&["--precision", "bf16"]);
    assert_eq!(code, if has_bf16 { 0 } else { 64 }, "{stderr}");
}

/// The embedder alone: whole batches, and figures that hang together.
#[test]
fn the_embedder_alone_is_measured() {
    let words = ["bench", "--embed", "5", "--batch", "4", "--runs", "2", "--device", "cpu", "--json"];
    let (code, text, stderr) = run(chehra().args(words));
    assert_eq!(code, 0, "{stderr}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["faces"], &report["batch"]), (&8.into(), &4.into()), "two whole batches");
    assert_eq!((&report["device"], &report["precision"]), (&"cpu".into(), &"f32".into()));
    assert!(report["model"].as_str().unwrap().starts_with("sface"), "{report}");
    // What is known of SFace on crops of 112 x 112.
    let gmac = report["gmac"].as_f64().unwrap();
    assert!((0.4..0.8).contains(&gmac), "{gmac}");
    let (rate, seconds) = (report["faces_per_s"].as_f64().unwrap(), report["seconds"].as_f64().unwrap());
    assert!((rate * seconds / 8.0 - 1.0).abs() < 1e-6, "{report}");
    assert_eq!(run(chehra().args(["bench", "--batch", "4", "--all-pairs", "9"])).0, 64);
    assert_eq!(run(chehra().args(["bench", "--embed", "4"]).arg(fixture("night"))).0, 64);
    assert_eq!(run(chehra().args(["bench", "--embed", "4", "--embedder", "nobody", "--device", "cpu"])).0, 65);
}
