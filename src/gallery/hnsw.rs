//! Approximate search over a graph (HNSW: Malkov and Yashunin, 2018, arXiv:1603.09320). It proposes, masters decide.
//!
//! `hnsw_rs` builds the graph, and what it built is frozen into a flat file of our own. That answers its limits one by
//! one: a frozen point takes its codes and some 150 bytes, not three to five thousand; the file has a hash, so a
//! damaged one is rebuilt and never loaded; nothing is ever inserted after a reload. One thread builds one graph, so a
//! graph is a function of its rows; the graphs of a large segment are built side by side.
//!
//! Many templates that are nearly the same (one picture sent five hundred times) crowd each other's neighbour lists
//! and cut off the rest, so each group is collapsed to its first row, its leader, before the graph is built; finding a
//! leader finds its group. A search widens until the least similar leader it found lies below what was asked, and
//! where that takes too much of the graph it scans the shard instead.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use hnsw_rs::prelude::{Distance, Hnsw};
use rayon::prelude::*;

use super::derived::{Bytes, Codes};
use super::dot::{Kernel, LANES, Probes, RowDot, TILE_BLOCKS, TILE_PROBES, ZERO, put};
use super::query::{Hit, Probe, Want, settle};
use super::view::{Gallery, Seen};
use crate::infer::template::similarity_of_masters;
use crate::{Error, Result};

/// Links of a point per layer, twice as many in the lowest.
const LINKS: usize = 16;
/// Points looked at to choose the links of a new one.
const BREADTH: usize = 200;
/// Most layers; sixteen links make 131,072 points five layers on average.
const LAYERS: usize = 16;
/// Rows of one graph: what one thread builds within minutes, in some 500 MB.
pub(super) const SHARD: usize = 1 << 17;
/// Rows at least this similar share a leader: re-encodings of one picture, not two pictures of one person.
const SAME: f32 = 0.99;

/// A leader this much less similar than what is asked may still lead a row that is similar enough. Row and leader
/// differ by a vector no longer than `sqrt(2 - 2 * SAME)` = 0.14, whose product with a probe scatters by 0.14 / sqrt(dim),
/// 0.0125 at 128 values; the error of the codes scatters far less. This is four times that; the certificate counts
/// what lies beyond.
const SLACK: f32 = 0.05;

/// How wide a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Breadth {
    /// Leaders kept while walking, at first.
    pub start: usize,
    /// Where widening ends: beyond this many leaders a shard is scanned.
    pub most: usize,
}

impl Default for Breadth {
    fn default() -> Self {
        Breadth { start: 128, most: 2048 }
    }
}

/// The graphs of one segment.
#[derive(Debug)]
pub(super) struct Graph {
    bytes: Bytes,
    shards: Vec<Shard>,
}

/// One graph: where its arrays lie in the bytes. All are u32, but the codes.
#[derive(Debug)]
struct Shard {
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
    fn group<'a>(self, bytes: &'a [u8], starts: Array, index: usize) -> &'a [[u8; 4]] {
        &self.get(bytes)[starts.at(bytes, index) as usize..starts.at(bytes, index + 1) as usize]
    }
}

fn numbers(array: &[[u8; 4]]) -> impl Iterator<Item = u32> {
    array.iter().map(|&b| u32::from_le_bytes(b))
}

/// Rows of codes as one graph compares them.
struct RowCodes {
    width: usize,
    bytes: Vec<u8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
    dot: RowDot,
}

impl RowCodes {
    fn row(&self, at: usize) -> &[u8] {
        &self.bytes[at * self.width..][..self.width]
    }

    fn similarity(&self, a: usize, b: usize) -> f32 {
        let dot = self.dot.of(self.row(a), self.row(b), self.sums[b]);
        dot as f32 * (self.scales[a] * self.scales[b])
    }
}

/// What `hnsw_rs` compares: points are row numbers, so that it keeps four bytes of each.
struct ByCodes<'a>(&'a RowCodes);

impl Distance<u32> for ByCodes<'_> {
    fn eval(&self, a: &[u32], b: &[u32]) -> f32 {
        // The smaller row number first, so that both directions give the same bits.
        let (a, b) = (a[0].min(b[0]) as usize, a[0].max(b[0]) as usize);
        (1.0 - self.0.similarity(a, b)).max(0.0)
    }
}

/// Builds the payload of a graph file for a segment's codes.
pub(super) fn build(codes: &Codes, kernel: Kernel) -> Vec<u8> {
    let shards: Vec<usize> = (0..codes.rows).step_by(SHARD).collect();
    let built: Vec<Vec<u8>> =
        shards.into_par_iter().map(|first| build_shard(codes, first, SHARD.min(codes.rows - first), kernel)).collect();
    let mut payload = (built.len() as u32).to_le_bytes().to_vec();
    built.into_iter().for_each(|shard| payload.extend(shard));
    payload
}

fn build_shard(codes: &Codes, first: usize, rows: usize, kernel: Kernel) -> Vec<u8> {
    let all = read_rows(codes, first, rows, kernel);
    let groups = collapse(&all, rows, kernel);
    let leaders: Vec<u32> = groups.iter().map(|g| g[0]).collect();
    let hnsw = Hnsw::<u32, ByCodes<'_>>::new(LINKS, leaders.len(), LAYERS, BREADTH, ByCodes(&all));
    for (number, &row) in leaders.iter().enumerate() {
        hnsw.insert((&[row], number));
    }
    let layers = freeze(&hnsw, leaders.len());
    let entry = layers.last().and_then(|top| top.first()).map_or(0, |(node, _)| *node);
    let mut out = Vec::new();
    let levels = layers.len().saturating_sub(1) as u32;
    put_array(&mut out, [first as u32, all.width as u32, entry, levels]);
    put_array(&mut out, leaders.iter().copied());
    put_grouped(&mut out, groups.iter().map(Vec::as_slice));
    for layer in layers.iter().skip(1).rev() {
        let mut sorted: Vec<_> = layer.iter().collect();
        sorted.sort_unstable_by_key(|(node, _)| *node);
        put_array(&mut out, sorted.iter().map(|(node, _)| *node));
        put_grouped(&mut out, sorted.iter().map(|(_, links)| links.as_slice()));
    }
    let mut lowest = vec![&[][..]; leaders.len()];
    for (node, links) in layers.first().into_iter().flatten() {
        lowest[*node as usize] = links;
    }
    put_grouped(&mut out, lowest.iter().copied());
    put_array(&mut out, unreached(&lowest, entry));
    put_array(&mut out, leaders.iter().map(|&row| all.scales[row as usize].to_bits()));
    put_array(&mut out, leaders.iter().map(|&row| all.sums[row as usize] as u32));
    leaders.iter().for_each(|&row| out.extend_from_slice(all.row(row as usize)));
    out
}

fn put_array(out: &mut Vec<u8>, values: impl IntoIterator<Item = u32>) {
    let at = out.len();
    out.extend([0; 4]);
    out.extend(values.into_iter().flat_map(u32::to_le_bytes));
    let len = (out.len() - at - 4) / 4;
    out[at..at + 4].copy_from_slice(&(len as u32).to_le_bytes());
}

fn put_grouped<'a>(out: &mut Vec<u8>, groups: impl Iterator<Item = &'a [u32]> + Clone) {
    let mut start = 0;
    let ends = groups.clone().map(|group| {
        start += group.len() as u32;
        start
    });
    put_array(out, std::iter::once(0).chain(ends));
    put_array(out, groups.flatten().copied());
}

fn read_rows(codes: &Codes, first: usize, rows: usize, kernel: Kernel) -> RowCodes {
    let width = codes.width;
    let mut bytes = vec![ZERO; rows * width];
    let mut sums = Vec::with_capacity(rows);
    let mut row_codes = vec![0; codes.dim];
    for (row, into) in bytes.chunks_exact_mut(width).enumerate() {
        codes.read(first + row, &mut row_codes);
        into.iter_mut().zip(&row_codes).for_each(|(byte, &code)| *byte = code as u8 ^ ZERO);
        sums.push(-128 * row_codes.iter().map(|&c| i32::from(c)).sum::<i32>());
    }
    RowCodes { width, bytes, scales: codes.scales[first..first + rows].to_vec(), sums, dot: RowDot::new(kernel) }
}

/// Groups rows that are nearly the same: each row joins the first earlier leader at least [`SAME`] alike, or leads.
/// Leaders are compared in blocks, so ten thousand equal rows cost no more than ten thousand different ones.
fn collapse(all: &RowCodes, rows: usize, kernel: Kernel) -> Vec<Vec<u32>> {
    let size = all.width * LANES;
    let mut groups: Vec<Vec<u32>> = Vec::new();
    let mut blocks: Vec<u8> = Vec::new();
    let mut sums = [0; TILE_PROBES * TILE_BLOCKS * LANES];
    let signed = |row: usize| -> Vec<i8> { all.row(row).iter().map(|b| (b ^ ZERO) as i8).collect() };
    let mut probes = Probes::new(all.width);
    for start in (0..rows).step_by(TILE_PROBES) {
        let tile: Vec<usize> = (start..(start + TILE_PROBES).min(rows)).collect();
        let known = groups.len();
        let mut joins = vec![None; tile.len()];
        probes.clear();
        tile.iter().for_each(|&row| probes.push(&signed(row)));
        for (at, pair) in blocks.chunks(TILE_BLOCKS * size).enumerate() {
            let lanes = pair.len() / size * LANES;
            kernel.dots(&probes, 0..tile.len(), pair, &mut sums);
            for (p, sums) in sums.chunks_exact(lanes).take(tile.len()).enumerate() {
                let first = at * TILE_BLOCKS * LANES;
                for (leader, &sum) in (first..known.min(first + lanes)).zip(sums) {
                    let scale = all.scales[tile[p]] * all.scales[groups[leader][0] as usize];
                    if joins[p].is_none() && sum as f32 * scale >= SAME {
                        joins[p] = Some(leader);
                    }
                }
            }
        }
        for (p, &row) in tile.iter().enumerate() {
            // Leaders of this very tile are in no block yet.
            let fresh = |l: &usize| all.similarity(groups[*l][0] as usize, row) >= SAME;
            match joins[p].or_else(|| (known..groups.len()).find(fresh)) {
                Some(leader) => groups[leader].push(row as u32),
                None => groups.push(vec![row as u32]),
            }
        }
        for leader in known..groups.len() {
            if leader % LANES == 0 {
                blocks.resize(blocks.len() + size, ZERO);
            }
            let block = blocks.len() - size;
            put(&mut blocks[block..], leader % LANES, &signed(groups[leader][0] as usize));
        }
    }
    groups
}

/// A point of a layer and its links there.
type Node = (u32, Vec<u32>);

/// The links of each layer, the lowest first; within a layer in the order of insertion.
fn freeze(hnsw: &Hnsw<'_, u32, ByCodes<'_>>, leaders: usize) -> Vec<Vec<Node>> {
    let points = hnsw.get_point_indexation();
    let mut layers: Vec<Vec<Node>> = vec![Vec::new(); usize::from(points.get_max_level_observed()) + 1];
    for level in (0..layers.len()).rev() {
        for point in points.get_layer_iterator(level) {
            let node = point.get_origin_id() as u32;
            let links = point.get_neighborhood_id();
            for (layer, links) in layers.iter_mut().zip(links).take(level + 1) {
                let links = links.iter().map(|n| n.d_id as u32).filter(|&n| n != node && (n as usize) < leaders);
                layer.push((node, links.collect()));
            }
        }
    }
    layers
}

/// Nodes that no path of links leads to from the entry.
fn unreached(links: &[&[u32]], entry: u32) -> Vec<u32> {
    let mut seen = vec![false; links.len()];
    let mut open = vec![entry];
    if let Some(first) = seen.get_mut(entry as usize) {
        *first = true;
    }
    while let Some(node) = open.pop() {
        for &next in links.get(node as usize).copied().unwrap_or_default() {
            if !std::mem::replace(&mut seen[next as usize], true) {
                open.push(next);
            }
        }
    }
    (0..links.len() as u32).filter(|&node| !seen[node as usize]).collect()
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
    pub(super) fn from_bytes(bytes: Bytes) -> Result<Graph> {
        let broken = || Error::bug("reading a graph", "arrays that do not fit");
        let all = bytes.get();
        let count = all.first_chunk().map(|&b| u32::from_le_bytes(b)).ok_or_else(broken)?;
        let mut reader = Reader { bytes: all, at: 4 };
        let shards: Option<Vec<Shard>> = (0..count).map(|_| reader.shard()).collect();
        let shards = shards.ok_or_else(broken)?;
        Ok(Graph { bytes, shards })
    }

    pub(super) fn memory(&self) -> usize {
        self.bytes.get().len()
    }
}

/// A leader and how similar its codes are: the more similar first, then the lower number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scored {
    similarity: f32,
    node: u32,
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
struct Walker<'a> {
    shard: &'a Shard,
    bytes: &'a [u8],
    probe: Vec<u8>,
    scale: f32,
    dot: RowDot,
}

impl Walker<'_> {
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
            loop {
                let Ok(at) = nodes.binary_search_by_key(&best.node, |&b| u32::from_le_bytes(b)) else { break };
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
    fn walk(&self, breadth: usize, visited: &mut Visited) -> Vec<Scored> {
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
struct Visited {
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

/// Searches every part through its graph; answers as [`super::exact::search`] gives them, but some may be missing.
///
/// # Errors
/// [`Error::Input`] when a stored row is damaged.
pub fn search(
    gallery: &Gallery,
    probes: &[Probe<'_>],
    want: Want,
    breadth: Breadth,
    kernel: Kernel,
) -> Result<Vec<Hit>> {
    for seen in &gallery.parts {
        seen.part.graph(kernel)?;
    }
    let found: Result<Vec<Vec<Hit>>> = probes
        .par_iter()
        .enumerate()
        .map_init(Visited::default, |visited, (number, probe)| {
            let mut hits = Vec::new();
            for seen in gallery.parts.iter().filter(|s| s.part.model == *probe.model) {
                let graph = seen.part.graph(kernel)?;
                for shard in &graph.shards {
                    let search = ShardSearch { seen, graph: &graph, shard, number, probe, want, breadth, kernel };
                    search.run(visited, &mut hits)?;
                }
            }
            Ok(settle(hits, want))
        })
        .collect();
    Ok(found?.into_iter().flatten().collect())
}

struct ShardSearch<'a> {
    seen: &'a Seen,
    graph: &'a Graph,
    shard: &'a Shard,
    number: usize,
    probe: &'a Probe<'a>,
    want: Want,
    breadth: Breadth,
    kernel: Kernel,
}

impl ShardSearch<'_> {
    fn run(&self, visited: &mut Visited, hits: &mut Vec<Hit>) -> Result<()> {
        let t = self.probe.template;
        if t.dim() != self.seen.part.codes.dim {
            return Ok(());
        }
        let bytes = self.graph.bytes.get();
        let mut probe: Vec<u8> = t.codes.iter().map(|&c| c as u8 ^ ZERO).collect();
        probe.resize(self.shard.width, ZERO);
        let walker = Walker { shard: self.shard, bytes, probe, scale: t.scale, dot: RowDot::new(self.kernel) };
        // As many rows as a top search asks for end it; a threshold search ends below its threshold only.
        let (least, enough) = match self.want {
            Want::Above(threshold) => (threshold, None),
            Want::Top { count, floor } => (floor, Some(count)),
        };
        let tail = least - SLACK;
        let wide = enough.map_or(0, |count| count.saturating_mul(2).min(self.breadth.most));
        let mut breadth = self.breadth.start.max(wide).max(1);
        loop {
            let all = breadth >= self.shard.leaders.len;
            let found = if all { self.every_leader(&walker) } else { walker.walk(breadth, visited) };
            let worst = found.iter().min().map_or(-1.0, |s| s.similarity);
            let passing = self.rescore(&found, least, tail)?;
            if all || worst < tail || enough.is_some_and(|count| passing.len() >= count) {
                hits.extend(passing);
                return Ok(());
            }
            breadth = if breadth >= self.breadth.most { usize::MAX } else { breadth * 2 };
        }
    }

    fn every_leader(&self, walker: &Walker<'_>) -> Vec<Scored> {
        (0..self.shard.leaders.len as u32).map(|node| walker.score(node)).collect()
    }

    /// The rows of the leaders' groups that the filter lets pass and that are similar enough.
    fn rescore(&self, leaders: &[Scored], least: f32, tail: f32) -> Result<Vec<Hit>> {
        let bytes = self.graph.bytes.get();
        let part = &self.seen.part;
        let mut master = Vec::new();
        let mut hits = Vec::new();
        for scored in leaders.iter().filter(|s| s.similarity >= tail) {
            let group = self.shard.members.group(bytes, self.shard.group_starts, scored.node as usize);
            for row in numbers(group).map(|row| self.shard.first_row + row as usize) {
                if self.seen.is_hidden(row) || !self.probe.filter.lets_pass(&part.facts, row) {
                    continue;
                }
                part.master(row, &mut master)?;
                let similarity = similarity_of_masters(&self.probe.template.master, &master);
                if similarity >= least {
                    hits.push(Hit { probe: self.number as u32, row: (self.seen.first + row) as u32, similarity });
                }
            }
        }
        Ok(hits)
    }
}
