//! The letters of charts.
//!
//! They come from a font in the program (DejaVu Sans, its ASCII part; terms in `DejaVuSans-ASCII.LICENSE.txt`), so that a
//! chart looks the same on every machine. In an SVG the font gives the sizes of texts alone.

use std::sync::OnceLock;

use plotters::style::{FontStyle, register_font};

use crate::{Error, Result};

const FONT: &[u8] = include_bytes!("DejaVuSans-ASCII.ttf");

/// Makes the font known as `sans-serif`.
///
/// # Errors
/// [`Error::Bug`] when the font in the program cannot be read.
pub fn font_of_charts() -> Result<()> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    match REGISTERED.get_or_init(|| register_font("sans-serif", FontStyle::Normal, FONT).is_ok()) {
        true => Ok(()),
        false => Err(Error::bug("drawing charts", "a font that cannot be read")),
    }
}
