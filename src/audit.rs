//! The nightly job: the stages wired in order.
//!
//! ```text
//! dump -> see (photo, face, infer; durable batch by batch) -> judge (roles, findings, pairs) -> tables, store, record
//! ```
//! Where other machines have seen the dump (`part`, `worker`), their parts take the place of `see`. Only `see` touches
//! pictures and networks, and only it is long; its batches survive a stop. Judging is a pure function of what was seen
//! and of the store, and is done anew. The store is committed before the run folder: a run that is
//! stopped in between finds its own rows in the store and gives the same verdicts.

mod job;
mod members;
mod night;
mod numbers;
mod ordered;
mod part;
mod pictures;
mod presence;
mod record;
mod replies;
mod reuse;
mod rows;
mod see;
mod standing;
mod warnings;
mod worker;

pub use job::{Job, read_ids};
pub use part::{Part, PartSeen, SeeJob, see_part};
pub(crate) use see::{References, Selection, references, see_rows};
pub(crate) use standing::{is_comparable, member};
pub use worker::{Interface, WorkerJob, work};

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

use crate::Result;
use crate::dump::Dump;
use crate::gallery::{self, Commit, Gallery, Searcher, Spool, Store};
use crate::infer::{Engine, ModelId};
use crate::matching::TimeOrder;
use crate::matching::review::review_queue;
use crate::objects::RunCopy;
use crate::pairs::{self, KeptCurve, Members, of_selfies};
use crate::presence::rings;
use crate::reason::Reason;
use crate::report::page::{self, Source};
use crate::report::{Progress, Summary};
use crate::roles::assign;
use crate::verdict::rules::{self, Given};
use crate::verdict::{DecidedRows, Everywhere, Finding, Findings, RunFolder, assemble, rows_of};

use job::Inputs;
use members::{enrolled_before, memberships};
use night::{Night, peers};
use pictures::{Past, Pictures};
use presence::{Presence, shared_members};
use record::{Done, RunKey, RunRecord, Times, announce};
use reuse::ReuseCounts;
use rows::Rows;
use see::{Seen, Watch, read_seen, see_dump, worker_photos};
use standing::{Standing, repeated_ids};

/// Audits a dump and commits the run folder, under the policy that the networks were loaded with.
///
/// # Errors
/// Before any work: an unusable dump, store or run folder. Later only [`crate::Error::Io`], [`crate::Error::Interrupted`] and bugs: a
/// bad row is a row.
pub fn run(job: &Job, engine: &Engine, progress: Progress, stop: &AtomicBool) -> Result<Summary> {
    let mut inputs = Inputs::open(job, engine)?;
    let store = job.store.as_ref().map(Store::open_or_create).transpose()?;
    let _night = store.as_ref().map(Store::begin_night).transpose()?;
    // All of it, now: damage must not be found only when hours of seeing are done.
    store.as_ref().map(Store::check).transpose()?;
    let folder = RunFolder::begin(&job.out, job.force)?;
    if let Some(place) = folder.unfinished_elsewhere() {
        progress.say(&format!("what is unfinished lies in {}", place.display()));
    }
    sweep_spools(store.as_ref(), &folder, progress)?;
    let mut times = Times::start(job.metrics.clone());
    announce(&inputs, engine, progress);
    let warning = inputs.warning_of_workers();
    warning.iter().for_each(|warning| log::warn!("{warning}"));
    let key = RunKey::of(job, &inputs, engine)?;
    times.ended("hash");
    if folder.is_done(&key.run_id) {
        return done_already(&folder, progress);
    }
    folder.start()?;

    let photos = worker_photos(inputs.workers.as_deref(), engine, progress)?;
    times.ended("workers");
    let mut spool = Spool::open(&folder.spool(), &key.run_id, store.as_ref(), &inputs.consented)?;
    let watch = Watch { progress, metrics: job.metrics.as_deref(), stop };
    let mut seen = match &inputs.rows {
        Rows::Dump(dump) => see_dump(dump, 0..dump.total_rows(), photos, engine, &mut spool, watch)?,
        Rows::Seen(folder, _) => {
            let noted = store.as_ref().map(|store| store.note_seen(folder.path(), job.keep_seen)).transpose()?;
            read_seen(folder, photos, &spool, noted.as_ref(), watch)?
        }
    };
    inputs.survey_seen(&seen.analyses);
    if inputs.survey.has_one_device() {
        seen.analyses.iter_mut().for_each(|analysis| analysis.facts.device_id = None);
    }
    times.ended("see");

    let times_of_capture = seen.analyses.iter().filter_map(|analysis| analysis.facts.captured_at);
    let past = Past {
        store: store.as_ref(),
        key: &key.store_key,
        read_at: key.read_at(store.as_ref(), seen.begun)?,
        order: TimeOrder::new(engine.policy().facts.drive_begins(), times_of_capture),
    };
    let night = judge(job, &inputs, &seen, engine, past, &mut times)?;

    let everywhere = Everywhere {
        models: engine.models().join(" "),
        run_id: key.run_id.clone(),
        language: engine.policy().release.language,
    };
    night.write(&folder.tables(), &mut inputs.carry, everywhere)?;
    times.ended("write");
    let commit = past.store.map(|store| add_to_store(store, &key, &inputs, &seen, &night, engine)).transpose()?;
    if commit.is_some() {
        times.ended("store");
    }
    let notes = record::notes(&night.matched.judged.statistics, &night.queue, job.review_budget);
    let mut summary = night.summary(inputs.rows.total(), notes)?;
    summary.warnings = warning.into_iter().collect();
    summary.warnings.extend(warnings::of_columns(&inputs.survey, &seen.analyses, inputs.workers.as_deref())?);
    let done = Done {
        job,
        inputs: &inputs,
        engine,
        key: &key,
        seen: &seen,
        night: &night,
        commit,
        times: &times,
        summary: &summary,
    };
    RunRecord::of(done).write(&folder)?;
    summary.no_page = write_page(job, inputs.rows.dump(), &folder);
    folder.commit()?;
    sweep_seen(store.as_ref(), progress)?;
    Ok(summary)
}

/// Everything after seeing. Stages return findings; none changes what another has found, and what a stage needs of
/// another's it is given.
fn judge(job: &Job, inputs: &Inputs, seen: &Seen, engine: &Engine, past: Past, times: &mut Times) -> Result<Night> {
    let (analyses, policy) = (&seen.analyses, engine.policy());
    let model = ModelId(engine.embedder_id().to_owned());
    let earlier = past.store.map_or_else(|| Ok(Gallery::empty()), |store| store.view(Some(past.key)))?;

    // Who is who, and what each row says by itself.
    let remembered = past.store.map(|store| store.workers(Some(past.key), &model)).transpose()?.unwrap_or_default();
    let mut roles = assign(analyses, &seen.photos.settle(analyses, &policy.roles), &remembered, &policy.roles);
    let decided = DecidedRows::among(analyses, &inputs.decisions);
    decided.correct(analyses, &mut roles.casts);
    let casts = &roles.casts;
    times.ended("roles");
    let given = Given {
        has_consent: inputs.rows.has_column("consent"),
        read_at: Some(past.read_at),
        booths: inputs.booths.as_ref(),
    };
    let mut own: Vec<_> =
        analyses.iter().zip(casts).map(|(a, cast)| rules::first_look(a, cast, given, policy)).collect();
    decided.overturn(&mut own, &policy.verdicts);

    // Copies, and with them who is compared.
    let pictures = Pictures::gather(analyses, casts, past, &model, &own)?;
    let first = decided.keep([repeated_ids(analyses, &earlier), pictures.same(&earlier, policy)].concat());
    let standing = Standing::decide(analyses, casts, &own, &first, &policy.verdicts, &model);
    let standing = standing.without(&decided.refused());

    // Who was enrolled before: by face, and by number.
    let members = Members::tonight(&standing.members, &standing.rows, &earlier, &model)?.in_order(past.order);
    let searcher = Searcher::new(job.search, &policy.hnsw, engine.device());
    let known = of_selfies(analyses, casts);
    let matched = pairs::find(&members, known, &inputs.decisions, &policy.matching, &searcher, &mut |_| Ok(()))?;
    let numbers = numbers::compare(&matched, standing.named(), &earlier, past.order, policy);
    let before = enrolled_before(&matched, &numbers.tries);
    let duplicates = rows_of(&before, |found| found.reason == Reason::DuplicateMember);
    let tries = numbers.tries.findings(&matched, &duplicates);
    times.ended("search");

    // What else came again.
    let repeats = rows_of(first.iter().chain(&before).chain(&tries), Finding::is_repeat);
    let copies = decided.keep(pictures.copies(&matched, &repeats, past, policy)?);
    let known = rows_of(first.iter().chain(&copies), |found| found.reason == Reason::DuplicateSelfie);
    let scenes = pictures.scenes(&known, policy, searcher.processor())?;
    times.ended("reuse");

    // Where, when and with which phone.
    let repeats: HashSet<u64> = repeats.union(&known).copied().collect();
    let presence = Presence::judge(analyses, &own, &repeats, &pictures.earlier_rooms(), policy);
    times.ended("presence");

    // What members answered.
    let stored = past.store.map(|store| store.answers(Some(past.key))).transpose()?.unwrap_or_default();
    let answered = replies::answered(&inputs.replies, &stored, analyses, &earlier, policy);

    let ties = [scenes.ties, presence.shared_phones, shared_members(&matched).collect()].concat();
    let later = [before, tries, numbers.reused, copies, scenes.findings, presence.findings, answered.findings].concat();
    let later = decided.keep(later);
    let findings = Findings { first, memberships: memberships(&matched), later };
    let mut rows = assemble(own, &findings, &policy.verdicts);
    decided.conclude(&mut rows);
    let reuse = ReuseCounts {
        pictures_of_earlier_nights: pictures.count_of_earlier_nights(),
        shared_backgrounds: scenes.shared_backgrounds,
        recurring_bystanders: scenes.recurring_bystanders,
        ..ReuseCounts::of(&findings, &rows)
    };
    Ok(Night {
        read_at: past.read_at,
        queue: review_queue(&matched.enrolments, &matched.judged, policy.facts.retry_minutes, job.review_budget),
        peers: peers(analyses, &rows, answered.peers, policy),
        presence: presence.measured,
        rings: rings(&ties, &presence::sizes(analyses)),
        replies: answered.counts,
        replies_refused: answered.refused,
        answers: answered.to_store,
        enrolled: standing.enrolled(&rows_of(findings.iter(), Finding::is_repeat)),
        pictures: pictures.to_store(&model, policy, &rows),
        members_of_earlier_nights: earlier.live(),
        decided_rows: decided.counts(),
        roles,
        rows,
        matched,
        reuse,
    })
}

/// Adds the night to the store. The lock is taken now: somebody may have been forgotten since the store was read.
fn add_to_store(
    store: &Store,
    key: &RunKey,
    inputs: &Inputs,
    seen: &Seen,
    night: &Night,
    engine: &Engine,
) -> Result<Commit> {
    let model = ModelId(engine.embedder_id().to_owned());
    let mut writer = store.begin_in_turn()?;
    let remembered = writer.workers(Some(&key.store_key), &model)?;
    let workers = night.roles.remember(&remembered, &model, &engine.policy().roles);
    let renewed = inputs.consented_among(&seen.analyses);
    let curve = KeptCurve::of(&night.matched.judged).to_bytes()?;
    let added = gallery::Night {
        members: &night.enrolled,
        pictures: &night.pictures,
        workers: Some(&workers),
        renewed: &renewed,
        curve: Some(gallery::Curve { model: &model, bytes: &curve }),
    };
    let commit = writer.add_night(&key.store_key, added)?;
    writer.keep_answers(&night.answers)?;
    Ok(commit)
}

/// Removes spools of runs with which nobody went on for a week.
fn sweep_spools(store: Option<&Store>, folder: &RunFolder, progress: Progress) -> Result<()> {
    let Some(store) = store else { return Ok(()) };
    for spool in store.sweep_abandoned_spools(&folder.spool())? {
        progress.say(&format!("{}: removed, for its run was not gone on with for a week", spool.display()));
    }
    Ok(())
}

/// Removes what was seen and is no longer to be kept.
fn sweep_seen(store: Option<&Store>, progress: Progress) -> Result<()> {
    let Some(store) = store else { return Ok(()) };
    for folder in store.sweep_seen()? {
        progress.say(&format!("{}: removed, for it was to be kept no longer (--keep-seen)", folder.display()));
    }
    Ok(())
}

/// The same command as one that was stopped after its run was whole and in its place: nothing is left but to clean up.
fn done_already(folder: &RunFolder, progress: Progress) -> Result<Summary> {
    let summary = page::summary(RunCopy::of(folder.out())?.path())?;
    folder.clear()?;
    progress.say(&format!("{}: done already", folder.out().display()));
    Ok(summary)
}

/// Writes the page for people. It can be made anew at any time, so a page that cannot be made does not cost the night; but
/// somebody has to know, so what was in the way is returned.
fn write_page(job: &Job, dump: Option<&Dump>, folder: &RunFolder) -> Option<String> {
    let options = job.page.as_ref()?;
    let (tables, out) = (folder.tables(), folder.out());
    let file = tables.join(page::FILE);
    let source = dump.map(|dump| Source { dump, columns: &job.columns });
    let error = page::write(&tables, out, source, options, &file).err()?;
    // Half a page would be taken for a whole one.
    drop(std::fs::remove_file(&file));
    Some(format!("no {}: {error}\n  `chehra report {} --dump DUMP` makes it", page::FILE, out.display()))
}
