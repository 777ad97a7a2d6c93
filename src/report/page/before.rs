//! Pictures of earlier nights: a member found again tonight stands beside the face of last month.
//!
//! The run folder of that night says in which row the member is, and where its dump lay. Where the folder is at hand and
//! the dump still lies there with its sizes, the picture is cut from it; else its place stays empty. Nothing here costs
//! the page.

use std::collections::HashMap;
use std::path::PathBuf;

use arrow::datatypes::Int64Type;

use super::gathered::{Source, photo_limits};
use super::night::faces_of;
use super::persons::Persons;
use super::pictures::{self, Cut, Told, Wanted};
use crate::dump::Dump;
use crate::report::run::Run;
use crate::report::table::{read, value};
use crate::{Error, Result};

/// A membership, by person and place.
type Place = (usize, usize);

/// What earlier nights tell of the memberships of the first `crops` persons that are not of tonight.
pub(super) fn tell(earlier: &[Run], source: &Source, persons: &Persons, crops: usize) -> Vec<(Place, Told)> {
    let mut open: HashMap<&str, Vec<Place>> = HashMap::new();
    for (at, person) in persons.listed.iter().take(crops).enumerate() {
        for (place, membership) in person.members.iter().enumerate().filter(|(_, m)| m.tonight.is_none()) {
            open.entry(&membership.submission).or_default().push((at, place));
        }
    }
    let mut told = Vec::new();
    for run in earlier.iter().rev() {
        if open.is_empty() {
            break;
        }
        match of_night(run, source, &open) {
            Ok(found) => {
                for (id, rows) in found {
                    for place in open.remove(id.as_str()).unwrap_or_default() {
                        let person = &persons.listed[place.0].id;
                        // Persons keep their id from night to night; it tells rows of one submission_id apart.
                        let own = rows.iter().find(|(cluster, _)| cluster.as_ref() == Some(person));
                        let one = own.or(rows.first().filter(|_| rows.len() == 1));
                        told.extend(one.map(|(_, one)| (place, one.clone())));
                    }
                }
            }
            Err(error) => log::info!("no pictures of {}: {error}", run.name),
        }
    }
    told
}

/// By submission_id, the rows of a night: their persons, and what they tell.
type Rows = HashMap<String, Vec<(Option<String>, Told)>>;

/// The pictures of one night.
fn of_night(run: &Run, source: &Source, open: &HashMap<&str, Vec<Place>>) -> Result<Rows> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut clusters: Vec<Option<String>> = Vec::new();
    read(&run.path.join("verdicts.parquet"), &["submission_id", "cluster_id", "faces", "row"], |batch| {
        let (ids, faces, rows) =
            (batch.texts("submission_id")?, batch.raw_lists("faces")?, batch.numbers::<Int64Type>("row")?);
        let persons = batch.texts("cluster_id")?;
        for at in 0..batch.rows() {
            let Some(id) = ids.get(at).filter(|id| open.contains_key(id)) else { continue };
            let face = faces_of(&faces.value(at)).into_iter().find(|f| f.role == "member");
            clusters.push(persons.get(at).map(str::to_owned));
            wanted.push(Wanted {
                row: value(rows, at).unwrap_or_default() as u64,
                submission: Some(id.to_owned()),
                cut: face.map_or(Cut::Whole, |f| Cut::Face(f.bbox)),
            });
        }
        Ok(())
    })?;
    if wanted.is_empty() {
        return Ok(Rows::new());
    }
    let files = &run.record.inputs;
    if let Some(gone) = files.iter().find(|f| f.path.metadata().ok().is_none_or(|m| m.len() != f.size)) {
        let found = "no such file, or one of another size";
        return Err(Error::input(&gone.path, "dump", format!("{} bytes, as audited", gone.size), found, "put it back"));
    }
    let paths: Vec<PathBuf> = files.iter().map(|f| f.path.clone()).collect();
    let told = pictures::cut(&Dump::open(&paths, source.columns)?, &wanted, &photo_limits(run))?;
    let mut rows = Rows::new();
    for ((one, cluster), told) in wanted.into_iter().zip(clusters).zip(told) {
        rows.entry(one.submission.unwrap_or_default()).or_default().push((cluster, told));
    }
    Ok(rows)
}
