//! A file that is read, on a disk or in an object store.
//!
//! Of an object ranges are read. Whoever knows which it will need says so ([`InputFile::plan`]), and they are fetched in
//! pieces of some MiB as reading comes to them, so that a column of a row group comes in few requests and no other column
//! with it. Of pieces as many are kept as there are columns.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use super::address::is_address;
use super::store::Object;

/// Most bytes of a piece, and fewest; most of all pieces that are kept.
const PIECES: [u64; 2] = [256 << 10, 4 << 20];
const MOST: u64 = 64 << 20;
/// Bytes of a piece that nobody has planned.
const UNPLANNED: u64 = 16 << 10;
/// Bytes between two ranges that are fetched along with them.
const GAP: u64 = 64 << 10;
/// Bytes that a reader of a stream takes at a time.
const BUFFER: usize = 64 << 10;

/// A file that is read.
#[derive(Debug)]
pub enum InputFile {
    /// On a disk.
    Disk(File),
    /// In an object store.
    Remote(RemoteFile),
}

impl InputFile {
    /// Opens it.
    ///
    /// # Errors
    /// The system's, or the object store's.
    pub fn open(path: &Path) -> io::Result<InputFile> {
        match is_address(path) {
            false => File::open(path).map(InputFile::Disk),
            true => Ok(InputFile::Remote(RemoteFile::of(Object::open(path)?))),
        }
    }

    /// Bytes of it.
    ///
    /// # Errors
    /// The system's.
    pub fn size(&self) -> io::Result<u64> {
        match self {
            InputFile::Disk(file) => file.metadata().map(|there| there.len()),
            InputFile::Remote(file) => Ok(file.object.size()),
        }
    }

    /// Reads exactly these bytes.
    ///
    /// # Errors
    /// The system's, or the object store's; [`io::ErrorKind::UnexpectedEof`] where it ends before.
    pub fn bytes_at(&self, start: u64, length: usize) -> io::Result<Bytes> {
        match self {
            InputFile::Disk(file) => {
                let mut file = file;
                file.seek(SeekFrom::Start(start))?;
                let mut bytes = vec![0; length];
                file.read_exact(&mut bytes)?;
                Ok(bytes.into())
            }
            InputFile::Remote(file) => file.read(start, length as u64),
        }
    }

    /// Reads on from a position, in order.
    ///
    /// # Errors
    /// The system's.
    pub fn reader(&self, start: u64) -> io::Result<Box<dyn BufRead + Send>> {
        match self {
            InputFile::Disk(file) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(start))?;
                Ok(Box::new(BufReader::new(file)))
            }
            InputFile::Remote(file) => {
                let reader = RemoteReader { file: file.clone(), at: start };
                Ok(Box::new(BufReader::with_capacity(BUFFER, reader)))
            }
        }
    }

    /// Says which ranges of an object will be read, each from its beginning.
    pub fn plan(&self, ranges: impl FnOnce() -> Vec<Range<u64>>) {
        if let InputFile::Remote(file) = self {
            file.pieces().plan(ranges());
        }
    }

    /// Fetches ranges of an object that will be read, several requests at a time.
    ///
    /// # Errors
    /// The object store's.
    pub fn fetch(&self, ranges: impl FnOnce() -> Vec<Range<u64>>) -> io::Result<()> {
        if let InputFile::Remote(file) = self {
            let ranges = ranges();
            let fetched = file.object.read_many(&ranges)?;
            let mut pieces = file.pieces();
            ranges.iter().zip(fetched).for_each(|(range, bytes)| pieces.keep(range.start, bytes));
        }
        Ok(())
    }
}

impl Length for InputFile {
    fn len(&self) -> u64 {
        self.size().unwrap_or(0)
    }
}

impl ChunkReader for InputFile {
    type T = Box<dyn BufRead + Send>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(self.reader(start)?)
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        match self {
            InputFile::Disk(file) => file.get_bytes(start, length),
            InputFile::Remote(file) => {
                file.read(start, length as u64).map_err(|error| ParquetError::External(Box::new(error)))
            }
        }
    }
}

/// An object, and what was fetched of it.
#[derive(Debug, Clone)]
pub struct RemoteFile {
    object: Arc<Object>,
    pieces: Arc<Mutex<Pieces>>,
}

/// What was fetched, and what will be read.
#[derive(Debug)]
struct Pieces {
    /// Sorted; ranges that lie close together are one.
    planned: Vec<Range<u64>>,
    /// Positions and bytes, the last used last.
    kept: VecDeque<(u64, Bytes)>,
    /// Bytes of a piece.
    size: u64,
}

impl Pieces {
    fn plan(&mut self, mut ranges: Vec<Range<u64>>) {
        // One for each column that is read, and as many again for what lies across two.
        self.size = (MOST / (2 * ranges.len() as u64 + 2)).clamp(PIECES[0], PIECES[1]);
        ranges.retain(|range| range.start < range.end);
        ranges.sort_by_key(|range| range.start);
        self.planned.clear();
        for range in ranges {
            match self.planned.last_mut() {
                Some(last) if range.start <= last.end.saturating_add(GAP) => last.end = last.end.max(range.end),
                _ => self.planned.push(range),
            }
        }
    }

    fn keep(&mut self, start: u64, bytes: Bytes) {
        self.kept.push_back((start, bytes));
        let mut held: u64 = self.kept.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        while held > MOST && self.kept.len() > 1 {
            held -= self.kept.pop_front().map_or(0, |(_, bytes)| bytes.len() as u64);
        }
    }

    /// What is kept of a range from its beginning: all of it, or as much as there is.
    fn find(&mut self, range: &Range<u64>) -> Option<Bytes> {
        let has = |(start, bytes): &(u64, Bytes)| *start <= range.start && range.start < start + bytes.len() as u64;
        let reach = |(start, bytes): &(u64, Bytes)| start + bytes.len() as u64;
        let found = self.kept.iter().enumerate().filter(|(_, piece)| has(piece));
        let (at, _) = found.max_by_key(|(_, piece)| reach(piece))?;
        let (start, bytes) = self.kept.remove(at)?;
        let from = (range.start - start) as usize;
        let to = bytes.len().min((range.end - start) as usize);
        let slice = bytes.slice(from..to);
        self.kept.push_back((start, bytes));
        Some(slice)
    }

    /// Up to where a piece that begins here is fetched, in an object of this size.
    fn end_of_piece(&self, range: &Range<u64>, size: u64) -> u64 {
        let planned = self.planned.iter().find(|planned| planned.contains(&range.start));
        let end = match planned {
            Some(planned) => planned.end.min(range.start.saturating_add(self.size)),
            // Who reads on and on is given more each time.
            None => {
                let before = self.kept.iter().filter(|(start, bytes)| start + bytes.len() as u64 == range.start);
                let before = before.map(|(_, bytes)| bytes.len() as u64).max().unwrap_or(0);
                range.start.saturating_add((2 * before).clamp(UNPLANNED, PIECES[1]))
            }
        };
        // What is there already is not fetched again.
        let next = self.kept.iter().map(|(start, _)| *start).filter(|start| *start > range.start).min();
        end.max(range.end).min(size).min(next.unwrap_or(u64::MAX))
    }

    /// Where what is planned from here on ends.
    fn end_of_plan(&self, start: u64) -> u64 {
        self.planned.iter().find(|planned| planned.contains(&start)).map_or(u64::MAX, |planned| planned.end)
    }
}

impl RemoteFile {
    fn of(object: Arc<Object>) -> RemoteFile {
        let kept = object.ends().into_iter().collect();
        let pieces = Pieces { planned: Vec::new(), kept, size: PIECES[1] };
        RemoteFile { object, pieces: Arc::new(Mutex::new(pieces)) }
    }

    fn pieces(&self) -> std::sync::MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, start: u64, length: u64) -> io::Result<Bytes> {
        let size = self.object.size();
        let range = start..start.saturating_add(length);
        if range.end > size {
            let found = format!("{length} bytes from byte {start} on, of {size}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, found));
        }
        if length == 0 {
            return Ok(Bytes::new());
        }
        let mut pieces = self.pieces();
        let mut found: Vec<Bytes> = Vec::new();
        let mut at = start;
        while at < range.end {
            let part = match pieces.find(&(at..range.end)) {
                Some(part) => part,
                None => {
                    let end = pieces.end_of_piece(&(at..range.end), size);
                    let fetched = self.object.read(at..end)?;
                    pieces.keep(at, fetched.clone());
                    fetched.slice(..fetched.len().min((range.end - at) as usize))
                }
            };
            at += part.len() as u64;
            found.push(part);
        }
        match found.as_slice() {
            [one] => Ok(one.clone()),
            several => Ok(several.concat().into()),
        }
    }
}

/// Reads an object in order.
struct RemoteReader {
    file: RemoteFile,
    at: u64,
}

impl Read for RemoteReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let end = self.file.object.size().min(self.file.pieces().end_of_plan(self.at));
        let length = (out.len() as u64).min(end.saturating_sub(self.at));
        if length == 0 {
            return Ok(0);
        }
        // What is there is handed out before anything is fetched: a header's reader asks for more than it looks at.
        let kept = self.file.pieces().find(&(self.at..self.at + length));
        let bytes = match kept {
            Some(bytes) => bytes,
            None => self.file.read(self.at, length)?,
        };
        out[..bytes.len()].copy_from_slice(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}
