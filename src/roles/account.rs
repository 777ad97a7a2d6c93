//! What is known of one worker's account: whose face it is, who else uses it, who stands beside in every picture.
//!
//! A face that is known beforehand (enrolled, or remembered from earlier nights) decides. Without one, the person who
//! recurs is the worker. Two who recur leave a question:
//! - *in different selfies*: two people share the account; the one seen more often is taken for its worker, the other is
//!   in the worker's place and every such submission says so (`worker_mismatch`);
//! - *in the same selfies*: a worker and a helper (or one member sent again and again). Told apart by, in this order:
//!   which of them is also there without the other; which of them is the worker of another account; which of them stands
//!   nearer to the phone, by a sign test. If all are silent, nobody can say, and the submissions say that
//!   (`worker_unknown`).
//!
//! With two or three selfies a face that recurs is probably the worker's, but may be a member sent twice: it is used to
//! cast the pictures, never to accuse (`certain` is false).

use std::collections::BTreeMap;

use crate::config::policy::RolePolicy;
use crate::infer::Template;
use crate::infer::template::similarity;
use crate::roles::alike::{OtherWorker, WorkerFace};
use crate::roles::memory::{Basis, UnresolvedSelfie, WorkerMemory};
use crate::roles::recurring::{Person, Selfie, SelfieFace, mean, people, sample};

/// How many pictures' weight the reference photo has in an enrolled worker's template.
const REFERENCE_WEIGHT: f32 = 3.0;

/// People who are together in at most one of so many selfies of the rarer one are there in each other's place.
const APART: usize = 5;

/// Largest chance of a sign test that takes the person who stands nearer for the worker.
const SIGN_TEST: f64 = 0.05;

/// A worker whose face is known.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownWorker {
    /// The face.
    pub template: Template,
    /// How it came to be known.
    pub basis: Basis,
    /// Whether it is known well enough to say that somebody is *not* the worker.
    pub certain: bool,
}

/// What is known of one worker id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Account {
    /// Whose face it is.
    pub worker: Option<KnownWorker>,
    /// Other people who stand in the worker's place in three or more selfies.
    pub others: Vec<Template>,
    /// People who stand beside worker and member in every second selfie or more: never the member while somebody else
    /// is there.
    pub helpers: Vec<Template>,
    /// The other account whose worker has the same face: one person with two accounts, or one face in two.
    pub same_as: Option<OtherWorker>,
    /// Whether that face is enrolled for the other account and not for this one, so that it is not this one's.
    pub borrowed: bool,
    /// Two people who recur together and of whom one is the worker, nobody knows which; the nearer one first.
    pub undecided: Vec<Template>,
    /// Selfies of tonight that hold the worker's face, among those looked at.
    pub(super) seen: usize,
    /// The worker's face as tonight's selfies show it.
    pub(super) tonight: Option<Template>,
    /// Faces of selfies from which nothing could be learned for certain, for the next night.
    pub(super) unresolved: Vec<UnresolvedSelfie>,
    /// Faces that recur often enough to be the worker's, where none is enrolled.
    pub(super) recurring: Vec<Template>,
    /// Whether the remembered face is nobody's worker's, for it comes up under many accounts.
    pub(super) forgets_memory: bool,
}

/// What is known of an account beforehand.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Known<'a> {
    /// The face of the reference photo.
    pub enrolled: Option<&'a Template>,
    /// What earlier nights left.
    pub memory: Option<&'a WorkerMemory>,
    /// Faces under so many accounts that they are nobody's worker's.
    pub shared: &'a [Template],
}

/// Decides whose account it is.
///
/// A shared face is passed over as long as somebody else recurs; where nobody does it is the best that is known.
pub(super) fn decide(selfies: Vec<Selfie>, known: Known, policy: &RolePolicy) -> Account {
    let is_shared = |face: &Template| is_any(face, known.shared, policy.worker_similarity);
    if !known.shared.is_empty() && known.enrolled.is_none() {
        let memory = known.memory.filter(|memory| !memory.template().is_some_and(is_shared));
        let account = decide_among(selfies.clone(), Known { memory, ..known }, &|face| !is_shared(face), policy);
        if account.worker.is_some() {
            return Account { forgets_memory: known.memory.is_some() && memory.is_none(), ..account };
        }
    }
    decide_among(selfies, known, &|_| true, policy)
}

/// Whether a face is one of these.
fn is_any(face: &Template, faces: &[Template], least: f32) -> bool {
    faces.iter().any(|other| other.dim() == face.dim() && similarity(face, other) >= least)
}

/// Decides among the people who `may_be_worker`.
fn decide_among(
    selfies: Vec<Selfie>,
    known_before: Known,
    may_be_worker: &dyn Fn(&Template) -> bool,
    policy: &RolePolicy,
) -> Account {
    let Known { enrolled, memory, .. } = known_before;
    let mut selfies = sample(selfies);
    let remembered = memory.and_then(|memory| Some((memory.template()?, memory.basis())));
    match (enrolled, remembered) {
        (Some(face), _) => known(&selfies, face, Basis::Enrolled, policy),
        (None, Some((face, basis))) => known(&selfies, face, basis, policy),
        (None, None) => {
            let earlier = memory.map(WorkerMemory::unresolved).unwrap_or_default();
            let face = |template| SelfieFace { template, height: 1.0, principal: true };
            selfies.extend(earlier.iter().map(|selfie| Selfie {
                submission: selfie.submission_id.as_deref(),
                faces: selfie.faces().map(face).collect(),
            }));
            let mut account = learned(&selfies, may_be_worker, policy);
            if !account.worker.as_ref().is_some_and(|w| w.certain) {
                account.unresolved = unresolved(&selfies);
            }
            account
        }
    }
}

/// The foreground faces of the last few selfies: enough to know the worker once there are more.
fn unresolved(selfies: &[Selfie]) -> Vec<UnresolvedSelfie> {
    const SELFIES: usize = 6;
    const FACES: usize = 3;
    let keep = |s: &Selfie| {
        UnresolvedSelfie::new(s.submission, s.faces.iter().filter(|f| f.principal).take(FACES).map(|f| f.template))
    };
    selfies.iter().take(SELFIES).map(keep).collect()
}

/// The face is known beforehand.
fn known(selfies: &[Selfie], face: &Template, basis: Basis, policy: &RolePolicy) -> Account {
    let best = |selfie: &Selfie| {
        let scored = selfie.faces.iter().enumerate().map(|(at, f)| (similarity(face, f.template), at));
        scored.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))).filter(|b| b.0 >= policy.worker_similarity)
    };
    let sightings: Vec<(usize, usize)> =
        selfies.iter().enumerate().filter_map(|(s, selfie)| Some((s, best(selfie)?.1))).collect();
    let mates = || sightings.iter().map(|&(s, f)| (selfies[s].faces[f].template, 1.0));
    let weight = match basis {
        Basis::Remembered { submissions, .. } => (submissions as f32).min(WorkerMemory::MOST_WEIGHT),
        _ => REFERENCE_WEIGHT,
    };
    let template = mean(std::iter::once((face, weight)).chain(mates())).unwrap_or_else(|| face.clone());
    let tonight = mean(mates());
    let person = Person { template, sightings };
    let others: Vec<Person> = people(selfies, policy)
        .into_iter()
        .filter(|p| similarity(&p.template, &person.template) < policy.worker_similarity)
        .collect();
    // A reference photo is believed; what earlier nights took for the worker's face may turn out to be under many accounts.
    let recurring = match basis {
        Basis::Enrolled => Vec::new(),
        _ => {
            let recurs = |p: &&Person| p.support() >= policy.min_recurrences && p.is_principal(selfies);
            std::iter::once(&person).chain(&others).filter(recurs).map(|p| p.template.clone()).collect()
        }
    };
    let worker = KnownWorker { template: person.template.clone(), basis, certain: true };
    let seen = person.support();
    Account { worker: Some(worker), seen, tonight, recurring, ..beside(selfies, &person, &others, policy) }
}

/// Nobody knows the face: the night must show it.
fn learned(selfies: &[Selfie], may_be_worker: &dyn Fn(&Template) -> bool, policy: &RolePolicy) -> Account {
    let people: Vec<Person> = people(selfies, policy).into_iter().filter(|p| p.is_principal(selfies)).collect();
    let recurs = |person: &&Person| person.support() >= policy.min_recurrences;
    let recurring = people.iter().filter(recurs).map(|person| person.template.clone()).collect();
    Account { recurring, ..worker_among(selfies, &people, may_be_worker, policy) }
}

/// Of the people who recur, the worker.
fn worker_among(
    selfies: &[Selfie],
    people: &[Person],
    may_be_worker: &dyn Fn(&Template) -> bool,
    policy: &RolePolicy,
) -> Account {
    let mut candidates = people.iter().filter(|person| may_be_worker(&person.template));
    let Some(first) = candidates.next() else { return Account::default() };
    let share = (selfies.len() as f32 * policy.recurrence_share).ceil() as usize;
    let second = candidates.next();
    let (worker, certain) = match second {
        Some(second) if 2 * second.support() >= first.support() && !apart(first, second) => {
            match nearer(selfies, first, second) {
                Some(worker) => (worker, worker.support() >= share.max(policy.min_recurrences)),
                None if first.support() >= share => return undecided(selfies, first, second, people, policy),
                None => return Account::default(),
            }
        }
        _ => {
            // People who share an account share its selfies: together they must make up the worker's share.
            let recur = |p: &&Person| {
                p.support() >= policy.min_recurrences && (p.template == first.template || apart(first, p))
            };
            let shared: usize = people.iter().filter(recur).map(Person::support).sum();
            let certain = first.support() >= policy.min_recurrences && shared.max(first.support()) >= share;
            (first, certain)
        }
    };
    if !certain && (worker.support() < share || selfies.len() > 2 * policy.min_recurrences) {
        return Account::default();
    }
    let others: Vec<Person> = people.iter().filter(|p| p.template != worker.template).cloned().collect();
    let basis = Basis::Recurring { recurrences: worker.support(), submissions: selfies.len() };
    let known = KnownWorker { template: worker.template.clone(), basis, certain };
    let account = beside(selfies, worker, &others, policy);
    Account { worker: Some(known), seen: worker.support(), tonight: Some(worker.template.clone()), ..account }
}

/// Whether two people are in each other's place rather than together.
fn apart(a: &Person, b: &Person) -> bool {
    APART * a.together(b) <= a.support().min(b.support())
}

/// Of two who recur together, the worker, if the selfies show it.
fn nearer<'a>(selfies: &[Selfie], a: &'a Person, b: &'a Person) -> Option<&'a Person> {
    let together = a.together(b);
    let (only_a, only_b) = (a.support() - together, b.support() - together);
    // A detector misses a face now and then, so a few of many selfies without the other say nothing.
    let alone = |this: usize, that: usize| this >= 2 && this >= 4 * that && 5 * this >= selfies.len();
    if alone(only_a, only_b) {
        return Some(a);
    }
    if alone(only_b, only_a) {
        return Some(b);
    }
    let (taller, shorter) = taller(selfies, a, b);
    match sign_test(taller, taller + shorter) <= SIGN_TEST {
        true => Some(a),
        false if sign_test(shorter, taller + shorter) <= SIGN_TEST => Some(b),
        false => None,
    }
}

/// In how many common selfies the first, and in how many the second, has the taller face.
fn taller(selfies: &[Selfie], a: &Person, b: &Person) -> (usize, usize) {
    let (mut first, mut second) = (0, 0);
    for &(selfie, face) in &a.sightings {
        if let Some(other) = b.face_in(selfie) {
            let faces = &selfies[selfie].faces;
            first += usize::from(faces[face].height > faces[other].height);
            second += usize::from(faces[face].height < faces[other].height);
        }
    }
    (first, second)
}

/// Two-sided sign test: the chance of at least `wins` of `rounds` either way when both are equally likely.
fn sign_test(wins: usize, rounds: usize) -> f64 {
    if 2 * wins <= rounds {
        return 1.0;
    }
    // The upper tail of Binomial(rounds, 1/2), summed from its smallest term.
    let mut term = 0.5f64.powi(i32::try_from(rounds).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    for k in (wins..=rounds).rev() {
        tail += term;
        term *= k as f64 / (rounds - k + 1) as f64;
    }
    (2.0 * tail).min(1.0)
}

/// Two recur together and nothing tells them apart here; other accounts may.
fn undecided(selfies: &[Selfie], a: &Person, b: &Person, people: &[Person], policy: &RolePolicy) -> Account {
    let others: Vec<Person> =
        people.iter().filter(|p| p.template != a.template && p.template != b.template).cloned().collect();
    let (taller, shorter) = taller(selfies, a, b);
    let (near, far) = if taller >= shorter { (a, b) } else { (b, a) };
    let undecided = vec![near.template.clone(), far.template.clone()];
    Account { undecided, ..beside(selfies, a, &others, policy) }
}

/// Who else uses the account, and who stands beside.
fn beside(selfies: &[Selfie], worker: &Person, people: &[Person], policy: &RolePolicy) -> Account {
    let mut account = Account::default();
    for person in people.iter().filter(|p| p.support() >= policy.min_recurrences && p.is_principal(selfies)) {
        let together = person.together(worker);
        if APART * together <= person.support() {
            account.others.push(person.template.clone());
        } else if 2 * together >= worker.support().max(policy.min_recurrences) && has_company(selfies, person, worker) {
            account.helpers.push(person.template.clone());
        }
    }
    account
}

/// Whether a third person stands in the foreground of most selfies of these two: then neither is the member there.
fn has_company(selfies: &[Selfie], a: &Person, b: &Person) -> bool {
    let both: Vec<usize> = a.sightings.iter().map(|s| s.0).filter(|&s| b.is_in(s)).collect();
    let third = |&&s: &&usize| selfies[s].faces.iter().filter(|f| f.principal).count() > 2;
    2 * both.iter().filter(third).count() > both.len()
}

/// The faces of all workers who are known for certain, by id.
pub(super) fn worker_faces(accounts: &BTreeMap<String, Account>) -> Vec<WorkerFace<'_>> {
    accounts
        .iter()
        .filter_map(|(id, account)| {
            let worker = account.worker.as_ref().filter(|w| w.certain)?;
            Some(WorkerFace { worker_id: id, template: &worker.template })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::sign_test;

    #[test]
    fn the_sign_test_is_the_exact_binomial_one() {
        // scipy 1.17.1: binomtest(k, n, 0.5).pvalue
        for (wins, rounds, p) in [(6, 6, 0.03125), (9, 10, 0.021484375), (5, 5, 0.0625), (40, 60, 0.01348929373119186)]
        {
            assert!((sign_test(wins, rounds) - p).abs() < 1e-12, "{wins}/{rounds}: {}", sign_test(wins, rounds));
        }
        assert_eq!(sign_test(0, 0), 1.0);
        assert_eq!(sign_test(3, 6), 1.0);
    }
}
