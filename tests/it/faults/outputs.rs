//! What `--force` and `--out` may touch.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{audit, refused};
use crate::util::{Place, chehra, chehra_note, fixture, run};

/// Every file below a folder with its bytes, links as such. Of the lock of a store's night only that it is there: it names
/// the last process that took it.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        match path.symlink_metadata().unwrap() {
            there if there.is_dir() => found.extend(tree(&path)),
            _ if name.ends_with("/NIGHT") => drop(found.insert(name, Vec::new())),
            there if there.is_file() => drop(found.insert(name, fs::read(&path).unwrap())),
            _ => drop(found.insert(name, Vec::new())),
        }
    }
    found
}

/// A store with a night in it, the dump of that night, and its run folder.
fn night(place: &Place) {
    fs::create_dir_all(place.path("data/dump")).unwrap();
    fs::copy(fixture("night2/submissions-0.parquet"), place.path("data/dump/part.parquet")).unwrap();
    let (code, _, stderr) = run(chehra()
        .args(["audit", "-q", "--out"])
        .arg(place.path("run"))
        .arg("--store")
        .arg(place.path("data/store"))
        .arg(place.path("data/dump")));
    assert_eq!(code, 0, "{stderr}");
    fs::create_dir(place.path("mine")).unwrap();
    fs::write(place.path("mine/notes.txt"), "mine").unwrap();
}

#[test]
fn force_and_out_leave_store_dump_and_folders_of_the_user_alone() {
    let place = Place::new();
    night(&place);
    #[cfg(unix)]
    std::os::unix::fs::symlink(place.path("data/store"), place.path("link")).unwrap();
    let before = tree(place.dir.path());
    let command = |out: &str, force: bool| {
        let mut command = chehra();
        command.args(["audit", "-q", "--out"]).arg(place.path(out)).arg("--store").arg(place.path("data/store"));
        if force {
            command.arg("--force");
        }
        command.arg(place.path("data/dump"));
        command
    };
    for force in [true, false] {
        refused(&mut command("data/store", force), 64, &["--out", "is the store"]);
        refused(&mut command("data/store/segments/new", force), 64, &["lies in the store"]);
        refused(&mut command("data", force), 64, &["holds the"]);
        refused(&mut command("data/other/../store", force), 64, &["is the store"]);
        refused(&mut command("data/dump", force), 64, &["is the dump"]);
        refused(&mut command("data/dump/out", force), 64, &["lies in the dump"]);
        refused(&mut command("data/dump/part.parquet", force), 64, &["lies in the dump"]);
        #[cfg(unix)]
        refused(&mut command("link", force), 64, &["is the store"]);
        #[cfg(unix)]
        refused(&mut command("link/new", force), 64, &["lies in the store"]);
    }
    refused(&mut command("mine", true), 65, &["another folder", "--force replaces run folders"]);
    // Another store, which the command does not even name.
    let mut other = chehra();
    other.args(["audit", "-q", "--force", "--out"]).arg(place.path("data/store")).arg(fixture("night2"));
    refused(&mut other, 64, &["lies in a store"]);
    assert!(tree(place.dir.path()) == before, "nothing was touched, and nothing was left");
    // A run folder is replaced.
    let (code, _, stderr) = run(&mut command("run", true));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(place.list().iter().filter(|name| name.starts_with('.')).count(), 0);
}

#[test]
#[cfg(unix)]
fn a_link_in_the_place_of_the_unfinished_folder_is_not_followed() {
    let place = Place::new();
    let victim = place.path("victim");
    fs::create_dir_all(victim.join("tables")).unwrap();
    fs::write(victim.join("tables/mine.txt"), "mine").unwrap();
    std::os::unix::fs::symlink(&victim, place.path(".out.partial")).unwrap();
    refused(&mut audit(&place.path("out")), 65, &[".out.partial", "a link"]);
    assert_eq!(tree(&victim).len(), 1);
}

/// The state after a kill between the rename of the run folder and the end of the command.
#[test]
fn the_same_command_after_a_late_kill_says_done_already_and_cleans_up() {
    let place = Place::new();
    let out = place.path("out");
    let mut command = audit(&out);
    assert_eq!(run(&mut command).0, 0);
    let before = tree(&out);
    let leave = |note: &str| {
        let partial = place.path(".out.partial");
        fs::create_dir_all(partial.join("spool")).unwrap();
        fs::write(partial.join("spool/00000000.batch"), "faces").unwrap();
        fs::write(partial.join("committed"), note).unwrap();
    };
    leave(&chehra_note(&out));
    let mut told = chehra();
    let (code, stdout, stderr) = run(told.args(["audit", "--out"]).arg(&out).arg(fixture("night2")));
    assert!(code == 0 && stderr.contains("done already") && stdout.contains("submissions"), "{stderr}");
    assert_eq!((place.list(), tree(&out) == before), (vec!["out".to_owned()], true));
    // With --force: what was to be replaced lies aside, and the new run is in its place.
    leave(&chehra_note(&out));
    fs::create_dir(place.path(".out.partial/tables")).unwrap();
    let (code, _, stderr) = run(command.arg("--force"));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!((place.list(), tree(&out) == before), (vec!["out".to_owned()], true));
    // Another dump under the same name is not that run.
    leave(&chehra_note(&out));
    let mut other = chehra();
    other.args(["audit", "-q", "--out"]).arg(&out).arg(fixture("night"));
    refused(&mut other, 65, &["it exists"]);
    assert!(tree(&out) == before);
    // Nor is a run that was there before and is to be replaced.
    leave("another run");
    assert_eq!(run(&mut command).0, 0);
    assert!(tree(&out) != before, "it was made anew");
}

#[test]
fn a_file_is_replaced_by_nothing_but_its_own_kind() {
    let place = Place::new();
    night(&place);
    let (run_folder, store) = (place.path("run"), place.path("data/store"));
    let before = tree(place.dir.path());
    let report = |out: &str| {
        let mut command = chehra();
        command.arg("report").arg(&run_folder).arg("--out").arg(place.path(out));
        command
    };
    refused(&mut report("run/verdicts.parquet"), 65, &["--out", "another file", "a page that chehra made"]);
    refused(&mut report("mine/notes.txt"), 65, &["another file"]);
    refused(&mut report("mine"), 65, &["a folder"]);
    refused(&mut report("data/store/MANIFEST"), 64, &["lies in a store"]);
    let mut with_dump = report("data/dump/page.html");
    refused(with_dump.arg("--dump").arg(place.path("data/dump")), 64, &["lies in the dump"]);
    let export = |to: &str| {
        let mut command = chehra();
        command.args(["gallery", "export", "--store"]).arg(&store).arg("--to").arg(place.path(to));
        command
    };
    refused(&mut export("data/store/MANIFEST"), 64, &["lies in the store"]);
    refused(&mut export("run/verdicts.parquet"), 65, &["another file", "an earlier export"]);
    refused(&mut export("mine/notes.txt"), 65, &["another file"]);
    let mut dedup = chehra();
    dedup.args(["dedup", "--all-pairs", "--store"]).arg(&store).arg("--out").arg(store.join("pairs.csv"));
    refused(&mut dedup, 64, &["lies in the store"]);
    let mut thumbnails = chehra();
    thumbnails.arg("search").arg(fixture("photos/good/grey.jpg")).arg("--store").arg(&store);
    thumbnails.arg("--dump").arg(place.path("data/dump")).arg("--thumbnails").arg(place.path("data/dump/faces"));
    refused(&mut thumbnails, 64, &["--thumbnails", "lies in the dump"]);
    fs::create_dir(place.path("people")).unwrap();
    let mut synth = chehra();
    synth.args(["synth", "--faces"]).arg(place.path("people")).arg("--out").arg(place.path("people/dump"));
    refused(&mut synth, 64, &["lies in the faces"]);
    fs::remove_dir(place.path("people")).unwrap();
    let mut picture = chehra();
    picture.arg("inspect").arg(fixture("photos/good/grey.jpg")).arg("--png").arg(place.path("mine/notes.txt"));
    refused(&mut picture, 65, &["--png", "another file"]);
    assert!(tree(place.dir.path()) == before, "nothing was touched, and nothing was left");
    // Their own kind is made anew.
    for _ in 0..2 {
        assert_eq!(run(&mut report("page.html")).0, 0);
        assert_eq!(run(&mut export("members.parquet")).0, 0);
    }
    assert_eq!(run(chehra().arg("report").arg(&run_folder)).0, 0);
}
