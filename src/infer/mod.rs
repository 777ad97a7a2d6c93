//! Aligned crops in batches -> liveness and templates.

pub mod analysis;
mod assembly;
pub mod clock;
mod cores;
mod decode;
pub mod engine;
mod gpu;
pub mod jpeg;
mod looks;
mod parts;
pub mod template;
mod turned;

pub use analysis::{Analysis, Looks, Reading, SeenFace, SeenPhoto};
pub use engine::{Engine, Lanes};
pub use jpeg::{JpegChoice, JpegReport};
pub use template::{BadEmbedding, ModelId, Template};
