//! The queue of a run: persons in the order in which they are worth a look, and the flagged pairs of each.
//!
//! `review.parquet` lists persons; people decide about pairs. A person of `n` memberships is held together by `n - 1`
//! pairs, so as long as all are the same person no more is asked. When two are told apart, the flagged pairs that still
//! hold the rest together come up. After the persons come flagged pairs between two persons that are none.

use std::collections::HashMap;
use std::path::Path;

use super::tables;
use crate::Result;
use crate::decisions::{Answer, PairKey, Side};

/// One person of the queue, or the pairs that belong to nobody.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// Place in the queue, from 1; 0 for pairs between persons.
    pub rank: u64,
    /// The cluster.
    pub cluster_id: String,
    /// How grave it is, as `review.parquet` has it.
    pub worth: String,
    /// Memberships.
    pub size: usize,
    /// Districts, each once.
    pub districts: Vec<String>,
    /// Its flagged pairs, surest first.
    pub pairs: Vec<Pair>,
}

/// A flagged pair.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The one, always of the run's own dump.
    pub a: Member,
    /// The other.
    pub b: Member,
    /// By what decisions know it.
    pub key: PairKey,
    /// A name for it that says nothing about it; the desk gives it.
    pub id: String,
    /// Whether two people are asked; the desk says.
    pub second: bool,
    /// Cosine.
    pub similarity: f64,
    /// How many pairs as similar the gallery would hold by chance.
    pub expected_false_matches: f64,
    /// Probability that the two are different people.
    pub probability_false: f64,
    /// The grade in the table of pairs; `None` where chance is the likelier.
    pub grade: Option<String>,
    /// The parts, as text.
    pub evidence: String,
}

/// One side of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Which membership.
    pub side: Side,
    /// Where it was enrolled.
    pub district: String,
}

/// The queue of a run.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    /// Most valuable first.
    pub persons: Vec<Person>,
}

const PAIR_COLUMNS: [&str; 14] = [
    "submission_a",
    "submission_b",
    "similarity",
    "expected_false_matches",
    "probability_false",
    "grade",
    "evidence",
    "worker_a",
    "worker_b",
    "district_a",
    "district_b",
    "captured_at_a",
    "captured_at_b",
    "earlier_night",
];

impl Queue {
    /// Reads `review.parquet`, `clusters.parquet` and `pairs.parquet` of a run folder.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when one of them cannot be read.
    pub fn read(run: &Path) -> Result<Queue> {
        let mut persons = Vec::new();
        let mut of: HashMap<String, Vec<usize>> = HashMap::new();
        let columns = ["rank", "cluster_id", "worth", "submissions", "districts"];
        tables::read(&run.join("review.parquet"), &columns, |rows| {
            let (ranks, ids, worths) = (rows.integers("rank")?, rows.words("cluster_id")?, rows.words("worth")?);
            let (submissions, districts) = (rows.lists("submissions")?, rows.lists("districts")?);
            for at in 0..rows.len() {
                for id in &submissions[at] {
                    of.entry(id.clone()).or_default().push(persons.len());
                }
                persons.push(Person {
                    rank: ranks[at].unsigned_abs(),
                    cluster_id: ids[at].clone(),
                    worth: worths[at].clone(),
                    size: submissions[at].len(),
                    districts: districts[at].clone(),
                    pairs: Vec::new(),
                });
            }
            Ok(())
        })?;
        let mut clusters: HashMap<String, Vec<String>> = HashMap::new();
        tables::read(&run.join("clusters.parquet"), &["cluster_id", "submissions"], |rows| {
            for (id, submissions) in rows.words("cluster_id")?.into_iter().zip(rows.lists("submissions")?) {
                submissions.into_iter().for_each(|s| clusters.entry(s).or_default().push(id.clone()));
            }
            Ok(())
        })?;
        let mut between = Person { worth: "between_persons".into(), ..Person::default() };
        for pair in pairs(&run.join("pairs.parquet"))? {
            let common = |map: &HashMap<String, Vec<usize>>| -> Option<usize> {
                let other = map.get(&pair.b.side.submission)?;
                map.get(&pair.a.side.submission)?.iter().copied().find(|p| other.contains(p))
            };
            match common(&of) {
                Some(person) => persons[person].pairs.push(pair),
                None if !share_one(&clusters, &pair) => between.pairs.push(pair),
                // Of a person that the run's budget left out.
                None => {}
            }
        }
        persons.push(between);
        for person in &mut persons {
            person.pairs.sort_by(|x, y| {
                let by_doubt = x.probability_false.total_cmp(&y.probability_false);
                by_doubt.then(y.similarity.total_cmp(&x.similarity)).then_with(|| x.key.cmp(&y.key))
            });
        }
        persons.retain(|person| !person.pairs.is_empty());
        Ok(Queue { persons })
    }

    /// Every membership that is in a pair.
    pub fn sides(&self) -> impl Iterator<Item = &Side> {
        self.persons.iter().flat_map(|person| &person.pairs).flat_map(|pair| [&pair.a.side, &pair.b.side])
    }
}

impl Person {
    /// The pairs to ask about, in order, where `answer` says what stands: whoever is joined by pairs that are the same
    /// person, or that nobody has decided yet, needs no further pair. Decided ones are always among them.
    pub fn asked(&self, answer: &dyn Fn(&Pair) -> Option<Answer>) -> Vec<usize> {
        let name = |member: &Member| {
            let side = &member.side;
            (side.submission.clone(), side.worker.clone(), side.captured_at)
        };
        let mut place: HashMap<(String, String, i64), usize> = HashMap::new();
        let mut ends = Vec::new();
        for pair in &self.pairs {
            let next = place.len();
            let a = *place.entry(name(&pair.a)).or_insert(next);
            let next = place.len();
            let b = *place.entry(name(&pair.b)).or_insert(next);
            ends.push((a, b, answer(pair)));
        }
        let mut parent: Vec<usize> = (0..place.len()).collect();
        let mut join = |a: usize, b: usize| {
            let (a, b) = (root(&parent, a), root(&parent, b));
            parent[a.max(b)] = a.min(b);
            a != b
        };
        for &(a, b, _) in ends.iter().filter(|(_, _, answer)| *answer == Some(Answer::Same)) {
            join(a, b);
        }
        let mut needed = |(a, b, answer): (usize, usize, Option<Answer>)| match answer {
            Some(_) => true,
            None => join(a, b),
        };
        ends.into_iter().enumerate().filter_map(|(index, end)| needed(end).then_some(index)).collect()
    }
}

/// The root of a place in a forest of joined places.
pub fn root(parent: &[usize], mut at: usize) -> usize {
    while parent[at] != at {
        at = parent[at];
    }
    at
}

fn share_one(clusters: &HashMap<String, Vec<String>>, pair: &Pair) -> bool {
    let of = |member: &Member| clusters.get(&member.side.submission);
    of(&pair.a).zip(of(&pair.b)).is_some_and(|(a, b)| a.iter().any(|id| b.contains(id)))
}

fn pairs(path: &Path) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    tables::read(path, &PAIR_COLUMNS, |rows| {
        let [id_a, id_b, evidence, worker_a, worker_b, district_a, district_b] =
            ["submission_a", "submission_b", "evidence", "worker_a", "worker_b", "district_a", "district_b"]
                .map(|name| rows.words(name));
        let (id_a, id_b, evidence, worker_a, worker_b) = (id_a?, id_b?, evidence?, worker_a?, worker_b?);
        let (district_a, district_b) = (district_a?, district_b?);
        let (at_a, at_b) = (rows.times("captured_at_a")?, rows.times("captured_at_b")?);
        let (earlier, similarity) = (rows.flags("earlier_night")?, rows.numbers("similarity")?);
        let (expected, probability) = (rows.numbers("expected_false_matches")?, rows.numbers("probability_false")?);
        let grades = rows.texts("grade")?;
        for row in 0..rows.len() {
            let member = |ids: &[String], workers: &[String], at: &[i64], districts: &[String], earlier_night| Member {
                side: Side {
                    submission: ids[row].clone(),
                    worker: workers[row].clone(),
                    captured_at: at[row],
                    earlier_night,
                },
                district: districts[row].clone(),
            };
            // The first side is of the run's own dump: that is whom the run asked about.
            let a = member(&id_a, &worker_a, &at_a, &district_a, false);
            let b = member(&id_b, &worker_b, &at_b, &district_b, earlier[row]);
            pairs.push(Pair {
                key: PairKey::new(&a.side, &b.side),
                id: String::new(),
                second: false,
                a,
                b,
                similarity: similarity[row],
                expected_false_matches: expected[row],
                probability_false: probability[row],
                grade: grades[row].clone(),
                evidence: evidence[row].clone(),
            });
        }
        Ok(())
    })?;
    Ok(pairs)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A pair of two made-up memberships.
    pub fn pair(a: &str, b: &str, probability_false: f64) -> Pair {
        let member = |id: &str| Member {
            side: Side { submission: id.into(), worker: "W".into(), captured_at: 1, earlier_night: false },
            district: "Ujjain".into(),
        };
        let (a, b) = (member(a), member(b));
        let key = PairKey::new(&a.side, &b.side);
        let (similarity, expected_false_matches) = (0.7, 1e-6);
        let (id, second) = (String::new(), false);
        Pair {
            a,
            b,
            key,
            id,
            second,
            similarity,
            expected_false_matches,
            probability_false,
            grade: None,
            evidence: "face 9.0".into(),
        }
    }

    #[test]
    fn a_person_is_asked_about_by_as_few_pairs_as_hold_it_together() {
        let pairs = vec![pair("a", "b", 0.1), pair("b", "c", 0.2), pair("a", "c", 0.3), pair("c", "d", 0.4)];
        let person = Person { pairs, ..Person::default() };
        let keys: Vec<PairKey> = person.pairs.iter().map(|p| p.key.clone()).collect();
        let asked = |said: &[(usize, Answer)]| {
            person.asked(&|pair| said.iter().find(|(at, _)| keys[*at] == pair.key).map(|(_, answer)| *answer))
        };
        assert_eq!(asked(&[]), [0, 1, 3]);
        assert_eq!(asked(&[(0, Answer::Same), (1, Answer::Same)]), [0, 1, 3]);
        // b and c are two people, so whether a is c is open again.
        assert_eq!(asked(&[(1, Answer::Different)]), [0, 1, 2, 3]);
        assert_eq!(asked(&[(0, Answer::NotSure)]), [0, 1, 2, 3]);
        // Decided pairs stay on the list, needed or not.
        assert_eq!(asked(&[(2, Answer::Same)]), [0, 2, 3]);
    }
}
