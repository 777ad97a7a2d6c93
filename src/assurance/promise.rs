//! What may be promised of accepted members: how many of them at most are not real.
//!
//! A night's calls are a fixed list in a fixed order, so nights and draws form one path, along which the evidence of
//! [`super::betting`] is a supermartingale. An answer that is not there yet counts as the worse one in either direction, so
//! a look at any time is covered by the bound along that path, in whatever order people are reached. Where answers are
//! missing, the evidence just before the first missing one is asked as well: it is a point of the same path.
//!
//! Those who were called and stay silent, or cannot be reached, may differ from the others. A second sample of them,
//! each taken by chance with a known probability, stands for all of them (M. Hansen and W. Hurwitz, JASA 41, 1946, with
//! weights of D. Horvitz and D. Thompson, JASA 47, 1952). Who is silent then too counts as the worse one.

use serde::{Deserialize, Serialize};

use super::betting::{Bets, Draw, Population, StratumDraws};

/// What is known of a unit that was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The member exists and agreed.
    Real,
    /// The member does not exist, or never agreed.
    NotReal,
    /// Called, and silent or not to be reached.
    Silent,
    /// Nothing yet.
    Pending,
}

impl Outcome {
    fn is_answer(self) -> bool {
        matches!(self, Outcome::Real | Outcome::NotReal)
    }
}

/// A silent unit's part in the second sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Second {
    /// The chance with which each silent unit was taken.
    pub probability: f64,
    /// What came of it, if this one was taken.
    pub outcome: Option<Outcome>,
}

/// A unit that was drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalledUnit {
    /// Its place in the night's list.
    pub order: u64,
    /// Its chance of being drawn, for point estimates.
    pub inclusion_probability: f64,
    /// What the calls came to.
    pub outcome: Outcome,
    /// Its part in the second sample, if there was one of which it was a candidate.
    pub second: Option<Second>,
}

/// A stratum of one night.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NightStratum {
    /// The night, in their order.
    pub night: usize,
    /// Members of the stratum.
    pub population: u64,
    /// In the order of drawing.
    pub units: Vec<CalledUnit>,
}

/// What an answer that is missing counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The worse one: holds whatever is behind the silence.
    Worse,
    /// Nothing: holds if those who do not answer are like those who do.
    LikeOthers,
}

impl NightStratum {
    /// Members of whom no call has ended yet.
    fn not_called(&self) -> u64 {
        self.population.saturating_sub(self.units.iter().filter(|unit| !unit.is_open()).count() as u64)
    }
}

impl CalledUnit {
    /// The draw as a bet on members that are what `sought` says; `None` for one that is left out.
    fn draw(&self, sought: Outcome, missing: Missing) -> Option<Draw> {
        let of = |outcome: Outcome, weight: f64| match outcome {
            Outcome::Real | Outcome::NotReal => {
                let is = if outcome == sought { 1.0 } else { 0.0 };
                Some(Draw { value: is * weight, known: is })
            }
            Outcome::Silent | Outcome::Pending => (missing == Missing::Worse).then_some(Draw::plain(0.0)),
        };
        match (self.outcome, self.second) {
            (Outcome::Silent, Some(second)) => match second.outcome {
                Some(outcome) => of(outcome, 1.0 / second.probability),
                // Whoever was taken stands for this one as well.
                None => Some(Draw::plain(0.0)),
            },
            (outcome, _) => of(outcome, 1.0),
        }
    }

    /// The same moved up by one and halved.
    fn halved_draw(&self, sought: Outcome, missing: Missing) -> Option<Draw> {
        let plain = self.draw(sought, missing)?;
        let half = |x: f64, y: f64| Draw { value: 0.5 * (1.0 + x), known: 0.5 * (1.0 + y) };
        Some(match (self.outcome, self.second) {
            (Outcome::Silent, Some(Second { outcome: None, .. })) => half(1.0, 0.0),
            (Outcome::Silent, Some(Second { outcome: Some(outcome), probability })) if outcome.is_answer() => {
                half(1.0 - (1.0 - plain.known) / probability, plain.known)
            }
            (outcome, _) if outcome.is_answer() => half(plain.known, plain.known),
            // The worst that may still come.
            _ => plain,
        })
    }

    fn is_open(&self) -> bool {
        self.outcome == Outcome::Pending || self.second.is_some_and(|second| second.outcome == Some(Outcome::Pending))
    }

    /// Whether it says that the member is real, and for how many units it stands.
    fn answer(&self) -> Option<(bool, f64)> {
        let weight = 1.0 / self.inclusion_probability;
        let (outcome, weight) = match (self.outcome, self.second) {
            (Outcome::Silent, Some(second)) => (second.outcome?, weight / second.probability),
            (outcome, _) => (outcome, weight),
        };
        match outcome {
            Outcome::Real => Some((true, weight)),
            Outcome::NotReal => Some((false, weight)),
            Outcome::Silent | Outcome::Pending => None,
        }
    }
}

/// How sure, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// Confidence of the interval, such as 0.95.
    pub confidence: f64,
    /// The share of members that are not real which is to be shown not to be exceeded.
    pub at_most: f64,
}

impl Goal {
    fn alpha(self) -> f64 {
        // Half of the doubt on each side.
        (1.0 - self.confidence) / 2.0
    }
}

/// The share of accepted members that are not real.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end: what may be promised.
    pub high: f64,
    /// The upper end if those who do not answer were like those who do.
    pub high_if_silent_are_alike: f64,
    /// What the answers, each with its weight, come to; none without an answer.
    pub estimate: Option<f64>,
    /// How many more calls the goal needs, if answers go on as they came; 0 where it is reached, none where it will not be.
    pub more_calls: Option<u64>,
}

/// Share of the stake that is put on answers as they are; the rest is put on answers moved up by one and halved, which lose
/// less by a second sample's weights and more otherwise. Fixed, so that nothing hangs on what was seen.
const ON_PLAIN: f64 = 0.75;

/// The evidence for members that are `sought`.
struct Evidence {
    plain: Population,
    /// Values `(1 + x) / 2`, where a silent unit has `x = 1 - (1 - y) w` if it was taken, with weight `w`, and 1 if not.
    halved: Option<Population>,
}

impl Evidence {
    /// From the draws before a point of the path: all, or those before a place in a night.
    fn new(strata: &[NightStratum], sought: Outcome, missing: Missing, until: Option<(usize, u64)>) -> Evidence {
        let is_before = |night: usize, order: u64| until.is_none_or(|end| (night, order) < end);
        let population = |draw: &dyn Fn(&CalledUnit) -> Option<Draw>| {
            let draws = |stratum: &NightStratum| StratumDraws {
                population: stratum.population,
                draws: stratum
                    .units
                    .iter()
                    .take_while(|u| is_before(stratum.night, u.order))
                    .filter_map(draw)
                    .collect(),
            };
            let bets = if sought == Outcome::Real { Bets::Common } else { Bets::Rare };
            Population::new(&strata.iter().map(draws).collect::<Vec<_>>(), bets)
        };
        let seconds = || strata.iter().flat_map(|stratum| &stratum.units).filter_map(|unit| unit.second);
        // With weights above 2 a halved value could be below 0.
        let can_halve = sought == Outcome::Real && seconds().all(|second| second.probability >= 0.5);
        Evidence {
            plain: population(&|unit| unit.draw(sought, missing)),
            halved: (can_halve && seconds().next().is_some())
                .then(|| population(&|unit| unit.halved_draw(sought, missing))),
        }
    }

    fn log_evidence(&self, mean: f64) -> f64 {
        let plain = ON_PLAIN.ln() + self.plain.log_evidence(mean);
        let Some(halved) = &self.halved else { return plain };
        let halved = (1.0 - ON_PLAIN).ln() + halved.log_evidence(0.5 * (1.0 + mean));
        let top = plain.max(halved);
        if top.is_infinite() { top } else { top + ((plain - top).exp() + (halved - top).exp()).ln() }
    }

    /// The lower end of the mean's interval, to 1e-5 on the safe side.
    fn lower_bound(&self, alpha: f64) -> f64 {
        let enough = (1.0 / alpha).ln();
        let (mut refuted, mut open) = (0.0, 1.0);
        while open - refuted > 1e-5 {
            let middle = 0.5 * (refuted + open);
            if self.log_evidence(middle) >= enough { refuted = middle } else { open = middle }
        }
        refuted
    }
}

/// Points of the path at which the evidence is asked: its end, and just before the first answer that is missing.
fn points(strata: &[NightStratum]) -> Vec<Option<(usize, u64)>> {
    let open = strata
        .iter()
        .flat_map(|stratum| stratum.units.iter().filter(|unit| unit.is_open()).map(|unit| (stratum.night, unit.order)));
    let mut first: Vec<(usize, u64)> = open.collect();
    first.sort_unstable();
    first.dedup_by_key(|(night, _)| *night);
    // The first of all, and the first of the last night.
    let ends: std::collections::BTreeSet<_> = first.first().into_iter().chain(first.last()).copied().collect();
    std::iter::once(None).chain(ends.into_iter().map(Some)).collect()
}

/// Whether a share of members that are not real is outside the interval, on each side: too large to be, too small to be.
/// What [`share`] finds the ends of; one evaluation instead of many.
pub fn excludes(strata: &[NightStratum], share: f64, goal: Goal, missing: Missing) -> [bool; 2] {
    let enough = (1.0 / goal.alpha()).ln();
    let ends = points(strata);
    let refutes = |sought: Outcome, mean: f64| {
        ends.iter().any(|&until| Evidence::new(strata, sought, missing, until).log_evidence(mean) >= enough)
    };
    [refutes(Outcome::Real, 1.0 - share), refutes(Outcome::NotReal, share)]
}

/// The share of these strata's members that are not real.
pub fn share(strata: &[NightStratum], goal: Goal) -> Share {
    let bound = |sought: Outcome, missing: Missing| {
        let at = |until: Option<(usize, u64)>| Evidence::new(strata, sought, missing, until).lower_bound(goal.alpha());
        points(strata).into_iter().map(at).fold(0.0, f64::max)
    };
    let units = || strata.iter().flat_map(|stratum| &stratum.units);
    let answers: Vec<(bool, f64)> = units().filter_map(CalledUnit::answer).collect();
    let weight: f64 = answers.iter().map(|answer| answer.1).sum();
    let not_real: f64 = answers.iter().filter(|answer| !answer.0).map(|answer| answer.1).sum();
    // What a call was worth so far, drawn a little towards all being well, so that the first denial says no "never".
    let done: Vec<f64> = units()
        .filter(|unit| !unit.is_open())
        .filter_map(|unit| Some(unit.draw(Outcome::Real, Missing::Worse)?.value))
        .collect();
    let expected = (done.iter().sum::<f64>() + 1.0) / (done.len() as f64 + 1.0);
    let so_far = Evidence::new(strata, Outcome::Real, Missing::Worse, None);
    // Whoever has called all of them knows.
    let left: u64 = strata.iter().map(NightStratum::not_called).sum();
    let is_shown = so_far.log_evidence(1.0 - goal.at_most) >= (1.0 / goal.alpha()).ln();
    Share {
        low: bound(Outcome::NotReal, Missing::Worse),
        high: 1.0 - bound(Outcome::Real, Missing::Worse),
        high_if_silent_are_alike: 1.0 - bound(Outcome::Real, Missing::LikeOthers),
        estimate: (weight > 0.0).then(|| (not_real / weight).max(0.0)),
        more_calls: match is_shown {
            true => Some(0),
            false => so_far
                .plain
                .draws_needed(1.0 - goal.at_most, expected.min(1.0), goal.alpha() * ON_PLAIN)
                .map(|needed| needed.min(left)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: Goal = Goal { confidence: 0.95, at_most: 0.02 };

    fn stratum(night: usize, population: u64, outcomes: &[Outcome]) -> NightStratum {
        let unit = |(at, &outcome): (usize, &Outcome)| CalledUnit {
            order: at as u64,
            inclusion_probability: outcomes.len() as f64 / population as f64,
            outcome,
            second: None,
        };
        NightStratum { night, population, units: outcomes.iter().enumerate().map(unit).collect() }
    }

    #[test]
    fn calls_that_all_confirm_promise_more_and_more() {
        let none = share(&[stratum(0, 2000, &[])], GOAL);
        assert_eq!((none.low, none.high, none.estimate), (0.0, 1.0, None));
        let needed = none.more_calls.unwrap() as usize;
        assert!((190..260).contains(&needed), "{needed}");
        let few = share(&[stratum(0, 30, &[Outcome::Real; 4])], GOAL);
        assert_eq!(few.more_calls, Some(26), "nobody calls more members than there are");
        let half = share(&[stratum(0, 2000, &vec![Outcome::Real; needed / 2])], GOAL);
        assert!(half.high > GOAL.at_most && half.high < 0.05, "{half:?}");
        let all = share(&[stratum(0, 2000, &vec![Outcome::Real; needed])], GOAL);
        assert!(all.high <= GOAL.at_most && all.more_calls == Some(0) && all.estimate == Some(0.0), "{all:?}");
    }

    #[test]
    fn whoever_has_not_been_called_yet_takes_nothing_away() {
        let mut outcomes = vec![Outcome::Real; 150];
        let before = share(&[stratum(0, 2000, &outcomes)], GOAL);
        outcomes.extend([Outcome::Pending; 100]);
        let drawn = share(&[stratum(0, 2000, &outcomes)], GOAL);
        assert!((before.high - drawn.high).abs() < 1e-4, "{before:?} {drawn:?}");
        // An answer that is missing for good counts as the worse one.
        outcomes[3] = Outcome::Silent;
        outcomes.truncate(150);
        let silent = share(&[stratum(0, 2000, &outcomes)], GOAL);
        assert!(silent.high > before.high && silent.high_if_silent_are_alike < 1.02 * before.high, "{silent:?}");
    }

    #[test]
    fn a_second_sample_stands_for_the_silent() {
        let mut outcomes = vec![Outcome::Real; 240];
        (0..40).for_each(|i| outcomes[6 * i] = Outcome::Silent);
        let mut night = stratum(0, 5000, &outcomes);
        let without = share(&[night.clone()], GOAL);
        for (at, unit) in night.units.iter_mut().filter(|u| u.outcome == Outcome::Silent).enumerate() {
            let outcome = (at % 2 == 0).then_some(Outcome::Real);
            unit.second = Some(Second { probability: 0.5, outcome });
        }
        let with = share(&[night], GOAL);
        assert!(without.high > 0.15 && with.high < 0.05, "{without:?} {with:?}");
    }

    #[test]
    fn nights_and_strata_add_up() {
        let real = vec![Outcome::Real; 130];
        let one = share(&[stratum(0, 3000, &real)], GOAL).high;
        let three: Vec<NightStratum> = (0..3).map(|night| stratum(night, 3000, &real)).collect();
        let all = share(&three, GOAL).high;
        assert!(all < one / 2.4 && all > one / 3.6, "{one} {all}");
        // A stratum without a call may be all unreal.
        let mut gap = three;
        gap.push(stratum(2, 1000, &[]));
        assert!(share(&gap, GOAL).high > 0.1);
    }
}
