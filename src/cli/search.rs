//! `chehra search`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::help::{INPUT, OUTPUT};
use crate::cli::setup::{self, EngineArgs};
use crate::cli::{Common, print_as};
use crate::dump::Dump;
use crate::gallery::{Engine, Searcher, Store};
use crate::lookup::faces::Picture;
use crate::lookup::search::{PhotoOrProblem, Question, Searchable};
use crate::lookup::thumbnails;
use crate::output::{self, Kept};
use crate::report::Progress;
use crate::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  chehra search photo.jpg --store /data/store
  chehra search a.jpg b.png --store /data/store --top 10 --where \"district = 'Ujjain' and captured_at >= '2026-11'\"
  chehra search photo.jpg --store /data/store --dump /data/dump/2026-11-21 --thumbnails faces --json > found.json

Every face of a photo is asked about separately; faces are numbered from the left. For each member found the answer
says, as an audit does, how many pairs as alike the whole store holds by chance. A face alone proves nothing: kin look
alike. Mobile and voter-ID numbers are masked. A photo that cannot be read is named, the others are answered, and
the exit code is 65; a photo without a face, or a filter that selects nobody, is an answer.";

const SEARCHED: &str = "Who is found";

/// Flags of `search`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SearchArgs {
    /// Photos: JPEG, PNG or WebP
    #[arg(required = true, value_name = "PHOTO")]
    photos: Vec<PathBuf>,
    /// The store
    #[arg(help_heading = INPUT, short, long, value_name = "DIR")]
    store: PathBuf,
    /// Most members per face
    #[arg(help_heading = SEARCHED, long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    top: u16,
    /// Only members for which this SQL expression holds (see `chehra dedup --help`)
    #[arg(help_heading = SEARCHED, long = "where", value_name = "SQL")]
    filter: Option<String>,
    /// Dump the members came with, to cut their faces from
    #[arg(help_heading = INPUT, long, value_name = "DUMP", requires = "thumbnails")]
    dump: Vec<PathBuf>,
    /// Folder for a PNG of each member found whose submission is in --dump
    #[arg(help_heading = OUTPUT, long, value_name = "DIR", requires = "dump")]
    thumbnails: Option<PathBuf>,
    /// Show mobile and voter-ID numbers whole
    #[arg(help_heading = OUTPUT, long)]
    unmask: bool,
    /// How the store is searched: auto, exact or hnsw
    #[arg(help_heading = SEARCHED, long, value_name = "ENGINE", default_value_t)]
    search: Engine,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Runs it.
pub fn run(args: &SearchArgs, common: &Common) -> Result<()> {
    let policy = setup::working_policy(args.engine.policy.as_deref())?;
    let store = Store::open(&args.store)?;
    let dump = (!args.dump.is_empty()).then(|| Dump::open(&args.dump, &common.settings.columns)).transpose()?;
    if let (Some(dump), Some(folder)) = (&dump, &args.thumbnails) {
        let kept: Vec<Kept> = dump.kept().into_iter().chain([Kept::whole("the store", &args.store)]).collect();
        output::check("--thumbnails", folder, &kept)?;
    }
    let engine = args.engine.engine(&policy)?;
    let searcher = Searcher::new(args.search, &policy.hnsw, engine.device());
    let question =
        Question { top: args.top.into(), filter: args.filter.as_deref(), unmask: args.unmask, searcher: &searcher };
    let searchable = Searchable::new(&store, &engine, &question)?;
    let mut problem = None;
    let mut photos: Vec<PhotoOrProblem> = Vec::new();
    for path in &args.photos {
        match Picture::look(path, &engine, &policy) {
            Ok(picture) => photos.push((path.clone(), Some(picture), None)),
            Err(error @ Error::Input { .. }) => {
                let Error::Input { found, .. } = &error else { continue };
                photos.push((path.clone(), None, Some(format!("not a photo that can be read: {found}"))));
                problem.get_or_insert(error);
            }
            Err(other) => return Err(other),
        }
    }
    // Where no photo can be read there is no answer to print.
    if let Some(error) = problem.take_if(|_| photos.iter().all(|photo| photo.1.is_none())) {
        return Err(error);
    }
    let mut answer = searchable.ask(&photos, &question, &policy)?;
    if let (Some(dump), Some(folder)) = (&dump, &args.thumbnails) {
        let count = thumbnails::write(&mut answer, dump, folder, (searchable.gallery(), &engine, &policy))?;
        Progress::new(common.quiet).say(&format!("{count} faces in {}", folder.display()));
    }
    print_as(&answer, common.json)?;
    problem.map_or(Ok(()), Err)
}
