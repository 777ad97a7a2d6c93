//! What a store holds, and whether every byte of it is as it was written.

use std::fs;

use serde::Serialize;

use super::derived::{CODES, GRAPH, Kind, MASTERS, Source};
use super::manifest::{Receipt, Run, Segment, segment_file};
use super::segment::SegmentReader;
use super::store::Store;
use crate::{Error, Result};

/// What a store holds.
#[derive(Debug, Clone, Serialize)]
pub struct Stats {
    /// Number of the last commit.
    pub commit: u64,
    /// Rows that searches find.
    pub live: u64,
    /// Forgotten rows that a segment still holds.
    pub dead: u64,
    /// Runs that added rows.
    pub runs: Vec<Run>,
    /// Live segments.
    pub segments: Vec<SegmentStats>,
    /// What was forgotten.
    pub forgotten: Vec<Receipt>,
}

/// What a segment holds.
#[derive(Debug, Clone, Serialize)]
pub struct SegmentStats {
    /// Its number: the name of its files.
    pub id: u64,
    /// Rows in the file.
    pub rows: u64,
    /// Rows of them that are forgotten.
    pub dead: u64,
    /// Values per template.
    pub dim: usize,
    /// The network that made the templates.
    pub model: String,
    /// Bytes of the Parquet file.
    pub bytes: u64,
    /// Bytes of codes, masters and graph; 0 for what is not there.
    pub derived_bytes: [u64; 3],
    /// What of the Parquet file is wrong at first sight: missing, or of another length.
    pub problem: Option<String>,
}

/// What reading every byte found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verification {
    /// Segments read.
    pub segments: usize,
    /// Rows read.
    pub rows: u64,
    /// What is damaged or missing and must come back from a backup.
    pub damaged: Vec<String>,
    /// Derived files that are missing, stale or damaged: they are rebuilt from their segments when next used, or at
    /// once by [`Store::repair`].
    pub rebuildable: Vec<String>,
}

impl Verification {
    /// Whether no member is in danger.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty()
    }
}

impl Store {
    /// Counts what the store holds, from its manifest and the sizes of its files.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn stats(&self) -> Result<Stats> {
        let manifest = self.manifest()?;
        let length = |id, kind: Kind| fs::metadata(segment_file(self.path(), id, kind.ending)).map_or(0, |m| m.len());
        let segments: Vec<SegmentStats> = manifest
            .segments
            .iter()
            .map(|s| SegmentStats {
                id: s.id,
                rows: s.rows,
                dead: s.tombstones.len() as u64,
                dim: s.dim,
                model: s.model.clone(),
                bytes: s.bytes,
                derived_bytes: [CODES, MASTERS, GRAPH].map(|kind| length(s.id, kind)),
                problem: match fs::metadata(s.path(self.path())) {
                    Ok(found) if found.len() == s.bytes => None,
                    Ok(found) => Some(format!("{} bytes long instead of {}", found.len(), s.bytes)),
                    Err(error) => Some(error.to_string()),
                },
            })
            .collect();
        let dead = segments.iter().map(|s| s.dead).sum();
        let live = segments.iter().map(|s| s.rows).sum::<u64>() - dead;
        let (commit, runs, forgotten) = (manifest.commit, manifest.runs, manifest.forgotten);
        Ok(Stats { commit, live, dead, runs, segments, forgotten })
    }

    /// Reads every byte of every live file. Damage is in the answer; only an unreadable manifest is an error.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn verify(&self) -> Result<Verification> {
        self.verify_with(&mut |_| ())
    }

    /// As [`Store::verify`], telling after each segment how many rows it has.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn verify_with(&self, progress: &mut dyn FnMut(u64)) -> Result<Verification> {
        let manifest = self.manifest()?;
        let mut found = Verification { segments: manifest.segments.len(), ..Verification::default() };
        for segment in &manifest.segments {
            match self.verify_segment(segment) {
                Ok(rebuildable) => {
                    found.rows += segment.rows;
                    found.rebuildable.extend(rebuildable);
                }
                // What the system refuses to read is not known to be damaged.
                Err(error @ Error::Io { .. }) => return Err(error),
                Err(error) => found.damaged.push(error.to_string()),
            }
            progress(segment.rows);
        }
        for file in &manifest.pictures {
            match file.read(self.path()) {
                Ok(_) => {}
                Err(error @ Error::Io { .. }) => return Err(error),
                Err(error) => found.damaged.push(error.to_string()),
            }
        }
        Ok(found)
    }

    /// Checks one segment, and says what is wrong with its derived files.
    fn verify_segment(&self, segment: &Segment) -> Result<Vec<String>> {
        let reader = SegmentReader::new(self.path(), segment);
        reader.facts()?;
        let (codes, masters) = reader.derive()?;
        let source = Source { dim: segment.dim, rows: segment.rows as usize, sha256: &segment.sha256 };
        let expected = [(CODES, Some(codes.bytes())), (MASTERS, Some(masters.bytes())), (GRAPH, None)];
        let mut problems = Vec::new();
        for (kind, expected) in expected {
            let path = segment_file(self.path(), segment.id, kind.ending);
            if expected.is_none() && !path.exists() {
                continue; // a graph is made when first asked for
            }
            let problem = match kind.open(&path, source, true) {
                Ok(bytes) if expected.is_some_and(|e| e != bytes.get()) => {
                    Some("not what its segment gives".to_owned())
                }
                Ok(_) => None,
                Err(problem) => Some(problem),
            };
            problems.extend(problem.map(|p| format!("{}: {p}", path.display())));
        }
        Ok(problems)
    }

    /// Removes the derived files that [`Store::verify`] would call rebuildable, and builds codes and masters anew.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when a segment itself is damaged.
    pub fn repair(&self) -> Result<()> {
        for segment in &self.manifest()?.segments {
            if !self.verify_segment(segment)?.is_empty() {
                for kind in [CODES, MASTERS, GRAPH] {
                    // What cannot be removed is found damaged again and kept out of memory.
                    let _ = fs::remove_file(segment_file(self.path(), segment.id, kind.ending));
                }
                self.forget_part(segment.id);
                self.part(segment)?;
            }
        }
        Ok(())
    }
}
