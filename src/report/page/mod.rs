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
//! | `promises` | what is promised of the drive, and what its detectors are worth |
//! | `lists`, `format` | data for the script; numbers, times and texts as they are written |
//! | `view`, `report.html`, `report.css`, `report.js` | what is shown, and how |

mod before;
mod charts;
mod format;
mod gathered;
mod lists;
mod mask;
mod night;
mod peers;
mod persons;
mod pictures;
mod promises;
mod text;
mod view;

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::dump::Dump;
use crate::output::write_durably;
use crate::reason::Reason;
use crate::report::Summary;
use crate::report::run::{Run, earlier_nights};

use crate::assurance::record::Assurance;
pub use gathered::Source;
use gathered::{Gathered, Pictures, photo_limits};
use night::Night;
use peers::PeerTable;
use persons::Persons;
use pictures::{Cut, Told, Wanted};

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
}

impl Default for PageOptions {
    fn default() -> Self {
        PageOptions { crops: 200, earlier: Vec::new(), assurance: None }
    }
}

/// Makes the page of the run whose tables lie in `tables` and whose folder is, or will be, `out`, and writes it to
/// `file`, readable by its owner alone. With the dump it has pictures.
///
/// # Errors
/// [`crate::Error::Input`] when a table is missing or of another form, or the dump is not that of the run; [`crate::Error::Io`]
/// when the disk refuses.
pub fn write(tables: &Path, out: &Path, source: Option<Source>, options: &PageOptions, file: &Path) -> Result<()> {
    let run = Run::open(tables, out)?;
    let beside = out.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
    let earlier = earlier_nights(&run, &options.earlier, beside)?;
    let mut persons = Persons::read(tables)?;
    let mut night = Night::read(tables, &persons)?;
    persons.tell(&std::mem::take(&mut night.rows));
    let peers = PeerTable::read(tables)?;
    night.sort_spoofs(&peers.stand_out_for(&[Reason::PhotoOfPhoto, Reason::PhotoOfPhotoSuspected]));
    let mut pictures = source.map(|source| cut(source.dump, &run, &persons, &night, options.crops)).transpose()?;
    if let (Some(source), Some(pictures)) = (&source, &mut pictures) {
        for ((person, member), told) in before::tell(&earlier, source, &persons, options.crops) {
            pictures.members[person][member] = Some(told);
        }
    }
    let assurance = options.assurance.as_deref().map(Assurance::read).transpose()?;
    let page = view::render(&Gathered { run, earlier, persons, night, peers, pictures, assurance })?;
    write_durably(file, page.as_bytes())
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
