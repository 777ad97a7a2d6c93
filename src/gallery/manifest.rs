//! The manifest: the one file that says what is in the store.
//!
//! `MANIFEST` has two parts: a first line `{"format":"chehra-store","version":2,"sha256":"..."}`, and a JSON body that
//! the hash covers byte by byte. It is replaced by an atomic rename after everything it names is durable, so a store
//! is always exactly as one manifest says; files that no manifest names are leftovers and are swept.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::{Pending, sync_folder};
use super::member::hex;
use super::pictures::PictureFile;
use crate::{Error, Result};

/// Name of the manifest in a store's folder.
pub(super) const NAME: &str = "MANIFEST";
/// What the first line calls itself.
const FORMAT: &str = "chehra-store";
/// The version written; older ones are read.
pub(super) const VERSION: u32 = 2;

/// One commit's state of a store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
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
    /// What was forgotten.
    pub(super) forgotten: Vec<Receipt>,
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
#[serde(deny_unknown_fields)]
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
    /// Segments that held them.
    pub segments: Vec<u64>,
    /// The commit that wrote those segments anew without them; none as long as some file still holds one.
    pub erased_commit: Option<u64>,
    /// When that was, UTC.
    pub erased_at: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
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
        let found = hex(&Sha256::digest(body));
        if found != header.sha256 {
            return Err(Error::input(&path, "checksum", header.sha256, found, RESTORE));
        }
        let manifest: Manifest = serde_json::from_slice(body)
            .map_err(|e| Error::input(&path, "body", "a manifest", e.to_string(), RESTORE))?;
        Ok(Some(manifest))
    }

    /// Makes this the store's state: durable, and atomic for readers and for a crash.
    pub(super) fn write(&self, store: &Path) -> Result<()> {
        let path = store.join(NAME);
        let mut body = serde_json::to_vec_pretty(self).map_err(|e| Error::bug("writing a manifest", e))?;
        body.push(b'\n');
        let header = Header { format: FORMAT.into(), version: VERSION, sha256: hex(&Sha256::digest(&body)) };
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

    /// Whether a segment or a file of pictures of this number is live.
    pub(super) fn is_live(&self, id: u64) -> bool {
        self.segments.iter().any(|s| s.id == id) || self.pictures.iter().any(|p| p.id == id)
    }
}
