//! The file: a decision is in it, on the disk, before anybody is told.
//!
//! Several processes append to one log. Each append takes the file's lock, reads what others wrote meanwhile, writes one
//! line with one call, flushes file and, when it is new, its folder, and only then hands out a [`Receipt`]. Nothing else
//! makes a receipt, and an answer to a reviewer needs one: that order is kept by the types. A line that was begun and
//! never finished (the machine died while it was written) was never confirmed to anybody. It is moved to a file of its
//! own beside the log, reported, and the log goes on.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{Entry, Ledger};
use crate::{Error, Result};

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
pub struct Log {
    path: PathBuf,
    file: File,
    ledger: Ledger,
    lines: usize,
    read_to: u64,
    torn: Vec<Torn>,
    broken: Option<String>,
}

impl Log {
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
            let fix = "name a file on a disk with --decisions";
            return Err(Error::input(path, "log", "a file that keeps what is appended", "a device or a pipe", fix));
        }
        if is_new {
            sync_folder_of(path)?;
        }
        let mut log = Log {
            path: path.to_path_buf(),
            file,
            ledger: Ledger::default(),
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
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Lines that were never finished and are kept aside.
    pub fn torn(&self) -> &[Torn] {
        &self.torn
    }

    /// Reads what others have appended since.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn refresh(&mut self) -> Result<()> {
        let length = self.file.metadata().map_err(Error::io("read", &self.path))?.len();
        if length == self.read_to { Ok(()) } else { self.locked(|log| log.catch_up(false)) }
    }

    /// Appends an entry and flushes it to the disk. An entry that is there already is not written again.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses; then the log takes nothing more, since nobody knows what it holds.
    pub fn append(&mut self, entry: Entry) -> Result<Receipt> {
        if let Some(why) = &self.broken {
            return Err(Error::io("write", &self.path)(std::io::Error::other(why.clone())));
        }
        let line = entry.line().map_err(|e| Error::bug("writing a decision", e))?;
        let written = self.locked(|log| {
            log.catch_up(true)?;
            if log.ledger.knows(&entry.id) {
                return Ok(Receipt(()));
            }
            log.file.write_all(line.as_bytes()).map_err(Error::io("write", &log.path))?;
            log.file.sync_all().map_err(Error::io("flush", &log.path))?;
            // Only now: what follows tells the reviewer.
            log.read_to += line.len() as u64;
            log.lines += 1;
            log.ledger.add(entry);
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
        let (entries, whole) = parse(&self.path, &bytes, self.lines + 1)?;
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
pub(super) fn parse(path: &Path, bytes: &[u8], first: usize) -> Result<(Vec<Entry>, usize)> {
    let mut entries = Vec::new();
    let mut whole = 0;
    while let Some(length) = bytes[whole..].iter().position(|&b| b == b'\n') {
        let line = &bytes[whole..whole + length];
        let entry = Entry::parse(line).map_err(|found| {
            let item = format!("line {}", first + entries.len());
            let fix = "put the log back from a copy, or move this line to a file of its own if it must not count";
            Error::input(path, item, "a decision as the review desk writes it, unchanged", found, fix)
        })?;
        entries.push(entry);
        whole += length + 1;
    }
    Ok((entries, whole))
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
    use super::super::entry::tests::decided;
    use super::super::{Answer, Decisions};
    use super::*;

    fn entry(id: usize) -> Entry {
        decided(&id.to_string(), "asha", (&format!("a{id}"), "b"), Answer::Same)
    }

    #[test]
    fn a_torn_line_is_kept_aside_and_the_log_goes_on() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("d.jsonl");
        let whole = entry(1).line().unwrap();
        let second = entry(2).line().unwrap();
        // Cut at every byte of the second line: what was whole stays, what was begun is kept.
        for cut in 1..second.len() {
            std::fs::write(&path, format!("{whole}{}", &second[..cut])).unwrap();
            let read = Decisions::read(std::slice::from_ref(&path)).unwrap();
            assert_eq!((read.ledger.entries().len(), read.torn), (1, 1), "{cut}: reading alone changes nothing");
            let mut log = Log::open(&path).unwrap();
            assert_eq!(log.ledger().entries().len(), 1, "{cut}");
            let kept = log.torn()[0].kept.clone().unwrap();
            assert_eq!(std::fs::read_to_string(&kept).unwrap(), second[..cut], "{cut}");
            log.append(entry(3)).unwrap();
            assert_eq!(Log::open(&path).unwrap().ledger().entries().len(), 2, "{cut}");
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("d.jsonl");
        let damaged = entry(2).line().unwrap().replace("same", "some");
        std::fs::write(&path, format!("{}{damaged}{}", entry(1).line().unwrap(), entry(3).line().unwrap())).unwrap();
        let error = Log::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("checksum"), "{error}");
        assert!(Decisions::read(&[path]).is_err());
    }

    #[test]
    fn two_writers_lose_nothing_and_see_each_other() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("d.jsonl");
        let write = |from: usize| {
            let mut log = Log::open(&path).unwrap();
            for id in from..from + 40 {
                log.append(entry(id)).unwrap();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| write(0));
            scope.spawn(|| write(1000));
        });
        let mut one = Log::open(&path).unwrap();
        assert_eq!(one.ledger().entries().len(), 80);
        let mut two = Log::open(&path).unwrap();
        two.append(entry(5000)).unwrap();
        two.append(entry(5000)).unwrap();
        one.refresh().unwrap();
        assert!(one.ledger().knows("5000"));
        assert_eq!(one.ledger().entries().len(), 81, "the same entry twice counts once");
    }

    #[test]
    fn a_log_that_was_cut_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("d.jsonl");
        let mut log = Log::open(&path).unwrap();
        log.append(entry(1)).unwrap();
        std::fs::write(&path, "").unwrap();
        assert!(log.refresh().is_err());
        assert!(log.append(entry(2)).is_err());
        assert!(log.append(entry(3)).unwrap_err().to_string().contains("start the desk again"));
    }

    #[test]
    fn what_cannot_be_written_is_not_confirmed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("d.jsonl");
        let mut log = Log::open(&path).unwrap();
        log.append(entry(1)).unwrap();
        // As if the disk had become read-only.
        log.file = File::open(&path).unwrap();
        assert!(log.append(entry(2)).is_err());
        assert!(!log.ledger().knows("2"));
        assert_eq!(Log::open(&path).unwrap().ledger().entries().len(), 1);
        assert!(Log::open(temp.path()).is_err(), "a folder is no log");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_keeps_nothing_is_no_log() {
        assert!(Log::open(Path::new("/proc/no-such-decisions")).is_err(), "a file that cannot be made");
        for device in ["/dev/full", "/dev/null", "/dev/zero"] {
            let error = Log::open(Path::new(device)).unwrap_err().to_string();
            assert!(error.contains(device) && error.contains("device"), "{error}");
        }
    }
}
