//! What a chain keeps of the map between two layers: the rows that are still needed, as the next layer reads them.

use std::ops::Range;

use super::super::Line;
use super::sink::Form;

/// Rows of the map between two layers.
#[derive(Default)]
pub(super) struct Window {
    pub(super) memory: Vec<Line>,
    /// Bytes of a pixel and pixels of a row.
    pub(super) pixel: usize,
    pub(super) width: usize,
    pub(super) form: Option<Form>,
    pub(super) held: Range<usize>,
}

impl Window {
    /// Moves the rows that are still needed to the front. `held` then says what is there.
    pub(super) fn advance(&mut self, needed: &Range<usize>) {
        let row = self.width * self.pixel;
        let kept = needed.start..self.held.end;
        if !kept.is_empty() && kept.start > self.held.start {
            let base = self.memory.as_mut_ptr().cast::<u8>();
            // SAFETY: the rows held are inside the memory, and what is moved begins behind its start.
            unsafe { base.copy_from(base.add((kept.start - self.held.start) * row), kept.len() * row) };
        }
        self.held = if kept.is_empty() { needed.start..needed.start } else { kept };
    }
}

/// At least so many floats; what is there stays.
pub(super) fn grow(memory: &mut Vec<Line>, floats: usize) {
    if memory.len() * 16 < floats {
        memory.resize(floats.div_ceil(16), Line([0.0; 16]));
    }
}
