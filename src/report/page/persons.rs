//! Persons with two or more memberships, in the order of the review queue, with the pairs that speak for them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use arrow::array::TimestampMicrosecondArray;
use arrow::datatypes::{Float32Type, Float64Type};

use super::scope::Scope;
use crate::Result;
use crate::dump::facts::is_same_name;
use crate::matching::Grade;
use crate::reason::Verdict;
use crate::report::table::{Texts, read, value};

/// Persons that a page lists; the tables have all of them.
const MOST_PERSONS: usize = 10_000;

/// Flagged pairs outside of any person that a page lists.
const MOST_LOOSE: usize = 500;

/// Memberships of one person that a page lists.
const MOST_MEMBERS: usize = 12;

/// Pairs of one person that a page lists.
const MOST_LINKS: usize = 8;

/// The word for a flagged pair whose two sides did not become one person.
pub const LOOSE: &str = "pair";

/// All that the page says of persons.
#[derive(Debug, Default)]
pub struct Persons {
    /// Those listed, most valuable first; loose pairs behind.
    pub listed: Vec<Person>,
    /// Persons of the night.
    pub all: u64,
    /// Flagged pairs whose sides did not become one person.
    pub loose: u64,
    /// Persons by two of their districts, most first.
    pub between: Vec<((String, String), u64)>,
    places: HashMap<String, Vec<(usize, usize)>>,
}

/// One person to look at.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Person {
    /// The cluster; empty for a loose pair.
    pub id: String,
    /// How grave it is: a code of the review queue, or [`LOOSE`].
    pub worth: String,
    /// Probability that a membership is wrongly in it.
    pub probability_false: Option<f64>,
    /// Expected false matches of its weakest link.
    pub expected_false_matches: Option<f64>,
    /// Whether it spans districts.
    pub cross_district: bool,
    /// Memberships in all.
    pub size: usize,
    /// Those listed, earliest first.
    pub members: Vec<Membership>,
    /// Pairs between listed memberships, most similar first.
    pub links: Vec<Link>,
    /// Flagged pairs in all.
    pub all_links: usize,
}

/// One membership of a person.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Membership {
    /// Its submission.
    pub submission: String,
    /// Who sent it.
    pub worker: Option<String>,
    /// From where.
    pub district: Option<String>,
    /// When it was taken, microseconds since 1970-01-01T00:00:00Z.
    pub at: Option<i64>,
    /// Whether it is the earliest of them.
    pub original: bool,
    /// How many memberships of the person under the same id come after it.
    pub later: usize,
    /// What tonight's table says of it; `None` for one of an earlier night.
    pub tonight: Option<RowFact>,
}

/// What the verdict table says of a membership.
#[derive(Debug, Clone, PartialEq)]
pub struct RowFact {
    /// Position in the dump.
    pub row: u64,
    /// The person it belongs to.
    pub cluster: Option<String>,
    /// Its verdict.
    pub verdict: Verdict,
    /// The member's face: left, top, width, height in pixels of the upright selfie.
    pub face: Option<[f32; 4]>,
}

/// A flagged pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Places of its sides among the listed memberships.
    pub sides: (usize, usize),
    /// Cosine.
    pub similarity: f32,
    /// Probability that the two are different people.
    pub probability_false: f64,
    /// The grade in the table of pairs; `None` where chance is the likelier.
    pub grade: Option<String>,
    /// `face 9.1, same worker 1.2, ...`
    pub evidence: String,
    /// What reviewers decided.
    pub decision: Option<String>,
}

/// The columns of one side of the pairs.
struct Side<'a> {
    ids: Texts<'a>,
    workers: Texts<'a>,
    districts: Texts<'a>,
    times: &'a TimestampMicrosecondArray,
}

impl Persons {
    /// Reads review queue, clusters and pairs of a run folder.
    ///
    /// # Errors
    /// [`crate::Error::Input`] for a table that is missing or of another form.
    pub fn read(tables: &Path) -> Result<Persons> {
        let mut persons = Persons::default();
        persons.read_queue(&tables.join("review.parquet"))?;
        persons.read_clusters(&tables.join("clusters.parquet"))?;
        persons.read_pairs(&tables.join("pairs.parquet"))?;
        Ok(persons)
    }

    fn read_queue(&mut self, path: &Path) -> Result<()> {
        let columns = [
            "cluster_id",
            "original",
            "submissions",
            "districts",
            "worth",
            "probability_false",
            "expected_false_matches",
        ];
        read(path, &columns, |batch| {
            let (ids, originals, worths) =
                (batch.texts("cluster_id")?, batch.texts("original")?, batch.texts("worth")?);
            let (submissions, districts) = (batch.lists("submissions")?, batch.lists("districts")?);
            let false_share = batch.numbers::<Float64Type>("probability_false")?;
            let expected = batch.numbers::<Float64Type>("expected_false_matches")?;
            for row in 0..batch.rows().min(MOST_PERSONS.saturating_sub(self.listed.len())) {
                let all = submissions.get(row);
                let mut original = originals.get(row);
                let member = |(at, id): (usize, &&str)| Membership {
                    submission: (*id).to_owned(),
                    original: original.take_if(|o| *o == *id).is_some(),
                    later: all[at + 1..].iter().filter(|other| *other == id).count(),
                    ..Membership::default()
                };
                self.list(Person {
                    id: ids.get(row).unwrap_or_default().to_owned(),
                    worth: worths.get(row).unwrap_or_default().to_owned(),
                    probability_false: value(false_share, row),
                    expected_false_matches: value(expected, row),
                    cross_district: districts.get(row).len() > 1,
                    size: all.len(),
                    members: all.iter().enumerate().take(MOST_MEMBERS).map(member).collect(),
                    ..Person::default()
                });
            }
            Ok(())
        })
    }

    fn list(&mut self, person: Person) {
        let at = self.listed.len();
        for (member, membership) in person.members.iter().enumerate() {
            self.places.entry(membership.submission.clone()).or_default().push((at, member));
        }
        self.listed.push(person);
    }

    fn read_clusters(&mut self, path: &Path) -> Result<()> {
        let mut between: BTreeMap<(String, String), u64> = BTreeMap::new();
        read(path, &["districts"], |batch| {
            let districts = batch.lists("districts")?;
            for row in 0..batch.rows() {
                self.all += 1;
                let mut names = districts.get(row);
                names.sort_unstable();
                for (at, &one) in names.iter().enumerate() {
                    for &other in &names[at + 1..] {
                        *between.entry((one.to_owned(), other.to_owned())).or_default() += 1;
                    }
                }
            }
            Ok(())
        })?;
        self.between = between.into_iter().collect();
        self.between.sort_by(|x, y| y.1.cmp(&x.1).then_with(|| x.0.cmp(&y.0)));
        Ok(())
    }

    fn read_pairs(&mut self, path: &Path) -> Result<()> {
        let columns = [
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
            "decision",
        ];
        // Persons beyond the page have pairs too; only with all persons at hand is a pair without one known to be loose.
        let complete = self.listed.len() as u64 == self.all;
        read(path, &columns, |batch| {
            let side = |x: &str| -> Result<_> {
                Ok(Side {
                    ids: batch.texts(&format!("submission_{x}"))?,
                    workers: batch.texts(&format!("worker_{x}"))?,
                    districts: batch.texts(&format!("district_{x}"))?,
                    times: batch.numbers(&format!("captured_at_{x}"))?,
                })
            };
            let (a, b) = (side("a")?, side("b")?);
            let evidence = batch.texts("evidence")?;
            let decisions = batch.texts_if_any("decision");
            let grades = batch.texts_if_any("grade");
            let similarity = batch.numbers::<Float32Type>("similarity")?;
            let expected = batch.numbers::<Float64Type>("expected_false_matches")?;
            let false_share = batch.numbers::<Float64Type>("probability_false")?;
            for row in 0..batch.rows() {
                let member = |side: &Side| Membership {
                    submission: side.ids.get(row).unwrap_or_default().to_owned(),
                    worker: side.workers.get(row).map(str::to_owned),
                    district: side.districts.get(row).map(str::to_owned),
                    at: value(side.times, row),
                    ..Membership::default()
                };
                let sides = (member(&a), member(&b));
                let link = Link {
                    sides: (0, 1),
                    similarity: value(similarity, row).unwrap_or_default(),
                    probability_false: value(false_share, row).unwrap_or_default(),
                    grade: match grades {
                        Some(grades) => grades.get(row).map(str::to_owned),
                        // A table of an earlier version.
                        None => value(false_share, row).and_then(Grade::of_local_error).map(|g| g.code().to_owned()),
                    },
                    evidence: evidence.get(row).unwrap_or_default().to_owned(),
                    decision: decisions.and_then(|d| d.get(row)).map(str::to_owned),
                };
                match self.common(&sides.0.submission, &sides.1.submission) {
                    Some((person, places)) => self.listed[person].add(Link { sides: places, ..link }, sides),
                    None if complete && link.decision.is_none() => self.add_loose(link, sides, value(expected, row)),
                    None => {}
                }
            }
            Ok(())
        })
    }

    /// The person that has both submissions, and their places in it.
    fn common(&self, a: &str, b: &str) -> Option<(usize, (usize, usize))> {
        let (a, b) = (self.places.get(a)?, self.places.get(b)?);
        let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x, y)));
        pairs.filter(|(x, y)| x.0 == y.0 && x.1 != y.1).map(|(x, y)| (x.0, (x.1, y.1))).next()
    }

    fn add_loose(&mut self, link: Link, sides: (Membership, Membership), expected: Option<f64>) {
        // A side that is beyond the listed memberships of a large person is not loose.
        let large =
            |id: &str| self.places.get(id).is_some_and(|p| p.iter().any(|p| self.listed[p.0].size > MOST_MEMBERS));
        if large(&sides.0.submission) || large(&sides.1.submission) {
            return;
        }
        self.loose += 1;
        if self.loose as usize > MOST_LOOSE {
            return;
        }
        let (mut a, mut b) = sides;
        if b.at < a.at {
            std::mem::swap(&mut a, &mut b);
        }
        a.original = true;
        self.list(Person {
            worth: LOOSE.to_owned(),
            probability_false: Some(link.probability_false),
            expected_false_matches: expected,
            cross_district: a.district.as_deref().zip(b.district.as_deref()).is_some_and(|(a, b)| !is_same_name(a, b)),
            size: 2,
            members: vec![a, b],
            links: vec![link],
            all_links: 1,
            ..Person::default()
        });
    }

    /// Leaves out persons without a membership in a part of the drive.
    pub fn keep(&mut self, scope: &Scope) {
        if !scope.is_part() {
            return;
        }
        let is_there = |person: &Person| person.members.iter().any(|member| scope.has(member.district.as_deref()));
        self.listed.retain(is_there);
        self.all = self.listed.iter().filter(|person| !person.id.is_empty()).count() as u64;
        self.loose = self.listed.len() as u64 - self.all;
        self.between.retain(|((one, other), _)| scope.has(Some(one)) || scope.has(Some(other)));
        self.places.clear();
        for (at, person) in self.listed.iter().enumerate() {
            for (place, membership) in person.members.iter().enumerate() {
                self.places.entry(membership.submission.clone()).or_default().push((at, place));
            }
        }
    }

    /// Whether a listed person has this submission.
    pub fn has(&self, submission: &str) -> bool {
        self.places.contains_key(submission)
    }

    /// Puts tonight's rows to the memberships: of several memberships of one person under one id, tonight's are the last.
    pub fn tell(&mut self, rows: &HashMap<String, Vec<RowFact>>) {
        for person in &mut self.listed {
            let cluster = person.id.as_str();
            for membership in &mut person.members {
                let all = rows.get(&membership.submission).into_iter().flatten();
                let mut own = all.filter(|fact| cluster.is_empty() || fact.cluster.as_deref() == Some(cluster));
                membership.tonight = own.by_ref().rev().nth(membership.later).cloned();
            }
        }
    }
}

impl Person {
    fn add(&mut self, link: Link, (a, b): (Membership, Membership)) {
        for (place, told) in [(link.sides.0, a), (link.sides.1, b)] {
            let membership = &mut self.members[place];
            // Where an id stands for several memberships, the earlier ones are listed first.
            if membership.at.is_none() || (membership.later > 0 && told.at < membership.at) {
                *membership = Membership { original: membership.original, later: membership.later, ..told };
            }
        }
        self.all_links += 1;
        if self.links.len() < MOST_LINKS {
            self.links.push(link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str, submissions: &[&str]) -> Person {
        let member = |(at, s): (usize, &&str)| Membership {
            submission: (*s).to_owned(),
            later: submissions[at + 1..].iter().filter(|other| *other == s).count(),
            ..Membership::default()
        };
        Person {
            id: id.into(),
            size: submissions.len(),
            members: submissions.iter().enumerate().map(member).collect(),
            ..Person::default()
        }
    }

    fn fact(row: u64, cluster: &str) -> RowFact {
        RowFact { row, cluster: Some(cluster.into()), verdict: Verdict::Review, face: None }
    }

    #[test]
    fn a_repeated_id_is_told_apart_by_its_person_and_by_time() {
        let mut persons = Persons::default();
        persons.list(person("P1", &["a", "twice", "twice"]));
        persons.list(person("P2", &["twice", "b"]));
        let rows = HashMap::from([
            ("twice".to_owned(), vec![fact(3, "P1"), fact(7, "P2")]),
            ("b".to_owned(), vec![fact(8, "P2")]),
        ]);
        persons.tell(&rows);
        let told = |person: usize| -> Vec<Option<u64>> {
            persons.listed[person].members.iter().map(|m| m.tonight.as_ref().map(|t| t.row)).collect()
        };
        assert_eq!(told(0), [None, None, Some(3)], "the first of the same id was there before tonight");
        assert_eq!(told(1), [Some(7), Some(8)]);
        assert_eq!(persons.common("twice", "twice"), Some((0, (1, 2))));
        assert_eq!(persons.common("a", "b"), None);
    }
}
