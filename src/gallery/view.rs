//! A gallery: rows of templates with their facts, ready to be searched.
//!
//! It may be a view of a store at one commit, rows held in memory, or both in a line. Rows are numbered from 0 in the
//! order of the parts; forgotten rows keep their number and are in no result.

use std::sync::{Arc, OnceLock};

use half::f16;

use super::derived::{Builder, Codes, Masters};
use super::hnsw::graph::Graph;
use super::member::{Facts, Member, Row};
use super::place::SegmentFiles;
use super::query::Filter;
use crate::infer::{ModelId, Template};
use crate::{Error, Result};

/// A searchable run of rows of one model.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) model: ModelId,
    pub(super) facts: Facts,
    pub(super) codes: Codes,
    pub(super) masters: Masters,
    /// Masters made anew from the segment, after a row of the file turned out damaged; none if the segment is, too.
    pub(super) rescued: OnceLock<Option<Masters>>,
    /// Built or loaded by the first approximate search.
    pub(super) graph: OnceLock<Arc<Graph>>,
    /// Where it lies; none for rows in memory.
    pub(super) files: Option<SegmentFiles>,
}

impl Part {
    pub(super) fn rows(&self) -> usize {
        self.facts.len()
    }

    /// Reads a master into `into`. A damaged file of masters is made anew from its segment, once, and read from there.
    ///
    /// # Errors
    /// [`Error::Input`] when the segment itself is damaged.
    pub(super) fn master(&self, row: usize, into: &mut Vec<f16>) -> Result<()> {
        if self.rescued.get().is_none() && self.masters.read(row, into).is_some() {
            return Ok(());
        }
        self.rescue(row, into)
    }

    #[cold]
    fn rescue(&self, row: usize, into: &mut Vec<f16>) -> Result<()> {
        let Some(files) = &self.files else {
            return Err(Error::bug("reading a template from memory", "a wrong checksum"));
        };
        let mut problem = None;
        let rescued = self.rescued.get_or_init(|| {
            log::warn!("{}: row {row} is damaged; making the file anew", files.path("masters").display());
            files.masters_anew().map_err(|error| problem = Some(error)).ok()
        });
        if let Some(error) = problem {
            return Err(error);
        }
        rescued.as_ref().and_then(|masters| masters.read(row, into)).ok_or_else(|| {
            let fix = "restore it from a backup; `chehra gallery verify` names every damaged file";
            Error::input(files.path("parquet"), format!("row {row}"), "the template that was written", "damage", fix)
        })
    }
}

/// A part as one view sees it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) part: Arc<Part>,
    /// Number of its first row in the gallery.
    pub(super) first: usize,
    /// One bit per row, set where the view must not see it; none when it sees all.
    hidden: Option<Arc<Vec<u64>>>,
}

impl Seen {
    pub(super) fn is_hidden(&self, row: usize) -> bool {
        self.hidden.as_ref().is_some_and(|bits| bits[row / 64] >> (row % 64) & 1 == 1)
    }
}

/// Rows ready to be searched. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct Gallery {
    pub(super) parts: Vec<Seen>,
    rows: usize,
    live: usize,
}

impl Gallery {
    /// No rows: what a run without a store searches.
    pub fn empty() -> Gallery {
        Gallery::default()
    }

    /// Rows in memory, such as one night's own. Row `i` is `rows[i]` where all have one model; rows of several models
    /// are grouped by model in order of first appearance, so ask [`Gallery::row`] for the facts.
    ///
    /// # Errors
    /// [`Error::Bug`] when templates of one model differ in length.
    pub fn from_rows(rows: &[(Member, Template)]) -> Result<Gallery> {
        let mut gallery = Gallery::default();
        for (model, dim, rows) in by_model(rows)? {
            let mut facts = Facts::default();
            let mut builder = Builder::new(dim, rows.len());
            for (member, template) in rows {
                facts.push(member.as_row("", u64::MAX));
                builder.push(template);
            }
            facts.finish();
            let (codes, masters) = builder.finish()?;
            let rescued = OnceLock::new();
            let part = Part { model, facts, codes, masters, rescued, graph: OnceLock::new(), files: None };
            gallery.add(Arc::new(part), |_| false);
        }
        Ok(gallery)
    }

    /// Both in a line: the rows of `other` follow, their numbers shifted by [`Gallery::rows`].
    pub fn followed_by(&self, other: &Gallery) -> Gallery {
        let mut both = self.clone();
        both.parts.extend(other.parts.iter().map(|seen| Seen { first: seen.first + self.rows, ..seen.clone() }));
        both.rows += other.rows;
        both.live += other.live;
        both
    }

    /// Only the rows of one model that a filter lets pass; numbered anew where parts of other models fall away.
    pub fn only(&self, model: &ModelId, filter: &Filter<'_>) -> Gallery {
        let mut some = Gallery::default();
        for seen in self.parts.iter().filter(|seen| seen.part.model == *model) {
            let facts = &seen.part.facts;
            some.add(seen.part.clone(), |row| seen.is_hidden(row) || !filter.lets_pass(facts, row));
        }
        some
    }

    /// Only the rows for whose number `pass` holds; they keep their numbers.
    pub fn keeping(&self, pass: &dyn Fn(u32) -> bool) -> Gallery {
        let mut some = Gallery::default();
        for seen in &self.parts {
            some.add(seen.part.clone(), |row| seen.is_hidden(row) || !pass((seen.first + row) as u32));
        }
        some
    }

    /// The models whose rows are here, each once, in order of first appearance, with the number of visible rows.
    pub fn models(&self) -> Vec<(&ModelId, usize)> {
        let mut models: Vec<(&ModelId, usize)> = Vec::new();
        for seen in &self.parts {
            let live = (0..seen.part.rows()).filter(|&row| !seen.is_hidden(row)).count();
            match models.iter_mut().find(|(model, _)| *model == &seen.part.model) {
                Some((_, rows)) => *rows += live,
                None => models.push((&seen.part.model, live)),
            }
        }
        models.retain(|(_, rows)| *rows > 0);
        models
    }

    pub(super) fn add(&mut self, part: Arc<Part>, hide: impl Fn(usize) -> bool) {
        let rows = part.rows();
        let mut bits = vec![0u64; rows.div_ceil(64)];
        let mut hidden = 0;
        for row in (0..rows).filter(|&row| hide(row)) {
            bits[row / 64] |= 1 << (row % 64);
            hidden += 1;
        }
        let hidden_bits = (hidden > 0).then(|| Arc::new(bits));
        self.parts.push(Seen { part, first: self.rows, hidden: hidden_bits });
        self.rows += rows;
        self.live += rows - hidden;
    }

    /// Row numbers run from 0 to one less than this.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows that a search can find.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Whether there is nothing to find.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The part that holds a row, and the row's number in it.
    pub(super) fn locate(&self, row: u32) -> Option<(&Seen, usize)> {
        let row = row as usize;
        let at = self.parts.partition_point(|seen| seen.first <= row).checked_sub(1)?;
        let seen = &self.parts[at];
        (row - seen.first < seen.part.rows()).then(|| (seen, row - seen.first))
    }

    /// The facts of a row; `None` for a number that is none, or a hidden row.
    pub fn row(&self, row: u32) -> Option<Row<'_>> {
        let (seen, at) = self.locate(row)?;
        (!seen.is_hidden(at)).then(|| seen.part.facts.row(at))
    }

    /// The model of a row.
    pub fn model(&self, row: u32) -> Option<&ModelId> {
        self.locate(row).map(|(seen, _)| &seen.part.model)
    }

    /// The master of a row.
    ///
    /// # Errors
    /// [`Error::Input`] when the stored row is damaged, [`Error::Bug`] for a number that is none.
    pub fn master(&self, row: u32) -> Result<Vec<f16>> {
        let (seen, at) = self.locate(row).ok_or_else(|| Error::bug("reading a template", format!("no row {row}")))?;
        let mut master = Vec::new();
        seen.part.master(at, &mut master)?;
        Ok(master)
    }

    /// The template of a row, from its master.
    ///
    /// # Errors
    /// As [`Gallery::master`].
    pub fn template(&self, row: u32) -> Result<Template> {
        Template::from_master(self.master(row)?).map_err(|e| Error::bug("reading a template", e))
    }

    /// All visible rows with their numbers, in order: for look-ups by mobile, EPIC or picture.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Row<'_>)> {
        self.parts.iter().flat_map(|seen| {
            let visible = (0..seen.part.rows()).filter(|&row| !seen.is_hidden(row));
            visible.map(|row| ((seen.first + row) as u32, seen.part.facts.row(row)))
        })
    }

    /// Bytes of memory that the rows take: codes (mapped from disk or not) and facts, without masters on disk.
    pub fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for seen in &self.parts {
            memory.codes += seen.part.codes.memory();
            memory.facts += seen.part.facts.memory();
            memory.masters += seen.part.masters.memory();
            memory.graphs += seen.part.graph.get().map_or(0, |graph| graph.memory());
        }
        memory
    }
}

/// Bytes of memory a gallery takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    /// Codes, scales and residuals.
    pub codes: usize,
    /// Row facts.
    pub facts: usize,
    /// Masters not backed by a file.
    pub masters: usize,
    /// HNSW graphs loaded so far.
    pub graphs: usize,
}

/// Rows of one model and their dimensions.
type OfModel<'a> = (ModelId, usize, Vec<&'a (Member, Template)>);

/// Groups rows by model, in order of first appearance, and checks that each model has one dimension.
pub(super) fn by_model<'a>(rows: impl IntoIterator<Item = &'a (Member, Template)>) -> Result<Vec<OfModel<'a>>> {
    let mut groups: Vec<OfModel<'_>> = Vec::new();
    for row in rows {
        let dim = row.1.dim();
        match groups.iter_mut().find(|(model, ..)| *model == row.0.model) {
            Some((model, expected, _)) if *expected != dim => {
                let found = format!("templates of {expected} and of {dim} values from model {}", model.0);
                return Err(Error::bug("adding templates", found));
            }
            Some((_, _, rows)) => rows.push(row),
            None => groups.push((row.0.model.clone(), dim, vec![row])),
        }
    }
    Ok(groups)
}
