//! Presentation attacks, in the terms of ISO/IEC 30107-3 (13.2 and 13.3 of the 2017 text): APCER per species of attack
//! instrument, the worst of them, BPCER, and what was not judged at all.
//!
//! An attack counts as rejected when the row says `photo_of_photo`, and as asked about when it says that,
//! `photo_of_photo_suspected` or `liveness_unsure`. A row is a response when the liveness of at least one
//! face was judged; rows that were not (no face seen, no picture) are counted as non-responses and are in no error rate.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Case, Rate};
use crate::evaluate::metrics;
use crate::reason::{Reason, Verdict};

/// The name under which attacks go whose kind the truth does not tell.
const UNNAMED: &str = "any";

/// The rates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttackReport {
    /// Each species, as `phone, member`: the instrument and whom it shows.
    pub species: BTreeMap<String, Species>,
    /// Each instrument, whomever it shows.
    pub instruments: BTreeMap<String, Species>,
    /// The species with the highest APCER, which is the APCER of the whole.
    pub worst: Option<String>,
    /// Bona fide presentations that were judged and taken for attacks: rejected.
    pub bpcer: Rate,
    /// Bona fide presentations that were judged and rejected or asked about.
    pub bpcer_asking: Rate,
    /// Bona fide presentations that were not judged.
    pub bona_fide_non_responses: Rate,
    /// Chance that a bona fide row's lowest liveness exceeds an attack row's (area under the ROC curve), whatever the
    /// threshold.
    pub area_under_curve: Option<f64>,
}

/// One species of attack.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Species {
    /// Attack presentations that were judged and not rejected: APCER.
    pub apcer: Rate,
    /// Attack presentations that were judged and neither rejected nor asked about.
    pub apcer_asking: Rate,
    /// Attack presentations that were not judged.
    pub non_responses: Rate,
    /// Attack presentations that were accepted, by whatever reason others were not: what the audit as a whole lets by.
    pub accepted: Rate,
}

/// Counts attacks. `named` says that the truth has a column for their kind; else each row that must be
/// `photo_of_photo` is one.
pub fn report(cases: &[Case], named: bool) -> AttackReport {
    let kind = |case: &Case| match named {
        true => case.truth.attack.clone(),
        false => case.must(Reason::PhotoOfPhoto).then(|| UNNAMED.to_owned()),
    };
    let mut species: BTreeMap<String, Vec<&Case>> = BTreeMap::new();
    let mut instruments: BTreeMap<String, Vec<&Case>> = BTreeMap::new();
    let mut bona_fide = Vec::new();
    for case in cases {
        match kind(case) {
            Some(kind) => {
                let instrument = kind.split(',').next().unwrap_or_default().to_owned();
                instruments.entry(instrument).or_default().push(case);
                species.entry(kind).or_default().push(case);
            }
            None if is_bona_fide(case) => bona_fide.push(case),
            None => {}
        }
    }
    let lowest = |rows: &mut dyn Iterator<Item = &&Case>| metrics::sorted(rows.filter_map(|c| liveness(c)).collect());
    let area_under_curve =
        metrics::area_under_curve(&lowest(&mut bona_fide.iter()), &lowest(&mut species.values().flatten()));
    let rates = |groups: BTreeMap<String, Vec<&Case>>| -> BTreeMap<String, Species> {
        groups.into_iter().map(|(kind, rows)| (kind, rates(&rows))).collect()
    };
    let (species, instruments) = (rates(species), rates(instruments));
    let judged = species.iter().filter_map(|(kind, s)| Some((kind, s.apcer.rate?)));
    AttackReport {
        worst: judged.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(a.0))).map(|(kind, _)| kind.clone()),
        bpcer: Rate::among(bona_fide.iter().filter(|c| responded(c)), |c| c.gave(Reason::PhotoOfPhoto)),
        bpcer_asking: Rate::among(bona_fide.iter().filter(|c| responded(c)), |c| was_asked(c)),
        bona_fide_non_responses: Rate::among(&bona_fide, |c| !responded(c)),
        area_under_curve,
        species,
        instruments,
    }
}

fn rates(rows: &[&Case]) -> Species {
    Species {
        apcer: Rate::among(rows.iter().filter(|c| responded(c)), |c| !c.gave(Reason::PhotoOfPhoto)),
        apcer_asking: Rate::among(rows.iter().filter(|c| responded(c)), |c| !was_asked(c)),
        non_responses: Rate::among(rows, |c| !responded(c)),
        accepted: Rate::among(rows, |c| c.given.verdict == Verdict::Accept),
    }
}

/// Somebody is there, and nobody is a picture; copies of pictures of unknown making are left out by `may`.
fn is_bona_fide(case: &Case) -> bool {
    let truth = &case.truth;
    let somebody = truth.member_person.is_some() || truth.worker_person.is_some();
    let readable = ![Reason::UnreadableImage, Reason::ImageTooLarge, Reason::NoFace].iter().any(|&r| case.must(r));
    let attack = [Reason::PhotoOfPhoto, Reason::PhotoOfPhotoSuspected, Reason::LivenessUnsure];
    somebody && readable && !attack.iter().any(|&reason| case.must(reason) || case.may(reason))
}

fn was_asked(case: &Case) -> bool {
    [Reason::PhotoOfPhoto, Reason::PhotoOfPhotoSuspected, Reason::LivenessUnsure]
        .iter()
        .any(|&reason| case.gave(reason))
}

fn responded(case: &Case) -> bool {
    liveness(case).is_some()
}

/// The lowest liveness of the principal faces.
fn liveness(case: &Case) -> Option<f32> {
    case.given.member_liveness.into_iter().chain(case.given.worker_liveness).min_by(f32::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::super::tables::tests::case;
    use super::*;

    /// `attack`, liveness of the member, whether it was found.
    fn row(attack: Option<&str>, liveness: Option<f32>, found: bool) -> Case {
        let must: &[Reason] = if attack.is_some() { &[Reason::PhotoOfPhoto] } else { &[] };
        let mut case = case(must, &[], if found { &[Reason::PhotoOfPhoto] } else { &[] });
        case.truth.attack = attack.map(str::to_owned);
        case.truth.worker_person = Some("w".to_owned());
        case.given.member_liveness = liveness;
        case.given.worker_liveness = Some(0.9).filter(|_| liveness.is_some());
        case
    }

    #[test]
    fn rates_count_as_by_hand() {
        let (phone, print) = (Some("phone, member"), Some("print, both"));
        let cases = [
            row(phone, Some(0.1), true),
            row(phone, Some(0.8), false),
            row(Some("phone, worker"), Some(0.2), true),
            row(print, None, false),
            row(print, Some(0.3), true),
            row(None, Some(0.85), false),
            row(None, Some(0.15), true),
            row(None, None, false),
        ];
        let report = report(&cases, true);
        assert_eq!(report.species["phone, member"].apcer, Rate::new(1, 2));
        assert_eq!(report.species["phone, member"].accepted, Rate::new(1, 2));
        assert_eq!(report.instruments["phone"].apcer, Rate::new(1, 3));
        assert_eq!(report.species["print, both"].apcer, Rate::new(0, 1));
        assert_eq!(report.species["print, both"].non_responses, Rate::new(1, 2));
        assert_eq!(report.worst.as_deref(), Some("phone, member"));
        assert_eq!((report.bpcer, report.bona_fide_non_responses), (Rate::new(1, 2), Rate::new(1, 3)));
        // Bona fide 0.85 beats 0.1, 0.8, 0.2, 0.3; 0.15 beats 0.1 alone: 5 of 8.
        assert_eq!(report.area_under_curve, Some(5.0 / 8.0));
    }

    #[test]
    fn a_suspected_attack_is_asked_about_and_not_rejected() {
        let mut cases = [row(Some("phone, member"), Some(0.3), false), row(None, Some(0.3), false)];
        cases[0].given.reasons = vec![Reason::PhotoOfPhotoSuspected];
        cases[1].given.reasons = vec![Reason::LivenessUnsure];
        let report = report(&cases, true);
        let phone = &report.species["phone, member"];
        assert_eq!((phone.apcer, phone.apcer_asking), (Rate::new(1, 1), Rate::new(0, 1)));
        assert_eq!((report.bpcer, report.bpcer_asking), (Rate::new(0, 1), Rate::new(1, 1)));
    }

    #[test]
    fn without_a_kind_the_reason_says_what_is_an_attack() {
        let cases = [row(Some("phone, member"), Some(0.1), true), row(None, Some(0.9), false)];
        let report = report(&cases, false);
        assert_eq!(report.species["any"].apcer, Rate::new(0, 1));
        assert_eq!(report.bpcer, Rate::new(0, 1));
        assert_eq!(super::report(&[], true).worst, None);
    }
}
