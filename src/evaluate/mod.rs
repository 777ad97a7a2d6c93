//! Accuracy of the program's own pipeline on labelled data: its decoding, detection, alignment and networks, in the
//! terms of ISO/IEC 19795-1 and 30107-3.

pub mod assurance;
pub mod assurance_chart;
pub mod audit;
pub mod dedup;
mod estimate;
pub mod far_tail;
pub mod groups;
mod labels;
mod liveness;
pub mod metrics;
mod templates;
mod verification;

pub use assurance::{AssurancePlan, AssuranceReport, assurance};
pub use audit::{AuditReport, Night, audit};
pub use dedup::{DedupPlan, DedupReport, Labelled, dedup};
pub use estimate::Estimate;
pub use groups::{GroupFile, GroupReport};
pub use liveness::{LivenessJob, LivenessReport, liveness};
pub use verification::{VerificationJob, VerificationReport, verification};

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::infer::{Engine, SeenFace, SeenPhoto};
use crate::reason::Reject;
use crate::report::Stage;
use crate::{Error, Result};

/// Pictures read and seen at a time: bounded memory, and every core busy.
const CHUNK: usize = 64;

/// Reads and analyses pictures, in the order given.
fn see(engine: &Engine, paths: &[PathBuf], stage: &Stage) -> Result<Vec<Result<SeenPhoto, Reject>>> {
    let mut seen = Vec::with_capacity(paths.len());
    for chunk in paths.chunks(CHUNK) {
        let files: Vec<Vec<u8>> = chunk.par_iter().map(|path| read(path)).collect::<Result<_>>()?;
        let pictures: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        seen.extend(engine.see(&pictures)?);
        stage.advance(chunk.len() as u64);
    }
    Ok(seen)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| {
        Error::input(
            path,
            "picture named in the label file",
            "a readable file",
            e.to_string(),
            "check --images and the label file",
        )
    })
}

/// The tallest face that was read.
fn tallest(photo: &SeenPhoto) -> Option<&SeenFace> {
    photo.faces.iter().find(|face| face.reading.is_some())
}

/// The face nearest to the middle of the picture that was read: benchmarks centre the person whom a picture is named
/// after, and others may stand nearer to the lens.
fn central(photo: &SeenPhoto) -> Option<&SeenFace> {
    let middle = [photo.width as f32 / 2.0, photo.height as f32 / 2.0];
    let distance = |face: &SeenFace| {
        let [x, y, w, h] = face.detection.bbox;
        (x + w / 2.0 - middle[0]).hypot(y + h / 2.0 - middle[1])
    };
    photo.faces.iter().filter(|face| face.reading.is_some()).min_by(|a, b| distance(a).total_cmp(&distance(b)))
}
