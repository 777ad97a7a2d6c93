//! The annotated picture of an inspection: boxes, landmarks, roles, liveness, quality.
//!
//! Letters come from the font in the program (DejaVu Sans, its ASCII part), so the picture looks the same everywhere.

use std::path::Path;

use image::{RgbImage, imageops};
use plotters::prelude::*;

use super::inspect::{CastFace, Inspection};
use super::thumbnails::{as_image, save};
use crate::photo::Photo;
use crate::report::font_of_charts;
use crate::roles::Role;
use crate::{Error, Result};

/// Longer side of the annotated picture, pixels: less would not be legible, more not fit a screen.
const SIDES: std::ops::RangeInclusive<f32> = 960.0..=1920.0;

/// Okabe and Ito's colours, told apart by the colour-blind.
fn colour(role: Role) -> RGBColor {
    match role {
        Role::Worker => RGBColor(86, 180, 233),
        Role::Member => RGBColor(230, 159, 0),
        Role::Bystander => RGBColor(170, 170, 170),
    }
}

/// Draws the photo with what was seen in it, and writes it as PNG.
///
/// # Errors
/// [`Error::Io`] when the disk refuses.
pub fn write(photo: &Photo, found: &Inspection, path: &Path) -> Result<()> {
    font_of_charts()?;
    let whole = as_image(photo).ok_or_else(|| Error::bug("drawing a photo", "pixels that are not as many"))?;
    let longer = whole.width().max(whole.height()) as f32;
    let scale = longer.clamp(*SIDES.start(), *SIDES.end()) / longer;
    let size = [whole.width(), whole.height()].map(|side| ((side as f32 * scale).round() as u32).max(1));
    let mut canvas = imageops::resize(&whole, size[0], size[1], imageops::FilterType::CatmullRom);
    annotate(&mut canvas, found, scale).map_err(|e| Error::bug("drawing a photo", e))?;
    save(&canvas, path)
}

fn annotate(canvas: &mut RgbImage, found: &Inspection, scale: f32) -> std::result::Result<(), String> {
    let size = canvas.dimensions();
    let area = BitMapBackend::with_buffer(canvas, size).into_drawing_area();
    for face in &found.faces {
        mark(&area, face, scale)?;
    }
    // Labels last: no box of a neighbour runs through them.
    let mut taken: Vec<[i32; 4]> = Vec::new();
    for face in &found.faces {
        label(&area, face, (scale, size), &mut taken)?;
    }
    area.present().map_err(|e| e.to_string())
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

fn mark(area: &Area, face: &CastFace, scale: f32) -> std::result::Result<(), String> {
    let colour = colour(face.role);
    let [left, top, width, height] = face.face.bbox.map(|v| v * scale);
    let corners = [(left as i32, top as i32), ((left + width) as i32, (top + height) as i32)];
    area.draw(&Rectangle::new(corners, colour.stroke_width(3))).map_err(|e| e.to_string())?;
    for [x, y] in face.face.landmarks.map(|p| p.map(|v| (v * scale) as i32)) {
        area.draw(&Circle::new((x, y), 5, BLACK.filled())).map_err(|e| e.to_string())?;
        area.draw(&Circle::new((x, y), 3, colour.filled())).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Height of a line, and about the width of a letter, pixels.
const LINE: i32 = 20;
/// See [`LINE`].
const LETTER: f32 = 9.2;

fn label(
    area: &Area,
    face: &CastFace,
    (scale, (wide, high)): (f32, (u32, u32)),
    taken: &mut Vec<[i32; 4]>,
) -> std::result::Result<(), String> {
    let mut lines = vec![format!("{} {}", face.face.number, face.role.code())];
    match (&face.face.quality, face.face.liveness) {
        (Some(quality), Some(live)) => {
            lines.push(format!("liveness {live:.2}"));
            lines.push(format!("quality {:.2}  eyes {:.0} px", quality.score, quality.eye_distance));
            lines.push(format!("yaw {:.0}  pitch {:.0}  sharp {:.2}", quality.yaw, quality.pitch, quality.sharpness));
        }
        _ => lines.push("not compared: too far behind".to_owned()),
    }
    if !face.face.warnings.is_empty() {
        lines.push(format!("! {}", face.face.warnings.join(", ")));
    }
    let longest = lines.iter().map(String::len).max().unwrap_or_default();
    let (width, height) = ((longest as f32 * LETTER) as i32 + 8, LINE * lines.len() as i32 + 6);
    let [left, top, _, tall] = face.face.bbox.map(|v| (v * scale) as i32);
    let x = left.clamp(0, (wide as i32 - width).max(0));
    let inside = |y: i32| y.clamp(0, (high as i32 - height).max(0));
    let free = |y: &i32| {
        let overlaps = |other: &[i32; 4]| {
            x < other[0] + other[2] && other[0] < x + width && *y < other[1] + other[3] && other[1] < *y + height
        };
        !taken.iter().any(overlaps)
    };
    // Below the face, above it, else wherever there is room in steps of a line.
    let places = [inside(top + tall + 4), inside(top - height - 4)];
    let steps = (0..(high as i32 - height).max(1)).step_by(LINE as usize);
    let y = places.into_iter().chain(steps).find(free).unwrap_or(places[0]);
    taken.push([x, y, width, height]);
    let background = Rectangle::new([(x, y), (x + width, y + height)], BLACK.mix(0.72).filled());
    area.draw(&background).map_err(|e| e.to_string())?;
    let style = TextStyle::from(("sans-serif", 16)).color(&WHITE);
    for (number, line) in (0..).zip(&lines) {
        area.draw_text(line, &style, (x + 4, y + 3 + LINE * number)).map_err(|e| e.to_string())?;
    }
    Ok(())
}
