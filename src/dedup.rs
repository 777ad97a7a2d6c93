//! Duplicates within a whole store, or a part of it: every pair above the threshold, in one pass; and of some members
//! against others.

mod upper;

use std::collections::{BTreeSet, HashMap};

use crate::config::policy::MatchingPolicy;
use crate::gallery::search::Progress;
use crate::gallery::{self, Filter, Gallery, Hit, Probe, Row, SearchPolicy, SearchReport, Want};
use crate::infer::template::similarity;
use crate::infer::{ModelId, Template};
use crate::matching::strata::{quality_group, quality_stratum};
use crate::matching::{
    Candidate, Case, Enrolment, ImpostorScore, Impostors, Judged, Searched, candidate_floor, judge, pairs_of,
};
use crate::{Error, Result};

pub(crate) use upper::with_upper;

/// So many members are compared with each other for the impostor model: 2,000 make two million pairs.
const SAMPLE: usize = 2_000;

/// What one pass over a store found.
#[derive(Debug)]
pub struct Found {
    /// Memberships that are in a candidate pair.
    pub enrolments: Vec<Enrolment>,
    /// Pairs, clusters, statistics.
    pub judged: Judged,
    /// How the store was searched.
    pub search: SearchReport,
}

/// The members of a gallery that are to be compared: those of one model that a filter lets pass.
///
/// # Errors
/// [`Error::Usage`] when nobody is left, or when the gallery has several models and none is named: templates of two
/// models are never compared.
pub fn select(gallery: &Gallery, model: Option<&str>, filter: &Filter<'_>) -> Result<Gallery> {
    let models = gallery.models();
    let list = || {
        let each = |(model, rows): &(&ModelId, usize)| format!("{} ({rows} members)", model.0);
        models.iter().map(each).collect::<Vec<_>>().join(", ")
    };
    let chosen = match (model, models.as_slice()) {
        (_, []) => return Err(Error::usage("--store", "the store holds no members", "audit a dump into it first")),
        (None, [(only, _)]) => *only,
        (None, _) => return Err(Error::usage("--model", "templates of several models, never compared", list())),
        (Some(name), _) => match models.iter().find(|(model, _)| model.0 == name) {
            Some((model, _)) => *model,
            None => return Err(Error::usage("--model", format!("no member has a template of '{name}'"), list())),
        },
    };
    let some = gallery.only(chosen, filter);
    if some.is_empty() {
        let fix = format!("districts in the store: {}", districts(gallery));
        return Err(Error::usage("--only-district, --not-…", "no member is left to compare", fix));
    }
    Ok(some)
}

/// The names of a gallery's first districts.
fn districts(gallery: &Gallery) -> String {
    const SHOWN: usize = 20;
    let names: BTreeSet<&str> = gallery.iter().map(|(_, row)| row.district).collect();
    let shown: Vec<&str> = names.iter().take(SHOWN).copied().collect();
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    shown.join(", ") + &more
}

/// Finds every pair of members that the policy wants reviewed. The gallery has rows of one model, as [`select`] gives
/// them; `progress` is told how many members have been compared with all others.
///
/// # Errors
/// [`Error::Input`] when the store is damaged; what `progress` returns.
pub fn all_pairs(
    gallery: &Gallery,
    policy: &MatchingPolicy,
    search: &SearchPolicy,
    progress: Progress<'_>,
) -> Result<Found> {
    let pass = Pass::of(gallery, policy, search, progress)?;
    let judged = pass.judge(policy);
    Ok(Found { enrolments: pass.enrolments, judged, search: pass.search })
}

/// Members to be compared with others, and all of them in one line.
#[derive(Debug)]
pub struct Against {
    /// The members compared with, then those asked about where they are not among them.
    pub all: Gallery,
    /// The members compared with; rows have the same numbers as in `all`.
    pub target: Gallery,
    /// The members asked about, by their rows in `all`.
    pub asked: Vec<u32>,
}

impl Against {
    /// Members of one model beside others of the same; two rows of one submission are one membership.
    pub fn new(asked: &Gallery, target: &Gallery) -> Against {
        let known: HashMap<&str, u32> = target.iter().map(|(number, row)| (row.submission_id, number)).collect();
        let shift = target.rows() as u32;
        let both = target.followed_by(asked);
        let place = |(number, row): (u32, Row)| known.get(row.submission_id).copied().unwrap_or(shift + number);
        let asked: BTreeSet<u32> = asked.iter().map(place).collect();
        let all = both.keeping(&|number| number < shift || asked.contains(&number));
        Against { asked: asked.into_iter().collect(), target: target.clone(), all }
    }
}

/// Finds every pair of a member asked about and another one that the policy wants reviewed. `progress` is told how
/// many have been compared with all others.
///
/// # Errors
/// As [`all_pairs`].
pub fn pairs_against(
    against: &Against,
    policy: &MatchingPolicy,
    search: &SearchPolicy,
    progress: Progress<'_>,
) -> Result<Found> {
    let Against { all, target, asked } = against;
    let Some((model, _)) = all.models().first().copied() else {
        return Err(Error::usage(
            "--against",
            "nobody to compare with",
            "name a store, an export or a dump with members",
        ));
    };
    let impostors = Impostors::new(model, &impostor_scores(all)?);
    let size = all.live() as u64;
    let floor = candidate_floor(&impostors, size, policy);
    // Each of those asked about with each other one; a pair of two who are both asked about counts once.
    let inside = asked.iter().filter(|&&row| target.row(row).is_some()).count() as u64;
    let compared = asked.len() as f64 * target.live() as f64 - inside as f64 - pairs_of(inside);
    let impostors = with_upper(impostors, (all, model), (compared, floor), progress)?;
    let templates: Vec<Template> = asked.iter().map(|&row| all.template(row)).collect::<Result<_>>()?;
    let probes: Vec<Probe> =
        templates.iter().map(|template| Probe { template, model, filter: Filter::default() }).collect();
    let (hits, search) = gallery::search_with(target, &probes, Want::Above(floor), search, progress)?;
    let pair = |hit: &Hit| (asked[hit.probe as usize], hit.row, hit.similarity);
    let pairs = hits.iter().map(pair).filter(|(a, b, _)| a != b);
    let searched = Searched { gallery_size: size, compared, floor };
    let pass = Pass::gather(all, pairs, impostors, searched, search)?;
    let judged = pass.judge(policy);
    Ok(Found { enrolments: pass.enrolments, judged, search: pass.search })
}

/// One pass over a gallery before it is judged: what different people's scores are, and every pair above the floor.
#[derive(Debug)]
pub struct Pass {
    /// Memberships that are in a candidate pair.
    pub enrolments: Vec<Enrolment>,
    /// How it was done.
    pub search: SearchReport,
    candidates: Vec<Candidate>,
    impostors: Impostors,
    searched: Searched,
    templates: Vec<Template>,
}

impl Pass {
    /// Compares every member with every other.
    ///
    /// # Errors
    /// As [`all_pairs`].
    pub fn of(
        gallery: &Gallery,
        policy: &MatchingPolicy,
        search: &SearchPolicy,
        progress: Progress<'_>,
    ) -> Result<Pass> {
        let Some((model, _)) = gallery.models().first().copied() else {
            return Err(Error::usage("--store", "the store holds no members", "audit a dump into it first"));
        };
        let impostors = Impostors::new(model, &impostor_scores(gallery)?);
        let size = gallery.live() as u64;
        let floor = candidate_floor(&impostors, size, policy);
        let impostors = with_upper(impostors, (gallery, model), (pairs_of(size), floor), progress)?;
        let (hits, search) = gallery::all_pairs(gallery, floor, search, progress)?;
        let searched = Searched { gallery_size: size, compared: pairs_of(size), floor };
        let pairs = hits.iter().map(|hit| (hit.first, hit.second, hit.similarity));
        Pass::gather(gallery, pairs, impostors, searched, search)
    }

    /// Looks up the two sides of every pair found.
    fn gather(
        gallery: &Gallery,
        pairs: impl Iterator<Item = (u32, u32, f32)>,
        impostors: Impostors,
        searched: Searched,
        search: SearchReport,
    ) -> Result<Pass> {
        let mut place: HashMap<u32, usize> = HashMap::new();
        let (mut enrolments, mut rows) = (Vec::new(), Vec::new());
        let mut enrol = |row: u32| {
            *place.entry(row).or_insert_with(|| {
                enrolments.extend(gallery.row(row).as_ref().map(enrolment));
                rows.push(row);
                rows.len() - 1
            })
        };
        let candidates: Vec<Candidate> =
            pairs.map(|(a, b, similarity)| Candidate { a: enrol(a), b: enrol(b), similarity }).collect();
        let templates: Vec<Template> = rows.iter().map(|&row| gallery.template(row)).collect::<Result<_>>()?;
        Ok(Pass { enrolments, search, candidates, impostors, searched, templates })
    }

    /// Judges the candidates: pairs, clusters, statistics. The policy may be another than the one searched with, as
    /// long as its limits are no wider.
    pub fn judge(&self, policy: &MatchingPolicy) -> Judged {
        let score = |a: usize, b: usize| similarity(&self.templates[a], &self.templates[b]);
        let case = Case {
            enrolments: &self.enrolments,
            candidates: &self.candidates,
            impostors: &self.impostors,
            searched: self.searched,
        };
        judge(&case, policy, &score)
    }
}

/// Members of different districts and workers, drawn evenly over the store.
pub(crate) fn impostor_scores(gallery: &Gallery) -> Result<Vec<ImpostorScore>> {
    let step = gallery.live().div_ceil(SAMPLE).max(1);
    let rows: Vec<(u32, Row)> = gallery.iter().step_by(step).collect();
    let templates: Vec<Template> = rows.iter().map(|(row, _)| gallery.template(*row)).collect::<Result<_>>()?;
    let mut scores = Vec::new();
    for (place, (a, one)) in rows.iter().enumerate() {
        for (other_place, (b, other)) in rows.iter().enumerate().skip(place + 1) {
            if upper::differ(one, other) {
                let similarity = similarity(&templates[place], &templates[other_place]);
                let stratum = quality_stratum(one.quality, other.quality);
                scores.push(ImpostorScore { a: (*a).into(), b: (*b).into(), similarity, stratum });
            }
        }
    }
    Ok(scores)
}

/// A stored row as matching sees it.
pub(crate) fn enrolment(stored: &Row) -> Enrolment {
    let text = |value: Option<&str>| value.map(str::to_owned);
    Enrolment {
        submission_id: stored.submission_id.to_owned(),
        worker_id: stored.worker_id.to_owned(),
        district: stored.district.to_owned(),
        captured_at: stored.captured_at,
        mobile: text(stored.mobile),
        epic: text(stored.epic),
        member_name: text(stored.member_name),
        picture: Some(stored.selfie_dhash),
        group: quality_group(stored.quality),
        ..Enrolment::default()
    }
}
