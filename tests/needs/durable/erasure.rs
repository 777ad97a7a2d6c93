//! What was erased stays erased: no byte of it is left at any point at which a receipt says so.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use chehra::infer::Template;
use parquet::basic::Compression;

use super::scene::{FORGOTTEN, NEW, Scene, holders, leave_spool, scene, spooled_faces};
use super::{kill_everywhere, shim, step, watched};
use crate::util::{Place, run, write_dump};

/// The faces of the submissions that the tests forget, from the spool of an unfinished run.
fn forgotten_faces(scene: &Scene, spool: &str, ids: &[&str]) -> Vec<Template> {
    let mut all = spooled_faces(&scene.path(spool));
    let faces: Vec<Template> = ids.iter().flat_map(|&id| all.remove(id).unwrap_or_default()).collect();
    assert!(faces.len() > ids.len(), "{} faces", faces.len());
    faces
}

fn assert_gone(scene: &Scene, faces: &[Template], when: &str) {
    for folder in ["store", "runs"] {
        let left = holders(&scene.path(folder), faces);
        assert!(left.is_empty(), "{when}: {left:?}");
    }
}

pub fn at_every_kill_of_forget_a_receipt_says_no_more_than_is_true() {
    shim();
    let place = Place::new();
    let here = scene(&place.path("scene"));
    leave_spool(&here);
    let faces = forgotten_faces(&here, "runs/.third.partial/spool", &FORGOTTEN);
    let held = |folder: &str| holders(&here.path(folder), &faces).len();
    // The search finds segment, codes, masters, workers' faces in the store, and the spool.
    assert!(held("store") >= 4 && held("runs") == 1, "{:?}", holders(&here.root, &faces));
    let base = place.path("base");
    super::copy(&here.root, &base);
    let mut settled = 0;
    let (kills, operations) = kill_everywhere(&base, &here.root, 1, &|| here.forget(&FORGOTTEN), &mut |at| {
        let when = format!("killed at operation {at}");
        here.assert_sound(&when);
        if here.receipt(&FORGOTTEN) == Some(true) {
            settled += 1;
            assert_gone(&here, &faces, &when);
        }
        let (code, _, stderr) = run(&mut here.forget(&FORGOTTEN));
        assert_eq!(code, 0, "{when}: {stderr}");
        assert_eq!(here.receipt(&FORGOTTEN), Some(true), "{when}");
        assert_gone(&here, &faces, &when);
        here.assert_sound(&when);
    });
    println!("forget: killed at {kills} of {operations} operations, {settled} times after the receipt was settled");
    assert!(kills == operations && kills > 40 && settled > 0);
    assert_eq!(here.receipt(&FORGOTTEN), Some(true));
    assert_gone(&here, &faces, "not killed");
    // The run that was killed goes on, and knows of it.
    let (code, _, stderr) = run(&mut here.audit("third", "runs/third"));
    assert_eq!(code, 0, "{stderr}");
    assert_gone(&here, &faces, "gone on with");
    here.assert_sound("gone on with");
}

/// Waits until a child is stopped, or has ended.
fn is_stopped(child: &mut Child) -> bool {
    let begun = Instant::now();
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T')) {
            return true;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "the audit neither stops nor ends");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, name: &str) {
    assert!(std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Runs `forget`; an audit that is stopped in the middle of what `forget` must wait for goes on meanwhile.
fn forget_beside(scene: &Scene, ids: &[&str], audit: &Child) -> i32 {
    let mut forget = scene.forget(ids).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    loop {
        if let Some(status) = forget.try_wait().unwrap() {
            return status.code().unwrap();
        }
        if begun.elapsed() > Duration::from_secs(3) {
            signal(audit, "-CONT");
            return forget.wait().unwrap().code().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn who_is_forgotten_while_an_audit_runs_stays_forgotten() {
    shim();
    let place = Place::new();
    let here = scene(&place.path("scene"));
    leave_spool(&here);
    let ids = [FORGOTTEN[0], FORGOTTEN[1], NEW];
    let [known, all] = [&ids[..2], &ids].map(|ids| forgotten_faces(&here, "runs/.third.partial/spool", ids));
    // From the beginning, without what the killed run left.
    fs::remove_dir_all(here.path("runs/.third.partial")).unwrap();
    let base = place.path("base");
    super::copy(&here.root, &base);
    let (mut stops, mut at, mut met) = (0, 0, [0; 3]);
    loop {
        super::restore(&base, &here.root);
        let mut audit = here.audit("third", "runs/third");
        let mut audit = watched(&mut audit, &here.root)
            .env("DURABLE_STOP_AT", at.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let when = format!("audit stopped at operation {at}");
        if !is_stopped(&mut audit) {
            assert!(audit.wait().unwrap().success());
            break;
        }
        stops += 1;
        let code = forget_beside(&here, &ids, &audit);
        let erased = |ids: &[&str]| here.receipt(ids) == Some(true);
        // Whatever a receipt says is so, also while the audit is stopped.
        for (ids, faces) in [(&ids[..2], &known), (&ids[..], &all)] {
            if erased(ids) {
                assert_gone(&here, faces, &when);
            }
        }
        signal(&audit, "-CONT");
        assert!(audit.wait().unwrap().success(), "{when}");
        let expected = match code {
            0 => &all,
            // The audit had not seen the new one yet.
            65 => &known,
            // The audit held the lock: nothing was forgotten, and the command is given again.
            75 => &Vec::new(),
            other => panic!("{when}: {other}"),
        };
        met[[0, 65, 75].iter().position(|&known| known == code).unwrap()] += 1;
        assert_gone(&here, expected, &when);
        here.assert_sound(&when);
        if code != 0 {
            assert_eq!(run(&mut here.forget(&ids)).0, 0, "{when}");
            assert_gone(&here, &all, &when);
            here.assert_sound(&when);
        }
        at += step(11);
    }
    println!(
        "forget beside an audit: stopped at {stops} of {at} operations; {} times all were forgotten, {} times but the one \
         not seen yet, {} times none, for the audit held the lock",
        met[0], met[1], met[2]
    );
    assert!(stops > 5 && met[0] > 0 && met[1] > 0);
}

pub fn an_abandoned_spool_is_removed_after_a_week_and_a_killed_export_at_once() {
    shim();
    let place = Place::new();
    let here = scene(&place.path("scene"));
    leave_spool(&here);
    let spool = here.path("runs/.third.partial/spool");
    let (_, text, _) = run(&mut here.gallery("verify"));
    assert!(text.contains(spool.to_str().unwrap()), "{text}");
    // Another night, today and after more than a week.
    for (name, days) in [("fourth", 0), ("fifth", 8)] {
        write_dump("night2", &|id| id == "N2-002", Compression::LZ4_RAW, &here.path(&format!("{name}/a.parquet")));
        let then = std::time::SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        fs::File::open(&spool).unwrap().set_modified(then).unwrap();
        assert_eq!(run(&mut here.audit(name, &format!("runs/{name}"))).0, 0);
        assert_eq!(spool.exists(), days == 0, "{days} days");
    }
    // An export that is killed leaves half a file; the next command that writes the store removes it.
    let to = here.path("runs/members.parquet");
    let unfinished = || {
        let entries = fs::read_dir(here.path("runs")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|e| e == "tmp")).collect::<Vec<_>>()
    };
    let export = || {
        let mut command = here.gallery("export");
        command.arg("--to").arg(&to);
        command
    };
    let (mut kills, mut swept) = (0, 0);
    for at in 0.. {
        let (ended, _) = super::killed_at(&mut export(), &here.root, at);
        if ended != super::Ended::Killed {
            break;
        }
        kills += 1;
        let written = unfinished().iter().any(|path| fs::metadata(path).unwrap().len() > 0);
        swept += usize::from(written);
        assert_eq!(run(&mut here.gallery("compact")).0, 0);
        for path in unfinished() {
            assert_eq!(fs::metadata(&path).unwrap().len(), 0, "killed at operation {at}: not noted, so not written");
            fs::remove_file(path).unwrap();
        }
        drop(fs::remove_file(&to));
    }
    println!("export: killed at {kills} operations, {swept} times with members in a half file, which was swept");
    assert!(kills > 8 && swept > 0);
    assert!(run(&mut export()).0 == 0 && to.exists());
}
