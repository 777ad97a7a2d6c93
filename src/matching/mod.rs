//! Candidates -> pairs -> clusters: which members are the same person, and how sure that is.
//!
//! A cosine says nothing on its own: among five million members there are 1.25e13 pairs, and what is rare among a
//! thousand is common there. So every pair is stated as how many pairs at least as similar the whole gallery would hold
//! by chance. The way of a score:
//!
//! 1. [`impostor`]: how similar different people are, fitted on the run's own scores; [`prior`] where they are too few.
//! 2. [`candidate_floor`]: from that, how low a search of the gallery must reach.
//! 3. [`judge`]: candidates -> pairs with [`Pair::expected_false_matches`], the limit for review ([`limit`]), the local error
//!    ([`fdr`]) and its [`grade`], the evidence of the record ([`evidence`]), clusters, statistics.
//! 4. [`review_queue`]: what is flagged in the order in which it is worth a person's time.
//!
//! Pure functions of their arguments; neither order nor thread count changes a bit of the result. Searching is
//! [`crate::gallery`]'s, verdicts are [`crate::verdict`]'s.

mod clusters;
mod decided;
mod deviate;
pub mod evidence;
pub mod fdr;
pub mod grade;
pub mod impostor;
mod judge;
pub mod limit;
pub mod names;
mod null;
mod persons;
pub mod prior;
pub(crate) mod random;
pub mod rate;
pub mod reuse;
pub mod review;
mod scoring;
pub mod strata;

use crate::decisions::Answer;
use crate::infer::ModelId;

pub use clusters::{Cluster, clusters, clusters_with};
pub use decided::{Decided, decision_code};
pub use evidence::{Field, Parts};
pub use grade::Grade;
pub use impostor::{Basis, ImpostorModel, ImpostorReport, ImpostorScore, UPPER_SHARE, Upper};
pub use judge::{Case, Judged, MatchingStatistics, Searched, candidate_floor, judge, judge_with, pairs_of};
pub use limit::{EnrolledBy, NearPairs, Reach, ReachReport};
pub use rate::FalseMatchRate;
pub use review::{ReviewQueue, ReviewRow, Worth, review_queue};

/// The time of a membership of which none is known, or none that can be: it comes after all others.
pub const UNKNOWN_TIME: i64 = i64::MAX;

/// One membership as matching sees it: from tonight's dump or an earlier night.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Enrolment {
    /// Unique id of the submission.
    pub submission_id: String,
    /// Who enrolled the member.
    pub worker_id: String,
    /// Where.
    pub district: String,
    /// When, microseconds since 1970-01-01T00:00:00Z; [`UNKNOWN_TIME`] where that is not known.
    pub captured_at: i64,
    /// Row of tonight's dump, or `None` for an earlier night.
    pub row: Option<u64>,
    /// Polling booth.
    pub booth_id: Option<String>,
    /// Mobile number as typed.
    pub mobile: Option<String>,
    /// Voter-ID (EPIC) number as typed.
    pub epic: Option<String>,
    /// Member's name as typed, Latin or Devanagari.
    pub member_name: Option<String>,
    /// Hash of the picture's content; equal hashes are one picture.
    pub picture: Option<u64>,
    /// Group of members whose scores differ from others' (a band of quality, an age group); 0 where none is told apart.
    pub group: u8,
}

/// Two memberships that a search of the gallery found alike. Indexes into the list of enrolments, in any order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The one.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// Cosine of the two masters, -1..=1.
    pub similarity: f32,
}

/// Why a pair is flagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grounds {
    /// The faces alone are alike enough.
    #[default]
    Face,
    /// The faces are nearly alike enough, and the records agree.
    FaceAndRecord,
    /// People decided that it is one person; neither would flag it any more.
    Decision,
}

/// Two memberships that look like one person. `a < b`, indexes into the list of enrolments.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pair {
    /// The one.
    pub a: usize,
    /// The other.
    pub b: usize,
    /// Cosine of the two masters, -1..=1.
    pub similarity: f32,
    /// How many pairs at least this similar the whole gallery would hold by chance, from the face alone: the
    /// false-match rate times `size (size - 1) / 2`, also when only a part of these pairs was compared tonight, so that
    /// the number means the same every night. Chance excludes kin: identical twins are about 3.5 of 1,000 births, and no
    /// face tells them apart.
    pub expected_false_matches: f64,
    /// Upper bound of it, one-sided 95 %.
    pub expected_false_matches_upper: f64,
    /// Local false discovery rate: the probability that the two are different people, from the face alone.
    pub local_fdr: f64,
    /// The same with the evidence of the record.
    pub probability_false: f64,
    /// The evidence in log10 units.
    pub parts: Parts,
    /// Why it is flagged.
    pub grounds: Grounds,
    /// What people decided about it.
    pub decision: Option<Answer>,
}

/// How similar different people are, pooled and by stratum.
#[derive(Debug, Clone, PartialEq)]
pub struct Impostors {
    prior: prior::Prior,
    /// Pairs at least this similar are beyond doubt one person.
    sure: f32,
    pooled: ImpostorModel,
    strata: Vec<strata::Stratum>,
    upper: Option<Upper>,
}

impl Impostors {
    /// Fits the scores of pairs known to differ; with too few of them, or where no curve describes them, the curve shipped for
    /// the network stands in. Of memberships that are beyond doubt one person one votes.
    /// A stratum with too few scores of its own, or that does not differ, uses the pooled curve.
    pub fn new(model: &ModelId, scores: &[ImpostorScore]) -> Self {
        let prior = prior::of(model);
        let sure = persons::sure_similarity(&prior.rate());
        let persons = persons::Persons::of(scores.iter().map(|s| (s.a, s.b, s.similarity)), sure);
        let finite = scores.iter().filter(|s| s.similarity.is_finite());
        let kept: Vec<ImpostorScore> = finite.filter(|s| persons.vote(s.a, s.b)).copied().collect();
        let removed = scores.len() - kept.len();
        let pooled = ImpostorModel::fit(&kept, removed, &prior).unwrap_or_else(|| prior.model(kept.len()));
        let mut names: Vec<u16> = kept.iter().map(|s| s.stratum).collect();
        names.sort_unstable();
        names.dedup();
        let fit = |&name: &u16| {
            let own: Vec<ImpostorScore> = kept.iter().filter(|s| s.stratum == name).copied().collect();
            strata::Stratum::new(name, own.len(), ImpostorModel::fit(&own, 0, &prior), &pooled)
        };
        let strata = if names.len() > 1 { names.iter().map(fit).collect() } else { Vec::new() };
        Impostors { prior, sure, pooled, strata, upper: None }
    }

    /// The layer of the sample's top: of all pairs, or of a stratum that has this share of them.
    fn upper_layer(&self, stratum: Option<(u16, f64)>) -> Option<null::Layer> {
        self.upper.as_ref().map(|upper| upper.layer(self.sure, stratum))
    }

    /// The curves that an earlier run was judged with: the pooled one, and those of strata that have their own.
    pub fn kept(model: &ModelId, pooled: ImpostorModel, strata: impl Iterator<Item = (u16, ImpostorModel)>) -> Self {
        let strata = strata.map(|(name, model)| strata::Stratum::kept(name, model)).collect();
        let prior = prior::of(model);
        Impostors { sure: persons::sure_similarity(&prior.rate()), prior, pooled, strata, upper: None }
    }

    /// With the top of a larger sample of pairs known to differ: it tells the far end of the curve where a search finds more
    /// mates than strangers.
    pub fn with_upper(self, upper: Upper) -> Self {
        Impostors { upper: Some(upper), ..self }
    }

    /// That sample.
    pub fn upper(&self) -> Option<&Upper> {
        self.upper.as_ref()
    }

    /// The pooled curve.
    pub fn pooled(&self) -> &ImpostorModel {
        &self.pooled
    }

    /// The curve of a stratum: its own where there is one, else the pooled one.
    pub fn of(&self, stratum: u16) -> &ImpostorModel {
        self.strata().find(|(name, _)| *name == stratum).map_or(&self.pooled, |(_, model)| model)
    }
}

/// The stratum of a pair of two groups, the same either way round.
pub fn stratum(a: u8, b: u8) -> u16 {
    u16::from(a.min(b)) << 8 | u16::from(a.max(b))
}
