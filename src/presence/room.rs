//! Before which wall: one room for most members of a worker.

use std::collections::HashMap;

use rayon::prelude::*;

use super::visit::Visit;
use crate::photo::Background;
use crate::photo::background::Outline;

/// Rooms that one worker's pictures are told apart into, at the most: beyond them a picture stands before none of them.
const MOST_ROOMS: usize = 32;

/// A room, by the first picture in it.
#[derive(Clone)]
struct Room<'a> {
    first: &'a Background,
    outline: Outline,
    /// Whether the worker was there on an earlier night.
    is_known: bool,
    visits: Vec<usize>,
}

/// A background of a worker on an earlier night.
#[derive(Debug, Clone, Copy)]
pub struct EarlierRoom<'a> {
    /// The worker.
    pub worker: &'a str,
    /// What was behind the faces.
    pub background: &'a Background,
}

/// Of each worker's submissions those before the wall before which most stand, but the first of them, where the worker was not
/// there on an earlier night. Bare walls and faces that fill the picture say nothing.
pub(super) fn same_room(
    visits: &[Visit],
    workers: &[Vec<usize>],
    earlier: &[EarlierRoom],
    same: f32,
) -> Vec<Option<bool>> {
    let mut shown = vec![None; visits.len()];
    let mut known: HashMap<&str, Vec<Room>> = HashMap::new();
    for &EarlierRoom { worker, background } in earlier {
        let room = Room { first: background, outline: background.outline(), is_known: true, visits: Vec::new() };
        known.entry(worker).or_default().push(room);
    }
    let of_worker = |own: &Vec<usize>| {
        let known = own.first().and_then(|&at| known.get(visits[at].worker)).cloned().unwrap_or_default();
        rooms(visits, own, known, same)
    };
    let found: Vec<Vec<Room>> = workers.par_iter().map(of_worker).collect();
    for rooms in found {
        rooms.iter().flat_map(|room| &room.visits).for_each(|&at| shown[at] = Some(false));
        // Of equal ones the first.
        let Some(fullest) = rooms.iter().rev().max_by_key(|room| room.visits.len()) else { continue };
        fullest.visits.iter().for_each(|&at| shown[at] = Some(true));
        if let (false, Some(&first)) = (fullest.is_known, fullest.visits.first()) {
            shown[first] = None;
        }
    }
    shown
}

/// A worker's pictures by room. Pictures that say nothing of their room are in none.
fn rooms<'a>(visits: &[Visit<'a>], own: &[usize], mut rooms: Vec<Room<'a>>, same: f32) -> Vec<Room<'a>> {
    let mut strays = Vec::new();
    for &at in own {
        let Some(background) = visits[at].background else { continue };
        if background.similarity(background).is_none() {
            continue;
        }
        let outline = background.outline();
        let is_same = |room: &Room| {
            room.outline.may_match(&outline) && room.first.similarity(background).is_some_and(|alike| alike >= same)
        };
        match rooms.iter().position(is_same) {
            Some(known) => rooms[known].visits.push(at),
            None => {
                let room = Room { first: background, outline, is_known: false, visits: vec![at] };
                if rooms.len() < MOST_ROOMS { rooms.push(room) } else { strays.push(room) }
            }
        }
    }
    rooms.into_iter().chain(strays).collect()
}

#[cfg(test)]
mod tests {
    use super::super::visit::by_worker;
    use super::super::visit::tests::visit;
    use super::*;
    use crate::photo::Photo;

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
    fn most_members_before_one_wall_are_seen() {
        let bare = Background::of(&Photo { width: 160, height: 120, rgb: vec![128; 160 * 120 * 3] }, &[]);
        let walls = [room(2.9, 1.0), room(0.7, 1.0), room(0.7, 0.8), room(4.3, 1.0), room(0.7, 0.9), bare];
        let visits: Vec<Visit> = walls
            .iter()
            .enumerate()
            .map(|(n, wall)| Visit { background: Some(wall), ..visit("A", n as u64, n as i64) })
            .collect();
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(same_room(&visits, &by_worker(&visits), &[], 0.93), [no, None, yes, no, yes, None]);
        assert_eq!(same_room(&visits[..1], &by_worker(&visits[..1]), &[], 0.93), [None]);
        // There on an earlier night: the first one counts as well. Somebody else's room is no matter.
        let earlier = |worker| [EarlierRoom { worker, background: &walls[4] }];
        assert_eq!(same_room(&visits, &by_worker(&visits), &earlier("A"), 0.93), [no, yes, yes, no, yes, None]);
        assert_eq!(same_room(&visits, &by_worker(&visits), &earlier("B"), 0.93), [no, None, yes, no, yes, None]);
    }
}
