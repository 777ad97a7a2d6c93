//! A file of a dump as its path tells: which names belong to one, and which columns folders tell.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The table of workers beside a dump.
pub const WORKERS_FILE: &str = "workers.parquet";
/// The true answers beside a synthetic dump.
pub const TRUTH_FILE: &str = "truth.parquet";

/// What `key=value` folders say: (key, value), a null one `None`.
pub type Partitions = Vec<(String, Option<String>)>;

/// One file of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpFile {
    /// Where it is.
    pub path: PathBuf,
    /// The folder that was asked for and in which it was found: `key=value` folders below it are partition columns.
    pub root: Option<PathBuf>,
}

impl DumpFile {
    /// What the `key=value` folders on the way to the file say, as Hive and Spark lay partitions out: those below the folder
    /// that was asked for, and those right above it, which somebody has who names a single partition.
    pub fn partitions(&self) -> Partitions {
        let parse = |folder: &OsStr| {
            let (key, value) = folder.to_str()?.split_once('=')?;
            let value = percent_decoded(value);
            let null = value.is_empty() || value == "__HIVE_DEFAULT_PARTITION__";
            Some((percent_decoded(key), (!null).then_some(value)))
        };
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let (above, below) = match self.root.as_ref().and_then(|root| Some((root, folder.strip_prefix(root).ok()?))) {
            Some((root, below)) => (root.as_path(), below),
            None => (folder, Path::new("")),
        };
        let mut found: Vec<_> = above.iter().rev().map_while(parse).collect();
        found.reverse();
        found.extend(below.iter().filter_map(parse));
        found
    }
}

/// `%41` -> `A`; anything else stays. What some writers escaped twice (`%2520`) is decoded twice.
fn percent_decoded(text: &str) -> String {
    let once = percent_decoded_once(text);
    if once == text { once } else { percent_decoded_once(&once) }
}

pub(super) fn percent_decoded_once(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|hex| bytes[at] == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        let byte = hex.and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether a file found by looking (not named outright) belongs to the dump.
pub(super) fn belongs(name: &str) -> bool {
    let extension = Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet"));
    extension && !is_hidden(name) && name != WORKERS_FILE && name != TRUTH_FILE
}

pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_tell_columns() {
        let file = |path: &str| DumpFile { path: path.into(), root: Some("in/x=1".into()) };
        let folders = file("in/x=1/district=North%20Goa/worker_id=/d=__HIVE_DEFAULT_PARTITION__/p").partitions();
        let expected = [("x", Some("1")), ("district", Some("North Goa")), ("worker_id", None), ("d", None)];
        let expected: Vec<_> = expected.iter().map(|(k, v)| (k.to_string(), v.map(str::to_owned))).collect();
        assert_eq!(folders, expected);
        assert_eq!(percent_decoded("100%/%zz%4%+1"), "100%/%zz%4%+1");
        assert_eq!(percent_decoded("North%2520Goa"), "North Goa");
    }
}
