//! Charts of an evaluation, each as SVG and as PNG.

use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;

use super::report::DedupReport;
use super::size::SizeReport;
use crate::report::{CHART_COLOURS, CHART_SIZE, font_of_charts};
use crate::{Error, Result};

type Drawn = std::result::Result<(), String>;

/// Draws a chart.
type Draw = fn(&DedupReport, Canvas) -> Drawn;

/// A chart's area on either backend.
enum Canvas<'a> {
    Svg(DrawingArea<SVGBackend<'a>, Shift>),
    Png(DrawingArea<BitMapBackend<'a>, Shift>),
}

/// Writes every chart that the report has points for.
///
/// # Errors
/// [`Error::Io`] when the disk refuses.
pub(super) fn write(report: &DedupReport, folder: &Path) -> Result<Vec<PathBuf>> {
    font_of_charts()?;
    let mut written = Vec::new();
    let has_det = report.sizes.iter().any(|size| !size.det.is_empty());
    let charts: [(&str, Draw, bool); 2] = [("det", det, has_det), ("predicted", predicted, true)];
    for (name, draw, _) in charts.into_iter().filter(|(_, _, wanted)| *wanted) {
        let failed = |e: String| Error::bug("drawing charts", e);
        let svg = folder.join(format!("{name}.svg"));
        let mut text = String::new();
        draw(report, Canvas::Svg(SVGBackend::with_string(&mut text, CHART_SIZE).into_drawing_area()))
            .map_err(failed)?;
        std::fs::write(&svg, text).map_err(Error::io("write", &svg))?;
        let png = folder.join(format!("{name}.png"));
        let mut pixels = vec![255; (CHART_SIZE.0 * CHART_SIZE.1 * 3) as usize];
        draw(report, Canvas::Png(BitMapBackend::with_buffer(&mut pixels, CHART_SIZE).into_drawing_area()))
            .map_err(failed)?;
        image::save_buffer(&png, &pixels, CHART_SIZE.0, CHART_SIZE.1, image::ExtendedColorType::Rgb8)
            .map_err(|e| Error::io("write", &png)(std::io::Error::other(e)))?;
        written.extend([svg, png]);
    }
    Ok(written)
}

fn det(report: &DedupReport, canvas: Canvas) -> Drawn {
    match canvas {
        Canvas::Svg(area) => det_on(report, &area),
        Canvas::Png(area) => det_on(report, &area),
    }
}

fn predicted(report: &DedupReport, canvas: Canvas) -> Drawn {
    match canvas {
        Canvas::Svg(area) => predicted_on(report, &area),
        Canvas::Png(area) => predicted_on(report, &area),
    }
}

fn said(e: impl std::fmt::Display) -> String {
    e.to_string()
}

fn name(size: &SizeReport) -> String {
    match size.gallery_size {
        n if n >= 1_000_000 && n.is_multiple_of(100_000) => format!("{} M", n as f64 / 1e6),
        n if n >= 10_000 && n.is_multiple_of(1_000) => format!("{} k", n / 1000),
        n => n.to_string(),
    }
}

/// False negative identification rate against false pairs, expected as a line and observed as points.
fn det_on<B: DrawingBackend>(report: &DedupReport, area: &DrawingArea<B, Shift>) -> Drawn {
    let points = || report.sizes.iter().flat_map(|size| &size.det);
    let least = points().map(|p| p.fnir).filter(|f| *f > 0.0).fold(1.0, f64::min);
    let most = points().map(|p| p.fnir).fold(0.0, f64::max);
    let (low, high) = ((0.8 * least).max(1e-4), (1.3 * most).clamp(2.0 * least, 1.0));
    area.fill(&WHITE).map_err(said)?;
    let title = format!("Missed duplicates against false pairs, {}", report.model);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(52)
        .y_label_area_size(80)
        .build_cartesian_2d((1e-3f64..1e3).log_scale(), (low..high).log_scale())
        .map_err(said)?;
    chart
        .configure_mesh()
        .x_desc("false pairs in the whole gallery (line: expected, dots: observed)")
        .y_desc("false negative identification rate")
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 17))
        .x_label_formatter(&|x| format!("{x}"))
        .y_label_formatter(&|y| format!("{}", (y * 1e4).round() / 1e4))
        .draw()
        .map_err(said)?;
    for (size, colour) in report.sizes.iter().zip(CHART_COLOURS.iter().cycle()) {
        let line = size.det.iter().map(|p| (p.expected, p.fnir.max(low)));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)))
            .map_err(said)?
            .label(format!("gallery of {}", name(size)))
            .legend(|(x, y)| PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(3)));
        let seen = size.det.iter().filter(|p| p.observed > 0);
        let dots = seen.map(|p| Circle::new((p.observed as f64, p.fnir.max(low)), 3, colour.filled()));
        chart.draw_series(dots).map_err(said)?;
    }
    legend(&mut chart.configure_series_labels(), SeriesLabelPosition::UpperRight)?;
    area.present().map_err(said)
}

/// Observed against expected false pairs, with the observed ones' intervals.
fn predicted_on<B: DrawingBackend>(report: &DedupReport, area: &DrawingArea<B, Shift>) -> Drawn {
    const LEAST: f64 = 0.3;
    area.fill(&WHITE).map_err(said)?;
    let title = format!("False pairs: predicted and observed, {}", report.model);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(52)
        .y_label_area_size(80)
        .build_cartesian_2d((0.5f64..2e3).log_scale(), (LEAST..5e3).log_scale())
        .map_err(said)?;
    chart
        .configure_mesh()
        .x_desc("false pairs expected (sizes are set side by side)")
        .y_desc("false pairs observed, 95 % interval")
        .label_style(("sans-serif", 15))
        .axis_desc_style(("sans-serif", 17))
        .x_label_formatter(&|x| format!("{x}"))
        .y_label_formatter(&|y| format!("{y}"))
        .draw()
        .map_err(said)?;
    let grey = RGBColor(120, 120, 120);
    for (factor, width) in [(0.5, 1), (1.0, 2), (2.0, 1)] {
        let ends = [(0.5, 0.5 * factor), (2e3, 2e3 * factor)];
        chart.draw_series(LineSeries::new(ends, grey.stroke_width(width))).map_err(said)?;
    }
    let middle = report.sizes.len() as f64 / 2.0 - 0.5;
    for ((at, size), colour) in (0..).zip(&report.sizes).zip(CHART_COLOURS.iter().cycle()) {
        let x = |expected: f64| expected * 10f64.powf(0.05 * (f64::from(at) - middle));
        let limits = || size.limits.iter().filter(|limit| limit.expected >= 1.0);
        let bars = limits().map(|limit| {
            let [low, high] = limit.observed_interval.map(|end| end.max(LEAST));
            PathElement::new([(x(limit.expected), low), (x(limit.expected), high)], colour.stroke_width(2))
        });
        chart
            .draw_series(bars)
            .map_err(said)?
            .label(format!("gallery of {}", name(size)))
            .legend(|(x, y)| PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(3)));
        let dots = limits()
            .map(|limit| Circle::new((x(limit.expected), (limit.observed as f64).max(LEAST)), 4, colour.filled()));
        chart.draw_series(dots).map_err(said)?;
    }
    legend(&mut chart.configure_series_labels(), SeriesLabelPosition::UpperLeft)?;
    area.present().map_err(said)
}

fn legend<'a, B: DrawingBackend + 'a, C: CoordTranslate>(
    labels: &mut plotters::chart::SeriesLabelStyle<'a, '_, B, C>,
    position: SeriesLabelPosition,
) -> Drawn {
    labels
        .position(position)
        .label_font(("sans-serif", 15))
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(180, 180, 180))
        .draw()
        .map_err(said)
}
