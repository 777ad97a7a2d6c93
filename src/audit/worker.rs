//! `see` over a pipe: batches of rows in, batches of what was seen out, for a cluster engine that moves the rows itself.
//!
//! The stream is Arrow's IPC format, in and out. For each batch that comes in one goes out, with the same rows in the same order,
//! flushed before the next is read: so whoever drives it knows which rows were under way when the process ended. What comes
//! out is a pure function of what went in: no clock, no chance.

use std::io::{BufReader, BufWriter, Read, Write};

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde::Serialize;

use super::ordered::{Window, in_order};
use super::see::pieces;
use crate::config::Columns;
use crate::dump::{InputColumn, Stream, Submission, input_columns};
use crate::error::guarded;
use crate::infer::{Analysis, Engine, Lanes};
use crate::reason::{Reason, Reject};
use crate::seen::{Contract, Origin, record};
use crate::{Error, Result};

/// What stands for files in messages.
const INPUT: &str = "standard input";
/// See [`INPUT`].
const OUTPUT: &str = "standard output";

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerJob {
    /// What the columns of the batches are called.
    pub columns: Columns,
    /// What names the dump in every row that goes out.
    pub dump: String,
    /// The contract that whoever drives it expects, by its digest; `None` for any.
    pub contract: Option<String>,
}

/// What a driver compares on every machine before any work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Names all below that what is seen depends on.
    digest: String,
    #[serde(flatten)]
    contract: Contract,
    /// See [`Origin::picture_memory`].
    picture_memory: i64,
    /// Columns of a batch that goes in.
    input: Vec<InputColumn>,
    /// Columns of one that comes out, and of a table of rows.
    output: Vec<OutputColumn>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct OutputColumn {
    name: String,
    /// Arrow's name of the type.
    data_type: String,
}

impl Interface {
    /// Of loaded networks.
    ///
    /// # Errors
    /// [`Error::Usage`] when `columns` cannot be meant.
    pub fn of(engine: &Engine, columns: &Columns) -> Result<Interface> {
        let origin = origin(engine, String::new())?;
        let output = |field: &arrow::datatypes::FieldRef| OutputColumn {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
        };
        Ok(Interface {
            digest: digest(&origin)?,
            contract: origin.contract,
            picture_memory: origin.picture_memory,
            input: input_columns(columns)?,
            output: record::schema().fields().iter().map(output).collect(),
        })
    }
}

fn origin(engine: &Engine, dump: String) -> Result<Origin> {
    let picture_memory = i64::try_from(engine.policy().photo.max_memory).unwrap_or(i64::MAX);
    Ok(Origin { contract: Contract::of(engine)?, picture_memory, dump })
}

/// Of contract and memory: parts of machines that differ in either are refused later.
fn digest(origin: &Origin) -> Result<String> {
    Ok(format!("{}-{}", origin.contract.digest()?, origin.picture_memory))
}

/// Works until the input ends; gives how many rows went through.
///
/// # Errors
/// [`Error::Input`] for another contract, and for what is no stream of rows; [`Error::Io`] when the pipe breaks; the device's.
pub fn work(job: &WorkerJob, engine: &Engine, input: impl Read, output: impl Write) -> Result<u64> {
    let origin = origin(engine, job.dump.clone())?;
    let own = digest(&origin)?;
    if let Some(expected) = job.contract.as_ref().filter(|expected| **expected != own) {
        let program = std::env::current_exe().unwrap_or_else(|_| "chehra".into());
        let Contract { program: version, detector, liveness, embedder, arithmetic, device, limits, .. } =
            &origin.contract;
        let memory = origin.picture_memory;
        let found = format!(
            "{own} (version {version}; {detector}; {liveness}; {embedder}; {arithmetic}; {device}; limits {limits}; {memory} \
             bytes for one picture)"
        );
        let fix =
            "give every machine the same program, weights, policy and precision; `chehra contract` prints what differs";
        return Err(Error::input(program, "the contract", expected, found, fix));
    }
    let not_arrow = |error: ArrowError| unusable(INPUT, error);
    let mut batches = guarded(|| StreamReader::try_new(BufReader::with_capacity(1 << 20, input), None))
        .unwrap_or_else(|| Err(ArrowError::IpcError("bytes that are no Arrow stream".into())))
        .map_err(not_arrow)?;
    let schema: &Schema = &batches.schema();
    let stream = Stream::new(schema, &job.columns)?;
    let broken = |error: ArrowError| unusable(OUTPUT, error);
    let mut writer = StreamWriter::try_new(BufWriter::new(output), &record::schema()).map_err(broken)?;
    writer.flush().map_err(broken)?;
    let mut rows = 0;
    while let Some(batch) = guarded(|| batches.next())
        .unwrap_or_else(|| Some(Err(ArrowError::IpcError("bytes that are no batch of the stream".into()))))
    {
        let seen = see_batch(engine, stream.rows(&batch.map_err(not_arrow)?)?)?;
        rows += seen.len() as u64;
        writer.write(&record::to_batch(&origin, &seen)?).map_err(broken)?;
        writer.flush().map_err(broken)?;
    }
    writer.finish().map_err(broken)?;
    Ok(rows)
}

fn see_batch(engine: &Engine, rows: Vec<(Submission, Option<String>)>) -> Result<Vec<Analysis>> {
    let (rows, causes): (Vec<Submission>, Vec<Option<String>>) = rows.into_iter().unzip();
    let mut seen = Vec::with_capacity(rows.len());
    let Lanes { threads, rows: at_a_time } = engine.lanes();
    let window = Window { workers: threads, most: rows.len() };
    in_order(pieces(Ok(rows), at_a_time), window, &|piece: Vec<Submission>| engine.analyse(&piece), &mut |piece| {
        seen.extend(piece);
        Ok(())
    })?;
    for (analysis, cause) in seen.iter_mut().zip(causes) {
        if let Some(cause) = cause {
            analysis.selfie = Err(Reject::new(Reason::UnreadableImage, cause));
        }
    }
    Ok(seen)
}

fn unusable(place: &'static str, error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            let operation = if place == INPUT { "read" } else { "write" };
            Error::io(operation, place)(source)
        }
        other => {
            let fix = "write batches in Arrow's IPC stream format, the schema first";
            Error::input(place, "the stream", "an Arrow IPC stream of rows", other.to_string(), fix)
        }
    }
}
