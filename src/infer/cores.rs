//! Photos through the networks on the core that asks.

use candle_core::{DType, Device, Tensor};

use super::assembly::{Backend, Embedded, Networks};
use super::clock::{Stage, StageClock};
use super::looks::{Glance, Subject, View};
use crate::Result;
use crate::face::align::{SIDE, warp_into};
use crate::face::crop::{Colours, Region, resize_into};
use crate::face::{Crop, Detection, grain};
use crate::nn::Liveness;
use crate::photo::Photo;

/// Some photos, and the networks for them.
pub(super) struct Cores<'a> {
    pub networks: &'a Networks,
    pub device: &'a Device,
    pub clock: &'a StageClock,
    pub photos: &'a [&'a Photo],
}

impl Backend for Cores<'_> {
    fn find(&self) -> Result<Vec<Vec<Detection>>> {
        self.networks.detector.detect_batch(self.photos)
    }

    fn embed(&self, subjects: &[Subject]) -> Result<Vec<Embedded>> {
        let mut lap = self.clock.start();
        let crops: Vec<Crop> = subjects.iter().map(|subject| Crop::cut(subject.photo, subject.transform)).collect();
        lap.book(Stage::Align);
        let input: Vec<f32> = crops.iter().flat_map(|crop| crop.rgb.iter().copied()).collect();
        let input = Tensor::from_vec(input, (crops.len(), SIDE, SIDE, 3), self.device)?;
        let embeddings = self.networks.embedder.embed(&input)?.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        lap.book(Stage::Embed);
        Ok(crops.into_iter().zip(embeddings).map(|(crop, embedding)| Embedded { crop, embedding }).collect())
    }

    fn score(&self, glances: &[Glance]) -> Result<Vec<f32>> {
        let liveness = self.networks.liveness.as_ref();
        liveness.log_odds(&cut_glances(liveness, self.device, glances)?)
    }

    fn leaves_cores_idle(&self) -> bool {
        false
    }
}

/// The crops of glances, `(glances, side, side, 3)`, red first, cut out by the host.
///
/// # Errors
/// The device's.
pub(super) fn cut_glances(liveness: &dyn Liveness, device: &Device, glances: &[Glance]) -> Result<Tensor> {
    let side = liveness.input_size();
    let mut input = vec![0.0; glances.len() * side * side * 3];
    for (&Glance { subject, view, .. }, crop) in glances.iter().zip(input.chunks_exact_mut(side * side * 3)) {
        let photo = subject.photo;
        let shrunk = match view {
            View::Wide => {
                let region = Region::around(&subject.detection, liveness.box_scale(), photo.width, photo.height);
                resize_into(photo, region, side, Colours::Rgb, crop);
                1.0
            }
            View::Middle | View::Close => {
                let square = subject.square(view, side);
                warp_into(photo, &square, (side, side), crop);
                square.scale().min(1.0) as f32
            }
        };
        if subject.is_grainy() {
            // Where a crop was made smaller by averaging, so was its noise.
            grain::remove(crop, side, subject.grain * shrunk);
        }
    }
    Ok(Tensor::from_vec(input, (glances.len(), side, side, 3), device)?)
}
