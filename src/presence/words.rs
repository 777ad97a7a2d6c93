//! What a worker's count says, in words.

use crate::reason::Reason;
use crate::verdict::peers::UnitRow;

/// In English.
pub(super) fn english(row: &UnitRow) -> String {
    let what = match row.reason {
        Some(Reason::SamePlace) => "further members from one point",
        Some(Reason::SameRoom) => "further members before one wall",
        Some(Reason::Burst) => "members within minutes of many others",
        Some(Reason::OddHour) => "members at hours when hardly anybody works",
        Some(Reason::RegularGaps) => "members after the same time as the one before",
        Some(Reason::ImpossibleTravel) => "ways that nobody travels so fast",
        Some(Reason::DeviceShared) => "members with a phone of several accounts, or changed within minutes",
        Some(Reason::UploadedLate) => "members that arrived long after they were taken, or before",
        Some(Reason::CameraTimeDiffers) => "pictures with another time in the file",
        Some(Reason::PictureEdited) => "pictures that an editor or a screen made",
        _ => "submissions",
    };
    format!("{} of {} {what} (peers: {:.1} %)", row.count, row.submissions, 100.0 * row.peer_rate())
}

/// In Hindi.
pub(super) fn hindi(row: &UnitRow) -> String {
    let what = match row.reason {
        Some(Reason::SamePlace) => "सदस्य एक ही जगह से",
        Some(Reason::SameRoom) => "सदस्य एक ही दीवार के सामने",
        Some(Reason::Burst) => "सदस्य कुछ ही मिनटों में, कई औरों के साथ",
        Some(Reason::OddHour) => "सदस्य ऐसे समय जब लगभग कोई काम नहीं करता",
        Some(Reason::RegularGaps) => "सदस्य हर बार ठीक उतने ही समय बाद",
        Some(Reason::ImpossibleTravel) => "बार इतनी जल्दी दूसरी जगह, जितनी जल्दी कोई पहुँच नहीं सकता",
        Some(Reason::DeviceShared) => "सदस्य ऐसे फ़ोन से जो कई खातों में चला, या मिनटों में बदला",
        Some(Reason::UploadedLate) => "सदस्य फ़ोटो लेने के बहुत बाद, या उससे पहले पहुँचे",
        Some(Reason::CameraTimeDiffers) => "फ़ोटो जिनकी फ़ाइल में दूसरा समय है",
        Some(Reason::PictureEdited) => "फ़ोटो जो संपादक या स्क्रीन से बनीं",
        _ => "प्रविष्टियाँ",
    };
    format!("{} में से {} {what} (साथियों में {:.1} %)", row.submissions, row.count, 100.0 * row.peer_rate())
}
