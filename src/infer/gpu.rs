//! Pictures through the networks of a GPU: decoded by the cores or the card, then many at a time on the device.
//!
//! Only pictures go over and only faces, embeddings and probabilities come back; of the aligned crops a copy comes too, for
//! quality is measured on the CPU, as are grain and fingerprints. Two parts are on the device at a time: while the host waits
//! for the faces of one, or measures where to cut, the other keeps the device busy, and the copies of both go beside it; the
//! batch after them is decoded meanwhile. What is seen in a picture does not depend on what else is in its part, but for the order in which
//! a matrix product adds: a GPU's library may choose another for another size.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use super::assembly::{self, Backend, Embedded, LookedFace, look};
use super::cores::cut_glances;
use super::decode::DecodedPhoto;
use super::engine::{DEVICE_LANES, Engine};
use super::looks::{Glance, Subject, View};
use super::parts::{Turns, in_parts, told};
use crate::Result;
use crate::device;
use crate::face::Detection;
use crate::face::align::{Crop, SIDE};
use crate::face::crop::Region;
use crate::face::decode::Placement;
use crate::face::detect::fits;
use crate::face::device::{Placed, decode_picture};
use crate::face::resize::Fit;
use crate::infer::SeenPhoto;
use crate::infer::clock::Stage;
use crate::memory::room;
use crate::nn::yunet::STRIDES;
use crate::ops::gpu::Card;
use crate::ops::gpu::faces::{Candidates, Pictures, Pixels};
use crate::ops::params::PixelParams;
use crate::photo::Photo;
use crate::reason::Reject;

/// Device memory that a picture is reckoned to need while its part is on the device: its pixels, the detector's maps, and
/// those of a few faces in a large embedder.
const BYTES_A_PICTURE: u64 = 192 << 20;
/// Most pictures on the device at a time.
const MOST_PICTURES: usize = 256;
/// Pictures of one size that go through the detector at a time.
const DETECTED_TOGETHER: usize = 64;

impl Engine {
    /// As [`Engine::see`], on the device.
    pub(super) fn see_on_device(&self, pictures: &[&[u8]]) -> Result<Vec<Result<SeenPhoto, Reject>>> {
        // Of the room for pictures, what falls to each of those who fill the device.
        let share = room().total() / DEVICE_LANES.threads as u64;
        let mut rest = pictures;
        let mut seen = Vec::with_capacity(pictures.len());
        while !rest.is_empty() {
            let mut needed = 0u64;
            let needs = rest.iter().map(|bytes| crate::photo::memory(bytes, &self.policy.photo));
            let fitting = needs.take_while(|&bytes| {
                let fits = needed == 0 || needed.saturating_add(bytes) <= share;
                needed += if fits { bytes } else { 0 };
                fits
            });
            let count = fitting.count().max(1);
            let (now, later) = rest.split_at(count);
            let room_for_all = room().take(needed);
            let decoded = self.decode(now)?;
            let mut part = self.see_sources(decoded, now)?;
            drop(room_for_all);
            self.turn_where_needed(now, &mut part)?;
            seen.extend(part);
            rest = later;
        }
        Ok(seen)
    }

    /// As [`Engine::see_on_device`], of pictures that are decoded.
    pub(super) fn see_sources(
        &self,
        decoded: Vec<Result<DecodedPhoto, Reject>>,
        pictures: &[&[u8]],
    ) -> Result<Vec<Result<SeenPhoto, Reject>>> {
        let sources: Vec<&DecodedPhoto> = decoded.iter().filter_map(|source| source.as_ref().ok()).collect();
        let looked = {
            let _turn = self.turns.take();
            let free = device::free(&self.device).unwrap_or(0) / Turns::AT_A_TIME as u64;
            let most = ((free / BYTES_A_PICTURE) as usize).clamp(1, MOST_PICTURES);
            in_parts(&sources, most, |part| self.look_on_device(part)).map_err(|error| told(&self.device, error))?
        };
        let photos = decoded.into_iter().map(|source| source.map(|source| source.photo)).collect();
        let pictures = assembly::pictures(pictures, photos, looked);
        Ok(pictures.into_par_iter().map(|picture| picture.finish(&self.policy, &self.clock)).collect())
    }

    /// Everything that the device does for some photos.
    fn look_on_device(&self, sources: &[&DecodedPhoto]) -> Result<Vec<Vec<LookedFace>>> {
        let photos: Vec<&Photo> = sources.iter().map(|source| &source.photo).collect();
        let backend = OnDevice::upload(self, sources, &photos)?;
        look(&backend, &photos, &self.policy, &self.clock)
    }
}

/// Some photos in the memory of a device, and the networks there.
struct OnDevice<'a> {
    engine: &'a Engine,
    photos: &'a [&'a Photo],
    /// Where each photo lies among the pixels.
    placed: Vec<Placed>,
    pixels: Pictures,
}

impl<'a> OnDevice<'a> {
    fn upload(engine: &'a Engine, sources: &[&DecodedPhoto], photos: &'a [&'a Photo]) -> Result<Self> {
        let mut lap = engine.clock.start();
        let pixels: Vec<Pixels<'_>> = sources.iter().map(|source| source.pixels()).collect();
        let pixels = Pictures::gather(&Card::of(&engine.device)?, &pixels)?;
        let mut offset = 0;
        let place = |photo: &&Photo| {
            let place = Placed { offset, width: photo.width, height: photo.height };
            offset += photo.rgb.len();
            place
        };
        let placed = photos.iter().map(place).collect();
        lap.book(Stage::Detect);
        Ok(OnDevice { engine, photos, placed, pixels })
    }
}

impl Backend for OnDevice<'_> {
    fn find(&self) -> Result<Vec<Vec<Detection>>> {
        let (policy, detector) = (&self.engine.policy.detection, &self.engine.networks.detector);
        let mut groups = std::collections::BTreeMap::<(usize, usize), Vec<(usize, Fit)>>::new();
        for (index, photo) in self.photos.iter().enumerate() {
            for fit in fits(photo, &policy.scales) {
                groups.entry(fit.padded()).or_default().push((index, fit));
            }
        }
        let mut candidates = Candidates::new(&Card::of(&self.engine.device)?, self.photos.len())?;
        for ((width, height), jobs) in groups {
            for jobs in jobs.chunks(DETECTED_TOGETHER) {
                let from: Vec<_> = jobs.iter().map(|&(index, fit)| self.placed[index].shrink(fit)).collect();
                let p = PixelParams { blue_first: 1, ..plain(jobs.len(), width, height) };
                let heads = detector.network().raw(&self.pixels.shrink(DType::F32, &from, p)?)?;
                let inside = |fit: &Fit| (fit.width as f32, fit.height as f32);
                let place = |&(index, fit): &(usize, Fit)| {
                    let place = Placement { ratio: fit.ratio(self.photos[index]), inside: inside(&fit) };
                    decode_picture(index, place)
                };
                let places: Vec<_> = jobs.iter().map(place).collect();
                for (heads, stride) in heads.iter().zip(STRIDES) {
                    candidates.add(heads, &places, stride, policy.min_score)?;
                }
            }
        }
        let kept = candidates.suppress(policy.nms_iou, policy.max_faces)?;
        kept.into_iter()
            .zip(self.photos)
            .map(|(kept, photo)| match kept {
                Some(faces) => Ok(faces.iter().map(detection).collect()),
                // More candidates than a block of threads can sort.
                None => detector.detect(photo),
            })
            .collect()
    }

    fn embed(&self, subjects: &[Subject]) -> Result<Vec<Embedded>> {
        let mut lap = self.engine.clock.start();
        let warp = |subject: &Subject| self.placed[subject.photo_index].warp(&subject.transform);
        let warps: Vec<_> = subjects.iter().map(warp).collect();
        let crops = self.pixels.warp(DType::F32, &warps, plain(warps.len(), SIDE, SIDE))?;
        let embeddings = self.engine.networks.embedder.embed(&crops)?.to_device(&Device::Cpu)?;
        let embeddings = embeddings.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        lap.book(Stage::Embed);
        let crops = crops.flatten_from(1)?.to_vec2::<f32>()?;
        lap.book(Stage::Align);
        let embedded = |((subject, rgb), embedding): ((&Subject, _), _)| Embedded {
            crop: Crop { rgb, transform: subject.transform },
            embedding,
        };
        Ok(subjects.iter().zip(crops).zip(embeddings).map(embedded).collect())
    }

    /// Those of grainy faces, which are few, are cut out and denoised by the host.
    fn score(&self, glances: &[Glance]) -> Result<Vec<f32>> {
        let liveness = self.engine.networks.liveness.as_ref();
        let side = liveness.input_size();
        let mut order: Vec<usize> = (0..glances.len()).collect();
        order.sort_by_key(|&at| Cut::of(&glances[at]));
        let cut_so = |wanted: Cut| -> Vec<Glance> {
            order.iter().map(|&at| glances[at]).filter(|glance| Cut::of(glance) == wanted).collect()
        };
        let (resized, warped, by_host) = (cut_so(Cut::Resized), cut_so(Cut::Warped), cut_so(Cut::ByHost));
        let mut crops = Vec::new();
        if !resized.is_empty() {
            let region = |&Glance { subject, .. }: &Glance| {
                let Photo { width, height, .. } = *subject.photo;
                let region = Region::around(&subject.detection, liveness.box_scale(), width, height);
                self.placed[subject.photo_index].crop(region)
            };
            let regions: Vec<_> = resized.iter().map(region).collect();
            crops.push(self.pixels.crop_resize(DType::F32, &regions, plain(regions.len(), side, side))?);
        }
        if !warped.is_empty() {
            let square = |&Glance { subject, view, .. }: &Glance| {
                self.placed[subject.photo_index].warp(&subject.square(view, side))
            };
            let squares: Vec<_> = warped.iter().map(square).collect();
            crops.push(self.pixels.warp(DType::F32, &squares, plain(squares.len(), side, side))?);
        }
        if !by_host.is_empty() {
            crops.push(cut_glances(liveness, &self.engine.device, &by_host)?);
        }
        let scored = liveness.log_odds(&Tensor::cat(&crops, 0)?)?;
        let mut odds = vec![0.0; glances.len()];
        order.into_iter().zip(scored).for_each(|(at, score)| odds[at] = score);
        Ok(odds)
    }

    fn leaves_cores_idle(&self) -> bool {
        true
    }
}

/// How the crop of a glance is cut out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    Resized,
    Warped,
    ByHost,
}

impl Cut {
    fn of(glance: &Glance) -> Cut {
        match (glance.subject.is_grainy(), glance.view) {
            (true, _) => Cut::ByHost,
            (false, View::Wide) => Cut::Resized,
            (false, _) => Cut::Warped,
        }
    }
}

/// Pixels as they are, red first.
fn plain(count: usize, width: usize, height: usize) -> PixelParams {
    let [count, width, height] = [count, width, height].map(|v| v as i32);
    PixelParams { count, width, height, blue_first: 0, mean: 0.0, factor: 1.0 }
}

fn detection(values: &[f32; crate::ops::params::FACE_VALUES]) -> Detection {
    let [left, top, width, height, points @ .., score] = *values;
    let point = |k: usize| [points[2 * k], points[2 * k + 1]];
    Detection { bbox: [left, top, width, height], landmarks: std::array::from_fn(point), score }
}
