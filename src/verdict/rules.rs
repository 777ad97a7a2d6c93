//! What one row says about itself, before it is compared with any other.

use crate::config::Policy;
use crate::config::policy::LivenessPolicy;
use crate::dump::{BoothPlace, Booths, MAX_TEXT, RowFacts, facts, why_no_place};
use crate::face::{Quality, quality};
use crate::infer::template::similarity;
use crate::infer::{Analysis, Reading, SeenFace, SeenPhoto};
use crate::reason::{Reason, Verdict};
use crate::roles::Cast;
use crate::verdict::{FaceRow, SentFrom, VerdictRow};

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
        decision: None,
        detail: None,
        duplicate_of: None,
        cluster_id: None,
        cross_district: None,
        similarity: None,
        review_at_false_share: None,
        expected_false_matches: None,
        grade: None,
        evidence: None,
        member_liveness: member.map(Reading::liveness),
        worker_liveness: worker.map(Reading::liveness),
        photo_similarity: None,
        quality: member.map(|r| r.quality.score),
        faces: faces(analysis, cast),
        sent: SentFrom::from(facts),
    };
    let reasons = facts::check(facts, given.has_consent, given.read_at, &policy.facts);
    reasons.into_iter().for_each(|reason| row.add(reason));
    row.detail = missing(facts);
    for (column, text) in &facts.unread {
        match column.as_str() {
            "consent" => row.note(format!("{column} `{text}` is neither yes nor no")),
            "captured_at" | "uploaded_at" => row.note(format!("{column} `{text}` is no time that can be read")),
            // Evidence that is missing is nothing that a row has to answer for; a place is not quoted.
            _ => {}
        }
    }
    why_no_place(&facts.unread).into_iter().for_each(|why| row.note(format!("no place: {why}")));
    if !facts.cut.is_empty() {
        row.note(format!("more than {MAX_TEXT} characters in {}", facts.cut.join(", ")));
    }
    let place = |booths: &Booths| booths.place(facts.booth_id.as_deref(), facts.district.as_deref());
    if given.booths.map(place) == Some(BoothPlace::Outside) {
        row.add(Reason::BoothOutsideDistrict);
    }
    match &analysis.selfie {
        Err(reject) => {
            row.add(reject.reason);
            row.note(reject.detail.clone());
        }
        Ok(photo) => {
            if photo.turned != 0 {
                row.note(format!(
                    "the picture lay turned and did not say so: seen turned clockwise by {} degrees",
                    photo.turned
                ));
            }
            if let Some(composite) = photo.composite {
                row.add(Reason::CompositeSuspected);
                row.note(composite.meaning().to_owned());
            }
            // Without a worker_id there is no worker to be unknown or to be another one.
            let of_account = |reason: &Reason| matches!(reason, Reason::WorkerUnknown | Reason::WorkerMismatch);
            let counts = |reason: &&Reason| facts.worker_id.is_some() || !of_account(reason);
            cast.reasons.iter().filter(counts).for_each(|&reason| row.add(reason));
            if let Some(accounts) = cast.stand_in_accounts {
                row.note(format!("the face in the worker's place stands there under {accounts} accounts"));
            }
            excuse_small_faces(analysis.faces(), policy, &mut row.reasons);
            check_liveness(member, worker, policy, &mut row);
            member.into_iter().flat_map(|r| quality::failings(&r.quality, &policy.quality)).for_each(|r| row.add(r));
        }
    }
    if let (Some(photo), Some(member)) = (&analysis.photo, member) {
        check_photo(photo.as_ref().map_err(|reject| reject.detail.as_str()), member, policy, &mut row);
    }
    row.verdict = policy.verdicts.decide(&row.reasons);
    row
}

/// A worker is not absent whose face may be one that is too small to be compared: then that alone is said. Reasons are in
/// their order.
pub fn excuse_small_faces(faces: &[SeenFace], policy: &Policy, reasons: &mut Vec<Reason>) {
    let tallest = faces.first().map_or(0.0, |face| face.detection.bbox[3]);
    let is_near = |face: &&SeenFace| face.detection.bbox[3] >= tallest * policy.roles.principal_ratio;
    let readings = faces.iter().filter(is_near).filter_map(|face| face.reading.as_ref());
    let mut sizes = readings.map(|reading| reading.quality.eye_distance);
    if reasons.contains(&Reason::WorkerAbsent) && sizes.any(|size| size < policy.quality.min_eye_distance) {
        reasons.retain(|&reason| !matches!(reason, Reason::WorkerAbsent | Reason::FaceTooSmall));
        let place = reasons.partition_point(|&reason| reason < Reason::FaceTooSmall);
        reasons.insert(place, Reason::FaceTooSmall);
    }
}

/// What liveness says of a face, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presentation {
    /// The face was there.
    BonaFide,
    /// It cannot be said: the score is low, and light, grain or size are such that a live face's may be.
    Unsure,
    /// It may be a picture.
    Suspected,
    /// It is a picture.
    Attack,
}

impl Presentation {
    /// The reason that it gives a row.
    pub fn reason(self) -> Option<Reason> {
        match self {
            Presentation::BonaFide => None,
            Presentation::Unsure => Some(Reason::LivenessUnsure),
            Presentation::Suspected => Some(Reason::PhotoOfPhotoSuspected),
            Presentation::Attack => Some(Reason::PhotoOfPhoto),
        }
    }
}

/// What liveness says of a face under a policy.
pub fn presentation(reading: &Reading, policy: &Policy) -> Presentation {
    let (liveness, limits) = (reading.liveness(), &policy.liveness);
    if liveness >= limits.review_below {
        Presentation::BonaFide
    } else if unsteady(reading, limits).is_some() {
        Presentation::Unsure
    } else if liveness < limits.reject_below && reading.looks.agree_on_attack() {
        Presentation::Attack
    } else {
        Presentation::Suspected
    }
}

/// What is outside the range in which a live face scores as a live face, and what to do about it.
fn unsteady(reading: &Reading, limits: &LivenessPolicy) -> Option<String> {
    let Quality { brightness, contrast, eye_distance, .. } = reading.quality;
    let (darkest, brightest, flattest) = (limits.min_brightness, limits.max_brightness, limits.min_contrast);
    let grain = reading.grain;
    if eye_distance < limits.min_eye_distance {
        let least = limits.min_eye_distance;
        Some(format!("too small (eyes {eye_distance:.0} pixels apart, {least} needed): step nearer"))
    } else if brightness < darkest {
        Some(format!("too dark (brightness {brightness:.2}, {darkest} needed): turn to the light"))
    } else if brightness > brightest {
        Some(format!("too bright (brightness {brightness:.2}, at most {brightest}): step out of the glare"))
    } else if contrast < flattest {
        Some(format!("too flat (contrast {contrast:.2}, {flattest} needed): clean the lens, turn to the light"))
    } else if grain > limits.max_grain {
        Some(format!("too grainy (grain {grain:.1}, at most {}): take it in more light", limits.max_grain))
    } else {
        None
    }
}

/// The gravest that liveness says of member and worker; of a face of which nothing can be said, why, and what to do.
fn check_liveness(member: Option<&Reading>, worker: Option<&Reading>, policy: &Policy, row: &mut VerdictRow) {
    let faces = [("member", member), ("worker", worker)];
    let judged = faces.into_iter().filter_map(|(role, reading)| Some((presentation(reading?, policy), role, reading?)));
    // Of equally grave ones the first: the member.
    let Some((gravest, role, reading)) = judged.reduce(|a, b| if b.0 > a.0 { b } else { a }) else { return };
    gravest.reason().into_iter().for_each(|reason| row.add(reason));
    if gravest == Presentation::Unsure
        && let Some(what) = unsteady(reading, &policy.liveness)
    {
        row.note(format!("the {role}'s face cannot be told from a photo: {what}"));
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
    let is_unread = |name: &str| facts.unread.iter().any(|(column, _)| column == name);
    let missing = required.into_iter().filter(|&(name, missing)| missing && !is_unread(name));
    let names: Vec<&str> = missing.map(|(name, _)| name).collect();
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

/// A place in a picture that was turned, in the picture as the dump has it: whoever cuts faces out decodes that.
fn place_as_stored(photo: &SeenPhoto, x: f32, y: f32) -> [f32; 2] {
    let (width, height) = (photo.width as f32, photo.height as f32);
    match photo.turned {
        90 => [y, width - x],
        180 => [width - x, height - y],
        270 => [height - y, x],
        _ => [x, y],
    }
}

/// Where each face lies in the picture as the dump has it: left, top, width, height.
pub fn boxes_as_stored(analysis: &Analysis) -> Vec<[f32; 4]> {
    let Ok(photo) = &analysis.selfie else { return Vec::new() };
    let stored = |face: &SeenFace| {
        let [left, top, width, height] = face.detection.bbox;
        if photo.turned == 0 {
            return face.detection.bbox;
        }
        let [a, b] = place_as_stored(photo, left, top);
        let [c, d] = place_as_stored(photo, left + width, top + height);
        [a.min(c), b.min(d), (a - c).abs(), (b - d).abs()]
    };
    photo.faces.iter().map(stored).collect()
}

fn faces(analysis: &Analysis, cast: &Cast) -> Vec<FaceRow> {
    let place = |x: f32, y: f32| analysis.selfie.as_ref().map_or([x, y], |photo| place_as_stored(photo, x, y));
    let boxes = boxes_as_stored(analysis);
    let face = |(index, face): (usize, &SeenFace)| {
        let mut landmarks = [0.0; 10];
        let places = face.detection.landmarks.map(|[x, y]| place(x, y));
        landmarks.iter_mut().zip(places.as_flattened()).for_each(|(to, &from)| *to = from);
        FaceRow {
            bbox: boxes[index],
            landmarks,
            role: cast.role(index),
            score: face.detection.score,
            quality: face.reading.as_ref().map(|r| r.quality.score),
            liveness: face.reading.as_ref().map(Reading::liveness),
            looks: face.reading.as_ref().map(|r| r.looks.taken().collect()).unwrap_or_default(),
            grain: face.reading.as_ref().map(|r| r.grain),
        }
    };
    analysis.faces().iter().enumerate().map(face).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::Detection;
    use crate::infer::analysis::Traits;
    use crate::infer::{Looks, Template};
    use crate::photo::{Camera, Fingerprint, Photo, Reduced};

    /// A face in good light whose two looks agree.
    fn reading(log_odds: f32) -> Reading {
        Reading {
            quality: Quality {
                eye_distance: 60.0,
                sharpness: 0.3,
                brightness: 0.5,
                contrast: 0.2,
                score: 1.0,
                ..Quality::default()
            },
            looks: Looks { wide: log_odds, close: Some(log_odds), middle: None },
            grain: 0.5,
            template: Template::from_embedding(&[1.0; 128]).unwrap(),
        }
    }

    fn changed(log_odds: f32, change: impl Fn(&mut Reading)) -> Reading {
        let mut reading = reading(log_odds);
        change(&mut reading);
        reading
    }

    #[test]
    fn two_limits_and_light_in_which_nothing_is_held_against_anybody() {
        let policy = Policy::default();
        let is = |reading: &Reading| presentation(reading, &policy);
        assert_eq!(is(&reading(6.0)), Presentation::BonaFide);
        let between = (policy.liveness.reject_below + policy.liveness.review_below) / 2.0;
        assert_eq!(is(&reading((between / (1.0 - between)).ln())), Presentation::Suspected);
        assert_eq!(is(&reading(-9.0)), Presentation::Attack);
        type Change = fn(&mut Reading);
        let unsteady: [(&str, Change); 5] = [
            ("too dark", |r| r.quality.brightness = 0.05),
            ("too bright", |r| r.quality.brightness = 0.97),
            ("too flat", |r| r.quality.contrast = 0.01),
            ("too grainy", |r| r.grain = 9.0),
            ("too small", |r| r.quality.eye_distance = 9.0),
        ];
        for (words, change) in unsteady {
            let low = changed(-9.0, change);
            assert_eq!(is(&low), Presentation::Unsure, "{words}");
            let what = unsteady_words(&low, &policy);
            assert!(what.contains(words) && what.contains(": "), "what is wrong, and what to do: {what}");
            assert_eq!(is(&changed(6.0, change)), Presentation::BonaFide, "a face that is seen to live is live");
        }
        // What one look alone takes for an attack is asked about, however sure it is.
        let alone = changed(0.0, |r| r.looks = Looks { wide: -40.0, close: Some(0.5), middle: Some(-9.0) });
        assert!(alone.liveness() < policy.liveness.reject_below);
        assert_eq!(is(&alone), Presentation::Suspected);
        let edge = 1.0 / (1.0 + 1.0f32.exp());
        let looks = Looks { wide: 3.0, close: Some(-5.0), middle: None };
        assert!((looks.bona_fide() - edge).abs() < 1e-6, "the mean of the log-odds");
        assert_eq!(Looks { middle: Some(8.0), ..looks }.log_odds(), 2.0);
    }

    fn unsteady_words(reading: &Reading, policy: &Policy) -> String {
        unsteady(reading, &policy.liveness).unwrap_or_default()
    }

    fn row() -> VerdictRow {
        crate::verdict::rows::tests::row(0, "W", &[], 0.9)
    }

    #[test]
    fn the_graver_of_two_faces_decides_and_what_to_do_is_said() {
        let policy = Policy::default();
        let (live, attack) = (reading(6.0), reading(-9.0));
        let dark = changed(-9.0, |r| r.quality.brightness = 0.05);
        let said = |member: &Reading, worker: &Reading| {
            let mut row = row();
            check_liveness(Some(member), Some(worker), &policy, &mut row);
            (row.reasons, row.detail)
        };
        assert_eq!(said(&live, &live), (vec![], None));
        let (reasons, detail) = said(&live, &dark);
        assert_eq!(reasons, [Reason::LivenessUnsure]);
        let detail = detail.unwrap();
        assert!(detail.contains("the worker's face") && detail.contains("turn to the light"), "{detail}");
        assert_eq!(said(&dark, &attack), (vec![Reason::PhotoOfPhoto], None));
        let mut alone = row();
        check_liveness(None, None, &policy, &mut alone);
        assert!(alone.reasons.is_empty());
    }

    /// One selfie with faces of these heights, and eyes so far apart.
    fn selfie(faces: &[(f32, f32)]) -> Analysis {
        let face = |&(height, eyes): &(f32, f32)| SeenFace {
            detection: Detection { bbox: [0.0, 0.0, height * 0.8, height], landmarks: [[0.0; 2]; 5], score: 0.9 },
            reading: Some(changed(6.0, |r| r.quality.eye_distance = eyes)),
        };
        let nothing = Photo { width: 1, height: 1, rgb: vec![0; 3] };
        let photo = SeenPhoto {
            width: 640,
            height: 480,
            turned: 0,
            composite: None,
            camera: Camera::default(),
            fingerprint: Fingerprint { sha256: [0; 32], dhash: 0, mirrored_dhash: 0 },
            traits: Traits::of(&Reduced::of(&nothing), &nothing, &[]),
            faces: faces.iter().map(face).collect(),
        };
        Analysis { row: 0, facts: RowFacts::default(), selfie: Ok(photo), photo: None }
    }

    #[test]
    fn a_worker_too_small_to_be_compared_is_not_absent() {
        let policy = Policy::default();
        let said = |faces: &[(f32, f32)]| {
            let mut row = row();
            row.add(Reason::WorkerAbsent);
            excuse_small_faces(selfie(faces).faces(), &policy, &mut row.reasons);
            row.reasons
        };
        assert_eq!(said(&[(30.0, 9.0), (28.0, 8.0)]), [Reason::FaceTooSmall]);
        assert_eq!(said(&[(50.0, 16.0), (40.0, 12.0)]), [Reason::FaceTooSmall], "the small one may be the worker");
        assert_eq!(said(&[(200.0, 80.0), (180.0, 70.0)]), [Reason::WorkerAbsent]);
        assert_eq!(said(&[(200.0, 80.0), (180.0, 70.0), (30.0, 9.0)]), [Reason::WorkerAbsent], "far behind");
    }
}
