//! Before which wall: one room for most members of a worker.

use rayon::prelude::*;

use super::visit::Visit;
use crate::photo::Background;
use crate::photo::background::Outline;

/// Rooms that one worker's pictures are told apart into, at the most: beyond them a picture stands before none of them.
const MOST_ROOMS: usize = 32;

/// A room, by the first picture in it.
struct Room<'a> {
    first: &'a Background,
    outline: Outline,
    visits: Vec<usize>,
}

/// Of each worker's submissions those before the wall before which most stand, but the first of them. Bare walls and faces that
/// fill the picture say nothing.
pub(super) fn same_room(visits: &[Visit], workers: &[Vec<usize>], same: f32) -> Vec<Option<bool>> {
    let mut shown = vec![None; visits.len()];
    let found: Vec<Vec<Vec<usize>>> = workers.par_iter().map(|own| rooms(visits, own, same)).collect();
    for rooms in found {
        rooms.iter().flatten().for_each(|&at| shown[at] = Some(false));
        // Of equal ones the first.
        let fullest = rooms.iter().rev().max_by_key(|room| room.len());
        for &at in fullest.into_iter().flatten() {
            shown[at] = Some(true);
        }
        fullest.and_then(|room| room.first()).into_iter().for_each(|&at| shown[at] = None);
    }
    shown
}

/// A worker's pictures by room. Pictures that say nothing of their room are in none.
fn rooms(visits: &[Visit], own: &[usize], same: f32) -> Vec<Vec<usize>> {
    let mut rooms: Vec<Room> = Vec::new();
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
            None if rooms.len() < MOST_ROOMS => rooms.push(Room { first: background, outline, visits: vec![at] }),
            None => strays.push(vec![at]),
        }
    }
    rooms.into_iter().map(|room| room.visits).chain(strays).collect()
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
        assert_eq!(same_room(&visits, &by_worker(&visits), 0.93), [no, None, yes, no, yes, None]);
        assert_eq!(same_room(&visits[..1], &by_worker(&visits[..1]), 0.93), [None]);
    }
}
