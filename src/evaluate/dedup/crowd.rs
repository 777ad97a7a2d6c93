//! People who are not there: templates drawn so that their scores are distributed as those of the labelled people.
//!
//! A labelled set has thousands of people, a drive has millions. A drawn template is
//! `mean + sqrt(1 - t) (sqrt(c) person + sqrt(1 - c) shot) + sqrt(t) kind`, normalised, where person, shot and kind are
//! normal with the labelled people's covariance. What is fitted:
//! - mean and covariance over the labelled people, which give the body of the impostor scores;
//! - `t`, uniform in 0..T per person, and [`KINDS`] kinds of people: those of one kind are more alike, which gives the
//!   tail. T is found by bisection so that the score that one pair in ten thousand reaches is the labelled people's;
//! - `c`, drawn for each person from the labelled people's mated scores, and narrowed by the spread that chance adds.
//!
//! Who is who among the drawn is known without error, which no folder of pictures can say. Every template follows from
//! seed and row alone.

use rayon::prelude::*;

use crate::infer::Template;
use crate::statistics::SplitMix64;
use crate::{Error, Result};

/// Kinds of people: the fewer, the more pairs share one, and the fatter the tail for the same `t`. With so many both
/// networks' scores are met at rates of 1e-5 and 1e-6 as well, to 0.02 of cosine.
const KINDS: u64 = 300;

/// Least number of labelled people whose covariance can be drawn from.
const LEAST_PEOPLE: usize = 200;

/// The rate at which the tail is fitted.
const TAIL_RATE: f64 = 1e-4;

/// Templates compared with each other while T is sought: 4.5 million pairs.
const TRIED: u64 = 3_000;

/// Steps of the bisection: T to a thousandth.
const STEPS: usize = 9;

/// Where T is sought.
const MOST_ALIKE: f64 = 0.6;

/// A population fitted to labelled people.
#[derive(Debug, Clone)]
pub struct Crowd {
    seed: u64,
    mean: Vec<f64>,
    /// Lower triangle of the covariance's root, row by row.
    root: Vec<f64>,
    /// T.
    alike: f64,
    /// Mated scores wanted, ascending.
    mates: Vec<f64>,
    /// Cosine of two unrelated templates that the common mean alone gives.
    common: f64,
}

impl Crowd {
    /// Fits the population. `people` has one template of each labelled person, `mates` the scores of mated pairs.
    ///
    /// # Errors
    /// [`Error::Usage`] for fewer than [`LEAST_PEOPLE`] people.
    pub fn fit(people: &[Vec<f32>], mates: &[f32], seed: u64) -> Result<Self> {
        if people.len() < LEAST_PEOPLE {
            return Err(Error::usage(
                "--sizes",
                format!("{} labelled people to draw others like them", people.len()),
                format!("give at least {LEAST_PEOPLE} people, or leave out --sizes and --duplicates"),
            ));
        }
        let (n, dim) = (people.len() as f64, people[0].len());
        let mean: Vec<f64> = (0..dim).map(|i| people.iter().map(|p| f64::from(p[i])).sum::<f64>() / n).collect();
        let mut covariance: Vec<f64> = (0..dim * dim)
            .into_par_iter()
            .map(|at| {
                let (i, j) = (at / dim, at % dim);
                let sum: f64 = people.iter().map(|p| (f64::from(p[i]) - mean[i]) * (f64::from(p[j]) - mean[j])).sum();
                if j <= i { sum / (n - 1.0) } else { 0.0 }
            })
            .collect();
        let trace: f64 = (0..dim).map(|i| covariance[i * dim + i]).sum();
        // A hundredth of an even spread: where there are fewer people than dimensions the root exists all the same.
        (0..dim).for_each(|i| covariance[i * dim + i] += 0.01 * trace / dim as f64);
        let square: f64 = mean.iter().map(|m| m * m).sum();
        let mut crowd = Crowd {
            seed,
            mean,
            root: cholesky(covariance, dim),
            alike: 0.0,
            mates: Vec::new(),
            common: square / (square + 1.01 * trace),
        };
        crowd.fit_mates(mates);
        crowd.fit_tail(people);
        Ok(crowd)
    }

    /// The mated scores, drawn towards their mean by what the finite number of dimensions spreads them anyhow.
    fn fit_mates(&mut self, mates: &[f32]) {
        let mut wanted: Vec<f64> = mates.iter().copied().map(f64::from).filter(|s| s.is_finite()).collect();
        if wanted.len() < 20 {
            // Nobody has a second picture: what the shipped networks show on LFW.
            wanted = vec![0.45, 0.55, 0.6, 0.64, 0.67, 0.69, 0.71, 0.74, 0.78, 0.83];
        }
        wanted.sort_by(f64::total_cmp);
        let n = wanted.len() as f64;
        let mean = wanted.iter().sum::<f64>() / n;
        let variance = wanted.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n;
        self.mates = vec![mean];
        let drawn: Vec<f64> = (0..2000).map(|k| f64::from(dot(&self.shot(k, 0), &self.shot(k, 1)))).collect();
        let middle = drawn.iter().sum::<f64>() / 2000.0;
        let chance = drawn.iter().map(|s| (s - middle).powi(2)).sum::<f64>() / 2000.0;
        let narrow = (1.0 - chance / variance.max(1e-9)).max(0.0).sqrt();
        self.mates = wanted.into_iter().map(|s| 2.0 * mean - middle + narrow * (s - mean)).collect();
    }

    fn fit_tail(&mut self, people: &[Vec<f32>]) {
        let wanted = upper(people);
        let (mut low, mut high) = (0.0, MOST_ALIKE);
        for _ in 0..STEPS {
            self.alike = (low + high) / 2.0;
            let drawn: Vec<Vec<f32>> = (0..TRIED).into_par_iter().map(|k| self.shot(k, 0)).collect();
            if upper(&drawn) < wanted { low = self.alike } else { high = self.alike }
        }
        self.alike = (low + high) / 2.0;
    }

    /// A shot of a person, of norm 1.
    pub fn shot(&self, person: u64, shot: u64) -> Vec<f32> {
        let mut traits = Dice::new(self.seed, person, 1);
        let kind = traits.next() % KINDS;
        let t = self.alike * traits.share();
        let wanted = self.mates[(traits.share() * self.mates.len() as f64) as usize];
        // Shots of a person are `common + (1 - common) (t + (1 - t) c)` alike.
        let c = (((wanted - self.common) / (1.0 - self.common) - t) / (1.0 - t)).clamp(0.0, 1.0);
        let mut normal = vec![0.0; self.mean.len()];
        let mut add = |share: f64, key: u64, of: u64| {
            let mut dice = Dice::new(self.seed, key, of);
            normal.iter_mut().for_each(|v| *v += share.sqrt() * dice.normal());
        };
        add((1.0 - t) * c, person, 2);
        add((1.0 - t) * (1.0 - c), person.rotate_left(24) ^ shot, 3);
        add(t, kind, 4);
        let dim = normal.len();
        let value = |i: usize| -> f64 {
            self.mean[i] + self.root[i * dim..=i * dim + i].iter().zip(&normal).map(|(r, z)| r * z).sum::<f64>()
        };
        let values: Vec<f64> = (0..dim).map(value).collect();
        let length = values.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
        values.iter().map(|v| (v / length) as f32).collect()
    }

    /// The same as a template.
    ///
    /// # Errors
    /// [`Error::Bug`] when a template cannot be made of it.
    pub fn template(&self, person: u64, shot: u64) -> Result<Template> {
        Template::from_embedding(&self.shot(person, shot)).map_err(|e| Error::bug("drawing a template", e))
    }

    /// T, as fitted.
    pub fn alike(&self) -> f64 {
        self.alike
    }
}

/// The score that one pair in ten thousand reaches, or with few pairs the hundredth highest.
fn upper(people: &[Vec<f32>]) -> f32 {
    let people = &people[..people.len().min(TRIED as usize)];
    let pairs = people.len() * (people.len() - 1) / 2;
    let rank = ((TAIL_RATE * pairs as f64) as usize).max(100).min(pairs - 1);
    let mut scores: Vec<f32> = (0..people.len())
        .into_par_iter()
        .flat_map_iter(|a| people[a + 1..].iter().map(move |other| dot(&people[a], other)))
        .collect();
    *scores.select_nth_unstable_by(rank, |x, y| y.total_cmp(x)).1
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (xs, ys) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in xs.0.iter().zip(ys.0) {
        (0..8).for_each(|k| lanes[k] += x[k] * y[k]);
    }
    lanes.iter().sum::<f32>() + xs.1.iter().zip(ys.1).map(|(x, y)| x * y).sum::<f32>()
}

/// Lower triangle whose square is the matrix, which is positive definite.
fn cholesky(mut matrix: Vec<f64>, n: usize) -> Vec<f64> {
    for i in 0..n {
        for j in 0..=i {
            let inner: f64 = (0..j).map(|k| matrix[i * n + k] * matrix[j * n + k]).sum();
            let left = matrix[i * n + j] - inner;
            matrix[i * n + j] = if i == j { left.max(1e-18).sqrt() } else { left / matrix[j * n + j] };
        }
    }
    matrix
}

/// A stream of numbers per key.
pub(super) struct Dice(SplitMix64);

impl Dice {
    pub(super) fn new(seed: u64, key: u64, use_of: u64) -> Self {
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ key.wrapping_mul(0xd134_2543_de82_ef95);
        let mut dice = Dice(SplitMix64::new(seed ^ use_of << 56));
        dice.next();
        dice
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.next()
    }

    /// 0..1, never 1.
    pub(super) fn share(&mut self) -> f64 {
        self.0.unit()
    }

    /// Standard normal (Box and Muller, 1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// People of a population of our own: five kinds, 32 values.
    fn people(n: u64) -> Vec<Vec<f32>> {
        (0..n)
            .map(|k| {
                let mut dice = Dice::new(9, k, 7);
                let mut kind = Dice::new(9, k % 40, 8);
                let mut face: Vec<f64> =
                    (0..32).map(|i| 0.3 + dice.normal() * (1.0 - i as f64 / 64.0) + 0.5 * kind.normal()).collect();
                let length = face.iter().map(|v| v * v).sum::<f64>().sqrt();
                face.iter_mut().for_each(|v| *v /= length);
                face.iter().map(|&v| v as f32).collect()
            })
            .collect()
    }

    fn moments(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt())
    }

    #[test]
    fn scores_of_the_drawn_are_those_of_the_labelled() {
        let people = people(1500);
        let mates: Vec<f32> = (0..500).map(|k| 0.6 + 0.3 * (k as f32 / 500.0)).collect();
        let crowd = Crowd::fit(&people, &mates, 3).unwrap();
        let drawn: Vec<Vec<f32>> = (0..1500).map(|k| crowd.shot(k, 0)).collect();
        let scores = |of: &[Vec<f32>]| -> Vec<f64> {
            of.iter().zip(&of[750..]).take(750).map(|(a, b)| f64::from(dot(a, b))).collect()
        };
        let ((m0, s0), (m1, s1)) = (moments(&scores(&people)), moments(&scores(&drawn)));
        assert!((m0 - m1).abs() < 0.03 && (s0 / s1 - 1.0).abs() < 0.12, "{m0} {s0}, drawn {m1} {s1}");
        assert!((upper(&people) - upper(&drawn)).abs() < 0.03, "{} {}", upper(&people), upper(&drawn));
        let pairs: Vec<f64> = (0..1500).map(|k| f64::from(dot(&crowd.shot(k, 1), &crowd.shot(k, 2)))).collect();
        let (mean, deviation) = moments(&pairs);
        assert!((mean - 0.75).abs() < 0.02 && (deviation - 0.087).abs() < 0.03, "{mean} {deviation}");
        assert_eq!(crowd.shot(7, 1), crowd.clone().shot(7, 1));
    }

    #[test]
    fn too_few_people_are_refused() {
        assert!(Crowd::fit(&people(50), &[], 1).is_err());
    }
}
