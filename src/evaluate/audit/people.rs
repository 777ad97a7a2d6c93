//! Who is one person: by the truth, and by the audit.
//!
//! Not every picture of a person can be blamed on the search. A row that must say `duplicate_member`, and the first
//! enrolment that it names, are *counted*: each two of one person must be joined. A row that may say so but need not (a
//! photo of a photo of somebody enrolled, an innocent retry) is *open*: joined with whom it shows, it counts neither
//! way. Two rows that show nobody in common must not be joined, whatever they are.

use std::collections::HashMap;

use super::Case;
use crate::reason::Reason;

/// A cluster that a run committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The run, from 0.
    pub night: usize,
    /// Its name in that run.
    pub cluster_id: String,
    /// Its submissions, of that night and earlier ones.
    pub submissions: Vec<String>,
}

/// Both views of all rows, by the row's place in the list of cases.
#[derive(Debug)]
pub struct People<'a> {
    /// Whether the truth names the members.
    pub named: bool,
    /// The true person, as a number that means nothing else; `None` where nobody stands in the member's place.
    pub person: Vec<Option<usize>>,
    /// The cluster in which the audit left the row, over all nights; of its own where it is alone.
    pub found: Vec<usize>,
    /// Rows that must be joined with the other counted rows of their person.
    pub counted: Vec<bool>,
    /// Rows that may be joined with whom they show.
    pub open: Vec<bool>,
    /// Submissions in clusters, and first enrolments in the truth, that are in none of the nights given.
    pub outside: usize,
    /// Everybody whom the picture shows, for open rows; `None` for anybody.
    shown: Vec<Option<Vec<&'a str>>>,
}

impl<'a> People<'a> {
    /// Reads both views. `named` says that the truth names the members; else who is one person follows from
    /// `duplicate_of`.
    pub fn of(cases: &'a [Case], links: &[Link], named: bool) -> Self {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (row, case) in cases.iter().enumerate() {
            if let Some(id) = &case.given.submission_id {
                first.entry(id).or_insert(row);
            }
        }
        let person = if named { by_name(cases) } else { by_original(cases, &first) };
        let (found, mut outside) = found(cases, links, &first);
        let mut counted: Vec<bool> = cases.iter().map(|case| case.must(Reason::DuplicateMember)).collect();
        for (row, case) in cases.iter().enumerate().filter(|(_, case)| case.must(Reason::DuplicateMember)) {
            match case.truth.duplicate_of.as_deref().map(|id| first.get(id)) {
                Some(Some(&original)) if person[original] == person[row] => counted[original] = true,
                Some(None) => outside += 1,
                _ => {}
            }
        }
        let open = cases.iter().zip(&counted).map(|(c, counted)| !counted && c.may(Reason::DuplicateMember)).collect();
        let shown = cases.iter().map(|case| shown(case, named)).collect();
        People { named, person, found, counted, open, outside, shown }
    }

    /// Whether two rows that the audit joined are rightly so (`Some(true)`), wrongly (`Some(false)`), or neither.
    pub fn judge(&self, a: usize, b: usize) -> Option<bool> {
        match self.person[a].is_some() && self.person[a] == self.person[b] {
            true => (self.counted[a] && self.counted[b]).then_some(true),
            false => (!self.may_share(a, b)).then_some(false),
        }
    }

    fn may_share(&self, a: usize, b: usize) -> bool {
        let meet = match (&self.shown[a], &self.shown[b]) {
            (Some(a), Some(b)) => a.iter().any(|person| b.contains(person)),
            _ => true,
        };
        meet && (self.open[a] || self.open[b])
    }

    /// Counted rows of each person who has two or more.
    pub fn true_clusters(&self) -> Vec<Vec<usize>> {
        let rows = (0..self.person.len()).filter(|&row| self.counted[row]);
        groups(rows.filter_map(|row| Some((self.person[row]?, row))))
    }

    /// Rows of each cluster of the audit that keeps two or more of those chosen.
    pub fn found_clusters(&self, chosen: impl Fn(usize) -> bool) -> Vec<Vec<usize>> {
        groups((0..self.found.len()).filter(|&row| chosen(row)).map(|row| (self.found[row], row)))
    }
}

/// Groups of two or more, in the order of their first rows.
fn groups(rows: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut place: HashMap<usize, usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (key, row) in rows {
        let at = *place.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[at].push(row);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// Sets of rows that grow together.
#[derive(Debug)]
pub struct Sets(Vec<usize>);

impl Sets {
    /// Each row alone.
    pub fn new(rows: usize) -> Self {
        Sets((0..rows).collect())
    }

    /// The lowest row of the set.
    pub fn root(&mut self, row: usize) -> usize {
        let mut at = row;
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    /// Makes two sets one.
    pub fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }

    /// Every row's root.
    pub fn roots(mut self) -> Vec<usize> {
        (0..self.0.len()).map(|row| self.root(row)).collect()
    }
}

fn by_name(cases: &[Case]) -> Vec<Option<usize>> {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let number = |case| {
        let case: &Case = case;
        let name = case.truth.member_person.as_deref()?;
        let next = numbers.len();
        Some(*numbers.entry(name).or_insert(next))
    };
    cases.iter().map(number).collect()
}

fn by_original(cases: &[Case], first: &HashMap<&str, usize>) -> Vec<Option<usize>> {
    let mut sets = Sets::new(cases.len());
    for (row, case) in cases.iter().enumerate() {
        if let Some(&original) = case.truth.duplicate_of.as_deref().and_then(|id| first.get(id)) {
            sets.join(row, original);
        }
    }
    sets.roots().into_iter().map(Some).collect()
}

/// The audit's clusters over all nights, and how many of their submissions are in none of them. A cluster of a later
/// night names the submissions of earlier ones, whose own rows were written before it was found.
fn found(cases: &[Case], links: &[Link], first: &HashMap<&str, usize>) -> (Vec<usize>, usize) {
    let mut sets = Sets::new(cases.len());
    let mut anchor: HashMap<(usize, &str), usize> = HashMap::new();
    let mut tonight: HashMap<(usize, &str, &str), usize> = HashMap::new();
    for (row, case) in cases.iter().enumerate() {
        if let Some(cluster) = &case.given.cluster_id {
            sets.join(row, *anchor.entry((case.night, cluster)).or_insert(row));
            if let Some(id) = &case.given.submission_id {
                tonight.insert((case.night, cluster, id), row);
            }
        }
    }
    let mut outside = 0;
    for link in links {
        for id in &link.submissions {
            if tonight.contains_key(&(link.night, &link.cluster_id, id)) {
                continue;
            }
            match first.get(id.as_str()).filter(|&&row| cases[row].night < link.night) {
                Some(&row) => sets.join(row, *anchor.entry((link.night, &link.cluster_id)).or_insert(row)),
                None => outside += 1,
            }
        }
    }
    (sets.roots(), outside)
}

/// Whom a picture may be held to show as its member: an open row anybody in it but the account's own worker.
fn shown(case: &Case, named: bool) -> Option<Vec<&str>> {
    let truth = &case.truth;
    let open = case.may(Reason::DuplicateMember);
    let mut people: Vec<&str> = truth.member_person.as_deref().into_iter().collect();
    if open {
        people.extend(truth.others.iter().map(String::as_str));
        let stand_in = truth.worker_person.as_deref().filter(|&p| Some(p) != truth.account_person.as_deref());
        people.extend(stand_in.filter(|_| truth.account_person.is_some()));
    }
    (named && !(open && people.is_empty())).then_some(people)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tables::tests::case;
    use super::*;
    use Reason::{DuplicateMember, PhotoOfPhoto};

    /// A row: night, id, person, what must and may be said, first enrolment, cluster.
    pub fn row(night: usize, id: &str, person: &str, duplicate: &str, of: Option<&str>, cluster: Option<&str>) -> Case {
        let (must, may): (&[Reason], &[Reason]) = match duplicate {
            "must" => (&[DuplicateMember], &[]),
            "may" => (&[PhotoOfPhoto], &[DuplicateMember]),
            _ => (&[], &[]),
        };
        let mut case = case(must, may, if cluster.is_some() { &[DuplicateMember] } else { &[] });
        case.night = night;
        case.given.submission_id = Some(id.to_owned());
        case.given.cluster_id = cluster.map(str::to_owned);
        case.truth.member_person = (!person.is_empty()).then(|| person.to_owned());
        case.truth.duplicate_of = of.map(str::to_owned);
        case
    }

    #[test]
    fn nights_are_joined_through_the_later_nights_clusters() {
        let cases = [
            row(0, "a1", "a", "", None, None),
            row(0, "b1", "b", "", None, Some("x")),
            row(0, "b2", "b", "must", Some("b1"), Some("x")),
            row(1, "a2", "a", "must", Some("a1"), Some("x")),
            row(1, "c1", "c", "must", Some("gone"), None),
        ];
        let link = |night, ids: [&str; 2]| Link {
            night,
            cluster_id: "x".into(),
            submissions: ids.map(str::to_owned).to_vec(),
        };
        let people = People::of(&cases, &[link(0, ["b1", "b2"]), link(1, ["a1", "a2"])], true);
        assert_eq!(people.found, [0, 1, 1, 0, 4], "x of tonight is not x of yesterday");
        assert_eq!(people.counted, [true, true, true, true, true]);
        assert_eq!(people.true_clusters(), [vec![0, 3], vec![1, 2]]);
        assert_eq!(people.outside, 1);
        // Without names the same people follow from duplicate_of.
        let unnamed = People::of(&cases, &[], false);
        assert_eq!(unnamed.true_clusters(), people.true_clusters());
    }

    #[test]
    fn open_rows_count_neither_way_with_whom_they_show() {
        let mut cases = vec![
            row(0, "a1", "a", "", None, None),
            row(0, "a2", "a", "must", Some("a1"), None),
            row(0, "a3", "a", "may", None, None),
            row(0, "b1", "b", "", None, None),
            row(0, "?", "", "may", None, None),
            row(0, "g", "c", "may", None, None),
        ];
        cases[5].truth.others = vec!["b".into()];
        let people = People::of(&cases, &[], true);
        assert_eq!(people.judge(0, 1), Some(true));
        assert_eq!(people.judge(0, 2), None, "the same person, who need not be joined");
        assert_eq!(people.judge(0, 3), Some(false));
        assert_eq!(people.judge(2, 3), Some(false), "an open row joined with somebody else");
        assert_eq!(people.judge(4, 3), None, "it may show anybody");
        assert_eq!(people.judge(5, 3), None, "b is in the picture");
        assert_eq!(people.judge(5, 0), Some(false));
    }
}
