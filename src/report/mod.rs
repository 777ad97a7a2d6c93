//! Progress and summaries for people.

mod progress;
mod summary;

pub use progress::{Progress, Stage};
pub use summary::Summary;
