//! A face as numbers: an L2-normalised embedding, stored twice.
//!
//! The f16 master decides, the i8 codes scan. Both are derived once, when the embedding leaves the network, so a score
//! depends on two stored templates and on nothing else. Codes, scale and residual are a pure function of the master
//! in exactly rounded operations, so a store can check them and any machine finds the same ones.
//!
//! # The error of the codes
//! Write a master as `a = â + r_a` with `â = scale_a * codes_a`. Then
//! `a·b - â·b̂ = r_a·b + â·r_b`, and with Cauchy-Schwarz and `|â| <= |a| + |r_a|`
//! `|a·b - â·b̂| <= |r_a| |b| + (|a| + |r_a|) |r_b|`.
//! Rounding to f16 moves each value by at most 2^-11 of itself (2^-25 where subnormal), so a master's norm is at most
//! `n = 1.0005` ([`NORM_BOUND`], checked when a template is made). With `e = n |r|` stored as the residual,
//! `e_a (1 + e_b) + e_b = n|r_a| + n|r_b| + n²|r_a||r_b| >= |r_a| n + (n + |r_a|) |r_b|`,
//! so [`margin`] `= e_a (1 + e_b) + e_b` bounds the error: a scan at `threshold - margin` loses no pair.

use half::f16;

/// Which network made a template. Templates of two models are never compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ModelId(pub String);

/// Largest norm a master may have: 1, and what rounding to f16 can add.
pub const NORM_BOUND: f32 = 1.0005;

/// Most values of an embedding: the integer dot product of two such code vectors still fits an i32, and f32 exactly.
pub const MAX_DIM: usize = 1024;

/// What a scan in f32 adds to [`margin`] for its own rounding: a few ulps of 1 in scaling the integer dot product.
pub const SCAN_SLACK: f32 = 4e-6;

/// One face.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The embedding divided by its L2 norm, rounded to f16: `dim` values.
    pub master: Vec<f16>,
    /// `round(master / scale)`, each in -127..=127: `dim` values.
    pub codes: Vec<i8>,
    /// Largest absolute value of the master divided by 127.
    pub scale: f32,
    /// [`NORM_BOUND`] times the L2 norm of `master - scale * codes`, rounded up: the error of the codes as an
    /// approximation of the master.
    pub residual: f32,
}

/// Why numbers are no template.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadEmbedding {
    /// There are none, or more than [`MAX_DIM`].
    #[error("an embedding has 1 to {MAX_DIM} values, this one has {0}")]
    Length(usize),
    /// One is NaN or infinite.
    #[error("value {0} of the embedding is not finite")]
    NotFinite(usize),
    /// All are zero, or so small that they have no direction.
    #[error("the embedding is zero and has no direction")]
    Zero,
    /// A master read back is not normalised.
    #[error("the norm of the master is {0}, not 1")]
    Norm(f64),
}

impl Template {
    /// Makes a template from a network's output: any length up to [`MAX_DIM`], any norm but zero.
    ///
    /// # Errors
    /// [`BadEmbedding`] for NaN, infinite, zero or empty input: such a face has no template.
    pub fn from_embedding(embedding: &[f32]) -> Result<Template, BadEmbedding> {
        check_length(embedding.len())?;
        if let Some(index) = embedding.iter().position(|v| !v.is_finite()) {
            return Err(BadEmbedding::NotFinite(index));
        }
        // Scaled by the largest value first, so that squares of tiny or huge values neither vanish nor overflow.
        let largest = embedding.iter().fold(0f32, |m, v| m.max(v.abs()));
        if largest < f32::MIN_POSITIVE {
            return Err(BadEmbedding::Zero);
        }
        let scaled = |v: f32| f64::from(v) / f64::from(largest);
        let norm = embedding.iter().map(|&v| scaled(v) * scaled(v)).sum::<f64>().sqrt();
        Self::from_master(embedding.iter().map(|&v| f16::from_f64(scaled(v) / norm)).collect())
    }

    /// Takes a stored master and derives the codes.
    ///
    /// # Errors
    /// [`BadEmbedding`] when the values are not a finite vector of norm 1.
    pub fn from_master(master: Vec<f16>) -> Result<Template, BadEmbedding> {
        check_length(master.len())?;
        if let Some(index) = master.iter().position(|v| !v.is_finite()) {
            return Err(BadEmbedding::NotFinite(index));
        }
        let norm = dot_masters(&master, &master).sqrt();
        if (norm - 1.0).abs() > f64::from(NORM_BOUND - 1.0) {
            return Err(BadEmbedding::Norm(norm));
        }
        let largest = master.iter().fold(0f32, |m, v| m.max(v.to_f32().abs()));
        let scale = largest / 127.0;
        let codes: Vec<i8> = master.iter().map(|v| (v.to_f32() / scale).round().clamp(-127.0, 127.0) as i8).collect();
        // Each difference is exact in f64: a 11-bit value minus a product of 24 and 7 bits of like magnitude.
        let squares: f64 =
            master.iter().zip(&codes).map(|(m, &c)| m.to_f64() - f64::from(scale) * f64::from(c)).map(|d| d * d).sum();
        let residual = round_up(squares.sqrt() * f64::from(NORM_BOUND));
        Ok(Template { master, codes, scale, residual })
    }

    /// Number of values.
    pub fn dim(&self) -> usize {
        self.master.len()
    }
}

fn check_length(length: usize) -> Result<(), BadEmbedding> {
    if length == 0 || length > MAX_DIM { Err(BadEmbedding::Length(length)) } else { Ok(()) }
}

/// The next f32 above, with room for the rounding of the f64 sum it comes from.
fn round_up(value: f64) -> f32 {
    ((value * (1.0 + 1e-12)) as f32).next_up()
}

/// Dot product of two masters of one length, the same bits on every machine.
///
/// A product of two f16 has 22 significant bits and is exact in f64; the sums run in eight lanes, element `i` in lane
/// `i mod 8`, and the lanes are added as a fixed tree. Whether a compiler fuses the multiplication changes nothing.
fn dot_masters(a: &[f16], b: &[f16]) -> f64 {
    let mut lanes = [0f64; 8];
    let (a_head, a_tail) = a.as_chunks::<8>();
    let (b_head, b_tail) = b.as_chunks::<8>();
    for (x, y) in a_head.iter().zip(b_head) {
        for lane in 0..8 {
            lanes[lane] += x[lane].to_f64() * y[lane].to_f64();
        }
    }
    for (lane, (x, y)) in a_tail.iter().zip(b_tail).enumerate() {
        lanes[lane] += x.to_f64() * y.to_f64();
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// Cosine similarity of two masters of one length, -1..=1: the number that decides, see [`dot_masters`] for its bits.
pub fn similarity_of_masters(a: &[f16], b: &[f16]) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    // Clamped, for two masters of norm 1.0005 could otherwise be more alike than a face is to itself.
    (dot_masters(a, b) as f32).clamp(-1.0, 1.0)
}

/// Cosine similarity of two templates of one model, -1..=1, from their masters.
pub fn similarity(a: &Template, b: &Template) -> f32 {
    similarity_of_masters(&a.master, &b.master)
}

/// Largest error of `scale_a * scale_b * codes_a·codes_b` as an approximation of the similarity, from the two
/// residuals; the module says why.
pub fn margin(residual_a: f32, residual_b: f32) -> f32 {
    (residual_a * (1.0 + residual_b) + residual_b) * (1.0 + 1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn approximate(a: &Template, b: &Template) -> f32 {
        let dot: i32 = a.codes.iter().zip(&b.codes).map(|(&x, &y)| i32::from(x) * i32::from(y)).sum();
        dot as f32 * a.scale * b.scale
    }

    #[test]
    fn what_has_no_direction_is_refused() {
        assert_eq!(Template::from_embedding(&[]), Err(BadEmbedding::Length(0)));
        assert_eq!(Template::from_embedding(&[0.0; 8]), Err(BadEmbedding::Zero));
        assert_eq!(Template::from_embedding(&[1.0, f32::NAN]), Err(BadEmbedding::NotFinite(1)));
        assert_eq!(Template::from_embedding(&[f32::INFINITY, 1.0]), Err(BadEmbedding::NotFinite(0)));
        assert_eq!(Template::from_embedding(&vec![1.0; MAX_DIM + 1]), Err(BadEmbedding::Length(MAX_DIM + 1)));
        assert!(matches!(Template::from_master(vec![f16::from_f32(0.5); 2]), Err(BadEmbedding::Norm(_))));
    }

    #[test]
    fn tiny_and_huge_embeddings_have_a_direction() {
        for factor in [1e-36, 1.0, 1e36] {
            let t = Template::from_embedding(&[3.0 * factor, 4.0 * factor]).unwrap();
            assert_eq!(t.master, [f16::from_f32(0.6), f16::from_f32(0.8)]);
            assert_eq!(t.codes, [95, 127]);
        }
    }

    #[test]
    fn the_bits_of_a_similarity_are_these() {
        // Golden: any change of the order of arithmetic changes every store's verdicts.
        let noise = |seed: u32| -> Vec<f32> {
            let mut state = seed;
            std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 24) as f32 - 0.4
            })
            .take(131)
            .collect()
        };
        let a = Template::from_embedding(&noise(1)).unwrap();
        let b = Template::from_embedding(&noise(2)).unwrap();
        let exact: f64 = a.master.iter().zip(&b.master).map(|(x, y)| x.to_f64() * y.to_f64()).sum();
        assert!((f64::from(similarity(&a, &b)) - exact).abs() < 1e-7);
        assert_eq!(similarity(&a, &b).to_bits(), similarity(&b, &a).to_bits());
        assert_eq!(similarity(&a, &b).to_bits(), 0x3e39_0f49, "{:#x}", similarity(&a, &b).to_bits());
        assert_eq!(
            (a.scale.to_bits(), a.residual.to_bits()),
            (0x3aae_bd7b, 0x3b8b_ed43),
            "{:#x} {:#x}",
            a.scale.to_bits(),
            a.residual.to_bits()
        );
    }

    proptest! {
        #[test]
        fn the_error_of_the_codes_stays_within_the_margin(
            pair in prop::collection::vec((-1f32..1.0, -1f32..1.0), 1..MAX_DIM),
            spike in 0usize..MAX_DIM, size in 1f32..1000.0, mix in 0f32..1.0,
        ) {
            let mut a: Vec<f32> = pair.iter().map(|p| p.0).collect();
            // From unrelated to nearly identical, and with one value far above the rest: the worst case for codes.
            let spike = spike % a.len();
            a[spike] *= size;
            let b: Vec<f32> = pair.iter().zip(&a).map(|(p, a)| p.1 * mix + a * (1.0 - mix)).collect();
            if let (Ok(a), Ok(b)) = (Template::from_embedding(&a), Template::from_embedding(&b)) {
                let error = (similarity(&a, &b) - approximate(&a, &b)).abs();
                prop_assert!(error <= margin(a.residual, b.residual) + SCAN_SLACK, "{error}");
                prop_assert!(similarity(&a, &a) > 0.998);
            }
        }
    }
}
