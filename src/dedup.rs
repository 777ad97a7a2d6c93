//! Duplicates within a whole store: every pair above the threshold, in one pass.

use std::collections::HashMap;

use serde::Serialize;

use crate::config::policy::MatchingPolicy;
use crate::gallery::dot::Kernel;
use crate::gallery::{self, Gallery, Row};
use crate::infer::template::similarity;
use crate::infer::{ModelId, Template};
use crate::matching::strata::{quality_group, quality_stratum};
use crate::matching::{
    Candidate, Case, Enrolment, ImpostorScore, Impostors, Judged, Searched, candidate_floor, judge, pairs_of,
};
use crate::{Error, Result};

/// So many members are compared with each other for the impostor model: 2,000 make two million pairs.
const SAMPLE: usize = 2_000;

/// What one pass over a store found.
#[derive(Debug)]
pub struct Found {
    /// Memberships that are in a candidate pair.
    pub enrolments: Vec<Enrolment>,
    /// Pairs, clusters, statistics.
    pub judged: Judged,
    /// The kernel of the dot products, and the time it took.
    pub search: SearchTime,
}

/// How the pass was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchTime {
    /// The kernel of the dot products.
    pub kernel: &'static str,
    /// Members compared with each other.
    pub members: usize,
    /// Wall time, seconds.
    pub seconds: f64,
}

/// Finds every pair of members that the policy wants reviewed.
///
/// # Errors
/// [`Error::Usage`] when the store is empty, [`Error::Input`] when it is damaged.
pub fn all_pairs(gallery: &Gallery, policy: &MatchingPolicy) -> Result<Found> {
    let pass = Pass::of(gallery, policy)?;
    let judged = pass.judge(policy);
    Ok(Found { enrolments: pass.enrolments, judged, search: pass.search })
}

/// One pass over a gallery before it is judged: what different people's scores are, and every pair above the floor.
#[derive(Debug)]
pub struct Pass {
    /// Memberships that are in a candidate pair.
    pub enrolments: Vec<Enrolment>,
    /// How it was done.
    pub search: SearchTime,
    candidates: Vec<Candidate>,
    impostors: Impostors,
    searched: Searched,
    templates: Vec<Template>,
}

impl Pass {
    /// Compares every member with every other of the first member's model.
    ///
    /// # Errors
    /// As [`all_pairs`].
    pub fn of(gallery: &Gallery, policy: &MatchingPolicy) -> Result<Pass> {
        let begun = std::time::Instant::now();
        let Some(model) = gallery.iter().next().and_then(|(row, _)| gallery.model(row)).cloned() else {
            return Err(Error::usage("--store", "the store holds no members", "audit a dump into it first"));
        };
        let impostors = Impostors::new(&model, &impostor_scores(gallery, &model)?);
        let size = gallery.live() as u64;
        let floor = candidate_floor(&impostors, size, policy);
        let kernel = Kernel::best();
        let mut hits: Vec<gallery::Pair> = Vec::new();
        gallery::exact::all_pairs(gallery, floor, kernel, &mut |pairs| {
            hits.extend_from_slice(pairs);
            Ok(())
        })?;
        let mut place: HashMap<u32, usize> = HashMap::new();
        let (mut enrolments, mut rows) = (Vec::new(), Vec::new());
        let mut enrol = |row: u32| {
            *place.entry(row).or_insert_with(|| {
                enrolments.extend(gallery.row(row).as_ref().map(enrolment));
                rows.push(row);
                rows.len() - 1
            })
        };
        let candidates: Vec<Candidate> = hits
            .iter()
            .map(|hit| Candidate { a: enrol(hit.first), b: enrol(hit.second), similarity: hit.similarity })
            .collect();
        let templates: Vec<Template> = rows.iter().map(|&row| gallery.template(row)).collect::<Result<_>>()?;
        let seconds = begun.elapsed().as_secs_f64();
        let search = SearchTime { kernel: kernel.name(), members: gallery.live(), seconds };
        let searched = Searched { gallery_size: size, compared: pairs_of(size), floor };
        Ok(Pass { enrolments, search, candidates, impostors, searched, templates })
    }

    /// Judges the candidates: pairs, clusters, statistics. The policy may be another than the one searched with, as
    /// long as its limits are no wider.
    pub fn judge(&self, policy: &MatchingPolicy) -> Judged {
        let score = |a: usize, b: usize| similarity(&self.templates[a], &self.templates[b]);
        let case = Case {
            enrolments: &self.enrolments,
            candidates: &self.candidates,
            impostors: &self.impostors,
            searched: self.searched,
        };
        judge(&case, policy, &score)
    }
}

/// Members of different districts and workers, drawn evenly over the store.
fn impostor_scores(gallery: &Gallery, model: &ModelId) -> Result<Vec<ImpostorScore>> {
    let step = gallery.live().div_ceil(SAMPLE).max(1);
    let rows: Vec<(u32, Row)> =
        gallery.iter().filter(|(row, _)| gallery.model(*row) == Some(model)).step_by(step).collect();
    let templates: Vec<Template> = rows.iter().map(|(row, _)| gallery.template(*row)).collect::<Result<_>>()?;
    let mut scores = Vec::new();
    for (place, (a, one)) in rows.iter().enumerate() {
        for (other_place, (b, other)) in rows.iter().enumerate().skip(place + 1) {
            if one.district != other.district && one.worker_id != other.worker_id {
                let similarity = similarity(&templates[place], &templates[other_place]);
                let stratum = quality_stratum(one.quality, other.quality);
                scores.push(ImpostorScore { a: (*a).into(), b: (*b).into(), similarity, stratum });
            }
        }
    }
    Ok(scores)
}

/// A stored row as matching sees it.
pub(crate) fn enrolment(stored: &Row) -> Enrolment {
    let text = |value: Option<&str>| value.map(str::to_owned);
    Enrolment {
        submission_id: stored.submission_id.to_owned(),
        worker_id: stored.worker_id.to_owned(),
        district: stored.district.to_owned(),
        captured_at: stored.captured_at,
        mobile: text(stored.mobile),
        epic: text(stored.epic),
        member_name: text(stored.member_name),
        picture: Some(stored.selfie_dhash),
        group: quality_group(stored.quality),
        ..Enrolment::default()
    }
}
