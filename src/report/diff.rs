//! Two runs side by side: which verdicts changed, and what can have changed them.
//!
//! Rows are put together by their place where both runs read the same dump, else by submission_id. For each row whose
//! verdict or reasons changed, the causes are narrowed down by what is known of it: where the faces were seen otherwise
//! (boxes, scores, looks of the liveness network), the networks, the version, the device or the picture have changed;
//! where they were seen alike, a limit of the policy has, or the other rows and nights that it was compared with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::{Float32Type, Int64Type};
use serde::Serialize;
use serde_json::Value;

use super::run::{Run, RunRecord};
use super::table::{Batch, read, reason, value, verdict};
use crate::Result;
use crate::reason::{Reason, Verdict};

/// Submissions named for each kind of change.
const EXAMPLES: usize = 5;

/// What a change can come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A limit or a verdict of the policy; the keys stand beside it.
    Policy,
    /// Other networks.
    Models,
    /// Another version of `chehra`.
    Version,
    /// Another device.
    Device,
    /// Another picture or other values under the same submission_id.
    Data,
    /// Other rows of the dump, or other nights in the store, that it was compared with.
    OtherRows,
    /// What reviewers decided.
    Decisions,
    /// What members answered.
    Replies,
    /// Nothing that the two records state.
    Unknown,
}

impl Cause {
    fn text(self) -> &'static str {
        match self {
            Cause::Policy => "policy",
            Cause::Models => "models",
            Cause::Version => "version",
            Cause::Device => "device",
            Cause::Data => "data",
            Cause::OtherRows => "other rows or nights",
            Cause::Decisions => "decisions of reviewers",
            Cause::Replies => "members' answers",
            Cause::Unknown => "nothing that the two records state",
        }
    }
}

/// A value that differs between the two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differing {
    /// What it is: a key of the policy, the role of a network.
    pub key: String,
    /// In the first run; null where it has none.
    pub a: Value,
    /// In the second.
    pub b: Value,
}

/// What the two records state differently.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Differences {
    /// Version of `chehra`.
    pub version: Option<Differing>,
    /// Where the networks ran.
    pub device: Option<Differing>,
    /// Networks by role.
    pub models: Vec<Differing>,
    /// Whether the two dumps have the same bytes.
    pub same_dump: bool,
    /// Members of earlier nights in the store.
    pub earlier_members: Option<Differing>,
    /// Decisions of reviewers that were given.
    pub decisions: Option<Differing>,
    /// Tables of members' answers that were given.
    pub responses: Option<Differing>,
    /// Keys of the policy.
    pub policy: Vec<Differing>,
}

/// Rows that changed in the same way, for the same causes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Verdict in the first run.
    pub from: Verdict,
    /// Verdict in the second; the same where only reasons changed.
    pub to: Verdict,
    /// Reasons of the first run alone.
    pub lost: Vec<Reason>,
    /// Reasons of the second run alone.
    pub gained: Vec<Reason>,
    /// What it can have come from.
    pub causes: Vec<Cause>,
    /// The keys of the policy that bear on it.
    pub policy_keys: Vec<String>,
    /// Rows.
    pub rows: u64,
    /// Submissions of some of them.
    pub examples: Vec<String>,
}

/// Two runs side by side.
#[derive(Debug, Clone, Serialize)]
pub struct Diff {
    /// Name of the first run's folder.
    pub a: String,
    /// Name of the second's.
    pub b: String,
    /// What their records state differently.
    pub differences: Differences,
    /// Rows of both.
    pub rows_in_both: u64,
    /// Rows of the first alone.
    pub rows_only_in_a: u64,
    /// Rows of the second alone.
    pub rows_only_in_b: u64,
    /// Rows in both with another verdict.
    pub verdicts_changed: u64,
    /// Rows in both with the same verdict for other reasons.
    pub reasons_changed: u64,
    /// The changes, most rows first.
    pub changes: Vec<Change>,
}

/// What is compared of a row.
struct Row {
    verdict: Verdict,
    reasons: BTreeSet<Reason>,
    seen: u64,
    submission: Option<String>,
    /// What people decided about the row.
    decision: Option<String>,
}

/// By what a row of one run is found in the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Place(i64),
    /// A submission_id, and which of its rows.
    Id(String, u32),
}

/// Compares two run folders.
///
/// # Errors
/// [`crate::Error::Input`] when either is no run folder of `chehra audit`.
pub fn diff(a: &Path, b: &Path) -> Result<Diff> {
    let (run_a, run_b) = (Run::open(a, a)?, Run::open(b, b)?);
    let differences = differences(&run_a.record, &run_b.record);
    let mut rows_a = HashMap::new();
    rows(a, differences.same_dump, &mut |key, row| {
        rows_a.insert(key, row);
    })?;
    let mut found: HashMap<ChangeKind, (u64, Vec<String>)> = HashMap::new();
    let (mut both, mut only_b) = (0, 0);
    rows(b, differences.same_dump, &mut |key, row| match rows_a.remove(&key) {
        None => only_b += 1,
        Some(before) => {
            both += 1;
            if (before.verdict, &before.reasons) != (row.verdict, &row.reasons) {
                let (count, examples) = found.entry(kind(&before, &row, &differences)).or_default();
                *count += 1;
                examples.extend(row.submission.filter(|_| examples.len() < EXAMPLES));
            }
        }
    })?;
    let mut changes: Vec<Change> =
        found.into_iter().map(|(kind, (rows, examples))| kind.change(rows, examples)).collect();
    let order =
        |c: &Change| (c.from == c.to, std::cmp::Reverse(c.rows), c.from, c.to, c.lost.clone(), c.gained.clone());
    changes.sort_by_key(order);
    let count = |same: bool| changes.iter().filter(|c| (c.from == c.to) == same).map(|c| c.rows).sum();
    Ok(Diff {
        a: run_a.name,
        b: run_b.name,
        rows_in_both: both,
        rows_only_in_a: rows_a.len() as u64,
        rows_only_in_b: only_b,
        verdicts_changed: count(false),
        reasons_changed: count(true),
        differences,
        changes,
    })
}

/// A way of changing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ChangeKind {
    verdicts: (Verdict, Verdict),
    lost: Vec<Reason>,
    gained: Vec<Reason>,
    causes: Vec<Cause>,
    keys: Vec<String>,
}

impl ChangeKind {
    fn change(self, rows: u64, examples: Vec<String>) -> Change {
        let ((from, to), ChangeKind { lost, gained, causes, keys: policy_keys, .. }) = (self.verdicts, self);
        Change { from, to, lost, gained, causes, policy_keys, rows, examples }
    }
}

fn kind(a: &Row, b: &Row, differences: &Differences) -> ChangeKind {
    let lost: Vec<Reason> = a.reasons.difference(&b.reasons).copied().collect();
    let gained: Vec<Reason> = b.reasons.difference(&a.reasons).copied().collect();
    let moved: Vec<Reason> = lost.iter().chain(&gained).copied().collect();
    let mut causes = BTreeSet::new();
    let bears = |key: &str| {
        let verdicts = key.strip_prefix("verdicts.").and_then(reason);
        let judged = verdicts.is_some_and(|r| a.reasons.contains(&r) && b.reasons.contains(&r) && moved.is_empty());
        judged || moved.iter().any(|&r| sections(r).iter().any(|section| key.starts_with(section)))
    };
    let mut keys: Vec<String> = differences.policy.iter().map(|d| d.key.clone()).filter(|key| bears(key)).collect();
    let d = differences;
    if a.seen != b.seen {
        causes.extend((!d.models.is_empty()).then_some(Cause::Models));
        causes.extend(d.version.as_ref().map(|_| Cause::Version));
        causes.extend(d.device.as_ref().map(|_| Cause::Device));
        let seeing = |key: &str| ["detection.", "photo."].iter().any(|section| key.starts_with(section));
        keys.extend(d.policy.iter().map(|d| d.key.clone()).filter(|key| seeing(key)));
        if causes.is_empty() && keys.is_empty() && !d.same_dump {
            causes.insert(Cause::Data);
        }
    } else {
        let relates = moved.iter().any(|&r| needs_others(r));
        causes.extend((relates && (!d.same_dump || d.earlier_members.is_some())).then_some(Cause::OtherRows));
        let embedder = d.models.iter().any(|m| m.key == "embedder");
        causes.extend((embedder && (relates || moved.contains(&Reason::PhotoMismatch))).then_some(Cause::Models));
        causes.extend((!relates && !moved.is_empty() && !d.same_dump && keys.is_empty()).then_some(Cause::Data));
        if causes.is_empty() && keys.is_empty() {
            causes.extend(d.version.as_ref().map(|_| Cause::Version));
        }
    }
    let is_of_replies = |reason: &Reason| matches!(reason, Reason::MemberDenied | Reason::NumberUndelivered);
    let is_decided =
        d.decisions.is_some() && (moved.iter().any(|&reason| needs_others(reason)) || a.decision != b.decision);
    causes.extend(is_decided.then_some(Cause::Decisions));
    causes.extend((d.responses.is_some() && moved.iter().any(is_of_replies)).then_some(Cause::Replies));
    keys.sort();
    keys.dedup();
    causes.extend((!keys.is_empty()).then_some(Cause::Policy));
    causes.extend(causes.is_empty().then_some(Cause::Unknown));
    ChangeKind { verdicts: (a.verdict, b.verdict), lost, gained, causes: causes.into_iter().collect(), keys }
}

/// Sections of the policy that a reason depends on.
fn sections(reason: Reason) -> &'static [&'static str] {
    use Reason::*;
    match reason {
        UnreadableImage | ImageTooLarge => &["photo."],
        NoFace | OneFace | TooManyFaces => &["detection.", "roles."],
        WorkerUnknown | WorkerAbsent | WorkerMismatch | StandIn | MemberIsWorker | MemberIsOtherWorker => &["roles."],
        PhotoOfPhoto | PhotoOfPhotoSuspected | LivenessUnsure => &["liveness."],
        FaceTooSmall | FaceBlurred | FaceTurned | FaceCovered => &["quality."],
        PhotoMismatch => &["matching.photo_similarity"],
        // Who is to take the selfie again has enrolled nobody: limits and verdicts of other rows bear on it too.
        DuplicateMember => &["matching.", "hnsw.", "quality.", "liveness.", "roles.", "verdicts."],
        DuplicateSelfie | Resubmitted | BackgroundShared | BystanderRecurs => &["reuse."],
        MobileReused | EpicReused => &["facts.", "matching.", "verdicts."],
        EpicMalformed | MobileMalformed | ConsentMissing | BoothOutsideDistrict | CapturedAtImplausible => &["facts."],
        SamePlace | SameRoom | Burst | OddHour | RegularGaps | ImpossibleTravel | DeviceShared | UploadedLate
        | CameraTimeDiffers | PictureEdited => &["presence.", "peers."],
        RequiredFieldMissing | SubmissionIdRepeated | ErasedBefore | TextTooLong | CompositeSuspected
        | MemberDenied | NumberUndelivered => &[],
    }
}

/// Whether a reason depends on other rows or nights.
fn needs_others(reason: Reason) -> bool {
    use Reason::*;
    matches!(
        reason,
        SubmissionIdRepeated
            | ErasedBefore
            | WorkerUnknown
            | WorkerAbsent
            | WorkerMismatch
            | StandIn
            | MemberIsWorker
            | MemberIsOtherWorker
            | DuplicateMember
            | DuplicateSelfie
            | Resubmitted
            | BackgroundShared
            | BystanderRecurs
            | MobileReused
            | EpicReused
            | SamePlace
            | SameRoom
            | Burst
            | OddHour
            | RegularGaps
            | ImpossibleTravel
            | DeviceShared
            | UploadedLate
            | CameraTimeDiffers
            | PictureEdited
    )
}

/// Hands out the rows of a run's verdict table.
fn rows(run: &Path, by_place: bool, each: &mut dyn FnMut(Key, Row)) -> Result<()> {
    let mut times: HashMap<String, u32> = HashMap::new();
    let columns = ["submission_id", "verdict", "reasons", "faces", "row", "decision"];
    read(&run.join("verdicts.parquet"), &columns, |batch: &Batch| {
        let (ids, verdicts, reasons) =
            (batch.texts("submission_id")?, batch.texts("verdict")?, batch.lists("reasons")?);
        let (faces, places) = (batch.raw_lists("faces")?, batch.numbers::<Int64Type>("row")?);
        let decisions = batch.texts_if_any("decision");
        for at in 0..batch.rows() {
            let id = ids.get(at).unwrap_or_default();
            let key = if by_place {
                Key::Place(value(places, at).unwrap_or_default())
            } else {
                let time = times.entry(id.to_owned()).or_default();
                *time += 1;
                Key::Id(id.to_owned(), *time)
            };
            let row = Row {
                verdict: verdicts.get(at).and_then(verdict).unwrap_or(Verdict::Review),
                reasons: reasons.get(at).into_iter().filter_map(reason).collect(),
                seen: seen(&faces.value(at)),
                submission: ids.get(at).map(str::to_owned),
                decision: decisions.and_then(|decisions| decisions.get(at)).map(str::to_owned),
            };
            each(key, row);
        }
        Ok(())
    })
}

/// A digest of what the networks saw in one selfie, and of nothing that the policy makes of it.
fn seen(faces: &dyn Array) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Some(faces) = faces.as_any().downcast_ref::<StructArray>() {
        faces.len().hash(&mut hasher);
        for name in ["box", "landmarks", "looks"] {
            let lists = faces.column_by_name(name).and_then(|c| c.as_list_opt::<i32>());
            for at in 0..faces.len() {
                let numbers = lists.map(|l| l.value(at));
                let numbers = numbers.as_ref().and_then(|n| n.as_primitive_opt::<Float32Type>());
                numbers.into_iter().flat_map(|n| n.values().iter()).for_each(|x| x.to_bits().hash(&mut hasher));
            }
        }
        for name in ["score", "grain"] {
            let numbers = faces.column_by_name(name).and_then(|c| c.as_primitive_opt::<Float32Type>());
            (0..faces.len()).for_each(|at| numbers.and_then(|n| value(n, at)).map(f32::to_bits).hash(&mut hasher));
        }
    }
    hasher.finish()
}

fn differences(a: &RunRecord, b: &RunRecord) -> Differences {
    let texts = |key: &str, a: &str, b: &str| {
        (a != b).then(|| Differing { key: key.to_owned(), a: a.to_owned().into(), b: b.to_owned().into() })
    };
    let models = |record: &RunRecord| record.models.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
    let hashes = |record: &RunRecord| record.inputs.iter().map(|file| file.sha256.clone()).collect::<Vec<_>>();
    let values = |key: &str, a: &Value, b: &Value| {
        (a != b).then(|| Differing { key: key.to_owned(), a: files_of(a).into(), b: files_of(b).into() })
    };
    let members = (a.members_of_earlier_nights, b.members_of_earlier_nights);
    Differences {
        version: texts("version", &a.version, &b.version),
        device: texts("device", &a.device, &b.device),
        models: differing(&models(a), &models(b)),
        same_dump: hashes(a) == hashes(b),
        earlier_members: (members.0 != members.1).then(|| Differing {
            key: "members_of_earlier_nights".to_owned(),
            a: members.0.into(),
            b: members.1.into(),
        }),
        decisions: values("decisions", &a.decisions, &b.decisions),
        responses: values("responses", &a.responses, &b.responses),
        policy: differing(&flat(&a.policy), &flat(&b.policy)),
    }
}

/// The names of the files in a part of a record; `none` where there are none.
fn files_of(part: &Value) -> String {
    let files = part.get("files").unwrap_or(part).as_array();
    let path = |file: &Value| file.get("path").unwrap_or(file).as_str().map(str::to_owned);
    let names: Vec<String> = files.into_iter().flatten().filter_map(path).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn differing(a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>) -> Vec<Differing> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let get = |map: &BTreeMap<String, Value>, key: &String| map.get(key).cloned().unwrap_or(Value::Null);
    let one = |key: &String| Differing { key: key.clone(), a: get(a, key), b: get(b, key) };
    keys.into_iter().map(one).filter(|d| d.a != d.b).collect()
}

/// `{"liveness": {"reject_below": 0.5}}` as `liveness.reject_below = 0.5`.
fn flat(policy: &Value) -> BTreeMap<String, Value> {
    let mut keys = BTreeMap::new();
    let mut left = vec![(String::new(), policy)];
    while let Some((path, value)) = left.pop() {
        match value {
            Value::Object(map) => {
                let name = |key: &String| if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                left.extend(map.iter().map(|(key, value)| (name(key), value)));
            }
            Value::Null if path.is_empty() => {}
            value => {
                keys.insert(path, value.clone());
            }
        }
    }
    keys
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = &self.differences;
        writeln!(f, "{} against {}", self.a, self.b)?;
        let single =
            d.version.iter().chain(&d.device).chain(&d.earlier_members).chain(&d.decisions).chain(&d.responses);
        let all: Vec<&Differing> = single.chain(&d.models).chain(&d.policy).collect();
        for differing in &all {
            writeln!(f, "  {:<44} {} -> {}", differing.key, differing.a, differing.b)?;
        }
        match d.same_dump {
            true => writeln!(f, "  the same dump")?,
            false => writeln!(f, "  another dump: rows are put together by submission_id")?,
        }
        if all.is_empty() {
            writeln!(f, "  the same version, networks, device and policy")?;
        }
        let (only_a, only_b) = (self.rows_only_in_a, self.rows_only_in_b);
        writeln!(f, "{} rows in both, {only_a} in the first alone, {only_b} in the second alone", self.rows_in_both)?;
        write!(f, "{} with another verdict, {} with other reasons alone", self.verdicts_changed, self.reasons_changed)?;
        for change in &self.changes {
            let verdict = match change.from == change.to {
                true => format!("{} stays", change.from.code()),
                false => format!("{} -> {}", change.from.code(), change.to.code()),
            };
            let mut reasons: Vec<String> = change.lost.iter().map(|r| format!("-{}", r.code())).collect();
            reasons.extend(change.gained.iter().map(|r| format!("+{}", r.code())));
            let causes: Vec<&str> = change.causes.iter().map(|c| c.text()).collect();
            write!(f, "\n{:>8}  {verdict:<22} {}", change.rows, reasons.join(" "))?;
            let keys = if change.policy_keys.is_empty() {
                String::new()
            } else {
                format!(" ({})", change.policy_keys.join(", "))
            };
            write!(f, "\n          by {}{keys}; such as {}", causes.join(", "), change.examples.join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(verdict: Verdict, reasons: &[Reason], seen: u64) -> Row {
        Row { verdict, reasons: reasons.iter().copied().collect(), seen, submission: None, decision: None }
    }

    fn of(policy: &[&str], models: &[&str], same_dump: bool) -> Differences {
        let differing = |key: &&str| Differing { key: (*key).to_owned(), a: json!(1), b: json!(2) };
        Differences {
            policy: policy.iter().map(differing).collect(),
            models: models.iter().map(differing).collect(),
            same_dump,
            ..Differences::default()
        }
    }

    #[test]
    fn a_change_is_put_down_to_what_bears_on_it() {
        use Cause::*;
        use Reason::{DuplicateMember, FaceBlurred, OneFace, PhotoOfPhoto};
        let accept = |seen| row(Verdict::Accept, &[], seen);
        let spoof = |seen| row(Verdict::Reject, &[PhotoOfPhoto], seen);
        let causes = |a: &Row, b: &Row, d: &Differences| {
            let kind = kind(a, b, d);
            (kind.causes, kind.keys)
        };
        let both = of(&["liveness.reject_below", "quality.max_yaw"], &[], true);
        assert_eq!(causes(&accept(1), &spoof(1), &both), (vec![Policy], vec!["liveness.reject_below".to_owned()]));
        assert_eq!(
            causes(&accept(1), &spoof(2), &of(&["quality.max_yaw"], &["liveness"], true)),
            (vec![Models], vec![])
        );
        assert_eq!(causes(&accept(1), &spoof(2), &of(&[], &[], false)), (vec![Data], vec![]));
        let duplicate = row(Verdict::Review, &[DuplicateMember], 1);
        assert_eq!(causes(&accept(1), &duplicate, &of(&[], &[], false)), (vec![OtherRows], vec![]));
        assert_eq!(causes(&accept(1), &duplicate, &of(&[], &["embedder"], true)), (vec![Models], vec![]));
        let blurred = row(Verdict::Retake, &[FaceBlurred], 1);
        assert_eq!(causes(&accept(1), &blurred, &of(&[], &[], true)), (vec![Unknown], vec![]));
        let one = |verdict| row(verdict, &[OneFace], 1);
        let (from, to) = (one(Verdict::Retake), one(Verdict::Reject));
        let verdicts = of(&["verdicts.one_face", "verdicts.no_face"], &[], true);
        assert_eq!(causes(&from, &to, &verdicts), (vec![Policy], vec!["verdicts.one_face".to_owned()]));
    }

    #[test]
    fn what_people_decided_and_answered_is_a_cause() {
        let differing = |key: &str| Some(Differing { key: key.to_owned(), a: json!("none"), b: json!("x") });
        let d = Differences { decisions: differing("decisions"), same_dump: true, ..Differences::default() };
        let (accept, duplicate) = (row(Verdict::Accept, &[], 1), row(Verdict::Review, &[Reason::DuplicateMember], 1));
        assert_eq!(kind(&duplicate, &accept, &d).causes, [Cause::Decisions]);
        let d = Differences { responses: differing("responses"), same_dump: true, ..Differences::default() };
        let denied = row(Verdict::Reject, &[Reason::MemberDenied], 1);
        assert_eq!(kind(&accept, &denied, &d).causes, [Cause::Replies]);
        let record = json!({"files": [{"path": "a.jsonl"}], "confirmed": 2});
        assert_eq!([files_of(&record), files_of(&Value::Null)], ["a.jsonl", "none"]);
    }

    #[test]
    fn policies_are_compared_key_by_key() {
        let a = flat(&json!({"liveness": {"reject_below": 0.5}, "quality": {"max_yaw": 50.0}}));
        let b = flat(&json!({"liveness": {"reject_below": 0.7}, "quality": {"max_yaw": 50.0, "new": 1}}));
        let keys: Vec<String> = differing(&a, &b).into_iter().map(|d| format!("{} {} {}", d.key, d.a, d.b)).collect();
        assert_eq!(keys, ["liveness.reject_below 0.5 0.7", "quality.new null 1"]);
        assert!(flat(&Value::Null).is_empty());
    }
}
