//! A log of what people said: a line is in it, on the disk, before anybody is told.
//!
//! Several processes append to one log. Each append takes the file's lock, reads what others wrote meanwhile, writes one
//! line with one call, flushes file and, when it is new, its folder, and only then hands out a [`Receipt`]. Nothing else
//! makes a receipt, and an answer to whoever decided needs one: that order is kept by the types. A line that was begun and
//! never finished (the machine died while it was written) was never confirmed to anybody. It is moved to a file of its
//! own beside the log, reported, and the log goes on.
//!
//! A line is a JSON object whose last member is `sum`: the first 16 hexadecimal digits of the SHA-256 of the same object
//! without it. Any JSON tool reads it; a line that was cut short, mended by hand or flipped on the disk is known.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// What follows from the lines of a log.
pub trait Ledger: Default {
    /// One line.
    type Entry: Serialize + DeserializeOwned;

    /// The flag that names the log, for messages.
    const FLAG: &'static str;

    /// What a line is, for messages.
    const LINE: &'static str;

    /// The versions of a line that are read.
    const VERSIONS: RangeInclusive<u32>;

    /// The version of a line.
    fn version(entry: &Self::Entry) -> u32;

    /// Made up by who sends it, so that one line sent twice counts once.
    fn id(entry: &Self::Entry) -> &str;

    /// Adds a line; one that is there already changes nothing.
    fn add(&mut self, entry: Self::Entry);

    /// Whether a line with this id is there.
    fn knows(&self, id: &str) -> bool;
}

/// A line that was begun and never finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// Where in the log it began.
    pub at: u64,
    /// Where its bytes are kept; `None` while nobody has appended since.
    pub kept: Option<PathBuf>,
}

/// Proof that an entry is on the disk.
#[derive(Debug)]
pub struct Receipt(());

/// An open log.
#[derive(Debug)]
pub struct Journal<L> {
    path: PathBuf,
    file: File,
    ledger: L,
    lines: usize,
    read_to: u64,
    torn: Vec<Torn>,
    broken: Option<String>,
}

impl<L: Ledger> Journal<L> {
    /// Opens a log, made if absent, readable by its owner alone.
    ///
    /// # Errors
    /// [`Error::Input`] when a line of it is damaged, [`Error::Io`] when the system refuses.
    pub fn open(path: &Path) -> Result<Self> {
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(Error::io("open", path))?;
        // A device or a pipe has no end to read to, and keeps nothing.
        if !file.metadata().map_err(Error::io("open", path))?.is_file() {
            let fix = format!("name a file on a disk with {}", L::FLAG);
            return Err(Error::input(path, "log", "a file that keeps what is appended", "a device or a pipe", fix));
        }
        if is_new {
            sync_folder_of(path)?;
        }
        let mut log = Journal {
            path: path.to_path_buf(),
            file,
            ledger: L::default(),
            lines: 0,
            read_to: 0,
            torn: Vec::new(),
            broken: None,
        };
        log.locked(|log| log.catch_up(true))?;
        Ok(log)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands in it, as far as it was read.
    pub fn ledger(&self) -> &L {
        &self.ledger
    }

    /// Lines that were never finished and are kept aside.
    pub fn torn(&self) -> &[Torn] {
        &self.torn
    }

    /// Reads what others have appended since.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn refresh(&mut self) -> Result<()> {
        let length = self.file.metadata().map_err(Error::io("read", &self.path))?.len();
        if length == self.read_to { Ok(()) } else { self.locked(|log| log.catch_up(false)) }
    }

    /// Appends an entry and flushes it to the disk. An entry that is there already is not written again.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses; then the log takes nothing more, since nobody knows what it holds.
    pub fn append(&mut self, entry: L::Entry) -> Result<Receipt> {
        self.append_all(vec![entry])
    }

    /// Appends entries that are one act, with one write and one flush; those that are there already are left out.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn append_all(&mut self, entries: Vec<L::Entry>) -> Result<Receipt> {
        if let Some(why) = &self.broken {
            return Err(Error::io("write", &self.path)(std::io::Error::other(why.clone())));
        }
        let written = self.locked(|log| {
            log.catch_up(true)?;
            let new: Vec<_> = entries.into_iter().filter(|entry| !log.ledger.knows(L::id(entry))).collect();
            let mut lines = String::new();
            for entry in &new {
                lines.push_str(&line(entry).map_err(|e| Error::bug("writing a line", e))?);
            }
            if new.is_empty() {
                return Ok(Receipt(()));
            }
            log.file.write_all(lines.as_bytes()).map_err(Error::io("write", &log.path))?;
            log.file.sync_all().map_err(Error::io("flush", &log.path))?;
            // Only now: what follows tells whoever decided.
            log.read_to += lines.len() as u64;
            log.lines += new.len();
            new.into_iter().for_each(|entry| log.ledger.add(entry));
            Ok(Receipt(()))
        });
        if let Err(error) = &written {
            self.broken = Some(format!("an earlier write failed ({error}); start the desk again"));
        }
        written
    }

    fn locked<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.file.lock().map_err(Error::io("lock", &self.path))?;
        let result = act(self);
        let unlocked = self.file.unlock().map_err(Error::io("unlock", &self.path));
        result.and_then(|value| unlocked.map(|()| value))
    }

    /// Reads from where it stopped to the end. Under the lock nobody is in the middle of a line, so a line without an
    /// end was never finished; with `mend` it is moved aside.
    fn catch_up(&mut self, mend: bool) -> Result<()> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(self.read_to)).map_err(Error::io("read", &self.path))?;
        self.file.read_to_end(&mut bytes).map_err(Error::io("read", &self.path))?;
        let length = self.file.metadata().map_err(Error::io("read", &self.path))?.len();
        if length < self.read_to {
            let found = format!("{length} bytes where there were {}", self.read_to);
            let fix = "somebody has cut the log; put the whole one back";
            return Err(Error::input(&self.path, "log", "a log that only grows", found, fix));
        }
        let (entries, whole) = parse::<L>(&self.path, &bytes, self.lines + 1)?;
        self.lines += entries.len();
        self.read_to += whole as u64;
        entries.into_iter().for_each(|entry| self.ledger.add(entry));
        if whole < bytes.len() {
            self.set_aside(&bytes[whole..], mend)?;
        }
        Ok(())
    }

    fn set_aside(&mut self, tail: &[u8], mend: bool) -> Result<()> {
        let at = self.read_to;
        let kept = if mend { Some(self.keep(tail, at)?) } else { None };
        match self.torn.iter_mut().find(|torn| torn.at == at) {
            Some(known) if known.kept.is_none() => known.kept = kept,
            Some(_) if kept.is_none() => {}
            _ => self.torn.push(Torn { at, kept }),
        }
        Ok(())
    }

    /// Copies the torn end to a file of its own, durably, and only then cuts it off.
    fn keep(&self, tail: &[u8], at: u64) -> Result<PathBuf> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let place = |try_: usize| self.path.with_file_name(format!("{name}.torn-{at}-{try_}"));
        let free = (1..10_000).map(place).find(|path| !path.exists());
        let path = free.ok_or_else(|| Error::bug("keeping a torn line", "ten thousand of them"))?;
        let mut file = options.open(&path).map_err(Error::io("create", &path))?;
        file.write_all(tail).and_then(|()| file.sync_all()).map_err(Error::io("write", &path))?;
        sync_folder_of(&path)?;
        self.file.set_len(at).and_then(|()| self.file.sync_all()).map_err(Error::io("mend", &self.path))?;
        log::warn!("{}: a line that was never finished is kept in {}", self.path.display(), path.display());
        Ok(path)
    }
}

/// The entries of whole lines, and how many bytes those are. `first` is the number of the first line, for messages.
///
/// # Errors
/// [`Error::Input`] naming a line that is damaged.
pub fn parse<L: Ledger>(path: &Path, bytes: &[u8], first: usize) -> Result<(Vec<L::Entry>, usize)> {
    let mut entries = Vec::new();
    let mut whole = 0;
    while let Some(length) = bytes[whole..].iter().position(|&b| b == b'\n') {
        let line = &bytes[whole..whole + length];
        let entry = read_line::<L>(line).map_err(|found| {
            let item = format!("line {}", first + entries.len());
            let fix = "put the log back from a copy, or move this line to a file of its own if it must not count";
            Error::input(path, item, format!("{} as the review desk writes it, unchanged", L::LINE), found, fix)
        })?;
        entries.push(entry);
        whole += length + 1;
    }
    Ok((entries, whole))
}

/// `,"sum":"0123456789abcdef"}`
const SUM: usize = r#","sum":"0123456789abcdef"}"#.len();

/// The line of an entry, with its line feed.
///
/// # Errors
/// What the serialiser says; of no entry that a desk makes.
pub fn line(entry: &impl Serialize) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(entry)?;
    let sum = sum(text.as_bytes());
    text.pop();
    text.push_str(&format!(",\"sum\":\"{sum}\"}}\n"));
    Ok(text)
}

/// Reads a line without its line feed.
///
/// # Errors
/// What is wrong with it.
pub fn read_line<L: Ledger>(line: &[u8]) -> std::result::Result<L::Entry, String> {
    let at = line.len().checked_sub(SUM).ok_or("cut short")?;
    let (body, tail) = line.split_at(at);
    let mut text = body.to_vec();
    text.push(b'}');
    if tail != format!(",\"sum\":\"{}\"}}", sum(&text)).as_bytes() {
        return Err("its checksum does not fit".into());
    }
    let entry: L::Entry = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    match L::version(&entry) {
        version if L::VERSIONS.contains(&version) => Ok(entry),
        other => Err(format!("version {other}")),
    }
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a new name in a folder durable.
fn sync_folder_of(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) {
        File::open(folder).and_then(|f| f.sync_all()).map_err(Error::io("flush", folder))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    struct Word {
        id: String,
    }

    #[derive(Debug, Default)]
    struct Words(Vec<String>);

    impl Ledger for Words {
        type Entry = Word;
        const FLAG: &'static str = "--words";
        const LINE: &'static str = "a word";
        const VERSIONS: RangeInclusive<u32> = 1..=1;

        fn version(_: &Word) -> u32 {
            1
        }

        fn id(entry: &Word) -> &str {
            &entry.id
        }

        fn add(&mut self, entry: Word) {
            self.0.push(entry.id);
        }

        fn knows(&self, id: &str) -> bool {
            self.0.iter().any(|word| word == id)
        }
    }

    #[test]
    fn what_cannot_be_written_is_not_confirmed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("d.jsonl");
        let open = || Journal::<Words>::open(&path);
        let mut log = open().unwrap();
        log.append(Word { id: "one".into() }).unwrap();
        // As if the disk had become read-only.
        log.file = File::open(&path).unwrap();
        assert!(log.append(Word { id: "two".into() }).is_err());
        assert!(!log.ledger().knows("two"));
        assert_eq!(open().unwrap().ledger().0, ["one"]);
        assert!(Journal::<Words>::open(temp.path()).is_err(), "a folder is no log");
    }
}
