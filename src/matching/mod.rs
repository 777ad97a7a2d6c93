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
mod doubt;
mod enrolment;
pub mod evidence;
pub mod fdr;
pub mod grade;
pub mod impostor;
mod judge;
pub mod ladder;
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
mod time_order;

use crate::decisions::Answer;

pub use clusters::{Cluster, clusters, clusters_with};
pub use decided::{Decided, decision_code};
pub use doubt::pair_error;
pub use enrolment::{Enrolment, UNKNOWN_TIME};
pub use evidence::{Field, Parts};
pub use grade::Grade;
pub use impostor::{Basis, ImpostorModel, ImpostorReport, ImpostorScore, UPPER_SHARE, Upper};
pub use judge::{Case, Judged, MatchingStatistics, Searched, candidate_floor, judge, judge_with, pairs_of};
pub use limit::{EnrolledBy, NearPairs, Reach, ReachReport};
pub use rate::FalseMatchRate;
pub use review::{ReviewQueue, ReviewRow, Worth, review_queue};
pub use strata::{Impostors, stratum};
pub use time_order::TimeOrder;

/// Two memberships that a search of the gallery found alike. Indexes into the list of enrolments, in any order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Place of the first membership among the enrolments.
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
    /// Place of the first membership among the enrolments.
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
