//! Confidence sequences for a mean by betting, for stratified draws without replacement.
//!
//! A gambler bets that the mean of a population is larger than `m`. Where it is not, no strategy makes the stake grow in
//! the long run: the stake is a non-negative supermartingale, and by Ville's inequality it reaches `1 / alpha` at any
//! time at all with a probability of at most `alpha`. So the means at which the stake stays below `1 / alpha` are a
//! confidence sequence, which holds however often one looks (I. Waudby-Smith and A. Ramdas, "Estimating means of bounded
//! random variables by betting", JRSS B 86, 2024).
//!
//! **One stratum.** The draw `t` (from 0) of a stratum with `N` units has a value `x >= 0`, whose conditional mean under the
//! mean `mu` of the stratum is `eta = (N mu - S) / (N - t)`, where `S` is what was drawn before (their section 5). The stake is
//! multiplied by
//! `1 + lambda (x - eta)` with `lambda = c / eta`, `0 <= c <= 1`, which is `1 - c + c x / eta`.
//!
//! **Many strata.** The stakes of independent strata multiply. Of all strata means that give the whole population a mean of
//! at most `m`, the ones with the least stake decide (P. Stark, "Sharper p-values for stratified election audits",
//! Statistics, Politics and Policy 11, 2020; J. Spertus, M. Sridhar and P. Stark, "Sequential stratified inference for
//! the mean", 2024). With `lambda = c / eta` the logarithm of a stake is a convex function of the stratum's mean, so the
//! least one is found by Lagrange's multiplier, and any multiplier gives a bound on the safe side.
//!
//! **The bets.** `c` runs over a fixed grid and the stakes are averaged, so no bet depends on what was seen. Then a stake
//! only falls where a value is replaced by a smaller one: an answer that is missing may count as 0, and the bound holds
//! at every time of looking, in whatever order the answers come.

/// One draw of a stratum, in the order of drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// At least 0; its expectation over whatever chance chose to ask is the unit's own value.
    pub value: f64,
    /// As much of the unit's own value as is known, at most all of it: what the units not yet drawn have no more.
    pub known: f64,
}

impl Draw {
    /// A draw of a unit whose value is known.
    pub fn plain(value: f64) -> Draw {
        Draw { value, known: value }
    }
}

/// The draws of one stratum. Values of units lie between 0 and 1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StratumDraws {
    /// Units of the stratum.
    pub population: u64,
    /// In the order of drawing; at most `population`. A draw that is left out is taken for one that was never made, which holds
    /// if leaving it out says nothing of its value.
    pub draws: Vec<Draw>,
}

/// Which means the bets are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bets {
    /// Values that are nearly always 1.
    Common,
    /// Values that are nearly always 0.
    Rare,
    /// Neither.
    Any,
}

impl Bets {
    /// The grid of `c`. The best for units of 0 and 1 with mean `p` against `m` is `(p - m) / (1 - m)` (J. Kelly, 1956): near 1
    /// where far fewer zeros are found than `m` allows, and about `p` where `p` is small.
    fn grid(self) -> &'static [f64] {
        match self {
            Bets::Common => &[0.1, 0.25, 0.45, 0.65, 0.8, 0.9, 0.96, 0.99, 0.999],
            Bets::Rare => &[0.0015, 0.005, 0.015, 0.04, 0.1, 0.2, 0.4, 0.7],
            Bets::Any => &[0.02, 0.06, 0.12, 0.22, 0.35, 0.5, 0.65, 0.8, 0.92, 0.99],
        }
    }
}

/// A stratum made ready: only draws with a value above 0 move with the mean.
#[derive(Debug)]
struct Stratum {
    weight: f64,
    /// Draws whose value is 0.
    zeros: f64,
    /// The least mean that what is known leaves possible.
    least: f64,
    /// Of each draw with a value: the value, and `eta` as `slope * mu - offset`.
    gains: Vec<Gain>,
}

#[derive(Debug, Clone, Copy)]
struct Gain {
    value: f64,
    slope: f64,
    offset: f64,
}

impl Stratum {
    fn new(draws: &StratumDraws, all: f64) -> Stratum {
        let population = draws.population as f64;
        let (mut known, mut zeros, mut gains) = (0.0, 0.0, Vec::new());
        for (drawn, draw) in draws.draws.iter().enumerate() {
            let left = population - drawn as f64;
            let value = draw.value;
            match value > 0.0 {
                false => zeros += 1.0,
                true => gains.push(Gain { value, slope: population / left, offset: known / left }),
            }
            known += draw.known;
        }
        Stratum { weight: population / all, zeros, least: known / population, gains }
    }

    /// The logarithm of the stake for bet `c` if the stratum's mean is `mean`.
    fn log_stake(&self, c: f64, mean: f64) -> f64 {
        let mut log = self.zeros * (1.0 - c).ln();
        // Products in groups: one logarithm for many factors. Factors are at least 1e-3, so 32 of them never underflow;
        // they are at most the number of units by the least eta, below 1e9.
        for group in self.gains.chunks(16) {
            let factor = |g: &Gain| 1.0 - c + c * g.value / (g.slope * mean - g.offset).max(1e-12);
            log += group.iter().map(factor).product::<f64>().ln();
        }
        log
    }

    /// First and second derivative of the same by the mean.
    fn slopes(&self, c: f64, mean: f64) -> (f64, f64) {
        let (mut first, mut second) = (0.0, 0.0);
        for g in &self.gains {
            let eta = (g.slope * mean - g.offset).max(1e-12);
            let whole = (1.0 - c) * eta + c * g.value;
            let slope = c * g.value * g.slope / (eta * whole);
            first -= slope;
            second += slope * g.slope * (1.0 / eta + (1.0 - c) / whole);
        }
        (first, second)
    }

    /// The mean from [`Stratum::least`] to 1 at which the stake and `price` for each unit of mean are least.
    fn cheapest(&self, c: f64, price: f64, start: f64) -> f64 {
        let (mut low, mut high) = (self.least, 1.0);
        if self.gains.is_empty() || self.slopes(c, low).0 + price >= 0.0 {
            return low;
        }
        if self.slopes(c, high).0 + price <= 0.0 {
            return high;
        }
        let mut mean = start.clamp(low, high);
        for _ in 0..60 {
            let (first, second) = self.slopes(c, mean);
            let excess = first + price;
            if excess < 0.0 {
                low = mean
            } else {
                high = mean
            }
            let next = mean - excess / second;
            let next = if next > low && next < high { next } else { 0.5 * (low + high) };
            if (next - mean).abs() < 1e-9 {
                return next;
            }
            mean = next;
        }
        mean
    }
}

/// A population of strata.
#[derive(Debug)]
pub struct Population {
    strata: Vec<Stratum>,
    bets: Bets,
    least: f64,
}

impl Population {
    /// Strata without units are left out.
    pub fn new(strata: &[StratumDraws], bets: Bets) -> Population {
        let all: u64 = strata.iter().map(|s| s.population).sum();
        let filled = strata.iter().filter(|s| s.population > 0);
        let strata: Vec<Stratum> = filled.map(|s| Stratum::new(s, all as f64)).collect();
        let least = strata.iter().map(|s| s.weight * s.least).sum();
        Population { strata, bets, least }
    }

    /// The least logarithm of the stake of bet `c` over all strata means that give a mean of at most `mean`.
    fn least_log_stake(&self, c: f64, mean: f64) -> f64 {
        let moving: f64 = self.strata.iter().filter(|s| !s.gains.is_empty()).map(|s| s.weight).sum();
        let fixed: f64 = self.strata.iter().filter(|s| s.gains.is_empty()).map(|s| s.weight * s.least).sum();
        if moving + fixed <= mean {
            return self.strata.iter().map(|s| s.log_stake(c, 1.0)).sum();
        }
        let mut means: Vec<f64> = vec![mean; self.strata.len()];
        let mut at_price = |price: f64| {
            for (mean, stratum) in means.iter_mut().zip(&self.strata) {
                *mean = stratum.cheapest(c, price * stratum.weight, *mean);
            }
            let cost = |(stratum, &at): (&Stratum, &f64)| stratum.log_stake(c, at) + price * stratum.weight * at;
            let total: f64 = means.iter().zip(&self.strata).map(|(at, s)| s.weight * at).sum();
            // Lagrange's dual: at most the constrained least, whatever the price.
            (total, self.strata.iter().zip(&means).map(cost).sum::<f64>() - price * mean)
        };
        // In the logarithm of the price; the total falls from `moving` to `least`.
        let draws: f64 = self.strata.iter().map(|s| s.gains.len() as f64).sum();
        let (mut low, mut high) = ((1e-9 * draws).ln(), (1e12 * draws).ln());
        let mut price = (draws / mean.max(1e-6)).ln();
        let mut best = f64::NEG_INFINITY;
        for _ in 0..48 {
            let (total, bound) = at_price(price.exp());
            best = best.max(bound);
            if (total - mean).abs() < 1e-7 {
                break;
            }
            if total > mean {
                low = price
            } else {
                high = price
            }
            // The total moves about as one over the price.
            let step = (total / mean).ln();
            let next = price + step;
            price = if next > low && next < high && step.abs() > 1e-12 { next } else { 0.5 * (low + high) };
        }
        best
    }

    /// The logarithm of the stake against "the mean is at most `mean`": at or above `ln(1 / alpha)` that is refuted at level
    /// `alpha`. It falls as `mean` grows. Infinite where what is known refutes it outright.
    pub fn log_evidence(&self, mean: f64) -> f64 {
        if mean < self.least {
            return f64::INFINITY;
        }
        let grid = self.bets.grid();
        let logs: Vec<f64> = grid.iter().map(|&c| self.least_log_stake(c, mean)).collect();
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + (logs.iter().map(|log| (log - top).exp()).sum::<f64>() / grid.len() as f64).ln()
    }

    /// The lower end of the mean's confidence sequence at level `1 - alpha`, to 1e-5 on the safe side; 0 without draws.
    pub fn lower_bound(&self, alpha: f64) -> f64 {
        let enough = (1.0 / alpha).ln();
        let (mut refuted, mut open) = (self.least, 1.0);
        if self.strata.is_empty() || self.log_evidence(self.least) < enough {
            return self.least;
        }
        while open - refuted > 1e-5 {
            let middle = 0.5 * (refuted + open);
            if self.log_evidence(middle) >= enough { refuted = middle } else { open = middle }
        }
        refuted
    }

    /// How many more draws are needed until "the mean is at most `mean`" is refuted at level `alpha`, if draws go on to have a
    /// mean value of `expected`; 0 where it is already, `None` where they will never do.
    pub fn draws_needed(&self, mean: f64, expected: f64, alpha: f64) -> Option<u64> {
        let enough = (1.0 / alpha).ln();
        let grid = self.bets.grid();
        let now: Vec<f64> = grid.iter().map(|&c| self.least_log_stake(c, mean)).collect();
        let growth = |c: f64| expected * (1.0 - c + c / mean).ln() + (1.0 - expected) * (1.0 - c).ln();
        let after = |draws: f64| {
            let logs: Vec<f64> = grid.iter().zip(&now).map(|(&c, log)| log + draws * growth(c)).collect();
            let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            top + (logs.iter().map(|log| (log - top).exp()).sum::<f64>() / grid.len() as f64).ln() >= enough
        };
        if mean < self.least || after(0.0) {
            return Some(0);
        }
        if expected <= mean || mean <= 0.0 {
            return None;
        }
        let (mut low, mut high) = (0.0, 1.0);
        while !after(high) {
            (low, high) = (high, 2.0 * high);
            if high > 1e9 {
                return None;
            }
        }
        while high - low > 0.5 {
            let middle = 0.5 * (low + high);
            if after(middle) { high = middle } else { low = middle }
        }
        Some(high.ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assurance::random::Stream;

    fn plain(population: u64, values: &[f64]) -> StratumDraws {
        StratumDraws { population, draws: values.iter().map(|&v| Draw::plain(v)).collect() }
    }

    /// The stake of one bet, written down as the paper has it.
    fn by_hand(stratum: &StratumDraws, c: f64, mean: f64) -> f64 {
        let population = stratum.population as f64;
        let (mut stake, mut sum) = (1.0, 0.0);
        for (t, draw) in stratum.draws.iter().enumerate() {
            let eta = (population * mean - sum) / (population - t as f64);
            stake *= 1.0 + c / eta * (draw.value - eta);
            sum += draw.value;
        }
        stake
    }

    #[test]
    fn one_stratum_has_the_stake_of_the_paper() {
        let stratum = plain(50, &[1.0, 1.0, 0.0, 1.0, 0.5, 1.0, 1.0]);
        for mean in [0.3, 0.7, 0.95] {
            let population = Population::new(std::slice::from_ref(&stratum), Bets::Common);
            let grid = Bets::Common.grid();
            let expected = grid.iter().map(|&c| by_hand(&stratum, c, mean)).sum::<f64>() / grid.len() as f64;
            let found = population.log_evidence(mean);
            assert!((found - expected.ln()).abs() < 1e-4, "{mean}: {found} {}", expected.ln());
        }
    }

    #[test]
    fn the_least_over_strata_means_is_found() {
        let strata = [plain(300, &[1.0, 1.0, 0.0, 1.0, 1.0]), plain(100, &[1.0, 0.0, 1.0]), plain(100, &[])];
        let population = Population::new(&strata, Bets::Any);
        let mean = 0.4;
        for c in [0.2, 0.65, 0.92] {
            let mut least = f64::INFINITY;
            for a in 1..1000 {
                for third in [0.0, 0.05, 0.2, 1.0] {
                    let a = f64::from(a) / 1000.0;
                    let b = (mean - 0.6 * a - 0.2 * third) / 0.2;
                    if (0.02..=1.0).contains(&b) && a >= 0.0134 {
                        least = least.min(by_hand(&strata[0], c, a).ln() + by_hand(&strata[1], c, b).ln());
                    }
                }
            }
            let found = population.least_log_stake(c, mean);
            assert!(found <= least + 1e-9 && found > least - 1e-2, "{c}: {found} {least}");
        }
    }

    /// The means in Waudby-Smith and Ramdas, section 5: a sample that is the whole population leaves no doubt.
    #[test]
    fn all_units_leave_no_doubt() {
        let values: Vec<f64> = (0..60).map(|i| if i % 4 == 0 { 0.0 } else { 1.0 }).collect();
        let low = Population::new(&[plain(60, &values)], Bets::Common).lower_bound(0.05);
        let zeros: Vec<f64> = values.iter().map(|v| 1.0 - v).collect();
        let high = 1.0 - Population::new(&[plain(60, &zeros)], Bets::Rare).lower_bound(0.05);
        assert!((low - 0.75).abs() < 1e-4 && (high - 0.75).abs() < 1e-4, "{low} {high}");
        assert_eq!(Population::new(&[plain(60, &[])], Bets::Common).lower_bound(0.05), 0.0);
    }

    /// A limit that can be worked out: nothing but ones, one bet of c = 1 would give alpha = m^n, so n = ln(alpha) / ln(m), the
    /// sample size of the exact binomial test. A mixture over bets costs somewhat more, never less.
    #[test]
    fn calls_needed_are_near_those_of_the_exact_test() {
        let none = Population::new(&[plain(1_000_000, &[])], Bets::Common);
        for (goal, exact) in [(0.02, 183.0), (0.01, 368.0), (0.05, 72.0)] {
            let needed = none.draws_needed(1.0 - goal, 1.0, 0.025).unwrap() as f64;
            assert!(needed >= exact && needed < 1.7 * exact, "{goal}: {needed}, exact {exact}");
            let draws = plain(1_000_000, &vec![1.0; needed as usize]);
            let high = 1.0 - Population::new(&[draws], Bets::Common).lower_bound(0.025);
            assert!(high <= goal + 2e-5 && high > 0.9 * goal, "{goal}: {high}");
        }
        assert_eq!(none.draws_needed(0.99, 0.98, 0.05), None, "what is found is above the goal");
    }

    #[test]
    fn an_answer_that_is_missing_makes_a_bound_weaker_and_never_stronger() {
        let mut stream = Stream::new("missing", "");
        for _ in 0..50 {
            let values: Vec<f64> = (0..30).map(|_| if stream.unit() < 0.9 { 1.0 } else { 0.0 }).collect();
            let fewer: Vec<f64> = values.iter().map(|&v| if stream.unit() < 0.2 { 0.0 } else { v }).collect();
            let at = |values: &[f64], mean| {
                Population::new(&[plain(200, values), plain(50, &[1.0, 0.0])], Bets::Common).log_evidence(mean)
            };
            for mean in [0.3, 0.6, 0.9] {
                assert!(at(&fewer, mean) <= at(&values, mean) + 1e-6);
            }
        }
    }
}
