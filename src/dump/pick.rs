//! Single rows of a table by their position.
//!
//! A report wants the pictures of a few hundred rows out of half a million. Row groups without a wanted row are never
//! opened, and inside one the pages between wanted rows are passed over without being unpacked.

use parquet::arrow::arrow_reader::{ArrowReaderOptions, RowSelection, RowSelector};

use super::Submission;
use super::bounded::group_reader;
use super::footer::{Unread, check_unchanged, damaged, footer, guard, rows_that_fit};
use super::table::{Chunk, Row, Table, TableFile};
use crate::objects::InputFile;
use crate::{Error, Result};

impl Table {
    /// See [`super::Dump::pick`].
    pub(super) fn pick(
        &self,
        rows: &[u64],
        max_bytes: usize,
        each: &mut dyn FnMut(Vec<Submission>) -> Result<()>,
    ) -> Result<()> {
        let mut wanted = rows;
        let mut first = 0;
        for file in &self.files {
            for (group, &count) in file.groups.iter().enumerate() {
                let here = wanted.partition_point(|&row| row < first + count);
                let (these, rest) = wanted.split_at(here);
                if !these.is_empty() {
                    pick_group(file, (group, first), these, max_bytes, each)?;
                }
                wanted = rest;
                first += count;
            }
        }
        match (wanted.first(), self.files.last()) {
            (Some(row), Some(file)) => {
                let found = format!("{first} rows in the dump");
                Err(Error::input(&file.path, format!("row {row}"), "a row of the dump", found, "give the whole dump"))
            }
            _ => Ok(()),
        }
    }
}

fn pick_group(
    file: &TableFile,
    (group, first): (usize, u64),
    rows: &[u64],
    max_bytes: usize,
    each: &mut dyn FnMut(Vec<Submission>) -> Result<()>,
) -> Result<()> {
    let options =
        ArrowReaderOptions::new().with_parquet_schema(file.plan.parquet.clone()).with_schema(file.plan.arrow.clone());
    let metadata = footer(&file.path, options)?;
    check_unchanged(&file.path, &file.groups, metadata.metadata())?;
    let fit = rows_that_fit(max_bytes, metadata.metadata(), group, &file.plan.roots).min(rows.len());
    let fit = fit.min(file.plan.most_rows());
    let handle = InputFile::open(&file.path).map_err(Error::io("open", &file.path))?;
    let refuse = |found: Unread| damaged(&file.path, group, found);
    let selected = Some(selection(first, rows));
    let reader = guard(|| group_reader(handle, metadata.metadata(), group, &file.plan, fit, selected));
    let mut reader = reader.map_err(refuse)?;
    let mut left = rows;
    while !left.is_empty() {
        let batch = guard(|| reader.next().transpose()).map_err(refuse)?;
        let batch = match batch {
            Some(batch) if (1..=left.len()).contains(&batch.num_rows()) => batch,
            _ => return Err(refuse(format!("its end, {} rows early", left.len()).into())),
        };
        let (these, rest) = left.split_at(batch.num_rows());
        let mut found = Submission::from_chunk(&Chunk::of(file, these[0], batch))?;
        found.iter_mut().zip(these).for_each(|(submission, &row)| submission.row = row);
        each(found)?;
        left = rest;
    }
    Ok(())
}

/// Of a row group whose first row is `first`, these rows.
fn selection(first: u64, rows: &[u64]) -> RowSelection {
    let mut at = first;
    let mut selectors = Vec::with_capacity(2 * rows.len());
    for &row in rows {
        if row > at {
            selectors.push(RowSelector::skip((row - at) as usize));
        }
        selectors.push(RowSelector::select(1));
        at = row + 1;
    }
    selectors.into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Columns;
    use crate::dump::{Dump, Submission};

    fn night() -> Dump {
        let night = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/night");
        Dump::open(&[night], &Columns::default()).unwrap()
    }

    fn pick(dump: &Dump, rows: &[u64], bytes: usize) -> crate::Result<Vec<Submission>> {
        let mut found = Vec::new();
        dump.pick(rows, bytes, &mut |batch| {
            found.extend(batch);
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn picked_rows_are_those_of_a_scan() {
        let dump = night();
        let all: Vec<Submission> = dump.batches(7, usize::MAX, 0).flat_map(Result::unwrap).collect();
        for rows in [vec![0], vec![37], vec![3, 4, 17, 18, 19, 20, 36], (0..38).collect::<Vec<u64>>(), vec![]] {
            for bytes in [1, 1 << 20, usize::MAX] {
                let found = pick(&dump, &rows, bytes).unwrap();
                assert_eq!(found.iter().map(|s| s.row).collect::<Vec<_>>(), rows);
                for submission in found {
                    let scanned = &all[submission.row as usize];
                    assert_eq!(submission.facts, scanned.facts);
                    assert_eq!(submission.selfie.as_deref(), scanned.selfie.as_deref());
                    assert_eq!(submission.photo.as_deref(), scanned.photo.as_deref());
                }
            }
        }
    }

    #[test]
    fn a_row_beyond_the_dump_is_refused() {
        let error = pick(&night(), &[5, 38], 1).unwrap_err().to_string();
        assert!(error.contains("row 38") && error.contains("38 rows in the dump"), "{error}");
    }
}
