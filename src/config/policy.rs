//! The policy: which limits hold and which reason leads to which verdict.
//!
//! The defaults below are the only place where they are stated; `chehra policy` prints them as TOML, and a
//! `policy.toml` overrides any of them. Unknown keys are refused, so that a typing error is never a silent default.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::reason::{Reason, Sentence, Verdict};
use crate::{Error, Result};

/// All of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Limits on pictures, checked before decoding.
    pub photo: PhotoLimits,
    /// Face detection.
    pub detection: DetectionPolicy,
    /// Limits under which a face cannot be compared.
    pub quality: QualityPolicy,
    /// Telling live faces from pictures of faces.
    pub liveness: LivenessPolicy,
    /// Telling worker from member.
    pub roles: RolePolicy,
    /// When two templates are worth a person's look.
    pub matching: MatchingPolicy,
    /// How widely HNSW searches, and how it is checked.
    pub hnsw: HnswPolicy,
    /// Numbers, times and their reuse.
    pub facts: FactsPolicy,
    /// Pictures, rooms and bystanders that come again.
    pub reuse: ReusePolicy,
    /// When a worker, a booth or a district stands out among its peers.
    pub peers: PeersPolicy,
    /// What of a submission's place, time and phone is a sign that it was made at home.
    pub presence: PresencePolicy,
    /// The drive itself.
    pub drive: DrivePolicy,
    /// What members and workers are written.
    pub release: ReleasePolicy,
    /// Which reason leads to which verdict; the gravest one wins.
    pub verdicts: VerdictPolicy,
}

impl Policy {
    /// Reads a policy file; what it does not name keeps its default.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is missing, is not TOML, has an unknown key or a value out of range.
    pub fn read(path: &Path) -> Result<Self> {
        let refuse = |found: String| {
            Error::input(
                path,
                "policy",
                "a TOML file as `chehra policy` prints it",
                found,
                "correct the line named above",
            )
        };
        let text = std::fs::read_to_string(path).map_err(|e| {
            let expected = "a TOML file as `chehra policy` prints it";
            let fix = "check the path, or begin one with `chehra policy > policy.toml`";
            Error::input(path, "policy", expected, e.to_string(), fix)
        })?;
        replaced_keys(&text).map_or(Ok(()), |found| Err(refuse(found)))?;
        let policy: Policy = toml::from_str(&text).map_err(|e| refuse(e.to_string()))?;
        policy.check().map_err(refuse)?;
        Ok(policy)
    }

    /// The policy as TOML.
    ///
    /// # Errors
    /// [`Error::Bug`] when it cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|e| Error::bug("printing the policy", e))
    }

    /// Says which value is out of its range.
    fn check(&self) -> Result<(), String> {
        let unit = |name: &str, value: f32| match value {
            v if (0.0..=1.0).contains(&v) => Ok(()),
            v => Err(format!("{name} = {v}; a number from 0 to 1 expected")),
        };
        if !(1..=PhotoLimits::MOST_BYTES).contains(&self.photo.max_bytes) {
            let (found, most) = (self.photo.max_bytes, PhotoLimits::MOST_BYTES);
            return Err(format!(
                "photo.max_bytes = {found}; bytes from 1 to {most} expected: more is never held of a cell"
            ));
        }
        unit("detection.min_score", self.detection.min_score)?;
        unit("detection.nms_iou", self.detection.nms_iou)?;
        let liveness = &self.liveness;
        unit("liveness.reject_below", liveness.reject_below)?;
        unit("liveness.review_below", liveness.review_below)?;
        if liveness.reject_below > liveness.review_below {
            let (reject, review) = (liveness.reject_below, liveness.review_below);
            return Err(format!("liveness.reject_below = {reject}; at most liveness.review_below = {review} expected"));
        }
        unit("liveness.min_brightness", liveness.min_brightness)?;
        unit("liveness.max_brightness", liveness.max_brightness)?;
        if liveness.min_brightness >= liveness.max_brightness {
            let (least, most) = (liveness.min_brightness, liveness.max_brightness);
            return Err(format!("liveness.min_brightness = {least}; below liveness.max_brightness = {most} expected"));
        }
        unit("liveness.min_contrast", liveness.min_contrast)?;
        for (name, limit) in [("max_grain", liveness.max_grain), ("min_eye_distance", liveness.min_eye_distance)] {
            if !(0.0..=10_000.0).contains(&limit) {
                return Err(format!("liveness.{name} = {limit}; a number from 0 expected"));
            }
        }
        self.presence.check()?;
        unit("roles.worker_similarity", self.roles.worker_similarity)?;
        unit("roles.same_face_similarity", self.roles.same_face_similarity)?;
        unit("roles.other_worker_similarity", self.roles.other_worker_similarity)?;
        unit("roles.recurrence_share", self.roles.recurrence_share)?;
        unit("roles.principal_ratio", self.roles.principal_ratio)?;
        if self.roles.shared_face_accounts < 2 {
            let found = self.roles.shared_face_accounts;
            return Err(format!("roles.shared_face_accounts = {found}; at least 2 accounts expected"));
        }
        unit("roles.equal_ratio", self.roles.equal_ratio)?;
        let above_zero = |name: &str, value: f64| match value {
            v if v > 0.0 && v.is_finite() => Ok(()),
            v => Err(format!("{name} = {v}; a number above 0 expected")),
        };
        let share = self.matching.review_false_share;
        if !(share > 0.0 && share <= 0.5) {
            return Err(format!("matching.review_false_share = {share}; a share above 0 and up to 0.5 expected"));
        }
        if let Some(limit) = self.matching.review_expected_false_matches {
            above_zero("matching.review_expected_false_matches", limit)?;
        }
        above_zero("matching.certain_expected_false_matches", self.matching.certain_expected_false_matches)?;
        above_zero("matching.candidate_false_pairs", self.matching.candidate_false_pairs)?;
        above_zero("matching.duplicate_share", self.matching.duplicate_share)?;
        unit("matching.duplicate_share", self.matching.duplicate_share as f32)?;
        if !(0.0..=6.0).contains(&self.matching.most_record_evidence) {
            let found = self.matching.most_record_evidence;
            return Err(format!("matching.most_record_evidence = {found}; decades from 0 to 6 expected"));
        }
        unit("matching.photo_similarity", self.matching.photo_similarity)?;
        unit("hnsw.max_missed_share", self.hnsw.max_missed_share as f32)?;
        if self.hnsw.breadth == 0 || self.hnsw.breadth > self.hnsw.most_breadth {
            let (found, most) = (self.hnsw.breadth, self.hnsw.most_breadth);
            return Err(format!("hnsw.breadth = {found}; a number from 1 to hnsw.most_breadth = {most} expected"));
        }
        if self.hnsw.checked_probes == 0 {
            return Err("hnsw.checked_probes = 0; at least 1 expected, or nobody knows what was missed".into());
        }
        if !(0.0..=1e6).contains(&self.drive.membership_fee) {
            return Err(format!("drive.membership_fee = {}; rupees from 0 expected", self.drive.membership_fee));
        }
        unit("reuse.picture_difference", self.reuse.picture_difference)?;
        unit("reuse.copy_landmarks", self.reuse.copy_landmarks)?;
        unit("reuse.copy_difference", self.reuse.copy_difference)?;
        unit("reuse.copy_overlap", self.reuse.copy_overlap)?;
        unit("reuse.background_similarity", self.reuse.background_similarity)?;
        unit("reuse.bystander_similarity", self.reuse.bystander_similarity)?;
        if self.detection.scales.is_empty() || self.detection.scales.iter().any(|s| !(32..=4096).contains(s)) {
            return Err(format!("detection.scales = {:?}; sides from 32 to 4096 expected", self.detection.scales));
        }
        Ok(())
    }
}

/// Says what became of keys that earlier versions had.
fn replaced_keys(text: &str) -> Option<String> {
    let table: toml::Table = text.parse().ok()?;
    let liveness = table.get("liveness")?;
    let replaced = [
        (
            "min_bona_fide",
            "scores are another scale now, and there are two limits: liveness.reject_below rejects, liveness.review_below asks",
        ),
        ("frame_evidence", "marks of a recapture are no longer measured: leave it out"),
    ];
    let (key, instead) = replaced.into_iter().find(|(key, _)| liveness.get(key).is_some())?;
    Some(format!("liveness.{key}, which is no key any more: {instead}"))
}

/// Limits on pictures, checked before any pixel is decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhotoLimits {
    /// Most bytes of an encoded picture.
    pub max_bytes: usize,
    /// Most pixels of a decoded picture.
    pub max_pixels: u64,
    /// Least pixels of the shorter side.
    pub min_side: u32,
    /// Most bytes a decoder may allocate.
    pub max_memory: u64,
}

impl PhotoLimits {
    /// The most that `max_bytes` may be: of a larger cell no more than its length is ever in memory.
    pub const MOST_BYTES: usize = 64 << 20;
}

impl Default for PhotoLimits {
    fn default() -> Self {
        PhotoLimits { max_bytes: 32 << 20, max_pixels: 64_000_000, min_side: 32, max_memory: 512 << 20 }
    }
}

/// Face detection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectionPolicy {
    /// Longer side, in pixels, of each picture the detector sees; pictures are never enlarged.
    pub scales: Vec<u32>,
    /// Least score of a face.
    pub min_score: f32,
    /// Boxes that overlap more than this (intersection over union) are one face.
    pub nms_iou: f32,
    /// Most faces kept per picture, best score first.
    pub max_faces: usize,
    /// Most faces per picture whose liveness and template are taken, tallest first.
    pub max_read: usize,
}

impl Default for DetectionPolicy {
    fn default() -> Self {
        DetectionPolicy { scales: vec![640, 224], min_score: 0.6, nms_iou: 0.3, max_faces: 32, max_read: 6 }
    }
}

/// Limits under which a face cannot be compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualityPolicy {
    /// Least distance between the eyes, pixels.
    pub min_eye_distance: f32,
    /// Least sharpness of the aligned crop.
    pub min_sharpness: f32,
    /// Largest yaw either way, degrees.
    pub max_yaw: f32,
    /// Largest pitch either way, degrees.
    pub max_pitch: f32,
    /// Darkest mean luma, 0..=1.
    pub min_brightness: f32,
    /// Brightest mean luma, 0..=1.
    pub max_brightness: f32,
    /// Least standard deviation of luma, 0..=0.5; less is a covered or burnt-out face.
    pub min_contrast: f32,
}

impl Default for QualityPolicy {
    fn default() -> Self {
        QualityPolicy {
            min_eye_distance: 14.0,
            min_sharpness: 0.07,
            max_yaw: 50.0,
            max_pitch: 40.0,
            min_brightness: 0.08,
            max_brightness: 0.95,
            min_contrast: 0.03,
        }
    }
}

/// Telling live faces from pictures of faces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LivenessPolicy {
    /// A principal face whose liveness is below this, and which the wide and the close look each take for one, is a photo of a
    /// photo, and rejects.
    pub reject_below: f32,
    /// A principal face whose liveness is below this is suspected of being one, and is asked about.
    pub review_below: f32,
    /// Darkest mean luma of a face, 0..=1, whose liveness can be held against it; outside of this and the next four limits
    /// the score moves with the light, and a low one asks for another selfie.
    pub min_brightness: f32,
    /// Brightest mean luma of a face, 0..=1.
    pub max_brightness: f32,
    /// Least standard deviation of luma of a face, 0..=0.5.
    pub min_contrast: f32,
    /// Most grain, grey levels (standard deviation).
    pub max_grain: f32,
    /// Least distance between the eyes, pixels.
    pub min_eye_distance: f32,
}

impl Default for LivenessPolicy {
    fn default() -> Self {
        LivenessPolicy {
            // Where an attack is the likelier of the two; nothing fitted. With agreement of two looks it rejects at most 1 % of
            // the bona fide of any source that was tried (benches/results/liveness.md).
            reject_below: 0.5,
            // Below it lie at most 5 % of the bona fide, the sources weighing the same.
            review_below: 0.8,
            // The range of the sources' pictures: a third of the light, half the contrast, burnt-out and grainy pictures and
            // those of half the size lie outside, one in a hundred of the attacks of Replay-Attack too.
            min_brightness: 0.25,
            max_brightness: 0.7,
            min_contrast: 0.11,
            max_grain: 1.0,
            min_eye_distance: 24.0,
        }
    }
}

/// Telling worker from member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RolePolicy {
    /// Least similarity of a face to the worker's template for it to be the worker.
    pub worker_similarity: f32,
    /// Least similarity of another face of the same selfie to the worker's template for it to be the worker once more.
    pub same_face_similarity: f32,
    /// Least similarity of a face to another worker of the drive for it to be that worker: higher, for a night compares
    /// each member with ten thousand of them.
    pub other_worker_similarity: f32,
    /// Least share of a worker's submissions in which a face must recur to be learned as the worker's.
    pub recurrence_share: f32,
    /// Least number of submissions in which it must recur.
    pub min_recurrences: usize,
    /// A face whose height is less than this share of the largest face's stands in the background.
    pub principal_ratio: f32,
    /// More principal faces than this are too many.
    pub max_principals: usize,
    /// A face that recurs under so many accounts is nobody's worker, unless a reference photo says so; one that stands in
    /// the place of so many absent workers is a stand-in.
    pub shared_face_accounts: usize,
    /// A face at least this share of the largest face's height stands as near as worker and member: three of them are too
    /// many.
    pub equal_ratio: f32,
}

impl Default for RolePolicy {
    fn default() -> Self {
        RolePolicy {
            // SFace on LFW, means of seven pictures against the pictures left: 0.40 misses 0.15 % and takes 5e-4 of
            // strangers, 0.50 misses 0.8 % and takes 6e-6, 0.65 misses 5 % and took none of 538,419.
            worker_similarity: 0.40,
            same_face_similarity: 0.50,
            other_worker_similarity: 0.65,
            recurrence_share: 0.5,
            min_recurrences: 3,
            principal_ratio: 0.4,
            max_principals: 4,
            shared_face_accounts: 3,
            equal_ratio: 0.75,
        }
    }
}

/// When two templates are worth a person's look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MatchingPolicy {
    /// Pairs of members are flagged while at most this share of the memberships flagged is expected to be false: one wrong
    /// look in twenty is 0.05. Held within a worker, within a district and across districts apart.
    pub review_false_share: f64,
    /// Where it is set, pairs are flagged while at most so many pairs as similar are expected in the whole gallery by
    /// chance, and the share above has no meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review_expected_false_matches: Option<f64>,
    /// Pairs join memberships to one person while at most so many pairs as similar are expected in the whole gallery by
    /// chance. They are always flagged.
    pub certain_expected_false_matches: f64,
    /// A search reaches down to where so many pairs of the whole gallery are expected by chance; on them the limits
    /// above are fitted.
    pub candidate_false_pairs: f64,
    /// Agreement of records (mobile, EPIC, place, time, name, picture) weighs at most so many decades, for kin share
    /// records and look alike.
    pub most_record_evidence: f64,
    /// Share of memberships believed to be a person's second, where a gallery is too small to show it.
    pub duplicate_share: f64,
    /// The uploaded photo must be at least this similar to the member in the selfie.
    pub photo_similarity: f32,
}

impl Default for MatchingPolicy {
    fn default() -> Self {
        MatchingPolicy {
            review_false_share: 0.05,
            review_expected_false_matches: None,
            certain_expected_false_matches: 0.01,
            candidate_false_pairs: 20_000.0,
            most_record_evidence: 2.0,
            duplicate_share: 0.02,
            photo_similarity: 0.35,
        }
    }
}

/// How widely HNSW searches, and how it is checked. Exact search has no limits to set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HnswPolicy {
    /// Candidates kept while a graph is walked, at first (`ef` of the HNSW paper); doubled until the least similar of
    /// them lies below what is asked.
    pub breadth: usize,
    /// Where doubling ends: beyond it the rows of the graph are scanned.
    pub most_breadth: usize,
    /// So many probes, spread over the run by a fixed seed, are searched exactly as well.
    pub checked_probes: usize,
    /// Largest share of the true pairs of those probes that HNSW may miss; above it all probes are searched exactly.
    pub max_missed_share: f64,
}

impl Default for HnswPolicy {
    fn default() -> Self {
        // Breadth 256 finds all of 2,070 pairs among 100,000 made-up faces, 128 misses 0.3 % (benches/results/gallery.md).
        HnswPolicy { breadth: 256, most_breadth: 4096, checked_probes: 1000, max_missed_share: 0.001 }
    }
}

/// Numbers, times and their reuse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FactsPolicy {
    /// A number sent again by the same worker within so many minutes is another try for the same member.
    pub retry_minutes: u32,
    /// So many members may share one mobile number; families often have one phone.
    pub members_per_mobile: usize,
    /// First day on which a selfie can have been taken, in days since 1970-01-01.
    pub captured_from_days: i64,
}

impl FactsPolicy {
    /// The beginning of the first day, in microseconds since 1970-01-01T00:00:00Z.
    pub fn drive_begins(&self) -> i64 {
        self.captured_from_days.saturating_mul(86_400_000_000)
    }
}

impl Default for FactsPolicy {
    fn default() -> Self {
        // 2015-01-01: no phone clock that is merely unset (1970, 1980, 2000, 2010) passes.
        FactsPolicy { retry_minutes: 30, members_per_mobile: 1, captured_from_days: 16_436 }
    }
}

/// Pictures, rooms and bystanders that come again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReusePolicy {
    /// Two pictures with near hashes are one when their means differ by less than this share of their contrast.
    pub picture_difference: f32,
    /// A cropped or mirrored copy: landmarks lie at most so many eye distances from where the earlier picture has them.
    pub copy_landmarks: f32,
    /// A cropped or mirrored copy: the means of the earlier picture's cells differ by at most this share of their contrast.
    pub copy_difference: f32,
    /// A cropped or mirrored copy: it shows at least this share of the earlier picture's cells.
    pub copy_overlap: f32,
    /// Backgrounds at least this alike are one.
    pub background_similarity: f32,
    /// A background behind so many workers or more is shared.
    pub background_workers: usize,
    /// Faces of bystanders at least this similar are one.
    pub bystander_similarity: f32,
    /// A bystander behind so many workers or more recurs.
    pub bystander_workers: usize,
}

impl Default for ReusePolicy {
    fn default() -> Self {
        ReusePolicy {
            picture_difference: 0.007,
            copy_landmarks: 0.12,
            copy_difference: 0.12,
            copy_overlap: 0.55,
            // On 5,000 synthetic selfies: 0.97 finds 8 of 12 and takes 5.3 % of honest rows, 0.99 finds 7 and takes 0.05 %.
            background_similarity: 0.99,
            background_workers: 2,
            bystander_similarity: 0.65,
            bystander_workers: 3,
        }
    }
}

/// When a worker, a booth or a district stands out among its peers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeersPolicy {
    /// Fewer submissions than this flag nobody.
    pub min_submissions: u64,
    /// Fewer submissions with the reason than this flag nobody.
    pub min_count: u64,
    /// A district or division with fewer other submissions than this does not say what is usual.
    pub min_peer_submissions: u64,
    /// How many submissions at the peers' rate are added before rates are compared.
    pub prior_weight: f64,
    /// The rate, so drawn towards the peers', must be at least this many times theirs.
    pub min_ratio: f64,
    /// Largest false discovery rate among those flagged.
    pub max_q: f64,
}

impl Default for PeersPolicy {
    fn default() -> Self {
        PeersPolicy {
            min_submissions: 10,
            min_count: 3,
            min_peer_submissions: 100,
            prior_weight: 20.0,
            min_ratio: 2.0,
            max_q: 0.05,
        }
    }
}

/// What of a submission's place, time and phone is a sign that it was made at home. How many signs are too many, peers say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PresencePolicy {
    /// Points nearer than this to each other, metres, or than what the phones are sure of, are one.
    pub same_place_m: f64,
    /// Points of which the phone is less sure than this, metres, say nothing of that.
    pub most_accuracy_m: f64,
    /// A shorter way than this, metres, is never impossible.
    pub least_travel_m: f64,
    /// Nobody travels faster, kilometres an hour.
    pub most_speed_kmh: f64,
    /// So many members within `burst_minutes` are a burst.
    pub burst_members: usize,
    /// See `burst_members`.
    pub burst_minutes: u32,
    /// An hour is odd when fewer than this share of others' submissions fall on it, the hour before and the one after.
    pub odd_hour_share: f64,
    /// A submission that arrives so many hours after it was taken is late.
    pub late_hours: u32,
    /// A picture's file may name another time, by so many hours more or less than the worker's other pictures.
    pub camera_hours: u32,
    /// A phone under so many accounts is shared.
    pub accounts_per_device: usize,
    /// Within so many minutes a phone does not change hands, nor an account its phone.
    pub handover_minutes: u32,
    /// Fewer other workers than this do not say what is usual.
    pub least_peers: u64,
}

impl Default for PresencePolicy {
    fn default() -> Self {
        PresencePolicy {
            same_place_m: 25.0,
            most_accuracy_m: 100.0,
            least_travel_m: 5_000.0,
            most_speed_kmh: 200.0,
            burst_members: 8,
            burst_minutes: 10,
            odd_hour_share: 0.02,
            late_hours: 36,
            camera_hours: 12,
            accounts_per_device: 3,
            handover_minutes: 10,
            least_peers: 10,
        }
    }
}

impl PresencePolicy {
    fn check(&self) -> Result<(), String> {
        let numbers = [
            ("same_place_m", self.same_place_m),
            ("most_accuracy_m", self.most_accuracy_m),
            ("least_travel_m", self.least_travel_m),
            ("most_speed_kmh", self.most_speed_kmh),
        ];
        if let Some((name, found)) = numbers.into_iter().find(|(_, value)| !(*value > 0.0 && value.is_finite())) {
            return Err(format!("presence.{name} = {found}; a number above 0 expected"));
        }
        if !(0.0..=1.0).contains(&self.odd_hour_share) {
            return Err(format!("presence.odd_hour_share = {}; a number from 0 to 1 expected", self.odd_hour_share));
        }
        for (name, found) in [("burst_members", self.burst_members), ("accounts_per_device", self.accounts_per_device)]
        {
            if found < 2 {
                return Err(format!("presence.{name} = {found}; at least 2 expected"));
            }
        }
        Ok(())
    }
}

/// The drive itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrivePolicy {
    /// Fee of one membership, rupees; with it the page says what fake memberships come to.
    pub membership_fee: f64,
}

/// In which language people are addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Hindi.
    #[default]
    Hi,
    /// English.
    En,
}

impl Language {
    /// The sentence in this language.
    pub fn of(self, sentence: Sentence) -> &'static str {
        if self == Language::Hi { sentence.hindi } else { sentence.english }
    }
}

/// What members and workers are written. Templates may have `{name}`, `{worker}`, `{district}`, `{submission}` and, for
/// another selfie, `{reason}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReleasePolicy {
    /// The language of both.
    pub language: Language,
    /// Whether members of a dump without a column of consents are asked.
    pub without_consent_column: bool,
    /// To a member, in Hindi.
    pub ask_hi: String,
    /// To a member, in English.
    pub ask_en: String,
    /// To a worker, in Hindi.
    pub retake_hi: String,
    /// To a worker, in English.
    pub retake_en: String,
}

impl ReleasePolicy {
    /// The template for members.
    pub fn ask(&self) -> &str {
        if self.language == Language::Hi { &self.ask_hi } else { &self.ask_en }
    }

    /// The template for workers.
    pub fn retake(&self) -> &str {
        if self.language == Language::Hi { &self.retake_hi } else { &self.retake_en }
    }
}

impl Default for ReleasePolicy {
    fn default() -> Self {
        ReleasePolicy {
            language: Language::Hi,
            without_consent_column: false,
            ask_hi: "नमस्ते {name}, क्या आप {district} से सदस्य बने हैं और आपकी जानकारी सही है? हाँ के लिए 1, सदस्य नहीं बने तो 2, \
                     जानकारी ग़लत हो तो 3 भेजें। ({submission})"
                .into(),
            ask_en: "Namaste {name}, did you become a member in {district}, and are your data right? Reply 1 for yes, 2 if you \
                     did not, 3 if data are wrong. ({submission})"
                .into(),
            retake_hi: "{submission}: कृपया {name} के साथ सेल्फ़ी दोबारा लें: {reason}।".into(),
            retake_en: "{submission}: please take the selfie with {name} again: {reason}.".into(),
        }
    }
}

/// Which reason leads to which verdict; what a policy file does not name keeps its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Reason, Verdict>")]
pub struct VerdictPolicy(BTreeMap<Reason, Verdict>);

impl From<BTreeMap<Reason, Verdict>> for VerdictPolicy {
    fn from(named: BTreeMap<Reason, Verdict>) -> Self {
        let mut verdicts = VerdictPolicy::default();
        verdicts.0.extend(named);
        verdicts
    }
}

impl VerdictPolicy {
    /// The verdict of one reason alone.
    pub fn of(&self, reason: Reason) -> Verdict {
        self.0.get(&reason).copied().unwrap_or_else(|| default_verdict(reason))
    }

    /// The verdict of a row: the gravest of its reasons', or accept.
    pub fn decide(&self, reasons: &[Reason]) -> Verdict {
        reasons.iter().map(|&reason| self.of(reason)).max().unwrap_or(Verdict::Accept)
    }
}

impl Default for VerdictPolicy {
    fn default() -> Self {
        VerdictPolicy(Reason::ALL.iter().map(|&reason| (reason, default_verdict(reason))).collect())
    }
}

/// Only a photo of a photo, an exactly reused picture, a consent that is missing or was taken back and a member's own denial
/// reject on their own:
/// a face match sends to review, because face evidence at this scale is never certain.
fn default_verdict(reason: Reason) -> Verdict {
    use Reason::*;
    match reason {
        UnreadableImage | ImageTooLarge => Verdict::Unreadable,
        PhotoOfPhoto | DuplicateSelfie | ConsentMissing | ErasedBefore | MemberDenied => Verdict::Reject,
        PhotoOfPhotoSuspected
        | CompositeSuspected
        | RequiredFieldMissing
        | SubmissionIdRepeated
        | TooManyFaces
        | WorkerAbsent
        | WorkerMismatch
        | StandIn
        | MemberIsWorker
        | MemberIsOtherWorker
        | PhotoMismatch
        | DuplicateMember
        | MobileReused
        | EpicReused
        | BoothOutsideDistrict
        | TextTooLong => Verdict::Review,
        NoFace | OneFace | LivenessUnsure | FaceTooSmall | FaceBlurred | FaceTurned | FaceCovered | EpicMalformed
        | MobileMalformed | NumberUndelivered => Verdict::Retake,
        BystanderRecurs => Verdict::Review,
        WorkerUnknown | CapturedAtImplausible | Resubmitted | BackgroundShared => Verdict::Accept,
        // What a worker's other rows tell is for whoever calls the worker, and no verdict about a member.
        SamePlace | SameRoom | Burst | OddHour | RegularGaps | ImpossibleTravel | DeviceShared | UploadedLate
        | CameraTimeDiffers | PictureEdited => Verdict::Accept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_policy_reads_back_as_itself() {
        let policy = Policy::default();
        let text = policy.to_toml().unwrap();
        assert_eq!(toml::from_str::<Policy>(&text).unwrap(), policy);
        for reason in Reason::ALL {
            assert!(text.contains(reason.code()), "{reason:?}");
        }
    }

    #[test]
    fn a_part_of_a_policy_keeps_the_other_defaults() {
        let policy: Policy = toml::from_str("[verdicts]\none_face = \"reject\"\n").unwrap();
        assert_eq!(policy.verdicts.of(Reason::OneFace), Verdict::Reject);
        assert_eq!(policy.verdicts.of(Reason::PhotoOfPhoto), Verdict::Reject);
        assert!(policy.to_toml().unwrap().contains("photo_of_photo = \"reject\""), "the whole policy is shown");
        assert_eq!(policy.verdicts.decide(&[Reason::DuplicateMember, Reason::FaceTurned]), Verdict::Review);
        assert_eq!(policy.verdicts.decide(&[]), Verdict::Accept);
        assert_eq!(policy.photo, PhotoLimits::default());
    }

    #[test]
    fn keys_of_earlier_versions_say_what_replaced_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        std::fs::write(&file, "[liveness]\nmin_bona_fide = 0.7\n").unwrap();
        let message = Policy::read(&file).unwrap_err().to_string();
        assert!(message.contains("liveness.reject_below") && message.contains("liveness.review_below"), "{message}");
        std::fs::write(&file, "[liveness]\nframe_evidence = false\n").unwrap();
        assert!(Policy::read(&file).unwrap_err().to_string().contains("leave it out"));
        std::fs::write(&file, "[liveness]\nmin_brightness = 0.8\n").unwrap();
        let message = Policy::read(&file).unwrap_err().to_string();
        assert!(message.contains("below liveness.max_brightness = 0.7"), "{message}");
        std::fs::write(&file, "[liveness]\nreject_below = 0.7\nreview_below = 0.6\n").unwrap();
        assert!(Policy::read(&file).unwrap_err().to_string().contains("at most liveness.review_below"));
    }

    #[test]
    fn typing_errors_and_values_out_of_range_are_refused() {
        assert!(toml::from_str::<Policy>("[matching]\nreveiw_expected_false_matches = 0.5").is_err());
        assert!(toml::from_str::<Policy>("[verdicts]\none_face = \"maybe\"").is_err());
        let mut policy = Policy::default();
        policy.matching.photo_similarity = 1.5;
        assert!(policy.check().unwrap_err().contains("matching.photo_similarity = 1.5"));
        policy.matching = MatchingPolicy { review_expected_false_matches: Some(0.0), ..MatchingPolicy::default() };
        assert!(policy.check().unwrap_err().contains("matching.review_expected_false_matches = 0"));
    }
}
