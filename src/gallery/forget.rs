//! Forgetting members, and compaction, which erases them from the disk.
//!
//! `forget` tombstones at once: from its commit on no search finds the rows, and no run or import brings the submission
//! in again unless its consent is given anew. In the same commit it writes anew what was kept of pictures and of workers'
//! faces; then it erases the submission from spools of runs that have not ended. Templates lie in the segments until
//! compaction writes those anew and removes the old files and all that was derived from them. A receipt records both
//! steps; the second only after every old file is gone, within the store and outside. Receipts are in the manifest, and
//! as files of their own in `receipts/`. What a disk or a backup keeps of removed files is beyond a store's reach.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::mem;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::failpoint;
use super::files::{Pending, create_private_folder, sync_folder};
use super::layout::receipts_folder;
use super::manifest::{Manifest, Receipt, Segment, now};
use super::segment::{MAX_ROWS, SegmentReader};
use super::store::{Store, Writer};
use crate::infer::ModelId;
use crate::{Error, Result};

/// What forgetting came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forgotten {
    /// The receipt; none when no row was left to forget.
    pub receipt: Option<Receipt>,
    /// Ids that no live row has, but that an earlier receipt names.
    pub before: Vec<String>,
    /// Ids that were never in the store.
    pub unknown: Vec<String>,
    /// What could not be erased yet, and what to do; the receipt stays open until it is.
    pub left: Vec<String>,
}

/// Which segments compaction writes anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompactPolicy {
    /// Neighbouring segments of one model below this many rows are merged.
    pub small: u64,
    /// A segment is written anew when more than this share of its rows is forgotten. 0 erases every forgotten row.
    pub dead_share: f64,
}

impl Default for CompactPolicy {
    fn default() -> Self {
        CompactPolicy { small: (MAX_ROWS / 2) as u64, dead_share: 0.0 }
    }
}

/// What compaction came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Compaction {
    /// Segments before.
    pub segments_before: usize,
    /// Segments after.
    pub segments_after: usize,
    /// Rows erased.
    pub rows_erased: u64,
    /// Bytes of segment files before and after.
    pub bytes: [u64; 2],
    /// What of forgotten members could not be erased yet, and what to do.
    pub left: Vec<String>,
}

impl Store {
    /// The file of a receipt: what a member who asked to be forgotten, or an auditor, can be shown.
    pub fn receipt_path(&self, receipt: &Receipt) -> PathBuf {
        receipts_folder(self.path()).join(format!("{:08}.json", receipt.commit))
    }
}

impl Receipt {
    /// What stands in its file.
    pub(super) fn text(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self).map_err(|e| Error::bug("writing a receipt", e))? + "\n")
    }
}

impl Writer<'_> {
    /// The receipt of a commit that forgot members, as it stands now.
    pub fn receipt(&self, commit: u64) -> Option<&Receipt> {
        self.manifest.forgotten.iter().find(|receipt| receipt.commit == commit)
    }

    /// Tombstones every live row of these submissions and erases what was kept of their pictures and among the workers'
    /// faces, in one commit; then erases them from spools. A submission that only an unfinished run knows is forgotten as
    /// well: the run will not enrol it.
    ///
    /// # Errors
    /// [`Error::Input`] when a segment is damaged; [`Error::Io`] when the disk refuses. The store is then as it was.
    pub fn forget(&mut self, submission_ids: &[String]) -> Result<Forgotten> {
        let wanted: HashSet<&str> = submission_ids.iter().map(String::as_str).collect();
        let mut found = BTreeSet::new();
        let mut next = self.manifest.clone();
        let (mut rows, mut segments) = (0, Vec::new());
        for segment in &mut next.segments {
            let part = self.store.part(segment)?;
            let dead: HashSet<u32> = segment.tombstones.iter().copied().collect();
            let matching = (0..part.rows()).filter(|&row| wanted.contains(part.facts.submission_id(row)));
            let fresh: Vec<u32> = matching.map(|row| row as u32).filter(|row| !dead.contains(row)).collect();
            if fresh.is_empty() {
                continue;
            }
            found.extend(fresh.iter().map(|&row| part.facts.submission_id(row as usize).to_owned()));
            rows += fresh.len() as u64;
            segments.push(segment.id);
            segment.tombstones.extend(fresh);
            segment.tombstones.sort_unstable();
        }
        let (pictured, old_pictures) = self.forget_pictures(&mut next, &wanted)?;
        let (remembered, old_workers) = self.forget_in_workers(&mut next, &wanted)?;
        let (answered, old_answers) = self.forget_in_answers(&mut next, &wanted)?;
        segments.extend(old_pictures.iter().chain(&old_workers).chain(&old_answers));
        found.extend(pictured.into_iter().chain(remembered).chain(answered).chain(self.store.spooled(&wanted)?));
        let absent: BTreeSet<&String> = submission_ids.iter().filter(|id| !found.contains(*id)).collect();
        let named = |id: &&String| self.manifest.forgotten.iter().any(|receipt| receipt.submission_ids.contains(id));
        let (before, unknown) = absent.into_iter().cloned().partition(|id| named(&id));
        if found.is_empty() && segments.is_empty() {
            return Ok(Forgotten { receipt: None, before, unknown, left: Vec::new() });
        }
        next.commit += 1;
        let commit = next.commit;
        // Faces of unknown submissions may go although none of the ids is known; that alone has no receipt.
        if !found.is_empty() {
            let submission_ids = found.into_iter().collect();
            let (erased_commit, erased_at) = (None, None);
            next.forgotten.push(Receipt {
                at: now(),
                commit,
                submission_ids,
                rows,
                segments,
                erased_commit,
                erased_at,
            });
        }
        self.commit(next)?;
        self.sweep()?;
        failpoint::reach("forgotten-swept");
        let left = self.settle_receipts()?;
        self.write_receipts()?;
        Ok(Forgotten { receipt: self.receipt(commit).cloned(), before, unknown, left })
    }

    /// Writes the receipts as files of their own, to be handed on, where they are missing or say something else than
    /// the manifest, which is the record.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub(super) fn write_receipts(&self) -> Result<()> {
        if self.manifest.forgotten.is_empty() {
            return Ok(());
        }
        let folder = receipts_folder(self.store.path());
        create_private_folder(&folder)?;
        let mut changed = false;
        for receipt in &self.manifest.forgotten {
            let path = self.store.receipt_path(receipt);
            let text = receipt.text()?;
            if fs::read(&path).is_ok_and(|known| known == text.as_bytes()) {
                continue;
            }
            let mut file = Pending::create(&path)?;
            file.write_all(text.as_bytes()).map_err(Error::io("write", &path))?;
            file.commit()?;
            changed = true;
        }
        if changed { sync_folder(&folder) } else { Ok(()) }
    }

    /// Writes segments anew: small neighbours as one, and those with forgotten rows without them; then removes the
    /// old files. Rows keep their order, their runs and their commits.
    ///
    /// # Errors
    /// [`Error::Input`] when a segment is damaged: it is then left alone for `verify` and a backup, and nothing is lost.
    pub fn compact(&mut self, policy: &CompactPolicy) -> Result<Compaction> {
        let bytes = |manifest: &Manifest| manifest.segments.iter().map(|s| s.bytes).sum::<u64>();
        let dead = |manifest: &Manifest| manifest.segments.iter().map(|s| s.tombstones.len() as u64).sum::<u64>();
        let mut next = self.manifest.clone();
        let mut report = Compaction { segments_before: next.segments.len(), ..Compaction::default() };
        report.bytes[0] = bytes(&next);
        let before = dead(&next);
        let groups = groups(mem::take(&mut next.segments), policy);
        let mut changed = false;
        for group in groups {
            match group {
                Group::Keep(segment) => next.segments.push(segment),
                Group::Rewrite(segments) => {
                    self.rewrite(&mut next, &segments)?;
                    changed = true;
                }
            }
        }
        report.rows_erased = before - dead(&next);
        if changed {
            next.commit += 1;
            self.commit(next)?;
            self.sweep()?;
            failpoint::reach("compaction-swept");
        }
        report.left = self.settle_receipts()?;
        self.write_receipts()?;
        report.segments_after = self.manifest.segments.len();
        report.bytes[1] = bytes(&self.manifest);
        Ok(report)
    }

    /// Writes the live rows of some segments as one; none if there are none.
    fn rewrite(&self, next: &mut Manifest, segments: &[Segment]) -> Result<()> {
        let Some(first) = segments.first() else { return Ok(()) };
        let live: u64 = segments.iter().map(|s| s.rows - s.tombstones.len() as u64).sum();
        let mut sources = Vec::new();
        for segment in segments {
            // A damaged template must not be copied into a file with a good hash: `templates` checks the whole file.
            sources.push((segment, self.store.part(segment)?, SegmentReader::new(self.store.path(), segment)));
        }
        if live == 0 {
            return Ok(());
        }
        let mut streams = Vec::new();
        for (segment, part, reader) in &sources {
            let live = move |row: &usize| segment.tombstones.binary_search(&(*row as u32)).is_err();
            let rows = reader.templates()?.enumerate().filter(move |(row, _)| live(row));
            streams.push(rows.map(move |(row, template)| Ok((part.facts.row(row), template?))));
        }
        let model = ModelId(first.model.clone());
        self.write_segment(next, (&model, first.dim, live as usize), streams.into_iter().flatten())?;
        let written = next.segments.last().map_or(0, |s| s.rows);
        if written != live {
            return Err(Error::bug("compacting", format!("{written} rows written of {live}")));
        }
        Ok(())
    }

    /// Marks as erased what is in no file any more, having erased it outside; says what could not be erased there.
    /// Called after a sweep.
    pub(super) fn settle_receipts(&mut self) -> Result<Vec<String>> {
        if self.manifest.forgotten.iter().all(|receipt| receipt.erased_commit.is_some()) {
            return Ok(Vec::new());
        }
        let left = self.erase_outside()?;
        let mut next = self.manifest.clone();
        let (commit, at) = (next.commit + 1, now());
        let mut changed = false;
        for receipt in next.forgotten.iter_mut().filter(|r| r.erased_commit.is_none() && left.is_empty()) {
            if !receipt.segments.iter().any(|&id| self.manifest.is_live(id)) {
                (receipt.erased_commit, receipt.erased_at) = (Some(commit), Some(at.clone()));
                changed = true;
            }
        }
        if changed {
            next.commit = commit;
            self.commit(next)?;
        }
        Ok(left)
    }
}

/// What becomes of a segment.
enum Group {
    Keep(Segment),
    Rewrite(Vec<Segment>),
}

/// Cuts the segments, in their order, into those that stay and groups that become one each.
fn groups(segments: Vec<Segment>, policy: &CompactPolicy) -> Vec<Group> {
    let mut done: Vec<Group> = Vec::new();
    // Where the group of a model that still grows stands in `done`.
    let mut open: HashMap<(String, usize), usize> = HashMap::new();
    for segment in segments {
        let key = (segment.model.clone(), segment.dim);
        let live = segment.rows - segment.tombstones.len() as u64;
        let dead = segment.tombstones.len() as f64 > policy.dead_share * segment.rows as f64;
        if live >= policy.small && !dead {
            open.remove(&key);
            done.push(Group::Keep(segment));
            continue;
        }
        let rows = |group: &Group| match group {
            Group::Rewrite(segments) => segments.iter().map(|s| s.rows - s.tombstones.len() as u64).sum::<u64>(),
            Group::Keep(_) => 0,
        };
        match open.get(&key).filter(|&&at| rows(&done[at]) + live <= MAX_ROWS as u64) {
            Some(&at) => {
                if let Group::Rewrite(segments) = &mut done[at] {
                    segments.push(segment);
                }
            }
            None => {
                open.insert(key, done.len());
                done.push(Group::Rewrite(vec![segment]));
            }
        }
    }
    // A lone segment without forgotten rows would be written as it is.
    let lone = |group| match group {
        Group::Rewrite(mut segments) if segments.len() == 1 && segments[0].tombstones.is_empty() => {
            segments.pop().map_or(Group::Rewrite(Vec::new()), Group::Keep)
        }
        other => other,
    };
    done.into_iter().map(lone).collect()
}
