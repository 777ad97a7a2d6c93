//! `report.html`: one page with what a night found, for people.
//!
//! One file that opens from disk: no network, no font, no script from elsewhere, and a content security policy that
//! would refuse them. Numbers and tables are plain HTML; the lists of persons and of photos of photos are data that a
//! small script shows page by page, so that thousands of them cost nothing until somebody turns to them. All texts are
//! in `text` in English and Hindi; the page's switch puts one in the other's place. Whatever comes from the dump is
//! hostile until it is escaped: the template escapes, JSON is written without `<`, and the script sets text, never
//! markup.
//!
//! | part | |
//! |---|---|
//! | `persons`, `night`, `peers` | the tables of the run folder, as far as the page shows them |
//! | `pictures`, `before`, `mask` | small pictures of flagged rows, from tonight's dump and earlier ones; masked numbers |
//! | `charts` | SVG by plotters |
//! | `text` | every text, in English and Hindi |
//! | `drive`, `scope` | who sent what from where, and a part of it |
//! | `actions` | what is to be done, on top of the page |
//! | `tables` | the tables of the page as a workbook or CSV |
//! | `promises` | what is promised of the drive, and what its detectors are worth |
//! | `lists`, `format` | data for the script; numbers, times and texts as they are written |
//! | `called`, `call_first` | workers by evidence of enrolling from home |
//! | `units` | places and workers as rows of tables |
//! | `view`, `report.html`, `report.css`, `report.js` | what is shown, and how |

mod actions;
mod before;
mod call_first;
mod called;
mod charts;
mod drive;
mod format;
mod gathered;
mod lists;
mod mask;
mod night;
mod peers;
mod persons;
mod pictures;
mod promises;
mod scope;
mod tables;
mod text;
mod units;
mod view;

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::config::policy::Language;
use crate::dump::{Dump, time_zone};
use crate::output::write_durably;
use crate::reason::Reason;
use crate::report::Summary;
use crate::report::run::{Run, earlier_nights};

use crate::assurance::record::Assurance;
use drive::{Drive, OwnTables};
pub use gathered::Source;
use gathered::{Gathered, Pictures, photo_limits};
use night::Night;
use peers::PeerTable;
use persons::Persons;
use pictures::{Cut, Told, Wanted};
use scope::Scope;

/// The page's name in a run folder.
pub const FILE: &str = "report.html";

/// By what a page is known, those of earlier versions included: a line of its head and its lettering.
const MARK: &str = "<p class=\"brand\" lang=\"hi\">चेहरा <span lang=\"en\">chehra</span></p>";

/// What goes into a page.
#[derive(Debug, Clone)]
pub struct PageOptions {
    /// Persons, and photos of photos, that get pictures.
    pub crops: usize,
    /// Run folders of earlier nights; empty for those beside the run folder.
    pub earlier: Vec<PathBuf>,
    /// What is promised of the drive: `assurance.json` of `chehra assurance`.
    pub assurance: Option<PathBuf>,
    /// Only this division.
    pub only_division: Option<String>,
    /// Only this district.
    pub only_district: Option<String>,
    /// Table of members to be won, by division, district or booth.
    pub targets: Option<PathBuf>,
    /// Table of workers with their booths.
    pub worker_booths: Option<PathBuf>,
    /// Where the tables are written as a workbook or as CSV.
    pub tables: Option<PathBuf>,
    /// The language of those tables.
    pub language: Language,
    /// The zone of all times that are shown; UTC where it is blank.
    pub time_zone: String,
}

impl Default for PageOptions {
    fn default() -> Self {
        PageOptions {
            crops: 200,
            earlier: Vec::new(),
            assurance: None,
            only_division: None,
            only_district: None,
            targets: None,
            worker_booths: None,
            tables: None,
            language: Language::En,
            time_zone: String::new(),
        }
    }
}

/// Makes the page of the run whose tables lie in `tables` and whose folder is, or will be, `out`, and writes it to
/// `file`, readable by its owner alone. With the dump it has pictures.
///
/// # Errors
/// [`crate::Error::Input`] when a table is missing or of another form, or the dump is not that of the run; [`crate::Error::Io`]
/// when the disk refuses.
pub fn write(tables: &Path, out: &Path, source: Option<Source>, options: &PageOptions, file: &Path) -> Result<()> {
    let mut run = Run::open(tables, out)?;
    let zone = time_zone(&options.time_zone)?;
    let beside = out.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
    let mut earlier = earlier_nights(&run, &options.earlier, beside)?;
    let mut peers = PeerTable::read(tables)?;
    let scope = Scope::new(options.only_division.as_deref(), options.only_district.as_deref(), &peers.divisions);
    let mut persons = Persons::read(tables)?;
    persons.keep(&scope);
    if scope.is_part() {
        let pairs = persons.listed.iter().map(|person| person.all_links as u64).sum();
        narrow(&mut run, &scope, pairs)?;
        earlier.iter_mut().try_for_each(|night| narrow(night, &scope, 0))?;
        let mut divisions: Vec<String> = peers.divisions.values().cloned().collect();
        divisions.sort();
        divisions.dedup();
        scope.check(run.record.rows, &peers.district_names, &divisions)?;
    }
    let part =
        [&options.only_division, &options.only_district].into_iter().flatten().cloned().reduce(|a, b| a + " › " + &b);
    peers.keep(&scope);
    let mut night = Night::read(tables, &persons, &scope)?;
    persons.tell(&std::mem::take(&mut night.rows));
    night.sort_spoofs(&peers.stand_out_for(&[Reason::PhotoOfPhoto, Reason::PhotoOfPhotoSuspected]));
    let own = OwnTables::read(options.targets.as_deref(), options.worker_booths.as_deref())?;
    let drive = Drive::read(tables, &earlier, &peers.divisions, &scope)?;
    let mut pictures = source.map(|source| cut(source.dump, &run, &persons, &night, options.crops)).transpose()?;
    if let (Some(source), Some(pictures)) = (&source, &mut pictures) {
        for ((person, member), told) in before::tell(&earlier, source, &persons, options.crops) {
            pictures.members[person][member] = Some(told);
        }
    }
    let called = called::read_called(tables, &scope)?;
    let assurance = options.assurance.as_deref().map(Assurance::read).transpose()?;
    let gathered =
        Gathered { run, earlier, persons, night, peers, called, pictures, assurance, drive, own, part, zone };
    let page = view::page(&gathered)?;
    if let Some(path) = &options.tables {
        tables::write(path, &tables::sheets(&page, &gathered.drive, &gathered.zone, options.language))?;
    }
    write_durably(file, view::render(&page)?.as_bytes())
}

/// Has a run's record count the rows of a part alone.
fn narrow(run: &mut Run, scope: &Scope, pairs: u64) -> Result<()> {
    let summary = scope.summary(&run.path, pairs)?;
    run.record.rows = summary.rows;
    run.record.summary = Some(summary);
    Ok(())
}

/// The counts of a run that is done.
///
/// # Errors
/// [`crate::Error::Input`] when the folder has no `run.json` of an audit.
pub fn summary(run: &Path) -> Result<Summary> {
    Ok(Run::open(run, run)?.summary())
}

/// Whether a file is a page that was made here.
pub fn is_page(file: &Path) -> bool {
    let mut head = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(64 << 10).read_to_end(&mut head));
    read.is_ok() && head.windows(MARK.len()).any(|part| part == MARK.as_bytes())
}

/// Reads the pictures of the first `crops` persons and photos of photos.
fn cut(dump: &Dump, run: &Run, persons: &Persons, night: &Night, crops: usize) -> Result<Pictures> {
    let mut wanted = Vec::new();
    let mut places = Vec::new();
    for (at, person) in persons.listed.iter().take(crops).enumerate() {
        for (member, membership) in person.members.iter().enumerate() {
            let Some(fact) = &membership.tonight else { continue };
            let submission = Some(membership.submission.clone());
            let part = fact.face.map_or(Cut::Whole, Cut::Face);
            wanted.push(Wanted { row: fact.row, submission, cut: part });
            places.push((at, member));
        }
    }
    let spoofs = night.spoofs.iter().take(crops);
    wanted.extend(spoofs.map(|s| Wanted { row: s.row, submission: s.submission.clone(), cut: Cut::Whole }));
    let mut told = pictures::cut(dump, &wanted, &photo_limits(run))?;
    let spoofs = told.split_off(places.len());
    let empty = |person: &persons::Person| vec![None; person.members.len()];
    let mut members: Vec<Vec<Option<Told>>> = persons.listed.iter().take(crops).map(empty).collect();
    places.into_iter().zip(told).for_each(|((person, member), one)| members[person][member] = Some(one));
    Ok(Pictures { members, spoofs })
}
