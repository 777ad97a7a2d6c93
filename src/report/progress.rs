//! Progress of long work on standard error: a bar on a terminal, plain lines elsewhere, nothing when asked to be quiet.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use crate::terminal::visible;

/// Target of log lines that tell how far work has come.
pub const PROGRESS: &str = "chehra::progress";

/// Whether bars are never drawn: where every line of standard error is to be one log record.
static NEVER_DRAW: AtomicBool = AtomicBool::new(false);

/// Seconds between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A bar that redraws itself.
    Bar,
    /// A log line every few seconds.
    Lines,
    /// Nothing.
    Quiet,
}

impl Progress {
    /// A bar on a terminal, else lines; nothing when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let draws = std::io::stderr().is_terminal() && !NEVER_DRAW.load(Ordering::Relaxed);
        match (quiet, draws) {
            (true, _) => Progress::Quiet,
            (false, true) => Progress::Bar,
            (false, false) => Progress::Lines,
        }
    }

    /// From now on there are lines and no bars.
    pub fn never_draw() {
        NEVER_DRAW.store(true, Ordering::Relaxed);
    }

    /// Begins a stage of `total` items, of which `done` were done by an earlier attempt.
    pub fn stage(self, name: &'static str, unit: &'static str, total: u64, done: u64) -> Stage {
        let bar = match self {
            Progress::Bar => {
                let bar = ProgressBar::new(total).with_position(done);
                let template = "{prefix:>10} {wide_bar} {human_pos}/{human_len} {msg} {rate:>8} {eta:>6} left";
                if let Ok(style) = ProgressStyle::with_template(template) {
                    let write = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                        // A bar that cannot be written is no reason to stop.
                        let _ = write!(text, "{}", rate(state.per_sec()));
                    };
                    bar.set_style(style.with_key("rate", write));
                }
                bar.set_prefix(name);
                bar.set_message(unit);
                bar.reset_eta();
                bar.enable_steady_tick(Duration::from_millis(250));
                Some(bar)
            }
            Progress::Lines | Progress::Quiet => None,
        };
        let now = Instant::now();
        let lines = (self == Progress::Lines).then(|| Mutex::new(Lines { position: done, last: now }));
        Stage { name, unit, total, begun: now, begun_at: done, bar, lines }
    }

    /// A sentence for people, above the bar if there is one.
    pub fn say(self, text: &str) {
        match self {
            Progress::Bar => eprintln!("{}", visible(text)),
            Progress::Lines => log::info!(target: PROGRESS, "{text}"),
            Progress::Quiet => {}
        }
    }
}

/// One stage under way; ends when dropped.
#[derive(Debug)]
pub struct Stage {
    name: &'static str,
    unit: &'static str,
    total: u64,
    begun: Instant,
    begun_at: u64,
    bar: Option<ProgressBar>,
    lines: Option<Mutex<Lines>>,
}

#[derive(Debug)]
struct Lines {
    position: u64,
    last: Instant,
}

impl Stage {
    /// `count` more items are done.
    pub fn advance(&self, count: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(count);
        }
        if let Some(Ok(mut lines)) = self.lines.as_ref().map(Mutex::lock) {
            lines.position += count;
            if lines.last.elapsed() >= LINE_EVERY {
                lines.last = Instant::now();
                log::info!(target: PROGRESS, "{}", self.line(lines.position));
            }
        }
    }

    /// How long the stage has been running.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn line(&self, position: u64) -> String {
        let seconds = self.begun.elapsed().as_secs_f64().max(1e-3);
        let per_second = position.saturating_sub(self.begun_at) as f64 / seconds;
        let left = match per_second > 0.0 {
            true => {
                let seconds = self.total.saturating_sub(position) as f64 / per_second;
                HumanDuration(Duration::from_secs_f64(seconds)).to_string()
            }
            false => "unknown".into(),
        };
        format!("{}: {position} of {} {}, {}, {left} left", self.name, self.total, self.unit, rate(per_second))
    }
}

/// A rate with two digits, or all digits of its whole part.
fn rate(per_second: f64) -> String {
    let decimals = match per_second {
        r if r >= 9.95 => 0,
        r if r >= 0.995 => 1,
        _ => 2,
    };
    format!("{per_second:.decimals$}/s")
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if let Some(Ok(lines)) = self.lines.as_ref().map(Mutex::lock) {
            let seconds = self.begun.elapsed().as_secs_f64();
            let rate = rate(lines.position.saturating_sub(self.begun_at) as f64 / seconds.max(1e-3));
            let (name, position, unit) = (self.name, lines.position, self.unit);
            log::info!(target: PROGRESS, "{name}: {position} {unit} in {seconds:.1} s ({rate})");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_two_digits() {
        let rates = [0.0, 0.0312, 0.5, 5.968755237495, 12.3, 4_512.7].map(rate);
        assert_eq!(rates, ["0.00/s", "0.03/s", "0.50/s", "6.0/s", "12/s", "4513/s"]);
    }
}
