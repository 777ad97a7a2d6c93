//! The faces that come back across one worker's selfies.
//!
//! The face with the most support (the number of other selfies that hold a face similar to it) and its mates are taken
//! for one person; then the same again among the faces left. Members come once each and bystanders seldom twice, so in
//! a night of real selfies the worker's support is near the number of selfies and everybody else's near zero. A
//! person's template is the mean of the mates, which a single bad crop cannot move far.

use crate::config::policy::RolePolicy;
use crate::infer::template::similarity;
use crate::infer::{Analysis, Template};

/// More selfies than this of one worker teach nothing new about that worker's face; the evenly spread sample keeps the
/// cost linear in the worker's submissions.
const SAMPLE: usize = 60;

/// People looked for in one worker's selfies: the worker, helpers, others who use the account.
const MOST_PEOPLE: usize = 5;

/// Pictures whose difference hashes are nearer than this are one picture sent again, which says nothing about who
/// recurs.
const SAME_PICTURE: u32 = 5;

/// The faces of one selfie that were read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Selfie<'a> {
    /// The submission, where it is known.
    pub submission: Option<&'a str>,
    pub faces: Vec<SelfieFace<'a>>,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SelfieFace<'a> {
    pub template: &'a Template,
    /// Height in the picture, relative to the tallest face's.
    pub height: f32,
    /// Whether it stands in the foreground.
    pub principal: bool,
}

impl<'a> Selfie<'a> {
    /// The selfies of one worker that hold a face, each picture once, in an order that depends on what they are alone.
    pub fn distinct(mut submissions: Vec<&'a Analysis>, policy: &RolePolicy) -> Vec<Selfie<'a>> {
        submissions.sort_by_cached_key(|a| {
            let picture = a.selfie.as_ref().map_or([0; 32], |photo| photo.fingerprint.sha256);
            (a.facts.captured_at, a.facts.submission_id.clone(), picture)
        });
        let mut seen: Vec<&crate::photo::Fingerprint> = Vec::new();
        let mut selfies = Vec::new();
        for analysis in submissions {
            let Ok(photo) = &analysis.selfie else { continue };
            let again = |f: &&crate::photo::Fingerprint| {
                f.sha256 == photo.fingerprint.sha256 || f.distance(&photo.fingerprint) < SAME_PICTURE
            };
            // Only the last few: a picture sent again is sent soon, and the cost stays linear.
            if seen.iter().rev().take(SAMPLE).any(again) {
                continue;
            }
            let tallest = photo.faces.first().map_or(0.0, |f| f.detection.bbox[3]);
            let read = photo.faces.iter().filter_map(|face| Some((face, face.reading.as_ref()?)));
            let faces: Vec<SelfieFace> = read
                .map(|(face, reading)| SelfieFace {
                    template: &reading.template,
                    height: if tallest > 0.0 { face.detection.bbox[3] / tallest } else { 1.0 },
                    principal: face.detection.bbox[3] >= tallest * policy.principal_ratio,
                })
                .collect();
            if !faces.is_empty() {
                seen.push(&photo.fingerprint);
                selfies.push(Selfie { submission: analysis.facts.submission_id.as_deref(), faces });
            }
        }
        selfies
    }
}

/// Evenly spread selfies, few enough for comparing all faces with all.
pub(super) fn sample<'a>(selfies: Vec<Selfie<'a>>) -> Vec<Selfie<'a>> {
    let step = selfies.len().div_ceil(SAMPLE).max(1);
    selfies.into_iter().step_by(step).collect()
}

/// A person who is in two or more of the selfies.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Person {
    pub template: Template,
    /// Selfie and face in it, one per selfie, by selfie.
    pub sightings: Vec<(usize, usize)>,
}

impl Person {
    /// Whether the person is in this selfie.
    pub fn is_in(&self, selfie: usize) -> bool {
        self.face_in(selfie).is_some()
    }

    /// Which face of this selfie it is.
    pub fn face_in(&self, selfie: usize) -> Option<usize> {
        self.sightings.binary_search_by_key(&selfie, |s| s.0).ok().map(|at| self.sightings[at].1)
    }

    /// In how many selfies.
    pub fn support(&self) -> usize {
        self.sightings.len()
    }

    /// In how many selfies together with another person.
    pub fn together(&self, other: &Person) -> usize {
        self.sightings.iter().filter(|s| other.is_in(s.0)).count()
    }

    /// Whether the person stands in the foreground at least every second time.
    pub fn is_principal(&self, selfies: &[Selfie]) -> bool {
        let near = self.sightings.iter().filter(|&&(selfie, face)| selfies[selfie].faces[face].principal).count();
        2 * near >= self.support()
    }
}

/// The people who recur, the one with the most support first.
pub(super) fn people(selfies: &[Selfie], policy: &RolePolicy) -> Vec<Person> {
    let mut left: Vec<(usize, usize)> =
        selfies.iter().enumerate().flat_map(|(s, selfie)| (0..selfie.faces.len()).map(move |f| (s, f))).collect();
    let mut people = Vec::new();
    let scores = Scores::of(selfies, &left);
    while people.len() < MOST_PEOPLE {
        let candidates = left.iter().map(|&face| scores.mates(face, &left, policy.worker_similarity));
        // Of equal ones the first, and the order of the selfies is their own.
        let best =
            candidates.reduce(|best, next| if (next.0.len(), next.1) > (best.0.len(), best.1) { next } else { best });
        let Some((mates, _)) = best.filter(|(mates, _)| mates.len() >= 2) else { break };
        let template = |(s, f): (usize, usize)| selfies[s].faces[f].template;
        let Some(centre) = mean(mates.iter().map(|&m| (template(m), 1.0))) else { break };
        // A second pass with the mean finds the mates that the one candidate was too far from.
        let sightings =
            best_per_selfie(left.iter().map(|&m| (m, similarity(&centre, template(m)))), policy.worker_similarity);
        let sightings: Vec<(usize, usize)> = if sightings.0.len() >= 2 { sightings.0 } else { mates };
        let Some(centre) = mean(sightings.iter().map(|&m| (template(m), 1.0))) else { break };
        left.retain(|face| !sightings.contains(face));
        people.push(Person { template: centre, sightings });
    }
    people.sort_by_key(|p| std::cmp::Reverse(p.support()));
    people
}

/// All faces against all, once.
struct Scores {
    /// First row of each selfie's faces.
    starts: Vec<usize>,
    faces: usize,
    values: Vec<f32>,
}

impl Scores {
    fn of(selfies: &[Selfie], all: &[(usize, usize)]) -> Scores {
        let mut starts = Vec::with_capacity(selfies.len());
        let mut next = 0;
        for selfie in selfies {
            starts.push(next);
            next += selfie.faces.len();
        }
        let mut scores = Scores { starts, faces: all.len(), values: vec![1.0; all.len() * all.len()] };
        let template = |(s, f): (usize, usize)| selfies[s].faces[f].template;
        for (i, &a) in all.iter().enumerate() {
            for (j, &b) in all.iter().enumerate().skip(i + 1) {
                let score = similarity(template(a), template(b));
                scores.values[i * scores.faces + j] = score;
                scores.values[j * scores.faces + i] = score;
            }
        }
        scores
    }

    fn row(&self, (selfie, face): (usize, usize)) -> usize {
        self.starts[selfie] + face
    }

    /// The best mate of a face in every selfie that has one (itself in its own), and their summed similarity.
    fn mates(&self, face: (usize, usize), among: &[(usize, usize)], threshold: f32) -> (Vec<(usize, usize)>, f32) {
        let row = self.row(face) * self.faces;
        best_per_selfie(among.iter().map(|&other| (other, self.values[row + self.row(other)])), threshold)
    }
}

/// Of faces in the order of their selfies, the best of each selfie that reaches the threshold, and their sum.
fn best_per_selfie(scored: impl Iterator<Item = ((usize, usize), f32)>, threshold: f32) -> (Vec<(usize, usize)>, f32) {
    let mut best: Vec<((usize, usize), f32)> = Vec::new();
    for (face, score) in scored.filter(|(_, score)| *score >= threshold) {
        match best.last_mut() {
            Some(last) if last.0.0 == face.0 => {
                if score > last.1 {
                    *last = (face, score);
                }
            }
            _ => best.push((face, score)),
        }
    }
    let total = best.iter().map(|b| b.1).sum();
    (best.into_iter().map(|b| b.0).collect(), total)
}

/// The normalised weighted mean of faces of one model: where the noise of single pictures has averaged out. `None` for
/// no faces, faces of different lengths, and faces that cancel out.
pub(super) fn mean<'a>(faces: impl Iterator<Item = (&'a Template, f32)>) -> Option<Template> {
    let mut sum: Vec<f32> = Vec::new();
    for (face, weight) in faces {
        if sum.is_empty() {
            sum = vec![0.0; face.dim()];
        }
        if sum.len() != face.dim() {
            return None;
        }
        sum.iter_mut().zip(&face.master).for_each(|(s, v)| *s += weight * v.to_f32());
    }
    Template::from_embedding(&sum).ok()
}
