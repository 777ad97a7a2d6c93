//! What a synthetic dump is to hold: how many of what, and the one table of patterns that may be planted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::reason::Reason;
use crate::{Error, Result};

/// Whether a pattern is part of an honest drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternKind {
    /// Happens in every drive; must cost the member nothing.
    Innocent,
    /// Somebody cheats, or a row breaks the rules.
    Fraud,
}

macro_rules! patterns {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $kind:ident, $rate:literal,
       [$($reason:ident),*], [$($allowed:ident),*];)+) => {
        /// What is planted in a row. Serialised as its code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Pattern {
            /// Nothing: worker and a new member, both live.
            Honest,
            $($(#[doc = $doc])+ $name),+
        }

        impl Pattern {
            /// All but [`Pattern::Honest`], in table order.
            pub const PLANTED: &'static [Pattern] = &[$(Pattern::$name),+];

            /// The code in the truth table and in `[rates]`.
            pub fn code(self) -> &'static str {
                match self { Pattern::Honest => "honest", $(Pattern::$name => $code),+ }
            }

            /// Honest drives have it too, or not.
            pub fn kind(self) -> PatternKind {
                match self { Pattern::Honest => PatternKind::Innocent, $(Pattern::$name => PatternKind::$kind),+ }
            }

            /// The share of rows that get it unless the plan says otherwise.
            pub fn default_rate(self) -> f64 {
                match self { Pattern::Honest => 0.0, $(Pattern::$name => $rate),+ }
            }

            /// Reasons that a right answer must give.
            pub fn reasons(self) -> &'static [Reason] {
                match self { Pattern::Honest => &[], $(Pattern::$name => &[$(Reason::$reason),*]),+ }
            }

            /// Reasons that a right answer may give besides.
            pub fn allowed(self) -> &'static [Reason] {
                match self { Pattern::Honest => &[], $(Pattern::$name => &[$(Reason::$allowed),*]),+ }
            }
        }
    };
}

patterns! {
    /// One or two people small in the background.
    Bystander = "bystander", Innocent, 0.05, [], [];
    /// The same row sent again minutes later: same worker, mobile, EPIC and name, a new picture.
    InnocentRetry = "innocent_retry", Innocent, 0.01, [Resubmitted], [];
    /// The file was cut off, overwritten or lost on its way.
    BrokenFile = "broken_file", Innocent, 0.005, [UnreadableImage], [];
    /// A member enrolled before in the same district.
    DuplicateSameDistrict = "duplicate_same_district", Fraud, 0.02, [DuplicateMember], [];
    /// A member enrolled before in another district.
    DuplicateCrossDistrict = "duplicate_cross_district", Fraud, 0.025, [DuplicateMember], [];
    /// Somebody else stands in the worker's place, once.
    WorkerAbsent = "worker_absent", Fraud, 0.012, [WorkerAbsent], [DuplicateMember, WorkerMismatch, MemberIsOtherWorker];
    /// The account passes to another person for the last part of a worker's submissions.
    WorkerMismatch = "worker_mismatch", Fraud, 0.01, [WorkerMismatch], [WorkerAbsent, DuplicateMember];
    /// The member is the worker once more.
    MemberIsWorker = "member_is_worker", Fraud, 0.01, [MemberIsWorker], [DuplicateMember];
    /// The member is a worker of the drive.
    MemberIsOtherWorker = "member_is_other_worker", Fraud, 0.008, [MemberIsOtherWorker], [DuplicateMember];
    /// The member alone.
    MemberAlone = "member_alone", Fraud, 0.008, [OneFace], [WorkerAbsent, DuplicateMember];
    /// The worker alone.
    WorkerAlone = "worker_alone", Fraud, 0.006, [OneFace], [];
    /// Nobody.
    NoFace = "no_face", Fraud, 0.006, [NoFace], [];
    /// A group of five to seven in the foreground.
    Group = "group", Fraud, 0.006, [TooManyFaces],
        [WorkerAbsent, DuplicateMember, MemberIsWorker, MemberIsOtherWorker, BystanderRecurs];
    /// The uploaded photo shows somebody else.
    PhotoMismatch = "photo_mismatch", Fraud, 0.008, [PhotoMismatch], [];
    /// A live worker holds a phone that shows the member.
    PhoneMember = "phone_member", Fraud, 0.01, [PhotoOfPhoto],
        [PhotoOfPhotoSuspected, LivenessUnsure, DuplicateMember];
    /// A live worker holds a print of the member.
    PrintMember = "print_member", Fraud, 0.01, [PhotoOfPhoto],
        [PhotoOfPhotoSuspected, LivenessUnsure, DuplicateMember];
    /// A live member beside a phone that shows the worker.
    PhoneWorker = "phone_worker", Fraud, 0.004, [PhotoOfPhoto],
        [PhotoOfPhotoSuspected, LivenessUnsure, DuplicateMember, WorkerAbsent];
    /// A live worker beside a real attack's picture of a member's face, pasted as live faces are; needs pictures of attacks.
    AttackMember = "attack_member", Fraud, 0.0, [PhotoOfPhoto],
        [PhotoOfPhotoSuspected, LivenessUnsure, DuplicateMember];
    /// A whole selfie photographed from a monitor.
    MonitorFrame = "monitor_frame", Fraud, 0.008, [PhotoOfPhoto],
        [PhotoOfPhotoSuspected, LivenessUnsure, DuplicateMember];
    /// A whole selfie photographed from a print.
    PrintFrame = "print_frame", Fraud, 0.008, [PhotoOfPhoto],
        [PhotoOfPhotoSuspected, LivenessUnsure, DuplicateMember];
    /// The very file of an earlier row.
    SameFile = "same_file", Fraud, 0.006, [DuplicateSelfie],
        [DuplicateMember, WorkerAbsent, WorkerMismatch, MemberIsOtherWorker];
    /// An earlier row's picture, encoded anew at another size or quality.
    Reencoded = "reencoded", Fraud, 0.005, [DuplicateSelfie],
        [DuplicateMember, WorkerAbsent, WorkerMismatch, MemberIsOtherWorker];
    /// An earlier row's picture with its edges cut off.
    Cropped = "cropped", Fraud, 0.005, [DuplicateSelfie],
        [DuplicateMember, WorkerAbsent, WorkerMismatch, MemberIsOtherWorker];
    /// An earlier row's picture, left and right exchanged.
    Mirrored = "mirrored", Fraud, 0.005, [DuplicateSelfie],
        [DuplicateMember, WorkerAbsent, WorkerMismatch, MemberIsOtherWorker];
    /// An earlier row's background behind another member.
    BackgroundReused = "background_reused", Fraud, 0.004, [BackgroundShared], [];
    /// The same stranger stands behind the members of several workers.
    RecurringBystander = "recurring_bystander", Fraud, 0.004, [BystanderRecurs], [];
    /// The mobile number of an earlier member.
    MobileReused = "mobile_reused", Fraud, 0.004, [MobileReused], [];
    /// The voter-ID number of an earlier member.
    EpicReused = "epic_reused", Fraud, 0.004, [EpicReused], [];
    /// A mobile number that no Indian operator gives out.
    MobileMalformed = "mobile_malformed", Fraud, 0.003, [MobileMalformed], [];
    /// A voter-ID number of no known form.
    EpicMalformed = "epic_malformed", Fraud, 0.003, [EpicMalformed], [];
    /// No consent.
    ConsentMissing = "consent_missing", Fraud, 0.003, [ConsentMissing], [];
    /// A booth of another district (see `booths.parquet`).
    BoothOutside = "booth_outside", Fraud, 0.003, [BoothOutsideDistrict], [];
    /// The submission_id of an earlier row.
    IdRepeated = "id_repeated", Fraud, 0.002, [SubmissionIdRepeated], [];
    /// No worker_id.
    WorkerIdMissing = "worker_id_missing", Fraud, 0.001, [RequiredFieldMissing], [WorkerAbsent];
}

/// The share of rows of each pattern; what is not named keeps its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Pattern, f64>")]
pub struct Rates(BTreeMap<Pattern, f64>);

impl Default for Rates {
    fn default() -> Self {
        Rates(Pattern::PLANTED.iter().map(|&p| (p, p.default_rate())).collect())
    }
}

impl From<BTreeMap<Pattern, f64>> for Rates {
    fn from(named: BTreeMap<Pattern, f64>) -> Self {
        let mut all = Rates::default();
        all.0.extend(named);
        all
    }
}

impl Rates {
    /// The rate of [`Pattern::AttackMember`] where pictures of attacks are given and the plan names none.
    pub const OF_ATTACKS: f64 = 0.05;

    /// Every rate 0.
    pub fn none() -> Self {
        Rates(Pattern::PLANTED.iter().map(|&p| (p, 0.0)).collect())
    }

    /// The rate of one pattern.
    pub fn get(&self, pattern: Pattern) -> f64 {
        self.0.get(&pattern).copied().unwrap_or(0.0)
    }

    /// Sets the rate of one pattern.
    pub fn set(&mut self, pattern: Pattern, rate: f64) {
        self.0.insert(pattern, rate);
    }

    /// The sum over the patterns of a kind.
    pub fn total(&self, kind: PatternKind) -> f64 {
        self.0.iter().filter(|(p, _)| p.kind() == kind).map(|(_, r)| r).sum()
    }
}

/// What the drive is like in the field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FieldPlan {
    /// Whether the dump has the columns of place, device and arrival, and selfies have EXIF.
    pub evidence: bool,
    /// Share of the accounts that enrol from home, each in one way (see `field`).
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

/// What to make. Everything follows from this, the face pictures and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Everything random comes from it.
    pub seed: u64,
    /// Submissions over all nights.
    pub rows: usize,
    /// Nights, a day apart, with about equal shares of the rows.
    pub nights: usize,
    /// Date of the first night, `YYYY-MM-DD`.
    pub first_night: String,
    /// Submissions per worker, on average; single workers have from a fifth to twice as many.
    pub members_per_worker: usize,
    /// Districts in use (at most 50: those of Madhya Pradesh).
    pub districts: usize,
    /// Share of the workers whose reference photo stands in `workers.parquet`.
    pub workers_enrolled: f64,
    /// Share of the workers with a helper beside them in every picture.
    pub workers_with_helper: f64,
    /// Share of the rows with an uploaded photo of the member.
    pub photo_share: f64,
    /// The share of fraud among all rows: scales the rates of the fraud patterns so that they sum to it.
    pub fraud: Option<f64>,
    /// The share of rows of each pattern.
    pub rates: Rates,
    /// When there are more members to enrol than people: enrol people again (the truth then calls those rows duplicates
    /// whatever their pattern), or refuse.
    pub repeat_people: bool,
    /// Long side of the selfies in pixels; the short side is three quarters of it.
    pub long_side: usize,
    /// Share of upright (portrait) selfies.
    pub portrait_share: f64,
    /// Share of pictures that lie on their side or head in the file and are turned by their EXIF orientation.
    pub exif_share: f64,
    /// JPEG quality, from and to.
    pub quality: [u8; 2],
    /// Sensor noise in grey levels, from and to.
    pub noise: [f32; 2],
    /// Height of the member's face box as a share of the long side, from and to.
    pub face: [f32; 2],
    /// Rows in one Parquet file.
    pub rows_per_file: usize,
    /// What members answer, by SMS and to callers.
    pub replies: ReplyPlan,
    /// Where and when workers enrol, and with which phone.
    pub field: FieldPlan,
}

/// What members answer, by SMS and to callers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReplyPlan {
    /// Share of real members who do not answer an SMS; callers reach half of them.
    pub silent: f64,
    /// Share of real members whose number is wrong.
    pub undelivered: f64,
    /// How many times likelier both are where there is no member.
    pub unreal_silence: f64,
    /// Share of real members who deny.
    pub denied_by_real: f64,
    /// Share of real members who say that their data are wrong.
    pub wrong_data: f64,
    /// Share of calls of which the caller writes down the wrong answer.
    pub caller_error: f64,
}

impl Default for ReplyPlan {
    fn default() -> Self {
        ReplyPlan {
            silent: 0.2,
            undelivered: 0.03,
            unreal_silence: 2.0,
            denied_by_real: 0.002,
            wrong_data: 0.03,
            caller_error: 0.0,
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            seed: 1,
            rows: 1000,
            nights: 1,
            first_night: "2026-11-20".to_owned(),
            members_per_worker: 50,
            districts: 12,
            workers_enrolled: 0.3,
            workers_with_helper: 0.02,
            photo_share: 0.3,
            fraud: None,
            rates: Rates::default(),
            repeat_people: false,
            long_side: 1280,
            portrait_share: 0.7,
            exif_share: 0.25,
            quality: [74, 92],
            noise: [0.2, 0.8],
            face: [0.13, 0.18],
            rows_per_file: 20_000,
            replies: ReplyPlan::default(),
            field: FieldPlan::default(),
        }
    }
}

impl Plan {
    /// Checks the numbers against each other and applies `fraud` to the rates.
    ///
    /// # Errors
    /// [`Error::Usage`], naming the field, for a share outside 0..1, rates that sum to more than 0.9, or a size of 0.
    pub fn resolved(&self) -> Result<Plan> {
        let mut plan = self.clone();
        // Whoever enrols from home can be told only by what the field columns say.
        plan.field.evidence |= plan.field.home > 0.0;
        let shares = [
            ("workers_enrolled", plan.workers_enrolled),
            ("workers_with_helper", plan.workers_with_helper),
            ("photo_share", plan.photo_share),
            ("portrait_share", plan.portrait_share),
            ("exif_share", plan.exif_share),
            ("fraud", plan.fraud.unwrap_or(0.0)),
            ("field.home", plan.field.home),
            ("field.placeless", plan.field.placeless),
            ("field.exif_kept", plan.field.exif_kept),
            ("replies.silent", plan.replies.silent),
            ("replies.undelivered", plan.replies.undelivered),
            ("replies.denied_by_real", plan.replies.denied_by_real),
            ("replies.wrong_data", plan.replies.wrong_data),
            ("replies.caller_error", plan.replies.caller_error),
        ];
        let rates = Pattern::PLANTED.iter().map(|p| (p.code(), plan.rates.get(*p)));
        for (name, share) in shares.into_iter().chain(rates) {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::usage(name, format!("{share} is not a share"), "give a number from 0 to 1"));
            }
        }
        if let Some(fraud) = plan.fraud {
            let own = plan.rates.total(PatternKind::Fraud);
            if own == 0.0 && fraud > 0.0 {
                return Err(Error::usage(
                    "fraud",
                    "all fraud patterns have rate 0",
                    "raise a rate, or leave fraud out",
                ));
            }
            for &pattern in Pattern::PLANTED.iter().filter(|p| p.kind() == PatternKind::Fraud) {
                plan.rates.set(pattern, plan.rates.get(pattern) * if own > 0.0 { fraud / own } else { 0.0 });
            }
        }
        let sum = plan.rates.total(PatternKind::Fraud) + plan.rates.total(PatternKind::Innocent);
        if sum > 0.9 {
            return Err(Error::usage("rates", format!("they sum to {sum:.3}"), "leave at least 0.1 for honest rows"));
        }
        let sizes = [
            ("rows", plan.rows, 1, u32::MAX as usize),
            ("nights", plan.nights, 1, 1000),
            ("members_per_worker", plan.members_per_worker, 1, 1_000_000),
            ("districts", plan.districts, 1, 50),
            ("long_side", plan.long_side, 160, 8000),
            ("rows_per_file", plan.rows_per_file, 1, u32::MAX as usize),
        ];
        for (name, value, low, high) in sizes {
            if !(low..=high).contains(&value) {
                return Err(Error::usage(name, format!("{value}"), format!("give a number from {low} to {high}")));
            }
        }
        let ranges = [
            ("quality", f64::from(plan.quality[0]), f64::from(plan.quality[1]), 1.0, 100.0),
            ("noise", f64::from(plan.noise[0]), f64::from(plan.noise[1]), 0.0, 64.0),
            ("face", f64::from(plan.face[0]), f64::from(plan.face[1]), 0.02, 0.35),
        ];
        for (name, from, to, low, high) in ranges {
            if !(low <= from && from <= to && to <= high) {
                let fix = format!("give two numbers from {low} to {high}, the smaller first");
                return Err(Error::usage(name, format!("{from} to {to}"), fix));
            }
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_what_serde_writes_and_are_unique() {
        let codes: std::collections::BTreeSet<_> = Pattern::PLANTED.iter().map(|p| p.code()).collect();
        assert_eq!(codes.len(), Pattern::PLANTED.len());
        for p in Pattern::PLANTED {
            assert_eq!(serde_json::to_string(p).unwrap(), format!("\"{}\"", p.code()));
        }
    }

    #[test]
    fn defaults_leave_four_fifths_honest() {
        let rates = Rates::default();
        let fraud = rates.total(PatternKind::Fraud);
        assert!((0.15..0.22).contains(&fraud), "{fraud}");
    }

    #[test]
    fn a_plan_in_toml_keeps_the_other_defaults() {
        let plan: Plan = toml::from_str("rows = 5\n[rates]\nsame_file = 0.5\n").unwrap();
        assert_eq!(plan.rows, 5);
        assert_eq!(plan.rates.get(Pattern::SameFile), 0.5);
        assert_eq!(plan.rates.get(Pattern::Group), Pattern::Group.default_rate());
        assert!(toml::from_str::<Plan>("row = 5").is_err());
        assert!(toml::from_str::<Plan>("[rates]\nsame_fil = 0.5").is_err());
        let back: Plan = toml::from_str(&toml::to_string(&plan).unwrap()).unwrap();
        assert_eq!(back, plan);
    }

    #[test]
    fn fraud_scales_the_rates() {
        let plan = Plan { fraud: Some(0.3), ..Plan::default() }.resolved().unwrap();
        assert!((plan.rates.total(PatternKind::Fraud) - 0.3).abs() < 1e-12);
        assert_eq!(plan.rates.get(Pattern::Bystander), Pattern::Bystander.default_rate());
        assert!(Plan { fraud: Some(1.2), ..Plan::default() }.resolved().is_err());
        assert!(Plan { rows: 0, ..Plan::default() }.resolved().is_err());
        assert!(Plan { quality: [90, 20], ..Plan::default() }.resolved().is_err());
    }
}
