//! What seeing costs, stage by stage, in processor time, and how long its threads were at it.
//!
//! Processor time of the working thread first: on a machine that is shared, only that says what a stage costs. Of a stage that
//! runs on a device it says nothing, for the thread waits; there the time by the clock counts. A reading takes well below a
//! microsecond and is made a few times per group of pictures.

use std::sync::atomic::{AtomicU64, Ordering};

use std::time::Instant;

use cpu_time::ThreadTime;
use serde::Serialize;

/// The stages of seeing a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Checking and decoding.
    Decode,
    /// Hashes, miniature, thumbnail, background.
    Fingerprint,
    /// Resizing for the detector, the detector, boxes.
    Detect,
    /// Cutting out faces, turned upright.
    Align,
    /// Grain, cutting out for liveness, and its network.
    Liveness,
    /// The embedder.
    Embed,
    /// Quality of the crops, templates.
    Quality,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Stage; 7] =
        [Stage::Decode, Stage::Fingerprint, Stage::Detect, Stage::Align, Stage::Liveness, Stage::Embed, Stage::Quality];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Decode => "decode",
            Stage::Fingerprint => "fingerprint",
            Stage::Detect => "detect",
            Stage::Align => "align",
            Stage::Liveness => "liveness",
            Stage::Embed => "embed",
            Stage::Quality => "quality",
        }
    }
}

/// Sums over all threads.
#[derive(Debug, Default)]
pub struct StageClock {
    nanoseconds: [AtomicU64; Stage::ALL.len()],
    elapsed: [AtomicU64; Stage::ALL.len()],
    pictures: AtomicU64,
    faces: AtomicU64,
}

/// The sums at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Spent {
    /// Pictures that could be decoded and were looked at.
    pub pictures: u64,
    /// Faces whose liveness and template were taken.
    pub faces: u64,
    /// Processor seconds by stage, in the order of [`Stage::ALL`].
    pub stages: Vec<(&'static str, f64)>,
    /// Seconds by the clock, summed over the threads that worked or waited, in the same order.
    pub elapsed: Vec<(&'static str, f64)>,
}

impl StageClock {
    /// Counts pictures and the faces read in them.
    pub fn count(&self, pictures: usize, faces: usize) {
        self.pictures.fetch_add(pictures as u64, Ordering::Relaxed);
        self.faces.fetch_add(faces as u64, Ordering::Relaxed);
    }

    /// A stopwatch for the thread that asks.
    pub fn start(&self) -> Lap<'_> {
        Lap { clock: self, since: ThreadTime::now(), at: Instant::now() }
    }

    /// The sums so far.
    pub fn spent(&self) -> Spent {
        let seconds = |sums: &[AtomicU64], stage: &Stage| sums[*stage as usize].load(Ordering::Relaxed) as f64 / 1e9;
        let all = |sums: &[AtomicU64]| Stage::ALL.iter().map(|stage| (stage.name(), seconds(sums, stage))).collect();
        Spent {
            pictures: self.pictures.load(Ordering::Relaxed),
            faces: self.faces.load(Ordering::Relaxed),
            stages: all(&self.nanoseconds),
            elapsed: all(&self.elapsed),
        }
    }
}

impl Spent {
    /// What was spent since an earlier moment.
    #[must_use]
    pub fn since(&self, earlier: &Spent) -> Spent {
        type Sums = [(&'static str, f64)];
        let since = |now: &Sums, then: &Sums| {
            let before = |i: usize| then.get(i).map_or(0.0, |stage| stage.1);
            now.iter().enumerate().map(|(i, &(name, s))| (name, s - before(i))).collect()
        };
        Spent {
            pictures: self.pictures - earlier.pictures,
            faces: self.faces - earlier.faces,
            stages: since(&self.stages, &earlier.stages),
            elapsed: since(&self.elapsed, &earlier.elapsed),
        }
    }
}

/// A stopwatch of one thread.
#[derive(Debug)]
pub struct Lap<'a> {
    clock: &'a StageClock,
    since: ThreadTime,
    at: Instant,
}

impl Lap<'_> {
    /// Books the time since the last call, or since the start, on a stage.
    pub fn book(&mut self, stage: Stage) {
        let (now, at) = (ThreadTime::now(), Instant::now());
        let spent = now.duration_since(self.since).as_nanos() as u64;
        let elapsed = at.duration_since(self.at).as_nanos() as u64;
        self.clock.nanoseconds[stage as usize].fetch_add(spent, Ordering::Relaxed);
        self.clock.elapsed[stage as usize].fetch_add(elapsed, Ordering::Relaxed);
        (self.since, self.at) = (now, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_booked_where_it_was_spent() {
        let clock = StageClock::default();
        let mut lap = clock.start();
        std::thread::sleep(std::time::Duration::from_millis(20));
        lap.book(Stage::Detect);
        let mut sum = 0u64;
        let enough = ThreadTime::now();
        while enough.elapsed().as_millis() < 3 {
            sum = std::hint::black_box(sum + 1);
        }
        lap.book(Stage::Embed);
        lap.book(Stage::Decode);
        clock.count(2, 3);
        let first = clock.spent();
        let of = |spent: &Spent, stage: Stage| spent.stages[stage as usize].1;
        assert!(of(&first, Stage::Embed) >= 0.003 && of(&first, Stage::Decode) < of(&first, Stage::Embed));
        assert!(of(&first, Stage::Detect) < 0.015, "who waits costs no processor");
        assert!(first.elapsed[Stage::Detect as usize].1 >= 0.02, "but time");
        assert_eq!((first.pictures, first.faces), (2, 3));
        clock.count(1, 0);
        let later = clock.spent().since(&first);
        assert_eq!((later.pictures, later.faces, of(&later, Stage::Embed)), (1, 0, 0.0));
        assert!(Stage::ALL.iter().enumerate().all(|(i, &stage)| stage as usize == i));
    }
}
