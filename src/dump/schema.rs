//! Which column of a file is which of ours, and whether its type will do: decided from the footer, before any work.
//!
//! Names match exactly, else without regard to case if that is unique (Spark and DuckDB do not tell `Selfie` from
//! `selfie`). Types are accepted as the common writers write them:
//!
//! | kind | accepted |
//! |---|---|
//! | picture | binary, large binary, binary view, fixed-size binary, and dictionaries of them; a struct with such a column `bytes` (Hugging Face); strings (base64, hex) |
//! | text | any string or dictionary of strings, un-annotated binary (old Hive and Impala), UUIDs, integers, and decimals and floating-point numbers that are whole |
//! | time | timestamps of any unit, with or without zone, INT96, dates, strings, counts since 1970 |
//! | flag | booleans, integers, strings |
//! | number | floating-point numbers, decimals, integers, strings |
//!
//! What cannot be read at all (encryption, a codec not built in) is the reader's business, see [`super::table`].

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::basic::Type as Physical;
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use crate::{Error, Result};

/// What a column must be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes of an encoded picture.
    Picture,
    /// A string.
    Text,
    /// A point in time.
    Time,
    /// Yes or no.
    Flag,
    /// A number, which may have a fraction.
    Number,
}

impl Kind {
    pub(super) fn expected(self) -> &'static str {
        match self {
            Kind::Picture => "binary (the bytes of a JPEG, PNG or WebP)",
            Kind::Text => "a string (or an integer)",
            Kind::Time => "a timestamp (or a date, a string, or a count since 1970)",
            Kind::Flag => "a boolean (or 0 and 1, or yes and no)",
            Kind::Number => "a number (floating point, decimal, integer, or a string that says one)",
        }
    }

    pub(super) fn fix(self) -> &'static str {
        match self {
            Kind::Picture => "write the picture's bytes as they came from the phone, not as a list or as pixels",
            Kind::Text => "write it as a string, so that it joins back to the dump",
            Kind::Time => "write it as a timestamp",
            Kind::Flag => "write it as a boolean",
            Kind::Number => "write it as a double",
        }
    }

    pub(super) fn accepts(self, data_type: &DataType) -> bool {
        use DataType::*;
        match data_type {
            Dictionary(_, value) => self.accepts(value),
            Null | Utf8 | LargeUtf8 | Utf8View => true,
            Binary | LargeBinary | BinaryView => matches!(self, Kind::Picture | Kind::Text),
            FixedSizeBinary(_) => matches!(self, Kind::Picture | Kind::Text),
            Struct(fields) => {
                let is_picture = |field: &Arc<Field>| field.name() == PICTURE_BYTES && self.accepts(field.data_type());
                self == Kind::Picture && fields.iter().any(is_picture)
            }
            Decimal128(..) => matches!(self, Kind::Text | Kind::Number),
            Float32 | Float64 => matches!(self, Kind::Text | Kind::Time | Kind::Number),
            Boolean => self == Kind::Flag,
            Timestamp(..) | Date32 | Date64 => self == Kind::Time,
            other => other.is_integer() && self != Kind::Picture,
        }
    }
}

/// The picture's bytes where a column of pictures is a struct, as the Image feature of Hugging Face's datasets writes it.
pub const PICTURE_BYTES: &str = "bytes";

/// A column that a table should have.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Our name.
    pub name: &'static str,
    /// Its name in the file; empty means not to be read.
    pub source: String,
    /// Whether every file must have it.
    pub required: bool,
    /// What it must be good for.
    pub kind: Kind,
}

/// Where the wanted columns of one file are, and how they are to be read.
#[derive(Debug, Clone)]
pub struct Plan {
    /// For each wanted column, where it comes from.
    pub sources: Vec<Source>,
    /// Indices of the root columns to read, ascending.
    pub roots: Vec<usize>,
    /// Those of them that are pictures.
    pub pictures: Vec<usize>,
    /// The Parquet schema with the string annotation taken from text columns (see [`Plan::new`]).
    pub parquet: Arc<SchemaDescriptor>,
    /// The Arrow schema to read with.
    pub arrow: SchemaRef,
}

/// Where a wanted column comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The file does not have it: every cell is null.
    Absent,
    /// The position among the columns that are read.
    Column(usize),
    /// A `key=value` folder on the way to the file says it: every cell is this.
    Folder(Option<String>),
}

impl Plan {
    /// Finds the wanted columns in one file.
    ///
    /// `hinted` is the schema with the types that the writer's embedded Arrow schema asks for, `natural` without
    /// them. Byte arrays are read as views, so that a picture stays where its page was unpacked, and text is read as
    /// bare bytes: one name in a broken encoding is a bad cell, while Parquet's own check would end the whole page.
    pub fn new(
        path: &Path,
        wanted: &[Wanted],
        folders: &[(String, Option<String>)],
        natural: &Schema,
        hinted: &Schema,
        parquet: &SchemaDescriptor,
    ) -> Result<Plan> {
        let mut found = Vec::with_capacity(wanted.len());
        let mut missing = Vec::new();
        for column in wanted {
            let root = find(path, hinted, &column.source)?;
            match (root, partition(folders, column)) {
                (Some(root), _) => {
                    let data_type = hinted.field(root).data_type();
                    if !column.kind.accepts(data_type) {
                        return Err(wrong_type(path, column, data_type));
                    }
                }
                (None, None) if column.required => missing.push(column),
                _ => {}
            }
            found.push(root);
        }
        if !missing.is_empty() {
            return Err(missing_columns(path, &missing, hinted));
        }

        let mut roots: Vec<usize> = found.iter().flatten().copied().collect();
        roots.sort_unstable();
        roots.dedup();
        let is_picture = |(root, column): (&Option<usize>, &Wanted)| root.filter(|_| column.kind == Kind::Picture);
        let pictures = found.iter().zip(wanted).filter_map(is_picture).collect();
        let source = |(root, column): (&Option<usize>, &Wanted)| match root {
            Some(root) => Source::Column(roots.partition_point(|r| r < root)),
            None => partition(folders, column).map_or(Source::Absent, |value| Source::Folder(value.clone())),
        };
        let sources = found.iter().zip(wanted).map(source).collect();
        let parquet_roots = parquet.root_schema().get_fields();
        let fields: Vec<Arc<Field>> = natural
            .fields()
            .iter()
            .enumerate()
            .map(|(i, field)| match roots.binary_search(&i) {
                Ok(_) => readable(field, hinted.field(i), &parquet_roots[i]),
                Err(_) => field.clone(),
            })
            .collect();
        let arrow = Arc::new(Schema::new_with_metadata(fields, natural.metadata().clone()));
        Ok(Plan { sources, parquet: without_annotation(path, parquet, &roots, &arrow)?, arrow, roots, pictures })
    }
}

impl Plan {
    /// Most rows that are read at a time: a footer may say that cells are small, and they may still be as large as is held
    /// of a cell ([`super::oversize`]).
    pub fn most_rows(&self) -> usize {
        if self.pictures.is_empty() { 64 } else { 4 }
    }
}

/// The value that a `key=value` folder gives a column.
fn partition<'a>(folders: &'a [(String, Option<String>)], column: &Wanted) -> Option<&'a Option<String>> {
    if column.kind == Kind::Picture {
        return None;
    }
    folders.iter().find(|(key, _)| key.eq_ignore_ascii_case(&column.source)).map(|(_, value)| value)
}

/// The Arrow field to read a column as.
fn readable(natural: &Arc<Field>, hinted: &Field, parquet: &TypePtr) -> Arc<Field> {
    let physical = parquet.is_primitive().then(|| parquet.get_physical_type());
    let data_type = match (physical, natural.data_type(), hinted.data_type()) {
        (Some(Physical::BYTE_ARRAY), DataType::Binary | DataType::Utf8, _) => DataType::BinaryView,
        // Nanoseconds end in 2262, microseconds never. It is an instant by what its writers do with it.
        (Some(Physical::INT96), _, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        // Parquet has no seconds: some writers leave them to the Arrow schema.
        (_, DataType::Int64, time @ (DataType::Timestamp(..) | DataType::Date64)) => time.clone(),
        (_, data_type, _) => data_type.clone(),
    };
    Arc::new(natural.as_ref().clone().with_data_type(data_type))
}

/// The same schema with the string annotation taken from those of the given root columns that are read as bytes.
fn without_annotation(
    path: &Path,
    parquet: &SchemaDescriptor,
    roots: &[usize],
    arrow: &Schema,
) -> Result<Arc<SchemaDescriptor>> {
    let root = parquet.root_schema();
    let bare = |(i, field): (usize, &TypePtr)| -> parquet::errors::Result<TypePtr> {
        if roots.binary_search(&i).is_err() || arrow.field(i).data_type() != &DataType::BinaryView {
            return Ok(field.clone());
        }
        let info = field.get_basic_info();
        let id = info.has_id().then(|| info.id());
        let builder = Type::primitive_type_builder(field.name(), Physical::BYTE_ARRAY);
        Ok(Arc::new(builder.with_repetition(info.repetition()).with_id(id).build()?))
    };
    let schema = root.get_fields().iter().enumerate().map(bare).collect::<Result<Vec<_>, _>>();
    let schema = schema.and_then(|fields| Type::group_type_builder(root.name()).with_fields(fields).build());
    let schema = schema.map_err(|e| Error::input(path, "its schema", "a readable schema", e.to_string(), REWRITE))?;
    Ok(Arc::new(SchemaDescriptor::new(Arc::new(schema))))
}

/// What helps against a file that is broken or of an odd make.
pub const REWRITE: &str = "write the file anew, or copy it again if it is damaged";

/// The root column of that name: exactly, else without regard to case if that is unique.
///
/// # Errors
/// [`Error::Input`] when two columns answer to the name.
pub fn find(path: &Path, schema: &Schema, name: &str) -> Result<Option<usize>> {
    if name.is_empty() {
        return Ok(None);
    }
    let matching = |test: &dyn Fn(&str) -> bool| -> Vec<usize> {
        schema.fields().iter().enumerate().filter(|(_, f)| test(f.name())).map(|(i, _)| i).collect()
    };
    let mut found = matching(&|n| n == name);
    if found.is_empty() {
        found = matching(&|n| n.to_lowercase() == name.to_lowercase());
    }
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        several => {
            let names: Vec<String> = several.iter().map(|&i| format!("`{}`", schema.field(i).name())).collect();
            let item = format!("column `{name}`");
            let fix = "name one of them exactly in chehra.toml, section [columns], or write the file without the other";
            Err(Error::input(path, item, "one column of that name", names.join(", "), fix))
        }
    }
}

fn wrong_type(path: &Path, column: &Wanted, found: &DataType) -> Error {
    let item = match column.source == column.name {
        true => format!("column `{}`", column.name),
        false => format!("column `{}` (read as {})", column.source, column.name),
    };
    Error::input(path, item, column.kind.expected(), found.to_string(), column.kind.fix())
}

fn missing_columns(path: &Path, missing: &[&Wanted], schema: &Schema) -> Error {
    let quoted: Vec<String> = missing.iter().map(|c| format!("`{}`", c.source)).collect();
    let (item, expected) = match missing {
        [one] => (format!("column {}", quoted[0]), one.kind.expected().to_owned()),
        _ => (format!("columns {}", quoted.join(", ")), "every required column".to_owned()),
    };
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let near: Vec<String> = missing
        .iter()
        .flat_map(|c| near(&c.source, &names).into_iter().map(|n| format!("{} = \"{n}\"", c.name)))
        .collect();
    let fix = match near.as_slice() {
        [] => "say in chehra.toml, section [columns], what the dump calls it".to_owned(),
        near => format!("did you mean one of these? Say so in chehra.toml, section [columns]: {}", near.join("  ")),
    };
    Error::input(path, item, expected, format!("no such column; there are {}", list(&names)), fix)
}

/// Column names for a message: all of a few, the first of many.
pub fn list(names: &[&str]) -> String {
    const SHOWN: usize = 24;
    match names.len() {
        0 => "none at all".to_owned(),
        n if n <= SHOWN => names.join(", "),
        n => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}

/// The names, at most three, that could be meant by `name`: a few letters off, or one within the other.
pub fn near<'a>(name: &str, names: &[&'a str]) -> Vec<&'a str> {
    let plain = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let wanted = plain(name);
    let mut scored: Vec<(usize, &str)> = names
        .iter()
        .filter_map(|&candidate| {
            let plain = plain(candidate);
            let distance = edit_distance(&wanted, &plain);
            let within = plain.len() >= 3 && (wanted.contains(&plain) || plain.contains(&wanted));
            (within || distance * 3 <= wanted.len().max(3)).then_some((distance, candidate))
        })
        .collect();
    scored.sort();
    scored.truncate(3);
    scored.into_iter().map(|(_, name)| name).collect()
}

/// Levenshtein distance in characters (V. I. Levenshtein, 1966).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered() {
        let names = ["id", "selfie_image", "workerid", "District", "capturedAt", "mobile_no", "x"];
        assert_eq!(near("selfie", &names), ["selfie_image"]);
        assert_eq!(near("worker_id", &names), ["workerid"]);
        assert_eq!(near("distrct", &names), ["District"]);
        assert_eq!(near("captured_at", &names), ["capturedAt"]);
        assert!(near("consent", &names).is_empty());
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }

    #[test]
    fn names_match_exactly_before_they_match_by_case() {
        let schema = |names: &[&str]| {
            Schema::new(names.iter().map(|n| Field::new(*n, DataType::Utf8, true)).collect::<Vec<_>>())
        };
        let path = Path::new("d.parquet");
        assert_eq!(find(path, &schema(&["SELFIE", "selfie"]), "selfie").unwrap(), Some(1));
        assert_eq!(find(path, &schema(&["x", "Selfie"]), "selfie").unwrap(), Some(1));
        assert_eq!(find(path, &schema(&["x"]), "").unwrap(), None);
        let error = find(path, &schema(&["SELFIE", "Selfie"]), "selfie").unwrap_err().to_string();
        assert!(error.contains("`SELFIE`, `Selfie`"), "{error}");
        assert!(find(path, &schema(&["a", "a"]), "a").is_err());
    }

    #[test]
    fn only_types_that_mean_the_same_are_accepted() {
        use DataType::*;
        let yes = [
            (Kind::Picture, Dictionary(Box::new(Int32), Box::new(Binary))),
            (Kind::Picture, FixedSizeBinary(9)),
            (Kind::Text, FixedSizeBinary(16)),
            (Kind::Text, UInt64),
            (Kind::Text, Decimal128(20, 0)),
            (Kind::Time, Timestamp(TimeUnit::Second, Some("Asia/Kolkata".into()))),
            (Kind::Time, Utf8View),
            (Kind::Flag, Int8),
            (Kind::Picture, Utf8),
            (Kind::Picture, Struct(vec![Field::new("bytes", Binary, true), Field::new("path", Utf8, true)].into())),
            (Kind::Text, Float64),
            (Kind::Text, Decimal128(20, 2)),
            (Kind::Time, Int64),
        ];
        let no = [
            (Kind::Picture, List(Arc::new(Field::new("item", UInt8, true)))),
            (Kind::Picture, Struct(vec![Field::new("path", Utf8, true)].into())),
            (Kind::Text, List(Arc::new(Field::new("item", Utf8, true)))),
            (Kind::Time, Boolean),
            (Kind::Flag, Float32),
        ];
        assert!(yes.iter().all(|(kind, data_type)| kind.accepts(data_type)));
        assert!(no.iter().all(|(kind, data_type)| !kind.accepts(data_type)));
    }
}
