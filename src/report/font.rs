//! The size, colours and letters of charts.
//!
//! The letters come from a font in the program (DejaVu Sans, its ASCII part; terms in `DejaVuSans-ASCII.LICENSE.txt`), so that a
//! chart looks the same on every machine. In an SVG the font gives the sizes of texts alone.

use std::sync::OnceLock;

use plotters::style::{FontStyle, RGBColor, register_font};

use crate::{Error, Result};

/// Width and height of a chart, pixels.
pub const CHART_SIZE: (u32, u32) = (960, 640);

/// Colours that people with colour-blindness tell apart (Okabe and Ito 2008).
pub const CHART_COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

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
