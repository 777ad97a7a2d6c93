//! One bystander, or one background, behind the selfies of several workers: what a room full of phones looks like.
//!
//! Both are hints for a person. A face that stands behind hundreds of workers is most likely on a poster; a background
//! is a coarse grid of colours ([`crate::photo::background`] states how often two rooms look alike).

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::Result;
use crate::config::policy::ReusePolicy;
use crate::dump::facts::is_same_name;
use crate::gallery::{Gallery, Member, Processor, exact};
use crate::infer::{ModelId, Template};
use crate::photo::Background;
use crate::photo::background::Outline;

/// Backgrounds of each worker that are kept: a worker has a booth or two.
const PER_WORKER: usize = 3;

/// Of so many backgrounds all are compared with all; of more, those of [`PER_WORKER`] for each worker.
const ALL_COMPARED: usize = 8_000;

/// With more backgrounds than this, only those of one district are compared: the cost grows with the square.
const MOST_COMPARED: usize = 20_000;

/// Where something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting<'a> {
    /// In which submission.
    pub submission_id: &'a str,
    /// Of which worker.
    pub worker_id: &'a str,
    /// In which district.
    pub district: &'a str,
    /// When, microseconds since 1970-01-01T00:00:00Z.
    pub captured_at: i64,
    /// Whether it is one of tonight's; earlier nights are not compared with each other once more.
    pub tonight: bool,
}

/// Something that was seen behind several workers.
#[derive(Debug, Clone, PartialEq)]
pub struct Shared<'a> {
    /// Where it was seen, earliest first.
    pub sightings: Vec<Sighting<'a>>,
    /// Their workers, sorted, each once.
    pub workers: Vec<&'a str>,
    /// Their districts, sorted, each once.
    pub districts: Vec<&'a str>,
    /// The least similarity that joined them.
    pub weakest: f32,
}

/// Faces of bystanders that stand behind several workers; most workers first. Templates are of one model.
///
/// # Errors
/// [`crate::Error::Bug`] when templates differ in length.
pub fn shared_bystanders<'a>(
    faces: &[(Sighting<'a>, &Template)],
    policy: &ReusePolicy,
    processor: &Processor,
) -> Result<Vec<Shared<'a>>> {
    let mut sorted: Vec<&(Sighting, &Template)> = faces.iter().collect();
    sorted.sort_by_key(|face| face.0);
    let rows: Vec<(Member, Template)> =
        sorted.iter().map(|(sighting, template)| (member(sighting), (*template).clone())).collect();
    let mut links = Vec::new();
    let least = policy.bystander_similarity;
    exact::all_pairs(&Gallery::from_rows(&rows)?, least, processor, &mut |_, pairs| {
        links.extend(pairs.iter().map(|p| (p.first as usize, p.second as usize, p.similarity)));
        Ok(())
    })?;
    let sightings: Vec<Sighting> = sorted.iter().map(|face| face.0).collect();
    links.retain(|&(a, b, _)| sightings[a].tonight || sightings[b].tonight);
    links.sort_by_key(|&(a, b, _)| (a, b));
    Ok(groups(&sightings, &links, policy.bystander_workers))
}

fn member(sighting: &Sighting) -> Member {
    Member {
        submission_id: sighting.submission_id.to_owned(),
        worker_id: sighting.worker_id.to_owned(),
        district: sighting.district.to_owned(),
        captured_at: 0,
        mobile: None,
        epic: None,
        member_name: None,
        quality: 0.0,
        model: ModelId("bystanders".to_owned()),
        selfie_sha256: [0; 32],
        selfie_dhash: 0,
        member_doubt_percent: 0,
    }
}

/// Backgrounds that are alike behind several workers; most workers first. Where there are many, of each worker's those
/// that come up most are compared.
pub fn shared_backgrounds<'a>(pictures: &[(Sighting<'a>, &'a Background)], policy: &ReusePolicy) -> Vec<Shared<'a>> {
    let mut compared: Vec<(Sighting, &Background)> = match pictures.len() {
        few if few <= ALL_COMPARED => pictures.to_vec(),
        _ => usual_backgrounds(pictures, policy),
    };
    compared.sort_by_key(|picture| picture.0);
    let outlines: Vec<_> = compared.par_iter().map(|picture| picture.1.outline()).collect();
    let everywhere = compared.len() <= MOST_COMPARED;
    let asked = |a: &Sighting, b: &Sighting| {
        a.worker_id != b.worker_id && (a.tonight || b.tonight) && (everywhere || is_same_name(a.district, b.district))
    };
    let links: Vec<(usize, usize, f32)> = (0..compared.len())
        .into_par_iter()
        .flat_map_iter(|i| {
            let (all, outlines, asked) = (&compared, &outlines, &asked);
            (i + 1..all.len()).filter_map(move |j| {
                let may = asked(&all[i].0, &all[j].0) && outlines[i].may_match(&outlines[j]);
                let similarity = may.then(|| all[i].1.similarity(all[j].1))??;
                (similarity >= policy.background_similarity).then_some((i, j, similarity))
            })
        })
        .collect();
    groups(&compared.iter().map(|p| p.0).collect::<Vec<_>>(), &links, policy.background_workers)
}

/// Of each worker's backgrounds the few that come up most, each once.
pub fn usual_backgrounds<'a>(
    pictures: &[(Sighting<'a>, &'a Background)],
    policy: &ReusePolicy,
) -> Vec<(Sighting<'a>, &'a Background)> {
    let mut by_worker: BTreeMap<&str, Vec<(Sighting, &Background)>> = BTreeMap::new();
    for picture in pictures {
        by_worker.entry(picture.0.worker_id).or_default().push(*picture);
    }
    by_worker.into_par_iter().flat_map_iter(|(_, pictures)| usual(pictures, policy.background_similarity)).collect()
}

/// One worker's backgrounds, each once, those that come up most first.
fn usual<'a>(mut pictures: Vec<(Sighting<'a>, &'a Background)>, same: f32) -> Vec<(Sighting<'a>, &'a Background)> {
    /// Backgrounds that one worker's pictures are told apart into, at the most.
    const KINDS: usize = 32;
    pictures.sort_by_key(|picture| picture.0);
    let mut kinds: Vec<((Sighting, &Background), Outline, usize)> = Vec::new();
    for picture in pictures {
        let outline = picture.1.outline();
        let alike = |(kind, of, _): &((Sighting, &Background), Outline, usize)| {
            of.may_match(&outline) && kind.1.similarity(picture.1).is_some_and(|s| s >= same)
        };
        match kinds.iter().position(alike) {
            Some(known) => kinds[known].2 += 1,
            None if kinds.len() < KINDS => kinds.push((picture, outline, 1)),
            None => {}
        }
    }
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.2));
    kinds.truncate(PER_WORKER);
    kinds.into_iter().map(|kind| kind.0).collect()
}

/// Sightings that links join, where they are of enough workers.
fn groups<'a>(sightings: &[Sighting<'a>], links: &[(usize, usize, f32)], min_workers: usize) -> Vec<Shared<'a>> {
    let mut parent: Vec<usize> = (0..sightings.len()).collect();
    let root = |parent: &mut Vec<usize>, mut node: usize| {
        while parent[node] != node {
            parent[node] = parent[parent[node]];
            node = parent[node];
        }
        node
    };
    for &(a, b, _) in links {
        let (a, b) = (root(&mut parent, a), root(&mut parent, b));
        parent[a.max(b)] = a.min(b);
    }
    let mut joined: BTreeMap<usize, (BTreeSet<usize>, f32)> = BTreeMap::new();
    for &(a, b, similarity) in links {
        let group = joined.entry(root(&mut parent, a)).or_insert((BTreeSet::new(), f32::INFINITY));
        group.0.extend([a, b]);
        group.1 = group.1.min(similarity);
    }
    let each_once = |names: &mut dyn Iterator<Item = &'a str>| names.collect::<BTreeSet<&str>>().into_iter().collect();
    let mut found: Vec<Shared> = joined
        .into_values()
        .map(|(members, weakest)| {
            let mut seen: Vec<Sighting> = members.iter().map(|&m| sightings[m]).collect();
            seen.sort_by_key(|g| (g.captured_at, g.submission_id));
            Shared {
                workers: each_once(&mut seen.iter().map(|g| g.worker_id)),
                districts: each_once(&mut seen.iter().map(|g| g.district)),
                sightings: seen,
                weakest,
            }
        })
        .filter(|shared| shared.workers.len() >= min_workers.max(2))
        .collect();
    found.sort_by(|a, b| b.workers.len().cmp(&a.workers.len()).then_with(|| a.sightings.cmp(&b.sightings)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::Photo;

    fn sighting<'a>(submission_id: &'a str, worker_id: &'a str, district: &'a str) -> Sighting<'a> {
        Sighting { submission_id, worker_id, district, captured_at: 0, tonight: true }
    }

    fn policy(bystander_workers: usize, background_workers: usize) -> ReusePolicy {
        let policy = ReusePolicy { bystander_similarity: 0.6, background_similarity: 0.93, ..ReusePolicy::default() };
        ReusePolicy { bystander_workers, background_workers, ..policy }
    }

    fn ids(shared: &Shared) -> String {
        shared.sightings.iter().map(|g| g.submission_id).collect::<Vec<_>>().join(" ")
    }

    fn face(axis: usize, noise: usize) -> Template {
        let mut embedding = vec![0f32; 64];
        embedding[axis] = 1.0;
        embedding[32 + noise] += 0.4;
        Template::from_embedding(&embedding).unwrap()
    }

    #[test]
    fn one_face_behind_several_workers_is_found() {
        let faces = [face(0, 1), face(0, 2), face(0, 3), face(1, 4), face(1, 5), face(2, 6)];
        let seen = [
            (sighting("s3", "W2", "Ujjain"), &faces[0]),
            (sighting("s1", "W1", "Indore"), &faces[1]),
            (sighting("s2", "W1", "Indore"), &faces[2]),
            (sighting("s4", "W3", "Indore"), &faces[3]),
            (sighting("s5", "W3", "Indore"), &faces[4]),
            (sighting("s6", "W4", "Indore"), &faces[5]),
        ];
        let found = shared_bystanders(&seen, &policy(2, 2), &Processor::default()).unwrap();
        assert_eq!(found.len(), 1, "one worker's own bystander is nobody's business: {found:?}");
        assert_eq!((ids(&found[0]), found[0].workers.join(" ")), ("s1 s2 s3".into(), "W1 W2".into()));
        assert_eq!(found[0].districts, ["Indore", "Ujjain"]);
        let mut reversed = seen;
        reversed.reverse();
        assert_eq!(shared_bystanders(&reversed, &policy(2, 2), &Processor::default()).unwrap(), found);
        assert!(shared_bystanders(&seen, &policy(3, 2), &Processor::default()).unwrap().is_empty());
        let past: Vec<_> = seen.iter().map(|(g, face)| (Sighting { tonight: false, ..*g }, *face)).collect();
        assert!(
            shared_bystanders(&past, &policy(2, 2), &Processor::default()).unwrap().is_empty(),
            "said on its own night"
        );
        assert!(shared_bystanders(&[], &policy(2, 2), &Processor::default()).unwrap().is_empty());
    }

    fn room(seed: f32, gain: f32) -> Background {
        let mut rgb = Vec::new();
        for at in 0..160 * 120 {
            let (u, v) = ((at % 160) as f32 / 160.0, (at / 160) as f32 / 120.0);
            let wall = |k: f32| 120.0 + 60.0 * (seed * k + 7.0 * u * (1.0 + seed)).sin() * (5.0 * v + seed * k).cos();
            rgb.extend([wall(1.0), wall(1.4), wall(1.9)].map(|c| (c * gain).clamp(0.0, 255.0) as u8));
        }
        Background::of(&Photo { width: 160, height: 120, rgb }, &[])
    }

    #[test]
    fn one_room_behind_several_workers_is_found() {
        let rooms = [room(0.7, 1.0), room(0.7, 0.8), room(2.9, 1.0), room(2.9, 0.9), room(4.3, 1.0)];
        let seen = [
            (sighting("s1", "W1", "Ujjain"), &rooms[0]),
            (sighting("s2", "W2", "Indore"), &rooms[1]),
            (sighting("s3", "W3", "Indore"), &rooms[2]),
            (sighting("s4", "W3", "Indore"), &rooms[3]),
            (sighting("s5", "W4", "Indore"), &rooms[4]),
        ];
        let found = shared_backgrounds(&seen, &policy(2, 2));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].workers.join(" "), ids(&found[0])), ("W1 W2".into(), "s1 s2".into()));
        assert!(shared_backgrounds(&seen[2..], &policy(2, 2)).is_empty(), "a worker's own booth");
        assert!(shared_backgrounds(&[], &policy(2, 2)).is_empty());
    }
}
