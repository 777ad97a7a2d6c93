//! Power cuts: after every operation of a command the disk is put into each state that a cut may leave ([`Cut`]), and the
//! same command is given again.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::model::{Cut, Disk, parse};
use super::scene::{FORGOTTEN, Scene, holders, leave_spool, scene, spooled_faces};
use super::{copy, shim, step, watched};
use crate::util::{Place, run};

/// Runs a command to its end, then cuts the power after every `step`-th of its operations, in each way, and calls `check`
/// on what is left. Gives the number of cuts.
fn cut_everywhere(scene: &Scene, step: usize, command: &dyn Fn() -> Command, check: &mut dyn FnMut(&str)) -> usize {
    let place = Place::new();
    let log = place.path("log");
    let base = place.path("base");
    copy(&scene.root, &base);
    let mut disk = Disk::read(&scene.root);
    let mut command = command();
    let output = watched(&mut command, &scene.root).env("DURABLE_LOG", &log).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let operations = parse(&fs::read(&log).unwrap());
    assert!(operations.len() > 20, "{} operations", operations.len());
    let mut cuts = 0;
    for (at, done) in operations.iter().enumerate() {
        disk.apply(done);
        if at % step != 0 && at + 1 != operations.len() {
            continue;
        }
        for cut in Cut::ALL {
            disk.write_after(cut, &scene.root);
            check(&format!("power cut after operation {at} ({}), {cut:?}", name(done, &scene.root)));
            cuts += 1;
        }
    }
    cuts
}

fn name(done: &super::model::Done, root: &Path) -> String {
    let text = format!("{done:?}").replace(root.to_str().unwrap(), "");
    text.chars().take(100).collect()
}

pub fn a_cut_of_forget_loses_nobody_and_no_receipt_says_more_than_is_true() {
    shim();
    let place = Place::new();
    let here = scene(&place.path("scene"));
    leave_spool(&here);
    let mut all = spooled_faces(&here.path("runs/.third.partial/spool"));
    let faces: Vec<_> = FORGOTTEN.iter().flat_map(|&id| all.remove(id).unwrap()).collect();
    let members = here.answer(&mut here.gallery("stats"))["live"].as_u64().unwrap();
    let left = || [holders(&here.path("store"), &faces), holders(&here.path("runs"), &faces)].concat();
    let mut settled = 0;
    let cuts = cut_everywhere(&here, step(3), &|| here.forget(&FORGOTTEN), &mut |when| {
        here.assert_sound(when);
        if here.receipt(&FORGOTTEN) == Some(true) {
            settled += 1;
            assert!(left().is_empty(), "{when}: {:?}", left());
        }
        let (code, _, stderr) = run(&mut here.forget(&FORGOTTEN));
        assert_eq!(code, 0, "{when}: {stderr}");
        assert!(here.receipt(&FORGOTTEN) == Some(true) && left().is_empty(), "{when}: {:?}", left());
        here.assert_sound(when);
        let now = here.answer(&mut here.gallery("stats"))["live"].as_u64().unwrap();
        assert_eq!(now, members - FORGOTTEN.len() as u64, "{when}");
    });
    println!("forget: {cuts} power cuts, {settled} of them after the receipt was settled");
    assert!(cuts > 30 && settled > 0);
}

pub fn a_cut_of_compact_and_import_loses_nobody() {
    shim();
    let place = Place::new();
    let here = scene(&place.path("scene"));
    let live = |scene: &Scene| scene.answer(&mut scene.gallery("stats"))["live"].clone();
    let members = live(&here);
    let cuts = cut_everywhere(&here, step(3), &|| here.gallery("compact"), &mut |when| {
        here.assert_sound(when);
        assert_eq!(live(&here), members, "{when}");
        assert_eq!(run(&mut here.gallery("compact")).0, 0, "{when}");
        here.assert_sound(when);
        assert_eq!(live(&here), members, "{when}");
    });
    println!("compact: {cuts} power cuts");
    let export = place.path("members.parquet");
    assert_eq!(run(here.gallery("export").arg("--to").arg(&export)).0, 0);
    let other = Scene { root: place.path("other") };
    fs::create_dir_all(&other.root).unwrap();
    let import = || {
        let mut command = other.gallery("import");
        command.arg("--from").arg(&export);
        command
    };
    let cuts = cut_everywhere(&other, step(3), &import, &mut |when| {
        let (code, _, stderr) = run(&mut import());
        assert_eq!(code, 0, "{when}: {stderr}");
        assert_eq!(live(&other), members, "{when}");
        other.assert_sound(when);
    });
    println!("import: {cuts} power cuts");
}

pub fn a_cut_of_an_audit_loses_no_member_and_adds_none_twice() {
    shim();
    let place = Place::new();
    let here = scene(&place.path("scene"));
    leave_spool(&here);
    fs::remove_dir_all(here.path("runs/.third.partial")).unwrap();
    let audit = || here.audit("third", "runs/third");
    let base = place.path("base");
    copy(&here.root, &base);
    assert_eq!(run(&mut audit()).0, 0);
    let verdicts = fs::read(here.path("runs/third/verdicts.parquet")).unwrap();
    let live = here.answer(&mut here.gallery("stats"))["live"].clone();
    super::restore(&base, &here.root);
    let cuts = cut_everywhere(&here, step(23), &audit, &mut |when| {
        here.assert_sound(when);
        let (code, _, stderr) = run(&mut audit());
        let is_done = code == 65 && here.path("runs/third/run.json").exists();
        assert!(code == 0 || is_done, "{when}: {stderr}");
        assert!(fs::read(here.path("runs/third/verdicts.parquet")).unwrap() == verdicts, "{when}");
        assert_eq!(here.answer(&mut here.gallery("stats"))["live"], live, "{when}");
        here.assert_sound(when);
    });
    println!("audit: {cuts} power cuts");
    assert!(cuts > 10);
}
