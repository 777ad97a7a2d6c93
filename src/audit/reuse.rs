//! What came again in a night, in numbers.

use serde::Serialize;

use crate::reason::Reason;
use crate::verdict::{Finding, Findings, Sign, VerdictRow};

/// What came again, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReuseCounts {
    /// Pictures of earlier nights that tonight's were compared with.
    pub pictures_of_earlier_nights: u64,
    /// Rows with the file of an earlier row.
    pub same_file: u64,
    /// Rows with an earlier row's picture in another encoding or size.
    pub encoded_anew: u64,
    /// Rows with the mirror image of an earlier row's picture.
    pub mirrored: u64,
    /// Rows with a part of an earlier row's picture.
    pub cropped: u64,
    /// Rows that are another try for the same member.
    pub resubmitted: u64,
    /// Backgrounds behind several workers.
    pub shared_backgrounds: u64,
    /// Bystanders behind several workers.
    pub recurring_bystanders: u64,
}

impl ReuseCounts {
    /// Counts findings and rows; pictures, backgrounds and bystanders are counted by whoever compares them.
    pub fn of(findings: &Findings, rows: &[VerdictRow]) -> ReuseCounts {
        let copies = |signs: &[Sign]| {
            let sign = |f: &&Finding| f.original.as_ref().is_some_and(|of| signs.contains(&of.sign));
            findings.iter().filter(|f| f.reason == Reason::DuplicateSelfie).filter(sign).count() as u64
        };
        ReuseCounts {
            same_file: copies(&[Sign::SameFile]),
            encoded_anew: copies(&[Sign::EncodedAnew]),
            mirrored: copies(&[Sign::WholeMirrored, Sign::PartMirrored]),
            cropped: copies(&[Sign::Part]),
            resubmitted: rows.iter().filter(|row| row.reasons.contains(&Reason::Resubmitted)).count() as u64,
            ..ReuseCounts::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_counted_by_their_sign_and_tries_are_no_copies() {
        let copy = |sign: Sign| Finding::repeats(0, Reason::DuplicateSelfie, "A", sign);
        let findings = Findings {
            first: vec![
                copy(Sign::SameFile),
                copy(Sign::WholeMirrored),
                copy(Sign::EncodedAnew),
                copy(Sign::EncodedAnew),
            ],
            later: vec![
                copy(Sign::Part),
                copy(Sign::PartMirrored),
                Finding::repeats(0, Reason::Resubmitted, "A", Sign::SameFile),
                Finding::repeats(0, Reason::DuplicateMember, "A", Sign::Face),
            ],
            ..Findings::default()
        };
        let counts = ReuseCounts { same_file: 1, encoded_anew: 2, mirrored: 2, cropped: 1, ..ReuseCounts::default() };
        assert_eq!(ReuseCounts::of(&findings, &[]), counts);
    }
}
