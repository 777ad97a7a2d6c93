//! Faces of many photos, each seen at several scales.
//!
//! YuNet finds faces of about 10 to 300 pixels in its input and misses those that fill the frame, so a photo is shown
//! to it twice: once large, for the small face in the background, and once small, for the face held before the lens.
//! A scale that would show nearly the same picture again is left out.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::Detection;
use super::decode::{Heads, Placement, decode, suppress};
use super::resize::{Fit, shrink_into};
use crate::config::policy::DetectionPolicy;
use crate::error::{Error, Result};
use crate::nn::{Yunet, YunetLevel};
use crate::photo::Photo;

/// Most floats of one batch given to the network: 32 pictures of 640x480.
const MAX_BATCH_FLOATS: usize = 32 * 640 * 480 * 3;
/// A scale less than this much smaller than the last one adds nothing.
const LEAST_STEP: f32 = 1.4;

/// A network with YuNet's outputs.
pub trait HeadsNet {
    /// Runs on `batch * height * width * 3` floats, NHWC, blue, green, red, 0..=255, sides multiples of 32; gives one
    /// level a stride.
    ///
    /// # Errors
    /// Whatever the device says.
    fn heads(&self, nhwc: Vec<f32>, batch: usize, height: usize, width: usize) -> Result<Vec<YunetLevel>>;
}

impl HeadsNet for Yunet {
    fn heads(&self, nhwc: Vec<f32>, batch: usize, height: usize, width: usize) -> Result<Vec<YunetLevel>> {
        let pictures = Tensor::from_vec(nhwc, (batch, height, width, 3), self.device())?;
        Ok(self.forward(&pictures)?.into())
    }
}

/// Finds faces with a network and a policy.
#[derive(Debug, Clone)]
pub struct Detector<N = Yunet> {
    network: N,
    policy: DetectionPolicy,
}

/// One photo at one scale, waiting for its batch.
type Job = (usize, Fit);

impl<N: HeadsNet> Detector<N> {
    /// A detector.
    pub fn new(network: N, policy: DetectionPolicy) -> Self {
        Detector { network, policy }
    }

    /// The network.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// The faces of one photo, best score first.
    ///
    /// # Errors
    /// Only the network's.
    pub fn detect(&self, photo: &Photo) -> Result<Vec<Detection>> {
        Ok(self.detect_batch(&[photo])?.pop().unwrap_or_default())
    }

    /// The faces of each photo, best score first. A photo's faces do not depend on what else is in the batch.
    ///
    /// # Errors
    /// Only the network's.
    pub fn detect_batch(&self, photos: &[&Photo]) -> Result<Vec<Vec<Detection>>> {
        let mut groups: BTreeMap<(usize, usize), Vec<Job>> = BTreeMap::new();
        for (index, photo) in photos.iter().enumerate() {
            for fit in fits(photo, &self.policy.scales) {
                groups.entry(fit.padded()).or_default().push((index, fit));
            }
        }
        let mut faces = vec![Vec::new(); photos.len()];
        for ((width, height), jobs) in groups {
            let most = (MAX_BATCH_FLOATS / (width * height * 3)).max(1);
            for jobs in jobs.chunks(most) {
                self.run(photos, jobs, (width, height), &mut faces)?;
            }
        }
        let keep = |found| suppress(found, self.policy.nms_iou, self.policy.max_faces);
        Ok(faces.into_iter().map(keep).collect())
    }

    fn run(&self, photos: &[&Photo], jobs: &[Job], side: (usize, usize), faces: &mut [Vec<Detection>]) -> Result<()> {
        let (width, height) = side;
        let mut input = vec![0.0; jobs.len() * width * height * 3];
        for (&(index, fit), slot) in jobs.iter().zip(input.chunks_exact_mut(width * height * 3)) {
            shrink_into(photos[index], fit, slot);
        }
        for level in self.network.heads(input, jobs.len(), height, width)? {
            let (rows, cols) = (level.height, level.width);
            let cells = rows * cols;
            if [level.cls.len(), level.obj.len(), level.bbox.len() / 4, level.kps.len() / 10] != [cells * jobs.len(); 4]
            {
                let found =
                    format!("{} cells at stride {} for {} of {cells}", level.cls.len(), level.stride, jobs.len());
                return Err(Error::bug("decoding the detector's outputs", found));
            }
            for (n, &(index, fit)) in jobs.iter().enumerate() {
                let heads = Heads {
                    stride: level.stride,
                    rows,
                    cols,
                    cls: &level.cls[n * cells..][..cells],
                    obj: &level.obj[n * cells..][..cells],
                    bbox: &level.bbox[n * cells * 4..][..cells * 4],
                    kps: &level.kps[n * cells * 10..][..cells * 10],
                };
                let inside = (fit.width as f32, fit.height as f32);
                let place = Placement { ratio: fit.ratio(photos[index]), inside };
                decode(&heads, place, self.policy.min_score, &mut faces[index]);
            }
        }
        Ok(())
    }
}

/// The sizes at which a photo is looked at, largest first.
pub(crate) fn fits(photo: &Photo, scales: &[u32]) -> Vec<Fit> {
    let mut scales = scales.to_vec();
    scales.sort_unstable_by(|a, b| b.cmp(a));
    let mut fits: Vec<Fit> = Vec::new();
    for scale in scales {
        let fit = Fit::new(photo, scale as usize);
        let long = |fit: &Fit| fit.width.max(fit.height) as f32;
        if fits.last().is_none_or(|last| long(last) >= long(&fit) * LEAST_STEP) {
            fits.push(fit);
        }
    }
    fits
}
