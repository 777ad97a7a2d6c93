//! The things that a submission may show, and which of them it does.

use serde::{Deserialize, Serialize};

use super::room::EarlierRoom;
use super::visit::{Visit, by_worker};
use super::{device, edited, pace, place, room};
use crate::config::policy::PresencePolicy;
use crate::reason::Reason;

/// One thing that a submission may show beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// It comes from the point from which most of the worker's submissions come.
    SamePlace,
    /// It stands before the wall before which most of the worker's submissions stand.
    SameRoom,
    /// It is one of many within minutes.
    Burst,
    /// It was taken at an hour at which hardly anybody works.
    OddHour,
    /// The time since the one before is the same as the last time.
    RegularGaps,
    /// Nobody travels so fast from where the one before was taken.
    ImpossibleTravel,
    /// Its phone is used under several accounts, or the account changed phones within minutes.
    DeviceShared,
    /// It arrived long after it was taken, or before.
    UploadedLate,
    /// The camera's clock says another time, and not by as much as for the worker's other pictures.
    CameraTimeDiffers,
    /// A program for editing wrote the picture, or it has the form of a screen, or its thumbnail shows another picture.
    PictureEdited,
}

impl Sign {
    /// All signs, in the order of tables.
    pub const ALL: [Sign; 10] = [
        Sign::SamePlace,
        Sign::SameRoom,
        Sign::Burst,
        Sign::OddHour,
        Sign::RegularGaps,
        Sign::ImpossibleTravel,
        Sign::DeviceShared,
        Sign::UploadedLate,
        Sign::CameraTimeDiffers,
        Sign::PictureEdited,
    ];

    /// The reason that rows get.
    pub fn reason(self) -> Reason {
        match self {
            Sign::SamePlace => Reason::SamePlace,
            Sign::SameRoom => Reason::SameRoom,
            Sign::Burst => Reason::Burst,
            Sign::OddHour => Reason::OddHour,
            Sign::RegularGaps => Reason::RegularGaps,
            Sign::ImpossibleTravel => Reason::ImpossibleTravel,
            Sign::DeviceShared => Reason::DeviceShared,
            Sign::UploadedLate => Reason::UploadedLate,
            Sign::CameraTimeDiffers => Reason::CameraTimeDiffers,
            Sign::PictureEdited => Reason::PictureEdited,
        }
    }
}

/// Of every visit, whether it shows a sign; `None` where that cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signs {
    /// Which.
    pub sign: Sign,
    /// One for each visit, in their order.
    pub shown: Vec<Option<bool>>,
}

impl Signs {
    /// All signs of all visits, with the rooms of earlier nights. `alike` is how alike two backgrounds of one room are.
    pub fn of(visits: &[Visit], earlier: &[EarlierRoom], policy: &PresencePolicy, alike: f32) -> Vec<Signs> {
        let workers = by_worker(visits);
        let signs = |sign: Sign| {
            let shown = match sign {
                Sign::SamePlace => place::same_place(visits, &workers, policy),
                Sign::SameRoom => room::same_room(visits, &workers, earlier, alike),
                Sign::Burst => pace::bursts(visits, &workers, policy),
                Sign::OddHour => pace::odd_hours(visits, &workers, policy),
                Sign::RegularGaps => pace::regular_gaps(visits, &workers),
                Sign::ImpossibleTravel => place::impossible_travel(visits, &workers, policy),
                Sign::DeviceShared => device::shared(visits, &workers, policy),
                Sign::UploadedLate => pace::uploaded_late(visits, policy),
                Sign::CameraTimeDiffers => pace::camera_time_differs(visits, &workers, policy),
                Sign::PictureEdited => edited::edited(visits),
            };
            Signs { sign, shown }
        };
        Sign::ALL.into_iter().map(signs).collect()
    }
}
