//! Exact search on a card gives the bits of the CPU: the same rows, the same similarities, in the same order.

use candle_core::Device;
use chehra::gallery::dot::Kernel;
use chehra::gallery::generate::Crowd;
use chehra::gallery::{Filter, Gallery, Hit, Member, Pair, Probe, Want, exact, search_on};
use chehra::infer::Template;

/// A gallery of three parts, some rows hidden, and probes with mates in it.
struct Crowded {
    gallery: Gallery,
    probes: Vec<(Member, Template)>,
}

impl Crowded {
    fn new(dim: usize, rows: u64, probes: u64) -> Crowded {
        let crowd = Crowd { duplicates: 0.05, copies: 0.01, ..Crowd::new(dim, 5) };
        let part = |range| Gallery::from_rows(&crowd.rows(range).unwrap()).unwrap();
        let gallery = part(0..rows / 2).followed_by(&part(rows / 2..rows - 17)).followed_by(&part(rows - 17..rows));
        let shot = |i| (crowd.member(i), crowd.shot(crowd.person(i * 7 % rows), 1 << 50 | i).unwrap());
        Crowded { gallery: gallery.keeping(&|row| row % 11 != 3), probes: (0..probes).map(shot).collect() }
    }

    /// Whatever is asked of a gallery.
    fn answers(&self) -> (Vec<Vec<Hit>>, Vec<Pair>) {
        let kernel = Kernel::best();
        let filtered = |(at, (member, template)): (usize, &'_ (Member, Template))| {
            let only = (at % 3 == 0).then_some("district-03");
            (member.model.clone(), template.clone(), only)
        };
        let own: Vec<_> = self.probes.iter().enumerate().map(filtered).collect();
        let probes: Vec<Probe<'_>> = own
            .iter()
            .map(|(model, template, only)| Probe {
                template,
                model,
                filter: Filter { only_district: *only, ..Filter::default() },
            })
            .collect();
        let wants = [
            (Want::Above(0.45), probes.len()),
            (Want::Top { count: 5, floor: -1.0 }, probes.len()),
            (Want::Top { count: 1, floor: 0.3 }, probes.len()),
            // Every row of every probe: more than a list of hits holds, so that passes are made again with fewer rows.
            (Want::Above(-1.0), 400.min(probes.len())),
        ];
        let hits = wants.map(|(want, count)| exact::search(&self.gallery, &probes[..count], want, kernel).unwrap());
        let mut pairs = Vec::new();
        exact::all_pairs(&self.gallery, 0.4, kernel, &mut |_, found| {
            pairs.extend_from_slice(found);
            Ok(())
        })
        .unwrap();
        (hits.into(), pairs)
    }
}

/// Odd numbers of rows, two lengths of template, lists that overflow.
pub fn exact_search(device: &Device) {
    let cases = [Crowded::new(128, 20_011, 1_500), Crowded::new(512, 5_003, 70)];
    let expected: Vec<_> = cases.iter().map(Crowded::answers).collect();
    assert!(expected.iter().all(|(hits, pairs)| hits.iter().all(|hits| hits.len() > 50) && pairs.len() > 50));
    search_on(device);
    for (case, (hits, pairs)) in cases.iter().zip(expected) {
        let (found, found_pairs) = case.answers();
        for (found, expected) in found.iter().zip(&hits) {
            assert!(found == expected, "{} answers for {}", found.len(), expected.len());
        }
        assert!(found_pairs == pairs, "{} pairs for {}", found_pairs.len(), pairs.len());
        println!(
            "{:?} answers and {} pairs are those of the CPU",
            hits.iter().map(Vec::len).collect::<Vec<_>>(),
            pairs.len()
        );
    }
}
