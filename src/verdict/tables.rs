//! The tables of the run folder, as Parquet that Spark, DuckDB, pandas and polars all read: plain lists and strings,
//! no fixed-size lists, and everything a reader needs in columns rather than in Arrow metadata.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, FieldRef, Fields, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::config::policy::Language;
use crate::matching::review::ReviewRow;
use crate::matching::{Cluster, Enrolment, Grade, Pair, UNKNOWN_TIME, decision_code};
use crate::output::create_private;
use crate::sheets::{self, Sheet, SheetFormat};
use crate::verdict::{FaceRow, RowDecision, VerdictRow};
use crate::{Error, Result};

/// Columns of [`crate::verdict::SentFrom`].
const SENT: [&str; 5] = ["captured_at", "division", "sector", "mandalam", "booth_id"];

/// A named column in the making.
type Column = (&'static str, ArrayRef);

/// Writes `verdicts.parquet` batch by batch, in the order given.
#[derive(Debug)]
pub struct VerdictWriter {
    table: Table,
    carry: Vec<FieldRef>,
    everywhere: Everywhere,
}

/// What stands in every row of the verdict table beside the verdict.
#[derive(Debug, Clone)]
pub struct Everywhere {
    /// The networks.
    pub models: String,
    /// The run.
    pub run_id: String,
    /// The language of the advice.
    pub language: Language,
}

impl VerdictWriter {
    /// Creates the file. `carry` are the fields of the dump's own columns that are carried through; `everywhere`
    /// stands in every row.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be created.
    pub fn create(path: &Path, carry: Vec<FieldRef>, everywhere: Everywhere) -> Result<Self> {
        Ok(VerdictWriter { table: Table::new(path), carry, everywhere })
    }

    /// Appends rows with the carried columns of the same rows.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn write(&mut self, rows: &[VerdictRow], carry: &[ArrayRef]) -> Result<()> {
        let mut columns = verdict_columns(rows, &self.everywhere);
        // Whoever carries a column of the dump wants it as it was.
        let is_carried = |name: &str| self.carry.iter().any(|field| field.name() == name);
        columns.retain(|(name, _)| !(SENT.contains(name) && is_carried(name)));
        let (mut fields, mut arrays): (Vec<FieldRef>, Vec<ArrayRef>) = columns.into_iter().map(field_of).unzip();
        fields.extend(self.carry.iter().cloned());
        arrays.extend(carry.iter().cloned());
        self.table.write(Arc::new(Schema::new(fields)), arrays)
    }

    /// Writes the footer.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn finish(mut self) -> Result<()> {
        if self.table.writer.is_none() {
            self.write(
                &[],
                &self.carry.iter().map(|f| arrow::array::new_empty_array(f.data_type())).collect::<Vec<_>>(),
            )?;
        }
        self.table.finish()
    }
}

fn verdict_columns(rows: &[VerdictRow], all: &Everywhere) -> Vec<Column> {
    let text =
        |get: fn(&VerdictRow) -> Option<&str>| -> ArrayRef { Arc::new(rows.iter().map(get).collect::<StringArray>()) };
    let number =
        |get: fn(&VerdictRow) -> Option<f32>| -> ArrayRef { Arc::new(rows.iter().map(get).collect::<Float32Array>()) };
    let times: TimestampMicrosecondArray = rows.iter().map(|r| r.sent.captured_at).collect();
    let everywhere = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value; rows.len()])) };
    let reasons: Vec<Vec<&str>> = rows.iter().map(|r| r.reasons.iter().map(|x| x.code()).collect()).collect();
    vec![
        ("submission_id", text(|r| r.submission_id.as_deref())),
        ("worker_id", text(|r| r.worker_id.as_deref())),
        ("district", text(|r| r.district.as_deref())),
        ("verdict", text(|r| Some(r.verdict.code()))),
        ("reasons", string_lists(&reasons)),
        ("decision", text(|r| r.decision.map(RowDecision::code))),
        ("duplicate_of", text(|r| r.duplicate_of.as_deref())),
        ("cluster_id", text(|r| r.cluster_id.as_deref())),
        ("cross_district", Arc::new(rows.iter().map(|r| r.cross_district).collect::<BooleanArray>())),
        ("similarity", number(|r| r.similarity)),
        ("expected_false_matches", Arc::new(rows.iter().map(|r| r.expected_false_matches).collect::<Float64Array>())),
        ("grade", text(|r| r.grade.map(Grade::code))),
        ("evidence", text(|r| r.evidence.as_deref())),
        ("review_at_false_share", Arc::new(rows.iter().map(|r| r.review_at_false_share).collect::<Float64Array>())),
        ("member_liveness", number(|r| r.member_liveness)),
        ("worker_liveness", number(|r| r.worker_liveness)),
        ("photo_similarity", number(|r| r.photo_similarity)),
        ("quality", number(|r| r.quality)),
        ("faces", face_lists(rows)),
        ("models", everywhere(&all.models)),
        ("run_id", everywhere(&all.run_id)),
        ("row", Arc::new(rows.iter().map(|r| r.row as i64).collect::<Int64Array>())),
        ("detail", text(|r| r.detail.as_deref())),
        ("captured_at", Arc::new(times.with_timezone("UTC"))),
        ("division", text(|r| r.sent.division.as_deref())),
        ("sector", text(|r| r.sent.sector.as_deref())),
        ("mandalam", text(|r| r.sent.mandalam.as_deref())),
        ("booth_id", text(|r| r.sent.booth_id.as_deref())),
        ("advice", Arc::new(rows.iter().map(|r| advice(r, all.language)).collect::<StringArray>())),
    ]
}

/// What the worker is told: the sentences of the row's reasons, each once.
fn advice(row: &VerdictRow, language: Language) -> Option<String> {
    let mut sentences: Vec<&str> =
        row.reasons.iter().filter_map(|reason| reason.advice()).map(|sentence| language.of(sentence)).collect();
    sentences.dedup();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// `list<struct<box: list<float>, landmarks: list<float>, role, score, quality, liveness, looks: list<float>, grain>>`
fn face_lists(rows: &[VerdictRow]) -> ArrayRef {
    let faces: Vec<&FaceRow> = rows.iter().flat_map(|r| &r.faces).collect();
    let columns: Vec<Column> = vec![
        ("box", float_lists(&faces, |f| &f.bbox)),
        ("landmarks", float_lists(&faces, |f| &f.landmarks)),
        ("role", Arc::new(faces.iter().map(|f| Some(f.role.code())).collect::<StringArray>())),
        ("score", Arc::new(faces.iter().map(|f| Some(f.score)).collect::<Float32Array>())),
        ("quality", Arc::new(faces.iter().map(|f| f.quality).collect::<Float32Array>())),
        ("liveness", Arc::new(faces.iter().map(|f| f.liveness).collect::<Float32Array>())),
        ("looks", float_lists(&faces, |f| &f.looks)),
        ("grain", Arc::new(faces.iter().map(|f| f.grain).collect::<Float32Array>())),
    ];
    let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = columns.into_iter().map(field_of).unzip();
    let items = StructArray::new(Fields::from(fields), arrays, None);
    list(rows.iter().map(|r| r.faces.len()), Arc::new(items))
}

fn float_lists(faces: &[&FaceRow], get: fn(&FaceRow) -> &[f32]) -> ArrayRef {
    let values: Float32Array = faces.iter().flat_map(|f| get(f).iter().copied()).collect::<Vec<f32>>().into();
    list(faces.iter().map(|f| get(f).len()), Arc::new(values))
}

fn string_lists<S: AsRef<str>>(rows: &[Vec<S>]) -> ArrayRef {
    let values = StringArray::from_iter_values(rows.iter().flatten());
    list(rows.iter().map(Vec::len), Arc::new(values))
}

/// A list column from the lengths of its lists and their items in one run.
fn list(lengths: impl IntoIterator<Item = usize>, items: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new("item", items.data_type().clone(), true));
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), items, None))
}

fn field_of((name, array): Column) -> (FieldRef, ArrayRef) {
    (Arc::new(Field::new(name, array.data_type().clone(), true)), array)
}

/// Writes `pairs.parquet`: every pair above the review threshold with its evidence and what people decided about it, most
/// similar first.
///
/// # Errors
/// [`Error::Io`] when the disk refuses.
pub fn write_pairs(path: &Path, enrolments: &[Enrolment], pairs: &[Pair]) -> Result<()> {
    write_pairs_as(path, None, enrolments, pairs)
}

/// As [`write_pairs`], as Parquet or as a sheet of a kind.
///
/// # Errors
/// [`Error::Io`] when the disk refuses, [`Error::Usage`] for more pairs than a sheet holds.
pub fn write_pairs_as(path: &Path, kind: Option<SheetFormat>, enrolments: &[Enrolment], pairs: &[Pair]) -> Result<()> {
    let mut sorted: Vec<&Pair> = pairs.iter().collect();
    sorted.sort_by(|x, y| y.similarity.total_cmp(&x.similarity).then((x.a, x.b).cmp(&(y.a, y.b))));
    let text = |side: fn(&Pair) -> usize, get: fn(&Enrolment) -> &String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(sorted.iter().map(|p| get(&enrolments[side(p)]))))
    };
    let flag = |get: &dyn Fn(&Enrolment, &Enrolment) -> bool| -> ArrayRef {
        let values = sorted.iter().map(|p| Some(get(&enrolments[p.a], &enrolments[p.b])));
        Arc::new(values.collect::<BooleanArray>())
    };
    type Side = fn(&Pair) -> usize;
    let (a, b): (Side, Side) = (|p| p.a, |p| p.b);
    let when = |side: fn(&Pair) -> usize| instants(sorted.iter().map(|p| enrolments[side(p)].captured_at));
    let number =
        |get: fn(&Pair) -> f64| -> ArrayRef { Arc::new(sorted.iter().map(|p| Some(get(p))).collect::<Float64Array>()) };
    let evidence = StringArray::from_iter_values(sorted.iter().map(|p| p.parts.text()));
    write_as(
        path,
        kind,
        "pairs",
        vec![
            ("submission_a", text(a, |e| &e.submission_id)),
            ("submission_b", text(b, |e| &e.submission_id)),
            ("similarity", Arc::new(sorted.iter().map(|p| Some(p.similarity)).collect::<Float32Array>())),
            ("expected_false_matches", number(|p| p.expected_false_matches)),
            ("expected_false_matches_upper", number(|p| p.expected_false_matches_upper)),
            ("local_fdr", number(|p| p.local_fdr)),
            ("probability_false", number(|p| p.probability_false)),
            ("grade", Arc::new(sorted.iter().map(|p| p.grade().map(Grade::code)).collect::<StringArray>())),
            ("evidence", Arc::new(evidence)),
            ("worker_a", text(a, |e| &e.worker_id)),
            ("worker_b", text(b, |e| &e.worker_id)),
            ("district_a", text(a, |e| &e.district)),
            ("district_b", text(b, |e| &e.district)),
            ("captured_at_a", when(a)),
            ("captured_at_b", when(b)),
            ("cross_district", flag(&|x, y| x.is_elsewhere_than(y))),
            ("earlier_night", flag(&|x, y| x.row.is_none() || y.row.is_none())),
            ("decision", Arc::new(sorted.iter().map(|p| p.decision.map(decision_code)).collect::<StringArray>())),
        ],
    )
}

/// Writes `clusters.parquet`: one row per person with two or more memberships, in the order given.
///
/// # Errors
/// [`Error::Io`] when the disk refuses.
pub fn write_clusters(path: &Path, enrolments: &[Enrolment], clusters: &[Cluster]) -> Result<()> {
    let ids = |c: &Cluster| c.members.iter().map(|&m| enrolments[m].submission_id.clone()).collect::<Vec<_>>();
    let original = |c: &Cluster| &enrolments[c.original];
    let last = |c: &Cluster| {
        c.members
            .iter()
            .map(|&m| enrolments[m].captured_at)
            .filter(|&at| at != UNKNOWN_TIME)
            .max()
            .unwrap_or(UNKNOWN_TIME)
    };
    write_table(
        path,
        vec![
            ("cluster_id", Arc::new(StringArray::from_iter_values(clusters.iter().map(|c| &c.id)))),
            ("size", Arc::new(clusters.iter().map(|c| c.members.len() as i32).collect::<Int32Array>())),
            ("original", Arc::new(StringArray::from_iter_values(clusters.iter().map(|c| &original(c).submission_id)))),
            ("submissions", string_lists(&clusters.iter().map(ids).collect::<Vec<_>>())),
            ("districts", string_lists(&clusters.iter().map(|c| c.districts.clone()).collect::<Vec<_>>())),
            ("workers", string_lists(&clusters.iter().map(|c| c.workers.clone()).collect::<Vec<_>>())),
            ("cross_district", Arc::new(clusters.iter().map(|c| Some(c.cross_district())).collect::<BooleanArray>())),
            ("weakest_similarity", Arc::new(clusters.iter().map(|c| Some(c.weakest)).collect::<Float32Array>())),
            ("first_captured_at", instants(clusters.iter().map(|c| original(c).captured_at))),
            ("last_captured_at", instants(clusters.iter().map(last))),
        ],
    )
}

/// Writes `review.parquet`: the persons to look at, in the order given.
///
/// # Errors
/// [`Error::Io`] when the disk refuses.
pub fn write_review(path: &Path, rows: &[ReviewRow]) -> Result<()> {
    let text =
        |get: fn(&ReviewRow) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows.iter().map(get))) };
    let number = |get: fn(&ReviewRow) -> f64| -> ArrayRef {
        Arc::new(rows.iter().map(|r| Some(get(r))).collect::<Float64Array>())
    };
    let lists =
        |get: fn(&ReviewRow) -> &Vec<String>| string_lists(&rows.iter().map(|r| get(r).clone()).collect::<Vec<_>>());
    write_table(
        path,
        vec![
            ("rank", Arc::new(rows.iter().map(|r| r.rank as i32).collect::<Int32Array>())),
            ("cluster_id", text(|r| &r.cluster_id)),
            ("original", text(|r| &r.original)),
            ("submissions", lists(|r| &r.submissions)),
            ("districts", lists(|r| &r.districts)),
            ("workers", lists(|r| &r.workers)),
            ("worth", text(|r| r.worth.code())),
            ("value", number(|r| r.value)),
            ("probability_false", number(|r| r.probability_false)),
            ("expected_false_matches", number(|r| r.expected_false_matches)),
            ("grade", Arc::new(rows.iter().map(|r| r.grade().map(Grade::code)).collect::<StringArray>())),
            ("evidence", text(|r| &r.evidence)),
        ],
    )
}

fn instants(values: impl Iterator<Item = i64>) -> ArrayRef {
    let known = values.map(|at| (at != UNKNOWN_TIME).then_some(at));
    Arc::new(known.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

pub(crate) fn write_table(path: &Path, columns: Vec<Column>) -> Result<()> {
    let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = columns.into_iter().map(field_of).unzip();
    let mut table = Table::new(path);
    table.write(Arc::new(Schema::new(fields)), arrays)?;
    table.finish()
}

/// Writes columns as the ending of the path says: CSV, XLSX, or else Parquet.
///
/// # Errors
/// [`Error::Io`] when the disk refuses, [`Error::Usage`] for more rows than a sheet holds.
pub(crate) fn write_by_ending(path: &Path, name: &str, columns: Vec<Column>) -> Result<()> {
    write_as(path, SheetFormat::by_ending(path), name, columns)
}

fn write_as(path: &Path, kind: Option<SheetFormat>, name: &str, columns: Vec<Column>) -> Result<()> {
    match kind {
        None => write_table(path, columns),
        Some(kind) => sheets::write(path, kind, &Sheet::of_columns(name, &columns)?),
    }
}

/// One Parquet file; created with the schema of its first batch.
#[derive(Debug)]
struct Table {
    path: std::path::PathBuf,
    writer: Option<ArrowWriter<File>>,
}

impl Table {
    fn new(path: &Path) -> Self {
        Table { path: path.to_path_buf(), writer: None }
    }

    fn write(&mut self, schema: SchemaRef, arrays: Vec<ArrayRef>) -> Result<()> {
        let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(|e| Error::bug("building a table", e))?;
        if self.writer.is_none() {
            let file = create_private(&self.path)?;
            let properties = WriterProperties::builder()
                .set_compression(Compression::SNAPPY)
                .set_created_by(concat!("chehra ", env!("CARGO_PKG_VERSION")).into())
                .build();
            let writer = ArrowWriter::try_new(file, schema, Some(properties));
            self.writer = Some(writer.map_err(|e| self.refused(e))?);
        }
        match &mut self.writer {
            Some(writer) => writer.write(&batch).map_err(|e| self.refused(e)),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<()> {
        match self.writer.take() {
            Some(writer) => writer.close().map(|_| ()).map_err(|e| self.refused(e)),
            None => Ok(()),
        }
    }

    fn refused(&self, error: parquet::errors::ParquetError) -> Error {
        Error::io("write", &self.path)(std::io::Error::other(error))
    }
}
