//! Who is compared with whom.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::kept::KeptCurve;
use crate::config::policy::FactsPolicy;
use crate::dump::facts::folded;
use crate::gallery::search::Progress;
use crate::gallery::{self, Filter, Gallery, Member, Pair, Probe, Row, SearchReport, Searcher, Thinning, Want};
use crate::infer::{ModelId, Template};
use crate::matching::strata::quality_group;
use crate::matching::{EnrolledBy, Enrolment, NearPairs, TimeOrder, UNKNOWN_TIME, pairs_of};
use crate::{Error, Result};

/// Members of one model, and which of them are compared with which.
#[derive(Debug)]
pub struct Members<'a> {
    model: ModelId,
    /// All that take part: expected false matches are stated for all pairs of them.
    all: Gallery,
    compared: Compared<'a>,
    /// Those among whom people who differ are sought; their rows are numbered on their own.
    sampled: Gallery,
    /// The first of those asked about, as memberships of tonight.
    named: Vec<Enrolment>,
    /// The curve that their store's last night was judged with.
    kept_curve: Option<KeptCurve>,
    order: TimeOrder,
}

#[derive(Debug)]
enum Compared<'a> {
    EachOther,
    Asked(Asked<'a>),
}

/// Where one of tonight's members stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpRow {
    /// Row of the dump.
    pub row: u64,
    /// Polling booth.
    pub booth_id: Option<String>,
    /// Whether its time can be; one that cannot makes nobody the first.
    pub is_time_known: bool,
}

/// Members asked about, each compared with all of the target.
#[derive(Debug)]
struct Asked<'a> {
    /// Rows of `all`, ascending.
    rows: Vec<u32>,
    /// Theirs.
    templates: Vec<Cow<'a, Template>>,
    /// Rows have the same numbers as in `all`.
    target: Gallery,
}

impl<'a> Members<'a> {
    /// Every member of a gallery with every other; its rows have one model, as [`super::select`] gives them.
    ///
    /// # Errors
    /// [`Error::Usage`] when nobody is there.
    pub fn each_other(gallery: &Gallery) -> Result<Members<'a>> {
        let model = model_of(gallery)
            .ok_or_else(|| Error::usage("--store", "the store holds no members", "audit a dump into it first"))?;
        let (all, sampled) = (gallery.clone(), gallery.clone());
        Ok(Members {
            model,
            all,
            compared: Compared::EachOther,
            sampled,
            named: Vec::new(),
            order: time_order(),
            kept_curve: None,
        })
    }

    /// The members asked about with those of a target, both of one model; two rows of one submission are one membership.
    ///
    /// # Errors
    /// [`Error::Usage`] when nobody is there; [`Error::Input`] when a stored row is damaged.
    pub fn against(asked: &Gallery, target: &Gallery) -> Result<Members<'a>> {
        let known: HashMap<&str, u32> = target.iter().map(|(number, row)| (row.submission_id, number)).collect();
        let shift = target.rows() as u32;
        let place = |(number, row): (u32, Row)| known.get(row.submission_id).copied().unwrap_or(shift + number);
        let places: BTreeSet<u32> = asked.iter().map(place).collect();
        let all = target.followed_by(asked).keeping(&|number| number < shift || places.contains(&number));
        let fix = "name a store, an export or a dump with members";
        let model = model_of(&all).ok_or_else(|| Error::usage("--against", "nobody to compare with", fix))?;
        let rows: Vec<u32> = places.into_iter().collect();
        let templates = rows.iter().map(|&row| Ok(Cow::Owned(all.template(row)?))).collect::<Result<_>>()?;
        let compared = Compared::Asked(Asked { rows, templates, target: target.clone() });
        Ok(Members {
            model,
            sampled: all.clone(),
            all,
            compared,
            named: Vec::new(),
            order: time_order(),
            kept_curve: None,
        })
    }

    /// Tonight's members with each other and with those of earlier nights who have templates of the same model; `rows`
    /// are where tonight's stand in the dump, in the same order.
    ///
    /// # Errors
    /// [`Error::Bug`] when templates of one model differ in length.
    pub fn tonight(
        tonight: &'a [(Member, Template)],
        rows: &[DumpRow],
        earlier: &Gallery,
        model: &ModelId,
    ) -> Result<Members<'a>> {
        let earlier = earlier.only(model, &Filter::default());
        let sampled = Gallery::from_rows(tonight)?;
        let all = earlier.followed_by(&sampled);
        let facts = sampled.iter().zip(rows);
        let named = facts.map(|((_, member), of)| {
            let known = enrolment(&member);
            Enrolment {
                row: Some(of.row),
                booth_id: of.booth_id.clone(),
                captured_at: if of.is_time_known { known.captured_at } else { UNKNOWN_TIME },
                ..known
            }
        });
        let named: Vec<Enrolment> = named.collect();
        let rows: Vec<u32> = (earlier.rows() as u32..).take(tonight.len()).collect();
        let templates = tonight.iter().map(|(_, template)| Cow::Borrowed(template)).collect();
        let compared = Compared::Asked(Asked { rows, templates, target: all.clone() });
        let members =
            Members { model: model.clone(), all, compared, sampled, named, order: time_order(), kept_curve: None };
        Ok(members.in_order(time_order()))
    }

    /// The same where tonight's and earlier submissions were made in this order.
    pub fn in_order(mut self, order: TimeOrder) -> Self {
        self.order = order;
        for enrolment in &mut self.named {
            enrolment.made_at = Some(order.tonight(enrolment.captured_at));
        }
        self
    }

    /// Judged with the curve of a store's last night, where it left one: expected false matches are then what that night
    /// would say, for its gallery or for all members who take part, whichever is larger.
    pub fn with_curve(self, kept_curve: Option<KeptCurve>) -> Members<'a> {
        Members { kept_curve, ..self }
    }

    pub(super) fn kept_curve(&self) -> Option<&KeptCurve> {
        self.kept_curve.as_ref()
    }

    /// The network of their templates.
    pub fn model(&self) -> &ModelId {
        &self.model
    }

    /// All that take part.
    pub fn all(&self) -> &Gallery {
        &self.all
    }

    /// Those among whom people who differ are sought.
    pub(super) fn sampled(&self) -> &Gallery {
        &self.sampled
    }

    /// Memberships that are listed even if they are in no pair.
    pub(super) fn named(&self) -> &[Enrolment] {
        &self.named
    }

    /// The rows of those.
    pub(super) fn named_rows(&self) -> impl Iterator<Item = u32> {
        let rows = match &self.compared {
            Compared::EachOther => &[][..],
            Compared::Asked(asked) => &asked.rows,
        };
        rows.iter().copied().take(self.named.len())
    }

    /// How many pairs are compared; a pair of two who are both asked about counts once.
    pub(super) fn compared_pairs(&self) -> f64 {
        match &self.compared {
            Compared::EachOther => pairs_of(self.all.live() as u64),
            Compared::Asked(Asked { rows, target, .. }) => {
                let inside = rows.iter().filter(|&&row| target.row(row).is_some()).count() as u64;
                rows.len() as f64 * target.live() as f64 - inside as f64 - pairs_of(inside)
            }
        }
    }

    /// The part that those are of all pairs of all who take part.
    pub fn compared_share(&self) -> f64 {
        self.compared_pairs() / pairs_of(self.all.live() as u64).max(1.0)
    }

    /// How many of them are of one worker, and of one district.
    pub(super) fn near_pairs(&self) -> NearPairs {
        let spellings = first_spellings(self.all.iter().map(|(_, row)| row.district));
        let by = |row| enrolled_by(row, &spellings);
        let all = || self.all.iter().map(|(_, row)| by(row));
        match &self.compared {
            Compared::EachOther => NearPairs::count(all(), all(), all()),
            Compared::Asked(Asked { rows, target, .. }) => {
                let asked = rows.iter().filter_map(|&row| self.all.row(row)).map(by);
                let inside = rows.iter().filter_map(|&row| target.row(row)).map(by);
                NearPairs::count(asked, inside, target.iter().map(|(_, row)| by(row)))
            }
        }
    }

    /// Every compared pair at least this similar, each once, as rows of [`Members::all`]; of who is there very often those that
    /// hold the person together.
    pub(super) fn search(
        &self,
        floor: f32,
        thinning: Thinning,
        searcher: &Searcher,
        progress: Progress<'_>,
    ) -> Result<(Vec<Pair>, SearchReport)> {
        let Compared::Asked(Asked { rows, templates, target }) = &self.compared else {
            return gallery::all_pairs(&self.all, floor, Some(thinning), searcher, progress);
        };
        let model = &self.model;
        let probes: Vec<Probe> =
            templates.iter().map(|template| Probe { template, model, filter: Filter::default() }).collect();
        let want = Want::AboveThinned { floor, thinning };
        let (hits, report) = gallery::search_with(target, &probes, want, searcher, progress)?;
        let mut pairs: Vec<Pair> = Vec::with_capacity(hits.len());
        for hit in &hits {
            let (one, other) = (rows[hit.probe as usize], hit.row);
            if one != other && !self.is_delivered_again(rows, one, other) {
                pairs.push(Pair { first: one.min(other), second: one.max(other), similarity: hit.similarity });
            }
        }
        // A pair of two who are both asked about is found from both ends.
        pairs.sort_unstable_by_key(|pair| (pair.first, pair.second));
        pairs.dedup_by_key(|pair| (pair.first, pair.second));
        Ok((pairs, report))
    }

    /// A submission delivered again is no second membership; two rows of one night with one id are.
    fn is_delivered_again(&self, asked: &[u32], one: u32, other: u32) -> bool {
        let id = |row: u32| self.all.row(row).map(|row| row.submission_id);
        asked.binary_search(&other).is_err() && id(one) == id(other)
    }

    /// A row as matching sees it.
    pub(super) fn enrolment(&self, row: u32) -> Result<Enrolment> {
        let stored = self.all.row(row).ok_or_else(|| Error::bug("looking up a pair", format!("no row {row}")))?;
        Ok(Enrolment { made_at: Some(self.order.earlier(stored.captured_at)), ..enrolment(&stored) })
    }
}

/// The order where no night is told from earlier ones.
fn time_order() -> TimeOrder {
    TimeOrder::new(FactsPolicy::default().drive_begins(), [])
}

fn enrolled_by<'r>(row: Row<'r>, spellings: &HashMap<&'r str, &'r str>) -> EnrolledBy<'r> {
    EnrolledBy { worker: row.worker_id, district: spellings.get(row.district).copied().unwrap_or(row.district) }
}

/// Names of districts, each with the first of those that are the same but for case and white space.
fn first_spellings<'a>(districts: impl Iterator<Item = &'a str>) -> HashMap<&'a str, &'a str> {
    let mut first: HashMap<String, &str> = HashMap::new();
    let mut spellings = HashMap::new();
    for name in districts {
        spellings.entry(name).or_insert_with(|| *first.entry(folded(name)).or_insert(name));
    }
    spellings
}

fn model_of(gallery: &Gallery) -> Option<ModelId> {
    gallery.models().first().map(|(model, _)| (*model).clone())
}

/// A member as matching sees it.
fn enrolment(member: &Row) -> Enrolment {
    let text = |value: Option<&str>| value.map(str::to_owned);
    Enrolment {
        submission_id: member.submission_id.to_owned(),
        worker_id: member.worker_id.to_owned(),
        district: member.district.to_owned(),
        captured_at: member.captured_at,
        mobile: text(member.mobile),
        epic: text(member.epic),
        member_name: text(member.member_name),
        picture: Some(member.selfie_dhash),
        group: quality_group(member.quality),
        member_doubt_percent: member.member_doubt_percent,
        ..Enrolment::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::policy::MatchingPolicy;
    use crate::decisions::Decisions;
    use crate::gallery::Store;
    use crate::gallery::generate::Crowd;
    use crate::matching::{self, Grade};
    use crate::pairs::find;

    /// The grade of a pair whose one side was enrolled the night before.
    fn grade_on_the_next_night(member_doubt_percent: u8) -> Option<Grade> {
        let mut rows = Crowd::new(64, 5).rows(0..600).unwrap();
        rows[7].0.member_doubt_percent = member_doubt_percent;
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(temp.path().join("store")).unwrap();
        store.begin().unwrap().add_run("last night", &rows[..400]).unwrap();

        let again = Member { submission_id: "again".into(), ..rows[1].0.clone() };
        let tonight: Vec<_> = rows[400..].iter().cloned().chain([(again, rows[7].1.clone())]).collect();
        let place = |row| DumpRow { row, booth_id: None, is_time_known: true };
        let places: Vec<DumpRow> = (0..tonight.len() as u64).map(place).collect();
        let model = rows[0].0.model.clone();
        let members = Members::tonight(&tonight, &places, &store.view(None).unwrap(), &model).unwrap();
        let policy = MatchingPolicy::default();
        let searcher = Searcher::default();
        let found = find(&members, Vec::new(), &Decisions::default(), &policy, &searcher, &mut |_| Ok(())).unwrap();
        let id = |at: usize| found.enrolments[at].submission_id.as_str();
        let is_again = |pair: &&matching::Pair| [id(pair.a), id(pair.b)].contains(&"again");
        found.judged.pairs.iter().find(is_again).unwrap().grade()
    }

    #[test]
    fn doubt_about_a_member_of_an_earlier_night_counts_tonight() {
        assert_eq!(grade_on_the_next_night(0), Some(Grade::NearCertain));
        assert_eq!(grade_on_the_next_night(40), Some(Grade::Possible));
    }
}
