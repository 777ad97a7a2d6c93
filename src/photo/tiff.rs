//! Entries of a TIFF structure, as EXIF uses it (EXIF 2.32, 4.6.2).
//!
//! Written by anybody, so nothing is believed: a directory is read where it lies, entry by entry, without a copy; counts and
//! offsets reach no further than the bytes that are there. Whoever asks names each directory, and none leads to another by
//! itself, so there is no loop to go round in.

/// Entries of one directory that are looked at: cameras write some forty.
const MOST_ENTRIES: usize = 512;

/// A structure and its order of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Tiff<'a> {
    bytes: &'a [u8],
    is_big: bool,
}

/// One entry of a directory.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// What it is about.
    pub tag: u16,
    kind: u16,
    /// As much of its value as is there.
    value: &'a [u8],
    is_big: bool,
}

impl<'a> Tiff<'a> {
    /// Of bytes, over `Exif\0\0` where that stands before them; `None` where they are no such structure.
    pub fn of(bytes: &'a [u8]) -> Option<Tiff<'a>> {
        let bytes = bytes.strip_prefix(b"Exif\0\0").unwrap_or(bytes);
        match bytes.get(..2)? {
            b"MM" => Some(Tiff { bytes, is_big: true }),
            b"II" => Some(Tiff { bytes, is_big: false }),
            _ => None,
        }
    }

    /// The bytes from `start` on, at most `length`.
    pub fn slice(&self, start: usize, length: usize) -> Option<&'a [u8]> {
        self.bytes.get(start..start.checked_add(length)?)
    }

    fn number(&self, at: usize, size: usize) -> Option<usize> {
        self.slice(at, size).map(|bytes| whole(bytes, self.is_big))
    }

    /// Where the first directory lies.
    pub fn first(&self) -> Option<usize> {
        self.number(4, 4)
    }

    /// Where the directory after this one lies.
    pub fn after(&self, directory: usize) -> Option<usize> {
        let count = self.number(directory, 2)?;
        self.number(directory.checked_add(2 + 12 * count)?, 4).filter(|&next| next != 0)
    }

    /// The entries of a directory, up to the first that is not there.
    pub fn entries(self, directory: usize) -> impl Iterator<Item = Entry<'a>> {
        let count = self.number(directory, 2).unwrap_or(0).min(MOST_ENTRIES);
        (0..count).map_while(move |entry| self.entry(directory.checked_add(2 + 12 * entry)?))
    }

    fn entry(&self, at: usize) -> Option<Entry<'a>> {
        let (tag, kind) = (self.number(at, 2)? as u16, self.number(at.checked_add(2)?, 2)? as u16);
        let length = self.number(at.checked_add(4)?, 4)?.saturating_mul(size(kind));
        let offset = self.number(at.checked_add(8)?, 4)?;
        // Values that do not fit into four bytes lie elsewhere.
        let start = if length <= 4 { at + 8 } else { offset };
        let rest = self.bytes.get(start..).unwrap_or_default();
        Some(Entry { tag, kind, value: &rest[..length.min(rest.len())], is_big: self.is_big })
    }

    /// The entry with this tag.
    pub fn find(self, directory: usize, tag: u16) -> Option<Entry<'a>> {
        self.entries(directory).find(|entry| entry.tag == tag)
    }
}

/// Bytes of one value of a type; 0 for a type that is not known.
fn size(kind: u16) -> usize {
    match kind {
        1 | 2 | 6 | 7 | 129 => 1,
        3 | 8 => 2,
        4 | 9 | 13 => 4,
        5 | 10 => 8,
        _ => 0,
    }
}

fn whole(bytes: &[u8], is_big: bool) -> usize {
    let next = |value: usize, byte: &u8| value << 8 | usize::from(*byte);
    if is_big { bytes.iter().fold(0, next) } else { bytes.iter().rev().fold(0, next) }
}

impl Entry<'_> {
    /// The first whole number, however wide; `None` for another type.
    pub fn whole(&self) -> Option<usize> {
        let is_whole = matches!(self.kind, 1 | 3 | 4 | 6 | 8 | 9 | 13);
        self.value.get(..size(self.kind)).filter(|_| is_whole).map(|bytes| whole(bytes, self.is_big))
    }

    /// A text up to its first NUL, without what nobody sees, at most `most` characters; `None` for a blank one.
    pub fn text(&self, most: usize) -> Option<String> {
        if !matches!(self.kind, 2 | 7 | 129) {
            return None;
        }
        let end = self.value.iter().position(|&byte| byte == 0).unwrap_or(self.value.len());
        let text = String::from_utf8_lossy(&self.value[..end.min(4 * most)]);
        let seen: String = text.chars().filter(|c| !c.is_control()).collect();
        let short: String = seen.trim().chars().take(most).collect();
        let short = short.trim_end();
        (!short.is_empty()).then(|| short.to_owned())
    }

    /// The first fractions, as many as asked for; `None` where there are fewer, or one is divided by 0.
    pub fn fractions<const N: usize>(&self) -> Option<[f64; N]> {
        if self.kind != 5 {
            return None;
        }
        let mut all = [0.0; N];
        for (at, fraction) in all.iter_mut().enumerate() {
            let bytes = self.value.get(8 * at..8 * at + 8)?;
            let (above, below) = (whole(&bytes[..4], self.is_big), whole(&bytes[4..], self.is_big));
            *fraction = above as f64 / below as f64;
        }
        all.iter().all(|fraction| fraction.is_finite()).then_some(all)
    }
}
