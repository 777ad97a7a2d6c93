//! One bystander, or one background, behind the selfies of several workers: what a room full of phones looks like.
//!
//! Both are hints for a person. A face that stands behind hundreds of workers is most likely on a poster; a background
//! is a coarse grid of colours ([`crate::photo::background`] states how often two rooms look alike).

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::Result;
use crate::gallery::dot::Kernel;
use crate::gallery::{Gallery, Member, exact};
use crate::infer::{ModelId, Template};
use crate::photo::Background;
use crate::photo::background::SAME;

/// Backgrounds kept per worker: a worker has a booth or two.
const PER_WORKER: usize = 3;

/// With more backgrounds than this, only those of one district are compared: the cost grows with the square.
const MOST_COMPARED: usize = 20_000;

/// Where something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glimpse<'a> {
    /// In which submission.
    pub submission_id: &'a str,
    /// Of which worker.
    pub worker_id: &'a str,
    /// In which district.
    pub district: &'a str,
}

/// Something that was seen behind several workers.
#[derive(Debug, Clone, PartialEq)]
pub struct Shared {
    /// The submissions, in the order of their ids; for a background, one or a few of each worker.
    pub submissions: Vec<String>,
    /// Their workers, sorted, each once.
    pub workers: Vec<String>,
    /// Their districts, sorted, each once.
    pub districts: Vec<String>,
    /// The least similarity that joined them.
    pub weakest: f32,
}

/// Faces of bystanders that are at least `least` similar and stand behind `min_workers` workers or more; most workers
/// first. Templates are of one model.
///
/// # Errors
/// [`crate::Error::Bug`] when templates differ in length.
pub fn shared_bystanders(faces: &[(Glimpse, &Template)], least: f32, min_workers: usize) -> Result<Vec<Shared>> {
    let mut sorted: Vec<&(Glimpse, &Template)> = faces.iter().collect();
    sorted.sort_by_key(|face| face.0);
    let rows: Vec<(Member, Template)> =
        sorted.iter().map(|(glimpse, template)| (member(glimpse), (*template).clone())).collect();
    let kernel = Kernel::best();
    let mut links = Vec::new();
    exact::all_pairs(&Gallery::from_rows(&rows)?, least, kernel, &mut |pairs| {
        links.extend(pairs.iter().map(|p| (p.first as usize, p.second as usize, p.similarity)));
        Ok(())
    })?;
    let glimpses: Vec<Glimpse> = sorted.iter().map(|face| face.0).collect();
    Ok(groups(&glimpses, &links, min_workers))
}

fn member(glimpse: &Glimpse) -> Member {
    Member {
        submission_id: glimpse.submission_id.to_owned(),
        worker_id: glimpse.worker_id.to_owned(),
        district: glimpse.district.to_owned(),
        captured_at: 0,
        mobile: None,
        epic: None,
        member_name: None,
        quality: 0.0,
        model: ModelId("bystanders".to_owned()),
        selfie_sha256: [0; 32],
        selfie_dhash: 0,
    }
}

/// Backgrounds that are alike behind `min_workers` workers or more; most workers first. Of each worker's backgrounds
/// the few that come up most are compared.
pub fn shared_backgrounds(pictures: &[(Glimpse, &Background)], min_workers: usize) -> Vec<Shared> {
    let mut by_worker: BTreeMap<&str, Vec<&(Glimpse, &Background)>> = BTreeMap::new();
    for picture in pictures {
        by_worker.entry(picture.0.worker_id).or_default().push(picture);
    }
    let usual: Vec<&(Glimpse, &Background)> =
        by_worker.into_par_iter().map(|(_, pictures)| usual(pictures)).flatten_iter().collect();
    let everywhere = usual.len() <= MOST_COMPARED;
    let compared = |a: &Glimpse, b: &Glimpse| a.worker_id != b.worker_id && (everywhere || a.district == b.district);
    let links: Vec<(usize, usize, f32)> = (0..usual.len())
        .into_par_iter()
        .flat_map_iter(|i| {
            let (usual, a) = (&usual, usual[i]);
            (i + 1..usual.len()).filter(move |&j| compared(&a.0, &usual[j].0)).filter_map(move |j| {
                let similarity = a.1.similarity(usual[j].1).filter(|&s| s >= SAME)?;
                Some((i, j, similarity))
            })
        })
        .collect();
    groups(&usual.iter().map(|p| p.0).collect::<Vec<_>>(), &links, min_workers)
}

/// One worker's backgrounds, each once, those that come up most first.
fn usual<'p, 'a>(mut pictures: Vec<&'p (Glimpse<'a>, &'a Background)>) -> Vec<&'p (Glimpse<'a>, &'a Background)> {
    pictures.sort_by_key(|picture| picture.0);
    let mut kinds: Vec<(&(Glimpse, &Background), usize)> = Vec::new();
    for picture in pictures {
        match kinds.iter_mut().find(|kind| kind.0.1.similarity(picture.1).is_some_and(|s| s >= SAME)) {
            Some(kind) => kind.1 += 1,
            None => kinds.push((picture, 1)),
        }
    }
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.1));
    kinds.truncate(PER_WORKER);
    kinds.into_iter().map(|kind| kind.0).collect()
}

/// Glimpses that links join, where they are of enough workers.
fn groups(glimpses: &[Glimpse], links: &[(usize, usize, f32)], min_workers: usize) -> Vec<Shared> {
    let mut parent: Vec<usize> = (0..glimpses.len()).collect();
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
    let each_once = |names: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        names.collect::<BTreeSet<&str>>().into_iter().map(str::to_owned).collect()
    };
    let mut found: Vec<Shared> = joined
        .into_values()
        .map(|(members, weakest)| Shared {
            submissions: each_once(&mut members.iter().map(|&m| glimpses[m].submission_id)),
            workers: each_once(&mut members.iter().map(|&m| glimpses[m].worker_id)),
            districts: each_once(&mut members.iter().map(|&m| glimpses[m].district)),
            weakest,
        })
        .filter(|shared| shared.workers.len() >= min_workers.max(2))
        .collect();
    found.sort_by(|a, b| b.workers.len().cmp(&a.workers.len()).then_with(|| a.submissions.cmp(&b.submissions)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::photo::Photo;

    fn glimpse<'a>(submission_id: &'a str, worker_id: &'a str, district: &'a str) -> Glimpse<'a> {
        Glimpse { submission_id, worker_id, district }
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
            (glimpse("s3", "W2", "Ujjain"), &faces[0]),
            (glimpse("s1", "W1", "Indore"), &faces[1]),
            (glimpse("s2", "W1", "Indore"), &faces[2]),
            (glimpse("s4", "W3", "Indore"), &faces[3]),
            (glimpse("s5", "W3", "Indore"), &faces[4]),
            (glimpse("s6", "W4", "Indore"), &faces[5]),
        ];
        let found = shared_bystanders(&seen, 0.6, 2).unwrap();
        assert_eq!(found.len(), 1, "one worker's own bystander is nobody's business: {found:?}");
        assert_eq!((found[0].submissions.join(" "), found[0].workers.join(" ")), ("s1 s2 s3".into(), "W1 W2".into()));
        assert_eq!(found[0].districts, ["Indore", "Ujjain"]);
        let mut reversed = seen;
        reversed.reverse();
        assert_eq!(shared_bystanders(&reversed, 0.6, 2).unwrap(), found);
        assert!(shared_bystanders(&seen, 0.6, 3).unwrap().is_empty());
        assert!(shared_bystanders(&[], 0.6, 2).unwrap().is_empty());
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
            (glimpse("s1", "W1", "Ujjain"), &rooms[0]),
            (glimpse("s2", "W2", "Indore"), &rooms[1]),
            (glimpse("s3", "W3", "Indore"), &rooms[2]),
            (glimpse("s4", "W3", "Indore"), &rooms[3]),
            (glimpse("s5", "W4", "Indore"), &rooms[4]),
        ];
        let found = shared_backgrounds(&seen, 2);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].workers.join(" "), found[0].submissions.join(" ")), ("W1 W2".into(), "s1 s2".into()));
        assert!(shared_backgrounds(&seen[2..], 2).is_empty(), "a worker's own booth");
        assert!(shared_backgrounds(&[], 2).is_empty());
    }
}
