//! `_SUCCESS`: written last into a run folder in an object store. A folder without it is not finished.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::address::is_address;
use super::input_file::InputFile;
use super::scratch::Scratch;
use crate::{Error, Result};

/// The name of the marker, as Spark and Hadoop have it.
pub const MARKER: &str = "_SUCCESS";
const VERSION: u32 = 1;
/// A hundred times what a marker has.
const MOST: u64 = 1 << 20;

/// What a finished folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// [`VERSION`].
    pub version: u32,
    /// The run, as its `run.json` names it.
    pub run_id: String,
    /// Its files, by name.
    pub files: Vec<MarkedFile>,
}

/// One file of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkedFile {
    /// Its name in the folder.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

impl Marker {
    /// What a folder on this machine holds, but for files that are made anew at any time.
    ///
    /// # Errors
    /// The system's.
    pub fn of(folder: &Path, run_id: &str, but: &[&str]) -> io::Result<Marker> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !but.contains(&name.as_str()) {
                let (bytes, sha256) = digest(&mut File::open(entry.path())?, &mut io::sink())?;
                files.push(MarkedFile { name, bytes, sha256 });
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Marker { version: VERSION, run_id: run_id.to_owned(), files })
    }

    /// The marker of a folder in an object store; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Io`] where the store gives no answer; [`Error::Input`] for a marker of somebody else.
    pub fn read(folder: &Path) -> Result<Option<Marker>> {
        let address = folder.join(MARKER);
        let bytes = match InputFile::open(&address).and_then(|file| {
            let mut bytes = Vec::new();
            file.reader(0)?.take(MOST).read_to_end(&mut bytes)?;
            Ok(bytes)
        }) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &address)(error)),
        };
        let refuse = |found: String| {
            let fix = "name a run folder that `chehra audit --out` made";
            Error::input(&address, "marker", "the marker of a run folder", found, fix)
        };
        let marker: Marker = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
        match marker.version {
            VERSION => Ok(Some(marker)),
            other => Err(refuse(format!("version {other}"))),
        }
    }

    /// The SHA-256 of a file of the folder.
    pub fn sha256_of(&self, name: &str) -> Option<&str> {
        self.files.iter().find(|file| file.name == name).map(|file| file.sha256.as_str())
    }
}

/// A run folder on this machine: itself, or a copy of one in an object store that lasts as long as this.
#[derive(Debug)]
pub struct RunCopy {
    path: PathBuf,
    _scratch: Option<Scratch>,
}

impl RunCopy {
    /// The folder itself, or a copy of a finished one in an object store, held against its marker.
    ///
    /// # Errors
    /// [`Error::Input`] for a folder without a marker, or with a file that is not the one it names; [`Error::Io`].
    pub fn of(run: &Path) -> Result<RunCopy> {
        if !is_address(run) {
            return Ok(RunCopy { path: run.to_path_buf(), _scratch: None });
        }
        let marker = Marker::read(run)?.ok_or_else(|| {
            let expected = format!("a finished run folder: {MARKER} is written into it last");
            let fix = "wait for the audit to end, or give its command again; check the address";
            Error::input(run, "RUN", expected, format!("no {MARKER}: not finished, or no run folder"), fix)
        })?;
        let scratch = Scratch::new().map_err(Error::io("make a folder for a copy of", run))?;
        // A name of its own, for it is shown.
        let path = scratch.path().join(run.file_name().unwrap_or_default());
        fs::create_dir(&path).map_err(Error::io("create", &path))?;
        for file in &marker.files {
            let address = run.join(&file.name);
            let is_plain = Path::new(&file.name).file_name().is_some_and(|name| name == file.name.as_str());
            let refuse = |found: String| {
                let (expected, fix) = (format!("the file that {MARKER} names"), "audit the dump again with --force");
                Error::input(&address, "a file of the run", expected, found, fix)
            };
            if !is_plain {
                return Err(refuse("a name that is none".into()));
            }
            let to = path.join(&file.name);
            let copied = InputFile::open(&address).and_then(|from| {
                let size = from.size()?;
                from.plan(|| std::iter::once(0..size).collect());
                digest(&mut from.reader(0)?, &mut File::create(&to)?)
            });
            match copied {
                Ok((bytes, sha256)) if bytes == file.bytes && sha256 == file.sha256 => {}
                Ok((bytes, _)) => return Err(refuse(format!("another one, of {bytes} bytes"))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(refuse("nothing".into())),
                Err(error) => return Err(Error::io("read", &address)(error)),
            }
        }
        Ok(RunCopy { path, _scratch: Some(scratch) })
    }

    /// Where it can be read.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Copies bytes, and gives how many they are and their SHA-256.
fn digest(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<(u64, String)> {
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        match from.read(&mut buffer)? {
            0 => break,
            read => {
                hash.update(&buffer[..read]);
                to.write_all(&buffer[..read])?;
                bytes += read as u64;
            }
        }
    }
    Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
