//! Numbers that depend on their key alone.
//!
//! Every picture, name and choice has its own generator, keyed by the plan's seed and by what it is for. So the bytes
//! of a row do not depend on the thread that draws it, on the rows before it or on how much fraud stands around it.
//! The generator is xoshiro256++ seeded through SplitMix64 (Blackman and Vigna 2021), written out here because the
//! streams of a library may change between its versions, and a dump must not.

use crate::statistics::SplitMix64;

/// A small fast generator; not for secrets.
#[derive(Debug, Clone)]
pub struct Rng([u64; 4]);

/// What a generator is for: one stream each, so that a new use disturbs no old one.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub enum Use {
    /// The order in which people get their parts.
    Cast = 1,
    /// What a worker is and does.
    Worker,
    /// What a submission shows.
    Slot,
    /// Which earlier row a row repeats.
    Original,
    /// What is behind the people.
    Background,
    /// Where the people stand.
    Layout,
    /// Sensor, exposure, encoder.
    Camera,
    /// A screen or a sheet of paper.
    Recapture,
    /// Names and numbers.
    Facts,
    /// Damage done to bytes.
    Damage,
    /// What members answer.
    Replies,
    /// Where and when workers enrol, and with what phone.
    Field,
}

impl Rng {
    /// The generator of one thing: `what` for, of item `id`, under `seed`.
    pub fn new(seed: u64, what: Use, id: u64) -> Self {
        let by_use = SplitMix64::new(seed).next() ^ (what as u64);
        let by_item = SplitMix64::new(by_use).next() ^ id;
        let mut state = SplitMix64::new(by_item);
        Rng(std::array::from_fn(|_| state.next()))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.0;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform between two numbers.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit() as f32
    }

    /// Uniform in 0..n; 0 if `n` is 0. The bias of the multiplication is below 2^-32 for any n used here.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// About normal, mean 0, standard deviation 1: the sum of eight bytes, cheap enough for every pixel of a frame.
    pub fn normal(&mut self) -> f32 {
        let sum: u32 = self.bits().to_le_bytes().iter().map(|&b| u32::from(b)).sum();
        // A byte has mean 127.5 and variance (256^2 - 1) / 12; eight of them have a deviation of 209.02.
        (sum as f32 - 1020.0) / 209.02
    }

    /// Fisher-Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for k in (1..items.len()).rev() {
            items.swap(k, self.below(k + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_use_and_item() {
        let first = |seed, what, id| Rng::new(seed, what, id).bits();
        let all = [
            first(1, Use::Slot, 1),
            first(2, Use::Slot, 1),
            first(1, Use::Cast, 1),
            first(1, Use::Slot, 2),
            first(0, Use::Slot, 0),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_eq!(first(1, Use::Slot, 1), all[0]);
    }

    #[test]
    fn moments_are_right() {
        let mut rng = Rng::new(7, Use::Facts, 0);
        let n = 20_000;
        let (mut sum, mut squares, mut units) = (0.0f64, 0.0f64, 0.0);
        for _ in 0..n {
            let x = f64::from(rng.normal());
            sum += x;
            squares += x * x;
            units += rng.unit();
        }
        assert!((sum / f64::from(n)).abs() < 0.03);
        assert!((squares / f64::from(n) - 1.0).abs() < 0.05);
        assert!((units / f64::from(n) - 0.5).abs() < 0.02);
        assert!((0..1000).all(|_| rng.below(7) < 7));
    }

    #[test]
    fn shuffling_keeps_everything() {
        let mut items: Vec<u32> = (0..100).collect();
        Rng::new(3, Use::Cast, 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
