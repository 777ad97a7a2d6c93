//! What is wrong with a whole column: said on the first lines of the summary, because no row shows it.

use std::collections::HashMap;
use std::path::Path;

use crate::Result;
use crate::dump::{Survey, first_ids, worker_ids};
use crate::infer::Analysis;
use crate::reason::Reason;

/// One unreadable picture in so many is a column's trouble and no longer a row's.
const ONE_IN: usize = 2;
/// How the details of pictures begin that phones write and that are not read.
const PHONE_KINDS: [&str; 2] = ["a HEIC picture", "an AVIF picture"];

/// Warnings about the facts of a dump, its pictures, and a table of workers that is about others.
///
/// # Errors
/// [`crate::Error::Input`] when the table of workers cannot be read.
pub fn of_columns(survey: &Survey, analyses: &[Analysis], workers: Option<&Path>) -> Result<Vec<String>> {
    let mut warnings = survey.warnings();
    warnings.extend(of_pictures(analyses));
    if let Some(path) = workers {
        let ids = worker_ids(path)?;
        let others: Vec<String> = ids.iter().filter(|id| !survey.has_worker(id)).cloned().collect();
        if !others.is_empty() {
            let first = others.first().map_or("", String::as_str);
            let meant = survey.spelling(first).map_or_else(String::new, |id| format!(" (the dump has {id})"));
            let (count, of, ids) = (others.len(), ids.len(), first_ids(&others));
            let path = path.display();
            warnings.push(format!("{path}: {count} of {of} reference photos are of workers in no row: {ids}{meant}"));
        }
    }
    Ok(warnings)
}

/// How many phones write a picture that is not read, and the kind that most rows fail by, if most fail by one.
fn of_pictures(analyses: &[Analysis]) -> Vec<String> {
    let mut kinds: HashMap<&str, usize> = HashMap::new();
    for reject in analyses.iter().filter_map(|analysis| analysis.selfie.as_ref().err()) {
        if reject.reason == Reason::UnreadableImage {
            *kinds.entry(reject.detail.as_str()).or_default() += 1;
        }
    }
    let rows = analyses.len();
    let of_phones: usize =
        kinds.iter().filter(|(kind, _)| PHONE_KINDS.iter().any(|k| kind.starts_with(k))).map(|(_, n)| n).sum();
    let phones = (of_phones > 0).then(|| {
        format!(
            "{of_phones} of {rows} selfies are HEIC or AVIF pictures, which are not read: set the workers' phones to JPEG; \
             examples/heic_to_jpeg.py converts this dump"
        )
    });
    let most = kinds.into_iter().max_by_key(|&(kind, count)| (count, kind));
    let column = most.filter(|&(_, count)| count > 1 && count * ONE_IN >= rows);
    let column = column.map(|(kind, count)| format!("selfie is unreadable in {count} of {rows} rows: {kind}"));
    phones.into_iter().chain(column).collect()
}
