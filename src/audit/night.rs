//! A night, judged: what its tables say and what it leaves in the store.

use std::path::Path;

use super::replies::{self, ReplyCounts};
use super::reuse::ReuseCounts;
use crate::config::Policy;
use crate::dump::Carry;
use crate::gallery::{Member, NightPictures, StoredAnswer};
use crate::infer::{Analysis, Template};
use crate::matching::Pair;
use crate::matching::review::ReviewQueue;
use crate::pairs::Found;
use crate::presence::{RingRow, Sign, call_first, write_call_first, write_rings};
use crate::reason::Reason;
use crate::replies::Refused;
use crate::report::Summary;
use crate::roles::Roles;
use crate::verdict::peers::{Judged, UnitRow, compare};
use crate::verdict::{
    Everywhere, RowCounts, VerdictRow, VerdictWriter, suspects, write_clusters, write_pairs, write_review,
    write_suspects, write_workers_audit,
};
use crate::{Error, Result};

/// Rows per write: large enough for good row groups, small beside the analyses in memory.
const WRITE_ROWS: usize = 16_384;

/// A night, judged.
#[derive(Debug)]
pub struct Night {
    /// When the dump was first read, microseconds since 1970-01-01T00:00:00Z.
    pub read_at: i64,
    /// Who is worker and who member.
    pub roles: Roles,
    /// One verdict for each row of the dump.
    pub rows: Vec<VerdictRow>,
    /// Pairs and persons.
    pub matched: Found,
    /// Persons in the order in which they are worth a look.
    pub queue: ReviewQueue,
    /// Workers, booths and districts against their peers.
    pub peers: Vec<UnitRow>,
    /// Workers against their peers by place, time and phone.
    pub presence: Vec<UnitRow>,
    /// Workers tied to each other.
    pub rings: Vec<RingRow>,
    /// What came again.
    pub reuse: ReuseCounts,
    /// What members answered.
    pub replies: ReplyCounts,
    /// What the store keeps of the answers.
    pub answers: Vec<StoredAnswer>,
    /// Replies set aside.
    pub replies_refused: Vec<Refused>,
    /// Members of the store that tonight's were compared with.
    pub members_of_earlier_nights: usize,
    /// What people decided about rows.
    pub decided_rows: RowCounts,
    /// Members whom the store takes.
    pub enrolled: Vec<(Member, Template)>,
    /// What it keeps of their pictures.
    pub pictures: NightPictures,
}

impl Night {
    /// Writes its tables into a folder.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn write(&self, tables: &Path, carry: &mut Carry, everywhere: Everywhere) -> Result<()> {
        let fields = carry.schema().fields().iter().cloned().collect();
        let mut writer = VerdictWriter::create(&tables.join("verdicts.parquet"), fields, everywhere)?;
        for (chunk, first) in self.rows.chunks(WRITE_ROWS).zip((0u64..).step_by(WRITE_ROWS)) {
            writer.write(chunk, &carry.read(first, chunk.len())?)?;
        }
        writer.finish()?;
        let Found { enrolments, judged, .. } = &self.matched;
        let pairs: Vec<Pair> = judged.pairs.iter().chain(&judged.cleared).copied().collect();
        write_pairs(&tables.join("pairs.parquet"), enrolments, &pairs)?;
        write_clusters(&tables.join("clusters.parquet"), enrolments, &judged.clusters)?;
        write_review(&tables.join("review.parquet"), &self.queue.rows)?;
        replies::write_refused(tables, &self.replies_refused)?;
        let units = [self.peers.as_slice(), &self.presence].concat();
        write_workers_audit(&tables.join("workers_audit.parquet"), &units)?;
        write_rings(&tables.join("rings.parquet"), &self.rings)?;
        write_call_first(&tables.join("call_first.parquet"), &call_first(&self.presence))?;
        write_suspects(&tables.join("suspects.parquet"), &suspects::queue(&self.rows, &self.peers))
    }

    /// The totals. `expected` is how many rows the dump has.
    ///
    /// # Errors
    /// [`Error::Bug`] when a row has no verdict.
    pub fn summary(&self, expected: u64, notes: Vec<String>) -> Result<Summary> {
        let judged = &self.matched.judged;
        let mut summary = Summary {
            pairs: judged.pairs.len() as u64,
            clusters: judged.clusters.len() as u64,
            cross_district_clusters: judged.clusters.iter().filter(|c| c.cross_district()).count() as u64,
            notes,
            ..Summary::default()
        };
        summary.count(&self.rows);
        match summary.rows == expected {
            true => Ok(summary),
            false => Err(Error::bug("judging a night", format!("{} verdicts for {expected} rows", summary.rows))),
        }
    }
}

/// Workers, booths and districts against their peers. What replies tell is counted among those who were asked, tonight or
/// before, not among tonight's rows; place, time and phone have tests of their own ([`crate::presence`]).
pub fn peers(analyses: &[Analysis], rows: &[VerdictRow], of_replies: Vec<UnitRow>, policy: &Policy) -> Vec<UnitRow> {
    let judged: Vec<Judged> = analyses
        .iter()
        .zip(rows)
        .map(|(Analysis { facts, .. }, row)| Judged {
            worker_id: facts.worker_id.as_deref(),
            booth_id: facts.booth_id.as_deref(),
            district: facts.district.as_deref(),
            division: facts.division.as_deref(),
            verdict: row.verdict,
            reasons: &row.reasons,
        })
        .collect();
    let elsewhere: Vec<Reason> = replies::REASONS.into_iter().chain(Sign::ALL.map(Sign::reason)).collect();
    let is_of_rows = |row: &UnitRow| row.reason.is_none_or(|reason| !elsewhere.contains(&reason));
    let of_rows = compare(&judged, &policy.verdicts, &policy.peers);
    of_rows.into_iter().filter(is_of_rows).chain(of_replies).collect()
}
