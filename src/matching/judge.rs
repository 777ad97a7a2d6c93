//! Candidates -> pairs, clusters and the run's statistics: the one entry that a run calls.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::clusters::{Cluster, clusters_with};
use super::doubt;
use super::evidence::{Levels, Parts, Weights, compare};
use super::fdr::{FdrReport, LocalFdr, Scene};
use super::impostor::{ImpostorModel, ImpostorReport, SearchLayer};
use super::ladder::least_shares;
use super::limit::{Link, Memberships, NearPairs, Reach, ReachReport, is_copy_or_retry, review_rates};
use super::null::Histogram;
use super::persons::{Groups, MOST_VOTES, MOST_WITH_ALL_PAIRS, Persons, pairs_left};
use super::strata::{NOT_TOLD, StratumReport};
use super::{Candidate, Decided, Enrolment, Grounds, Impostors, Pair, stratum};
use crate::config::policy::MatchingPolicy;
use crate::decisions::Answer;

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
    let limit = policy.review_expected_false_matches.unwrap_or(policy.certain_expected_false_matches)
        * 10f64.powf(policy.most_record_evidence);
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
    /// How many of the compared pairs are of one worker, and of one district; `None` where nobody counted.
    pub near: Option<NearPairs>,
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
    /// Of memberships that other limits would flag: the least share of false ones at which ([`super::ladder`]).
    pub least_shares: HashMap<usize, f64>,
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
    /// The policy's share of false ones among the memberships flagged; `None` where a number of expected false matches is
    /// the limit instead.
    pub review_false_share: Option<f64>,
    /// Pairs are flagged while at most so many as similar are expected in the whole gallery: what the share comes to across
    /// districts, or the policy's own number.
    pub review_expected_false_matches: f64,
    /// The similarity that this limit comes to (for pairs outside the strata with curves of their own).
    pub review_similarity: f32,
    /// What is flagged within a worker, within a district and across districts.
    pub reaches: Vec<ReachReport>,
    /// Memberships flagged by their faces, a person as three at most.
    pub flagged_memberships: usize,
    /// Share of them expected to be false.
    pub expected_false_share: f64,
    /// Upper bound of it, one-sided 95 %.
    pub expected_false_share_upper: f64,
    /// Memberships of the person with the most of them, of those who are beyond doubt one person.
    pub largest_person: usize,
    /// Pairs within persons of very many memberships that are not listed: of each the pairs that hold it together are, and the
    /// least similar.
    pub pairs_not_listed: usize,
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
    let everything = each_once(case);
    let sure = case.impostors.sure;
    let mut persons = Persons::of(everything.iter().map(|c| (c.a, c.b, c.similarity)), sure);
    let found = everything.len();
    let candidates = thinned(everything, &mut persons);
    let models = Models::new(case, &candidates, &persons);
    let links = models.links(case, decided, &mut persons, &candidates);
    let least_shares = models.least_shares(case, policy, &candidates, &links);
    let limits = Limits::new(case, policy, &models, links);
    let levels: Vec<Levels> =
        candidates.iter().map(|c| compare(&case.enrolments[c.a], &case.enrolments[c.b])).collect();
    let fdr = models.local_fdr(case, policy, &persons, &candidates, decided);
    let odds: Vec<f64> =
        candidates.iter().map(|c| fdr.prior_log10_odds() + fdr.evidence(models.level(case, c))).collect();
    let weights = Weights::estimate(case.enrolments, &levels, &odds);
    let judging = Judging { case, policy, models: &models, limits: &limits, fdr: &fdr, weights: &weights };
    let flagged = candidates.iter().zip(levels).filter_map(|(c, levels)| {
        let pair = judging.pair(c, levels);
        let decision = decided.of(c.a, c.b);
        // What people confirmed stays, also when the gallery has grown and the limit with it.
        let stays = pair.grounds != Grounds::Decision || decision == Some(Answer::Same);
        stays.then_some(Pair { decision, ..pair })
    });
    let (cleared, pairs): (Vec<Pair>, Vec<Pair>) = flagged.partition(|p| p.decision == Some(Answer::Different));
    // A queue with one wrong look in twenty must not chain people together.
    let certain: Vec<Pair> = pairs.iter().filter(|pair| judging.is_certain(pair)).copied().collect();
    let mut clusters = clusters_with(case.enrolments, &certain, decided, &|a, b| {
        let c = Candidate { a, b, similarity: score(a, b) };
        let parts = weights.parts(0.0, compare(&case.enrolments[a], &case.enrolments[b]));
        let more = parts.record_total().clamp(-policy.most_record_evidence, policy.most_record_evidence);
        let faces = fdr.prior_log10_odds() + fdr.evidence(models.level(case, &c)) + more;
        doubt::log10_odds(faces, doubt::of_pair(&case.enrolments[a], &case.enrolments[b]))
    });
    clusters.iter_mut().for_each(|cluster| cluster.find_weakest(score));
    let left_out = found - candidates.len();
    let totals = Totals { candidates: found, left_out, clusters: clusters.len(), largest: persons.largest() };
    let statistics = judging.statistics(&totals, &pairs);
    let (strangers, strata) = (models.pooled, models.strata);
    Judged { pairs, cleared, clusters, least_shares, statistics, strangers, strata }
}

/// Of persons with very many memberships the pairs that hold each together, the surest of which comes first, and the least
/// similar: memory grows with memberships, not with their square. Candidates are most similar first.
fn thinned(candidates: Vec<Candidate>, persons: &mut Persons<usize>) -> Vec<Candidate> {
    if persons.largest() <= MOST_WITH_ALL_PAIRS {
        return candidates;
    }
    let mut of_many = |c: &Candidate| {
        let ((one, size), (other, _)) = (persons.person(c.a), persons.person(c.b));
        (one == other && size > MOST_WITH_ALL_PAIRS).then_some(one)
    };
    let mut weakest: BTreeMap<usize, usize> = BTreeMap::new();
    let of: Vec<Option<usize>> = candidates.iter().map(&mut of_many).collect();
    of.iter().enumerate().filter_map(|(at, person)| Some((at, (*person)?))).for_each(|(at, person)| {
        weakest.insert(person, at);
    });
    let mut joined: Groups<usize> = Groups::new();
    let stays = |(at, c): (usize, &Candidate)| match of[at] {
        Some(person) => joined.join(c.a, c.b).is_some() || weakest[&person] == at,
        None => true,
    };
    let stays: Vec<bool> = candidates.iter().enumerate().map(stays).collect();
    candidates.into_iter().zip(stays).filter_map(|(c, stays)| stays.then_some(c)).collect()
}

/// Counts of one run.
struct Totals {
    candidates: usize,
    left_out: usize,
    clusters: usize,
    largest: usize,
}

/// The limits of each reach, as false-match rates.
struct Limits {
    reaches: [ReachReport; 3],
    rates: [f64; 3],
}

impl Limits {
    fn new(case: &Case, policy: &MatchingPolicy, models: &Models, mut links: Vec<Link>) -> Self {
        links.sort_by(|x, y| x.rate.total_cmp(&y.rate));
        let searched = case.searched;
        let share = policy.review_false_share;
        let mut reaches = review_rates(&links, share, searched.compared, searched.near, models.counting);
        let certain = policy.certain_expected_false_matches / models.all.max(1.0);
        for reach in &mut reaches {
            reach.false_match_rate = match policy.review_expected_false_matches {
                Some(limit) => limit / models.all.max(1.0),
                // What is certain is always flagged.
                None => reach.false_match_rate.max(certain),
            };
            reach.review_similarity = models.pooled.rate().inverse(reach.false_match_rate);
            let strangers = reach.compared_pairs * models.counting;
            reach.expected_false = strangers * reach.false_match_rate;
            reach.expected_false_upper = strangers * models.pooled.fmr_upper(reach.review_similarity);
            let mut walk = Memberships::new();
            let within = |link: &&Link| link.reach == reach.reach && link.rate <= reach.false_match_rate;
            links.iter().filter(within).for_each(|link| walk.add(link));
            reach.memberships = walk.votes;
        }
        Limits { rates: reaches.each_ref().map(|reach| reach.false_match_rate), reaches }
    }
}

/// The models of one run, fitted.
struct Models {
    pooled: ImpostorModel,
    strata: Vec<(u16, ImpostorModel)>,
    /// Pairs of the whole gallery.
    all: f64,
    /// The part of the compared pairs that is between persons, each counted as a few memberships.
    counting: f64,
    /// The part of them that is of two who vote.
    voting: f64,
}

impl Models {
    fn new(case: &Case, candidates: &[Candidate], persons: &Persons<usize>) -> Self {
        let (searched, impostors) = (case.searched, case.impostors);
        let size = searched.gallery_size as f64;
        // One of each person votes.
        let voting = pairs_left(1.0, size, size - persons.silent() as f64);
        let found = |share: f64, wanted: &dyn Fn(&Candidate) -> bool| SearchLayer {
            compared: searched.compared * voting * share,
            floor: searched.floor,
            scores: Histogram::of(
                candidates.iter().filter(|c| persons.vote(c.a, c.b) && wanted(c)).map(|c| c.similarity),
            ),
        };
        let prior = &impostors.prior;
        let pooled = impostors.pooled().carried_on(impostors.upper_layer(None), &found(1.0, &|_| true), prior);
        // The scores known to differ are drawn from all members, so they show each stratum's share of all pairs.
        let scores: f64 = impostors.strata.iter().map(|s| s.scores as f64).sum();
        let share = |name: u16| {
            impostors.strata.iter().filter(|s| s.name == name).map(|s| s.scores as f64).sum::<f64>() / scores.max(1.0)
        };
        let strata = impostors
            .strata()
            .map(|(name, model)| {
                let own = found(share(name), &|c| stratum_of(case, c) == name);
                (name, model.carried_on(impostors.upper_layer(Some((name, share(name)))), &own, prior))
            })
            .collect();
        let counting = pairs_left(1.0, size, size - persons.beyond_votes() as f64);
        Models { pooled, strata, all: pairs_of(searched.gallery_size), counting, voting }
    }

    fn local_fdr(
        &self,
        case: &Case,
        policy: &MatchingPolicy,
        persons: &Persons<usize>,
        candidates: &[Candidate],
        decided: &Decided,
    ) -> LocalFdr {
        let searched = case.searched;
        let scene = Scene {
            strangers: &self.pooled,
            prior: &case.impostors.prior,
            compared: searched.compared,
            voting: self.voting,
            floor: searched.floor,
            // Each duplicate is a pair with one other membership of the gallery.
            believed_mates: policy.duplicate_share / 2.0 * searched.gallery_size as f64 * searched.compared
                / self.all.max(1.0),
        };
        let mut nearest: Vec<f32> = candidates
            .iter()
            .filter(|c| persons.vote(c.a, c.b) && counts(case, decided, c))
            .map(|c| self.level(case, c))
            .filter(|&level| level >= searched.floor)
            .collect();
        nearest.sort_by(|x, y| y.total_cmp(x));
        LocalFdr::new(&scene, &nearest)
    }

    /// The pairs as the limits count them.
    fn links(
        &self,
        case: &Case,
        decided: &Decided,
        persons: &mut Persons<usize>,
        candidates: &[Candidate],
    ) -> Vec<Link> {
        let link = |candidate: &Candidate| {
            let &Candidate { a, b, similarity } = candidate;
            let (one, other) = (&case.enrolments[a], &case.enrolments[b]);
            let ((first, size), (second, other_size)) = (persons.person(a), persons.person(b));
            let person = (first == second && size > MOST_VOTES).then_some(first);
            // Who is beyond doubt one person of many memberships is met as that person.
            let place = |at: usize, person: usize, size: usize| if size > MOST_VOTES { person } else { at };
            Link {
                a: place(a, first, size),
                b: place(b, second, other_size),
                reach: Reach::of(one, other),
                rate: self.of(stratum_of(case, candidate)).fmr(similarity),
                counts: (person.is_some() || persons.vote(a, b)) && counts(case, decided, candidate),
                person,
            }
        };
        candidates.iter().map(link).collect()
    }

    /// What other shares of false ones would flag, by the rules of [`Limits::new`].
    fn least_shares(
        &self,
        case: &Case,
        policy: &MatchingPolicy,
        candidates: &[Candidate],
        links: &[Link],
    ) -> HashMap<usize, f64> {
        let mut sorted = links.to_vec();
        sorted.sort_by(|x, y| x.rate.total_cmp(&y.rate));
        let certain = policy.certain_expected_false_matches / self.all.max(1.0);
        let (compared, near) = (case.searched.compared, case.searched.near);
        least_shares(case.enrolments, candidates, links, &|share| {
            review_rates(&sorted, share, compared, near, self.counting).map(|reach| reach.false_match_rate.max(certain))
        })
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
}

/// One run's models, limits and weights.
struct Judging<'a> {
    case: &'a Case<'a>,
    policy: &'a MatchingPolicy,
    models: &'a Models,
    limits: &'a Limits,
    fdr: &'a LocalFdr,
    weights: &'a Weights,
}

impl Judging<'_> {
    /// The pair; its grounds are [`Grounds::Decision`] where it stays below the limit.
    ///
    /// Faces alone flag while at most `limit` pairs as alike are expected. A pair beyond that is flagged when its
    /// records agree so well that `expected / 10^record` is within the limit. Under chance the records of a pair reach
    /// `10^r` with a probability of at most `10^-r` times that among mates, so summed over all `r` this adds at most
    /// `limit` once more, as long as records and faces agree independently. Kin break that, hence the bound on what
    /// records may weigh. Records that disagree take no flag away: who enrols a person twice makes them disagree.
    fn pair(&self, candidate: &Candidate, levels: Levels) -> Pair {
        let (case, models) = (self.case, self.models);
        let model = models.of(stratum_of(case, candidate));
        let &Candidate { a, b, similarity } = candidate;
        let expected = model.fmr(similarity) * models.all;
        let level = models.level(case, candidate);
        let parts = self.weights.parts(self.fdr.evidence(level), levels);
        let record = self.record(&parts);
        let doubt = self.doubt(a, b);
        let limit = self.limits.rates[Reach::of(&case.enrolments[a], &case.enrolments[b]) as usize] * models.all;
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
            expected_false_matches_upper: model.fmr_upper(similarity) * models.all,
            local_fdr: doubt::pair_error(self.fdr.probability_false(level, 0.0), doubt),
            probability_false: doubt::pair_error(self.fdr.probability_false(level, record), doubt),
            parts,
            grounds,
            decision: None,
        }
    }

    /// What the records say, bounded.
    fn record(&self, parts: &Parts) -> f64 {
        parts.record_total().clamp(-self.policy.most_record_evidence, self.policy.most_record_evidence)
    }

    /// Whether a pair joins clusters.
    fn is_certain(&self, pair: &Pair) -> bool {
        let expected = pair.expected_false_matches * 10f64.powf(-self.record(&pair.parts).max(0.0));
        // Faces beyond doubt make no member certain where it is doubtful whose faces they are.
        let is_certain = expected <= self.policy.certain_expected_false_matches && self.doubt(pair.a, pair.b) < 0.5;
        is_certain || pair.decision == Some(Answer::Same)
    }

    /// The probability that the face of one of them is not its member's.
    fn doubt(&self, a: usize, b: usize) -> f64 {
        doubt::of_pair(&self.case.enrolments[a], &self.case.enrolments[b])
    }

    fn statistics(&self, totals: &Totals, pairs: &[Pair]) -> MatchingStatistics {
        let (case, models) = (self.case, self.models);
        let (searched, pooled) = (case.searched, &models.pooled);
        let [.., across] = &self.limits.reaches;
        let rate = across.false_match_rate;
        let own = |name: u16| models.strata.iter().find(|(n, _)| *n == name).map(|(_, model)| model);
        let strata = case.impostors.strata.iter().map(|s| s.report(own(s.name), pooled, rate)).collect();
        let reaches = &self.limits.reaches;
        let sum = |get: &dyn Fn(&ReachReport) -> f64| reaches.iter().map(get).sum::<f64>();
        // Counted or not by whom the two were enrolled, each compared pair is of one reach.
        let expected = match searched.near {
            Some(_) => sum(&|r| r.expected_false),
            None => across.expected_false,
        };
        let upper = match searched.near {
            Some(_) => sum(&|r| r.expected_false_upper),
            None => across.expected_false_upper,
        };
        let flagged_memberships: usize = reaches.iter().map(|r| r.memberships).sum();
        let share = |wrong: f64| match flagged_memberships {
            0 => 0.0,
            all => (wrong / all as f64).min(1.0),
        };
        MatchingStatistics {
            gallery_size: searched.gallery_size,
            gallery_pairs: models.all,
            compared_pairs: searched.compared,
            candidate_floor: searched.floor,
            candidates: totals.candidates,
            review_false_share: match self.policy.review_expected_false_matches {
                Some(_) => None,
                None => Some(self.policy.review_false_share),
            },
            review_expected_false_matches: rate * models.all,
            review_similarity: across.review_similarity,
            reaches: reaches.to_vec(),
            flagged_memberships,
            expected_false_share: share(expected),
            expected_false_share_upper: share(upper),
            largest_person: totals.largest,
            pairs_not_listed: totals.left_out,
            flagged_pairs: pairs.len(),
            flagged_with_records: pairs.iter().filter(|p| p.grounds == Grounds::FaceAndRecord).count(),
            expected_false_pairs: expected,
            expected_false_pairs_upper: upper,
            sum_of_probabilities_false: pairs.iter().map(|p| p.probability_false).sum(),
            false_match_rate: rate,
            false_match_rate_upper: pooled.fmr_upper(across.review_similarity),
            clusters: totals.clusters,
            impostors: pooled.report().clone(),
            strata,
            strata_not_told: NOT_TOLD,
            local_fdr: self.fdr.report().clone(),
            records: self.weights.clone(),
        }
    }
}

/// Whether a pair says something of the doubtful ones: no copy, no other try, undecided.
fn counts(case: &Case, decided: &Decided, candidate: &Candidate) -> bool {
    let &Candidate { a, b, .. } = candidate;
    !is_copy_or_retry(&case.enrolments[a], &case.enrolments[b]) && decided.of(a, b).is_none()
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
