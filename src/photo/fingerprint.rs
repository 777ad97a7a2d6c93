//! Fingerprints of a picture: of its bytes, and of what it shows.
//!
//! The difference hash (N. Krawetz, "Kind of Like That", 2013): the picture is averaged to 9 columns and 8 rows of
//! luma (Rec. 601), and each of the 64 bits says whether a cell is brighter than its right neighbour. It survives
//! rescaling and another compression, and tells a picture sent twice from two pictures of the same people: those
//! differ in far more than ten bits unless nobody moved.

use sha2::{Digest, Sha256};

use super::grids::hash::{COLUMNS, Cells, ROWS, border, means};
use super::picture::Photo;
use super::reduce::Reduced;

/// What is kept of a picture to recognise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint {
    /// SHA-256 of the encoded bytes: equal for the same file only.
    pub sha256: [u8; 32],
    /// Difference hash of the upright picture; bit 63 is the top left comparison, row by row.
    pub dhash: u64,
    /// Difference hash of the picture's mirror image.
    pub mirrored_dhash: u64,
}

impl Fingerprint {
    /// Of the encoded bytes and the photo that they decode to.
    pub fn of(bytes: &[u8], photo: &Photo) -> Fingerprint {
        Self::new(bytes, &cells(photo))
    }

    /// The same from what [`Reduced`] has of the photo.
    pub fn from_reduced(bytes: &[u8], reduced: &Reduced) -> Fingerprint {
        Self::new(bytes, &reduced.cells)
    }

    fn new(bytes: &[u8], cells: &Cells) -> Fingerprint {
        let (dhash, mirrored_dhash) = difference_hashes(cells);
        Fingerprint { sha256: Sha256::digest(bytes).into(), dhash, mirrored_dhash }
    }

    /// In how many of 64 bits two pictures differ, the second one mirrored or not, whichever is nearer.
    pub fn distance(&self, other: &Fingerprint) -> u32 {
        hamming(self.dhash, other.dhash).min(hamming(self.dhash, other.mirrored_dhash))
    }
}

/// In how many bits two difference hashes differ, 0..=64.
pub fn hamming(a: u64, b: u64) -> u32 {
    (a ^ b).count_ones()
}

/// The hash of the picture and of its mirror image.
fn difference_hashes(cells: &Cells) -> (u64, u64) {
    let (mut plain, mut mirrored) = (0, 0);
    for row in cells {
        for column in 0..COLUMNS - 1 {
            plain = plain << 1 | u64::from(row[column] > row[column + 1]);
            let (left, right) = (row[COLUMNS - 1 - column], row[COLUMNS - 2 - column]);
            mirrored = mirrored << 1 | u64::from(left > right);
        }
    }
    (plain, mirrored)
}

/// The cells of a photo.
fn cells(photo: &Photo) -> Cells {
    let mut sums = [[0; 3]; COLUMNS * ROWS];
    for row in 0..ROWS {
        let (top, bottom) = (border(row, ROWS, photo.height), border(row + 1, ROWS, photo.height));
        for line in photo.rgb.chunks_exact(photo.width * 3).take(bottom).skip(top) {
            for column in 0..COLUMNS {
                let (left, right) = (border(column, COLUMNS, photo.width), border(column + 1, COLUMNS, photo.width));
                for pixel in line[left * 3..right * 3].as_chunks::<3>().0 {
                    let sums = &mut sums[row * COLUMNS + column];
                    sums.iter_mut().zip(pixel).for_each(|(sum, &sample)| *sum += u64::from(sample));
                }
            }
        }
    }
    means(&sums, (photo.width, photo.height))
}
