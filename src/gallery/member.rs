//! The facts stored with a template: who it is, where and when it was taken, by which run it came in.
//!
//! In memory a row of facts takes about 90 bytes besides its texts: ids and names lie end to end in one buffer per
//! column, and what repeats (worker, district) is a number into a table.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::infer::ModelId;

/// One enrolled member, as handed in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The submission that enrolled the member; `gallery forget` names members by it.
    pub submission_id: String,
    /// The field worker.
    pub worker_id: String,
    /// District of the enrolment.
    pub district: String,
    /// When the selfie was taken, microseconds since 1970-01-01T00:00:00Z.
    pub captured_at: i64,
    /// Mobile number, normalised by the caller. An empty text is stored as none.
    pub mobile: Option<String>,
    /// Voter-ID (EPIC) number, normalised by the caller. An empty text is stored as none.
    pub epic: Option<String>,
    /// Member's name. An empty text is stored as none.
    pub member_name: Option<String>,
    /// Quality of the face the template was made from, 0..=1.
    pub quality: f32,
    /// The network that made the template; only templates of one model are compared.
    pub model: ModelId,
    /// SHA-256 of the encoded selfie: finds an exactly reused picture.
    pub selfie_sha256: [u8; 32],
    /// Difference hash of the selfie: finds a re-encoded one.
    pub selfie_dhash: u64,
    /// Probability, in percent, that the face is another person's than the member's; 0 where nobody doubted it.
    #[serde(default)]
    pub member_doubt_percent: u8,
}

/// The facts of a stored row, borrowed from the gallery.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)] // the same names and meanings as in `Member`
pub struct Row<'a> {
    pub submission_id: &'a str,
    pub worker_id: &'a str,
    pub district: &'a str,
    pub captured_at: i64,
    pub mobile: Option<&'a str>,
    pub epic: Option<&'a str>,
    pub member_name: Option<&'a str>,
    pub quality: f32,
    pub selfie_sha256: &'a [u8; 32],
    pub selfie_dhash: u64,
    pub member_doubt_percent: u8,
    /// The audit run that added the row.
    pub run_key: &'a str,
    /// The number of that run's commit, from 1; `u64::MAX` for rows that are in no store.
    pub commit: u64,
}

/// Texts end to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    ends: Vec<u32>,
    bytes: String,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len() as u32);
    }

    fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.bytes[start..self.ends[row] as usize]
    }

    fn memory(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * 4
    }
}

/// Repeated texts as numbers into a table.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    keys: Vec<u32>,
    table: Vec<String>,
    known: HashMap<String, u32>,
}

impl Words {
    fn push(&mut self, text: &str) {
        let key = match self.known.get(text) {
            Some(&key) => key,
            None => {
                let key = self.table.len() as u32;
                self.table.push(text.to_owned());
                self.known.insert(text.to_owned(), key);
                key
            }
        };
        self.keys.push(key);
    }

    fn get(&self, row: usize) -> &str {
        &self.table[self.keys[row] as usize]
    }

    fn memory(&self) -> usize {
        let table: usize = self.table.iter().map(|t| 2 * (t.capacity() + 32)).sum();
        self.keys.capacity() * 4 + table
    }
}

/// The facts of many rows, column by column.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    submission_id: Texts,
    worker_id: Words,
    district: Words,
    captured_at: Vec<i64>,
    mobile: Texts,
    epic: Texts,
    member_name: Texts,
    quality: Vec<f32>,
    selfie_sha256: Vec<[u8; 32]>,
    selfie_dhash: Vec<u64>,
    member_doubt_percent: Vec<u8>,
    run_key: Words,
    /// Commit number per entry of `run_key`'s table.
    commits: Vec<u64>,
}

/// Most bytes of text in one column of one segment: offsets are u32.
const MAX_TEXT: usize = u32::MAX as usize;

impl Facts {
    pub(super) fn push(&mut self, row: Row<'_>) {
        self.submission_id.push(row.submission_id);
        self.worker_id.push(row.worker_id);
        self.district.push(row.district);
        self.captured_at.push(row.captured_at);
        self.mobile.push(row.mobile.unwrap_or(""));
        self.epic.push(row.epic.unwrap_or(""));
        self.member_name.push(row.member_name.unwrap_or(""));
        self.quality.push(row.quality);
        self.selfie_sha256.push(*row.selfie_sha256);
        self.selfie_dhash.push(row.selfie_dhash);
        self.member_doubt_percent.push(row.member_doubt_percent);
        self.run_key.push(row.run_key);
        if self.run_key.table.len() > self.commits.len() {
            self.commits.push(row.commit);
        }
    }

    /// Whether another row fits the offsets of the text columns.
    pub(super) fn has_room(&self) -> bool {
        [&self.submission_id, &self.mobile, &self.epic, &self.member_name]
            .iter()
            .all(|texts| texts.bytes.len() < MAX_TEXT - (1 << 20))
    }

    pub(super) fn len(&self) -> usize {
        self.captured_at.len()
    }

    pub(super) fn row(&self, row: usize) -> Row<'_> {
        let some = |text: &'_ str| -> bool { !text.is_empty() };
        Row {
            submission_id: self.submission_id.get(row),
            worker_id: self.worker_id.get(row),
            district: self.district.get(row),
            captured_at: self.captured_at[row],
            mobile: Some(self.mobile.get(row)).filter(|t| some(t)),
            epic: Some(self.epic.get(row)).filter(|t| some(t)),
            member_name: Some(self.member_name.get(row)).filter(|t| some(t)),
            quality: self.quality[row],
            selfie_sha256: &self.selfie_sha256[row],
            selfie_dhash: self.selfie_dhash[row],
            member_doubt_percent: self.member_doubt_percent[row],
            run_key: self.run_key.get(row),
            commit: self.commit(row),
        }
    }

    pub(super) fn submission_id(&self, row: usize) -> &str {
        self.submission_id.get(row)
    }

    pub(super) fn worker_id(&self, row: usize) -> &str {
        self.worker_id.get(row)
    }

    pub(super) fn district(&self, row: usize) -> &str {
        self.district.get(row)
    }

    pub(super) fn commit(&self, row: usize) -> u64 {
        self.commits[self.run_key.keys[row] as usize]
    }

    /// Bytes held, as allocated.
    pub(super) fn memory(&self) -> usize {
        let texts = [&self.submission_id, &self.mobile, &self.epic, &self.member_name];
        let words = [&self.worker_id, &self.district, &self.run_key];
        texts.iter().map(|t| t.memory()).sum::<usize>()
            + words.iter().map(|w| w.memory()).sum::<usize>()
            + (self.captured_at.capacity() + self.selfie_dhash.capacity() + self.commits.capacity()) * 8
            + self.quality.capacity() * 4
            + self.member_doubt_percent.capacity()
            + self.selfie_sha256.capacity() * 32
    }

    /// Gives back what growing left over; called once the last row is in.
    pub(super) fn finish(&mut self) {
        for texts in [&mut self.submission_id, &mut self.mobile, &mut self.epic, &mut self.member_name] {
            texts.ends.shrink_to_fit();
            texts.bytes.shrink_to_fit();
        }
        for words in [&mut self.worker_id, &mut self.district, &mut self.run_key] {
            words.keys.shrink_to_fit();
            words.known = HashMap::new();
        }
        self.captured_at.shrink_to_fit();
        self.quality.shrink_to_fit();
        self.selfie_sha256.shrink_to_fit();
        self.selfie_dhash.shrink_to_fit();
        self.member_doubt_percent.shrink_to_fit();
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl Member {
    /// The row that a store makes of this member.
    pub(super) fn as_row<'a>(&'a self, run_key: &'a str, commit: u64) -> Row<'a> {
        let some = |text: &'a Option<String>| text.as_deref().filter(|t| !t.is_empty());
        Row {
            submission_id: &self.submission_id,
            worker_id: &self.worker_id,
            district: &self.district,
            captured_at: self.captured_at,
            mobile: some(&self.mobile),
            epic: some(&self.epic),
            member_name: some(&self.member_name),
            quality: self.quality,
            selfie_sha256: &self.selfie_sha256,
            selfie_dhash: self.selfie_dhash,
            member_doubt_percent: self.member_doubt_percent,
            run_key,
            commit,
        }
    }
}
