//! A disk as a power cut may leave it, from the log of what a process did.
//!
//! What counts as durable is what POSIX promises: the bytes of a file as of its last `fsync`, the names in a folder as of
//! the folder's last `fsync`. Everything else is in the hands of the file system, and a cut may leave it in any of these
//! ways ([`Cut`]). Renames within the journal of one file system keep their order, so names that survive are a prefix of
//! what was done.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a power cut leaves of what was not flushed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// Nothing: neither bytes nor names.
    Dropped,
    /// All names, but of files that were not flushed only the length: their new bytes are zeros.
    Zeroed,
    /// All names, and of bytes that were not flushed the first half.
    Torn,
}

impl Cut {
    pub const ALL: [Cut; 3] = [Cut::Dropped, Cut::Zeroed, Cut::Torn];
}

/// One operation.
#[derive(Debug, Clone)]
pub enum Done {
    Create(PathBuf),
    Truncate(PathBuf, usize),
    Write(PathBuf, usize, Vec<u8>),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Exchange(PathBuf, PathBuf),
    Unlink(PathBuf),
    MakeFolder(PathBuf),
    RemoveFolder(PathBuf),
}

/// Reads the log of `shim.c`.
pub fn parse(log: &[u8]) -> Vec<Done> {
    let mut done = Vec::new();
    let mut rest = log;
    while let Some(end) = rest.iter().position(|&b| b == b'\n') {
        let line = std::str::from_utf8(&rest[..end]).unwrap();
        rest = &rest[end + 1..];
        let fields: Vec<&str> = line.split('\t').collect();
        let path = |at: usize| PathBuf::from(fields[at]);
        let number = |at: usize| fields[at].parse::<usize>().unwrap();
        done.push(match fields[0] {
            "create" => Done::Create(path(1)),
            "truncate" => Done::Truncate(path(1), number(2)),
            "write" => {
                let (bytes, after) = rest.split_at(number(3));
                rest = after;
                Done::Write(path(1), number(2), bytes.to_vec())
            }
            "sync" => Done::Sync(path(1)),
            "rename" => Done::Rename(path(1), path(2)),
            "exchange" => Done::Exchange(path(1), path(2)),
            "unlink" => Done::Unlink(path(1)),
            "mkdir" => Done::MakeFolder(path(1)),
            "rmdir" => Done::RemoveFolder(path(1)),
            other => panic!("{other} in the log"),
        });
    }
    done
}

/// A file's bytes now, and those that are durable.
#[derive(Debug, Clone, Default)]
struct File {
    now: Vec<u8>,
    flushed: Vec<u8>,
}

/// What a name stands for: a folder, or the number of a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Named {
    Folder,
    File(usize),
}

type Names = BTreeMap<PathBuf, Named>;

/// The disk below one folder.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    files: Vec<File>,
    now: Names,
    durable: Names,
}

impl Disk {
    /// What lies below a folder, all of it durable.
    pub fn read(root: &Path) -> Disk {
        let mut disk = Disk::default();
        let mut open = vec![root.to_owned()];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                disk.now.insert(path, Named::Folder);
            } else {
                let bytes = fs::read(&path).unwrap();
                disk.now.insert(path, Named::File(disk.files.len()));
                disk.files.push(File { now: bytes.clone(), flushed: bytes });
            }
        }
        disk.durable = disk.now.clone();
        disk
    }

    fn file(&mut self, path: &Path) -> Option<&mut File> {
        match self.now.get(path)? {
            Named::File(number) => self.files.get_mut(*number),
            Named::Folder => None,
        }
    }

    pub fn apply(&mut self, done: &Done) {
        match done {
            Done::Create(path) => {
                self.now.insert(path.clone(), Named::File(self.files.len()));
                self.files.push(File::default());
            }
            Done::Truncate(path, length) => {
                if let Some(file) = self.file(path) {
                    file.now.resize(*length, 0);
                }
            }
            Done::Write(path, at, bytes) => {
                // A file that was unlinked while it is written is no longer anybody's.
                if let Some(file) = self.file(path) {
                    let end = at + bytes.len();
                    file.now.resize(file.now.len().max(end), 0);
                    file.now[*at..end].copy_from_slice(bytes);
                }
            }
            Done::Sync(path) => match self.now.get(path) {
                Some(Named::File(number)) => {
                    let file = &mut self.files[*number];
                    file.flushed = file.now.clone();
                }
                Some(Named::Folder) => self.sync_folder(path),
                None => {}
            },
            Done::Rename(from, to) => {
                let moved = below(&self.now, from);
                remove(&mut self.now, to);
                for (path, named) in moved {
                    self.now.remove(&path);
                    self.now.insert(moved_path(&path, from, to), named);
                }
            }
            Done::Exchange(one, other) => {
                let (first, second) = (below(&self.now, one), below(&self.now, other));
                remove(&mut self.now, one);
                remove(&mut self.now, other);
                self.now.extend(first.into_iter().map(|(path, named)| (moved_path(&path, one, other), named)));
                self.now.extend(second.into_iter().map(|(path, named)| (moved_path(&path, other, one), named)));
            }
            Done::Unlink(path) | Done::RemoveFolder(path) => _ = self.now.remove(path),
            Done::MakeFolder(path) => _ = self.now.insert(path.clone(), Named::Folder),
        }
    }

    /// Makes the names in a folder durable; what lies in a folder that is new there comes with it as it was flushed.
    fn sync_folder(&mut self, folder: &Path) {
        let is_in = |path: &&PathBuf| path.parent() == Some(folder);
        let gone: Vec<PathBuf> =
            self.durable.keys().filter(is_in).filter(|p| !self.now.contains_key(*p)).cloned().collect();
        for path in gone {
            remove(&mut self.durable, &path);
        }
        let names: Vec<(PathBuf, Named)> =
            self.now.iter().filter(|(path, _)| is_in(path)).map(|(p, n)| (p.clone(), *n)).collect();
        for (path, named) in names {
            // A folder that was moved here: its own names are durable where they were flushed before the move.
            if named == Named::Folder && !self.durable.contains_key(&path) {
                self.durable.extend(below(&self.now, &path));
            }
            self.durable.insert(path, named);
        }
    }

    /// Puts the disk after a power cut in the place of `root`.
    pub fn write_after(&self, cut: Cut, root: &Path) {
        drop(fs::remove_dir_all(root));
        let names = if cut == Cut::Dropped { &self.durable } else { &self.now };
        for (path, named) in names {
            match named {
                Named::Folder => fs::create_dir_all(path).unwrap(),
                // A name in a folder that did not survive itself is lost with it.
                Named::File(_) if !path.parent().is_some_and(Path::exists) => {}
                Named::File(number) => fs::write(path, self.files[*number].after(cut)).unwrap(),
            }
        }
    }
}

impl File {
    fn after(&self, cut: Cut) -> Vec<u8> {
        if cut == Cut::Dropped || self.now == self.flushed {
            return self.flushed.clone();
        }
        let same = self.now.iter().zip(&self.flushed).take_while(|(a, b)| a == b).count();
        let mut bytes = self.now.clone();
        match cut {
            Cut::Zeroed => bytes[same..].fill(0),
            _ => bytes.truncate(same + (self.now.len() - same) / 2),
        }
        bytes
    }
}

/// A name and everything below it.
fn below(names: &Names, root: &Path) -> Vec<(PathBuf, Named)> {
    names.iter().filter(|(path, _)| path.starts_with(root)).map(|(path, named)| (path.clone(), *named)).collect()
}

/// Removes a name and everything below it.
fn remove(names: &mut Names, root: &Path) {
    names.retain(|path, _| !path.starts_with(root));
}

fn moved_path(path: &Path, from: &Path, to: &Path) -> PathBuf {
    let rest = path.strip_prefix(from).unwrap();
    if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) }
}
