//! The top of a large sample of a gallery's pairs, for the far end of the impostor curve.
//!
//! Two thousand members tell the body of the curve and its tail down to a rate of 1e-5. The search of a whole gallery
//! tells pairs rarer than one in ten million, but where many are enrolled twice those are mates. Between the two lies
//! what tells the strangers' tail apart: pairs of some ten thousand members, of which only the most similar are kept.

use std::collections::HashMap;
use std::hash::Hash;

use super::strangers::differ;
use crate::Result;
use crate::gallery::search::Progress;
use crate::gallery::{self, Gallery, Member, Row, Searcher};
use crate::infer::{ModelId, Template};
use crate::matching::strata::quality_stratum;
use crate::matching::{Basis, ImpostorScore, Impostors, Searched, UPPER_SHARE, Upper, pairs_of};

/// So many pairs are compared where the gallery has them: half a second of a core with AMX, eight with AVX2.
const PAIRS: f64 = 1.25e9;

/// But this share of what the search itself compares, where that is more.
const SHARE: f64 = 0.02;

/// And no more than so many members: their templates are held twice.
const MEMBERS: usize = 200_000;

/// Adds to a fitted curve the top of a sample of the pairs of a gallery of one model, unless the search to come reaches as
/// deep itself.
///
/// # Errors
/// [`crate::Error::Input`] when the store is damaged; what `progress` returns, which is told nothing but that it goes on.
pub fn with_upper(
    impostors: Impostors,
    gallery: &Gallery,
    searched: Searched,
    searcher: &Searcher,
    progress: Progress<'_>,
) -> Result<Impostors> {
    let start = impostors.pooled().rate().inverse(UPPER_SHARE);
    if impostors.pooled().report().basis != Basis::Fitted || start >= searched.floor {
        return Ok(impostors);
    }
    let wanted = ((2.0 * PAIRS.max(SHARE * searched.compared)).sqrt() as usize).min(MEMBERS).min(gallery.live());
    // Evenly over the gallery: each row at which the count of those wanted steps up.
    let drawn = |at: usize| (at + 1) * wanted / gallery.live() != at * wanted / gallery.live();
    let rows: Vec<(u32, Row)> = gallery.iter().enumerate().filter(|(at, _)| drawn(*at)).map(|(_, row)| row).collect();
    let some: Vec<(Member, Template)> =
        rows.iter().map(|(row, _)| Ok((placeholder_member(), gallery.template(*row)?))).collect::<Result<_>>()?;
    let sample = Gallery::from_rows(&some)?;
    drop(some);
    let (pairs, _) =
        gallery::all_pairs(&sample, start, Some(impostors.thinning()), searcher.exact(), &mut |_| progress(0))?;
    let scores = pairs.iter().filter_map(|pair| {
        let ((a, one), (b, other)) = (&rows[pair.first as usize], &rows[pair.second as usize]);
        let stratum = quality_stratum(one.quality, other.quality);
        let score = ImpostorScore { a: (*a).into(), b: (*b).into(), similarity: pair.similarity, stratum };
        differ(one, other).then_some(score)
    });
    let compared = pairs_that_differ(&rows);
    Ok(impostors.with_upper(Upper { floor: start, compared, scores: scores.collect() }))
}

/// Facts of a row of the sample: it is only scanned, and looked up by its number.
fn placeholder_member() -> Member {
    Member {
        submission_id: String::new(),
        worker_id: String::new(),
        district: String::new(),
        captured_at: 0,
        mobile: None,
        epic: None,
        member_name: None,
        quality: 0.0,
        model: ModelId(String::new()),
        selfie_sha256: [0; 32],
        selfie_dhash: 0,
        member_doubt_percent: 0,
    }
}

/// How many pairs of rows [`differ`]: all but those of one district and those of one worker, of which some are both.
fn pairs_that_differ(rows: &[(u32, Row)]) -> f64 {
    fn alike<K: Eq + Hash>(keys: impl Iterator<Item = K>) -> f64 {
        let mut counts: HashMap<K, u64> = HashMap::new();
        keys.for_each(|key| *counts.entry(key).or_default() += 1);
        // Whole numbers below 2^53: their order does not matter.
        counts.into_values().map(pairs_of).sum()
    }
    let district = alike(rows.iter().map(|(_, row)| row.district));
    let worker = alike(rows.iter().map(|(_, row)| row.worker_id));
    let both = alike(rows.iter().map(|(_, row)| (row.district, row.worker_id)));
    pairs_of(rows.len() as u64) - district - worker + both
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::template::similarity;
    use crate::matching::random::Random;

    const MODEL: &str = "made up:1";

    /// Members of five districts whose templates share a direction, so that some pairs are alike.
    fn members(count: usize) -> Vec<(Member, Template)> {
        let mut random = Random::new(17);
        (0..count)
            .map(|k| {
                let values: Vec<f32> =
                    (0..32).map(|i| random.normal() as f32 + if i == 0 { 1.5 } else { 0.0 }).collect();
                let member = Member {
                    submission_id: format!("S{k}"),
                    worker_id: format!("W{}", k % 13),
                    district: format!("D{}", k % 5),
                    quality: 1.0,
                    model: ModelId(MODEL.into()),
                    ..placeholder_member()
                };
                (member, Template::from_embedding(&values).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_sample_is_every_pair_above_its_floor_of_members_that_differ() {
        let members = members(700);
        let gallery = Gallery::from_rows(&members).unwrap();
        let model = ModelId(MODEL.into());
        let fitted = Impostors::new(&model, &super::super::of_members(&gallery).unwrap());
        assert_eq!(fitted.pooled().report().basis, Basis::Fitted);
        let searched = |floor: f32| Searched { gallery_size: 700, compared: 1.0, floor, near: None };
        let with = |floor: f32| {
            with_upper(fitted.clone(), &gallery, searched(floor), &Searcher::default(), &mut |_| Ok(()))
                .unwrap()
                .upper()
                .cloned()
        };
        let upper = with(0.99).unwrap();
        let mut expected = (0, 0);
        for (k, (one, face)) in members.iter().enumerate() {
            for (other, mate) in &members[..k] {
                if one.district != other.district && one.worker_id != other.worker_id {
                    expected.0 += 1;
                    expected.1 += usize::from(similarity(face, mate) >= upper.floor);
                }
            }
        }
        assert!(expected.1 > 0);
        assert_eq!((upper.compared, upper.scores.len()), (f64::from(expected.0), expected.1));
        assert!(with(upper.floor).is_none(), "the search reaches as deep");
        let few = Impostors::new(&model, &[]);
        let none = with_upper(few, &gallery, searched(0.99), &Searcher::default(), &mut |_| Ok(())).unwrap();
        assert!(none.upper().is_none(), "a shipped curve has no place for a sample");
    }
}
