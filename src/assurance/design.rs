//! The design of a sample: how many calls a stratum gets, and who is called.
//!
//! Within a stratum all are equally likely to be drawn next. Members who shall be called more often make strata of their
//! own: a weight within a stratum would blur every answer by the weights of those who happen to be drawn.

use super::random::uniform;

/// Distributes `calls` over strata with these numbers of members and weights of a member: one for each as long as they last,
/// largest first, the rest in proportion to members times weight by largest remainders, none more than it has members.
pub fn allocate(strata: &[(u64, f64)], calls: u64) -> Vec<u64> {
    let size = |s: usize| strata[s].0;
    let share = |s: usize| strata[s].0 as f64 * strata[s].1;
    let calls = calls.min(strata.iter().map(|s| s.0).sum());
    let mut given = vec![0u64; strata.len()];
    let mut order: Vec<usize> = (0..strata.len()).filter(|&s| size(s) > 0).collect();
    order.sort_by(|&a, &b| share(b).total_cmp(&share(a)).then(a.cmp(&b)));
    order.iter().take(calls as usize).for_each(|&s| given[s] = 1);
    let all: f64 = order.iter().map(|&s| share(s)).sum();
    let mut left = calls - given.iter().sum::<u64>();
    while left > 0 {
        // Who is furthest below what is due.
        let due = |s: usize| calls as f64 * share(s) / all - given[s] as f64;
        let open = order.iter().copied().filter(|&s| given[s] < size(s));
        let Some(next) = open.max_by(|&a, &b| due(a).total_cmp(&due(b)).then(b.cmp(&a))) else { break };
        let step = (due(next).floor().max(1.0) as u64).min(left).min(size(next) - given[next]);
        given[next] += step;
        left -= step;
    }
    given
}

/// The places of `count` units with these ids, in the order of drawing: a uniform random order that hangs on seed and id
/// alone.
pub fn draw(seed: &str, ids: &[&str], count: u64) -> Vec<usize> {
    let mut order: Vec<(f64, usize)> =
        ids.iter().enumerate().map(|(at, id)| (uniform(&[seed, "member", id]), at)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(ids[a.1].cmp(ids[b.1])));
    order.into_iter().take(count as usize).map(|(_, at)| at).collect()
}

/// The place in the list of a night of a stratum's draw number `drawn` (from 0) of `count`: all strata go through the list
/// evenly, and within a stratum it only grows.
pub fn place(drawn: u64, count: u64) -> u64 {
    (2 * drawn + 1) * (1 << 40) / (2 * count.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(sizes: &[u64], calls: u64) -> Vec<u64> {
        allocate(&sizes.iter().map(|&size| (size, 1.0)).collect::<Vec<_>>(), calls)
    }

    #[test]
    fn every_stratum_gets_a_call_and_the_rest_goes_by_size_and_weight() {
        assert_eq!(alike(&[500, 300, 200], 100), [50, 30, 20]);
        assert_eq!(alike(&[10_000, 3, 2], 100), [98, 1, 1]);
        assert_eq!(alike(&[5, 0, 2], 100), [5, 0, 2]);
        assert_eq!(alike(&[5, 9, 2], 2), [1, 1, 0]);
        assert_eq!(alike(&[], 7), [] as [u64; 0]);
        assert_eq!(allocate(&[(300, 1.0), (300, 2.0)], 90), [30, 60]);
        for calls in 0..60 {
            assert_eq!(alike(&[17, 4, 90, 33, 1], calls).iter().sum::<u64>(), calls);
        }
    }

    #[test]
    fn all_are_equally_likely_and_the_order_of_rows_does_not_matter() {
        let ids: Vec<String> = (0..12).map(|i| format!("S{i}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let turned: Vec<&str> = ids.iter().rev().copied().collect();
        let mut times = [0u32; 12];
        for seed in 0..4000 {
            let seed = seed.to_string();
            let drawn = draw(&seed, &ids, 5);
            drawn.iter().for_each(|&at| times[at] += 1);
            assert!(drawn.iter().map(|&at| ids[at]).eq(draw(&seed, &turned, 5).into_iter().map(|at| turned[at])));
        }
        assert!(times.iter().all(|&n| (1540..1800).contains(&n)), "{times:?}");
    }

    #[test]
    fn places_grow_within_a_stratum_and_strata_take_turns() {
        let mut places: Vec<(u64, &str)> = (0..4).map(|d| (place(d, 4), "a")).collect();
        places.extend((0..2).map(|d| (place(d, 2), "b")));
        places.sort();
        assert_eq!(places.iter().map(|p| p.1).collect::<String>(), "abaaba");
    }
}
