//! A frozen graph: its arrays in one piece of bytes, and the walk through them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::gallery::derived::Bytes;
use crate::gallery::dot::{RowDot, ZERO};
use crate::infer::Template;
use crate::{Error, Result};

/// The graphs of one segment.
#[derive(Debug)]
pub(in crate::gallery) struct Graph {
    bytes: Bytes,
    shards: Vec<Shard>,
}

/// One graph: where its arrays lie in the bytes. All are u32, but the codes.
#[derive(Debug)]
pub(super) struct Shard {
    first_row: usize,
    /// Bytes of a leader's codes.
    width: usize,
    /// Row in the shard per leader.
    leaders: Array,
    /// Where each leader's group starts in `members`, and its end.
    group_starts: Array,
    /// Rows of the shard by leader, each group ascending.
    members: Array,
    /// Levels above the lowest, the highest first: nodes ascending, starts, links.
    upper: Vec<[Array; 3]>,
    /// Links in the lowest level.
    starts: Array,
    links: Array,
    /// Leaders that no walk from the entry reaches: always looked at.
    orphans: Array,
    /// Scale per leader, as bits.
    scales: Array,
    /// -128 times the sum of each leader's codes.
    sums: Array,
    codes: std::ops::Range<usize>,
    entry: u32,
}

/// Where an array of u32 lies.
#[derive(Debug, Clone, Copy)]
struct Array {
    start: usize,
    len: usize,
}

impl Array {
    fn get(self, bytes: &[u8]) -> &[[u8; 4]] {
        bytes[self.start..self.start + 4 * self.len].as_chunks().0
    }

    fn at(self, bytes: &[u8], index: usize) -> u32 {
        u32::from_le_bytes(self.get(bytes)[index])
    }

    /// The part of this array that `starts` gives to `index`.
    fn group(self, bytes: &[u8], starts: Array, index: usize) -> &[[u8; 4]] {
        &self.get(bytes)[starts.at(bytes, index) as usize..starts.at(bytes, index + 1) as usize]
    }
}

fn numbers(array: &[[u8; 4]]) -> impl Iterator<Item = u32> {
    array.iter().map(|&b| u32::from_le_bytes(b))
}

/// Reads the arrays of a payload, one after the other.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn array(&mut self) -> Option<Array> {
        let len = u32::from_le_bytes(*self.bytes.get(self.at..)?.first_chunk()?) as usize;
        let start = self.at + 4;
        self.at = start + 4 * len;
        (self.at <= self.bytes.len()).then_some(Array { start, len })
    }

    fn shard(&mut self) -> Option<Shard> {
        let head = self.array().filter(|a| a.len == 4)?;
        let [first_row, width, entry, levels] = std::array::from_fn(|i| head.at(self.bytes, i));
        let [leaders, group_starts, members] = [self.array()?, self.array()?, self.array()?];
        let upper = (0..levels).map(|_| Some([self.array()?, self.array()?, self.array()?])).collect::<Option<_>>()?;
        let [starts, links, orphans] = [self.array()?, self.array()?, self.array()?];
        let [scales, sums] = [self.array()?, self.array()?];
        let codes = self.at..self.at + leaders.len * width as usize;
        self.at = codes.end;
        let (first_row, width) = (first_row as usize, width as usize);
        (codes.end <= self.bytes.len()).then_some(Shard {
            first_row,
            width,
            leaders,
            group_starts,
            members,
            upper,
            starts,
            links,
            orphans,
            scales,
            sums,
            codes,
            entry,
        })
    }
}

impl Graph {
    /// Takes the payload of a graph file. The file's hash has been checked, so what is wrong here is a bug.
    pub(in crate::gallery) fn from_bytes(bytes: Bytes) -> Result<Graph> {
        let broken = || Error::bug("reading a graph", "arrays that do not fit");
        let all = bytes.get();
        let count = all.first_chunk().map(|&b| u32::from_le_bytes(b)).ok_or_else(broken)?;
        let mut reader = Reader { bytes: all, at: 4 };
        let shards: Option<Vec<Shard>> = (0..count).map(|_| reader.shard()).collect();
        let shards = shards.ok_or_else(broken)?;
        Ok(Graph { bytes, shards })
    }

    pub(in crate::gallery) fn memory(&self) -> usize {
        self.bytes.get().len()
    }

    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The rows of the segment that a leader leads, itself among them.
    pub(super) fn group(&self, shard: &Shard, leader: u32) -> impl Iterator<Item = usize> {
        let first = shard.first_row;
        let group = shard.members.group(self.bytes.get(), shard.group_starts, leader as usize);
        numbers(group).map(move |row| first + row as usize)
    }
}

/// A leader and how similar its codes are: the more similar first, then the lower number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scored {
    pub(super) similarity: f32,
    pub(super) node: u32,
}

impl Eq for Scored {}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.similarity.total_cmp(&other.similarity).then(other.node.cmp(&self.node))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A probe as a walk compares it.
pub(super) struct Walker<'a> {
    shard: &'a Shard,
    bytes: &'a [u8],
    probe: Vec<u8>,
    scale: f32,
    dot: RowDot,
}

impl<'a> Walker<'a> {
    pub(super) fn new(graph: &'a Graph, shard: &'a Shard, template: &Template, dot: RowDot) -> Walker<'a> {
        let mut probe: Vec<u8> = template.codes.iter().map(|&c| c as u8 ^ ZERO).collect();
        probe.resize(shard.width, ZERO);
        Walker { shard, bytes: graph.bytes.get(), probe, scale: template.scale, dot }
    }

    pub(super) fn leaders(&self) -> usize {
        self.shard.leaders.len
    }

    /// All leaders, without a walk.
    pub(super) fn every_leader(&self) -> Vec<Scored> {
        (0..self.shard.leaders.len as u32).map(|node| self.score(node)).collect()
    }

    fn score(&self, node: u32) -> Scored {
        let at = self.shard.codes.start + node as usize * self.shard.width;
        let stored = &self.bytes[at..at + self.shard.width];
        // The sum belongs to the operand that is taken as signed: the stored one, for which it is kept.
        let dot = self.dot.of(&self.probe, stored, self.shard.sums.at(self.bytes, node as usize) as i32);
        let scale = f32::from_bits(self.shard.scales.at(self.bytes, node as usize));
        Scored { similarity: dot as f32 * (self.scale * scale), node }
    }

    /// Walks down the upper levels to the best leader there.
    fn descend(&self) -> Scored {
        let mut best = self.score(self.shard.entry);
        for [nodes, starts, links] in &self.shard.upper {
            let nodes = nodes.get(self.bytes);
            while let Ok(at) = nodes.binary_search_by_key(&best.node, |&b| u32::from_le_bytes(b)) {
                let next = numbers(links.group(self.bytes, *starts, at)).map(|n| self.score(n)).max();
                match next {
                    Some(next) if next > best => best = next,
                    _ => break,
                }
            }
        }
        best
    }

    /// The `breadth` best leaders that a walk through the lowest level finds.
    pub(super) fn walk(&self, breadth: usize, visited: &mut Visited) -> Vec<Scored> {
        visited.clear(self.shard.leaders.len);
        let mut open = BinaryHeap::new();
        let mut best = BinaryHeap::with_capacity(breadth + 1);
        let orphans = numbers(self.shard.orphans.get(self.bytes)).map(|n| self.score(n));
        for start in std::iter::once(self.descend()).chain(orphans) {
            if visited.first_time(start.node) {
                open.push(start);
                best.push(Reverse(start));
            }
        }
        while best.len() > breadth {
            best.pop();
        }
        while let Some(next) = open.pop() {
            if best.len() >= breadth && best.peek().is_some_and(|Reverse(worst)| next < *worst) {
                break;
            }
            for node in numbers(self.shard.links.group(self.bytes, self.shard.starts, next.node as usize)) {
                if !visited.first_time(node) {
                    continue;
                }
                let scored = self.score(node);
                if best.len() < breadth || best.peek().is_some_and(|Reverse(worst)| scored > *worst) {
                    open.push(scored);
                    best.push(Reverse(scored));
                    if best.len() > breadth {
                        best.pop();
                    }
                }
            }
        }
        best.into_iter().map(|Reverse(scored)| scored).collect()
    }
}

/// Which leaders a walk has seen; cleared in no time.
#[derive(Default)]
pub(super) struct Visited {
    round: u32,
    stamps: Vec<u32>,
}

impl Visited {
    fn clear(&mut self, len: usize) {
        if self.stamps.len() < len || self.round == u32::MAX {
            self.stamps = vec![0; len.max(self.stamps.len())];
            self.round = 0;
        }
        self.round += 1;
    }

    fn first_time(&mut self, node: u32) -> bool {
        std::mem::replace(&mut self.stamps[node as usize], self.round) != self.round
    }
}
