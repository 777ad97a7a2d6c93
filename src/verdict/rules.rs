//! What one row says about itself, before it is compared with any other.

use crate::config::Policy;
use crate::dump::{Booths, MAX_TEXT, Place, RowFacts, facts};
use crate::face::{SpoofRule, quality};
use crate::infer::template::similarity;
use crate::infer::{Analysis, Reading, SeenPhoto};
use crate::reason::{Reason, Verdict};
use crate::roles::Cast;
use crate::verdict::{FaceRow, VerdictRow};

/// What is known of the dump as a whole.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given<'a> {
    /// Whether it has a consent column at all: only then is an empty cell a missing consent.
    pub has_consent: bool,
    /// When it was read, microseconds since 1970-01-01T00:00:00Z: no selfie was taken later.
    pub read_at: Option<i64>,
    /// In which district each booth lies.
    pub booths: Option<&'a Booths>,
}

/// The row of the verdict table as far as the submission alone decides it.
pub fn first_look(analysis: &Analysis, cast: &Cast, given: Given, policy: &Policy) -> VerdictRow {
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
        member_liveness: member.map(|r| bona_fide(r, policy)),
        worker_liveness: worker.map(|r| bona_fide(r, policy)),
        photo_similarity: None,
        quality: member.map(|r| r.quality.score),
        faces: faces(analysis, cast, policy),
    };
    let reasons = facts::check(facts, given.has_consent, given.read_at, &policy.facts);
    reasons.into_iter().for_each(|reason| row.add(reason));
    row.detail = missing(facts);
    if !facts.cut.is_empty() {
        row.note(format!("more than {MAX_TEXT} characters in {}", facts.cut.join(", ")));
    }
    let place = |booths: &Booths| booths.place(facts.booth_id.as_deref(), facts.district.as_deref());
    if given.booths.map(place) == Some(Place::Outside) {
        row.add(Reason::BoothOutsideDistrict);
    }
    match &analysis.selfie {
        Err(reject) => {
            row.add(reject.reason);
            row.note(reject.detail.clone());
        }
        Ok(_) => {
            // Without a worker_id there is no worker to be unknown or to be another one.
            let of_account = |reason: &Reason| matches!(reason, Reason::WorkerUnknown | Reason::WorkerMismatch);
            let counts = |reason: &&Reason| facts.worker_id.is_some() || !of_account(reason);
            cast.reasons.iter().filter(counts).for_each(|&reason| row.add(reason));
            let live = |reading: &Reading| bona_fide(reading, policy) >= policy.liveness.min_bona_fide;
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

/// The probability that a face was there, and not a picture of it: the network's, and the marks of a recapture where the
/// policy asks for them.
pub fn bona_fide(reading: &Reading, policy: &Policy) -> f32 {
    match policy.liveness.frame_evidence {
        true => SpoofRule::FITTED.bona_fide(reading.liveness, &reading.spoof),
        false => reading.liveness,
    }
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

fn faces(analysis: &Analysis, cast: &Cast, policy: &Policy) -> Vec<FaceRow> {
    let face = |(index, face): (usize, &crate::infer::SeenFace)| {
        let mut landmarks = [0.0; 10];
        landmarks.iter_mut().zip(face.detection.landmarks.as_flattened()).for_each(|(to, &from)| *to = from);
        FaceRow {
            bbox: face.detection.bbox,
            landmarks,
            role: cast.role(index),
            score: face.detection.score,
            quality: face.reading.as_ref().map(|r| r.quality.score),
            liveness: face.reading.as_ref().map(|r| bona_fide(r, policy)),
            network_liveness: face.reading.as_ref().map(|r| r.liveness),
            marks: face.reading.as_ref().map(|r| r.spoof.values()).unwrap_or_default(),
        }
    };
    analysis.faces().iter().enumerate().map(face).collect()
}
