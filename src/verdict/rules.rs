//! What one row says about itself, before it is compared with any other.

use crate::config::Policy;
use crate::dump::{RowFacts, facts};
use crate::face::quality;
use crate::infer::template::similarity;
use crate::infer::{Analysis, Reading, SeenPhoto};
use crate::reason::{Reason, Verdict};
use crate::roles::Cast;
use crate::verdict::{FaceRow, VerdictRow};

/// The row of the verdict table as far as the submission alone decides it.
///
/// `has_consent` says whether the dump has a consent column at all: only then is an empty cell a missing consent.
pub fn first_look(analysis: &Analysis, cast: &Cast, has_consent: bool, policy: &Policy) -> VerdictRow {
    let member = member_reading(analysis, cast);
    let worker = cast.worker.and_then(|index| analysis.faces()[index].reading.as_ref());
    let facts = &analysis.facts;
    let mut row = VerdictRow {
        row: analysis.row,
        submission_id: facts.submission_id.clone(),
        worker_id: facts.worker_id.clone(),
        district: facts.district.clone(),
        verdict: Verdict::Accept,
        reasons: Vec::new(),
        detail: None,
        duplicate_of: None,
        cluster_id: None,
        cross_district: None,
        similarity: None,
        expected_false_matches: None,
        evidence: None,
        member_liveness: member.map(|r| r.liveness),
        worker_liveness: worker.map(|r| r.liveness),
        photo_similarity: None,
        quality: member.map(|r| r.quality.score),
        faces: faces(analysis, cast),
    };
    facts::check(facts, has_consent, None, &policy.facts).into_iter().for_each(|reason| row.add(reason));
    row.detail = missing(facts);
    match &analysis.selfie {
        Err(reject) => {
            row.add(reject.reason);
            row.detail = Some(reject.detail.clone());
        }
        Ok(_) => {
            // Without a worker_id there is no worker to be unknown or to be another one.
            let of_account = |reason: &Reason| matches!(reason, Reason::WorkerUnknown | Reason::WorkerMismatch);
            let counts = |reason: &&Reason| facts.worker_id.is_some() || !of_account(reason);
            cast.reasons.iter().filter(counts).for_each(|&reason| row.add(reason));
            let live = |reading: &Reading| reading.liveness >= policy.liveness.min_bona_fide;
            if !member.into_iter().chain(worker).all(live) {
                row.add(Reason::PhotoOfPhoto);
            }
            member.into_iter().flat_map(|r| quality::failings(&r.quality, &policy.quality)).for_each(|r| row.add(r));
        }
    }
    if let (Some(photo), Some(member)) = (&analysis.photo, member) {
        check_photo(photo.as_ref().map_err(|reject| reject.detail.as_str()), member, policy, &mut row);
    }
    row.verdict = policy.verdicts.decide(&row.reasons);
    row
}

/// The member's face where it was found and read.
pub fn member_reading<'a>(analysis: &'a Analysis, cast: &Cast) -> Option<&'a Reading> {
    cast.member.and_then(|index| analysis.faces().get(index)?.reading.as_ref())
}

/// Names the required values that are null.
fn missing(facts: &RowFacts) -> Option<String> {
    let required = [
        ("submission_id", facts.submission_id.is_none()),
        ("worker_id", facts.worker_id.is_none()),
        ("district", facts.district.is_none()),
        ("captured_at", facts.captured_at.is_none()),
    ];
    let names: Vec<&str> = required.into_iter().filter_map(|(name, missing)| missing.then_some(name)).collect();
    (!names.is_empty()).then(|| format!("no value in {}", names.join(", ")))
}

/// The uploaded photo against the member in the selfie. It may be a scan, so its liveness does not count.
fn check_photo(photo: Result<&SeenPhoto, &str>, member: &Reading, policy: &Policy, row: &mut VerdictRow) {
    let best = photo
        .into_iter()
        .flat_map(|photo| &photo.faces)
        .filter_map(|face| face.reading.as_ref())
        .map(|face| similarity(&face.template, &member.template))
        .max_by(f32::total_cmp);
    row.photo_similarity = best;
    if best.is_none_or(|similarity| similarity < policy.matching.photo_similarity) {
        row.add(Reason::PhotoMismatch);
        if best.is_none() && row.detail.is_none() {
            row.detail = Some(format!("uploaded photo: {}", photo.err().unwrap_or("no face found")));
        }
    }
}

fn faces(analysis: &Analysis, cast: &Cast) -> Vec<FaceRow> {
    let face = |(index, face): (usize, &crate::infer::SeenFace)| {
        let mut landmarks = [0.0; 10];
        landmarks.iter_mut().zip(face.detection.landmarks.as_flattened()).for_each(|(to, &from)| *to = from);
        FaceRow {
            bbox: face.detection.bbox,
            landmarks,
            role: cast.role(index),
            score: face.detection.score,
            quality: face.reading.as_ref().map(|r| r.quality.score),
            liveness: face.reading.as_ref().map(|r| r.liveness),
        }
    };
    analysis.faces().iter().enumerate().map(face).collect()
}
