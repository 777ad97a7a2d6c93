//! The manifest: the one file that says what is in the store.
//!
//! `MANIFEST` has two parts: a first line `{"format":"chehra-store","version":3,"requires":[],"sha256":"..."}`, and a JSON
//! body that the hash covers byte by byte. It is replaced by an atomic rename after everything it names is durable, so a
//! store is always exactly as one manifest says; files that no manifest names are leftovers and are swept.
//!
//! The version counts changes of the format as a whole. What is added to it later has a name instead: `requires` lists
//! the features without which the store cannot be read rightly, and a program that does not know one of them refuses the
//! store and says its name. [`RESERVED`] has the names that are planned. A field that this program does not know, of a
//! feature that is not required, is kept as it is (`other`) as long as the file that it describes is kept.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::{Pending, sync_folder};
use super::member::hex;
use crate::{Error, Result};

/// Name of the manifest in a store's folder.
pub(super) const NAME: &str = "MANIFEST";
/// What the first line calls itself.
const FORMAT: &str = "chehra-store";
/// The version written; older ones are read.
pub(super) const VERSION: u32 = 3;
/// The feature that a store with members' answers requires.
pub(super) const ANSWERS_FEATURE: &str = "answers";
/// Features that this program reads and writes.
const FEATURES: &[&str] = &[ANSWERS_FEATURE];
/// Names of features to come: files that a key of the store encrypts, templates from which a fixed centre was taken, the
/// arithmetic that made a segment's templates. Their fields are `keys`, `centres` and `precisions` of the manifest, and
/// `key`, `centre` and `precision` of a file. No other feature may take these names.
pub(super) const RESERVED: [&str; 3] = ["encryption", "centre", "precision"];

/// Fields that this program does not know.
pub(super) type Other = serde_json::Map<String, serde_json::Value>;

/// One commit's state of a store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version it was read from; [`VERSION`] is what is written.
    #[serde(skip)]
    pub(super) version: u32,
    /// Number of the last commit, from 1; 0 is a new store.
    pub(super) commit: u64,
    /// Number that the next segment gets. Never given twice.
    pub(super) next_segment: u64,
    /// Audit runs that added rows, oldest first.
    pub(super) runs: Vec<Run>,
    /// Live segments, in row order.
    pub(super) segments: Vec<Segment>,
    /// Pictures of the runs, oldest first; since version 2.
    #[serde(default)]
    pub(super) pictures: Vec<PictureFile>,
    /// Workers as they were known after a run, oldest first; since version 3.
    #[serde(default)]
    pub(super) workers: Vec<WorkersFile>,
    /// What members answered; a store that has it requires the feature `answers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answers: Option<AnswersFile>,
    /// The curves that nights were judged with, one for each model; what does not know them leaves them behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) curves: Vec<CurveFile>,
    /// What was forgotten.
    pub(super) forgotten: Vec<Receipt>,
    /// Who consented anew after that; since version 3.
    #[serde(default)]
    pub(super) renewed: Vec<Renewal>,
    /// Fields of later versions.
    #[serde(flatten)]
    pub(super) other: Other,
}

/// An audit run that added rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Identifies the run; adding it again adds nothing.
    pub key: String,
    /// The commit that added it.
    pub commit: u64,
    /// Rows it added.
    pub rows: u64,
    /// When, UTC.
    pub at: String,
}

/// An immutable file of templates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) id: u64,
    pub(super) rows: u64,
    pub(super) dim: usize,
    pub(super) model: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// Of the Parquet footer.
    pub(super) footer_sha256: String,
    /// Of the bytes of the columns of facts.
    pub(super) facts_sha256: String,
    /// Forgotten rows that the file still holds, ascending.
    pub(super) tombstones: Vec<u32>,
    /// Fields of later versions.
    #[serde(flatten)]
    pub(super) other: Other,
}

/// The file of answers as the manifest names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AnswersFile {
    /// Its number, from the same count as the segments'.
    pub(super) id: u64,
    /// Answers in it.
    pub(super) answers: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// Fields of later versions.
    #[serde(flatten)]
    pub(super) other: Other,
}

/// A file of a curve as the manifest names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CurveFile {
    /// Its number, from the same count as the segments'.
    pub(super) id: u64,
    /// The commit of the run that left it.
    pub(super) commit: u64,
    /// The network of the templates.
    pub(super) model: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// Fields of later versions.
    #[serde(flatten)]
    pub(super) other: Other,
}

/// A file of workers as the manifest names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct WorkersFile {
    /// Its number, from the same count as the segments'.
    pub(super) id: u64,
    /// The commit of the run that left it.
    pub(super) commit: u64,
    /// Workers in it.
    pub(super) workers: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// Fields of later versions.
    #[serde(flatten)]
    pub(super) other: Other,
}

/// A file of pictures as the manifest names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PictureFile {
    /// Its number, from the same count as the segments'.
    pub(super) id: u64,
    /// The commit of the run that left it.
    pub(super) commit: u64,
    /// Pictures in it.
    pub(super) pictures: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// Fields of later versions.
    #[serde(flatten)]
    pub(super) other: Other,
}

/// Says that members were forgotten: what, when and where; never a template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// When they were tombstoned, UTC.
    pub at: String,
    /// The commit since which no search finds them.
    pub commit: u64,
    /// Their submission ids.
    pub submission_ids: Vec<String>,
    /// Rows tombstoned: one id may have several.
    pub rows: u64,
    /// Numbers of the files that held them.
    pub segments: Vec<u64>,
    /// The commit that found no file left that holds one; none until then.
    pub erased_commit: Option<u64>,
    /// When that was, UTC.
    pub erased_at: Option<String>,
}

/// Says that members who were forgotten consented anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    /// When, UTC.
    pub at: String,
    /// The commit since which their submissions are taken again.
    pub commit: u64,
    /// Their submission ids.
    pub submission_ids: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    /// Features without which the store cannot be read rightly; since version 3.
    #[serde(default)]
    requires: Vec<String>,
    sha256: String,
}

impl Segment {
    /// The Parquet file, below a store's folder.
    pub(super) fn path(&self, store: &Path) -> PathBuf {
        segment_file(store, self.id, "parquet")
    }
}

/// Folder of the segments.
pub(super) fn segments_folder(store: &Path) -> PathBuf {
    store.join("segments")
}

/// A file of a segment.
pub(super) fn segment_file(store: &Path, id: u64, ending: &str) -> PathBuf {
    segments_folder(store).join(format!("{id:08}.{ending}"))
}

/// The time now as manifests write it.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

const RESTORE: &str =
    "restore the store from a backup; do not delete the file, the segments beside it are of no use alone";

impl Manifest {
    /// Of an empty store.
    pub(super) fn empty() -> Manifest {
        Manifest { version: VERSION, next_segment: 1, ..Manifest::default() }
    }

    /// Reads a store's manifest; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Input`] when it is damaged, of another program or of a later version.
    pub(super) fn read(store: &Path) -> Result<Option<Manifest>> {
        let path = store.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read", &path)(e)),
        };
        let foreign = |found: String| Error::input(&path, "first line", "a chehra store's manifest", found, RESTORE);
        let end = bytes.iter().position(|&b| b == b'\n').ok_or_else(|| foreign("no whole line".into()))?;
        let (line, body) = (&bytes[..end], &bytes[end + 1..]);
        let header: Header = serde_json::from_slice(line).map_err(|e| foreign(e.to_string()))?;
        if header.format != FORMAT {
            return Err(foreign(format!("format '{}'", header.format)));
        }
        if header.version == 0 || header.version > VERSION {
            let fix = "use the chehra that wrote the store, or a later one";
            let expected = format!("version 1 to {VERSION}");
            return Err(Error::input(&path, "version", expected, header.version.to_string(), fix));
        }
        if let Some(feature) = header.requires.iter().find(|name| !FEATURES.contains(&name.as_str())) {
            let fix = "use the chehra that wrote the store, or a later one; this one would read it wrongly";
            let expected = match RESERVED.contains(&feature.as_str()) {
                true => "a store without this feature, which later versions have",
                false => "features that this version knows",
            };
            return Err(Error::input(&path, "requires", expected, feature.clone(), fix));
        }
        let found = hex(&Sha256::digest(body));
        if found != header.sha256 {
            return Err(Error::input(&path, "checksum", header.sha256, found, RESTORE));
        }
        let mut manifest: Manifest = serde_json::from_slice(body)
            .map_err(|e| Error::input(&path, "body", "a manifest", e.to_string(), RESTORE))?;
        manifest.version = header.version;
        Ok(Some(manifest))
    }

    /// Makes this the store's state: durable, and atomic for readers and for a crash.
    pub(super) fn write(&self, store: &Path) -> Result<()> {
        let path = store.join(NAME);
        let mut body = serde_json::to_vec_pretty(self).map_err(|e| Error::bug("writing a manifest", e))?;
        body.push(b'\n');
        let sha256 = hex(&Sha256::digest(&body));
        let requires = self.answers.iter().map(|_| ANSWERS_FEATURE.to_owned()).collect();
        let header = Header { format: FORMAT.into(), version: VERSION, requires, sha256 };
        let mut text = serde_json::to_vec(&header).map_err(|e| Error::bug("writing a manifest", e))?;
        text.push(b'\n');
        text.extend(body);
        let mut pending = Pending::create(&path)?;
        pending.write_all(&text).map_err(Error::io("write", &path))?;
        super::failpoint::reach("manifest-written");
        pending.commit()?;
        super::failpoint::reach("manifest-renamed");
        sync_folder(store)
    }

    /// The run of this key.
    pub(super) fn run(&self, key: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.key == key)
    }

    /// Whether a file of this number is live: a segment, pictures, workers, answers, or a curve.
    pub(super) fn is_live(&self, id: u64) -> bool {
        self.segments.iter().any(|s| s.id == id)
            || self.pictures.iter().any(|p| p.id == id)
            || self.workers.iter().any(|w| w.id == id)
            || self.answers.iter().any(|a| a.id == id)
            || self.curves.iter().any(|curve| curve.id == id)
    }

    /// The submissions that were forgotten and whose consent was not given anew since: none of them may come in.
    pub(super) fn erased(&self) -> HashSet<&str> {
        let renewed: HashMap<&str, u64> =
            self.renewed.iter().flat_map(|r| r.submission_ids.iter().map(|id| (id.as_str(), r.commit))).collect();
        let forgotten = self.forgotten.iter().flat_map(|r| r.submission_ids.iter().map(|id| (id.as_str(), r.commit)));
        forgotten
            .filter(|(id, commit)| renewed.get(id).is_none_or(|renewal| renewal < commit))
            .map(|(id, _)| id)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A manifest file of this first line's fields and body.
    fn write(store: &Path, version: u32, requires: &[&str], body: &str) {
        let header = serde_json::json!({
            "format": FORMAT, "version": version, "requires": requires, "sha256": hex(&Sha256::digest(body)),
        });
        fs::write(store.join(NAME), format!("{header}\n{body}")).unwrap();
    }

    #[test]
    fn a_feature_that_is_not_known_is_refused_by_its_name() {
        let temp = tempfile::tempdir().unwrap();
        for feature in RESERVED {
            write(temp.path(), VERSION, &[feature], "not even JSON");
            let error = Manifest::read(temp.path()).unwrap_err().to_string();
            assert!(error.contains(feature) && error.contains("a later one"), "{error}");
        }
        write(temp.path(), VERSION + 1, &[], "{}");
        assert!(Manifest::read(temp.path()).unwrap_err().to_string().contains("version 1 to 3"));
    }

    #[test]
    fn fields_of_features_that_are_not_required_are_kept() {
        let temp = tempfile::tempdir().unwrap();
        let segment = r#"{"id":1,"rows":1,"dim":2,"model":"m","bytes":3,"sha256":"","footer_sha256":"",
            "facts_sha256":"","tombstones":[],"shade":[1,2]}"#;
        let body =
            format!(r#"{{"commit":1,"next_segment":2,"runs":[],"segments":[{segment}],"forgotten":[],"hue":"blue"}}"#);
        write(temp.path(), VERSION, &[], &body);
        let manifest = Manifest::read(temp.path()).unwrap().unwrap();
        manifest.write(temp.path()).unwrap();
        let again = Manifest::read(temp.path()).unwrap().unwrap();
        assert_eq!(manifest, again);
        assert_eq!((&again.other["hue"], &again.segments[0].other["shade"]), (&"blue".into(), &[1, 2].into()));
    }

    #[test]
    fn an_id_is_erased_from_its_last_forgetting_to_the_next_renewal() {
        let receipt = |commit, id: &str| Receipt {
            at: String::new(),
            commit,
            submission_ids: vec![id.to_owned()],
            rows: 1,
            segments: Vec::new(),
            erased_commit: None,
            erased_at: None,
        };
        let renewal = |commit, id: &str| Renewal { at: String::new(), commit, submission_ids: vec![id.to_owned()] };
        let mut manifest = Manifest { forgotten: vec![receipt(2, "a"), receipt(2, "b")], ..Manifest::empty() };
        assert_eq!(manifest.erased(), HashSet::from(["a", "b"]));
        manifest.renewed.push(renewal(3, "a"));
        assert_eq!(manifest.erased(), HashSet::from(["b"]));
        manifest.forgotten.push(receipt(4, "a"));
        assert_eq!(manifest.erased(), HashSet::from(["a", "b"]));
    }
}
