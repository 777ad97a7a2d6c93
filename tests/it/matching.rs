//! Matching on populations whose truth is known: what it predicts against what there is.
//!
//! Scores are drawn, not faces: different people's from a normal body with a generalised Pareto tail, mates' from a wide bump with a tail downwards, as the networks show on real pictures. A search returns all pairs above its floor, so
//! only those are drawn; their number is Poisson.

use chehra::config::policy::MatchingPolicy;
use chehra::infer::ModelId;
use chehra::matching::strata::Curve;
use chehra::matching::{
    Basis, Candidate, Case, Enrolment, Grounds, ImpostorScore, Impostors, Judged, Pair, Searched, UPPER_SHARE, Upper,
    candidate_floor, judge, pairs_of, stratum,
};
use chehra::statistics::SplitMix64;

/// Poisson by its normal limit where large, by waiting times where small.
fn poisson(random: &mut SplitMix64, mean: f64) -> usize {
    if mean > 200.0 {
        return (mean + mean.sqrt() * random.normal()).round().max(0.0) as usize;
    }
    let (mut count, mut time) = (0, -random.uniform().ln());
    while time < mean {
        count += 1;
        time -= random.uniform().ln();
    }
    count
}

/// Different people: normal but for its upper hundredth, which is a generalised Pareto tail.
#[derive(Clone, Copy)]
struct Truth {
    scale: f64,
    shape: f64,
}

/// About what SFace shows on real pictures, and a population in which people are more alike.
const FACES: Truth = Truth { scale: 0.0325, shape: -0.06 };
const ALIKE: Truth = Truth { scale: 0.036, shape: -0.03 };

const MEAN: f64 = 0.085;
const DEVIATION: f64 = 0.0886;
/// The standard normal deviate that one in a hundred exceeds.
const HUNDREDTH: f64 = 2.326_347_9;

impl Truth {
    /// The false-match rate at a similarity, where it is a hundredth at most.
    fn rate(&self, s: f64) -> f64 {
        let y = s - (MEAN + HUNDREDTH * DEVIATION);
        assert!(y >= 0.0, "only the tail is known in closed form");
        0.01 * (1.0 + self.shape * y / self.scale).max(0.0).powf(-1.0 / self.shape)
    }

    fn inverse(&self, rate: f64) -> f64 {
        MEAN + HUNDREDTH * DEVIATION + self.scale * ((rate / 0.01).powf(-self.shape) - 1.0) / self.shape
    }

    fn draw(&self, random: &mut SplitMix64) -> f32 {
        if random.uniform() < 0.01 {
            return self.inverse(0.01 * random.uniform()) as f32;
        }
        loop {
            let z = random.normal();
            if z < HUNDREDTH {
                return (MEAN + DEVIATION * z) as f32;
            }
        }
    }
}

fn mate(random: &mut SplitMix64) -> f32 {
    // Mostly alike; some years apart, turned or badly lit.
    let s = match random.uniform() < 0.15 {
        true => 0.50 + 0.12 * random.normal(),
        false => 0.68 + 0.085 * random.normal(),
    };
    s.clamp(-0.2, 0.999) as f32
}

/// Mates in whom no normal distribution fits: a long lower tail, as pictures grow worse by factors and not by steps.
fn skewed_mate(random: &mut SplitMix64) -> f32 {
    (1.0 - 0.32 * (0.38 * random.normal()).exp()).clamp(-0.2, 0.999) as f32
}

/// A population and its night.
struct Night {
    truth: Truth,
    size: usize,
    mated: usize,
    impostors: Impostors,
    enrolments: Vec<Enrolment>,
    candidates: Vec<Candidate>,
    searched: Searched,
}

impl Night {
    /// `size` memberships of which `share` have one mate each; `sample` impostor scores.
    fn new(truth: Truth, size: usize, share: f64, sample: usize, seed: u64) -> Night {
        Night::with_mates((truth, mate), size, share, sample, seed)
    }

    fn with_mates(
        (truth, mate): (Truth, fn(&mut SplitMix64) -> f32),
        size: usize,
        share: f64,
        sample: usize,
        seed: u64,
    ) -> Night {
        let mut random = SplitMix64::new(seed);
        let mated = (size as f64 * share / 2.0) as usize;
        let all = pairs_of(size as u64);
        // Random pairs now and then are mates, which nobody knows.
        let scores: Vec<ImpostorScore> = (0..sample)
            .map(|_| {
                let (a, b) = (random.below(size) as u64, random.below(size) as u64);
                let is_mate = random.uniform() < mated as f64 / all;
                let similarity = if is_mate { mate(&mut random) } else { truth.draw(&mut random) };
                ImpostorScore { a, b, similarity, stratum: 0 }
            })
            .collect();
        let impostors = Impostors::new(&ModelId("sface".into()), &scores);
        let floor = candidate_floor(&impostors, size as u64, &MatchingPolicy::default());
        let impostors = match impostors.pooled().rate().inverse(UPPER_SHARE) {
            start if start < floor => {
                let compared = all.min(1.25e9);
                let above = truth.rate(f64::from(start));
                let strangers = (0..poisson(&mut random, compared * above))
                    .map(|_| (truth.inverse(above * random.uniform()) as f32).max(start))
                    .collect::<Vec<f32>>();
                let mates = (0..poisson(&mut random, mated as f64 * compared / all)).map(|_| mate(&mut random));
                let scores: Vec<f32> = mates.filter(|&s| s >= start).chain(strangers).collect();
                let people = |similarity: f32| {
                    let (a, b) = (random.below(size) as u64, random.below(size) as u64);
                    ImpostorScore { a, b, similarity, stratum: 0 }
                };
                impostors.with_upper(Upper { floor: start, compared, scores: scores.into_iter().map(people).collect() })
            }
            _ => impostors,
        };
        let mut candidates: Vec<Candidate> = (0..mated)
            .map(|k| Candidate { a: 2 * k, b: 2 * k + 1, similarity: mate(&mut random) })
            .filter(|c| c.similarity >= floor)
            .collect();
        let share_above = truth.rate(f64::from(floor));
        for _ in 0..poisson(&mut random, all * share_above) {
            let similarity = truth.inverse(share_above * random.uniform()) as f32;
            let (a, b) = (random.below(size), random.below(size));
            if a != b && a / 2 != b / 2 {
                candidates.push(Candidate { a, b, similarity: similarity.max(floor) });
            }
        }
        let enrolments = (0..size).map(enrolment).collect();
        let searched = Searched { gallery_size: size as u64, compared: all, floor, near: None };
        Night { truth, size, mated, impostors, enrolments, candidates, searched }
    }

    fn judged(&self, limit: f64) -> Judged {
        let policy = MatchingPolicy { review_expected_false_matches: Some(limit), ..MatchingPolicy::default() };
        let case = Case {
            enrolments: &self.enrolments,
            candidates: &self.candidates,
            impostors: &self.impostors,
            searched: self.searched,
        };
        judge(&case, &policy, &|_, _| 0.0)
    }

    /// True number of chance pairs where so many are expected.
    fn truth_at(&self, judged: &Judged, expected: f64) -> f64 {
        let all = pairs_of(self.size as u64);
        all * self.truth.rate(f64::from(judged.strangers.rate().inverse(expected / all)))
    }

    fn is_mated(&self, a: usize, b: usize) -> bool {
        a != b && a / 2 == b / 2 && a / 2 < self.mated
    }
}

fn enrolment(k: usize) -> Enrolment {
    Enrolment {
        submission_id: format!("S{k:07}"),
        worker_id: format!("W{:05}", k / 50),
        district: format!("D{:02}", k % 50),
        captured_at: k as i64 * 60_000_000,
        row: Some(k as u64),
        ..Enrolment::default()
    }
}

#[test]
fn predicted_and_true_false_pairs_agree_within_a_factor_of_two() {
    let nights = [(10_000, 0.02, 1), (30_000, 0.0, 2), (100_000, 0.02, 3), (100_000, 0.3, 4)];
    // At one pair expected a night shows none or two; only all together say something.
    let mut at_one = 0.0;
    for (size, share, seed) in nights {
        let night = Night::new(FACES, size, share, 50_000, seed);
        let judged = night.judged(1.0);
        assert_eq!(judged.statistics.impostors.basis, Basis::Fitted);
        for expected in [1000.0, 100.0, 10.0] {
            let ratio = night.truth_at(&judged, expected) / expected;
            assert!((0.5..=2.0).contains(&ratio), "{size}, {share} mated: {expected} expected, {ratio} of it");
        }
        let truth = night.truth_at(&judged, 1.0);
        let upper = judged.statistics.expected_false_pairs_upper;
        assert!(truth <= upper && truth > 0.2, "{size}, {share} mated: 1 expected, at most {upper}, {truth} are true");
        at_one += truth / nights.len() as f64;
    }
    assert!((0.5..=2.0).contains(&at_one), "{at_one}");
}

#[test]
fn the_upper_bound_holds_where_people_are_more_alike() {
    let mut held = 0;
    for seed in 50..56 {
        let night = Night::new(ALIKE, 20_000, 0.1, 50_000, seed);
        let judged = night.judged(1.0);
        let ratio = night.truth_at(&judged, 10.0) / 10.0;
        assert!((0.4..=2.5).contains(&ratio), "seed {seed}: 10 expected, {ratio} of it");
        held += usize::from(night.truth_at(&judged, 1.0) <= judged.statistics.expected_false_pairs_upper);
    }
    assert!(held >= 5, "the 95 % bound held {held} times of 6");
}

#[test]
fn probabilities_of_error_add_up_to_the_errors() {
    let (mut predicted, mut observed) = (0.0, 0);
    for seed in 60..66 {
        let night = Night::new(FACES, 20_000, 0.05, 50_000, seed);
        let judged = night.judged(5.0);
        assert_eq!(judged.statistics.local_fdr.basis, Basis::Fitted);
        let by_face = judged.pairs.iter().filter(|p| p.grounds == Grounds::Face);
        predicted += by_face.clone().map(|p| p.local_fdr).sum::<f64>();
        observed += by_face.filter(|p| !night.is_mated(p.a, p.b)).count();
        let falling = judged.pairs.windows(2).all(|w| w[0].local_fdr <= w[1].local_fdr);
        assert!(falling, "the more alike, the less probably different people");
    }
    let ratio = observed as f64 / predicted;
    assert!((0.5..=2.0).contains(&ratio), "{predicted} errors predicted, {observed} observed");
}

#[test]
fn a_gallery_without_duplicates_says_so() {
    for seed in 10..14 {
        let night = Night::new(FACES, 50_000, 0.0, 50_000, seed);
        let (ten, one) = (night.judged(10.0), night.judged(0.01));
        assert!(ten.pairs.len() <= 25, "seed {seed}: {} flagged, 10 expected", ten.pairs.len());
        assert!(one.pairs.len() <= 1, "seed {seed}: {} flagged", one.pairs.len());
        let far = ten.statistics.impostors.far.unwrap();
        assert!(far.mated_pairs <= 0.02 * far.false_pairs, "seed {seed}: {far:?}");
    }
}

#[test]
fn many_duplicates_do_not_drown_the_model() {
    let night = Night::new(FACES, 100_000, 0.3, 50_000, 21);
    let judged = night.judged(1.0);
    let found = judged.pairs.iter().filter(|p| night.is_mated(p.a, p.b)).count();
    let wrong = judged.pairs.len() - found;
    assert!(wrong <= 5, "{wrong} false pairs where 1 is expected");
    assert!(found as f64 >= 0.6 * night.mated as f64, "{found} of {}", night.mated);
    let far = judged.statistics.impostors.far.unwrap();
    let above = night.candidates.iter().filter(|c| night.is_mated(c.a.min(c.b), c.a.max(c.b))).count();
    assert!((far.mated_pairs / above as f64 - 1.0).abs() < 0.1, "{far:?}, {above} mated candidates");
}

/// Where 30 % are enrolled a second time, mates outnumber strangers a thousandfold at the limits, and are distributed as
/// nobody knows. What is said of strangers must not hang on them.
#[test]
fn where_thirty_in_a_hundred_are_there_twice_strangers_are_still_told() {
    // A million takes half a minute.
    let slow = std::env::var_os("CHEHRA_SLOW").is_some();
    let sizes = [(100_000, 91), (300_000, 92), (1_000_000, 93)];
    for (size, seed) in sizes.into_iter().take(if slow { 3 } else { 2 }) {
        let night = Night::with_mates((FACES, skewed_mate), size, 0.6, 50_000, seed);
        let judged = night.judged(1.0);
        for expected in [1000.0, 100.0, 10.0] {
            let ratio = night.truth_at(&judged, expected) / expected;
            assert!((0.5..=2.0).contains(&ratio), "{size}: {expected} expected, {ratio} of it");
        }
        let truth = night.truth_at(&judged, 1.0);
        let upper = judged.statistics.expected_false_pairs_upper;
        assert!(truth <= upper && truth > 0.2, "{size}: 1 expected, at most {upper}, {truth} are true");
        let wanted = night.truth.inverse(1.0 / pairs_of(size as u64)) as f32;
        let could = night.candidates.iter().filter(|c| night.is_mated(c.a, c.b) && c.similarity >= wanted).count();
        let found = judged.pairs.iter().filter(|p| night.is_mated(p.a, p.b)).count();
        assert!(found as f64 >= 0.9 * could as f64, "{size}: {found} of {could} that the truth would find");
        let far = judged.statistics.impostors.far.unwrap();
        let above = night.candidates.iter().filter(|c| night.is_mated(c.a, c.b)).count() as f64;
        assert!((far.mated_pairs / above - 1.0).abs() < 0.05, "{size}: {far:?}, {above} mated candidates");
    }
}

#[test]
fn neither_order_nor_repetition_changes_anything() {
    let mut night = Night::new(FACES, 20_000, 0.1, 50_000, 31);
    let before = night.judged(1.0);
    night.candidates.reverse();
    let flipped: Vec<Candidate> =
        night.candidates.iter().map(|c| Candidate { a: c.b, b: c.a, similarity: c.similarity }).collect();
    night.candidates.extend(flipped);
    assert_eq!(night.judged(1.0), before);
    // The list of memberships backwards: the same pairs and persons under other indexes.
    let last = night.size - 1;
    night.enrolments.reverse();
    night.candidates.iter_mut().for_each(|c| (c.a, c.b) = (last - c.a, last - c.b));
    let after = night.judged(1.0);
    let ids = |judged: &Judged| judged.clusters.iter().map(|c| c.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&after), ids(&before));
    assert_eq!(after.statistics, before.statistics);
    let same = |x: &Pair, y: &Pair| (x.a, x.b) == (last - y.b, last - y.a) && x.parts == y.parts;
    assert!(before.pairs.iter().zip(&after.pairs).all(|(x, y)| same(x, y)));
}

#[test]
fn strata_with_enough_scores_have_curves_of_their_own() {
    let mut random = SplitMix64::new(71);
    // Group 1 is more alike among itself; nobody knows of group 2.
    let scores: Vec<ImpostorScore> = (0..120_000u64)
        .map(|k| {
            let (truth, stratum) = match k % 3 {
                0 => (FACES, stratum(0, 0)),
                1 => (FACES, stratum(1, 0)),
                _ => (Truth { scale: 0.045, shape: -0.03 }, stratum(1, 1)),
            };
            let more = if k % 3 == 2 { 0.04 } else { 0.0 };
            ImpostorScore { a: k, b: k + 1_000_000, similarity: truth.draw(&mut random) + more, stratum }
        })
        .collect();
    let impostors = Impostors::new(&ModelId("sface".into()), &scores);
    // Group 0 with 1 is like 0 with 0, and like the pool but for 1 with 1.
    assert!(impostors.strata().any(|(name, _)| name == stratum(1, 1)));
    let rate = |s: u16| impostors.of(s).fmr(0.5);
    assert!(rate(stratum(1, 1)) > 3.0 * rate(stratum(0, 0)));
    assert_eq!(rate(stratum(0, 1)), rate(stratum(1, 0)));
    assert_eq!(rate(stratum(2, 2)), impostors.pooled().fmr(0.5));
    let enrolments: Vec<Enrolment> =
        (0..4).map(|k| Enrolment { group: u8::from(k >= 2), ..enrolment(k * 1000) }).collect();
    let candidates = [(0, 1), (2, 3)].map(|(a, b)| Candidate { a, b, similarity: 0.6 });
    let searched = Searched { gallery_size: 4, compared: 6.0, floor: 0.3, near: None };
    let case = Case { enrolments: &enrolments, candidates: &candidates, impostors: &impostors, searched };
    let judged = judge(&case, &MatchingPolicy::default(), &|_, _| 0.0);
    let own = judged.statistics.strata.iter().find(|s| s.curve == Curve::Own && s.name == "low quality").unwrap();
    assert!(own.ratio.unwrap() > 1.5 && own.impostors.is_some(), "{own:?}");
    assert_eq!(judged.statistics.strata.len(), 3);
    let of = |a: usize| judged.pairs.iter().find(|p| p.a == a).unwrap();
    assert!(of(2).expected_false_matches > 3.0 * of(0).expected_false_matches);
    assert!(of(2).local_fdr > of(0).local_fdr);
}

#[test]
fn a_small_gallery_uses_the_shipped_curve_and_says_so() {
    let night = Night::new(FACES, 300, 0.1, 400, 41);
    let judged = night.judged(0.01);
    assert_eq!(judged.statistics.impostors.basis, Basis::Prior);
    assert_eq!(judged.statistics.impostors.prior.as_deref(), Some("sface on LFW"));
    assert!(judged.pairs.iter().all(|p| night.is_mated(p.a, p.b)));
    assert!(!judged.pairs.is_empty());
    assert!(judged.pairs.iter().all(|p| p.expected_false_matches_upper >= p.expected_false_matches));
}

#[test]
fn senseless_scores_are_survived() {
    let constant: Vec<ImpostorScore> =
        (0..20_000).map(|k| ImpostorScore { a: k, b: k + 1, similarity: 0.25, stratum: 0 }).collect();
    let mut broken = constant.clone();
    broken.iter_mut().step_by(2).for_each(|s| s.similarity = f32::NAN);
    let enrolments: Vec<Enrolment> = (0..4).map(enrolment).collect();
    for scores in [constant, broken, Vec::new()] {
        let impostors = Impostors::new(&ModelId("unheard of".into()), &scores);
        let candidates: Vec<Candidate> = [0.9, f32::NAN, f32::INFINITY, 1.0]
            .iter()
            .enumerate()
            .map(|(k, &similarity)| Candidate { a: k, b: (k + 1) % 4, similarity })
            .collect();
        let searched = Searched { gallery_size: 4, compared: 6.0, floor: 0.3, near: None };
        let case = Case { enrolments: &enrolments, candidates: &candidates, impostors: &impostors, searched };
        let judged = judge(&case, &MatchingPolicy::default(), &|_, _| f32::NAN);
        assert!(judged.pairs.iter().all(|p| p.expected_false_matches.is_finite()));
        assert!(judged.statistics.review_similarity.is_finite());
        assert_eq!(judged.statistics.impostors.basis, Basis::Prior);
    }
}
