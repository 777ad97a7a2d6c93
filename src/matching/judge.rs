//! Candidates -> pairs, clusters and the run's statistics: the one entry that a run calls.

use serde::Serialize;

use super::cleared::cleared;
use super::clusters::{Cluster, clusters_with};
use super::evidence::{Levels, Weights, compare};
use super::far::{Far, FarReport, Found};
use super::fdr::{FdrReport, LocalFdr, Scene};
use super::impostor::{ImpostorModel, ImpostorReport};
use super::strata::{NOT_TOLD, StratumReport};
use super::{Candidate, Decided, Enrolment, Grounds, Impostors, Pair, stratum};
use crate::config::policy::MatchingPolicy;
use crate::decisions::Answer;

/// From so many mates on among the candidates, and so many a stranger, strangers are sought from below and among pairs
/// cleared of mates. Up to 14,000 drawn mates three humps describe them well enough; with 17,000 beside 10,000 strangers, of
/// 1,000,000 members, the tail was ten times too heavy where ten pairs were expected.
const CROWD: f64 = 15_000.0;
const CROWDED: f64 = 0.15;

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
    let all = pairs_of(gallery_size).max(1.0);
    // Records may make up for some decades of face; and a stratum whose people are less alike is searched deeper.
    let limit = policy.review_expected_false_matches * 10f64.powf(policy.most_record_evidence);
    let floor = |model: &ImpostorModel, expected: f64| model.rate().inverse((expected / all).min(MOST_CANDIDATES));
    let pooled = floor(impostors.pooled(), policy.candidate_false_pairs.max(limit));
    impostors.strata().map(|(_, model)| floor(model, limit)).fold(pooled, f32::min)
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
    /// Pairs that would be flagged, had people not told the two apart; most similar first.
    pub cleared: Vec<Pair>,
    /// Persons with two or more memberships, by the age of the original.
    pub clusters: Vec<Cluster>,
    /// For `run.json`.
    pub statistics: MatchingStatistics,
    /// The pooled impostor curve, carried on with the candidates.
    pub strangers: ImpostorModel,
    /// Those of strata that have their own.
    pub strata: Vec<(u16, ImpostorModel)>,
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
    /// Of these, how many because their records agree.
    pub flagged_with_records: usize,
    /// How many of the compared pairs chance alone would have put into the table.
    pub expected_false_pairs: f64,
    /// Upper bound of it, one-sided 95 %.
    pub expected_false_pairs_upper: f64,
    /// Sum over the flagged pairs of the probability that the two are different people.
    pub sum_of_probabilities_false: f64,
    /// The false-match rate that the limit comes to.
    pub false_match_rate: f64,
    /// Upper bound of it, one-sided 95 %.
    pub false_match_rate_upper: f64,
    /// Persons with two or more memberships.
    pub clusters: usize,
    /// The pooled curve.
    pub impostors: ImpostorReport,
    /// Groups of pairs, where several are told apart, and which curve serves each.
    pub strata: Vec<StratumReport>,
    /// By what no strata are made, and why.
    pub strata_not_told: &'static str,
    /// Mates beside strangers.
    pub local_fdr: FdrReport,
    /// What the fields of the record weigh.
    pub records: Weights,
}

/// Judges the candidates of a run. `score` gives the similarity of any two enrolments, for pairs that were no
/// candidates but stand between some. The result depends on the set of candidates alone.
pub fn judge(case: &Case, policy: &MatchingPolicy, score: &dyn Fn(usize, usize) -> f32) -> Judged {
    judge_with(case, &Decided::default(), policy, score)
}

/// The same where people have decided some of the pairs: whom they told apart is not flagged and never one person by
/// itself, whom they found to be one person is flagged whatever the limits are by now.
pub fn judge_with(
    case: &Case,
    decided: &Decided,
    policy: &MatchingPolicy,
    score: &dyn Fn(usize, usize) -> f32,
) -> Judged {
    let candidates = each_once(case);
    let models = Models::new(case, &candidates, policy, score);
    let levels: Vec<Levels> =
        candidates.iter().map(|c| compare(&case.enrolments[c.a], &case.enrolments[c.b])).collect();
    let odds: Vec<f64> =
        candidates.iter().map(|c| models.fdr.prior_log10_odds() + models.fdr.evidence(models.level(case, c))).collect();
    let weights = Weights::estimate(case.enrolments, &levels, &odds);
    let flagged = candidates.iter().zip(levels).filter_map(|(c, levels)| {
        let pair = models.pair(case, policy, c, (&weights, levels));
        let decision = decided.of(c.a, c.b);
        // What people confirmed stays, also when the gallery has grown and the limit with it.
        let stays = pair.grounds != Grounds::Decision || decision == Some(Answer::Same);
        stays.then_some(Pair { decision, ..pair })
    });
    let (cleared, pairs): (Vec<Pair>, Vec<Pair>) = flagged.partition(|p| p.decision == Some(Answer::Different));
    let clusters = clusters_with(case.enrolments, &pairs, decided, &|a, b| {
        let c = Candidate { a, b, similarity: score(a, b) };
        let parts = weights.parts(0.0, compare(&case.enrolments[a], &case.enrolments[b]));
        let more = parts.record_total().clamp(-policy.most_record_evidence, policy.most_record_evidence);
        models.fdr.prior_log10_odds() + models.fdr.evidence(models.level(case, &c)) + more
    });
    let statistics = models.statistics(case, policy, (candidates.len(), &pairs, clusters.len()), weights);
    Judged { pairs, cleared, clusters, statistics, strangers: models.pooled, strata: models.strata }
}

/// The models of one run, fitted.
struct Models {
    pooled: ImpostorModel,
    strata: Vec<(u16, ImpostorModel)>,
    fdr: LocalFdr,
    /// Pairs of the whole gallery.
    all: f64,
}

impl Models {
    fn new(
        case: &Case,
        candidates: &[Candidate],
        policy: &MatchingPolicy,
        score: &dyn Fn(usize, usize) -> f32,
    ) -> Self {
        let searched = case.searched;
        let all = pairs_of(searched.gallery_size);
        let found = |wanted: &dyn Fn(&Candidate) -> bool| -> Vec<Found> {
            let named =
                |c: &Candidate| Found { a: identity(case, c.a), b: identity(case, c.b), similarity: c.similarity };
            candidates.iter().filter(|c| wanted(c)).map(named).collect()
        };
        let everything = found(&|_| true);
        let upper = case.impostors.upper.as_ref();
        let (compared, floor) = (searched.compared, searched.floor);
        let far = Far { found: &everything, compared, floor, upper: None, cleared: None };
        let fit = |far: &Far| case.impostors.pooled().clone().with_candidates(far);
        let (mut pooled, mut populations) = fit(&far);
        let crowd = |far: &FarReport| far.mated_pairs > CROWD && far.mated_pairs > CROWDED * far.false_pairs;
        let crowded = pooled.report().far.as_ref().is_some_and(crowd);
        if crowded {
            // First from below, then from among the mates, for which the limits must be about known.
            let far = Far { upper, ..far };
            (pooled, populations) = fit(&far);
            if let Some(cleared) = cleared(candidates, (&pooled, compared, floor), score) {
                (pooled, populations) = fit(&Far { cleared: Some(&cleared), ..far });
            }
        }
        // The scores known to differ are drawn from all members, so they show each stratum's share of all pairs.
        let scores: f64 = case.impostors.strata.iter().map(|s| s.scores as f64).sum();
        let share = |name: u16| {
            case.impostors.strata.iter().filter(|s| s.name == name).map(|s| s.scores as f64).sum::<f64>()
                / scores.max(1.0)
        };
        let strata = case
            .impostors
            .strata()
            .map(|(name, model)| {
                let own = found(&|c| stratum_of(case, c) == name);
                let compared = searched.compared * share(name);
                let upper = upper.filter(|_| crowded).map(|upper| upper.of(name, share(name)));
                let far = Far { found: &own, compared, floor: searched.floor, upper: upper.as_ref(), cleared: None };
                (name, model.clone().with_candidates(&far).0)
            })
            .collect();
        let scene = Scene {
            strangers: &pooled,
            prior: &case.impostors.prior,
            compared: searched.compared,
            // Each duplicate is a pair with one other membership of the gallery.
            believed_mates: policy.duplicate_share / 2.0 * searched.gallery_size as f64 * searched.compared
                / all.max(1.0),
        };
        let fdr = LocalFdr::new(&scene, &everything, populations.as_ref());
        Models { pooled, strata, fdr, all }
    }

    fn of(&self, stratum: u16) -> &ImpostorModel {
        self.strata.iter().find(|(name, _)| *name == stratum).map_or(&self.pooled, |(_, model)| model)
    }

    /// The similarity that says in the pool what the candidate's says in its stratum: the one with the same
    /// false-match rate.
    fn level(&self, case: &Case, candidate: &Candidate) -> f32 {
        match self.strata.iter().find(|(name, _)| *name == stratum_of(case, candidate)) {
            Some((_, model)) if !candidate.similarity.is_nan() => {
                self.pooled.rate().inverse(model.fmr(candidate.similarity))
            }
            _ => candidate.similarity,
        }
    }

    /// The pair; its grounds are [`Grounds::Decision`] where it stays below the limit.
    ///
    /// Faces alone flag while at most `limit` pairs as alike are expected. A pair beyond that is flagged when its
    /// records agree so well that `expected / 10^record` is within the limit. Under chance the records of a pair reach
    /// `10^r` with a probability of at most `10^-r` times that among mates, so summed over all `r` this adds at most
    /// `limit` once more, as long as records and faces agree independently. Kin break that, hence the bound on what
    /// records may weigh. Records that disagree take no flag away: who enrols a person twice makes them disagree.
    fn pair(
        &self,
        case: &Case,
        policy: &MatchingPolicy,
        candidate: &Candidate,
        (weights, levels): (&Weights, Levels),
    ) -> Pair {
        let model = self.of(stratum_of(case, candidate));
        let &Candidate { a, b, similarity } = candidate;
        let expected = model.fmr(similarity) * self.all;
        let level = self.level(case, candidate);
        let parts = weights.parts(self.fdr.evidence(level), levels);
        let record = parts.record_total().clamp(-policy.most_record_evidence, policy.most_record_evidence);
        let limit = policy.review_expected_false_matches;
        let grounds = match expected {
            e if e <= limit => Grounds::Face,
            e if record > 0.0 && e * 10f64.powf(-record) <= limit => Grounds::FaceAndRecord,
            _ => Grounds::Decision,
        };
        Pair {
            a,
            b,
            similarity,
            expected_false_matches: expected,
            expected_false_matches_upper: model.fmr_upper(similarity) * self.all,
            local_fdr: self.fdr.probability_false(level, 0.0),
            probability_false: self.fdr.probability_false(level, record),
            parts,
            grounds,
            decision: None,
        }
    }

    fn statistics(
        &self,
        case: &Case,
        policy: &MatchingPolicy,
        (candidates, pairs, clusters): (usize, &[Pair], usize),
        weights: Weights,
    ) -> MatchingStatistics {
        let searched = case.searched;
        let rate = policy.review_expected_false_matches / self.all.max(1.0);
        let review_similarity = self.pooled.rate().inverse(rate);
        let own = |name: u16| self.strata.iter().find(|(n, _)| *n == name).map(|(_, model)| model);
        let strata = case.impostors.strata.iter().map(|s| s.report(own(s.name), &self.pooled, rate)).collect();
        MatchingStatistics {
            gallery_size: searched.gallery_size,
            gallery_pairs: self.all,
            compared_pairs: searched.compared,
            candidate_floor: searched.floor,
            candidates,
            review_expected_false_matches: policy.review_expected_false_matches,
            review_similarity,
            flagged_pairs: pairs.len(),
            flagged_with_records: pairs.iter().filter(|p| p.grounds == Grounds::FaceAndRecord).count(),
            expected_false_pairs: searched.compared * self.pooled.fmr(review_similarity),
            expected_false_pairs_upper: searched.compared * self.pooled.fmr_upper(review_similarity),
            sum_of_probabilities_false: pairs.iter().map(|p| p.probability_false).sum(),
            false_match_rate: self.pooled.fmr(review_similarity),
            false_match_rate_upper: self.pooled.fmr_upper(review_similarity),
            clusters,
            impostors: self.pooled.report().clone(),
            strata,
            strata_not_told: NOT_TOLD,
            local_fdr: self.fdr.report().clone(),
            records: weights,
        }
    }
}

fn stratum_of(case: &Case, candidate: &Candidate) -> u16 {
    stratum(case.enrolments[candidate.a].group, case.enrolments[candidate.b].group)
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
