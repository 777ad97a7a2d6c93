//! What is fuzzed: one function for each kind of file that comes from outside. Each takes any bytes, may refuse them in any
//! way that returns, and must not panic, hang or take memory without end. `fuzz/` gives the same functions to cargo-fuzz.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use chehra::config::Columns;
use chehra::config::file::File as Configuration;
use chehra::config::options::commands;
use chehra::config::policy::{PhotoLimits, Policy};
use chehra::decisions::Decisions;
use chehra::dump::{Dump, TextColumn, read_texts};
use chehra::gallery::{Gallery, Store};
use chehra::nn::import;
use chehra::photo;
use sha2::{Digest, Sha256};

/// A kind of file.
pub struct Target {
    /// Its name, for people.
    pub name: &'static str,
    /// Bytes that it begins with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads bytes; `folder` is empty before the first call and may be filled.
    pub read: fn(&[u8], folder: &Path),
    /// Checksums made right again after a mutation, so that what lies behind them is reached.
    pub seal: fn(&mut Vec<u8>),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "jpeg", seeds: || photos("jpg"), read: picture, seal: |_| {} },
    Target { name: "png", seeds: || photos("png"), read: picture, seal: |bytes| seal_png(bytes) },
    Target { name: "webp", seeds: || photos("webp"), read: picture, seal: |_| {} },
    Target { name: "dump", seeds: dumps, read: dump, seal: |_| {} },
    Target { name: "table", seeds: tables, read: table, seal: |_| {} },
    Target { name: "manifest", seeds: || of_store("MANIFEST"), read: manifest, seal: seal_manifest },
    Target { name: "export", seeds: || of_store("segments/00000003.parquet"), read: export, seal: |_| {} },
    Target { name: "pictures", seeds: || of_store("segments/00000004.pictures"), read: pictures, seal: |_| {} },
    Target { name: "workers", seeds: || of_store("workers/000000000002.workers"), read: workers, seal: |_| {} },
    Target { name: "decisions", seeds: decision_logs, read: decisions, seal: seal_log },
    Target { name: "configuration", seeds: configurations, read: configuration, seal: |_| {} },
    Target { name: "policy", seeds: policies, read: policy, seal: |_| {} },
    Target { name: "onnx", seeds: || golden("iresnet_plain.onnx"), read: |b, f| network(b, f, "onnx"), seal: |_| {} },
    Target { name: "pickle", seeds: pickles, read: pickle, seal: |_| {} },
    Target {
        name: "pytorch",
        seeds: || golden("iresnet_adaface.pth"),
        read: |b, f| network(b, f, "pth"),
        seal: |_| {},
    },
    Target { name: "safetensors", seeds: safetensors, read: |b, f| network(b, f, "safetensors"), seal: |_| {} },
];

fn fixture(name: &str) -> PathBuf {
    // `fuzz/` is one folder below.
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().map(|folder| folder.join("fixtures")).find(|folder| folder.is_dir()).unwrap().join(name)
}

/// Files of a folder with this ending, in order.
fn files(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(fixture(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == ending));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn photos(ending: &str) -> Vec<Vec<u8>> {
    ["photos/good", "photos/bad"].iter().flat_map(|folder| files(folder, ending)).collect()
}

fn picture(bytes: &[u8], _: &Path) {
    // As the policy's, but for pixels: a mutation may make any picture a large one, and large ones take seconds.
    let limits = PhotoLimits { max_pixels: 1 << 20, max_memory: 64 << 20, ..PhotoLimits::default() };
    let _ = photo::memory(bytes, &limits);
    if let Ok(photo) = photo::decode(bytes, &limits) {
        assert_eq!(photo.rgb.len(), 3 * photo.width * photo.height);
        let camera = photo::Camera::of(bytes, &photo, &photo::Thumbnail::of(&photo));
        let texts = [&camera.make, &camera.model, &camera.software];
        assert!(texts.into_iter().flatten().all(|text| text.chars().count() <= 64));
    }
}

/// Each chunk with the CRC of its bytes.
fn seal_png(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let Some(end) = at.checked_add(8).and_then(|begin| begin.checked_add(length)) else { return };
        if bytes.len() < end + 4 {
            return;
        }
        let crc = crc32fast::hash(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.to_be_bytes());
        at = end + 4;
    }
}

fn dumps() -> Vec<Vec<u8>> {
    files("writers", "parquet")
        .into_iter()
        .chain(files("broken", "parquet"))
        .filter(|bytes| bytes.len() < 1 << 18)
        .collect()
}

fn dump(bytes: &[u8], folder: &Path) {
    let path = folder.join("dump.parquet");
    fs::write(&path, bytes).unwrap();
    let Ok(dump) = Dump::open(&[&path], &Columns::default()) else { return };
    // What a footer says of its rows may be anything.
    for batch in dump.batches(128, 64 << 20, 0).take(100) {
        if batch.is_err() {
            break;
        }
    }
    let _ = dump.survey(0);
    let _ = dump.pick(&[0], 1 << 20, &mut |_| Ok(()));
}

fn tables() -> Vec<Vec<u8>> {
    let csv = b"submission_id,answer,channel\nS-1,yes,sms\n\"S-2\",\"no\",call\nS-3,\"a \"\"b\"\"\",visit\n".to_vec();
    dumps().into_iter().take(3).chain([csv]).collect()
}

/// Small tables of others: booths, targets, replies. The first bytes tell which kind of file it is.
fn table(bytes: &[u8], folder: &Path) {
    let path = folder.join(if bytes.starts_with(b"PAR1") { "t.parquet" } else { "t.csv" });
    fs::write(&path, bytes).unwrap();
    let column = |name: &str, required| TextColumn { name: name.to_owned(), required };
    let _ = read_texts(&path, &[column("submission_id", true), column("answer", false)]);
}

fn of_store(name: &str) -> Vec<Vec<u8>> {
    vec![fs::read(fixture("store-v2").join(name)).unwrap()]
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
        match path.is_dir() {
            true => copy_all(&path, &to.join(name)),
            false => drop(fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

/// Everything that is read of a store, with this file in the place of one of its own.
fn store_with(folder: &Path, name: &str, bytes: &[u8], seal: &dyn Fn(&Path)) {
    let store = folder.join("store");
    let _ = fs::remove_dir_all(&store);
    copy_all(&fixture("store-v2"), &store);
    fs::write(store.join(name), bytes).unwrap();
    seal(&store);
    let Ok(store) = Store::open(&store) else { return };
    let _ = store.stats();
    let _ = store.verify();
    let _ = store.runs();
    if let Ok(gallery) = store.view(None) {
        let _ = gallery.iter().take(100).count();
        let _ = gallery.template(0);
    }
    if let Ok(nights) = store.pictures(None) {
        let _ = nights.take(100).count();
    }
    if let Some((model, _)) =
        store.view(None).ok().and_then(|gallery| gallery.models().first().map(|m| (m.0.clone(), m.1)))
    {
        let _ = store.workers(None, &model);
    }
}

/// The checksum of the body in the first line.
fn seal_manifest(bytes: &mut Vec<u8>) {
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return };
    let sum = hex(&bytes[end + 1..]);
    let (first, body) = bytes.split_at(end);
    let first = String::from_utf8_lossy(first).into_owned();
    let Some(at) = first.find("\"sha256\":\"") else { return };
    let kept = first.get(..at + 10).unwrap_or_default();
    *bytes = [kept.as_bytes(), sum.as_bytes(), b"\"}", body].concat();
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn manifest(bytes: &[u8], folder: &Path) {
    store_with(folder, "MANIFEST", bytes, &|_| {});
}

/// The manifest with the checksum of this file, so that its bytes are read.
fn reseal(store: &Path, name: &str) {
    let old = fs::read(fixture("store-v2").join(name)).unwrap();
    let new = fs::read(store.join(name)).unwrap();
    let path = store.join("MANIFEST");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.replace(&hex(&old), &hex(&new));
    let text = text.replace(&format!("\"bytes\": {},", old.len()), &format!("\"bytes\": {},", new.len()));
    let mut bytes = text.into_bytes();
    seal_manifest(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn pictures(bytes: &[u8], folder: &Path) {
    let name = "segments/00000004.pictures";
    store_with(folder, name, bytes, &|store| reseal(store, name));
}

fn workers(bytes: &[u8], folder: &Path) {
    let name = "workers/000000000002.workers";
    store_with(folder, name, bytes, &|store| reseal(store, name));
}

/// A file of members that somebody hands over.
fn export(bytes: &[u8], folder: &Path) {
    let path = folder.join("members.parquet");
    fs::write(&path, bytes).unwrap();
    let _ = Gallery::from_export(&path);
    let store = folder.join("new");
    let _ = fs::remove_dir_all(&store);
    let Ok(store) = Store::open_or_create(&store) else { return };
    if let Ok(mut writer) = store.begin() {
        let _ = writer.import(&path, &HashSet::new());
    }
}

fn decision_logs() -> Vec<Vec<u8>> {
    use serde_json::json;
    let side = |id: &str| json!({"submission": id, "worker": "W1", "captured_at": 7});
    let entry = |id: &str, who: &str, event: serde_json::Value| {
        let mut entry = json!({"v": 1, "id": id, "at": "2026-11-22T10:00:00.000000Z", "reviewer": who, "run": "r"});
        entry.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        chehra::journal::line(&entry).unwrap()
    };
    let said = |answer: &str| json!({"event": "decide", "a": side("S-1"), "b": side("S-2"), "answer": answer, "why": "queue", "note": "twins"});
    let lines = [
        entry("1", "asha", said("same")),
        entry("2", "ravi", said("different")),
        entry("3", "asha", json!({"event": "undo", "undoes": "1"})),
    ];
    vec![lines.join("").into_bytes()]
}

/// Each line with the sum of what it says.
fn seal_log(bytes: &mut Vec<u8>) {
    let lines = bytes.split(|&byte| byte == b'\n').map(|line| {
        let said = serde_json::from_slice::<serde_json::Value>(line).ok();
        let sealed = said.and_then(|mut said| {
            said.as_object_mut()?.shift_remove("sum");
            chehra::journal::line(&said).ok()
        });
        sealed.map_or_else(|| [line, b"\n"].concat(), String::into_bytes)
    });
    *bytes = lines.collect::<Vec<_>>().concat();
}

fn decisions(bytes: &[u8], folder: &Path) {
    let path = folder.join("decisions.jsonl");
    fs::write(&path, bytes).unwrap();
    if let Ok(found) = Decisions::read(&[path]) {
        let _ = found.settled().count();
    }
}

fn configurations() -> Vec<Vec<u8>> {
    let small = "quiet = true\n[columns]\nselfie = \"image\"\n[audit]\nstore = \"/data/store\"\ncarry = [\"a\", \"b\"]\n[gallery.forget]\nlater = true\n";
    vec![small.as_bytes().to_vec()]
}

fn configuration(bytes: &[u8], folder: &Path) {
    let path = folder.join("chehra.toml");
    fs::write(&path, bytes).unwrap();
    let _ = Configuration::read(&path, &commands(&chehra::cli::command()));
}

fn policies() -> Vec<Vec<u8>> {
    vec![
        Policy::default().to_toml().unwrap().into_bytes(),
        b"[photo]\nmax_bytes = 1000\n[roles]\nmin_recurrences = 3\n".to_vec(),
    ]
}

fn policy(bytes: &[u8], folder: &Path) {
    let path = folder.join("policy.toml");
    fs::write(&path, bytes).unwrap();
    if let Ok(found) = Policy::read(&path) {
        found.to_toml().unwrap();
    }
}

fn golden(name: &str) -> Vec<Vec<u8>> {
    vec![fs::read(fixture("golden").join(name)).unwrap()]
}

fn network(bytes: &[u8], folder: &Path, ending: &str) {
    let path = folder.join(format!("network.{ending}"));
    fs::write(&path, bytes).unwrap();
    let _ = import::read(&path);
}

/// The pickles of PyTorch files.
fn pickles() -> Vec<Vec<u8>> {
    use std::io::Read;
    let read = |name: &str| {
        let mut archive = zip::ZipArchive::new(fs::File::open(fixture("golden").join(name)).unwrap()).unwrap();
        let mut bytes = Vec::new();
        for at in 0..archive.len() {
            let mut entry = archive.by_index(at).unwrap();
            if entry.name().is_ok_and(|name| name.ends_with("data.pkl")) {
                entry.read_to_end(&mut bytes).unwrap();
            }
        }
        bytes
    };
    ["iresnet_adaface.pth", "iresnet_insightface.pth"].iter().map(|name| read(name)).collect()
}

fn pickle(bytes: &[u8], folder: &Path) {
    use std::io::Write;
    let path = folder.join("network.pth");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("archive/data.pkl", stored).unwrap();
    archive.write_all(bytes).unwrap();
    archive.finish().unwrap();
    let _ = import::read(&path);
}

fn safetensors() -> Vec<Vec<u8>> {
    let found = import::read(&fixture("golden").join("iresnet_plain.onnx")).unwrap();
    vec![import::to_safetensors(&found.tensors).unwrap()]
}
