//! Progress and summaries for people.

mod progress;
mod summary;

pub use progress::{PROGRESS, Progress, Stage};
pub use summary::Summary;
