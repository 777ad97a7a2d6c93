use std::fs;
use std::path::{Path, PathBuf};

use chehra::gallery::Store;
use serde_json::Value;

use super::{answer, bytes, command, nights, refused, says};
use crate::util::{Place, chehra, fixture, run};

fn face(name: &str) -> PathBuf {
    fixture(&format!("faces/{name}.jpg"))
}

/// The first selfie of the sample night: worker and member.
pub fn selfie(place: &Place, row: usize) -> PathBuf {
    use arrow::array::AsArray;
    let batch = crate::util::batches(&fixture("night2/submissions-0.parquet")).remove(0);
    let path = place.path("selfie.jpg");
    fs::write(&path, batch.column_by_name("selfie").unwrap().as_binary::<i32>().value(row)).unwrap();
    path
}

/// A picture of nobody.
fn nobody(place: &Place) -> PathBuf {
    let path = place.path("nobody.png");
    image::RgbImage::from_fn(320, 240, |x, y| image::Rgb([(x / 2) as u8, (y / 2) as u8, 90])).save(&path).unwrap();
    path
}

fn search(photos: &[&Path]) -> std::process::Command {
    let mut asked = command("search", photos);
    asked.arg("--store").arg(nights().path("store"));
    asked
}

#[test]
fn each_face_of_a_photo_is_asked_about_and_its_member_found() {
    let place = Place::new();
    let photo = selfie(&place, 0);
    let before = bytes(&nights().path("store"));
    let said = answer(search(&[&photo]).args(["--top", "3"]));
    assert_eq!(bytes(&nights().path("store")), before);
    let faces = said["photos"][0]["faces"].as_array().unwrap();
    assert_eq!(faces.len(), 2, "{said}");
    assert!(faces[0]["box"][0].as_f64() < faces[1]["box"][0].as_f64(), "left to right: {said}");
    assert_eq!((&faces[0]["number"], &faces[1]["number"]), (&1.into(), &2.into()));
    let best = |face: &Value| face["nearest"][0].clone();
    // One of the two is the member of N2-000, stored from this very selfie; the other one is the worker, who is no member.
    let (member, worker) = if best(&faces[0])["similarity"].as_f64() > Some(0.99) { (0, 1) } else { (1, 0) };
    let found = best(&faces[member]);
    assert_eq!((&found["submission_id"], &found["within_limit"]), (&"N2-000".into(), &true.into()), "{said}");
    assert!(found["expected_false_matches"].as_f64() < Some(1e-6), "{found}");
    assert_eq!((&found["grade"], &best(&faces[worker])["grade"]), (&"near_certain".into(), &Value::Null), "{said}");
    assert_eq!((&found["mobile"], &found["epic"]), (&"*******000".into(), &"*******000".into()));
    assert_eq!(best(&faces[worker])["within_limit"], false, "{said}");
    for face in faces {
        let nearest: Vec<f64> =
            face["nearest"].as_array().unwrap().iter().map(|m| m["similarity"].as_f64().unwrap()).collect();
        assert!(nearest.len() == 3 && nearest.is_sorted_by(|a, b| a >= b), "{nearest:?}");
    }
    assert_eq!((&said["searched"], &said["members"]), (&26.into(), &26.into()));
    assert_eq!(
        answer(search(&[&photo]).arg("--unmask"))["photos"][0]["faces"][member]["nearest"][0]["mobile"],
        "9000012000"
    );
    says(
        &mut search(&[&photo]),
        &[
            "2 faces, each asked about separately",
            "face 1 at",
            "face 2 at",
            "N2-000",
            "Gwalior",
            "W-202",
            "2026-11-21",
            "*******000",
            "26 of 26 members",
            "sface on LFW",
        ],
    );
}

#[test]
fn a_filter_narrows_the_search_and_may_leave_nobody() {
    let place = Place::new();
    let photo = selfie(&place, 0);
    let said = answer(search(&[&photo]).args(["--where", "district = 'Ujjain' and captured_at < '2026-11-21'"]));
    let searched = said["searched"].as_u64().unwrap();
    assert!((1..26).contains(&searched), "{said}");
    let all = said["photos"][0]["faces"].as_array().unwrap().iter().flat_map(|f| f["nearest"].as_array().unwrap());
    assert!(all.clone().count() > 0 && all.into_iter().all(|m| m["district"] == "Ujjain"), "{said}");
    says(search(&[&photo]).args(["--where", "worker_id = 'W-0'"]), &["None of the 26 members was selected"]);
    refused(search(&[&photo]).args(["--where", "worker = 'W-0'"]), 64, &["no such column: worker", "worker_id?"]);
}

#[test]
fn thumbnails_are_cut_from_the_dump() {
    let place = Place::new();
    let photo = selfie(&place, 0);
    let folder = place.path("thumbnails");
    let mut asked = search(&[&photo]);
    asked.args(["--top", "2", "--dump"]).arg(fixture("night2")).arg("--dump").arg(fixture("night"));
    let said = answer(asked.arg("--thumbnails").arg(&folder));
    let all = said["photos"][0]["faces"].as_array().unwrap().iter().flat_map(|f| f["nearest"].as_array().unwrap());
    let files: Vec<PathBuf> = all.filter_map(|m| m["thumbnail"].as_str().map(PathBuf::from)).collect();
    assert_eq!(files.len(), 4, "{said}");
    assert!(files.iter().any(|file| file.ends_with("N2-000.png")), "{files:?}");
    for file in &files {
        let picture = image::open(file).unwrap();
        assert_eq!(picture.height(), 224);
        // What was cut out shows the face.
        assert_eq!(
            answer(&mut command("inspect", &[file]))["faces"].as_array().unwrap().len(),
            1,
            "{}",
            file.display()
        );
    }
    refused(search(&[&photo]).arg("--dump").arg(fixture("night")), 64, &["--thumbnails"]);
}

#[test]
fn photos_and_stores_that_are_unusable_are_named() {
    let place = Place::new();
    let good = face("obama");
    let no_face = nobody(&place);
    says(&mut search(&[&no_face]), &["no face found"]);
    assert_eq!(answer(&mut search(&[&no_face]))["photos"][0]["faces"], Value::Array(Vec::new()));
    let broken = [
        (place.path("nowhere.jpg"), "nothing"),
        (place.dir.path().to_path_buf(), "a folder"),
        (fixture("photos/bad/unreadable_image__truncated_in_scan.jpg"), "JPEG"),
        (fixture("photos/bad/unreadable_image__empty.jpg"), "no bytes"),
        (fixture("photos/bad/image_too_large__30000x30000.png"), "30000x30000"),
        (fixture("night/submissions-0.parquet"), "no known kind"),
    ];
    for (photo, word) in &broken {
        refused(&mut search(&[photo]), 65, &["photo", word]);
        refused(&mut command("compare", &[&good, photo]), 65, &["photo", word]);
        refused(&mut command("inspect", &[photo]), 65, &["photo", word]);
    }
    // One bad photo among good ones costs the exit code and nothing else.
    let (code, stdout, stderr) = run(&mut search(&[&good, &broken[2].0, &no_face]));
    assert!(code == 65 && stdout.contains("1 face") && stdout.contains("not a photo that can be read"), "{stdout}");
    assert!(stdout.contains("no face found") && stderr.contains("truncated_in_scan"), "{stderr}");

    let empty = place.path("empty");
    Store::open_or_create(&empty).unwrap();
    refused(command("search", &[&good]).arg("--store").arg(&empty), 64, &["no members", "audit a dump"]);
    refused(command("search", &[&good]).arg("--store").arg(place.path("none")), 65, &["none", "MANIFEST"]);
    let mut other = search(&[&good]);
    refused(other.args(["--embedder", "mobilefacenet192"]), 64, &["sface:", "add --embedder sface"]);
    refused(&mut command("search", &[&good]), 64, &["--store"]);
}

#[test]
fn two_photos_of_one_person_and_of_two_are_told_apart() {
    let same = answer(&mut command("compare", &[&face("ardern_2018"), &face("ardern_2022")]));
    let other = answer(&mut command("compare", &[&face("obama"), &face("sunak")]));
    let number = |said: &Value, name: &str| said["comparisons"][0][name].as_f64().unwrap();
    assert!(number(&same, "similarity") > 0.5 && number(&other, "similarity") < 0.35, "{same} {other}");
    assert!(number(&same, "likelihood_ratio") > 1e6 && number(&other, "likelihood_ratio") < 1.0, "{same} {other}");
    assert!(number(&same, "false_match_rate") < 1e-4 && number(&other, "false_match_rate") > 1e-4);
    for said in [&same, &other] {
        assert!(number(said, "false_match_rate_upper") >= number(said, "false_match_rate"), "{said}");
        assert!(said["curve"]["source"].as_str().unwrap().contains("sface on LFW"), "{said}");
    }
    let text = says(
        &mut command("compare", &[&face("ardern_2018"), &face("ardern_2022")]),
        &["The faces speak extremely strongly for one person", "close kin", "sface on LFW", "quality"],
    );
    assert!(text.starts_with("A  "), "{text}");
    let itself = answer(&mut command("compare", &[&face("collins"), &face("collins")]));
    assert!(number(&itself, "similarity") > 0.999 && itself["comparisons"][0]["extrapolated"] == true);
    // A store with too few members for a curve of its own says so.
    let mut with_store = command("compare", &[&face("obama"), &face("sunak")]);
    says(
        with_store.arg("--store").arg(nights().path("store")),
        &["the store's last audit: the shipped curve", "only 22 scores of different people"],
    );
}

#[test]
fn of_several_faces_the_tallest_is_taken_and_said_or_all_are() {
    let place = Place::new();
    let photo = selfie(&place, 0);
    let alone = face("obama");
    let said = answer(&mut command("compare", &[&photo, &alone]));
    assert_eq!((&said["a"]["faces_found"], said["comparisons"].as_array().unwrap().len()), (&2.into(), 1));
    let heights: Vec<f64> = answer(&mut command("inspect", &[&photo]))["faces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|face| face["box"][3].as_f64().unwrap())
        .collect();
    let tallest = if heights[0] > heights[1] { 1 } else { 2 };
    assert_eq!((&said["a"]["principal"], &said["comparisons"][0]["face_a"]), (&tallest.into(), &tallest.into()));
    says(
        &mut command("compare", &[&photo, &alone]),
        &["2 faces; compared is the tallest", &format!("face {tallest} from the left")],
    );
    let all = answer(command("compare", &[&photo, &photo]).arg("--all-faces"));
    let pairs = all["comparisons"].as_array().unwrap();
    let of = |a: u64, b: u64| {
        let pair = pairs.iter().find(|p| p["face_a"] == a && p["face_b"] == b).unwrap();
        pair["similarity"].as_f64().unwrap()
    };
    assert!(pairs.len() == 4 && of(1, 1) > 0.999 && of(2, 2) > 0.999 && of(1, 2) < 0.5 && of(1, 2) == of(2, 1));
    says(command("compare", &[&photo, &alone]).arg("--all-faces"), &["A face 1", "A face 2", "B face 1"]);
    refused(&mut command("compare", &[&alone, &nobody(&place)]), 65, &["nobody", "no face"]);
}

#[test]
fn bad_light_accuses_nobody() {
    // An honest selfie divided by 5 and by 8, with the grain of so little light.
    for name in ["dark5.jpg", "dark8.jpg"] {
        let said = answer(&mut command("inspect", &[&fixture(&format!("photos/light/{name}"))]));
        assert_eq!(said["faces"].as_array().unwrap().len(), 2, "{name}: {said}");
        let reasons: Vec<&str> = said["reasons"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
        let accused = reasons.iter().any(|reason| reason.starts_with("photo_of_photo"));
        assert!(!accused, "{name}: {reasons:?} {}", said["faces"]);
    }
}

#[test]
fn an_inspection_is_json_and_a_picture() {
    let place = Place::new();
    let photo = selfie(&place, 0);
    let png = place.path("seen.png");
    let said = answer(command("inspect", &[&photo]).arg("--png").arg(&png));
    let faces = said["faces"].as_array().unwrap();
    assert_eq!(faces.len(), 2);
    let roles: Vec<&str> = faces.iter().map(|face| face["role"].as_str().unwrap()).collect();
    assert!(roles.contains(&"worker") && roles.contains(&"member"), "{roles:?}");
    assert!(said["roles"].as_str().unwrap().starts_with("a guess") && said["reasons"][0] == "worker_unknown", "{said}");
    assert_eq!((&said["format"], said["sha256"].as_str().unwrap().len()), (&"jpeg".into(), 64));
    for face in faces {
        assert!(face["quality"]["score"].is_number() && face["liveness"].is_number(), "{face}");
        assert_eq!(face["landmarks"].as_array().unwrap().len(), 5);
        assert!(face["grain"].is_number(), "{face}");
        // Two looks, a third where they leave a doubt, and the mean of all as a probability.
        let look = |name: &str| face["looks"][name].as_f64();
        let (wide, close) = (look("wide").unwrap(), look("close").unwrap());
        assert_eq!(look("middle").is_some(), wide + close < 6.0, "{face}");
        let looks: Vec<f64> = [Some(wide), Some(close), look("middle")].into_iter().flatten().collect();
        let mean = looks.iter().sum::<f64>() / looks.len() as f64;
        assert!((face["liveness"].as_f64().unwrap() - 1.0 / (1.0 + (-mean).exp())).abs() < 1e-5, "{face}");
    }
    // The picture has the photo's shape, and the boxes' colours where the boxes are.
    let seen = image::open(&png).unwrap().to_rgb8();
    let (width, height) = (said["width"].as_u64().unwrap() as f32, said["height"].as_u64().unwrap() as f32);
    let scale = seen.width() as f32 / width;
    assert!((seen.height() as f32 - height * scale).abs() <= 1.0);
    for face in faces {
        let of = |k: usize| (face["box"][k].as_f64().unwrap() as f32 * scale) as u32;
        let pixel = seen.get_pixel(of(0), of(1) + of(3) / 2).0;
        let colour = if face["role"] == "worker" { [86, 180, 233] } else { [230, 159, 0] };
        assert_eq!(pixel, colour, "{face}");
    }
    // The same photo gives the same picture, and no photo is written over.
    let again = place.path("again.png");
    answer(command("inspect", &[&photo]).arg("--png").arg(&again));
    assert_eq!(fs::read(&png).unwrap(), fs::read(&again).unwrap());
    let before = fs::read(&photo).unwrap();
    refused(command("inspect", &[&photo]).arg("--png").arg(&photo), 64, &["the photo itself"]);
    assert_eq!(fs::read(&photo).unwrap(), before);

    let none = answer(command("inspect", &[&nobody(&place)]).arg("--png").arg(&again));
    assert_eq!((&none["faces"], &none["reasons"][0]), (&Value::Array(Vec::new()), &"no_face".into()));
    refused(command("inspect", &[&photo]).arg("--png").arg(place.path("no/folder/x.png")), 65, &["no/folder"]);
}

#[test]
fn a_reference_photo_says_who_the_worker_is() {
    let place = Place::new();
    let photo = selfie(&place, 0);
    let guess = answer(&mut command("inspect", &[&photo]));
    // The face guessed to be the member's is given as the worker's: the roles change places.
    let member = guess["faces"].as_array().unwrap().iter().position(|face| face["role"] == "member").unwrap();
    let area: Vec<u32> = (0..4).map(|k| guess["faces"][member]["box"][k].as_f64().unwrap().max(0.0) as u32).collect();
    let picture = image::open(&photo).unwrap().to_rgb8();
    let margin = area[2] / 3;
    let (left, top) = (area[0].saturating_sub(margin), area[1].saturating_sub(margin));
    let cut = image::imageops::crop_imm(&picture, left, top, area[2] + 2 * margin, area[3] + 2 * margin).to_image();
    let reference = place.path("worker.png");
    cut.save(&reference).unwrap();
    let known = answer(command("inspect", &[&photo]).arg("--worker").arg(&reference));
    assert_eq!(known["faces"][member]["role"], "worker", "{known}");
    assert!(known["faces"][member]["worker_similarity"].as_f64() > Some(0.8), "{known}");
    assert!(!known["reasons"].as_array().unwrap().contains(&"worker_unknown".into()), "{known}");
    let mut wrong = command("inspect", &[&photo]);
    refused(wrong.arg("--worker").arg(nobody(&place)), 65, &["the worker's photo", "no face"]);
}

#[test]
fn every_look_up_explains_itself() {
    for name in ["dedup", "search", "compare", "inspect"] {
        let (code, help, _) = run(chehra().args([name, "--help"]));
        assert!(code == 0 && help.contains("Examples:") && help.contains(&format!("chehra {name} ")), "{help}");
        assert!(help.contains("--json"), "{help}");
    }
}
