//! The chance of so many signs of one worker, among peers who differ.
//!
//! Honest workers are not alike: one runs a camp, another serves two streets. A test that takes all submissions of a district
//! as draws from one urn (Fisher's) calls every camp a miracle. So a peer's share of signs is itself taken as drawn, from a beta
//! distribution, and the count as beta-binomial (J. G. Skellam, JRSS B 10, 1948; D. A. Griffiths, Biometrics 29, 1973). Its mean
//! and correlation are those of the peers, without the worker in question, by moments (J. C. Kleinman, JASA 68, 1973).

use std::ops::{Add, Sub};

/// Signs among submissions that can show them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Count {
    /// Submissions with the sign.
    pub hits: u64,
    /// Submissions.
    pub trials: u64,
}

/// Sums over workers, from which one worker's part can be taken away.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    pub workers: u64,
    pub hits: f64,
    pub trials: f64,
    /// Squares of hits over trials.
    scatter: f64,
    /// Squares of trials.
    squares: f64,
}

impl From<Count> for Sums {
    fn from(count: Count) -> Sums {
        let (hits, trials) = (count.hits as f64, count.trials as f64);
        match count.trials {
            0 => Sums::default(),
            _ => Sums { workers: 1, hits, trials, scatter: hits * hits / trials, squares: trials * trials },
        }
    }
}

impl Add for Sums {
    type Output = Sums;

    fn add(self, other: Sums) -> Sums {
        Sums {
            workers: self.workers + other.workers,
            hits: self.hits + other.hits,
            trials: self.trials + other.trials,
            scatter: self.scatter + other.scatter,
            squares: self.squares + other.squares,
        }
    }
}

impl Sub for Sums {
    type Output = Sums;

    fn sub(self, other: Sums) -> Sums {
        Sums {
            workers: self.workers - other.workers,
            hits: self.hits - other.hits,
            trials: self.trials - other.trials,
            scatter: self.scatter - other.scatter,
            squares: self.squares - other.squares,
        }
    }
}

/// A beta distribution of shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shares {
    alpha: f64,
    beta: f64,
}

/// Correlation of two submissions of one worker that is taken to be there at the least: the peers may be few, and the one camp
/// of the district tomorrow's.
const LEAST_CORRELATION: f64 = 0.05;

/// At the most: beyond it every worker would be all or nothing.
const MOST_CORRELATION: f64 = 0.9;

impl Shares {
    /// Of peers; `None` where they are fewer than `least` workers.
    pub(super) fn of(peers: Sums, least: u64) -> Option<Shares> {
        if peers.workers < least.max(2) || peers.trials <= 0.0 {
            return None;
        }
        // Half a hit more, and half a miss: that nobody did it yet does not make it impossible.
        let mean = (peers.hits + 0.5) / (peers.trials + 1.0);
        let raw = peers.hits / peers.trials;
        let spread = raw * (1.0 - raw);
        let between = peers.scatter - peers.hits * raw;
        let most = peers.trials - peers.workers as f64 - peers.squares / peers.trials + 1.0;
        let correlation = match spread > 0.0 && most > 0.0 {
            true => (between / spread - (peers.workers as f64 - 1.0)) / most,
            false => 0.0,
        };
        let correlation = correlation.clamp(LEAST_CORRELATION, MOST_CORRELATION);
        let weight = (1.0 - correlation) / correlation;
        Some(Shares { alpha: mean * weight, beta: (1.0 - mean) * weight })
    }

    /// The chance of at least so many hits: the upper tail of the beta-binomial distribution, summed term by term.
    pub(super) fn chance_of_at_least(&self, count: Count) -> f64 {
        let Count { hits, trials } = count;
        if hits == 0 {
            return 1.0;
        }
        // ln P(X = k), from P(X = 0) = (b)_n / (a + b)_n upwards.
        let n = trials as f64;
        let mut log =
            (0..trials).map(|j| (self.beta + j as f64).ln() - (self.alpha + self.beta + j as f64).ln()).sum::<f64>();
        let mut tail = 0.0;
        for k in 0..=trials {
            if k >= hits {
                tail += log.exp();
            }
            let k = k as f64;
            log += ((n - k) / (k + 1.0)).ln() + (k + self.alpha).ln() - (n - k - 1.0 + self.beta).ln();
        }
        tail.clamp(f64::MIN_POSITIVE, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(counts: &[(u64, u64)]) -> Sums {
        counts.iter().map(|&(hits, trials)| Sums::from(Count { hits, trials })).fold(Sums::default(), Add::add)
    }

    #[test]
    fn the_tail_is_scipys() {
        // scipy 1.17.1: sum(betabinom.pmf(j, n, a, b) for j in range(k, n + 1))
        let cases = [
            (40, 30, 0.95, 18.05, 2.433396197306159e-08),
            (10, 10, 0.2, 3.8, 0.00011973836799999983),
            (200, 3, 0.5, 9.5, 0.6163075730706676),
            (5, 1, 2.0, 3.0, 0.8333333333333333),
            (1000, 400, 1.5, 20.0, 0.00013977742875462092),
        ];
        for (trials, hits, alpha, beta, expected) in cases {
            let found = Shares { alpha, beta }.chance_of_at_least(Count { hits, trials });
            assert!((found / expected - 1.0).abs() < 1e-6, "{hits} of {trials}: {found:e}, scipy says {expected:e}");
        }
    }

    #[test]
    fn peers_who_differ_make_a_high_count_likely() {
        let tail = |peers: &[(u64, u64)], hits, trials| {
            Shares::of(sums(peers), 2).unwrap().chance_of_at_least(Count { hits, trials })
        };
        let alike = [(2, 40); 20];
        let mut with_camps = alike;
        with_camps[..4].fill((36, 40));
        assert!(tail(&alike, 30, 40) < 1e-7, "{}", tail(&alike, 30, 40));
        assert!(tail(&with_camps, 30, 40) > 0.02, "{}", tail(&with_camps, 30, 40));
        assert!(tail(&[(0, 40); 20], 20, 40) > 0.0);
        assert_eq!(tail(&alike, 0, 40), 1.0);
        assert!(Shares::of(sums(&[(1, 9); 3]), 4).is_none() && Shares::of(Sums::default(), 0).is_none());
    }

    #[test]
    fn one_workers_part_is_taken_away() {
        let own = Count { hits: 30, trials: 31 };
        let without = sums(&[(30, 31), (1, 20), (2, 25)]) - Sums::from(own);
        let alone = sums(&[(1, 20), (2, 25)]);
        assert_eq!((without.workers, without.hits, without.trials), (alone.workers, alone.hits, alone.trials));
        assert!((without.scatter - alone.scatter).abs() < 1e-12);
    }
}
