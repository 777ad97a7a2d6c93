//! Face-like templates whose truth is known: for tests and benches, never for an audit.
//!
//! Impostor similarities are centred near 0.004 with a standard deviation near 0.08, as real embeddings of 512 values
//! have them (an ideal sphere would give 0.044): the directions of a face fill some 150 dimensions unevenly; with 128
//! values nearly all are filled, which gives 0.091. Two shots
//! of one person are 0.706 +- 0.065 alike. Some persons are lookalikes of another, some rows are duplicates (another
//! shot of an earlier person), some are copies (the same shot once more). Everything follows from the seed by integer
//! arithmetic and correctly rounded operations.

use super::member::Member;
use crate::infer::template::BadEmbedding;
use crate::infer::{ModelId, Template};
use crate::statistics::SplitMix64;

/// A population of rows.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// Values per template: a power of two.
    pub dim: usize,
    /// Everything follows from it.
    pub seed: u64,
    /// Share of rows that show a person of an earlier row.
    pub duplicates: f64,
    /// Share of persons that look like another one.
    pub lookalikes: f64,
    /// Share of rows that are the very shot of an earlier row.
    pub copies: f64,
    /// How fast the dimensions lose weight; [`Crowd::new`] sets what its dimension needs.
    pub decay: f64,
}

impl Crowd {
    /// The population that the benches measure: 0.5 % duplicates, 2 % lookalikes, 0.1 % copies.
    pub fn new(dim: usize, seed: u64) -> Crowd {
        Crowd { dim, seed, duplicates: 0.005, lookalikes: 0.02, copies: 0.001, decay: decay(dim) }
    }

    /// The person of a row, as the number of the row that first shows him or her.
    pub fn person(&self, row: u64) -> u64 {
        self.origin(row).0
    }

    /// Person and shot of a row.
    fn origin(&self, row: u64) -> (u64, u64) {
        let mut dice = Dice::new(self.seed, row, 1);
        let share = dice.share();
        if row > 0 && share < self.duplicates + self.copies {
            // Chains of duplicates end at the first row, for each step goes to an earlier one.
            let (person, shot) = self.origin(dice.next() % row);
            return if share < self.copies { (person, shot) } else { (person, row) };
        }
        (row, row)
    }

    /// The template of a row.
    ///
    /// # Errors
    /// Never for a dimension that is a power of two.
    pub fn template(&self, row: u64) -> Result<Template, BadEmbedding> {
        let (person, shot) = self.origin(row);
        self.shot(person, shot)
    }

    /// Another shot of a person.
    ///
    /// # Errors
    /// Never for a dimension that is a power of two.
    pub fn shot(&self, person: u64, shot: u64) -> Result<Template, BadEmbedding> {
        let mut face = self.identity(person);
        let mut dice = Dice::new(self.seed, person.rotate_left(32) ^ shot, 2);
        // cos = 1 / (1 + s²) for two shots with noise of length s: 0.706 at 0.645.
        let strength = 0.645 + 0.12 * dice.gauss();
        let noise = self.direction(&mut dice);
        face.iter_mut().zip(noise).for_each(|(f, n)| *f += strength as f32 * n);
        spread(&mut face, self.seed);
        Template::from_embedding(&face)
    }

    fn identity(&self, person: u64) -> Vec<f32> {
        let mut dice = Dice::new(self.seed, person, 3);
        let mut face = self.direction(&mut dice);
        if person > 0 && dice.share() < self.lookalikes {
            let other = self.direction(&mut Dice::new(self.seed, dice.next() % person, 3));
            // 0.6 of the other person: shots of the two are some 0.42 alike.
            face.iter_mut().zip(other).for_each(|(f, o)| *f = 0.8 * *f + 0.6 * o);
        }
        // What all faces share.
        face[0] += 0.063;
        face
    }

    /// A random direction of length near 1, uneven over the dimensions.
    fn direction(&self, dice: &mut Dice) -> Vec<f32> {
        let decay = (self.decay / self.dim as f64) as f32;
        let mut squares = 0f32;
        let mut values: Vec<f32> = (0..self.dim)
            .map(|i| {
                let weight = 1.0 / (1.0 + decay * i as f32);
                let value = dice.gauss() as f32 * weight;
                squares += value * value;
                value
            })
            .collect();
        let length = squares.sqrt();
        values.iter_mut().for_each(|v| *v /= length);
        values
    }

    /// The facts of a row: made up, but of the length that real ones have.
    pub fn member(&self, row: u64) -> Member {
        let mut dice = Dice::new(self.seed, row, 4);
        let (person, shot) = self.origin(row);
        let mut selfie_sha256 = [0; 32];
        let mut picture = Dice::new(self.seed, person.rotate_left(32) ^ shot, 5);
        selfie_sha256.as_chunks_mut::<8>().0.iter_mut().for_each(|w| *w = picture.next().to_le_bytes());
        Member {
            submission_id: format!("S{row:011}"),
            worker_id: format!("W{:06}", row / 50),
            district: format!("district-{:02}", row / 50 % 50),
            captured_at: 1_700_000_000_000_000 + row as i64 * 1_000_000,
            mobile: Some(format!("9{:09}", dice.next() % 1_000_000_000)),
            epic: Some(format!("ABC{:07}", dice.next() % 10_000_000)),
            member_name: Some(format!("Member {row}")),
            quality: dice.share() as f32,
            model: ModelId("generated".into()),
            selfie_sha256,
            selfie_dhash: picture.next(),
            member_doubt_percent: 0,
        }
    }

    /// Rows of a range.
    ///
    /// # Errors
    /// Never for a dimension that is a power of two.
    pub fn rows(&self, range: std::ops::Range<u64>) -> Result<Vec<(Member, Template)>, BadEmbedding> {
        use rayon::prelude::*;
        range.into_par_iter().map(|row| Ok((self.member(row), self.template(row)?))).collect()
    }
}

/// The decay with which weights `1 / (1 + decay x)` over `x` in 0..1 fill 152 dimensions, or 95 % of fewer: as many as
/// `(Σw²)² / Σw⁴` of them, whose inverse is the variance of an impostor's similarity.
fn decay(dim: usize) -> f64 {
    let share = (152.0 / dim as f64).min(0.95);
    let filled = |c: f64| {
        let d = 1.0 + c;
        3.0 * c / (d * d * (1.0 - 1.0 / (d * d * d)))
    };
    let (mut low, mut high) = (1e-3, 1e3);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if filled(middle) > share { low = middle } else { high = middle }
    }
    low
}

/// Spreads what each coordinate holds over all of them: random signs and a Hadamard transform, which keeps angles.
fn spread(values: &mut [f32], seed: u64) {
    let mut dice = Dice::new(seed, 0, 6);
    for value in values.iter_mut() {
        *value *= if dice.next() & 1 == 0 { 1.0 } else { -1.0 };
    }
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_mut(2 * half).filter(|pair| pair.len() == 2 * half) {
            let (low, high) = pair.split_at_mut(half);
            low.iter_mut().zip(high).for_each(|(a, b)| (*a, *b) = (*a + *b, *a - *b));
        }
        half *= 2;
    }
}

/// A stream of numbers per key.
struct Dice(SplitMix64);

impl Dice {
    fn new(seed: u64, key: u64, use_of: u64) -> Dice {
        let mut dice = Dice(SplitMix64::new(seed ^ key.wrapping_mul(0xd134_2543_de82_ef95) ^ use_of << 56));
        dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0.next()
    }

    /// 0..1.
    fn share(&mut self) -> f64 {
        self.0.unit()
    }

    /// Near enough to a standard normal: the sum of eight uniform 16-bit numbers.
    fn gauss(&mut self) -> f64 {
        let (a, b) = (self.next(), self.next());
        let sum: u64 = (0..4).map(|i| (a >> (16 * i) & 0xffff) + (b >> (16 * i) & 0xffff)).sum();
        (sum as f64 / 65_535.0 - 4.0) * 1.224_744_871
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::template::similarity;

    fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn similarities_are_distributed_as_those_of_faces() {
        for (dim, deviation) in [(512, 0.081), (128, 0.091)] {
            let crowd = Crowd { duplicates: 0.0, copies: 0.0, lookalikes: 0.0, ..Crowd::new(dim, 7) };
            check(&crowd, deviation);
        }
    }

    fn check(crowd: &Crowd, deviation: f64) {
        let pair = |a: &Template, b: &Template| f64::from(similarity(a, b));
        let impostors: Vec<f64> =
            (0..2000).map(|i| pair(&crowd.template(i).unwrap(), &crowd.template(i + 2000).unwrap())).collect();
        let mates: Vec<f64> =
            (0..2000).map(|i| pair(&crowd.shot(i, i).unwrap(), &crowd.shot(i, i + 9000).unwrap())).collect();
        let ((im, is), (mm, ms)) = (mean_and_deviation(&impostors), mean_and_deviation(&mates));
        assert!((im - 0.004).abs() < 0.01 && (is - deviation).abs() < 0.005, "impostors {im} +- {is}");
        assert!((mm - 0.706).abs() < 0.02 && (ms - 0.065).abs() < 0.015, "mates {mm} +- {ms}");
    }
}
