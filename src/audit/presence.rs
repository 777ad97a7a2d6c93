//! Where, when and with which phone tonight's members were enrolled.

use std::collections::{BTreeMap, HashSet};

use crate::config::Policy;
use crate::infer::Analysis;
use crate::pairs::Found;
use crate::presence::{EarlierRoom, Signs, Tie, Together, Visit, findings, measure, shared_phones};
use crate::reason::Reason;
use crate::verdict::peers::UnitRow;
use crate::verdict::{Finding, VerdictRow};

/// What place, time and phone tell of the workers.
#[derive(Debug)]
pub struct Presence {
    /// Each worker and sign against peers.
    pub measured: Vec<UnitRow>,
    /// The rows with a sign by which their worker stands out.
    pub findings: Vec<Finding>,
    /// Phones of several accounts.
    pub shared_phones: Vec<Together>,
}

impl Presence {
    /// Of all rows but `repeats`, which bring nobody new, with the rooms of earlier nights; `own` is what each row says by itself.
    pub fn judge(
        analyses: &[Analysis],
        own: &[VerdictRow],
        repeats: &HashSet<u64>,
        earlier: &[EarlierRoom],
        policy: &Policy,
    ) -> Presence {
        let named = analyses.iter().zip(own).filter(|(analysis, _)| !repeats.contains(&analysis.row));
        let visits: Vec<Visit> = named.filter_map(|(analysis, own)| visit(analysis, own)).collect();
        let signs = Signs::of(&visits, earlier, &policy.presence, policy.reuse.background_similarity);
        let measured = measure(&visits, &signs, &policy.presence, &policy.peers);
        Presence { findings: findings(&visits, &signs, &measured), shared_phones: shared_phones(&visits), measured }
    }
}

/// Rows of each worker.
pub fn sizes(analyses: &[Analysis]) -> BTreeMap<&str, u64> {
    let mut sizes = BTreeMap::new();
    for worker in analyses.iter().filter_map(|analysis| analysis.facts.worker_id.as_deref()) {
        *sizes.entry(worker).or_default() += 1;
    }
    sizes
}

/// Workers who enrolled one person, for each person that several did.
pub fn shared_members(matched: &Found) -> impl Iterator<Item = Together> {
    let several = matched.judged.clusters.iter().filter(|cluster| cluster.workers.len() > 1);
    several.map(|cluster| Together { tie: Tie::Members, workers: cluster.workers.clone() })
}

fn visit<'a>(analysis: &'a Analysis, own: &VerdictRow) -> Option<Visit<'a>> {
    let facts = &analysis.facts;
    let photo = analysis.selfie.as_ref().ok();
    let is_plausible = !own.reasons.contains(&Reason::CapturedAtImplausible);
    Some(Visit {
        row: analysis.row,
        worker: facts.worker_id.as_deref()?,
        district: facts.district.as_deref().unwrap_or_default(),
        captured_at: facts.captured_at.filter(|_| is_plausible),
        uploaded_at: facts.uploaded_at,
        place: facts.place.or_else(|| photo?.camera.place),
        device: facts.device_id.as_deref(),
        camera: photo.map(|photo| &photo.camera),
        background: photo.map(|photo| &photo.traits.background),
        aspect: photo.map(|photo| {
            let (width, height) = (f64::from(photo.width), f64::from(photo.height));
            width.max(height) / width.min(height).max(1.0)
        }),
    })
}
