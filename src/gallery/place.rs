//! Where a segment and what is derived from it lie.

use std::path::{Path, PathBuf};

use super::derived::{MASTERS, Masters, Source};
use super::files::remove_if_there;
use super::manifest::{Manifest, Segment, segment_file};
use super::segment::SegmentReader;
use crate::Result;

/// Where a segment's files lie.
#[derive(Debug, Clone)]
pub(super) struct SegmentFiles {
    pub(super) store: PathBuf,
    pub(super) segment: Segment,
}

impl SegmentFiles {
    pub(super) fn path(&self, ending: &str) -> PathBuf {
        segment_file(&self.store, self.segment.id, ending)
    }

    pub(super) fn source(&self) -> Source<'_> {
        Source { dim: self.segment.dim, rows: self.segment.rows as usize, sha256: &self.segment.sha256 }
    }

    /// After derived files were written: removes them again if a writer has replaced their segment meanwhile, for it has
    /// swept already, and they hold what it erased.
    pub(super) fn keep(&self, derived: &[&Path], written: Result<()>) -> Result<()> {
        written?;
        let is_live = Manifest::read(&self.store)?.is_some_and(|manifest| manifest.is_live(self.segment.id));
        if is_live {
            return Ok(());
        }
        derived.iter().try_for_each(|path| remove_if_there(path))
    }

    /// Makes the file of masters anew from the segment; in memory if the folder cannot be written.
    pub(super) fn masters_anew(&self) -> Result<Masters> {
        let (_, masters) = SegmentReader::new(&self.store, &self.segment).derive()?;
        let path = self.path(MASTERS.ending);
        if let Err(error) = self.keep(&[&path], MASTERS.write(&path, self.source(), &[masters.bytes()])) {
            log::warn!("masters stay in memory: {error}");
            return Ok(masters);
        }
        Ok(Masters::open(&path, self.source()).unwrap_or(masters))
    }
}
