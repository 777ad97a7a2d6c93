//! Duplicates within a whole store: every pair above the threshold, in one pass.

use std::collections::HashMap;

use serde::Serialize;

use crate::config::policy::MatchingPolicy;
use crate::gallery::dot::Kernel;
use crate::gallery::{self, Gallery, Row};
use crate::infer::template::similarity;
use crate::infer::{ModelId, Template};
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
/// [`Error::Input`] when the store is damaged, or holds templates of several models: those are never compared, so one
/// of them must be named.
pub fn all_pairs(gallery: &Gallery, policy: &MatchingPolicy) -> Result<Found> {
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
    let score = |a: usize, b: usize| similarity(&templates[a], &templates[b]);
    let searched = Searched { gallery_size: size, compared: pairs_of(size), floor };
    let case = Case { enrolments: &enrolments, candidates: &candidates, impostors: &impostors, searched };
    let judged = judge(&case, policy, &score);
    let search = SearchTime { kernel: kernel.name(), members: gallery.live(), seconds: begun.elapsed().as_secs_f64() };
    Ok(Found { enrolments, judged, search })
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
                scores.push(ImpostorScore { a: (*a).into(), b: (*b).into(), similarity, stratum: 0 });
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
        ..Enrolment::default()
    }
}
