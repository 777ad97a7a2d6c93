//! What the bytes of a seen row depend on beside the pictures: compared before any work, and between parts.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::SEEN_VERSION;
use crate::config::Policy;
use crate::device;
use crate::infer::Engine;
use crate::{Error, Result};

/// Program, networks, arithmetic and limits. Two machines with one contract see the same in a picture, to the bit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// [`SEEN_VERSION`].
    pub seen_version: i32,
    /// Version of the program.
    pub program: String,
    /// Name and SHA-256 of the detector's weights.
    pub detector: String,
    /// Name and SHA-256 of the liveness network's weights, and how often it looks.
    pub liveness: String,
    /// Name and SHA-256 of the embedder's weights: the model of the templates.
    pub embedder: String,
    /// The precision, and where it is not f32 the instruction set.
    pub arithmetic: String,
    /// `cpu`, `cuda` or `metal`, and whether the card decodes JPEGs.
    pub device: String,
    /// A digest of the policy's limits that seeing follows: `photo` but for its memory, `detection`, `quality` and
    /// `roles.principal_ratio`.
    pub limits: String,
}

impl Contract {
    /// Columns of a table of rows that hold the contract, in the order of [`Contract::values`].
    pub const COLUMNS: [&str; 7] = ["program", "detector", "liveness", "embedder", "arithmetic", "device", "limits"];

    /// Of loaded networks.
    ///
    /// # Errors
    /// [`Error::Bug`].
    pub fn of(engine: &Engine) -> Result<Contract> {
        let [detector, liveness, embedder] = engine.models();
        let card = if engine.jpeg().on_card() { ", which decodes JPEGs" } else { "" };
        Ok(Contract {
            seen_version: SEEN_VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            detector,
            liveness,
            embedder,
            arithmetic: engine.arithmetic().to_owned(),
            device: format!("{}{card}", device::name(engine.device())),
            limits: limits(engine.policy())?,
        })
    }

    /// The texts, in the order of [`Contract::COLUMNS`].
    pub fn values(&self) -> [&str; 7] {
        [&self.program, &self.detector, &self.liveness, &self.embedder, &self.arithmetic, &self.device, &self.limits]
    }

    /// 24 hexadecimal digits that name it.
    ///
    /// # Errors
    /// [`Error::Bug`].
    pub fn digest(&self) -> Result<String> {
        digest(self)
    }
}

fn limits(policy: &Policy) -> Result<String> {
    let mut photo = policy.photo.clone();
    // How much memory a machine has is told apart: see `Origin::picture_memory`.
    photo.max_memory = 0;
    digest(&(photo, &policy.detection, &policy.quality, policy.roles.principal_ratio))
}

/// The first 24 hexadecimal digits of the SHA-256 of a value.
pub(super) fn digest(value: &impl Serialize) -> Result<String> {
    let bytes = serde_json::to_vec(value).map_err(|e| Error::bug("naming a contract", e))?;
    Ok(Sha256::digest(bytes).iter().take(12).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_follow_what_seeing_follows_and_nothing_else() {
        let plain = limits(&Policy::default()).unwrap();
        let mut other = Policy::default();
        other.photo.max_memory /= 2;
        other.roles.worker_similarity += 0.01;
        assert_eq!(limits(&other).unwrap(), plain);
        other.detection.max_read += 1;
        assert_ne!(limits(&other).unwrap(), plain);
    }
}
