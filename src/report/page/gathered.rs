//! All that a page is made of, and where it comes from.

use jiff::tz::TimeZone;

use super::called::Called;
use super::drive::{Drive, OwnTables};
use super::night::Night;
use super::peers::PeerTable;
use super::persons::Persons;
use super::pictures::Told;
use crate::assurance::record::Assurance;
use crate::config::Columns;
use crate::config::policy::PhotoLimits;
use crate::dump::Dump;
use crate::report::run::Run;

/// Where pictures come from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The dump of the run.
    pub dump: &'a Dump,
    /// What its columns, and those of earlier dumps, are called.
    pub columns: &'a Columns,
}

/// All that a page is made of.
pub(super) struct Gathered {
    pub(super) run: Run,
    pub(super) earlier: Vec<Run>,
    pub(super) persons: Persons,
    pub(super) night: Night,
    pub(super) peers: PeerTable,
    pub(super) called: Vec<Called>,
    pub(super) pictures: Option<Pictures>,
    pub(super) assurance: Option<Assurance>,
    pub(super) drive: Drive,
    pub(super) own: OwnTables,
    /// The part of the drive that the page is about; `None` for all of it.
    pub(super) part: Option<String>,
    /// In which times are shown.
    pub(super) zone: TimeZone,
}

/// What the dump told, in the order of what is listed.
#[derive(Default)]
pub(super) struct Pictures {
    /// By person, then membership.
    pub(super) members: Vec<Vec<Option<Told>>>,
    /// By photo of a photo.
    pub(super) spoofs: Vec<Told>,
}

/// The limits under which a run decoded its pictures.
pub(super) fn photo_limits(run: &Run) -> PhotoLimits {
    let limits = run.record.policy.get("photo").cloned();
    limits.and_then(|limits| serde_json::from_value(limits).ok()).unwrap_or_default()
}
