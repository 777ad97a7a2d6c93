//! How much of a drive's evidence from the field is written, and how many accounts enrol from home.

use serde::{Deserialize, Serialize};

/// What the drive is like in the field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FieldPlan {
    /// Whether the dump has the columns of place, device and arrival, and selfies have EXIF.
    pub evidence: bool,
    /// Share of the accounts that enrol from home, each in one of the ways of [`super::field::HomeWay`].
    pub home: f64,
    /// Share of the rows whose phone had no place.
    pub placeless: f64,
    /// Share of the phones whose pictures keep their EXIF.
    pub exif_kept: f64,
}

impl Default for FieldPlan {
    fn default() -> Self {
        FieldPlan { evidence: false, home: 0.0, placeless: 0.08, exif_kept: 0.7 }
    }
}
