//! Pairs of faces that are known to be different people, for the impostor model: no labels needed.
//!
//! The two people of one selfie are never the same person, and members whom different workers enrolled in different
//! districts almost never are. Both kinds are drawn evenly over the night, the same ones on every run.

use crate::gallery::Member;
use crate::infer::template::similarity;
use crate::infer::{Analysis, Template};
use crate::matching::ImpostorScore;
use crate::matching::strata::quality_stratum;
use crate::reason::Reason;
use crate::roles::Cast;

/// So many members are compared at the most: 2,000 make two million pairs.
const MEMBERS: usize = 2_000;

/// Numbers of faces that are no members start here.
const OTHERS: u64 = 1 << 40;

/// Scores of pairs known to differ.
pub fn scores(analyses: &[Analysis], casts: &[Cast], members: &[(Member, Template)]) -> Vec<ImpostorScore> {
    let mut scores: Vec<ImpostorScore> = analyses.iter().zip(casts).filter_map(|(a, c)| of_one_selfie(a, c)).collect();
    let step = members.len().div_ceil(MEMBERS).max(1);
    let sample: Vec<(u64, &(Member, Template))> = (0..).zip(members).step_by(step).collect();
    for (place, &(a, (one, face))) in sample.iter().enumerate() {
        for &(b, (other, mate)) in &sample[place + 1..] {
            if one.district != other.district && one.worker_id != other.worker_id {
                let stratum = quality_stratum(one.quality, other.quality);
                scores.push(ImpostorScore { a, b, similarity: similarity(face, mate), stratum });
            }
        }
    }
    scores
}

/// Worker and member of one selfie, unless they look like one person.
fn of_one_selfie(analysis: &Analysis, cast: &Cast) -> Option<ImpostorScore> {
    let reading = |index: usize| analysis.faces().get(index)?.reading.as_ref();
    if cast.reasons.contains(&Reason::MemberIsWorker) {
        return None;
    }
    let (worker, member) = (reading(cast.worker?)?, reading(cast.member?)?);
    let number = OTHERS + 2 * analysis.row;
    let stratum = quality_stratum(worker.quality.score, member.quality.score);
    let similarity = similarity(&worker.template, &member.template);
    Some(ImpostorScore { a: number, b: number + 1, similarity, stratum })
}
