//! Mutations of files, the same for the same seed.

use chehra::statistics::SplitMix64;

/// Bytes and numbers at which readers stumble.
const BYTES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'\n', b'"', b'{'];
const NUMBERS: [u64; 10] = [0, 1, 2, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff];
/// What a file is not made longer than.
const LONGEST: usize = 1 << 20;

/// Changes some bytes in one to sixteen ways.
pub fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut SplitMix64) {
    let ways = [random.below(16), random.below(16)];
    for _ in 0..1 + ways[0].min(ways[1]) {
        let at = place(bytes.len(), random);
        let most = if random.below(4) == 0 { 4096 } else { 16 };
        let length = 1 + random.below(most);
        let end = bytes.len().min(at + length);
        match random.below(11) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = BYTES[random.below(BYTES.len())],
            2 if at < bytes.len() => bytes[at] = random.next() as u8,
            3 | 4 => number(bytes, at, random),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let piece = bytes[at..end].to_vec();
                let times = 1 + random.below(8);
                bytes.splice(at..at, piece.repeat(times));
            }
            7 => drop(bytes.splice(at..at, (0..length).map(|_| random.next() as u8).collect::<Vec<_>>())),
            8 if random.below(4) == 0 => bytes.truncate(at),
            9 => {
                let other = &others[random.below(others.len())];
                let from = random.below(other.len());
                let piece = &other[from..other.len().min(from + length)];
                let over = if random.below(2) == 0 { at..end } else { at..at };
                bytes.splice(over, piece.iter().copied());
            }
            10 => {
                let to = random.below(bytes.len());
                let piece: Vec<u8> = bytes.drain(at..end).collect();
                let to = to.min(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {}
        }
        bytes.truncate(LONGEST);
    }
}

/// Anywhere, and often near the ends, where headers and footers are.
fn place(length: usize, random: &mut SplitMix64) -> usize {
    match random.below(4) {
        0 => random.below(length.min(256)),
        1 => length - 1.min(length) - random.below(length.min(1024)),
        _ => random.below(length),
    }
}

/// A number of one to eight bytes in either order.
fn number(bytes: &mut [u8], at: usize, random: &mut SplitMix64) {
    let width = [1, 2, 4, 8][random.below(4)];
    let Some(place) = bytes.get_mut(at..at + width) else { return };
    let value = match random.below(3) {
        0 => NUMBERS[random.below(NUMBERS.len())],
        1 => NUMBERS[random.below(NUMBERS.len())].wrapping_neg(),
        _ => random.next() >> random.below(64),
    };
    match random.below(2) {
        0 => place.copy_from_slice(&value.to_le_bytes()[..width]),
        _ => place.copy_from_slice(&value.to_be_bytes()[8 - width..]),
    }
}
