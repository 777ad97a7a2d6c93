//! What other accounts tell of an account's faces: who is the worker elsewhere, who is a helper here, who stands in for
//! absent workers.

use std::collections::BTreeMap;

use crate::config::policy::RolePolicy;
use crate::infer::template::similarity;
use crate::infer::{Analysis, Template};
use crate::reason::Reason;
use crate::roles::account::{Account, KnownWorker, worker_faces};
use crate::roles::alike::{OtherWorker, WorkerFace, nearest_workers, shared_faces};
use crate::roles::cast::{Cast, principals};
use crate::roles::memory::Basis;
use crate::roles::recurring::mean;

/// For each account in which a face recurs that recurs in `shared_face_accounts` accounts and more, those faces: they are
/// nobody's worker's. Enrolled workers are not asked.
pub(super) fn faces_of_nobody(
    accounts: &BTreeMap<String, Account>,
    policy: &RolePolicy,
) -> BTreeMap<String, Vec<Template>> {
    let recurring: Vec<WorkerFace> = accounts
        .iter()
        .flat_map(|(id, account)| account.recurring.iter().map(move |template| WorkerFace { worker_id: id, template }))
        .collect();
    let mut found: BTreeMap<String, Vec<Template>> = BTreeMap::new();
    for shared in shared_faces(&recurring, policy.other_worker_similarity, policy.shared_face_accounts) {
        for face in shared.faces {
            found.entry(recurring[face].worker_id.to_owned()).or_default().push(recurring[face].template.clone());
        }
    }
    found
}

/// Of two who recur together, the one who is the worker of another account is the helper in this one.
pub(super) fn tell_helpers_apart(accounts: &mut BTreeMap<String, Account>, policy: &RolePolicy) {
    let open: Vec<String> = accounts.iter().filter(|(_, a)| a.undecided.len() == 2).map(|(id, _)| id.clone()).collect();
    if open.is_empty() {
        return;
    }
    let workers: Vec<WorkerFace> = worker_faces(accounts);
    let asked: Vec<(&Template, Option<&str>)> =
        open.iter().flat_map(|id| accounts[id].undecided.iter().map(|t| (t, Some(id.as_str())))).collect();
    let found = nearest_workers(&asked, &workers, policy.other_worker_similarity);
    let answers: Vec<[bool; 2]> = found.chunks(2).map(|pair| [pair[0].is_some(), pair[1].is_some()]).collect();
    for (id, answer) in open.iter().zip(answers) {
        let Some(account) = accounts.get_mut(id) else { continue };
        let (worker, helper) = match answer {
            [true, false] => (1, 0),
            [false, true] => (0, 1),
            _ => continue,
        };
        let basis = Basis::Recurring { recurrences: 0, submissions: 0 };
        let template = account.undecided[worker].clone();
        account.helpers.push(account.undecided[helper].clone());
        account.worker = Some(KnownWorker { template, basis, certain: false });
        account.undecided.clear();
    }
}

/// Notes of each account whose worker is the worker of another account too, the most similar one.
pub(super) fn name_shared_faces(accounts: &mut BTreeMap<String, Account>, policy: &RolePolicy) {
    let found = {
        let workers = worker_faces(accounts);
        let asked: Vec<(&Template, Option<&str>)> = workers.iter().map(|w| (w.template, Some(w.worker_id))).collect();
        let found = nearest_workers(&asked, &workers, policy.other_worker_similarity);
        let ids = workers.iter().map(|w| w.worker_id.to_owned());
        ids.zip(found).filter_map(|(id, other)| Some((id, other?))).collect::<Vec<_>>()
    };
    for (id, other) in found {
        let enrolled =
            |id: &str| accounts.get(id).and_then(|a| a.worker.as_ref()).is_some_and(|w| w.basis == Basis::Enrolled);
        let borrowed = enrolled(&other.worker_id) && !enrolled(&id);
        if let Some(account) = accounts.get_mut(&id) {
            account.borrowed = borrowed;
            account.same_as = Some(other);
        }
    }
}

/// Says which members, and which faces in the place of an absent worker, are other workers of the drive.
pub(super) fn name_other_workers(
    analyses: &[Analysis],
    accounts: &BTreeMap<String, Account>,
    casts: &mut [Cast],
    policy: &RolePolicy,
) {
    let workers = worker_faces(accounts);
    let found = |cast: &Cast| cast.worker_similarity.is_some_and(|s| s >= policy.worker_similarity);
    let mut asked: Vec<(usize, usize)> = Vec::new();
    for (row, cast) in casts.iter().enumerate() {
        match cast.worker {
            _ if cast.reasons.contains(&Reason::MemberIsWorker) => {}
            Some(_) if found(cast) || cast.reasons.contains(&Reason::WorkerMismatch) => {
                asked.extend(cast.member.map(|face| (row, face)));
            }
            // Anybody in the foreground may be in the worker's place.
            _ => asked.extend(principals(analyses[row].faces(), policy.principal_ratio).into_iter().map(|f| (row, f))),
        }
    }
    let template = |&(row, face): &(usize, usize)| {
        let own = analyses[row].facts.worker_id.as_deref();
        Some((&analyses[row].faces().get(face)?.reading.as_ref()?.template, own))
    };
    asked.retain(|face| template(face).is_some());
    let faces: Vec<(&Template, Option<&str>)> = asked.iter().filter_map(template).collect();
    let nearest = nearest_workers(&faces, &workers, policy.other_worker_similarity);
    for ((row, face), other) in asked.into_iter().zip(nearest) {
        if let Some(other) = other {
            let found = found(&casts[row]);
            name(&mut casts[row], face, other, found);
        }
    }
    for (analysis, cast) in analyses.iter().zip(casts.iter_mut()) {
        let account = analysis.facts.worker_id.as_ref().and_then(|id| accounts.get(id));
        if account.is_some_and(|a| a.borrowed) && cast.worker.is_some() && found(cast) {
            cast.add(Reason::WorkerMismatch);
            cast.other_worker = cast.other_worker.take().or_else(|| account.and_then(|a| a.same_as.clone()));
        }
    }
}

/// Notes that a face is another worker's: in the worker's place where the account's own was not `found`, else as the
/// member.
fn name(cast: &mut Cast, face: usize, other: OtherWorker, found: bool) {
    let taken = found || cast.reasons.iter().any(|r| matches!(r, Reason::OneFace | Reason::WorkerMismatch));
    if !taken {
        // The other worker is the worker of this selfie, and whoever else is there the member.
        if cast.member == Some(face) {
            cast.member = cast.worker.filter(|&worker| worker != face).or(cast.bystander);
        }
        cast.worker = Some(face);
        cast.reasons.retain(|&r| r != Reason::WorkerAbsent);
        cast.add(Reason::WorkerMismatch);
    } else if cast.member == Some(face) {
        cast.add(Reason::MemberIsOtherWorker);
    } else {
        return;
    }
    if cast.other_worker.as_ref().is_none_or(|known| known.similarity < other.similarity) {
        cast.other_worker = Some(other);
    }
}

/// Says which faces stand in for absent workers under several accounts. Such a face is nobody's member: whoever else is in
/// the foreground is, and without anybody else there is none.
///
/// Somebody who is enrolled beside workers who are there at least as often is a member whose worker was missed, and stays.
pub(super) fn name_stand_ins(analyses: &[Analysis], casts: &mut [Cast], policy: &RolePolicy) {
    let mut places: Vec<(usize, usize)> = Vec::new();
    let mut faces: Vec<WorkerFace> = Vec::new();
    for (row, (analysis, cast)) in analyses.iter().zip(casts.iter()).enumerate() {
        let Some(worker_id) = analysis.facts.worker_id.as_deref() else { continue };
        if !cast.reasons.contains(&Reason::WorkerAbsent) {
            continue;
        }
        for face in principals(analysis.faces(), policy.principal_ratio) {
            if let Some(reading) = &analysis.faces()[face].reading {
                places.push((row, face));
                faces.push(WorkerFace { worker_id, template: &reading.template });
            }
        }
    }
    let shared = shared_faces(&faces, policy.other_worker_similarity, policy.shared_face_accounts);
    if shared.is_empty() {
        return;
    }
    let templates: Vec<Option<Template>> =
        shared.iter().map(|s| mean(s.faces.iter().map(|&face| (faces[face].template, 1.0)))).collect();
    let mut enrolled = vec![0; shared.len()];
    for (analysis, cast) in analyses.iter().zip(casts.iter()) {
        let is_with_worker = cast.worker_similarity.is_some_and(|s| s >= policy.worker_similarity);
        let member = cast.member.filter(|_| is_with_worker).and_then(|face| analysis.faces()[face].reading.as_ref());
        let Some(member) = member else { continue };
        for (count, template) in enrolled.iter_mut().zip(&templates) {
            let is_mate = template.as_ref().is_some_and(|t| {
                t.dim() == member.template.dim() && similarity(t, &member.template) >= policy.other_worker_similarity
            });
            *count += usize::from(is_mate);
        }
    }
    // The face of most accounts comes first, and one selfie has one stand-in.
    for (shared, enrolled) in shared.iter().zip(enrolled) {
        if enrolled >= shared.faces.len() {
            continue;
        }
        for &(row, face) in shared.faces.iter().map(|&face| &places[face]) {
            let cast = &mut casts[row];
            if cast.stand_in_accounts.is_some() {
                continue;
            }
            cast.stand_in_accounts = Some(shared.accounts.len());
            cast.worker = Some(face);
            if cast.member == Some(face) {
                let others = principals(analyses[row].faces(), policy.principal_ratio);
                cast.member = others.into_iter().find(|&other| other != face);
            }
            cast.add(Reason::StandIn);
            if cast.member.is_none() {
                cast.add(Reason::OneFace);
            }
        }
    }
}
