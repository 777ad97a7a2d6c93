//! A membership as matching sees it.

use crate::dump::facts::is_same_name;

/// The time of a membership of which none is known, or none that can be: it comes after all others.
pub const UNKNOWN_TIME: i64 = i64::MAX;

/// One membership as matching sees it: from tonight's dump or an earlier night.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Enrolment {
    /// Unique id of the submission.
    pub submission_id: String,
    /// Who enrolled the member.
    pub worker_id: String,
    /// District of the enrolment; empty where the row has none.
    pub district: String,
    /// When, microseconds since 1970-01-01T00:00:00Z; [`UNKNOWN_TIME`] where that is not known.
    pub captured_at: i64,
    /// Row of tonight's dump, or `None` for an earlier night.
    pub row: Option<u64>,
    /// Polling booth.
    pub booth_id: Option<String>,
    /// Mobile number as typed.
    pub mobile: Option<String>,
    /// Voter-ID (EPIC) number as typed.
    pub epic: Option<String>,
    /// Member's name as typed, Latin or Devanagari.
    pub member_name: Option<String>,
    /// Hash of the picture's content; equal hashes are one picture.
    pub picture: Option<u64>,
    /// Group of members whose scores differ from others' (a band of quality, an age group); 0 where none is told apart.
    pub group: u8,
    /// Probability, in percent, that the face is not the member's but a stand-in's or a bystander's.
    pub member_doubt_percent: u8,
    /// When it counts as made where that is not when it says, as [`super::TimeOrder`] has it.
    pub made_at: Option<i64>,
}

impl Enrolment {
    /// Earlier memberships come first; the id settles ties.
    pub fn age(&self) -> (i64, &str) {
        (self.made_at.unwrap_or(self.captured_at), &self.submission_id)
    }

    /// Whether both districts are known and differ, by more than case and white space.
    pub fn is_elsewhere_than(&self, other: &Enrolment) -> bool {
        let known = !self.district.is_empty() && !other.district.is_empty();
        known && !is_same_name(&self.district, &other.district)
    }
}
