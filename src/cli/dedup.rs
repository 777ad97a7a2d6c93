//! `chehra dedup`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::help::OUTPUT;
use crate::cli::setup::{self, EngineArgs};
use crate::cli::{Common, print, print_as_it_is};
use crate::config::Policy;
use crate::decisions::Decisions;
use crate::device;
use crate::gallery::{Engine, Filter, Gallery, Searcher, Store};
use crate::infer::ModelId;
use crate::lookup::pairs::{PairRow, listed, pair_rows, persons};
use crate::lookup::source::{Chosen, Reader, Source};
use crate::matching::{Enrolment, Pair};
use crate::output::{self, Kept};
use crate::pairs::{self, Found, KeptCurve, Members};
use crate::report::Progress;
use crate::sheets::{self, SheetFormat};
use crate::verdict::{RunFolder, create_private, write_clusters, write_pairs, write_pairs_as};
use crate::{Error, Result};

const EXAMPLES: &str = "\
Examples:
  chehra dedup /data/dump/2026-11-21
  chehra dedup /data/dump/2026-11-21 --where \"district in ('Ujjain', 'Gwalior') and worker_id = 'W17'\" --against store
  chehra dedup /data/runs/2026-11-21 --where \"verdict = 'review'\" --against /data/store --format csv --out pairs.csv
  chehra dedup may.parquet --against june.parquet --format parquet --out pairs.parquet    # two `gallery export` files
  chehra dedup --store /data/store --all-pairs --where \"captured_at >= '2026-11-01'\"
  chehra dedup may.parquet --against june.parquet --out pairs.xlsx      # or pairs.csv, for a spreadsheet
  chehra dedup --store /data/store --all-pairs --out out/dedup      # pairs.parquet, clusters.parquet, run.json

--where is an SQL expression over the columns of a row: submission_id, worker_id, district, captured_at, mobile, epic,
member_name; of a store also quality; of a dump also division, sector, mandalam, booth_id, consent,
latitude, longitude, accuracy_m, device_id, app_version, uploaded_at, network; of a run also its verdict, reasons (joined by commas), cluster_id, duplicate_of, cross_district, similarity, member_liveness and others.
Times are UTC: captured_at >= '2026-11-01', = '2026-11', < '2026-11-02T00:00+05:30'. Nothing is added to any store.
Expected false matches are stated for all members that take part, those compared with included; against a store as its
last audit states them.";

/// How pairs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One line per pair
    Csv,
    /// Pairs, persons, statistics
    Json,
    /// The columns of pairs.parquet; needs --out
    Parquet,
    /// A workbook with the columns of pairs.parquet; needs --out
    Xlsx,
}

/// Pairs that a table for people shows.
const SHOWN: usize = 20;

const COMPARED: &str = "Who is compared";

/// Flags of `dedup`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DedupArgs {
    /// Dumps (Parquet files, folders of them, globs), run folders, `gallery export` files or stores
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// The store: what --against store means, and what --all-pairs compares
    #[arg(help_heading = COMPARED, short, long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Compare every member of the store with every other
    #[arg(help_heading = COMPARED, long)]
    all_pairs: bool,
    /// Only rows for which this SQL expression holds
    #[arg(help_heading = COMPARED, long = "where", value_name = "SQL")]
    filter: Option<String>,
    /// Compare with: self (each other), store (that of --store), or the path of a store, run folder, export or dump
    #[arg(help_heading = COMPARED, long, value_name = "WHAT", default_value = "self")]
    against: String,
    /// How pairs are written [default: by the ending of --out, else table]
    #[arg(help_heading = OUTPUT, long, value_name = "FORMAT")]
    format: Option<Format>,
    /// How the pairs are found: auto, exact or hnsw. Both give the same scores; what HNSW missed is measured
    #[arg(help_heading = COMPARED, long, value_name = "ENGINE", default_value_t)]
    search: Engine,
    #[command(flatten)]
    members: FilterArgs,
    /// New file for the pairs; without a known ending a new folder for pairs.parquet, clusters.parquet and run.json
    #[arg(help_heading = OUTPUT, short, long, value_name = "PATH")]
    out: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Which members take part.
#[derive(Debug, Args, serde::Serialize)]
#[command(next_help_heading = "Filters")]
struct FilterArgs {
    /// Only members enrolled in this district
    #[arg(long, value_name = "NAME")]
    only_district: Option<String>,
    /// Without members enrolled in this district
    #[arg(long, value_name = "NAME")]
    not_district: Option<String>,
    /// Without members enrolled by this worker
    #[arg(long, value_name = "ID")]
    not_worker: Option<String>,
    /// Without the member of this submission
    #[arg(long, value_name = "ID")]
    not_submission: Option<String>,
    /// Only templates of this model; needed where a store has several
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

impl FilterArgs {
    fn filter(&self) -> Filter<'_> {
        Filter {
            not_submission: self.not_submission.as_deref(),
            not_worker: self.not_worker.as_deref(),
            not_district: self.not_district.as_deref(),
            only_district: self.only_district.as_deref(),
        }
    }
}

/// Where the answer goes.
enum Sink {
    Print(Format),
    File(Format, PathBuf),
    Folder(RunFolder, Format),
}

/// In which form the answer is written.
#[derive(Clone, Copy)]
struct Form {
    format: Format,
    is_folder: bool,
}

impl DedupArgs {
    /// In which form to write, and whether into a folder.
    fn form(&self, as_json: bool) -> Result<Form> {
        let by_ending = |path: &Path| match path.extension().and_then(|e| e.to_str()) {
            Some("csv") => Some(Format::Csv),
            Some("json") => Some(Format::Json),
            Some("parquet") => Some(Format::Parquet),
            Some("xlsx") => Some(Format::Xlsx),
            Some("txt") => Some(Format::Table),
            _ => None,
        };
        let said = self.format.unwrap_or(if as_json { Format::Json } else { Format::Table });
        match &self.out {
            None if matches!(said, Format::Parquet | Format::Xlsx) => {
                let name = if said == Format::Xlsx { "xlsx" } else { "parquet" };
                Err(Error::usage(format!("--format {name}"), "no file is named", format!("add --out pairs.{name}")))
            }
            None => Ok(Form { format: said, is_folder: false }),
            Some(out) => {
                let file = self.format.or_else(|| by_ending(out));
                Ok(Form { format: file.unwrap_or(said), is_folder: file.is_none() })
            }
        }
    }

    /// Refuses, before any work, an output that exists or would touch what is read.
    fn check_out(&self, sources: &[Source], target: Option<&Source>) -> Result<()> {
        let Some(out) = &self.out else { return Ok(()) };
        let kept: Vec<Kept> = sources.iter().chain(target).flat_map(Source::kept).collect();
        let store = self.store.iter().map(|store| Kept::whole("the store", store));
        output::check("--out", out, &kept.into_iter().chain(store).collect::<Vec<_>>())?;
        match std::fs::symlink_metadata(out) {
            Err(_) => Ok(()),
            Ok(_) => {
                let fix = "name another --out, or remove it first";
                Err(Error::input(out, "output", "no file or folder of this name yet", "it exists", fix))
            }
        }
    }

    /// What to write and where.
    fn sink(&self, form: Form) -> Result<Sink> {
        Ok(match &self.out {
            None => Sink::Print(form.format),
            Some(out) if form.is_folder => {
                let folder = RunFolder::begin(out, false)?;
                folder.start()?;
                Sink::Folder(folder, form.format)
            }
            Some(out) => Sink::File(form.format, out.clone()),
        })
    }

    /// The inputs; the store itself where none is named.
    fn sources(&self) -> Result<Vec<Source>> {
        match (self.inputs.as_slice(), &self.store) {
            ([], Some(store)) if self.all_pairs => Ok(vec![Source::Store(store.clone())]),
            ([], _) => {
                let fix = "name dumps, run folders, exports or stores, or give --store DIR --all-pairs";
                Err(Error::usage("INPUT", "nothing to look at", fix))
            }
            (inputs, _) => Ok(Source::all(inputs)),
        }
    }

    /// What the members are compared with; `None` for each other.
    fn target(&self) -> Result<Option<Source>> {
        match (self.against.as_str(), &self.store) {
            ("self", _) => Ok(None),
            ("store", Some(store)) => Ok(Some(Source::Store(store.clone()))),
            ("store", None) => Err(Error::usage("--against store", "no store is named", "add --store DIR")),
            (path, _) => Ok(Some(Source::of(Path::new(path)))),
        }
    }
}

/// Runs it.
pub fn run(args: &DedupArgs, common: &Common) -> Result<()> {
    let policy = setup::working_policy(args.engine.policy.as_deref())?;
    let (sources, target) = (args.sources()?, args.target()?);
    let form = args.form(common.json)?;
    args.check_out(&sources, target.as_ref())?;
    let searcher = Searcher::new(args.search, &policy.hnsw, &device::open(args.engine.device)?);
    let progress = Progress::new(common.quiet);
    let load = || args.engine.engine(&policy);
    let reader = Reader::new(&policy, &common.settings.columns, args.store.as_deref(), &load, progress);
    target.iter().try_for_each(|source| reader.check(source))?;
    let chosen: Vec<Chosen> =
        sources.iter().map(|source| reader.choose(source, args.filter.as_deref())).collect::<Result<_>>()?;
    let sink = args.sink(form)?;
    let members = chosen.iter().fold(Gallery::empty(), |all, one| all.followed_by(&one.members));
    // Where there were rows, a filter that lets none pass is an answer; where there were none, the input is wrong.
    let found = if members.is_empty() && chosen.iter().any(|one| one.rows > 0) {
        None
    } else {
        let members = pairs::select(&members, args.members.model.as_deref(), &args.members.filter())?;
        let target =
            target.as_ref().map(|source| Ok::<_, Error>((source, reader.choose(source, None)?))).transpose()?;
        Some(compare(&members, target, &policy, &searcher, progress)?)
    };
    let answer = Answer { args, chosen: &chosen, found: found.as_ref(), policy: &policy };
    answer.give(sink)
}

/// Compares the members with each other, or with those of the target.
fn compare(
    members: &Gallery,
    target: Option<(&Source, Chosen)>,
    policy: &Policy,
    searcher: &Searcher,
    progress: Progress,
) -> Result<Found> {
    let live = members.live();
    let with = target.as_ref().map_or("each other".to_owned(), |(source, _)| source.name());
    progress.say(&format!("comparing {live} members with {with}"));
    let stage = progress.stage("compare", "members", live as u64, 0);
    let mut done = 0;
    let mut step = |now: usize| {
        // HNSW may be followed by exact search, which starts anew.
        stage.advance(now.saturating_sub(done) as u64);
        done = now;
        Ok(())
    };
    let members = match target {
        None => Members::each_other(members)?,
        Some((source, target)) => {
            let model = members.models().first().map(|(model, _)| (*model).clone());
            let others = of_model(&target.members, model.as_ref(), source)?;
            Members::against(members, &others)?.with_curve(curve_of(source, model.as_ref())?)
        }
    };
    pairs::find(&members, Vec::new(), &Decisions::default(), &policy.matching, searcher, &mut step)
}

/// The curve that a store's last audit was judged with: what is compared with its members is judged with the same one.
fn curve_of(source: &Source, model: Option<&ModelId>) -> Result<Option<KeptCurve>> {
    match (source, model) {
        (Source::Store(path), Some(model)) => KeptCurve::read(&Store::open(path)?, model),
        _ => Ok(None),
    }
}

/// The members of the target that have templates of this model.
fn of_model(target: &Gallery, model: Option<&ModelId>, source: &Source) -> Result<Gallery> {
    let model = model.ok_or_else(|| Error::bug("choosing members", "nobody was chosen"))?;
    let others = target.only(model, &Filter::default());
    if others.is_empty() {
        let flag = format!("--against {}", source.name());
        let theirs: Vec<&str> = target.models().iter().map(|(model, _)| model.0.as_str()).collect();
        return Err(match theirs.as_slice() {
            [] => {
                Error::usage(flag, "nobody is there to compare with", "name a store, an export or a dump with members")
            }
            _ => {
                let problem = format!("its templates are of {}, those asked about of {}", theirs.join(", "), model.0);
                Error::usage(flag, problem, "templates of two models are never compared; for a dump, name --embedder")
            }
        });
    }
    Ok(others)
}

/// What was found, and how it is told.
struct Answer<'a> {
    args: &'a DedupArgs,
    chosen: &'a [Chosen],
    found: Option<&'a Found>,
    policy: &'a Policy,
}

impl Answer<'_> {
    fn give(&self, sink: Sink) -> Result<()> {
        match sink {
            Sink::Print(format) => self.print(format),
            Sink::File(Format::Parquet, path) => {
                self.write_pairs(&path)?;
                print(&self.described())
            }
            Sink::File(Format::Xlsx, path) => {
                let (enrolments, pairs) = self.pairs();
                write_pairs_as(&path, Some(SheetFormat::Xlsx), enrolments, pairs)?;
                print(&self.described())
            }
            Sink::File(format, path) => {
                // By the mark Excel knows that it is UTF-8.
                let mark = if format == Format::Csv { "\u{feff}" } else { "" };
                let text = mark.to_owned() + &self.text(format)?;
                create_private(&path)?.write_all(text.as_bytes()).map_err(Error::io("write", &path))?;
                print(&self.described())
            }
            Sink::Folder(folder, format) => {
                self.write(&folder.tables())?;
                folder.commit()?;
                self.print(format)
            }
        }
    }

    fn print(&self, format: Format) -> Result<()> {
        let text = self.text(format)?;
        if format == Format::Table { print(&text) } else { print_as_it_is(&text) }
    }

    fn text(&self, format: Format) -> Result<String> {
        match format {
            Format::Table => Ok(self.listed() + &self.described()),
            Format::Csv | Format::Parquet | Format::Xlsx => self.csv(),
            Format::Json => {
                serde_json::to_string_pretty(&self.record(true)).map_err(|e| Error::bug("printing JSON", e))
            }
        }
    }

    fn csv(&self) -> Result<String> {
        let failed = |e: csv::Error| Error::bug("writing CSV", e);
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        writer.write_record(PairRow::NAMES).map_err(failed)?;
        for row in self.found.map(pair_rows).unwrap_or_default() {
            writer.serialize(row).map_err(failed)?;
        }
        sheets::without_formulas(&writer.into_inner().map_err(|e| Error::bug("writing CSV", e))?)
    }

    fn pairs(&self) -> (&[Enrolment], &[Pair]) {
        self.found.map_or((&[], &[]), |found| (&found.enrolments, &found.judged.pairs))
    }

    fn write_pairs(&self, path: &Path) -> Result<()> {
        let (enrolments, pairs) = self.pairs();
        write_pairs(path, enrolments, pairs)
    }

    fn write(&self, tables: &Path) -> Result<()> {
        self.write_pairs(&tables.join("pairs.parquet"))?;
        let (enrolments, clusters) =
            self.found.map_or((&[][..], &[][..]), |f| (f.enrolments.as_slice(), f.judged.clusters.as_slice()));
        write_clusters(&tables.join("clusters.parquet"), enrolments, clusters)?;
        let path = tables.join("run.json");
        let text = serde_json::to_string_pretty(&self.record(false)).map_err(|e| Error::bug("writing run.json", e))?;
        writeln!(create_private(&path)?, "{text}").map_err(Error::io("write", &path))
    }

    /// What `run.json` holds, and what is printed as JSON, then with the pairs.
    fn record(&self, with_pairs: bool) -> Value {
        let mut record = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "inputs": self.chosen,
            "store": self.args.store,
            "where": self.args.filter,
            "against": self.args.against,
            "filters": self.args.members,
            "threads": rayon::current_num_threads(),
            "search": self.found.map(|f| &f.search),
            "matching": self.found.map(|f| &f.judged.statistics),
            "policy": self.policy,
        });
        if with_pairs {
            record["pairs"] = json!(self.found.map(pair_rows).unwrap_or_default());
            record["clusters"] = json!(self.found.map(persons).unwrap_or_default());
        }
        record
    }

    fn listed(&self) -> String {
        let Some(found) = self.found else { return String::new() };
        let mut text = listed(found, SHOWN);
        let more = found.judged.pairs.len().saturating_sub(SHOWN);
        if more > 0 {
            text += &format!("and {more} more pairs; --format csv lists all\n");
        }
        if text.is_empty() { text } else { text + "\n" }
    }

    fn described(&self) -> String {
        let mut text = String::new();
        // A whole store needs no counting of its inputs.
        if !self.args.inputs.is_empty() || self.args.filter.is_some() {
            self.chosen.iter().for_each(|one| text += &counted(one, self.args.filter.is_some()));
        }
        match self.found {
            Some(found) => text + &describe(found),
            None => text + "Nobody is left to compare.",
        }
    }
}

/// How many rows of an input take part, and why others do not.
fn counted(one: &Chosen, filtered: bool) -> String {
    let mut text = format!("{}: {} rows", one.from, one.rows);
    if filtered {
        text += &format!(", {} selected", one.passed);
    }
    text += &format!(", {} members compared", one.members.live());
    if !one.left_out.is_empty() {
        let each: Vec<String> = one.left_out.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        text += &format!(" (others: {})", each.join(", "));
    }
    text + "\n"
}

fn describe(found: &Found) -> String {
    let mut text = String::new();
    for cluster in &found.judged.clusters {
        let ids: Vec<&str> = cluster.members.iter().map(|&m| found.enrolments[m].submission_id.as_str()).collect();
        text += &format!("{}  {}  {}\n", cluster.id, cluster.districts.join(", "), ids.join(" "));
    }
    let statistics = &found.judged.statistics;
    text += &format!(
        "{} members: {} pairs flagged, {:.2} of them expected by chance; {} persons with two or more memberships\n",
        statistics.gallery_size, statistics.flagged_pairs, statistics.expected_false_pairs, statistics.clusters,
    );
    text += &format!(
        "{} memberships flagged by their faces; {:.1} % of them are expected to be wrong, at most {:.1} %.\n",
        statistics.flagged_memberships,
        100.0 * statistics.expected_false_share,
        100.0 * statistics.expected_false_share_upper
    );
    text += &format!("False matches from {}.\n", statistics.impostors.source());
    text += &statistics.impostors.warning().map_or_else(String::new, |warning| warning + ".\n");
    let search = &found.search;
    text += &format!("{:.1} s, {} search on {} ({})", search.seconds, search.engine, search.kernel, search.reason);
    if let Some(c) = &search.certificate {
        let [low, high] = c.interval.map(|share| 100.0 * share);
        text += &format!(
            "\nHNSW missed {} of {} true pairs of {} members searched exactly as well: {:.2} %, 95 % interval {low:.2} to {high:.2} %",
            c.missed,
            c.true_pairs,
            c.probes,
            100.0 * c.missed_share
        );
    }
    text
}
