//! Synthetic dumps: the same bytes for the same plan, and a truth that holds together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chehra::Error;
use chehra::synth::{Collections, Pattern, PatternKind, Plan, Rates, Summary, write};
use sha2::{Digest, Sha256};

use crate::util::{Place, chehra, fixture, run, table};

/// People who are flat colours: enough for the story, and quick to draw.
fn people(root: &Path, count: usize) -> PathBuf {
    let faces = root.join("faces");
    for k in 0..count {
        let folder = faces.join(format!("person-{k:04}"));
        fs::create_dir_all(&folder).unwrap();
        for picture in 0..1 + k % 3 {
            let colour = [(k * 37 % 200) as u8, (k * 91 % 200) as u8, (60 * picture) as u8];
            image::RgbImage::from_pixel(40, 40, image::Rgb(colour))
                .save(folder.join(format!("{picture}.png")))
                .unwrap();
        }
    }
    faces
}

fn small() -> Plan {
    Plan {
        rows: 300,
        nights: 3,
        districts: 4,
        members_per_worker: 20,
        long_side: 160,
        rows_per_file: 70,
        ..Plan::default()
    }
}

fn made(plan: &Plan, faces: &Path, out: &Path) -> Summary {
    write(plan, &Collections::of_live(faces), out, &|_, _| Ok(())).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

fn hashes(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let hash = |p: &PathBuf| Sha256::digest(fs::read(p).unwrap()).to_vec();
    files(folder).iter().map(|p| (p.strip_prefix(folder).unwrap().to_path_buf(), hash(p))).collect()
}

/// Submissions and truth of each night.
fn nights(out: &Path) -> Vec<(RecordBatch, RecordBatch)> {
    let mut all = Vec::new();
    for k in 1.. {
        let folder = out.join(format!("night-{k}"));
        if !folder.exists() {
            return all;
        }
        let of = |start: &str| {
            let named = |p: &PathBuf| p.file_name().unwrap().to_str().unwrap().starts_with(start);
            files(&folder).into_iter().filter(named).collect::<Vec<_>>()
        };
        all.push((table(&of("submissions")), table(&of("truth"))));
    }
    all
}

fn text<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.is_valid(row).then(|| column.value(row))
}

fn list(batch: &RecordBatch, column: &str, row: usize) -> Vec<String> {
    let values = batch.column_by_name(column).unwrap().as_list::<i32>().value(row);
    values.as_string::<i32>().iter().flatten().map(str::to_owned).collect()
}

fn selfie(batch: &RecordBatch, row: usize) -> &[u8] {
    batch.column_by_name("selfie").unwrap().as_binary::<i32>().value(row)
}

#[test]
fn the_same_plan_gives_the_same_bytes_on_any_number_of_threads() {
    let root = tempfile::tempdir().unwrap();
    let faces = people(root.path(), 330);
    let plan = Plan { rows: 120, ..small() };
    let on = |threads: usize, name: &str| {
        let out = root.path().join(name);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| made(&plan, &faces, &out));
        hashes(&out)
    };
    let one = on(1, "one");
    assert_eq!(one, on(4, "four"));
    assert!(one.len() >= 3 * 3 + 2, "{:?}", one.keys());
    let other = root.path().join("other");
    made(&Plan { seed: 2, ..plan.clone() }, &faces, &other);
    let night = Path::new("night-1/submissions-000.parquet");
    assert_ne!(hashes(&other)[night], one[night]);
}

#[test]
fn the_truth_is_consistent_with_itself_and_the_dump() {
    let root = tempfile::tempdir().unwrap();
    let faces = people(root.path(), 330);
    let out = root.path().join("out");
    let summary = made(&small(), &faces, &out);
    assert_eq!(summary.rows, 300);
    assert_eq!(summary.patterns.values().sum::<usize>(), 300);
    let nights = nights(&out);
    assert_eq!(nights.iter().map(|(d, _)| d.num_rows()).sum::<usize>(), 300);
    let mut enrolled = BTreeMap::<String, (String, String)>::new();
    let mut selfies = BTreeMap::<String, Vec<u8>>::new();
    let mut duplicates = 0;
    for (dump, truth) in &nights {
        assert_eq!(dump.num_rows(), truth.num_rows());
        let numbers = truth.column_by_name("row").unwrap().as_primitive::<Int64Type>();
        let at = dump.column_by_name("captured_at").unwrap().as_primitive::<TimestampMicrosecondType>();
        assert!(at.values().is_sorted());
        for k in 0..dump.num_rows() {
            assert_eq!(numbers.value(k), k as i64);
            let id = text(truth, "submission_id", k);
            assert_eq!(id, text(dump, "submission_id", k));
            let id = id.unwrap().to_owned();
            let pattern = text(truth, "pattern", k).unwrap();
            let member = text(truth, "member_person", k).map(str::to_owned);
            let of = text(truth, "duplicate_of", k);
            duplicates += usize::from(of.is_some());
            let reasons = list(truth, "reasons", k);
            match pattern {
                "honest" | "bystander" => {
                    assert!(reasons.is_empty() && of.is_none());
                    assert_eq!(text(truth, "worker_person", k), text(truth, "account_person", k));
                    let district = text(truth, "district", k).unwrap().to_owned();
                    let before = enrolled.insert(member.clone().unwrap(), (id.clone(), district));
                    assert_eq!(before, None, "an honest member is new");
                }
                "duplicate_same_district" | "duplicate_cross_district" => {
                    let (first, district) = &enrolled[&member.unwrap()];
                    assert_eq!(of, Some(&first[..]));
                    assert_eq!(pattern.contains("same"), text(truth, "district", k) == Some(&district[..]));
                    assert_eq!(reasons, ["duplicate_member"]);
                    assert!(text(truth, "cluster_id", k).is_some());
                }
                "same_file" => assert_eq!(selfies[of.unwrap()], selfie(dump, k)),
                "innocent_retry" => assert!(reasons == ["resubmitted"] && of.is_some()),
                "worker_id_missing" => assert_eq!(text(dump, "worker_id", k), None),
                "no_face" => assert!(text(truth, "worker_person", k).is_none() && member.is_none()),
                _ => {}
            }
            selfies.insert(id, selfie(dump, k).to_vec());
        }
    }
    assert_eq!(duplicates, summary.duplicates);
    assert!(duplicates > 5, "{duplicates}");
}

#[test]
fn every_pattern_comes_at_its_rate_and_its_pictures_open() {
    let root = tempfile::tempdir().unwrap();
    let faces = people(root.path(), 1200);
    let mut rates = Rates::none();
    Pattern::PLANTED.iter().for_each(|&p| rates.set(p, 0.02));
    let plan = Plan { rows: 1500, rates, repeat_people: true, ..small() };
    let out = root.path().join("out");
    let collections = Collections { attacks: Some(&faces), ..Collections::of_live(&faces) };
    let summary = write(&plan, &collections, &out, &|_, _| Ok(())).unwrap();
    for pattern in Pattern::PLANTED {
        let found = summary.patterns.get(pattern.code()).copied().unwrap_or(0);
        // 30 expected; the accounts that are passed on come in runs, so that one may be far off.
        // Innocent ones fall into the third of the rows that so much fraud leaves.
        let bounds = match pattern {
            Pattern::WorkerMismatch => 1..150,
            _ if pattern.kind() == PatternKind::Innocent => 3..26,
            _ => 12..52,
        };
        assert!(bounds.contains(&found), "{}: {found}", pattern.code());
    }
    let mut broken = 0;
    for (dump, truth) in nights(&out) {
        for k in 0..dump.num_rows() {
            match image::load_from_memory(selfie(&dump, k)) {
                Ok(image) => assert!(image.width() >= 60 && image.height() >= 60),
                Err(_) => {
                    assert_eq!(text(&truth, "pattern", k), Some("broken_file"));
                    broken += 1;
                }
            }
        }
    }
    assert!(broken > 5, "{broken}");
}

#[test]
fn honest_rows_do_not_change_with_the_fraud_around_them() {
    let root = tempfile::tempdir().unwrap();
    let faces = people(root.path(), 400);
    let honest = |fraud: f64| {
        let out = root.path().join(format!("fraud-{fraud}"));
        // Accounts are passed on in each dump with fraud: their rows must move nobody either.
        let mut rates = Rates::default();
        rates.set(Pattern::WorkerMismatch, 0.15);
        made(&Plan { fraud: Some(fraud), rates, ..small() }, &faces, &out);
        let mut rows = BTreeMap::new();
        for (dump, truth) in nights(&out) {
            for k in (0..dump.num_rows()).filter(|&k| text(&truth, "pattern", k) == Some("honest")) {
                let id = text(&truth, "submission_id", k).unwrap().to_owned();
                rows.insert(id, Sha256::digest(selfie(&dump, k)).to_vec());
            }
        }
        rows
    };
    let (none, some, much) = (honest(0.0), honest(0.05), honest(0.3));
    assert!(none.len() > some.len() && some.len() > much.len() && much.len() > 100);
    let differing = |less: &BTreeMap<String, Vec<u8>>, more: &BTreeMap<String, Vec<u8>>| {
        more.iter().filter(|(id, hash)| less.get(*id).is_some_and(|h| h != *hash)).count()
    };
    assert_eq!(differing(&none, &some), 0);
    // Rows that could not repeat anything became honest; they alone may differ.
    assert!(differing(&none, &much) <= 3);
}

#[test]
fn what_cannot_be_is_said_and_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let faces = people(root.path(), 40);
    let out = root.path().join("out");
    let run = |plan: &Plan, faces: &Path| write(plan, &Collections::of_live(faces), &out, &|_, _| Ok(()));
    assert!(matches!(run(&small(), &faces), Err(Error::Usage { .. })), "40 people are too few for 300 rows");
    assert!(matches!(run(&Plan { rows: 0, ..small() }, &faces), Err(Error::Usage { .. })));
    assert!(matches!(run(&Plan { first_night: "soon".into(), ..small() }, &faces), Err(Error::Usage { .. })));
    assert!(run(&small(), &root.path().join("nowhere")).is_err());
    let live = Collections::of_live(&faces);
    let stopped = write(&Plan { rows: 20, ..small() }, &live, &out, &|_, _| Err(Error::Interrupted));
    assert!(matches!(stopped, Err(Error::Interrupted)));
    let left: BTreeSet<_> = fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 1, "only the faces: {left:?}");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("mine"), "keep").unwrap();
    assert!(matches!(run(&Plan { rows: 20, ..small() }, &faces), Err(Error::Usage { .. })));
    assert!(out.join("mine").exists());
}

#[test]
fn extremes_are_dumps_too() {
    let root = tempfile::tempdir().unwrap();
    let faces = people(root.path(), 60);
    for (name, plan) in [
        ("one row", Plan { rows: 1, nights: 1, ..small() }),
        ("one worker", Plan { rows: 12, members_per_worker: 1000, districts: 1, ..small() }),
        ("a worker a row", Plan { rows: 12, members_per_worker: 1, ..small() }),
        ("people again and again", Plan { rows: 150, repeat_people: true, members_per_worker: 30, ..small() }),
        ("no fraud", Plan { rows: 20, fraud: Some(0.0), ..small() }),
    ] {
        let out = root.path().join(name);
        let summary = made(&plan, &faces, &out);
        assert_eq!(nights(&out).iter().map(|(d, _)| d.num_rows()).sum::<usize>(), plan.rows, "{name}");
        assert_eq!(summary.rows, plan.rows);
        if plan.repeat_people {
            assert!(summary.duplicates > 50, "{name}: {summary:?}");
        }
    }
}

#[test]
fn real_attacks_stand_beside_live_workers_and_the_truth_names_their_species() {
    let root = tempfile::tempdir().unwrap();
    let live = people(root.path(), 330);
    for name in ["p.png", "q.png"] {
        image::RgbImage::from_pixel(40, 40, image::Rgb([250, 250, 0])).save(root.path().join(name)).unwrap();
    }
    let attacks = root.path().join("attacks.csv");
    let rows = "spoof,person-0001,p.png,print\nspoof,stranger,q.png,phone\nlive,person-0002,missing.png,\n";
    fs::write(&attacks, format!("label,subject,path,species\n{rows}")).unwrap();
    let mut plan = Plan { rows: 200, ..small() };
    plan.rates.set(Pattern::AttackMember, 0.2);
    let out = root.path().join("out");
    let collections = Collections { attacks: Some(&attacks), ..Collections::of_live(&live) };
    let summary = write(&plan, &collections, &out, &|_, _| Ok(())).unwrap();
    assert_eq!(summary.people, 330, "people of attacks are not counted as people");
    let mut species = BTreeMap::<String, usize>::new();
    for (_, truth) in nights(&out) {
        for row in (0..truth.num_rows()).filter(|&row| text(&truth, "pattern", row) == Some("attack_member")) {
            let kind = text(&truth, "attack", row).unwrap();
            *species.entry(kind.to_owned()).or_default() += 1;
            let picture = if kind == "print" { "p.png" } else { "q.png" };
            assert_eq!(list(&truth, "pictures", row)[0], picture, "the member's face is the attack's");
            assert_eq!(text(&truth, "attacked", row), Some("member"));
            assert!(text(&truth, "worker_person", row).unwrap().starts_with("person-"), "the worker is live");
            assert_eq!(list(&truth, "reasons", row)[0], "photo_of_photo");
            assert!(list(&truth, "reasons_allowed", row).contains(&"photo_of_photo_suspected".to_owned()));
        }
        for row in (0..truth.num_rows()).filter(|&row| text(&truth, "pattern", row) != Some("attack_member")) {
            assert!(list(&truth, "pictures", row).iter().all(|picture| picture.starts_with("person-")));
        }
    }
    assert!(species.len() == 2 && species.values().sum::<usize>() == summary.patterns["attack_member"], "{species:?}");
    assert!((25..55).contains(&summary.patterns["attack_member"]), "{:?}", summary.patterns);
    let without = write(&plan, &Collections::of_live(&live), &root.path().join("none"), &|_, _| Ok(()));
    assert!(without.unwrap_err().to_string().contains("--attacks"));
}

#[test]
fn one_command_makes_a_drive_of_live_faces_and_attacks() {
    let place = Place::new();
    // The few portraits of the fixtures under many names: enough people for workers, strangers and members.
    let faces = ["ardern_2018", "collins", "macron_2014", "macron_2025", "obama", "sunak"];
    let path = |k: usize| fixture(&format!("faces/{}.jpg", faces[k % faces.len()])).display().to_string();
    let mut table = "label,subject,path\n".to_owned();
    (0..30).for_each(|k| table += &format!("live,person{k:02},{}\n", path(k)));
    (0..4).for_each(|k| table += &format!("spoof,person{k:02},{}\n", path(k)));
    fs::write(place.path("labels.csv"), table).unwrap();
    fs::write(place.path("plan.toml"), "long_side = 640\n[rates]\nattack_member = 0.5\n").unwrap();
    let mut command = chehra();
    command.args(["synth", "-q", "--json", "--rows", "8", "--repeat-people", "--plan"]).arg(place.path("plan.toml"));
    for option in ["--live", "--attacks"] {
        command.arg(option).arg(place.path("labels.csv"));
    }
    let (code, stdout, stderr) = run(command.arg("--out").arg(place.path("drive")));
    assert_eq!(code, 0, "{stderr}");
    let summary: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert!(summary["patterns"]["attack_member"].as_u64().unwrap() > 0, "{stdout}");
    assert_eq!(summary["people"], 30);
    assert!(place.path("drive/night-1/truth.parquet").exists());
    let mut command = chehra();
    let alone = command.args(["synth", "--attacks", "a.csv", "--faces", "b", "--out", "c"]);
    assert_eq!(run(alone).0, 64, "attacks need live faces that are found in the same way");
}

/// A drive with evidence from the field: the same on any number of threads, read back by the program's own readers, and every
/// way to enrol from home leaves what it is named after, in that account and in no honest one.
#[test]
fn who_enrols_from_home_leaves_what_the_truth_says() {
    use chehra::config::{Columns, policy::PhotoLimits};
    use chehra::dump::{Dump, RowFacts};
    use chehra::photo::{Camera, Thumbnail, decode};
    use chehra::synth::{FieldPlan, Habit, HomeWay};

    let root = tempfile::tempdir().unwrap();
    let faces = people(root.path(), 700);
    let field = FieldPlan { evidence: true, home: 0.45, ..FieldPlan::default() };
    let plan = Plan { rows: 500, nights: 1, districts: 3, rates: Rates::none(), field, ..small() };
    let on = |threads: usize, name: &str| {
        let out = root.path().join(name);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| made(&plan, &faces, &out));
        hashes(&out)
    };
    assert_eq!(on(1, "one"), on(4, "four"));
    let night = root.path().join("one/night-1");
    let (_, truth) = nights(&root.path().join("one")).remove(0);
    let dump = Dump::open(&[&night], &Columns::default()).unwrap();
    let mut accounts: BTreeMap<(String, String), Vec<(RowFacts, Camera)>> = BTreeMap::new();
    for batch in dump.batches(64, 1 << 26, 0) {
        for row in batch.unwrap() {
            let way = ["home", "habit"].map(|column| text(&truth, column, row.row as usize)).into_iter().flatten();
            let way: Vec<&str> = way.collect();
            assert_eq!(way.len(), 1, "an account is at home or it is not");
            let bytes = row.selfie.as_ref().unwrap();
            let photo = decode(bytes, &PhotoLimits::default()).unwrap();
            let camera = Camera::of(bytes, &photo, &Thumbnail::of(&photo));
            let account = (way[0].to_owned(), row.facts.worker_id.clone().unwrap());
            accounts.entry(account).or_default().push((row.facts, camera));
        }
    }
    let seen: BTreeSet<&str> = accounts.keys().map(|(way, _)| way.as_str()).collect();
    for way in HomeWay::ALL {
        assert!(seen.contains(way.code()), "{} of {seen:?}", way.code());
    }
    assert!(seen.len() >= HomeWay::ALL.len() + Habit::ALL.len() / 2, "{seen:?}");
    let mut phones: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for ((_, account), rows) in &accounts {
        for (facts, _) in rows {
            phones.entry(facts.device_id.clone().unwrap()).or_default().insert(account.clone());
        }
    }
    let hour = 3_600_000_000;
    for ((way, account), rows) in &accounts {
        let times: Vec<i64> = rows.iter().map(|(facts, _)| facts.captured_at.unwrap()).collect();
        let places: Vec<_> = rows.iter().filter_map(|(facts, _)| Some((facts.captured_at?, facts.place?))).collect();
        let share = |test: &dyn Fn(&(RowFacts, Camera)) -> bool| {
            rows.iter().filter(|row| test(row)).count() as f64 / rows.len() as f64
        };
        let near_first = |metres: f64| {
            let near = places.iter().filter(|(_, place)| place.metres_to(&places[0].1) < metres).count();
            near as f64 / places.len().max(1) as f64
        };
        let jumps = places.windows(2).any(|pair| {
            let hours = (pair[1].0 - pair[0].0).max(1) as f64 / hour as f64;
            let metres = pair[0].1.metres_to(&pair[1].1);
            metres > 50_000.0 && metres / 1000.0 / hours > 200.0
        });
        let wall = |at: i64| (at + 11 * hour / 2).rem_euclid(24 * hour) / hour;
        let gaps: Vec<i64> = times.windows(2).map(|pair| (pair[1] - pair[0]) / 1_000_000).collect();
        let is_regular = gaps.len() > 5 && gaps.iter().max().unwrap() - gaps.iter().min().unwrap() <= 15;
        let midnight = share(&|(facts, _)| wall(facts.captured_at.unwrap()) < 5);
        let late = share(&|(facts, _)| facts.uploaded_at.unwrap() - facts.captured_at.unwrap() > 96 * hour);
        let edits = share(&|(_, camera)| {
            camera.software.as_deref().is_some_and(|s| {
                s.contains("Photoshop")
                    || s == "PicsArt"
                    || s.contains("Snapseed")
                    || s.contains("GIMP")
                    || s == "Pixlr"
            })
        });
        let own: BTreeSet<_> = rows.iter().map(|(facts, _)| facts.device_id.clone().unwrap()).collect();
        let with_others = own.iter().any(|phone| phones[phone].len() > 1);
        let what = format!("{way} {account}, {} rows", rows.len());
        assert!(rows.iter().all(|(facts, _)| facts.uploaded_at > facts.captured_at), "{what}");
        assert_eq!(jumps, way == "travel", "{what}");
        assert_eq!(is_regular, way == "regular", "{what}");
        assert_eq!(midnight > 0.5, way == "midnight", "{what}: {midnight}");
        assert_eq!(late > 0.5, way == "late", "{what}: {late}");
        assert_eq!(edits > 0.4, way == "edited", "{what}: {edits}");
        assert_eq!(own.len() > 2, way == "many_devices", "{what}: {own:?}");
        if with_others {
            assert!(way == "shared_device" || way == "village_phone", "{what}");
        }
        if way == "room" || way == "regular" {
            assert!(near_first(400.0) > 0.8, "{what}");
        }
        if way == "shared_device" {
            assert!(with_others, "{what}");
        }
    }
    let plain = root.path().join("plain");
    made(&Plan { rows: 60, ..small() }, &faces, &plain);
    let (dump, truth) = nights(&plain).remove(0);
    assert!(dump.column_by_name("latitude").is_none() && truth.column_by_name("home").is_none());
}
