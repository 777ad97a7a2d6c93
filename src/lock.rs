//! Lock files: who comes second is told who holds what.
//!
//! The system lets go of a lock when the last copy of the open file is closed. A child process that another thread is
//! just starting holds copies of all open files until it executes its program, so closing the file is not enough: a
//! lock whose guard was dropped would look held for a moment. Dropping a [`FileLock`] unlocks, which frees all copies. A
//! process that is killed lets go as well.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How often a lock that is waited for is tried.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// A held lock; free again once dropped.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock in a file, made for its owner alone where there is none.
    ///
    /// # Errors
    /// [`Error::Busy`] with `held` and the holder's process where another process has it, [`Error::Io`] when the system
    /// refuses.
    pub fn take(path: &Path, held: &str, fix: &str) -> Result<FileLock> {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // For the message of whoever comes second; nothing depends on it.
                let _ = file.set_len(0).and_then(|()| file.rewind());
                let since = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
                let _ = writeln!(file, "process {} since {since}", std::process::id());
                Ok(FileLock { file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = match holder.trim() {
                    "" => held.to_owned(),
                    process => format!("{held} ({process})"),
                };
                Err(Error::Busy { path: path.to_owned(), holder, fix: fix.to_owned() })
            }
            Err(TryLockError::Error(e)) => Err(Error::io("lock", path)(e)),
        }
    }

    /// As [`FileLock::take`], but waits up to `patience` for the holder to end.
    ///
    /// # Errors
    /// As [`FileLock::take`].
    pub fn wait(path: &Path, patience: Duration, held: &str, fix: &str) -> Result<FileLock> {
        let begun = Instant::now();
        loop {
            match FileLock::take(path, held, fix) {
                Err(Error::Busy { .. }) if begun.elapsed() < patience => std::thread::sleep(RETRY_EVERY),
                taken => return taken,
            }
        }
    }

    /// Locks a file that is open already, without writing into it: `None` where another holds it.
    ///
    /// # Errors
    /// The system's.
    pub fn of(file: File) -> std::io::Result<Option<FileLock>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(FileLock { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// As [`FileLock::of`], but waits for the holder to end.
    ///
    /// # Errors
    /// The system's.
    pub fn wait_for(file: File) -> std::io::Result<FileLock> {
        file.lock()?;
        Ok(FileLock { file })
    }

    /// Whether the locked file is still the one of this name: its holder before may have removed or replaced it.
    pub fn is_of(&self, path: &Path) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            match (self.file.metadata(), std::fs::metadata(path)) {
                (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
                _ => false,
            }
        }
        #[cfg(not(unix))]
        path.exists()
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // What cannot be unlocked is freed when the process ends.
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A link in its place is somebody else's doing, and is not followed.
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    }
    options.open(path).map_err(Error::io("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(path: &Path) -> Result<FileLock> {
        FileLock::take(path, "another process writes", "wait")
    }

    #[test]
    fn a_dropped_lock_is_free_though_a_child_holds_a_copy_of_the_file() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("LOCK");
        let lock = take(&path).unwrap();
        // What a child has between fork and exec.
        let copy = lock.file.try_clone().unwrap();
        assert!(matches!(take(&path), Err(Error::Busy { .. })));
        drop(lock);
        drop(take(&path).unwrap());
        drop(copy);
    }

    #[test]
    fn who_comes_second_is_told_who_holds_it_and_may_wait() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("LOCK");
        let lock = take(&path).unwrap();
        let error = FileLock::wait(&path, Duration::from_millis(1), "another process writes", "wait").unwrap_err();
        assert!(error.to_string().contains(&format!("process {} since", std::process::id())), "{error}");
        let held = path.clone();
        let waiting = std::thread::spawn(move || {
            FileLock::wait(&held, Duration::from_secs(60), "another process", "wait").map(drop)
        });
        drop(lock);
        waiting.join().unwrap().unwrap();
        let other = FileLock::of(File::open(&path).unwrap()).unwrap().unwrap();
        assert!(FileLock::of(File::open(&path).unwrap()).unwrap().is_none());
        drop(other);
    }
}
