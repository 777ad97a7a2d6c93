//! Doubt about who the member in a selfie is: two faces that are one person's make no double membership where one of them
//! is a stand-in's or a bystander's.

use super::Enrolment;

/// The probability that the face of either membership is not its member's.
pub(super) fn of_pair(a: &Enrolment, b: &Enrolment) -> f64 {
    let right = |e: &Enrolment| 1.0 - f64::from(e.member_doubt_percent.min(100)) / 100.0;
    1.0 - right(a) * right(b)
}

/// The probability that the two are different members: the faces are two people's, or one is not its member's.
pub fn pair_error(faces: f64, doubt: f64) -> f64 {
    faces + doubt - faces * doubt
}

/// log10 of the odds that the two are one member, from that of the odds that the faces are one person's.
pub(super) fn log10_odds(faces: f64, doubt: f64) -> f64 {
    if doubt == 0.0 {
        return faces;
    }
    let right = (1.0 - doubt) / (1.0 + 10f64.powf(-faces));
    (right / (1.0 - right)).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bystander_in_the_frame_makes_no_certain_pair() {
        use crate::config::policy::MatchingPolicy;
        use crate::infer::ModelId;
        use crate::matching::{Candidate, Case, Grade, Impostors, Searched, judge};
        let impostors = Impostors::new(&ModelId("sface:x".into()), &[]);
        let pair_with_doubt = |member_doubt_percent: u8| {
            let enrolment = |k: usize| Enrolment {
                submission_id: format!("s{k}"),
                worker_id: format!("W{k}"),
                member_doubt_percent: if k == 0 { member_doubt_percent } else { 0 },
                ..Enrolment::default()
            };
            let enrolments: Vec<Enrolment> = (0..100).map(enrolment).collect();
            let searched = Searched { gallery_size: 100, compared: 4950.0, floor: 0.4, near: None };
            let candidates = [Candidate { a: 0, b: 1, similarity: 0.95 }];
            let case = Case { enrolments: &enrolments, candidates: &candidates, impostors: &impostors, searched };
            judge(&case, &MatchingPolicy::default(), &|_, _| 0.95).pairs[0]
        };
        assert_eq!(pair_with_doubt(0).grade(), Some(Grade::NearCertain));
        let doubtful = pair_with_doubt(40);
        assert_eq!(doubtful.grade(), Some(Grade::Possible));
        assert!((doubtful.local_fdr - 0.4).abs() < 1e-3 && doubtful.probability_false >= 0.399, "{doubtful:?}");
    }

    #[test]
    fn no_pair_is_surer_than_its_members_are() {
        let row = |member_doubt_percent| Enrolment { member_doubt_percent, ..Enrolment::default() };
        assert_eq!(of_pair(&row(0), &row(0)), 0.0);
        let doubt = of_pair(&row(40), &row(20));
        assert!((doubt - (1.0 - 0.6 * 0.8)).abs() < 1e-12);
        assert!((pair_error(1e-10, doubt) - doubt).abs() < 1e-9);
        assert_eq!((pair_error(0.03, 0.0), log10_odds(12.5, 0.0)), (0.03, 12.5));
        // However alike, the odds are those of the doubt; two doubtful sides speak against joining.
        assert!((log10_odds(300.0, 0.5)).abs() < 1e-12);
        assert!(log10_odds(300.0, of_pair(&row(40), &row(40))) < 0.0);
        assert!(log10_odds(-300.0, 0.2) < -290.0);
    }
}
