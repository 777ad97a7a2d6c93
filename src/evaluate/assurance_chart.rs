//! Files of an evaluation of promises: its numbers, and a chart of how wide an interval is after so many calls.

use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;

use super::assurance::{AssuranceReport, ScenarioRow};
use crate::report::{CHART_COLOURS, CHART_SIZE, font_of_charts};
use crate::{Error, Result};

/// Writes `assurance.json`, and the chart `width.svg` and `width.png`, into a folder that is made if need be.
///
/// # Errors
/// [`Error::Io`] when the disk refuses.
pub fn write(report: &AssuranceReport, folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let json = folder.join("assurance.json");
    let text = serde_json::to_string_pretty(report).map_err(|e| Error::bug("writing the report", e))?;
    std::fs::write(&json, text + "\n").map_err(Error::io("write", &json))?;
    let mut written = vec![json];
    if report.plan.widths > 0 {
        written.extend(write_chart(report, folder)?);
    }
    Ok(written)
}

fn write_chart(report: &AssuranceReport, folder: &Path) -> Result<Vec<PathBuf>> {
    font_of_charts()?;
    let failed = |e: String| Error::bug("drawing charts", e);
    let svg = folder.join("width.svg");
    let mut text = String::new();
    draw(report, &SVGBackend::with_string(&mut text, CHART_SIZE).into_drawing_area()).map_err(failed)?;
    std::fs::write(&svg, text).map_err(Error::io("write", &svg))?;
    let png = folder.join("width.png");
    let mut pixels = vec![255; (CHART_SIZE.0 * CHART_SIZE.1 * 3) as usize];
    draw(report, &BitMapBackend::with_buffer(&mut pixels, CHART_SIZE).into_drawing_area()).map_err(failed)?;
    image::save_buffer(&png, &pixels, CHART_SIZE.0, CHART_SIZE.1, image::ExtendedColorType::Rgb8)
        .map_err(|e| Error::io("write", &png)(std::io::Error::other(e)))?;
    Ok(vec![svg, png])
}

/// Upper ends of the scenarios whose assumptions hold and whose intervals are narrower than a third.
fn draw<B: DrawingBackend>(report: &AssuranceReport, area: &DrawingArea<B, Shift>) -> Result<(), String> {
    let said = |e: &dyn std::fmt::Display| e.to_string();
    area.fill(&WHITE).map_err(|e| said(&e))?;
    let is_shown = |row: &&ScenarioRow| row.breaks.is_none() && row.widths.last().is_some_and(|w| w.high < 0.33);
    let rows: Vec<&ScenarioRow> = report.scenarios.iter().filter(is_shown).collect();
    let widths = || rows.iter().flat_map(|row| &row.widths);
    let most_calls = widths().map(|w| w.calls).max().unwrap_or(1) as f64;
    let top = 100.0 * widths().map(|w| w.high).fold(0.01, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .caption("Upper end of the interval by calls", ("sans-serif", 22))
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..1.05 * most_calls, 0.0..1.1 * top)
        .map_err(|e| said(&e))?;
    let mesh = &mut chart.configure_mesh();
    mesh.x_desc("calls").y_desc("members that are not real, at most, %").draw().map_err(|e| said(&e))?;
    for (at, row) in rows.iter().enumerate() {
        let colour = CHART_COLOURS[at % CHART_COLOURS.len()];
        let points: Vec<(f64, f64)> = row.widths.iter().map(|w| (w.calls as f64, 100.0 * w.high)).collect();
        let line = LineSeries::new(points, colour.stroke_width(2)).point_size(3);
        chart
            .draw_series(line)
            .map_err(|e| said(&e))?
            .label(row.scenario.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    let labels = &mut chart.configure_series_labels();
    labels.border_style(BLACK).background_style(WHITE).draw().map_err(|e| said(&e))?;
    area.present().map_err(|e| said(&e))
}
