//! One pass over the verdict table: counts by district and by worker, photos of photos, and the rows of listed persons.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use arrow::array::{Array, AsArray, Float32Array, StructArray};
use arrow::datatypes::{Float32Type, Int64Type};

use super::persons::{Persons, RowFact};
use super::scope::Scope;
use crate::Result;
use crate::dump::facts::folded;
use crate::reason::{Reason, Verdict};
use crate::report::table::{Batch, Lists, Texts, read, reason, value, verdict};

/// Photos of photos that a page lists.
const MOST_SPOOFS: usize = 5_000;

/// What a worker can do better next time, in the order of the page.
pub const COMPLAINTS: [Reason; 9] = [
    Reason::FaceTooSmall,
    Reason::FaceBlurred,
    Reason::FaceCovered,
    Reason::FaceTurned,
    Reason::OneFace,
    Reason::NoFace,
    Reason::UnreadableImage,
    Reason::ImageTooLarge,
    Reason::LivenessUnsure,
];

/// Photos of photos, found or suspected.
const SPOOFS: [Reason; 2] = [Reason::PhotoOfPhoto, Reason::PhotoOfPhotoSuspected];

/// Counts of some rows.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Tally {
    /// Rows.
    pub submissions: u64,
    /// By verdict, in the order of [`Verdict::ALL`].
    pub verdicts: [u64; 5],
    /// Photos of photos, found or suspected.
    pub spoofs: u64,
    /// Members enrolled before, and pictures submitted before.
    pub duplicates: u64,
}

impl Tally {
    fn count(&mut self, verdict: Verdict, reasons: &[Reason]) {
        self.submissions += 1;
        self.verdicts[verdict as usize] += 1;
        self.spoofs += u64::from(reasons.iter().any(|reason| SPOOFS.contains(reason)));
        let again = [Reason::DuplicateMember, Reason::DuplicateSelfie];
        self.duplicates += u64::from(reasons.iter().any(|r| again.contains(r)));
    }

    /// Adds another.
    pub fn add(&mut self, other: &Tally) {
        self.submissions += other.submissions;
        self.verdicts.iter_mut().zip(other.verdicts).for_each(|(mine, theirs)| *mine += theirs);
        self.spoofs += other.spoofs;
        self.duplicates += other.duplicates;
    }

    /// Share of rows with any verdict but accept.
    pub fn held_back(&self) -> f64 {
        (self.submissions - self.verdicts[0]) as f64 / self.submissions.max(1) as f64
    }
}

/// What the table says of a worker's pictures.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct WorkerQuality {
    /// The worker, as first spelt.
    pub id: String,
    /// The district of the first submission.
    pub district: Option<String>,
    /// Submissions.
    pub submissions: u64,
    /// Those with any of [`COMPLAINTS`].
    pub troubled: u64,
    /// By complaint.
    pub complaints: [u64; COMPLAINTS.len()],
}

impl WorkerQuality {
    /// The complaint that is there most.
    pub fn commonest(&self) -> Reason {
        let most = (0..COMPLAINTS.len()).rev().max_by_key(|&at| self.complaints[at]).unwrap_or(0);
        COMPLAINTS[most]
    }
}

/// A photo of a photo, found or suspected.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoof {
    /// Whether it is only suspected.
    pub is_suspected: bool,
    /// Position in the dump.
    pub row: u64,
    /// As in the dump.
    pub submission: Option<String>,
    /// As in the dump.
    pub worker: Option<String>,
    /// As in the dump.
    pub district: Option<String>,
    /// Its verdict.
    pub verdict: Verdict,
    /// The faces that were judged.
    pub faces: Vec<Face>,
}

impl Spoof {
    /// The least probability that a face was there.
    fn least(&self) -> f32 {
        self.faces.iter().filter_map(|f| f.liveness).fold(1.0, f32::min)
    }
}

/// A face in a selfie.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    /// Left, top, width, height in pixels of the upright selfie.
    pub bbox: [f32; 4],
    /// `worker`, `member` or `bystander`.
    pub role: String,
    /// Probability that it was there.
    pub liveness: Option<f32>,
}

/// All that one pass gathers.
#[derive(Debug, Default)]
pub struct Night {
    /// By the folded name of the district; the name as first spelt with it.
    pub districts: BTreeMap<Option<String>, (Option<String>, Tally)>,
    /// By the folded id of the worker.
    pub workers: HashMap<String, WorkerQuality>,
    /// Those listed, as [`Night::sort_spoofs`] orders them.
    pub spoofs: Vec<Spoof>,
    /// All of them.
    pub all_spoofs: u64,
    /// Rows of listed persons, in order, by submission.
    pub rows: HashMap<String, Vec<RowFact>>,
}

struct Columns<'a> {
    id: Texts<'a>,
    worker: Texts<'a>,
    district: Texts<'a>,
    verdict: Texts<'a>,
    reasons: Lists<'a>,
    cluster: Texts<'a>,
}

impl Night {
    /// Reads the verdict table of a run folder.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a table that is missing or of another form.
    pub fn read(tables: &Path, persons: &Persons, scope: &Scope) -> Result<Night> {
        let mut night = Night::default();
        let columns = ["submission_id", "worker_id", "district", "verdict", "reasons", "cluster_id", "faces", "row"];
        read(&tables.join("verdicts.parquet"), &columns, |batch| night.add(batch, persons, scope))?;
        Ok(night)
    }

    /// Puts photos of photos in the order of the page: those found, then suspected ones of workers who stand out for them,
    /// then the others; each group surest first.
    pub fn sort_spoofs(&mut self, stands_out: &HashSet<&str>) {
        let group = |spoof: &Spoof| match spoof.is_suspected {
            false => 0,
            true if spoof.worker.as_deref().is_some_and(|worker| stands_out.contains(worker)) => 1,
            true => 2,
        };
        self.spoofs
            .sort_by(|x, y| group(x).cmp(&group(y)).then(x.least().total_cmp(&y.least())).then(x.row.cmp(&y.row)));
        self.spoofs.truncate(MOST_SPOOFS);
    }

    fn add(&mut self, batch: &Batch, persons: &Persons, scope: &Scope) -> Result<()> {
        let columns = Columns {
            id: batch.texts("submission_id")?,
            worker: batch.texts("worker_id")?,
            district: batch.texts("district")?,
            verdict: batch.texts("verdict")?,
            reasons: batch.lists("reasons")?,
            cluster: batch.texts("cluster_id")?,
        };
        let rows = batch.numbers::<Int64Type>("row")?;
        let faces = batch.raw_lists("faces")?;
        for at in (0..batch.rows()).filter(|&at| scope.has(columns.district.get(at))) {
            let verdict = columns.verdict.get(at).and_then(verdict).unwrap_or(Verdict::Review);
            let reasons: Vec<Reason> = columns.reasons.get(at).into_iter().filter_map(reason).collect();
            let district = columns.district.get(at);
            let place = self.districts.entry(district.map(folded)).or_default();
            place.0 = place.0.take().or_else(|| district.map(str::to_owned));
            place.1.count(verdict, &reasons);
            if let Some(worker) = columns.worker.get(at) {
                self.complain(worker, district, &reasons);
            }
            let row = value(rows, at).unwrap_or_default() as u64;
            let id = columns.id.get(at).filter(|id| persons.has(id));
            let spoof = reasons.iter().any(|reason| SPOOFS.contains(reason));
            if id.is_none() && !spoof {
                continue;
            }
            let faces = faces_of(&faces.value(at));
            if let Some(id) = id {
                let face = faces.iter().find(|f| f.role == "member").map(|f| f.bbox);
                self.rows.entry(id.to_owned()).or_default().push(RowFact {
                    row,
                    cluster: columns.cluster.get(at).map(str::to_owned),
                    verdict,
                    face,
                });
            }
            if spoof {
                self.all_spoofs += 1;
                self.spoofs.push(Spoof {
                    is_suspected: !reasons.contains(&Reason::PhotoOfPhoto),
                    row,
                    submission: columns.id.get(at).map(str::to_owned),
                    worker: columns.worker.get(at).map(str::to_owned),
                    district: district.map(str::to_owned),
                    verdict,
                    faces: faces.into_iter().filter(|f| f.role != "bystander").collect(),
                });
            }
        }
        Ok(())
    }

    fn complain(&mut self, worker: &str, district: Option<&str>, reasons: &[Reason]) {
        let entry = self.workers.entry(folded(worker)).or_insert_with(|| WorkerQuality {
            id: worker.to_owned(),
            district: district.map(str::to_owned),
            ..WorkerQuality::default()
        });
        entry.submissions += 1;
        let mut any = false;
        for (count, complaint) in entry.complaints.iter_mut().zip(COMPLAINTS) {
            let hit = reasons.contains(&complaint);
            *count += u64::from(hit);
            any |= hit;
        }
        entry.troubled += u64::from(any);
    }
}

/// The faces of one row; a column that is not as expected gives none.
pub(super) fn faces_of(items: &dyn Array) -> Vec<Face> {
    let Some(items) = items.as_any().downcast_ref::<StructArray>() else { return Vec::new() };
    let column = |name: &str| items.column_by_name(name);
    let (Some(boxes), Some(roles)) =
        (column("box").and_then(|c| c.as_list_opt::<i32>()), column("role").and_then(|c| c.as_string_opt::<i32>()))
    else {
        return Vec::new();
    };
    let liveness: Option<&Float32Array> = column("liveness").and_then(|c| c.as_primitive_opt());
    let face = |at: usize| {
        let numbers = boxes.value(at);
        let numbers: &Float32Array = numbers.as_primitive_opt::<Float32Type>()?;
        let bbox: [f32; 4] = numbers.values().get(..4)?.try_into().ok()?;
        let liveness = liveness.and_then(|l| value(l, at));
        Some(Face { bbox, role: roles.value(at).to_owned(), liveness })
    };
    (0..items.len()).filter_map(face).collect()
}
