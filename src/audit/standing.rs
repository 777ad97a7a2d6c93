//! Whose member is compared with others: decided once, from what each row says by itself and from copies.
//!
//! A row enrols its member when the verdict so far is accept or review: somebody who is told to take the selfie again, or
//! whose photo of a photo was refused, may come back and is no duplicate of that attempt. A face that belongs to a worker
//! is no member. A row whose id was there before is compared, but enrols nobody: its id would name two people. So is a row
//! that lacks its id, worker, district or time: the face is there.

use std::collections::{HashMap, HashSet};

use crate::config::policy::VerdictPolicy;
use crate::dump::facts::{Epic, Mobile};
use crate::gallery::{Gallery, Member};
use crate::infer::{Analysis, ModelId, Template};
use crate::matching::UNKNOWN_TIME;
use crate::pairs::DumpRow;
use crate::reason::{Reason, Verdict};
use crate::roles::{Cast, member_doubt_percent};
use crate::verdict::{Finding, VerdictRow, rules};

/// Ids that came before: in an earlier row, or on an earlier night.
pub fn repeated_ids(analyses: &[Analysis], earlier: &Gallery) -> Vec<Finding> {
    let repeated = |row: u64| Finding::new(row, Reason::SubmissionIdRepeated);
    let mut found = Vec::new();
    let mut first: HashMap<&str, u64> = HashMap::new();
    for analysis in analyses {
        if let Some(id) = &analysis.facts.submission_id
            && *first.entry(id).or_insert(analysis.row) != analysis.row
        {
            found.push(repeated(analysis.row));
        }
    }
    found.extend(earlier.iter().filter_map(|(_, stored)| first.get(stored.submission_id)).map(|&row| repeated(row)));
    found
}

/// Tonight's members who are compared, in row order.
#[derive(Debug)]
pub struct Standing {
    /// Their facts and templates.
    pub members: Vec<(Member, Template)>,
    /// Where each stands in the dump.
    pub rows: Vec<DumpRow>,
    /// Rows that enrol nobody, for their id was there before, or a required value is missing.
    repeated: HashSet<u64>,
}

impl Standing {
    /// Decides it. `first` is what was found before anybody is compared.
    pub fn decide(
        analyses: &[Analysis],
        casts: &[Cast],
        own: &[VerdictRow],
        first: &[Finding],
        policy: &VerdictPolicy,
        model: &ModelId,
    ) -> Standing {
        let mut reasons: Vec<Vec<Reason>> = own.iter().map(|row| row.reasons.clone()).collect();
        first.iter().for_each(|finding| reasons[finding.row as usize].push(finding.reason));
        let is_nameless = |row: &&VerdictRow| row.reasons.contains(&Reason::RequiredFieldMissing);
        let nameless = own.iter().filter(is_nameless).map(|row| row.row);
        let repeated = first.iter().filter(|f| f.reason == Reason::SubmissionIdRepeated).map(|f| f.row);
        let repeated = repeated.chain(nameless).collect();
        let mut standing = Standing { members: Vec::new(), rows: Vec::new(), repeated };
        for ((analysis, cast), reasons) in analyses.iter().zip(casts).zip(&reasons) {
            if let (true, Some(member)) = (is_comparable(reasons, policy), member(analysis, cast, reasons, model)) {
                standing.members.push(member);
                standing.rows.push(DumpRow {
                    row: analysis.row,
                    booth_id: analysis.facts.booth_id.clone(),
                    is_time_known: !reasons.contains(&Reason::CapturedAtImplausible),
                });
            }
        }
        standing
    }

    /// The same without the members of these rows.
    pub fn without(self, refused: &HashSet<u64>) -> Standing {
        let compared = self.members.into_iter().zip(self.rows).filter(|(_, of)| !refused.contains(&of.row));
        let (members, rows) = compared.unzip();
        Standing { members, rows, repeated: self.repeated }
    }

    /// Those whom their id names: all but those of rows whose id was there before.
    pub fn named(&self) -> impl Iterator<Item = &(Member, Template)> {
        self.members.iter().zip(&self.rows).filter(|(_, of)| !self.repeated.contains(&of.row)).map(|(member, _)| member)
    }

    /// Those whom the night enrols: of the named ones all but those of `repeats`, rows that came to light as copies of a
    /// picture or other tries. What they repeat is there already.
    pub fn enrolled(self, repeats: &HashSet<u64>) -> Vec<(Member, Template)> {
        let stays = |of: &DumpRow| !self.repeated.contains(&of.row) && !repeats.contains(&of.row);
        self.members.into_iter().zip(&self.rows).filter(|(_, of)| stays(of)).map(|(member, _)| member).collect()
    }
}

/// Whether a row with these reasons has a member who is compared with others.
pub fn is_comparable(reasons: &[Reason], policy: &VerdictPolicy) -> bool {
    let is_worker = [Reason::MemberIsWorker, Reason::MemberIsOtherWorker].iter().any(|reason| reasons.contains(reason));
    matches!(policy.decide(reasons), Verdict::Accept | Verdict::Review) && !is_worker
}

/// A row's member as a store takes it, were all of its values there; `None` where the face is missing. `reasons` are what
/// the row says by itself.
pub fn member(analysis: &Analysis, cast: &Cast, reasons: &[Reason], model: &ModelId) -> Option<(Member, Template)> {
    let reading = rules::member_reading(analysis, cast)?;
    let photo = analysis.selfie.as_ref().ok()?;
    let facts = &analysis.facts;
    let member = Member {
        submission_id: facts.submission_id.clone().unwrap_or_else(|| format!("(row {})", analysis.row)),
        worker_id: facts.worker_id.clone().unwrap_or_default(),
        district: facts.district.clone().unwrap_or_default(),
        captured_at: facts.captured_at.unwrap_or(UNKNOWN_TIME),
        mobile: facts.mobile.as_deref().and_then(|m| Mobile::parse(m).ok()).map(|m| m.as_str().to_owned()),
        epic: facts.epic.as_deref().and_then(|e| Epic::parse(e).ok()).map(|e| e.as_str().to_owned()),
        member_name: facts.member_name.clone(),
        quality: reading.quality.score,
        model: model.clone(),
        selfie_sha256: photo.fingerprint.sha256,
        selfie_dhash: photo.fingerprint.dhash,
        member_doubt_percent: member_doubt_percent(reasons),
    };
    Some((member, reading.template.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::RowFacts;
    use crate::gallery::generate::Crowd;
    use crate::reason::Reject;

    fn unread(row: u64, id: &str) -> Analysis {
        let facts = RowFacts { submission_id: Some(id.into()), ..RowFacts::default() };
        Analysis { row, facts, selfie: Err(Reject::new(Reason::UnreadableImage, "")), photo: None }
    }

    #[test]
    fn an_id_is_repeated_by_the_later_row_and_by_the_first_one_of_a_later_night() {
        let tonight = [unread(0, "a"), unread(1, "b"), unread(2, "a"), unread(3, "a")];
        let rows = |found: &[Finding]| found.iter().map(|finding| finding.row).collect::<Vec<u64>>();
        assert_eq!(rows(&repeated_ids(&tonight, &Gallery::empty())), [2, 3]);
        let (mut member, template) = Crowd::new(64, 1).rows(0..1).unwrap().remove(0);
        member.submission_id = "b".into();
        let earlier = Gallery::from_rows(&[(member, template)]).unwrap();
        assert_eq!(rows(&repeated_ids(&tonight, &earlier)), [2, 3, 1]);
    }

    #[test]
    fn who_may_come_back_or_is_a_worker_is_not_compared() {
        let policy = VerdictPolicy::default();
        let is = |reasons: &[Reason]| is_comparable(reasons, &policy);
        assert!(is(&[]) && is(&[Reason::SubmissionIdRepeated]) && is(&[Reason::Resubmitted]));
        for reason in [Reason::FaceBlurred, Reason::PhotoOfPhoto, Reason::DuplicateSelfie, Reason::MemberIsWorker] {
            assert!(!is(&[Reason::Resubmitted, reason]), "{reason:?}");
        }
    }

    #[test]
    fn whoever_repeats_an_id_or_a_picture_is_compared_and_not_enrolled() {
        let members = Crowd::new(64, 1).rows(0..3).unwrap();
        let row = |row: u64| DumpRow { row: 10 + row, booth_id: None, is_time_known: true };
        let rows = (0..3).map(row).collect();
        let ids: Vec<String> = members.iter().map(|(member, _)| member.submission_id.clone()).collect();
        let standing = Standing { members, rows, repeated: HashSet::from([11]) };
        assert_eq!(standing.named().count(), 2);
        let enrolled = standing.enrolled(&HashSet::from([12]));
        assert_eq!(enrolled.len(), 1);
        assert_eq!(enrolled[0].0.submission_id, ids[0]);
    }
}
