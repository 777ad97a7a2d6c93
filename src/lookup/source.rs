//! Where a look-up's members come from: dumps, run folders, exports, stores; and which of them a filter lets pass.
//!
//! Nothing here writes. A store and an export hold templates; a dump holds pictures, so its chosen rows are seen as an
//! audit sees them, with all selfies of the same workers beside them, for only there can the worker be told from the
//! member. A run folder holds verdicts: its members come from the store it went into, else from its dump.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::facts::{JUDGED, STORED, SUBMITTED, Stored, Submitted};
use super::predicate::{Column, Predicate};
use super::run_folder::{RunRecord, Verdict};
use crate::audit::{self, References, Selection};
use crate::config::{Columns, Policy};
use crate::dump::{Dump, Submission, has_columns};
use crate::gallery::{Gallery, Store};
use crate::infer::{Analysis, Engine, ModelId};
use crate::output::Kept;
use crate::reason::Reason;
use crate::report::Progress;
use crate::roles::assign;
use crate::verdict::rules::{self, Given};
use crate::{Error, Result};

/// One input of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A store of members.
    Store(PathBuf),
    /// The run folder of an audit.
    Run(PathBuf),
    /// A file that `gallery export` wrote.
    Export(PathBuf),
    /// Files, folders and globs that are one dump together.
    Dump(Vec<PathBuf>),
}

impl Source {
    /// What a path is, by what lies there; whatever is none of the others is taken for a dump.
    pub fn of(path: &Path) -> Source {
        let path = path.to_path_buf();
        match () {
            () if path.join("MANIFEST").is_file() => Source::Store(path),
            () if RunRecord::is_at(&path) => Source::Run(path),
            () if is_export(&path) => Source::Export(path),
            () => Source::Dump(vec![path]),
        }
    }

    /// What each of these is; all that are dumps are one dump.
    pub fn all(paths: &[PathBuf]) -> Vec<Source> {
        let (mut sources, mut dump) = (Vec::new(), Vec::new());
        for path in paths {
            match Source::of(path) {
                Source::Dump(paths) => dump.extend(paths),
                other => sources.push(other),
            }
        }
        if !dump.is_empty() {
            sources.push(Source::Dump(dump));
        }
        sources
    }

    /// What no output may touch.
    pub fn kept(&self) -> Vec<Kept> {
        match self {
            Source::Store(path) => vec![Kept::whole("the store", path)],
            Source::Run(path) => vec![Kept::whole("the run folder", path)],
            Source::Export(path) => vec![Kept::itself("the export", path)],
            Source::Dump(paths) => paths.iter().map(|path| Kept::whole("the dump", path)).collect(),
        }
    }

    /// Its name for people.
    pub fn name(&self) -> String {
        match self {
            Source::Store(path) | Source::Run(path) | Source::Export(path) => path.display().to_string(),
            Source::Dump(paths) => paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" "),
        }
    }
}

fn is_export(path: &Path) -> bool {
    path.is_file() && has_columns(path, &["embedding"]) && !has_columns(path, &["selfie"])
}

/// Members of one input.
#[derive(Debug, Serialize)]
pub struct Chosen {
    /// The input.
    pub from: String,
    /// Rows of it.
    pub rows: u64,
    /// Rows that the filter lets pass.
    pub passed: u64,
    /// Of these, rows without a member who can be compared, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
    /// The others.
    #[serde(skip)]
    pub members: Gallery,
}

/// What reading the inputs takes.
pub struct Reader<'a> {
    /// Limits.
    pub policy: &'a Policy,
    /// What a dump's columns are called.
    pub columns: &'a Columns,
    /// A store: where run folders find their members, and dumps the workers of earlier nights.
    pub store: Option<&'a Path>,
    /// Makes the networks, which only dumps need.
    pub engine: &'a dyn Fn() -> Result<Engine>,
    /// How much is told meanwhile.
    pub progress: Progress,
    loaded: OnceCell<Engine>,
}

impl<'a> Reader<'a> {
    /// A reader with its networks not loaded yet.
    pub fn new(
        policy: &'a Policy,
        columns: &'a Columns,
        store: Option<&'a Path>,
        engine: &'a dyn Fn() -> Result<Engine>,
        progress: Progress,
    ) -> Self {
        Reader { policy, columns, store, engine, progress, loaded: OnceCell::new() }
    }

    fn engine(&self) -> Result<&Engine> {
        if let Some(engine) = self.loaded.get() {
            return Ok(engine);
        }
        let engine = (self.engine)()?;
        Ok(self.loaded.get_or_init(|| engine))
    }

    /// Whether an input can be opened at all: asked before any work.
    ///
    /// # Errors
    /// [`Error::Input`] when it cannot.
    pub fn check(&self, source: &Source) -> Result<()> {
        match source {
            Source::Store(path) => Store::open(path).map(drop),
            Source::Dump(paths) => Dump::open(paths, self.columns).map(drop),
            Source::Run(_) | Source::Export(_) => Ok(()),
        }
    }

    /// Reads the members of an input that a filter lets pass.
    ///
    /// # Errors
    /// [`Error::Input`] when the input is unusable, [`Error::Usage`] when the filter is.
    pub fn choose(&self, source: &Source, filter: Option<&str>) -> Result<Chosen> {
        match source {
            Source::Store(path) => {
                chosen_of_gallery(source.name(), Store::open(path)?.view(None)?, filter, ("a store", &[]))
            }
            Source::Export(path) => {
                let members = Gallery::from_export(path)?;
                if members.is_empty() {
                    let fix = "export a store that has members";
                    return Err(Error::input(path, "rows", "at least one member", "none", fix));
                }
                chosen_of_gallery(source.name(), members, filter, ("this export", &[]))
            }
            Source::Dump(paths) => self.of_dump(source.name(), paths, None, filter),
            Source::Run(path) => self.of_run(RunRecord::read(path)?, filter),
        }
    }

    fn of_run(&self, run: RunRecord, filter: Option<&str>) -> Result<Chosen> {
        let name = run.path.display().to_string();
        if let Some(path) = self.store {
            let members = Store::open(path)?.view(None)?;
            let own: HashSet<u32> =
                members.iter().filter(|(_, row)| row.run_key == run.store_key).map(|(number, _)| number).collect();
            if !own.is_empty() {
                let members = members.keeping(&|number| own.contains(&number));
                let rows = run.verdicts.len() as u64;
                let chosen = chosen_of_gallery(name, members, filter, ("this run", &run.verdicts))?;
                return Ok(Chosen { rows, ..chosen });
            }
        }
        self.of_dump(name, &run.dump()?, Some(&run.verdicts), filter)
    }

    fn of_dump(
        &self,
        from: String,
        paths: &[PathBuf],
        verdicts: Option<&[Verdict]>,
        filter: Option<&str>,
    ) -> Result<Chosen> {
        let dump = Dump::open(paths, self.columns)?;
        if verdicts.is_some_and(|v| v.len() as u64 != dump.total_rows()) {
            let found = format!("{} rows in the dump", dump.total_rows());
            return Err(Error::input(&from, "verdicts", "one verdict per row of its dump", found, "audit it again"));
        }
        let (passing, workers) = passing(&dump, verdicts, filter)?;
        let passed = passing.iter().filter(|&&passes| passes).count() as u64;
        let mut chosen =
            Chosen { from, rows: dump.total_rows(), passed, left_out: BTreeMap::new(), members: Gallery::empty() };
        if passed == 0 {
            return Ok(chosen);
        }
        let engine = self.engine()?;
        let analyses = self.see(&dump, engine, &passing, &workers)?;
        let model = ModelId(engine.embedder_id().to_owned());
        let references = match dump.workers_path() {
            Some(path) => {
                let wanted = |id: &str| workers.contains(id);
                audit::references(path, &wanted, engine, &self.policy.roles, self.progress)?.0
            }
            None => References::default(),
        };
        let store = self.store.map(Store::open).transpose()?;
        let remembered = store.map(|store| store.workers(None, &model)).transpose()?.unwrap_or_default();
        let enrolled = references.settle(&analyses, &self.policy.roles);
        let roles = assign(&analyses, &enrolled, &remembered, &self.policy.roles);
        let given = Given { has_consent: dump.has_column("consent"), ..Given::default() };
        let mut members = Vec::new();
        for (analysis, cast) in analyses.iter().zip(&roles.casts).filter(|(a, _)| passing[a.row as usize]) {
            let row = rules::first_look(analysis, cast, given, self.policy);
            match audit::member(analysis, cast, &row.reasons, &model) {
                Some(member) if audit::is_comparable(&row.reasons, &self.policy.verdicts) => members.push(member),
                _ => *chosen.left_out.entry(decisive(&row.reasons, self.policy)).or_default() += 1,
            }
        }
        chosen.members = Gallery::from_rows(&members)?;
        Ok(chosen)
    }

    /// Sees the rows that pass, and all rows of the same workers.
    fn see(&self, dump: &Dump, engine: &Engine, passing: &[bool], workers: &HashSet<String>) -> Result<Vec<Analysis>> {
        let stage = self.progress.stage("see", "rows", dump.total_rows(), 0);
        let wanted = |row: &Submission| {
            passing[row.row as usize] || row.facts.worker_id.as_ref().is_some_and(|id| workers.contains(id))
        };
        let mut analyses = Vec::new();
        let rows = Selection { range: 0..dump.total_rows(), wanted: &wanted, withheld: &|_| false };
        audit::see_rows(dump, engine, rows, &mut |read, seen| {
            stage.advance(read);
            analyses.extend(seen);
            Ok(())
        })?;
        Ok(analyses)
    }
}

/// The gravest of a row's reasons.
fn decisive(reasons: &[Reason], policy: &Policy) -> &'static str {
    let gravest = reasons.iter().max_by_key(|&&reason| (policy.verdicts.decide(&[reason]), std::cmp::Reverse(reason)));
    gravest.map_or("no member found", |reason| reason.code())
}

fn chosen_of_gallery(
    from: String,
    members: Gallery,
    filter: Option<&str>,
    (of, verdicts): (&str, &[Verdict]),
) -> Result<Chosen> {
    let rows = members.live() as u64;
    let members = match filter {
        None => members,
        Some(text) => {
            let columns = if verdicts.is_empty() { STORED.to_vec() } else { together(&[STORED, JUDGED]) };
            let by_id: HashMap<&str, &Verdict> =
                verdicts.iter().filter_map(|v| Some((v.submission_id.as_deref()?, v))).collect();
            let predicate = Predicate::new(text, of, &columns)?;
            let stored = members.iter().map(|(_, row)| Stored(row, by_id.get(row.submission_id).copied()));
            let passed = predicate.passing(stored)?;
            let numbers = members.iter().map(|(number, _)| number);
            let passing: HashSet<u32> = numbers.zip(passed).filter_map(|(n, passes)| passes.then_some(n)).collect();
            members.keeping(&|number| passing.contains(&number))
        }
    };
    Ok(Chosen { from, rows, passed: members.live() as u64, left_out: BTreeMap::new(), members })
}

/// Which rows of a dump pass, and the workers who sent them.
fn passing(dump: &Dump, verdicts: Option<&[Verdict]>, filter: Option<&str>) -> Result<(Vec<bool>, HashSet<String>)> {
    let has = |column: &&Column| dump.has_column(column.name);
    let mut columns: Vec<Column> = SUBMITTED.iter().filter(has).copied().collect();
    if verdicts.is_some() {
        columns = together(&[&columns, JUDGED]);
    }
    let of = if verdicts.is_some() { "this run" } else { "this dump" };
    let predicate = filter.map(|text| Predicate::new(text, of, &columns)).transpose()?;
    let (mut passing, mut workers) = (Vec::new(), HashSet::new());
    for batch in dump.facts()? {
        let batch = batch?;
        let verdict = |row: &Submission| verdicts.and_then(|v| v.get(row.row as usize));
        let passed = match &predicate {
            Some(predicate) => predicate.passing(batch.iter().map(|row| Submitted(&row.facts, verdict(row))))?,
            None => vec![true; batch.len()],
        };
        let sent = batch.iter().zip(&passed).filter(|(_, passes)| **passes);
        workers.extend(sent.filter_map(|(row, _)| row.facts.worker_id.clone()));
        passing.extend(passed);
    }
    Ok((passing, workers))
}

/// Columns of several tables, each name once.
fn together(tables: &[&[Column]]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for column in tables.iter().copied().flatten() {
        if !columns.iter().any(|known| known.name == column.name) {
            columns.push(*column);
        }
    }
    columns
}
