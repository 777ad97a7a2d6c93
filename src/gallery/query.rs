//! What is asked of a gallery, and what it answers.

use std::cmp::Ordering;

use super::member::Facts;
use crate::infer::{ModelId, Template};

/// A face to look for.
#[derive(Debug, Clone, Copy)]
pub struct Probe<'a> {
    /// The face.
    pub template: &'a Template,
    /// The network that made the template; rows of other models are not compared.
    pub model: &'a ModelId,
    /// Rows that are no answer for this probe.
    pub filter: Filter<'a>,
}

/// Which rows are no answer. Empty: all rows are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter<'a> {
    /// Leaves out rows of this submission: a probe's own row in the gallery.
    pub not_submission: Option<&'a str>,
    /// Leaves out rows that this worker submitted.
    pub not_worker: Option<&'a str>,
    /// Leaves out rows of this district.
    pub not_district: Option<&'a str>,
    /// Leaves out rows of other districts.
    pub only_district: Option<&'a str>,
}

impl Filter<'_> {
    pub(super) fn lets_pass(&self, facts: &Facts, row: usize) -> bool {
        self.not_submission.is_none_or(|id| facts.submission_id(row) != id)
            && self.not_worker.is_none_or(|id| facts.worker_id(row) != id)
            && self.not_district.is_none_or(|name| facts.district(row) != name)
            && self.only_district.is_none_or(|name| facts.district(row) == name)
    }
}

/// How many answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Want {
    /// Every row at least this similar.
    Above(f32),
    /// The same, thinned out where a face is there very often.
    AboveThinned {
        /// No answer is less similar than this.
        floor: f32,
        /// What stays.
        thinning: Thinning,
    },
    /// The `count` most similar rows, ties to the lower row number.
    Top {
        /// Most answers per probe.
        count: usize,
        /// No answer is less similar than this.
        floor: f32,
    },
}

/// Who is enrolled twenty thousand times makes two hundred million pairs with himself, and none of them says more than the
/// few that hold them together. So of a row with very many rows that are beyond doubt the same face the most similar ones
/// are answers, and the first: answers grow with the rows, not with their square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thinning {
    /// Rows at least this similar are the same face beyond doubt.
    pub sure: f32,
    /// Most of those that are answers, besides the first.
    pub most: usize,
}

impl Thinning {
    /// Of the hits of each probe, in the order of all answers, those that stay.
    fn hits(&self, hits: &[Hit]) -> Vec<Hit> {
        let mut kept = Vec::with_capacity(hits.len());
        for of_probe in hits.chunk_by(|a, b| a.probe == b.probe) {
            let sure = of_probe.partition_point(|hit| hit.similarity >= self.sure);
            let first = of_probe[..sure].iter().map(|hit| hit.row).min();
            let stays = |at: usize| at < self.most || at >= sure || Some(of_probe[at].row) == first;
            kept.extend((0..of_probe.len()).filter(|&at| stays(at)).map(|at| of_probe[at]));
        }
        kept
    }

    /// Of pairs in order of the first row, with all later rows of each, those that stay. `is_joined` tells of each row whether a
    /// pair that stayed joins it to an earlier one: every row that has such a pair keeps one.
    pub(super) fn pairs(&self, pairs: &[Pair], is_joined: &mut [bool]) -> Vec<Pair> {
        let mut kept = Vec::with_capacity(pairs.len());
        for of_row in pairs.chunk_by(|a, b| a.first == b.first) {
            let is_sure = |at: usize| of_row[at].similarity >= self.sure;
            let mut nearest: Vec<usize> = (0..of_row.len()).filter(|&at| is_sure(at)).collect();
            if nearest.len() > self.most {
                let order =
                    |a: &usize, b: &usize| of_row[*b].similarity.total_cmp(&of_row[*a].similarity).then(a.cmp(b));
                nearest.select_nth_unstable_by(self.most, order);
                nearest.truncate(self.most);
                nearest.sort_unstable();
            }
            for (at, pair) in of_row.iter().enumerate() {
                let is_joined = &mut is_joined[pair.second as usize];
                if !is_sure(at) || !*is_joined || nearest.binary_search(&at).is_ok() {
                    *is_joined |= is_sure(at);
                    kept.push(*pair);
                }
            }
        }
        kept
    }
}

/// An answer: one row for one probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Position in the list of probes.
    pub probe: u32,
    /// Row of the gallery.
    pub row: u32,
    /// Cosine similarity of the two masters.
    pub similarity: f32,
}

impl Hit {
    /// The order of all answers: by probe, most similar first, then by row.
    pub(super) fn order(&self, other: &Hit) -> Ordering {
        self.probe.cmp(&other.probe).then(other.similarity.total_cmp(&self.similarity)).then(self.row.cmp(&other.row))
    }
}

/// Two rows of one gallery that are alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The lower row number.
    pub first: u32,
    /// The higher row number.
    pub second: u32,
    /// Cosine similarity of the two masters.
    pub similarity: f32,
}

/// Sorts hits into the order of all answers and keeps the wanted ones of each probe.
pub(super) fn settle(mut hits: Vec<Hit>, want: Want) -> Vec<Hit> {
    hits.sort_unstable_by(Hit::order);
    if let Want::AboveThinned { thinning, .. } = want {
        hits = thinning.hits(&hits);
    }
    if let Want::Top { count, .. } = want {
        let (mut probe, mut rank) = (u32::MAX, 0);
        hits.retain(|hit| {
            rank = if hit.probe == probe { rank + 1 } else { 1 };
            probe = hit.probe;
            rank <= count
        });
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    const THINNING: Thinning = Thinning { sure: 0.8, most: 3 };

    #[test]
    fn of_a_face_that_is_there_very_often_the_nearest_and_the_first_are_answers() {
        let hit = |probe, row, similarity| Hit { probe, row, similarity };
        let mut hits: Vec<Hit> = (0..20).map(|row| hit(0, row, 0.8 + 0.01 * row as f32)).collect();
        hits.extend([hit(0, 30, 0.5), hit(0, 31, 0.79), hit(1, 4, 0.9), hit(1, 5, 0.9), hit(1, 6, 0.9)]);
        let kept = settle(hits, Want::AboveThinned { floor: 0.4, thinning: THINNING });
        let rows: Vec<(u32, u32)> = kept.iter().map(|hit| (hit.probe, hit.row)).collect();
        assert_eq!(rows, [(0, 19), (0, 18), (0, 17), (0, 0), (0, 31), (0, 30), (1, 4), (1, 5), (1, 6)]);
    }

    #[test]
    fn pairs_grow_with_rows_and_hold_everybody_together() {
        // Fifty pictures of one face, all equally alike, one other who is alike, and two of somebody else.
        let all = (0..50u32).flat_map(|first| {
            let mates = (first + 1..50).map(move |second| Pair { first, second, similarity: 0.9 });
            mates.chain([Pair { first, second: 60, similarity: 0.6 }])
        });
        let all: Vec<Pair> = all.chain([Pair { first: 70, second: 71, similarity: 0.95 }]).collect();
        let mut is_joined = vec![false; 80];
        // In two panels, as a search hands them over.
        let (one, other) = all.split_at(all.partition_point(|pair| pair.first < 20));
        let kept = [THINNING.pairs(one, &mut is_joined), THINNING.pairs(other, &mut is_joined)].concat();
        let mates: Vec<&Pair> = kept.iter().filter(|pair| pair.similarity == 0.9).collect();
        assert!(mates.len() <= 50 + 3 * 50, "{}", mates.len());
        for row in 1..50 {
            assert!(mates.iter().any(|pair| pair.second == row), "{row} is joined to an earlier one");
        }
        assert_eq!(kept.len() - mates.len(), 51, "what is not beyond doubt stays");
    }
}
