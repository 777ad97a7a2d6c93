//! The real binary, run in a folder of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

/// A folder that disappears after the test.
pub struct Place {
    pub dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Everything in the folder, hidden or not.
    pub fn list(&self) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(&self.dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A file of `fixtures/`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// The binary, away from the environment's own settings.
pub fn chehra() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chehra"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text == "RUST_LOG" || text.starts_with("CHEHRA_") && !["CHEHRA_ISA", "CHEHRA_DATA"].contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs it and gives exit code, standard output and standard error.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// The row groups of a Parquet file.
pub fn batches(path: &Path) -> Vec<RecordBatch> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(|batch| batch.unwrap()).collect()
}

/// All rows of some Parquet files of one schema.
pub fn table(paths: &[impl AsRef<Path>]) -> RecordBatch {
    let parts: Vec<RecordBatch> = paths.iter().flat_map(|path| batches(path.as_ref())).collect();
    arrow::compute::concat_batches(&parts[0].schema(), &parts).unwrap()
}

/// The submissions of a sample night with these ids, in the file `to`, as another program might write them.
pub fn write_dump(night: &str, keep: &dyn Fn(&str) -> bool, compression: Compression, to: &Path) {
    let mut kept: Vec<RecordBatch> = Vec::new();
    let mut parts: Vec<PathBuf> = fs::read_dir(fixture(night)).unwrap().map(|entry| entry.unwrap().path()).collect();
    parts.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("submissions"));
    parts.sort();
    for path in parts {
        for batch in batches(&path) {
            let ids = batch.column_by_name("submission_id").unwrap().as_string::<i32>();
            let passes: BooleanArray = (0..ids.len()).map(|row| Some(keep(ids.value(row)))).collect();
            kept.push(arrow::compute::filter_record_batch(&batch, &passes).unwrap());
        }
    }
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(File::create(to).unwrap(), kept[0].schema(), Some(properties)).unwrap();
    kept.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

/// What a run folder's commit notes of it before it shows it: the SHA-256 of its `run.json`.
pub fn chehra_note(run: &Path) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(std::fs::read(run.join("run.json")).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
