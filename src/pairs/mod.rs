//! Who is enrolled twice: the one way from templates to pairs, which the audit, `dedup`, look-ups and measurements take.
//!
//! ```text
//! members -> scores of people known to differ -> curve -> floor -> larger sample -> search -> candidates -> judged
//!            strangers                           matching          upper_sample    gallery   members       matching
//! ```
//! A curve is fitted on people who are known to differ, and says how low the search must reach (the floor). The search
//! finds every compared pair above it. [`crate::matching`] says what each of them means. Whoever compares members states
//! who is compared with whom ([`Members`]) and calls [`find`]; nothing else here differs between a night, a store and a
//! part of it.

mod kept;
mod members;
mod select;
mod strangers;
mod upper_sample;

use std::collections::HashMap;

use crate::Result;
use crate::config::policy::MatchingPolicy;
use crate::decisions::Decisions;
use crate::gallery::search::Progress;
use crate::gallery::{self, SearchReport, Searcher};
use crate::infer::Template;
use crate::infer::template::similarity;
use crate::matching::{
    Candidate, Case, Decided, Enrolment, ImpostorScore, Impostors, Judged, Searched, candidate_floor, judge_with,
};

pub use kept::KeptCurve;
pub use members::{DumpRow, Members};
pub use select::select;
pub(crate) use strangers::{of_members, of_selfies};

/// The pairs of some members, judged.
#[derive(Debug)]
pub struct Found {
    /// Memberships: those named beforehand ([`Members::tonight`]), then those that are in a candidate pair.
    pub enrolments: Vec<Enrolment>,
    /// Pairs, clusters, statistics.
    pub judged: Judged,
    /// How they were searched.
    pub search: SearchReport,
    /// What people decided about pairs of the enrolments.
    pub decided: Decided,
}

/// Finds every pair that the policy wants reviewed. `known` are scores of people known to differ, beside those of the
/// members themselves; `progress` is told how many members have been compared with all others.
///
/// # Errors
/// [`crate::Error::Input`] when the store is damaged; what `progress` returns.
pub fn find(
    members: &Members,
    known: Vec<ImpostorScore>,
    decisions: &Decisions,
    policy: &MatchingPolicy,
    searcher: &Searcher,
    progress: Progress<'_>,
) -> Result<Found> {
    let candidates = Candidates::search(members, known, policy, searcher, progress)?;
    let decided = Decided::among(&candidates.enrolments, decisions);
    let judged = candidates.judge(&decided, policy);
    let Candidates { enrolments, search, .. } = candidates;
    Ok(Found { enrolments, judged, search, decided })
}

/// Every compared pair above the floor, before it is judged; with how similar different people are.
#[derive(Debug)]
pub struct Candidates {
    /// As [`Found::enrolments`].
    pub enrolments: Vec<Enrolment>,
    /// How they were searched.
    pub search: SearchReport,
    pairs: Vec<Candidate>,
    impostors: Impostors,
    searched: Searched,
    /// Of the enrolments that are in a pair.
    templates: Vec<Option<Template>>,
}

impl Candidates {
    /// Fits the curve, unless the members come with one, and compares the members down to where it says.
    ///
    /// # Errors
    /// As [`find`].
    pub fn search(
        members: &Members,
        mut known: Vec<ImpostorScore>,
        policy: &MatchingPolicy,
        searcher: &Searcher,
        progress: Progress<'_>,
    ) -> Result<Candidates> {
        let live = members.all().live() as u64;
        let (impostors, gallery_size) = match members.kept_curve() {
            Some(kept) => (kept.impostors(members.model()), live.max(kept.gallery_size)),
            None => {
                known.extend(of_members(members.sampled())?);
                (Impostors::new(members.model(), &known), live)
            }
        };
        let floor = candidate_floor(&impostors, gallery_size, policy);
        let (compared, near) = (members.compared_pairs(), Some(members.near_pairs()));
        let searched = Searched { gallery_size, compared, floor, near };
        let impostors = upper_sample::with_upper(impostors, members.all(), searched, searcher, progress)?;
        let (pairs, search) = members.search(floor, impostors.thinning(), searcher, progress)?;
        Candidates { enrolments: Vec::new(), search, pairs: Vec::new(), impostors, searched, templates: Vec::new() }
            .enrol(members, &pairs)
    }

    /// Looks up the two sides of every pair.
    fn enrol(mut self, members: &Members, pairs: &[gallery::Pair]) -> Result<Candidates> {
        self.enrolments = members.named().to_vec();
        self.templates = vec![None; self.enrolments.len()];
        let mut places: HashMap<u32, usize> = members.named_rows().zip(0..).collect();
        let mut place = |row: u32| -> Result<usize> {
            let place = match places.get(&row) {
                Some(&place) => place,
                None => {
                    self.enrolments.push(members.enrolment(row)?);
                    self.templates.push(None);
                    places.insert(row, self.enrolments.len() - 1);
                    self.enrolments.len() - 1
                }
            };
            if self.templates[place].is_none() {
                self.templates[place] = Some(members.all().template(row)?);
            }
            Ok(place)
        };
        for pair in pairs {
            let (a, b) = (place(pair.first)?, place(pair.second)?);
            self.pairs.push(Candidate { a, b, similarity: pair.similarity });
        }
        Ok(self)
    }

    /// Judges them: pairs, clusters, statistics. The policy may be another than the one searched with, as long as its
    /// limits are no wider.
    pub fn judge(&self, decided: &Decided, policy: &MatchingPolicy) -> Judged {
        let score = |a: usize, b: usize| match (&self.templates[a], &self.templates[b]) {
            (Some(one), Some(other)) => similarity(one, other),
            // Who is in no pair is like nobody.
            _ => -1.0,
        };
        let (enrolments, candidates, impostors) = (&self.enrolments, &self.pairs, &self.impostors);
        let case = Case { enrolments, candidates, impostors, searched: self.searched };
        judge_with(&case, decided, policy, &score)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::infer::ModelId;

    /// Enrolments of which these are alike, judged.
    pub(crate) fn judged(enrolments: Vec<Enrolment>, alike: &[(usize, usize)]) -> Found {
        let impostors = Impostors::new(&ModelId("sface".into()), &[]);
        let pairs: Vec<Candidate> = alike.iter().map(|&(a, b)| Candidate { a, b, similarity: 0.9 }).collect();
        let size = enrolments.len() as u64;
        let searched =
            Searched { gallery_size: size, compared: crate::matching::pairs_of(size), floor: 0.35, near: None };
        let case = Case { enrolments: &enrolments, candidates: &pairs, impostors: &impostors, searched };
        let decided = Decided::default();
        let score = |a: usize, b: usize| if alike.contains(&(a.min(b), a.max(b))) { 0.9 } else { 0.0 };
        let judged = judge_with(&case, &decided, &MatchingPolicy::default(), &score);
        let search = gallery::search(&gallery::Gallery::empty(), &[], gallery::Want::Above(0.35), Searcher::default());
        Found { enrolments, judged, search: search.unwrap().1, decided }
    }
}
