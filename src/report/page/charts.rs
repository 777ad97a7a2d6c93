//! The charts of the page, as SVG inside it.
//!
//! Each is drawn in the fixed colours below and carries no title and no legend: those stand in the page, where they are
//! translated and read aloud. The page's style sheet takes every colour by its value and puts its own in its place, light
//! or dark ([`colour_rules`]).

use std::collections::BTreeMap;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::format::escaped;
use super::night::Tally;
use super::peers::PeerTable;
use crate::report::font_of_charts;
use crate::{Error, Result};

/// Colours that people with colour-blindness tell apart (after Okabe and Ito 2008): of accept, retake, review, reject and
/// unreadable; with the name of the style sheet's variable.
pub const VERDICT_COLOURS: [(RGBColor, &str); 5] = [
    (RGBColor(0, 128, 96), "--b-accept"),
    (RGBColor(214, 149, 0), "--b-retake"),
    (RGBColor(0, 104, 168), "--b-review"),
    (RGBColor(200, 70, 0), "--b-reject"),
    (RGBColor(122, 122, 128), "--b-unreadable"),
];

/// Most districts in a chart; the table has all.
const MOST_DISTRICTS: usize = 30;

/// Letters of a label beside a bar.
const LABEL: usize = 18;

/// Widths of a chart that has the page, and of one that has half of it; pixels.
const WIDE: u32 = 720;
const NARROW: u32 = 540;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// A bar: what it is called and its counts.
pub struct Bar<'a> {
    /// Its label.
    pub label: &'a str,
    /// Its counts.
    pub tally: &'a Tally,
}

/// What the style sheet makes of the colours of charts.
pub fn colour_rules() -> String {
    let rule = |(RGBColor(r, g, b), name): &(RGBColor, &str)| {
        let drawn = format!("#{r:02X}{g:02X}{b:02X}");
        format!(".chart [fill=\"{drawn}\"]{{fill:var({name})}}.chart [stroke=\"{drawn}\"]{{stroke:var({name})}}")
    };
    VERDICT_COLOURS.iter().map(rule).collect()
}

/// Draws into an SVG without a fixed size, so that it takes the width of the page.
fn svg([width, height]: [u32; 2], draw: impl FnOnce(&Area) -> Drawn) -> Result<String> {
    font_of_charts()?;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        draw(&area).and_then(|()| Ok(area.present()?)).map_err(|e| Error::bug("drawing charts", e))?;
    }
    let size = format!("width=\"{width}\" height=\"{height}\" ");
    Ok(text.replacen(&size, "aria-hidden=\"true\" focusable=\"false\" ", 1))
}

fn short(label: &str) -> String {
    match label.chars().count() > LABEL {
        true => label.chars().take(LABEL - 1).chain(['…']).collect(),
        false => label.to_owned(),
    }
}

/// A round number at least as large, for the end of an axis of shares.
fn end_of(share: f64) -> f64 {
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8].into_iter().find(|&end| share <= end).unwrap_or(1.0)
}

fn percent(share: &f64) -> String {
    match share {
        s if s.abs() < 0.0995 && (s * 100.0).fract().abs() > 0.05 => format!("{:.1} %", s * 100.0),
        s => format!("{:.0} %", s * 100.0),
    }
}

/// The shares of a bar that are not accepted, as (from, to, colour).
fn stack(tally: &Tally) -> impl Iterator<Item = (f64, f64, RGBColor)> {
    let all = tally.submissions.max(1) as f64;
    let mut from = 0.0;
    tally.verdicts.into_iter().zip(VERDICT_COLOURS).skip(1).filter_map(move |(count, (colour, _))| {
        let to = from + count as f64 / all;
        let part = (from, to, colour);
        from = to;
        (count > 0).then_some(part)
    })
}

fn grey() -> ShapeStyle {
    BLACK.mix(0.15).stroke_width(1)
}

/// Shares of each night that were not accepted, the nights side by side.
///
/// # Errors
/// [`Error::Bug`] when it cannot be drawn.
pub fn nights(bars: &[Bar]) -> Result<String> {
    let most = end_of(bars.iter().map(|b| b.tally.held_back()).fold(0.0, f64::max));
    svg([NARROW, 240], |area| {
        let count = bars.len() as i32;
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(56)
            .build_cartesian_2d((0..count - 1).into_segmented(), 0.0..most)?;
        let every = bars.len().div_ceil(8).max(1);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(grey())
            .axis_style(grey())
            .x_labels(bars.len().min(60))
            .y_labels(5)
            .label_style(("sans-serif", 15))
            .y_label_formatter(&percent)
            .x_label_formatter(&|x| match x {
                SegmentValue::CenterOf(at) if (bars.len() - 1 - *at as usize).is_multiple_of(every) => {
                    bars.get(*at as usize).map(|b| short(b.label)).unwrap_or_default()
                }
                _ => String::new(),
            })
            .draw()?;
        for (at, bar) in (0..).zip(bars) {
            for (from, to, colour) in stack(bar.tally) {
                let ends = [(SegmentValue::Exact(at), from), (SegmentValue::Exact(at + 1), to)];
                let mut rectangle = Rectangle::new(ends, colour.filled());
                let gap = (160 / bars.len()).clamp(2, 40) as u32;
                rectangle.set_margin(0, 0, gap, gap);
                chart.draw_series([rectangle])?;
            }
        }
        Ok(())
    })
}

/// Shares of each district that were not accepted, one below the other, in the order given.
///
/// # Errors
/// [`Error::Bug`] when it cannot be drawn.
pub fn districts(bars: &[Bar]) -> Result<String> {
    let bars = &bars[..bars.len().min(MOST_DISTRICTS)];
    let most = end_of(bars.iter().map(|b| b.tally.held_back()).fold(0.0, f64::max));
    // plotters gives a single segment no height: one district stands above an empty line.
    let rows = bars.len().max(2);
    let empty = rows - bars.len();
    svg([WIDE, 52 + 22 * rows as u32], |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .margin_right(36)
            .x_label_area_size(28)
            .y_label_area_size(150)
            .build_cartesian_2d(0.0..most, (0..rows as i32 - 1).into_segmented())?;
        let name = |y: &SegmentValue<i32>| match y {
            SegmentValue::CenterOf(at) => {
                let place = (*at as usize).checked_sub(empty);
                place.and_then(|place| bars.iter().rev().nth(place)).map(|b| short(b.label)).unwrap_or_default()
            }
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(grey())
            .axis_style(grey())
            .x_labels(6)
            .y_labels(rows)
            .label_style(("sans-serif", 15))
            .x_label_formatter(&percent)
            .y_label_formatter(&name)
            .draw()?;
        for (at, bar) in (empty as i32..).zip(bars.iter().rev()) {
            for (from, to, colour) in stack(bar.tally) {
                let ends = [(from, SegmentValue::Exact(at)), (to, SegmentValue::Exact(at + 1))];
                let mut rectangle = Rectangle::new(ends, colour.filled());
                rectangle.set_margin(4, 4, 0, 0);
                chart.draw_series([rectangle])?;
            }
        }
        Ok(())
    })
}

/// Workers whose names stand at their dots; all names stand in the dots' titles.
const MOST_NAMES: usize = 8;

/// Names in the title of one dot.
const MOST_IN_TITLE: usize = 12;

/// Each worker by submissions and the share of them held back; those that stand out in another colour, on top and with their
/// names.
///
/// # Errors
/// [`Error::Bug`] when it cannot be drawn.
pub fn workers(table: &PeerTable) -> Result<String> {
    let mut points: BTreeMap<(bool, i64, i64), Vec<&str>> = BTreeMap::new();
    for dot in &table.dots {
        points.entry((dot.is_flagged, dot.submissions, dot.held)).or_default().push(&dot.id);
    }
    let widest = table.dots.iter().map(|dot| dot.submissions).max().unwrap_or(1).max(2) as f64;
    let share = |submissions: i64, held: i64| held as f64 / submissions.max(1) as f64;
    let drawn = svg([NARROW, 280], |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..1.06 * widest, -0.03f64..1.03)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(grey())
            .axis_style(grey())
            .x_labels(8)
            .y_labels(6)
            .label_style(("sans-serif", 15))
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&percent)
            .draw()?;
        let [(usual, _), (standing, _)] = [VERDICT_COLOURS[4], VERDICT_COLOURS[3]];
        let circle = |(&(flagged, submissions, held), workers): (&(bool, i64, i64), &Vec<&str>)| {
            let radius = (2.5 + 1.6 * (workers.len() as f64).ln()).round() as i32;
            let style = if flagged { standing.mix(0.9) } else { usual.mix(0.55) };
            let at = (submissions as f64, share(submissions, held));
            Circle::new(at, radius + i32::from(flagged), style.filled())
        };
        // Those that stand out are the last of the map and so on top.
        chart.draw_series(points.iter().map(circle))?;
        let mut named: Vec<_> = points.iter().filter(|((flagged, ..), _)| *flagged).collect();
        named.sort_by(|((_, a, x), _), ((_, b, y), _)| share(*b, *y).total_cmp(&share(*a, *x)));
        for ((_, submissions, held), workers) in named.into_iter().take(MOST_NAMES) {
            let more = if workers.len() > 1 { format!(" +{}", workers.len() - 1) } else { String::new() };
            let name = short(workers.first().copied().unwrap_or_default()) + &more;
            // To the side where there is room.
            let is_right = *submissions as f64 > 0.7 * widest;
            let (side, gap) = if is_right { (HPos::Right, -7) } else { (HPos::Left, 7) };
            let style = TextStyle::from(("sans-serif", 13).into_font()).pos(Pos::new(side, VPos::Center));
            let at = (*submissions as f64, share(*submissions, *held));
            chart.draw_series([EmptyElement::at(at) + Text::new(name, (gap, 0), style)])?;
        }
        Ok(())
    })?;
    Ok(titled(&drawn, points.values()))
}

/// Gives each dot, in the order drawn, a title with the names of its workers.
fn titled<'a>(svg: &str, dots: impl Iterator<Item = &'a Vec<&'a str>>) -> String {
    let mut parts = svg.split("<circle ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (part, workers) in parts.zip(dots) {
        let names = workers.iter().take(MOST_IN_TITLE).copied().collect::<Vec<_>>().join(", ");
        let more = if workers.len() > MOST_IN_TITLE { ", …" } else { "" };
        let (circle, rest) = part.split_once("/>").unwrap_or((part, ""));
        text += &format!("<circle {circle}><title>{}{more}</title></circle>{rest}", escaped(&names));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::peers::Dot;
    use super::*;

    fn tally(verdicts: [u64; 5]) -> Tally {
        Tally { submissions: verdicts.iter().sum(), verdicts, ..Tally::default() }
    }

    #[test]
    fn hostile_names_and_odd_numbers_draw() {
        let (some, none) = (tally([5, 1, 2, 3, 4]), tally([0; 5]));
        let bars = [
            Bar { label: "<script>alert(1)</script>", tally: &some },
            Bar { label: "उज्जैन", tally: &none },
            Bar { label: "\u{202e}\u{0}]]>", tally: &some },
        ];
        for count in [1, 2, 3] {
            for drawn in [nights(&bars[..count]).unwrap(), districts(&bars[..count]).unwrap()] {
                assert!(drawn.starts_with("<svg aria-hidden") && drawn.trim_end().ends_with("</svg>"), "{drawn}");
                assert!(!drawn.contains("<script"), "{drawn}");
                assert!(drawn.contains("&lt;script&gt;"), "{drawn}");
                assert!(drawn.contains("#C84600"), "a share that was rejected: {drawn}");
            }
        }
        assert!(workers(&PeerTable::default()).unwrap().contains("<svg"));
        let dot = |id: &str, held, is_flagged| Dot { id: id.into(), district: None, submissions: 9, held, is_flagged };
        let dots = vec![dot("<b>", 1, false), dot("W2", 1, false), dot("W<9>", 8, true)];
        let drawn = workers(&PeerTable { dots, ..PeerTable::default() }).unwrap();
        assert_eq!(drawn.matches("<circle ").count(), 2, "{drawn}");
        assert!(
            drawn.contains("<title>&lt;b&gt;, W2</title>") && drawn.contains("<title>W&lt;9&gt;</title>"),
            "{drawn}"
        );
        assert!(!drawn.contains("<b>") && drawn.matches("W&lt;9&gt;").count() == 2, "the name at the dot: {drawn}");
    }

    #[test]
    fn every_colour_that_is_drawn_has_its_rule() {
        let some = tally([5, 1, 2, 3, 4]);
        let drawn = districts(&[Bar { label: "Ujjain", tally: &some }]).unwrap();
        let rules = colour_rules() + "[fill=\"#000000\"][fill=\"none\"]";
        let fills: Vec<&str> = drawn.split("fill=\"").skip(1).filter_map(|part| part.split('"').next()).collect();
        assert!(fills.len() > 8);
        for fill in fills {
            assert!(rules.contains(&format!("[fill=\"{fill}\"]")), "no rule for {fill}");
        }
    }
}
