//! What a drive is told in: submissions, accounts, and who is in which picture, all as indices.

use std::ops::Range;

use super::plan::Pattern;

/// One picture of one person, as indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// Index of the person.
    pub person: u32,
    /// Index among that person's pictures.
    pub portrait: u32,
}

/// One submission.
#[derive(Debug, Clone)]
pub struct Row {
    /// What the row is, whatever else is in the dump.
    pub slot: u32,
    /// Night, from 0.
    pub night: u32,
    /// Microseconds since 1970 (UTC).
    pub at: i64,
    /// Index of the account.
    pub worker: u32,
    /// What is planted.
    pub pattern: Pattern,
    /// The member.
    pub member: Option<Pick>,
    /// Who stands in the worker's place.
    pub front: Option<Pick>,
    /// Bystanders, or the rest of a group.
    pub others: Vec<Pick>,
    /// The uploaded photo.
    pub photo: Option<Pick>,
    /// Index of the earlier row that this one repeats in its pattern's way.
    pub of: Option<usize>,
}

/// A field worker's account.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Index of the rightful person.
    pub person: u32,
    /// Index of the district.
    pub district: u32,
    /// Whose face takes over, if the account is passed on.
    pub successor: Option<u32>,
    /// Index of the person who helps in every picture.
    pub helper: Option<u32>,
    /// Whether `workers.parquet` has a photo.
    pub enrolled: bool,
    /// The worker's slots.
    pub slots: Range<u32>,
}
