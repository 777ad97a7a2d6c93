//! What the stages of an audit find, and the one place where findings become rows.
//!
//! A stage returns [`Finding`]s and changes nothing. [`assemble`] adds them to what each row says by itself: the reasons,
//! each once; the notes, in the order in which the stages found them; the verdict, by the policy; and of several earlier
//! submissions that a row repeats the one that the surest sign points to ([`Sign`]).

use std::collections::HashSet;

use crate::config::policy::VerdictPolicy;
use crate::matching::Grade;
use crate::reason::Reason;
use crate::verdict::VerdictRow;

/// Something that a stage found out about a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Row of the dump.
    pub row: u64,
    /// What is wrong with it.
    pub reason: Reason,
    /// The earlier submission that it repeats.
    pub original: Option<Original>,
    /// A sentence for the row's details.
    pub note: Option<String>,
}

/// An earlier submission that a row repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// The submission.
    pub submission_id: String,
    /// What tells so.
    pub sign: Sign,
}

/// What tells that a row repeats an earlier submission, the surest last: that one's original is the row's `duplicate_of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// The mobile number, sent again by the same worker within minutes.
    Number,
    /// The file.
    SameFile,
    /// The picture, encoded anew.
    EncodedAnew,
    /// The whole picture, mirrored.
    WholeMirrored,
    /// The member's face.
    Face,
    /// The picture laid over the earlier one and mirrored.
    PartMirrored,
    /// The picture laid over the earlier one: a part of it.
    Part,
}

impl Finding {
    /// A reason and nothing more.
    pub fn new(row: u64, reason: Reason) -> Finding {
        Finding { row, reason, original: None, note: None }
    }

    /// That the row repeats an earlier submission.
    pub fn repeats(row: u64, reason: Reason, submission_id: &str, sign: Sign) -> Finding {
        Finding {
            original: Some(Original { submission_id: submission_id.to_owned(), sign }),
            ..Finding::new(row, reason)
        }
    }

    /// The same with a sentence for the row's details.
    pub fn noted(self, note: String) -> Finding {
        Finding { note: Some(note), ..self }
    }

    /// Whether the row brings nothing that is not there already: it has an earlier row's picture, or is another try. Such a
    /// row enrols nobody, and is not searched for further copies.
    pub fn is_repeat(&self) -> bool {
        matches!(self.reason, Reason::DuplicateSelfie | Reason::Resubmitted)
    }
}

/// The rows of those findings for which `wanted` holds.
pub fn rows_of<'a>(findings: impl IntoIterator<Item = &'a Finding>, wanted: impl Fn(&Finding) -> bool) -> HashSet<u64> {
    findings.into_iter().filter(|finding| wanted(finding)).map(|finding| finding.row).collect()
}

/// Which person a row's member is, and how sure that is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Membership {
    /// Row of the dump.
    pub row: u64,
    /// The person's cluster.
    pub cluster_id: Option<String>,
    /// Whether the cluster spans districts.
    pub cross_district: Option<bool>,
    /// Highest similarity to another membership.
    pub similarity: Option<f32>,
    /// How many pairs at least that similar the whole gallery would hold by chance.
    pub expected_false_matches: Option<f64>,
    /// How sure it is that the two are one person.
    pub grade: Option<Grade>,
    /// The evidence of that pair.
    pub evidence: Option<String>,
    /// The least share of false ones, on the ladder of shares, at which its face would be flagged as enrolled before.
    pub review_at_false_share: Option<f64>,
    /// What people decided about the member.
    pub notes: Vec<String>,
}

/// What was found about a night's rows, in the order of its stages.
#[derive(Debug, Default)]
pub struct Findings {
    /// Of rows by themselves and of copies: what decides who is compared.
    pub first: Vec<Finding>,
    /// Which persons the members are, by row.
    pub memberships: Vec<Membership>,
    /// What comparing told.
    pub later: Vec<Finding>,
}

impl Findings {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.first.iter().chain(&self.later)
    }
}

/// The verdict rows: what each says by itself, with all that was found. Row `i` of the dump is `rows[i]`.
pub fn assemble(mut rows: Vec<VerdictRow>, findings: &Findings, policy: &VerdictPolicy) -> Vec<VerdictRow> {
    let mut signs: Vec<Option<Sign>> = vec![None; rows.len()];
    let mut add = |rows: &mut [VerdictRow], finding: &Finding| {
        let at = finding.row as usize;
        rows[at].add(finding.reason);
        finding.note.iter().for_each(|note| rows[at].note(note.clone()));
        if let Some(Original { submission_id, sign }) = &finding.original
            && signs[at].is_none_or(|known| *sign > known)
        {
            signs[at] = Some(*sign);
            rows[at].duplicate_of = Some(submission_id.clone());
        }
    };
    findings.first.iter().for_each(|finding| add(&mut rows, finding));
    for membership in &findings.memberships {
        let row = &mut rows[membership.row as usize];
        row.cluster_id = membership.cluster_id.clone();
        row.cross_district = membership.cross_district;
        row.similarity = membership.similarity;
        row.expected_false_matches = membership.expected_false_matches;
        row.grade = membership.grade;
        row.evidence = membership.evidence.clone();
        row.review_at_false_share = membership.review_at_false_share;
        membership.notes.iter().for_each(|note| row.note(note.clone()));
    }
    findings.later.iter().for_each(|finding| add(&mut rows, finding));
    for row in &mut rows {
        row.verdict = policy.decide(&row.reasons);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Verdict;
    use crate::verdict::rows::tests::row;

    #[test]
    fn whatever_the_order_of_findings_the_surest_sign_names_the_original() {
        let signs = [
            Sign::Number,
            Sign::SameFile,
            Sign::EncodedAnew,
            Sign::WholeMirrored,
            Sign::Face,
            Sign::PartMirrored,
            Sign::Part,
        ];
        let finding = |sign: Sign| Finding::repeats(0, Reason::DuplicateMember, &format!("{sign:?}"), sign);
        for (at, &sign) in signs.iter().enumerate() {
            let mut later: Vec<Finding> = signs[..=at].iter().map(|&sign| finding(sign)).collect();
            for _ in 0..2 {
                let findings = Findings { later: later.clone(), ..Findings::default() };
                let rows = assemble(vec![row(0, "W", &[], 0.9)], &findings, &VerdictPolicy::default());
                assert_eq!(rows[0].duplicate_of, Some(format!("{sign:?}")));
                later.reverse();
            }
        }
    }

    #[test]
    fn reasons_stand_once_in_table_order_notes_as_they_were_found_and_the_gravest_reason_decides() {
        let own = vec![row(0, "W", &[Reason::MobileMalformed], 0.9), row(1, "W", &[], 0.9)];
        let findings = Findings {
            first: vec![
                Finding::repeats(0, Reason::DuplicateSelfie, "A", Sign::SameFile).noted("the file of A".into()),
            ],
            memberships: vec![Membership { row: 0, notes: vec!["cleared".into()], ..Membership::default() }],
            later: vec![
                Finding::new(0, Reason::MobileReused),
                Finding::new(0, Reason::DuplicateSelfie).noted("a part of B".into()),
                Finding::new(0, Reason::SubmissionIdRepeated),
            ],
        };
        let rows = assemble(own.clone(), &findings, &VerdictPolicy::default());
        let reasons =
            [Reason::SubmissionIdRepeated, Reason::DuplicateSelfie, Reason::MobileReused, Reason::MobileMalformed];
        assert_eq!(rows[0].reasons, reasons);
        assert_eq!(rows[0].detail.as_deref(), Some("the file of A; cleared; a part of B"));
        assert_eq!((rows[0].verdict, rows[0].duplicate_of.as_deref()), (Verdict::Reject, Some("A")));
        assert_eq!(rows[1], own[1], "nothing was found about the other row");
    }
}
