//! The Parquet files of a synthetic dump: submissions, workers, booths and the truth.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::draw::Studio;
use super::facts;
use super::plan::Pattern;
use super::row::{Pick, Row};
use crate::dump::{Place, RowFacts};
use crate::reason::Reason;
use crate::{Error, Result};

/// The pictures of a row.
#[derive(Debug)]
pub struct Pictures {
    /// The selfie.
    pub selfie: Vec<u8>,
    /// The uploaded photo.
    pub photo: Option<Vec<u8>>,
}

/// A Parquet file being written.
pub struct Table {
    path: PathBuf,
    writer: ArrowWriter<File>,
}

impl Table {
    /// A new file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be created.
    pub fn create(path: &Path, schema: Schema) -> Result<Self> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(128))
            .set_created_by("chehra synth".to_owned());
        for picture in ["selfie", "photo"] {
            let column = ColumnPath::from(picture);
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_compression(column.clone(), Compression::UNCOMPRESSED)
                .set_column_statistics_enabled(column, EnabledStatistics::None);
        }
        let file = File::create(path).map_err(Error::io("create", path))?;
        let writer = ArrowWriter::try_new(file, Arc::new(schema), Some(properties.build()));
        Ok(Table { path: path.to_path_buf(), writer: writer.map_err(|e| failed(path, e))? })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(|e| failed(&self.path, e))
    }

    /// Writes the footer and closes the file; its size in bytes.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn close(self) -> Result<u64> {
        self.writer.close().map_err(|e| failed(&self.path, e))?;
        Ok(std::fs::metadata(&self.path).map_err(Error::io("stat", &self.path))?.len())
    }
}

fn failed(path: &Path, error: parquet::errors::ParquetError) -> Error {
    Error::io("write", path)(std::io::Error::other(error))
}

fn batch(schema: Schema, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::new(schema), columns).map_err(|e| Error::bug("building a table", e))
}

fn strings<T: AsRef<str>>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    values.for_each(|v| builder.append_option(v));
    Arc::new(builder.finish())
}

fn lists(values: impl Iterator<Item = Vec<String>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    values.for_each(|v| builder.append_value(v.into_iter().map(Some)));
    Arc::new(builder.finish())
}

fn binaries<'a>(values: impl Iterator<Item = Option<&'a [u8]>>) -> ArrayRef {
    let mut builder = BinaryBuilder::new();
    values.for_each(|v| builder.append_option(v));
    Arc::new(builder.finish())
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn list(name: &str) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))), true)
}

fn binary(name: &str) -> Field {
    Field::new(name, DataType::Binary, true)
}

/// Columns of the dump.
pub fn dump_schema(studio: &Studio) -> Schema {
    let mut fields = ["submission_id", "worker_id", "district"].map(text).to_vec();
    let stamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    fields.extend([Field::new("captured_at", stamp, true), binary("selfie"), binary("photo")]);
    fields.extend(["division", "sector", "mandalam", "booth_id", "mobile", "epic", "member_name"].map(text));
    fields.push(Field::new("consent", DataType::Boolean, true));
    if studio.plan.field.evidence {
        fields.extend(["latitude", "longitude", "accuracy_m"].map(|name| Field::new(name, DataType::Float64, true)));
        fields.extend(["device_id", "app_version"].map(text));
        let stamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        fields.extend([Field::new("uploaded_at", stamp, true), text("network")]);
    }
    Schema::new(fields)
}

/// Rows of the dump.
pub fn dump_rows(studio: &Studio, rows: &[(RowFacts, Pictures)]) -> Result<RecordBatch> {
    let mut at = TimestampMicrosecondBuilder::new().with_timezone("UTC");
    let mut consent = BooleanBuilder::new();
    for (facts, _) in rows {
        at.append_option(facts.captured_at);
        consent.append_option(facts.consent);
    }
    let column = |of: fn(&RowFacts) -> &Option<String>| strings(rows.iter().map(|(f, _)| of(f).as_ref()));
    let mut columns: Vec<ArrayRef> = vec![
        column(|f| &f.submission_id),
        column(|f| &f.worker_id),
        column(|f| &f.district),
        Arc::new(at.finish()),
        binaries(rows.iter().map(|(_, p)| Some(&p.selfie[..]))),
        binaries(rows.iter().map(|(_, p)| p.photo.as_deref())),
        column(|f| &f.division),
        column(|f| &f.sector),
        column(|f| &f.mandalam),
        column(|f| &f.booth_id),
        column(|f| &f.mobile),
        column(|f| &f.epic),
        column(|f| &f.member_name),
        Arc::new(consent.finish()),
    ];
    if studio.plan.field.evidence {
        let number = |of: fn(&Place) -> Option<f64>| -> ArrayRef {
            let mut numbers = Float64Builder::new();
            rows.iter().for_each(|(facts, _)| numbers.append_option(facts.place.as_ref().and_then(of)));
            Arc::new(numbers.finish())
        };
        let mut uploaded = TimestampMicrosecondBuilder::new().with_timezone("UTC");
        rows.iter().for_each(|(facts, _)| uploaded.append_option(facts.uploaded_at));
        columns.extend([
            number(|place| Some(place.latitude)),
            number(|place| Some(place.longitude)),
            number(|place| place.accuracy_m.map(f64::from)),
            column(|f| &f.device_id),
            column(|f| &f.app_version),
            Arc::new(uploaded.finish()),
            column(|f| &f.network),
        ]);
    }
    batch(dump_schema(studio), columns)
}

/// Columns of `workers.parquet`.
pub fn workers_schema() -> Schema {
    Schema::new(vec![text("worker_id"), text("district"), binary("photo")])
}

/// The enrolled workers among `which`.
pub fn workers_rows(studio: &Studio, which: std::ops::Range<usize>) -> Result<RecordBatch> {
    let workers = &studio.story.workers;
    let enrolled: Vec<usize> = which.filter(|&k| workers[k].enrolled).collect();
    let photos = enrolled.iter().map(|&k| studio.reference(workers[k].person)).collect::<Result<Vec<_>>>()?;
    batch(
        workers_schema(),
        vec![
            strings(enrolled.iter().map(|&k| Some(facts::worker_id(k as u32)))),
            strings(enrolled.iter().map(|&k| Some(facts::district(workers[k].district)))),
            binaries(photos.iter().map(|p| Some(&p[..]))),
        ],
    )
}

/// Columns of `booths.parquet`.
pub fn booths_schema() -> Schema {
    Schema::new(vec![text("booth_id"), text("district")])
}

/// Every booth and its district.
pub fn booths_rows(studio: &Studio) -> Result<RecordBatch> {
    let booths = studio.story.workers.iter().enumerate();
    let (ids, districts): (Vec<_>, Vec<_>) =
        booths.map(|(k, w)| (facts::booth(w.district, k as u32), facts::district(w.district))).unzip();
    batch(booths_schema(), vec![strings(ids.into_iter().map(Some)), strings(districts.into_iter().map(Some))])
}

/// Columns of `truth.parquet`: one row per submission, in the order of the dump.
///
/// | column | |
/// |---|---|
/// | row | position in the night's dump, from 0 |
/// | submission_id, night, worker_id, district | as in the dump; the worker is always named |
/// | pattern | what was planted, `honest` if nothing |
/// | attack, attacked | `phone`, `print` or `monitor`, or the species of a real attack; `member`, `worker` or `both` |
/// | account_person | whose account it is |
/// | worker_person, member_person | who is in the worker's and the member's place; null for nobody |
/// | others | everybody else in the picture |
/// | duplicate_of | the submission of that member's first enrolment, or whose picture is reused |
/// | cluster_id | the member's person, if that person (no worker) is the member of two or more rows |
/// | reasons, reasons_allowed | what a right answer must and may say |
/// | pictures | the face pictures used, member's first |
pub fn truth_schema() -> Schema {
    let mut fields = vec![Field::new("row", DataType::Int64, false), text("submission_id")];
    fields.push(Field::new("night", DataType::Int64, false));
    fields.extend(["worker_id", "district", "pattern", "attack", "attacked"].map(text));
    fields.extend(["account_person", "worker_person", "member_person"].map(text));
    fields.push(list("others"));
    fields.extend(["duplicate_of", "cluster_id"].map(text));
    fields.extend(["reasons", "reasons_allowed", "pictures"].map(list));
    Schema::new(fields)
}

/// Columns of the truth of this drive: with evidence from the field, besides, `home` (the way in which the row's account enrols
/// from home, null for an honest one) and `habit` (how an honest one works).
pub fn truth_columns(studio: &Studio) -> Schema {
    let plain = truth_schema();
    match studio.plan.field.evidence {
        false => plain,
        true => Schema::new(
            plain.fields().iter().cloned().chain(["home", "habit"].map(|n| Arc::new(text(n)))).collect::<Vec<_>>(),
        ),
    }
}

/// Who was enrolled first and how often, over the whole story.
#[derive(Debug)]
pub struct Ledger {
    first: HashMap<u32, usize>,
    times: HashMap<u32, usize>,
    workers: BTreeSet<u32>,
}

/// Whether a row enrols its member anew, rightly or not; copies of pictures and staged rows do not.
fn enrols(pattern: Pattern) -> bool {
    use Pattern::*;
    matches!(pattern, Honest | Bystander | InnocentRetry | DuplicateSameDistrict | DuplicateCrossDistrict)
        || matches!(pattern, PhotoMismatch | RecurringBystander | BoothOutside | IdRepeated | WorkerIdMissing)
        || matches!(pattern, MobileReused | EpicReused | MobileMalformed | EpicMalformed | ConsentMissing)
}

impl Ledger {
    /// Reads the story once.
    pub fn new(studio: &Studio) -> Self {
        let (mut first, mut times) = (HashMap::new(), HashMap::new());
        for (k, row) in studio.story.rows.iter().enumerate() {
            if let Some(member) = row.member {
                *times.entry(member.person).or_default() += 1;
                if enrols(row.pattern) {
                    first.entry(member.person).or_insert(k);
                }
            }
        }
        Ledger { first, times, workers: studio.story.workers.iter().map(|w| w.person).collect() }
    }

    /// The earlier row that row `k` duplicates.
    pub fn duplicate_of(&self, studio: &Studio, k: usize) -> Option<usize> {
        use Pattern::*;
        let row = &studio.story.rows[k];
        match row.pattern {
            SameFile | Reencoded | Cropped | Mirrored => row.of,
            pattern if enrols(pattern) => {
                row.member.and_then(|m| self.first.get(&m.person).copied()).filter(|&of| of < k)
            }
            _ => None,
        }
    }

    /// What a right answer to row `k` must and may say.
    pub fn reasons(&self, studio: &Studio, k: usize) -> (Vec<Reason>, Vec<Reason>) {
        let row = &studio.story.rows[k];
        let (mut must, mut may) = (row.pattern.reasons().to_vec(), row.pattern.allowed().to_vec());
        let again = enrols(row.pattern) && self.duplicate_of(studio, k).is_some();
        if again && row.pattern != Pattern::InnocentRetry && !must.contains(&Reason::DuplicateMember) {
            must.push(Reason::DuplicateMember);
        }
        if row.pattern == Pattern::WorkerAbsent && row.front.is_some_and(|front| self.workers.contains(&front.person)) {
            // A colleague on the worker's phone: the account is used by another face, and one that is known.
            must = vec![Reason::WorkerMismatch];
            may.push(Reason::WorkerAbsent);
        }
        let helper = studio.story.workers[row.worker as usize].helper;
        if row.others.iter().any(|o| Some(o.person) == helper) && !may.contains(&Reason::TooManyFaces) {
            may.push(Reason::TooManyFaces);
        }
        must.sort();
        may.sort();
        (must, may)
    }

    fn cluster<'a>(&self, studio: &Studio<'a>, member: Option<Pick>) -> Option<&'a str> {
        let person = member?.person;
        let several = self.times.get(&person).is_some_and(|&n| n > 1);
        (several && !self.workers.contains(&person)).then(|| &studio.people[person as usize].name[..])
    }
}

/// The species of attack of a row, and whom it shows.
fn attack<'a>(studio: &Studio<'a>, row: &Row) -> Option<(&'a str, &'static str)> {
    let shown = || row.member.map(|p| &studio.people[p.person as usize].portraits[p.portrait as usize]);
    match row.pattern {
        Pattern::AttackMember => Some((shown()?.species.as_deref().unwrap_or("attack"), "member")),
        Pattern::PhoneMember => Some(("phone", "member")),
        Pattern::PhoneWorker => Some(("phone", "worker")),
        Pattern::PrintMember => Some(("print", "member")),
        Pattern::MonitorFrame => Some(("monitor", "both")),
        Pattern::PrintFrame => Some(("print", "both")),
        _ => None,
    }
}

/// The truth about rows `which`; `start` is the first row of their night.
pub fn truth_rows(
    studio: &Studio,
    ledger: &Ledger,
    start: usize,
    which: std::ops::Range<usize>,
) -> Result<RecordBatch> {
    let seed = studio.plan.seed;
    let id = |k: usize| facts::of(studio.story, seed, k).submission_id;
    let name = |p: u32| &studio.people[p as usize].name[..];
    let rows = || which.clone().map(|k| (k, &studio.story.rows[k]));
    let codes = |reasons: Vec<Reason>| reasons.into_iter().map(|r| r.code().to_owned()).collect();
    let picture = |p: &Pick| studio.people[p.person as usize].portraits[p.portrait as usize].name.clone();
    let (mut row_numbers, mut nights) = (Int64Builder::new(), Int64Builder::new());
    for (k, row) in rows() {
        row_numbers.append_value((k - start) as i64);
        nights.append_value(i64::from(row.night));
    }
    let worker = |w: u32| &studio.story.workers[w as usize];
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(row_numbers.finish()),
        strings(rows().map(|(k, _)| id(k))),
        Arc::new(nights.finish()),
        strings(rows().map(|(_, r)| Some(facts::worker_id(r.worker)))),
        strings(rows().map(|(_, r)| Some(facts::district(worker(r.worker).district)))),
        strings(rows().map(|(_, r)| Some(r.pattern.code()))),
        strings(rows().map(|(_, r)| attack(studio, r).map(|a| a.0))),
        strings(rows().map(|(_, r)| attack(studio, r).map(|a| a.1))),
        strings(rows().map(|(_, r)| Some(name(worker(r.worker).person)))),
        strings(rows().map(|(_, r)| r.front.map(|p| name(p.person)))),
        strings(rows().map(|(_, r)| r.member.map(|p| name(p.person)))),
        lists(rows().map(|(_, r)| r.others.iter().map(|p| name(p.person).to_owned()).collect())),
        strings(rows().map(|(k, _)| ledger.duplicate_of(studio, k).and_then(id))),
        strings(rows().map(|(_, r)| ledger.cluster(studio, r.member))),
        lists(rows().map(|(k, _)| codes(ledger.reasons(studio, k).0))),
        lists(rows().map(|(k, _)| codes(ledger.reasons(studio, k).1))),
        lists(rows().map(|(_, r)| r.member.iter().chain(&r.front).chain(&r.others).map(picture).collect())),
    ];
    if studio.plan.field.evidence {
        columns.extend([0, 1].map(|which| strings(rows().map(|(_, r)| studio.story.field.told(r.worker)[which]))));
    }
    batch(truth_columns(studio), columns)
}
