//! The memberships of an evaluation: labelled pictures first, drawn people after them, duplicates planted among both.

use std::collections::HashMap;

use rayon::prelude::*;

use super::crowd::{Crowd, Dice};
use super::labelled::{Labelled, values};
use crate::gallery::Member;
use crate::infer::Template;
use crate::infer::template::similarity;
use crate::{Error, Result};

/// Districts of the made-up memberships.
const DISTRICTS: u64 = 50;

/// Members per worker.
const PER_WORKER: u64 = 50;

/// Numbers of drawn people start here.
const DRAWN: u64 = 1 << 32;

/// All memberships that a gallery of any size is cut from.
pub(super) struct Population {
    labelled: Labelled,
    /// Number of each labelled face's person.
    numbers: Vec<u64>,
    crowd: Option<Crowd>,
    duplicates: f64,
    seed: u64,
}

impl Population {
    /// Prepares memberships up to `most`; of the drawn ones a share of `duplicates` shows a drawn person again.
    ///
    /// # Errors
    /// [`Error::Usage`] when people must be drawn and too few are labelled.
    pub(super) fn new(labelled: Labelled, most: usize, duplicates: f64, seed: u64) -> Result<Self> {
        let mut number: HashMap<&str, u64> = HashMap::new();
        let numbers: Vec<u64> = labelled
            .faces
            .iter()
            .map(|face| {
                let next = number.len() as u64;
                *number.entry(&face.person).or_insert(next)
            })
            .collect();
        let crowd = match most > labelled.faces.len() {
            true => Some(Self::crowd(&labelled, &numbers, seed)?),
            false => None,
        };
        Ok(Population { labelled, numbers, crowd, duplicates, seed })
    }

    fn crowd(labelled: &Labelled, numbers: &[u64], seed: u64) -> Result<Crowd> {
        let dim = labelled.faces.first().map_or(0, |face| face.template.dim());
        if labelled.faces.iter().any(|face| face.template.dim() != dim) {
            return Err(Error::usage("--templates", "embeddings of several lengths", "give those of one network"));
        }
        let (mut people, mut mates) = (Vec::new(), Vec::new());
        for (at, face) in labelled.faces.iter().enumerate() {
            // Faces are ordered by person: a person's first picture, and the scores of neighbours.
            match at.checked_sub(1).filter(|&before| numbers[before] == numbers[at]) {
                Some(before) => mates.push(similarity(&labelled.faces[before].template, &face.template)),
                None => people.push(values(&face.template)),
            }
        }
        Crowd::fit(&people, &mates, seed)
    }

    /// How alike the drawn people of one kind are, as fitted.
    pub(super) fn alike(&self) -> Option<f64> {
        self.crowd.as_ref().map(Crowd::alike)
    }

    /// The person of each of the first `size` memberships.
    pub(super) fn persons(&self, size: usize) -> Vec<u64> {
        (0..size).map(|row| self.person(row)).collect()
    }

    fn person(&self, row: usize) -> u64 {
        let Some(drawn) = row.checked_sub(self.labelled.faces.len()) else { return self.numbers[row] };
        DRAWN + self.drawn_person(drawn as u64)
    }

    /// A drawn row's person: the row that first shows him or her.
    fn drawn_person(&self, row: u64) -> u64 {
        let mut dice = Dice::new(self.seed, row, 6);
        match row > 0 && dice.share() < self.duplicates {
            // Chains end at the first row, for each step goes to an earlier one.
            true => self.drawn_person(dice.next() % row),
            false => row,
        }
    }

    /// The picture's name, or of what was drawn the row.
    pub(super) fn picture(&self, row: usize) -> String {
        match self.labelled.faces.get(row) {
            Some(face) => face.picture.clone(),
            None => format!("drawn {row}"),
        }
    }

    /// The first `size` memberships.
    ///
    /// # Errors
    /// [`Error::Bug`] when a template cannot be drawn.
    pub(super) fn rows(&self, size: usize) -> Result<Vec<(Member, Template)>> {
        (0..size)
            .into_par_iter()
            .map(|row| {
                let template = match (self.labelled.faces.get(row), &self.crowd) {
                    (Some(face), _) => face.template.clone(),
                    (None, Some(crowd)) => {
                        let drawn = (row - self.labelled.faces.len()) as u64;
                        crowd.template(self.drawn_person(drawn), drawn)?
                    }
                    (None, None) => return Err(Error::bug("drawing people", "a crowd that was not fitted")),
                };
                Ok((self.member(row), template))
            })
            .collect()
    }

    /// Which of the first `size` memberships are asked about: `count` of them at random.
    pub(super) fn asked(&self, size: usize, count: usize) -> Vec<bool> {
        let mut order: Vec<(u64, usize)> =
            (0..size).map(|row| (Dice::new(self.seed, row as u64, 8).next(), row)).collect();
        order.sort_unstable();
        let mut is_asked = vec![false; size];
        order.iter().take(count).for_each(|&(_, row)| is_asked[row] = true);
        is_asked
    }

    /// The district of each of the first `size` memberships.
    pub(super) fn districts(&self, size: usize) -> Vec<u64> {
        (0..size).map(|row| self.worker(&mut Dice::new(self.seed, row as u64, 7), row) % DISTRICTS).collect()
    }

    fn worker(&self, dice: &mut Dice, row: usize) -> u64 {
        dice.next() % (row as u64 / PER_WORKER + DISTRICTS)
    }

    /// Made-up facts: each membership of any worker and district, whoever it is.
    fn member(&self, row: usize) -> Member {
        let mut dice = Dice::new(self.seed, row as u64, 7);
        let worker = self.worker(&mut dice, row);
        let mut selfie_sha256 = [0; 32];
        selfie_sha256.as_chunks_mut::<8>().0.iter_mut().for_each(|word| *word = dice.next().to_le_bytes());
        Member {
            submission_id: format!("S{row:09}"),
            worker_id: format!("W{worker:06}"),
            district: format!("district-{:02}", worker % DISTRICTS),
            captured_at: 1_700_000_000_000_000 + row as i64 * 1_000_000,
            mobile: None,
            epic: None,
            member_name: None,
            quality: 1.0,
            model: self.labelled.model.clone(),
            selfie_sha256,
            selfie_dhash: dice.next(),
            member_doubt_percent: 0,
        }
    }
}
