//! The pairs of an ad hoc comparison, as rows for tables, CSV and JSON.

use serde::Serialize;

use super::moment::iso;
use super::text::{day, table};
use crate::matching::Grade;
use crate::pairs::Found;

/// One pair; the columns are those of `pairs.parquet`, times as ISO 8601 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct PairRow<'a> {
    pub submission_a: &'a str,
    pub submission_b: &'a str,
    pub similarity: f32,
    pub expected_false_matches: f64,
    pub expected_false_matches_upper: f64,
    pub local_fdr: f64,
    pub probability_false: f64,
    pub grade: Option<&'static str>,
    pub evidence: String,
    pub worker_a: &'a str,
    pub worker_b: &'a str,
    pub district_a: &'a str,
    pub district_b: &'a str,
    pub captured_at_a: Option<String>,
    pub captured_at_b: Option<String>,
    pub cross_district: bool,
}

impl PairRow<'_> {
    /// Names of the columns, for a CSV file without rows.
    pub const NAMES: [&'static str; 16] = [
        "submission_a",
        "submission_b",
        "similarity",
        "expected_false_matches",
        "expected_false_matches_upper",
        "local_fdr",
        "probability_false",
        "grade",
        "evidence",
        "worker_a",
        "worker_b",
        "district_a",
        "district_b",
        "captured_at_a",
        "captured_at_b",
        "cross_district",
    ];
}

/// One person.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[allow(missing_docs)]
pub struct PersonRow<'a> {
    pub cluster_id: &'a str,
    pub submissions: Vec<&'a str>,
    pub districts: &'a [String],
    pub workers: &'a [String],
    pub cross_district: bool,
    pub weakest_similarity: f32,
}

/// The flagged pairs, most similar first; the older membership of each is `a`.
pub fn pair_rows(found: &Found) -> Vec<PairRow<'_>> {
    let age = |index: usize| found.enrolments[index].age();
    let row = |pair: &crate::matching::Pair| {
        let (first, second) = if age(pair.a) <= age(pair.b) { (pair.a, pair.b) } else { (pair.b, pair.a) };
        let (a, b) = (&found.enrolments[first], &found.enrolments[second]);
        PairRow {
            submission_a: &a.submission_id,
            submission_b: &b.submission_id,
            similarity: pair.similarity,
            expected_false_matches: pair.expected_false_matches,
            expected_false_matches_upper: pair.expected_false_matches_upper,
            local_fdr: pair.local_fdr,
            probability_false: pair.probability_false,
            grade: pair.grade().map(Grade::code),
            evidence: pair.parts.text(),
            worker_a: &a.worker_id,
            worker_b: &b.worker_id,
            district_a: &a.district,
            district_b: &b.district,
            captured_at_a: iso(a.captured_at),
            captured_at_b: iso(b.captured_at),
            cross_district: a.is_elsewhere_than(b),
        }
    };
    found.judged.pairs.iter().map(row).collect()
}

/// The persons with two or more memberships.
pub fn persons(found: &Found) -> Vec<PersonRow<'_>> {
    let id = |&member: &usize| found.enrolments[member].submission_id.as_str();
    let clusters = found.judged.clusters.iter();
    clusters
        .map(|cluster| PersonRow {
            cluster_id: &cluster.id,
            submissions: cluster.members.iter().map(id).collect(),
            districts: &cluster.districts,
            workers: &cluster.workers,
            cross_district: cluster.cross_district(),
            weakest_similarity: cluster.weakest,
        })
        .collect()
}

/// The first of them as a table for people.
pub fn listed(found: &Found, most: usize) -> String {
    let rows: Vec<Vec<String>> = pair_rows(found)
        .iter()
        .take(most)
        .zip(&found.judged.pairs)
        .map(|(row, pair)| {
            let times = [pair.a, pair.b].map(|side| found.enrolments[side].captured_at);
            let [first, last] = [times[0].min(times[1]), times[0].max(times[1])];
            vec![
                pair.grade().map_or("-", Grade::words).to_owned(),
                row.submission_a.to_owned(),
                row.district_a.to_owned(),
                row.worker_a.to_owned(),
                day(first),
                row.submission_b.to_owned(),
                row.district_b.to_owned(),
                row.worker_b.to_owned(),
                day(last),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let header = ["how sure", "first", "district", "worker", "day", "again", "district", "worker", "day"];
    table(&header, &rows)
}
