//! 1:1 verification on labelled pairs of pictures.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::evaluate::far_tail::{FarTail, Shot, by_group, far_tail};
use crate::evaluate::groups::{GroupFile, GroupReport, Groups};
use crate::evaluate::metrics::{self, Comparison, Mean};
use crate::evaluate::{central, labels, see, templates};
use crate::infer::template::similarity;
use crate::infer::{Engine, Template};
use crate::report::Progress;
use crate::{Error, Result};

/// The result, ready for JSON or for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerificationReport {
    /// Network and weights of the templates.
    pub model: String,
    /// Pictures named.
    pub pictures: usize,
    /// Failures to enrol: pictures without a face, and their paths.
    pub failed_to_enrol: Vec<String>,
    /// Comparisons made.
    pub comparisons: usize,
    /// Accuracy over the folds.
    pub accuracy: Mean,
    /// False non-match rate where one impostor in a hundred passes, and the threshold.
    pub fnmr_at_fmr_1e2: Option<(f64, f32)>,
    /// False non-match rate where one impostor in a thousand passes, and the threshold.
    pub fnmr_at_fmr_1e3: Option<(f64, f32)>,
    /// Equal error rate.
    pub equal_error_rate: Option<f64>,
    /// Similarity of mated pairs.
    pub mated: Mean,
    /// Similarity of impostor pairs.
    pub impostor: Mean,
    /// Every pair of the pictures, where the folders they lie in name people.
    pub all_pairs: Option<FarTail>,
    /// Its rates by group, where groups were given.
    pub groups: Option<GroupReport>,
}

/// What to compare.
#[derive(Debug, Clone)]
pub struct VerificationJob {
    /// CSV with the columns `fold, path_a, path_b, same`.
    pub pairs: PathBuf,
    /// Folder that its paths start from.
    pub images: PathBuf,
    /// CSV with the columns `name_a, name_b`: people with two names.
    pub same_people: Option<PathBuf>,
    /// Where to write the templates.
    pub save: Option<PathBuf>,
    /// CSV with the columns `id, group`, an id being the name of a person's folder: rates by group.
    pub groups: Option<PathBuf>,
}

/// Compares the labelled pairs, and then all pairs of their pictures.
///
/// The face nearest to the middle of each picture is taken. A labelled pair with a picture in which no face is found
/// counts as a comparison of score -1: it is neither dropped nor helped.
///
/// # Errors
/// [`Error::Input`] when a label file or a picture cannot be read.
pub fn verification(engine: &Engine, job: &VerificationJob, progress: Progress) -> Result<VerificationReport> {
    let VerificationJob { pairs, images, .. } = job;
    let rows = labels::read(pairs, &["fold", "path_a", "path_b", "same"])?;
    let uses = rows.iter().flat_map(|row| [row[1].clone(), row[2].clone()]);
    let (paths, places) = labels::unique(images, uses);
    let people = People::of(&paths);
    let known = people.known(job.same_people.as_deref())?;
    let groups = job.groups.as_deref().map(|file| people.groups(file)).transpose()?;
    let stage = progress.stage("see", "pictures", paths.len() as u64, 0);
    let seen = see(engine, &paths, &stage)?;
    drop(stage);
    let templates: Vec<Option<&Template>> = seen
        .iter()
        .map(|s| s.as_ref().ok().and_then(central).and_then(|f| f.reading.as_ref()).map(|r| &r.template))
        .collect();
    let mut comparisons = Vec::with_capacity(rows.len());
    for (number, row) in rows.iter().enumerate() {
        let fold = row[0].trim().parse().map_err(|_| {
            Error::input(
                pairs,
                format!("line {}, fold", number + 2),
                "a whole number",
                format!("'{}'", row[0]),
                "correct the label file",
            )
        })?;
        let mated =
            labels::flag(pairs, number, &row[3], &["1", "true", "yes", "same"], &["0", "false", "no", "different"])?;
        let score = match (templates[places[2 * number]], templates[places[2 * number + 1]]) {
            (Some(a), Some(b)) => similarity(a, b),
            _ => -1.0,
        };
        comparisons.push(Comparison { fold, score, mated });
    }
    let failed = paths.iter().zip(&templates).filter(|(_, t)| t.is_none()).map(|(p, _)| p.display().to_string());
    let mut report = summarise(engine.embedder_id().to_owned(), paths.len(), failed.collect(), &comparisons);
    let shots: Vec<Shot> = templates
        .iter()
        .enumerate()
        .filter_map(|(picture, template)| Some(Shot { picture, identity: people.of[picture], template: (*template)? }))
        .collect();
    if people.names.len() > 1 {
        let stage = progress.stage("compare", "pictures", shots.len() as u64, 0);
        let tail = far_tail(&shots, &known, |picture| people.title(&paths[picture]));
        report.groups = groups.map(|groups| by_group(&tail, &shots, &known, &groups));
        report.all_pairs = Some(tail);
        stage.advance(shots.len() as u64);
    }
    if let Some(save) = &job.save {
        let row = |shot: &Shot<'_>| people.title(&paths[shot.picture]);
        let rows: Vec<_> = shots.iter().map(|s| (row(s), people.names[s.identity].clone(), s.template)).collect();
        templates::write(save, engine.embedder_id(), &rows)?;
    }
    Ok(report)
}

/// Who is in which picture, by the folder it lies in.
struct People {
    /// Number of the person of each picture.
    of: Vec<usize>,
    /// Their names.
    names: Vec<String>,
}

impl People {
    fn of(paths: &[PathBuf]) -> Self {
        let mut numbers = HashMap::new();
        let mut people = People { of: Vec::with_capacity(paths.len()), names: Vec::new() };
        for path in paths {
            let name = path.parent().and_then(Path::file_name).map_or_else(String::new, |n| n.to_string_lossy().into());
            let number = *numbers.entry(name).or_insert_with_key(|name: &String| {
                people.names.push(name.clone());
                people.names.len() - 1
            });
            people.of.push(number);
        }
        people
    }

    /// Folder and file name.
    fn title(&self, path: &Path) -> String {
        let parts: Vec<_> = path.iter().rev().take(2).map(|part| part.to_string_lossy()).collect();
        parts.into_iter().rev().collect::<Vec<_>>().join("/")
    }

    /// The people in the groups of a file.
    fn groups(&self, file: &Path) -> Result<Groups> {
        if self.names.len() < 2 {
            let fix = "rates by group need the pictures of each person in a folder of the person's name";
            return Err(Error::usage("--groups", "all pictures lie in one folder", fix));
        }
        GroupFile::read(file)?.assign(self.names.iter().map(String::as_str), "names of folders of the pictures")
    }

    /// Pairs of people that are one, smaller number first.
    fn known(&self, file: Option<&Path>) -> Result<HashSet<(usize, usize)>> {
        let Some(file) = file else { return Ok(HashSet::new()) };
        let mut known = HashSet::new();
        for (number, row) in labels::read(file, &["name_a", "name_b"])?.iter().enumerate() {
            let find = |name: &str| {
                self.names.iter().position(|n| n == name).ok_or_else(|| {
                    let (item, expected) = (format!("line {}", number + 2), "the name of a folder of the pictures");
                    Error::input(file, item, expected, format!("'{name}'"), "correct the name or remove the line")
                })
            };
            let (a, b) = (find(row[0].trim())?, find(row[1].trim())?);
            known.insert((a.min(b), a.max(b)));
        }
        Ok(known)
    }
}

fn summarise(
    model: String,
    pictures: usize,
    failed_to_enrol: Vec<String>,
    comparisons: &[Comparison],
) -> VerificationReport {
    let scores = |mated: bool| -> Vec<f32> {
        metrics::sorted(comparisons.iter().filter(|c| c.mated == mated).map(|c| c.score).collect())
    };
    let (mated, impostor) = (scores(true), scores(false));
    let spread = |scores: &[f32]| metrics::mean(&scores.iter().map(|&s| s as f64).collect::<Vec<_>>());
    VerificationReport {
        model,
        pictures,
        failed_to_enrol,
        comparisons: comparisons.len(),
        accuracy: metrics::mean(&metrics::fold_accuracies(comparisons)),
        fnmr_at_fmr_1e2: metrics::fnmr_at_fmr(&mated, &impostor, 1e-2),
        fnmr_at_fmr_1e3: metrics::fnmr_at_fmr(&mated, &impostor, 1e-3),
        equal_error_rate: metrics::equal_error_rate(&mated, &impostor),
        mated: spread(&mated),
        impostor: spread(&impostor),
        all_pairs: None,
        groups: None,
    }
}

impl fmt::Display for VerificationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model                {}", self.model)?;
        writeln!(f, "pictures             {}, failures to enrol: {}", self.pictures, self.failed_to_enrol.len())?;
        writeln!(f, "comparisons          {}", self.comparisons)?;
        writeln!(f, "accuracy             {:.4} +- {:.4} (cross-validated)", self.accuracy.mean, self.accuracy.error)?;
        for (name, value) in [("1e-2", self.fnmr_at_fmr_1e2), ("1e-3", self.fnmr_at_fmr_1e3)] {
            if let Some((fnmr, threshold)) = value {
                writeln!(f, "FNMR at FMR {name}     {fnmr:.4} (TAR {:.4}, threshold {threshold:.4})", 1.0 - fnmr)?;
            }
        }
        if let Some(eer) = self.equal_error_rate {
            writeln!(f, "equal error rate     {eer:.4}")?;
        }
        writeln!(f, "mated similarity     {:.3}, deviation {:.3}", self.mated.mean, self.mated.deviation)?;
        write!(f, "impostor similarity  {:.3}, deviation {:.3}", self.impostor.mean, self.impostor.deviation)?;
        self.all_pairs.iter().try_for_each(|tail| write!(f, "\n{tail}"))?;
        self.groups.iter().try_for_each(|groups| write!(f, "\n{groups}"))
    }
}
