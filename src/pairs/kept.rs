//! The curve that a night was judged with, kept with the store and used by look-ups: one similarity means one expected
//! number of false matches, whoever asks.

use serde::{Deserialize, Serialize};

use crate::gallery::Store;
use crate::infer::ModelId;
use crate::matching::{Basis, FalseMatchRate, ImpostorModel, Impostors, Judged, prior};
use crate::{Error, Result};

/// What the bytes begin with: kind and version.
const MAGIC: &[u8; 16] = b"chehra curves  1";

/// False-match rates as a night was judged with them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptCurve {
    /// Templates in the gallery, for all pairs of which the night stated its expected false matches.
    pub gallery_size: u64,
    /// The least rate at which pairs were counted; below it the curve is extrapolated.
    pub measured_down_to: f64,
    /// Where the curve comes from, for people.
    source: String,
    /// Scores of different people behind it.
    scores: usize,
    pooled: Rates,
    /// Strata with curves of their own.
    strata: Vec<StratumRates>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Rates {
    rate: FalseMatchRate,
    /// Upper bound of it, one-sided 95 %.
    upper: FalseMatchRate,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StratumRates {
    stratum: u16,
    rates: Rates,
}

impl Rates {
    fn of(model: &ImpostorModel) -> Rates {
        Rates { rate: model.rate().clone(), upper: model.upper_rate().clone() }
    }

    fn model(&self, curve: &KeptCurve) -> ImpostorModel {
        ImpostorModel::kept(&curve.source, self.rate.clone(), self.upper.clone(), curve.scores)
    }
}

impl KeptCurve {
    /// The curves that pairs were judged with.
    pub fn of(judged: &Judged) -> KeptCurve {
        let report = judged.strangers.report();
        let of_stratum =
            |(stratum, model): &(u16, ImpostorModel)| StratumRates { stratum: *stratum, rates: Rates::of(model) };
        KeptCurve {
            gallery_size: judged.statistics.gallery_size,
            measured_down_to: match report.basis {
                Basis::Fitted => 1.0 / report.scores.max(1) as f64,
                Basis::Prior | Basis::Kept => 1.0 / prior::PAIRS,
            },
            source: report.source(),
            scores: report.scores,
            pooled: Rates::of(&judged.strangers),
            strata: judged.strata.iter().map(of_stratum).collect(),
        }
    }

    /// As matching takes it: nothing is fitted to it any more.
    pub fn impostors(&self, model: &ModelId) -> Impostors {
        let strata = self.strata.iter().map(|own| (own.stratum, own.rates.model(self)));
        Impostors::kept(model, self.pooled.model(self), strata)
    }

    /// As a store keeps it.
    ///
    /// # Errors
    /// Only bugs.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let body = postcard::to_stdvec(self).map_err(|e| Error::bug("keeping the curve of a night", e))?;
        Ok([MAGIC.as_slice(), &body].concat())
    }

    /// That of a store's last night with templates of this model; none where there is none that this program reads.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn read(store: &Store, model: &ModelId) -> Result<Option<KeptCurve>> {
        let Some(bytes) = store.curve(model)? else { return Ok(None) };
        let curve = bytes.strip_prefix(MAGIC).and_then(|body| postcard::from_bytes(body).ok());
        if curve.is_none() {
            log::info!("{}: the curve of the last night is of another version", store.path().display());
        }
        Ok(curve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::policy::MatchingPolicy;
    use crate::decisions::Decisions;
    use crate::gallery::generate::Crowd;
    use crate::gallery::{Curve, Gallery, Night, NightPictures, Searcher};
    use crate::matching::pairs_of;
    use crate::matching::strata::quality_stratum;
    use crate::pairs::{DumpRow, Found, Members, find};

    fn found(members: &Members) -> Found {
        // With a share of false ones as the limit, who is asked about decides what is flagged; with a number, the number does.
        let policy = MatchingPolicy { review_expected_false_matches: Some(0.01), ..MatchingPolicy::default() };
        let searcher = Searcher::default();
        find(members, Vec::new(), &Decisions::default(), &policy, &searcher, &mut |_| Ok(())).unwrap()
    }

    /// The two submissions of each pair, the earlier name first, with its similarity and expected false matches.
    fn numbers(found: &Found) -> Vec<([String; 2], f32, f64)> {
        let id = |at: usize| found.enrolments[at].submission_id.clone();
        let named = found.judged.pairs.iter().map(|pair| {
            let mut ids = [id(pair.a), id(pair.b)];
            ids.sort();
            (ids, pair.similarity, pair.expected_false_matches)
        });
        named.collect()
    }

    #[test]
    fn a_pair_has_the_number_of_its_night_whoever_asks_afterwards() {
        let crowd = Crowd { duplicates: 0.1, lookalikes: 0.0, copies: 0.0, ..Crowd::new(64, 3) };
        let rows = crowd.rows(0..900).unwrap();
        let model = rows[0].0.model.clone();
        let place = |row| DumpRow { row, booth_id: None, is_time_known: true };
        let places: Vec<DumpRow> = (0..900).map(place).collect();
        let night = found(&Members::tonight(&rows, &places, &Gallery::empty(), &model).unwrap());
        assert_eq!(night.judged.strangers.report().basis, Basis::Fitted);
        let curve = KeptCurve::of(&night.judged);

        let temp = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(temp.path().join("store")).unwrap();
        let added = Night {
            members: &rows,
            pictures: &NightPictures::empty(model.clone()),
            workers: None,
            renewed: &Default::default(),
            curve: Some(Curve { model: &model, bytes: &curve.to_bytes().unwrap() }),
        };
        store.begin().unwrap().add_night("a night", added).unwrap();
        store.begin().unwrap();
        let kept = KeptCurve::read(&store, &model).unwrap().unwrap();
        assert_eq!(kept, curve, "it outlives the next writer's sweep, bit for bit");
        assert_eq!(KeptCurve::read(&store, &ModelId("another".into())).unwrap(), None);

        let all = store.view(None).unwrap();
        let some = all.keeping(&|row| row % 3 == 0);
        let again = Members::against(&some, &all).unwrap().with_curve(Some(kept.clone()));
        let (tonight, later) = (numbers(&night), numbers(&found(&again)));
        assert!(later.len() > 10, "{}", later.len());
        for pair in &later {
            assert!(tonight.contains(pair), "{pair:?}");
        }
        // By its own curve the same look-up says something else.
        let own = numbers(&found(&Members::against(&some, &all).unwrap()));
        assert!(own.iter().any(|pair| !tonight.contains(pair)));

        // And so does a look-up of one face.
        let impostors = kept.impostors(&model);
        for pair in &night.judged.pairs {
            let quality = |at: usize| {
                let id = &night.enrolments[at].submission_id;
                rows.iter().find(|(member, _)| member.submission_id == *id).unwrap().0.quality
            };
            let rate = impostors.of(quality_stratum(quality(pair.a), quality(pair.b))).fmr(pair.similarity);
            assert_eq!(rate * pairs_of(kept.gallery_size), pair.expected_false_matches);
        }
    }

    #[test]
    fn a_damaged_curve_costs_no_answer() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(temp.path().join("store")).unwrap();
        let model = ModelId("made up:1".into());
        let pictures = NightPictures::empty(model.clone());
        let curve = Some(Curve { model: &model, bytes: b"of a later version" });
        let renewed = Default::default();
        let added = Night { members: &[], pictures: &pictures, workers: None, renewed: &renewed, curve };
        store.begin().unwrap().add_night("a night", added).unwrap();
        assert_eq!(KeptCurve::read(&store, &model).unwrap(), None);
        assert!(store.verify().unwrap().rebuildable.is_empty());
        let file = std::fs::read_dir(store.path().join("segments")).unwrap().map(|entry| entry.unwrap().path());
        let file = file.into_iter().find(|path| path.extension().is_some_and(|e| e == "curve")).unwrap();
        std::fs::write(&file, b"of a later vErsion").unwrap();
        assert_eq!(KeptCurve::read(&store, &model).unwrap(), None);
        let verified = store.verify().unwrap();
        assert!(verified.is_sound() && verified.rebuildable[0].contains("the next audit makes it anew"));
    }
}
