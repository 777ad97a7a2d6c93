//! A face as numbers: an L2-normalised embedding, stored twice.
//!
//! The f16 master decides, the i8 codes scan. Both are derived once, when the embedding leaves the network, and never
//! recomputed, so a score depends on two stored templates and on nothing else.

use half::f16;

/// Which network made a template. Templates of two models are never compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct ModelId(pub String);

/// One face.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The embedding divided by its L2 norm, rounded to f16: `dim` values.
    pub master: Vec<f16>,
    /// `round(master / scale)`, each in -127..=127: `dim` values.
    pub codes: Vec<i8>,
    /// Largest absolute value of the master divided by 127.
    pub scale: f32,
    /// L2 norm of `master - scale * codes`, rounded up: the error of the codes as an approximation of the master.
    pub residual: f32,
}
