//! Labelled templates: from pictures, from a file of templates and identities, or from an exported store.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field};

use super::crowd::Dice;
use crate::dump::open_parquet;
use crate::evaluate::{central, labels, see, templates};
use crate::infer::{Engine, ModelId, Template};
use crate::report::Progress;
use crate::{Error, Result};

/// One picture's template.
#[derive(Debug, Clone)]
pub struct Face {
    /// Who it is.
    pub person: String,
    /// The picture, or the submission.
    pub picture: String,
    /// Its template.
    pub template: Template,
}

/// Templates of one network with identities.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// The network.
    pub model: ModelId,
    /// Ordered by person, then picture.
    pub faces: Vec<Face>,
    /// Pictures without a face that could be read.
    pub failed_to_enrol: Vec<String>,
}

impl Labelled {
    /// Sees the pictures of a folder `PERSON/*.jpg`, or of a CSV with the columns `person, path` (paths from the CSV's
    /// folder). The face nearest to the middle is taken.
    ///
    /// # Errors
    /// [`Error::Input`] when there is nothing to read.
    pub fn see(faces: &Path, engine: &Engine, progress: Progress) -> Result<Self> {
        let named = if faces.is_dir() { folder(faces)? } else { table(faces)? };
        let paths: Vec<PathBuf> = named.iter().map(|(_, path)| path.clone()).collect();
        let stage = progress.stage("see", "pictures", paths.len() as u64, 0);
        let seen = see(engine, &paths, &stage)?;
        drop(stage);
        let (mut found, mut failed_to_enrol) = (Vec::new(), Vec::new());
        for ((person, path), photo) in named.into_iter().zip(seen) {
            let picture = path.strip_prefix(faces).unwrap_or(&path).display().to_string();
            match photo.as_ref().ok().and_then(central).and_then(|face| face.reading.as_ref()) {
                Some(reading) => found.push(Face { person, picture, template: reading.template.clone() }),
                None => failed_to_enrol.push(picture),
            }
        }
        Ok(Labelled { model: ModelId(engine.embedder_id().to_owned()), faces: found, failed_to_enrol })
    }

    /// Reads a Parquet file that `--save` wrote: the columns `identity`, `path` and `template` (list of floats), the
    /// model in the file's key `chehra.model`. A file that `chehra gallery export` wrote has `submission_id`, `model` and
    /// `embedding`; `truth`, a CSV with the columns `submission_id, person`, then tells who is who, and rows that it does
    /// not name are left out.
    ///
    /// # Errors
    /// [`Error::Input`] naming the column or row.
    pub fn read(path: &Path, truth: Option<&Path>) -> Result<Self> {
        let known: Option<HashMap<String, String>> = truth
            .map(|truth| {
                let rows = labels::read(truth, &["submission_id", "person"])?;
                Ok::<_, Error>(rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect())
            })
            .transpose()?;
        let refused = |found: String| wrong(path, "file", "a Parquet file", found);
        let reader = open_parquet(path, refused)?;
        let keys = reader.metadata().file_metadata().key_value_metadata();
        let key = keys.and_then(|keys| keys.iter().find(|key| key.key == "chehra.model"));
        let mut model = key.and_then(|key| key.value.clone());
        let mut faces = Vec::new();
        for batch in reader.build().map_err(|e| refused(e.to_string()))? {
            let batch = batch.map_err(|e| Error::of_reader(path, &e, refused))?;
            let (names, pictures, templates) = match &known {
                Some(_) => ("submission_id", "submission_id", "embedding"),
                None => ("identity", "path", "template"),
            };
            let text = |name: &str| column(path, &batch, name, &DataType::Utf8);
            let (names, pictures) = (text(names)?, text(pictures)?);
            let models = batch.column_by_name("model").map(|_| text("model")).transpose()?;
            let item = Arc::new(Field::new("item", DataType::Float32, true));
            let templates = column(path, &batch, templates, &DataType::List(item))?;
            let cast = || Error::bug("reading templates", "a column of another type than it was cast to");
            let lists: &ListArray = templates.as_any().downcast_ref().ok_or_else(cast)?;
            for row in 0..batch.num_rows() {
                let person = match &known {
                    Some(known) => known.get(cell(&names, row)).map(String::as_str),
                    None => Some(cell(&names, row)),
                };
                let Some(person) = person else { continue };
                if let Some(models) = &models {
                    let here = model.get_or_insert_with(|| cell(models, row).to_owned());
                    if here != cell(models, row) {
                        return Err(wrong(path, "column model", here, cell(models, row).to_owned()));
                    }
                }
                let values = lists.value(row);
                let values: &Float32Array = values.as_any().downcast_ref().ok_or_else(cast)?;
                let template = Template::from_embedding(values.values()).map_err(|e| {
                    wrong(path, &format!("template of row {row}"), "finite numbers, not all zero", e.to_string())
                })?;
                faces.push(Face { person: person.to_owned(), picture: cell(&pictures, row).to_owned(), template });
            }
        }
        if faces.len() < 2 {
            let expected = "two labelled templates and more";
            return Err(wrong(path, "rows", expected, faces.len().to_string()));
        }
        faces.sort_by(|x, y| (&x.person, &x.picture).cmp(&(&y.person, &y.picture)));
        Ok(Labelled { model: ModelId(model.unwrap_or_default()), faces, failed_to_enrol: Vec::new() })
    }

    /// Writes what [`Labelled::read`] reads: seeing the pictures once is enough.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses.
    pub fn save(&self, path: &Path) -> Result<()> {
        let rows: Vec<_> = self.faces.iter().map(|f| (f.picture.clone(), f.person.clone(), &f.template)).collect();
        templates::write(path, &self.model.0, &rows)
    }

    /// Makes one person of two names that are the same, from a CSV with the columns `name_a, name_b`.
    ///
    /// # Errors
    /// [`Error::Input`] when the CSV cannot be read.
    pub fn merge(&mut self, same: &Path) -> Result<()> {
        let rows = labels::read(same, &["name_a", "name_b"])?;
        let names: HashMap<&str, &str> = rows.iter().map(|row| (row[1].as_str(), row[0].as_str())).collect();
        for face in &mut self.faces {
            // Chains end, for no step is taken twice.
            for _ in 0..rows.len() {
                let Some(name) = names.get(face.person.as_str()) else { break };
                face.person = (*name).to_owned();
            }
        }
        self.faces.sort_by(|x, y| (&x.person, &x.picture).cmp(&(&y.person, &y.picture)));
        Ok(())
    }

    /// Keeps at most `each` pictures of every person, drawn by `seed`.
    pub fn at_most(&mut self, each: usize, seed: u64) {
        let mut of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        self.faces.iter().enumerate().for_each(|(k, face)| of.entry(&face.person).or_default().push(k));
        let mut kept: Vec<usize> = Vec::new();
        for (person, mut pictures) in (0..).zip(of.into_values()) {
            let mut dice = Dice::new(seed, person, 5);
            pictures.sort_by_cached_key(|_| dice.next());
            kept.extend(pictures.into_iter().take(each));
        }
        kept.sort_unstable();
        self.faces = kept.into_iter().map(|k| self.faces[k].clone()).collect();
    }
}

/// The master of a template as numbers.
pub(super) fn values(template: &Template) -> Vec<f32> {
    template.master.iter().map(|v| v.to_f32()).collect()
}

fn folder(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    let listed = |folder: &Path| -> Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(folder).map_err(Error::io("list", folder))?;
        let mut paths =
            entries.map(|e| e.map(|e| e.path()).map_err(Error::io("list", folder))).collect::<Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    let mut named = Vec::new();
    for person in listed(root)?.into_iter().filter(|p| p.is_dir()) {
        let name = person.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for path in listed(&person)? {
            let kind = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
            if ["jpg", "jpeg", "png", "webp"].contains(&kind.as_str()) {
                named.push((name.clone(), path));
            }
        }
    }
    match named.is_empty() {
        true => Err(Error::input(
            root,
            "pictures",
            "folders PERSON/ with .jpg, .png or .webp pictures of one person each",
            "none",
            "name such a folder, or a CSV with the columns person, path",
        )),
        false => Ok(named),
    }
}

fn table(table: &Path) -> Result<Vec<(String, PathBuf)>> {
    let root = table.parent().unwrap_or(Path::new("."));
    let rows = labels::read(table, &["person", "path"])?;
    let mut named: Vec<(String, PathBuf)> = rows.into_iter().map(|r| (r[0].clone(), root.join(&r[1]))).collect();
    named.sort();
    Ok(named)
}

fn column(path: &Path, batch: &RecordBatch, name: &str, kind: &DataType) -> Result<ArrayRef> {
    let found = batch.column_by_name(name).ok_or_else(|| {
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        wrong(path, &format!("column {name}"), "such a column", names.join(", "))
    })?;
    let cast = arrow::compute::cast(found, kind);
    let cast =
        cast.map_err(|_| wrong(path, &format!("column {name}"), &kind.to_string(), found.data_type().to_string()))?;
    match cast.null_count() {
        0 => Ok(cast),
        n => Err(wrong(path, &format!("column {name}"), "no nulls", format!("{n} nulls"))),
    }
}

fn cell(column: &ArrayRef, row: usize) -> &str {
    column.as_any().downcast_ref::<StringArray>().map_or("", |texts| texts.value(row))
}

fn wrong(path: &Path, item: &str, expected: &str, found: String) -> Error {
    let fix = "give a file that --save wrote, or one of `chehra gallery export` with --truth";
    Error::input(path, item, expected, found, fix)
}
