//! The curves that ship with the program: how similar different people are, and one person's pictures.

use super::rate::FalseMatchRate;
use crate::infer::ModelId;

/// Pairs of different people behind each shipped curve: rarer than one of so many was not seen.
pub const PAIRS: f64 = 29_640_707.0;

/// A curve measured once and shipped, for galleries too small to show one of their own.
///
/// Measured on all 29,640,707 pairs of different people among the 7,701 pictures of the LFW pairs (4,281 people), the
/// reference detector, alignment and network, one template a picture. Left out are 17 pairs of names that are one
/// person under two names, one picture under two names, or twins, seen by eye among the pairs above 0.5 of either
/// network; `weights/measure_prior.py` lists such pairs and measures the curves again.
///
/// Among the 81 pictures of South Asian people the false-match rate at a given similarity is 4 to 6 times (SFace) and
/// about 4 times (MobileFaceNet-192) that of all pairs. Hence the upper bound of ten times, and the preference for a
/// curve fitted on the run's own scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// Name and origin, for `run.json`.
    pub name: &'static str,
    /// Similarity and log10 of the false-match rate down to 1e-6, similarity ascending; quantiles as measured. Beyond, the
    /// normal deviate goes on as a line; at 1e-7, three pairs, it is within 0.012 of cosine.
    pub strangers: &'static [(f32, f64)],
    /// Similarity and the share of mated pairs below it (FNMR), both ascending; 8,101 pairs.
    pub mates: &'static [(f32, f64)],
}

/// Decades that an unseen population may add to a shipped curve.
pub(super) const UPPER_LOG10: f64 = 1.0;

impl Prior {
    /// The false-match rate as measured.
    pub fn rate(&self) -> FalseMatchRate {
        FalseMatchRate::from_points(self.strangers, 0.0)
    }

    /// Whether it was measured for this very network.
    pub fn is_of_this_network(&self) -> bool {
        self.name != UNMEASURED
    }

    /// Share of mated pairs that are less similar (FNMR, ISO/IEC 19795-1): between the measured quantiles linear, beyond
    /// them 0 and 1.
    pub fn fnmr(&self, similarity: f32) -> f64 {
        match (self.mates.first(), self.mates.last()) {
            (Some(first), _) if similarity < first.0 => 0.0,
            (_, Some(last)) if similarity > last.0 => 1.0,
            (Some(_), Some(_)) => {
                let at = self.mates.partition_point(|&(x, _)| x <= similarity).clamp(1, self.mates.len() - 1);
                let (low, high) = (self.mates[at - 1], self.mates[at]);
                low.1 + (high.1 - low.1) * f64::from((similarity - low.0) / (high.0 - low.0))
            }
            _ => f64::NAN,
        }
    }

    /// Density of mated scores at a similarity, per unit of cosine: the slope of the measured quantiles, spread evenly
    /// beyond the first and last.
    pub fn mated_density(&self, similarity: f32) -> f64 {
        let points = self.mates;
        let at = points.partition_point(|&(x, _)| x <= similarity);
        match (at.checked_sub(1).and_then(|below| points.get(below)), points.get(at)) {
            (Some(low), Some(high)) => (high.1 - low.1) / f64::from(high.0 - low.0),
            (None, Some(first)) => first.1 / f64::from(first.0 + 1.0),
            (Some(last), None) => (1.0 - last.1) / f64::from((1.0 - last.0).max(1e-3)),
            (None, None) => 0.0,
        }
    }
}

const UNMEASURED: &str = "not measured for this network; the most cautious of the measured";

/// The curve of a network: by its name (what stands before the colon of an id like `sface:ab2338f1932b`), or for a
/// network that was never measured the most cautious of all.
pub fn of(model: &ModelId) -> Prior {
    match model.0.split(':').next().unwrap_or_default() {
        "sface" => SFACE,
        "mobilefacenet192" => MOBILEFACENET192,
        "sface+mobilefacenet192" => BOTH,
        _ => Prior { name: UNMEASURED, ..MOBILEFACENET192 },
    }
}

/// SFace, 128-d.
#[rustfmt::skip]
pub const SFACE: Prior = Prior {
    name: "sface on LFW",
    strangers: &[
        (-1.0, -1e-9), (-0.1652, -0.001), (-0.0921, -0.01), (-0.0243, -0.05), (0.0122, -0.1), (0.0555, -0.2),
        (0.0849, -0.3), (0.1276, -0.5), (0.167, -0.75), (0.1987, -1.0), (0.2256, -1.25), (0.2494, -1.5),
        (0.271, -1.75), (0.2908, -2.0), (0.3091, -2.25), (0.3264, -2.5), (0.3425, -2.75), (0.3582, -3.0),
        (0.3731, -3.25), (0.3871, -3.5), (0.401, -3.75), (0.4144, -4.0), (0.4633, -5.0), (0.5069, -6.0),
    ],
    mates: &[
        (0.1139, 0.0005), (0.1629, 0.001), (0.2081, 0.002), (0.2756, 0.005), (0.3443, 0.01), (0.4012, 0.02),
        (0.4398, 0.035), (0.4645, 0.05), (0.4935, 0.075), (0.5173, 0.1), (0.5478, 0.15), (0.5725, 0.2), (0.6097, 0.3),
        (0.638, 0.4), (0.6655, 0.5), (0.6899, 0.6), (0.7149, 0.7), (0.7439, 0.8), (0.7829, 0.9), (0.8134, 0.95),
        (0.8463, 0.98), (0.8655, 0.99), (0.8845, 0.995), (0.9158, 0.999),
    ],
};

/// MobileFaceNet, 192-d.
#[rustfmt::skip]
#[allow(clippy::approx_constant)] // 0.7854 is a measured quantile and not a quarter of pi
pub const MOBILEFACENET192: Prior = Prior {
    name: "mobilefacenet192 on LFW",
    strangers: &[
        (-1.0, -1e-9), (-0.3796, -0.001), (-0.2717, -0.01), (-0.1667, -0.05), (-0.1083, -0.1), (-0.0381, -0.2),
        (0.0102, -0.3), (0.0809, -0.5), (0.1463, -0.75), (0.1987, -1.0), (0.243, -1.25), (0.2818, -1.5),
        (0.3165, -1.75), (0.3479, -2.0), (0.3767, -2.25), (0.4033, -2.5), (0.428, -2.75), (0.4509, -3.0),
        (0.4727, -3.25), (0.4931, -3.5), (0.5129, -3.75), (0.5313, -4.0), (0.5939, -5.0), (0.6455, -6.0),
    ],
    mates: &[
        (0.041, 0.0005), (0.154, 0.001), (0.1935, 0.002), (0.3114, 0.005), (0.3668, 0.01), (0.4384, 0.02),
        (0.4812, 0.035), (0.5097, 0.05), (0.5422, 0.075), (0.569, 0.1), (0.6056, 0.15), (0.6342, 0.2), (0.6742, 0.3),
        (0.707, 0.4), (0.734, 0.5), (0.7594, 0.6), (0.7854, 0.7), (0.8135, 0.8), (0.8482, 0.9), (0.8733, 0.95),
        (0.8956, 0.98), (0.9131, 0.99), (0.9271, 0.995), (0.9529, 0.999),
    ],
};

/// SFace and MobileFaceNet-192 as one template, 0.8 and 0.2 of the squared norm, 320-d.
#[rustfmt::skip]
pub const BOTH: Prior = Prior {
    name: "sface+mobilefacenet192 on LFW",
    strangers: &[
        (-1.0, -1e-9), (-0.1768, -0.001), (-0.106, -0.01), (-0.0394, -0.05), (-0.0033, -0.1), (0.0398, -0.2),
        (0.0694, -0.3), (0.1126, -0.5), (0.1529, -0.75), (0.1854, -1.0), (0.2135, -1.25), (0.2385, -1.5),
        (0.2612, -1.75), (0.2822, -2.0), (0.3017, -2.25), (0.3201, -2.5), (0.3377, -2.75), (0.3543, -3.0),
        (0.3704, -3.25), (0.3852, -3.5), (0.3999, -3.75), (0.4145, -4.0), (0.4663, -5.0), (0.5156, -6.0),
    ],
    mates: &[
        (0.093, 0.0005), (0.1596, 0.001), (0.2187, 0.002), (0.2877, 0.005), (0.3623, 0.01), (0.4125, 0.02),
        (0.4561, 0.035), (0.4798, 0.05), (0.5088, 0.075), (0.5304, 0.1), (0.5635, 0.15), (0.5866, 0.2), (0.6241, 0.3),
        (0.6516, 0.4), (0.678, 0.5), (0.7023, 0.6), (0.7277, 0.7), (0.7549, 0.8), (0.7923, 0.9), (0.8233, 0.95),
        (0.8549, 0.98), (0.8725, 0.99), (0.893, 0.995), (0.9246, 0.999),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_known_by_the_name_in_its_id() {
        assert_eq!(of(&ModelId("sface:ab2338f1932b".into())).name, SFACE.name);
        assert_eq!(of(&ModelId("mobilefacenet192:fdfa97da57e7".into())).name, MOBILEFACENET192.name);
        assert_eq!(of(&ModelId("sface+mobilefacenet192:1".into())).name, BOTH.name);
        assert!(of(&ModelId("arcface:0".into())).name.contains("not measured"));
    }

    #[test]
    fn shipped_curves_fall_and_join() {
        for prior in [SFACE, MOBILEFACENET192, BOTH] {
            assert!(prior.strangers.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 > w[1].1), "{}", prior.name);
            assert!(prior.mates.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1), "{}", prior.name);
            let model = prior.model(0);
            let mut last = 1.0;
            for k in 0..=2000 {
                let s = k as f32 / 1000.0 - 1.0;
                let (rate, upper) = (model.fmr(s), model.fmr_upper(s));
                assert!(
                    rate > 0.0 && rate <= last && upper >= rate && upper <= 1.0,
                    "{} at {s}: {rate} {upper}",
                    prior.name
                );
                last = rate;
            }
        }
    }

    #[test]
    fn the_far_end_agrees_with_what_was_measured_there() {
        // A quantile of the 29.6 million pairs that is not among the points.
        for (prior, points) in
            [(SFACE, [(-7.0, 0.5522)]), (MOBILEFACENET192, [(-7.0, 0.7043)]), (BOTH, [(-7.0, 0.556)])]
        {
            for (log10, similarity) in points {
                let found = prior.model(0).rate().inverse(10f64.powf(log10));
                assert!((found - similarity).abs() < 0.015, "{} at 1e{log10}: {found}", prior.name);
            }
        }
    }

    #[test]
    fn the_inverse_is_the_least_similarity_with_that_rate() {
        let model = SFACE.model(0);
        for rate in [0.5, 1e-2, 1e-4, 1e-8, 1e-14] {
            let at = model.rate().inverse(rate);
            assert!(model.fmr(at) <= rate * 1.0001 && model.fmr(at - 0.002) > rate, "{rate}: {at}");
        }
        assert_eq!(model.rate().inverse(0.0), 1.0);
        assert_eq!(model.fmr(f32::NAN), 1.0);
        assert_eq!(model.rate().inverse(1.0), -1.0);
    }
}
