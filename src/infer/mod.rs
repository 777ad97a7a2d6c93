//! Aligned crops in batches -> liveness and templates.

pub mod analysis;
pub mod clock;
pub mod engine;
mod gpu;
mod parts;
pub mod template;

pub use analysis::{Analysis, Reading, SeenFace, SeenPhoto};
pub use engine::{Engine, Lanes};
pub use template::{BadEmbedding, ModelId, Template};
