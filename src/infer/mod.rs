//! Aligned crops in batches -> liveness and templates.

pub mod template;

pub use template::{BadEmbedding, ModelId, Template};
