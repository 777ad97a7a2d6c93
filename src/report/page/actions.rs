//! What is to be done after a night, on top of the page: whom to call, at whom to look, whom to teach.

use std::collections::BTreeMap;

use super::gathered::Gathered;
use super::mask::grouped;
use super::night::COMPLAINTS;
use crate::reason::Verdict;

/// Names that an action lists; the rest is a number.
const MOST_NAMES: usize = 10;

/// Something to do, for how many, and where on the page they are.
pub(super) struct Action {
    /// Text of its heading.
    pub key: &'static str,
    /// Text of its reason.
    pub why: &'static str,
    /// How many.
    pub count: String,
    /// The part of the page that has them all.
    pub href: &'static str,
    /// The first of them.
    pub items: Vec<Item>,
    /// How many more there are.
    pub more: usize,
}

/// One of whom it is done for.
pub(super) struct Item {
    /// Who or what.
    pub name: String,
    /// Where on the page.
    pub href: String,
    /// The text of why; blank for none.
    pub key: String,
    /// More in plain words.
    pub note: String,
}

/// The address of a worker's part of the page.
pub(super) fn worker_href(id: &str) -> String {
    let mut href = "#worker=".to_owned();
    for byte in id.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-_.".contains(&b) => href.push(char::from(b)),
            b => href += &format!("%{b:02X}"),
        }
    }
    href
}

fn action(key: &'static str, why: &'static str, href: &'static str, mut items: Vec<Item>) -> Option<Action> {
    let count = items.len();
    items.truncate(MOST_NAMES);
    (count > 0).then(|| Action { key, why, href, count: grouped(count as u64), more: count - items.len(), items })
}

/// All of them, the gravest first; what nobody has to do is left out.
pub(super) fn actions(gathered: &Gathered) -> Vec<Action> {
    let [outside, empty] = gathered.drive.astray(&gathered.own);
    let all = [
        call(gathered),
        look(gathered),
        teach(gathered),
        action("todo.outside", "todo.outside.why", "#all-workers", named(outside)),
        action("todo.empty", "todo.empty.why", "#places", plain(empty)),
    ];
    all.into_iter().flatten().collect()
}

fn named(ids: Vec<String>) -> Vec<Item> {
    let item = |id: String| Item { href: worker_href(&id), name: id, key: String::new(), note: String::new() };
    ids.into_iter().map(item).collect()
}

fn plain(names: Vec<String>) -> Vec<Item> {
    let item = |name: String| Item { href: "#places".to_owned(), name, key: String::new(), note: String::new() };
    names.into_iter().map(item).collect()
}

/// Workers who stand out for more than the quality of their pictures.
fn call(gathered: &Gathered) -> Option<Action> {
    let is_quality = |code: &str| code == "any" || COMPLAINTS.iter().any(|reason| reason.code() == code);
    let mut found: Vec<&super::peers::Standing> = Vec::new();
    for standing in gathered.peers.workers.iter().filter(|standing| !is_quality(&standing.reason)) {
        if !found.iter().any(|other| other.id == standing.id) {
            found.push(standing);
        }
    }
    let item = |standing: &super::peers::Standing| Item {
        name: standing.id.clone(),
        href: worker_href(&standing.id),
        key: format!("r.{}", standing.reason),
        note: format!("{} / {}", standing.count, standing.submissions),
    };
    action("todo.call", "todo.call.why", "#workers", found.into_iter().map(item).collect())
}

/// Persons of the queue and photos of photos that nobody has decided yet.
fn look(gathered: &Gathered) -> Option<Action> {
    let persons = &gathered.persons;
    let suspected = gathered.night.spoofs.iter().filter(|spoof| spoof.verdict == Verdict::Review).count() as u64;
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    persons.listed.iter().for_each(|person| *kinds.entry(&person.worth).or_default() += 1);
    let order = ["cross_district_repeated", "cross_district", "repeated", "one_district", "retry", "pair"];
    let of_kind = |kind: &&str| kinds.get(kind).map(|&count| (format!("w.{kind}"), count, "#persons"));
    let mut rows: Vec<(String, u64, &str)> = order.iter().filter_map(of_kind).collect();
    rows.extend((suspected > 0).then(|| ("r.photo_of_photo_suspected".to_owned(), suspected, "#spoofs")));
    let count: u64 = rows.iter().map(|row| row.1).sum();
    let item = |(key, count, href): (String, u64, &str)| Item {
        name: grouped(count),
        href: href.to_owned(),
        key,
        note: String::new(),
    };
    let items: Vec<Item> = rows.into_iter().map(item).collect();
    let action = action("todo.look", "todo.look.why", "#persons", items)?;
    Some(Action { count: grouped(count), ..action })
}

/// Workers whose pictures have to be taken again, most first, with what to tell each.
fn teach(gathered: &Gathered) -> Option<Action> {
    let mut workers: Vec<_> = gathered.night.workers.values().filter(|worker| worker.troubled > 0).collect();
    workers.sort_by(|x, y| y.troubled.cmp(&x.troubled).then_with(|| x.id.cmp(&y.id)));
    let item = |worker: &super::night::WorkerQuality| Item {
        name: worker.id.clone(),
        href: worker_href(&worker.id),
        key: format!("q.{}", worker.commonest().code()),
        note: format!("{} / {}", worker.troubled, worker.submissions),
    };
    action("todo.teach", "todo.teach.why", "#quality", workers.into_iter().map(item).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_any_id() {
        assert_eq!(worker_href("W-17"), "#worker=W-17");
        assert_eq!(worker_href("a b/\"<"), "#worker=a%20b%2F%22%3C");
        assert_eq!(worker_href("क"), "#worker=%E0%A4%95");
    }
}
