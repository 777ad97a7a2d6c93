//! Casting one selfie: worker, member, bystanders, and what is wrong with them.

use serde::{Deserialize, Serialize};

use crate::config::policy::RolePolicy;
use crate::infer::template::similarity;
use crate::infer::{SeenFace, Template};
use crate::reason::Reason;
use crate::roles::account::{Account, KnownWorker};
use crate::roles::alike::OtherWorker;
use crate::roles::memory::Basis;

/// The part a face plays in its selfie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The field worker who submitted the selfie.
    Worker,
    /// The person being enrolled.
    Member,
    /// Somebody behind them.
    Bystander,
}

impl Role {
    /// The word written to tables.
    pub fn code(self) -> &'static str {
        match self {
            Role::Worker => "worker",
            Role::Member => "member",
            Role::Bystander => "bystander",
        }
    }
}

/// The roles of one selfie.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cast {
    /// Index of the worker's face: of whoever stands in the worker's place where the account's own is absent.
    pub worker: Option<usize>,
    /// Index of the member's face.
    pub member: Option<usize>,
    /// Highest similarity of a face to the worker's template, where one is known.
    pub worker_similarity: Option<f32>,
    /// What is wrong with the roles.
    pub reasons: Vec<Reason>,
    /// The next face in the foreground after worker and member.
    pub(super) bystander: Option<usize>,
    /// The other worker of the drive who is in the picture, as the member or in the worker's place.
    pub other_worker: Option<OtherWorker>,
    /// Under how many accounts the face in the absent worker's place stands there.
    pub stand_in_accounts: Option<usize>,
}

impl Cast {
    /// The role of face number `index`.
    pub fn role(&self, index: usize) -> Role {
        match Some(index) {
            face if face == self.worker => Role::Worker,
            face if face == self.member => Role::Member,
            _ => Role::Bystander,
        }
    }

    /// Makes a face the member's, as somebody who looked says. Whoever was taken for the member is the worker where that face
    /// was taken for the worker's; what was said about the wrong face no longer holds.
    pub fn correct_member(&mut self, face: usize) {
        if self.worker == Some(face) {
            self.worker = self.member;
        }
        self.member = Some(face);
        self.other_worker = None;
        let of_the_face = [Reason::MemberIsWorker, Reason::MemberIsOtherWorker, Reason::TooManyFaces];
        self.reasons.retain(|reason| !of_the_face.contains(reason));
    }

    pub(super) fn add(&mut self, reason: Reason) {
        if let Err(place) = self.reasons.binary_search(&reason) {
            self.reasons.insert(place, reason);
        }
    }
}

/// The probability, in percent, that the face cast as the member of a selfie with these reasons is another person in the
/// picture.
///
/// Among the flagged pairs of a synthetic drive of 2,000 selfies over two nights, 20 of 35 with `too_many_faces` on a side
/// joined two people, 1 of 3 of those with `worker_absent` and company, none of 21 with a single face in the picture, and
/// 2 of 114 of all others, both of them one person under two labels. The numbers here are such shares for one side, rounded.
pub fn member_doubt_percent(reasons: &[Reason]) -> u8 {
    let has = |reason| reasons.contains(&reason);
    if has(Reason::TooManyFaces) {
        40
    } else if has(Reason::OneFace) {
        2
    } else if has(Reason::WorkerAbsent) || has(Reason::WorkerUnknown) {
        20
    } else {
        0
    }
}

/// Casts one selfie whose faces stand tallest first. `worker` is the template of the worker who submitted it.
pub fn cast(faces: &[SeenFace], worker: Option<&Template>, policy: &RolePolicy) -> Cast {
    let known = |template: &Template| KnownWorker { template: template.clone(), basis: Basis::Enrolled, certain: true };
    cast_account(faces, &Account { worker: worker.map(known), ..Account::default() }, policy)
}

/// Casts one selfie whose faces stand tallest first, by what is known of the account that submitted it.
///
/// A face is principal when its height is at least `principal_ratio` of the tallest face's: the two people of a selfie
/// stand at one arm's length, everybody else behind them.
pub fn cast_account(faces: &[SeenFace], account: &Account, policy: &RolePolicy) -> Cast {
    let scene = Scene { faces, principals: principals(faces, policy.principal_ratio), policy };
    let mut cast = Cast::default();
    if scene.principals.is_empty() {
        cast.add(Reason::NoFace);
        return cast;
    }
    let strangers: Vec<usize> =
        scene.principals.iter().copied().filter(|&face| !scene.is_any(face, &account.helpers)).collect();
    let height = |face: usize| faces[face].detection.bbox[3];
    let nearest = height(scene.principals[0]) * policy.equal_ratio;
    let beside: Vec<usize> = strangers.iter().copied().filter(|&face| height(face) >= nearest).collect();
    // Of people who are the worker and a helper, nobody knows which, one is a helper.
    let undecided = beside.iter().filter(|&&face| scene.is_any(face, &account.undecided)).count();
    if strangers.len() > policy.max_principals || beside.len() - undecided.saturating_sub(1) > 2 {
        cast.add(Reason::TooManyFaces);
    }
    match &account.worker {
        Some(worker) => scene.cast_known(worker, account, &mut cast),
        None => scene.cast_unknown(account, &mut cast),
    }
    let taken = |face: usize| Some(face) == cast.worker || Some(face) == cast.member;
    cast.bystander = scene.principals.iter().copied().find(|&face| !taken(face));
    cast
}

/// Indexes of the faces in the foreground that were read, tallest first.
pub(super) fn principals(faces: &[SeenFace], ratio: f32) -> Vec<usize> {
    let Some(tallest) = faces.first() else { return Vec::new() };
    let least = tallest.detection.bbox[3] * ratio;
    let near = |(index, face): (usize, &SeenFace)| {
        (face.reading.is_some() && face.detection.bbox[3] >= least).then_some(index)
    };
    faces.iter().enumerate().filter_map(near).collect()
}

/// One selfie while it is being cast.
struct Scene<'a> {
    faces: &'a [SeenFace],
    principals: Vec<usize>,
    policy: &'a RolePolicy,
}

impl Scene<'_> {
    fn score(&self, face: usize, template: &Template) -> f32 {
        let reading = self.faces[face].reading.as_ref();
        reading.filter(|r| r.template.dim() == template.dim()).map_or(-1.0, |r| similarity(template, &r.template))
    }

    /// The face most like a template, with its similarity. A worker may stand further back than the member, so every
    /// face that was read is asked.
    fn best(&self, template: &Template) -> Option<(f32, usize)> {
        let read = (0..self.faces.len()).filter(|&face| self.faces[face].reading.is_some());
        read.map(|face| (self.score(face, template), face)).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
    }

    fn is_any(&self, face: usize, templates: &[Template]) -> bool {
        templates.iter().any(|template| self.score(face, template) >= self.policy.worker_similarity)
    }

    /// The worker's face is known: the best mate is the worker, the tallest other principal face the member.
    fn cast_known(&self, worker: &KnownWorker, account: &Account, cast: &mut Cast) {
        let best = self.best(&worker.template);
        cast.worker_similarity = best.map(|(similarity, _)| similarity);
        match best.filter(|(similarity, _)| *similarity >= self.policy.worker_similarity) {
            Some((_, face)) => cast.worker = Some(face),
            None if !worker.certain => return self.cast_unknown(account, cast),
            None => match self.in_place(account) {
                Some(face) => {
                    cast.worker = Some(face);
                    cast.add(Reason::WorkerMismatch);
                }
                None => cast.add(Reason::WorkerAbsent),
            },
        }
        if !worker.certain {
            cast.add(Reason::WorkerUnknown);
        }
        let twin = |face: usize| self.score(face, &worker.template) >= self.policy.same_face_similarity;
        cast.member = self.member(cast.worker, |face| twin(face) || self.is_any(face, &account.helpers));
        let Some(member) = cast.member else { return cast.add(Reason::OneFace) };
        if cast.worker.is_none() && self.principals.len() == 1 {
            cast.add(Reason::OneFace);
        } else if cast.worker.is_some() && worker.certain && twin(member) {
            cast.add(Reason::MemberIsWorker);
        }
    }

    /// The person who stands in the absent worker's place, if it is one who does so often.
    fn in_place(&self, account: &Account) -> Option<usize> {
        let found = account.others.iter().filter_map(|other| self.best(other));
        let best = found.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))?;
        (best.0 >= self.policy.worker_similarity).then_some(best.1)
    }

    /// The tallest principal face that is not the worker: one of those to be passed over only if there is no other.
    fn member(&self, worker: Option<usize>, passed_over: impl Fn(usize) -> bool) -> Option<usize> {
        let others = || self.principals.iter().copied().filter(|&face| Some(face) != worker);
        others().find(|&face| !passed_over(face)).or_else(|| others().next())
    }

    /// Nobody knows the worker's face: one of the two who recur if there are such, else the one who stands nearest, for
    /// it is the worker who holds the phone. The row says that this is a guess.
    fn cast_unknown(&self, account: &Account, cast: &mut Cast) {
        cast.add(Reason::WorkerUnknown);
        if let [only] = self.principals[..] {
            cast.member = Some(only);
            return cast.add(Reason::OneFace);
        }
        let recurs = |face: &usize| self.is_any(*face, &account.undecided);
        let worker = account
            .undecided
            .iter()
            .filter_map(|template| self.best(template))
            .find(|(similarity, _)| *similarity >= self.policy.worker_similarity)
            .map(|(_, face)| face)
            .or_else(|| self.principals.iter().copied().find(|&face| !self.is_any(face, &account.helpers)));
        cast.worker = worker;
        cast.member = self.member(worker, |face| recurs(&face) || self.is_any(face, &account.helpers));
    }
}
