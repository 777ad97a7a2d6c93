//! Candidates -> pairs, clusters and the run's statistics: the one entry that a run calls.

use serde::Serialize;

use super::clusters::{Cluster, clusters};
use super::impostor::{Found, ImpostorModel, ImpostorReport};
use super::{Candidate, Enrolment, Impostors, Pair, stratum};
use crate::config::policy::MatchingPolicy;

/// Never ask a search for more than this share of all pairs.
const MOST_CANDIDATES: f64 = 1e-3;

/// Number of pairs of a gallery: `size (size - 1) / 2`.
pub fn pairs_of(size: u64) -> f64 {
    size as f64 * size.saturating_sub(1) as f64 / 2.0
}

/// How low a search of the gallery must reach: the similarity at which `candidate_false_pairs` pairs of the whole
/// gallery are expected by chance. Those are the far end of the impostor scores, on which the limit for review is then
/// fitted; they are few against the pairs compared, so the work grows with the pairs found and not with their square.
pub fn candidate_floor(impostors: &Impostors, gallery_size: u64, policy: &MatchingPolicy) -> f32 {
    let rate = policy.candidate_false_pairs.max(policy.review_expected_false_matches) / pairs_of(gallery_size).max(1.0);
    impostors.pooled().rate().inverse(rate.min(MOST_CANDIDATES))
}

/// What a search covered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Searched {
    /// Templates in the gallery, this run's included.
    pub gallery_size: u64,
    /// Pairs that were compared.
    pub compared: f64,
    /// Every compared pair at least this similar is among the candidates.
    pub floor: f32,
}

/// All that matching is told.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The memberships.
    pub enrolments: &'a [Enrolment],
    /// What the search found; a pair named twice counts once.
    pub candidates: &'a [Candidate],
    /// How similar different people are.
    pub impostors: &'a Impostors,
    /// What the search covered.
    pub searched: Searched,
}

/// What matching says.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Flagged pairs, most similar first.
    pub pairs: Vec<Pair>,
    /// Persons with two or more memberships, by the age of the original.
    pub clusters: Vec<Cluster>,
    /// For `run.json`.
    pub statistics: MatchingStatistics,
}

/// The run's totals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatchingStatistics {
    /// Templates in the gallery.
    pub gallery_size: u64,
    /// Pairs of the whole gallery, on which `expected_false_matches` is stated.
    pub gallery_pairs: f64,
    /// Pairs compared in this run.
    pub compared_pairs: f64,
    /// Similarity from which on pairs were candidates.
    pub candidate_floor: f32,
    /// Candidates, each pair once.
    pub candidates: usize,
    /// The policy's limit in expected false matches.
    pub review_expected_false_matches: f64,
    /// The similarity that this limit comes to (for pairs outside the strata with curves of their own).
    pub review_similarity: f32,
    /// Pairs flagged.
    pub flagged_pairs: usize,
    /// How many of the compared pairs chance alone would have put into the table.
    pub expected_false_pairs: f64,
    /// Upper bound of it, one-sided 95 %.
    pub expected_false_pairs_upper: f64,
    /// The false-match rate that the limit comes to.
    pub false_match_rate: f64,
    /// Persons with two or more memberships.
    pub clusters: usize,
    /// The pooled curve.
    pub impostors: ImpostorReport,
    /// Curves of strata.
    pub strata: Vec<StratumReport>,
}

/// One stratum with a curve of its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StratumReport {
    /// Its number, see [`stratum`].
    pub stratum: u16,
    /// Its review similarity.
    pub review_similarity: f32,
    /// Its curve.
    pub impostors: ImpostorReport,
}

/// Judges the candidates of a run. `score` gives the similarity of any two enrolments, for pairs that were no
/// candidates but stand between some. The result depends on the set of candidates alone.
pub fn judge(case: &Case, policy: &MatchingPolicy, score: &dyn Fn(usize, usize) -> f32) -> Judged {
    let _ = score;
    let candidates = each_once(case);
    let found: Vec<Found> = candidates
        .iter()
        .map(|c| Found { a: identity(case, c.a), b: identity(case, c.b), similarity: c.similarity })
        .collect();
    let searched = case.searched;
    let all = pairs_of(searched.gallery_size);
    let (pooled, _populations) =
        case.impostors.pooled().clone().with_candidates(&found, searched.compared, searched.floor);
    let model_of = |c: &Candidate| -> &ImpostorModel {
        let stratum = stratum(case.enrolments[c.a].group, case.enrolments[c.b].group);
        case.impostors.strata().find(|(name, _)| *name == stratum).map_or(&pooled, |(_, model)| model)
    };
    let pairs: Vec<Pair> = candidates
        .iter()
        .map(|c| {
            let model = model_of(c);
            Pair {
                a: c.a,
                b: c.b,
                similarity: c.similarity,
                expected_false_matches: model.fmr(c.similarity) * all,
                expected_false_matches_upper: model.fmr_upper(c.similarity) * all,
            }
        })
        .filter(|pair| pair.expected_false_matches <= policy.review_expected_false_matches)
        .collect();
    let clusters = clusters(case.enrolments, &pairs);
    let rate = policy.review_expected_false_matches / all.max(1.0);
    let review_similarity = pooled.rate().inverse(rate);
    let statistics = MatchingStatistics {
        gallery_size: searched.gallery_size,
        gallery_pairs: all,
        compared_pairs: searched.compared,
        candidate_floor: searched.floor,
        candidates: candidates.len(),
        review_expected_false_matches: policy.review_expected_false_matches,
        review_similarity,
        flagged_pairs: pairs.len(),
        expected_false_pairs: searched.compared * pooled.fmr(review_similarity),
        expected_false_pairs_upper: searched.compared * pooled.fmr_upper(review_similarity),
        false_match_rate: pooled.fmr(review_similarity),
        clusters: clusters.len(),
        strata: case
            .impostors
            .strata()
            .map(|(stratum, model)| StratumReport {
                stratum,
                review_similarity: model.rate().inverse(rate),
                impostors: model.report().clone(),
            })
            .collect(),
        impostors: pooled.report().clone(),
    };
    Judged { pairs, clusters, statistics }
}

/// The candidates, each pair once with `a < b`, most similar first; what compares a membership with itself or has no
/// finite similarity is left out.
fn each_once(case: &Case) -> Vec<Candidate> {
    let known = case.enrolments.len();
    let mut candidates: Vec<Candidate> = case
        .candidates
        .iter()
        .filter(|c| c.a != c.b && c.a < known && c.b < known && c.similarity.is_finite())
        .map(|c| Candidate { a: c.a.min(c.b), b: c.a.max(c.b), similarity: c.similarity })
        .collect();
    candidates.sort_by(|x, y| (x.a, x.b).cmp(&(y.a, y.b)).then(y.similarity.total_cmp(&x.similarity)));
    candidates.dedup_by_key(|c| (c.a, c.b));
    let ids = |c: &Candidate| {
        let (a, b) = (&case.enrolments[c.a].submission_id, &case.enrolments[c.b].submission_id);
        if a <= b { (a, b) } else { (b, a) }
    };
    candidates.sort_by(|x, y| y.similarity.total_cmp(&x.similarity).then_with(|| ids(x).cmp(&ids(y))));
    candidates
}

/// A number for a membership that does not depend on where it stands in the list.
fn identity(case: &Case, at: usize) -> u64 {
    // FNV-1a: spread enough, for resampling scrambles it again.
    let id = case.enrolments[at].submission_id.as_bytes();
    id.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
