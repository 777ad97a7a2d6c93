//! The bytes of a picture, without a copy where the page they came from may stay.

use std::fmt;
use std::ops::Deref;

use arrow::buffer::Buffer;

/// Bytes of one cell, shared with the batch they came from.
#[derive(Clone)]
pub struct Blob(pub Buffer);

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len())
    }
}
