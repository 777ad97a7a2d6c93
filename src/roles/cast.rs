//! Casting one selfie: worker, member, bystanders, and what is wrong with them.

use crate::config::policy::RolePolicy;
use crate::infer::template::similarity;
use crate::infer::{SeenFace, Template};
use crate::reason::Reason;
use crate::roles::Cast;

/// Casts one selfie whose faces stand tallest first. `worker` is the template of the worker who submitted it.
///
/// A face is principal when its height is at least `principal_ratio` of the tallest face's: the two people of a selfie
/// stand at one arm's length, everybody else behind them.
pub fn cast(faces: &[SeenFace], worker: Option<&Template>, policy: &RolePolicy) -> Cast {
    let principals: Vec<usize> = principals(faces, policy.principal_ratio);
    let mut cast = Cast::default();
    if principals.is_empty() {
        cast.reasons.push(Reason::NoFace);
        return cast;
    }
    if principals.len() > policy.max_principals {
        cast.reasons.push(Reason::TooManyFaces);
    }
    match worker {
        Some(template) => cast_known(faces, &principals, template, policy, &mut cast),
        None => cast_unknown(&principals, &mut cast),
    }
    cast
}

/// Indexes of the faces in the foreground that were read, tallest first.
fn principals(faces: &[SeenFace], ratio: f32) -> Vec<usize> {
    let Some(tallest) = faces.first() else { return Vec::new() };
    let least = tallest.detection.bbox[3] * ratio;
    let near = |(index, face): (usize, &SeenFace)| {
        (face.reading.is_some() && face.detection.bbox[3] >= least).then_some(index)
    };
    faces.iter().enumerate().filter_map(near).collect()
}

/// The worker's face is known: the best mate is the worker, the tallest other principal face the member.
fn cast_known(faces: &[SeenFace], principals: &[usize], worker: &Template, policy: &RolePolicy, cast: &mut Cast) {
    let score = |index: usize| faces[index].reading.as_ref().map_or(-1.0, |r| similarity(worker, &r.template));
    // The worker may stand further back than the member, so every face that was read is asked.
    let best = (0..faces.len()).map(|i| (score(i), i)).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    match best {
        Some((similarity, index)) if similarity >= policy.worker_similarity => {
            cast.worker = Some(index);
            cast.worker_similarity = Some(similarity);
        }
        best => {
            cast.worker_similarity = best.map(|(similarity, _)| similarity);
            cast.reasons.push(Reason::WorkerAbsent);
        }
    }
    cast.member = principals.iter().copied().find(|&index| Some(index) != cast.worker);
    match cast.member {
        None => cast.reasons.push(Reason::OneFace),
        Some(_) if cast.worker.is_none() && principals.len() == 1 => cast.reasons.push(Reason::OneFace),
        Some(member) if cast.worker.is_some() && score(member) >= policy.worker_similarity => {
            cast.reasons.push(Reason::MemberIsWorker);
        }
        Some(_) => {}
    }
}

/// Nobody knows the worker's face: the one who holds the phone stands nearer, so the tallest face is taken for the
/// worker's and the row says that this is a guess.
fn cast_unknown(principals: &[usize], cast: &mut Cast) {
    cast.reasons.push(Reason::WorkerUnknown);
    match principals {
        [only] => {
            cast.member = Some(*only);
            cast.reasons.push(Reason::OneFace);
        }
        [nearest, next, ..] => {
            cast.worker = Some(*nearest);
            cast.member = Some(*next);
        }
        [] => {}
    }
}
