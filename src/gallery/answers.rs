//! What members answered, kept from night to night.
//!
//! One file, named by the manifest like a segment, holds the last answer of each membership and channel; a commit that brings
//! new ones writes it anew. It has submission ids and answers, no number and no template. Forgetting a submission writes it
//! without that submission, in the same commit. A program that does not know the file would leave it alone when it forgets,
//! so a store that has one requires the feature [`super::manifest::ANSWERS_FEATURE`].

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::Pending;
use super::layout::ANSWERS;
use super::manifest::{AnswersFile, Manifest, Other, segment_file};
use super::member::hex;
use super::store::{Store, Writer};
use crate::replies::{Answer, Channel};
use crate::{Error, Result};

/// What a file begins with: kind and version.
const MAGIC: &[u8; 16] = b"chehra answers 1";

/// An answer that the store keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// The membership.
    pub submission_id: String,
    /// How it was asked.
    pub channel: Channel,
    /// What was answered.
    pub answer: Answer,
    /// When, microseconds since 1970-01-01T00:00:00Z.
    pub at: Option<i64>,
    /// The commit that brought it.
    pub commit: u64,
}

impl AnswersFile {
    fn path(&self, store: &Path) -> PathBuf {
        segment_file(store, self.id, ANSWERS)
    }

    /// Reads it whole.
    ///
    /// # Errors
    /// [`Error::Input`] when it is missing or not as it was written.
    pub(super) fn read(&self, store: &Path) -> Result<Vec<StoredAnswer>> {
        let path = self.path(store);
        let refuse = |expected: &str, found: String| {
            Error::input(&path, "members' answers", expected, found, "restore the file from a backup")
        };
        let bytes = fs::read(&path).map_err(|e| refuse("a file", e.to_string()))?;
        let found = hex(&Sha256::digest(&bytes));
        if found != self.sha256 {
            return Err(refuse(&self.sha256, found));
        }
        let other = || refuse("answers of version 1", "another kind of file, or a later version".into());
        let body = bytes.strip_prefix(MAGIC).ok_or_else(other)?;
        postcard::from_bytes(body).map_err(|e| refuse("answers of version 1", e.to_string()))
    }
}

impl Store {
    /// The answers that are kept; for a run that was added before, those that were there before it.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is damaged or of a later version.
    pub fn answers(&self, as_seen_by: Option<&str>) -> Result<Vec<StoredAnswer>> {
        let mut manifest = self.manifest()?;
        loop {
            let before = as_seen_by.and_then(|key| manifest.run(key)).map_or(u64::MAX, |run| run.commit);
            match manifest.answers.as_ref().map(|file| file.read(self.path())).transpose() {
                Ok(kept) => return Ok(kept.into_iter().flatten().filter(|kept| kept.commit < before).collect()),
                Err(error) => manifest = self.newer_than(&manifest, error)?,
            }
        }
    }
}

impl Writer<'_> {
    /// Keeps answers, but for those of forgotten members; one takes the place of an earlier one of the same membership and
    /// channel. Answers that are there already change nothing.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is damaged; [`Error::Io`] when the disk refuses. The store is then as it was.
    pub fn keep_answers(&mut self, new: &[StoredAnswer]) -> Result<()> {
        let old = self.manifest.answers.as_ref().map(|file| file.read(self.store.path())).transpose()?;
        let key = |answer: &StoredAnswer| (answer.submission_id.clone(), answer.channel);
        let mut kept: BTreeMap<(String, Channel), StoredAnswer> =
            old.into_iter().flatten().map(|answer| (key(&answer), answer)).collect();
        let mut next = self.manifest.clone();
        next.commit += 1;
        let erased = next.erased();
        let mut changed = false;
        for answer in new.iter().filter(|answer| !erased.contains(answer.submission_id.as_str())) {
            let answer = StoredAnswer { commit: next.commit, ..answer.clone() };
            let same = |old: &StoredAnswer| old.answer == answer.answer && old.at == answer.at;
            if !kept.get(&key(&answer)).is_some_and(same) {
                kept.insert(key(&answer), answer);
                changed = true;
            }
        }
        if !changed {
            return Ok(());
        }
        drop(erased);
        self.write_answers(&mut next, &kept.into_values().collect::<Vec<_>>())?;
        self.commit(next)?;
        self.sweep()
    }

    fn write_answers(&self, next: &mut Manifest, answers: &[StoredAnswer]) -> Result<()> {
        let id = next.next_segment;
        next.next_segment += 1;
        let path = segment_file(self.store.path(), id, ANSWERS);
        let body = postcard::to_stdvec(answers).map_err(|e| Error::bug("keeping members' answers", e))?;
        let mut pending = Pending::create(&path)?;
        pending.write_all(MAGIC).and_then(|()| pending.write_all(&body)).map_err(Error::io("write", &path))?;
        let written = pending.commit()?;
        let (answers, bytes, sha256) = (answers.len() as u64, written.bytes, written.sha256);
        next.answers = Some(AnswersFile { id, answers, bytes, sha256, other: Other::new() });
        Ok(())
    }

    /// Writes the file anew without these submissions, if it holds any of them; gives the ids that were found and the number
    /// of the file that is no more.
    pub(super) fn forget_in_answers(
        &self,
        next: &mut Manifest,
        submission_ids: &HashSet<&str>,
    ) -> Result<(HashSet<String>, Option<u64>)> {
        let Some(file) = next.answers.take() else { return Ok(Default::default()) };
        let (gone, stay): (Vec<StoredAnswer>, Vec<StoredAnswer>) = file
            .read(self.store.path())?
            .into_iter()
            .partition(|answer| submission_ids.contains(answer.submission_id.as_str()));
        if gone.is_empty() {
            next.answers = Some(file);
            return Ok(Default::default());
        }
        if !stay.is_empty() {
            self.write_answers(next, &stay)?;
        }
        Ok((gone.into_iter().map(|answer| answer.submission_id).collect(), Some(file.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(id: &str, answer: Answer) -> StoredAnswer {
        StoredAnswer { submission_id: id.into(), channel: Channel::Sms, answer, at: Some(7), commit: 0 }
    }

    #[test]
    fn answers_stay_until_their_member_is_forgotten() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(temp.path().join("store")).unwrap();
        let mut writer = store.begin_in_turn().unwrap();
        writer.keep_answers(&[said("a", Answer::Silent), said("b", Answer::Denied)]).unwrap();
        writer.keep_answers(&[said("a", Answer::Confirmed)]).unwrap();
        drop(writer);
        let kept = store.answers(None).unwrap();
        let shown: Vec<(&str, Answer, u64)> =
            kept.iter().map(|kept| (kept.submission_id.as_str(), kept.answer, kept.commit)).collect();
        assert_eq!(shown, [("a", Answer::Confirmed, 2), ("b", Answer::Denied, 1)]);
        let header = fs::read_to_string(temp.path().join("store/MANIFEST")).unwrap();
        assert!(header.lines().next().unwrap().contains(r#""requires":["answers"]"#), "{header}");

        let mut writer = store.begin_in_turn().unwrap();
        let forgotten = writer.forget(&["b".to_owned()]).unwrap();
        assert_eq!(forgotten.receipt.unwrap().submission_ids, ["b"]);
        writer.keep_answers(&[said("b", Answer::Denied)]).unwrap();
        drop(writer);
        assert_eq!(store.answers(None).unwrap().len(), 1, "whoever is forgotten stays forgotten");
        assert!(store.verify().unwrap().damaged.is_empty());
        let holds = |path: &Path| fs::read(path).is_ok_and(|bytes| bytes.windows(2).any(|part| part == b"\x01b"));
        let files: Vec<PathBuf> = fs::read_dir(temp.path().join("store/segments"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == ANSWERS))
            .collect();
        assert!(files.len() == 1 && !holds(&files[0]), "{files:?}");

        let mut writer = store.begin_in_turn().unwrap();
        writer.forget(&["a".to_owned()]).unwrap();
        drop(writer);
        assert!(store.answers(None).unwrap().is_empty());
    }
}
