//! Decisions about rows: whether what the run held against a row is so.

use serde::{Deserialize, Serialize};

use super::about::{Side, Why};
use crate::reason::Reason;

/// What a person says of a row that is in review or was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowAnswer {
    /// What is held against the row is so: it is rejected.
    Uphold,
    /// It is not so: those reasons go away.
    Overturn,
    /// The worker takes the selfie again.
    Retake,
    /// Somebody else should say.
    Pass,
}

impl RowAnswer {
    /// All of them.
    pub const ALL: [RowAnswer; 4] = [RowAnswer::Uphold, RowAnswer::Overturn, RowAnswer::Retake, RowAnswer::Pass];

    /// The word in the log and in tables.
    pub fn code(self) -> &'static str {
        match self {
            RowAnswer::Uphold => "uphold",
            RowAnswer::Overturn => "overturn",
            RowAnswer::Retake => "retake",
            RowAnswer::Pass => "pass",
        }
    }
}

/// What a row is asked about: the reasons that one look answers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Is it a picture of a picture?
    Liveness,
    /// Are worker and member both there, and who is who?
    Worker,
    /// Was the picture, or its background, sent before?
    Copy,
    /// Does the uploaded photo show the member?
    Photo,
    /// Numbers, booth, consent, what the member said.
    Facts,
    /// Was the member enrolled before? Asked pair by pair.
    Pairs,
}

impl Question {
    /// Those that are asked row by row, in the order in which their queues stand.
    pub const OF_ROWS: [Question; 5] =
        [Question::Liveness, Question::Worker, Question::Copy, Question::Photo, Question::Facts];

    /// The word in the log and in requests.
    pub fn code(self) -> &'static str {
        match self {
            Question::Liveness => "liveness",
            Question::Worker => "worker",
            Question::Copy => "copy",
            Question::Photo => "photo",
            Question::Facts => "facts",
            Question::Pairs => "pairs",
        }
    }

    /// The question that answers a reason.
    pub fn about(reason: Reason) -> Question {
        use Reason::*;
        match reason {
            PhotoOfPhoto
            | PhotoOfPhotoSuspected
            | CompositeSuspected
            | LivenessUnsure
            | UnreadableImage
            | ImageTooLarge
            | FaceTooSmall
            | FaceBlurred
            | FaceTurned
            | FaceCovered => Question::Liveness,
            NoFace | OneFace | TooManyFaces | WorkerUnknown | WorkerAbsent | WorkerMismatch | StandIn
            | MemberIsWorker | MemberIsOtherWorker => Question::Worker,
            DuplicateSelfie | Resubmitted | BackgroundShared | BystanderRecurs => Question::Copy,
            PhotoMismatch => Question::Photo,
            DuplicateMember => Question::Pairs,
            RequiredFieldMissing
            | SubmissionIdRepeated
            | ErasedBefore
            | MobileReused
            | EpicReused
            | EpicMalformed
            | MobileMalformed
            | ConsentMissing
            | MemberDenied
            | NumberUndelivered
            | BoothOutsideDistrict
            | CapturedAtImplausible
            | TextTooLong
            | SamePlace
            | SameRoom
            | Burst
            | OddHour
            | RegularGaps
            | ImpossibleTravel
            | DeviceShared
            | UploadedLate
            | CameraTimeDiffers
            | PictureEdited => Question::Facts,
        }
    }
}

/// Reasons that say the same thing of a row, with more or less certainty: who says that one is wrong says it of all.
const ALIKE: [&[Reason]; 3] = [
    &[Reason::PhotoOfPhoto, Reason::PhotoOfPhotoSuspected],
    &[Reason::WorkerUnknown, Reason::WorkerAbsent, Reason::WorkerMismatch, Reason::StandIn],
    &[Reason::MemberIsWorker, Reason::MemberIsOtherWorker],
];

/// Whether a decision about the reasons `judged` is one about `reason`.
pub fn covers(judged: &[Reason], reason: Reason) -> bool {
    let alike = ALIKE.iter().find(|alike| alike.contains(&reason));
    judged.iter().any(|other| *other == reason || alike.is_some_and(|alike| alike.contains(other)))
}

/// A decision about one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowJudgement {
    /// Which row.
    pub row: Side,
    /// What was said.
    pub answer: RowAnswer,
    /// What the run held against the row: what the answer is about.
    pub reasons: Vec<Reason>,
    /// The lower liveness of worker and member, 0..=1, by which the run judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<f32>,
    /// Where the member's face really is: left, top, width, height in pixels of the upright selfie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_face: Option<[f32; 4]>,
    /// Why it was asked.
    pub why: Why,
    /// Of a seeded row: the right answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<RowAnswer>,
    /// Of a seeded row: how the right answer is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// In the reviewer's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How long the row was on the screen, milliseconds, as the page says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_ms: Option<u64>,
}

/// What a member has to say against a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appeal {
    /// Which row.
    pub row: Side,
    /// In the member's words.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_about_its_reasons_and_those_that_say_the_same() {
        let judged = [Reason::PhotoOfPhotoSuspected, Reason::BackgroundShared];
        assert!(covers(&judged, Reason::PhotoOfPhoto) && covers(&judged, Reason::BackgroundShared));
        assert!(!covers(&judged, Reason::DuplicateSelfie) && !covers(&judged, Reason::WorkerAbsent));
        assert!(covers(&[Reason::WorkerAbsent], Reason::StandIn));
    }

    #[test]
    fn questions_go_by_their_words() {
        for question in Question::OF_ROWS {
            let word = serde_json::to_string(&question).unwrap();
            assert_eq!(word, format!("\"{}\"", question.code()));
        }
        for answer in RowAnswer::ALL {
            assert_eq!(serde_json::to_string(&answer).unwrap(), format!("\"{}\"", answer.code()));
        }
    }
}
