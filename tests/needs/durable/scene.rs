//! A store, dumps and an unfinished run to be erased from; and the search for what is left of a face.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use chehra::infer::{Analysis, Template};
use parquet::basic::Compression;
use serde_json::Value;

use super::{copy, files, killed_at};
use crate::util::{chehra, fixture, run, write_dump};

/// Of two workers of whom nothing is known: their faces stay in the memory of workers, with those of members.
pub const UNRESOLVED: [&str; 3] = ["N1-000", "N1-004", "N1-001"];
/// Forgotten in the tests: one is in the workers' memory and among the pictures only, one is a member.
pub const FORGOTTEN: [&str; 2] = ["N1-000", "N2-000"];

/// Comes in the third dump for the first time.
pub const NEW: &str = "N2-001";

/// Where everything of a test lies: `store`, `runs`, dumps.
pub struct Scene {
    pub root: PathBuf,
}

impl Scene {
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn audit(&self, dump: &str, out: &str) -> Command {
        let mut command = chehra();
        command.args(["audit", "-q", "--no-report", "--threads", "2", "--store"]).arg(self.path("store"));
        command.arg("--out").arg(self.path(out)).arg(self.path(dump));
        command
    }

    pub fn gallery(&self, command: &str) -> Command {
        let mut chehra = chehra();
        chehra.args(["-q", "gallery", command, "--store"]).arg(self.path("store"));
        chehra
    }

    pub fn forget(&self, ids: &[&str]) -> Command {
        let mut command = self.gallery("forget");
        for id in ids {
            command.args(["--member", id]);
        }
        command
    }

    pub fn answer(&self, command: &mut Command) -> Value {
        let (code, stdout, stderr) = run(command.arg("--json"));
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str(&stdout).unwrap()
    }

    /// That every byte of the store is as it was written and no receipt says more than is true.
    pub fn assert_sound(&self, when: &str) {
        let (code, stdout, stderr) = run(&mut self.gallery("verify"));
        assert_eq!(code, 0, "{when}: {stdout}{stderr}");
    }

    /// Whether there is a receipt that names all of `ids`, and says that they are erased.
    pub fn receipt(&self, ids: &[&str]) -> Option<bool> {
        let stats = self.answer(&mut self.gallery("stats"));
        let receipts = stats["forgotten"].as_array().unwrap();
        let receipt = receipts.iter().find(|receipt| {
            ids.iter().all(|id| receipt["submission_ids"].as_array().unwrap().iter().any(|known| known == id))
        });
        receipt.map(|receipt| receipt["erased_at"].is_string())
    }
}

/// Two small nights in a store, made once: `first` of unknown workers, `second` with more members.
pub fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("durable-base");
        drop(fs::remove_dir_all(&place));
        fs::create_dir_all(place.join("runs")).unwrap();
        let scene = Scene { root: place.clone() };
        write_dump("night", &|id| UNRESOLVED.contains(&id), Compression::SNAPPY, &scene.path("first/a.parquet"));
        write_dump(
            "night2",
            &|id| id.starts_with("N2-00") && id != NEW,
            Compression::SNAPPY,
            &scene.path("second/a.parquet"),
        );
        fs::copy(fixture("night2/workers.parquet"), scene.path("second/workers.parquet")).unwrap();
        for name in ["first", "second"] {
            let (code, _, stderr) = run(&mut scene.audit(name, &format!("runs/{name}")));
            assert_eq!(code, 0, "{stderr}");
        }
        place
    })
}

/// The base, in a folder of its own under `root`. Notes in the store name absolute paths, so runs begin there.
pub fn scene(root: &Path) -> Scene {
    copy(base(), root);
    Scene { root: root.to_owned() }
}

/// Leaves the spool of a run that was killed once everything was seen: the same rows as both nights.
pub fn leave_spool(scene: &Scene) {
    write_dump("night", &|id| UNRESOLVED.contains(&id), Compression::UNCOMPRESSED, &scene.path("third/a.parquet"));
    write_dump(
        "night2",
        &|id| ["N2-000", NEW].contains(&id),
        Compression::UNCOMPRESSED,
        &scene.path("third/b.parquet"),
    );
    let spool = scene.path("runs/.third.partial/spool/00000000.batch");
    for at in 1.. {
        killed_at(&mut scene.audit("third", "runs/third"), &scene.root, at);
        if spool.exists() {
            return;
        }
    }
}

/// The faces that were seen in each submission of a spool.
pub fn spooled_faces(spool: &Path) -> BTreeMap<String, Vec<Template>> {
    let mut faces: BTreeMap<String, Vec<Template>> = BTreeMap::new();
    for path in files(spool).into_iter().filter(|path| path.extension().is_some_and(|e| e == "batch")) {
        let batch: Vec<Analysis> = postcard::from_bytes(&fs::read(path).unwrap()[32..]).unwrap();
        for analysis in batch {
            let templates = analysis.faces().iter().filter_map(|face| face.reading.as_ref());
            let id = analysis.facts.submission_id.clone().unwrap();
            faces.entry(id).or_default().extend(templates.map(|reading| reading.template.clone()));
        }
    }
    faces
}

/// Ways in which a template may lie in a file: its master in f16, in f32 and as postcard writes it, and its codes.
fn traces(template: &Template) -> Vec<Vec<u8>> {
    let bits: Vec<u16> = template.master.iter().map(|v| v.to_bits()).collect();
    let codes: Vec<u8> = template.codes.iter().map(|&code| code as u8).collect();
    let biased: Vec<u8> = codes.iter().map(|code| code ^ 0x80).collect();
    let shortest = 32;
    let bits = &bits[..shortest];
    vec![
        bits.iter().flat_map(|v| v.to_le_bytes()).collect(),
        template.master[..shortest].iter().flat_map(|v| v.to_f32().to_le_bytes()).collect(),
        bits.iter().flat_map(|v| postcard::to_stdvec(v).unwrap()).collect(),
        codes[..shortest].to_vec(),
        biased[..shortest].to_vec(),
    ]
}

/// Whether a file has the template's codes as a scan reads them: four at a time, every 64 bytes.
fn is_in_block(bytes: &[u8], template: &Template) -> bool {
    let biased: Vec<u8> = template.codes.iter().map(|&code| code as u8 ^ 0x80).collect();
    bytes.windows(64 * 7 + 4).any(|w| (0..8).all(|k| w[64 * k..64 * k + 4] == biased[4 * k..4 * k + 4]))
}

/// The files below a folder that hold any of these faces.
pub fn holders(folder: &Path, faces: &[Template]) -> Vec<PathBuf> {
    let traces: Vec<Vec<u8>> = faces.iter().flat_map(traces).collect();
    let holds = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        let has = |trace: &Vec<u8>| bytes.windows(trace.len()).any(|window| window == trace);
        traces.iter().any(has) || faces.iter().any(|face| is_in_block(&bytes, face))
    };
    files(folder).into_iter().filter(|path| holds(path)).collect()
}
