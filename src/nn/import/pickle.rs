//! Whether a PyTorch file's pickle may be given to candle's reader.
//!
//! That reader executes nothing, but it clones, prints and drops what it has built by recursion: tuples in tuples overflow
//! the stack, and what is taken from the memo again and again doubles until there is no memory. So the pickle is run once
//! beforehand on the reader's own machine, step by step, with depth and size of everything on its stack noted beside it, and
//! stopped before a step would pass the limits.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use candle_core::pickle::Stack;

use super::imported::refuse;
use crate::Result;

/// Things in things. A table of tensors has seven levels, a checkpoint of a training run some more.
const MAX_DEPTH: u32 = 100;
/// Things in all, those in the memo included. A network of a thousand layers has about a hundred thousand.
const MAX_THINGS: u64 = 10_000_000;
/// Bytes of a pickle, which holds names and shapes; the values lie beside it.
const MAX_BYTES: u64 = 256 << 20;

/// Checks every pickle of a file in PyTorch's zip format. Other files are left to the reader, which refuses them.
///
/// # Errors
/// [`crate::Error::Input`] when a pickle passes the limits.
pub(super) fn check(path: &Path) -> Result<()> {
    let Some(mut archive) = File::open(path).ok().and_then(|file| zip::ZipArchive::new(file).ok()) else {
        return Ok(());
    };
    let mut unpacked = 0u64;
    for number in 0..archive.len() {
        unpacked = unpacked.saturating_add(archive.by_index_raw(number).map_or(0, |entry| entry.size()));
    }
    if unpacked > super::imported::MAX_BYTES {
        let expected = format!("at most {} bytes when unpacked", super::imported::MAX_BYTES);
        return Err(refuse(path, "PyTorch file", &expected, format!("{unpacked} bytes")));
    }
    for number in 0..archive.len() {
        let mut bytes = Vec::new();
        let read = match archive.by_index(number) {
            Ok(entry) if entry.name().is_ok_and(|name| name.ends_with("data.pkl")) => {
                entry.take(MAX_BYTES + 1).read_to_end(&mut bytes).is_ok()
            }
            _ => false,
        };
        if read {
            run(&bytes).map_err(|found| {
                let expected = format!("a table of tensors, at most {MAX_DEPTH} deep and {MAX_THINGS} things large");
                refuse(path, "PyTorch file", &expected, found)
            })?;
        }
    }
    Ok(())
}

/// What is known of a thing on the stack.
#[derive(Debug, Clone, Copy)]
struct Extent {
    depth: u32,
    things: u64,
}

const ONE: Extent = Extent { depth: 1, things: 1 };

/// Runs a pickle up to its end, or until the reader itself refuses it.
fn run(mut bytes: &[u8]) -> Result<(), String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("a pickle of more than {MAX_BYTES} bytes"));
    }
    let mut machine = Stack::empty();
    let mut extents: Vec<Extent> = Vec::new();
    let mut memo: HashMap<u32, Extent> = HashMap::new();
    let mut total = 0u64;
    while let Some((&code, arguments)) = bytes.split_first() {
        let short = arguments.first().map(|&byte| u32::from(byte));
        let long = arguments.first_chunk().map(|&four| u32::from_le_bytes(four));
        let mut pushed = ONE;
        match code {
            b'X' if long.is_some_and(|length| length as usize > arguments.len() - 4) => {
                return Err("a text that is longer than the file".into());
            }
            // Into the memo, and out of it again: a copy each time.
            b'q' | b'r' => {
                let key = if code == b'q' { short } else { long };
                if let (Some(key), Some(&top)) = (key, extents.last()) {
                    total = total.saturating_add(top.things);
                    memo.insert(key, top);
                }
            }
            b'h' | b'j' => {
                let key = if code == b'h' { short } else { long };
                pushed = key.and_then(|key| memo.get(&key)).copied().unwrap_or(ONE);
                total = total.saturating_add(pushed.things);
            }
            _ => total = total.saturating_add(1),
        }
        if total > MAX_THINGS {
            return Err(format!("more than {MAX_THINGS} things"));
        }
        match machine.read(&mut bytes) {
            Ok(false) => {}
            Ok(true) => return Ok(()),
            // The reader will say the same.
            Err(_) => return Ok(()),
        }
        let left = machine.stack().len();
        match left.checked_sub(extents.len()) {
            Some(0) if !matches!(code, b'Q' | 0x85) => {}
            Some(1..) => extents.push(pushed),
            // What was on top now lies in the thing that is on top.
            _ => {
                let parts = extents.split_off(left.saturating_sub(1).min(extents.len()));
                // A list or a table to which others are added grows no deeper by itself.
                let grows = matches!(code, b'a' | b'e' | b's' | b'u');
                let within = parts.iter().skip(usize::from(grows)).map(|part| part.depth + 1).max().unwrap_or(1);
                let own = if grows { parts.first().map_or(1, |part| part.depth) } else { 1 };
                let things = parts.iter().fold(1u64, |all, part| all.saturating_add(part.things));
                extents.push(Extent { depth: within.max(own), things });
            }
        }
        if extents.last().is_some_and(|top| top.depth > MAX_DEPTH) {
            return Err(format!("things nested more than {MAX_DEPTH} deep"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `depth` tuples in each other.
    fn nested(depth: usize) -> Vec<u8> {
        [&[0x80, 2, b'K', 1][..], &vec![0x85; depth], b"."].concat()
    }

    #[test]
    fn nested_tuples_are_stopped_before_they_overflow_the_stack() {
        run(&nested(90)).unwrap();
        for depth in [101, 3_000_000] {
            assert!(run(&nested(depth)).unwrap_err().contains("deep"), "{depth}");
        }
        // By every way in which a thing comes to lie in another: pairs, calls, states, objects, references, lists.
        for step in [&b"K\x02\x86"[..], b"K\x02R", b"K\x02b", b"K\x02\x81", b"Q"] {
            let pickle = [&b"K\x01"[..], &step.repeat(200), b"."].concat();
            assert!(run(&pickle).unwrap_err().contains("deep"), "{step:?}");
        }
        let lists = [b"]".repeat(200), b"a".repeat(199), b".".to_vec()].concat();
        assert!(run(&lists).unwrap_err().contains("deep"));
    }

    #[test]
    fn a_long_list_is_not_a_deep_one() {
        let appended = [&b"]"[..], &b"K\x01a".repeat(10_000), b"."].concat();
        run(&appended).unwrap();
        let table = [&b"}"[..], &b"K\x01K\x02s".repeat(10_000), b"."].concat();
        run(&table).unwrap();
    }

    #[test]
    fn copies_of_copies_are_stopped_before_they_fill_the_memory() {
        // Each round makes a pair of twice the last one.
        let bomb = [&b"K\x01"[..], &b"q\x00h\x00\x86".repeat(60), b"."].concat();
        assert!(run(&bomb).unwrap_err().contains("things"));
        assert!(run(b"X\xff\xff\xff\x7fab.").unwrap_err().contains("longer than the file"));
    }
}
