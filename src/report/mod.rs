//! What people see: progress, summaries, the page of a run, and what changed between two runs.

pub mod diff;
mod font;
pub mod page;
mod progress;
mod run;
mod summary;
pub(crate) mod table;

pub use font::{CHART_COLOURS, CHART_SIZE, font_of_charts};
pub use progress::{PROGRESS, Progress, Stage};
pub use summary::Summary;
