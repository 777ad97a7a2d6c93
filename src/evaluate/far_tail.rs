//! The far end of verification: every pair of pictures compared, not only the labelled ones.
//!
//! A benchmark of 3,000 impostor pairs says nothing below a false-match rate of 1e-3; all pairs of its pictures say
//! something down to 1e-6. Down there the labels themselves are in the way: one person under two names makes mated pairs
//! that count as impostors, and a handful of them moves the threshold. So the pairs of two names that are most alike are
//! listed for a person to look at; those found to be one person go into a file, and both figures are reported: as
//! labelled, and without the names of that file.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use rayon::prelude::*;
use serde::Serialize;

use crate::evaluate::groups::{Comparisons, CountedRate, GroupReport, Groups, Tally};
use crate::infer::Template;
use crate::infer::template::similarity;
use crate::matching::random::poisson_weight;

/// False-match rates of the report.
const RATES: [f64; 7] = [1e-2, 1e-3, 1e-4, 1e-5, 3e-6, 1e-6, 3e-7];
/// Fewer false matches than this at a rate and the rate is not reported: its threshold would hang on single pairs.
const LEAST_FALSE_MATCHES: f64 = 8.0;
/// Pairs of two names at least this much alike are listed.
pub const LISTED_ABOVE: f32 = 0.7;
/// Most pairs listed, the most similar first.
const MOST_LISTED: usize = 200;
/// Impostor scores are counted in steps of this many to a unit of cosine.
const STEPS: f32 = 20_000.0;
/// Resamples of the interval.
const RESAMPLES: u64 = 400;

/// One picture that gave a template.
#[derive(Debug, Clone, Copy)]
pub struct Shot<'a> {
    /// Number of its picture, for the list.
    pub picture: usize,
    /// Number of its identity.
    pub identity: usize,
    /// The template.
    pub template: &'a Template,
}

/// Error rates over all pairs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FarTail {
    /// Pictures compared with each other.
    pub pictures: usize,
    /// Identities among them.
    pub identities: usize,
    /// Pairs of one identity.
    pub mated_pairs: usize,
    /// Pairs of two identities.
    pub impostor_pairs: u64,
    /// FNMR at FMR as the labels stand.
    pub as_labelled: Vec<Point>,
    /// The same without comparisons between two names that are known to be one person; absent when none are named.
    pub without_known: Option<Vec<Point>>,
    /// Pairs of names known to be one person.
    pub known: usize,
    /// The most similar pairs of two names, at least [`LISTED_ABOVE`] alike and not known: to be looked at.
    pub listed: Vec<Listed>,
    /// How many there are, also beyond those listed.
    pub listed_of: usize,
}

/// One point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// False-match rate, at most.
    pub fmr: f64,
    /// The lowest similarity accepted.
    pub threshold: f32,
    /// Impostor pairs accepted: fewer than some thirty and the threshold is loose.
    pub false_matches: u64,
    /// Share of mated pairs refused.
    pub fnmr: f64,
    /// Its 95 % interval, identities resampled (Poisson bootstrap): pairs of one person are not independent.
    pub interval: [f64; 2],
}

/// A pair of pictures of two names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// Similarity.
    pub similarity: f32,
    /// First picture.
    pub first: String,
    /// Second picture.
    pub second: String,
}

/// What a share of the rows saw.
struct Seen {
    /// Similarity and identity of mated pairs.
    mated: Vec<(f32, u32)>,
    /// Impostor scores counted by step, as labelled.
    impostors: Vec<u64>,
    /// Those among them that are between names known to be one person.
    known: Vec<u64>,
    /// Similarity, and the shots: impostors to be listed.
    listed: Vec<(f32, u32, u32)>,
}

impl Seen {
    fn none() -> Self {
        let steps = 2 * STEPS as usize + 1;
        Seen { mated: Vec::new(), impostors: vec![0; steps], known: vec![0; steps], listed: Vec::new() }
    }

    fn plus(mut self, other: Seen) -> Self {
        self.mated.extend(other.mated);
        self.listed.extend(other.listed);
        let add = |into: &mut [u64], from: &[u64]| into.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        add(&mut self.impostors, &other.impostors);
        add(&mut self.known, &other.known);
        self
    }
}

/// Compares every shot with every other. `known` holds pairs of identities, smaller number first, that are one person;
/// `name` gives a picture's name.
pub fn far_tail(shots: &[Shot<'_>], known: &HashSet<(usize, usize)>, name: impl Fn(usize) -> String) -> FarTail {
    let row = |mut seen: Seen, at: usize| {
        let first = shots[at];
        for (offset, second) in shots[at + 1..].iter().enumerate() {
            let similarity = similarity(first.template, second.template);
            if first.identity == second.identity {
                seen.mated.push((similarity, first.identity as u32));
                continue;
            }
            let step = ((similarity + 1.0) * STEPS) as usize;
            seen.impostors[step] += 1;
            let names = (first.identity.min(second.identity), first.identity.max(second.identity));
            if known.contains(&names) {
                seen.known[step] += 1;
            } else if similarity >= LISTED_ABOVE {
                seen.listed.push((similarity, at as u32, (at + 1 + offset) as u32));
            }
        }
        seen
    };
    let mut seen = (0..shots.len()).into_par_iter().fold(Seen::none, row).reduce(Seen::none, Seen::plus);
    seen.listed.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let picture = |shot: u32| name(shots[shot as usize].picture);
    let listed = seen.listed.iter().take(MOST_LISTED);
    let cleaned: Vec<u64> = seen.impostors.iter().zip(&seen.known).map(|(all, known)| all - known).collect();
    FarTail {
        pictures: shots.len(),
        identities: shots.iter().map(|shot| shot.identity).collect::<HashSet<_>>().len(),
        mated_pairs: seen.mated.len(),
        impostor_pairs: seen.impostors.iter().sum(),
        as_labelled: points(&seen.mated, &seen.impostors),
        without_known: (!known.is_empty()).then(|| points(&seen.mated, &cleaned)),
        known: known.len(),
        listed_of: seen.listed.len(),
        listed: listed.map(|&(s, a, b)| Listed { similarity: s, first: picture(a), second: picture(b) }).collect(),
    }
}

fn points(mated: &[(f32, u32)], impostors: &[u64]) -> Vec<Point> {
    let total: u64 = impostors.iter().sum();
    let measurable = |fmr: &&f64| **fmr * total as f64 >= LEAST_FALSE_MATCHES && !mated.is_empty();
    RATES.iter().filter(measurable).map(|&fmr| point(mated, impostors, (fmr * total as f64) as u64, fmr)).collect()
}

/// The lowest threshold, a whole number of steps, at which at most `most` impostors are accepted.
fn point(mated: &[(f32, u32)], impostors: &[u64], most: u64, fmr: f64) -> Point {
    let (mut step, mut false_matches) = (impostors.len(), 0);
    while step > 0 && false_matches + impostors[step - 1] <= most {
        step -= 1;
        false_matches += impostors[step];
    }
    let threshold = step as f32 / STEPS - 1.0;
    let refused = |&&(similarity, _): &&(f32, u32)| ((similarity + 1.0) * STEPS) < step as f32;
    let fnmr = mated.iter().filter(refused).count() as f64 / mated.len() as f64;
    let mut shares: Vec<f64> = (0..RESAMPLES)
        .into_par_iter()
        .map(|resample| {
            let (mut all, mut missed) = (0.0, 0.0);
            for pair in mated {
                let weight = poisson_weight(pair.1.into(), resample);
                all += weight;
                missed += if refused(&pair) { weight } else { 0.0 };
            }
            if all > 0.0 { missed / all } else { fnmr }
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    let at = |share: f64| shares[((shares.len() - 1) as f64 * share).round() as usize];
    Point { fmr, threshold, false_matches, fnmr, interval: [at(0.025), at(0.975)] }
}

/// The rates of each group at the thresholds of all: false matches among the group's own people, and false non-matches.
/// `known` as for [`far_tail`].
pub(super) fn by_group(
    tail: &FarTail,
    shots: &[Shot<'_>],
    known: &HashSet<(usize, usize)>,
    groups: &Groups,
) -> GroupReport {
    let points = tail.without_known.as_ref().unwrap_or(&tail.as_labelled);
    let lowest = points.iter().map(|point| point.threshold).fold(f32::INFINITY, f32::min);
    let numbers = groups.group_numbers();
    let compared: Vec<Compared> = (0..groups.count())
        .map(|group| {
            let own: Vec<&Shot> = shots.iter().filter(|shot| numbers[shot.identity] == Some(group)).collect();
            Compared::all_pairs(&own, known, lowest)
        })
        .collect();
    let rates = points.iter().flat_map(|point| {
        let at = format!("at a cosine of {:.4}, FMR {:.0e} of all", point.threshold, point.fmr);
        let tallies = |tally: fn(&Compared, f32) -> Tally| compared.iter().map(|c| tally(c, point.threshold)).collect();
        [
            CountedRate { what: format!("FMR {at}"), all: point.fmr, by_group: tallies(Compared::false_matches) },
            CountedRate { what: format!("FNMR {at}"), all: point.fnmr, by_group: tallies(Compared::false_non_matches) },
        ]
    });
    groups.report(rates.collect())
}

/// All pairs of one group's pictures.
struct Compared {
    /// Person and pictures.
    pictures: Vec<[usize; 2]>,
    left_out: Vec<[usize; 2]>,
    mated: Vec<(f32, usize)>,
    /// Similarity and people of impostor pairs at the lowest threshold and above.
    impostors: Vec<(f32, [usize; 2])>,
}

impl Compared {
    fn all_pairs(shots: &[&Shot<'_>], known: &HashSet<(usize, usize)>, lowest: f32) -> Self {
        let mut pictures: BTreeMap<usize, usize> = BTreeMap::new();
        shots.iter().for_each(|shot| *pictures.entry(shot.identity).or_default() += 1);
        let both = |(a, b): &(usize, usize)| pictures.contains_key(a) && pictures.contains_key(b);
        let left_out: Vec<[usize; 2]> = known.iter().filter(|pair| both(pair)).map(|&(a, b)| [a, b]).collect();
        let rows: Vec<_> = (0..shots.len())
            .into_par_iter()
            .map(|at| {
                let (mut mated, mut impostors) = (Vec::new(), Vec::new());
                for second in &shots[at + 1..] {
                    let first = shots[at];
                    let similarity = similarity(first.template, second.template);
                    let people = [first.identity.min(second.identity), first.identity.max(second.identity)];
                    if people[0] == people[1] {
                        mated.push((similarity, people[0]));
                    } else if similarity >= lowest && !known.contains(&(people[0], people[1])) {
                        impostors.push((similarity, people));
                    }
                }
                (mated, impostors)
            })
            .collect();
        let (mated, impostors): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        let pictures = pictures.into_iter().map(|(person, count)| [person, count]).collect();
        Compared { pictures, left_out, mated: mated.concat(), impostors: impostors.concat() }
    }

    fn false_matches(&self, threshold: f32) -> Tally {
        let comparisons = Comparisons::Between { pictures: self.pictures.clone(), left_out: self.left_out.clone() };
        let errors = self.impostors.iter().filter(|(similarity, _)| *similarity >= threshold);
        Tally { comparisons, errors: errors.map(|&(_, people)| people).collect() }
    }

    fn false_non_matches(&self, threshold: f32) -> Tally {
        let mut counts: BTreeMap<usize, [usize; 2]> = BTreeMap::new();
        for &(similarity, person) in &self.mated {
            let [all, refused] = counts.entry(person).or_default();
            *all += 1;
            *refused += usize::from(similarity < threshold);
        }
        Tally::own(counts.into_iter().map(|(person, [all, refused])| [person, all, refused]))
    }
}

impl fmt::Display for FarTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "all pairs            {} pictures of {} people: {} mated, {} impostor",
            self.pictures, self.identities, self.mated_pairs, self.impostor_pairs
        )?;
        self.points(f, "as labelled", &self.as_labelled)?;
        if let Some(points) = &self.without_known {
            self.points(f, &format!("without {} known pairs of names", self.known), points)?;
        }
        write!(f, "  {} pairs of two names are {LISTED_ABOVE} alike or more", self.listed_of)?;
        if self.listed_of > 0 {
            write!(f, "; look at them: those of one person belong into --same-people")?;
        }
        for Listed { similarity, first, second } in &self.listed {
            write!(f, "\n    {similarity:.3}  {first}  {second}")?;
        }
        Ok(())
    }
}

impl FarTail {
    fn points(&self, f: &mut fmt::Formatter<'_>, title: &str, points: &[Point]) -> fmt::Result {
        writeln!(f, "  {title}:")?;
        for Point { fmr, threshold, false_matches, fnmr, interval: [low, high] } in points {
            writeln!(
                f,
                "    FMR {fmr:.0e}  threshold {threshold:.4}  FNMR {fnmr:.4} [{low:.4}, {high:.4}]  TAR {:.4}  ({false_matches} false matches)",
                1.0 - fnmr
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::random::Random;

    /// People of two shots each, the second at cosine `alike` from the first.
    fn crowd(people: usize, alike: f32) -> Vec<Template> {
        let mut random = Random::new(5);
        let mut templates = Vec::new();
        for _ in 0..people {
            let base: Vec<f32> = (0..64).map(|_| random.normal() as f32).collect();
            let noise: Vec<f32> = (0..64).map(|_| random.normal() as f32).collect();
            let other = base.iter().zip(&noise).map(|(b, n)| alike * b + (1.0 - alike * alike).sqrt() * n);
            let other: Vec<f32> = other.collect();
            templates.extend([&base, &other].map(|v| Template::from_embedding(v).unwrap()));
        }
        templates
    }

    fn shots(templates: &[Template]) -> Vec<Shot<'_>> {
        let shot = |(picture, template)| Shot { picture, identity: picture / 2, template };
        templates.iter().enumerate().map(shot).collect()
    }

    #[test]
    fn the_points_are_those_of_sorted_scores() {
        let templates = crowd(300, 0.45);
        let shots = shots(&templates);
        let tail = far_tail(&shots, &HashSet::new(), |picture| picture.to_string());
        let (mut mated, mut impostor) = (Vec::new(), Vec::new());
        for (i, a) in shots.iter().enumerate() {
            for b in &shots[..i] {
                let score = similarity(a.template, b.template);
                if a.identity == b.identity { mated.push(score) } else { impostor.push(score) }
            }
        }
        assert_eq!((tail.mated_pairs, tail.impostor_pairs), (mated.len(), impostor.len() as u64));
        assert_eq!(tail.as_labelled.len(), 3, "{:?}", tail.as_labelled);
        for point in &tail.as_labelled[1..] {
            let accepted = impostor.iter().filter(|&&s| s >= point.threshold).count();
            let allowed = point.fmr * impostor.len() as f64;
            // A step of the counting holds next to nothing out here.
            assert!((accepted as f64) <= allowed && accepted as f64 >= allowed - 3.0, "{point:?} {accepted}");
            let refused = mated.iter().filter(|&&s| s < point.threshold).count() as f64 / mated.len() as f64;
            assert!((point.fnmr - refused).abs() < 0.011 && refused > 0.1 && refused < 0.9, "{point:?} {refused}");
            assert!(point.interval[0] < point.fnmr && point.fnmr < point.interval[1]);
            assert!(point.interval[1] - point.interval[0] < 0.2);
        }
    }

    #[test]
    fn one_person_under_two_names_is_listed_and_can_be_taken_out() {
        let mut templates = crowd(300, 0.9);
        // Persons 298 and 299 are one.
        templates[598] = templates[596].clone();
        templates[599] = templates[597].clone();
        let shots = shots(&templates);
        let name = |picture: usize| format!("p{picture}");
        let raw = far_tail(&shots, &HashSet::new(), name);
        assert_eq!((raw.listed_of, raw.listed.len(), raw.without_known.is_some()), (4, 4, false));
        assert_eq!((raw.listed[0].first.as_str(), raw.listed[0].second.as_str()), ("p596", "p598"));
        let known = far_tail(&shots, &HashSet::from([(298, 299)]), name);
        assert_eq!((known.listed_of, known.known), (0, 1));
        assert_eq!(known.as_labelled, raw.as_labelled);
        let [labelled, cleaned] = [&known.as_labelled, known.without_known.as_ref().unwrap()].map(|p| p[2].threshold);
        assert!(cleaned < labelled, "{cleaned} {labelled}");
    }
}
