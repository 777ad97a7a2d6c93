//! Why a row is not simply accepted: the stable codes of the `reasons` column, in one table.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal),+ $(,)?) => {
        /// A stable reason code. The order here is the order in which a row lists its reasons.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Reason { $($(#[doc = $doc])+ #[serde(rename = $code)] $name),+ }

        impl Reason {
            /// All reasons, in table order.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),+];

            /// The code written to tables.
            pub fn code(self) -> &'static str {
                match self { $(Reason::$name => $code),+ }
            }

            /// One line for people.
            pub fn meaning(self) -> &'static str {
                match self { $(Reason::$name => concat!($($doc),+).trim_ascii()),+ }
            }
        }
    };
}

reasons! {
    /// A required value is missing or cannot be read: submission_id, worker_id, district or captured_at.
    RequiredFieldMissing = "required_field_missing",
    /// The same submission_id stands in an earlier row or an earlier night.
    SubmissionIdRepeated = "submission_id_repeated",
    /// The submission was erased on request, and its consent was not given anew: nothing was looked at.
    ErasedBefore = "erased_before",
    /// The selfie is missing, empty, truncated, corrupt or of a kind that is not read.
    UnreadableImage = "unreadable_image",
    /// The selfie is over the limits on bytes or pixels and was not decoded.
    ImageTooLarge = "image_too_large",
    /// No face was found.
    NoFace = "no_face",
    /// Only one face was found where worker and member must both be.
    OneFace = "one_face",
    /// More faces stand in the foreground than worker and member.
    TooManyFaces = "too_many_faces",
    /// It could not be told which face is the worker's: too few submissions and no reference photo.
    WorkerUnknown = "worker_unknown",
    /// None of the faces is the worker who submitted the selfie.
    WorkerAbsent = "worker_absent",
    /// The account's worker is absent and one other face recurs in its place.
    WorkerMismatch = "worker_mismatch",
    /// Another face stands in the absent worker's place, as it does under several accounts.
    StandIn = "stand_in",
    /// The member is the worker once more.
    MemberIsWorker = "member_is_worker",
    /// The member is another worker of the drive.
    MemberIsOtherWorker = "member_is_other_worker",
    /// A face was photographed from a print or a screen.
    PhotoOfPhoto = "photo_of_photo",
    /// A face may have been photographed from a print or a screen: a person should look.
    PhotoOfPhotoSuspected = "photo_of_photo_suspected",
    /// The picture looks like a screenshot, or like two pictures joined: a person should look.
    CompositeSuspected = "composite_suspected",
    /// The light, grain or size of a face lets nobody tell it from a photo of a photo.
    LivenessUnsure = "liveness_unsure",
    /// The member's face is too small to be compared.
    FaceTooSmall = "face_too_small",
    /// The member's face is too blurred to be compared.
    FaceBlurred = "face_blurred",
    /// The member's face is turned too far to be compared.
    FaceTurned = "face_turned",
    /// The member's face is covered, or too dark or too bright to be compared.
    FaceCovered = "face_covered",
    /// The uploaded photo does not show the member of the selfie.
    PhotoMismatch = "photo_mismatch",
    /// The member has been enrolled before.
    DuplicateMember = "duplicate_member",
    /// The same picture was submitted before: the same file, or encoded anew, scaled, cropped or mirrored.
    DuplicateSelfie = "duplicate_selfie",
    /// The worker sent the same member again within minutes: another try, not a second membership.
    Resubmitted = "resubmitted",
    /// The same background stands behind an earlier selfie of another worker.
    BackgroundShared = "background_shared",
    /// The same bystander stands behind earlier selfies of other workers.
    BystanderRecurs = "bystander_recurs",
    /// The mobile number was used for another member.
    MobileReused = "mobile_reused",
    /// The voter-ID number was used for another member.
    EpicReused = "epic_reused",
    /// The voter-ID number is not of a known form.
    EpicMalformed = "epic_malformed",
    /// The mobile number is not an Indian mobile number.
    MobileMalformed = "mobile_malformed",
    /// The member's consent is not recorded.
    ConsentMissing = "consent_missing",
    /// The member says not to have become one.
    MemberDenied = "member_denied",
    /// The member's mobile number reaches nobody.
    NumberUndelivered = "number_undelivered",
    /// The booth lies in another district, by the table of booths.
    BoothOutsideDistrict = "booth_outside_district",
    /// The time of capture is before the drive or in the future.
    CapturedAtImplausible = "captured_at_implausible",
    /// A text of the row is longer than 256 characters and was cut.
    TextTooLong = "text_too_long",
    /// Far more of the worker's members than peers' come from one point, as this one does.
    SamePlace = "same_place",
    /// Far more of the worker's members than peers' stand before one wall, as this one does.
    SameRoom = "same_room",
    /// Far more of the worker's members than peers' were taken within minutes of many others, as this one was.
    Burst = "burst",
    /// Far more of the worker's members than peers' were taken at hours when hardly anybody works, as this one was.
    OddHour = "odd_hour",
    /// Far more of the worker's members than peers' came after the same time as the one before, as this one did.
    RegularGaps = "regular_gaps",
    /// Nobody travels so fast from the worker's submission before, and it is not the worker's only such way.
    ImpossibleTravel = "impossible_travel",
    /// Far more of the worker's members than peers' came from a phone of several accounts, as this one did.
    DeviceShared = "device_shared",
    /// Far more of the worker's members than peers' arrived long after they were taken, or before, as this one did.
    UploadedLate = "uploaded_late",
    /// Far more of the worker's pictures than peers' have another time in their file, as this one has.
    CameraTimeDiffers = "camera_time_differs",
    /// Far more of the worker's pictures than peers' were made by an editor or a screen, as this one was.
    PictureEdited = "picture_edited",
}

/// A sentence in English and in Hindi.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sentence {
    /// In English.
    pub english: &'static str,
    /// In Hindi.
    pub hindi: &'static str,
}

impl Reason {
    /// What the worker can do better next time, as one sentence to be told to the worker; `None` where the worker's way of
    /// taking the picture is not the matter.
    pub fn advice(self) -> Option<Sentence> {
        use Reason::*;
        let (english, hindi) = match self {
            NoFace | OneFace => (
                "Take the picture so that worker and member are both in it.",
                "फ़ोटो ऐसे लें कि कार्यकर्ता और सदस्य दोनों उसमें हों।",
            ),
            TooManyFaces => (
                "Only worker and member stand in front; ask the others to step aside.",
                "सामने केवल कार्यकर्ता और सदस्य खड़े हों; बाकी लोगों से हटने को कहें।",
            ),
            FaceTooSmall => {
                ("Step closer, so that both faces fill the picture.", "पास आएँ, ताकि दोनों चेहरे फ़ोटो में बड़े दिखें।")
            }
            FaceBlurred => {
                ("Wipe the lens, hold the phone still, then press.", "लेंस साफ़ करें, फ़ोन स्थिर रखें, फिर बटन दबाएँ।")
            }
            FaceTurned => ("Both look straight into the camera.", "दोनों सीधे कैमरे की ओर देखें।"),
            FaceCovered => (
                "Turn to the light; no mask, no sunglasses, no sun from behind.",
                "रोशनी की ओर मुँह करें; मास्क या धूप का चश्मा न हो, पीछे से धूप न आए।",
            ),
            LivenessUnsure => (
                "Stand in good, even light, wipe the lens and take the picture from near.",
                "अच्छी, एक-सी रोशनी में खड़े हों, लेंस साफ़ करें और पास से फ़ोटो लें।",
            ),
            UnreadableImage => (
                "Send the picture again where the network is good, and update the app.",
                "जहाँ नेटवर्क अच्छा हो वहाँ से फ़ोटो दोबारा भेजें और ऐप अपडेट करें।",
            ),
            ImageTooLarge => ("Choose a smaller picture size in the camera.", "कैमरे में फ़ोटो का छोटा आकार चुनें।"),
            MobileMalformed => ("Enter the mobile number again.", "मोबाइल नंबर दोबारा भरें।"),
            EpicMalformed => ("Enter the voter-ID number again.", "मतदाता पहचान-पत्र का नंबर दोबारा भरें।"),
            _ => return None,
        };
        Some(Sentence { english, hindi })
    }
}

/// What becomes of a row. Later variants outweigh earlier ones when several reasons meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing speaks against it.
    Accept,
    /// The worker should take the selfie again.
    Retake,
    /// A person should look at it.
    Review,
    /// Refused.
    Reject,
    /// There is no picture to judge.
    Unreadable,
}

impl Verdict {
    /// All verdicts, mildest first.
    pub const ALL: [Verdict; 5] =
        [Verdict::Accept, Verdict::Retake, Verdict::Review, Verdict::Reject, Verdict::Unreadable];

    /// The word written to tables.
    pub fn code(self) -> &'static str {
        match self {
            Verdict::Accept => "accept",
            Verdict::Retake => "retake",
            Verdict::Review => "review",
            Verdict::Reject => "reject",
            Verdict::Unreadable => "unreadable",
        }
    }
}

/// A row that cannot go on, and why: a value, never an error of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The stable code.
    pub reason: Reason,
    /// What was expected and found, for the log and the report.
    pub detail: String,
}

impl Reject {
    /// A reject with its detail.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Reject { reason, detail: detail.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_round_trip() {
        let codes: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let json = serde_json::to_string(reason).unwrap();
            assert_eq!(json, format!("\"{}\"", reason.code()));
            assert!(reason.meaning().ends_with('.'), "{reason:?}");
        }
    }
}
