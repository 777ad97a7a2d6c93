//! The worker's face: enrolled, or learned as the face that recurs across the worker's submissions.
//!
//! Learning takes the face with the most support: the number of the worker's other submissions that hold a face
//! similar to it. Members come once each and bystanders seldom twice, so in a night of real selfies the worker's
//! support is near the number of submissions and everybody else's near zero. The template is then the mean of the
//! supporting faces, which a single bad crop cannot move far.

use std::collections::BTreeMap;

use crate::config::policy::RolePolicy;
use crate::infer::template::similarity;
use crate::infer::{Analysis, SeenFace, Template};

/// More submissions than this of one worker teach nothing new about that worker's face; the evenly spread sample keeps
/// the cost linear in the worker's submissions.
const SAMPLE: usize = 120;

/// Where a worker's template comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The reference photo in the workers table.
    Enrolled,
    /// Found in `recurrences` of `submissions` selfies.
    Recurring {
        /// Selfies that hold the face.
        recurrences: usize,
        /// Selfies that hold any face.
        submissions: usize,
    },
}

/// A worker whose face is known.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownWorker {
    /// The face.
    pub template: Template,
    /// How it came to be known.
    pub basis: Basis,
}

/// Every worker of the dump whose face is enrolled or can be learned, by worker id.
pub fn known_workers(
    analyses: &[Analysis],
    enrolled: &BTreeMap<String, Template>,
    policy: &RolePolicy,
) -> BTreeMap<String, KnownWorker> {
    let mut by_worker: BTreeMap<&str, Vec<&[SeenFace]>> = BTreeMap::new();
    for analysis in analyses {
        if let Some(worker) = &analysis.facts.worker_id {
            by_worker.entry(worker).or_default().push(analysis.faces());
        }
    }
    let mut known: BTreeMap<String, KnownWorker> = by_worker
        .into_iter()
        .filter(|(id, _)| !enrolled.contains_key(*id))
        .filter_map(|(id, selfies)| Some((id.to_owned(), learn(&selfies, policy)?)))
        .collect();
    for (id, template) in enrolled {
        known.insert(id.clone(), KnownWorker { template: template.clone(), basis: Basis::Enrolled });
    }
    known
}

/// Learns the face that recurs, or `None` where none recurs often enough.
fn learn(selfies: &[&[SeenFace]], policy: &RolePolicy) -> Option<KnownWorker> {
    let with_faces: Vec<Vec<&Template>> = selfies
        .iter()
        .map(|faces| faces.iter().filter_map(|f| f.reading.as_ref()).map(|r| &r.template).collect::<Vec<_>>())
        .filter(|templates| !templates.is_empty())
        .collect();
    let step = with_faces.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<&[&Template]> = with_faces.iter().step_by(step).map(Vec::as_slice).collect();

    let mut best: Option<(Vec<&Template>, f32)> = None;
    for selfie in &sample {
        for &candidate in *selfie {
            let (mates, total) = support(candidate, &sample, policy.worker_similarity);
            if best.as_ref().is_none_or(|(b, t)| (mates.len(), total) > (b.len(), *t)) {
                best = Some((mates, total));
            }
        }
    }
    let centre = mean(&best?.0)?;
    // A second pass with the mean finds the mates that the one candidate was too far from.
    let (mates, _) = support(&centre, &sample, policy.worker_similarity);
    let needed = (sample.len() as f32 * policy.recurrence_share).ceil() as usize;
    if mates.len() < needed.max(policy.min_recurrences) {
        return None;
    }
    Some(KnownWorker {
        template: mean(&mates)?,
        basis: Basis::Recurring { recurrences: mates.len(), submissions: sample.len() },
    })
}

/// The best mate of `face` in every selfie that has one, and their summed similarity.
fn support<'a>(face: &Template, selfies: &[&[&'a Template]], threshold: f32) -> (Vec<&'a Template>, f32) {
    let mut mates = Vec::new();
    let mut total = 0.0;
    for selfie in selfies {
        let scored = selfie.iter().map(|&other| (similarity(face, other), other));
        if let Some((score, mate)) = scored.max_by(|a, b| a.0.total_cmp(&b.0))
            && score >= threshold
        {
            mates.push(mate);
            total += score;
        }
    }
    (mates, total)
}

/// The normalised mean of faces: where the noise of single pictures has averaged out.
fn mean(faces: &[&Template]) -> Option<Template> {
    let mut sum = vec![0f32; faces.first()?.dim()];
    for face in faces {
        sum.iter_mut().zip(&face.master).for_each(|(s, v)| *s += v.to_f32());
    }
    Template::from_embedding(&sum).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::{Detection, Quality};
    use crate::infer::Reading;

    /// A face whose template points along `axis`, a little off by `noise`.
    pub fn face(axis: usize, noise: usize) -> SeenFace {
        let mut embedding = vec![0f32; 64];
        embedding[axis] = 1.0;
        embedding[40 + noise % 24] += 0.3;
        let detection = Detection { bbox: [0.0, 0.0, 100.0, 100.0], landmarks: [[0.0; 2]; 5], score: 0.9 };
        let template = Template::from_embedding(&embedding).unwrap();
        SeenFace { detection, reading: Some(Reading { quality: Quality::default(), liveness: 1.0, template }) }
    }

    #[test]
    fn the_face_that_recurs_is_the_worker() {
        let selfies: Vec<Vec<SeenFace>> = (0..6).map(|n| vec![face(1 + n, n), face(0, n)]).collect();
        let selfies: Vec<&[SeenFace]> = selfies.iter().map(Vec::as_slice).collect();
        let worker = learn(&selfies, &RolePolicy::default()).unwrap();
        assert_eq!(worker.basis, Basis::Recurring { recurrences: 6, submissions: 6 });
        assert!(worker.template.master[0].to_f32() > 0.9);
    }

    #[test]
    fn two_submissions_teach_nothing_and_no_submission_neither() {
        let selfies: Vec<Vec<SeenFace>> = (0..2).map(|n| vec![face(1 + n, n), face(0, n)]).collect();
        let selfies: Vec<&[SeenFace]> = selfies.iter().map(Vec::as_slice).collect();
        assert_eq!(learn(&selfies, &RolePolicy::default()), None);
        assert_eq!(learn(&[], &RolePolicy::default()), None);
    }

    #[test]
    fn nobody_recurs_where_every_picture_is_of_others() {
        let selfies: Vec<Vec<SeenFace>> = (0..10).map(|n| vec![face(2 * n, n), face(2 * n + 1, n)]).collect();
        let selfies: Vec<&[SeenFace]> = selfies.iter().map(Vec::as_slice).collect();
        assert_eq!(learn(&selfies, &RolePolicy::default()), None);
    }
}
