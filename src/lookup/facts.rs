//! What a row filter can ask of a row: of a store or an export, of a dump, of a dump with a run's verdicts.

use super::moment::iso;
use super::predicate::{Cell, Column, Facts, Kind};
use super::run_folder::Verdict;
use crate::dump::RowFacts;
use crate::dump::facts::{Epic, Mobile};
use crate::gallery::Row;

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

/// Columns of a store and of an export.
pub const STORED: &[Column] = &[
    column("submission_id", Kind::Text),
    column("worker_id", Kind::Text),
    column("district", Kind::Text),
    column("captured_at", Kind::Moment),
    column("mobile", Kind::Text),
    column("epic", Kind::Text),
    column("member_name", Kind::Text),
    column("quality", Kind::Number),
];

/// Columns of a dump, as far as it has them.
pub const SUBMITTED: &[Column] = &[
    column("submission_id", Kind::Text),
    column("worker_id", Kind::Text),
    column("district", Kind::Text),
    column("captured_at", Kind::Moment),
    column("division", Kind::Text),
    column("sector", Kind::Text),
    column("mandalam", Kind::Text),
    column("booth_id", Kind::Text),
    column("mobile", Kind::Text),
    column("epic", Kind::Text),
    column("member_name", Kind::Text),
    column("consent", Kind::Flag),
    column("latitude", Kind::Number),
    column("longitude", Kind::Number),
    column("accuracy_m", Kind::Number),
    column("device_id", Kind::Text),
    column("app_version", Kind::Text),
    column("uploaded_at", Kind::Moment),
    column("network", Kind::Text),
];

/// Columns that a run's verdict table adds. `reasons` are joined by commas.
pub const JUDGED: &[Column] = &[
    column("verdict", Kind::Text),
    column("reasons", Kind::Text),
    column("duplicate_of", Kind::Text),
    column("cluster_id", Kind::Text),
    column("cross_district", Kind::Flag),
    column("similarity", Kind::Number),
    column("expected_false_matches", Kind::Number),
    column("member_liveness", Kind::Number),
    column("worker_liveness", Kind::Number),
    column("photo_similarity", Kind::Number),
    column("quality", Kind::Number),
];

fn moment(microseconds: Option<i64>) -> Cell<'static> {
    microseconds.and_then(iso).map_or(Cell::Null, Cell::Made)
}

impl Facts for Row<'_> {
    fn cell(&self, column: &str) -> Cell<'_> {
        match column {
            "submission_id" => Cell::Text(self.submission_id),
            "worker_id" => Cell::Text(self.worker_id),
            "district" => Cell::Text(self.district),
            "captured_at" => moment(Some(self.captured_at)),
            "mobile" => Cell::text(self.mobile),
            "epic" => Cell::text(self.epic),
            "member_name" => Cell::text(self.member_name),
            "quality" => Cell::Number(self.quality.into()),
            _ => Cell::Null,
        }
    }
}

/// A stored row with the verdict of the run that added it.
#[derive(Debug)]
pub struct Stored<'a>(pub Row<'a>, pub Option<&'a Verdict>);

impl Facts for Stored<'_> {
    fn cell(&self, column: &str) -> Cell<'_> {
        match self.0.cell(column) {
            Cell::Null => self.1.map_or(Cell::Null, |verdict| verdict.cell(column)),
            known => known,
        }
    }
}

/// A row of a dump, with a run's verdict on it where there is one.
#[derive(Debug)]
pub struct Submitted<'a>(pub &'a RowFacts, pub Option<&'a Verdict>);

impl Facts for Submitted<'_> {
    fn cell(&self, column: &str) -> Cell<'_> {
        let facts = self.0;
        match column {
            "submission_id" => Cell::text(facts.submission_id.as_deref()),
            "worker_id" => Cell::text(facts.worker_id.as_deref()),
            "district" => Cell::text(facts.district.as_deref()),
            "captured_at" => moment(facts.captured_at),
            "division" => Cell::text(facts.division.as_deref()),
            "sector" => Cell::text(facts.sector.as_deref()),
            "mandalam" => Cell::text(facts.mandalam.as_deref()),
            "booth_id" => Cell::text(facts.booth_id.as_deref()),
            // In normal form where they have one, so that `+91 98260 12345` is found as 9826012345.
            "mobile" => facts.mobile.as_deref().map_or(Cell::Null, |typed| {
                Mobile::parse(typed).map_or(Cell::Text(typed), |number| Cell::Made(number.as_str().to_owned()))
            }),
            "epic" => facts.epic.as_deref().map_or(Cell::Null, |typed| {
                Epic::parse(typed).map_or(Cell::Text(typed), |number| Cell::Made(number.as_str().to_owned()))
            }),
            "member_name" => Cell::text(facts.member_name.as_deref()),
            "consent" => facts.consent.map_or(Cell::Null, Cell::Flag),
            "latitude" => facts.place.map_or(Cell::Null, |place| Cell::Number(place.latitude)),
            "longitude" => facts.place.map_or(Cell::Null, |place| Cell::Number(place.longitude)),
            "accuracy_m" => {
                facts.place.and_then(|place| place.accuracy_m).map_or(Cell::Null, |metres| Cell::Number(metres.into()))
            }
            "device_id" => Cell::text(facts.device_id.as_deref()),
            "app_version" => Cell::text(facts.app_version.as_deref()),
            "uploaded_at" => moment(facts.uploaded_at),
            "network" => Cell::text(facts.network.as_deref()),
            _ => self.1.map_or(Cell::Null, |verdict| verdict.cell(column)),
        }
    }
}

impl Facts for Verdict {
    fn cell(&self, column: &str) -> Cell<'_> {
        match column {
            "verdict" => Cell::Text(&self.verdict),
            "reasons" => Cell::Text(&self.reasons),
            "duplicate_of" => Cell::text(self.duplicate_of.as_deref()),
            "cluster_id" => Cell::text(self.cluster_id.as_deref()),
            "cross_district" => self.cross_district.map_or(Cell::Null, Cell::Flag),
            "similarity" => Cell::number(self.similarity),
            "expected_false_matches" => Cell::number(self.expected_false_matches),
            "member_liveness" => Cell::number(self.member_liveness),
            "worker_liveness" => Cell::number(self.worker_liveness),
            "photo_similarity" => Cell::number(self.photo_similarity),
            "quality" => Cell::number(self.quality),
            _ => Cell::Null,
        }
    }
}
