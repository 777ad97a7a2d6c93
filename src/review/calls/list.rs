//! Whom to call: the members of a sample in the order of its list.

use std::path::Path;

use crate::Result;
use crate::followup::sample::Sample;
use crate::replies::Channel;

/// A member to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The submission.
    pub submission: String,
    /// The run that its row is in.
    pub run_id: String,
    /// Its district.
    pub district: String,
}

/// A sample's list.
#[derive(Debug, Clone)]
pub struct CallList {
    /// SHA-256 of the list.
    pub sha256: String,
    /// Calls, or visits where it is a second sample.
    pub channel: Channel,
    /// In the order of calling.
    pub members: Vec<Listed>,
}

impl CallList {
    /// Reads a sample.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a folder that is no sample, or was changed.
    pub fn read(sample: &Path) -> Result<CallList> {
        let sample = Sample::read(sample)?;
        let mut rows: Vec<_> = sample.list.iter().collect();
        rows.sort_by_key(|row| (row.place, row.stratum));
        let member = |row: &crate::followup::sample::ListRow| {
            let stratum = &sample.record.strata[row.stratum];
            Listed {
                submission: row.submission_id.clone(),
                run_id: stratum.run_id.clone(),
                district: stratum.district.clone(),
            }
        };
        Ok(CallList {
            channel: if sample.record.second.is_some() { Channel::Visit } else { Channel::Call },
            members: rows.into_iter().map(member).collect(),
            sha256: sample.record.list_sha256,
        })
    }

    /// The submissions on it.
    pub fn submissions(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.submission.as_str())
    }
}
