//! Building a graph: collapse, insert, freeze.

use hnsw_rs::prelude::{Distance, Hnsw};
use rayon::prelude::*;

use crate::gallery::derived::Codes;
use crate::gallery::dot::{Kernel, LANES, Probes, RowDot, TILE_BLOCKS, TILE_PROBES, ZERO, put};

/// Links of a point per layer, twice as many in the lowest.
const LINKS: usize = 16;
/// Points looked at to choose the links of a new one.
const BREADTH: usize = 200;
/// Most layers: more than graphs of this size ever have.
const LAYERS: usize = 16;
/// Rows of one graph. Larger graphs lose recall at a given breadth and are slower to build, so that several small ones
/// cost no more: for a pair recall of 0.999 on made-up faces of 128 values, 20,000 rows need a breadth of 128 and
/// 100,000 rows one of 400.
pub(in crate::gallery) const SHARD: usize = 1 << 15;
/// Rows at least this similar share a leader: re-encodings of one picture, not two pictures of one person.
const SAME: f32 = 0.99;

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
pub(in crate::gallery) fn build(codes: &Codes, kernel: Kernel) -> Vec<u8> {
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
        for (leader, group) in groups.iter().enumerate().skip(known) {
            if leader % LANES == 0 {
                blocks.resize(blocks.len() + size, ZERO);
            }
            let block = blocks.len() - size;
            put(&mut blocks[block..], leader % LANES, &signed(group[0] as usize));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::derived::Builder;
    use crate::gallery::generate::Crowd;

    fn codes(crowd: &Crowd, rows: impl Iterator<Item = u64>) -> Codes {
        let mut builder = Builder::new(crowd.dim, 0);
        rows.for_each(|row| builder.push(&crowd.template(row).unwrap()));
        builder.finish().unwrap().0
    }

    fn crowd() -> Crowd {
        Crowd { duplicates: 0.0, copies: 0.0, lookalikes: 0.0, ..Crowd::new(64, 2) }
    }

    #[test]
    fn a_graph_is_a_function_of_its_rows() {
        let codes = codes(&crowd(), 0..700);
        let graphs: Vec<Vec<u8>> = Kernel::ALL.iter().map(|&kernel| build(&codes, kernel)).collect();
        assert!(graphs.windows(2).all(|w| w[0] == w[1]), "whatever the kernel");
    }

    #[test]
    fn equal_rows_have_one_leader_wherever_they_stand() {
        // Rows 0, 7, 14, ... are the same: within one tile, across tiles, across blocks.
        let codes = codes(&crowd(), (0..200).map(|row| if row % 7 == 0 { 0 } else { row }));
        let all = read_rows(&codes, 0, 200, Kernel::best());
        let groups = collapse(&all, 200, Kernel::best());
        assert_eq!(groups[0], (0..200).step_by(7).collect::<Vec<u32>>());
        assert!(groups[1..].iter().all(|g| g.len() == 1) && groups.len() == 200 - 28);
    }

    #[test]
    fn what_no_link_leads_to_is_listed() {
        let links: [&[u32]; 5] = [&[1], &[0], &[1, 3], &[2], &[]];
        assert_eq!(unreached(&links, 0), [2, 3, 4]);
        assert_eq!(unreached(&links, 2), [4]);
        assert!(unreached(&[], 0).is_empty());
    }
}
