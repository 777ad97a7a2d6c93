//! A part of the drive: one division or one district, and what a page says of it alone.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::dump::facts::folded;
use crate::report::Summary;
use crate::report::table::{read, reason, verdict};
use crate::{Error, Result};

/// Which rows a page is about; all of them where nothing is named.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Folded name of the only division.
    division: Option<String>,
    /// Folded name of the only district.
    district: Option<String>,
    /// Division of each district, by folded names.
    divisions: HashMap<String, String>,
}

impl Scope {
    /// The part of these names, with the divisions of districts.
    pub fn new(division: Option<&str>, district: Option<&str>, divisions: &HashMap<String, String>) -> Scope {
        let divisions = divisions.iter().map(|(district, division)| (district.clone(), folded(division))).collect();
        Scope { division: division.map(folded), district: district.map(folded), divisions }
    }

    /// Whether it is a part and not the whole.
    pub fn is_part(&self) -> bool {
        self.division.is_some() || self.district.is_some()
    }

    /// Whether a row of this district belongs to it.
    pub fn has(&self, district: Option<&str>) -> bool {
        let district = district.map(folded);
        let division = district.as_ref().and_then(|district| self.divisions.get(district));
        (self.district.is_none() || self.district == district)
            && (self.division.is_none() || self.division.as_ref() == division)
    }

    /// The counts of a run's rows in it; pairs are those of `pairs`.
    ///
    /// # Errors
    /// [`Error::Input`] for a verdict table that is missing or of another form.
    pub fn summary(&self, tables: &Path, pairs: u64) -> Result<Summary> {
        let mut summary = Summary { pairs, ..Summary::default() };
        let mut clusters: HashMap<String, HashSet<String>> = HashMap::new();
        let columns = ["district", "verdict", "reasons", "cluster_id"];
        read(&tables.join("verdicts.parquet"), &columns, |batch| {
            let (districts, verdicts) = (batch.texts("district")?, batch.texts("verdict")?);
            let (reasons, ids) = (batch.lists("reasons")?, batch.texts("cluster_id")?);
            for row in (0..batch.rows()).filter(|&row| self.has(districts.get(row))) {
                summary.rows += 1;
                if let Some(verdict) = verdicts.get(row).and_then(verdict) {
                    *summary.verdicts.entry(verdict).or_default() += 1;
                }
                for reason in reasons.get(row).into_iter().filter_map(reason) {
                    *summary.reasons.entry(reason).or_default() += 1;
                }
                if let Some(id) = ids.get(row) {
                    clusters.entry(id.to_owned()).or_default().extend(districts.get(row).map(folded));
                }
            }
            Ok(())
        })?;
        summary.clusters = clusters.len() as u64;
        summary.cross_district_clusters = clusters.values().filter(|districts| districts.len() > 1).count() as u64;
        Ok(summary)
    }

    /// Refuses a part of which the run has no row, and says which there are.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check(&self, rows: u64, districts: &[String], divisions: &[String]) -> Result<()> {
        if rows > 0 || !self.is_part() {
            return Ok(());
        }
        let (flag, known) = match self.division {
            Some(_) => ("--only-division", divisions),
            None => ("--only-district", districts),
        };
        let fix = match known {
            [] => "the run names none".to_owned(),
            known => format!("the run has {}", known.join(", ")),
        };
        Err(Error::usage(flag, "no submission of the run is from there", fix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_the_districts_of_its_division() {
        let divisions = HashMap::from([("ujjain".to_owned(), "Ujjain".to_owned()), ("dewas".into(), "Ujjain".into())]);
        let of = |division, district| Scope::new(division, district, &divisions);
        assert!(of(None, None).has(None) && !of(None, None).is_part());
        assert!(of(Some("UJJAIN"), None).has(Some(" Dewas")) && !of(Some("Ujjain"), None).has(Some("Indore")));
        assert!(of(None, Some("Ujjain")).has(Some("ujjain")) && !of(None, Some("Ujjain")).has(Some("Dewas")));
        assert!(!of(Some("Ujjain"), None).has(None));
        assert!(of(None, Some("Bhopal")).check(0, &["Dewas".into()], &[]).unwrap_err().to_string().contains("Dewas"));
    }
}
