//! Presentation attack detection on labelled pictures, in the terms of ISO/IEC 30107-3: APCER by species of attack
//! instrument and of the worst of them, BPCER, at both limits of the policy and at fixed BPCER.
//!
//! Intervals come from a Poisson bootstrap over subjects: pictures of one person, live and attacked, are drawn together,
//! for they are not independent.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::Result;
use crate::config::Policy;
use crate::evaluate::estimate::{Estimate, Weight, estimate};
use crate::evaluate::groups::{CountedRate, GroupFile, GroupReport, Groups, Tally};
use crate::evaluate::{labels, metrics, see, tallest};
use crate::infer::Engine;
use crate::report::Progress;
use crate::synth::{ATTACK_LABELS, LIVE_LABELS};
use crate::verdict::rules::{self, Presentation};

/// Shares of bona fide presentations that are refused, at which APCER is stated.
const BPCERS: [(&str, f64); 3] = [("1 %", 0.01), ("5 %", 0.05), ("10 %", 0.10)];

/// The name under which attacks go whose kind the label file does not tell.
const UNNAMED: &str = "attack";

/// Error rates of attacks of one species, or of all.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttackRates {
    /// Attack presentations judged.
    pub attacks: usize,
    /// Share of them that is not rejected.
    pub apcer_rejecting: Estimate,
    /// Share of them that is neither rejected nor asked about.
    pub apcer_asking: Estimate,
    /// APCER where at most this share of bona fide presentations is refused, whatever the policy's limits.
    pub apcer_at_bpcer: BTreeMap<&'static str, Estimate>,
}

/// The result, ready for JSON or for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LivenessReport {
    /// Network and weights.
    pub model: String,
    /// Bona fide presentations judged.
    pub bona_fide: usize,
    /// Attack presentations judged.
    pub attacks: usize,
    /// People; pictures without a subject count as one person each.
    pub subjects: usize,
    /// Pictures without a face, by path; they are in no rate.
    pub non_responses: Vec<String>,
    /// Limits of the policy: rejected below the first, asked about below the second.
    pub limits: [f32; 2],
    /// Share of bona fide presentations that is rejected.
    pub bpcer_rejecting: Option<Estimate>,
    /// Share of bona fide presentations that is rejected or asked about.
    pub bpcer_asking: Option<Estimate>,
    /// Of the latter: those in whose light, grain or size nothing can be told, and which are to be taken again.
    pub bona_fide_unsure: usize,
    /// All attacks.
    pub all: Option<AttackRates>,
    /// Attacks by species.
    pub species: BTreeMap<String, AttackRates>,
    /// The species with the highest APCER at a BPCER of 5 %, whose APCER is that of the whole by ISO/IEC 30107-3.
    pub worst: Option<String>,
    /// Equal error rate.
    pub equal_error_rate: Option<f64>,
    /// Area under the ROC curve.
    pub area_under_curve: Option<Estimate>,
    /// APCER and BPCER by group, where groups were given.
    pub groups: Option<GroupReport>,
}

/// What to judge.
#[derive(Debug, Clone)]
pub struct LivenessJob {
    /// CSV with the columns `label, path` and perhaps `species, subject`.
    pub labels: PathBuf,
    /// Folder that its paths start from.
    pub images: PathBuf,
    /// CSV with the columns `id, group`, an id being a subject; the path of a picture without one.
    pub groups: Option<PathBuf>,
}

/// One picture that was judged.
#[derive(Debug, Clone)]
struct Judged {
    score: f32,
    presentation: Presentation,
    subject: usize,
    /// Of an attack.
    species: Option<String>,
}

/// Judges the tallest face of each labelled picture as an audit under this policy would.
///
/// # Errors
/// [`crate::Error::Input`] when the label file or a picture cannot be read.
pub fn liveness(engine: &Engine, job: &LivenessJob, policy: &Policy, progress: Progress) -> Result<LivenessReport> {
    let LivenessJob { labels: label_file, images, groups } = job;
    let groups = groups.as_deref().map(GroupFile::read).transpose()?;
    let rows = labels::read_with(label_file, &["label", "path"], &["species", "subject"])?;
    let (paths, places) = labels::unique(images, rows.iter().map(|row| row.required[1].clone()));
    let live = rows
        .iter()
        .enumerate()
        .map(|(k, row)| labels::flag(label_file, k, &row.required[0], &LIVE_LABELS, &ATTACK_LABELS));
    let live: Vec<bool> = live.collect::<Result<_>>()?;
    let stage = progress.stage("see", "pictures", paths.len() as u64, 0);
    let seen = see(engine, &paths, &stage)?;
    drop(stage);
    let (mut judged, mut silent) = (Vec::new(), Vec::new());
    let mut subjects: BTreeMap<String, usize> = BTreeMap::new();
    for ((row, &place), live) in rows.into_iter().zip(&places).zip(live) {
        let Some(reading) = seen[place].as_ref().ok().and_then(tallest).and_then(|face| face.reading.as_ref()) else {
            silent.push(paths[place].display().to_string());
            continue;
        };
        let [species, subject] = <[Option<String>; 2]>::try_from(row.optional).unwrap_or_default();
        let subject = subject.unwrap_or_else(|| row.required[1].clone());
        let next = subjects.len();
        judged.push(Judged {
            score: reading.liveness(),
            presentation: rules::presentation(reading, policy),
            subject: *subjects.entry(subject).or_insert(next),
            species: (!live).then(|| species.unwrap_or_else(|| UNNAMED.to_owned())),
        });
    }
    let mut ids: Vec<(&String, &usize)> = subjects.iter().collect();
    ids.sort_unstable_by_key(|(_, number)| **number);
    let ids = ids.iter().map(|(id, _)| id.as_str());
    let what = "subjects of the label file, or paths of pictures without one";
    let groups = groups.map(|file| file.assign(ids, what)).transpose()?;
    let groups = groups.map(|groups| by_group(&judged, &groups));
    let limits = [policy.liveness.reject_below, policy.liveness.review_below];
    Ok(LivenessReport { groups, ..summarise(engine.liveness_id(), limits, judged, silent) })
}

fn summarise(model: String, limits: [f32; 2], judged: Vec<Judged>, non_responses: Vec<String>) -> LivenessReport {
    let subjects = judged.iter().map(|j| j.subject + 1).max().unwrap_or(0);
    let (live, attacks): (Vec<Judged>, Vec<Judged>) = judged.into_iter().partition(|j| j.species.is_none());
    let (live, attacks) = (by_score(live), by_score(attacks));
    let scores = |list: &[Judged]| list.iter().map(|j| j.score).collect::<Vec<f32>>();
    let mut kinds: BTreeMap<String, Vec<Judged>> = BTreeMap::new();
    for attack in &attacks {
        kinds.entry(attack.species.clone().unwrap_or_default()).or_default().push(attack.clone());
    }
    let species: BTreeMap<String, AttackRates> =
        kinds.into_iter().filter_map(|(kind, list)| Some((kind, rates(&live, &list, subjects)?))).collect();
    let at_5 = |rates: &AttackRates| rates.apcer_at_bpcer.get(BPCERS[1].0).map_or(0.0, |estimate| estimate.rate);
    let worst = species.iter().max_by(|a, b| at_5(a.1).total_cmp(&at_5(b.1)).then(b.0.cmp(a.0)));
    LivenessReport {
        model,
        limits,
        bpcer_rejecting: share(&live, subjects, |j| j.presentation == Presentation::Attack),
        bpcer_asking: share(&live, subjects, |j| j.presentation != Presentation::BonaFide),
        bona_fide_unsure: live.iter().filter(|j| j.presentation == Presentation::Unsure).count(),
        all: rates(&live, &attacks, subjects),
        worst: worst.map(|(kind, _)| kind.clone()),
        species,
        equal_error_rate: metrics::equal_error_rate(&scores(&live), &scores(&attacks)),
        area_under_curve: estimate(subjects, |weight| area_under_curve(&live, &attacks, weight)),
        bona_fide: live.len(),
        attacks: attacks.len(),
        subjects,
        non_responses,
        groups: None,
    }
}

/// Error rates of each group at the policy's limits.
fn by_group(judged: &[Judged], groups: &Groups) -> GroupReport {
    let numbers = groups.group_numbers();
    let rate = |what: &str, is_live: bool, is_error: fn(Presentation) -> bool| {
        let cases = || judged.iter().filter(|j| j.species.is_none() == is_live);
        let (all, wrong) = (cases().count(), cases().filter(|j| is_error(j.presentation)).count());
        let by_group = (0..groups.count()).map(|group| {
            let mut counts: BTreeMap<usize, [usize; 2]> = BTreeMap::new();
            for j in cases().filter(|j| numbers[j.subject] == Some(group)) {
                let [all, wrong] = counts.entry(j.subject).or_default();
                *all += 1;
                *wrong += usize::from(is_error(j.presentation));
            }
            Tally::own(counts.into_iter().map(|(subject, [all, wrong])| [subject, all, wrong]))
        });
        CountedRate { what: what.to_owned(), all: wrong as f64 / all.max(1) as f64, by_group: by_group.collect() }
    };
    groups.report(vec![
        rate("BPCER, rejected", true, |p| p == Presentation::Attack),
        rate("BPCER, rejected or asked", true, |p| p != Presentation::BonaFide),
        rate("APCER, not rejected", false, |p| p != Presentation::Attack),
        rate("APCER, neither rejected nor asked", false, |p| p == Presentation::BonaFide),
    ])
}

fn by_score(mut list: Vec<Judged>) -> Vec<Judged> {
    list.sort_by(|a, b| a.score.total_cmp(&b.score));
    list
}

/// Rates of some attacks; `None` where there are none, or no bona fide presentations. Both lists by score.
fn rates(live: &[Judged], attacks: &[Judged], subjects: usize) -> Option<AttackRates> {
    let at = |bpcer: f64| estimate(subjects, |weight| apcer_at(live, attacks, bpcer, weight));
    Some(AttackRates {
        attacks: attacks.len(),
        apcer_rejecting: share(attacks, subjects, |j| j.presentation != Presentation::Attack)?,
        apcer_asking: share(attacks, subjects, |j| j.presentation == Presentation::BonaFide)?,
        apcer_at_bpcer: BPCERS.iter().filter_map(|&(name, bpcer)| Some((name, at(bpcer)?))).collect(),
    })
}

/// The weight of some pictures; of none +0, not the -0 of an empty sum.
fn sum<'a>(list: impl Iterator<Item = &'a Judged>, weight: Weight) -> f64 {
    list.fold(0.0, |sum, j| sum + weight(j.subject))
}

fn share(list: &[Judged], subjects: usize, is_counted: impl Fn(&Judged) -> bool + Sync) -> Option<Estimate> {
    estimate(subjects, |weight| {
        let total = sum(list.iter(), weight);
        (total > 0.0).then(|| sum(list.iter().filter(|j| is_counted(j)), weight) / total)
    })
}

/// Share of attacks that score as high as the limit below which at most `bpcer` of the bona fide presentations lie.
fn apcer_at(live: &[Judged], attacks: &[Judged], bpcer: f64, weight: Weight) -> Option<f64> {
    let total = sum(live.iter(), weight);
    let allowed = bpcer * total + 1e-9;
    let mut refused = 0.0;
    let limit = live.iter().find(|j| {
        refused += weight(j.subject);
        refused > allowed
    })?;
    let all = sum(attacks.iter(), weight);
    (all > 0.0).then(|| sum(attacks.iter().filter(|j| j.score >= limit.score), weight) / all)
}

/// The chance that a bona fide presentation scores higher than an attack, ties counting half (Mann-Whitney).
fn area_under_curve(live: &[Judged], attacks: &[Judged], weight: Weight) -> Option<f64> {
    let (mut below, mut at, mut wins, mut total) = (0.0, 0, 0.0, 0.0);
    for one in live {
        while attacks.get(at).is_some_and(|attack| attack.score < one.score) {
            below += weight(attacks[at].subject);
            at += 1;
        }
        let ties: f64 = attacks[at..]
            .iter()
            .take_while(|attack| attack.score == one.score)
            .map(|attack| weight(attack.subject))
            .sum();
        wins += weight(one.subject) * (below + 0.5 * ties);
        total += weight(one.subject);
    }
    let all: f64 = attacks.iter().map(|attack| weight(attack.subject)).sum();
    (total > 0.0 && all > 0.0).then(|| wins / (total * all))
}

impl fmt::Display for LivenessReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [reject, review] = self.limits;
        writeln!(f, "model                {}", self.model)?;
        writeln!(f, "bona fide, attacks   {}, {} of {} subjects", self.bona_fide, self.attacks, self.subjects)?;
        writeln!(f, "no face found        {}", self.non_responses.len())?;
        let or_none = |estimate: &Option<Estimate>| estimate.map_or("no such pictures".to_owned(), |e| e.to_string());
        writeln!(f, "BPCER                {} rejected (below {reject})", or_none(&self.bpcer_rejecting))?;
        writeln!(f, "                     {} rejected or asked (below {review})", or_none(&self.bpcer_asking))?;
        if let (Some(eer), Some(auc)) = (self.equal_error_rate, self.area_under_curve) {
            writeln!(f, "AUC                  {auc}")?;
            writeln!(f, "EER                  {eer:.4}")?;
        }
        let all = self.all.iter().map(|rates| ("all attacks", rates));
        let species = self.species.iter().map(|(kind, rates)| (kind.as_str(), rates));
        for (kind, rates) in all.chain(species.filter(|_| self.species.len() > 1)) {
            let mark = if self.worst.as_deref() == Some(kind) { ", the worst species at BPCER 5 %" } else { "" };
            writeln!(f, "{kind}: {} presentations{mark}", rates.attacks)?;
            writeln!(f, "  APCER              {} not rejected", rates.apcer_rejecting)?;
            writeln!(f, "                     {} neither rejected nor asked", rates.apcer_asking)?;
            for (name, _) in BPCERS {
                if let Some(estimate) = rates.apcer_at_bpcer.get(name) {
                    writeln!(f, "  APCER at BPCER {name:<4} {estimate}")?;
                }
            }
        }
        write!(f, "intervals: 95 %, bootstrap over subjects")?;
        self.groups.iter().try_for_each(|groups| write!(f, "\n{groups}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures of subjects in turn; rejected below 0.1, asked about below 0.5.
    fn judged(scores: &[f32], species: Option<&str>, subjects: usize) -> Vec<Judged> {
        let one = |(k, &score): (usize, &f32)| Judged {
            score,
            presentation: match score {
                s if s < 0.1 => Presentation::Attack,
                s if s < 0.5 => Presentation::Suspected,
                _ => Presentation::BonaFide,
            },
            subject: k % subjects,
            species: species.map(str::to_owned),
        };
        scores.iter().enumerate().map(one).collect()
    }

    fn report(judged: Vec<Judged>) -> LivenessReport {
        summarise("m".into(), [0.1, 0.5], judged, Vec::new())
    }

    #[test]
    fn rates_count_as_by_hand() {
        let live: Vec<f32> = (1..=100).map(|i| i as f32 / 100.0).collect();
        let mut all = judged(&live, None, 100);
        all.extend(judged(&[0.01, 0.015, 0.3, 0.6], Some("print"), 4));
        let report = report(all);
        let rate = |estimate: Option<Estimate>| estimate.unwrap().rate;
        assert_eq!([rate(report.bpcer_rejecting), rate(report.bpcer_asking)], [0.09, 0.49]);
        let attacks = report.all.as_ref().unwrap();
        assert_eq!([attacks.apcer_rejecting.rate, attacks.apcer_asking.rate], [0.5, 0.25]);
        // One of a hundred may be refused: the limit is 0.02; five: 0.06; ten: 0.11.
        assert_eq!(BPCERS.map(|(name, _)| attacks.apcer_at_bpcer[name].rate), [0.5, 0.5, 0.5]);
        assert_eq!(report.worst.as_deref(), Some("print"));
        // Of a hundred live scores 99.5, 99, 70.5 and 40.5 exceed the four attacks', ties counting half.
        let by_hand = (99.5 + 99.0 + 70.5 + 40.5) / 400.0;
        assert!((rate(report.area_under_curve) - by_hand).abs() < 1e-9, "{report:?}");
    }

    #[test]
    fn each_species_stands_by_itself_and_the_worst_is_named() {
        let mut all = judged(&[0.9, 0.8, 0.7, 0.95], None, 2);
        all.extend(judged(&[0.01, 0.02], Some("print"), 2));
        all.extend(judged(&[0.01, 0.99], Some("phone"), 2));
        let report = report(all);
        assert_eq!(report.worst.as_deref(), Some("phone"));
        assert_eq!(report.species["print"].apcer_asking.to_string(), "0.0000 (0.0000 to 1.0000)", "two subjects");
        assert_eq!(report.species["phone"].apcer_at_bpcer["5 %"].rate, 0.5);
        let text = report.to_string();
        assert!(text.contains("phone: 2 presentations, the worst species at BPCER 5 %"), "{text}");
    }

    #[test]
    fn few_subjects_give_wide_intervals() {
        // The same rates from 200 pictures of 200 people and of 4: an error belongs to a person.
        let scores: Vec<f32> = (0..200).map(|k| if k % 4 == 0 { 0.2 } else { 0.9 }).collect();
        let attacks: Vec<f32> = (0..200).map(|k| if k % 4 == 1 { 0.7 } else { 0.05 }).collect();
        let width = |subjects: usize| {
            let mut all = judged(&scores, None, subjects);
            all.extend(judged(&attacks, Some("print"), subjects));
            let estimate = report(all).bpcer_asking.unwrap();
            assert!(estimate.low <= estimate.rate && estimate.rate <= estimate.high, "{estimate:?}");
            assert!((estimate.rate - 0.25).abs() < 1e-9);
            estimate.high - estimate.low
        };
        assert!(width(4) > 3.0 * width(200), "{} and {}", width(4), width(200));
        assert!(width(200) > 0.05, "{}", width(200));
    }

    #[test]
    fn nothing_judged_divides_by_nothing() {
        let report = summarise("m".into(), [0.1, 0.5], Vec::new(), vec!["a.jpg".into()]);
        assert_eq!((report.bona_fide, report.all.is_none(), report.bpcer_rejecting), (0, true, None));
        assert!(report.to_string().contains("no such pictures"));
    }
}
