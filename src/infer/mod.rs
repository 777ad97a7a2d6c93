//! Aligned crops in batches -> liveness and templates.

pub mod analysis;
pub mod clock;
mod decode;
pub mod engine;
mod gpu;
pub mod jpeg;
mod parts;
pub mod template;

pub use analysis::{Analysis, Reading, SeenFace, SeenPhoto};
pub use engine::{Engine, Lanes};
pub use jpeg::{JpegChoice, JpegReport};
pub use template::{BadEmbedding, ModelId, Template};
