//! The same mobile or voter-ID number in several submissions: another try for one member, or another member.
//!
//! An honest worker whose upload failed sends the same member again within minutes. So uses of one number are gathered
//! into members, in order of time: a use belongs to a member met before when the faces say so, or, where nobody can
//! compare faces, when the same worker in the same district sends it soon after. Whatever opens one member more than
//! the number may serve is reuse; so is a member met before who is enrolled again later or by somebody else.

use std::collections::{HashMap, HashSet};

use crate::config::policy::FactsPolicy;
use crate::dump::facts::is_same_name;

/// Microseconds in a minute.
const MINUTE: i64 = 60_000_000;
/// Microseconds in a day.
const DAY: i64 = 1_440 * MINUTE;

/// A use is compared with so many members of the number, the ones met last, and with so many uses of each: a number
/// typed in every row of a night costs no more than the rows.
const MEMBERS_COMPARED: usize = 32;
const USES_COMPARED: usize = 4;

/// One submission that gives a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberUse<'a> {
    /// The number in normal form ([`crate::dump::facts`]).
    pub number: &'a str,
    /// The submission.
    pub submission_id: &'a str,
    /// Who sent it.
    pub worker_id: &'a str,
    /// District of the enrolment; empty where the row has none.
    pub district: &'a str,
    /// Where it stands in the order of submissions, microseconds since 1970-01-01T00:00:00Z.
    pub captured_at: i64,
    /// Whether that is when it was made, so that minutes can be counted from it.
    pub is_time_known: bool,
    /// The submission's other number, in normal form: the voter-ID beside a mobile number, and the other way round.
    pub other: Option<&'a str>,
}

/// What another use of a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Another try of the same worker for the same member, minutes later: no reason against it.
    Retry,
    /// The number serves another member, within the number of members it may serve: no reason against it.
    Shared,
    /// The same member by face, enrolled again later, elsewhere or by another worker.
    Again,
    /// Another member than the number may serve.
    OtherMember,
}

/// That a submission's number was used before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberReuse {
    /// What it is.
    pub kind: Kind,
    /// The submission that it repeats: the last try before a [`Kind::Retry`], the first use otherwise.
    pub of: String,
    /// Whether that submission was in another district.
    pub cross_district: bool,
}

impl NumberReuse {
    /// Whether it is a reason against the submission.
    pub fn counts(&self) -> bool {
        matches!(self.kind, Kind::Again | Kind::OtherMember)
    }
}

/// Whether two submissions, named by their ids, show the same member; `None` where their faces cannot be compared.
pub type SamePerson<'a> = &'a dyn Fn(&str, &str) -> Option<bool>;

/// For each of `tonight`, in its order, the reuse of its number: within tonight and of `past` submissions (those
/// without a number of `tonight`, and those that are in `tonight` themselves, are passed over). `members` is how many
/// members one number may serve: 1 for a voter-ID, the policy's `members_per_mobile` for a mobile number.
///
/// The answer does not depend on the order of either; submissions of one moment are put in order by their ids.
pub fn reused_numbers<'a>(
    tonight: &[NumberUse<'a>],
    past: impl IntoIterator<Item = NumberUse<'a>>,
    members: usize,
    same_person: SamePerson,
    policy: &FactsPolicy,
) -> Vec<Option<NumberReuse>> {
    let mut by_number: HashMap<&str, Vec<(NumberUse, Option<usize>)>> = HashMap::with_capacity(tonight.len());
    for (index, number_use) in tonight.iter().enumerate() {
        by_number.entry(number_use.number).or_default().push((*number_use, Some(index)));
    }
    let ids: HashSet<&str> = tonight.iter().map(|u| u.submission_id).collect();
    for number_use in past {
        if let Some(uses) = by_number.get_mut(number_use.number)
            && !ids.contains(number_use.submission_id)
        {
            uses.push((number_use, None));
        }
    }
    let mut reuse = vec![None; tonight.len()];
    for mut uses in by_number.into_values().filter(|uses| uses.len() > 1) {
        uses.sort_by_key(|(u, row)| (u.captured_at, u.submission_id, *row));
        let kinds = judge(&uses.iter().map(|(u, _)| *u).collect::<Vec<_>>(), members.max(1), same_person, policy);
        for ((_, row), kind) in uses.iter().zip(kinds) {
            if let Some(row) = *row {
                reuse[row] = kind;
            }
        }
    }
    reuse
}

/// Judges the uses of one number, earliest first.
fn judge(
    uses: &[NumberUse],
    allowed: usize,
    same_person: SamePerson,
    policy: &FactsPolicy,
) -> Vec<Option<NumberReuse>> {
    // Each member is the uses that belong to it, earliest first.
    let mut members: Vec<Vec<usize>> = Vec::new();
    let mut judged = Vec::with_capacity(uses.len());
    for (index, this) in uses.iter().enumerate() {
        let near = members.len().saturating_sub(MEMBERS_COMPARED);
        let earlier = |m: &Vec<usize>| m.iter().rev().take(USES_COMPARED).map(|&i| &uses[i]).collect::<Vec<_>>();
        let mate = (near..members.len()).find(|&m| belongs(this, &earlier(&members[m]), same_person, policy));
        let verdict = match mate {
            Some(member) => {
                let earlier = &uses[members[member][0]];
                let last = members[member].last().map_or(earlier, |&i| &uses[i]);
                members[member].push(index);
                match soon_after(this, last, policy) {
                    true => Some((Kind::Retry, last)),
                    false => Some((Kind::Again, earlier)),
                }
            }
            None => {
                members.push(vec![index]);
                match members.len() {
                    1 => None,
                    n if n <= allowed => Some((Kind::Shared, &uses[0])),
                    _ => Some((Kind::OtherMember, &uses[0])),
                }
            }
        };
        judged.push(verdict.map(|(kind, of)| NumberReuse {
            kind,
            of: of.submission_id.to_owned(),
            cross_district: !is_same_name(of.district, this.district),
        }));
    }
    judged
}

/// Whether a use belongs to a member with these earlier uses: the faces decide where any can be compared.
fn belongs(this: &NumberUse, earlier: &[&NumberUse], same_person: SamePerson, policy: &FactsPolicy) -> bool {
    let mut soon = false;
    let mut compared = false;
    for other in earlier {
        match same_person(this.submission_id, other.submission_id) {
            Some(true) => return true,
            Some(false) => compared = true,
            None => soon |= soon_after(this, other, policy),
        }
    }
    soon && !compared
}

/// The same worker in the same district, within the minutes of a retry; or a day from it, as phones show whose date is off
/// by one, where both numbers are the same.
fn soon_after(this: &NumberUse, earlier: &NumberUse, policy: &FactsPolicy) -> bool {
    let gap = this.captured_at.saturating_sub(earlier.captured_at);
    let minutes = i64::from(policy.retry_minutes) * MINUTE;
    let both = this.other.is_some() && this.other == earlier.other;
    !this.worker_id.is_empty()
        && this.worker_id == earlier.worker_id
        && is_same_name(this.district, earlier.district)
        && this.is_time_known
        && earlier.is_time_known
        && (gap >= 0 && gap <= minutes || both && gap.abs_diff(DAY) <= minutes.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent<'a>(id: &'a str, number: &'a str, worker: &'a str, district: &'a str, minute: i64) -> NumberUse<'a> {
        NumberUse {
            number,
            submission_id: id,
            worker_id: worker,
            district,
            captured_at: minute * MINUTE,
            is_time_known: true,
            other: None,
        }
    }

    const UNKNOWN: SamePerson = &|_, _| None;

    fn kinds(tonight: &[NumberUse], past: &[NumberUse], members: usize, same: SamePerson) -> Vec<Option<Kind>> {
        let reuse = reused_numbers(tonight, past.iter().copied(), members, same, &FactsPolicy::default());
        reuse.into_iter().map(|r| r.map(|r| r.kind)).collect()
    }

    #[test]
    fn another_try_is_no_fraud_and_another_worker_is() {
        let tonight = [
            sent("a1", "1", "W1", "Ujjain", 0),
            sent("a2", "1", "W1", "Ujjain", 5),
            sent("a3", "1", "W1", "Ujjain", 30),
            sent("b", "1", "W2", "Indore", 40),
            sent("c", "2", "W1", "Ujjain", 41),
        ];
        let found = reused_numbers(&tonight, [], 1, UNKNOWN, &FactsPolicy::default());
        assert_eq!(found[0], None);
        assert_eq!(found[1], Some(NumberReuse { kind: Kind::Retry, of: "a1".into(), cross_district: false }));
        assert_eq!(found[2], Some(NumberReuse { kind: Kind::Retry, of: "a2".into(), cross_district: false }));
        assert_eq!(found[3], Some(NumberReuse { kind: Kind::OtherMember, of: "a1".into(), cross_district: true }));
        assert_eq!(found[4], None);
        assert_eq!(found.iter().flatten().filter(|r| r.counts()).count(), 1);
    }

    #[test]
    fn the_first_use_may_be_of_an_earlier_night() {
        let tonight = [sent("t", "1", "W1", "Ujjain", 2000)];
        let past = [
            sent("p", "1", "W1", "Ujjain", 0),
            sent("q", "7", "W1", "Ujjain", 0),
            sent("t", "1", "W1", "Ujjain", 2000),
        ];
        assert_eq!(kinds(&tonight, &past, 1, UNKNOWN), [Some(Kind::OtherMember)]);
        let midnight = [sent("p", "1", "W1", "Ujjain", 1990)];
        assert_eq!(kinds(&tonight, &midnight, 1, UNKNOWN), [Some(Kind::Retry)]);
        let later = [sent("p", "1", "W2", "Ujjain", 2001)];
        assert_eq!(kinds(&tonight, &later, 1, UNKNOWN), [None], "the first use stays the first whenever it is read");
    }

    #[test]
    fn faces_decide_where_they_can_be_compared() {
        let tonight = [sent("a", "1", "W1", "Ujjain", 0), sent("b", "1", "W1", "Ujjain", 5)];
        assert_eq!(kinds(&tonight, &[], 1, &|_, _| Some(false)), [None, Some(Kind::OtherMember)]);
        assert_eq!(kinds(&tonight, &[], 1, &|_, _| Some(true)), [None, Some(Kind::Retry)]);
        let apart = [sent("a", "1", "W1", "Ujjain", 0), sent("b", "1", "W2", "Indore", 5)];
        assert_eq!(kinds(&apart, &[], 1, &|_, _| Some(true)), [None, Some(Kind::Again)]);
    }

    #[test]
    fn a_family_may_share_one_number_as_far_as_the_policy_goes() {
        let tonight = [
            sent("father", "1", "W1", "Ujjain", 0),
            sent("mother", "1", "W1", "Ujjain", 300),
            sent("mother2", "1", "W1", "Ujjain", 302),
            sent("son", "1", "W1", "Ujjain", 600),
        ];
        let expected = [None, Some(Kind::Shared), Some(Kind::Retry), Some(Kind::OtherMember)];
        assert_eq!(kinds(&tonight, &[], 2, UNKNOWN), expected);
    }

    #[test]
    fn from_a_time_that_is_not_known_no_minutes_are_counted() {
        let tonight = [sent("later", "1", "W1", "Ujjain", 2)];
        let earlier = sent("earlier", "1", "W1", "Ujjain", 0);
        assert_eq!(kinds(&tonight, &[earlier], 1, UNKNOWN), [Some(Kind::Retry)]);
        let placed = NumberUse { is_time_known: false, ..earlier };
        assert_eq!(kinds(&tonight, &[placed], 1, UNKNOWN), [Some(Kind::OtherMember)]);
    }

    #[test]
    fn order_does_not_matter_and_nothing_overflows() {
        let mut tonight = vec![
            sent("a", "1", "W1", "Ujjain", 0),
            sent("b", "1", "W1", "Ujjain", 0),
            NumberUse { captured_at: i64::MIN, is_time_known: false, ..sent("c", "1", "W1", "Ujjain", 0) },
            NumberUse { captured_at: i64::MAX, is_time_known: false, ..sent("d", "1", "W1", "Ujjain", 0) },
        ];
        let by_id = |tonight: &[NumberUse]| -> Vec<(String, Option<NumberReuse>)> {
            let found = reused_numbers(tonight, [], 1, UNKNOWN, &FactsPolicy::default());
            let mut named: Vec<_> = tonight.iter().map(|u| u.submission_id.to_owned()).zip(found).collect();
            named.sort_by(|x, y| x.0.cmp(&y.0));
            named
        };
        let forwards = by_id(&tonight);
        tonight.reverse();
        assert_eq!(by_id(&tonight), forwards);
        assert_eq!(forwards[1].1.as_ref().map(|r| r.kind), Some(Kind::Retry));
        let ids: Vec<String> = (0..20_000).map(|i| format!("{i:05}")).collect();
        let hot: Vec<NumberUse> = ids.iter().map(|id| sent(id, "1", id, "Ujjain", 0)).collect();
        let found = kinds(&hot, &[], 1, UNKNOWN);
        assert_eq!(found.iter().filter(|k| **k == Some(Kind::OtherMember)).count(), 19_999);
        assert_eq!(reused_numbers(&[], [], 0, UNKNOWN, &FactsPolicy::default()), []);
    }
}
