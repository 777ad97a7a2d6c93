//! Pictures through the networks of a GPU: decoded by the cores or the card, then many at a time on the device.
//!
//! Only pictures go over and only faces, embeddings and probabilities come back; of the aligned crops a copy comes too, for
//! quality is measured on the CPU, as are grain and fingerprints. Two parts are on the device at a time: while the host waits
//! for the faces of one, or measures where to cut, the other keeps the device busy, and the copies of both go beside it; the
//! batch after them is decoded meanwhile. What is seen in a picture does not depend on what else is in its part, but for the order in which
//! a matrix product adds: a GPU's library may choose another for another size.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use super::decode::Source;
use super::engine::{DEVICE_LANES, Engine};
use super::looks::{Subject, View};
use super::parts::{Turns, in_parts, told};
use crate::Result;
use crate::device;
use crate::face::align::{Crop, SIDE, Similarity};
use crate::face::crop::Region;
use crate::face::decode::Placement;
use crate::face::detect::fits;
use crate::face::device::{Placed, decode_picture};
use crate::face::resize::Fit;
use crate::face::{Detection, quality};
use crate::infer::analysis::Traits;
use crate::infer::clock::Stage;
use crate::infer::{Looks, Reading, SeenFace, SeenPhoto, Template};
use crate::memory::room;
use crate::nn::yunet::STRIDES;
use crate::ops::gpu::Card;
use crate::ops::gpu::faces::{Candidates, Pictures, Pixels};
use crate::ops::params::PixelParams;
use crate::photo::{Fingerprint, Photo, Reduced};
use crate::reason::Reject;

/// Device memory that a picture is reckoned to need while its part is on the device: its pixels, the detector's maps, and
/// those of a few faces in a large embedder.
const BYTES_A_PICTURE: u64 = 192 << 20;
/// Most pictures on the device at a time.
const MOST_PICTURES: usize = 256;
/// Pictures of one size that go through the detector at a time.
const DETECTED_TOGETHER: usize = 64;

/// What the device saw in one photo.
struct Looked {
    /// Tallest first.
    faces: Vec<Detection>,
    /// Of the tallest ones: what was read, `None` where landmarks coincide.
    read: Vec<Option<Face>>,
}

/// What the device read in one face.
struct Face {
    crop: Crop,
    embedding: Vec<f32>,
    looks: Looks,
    grain: f32,
}

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
        decoded: Vec<Result<Source, Reject>>,
        pictures: &[&[u8]],
    ) -> Result<Vec<Result<SeenPhoto, Reject>>> {
        let sources: Vec<&Source> = decoded.iter().filter_map(|source| source.as_ref().ok()).collect();
        let looked = {
            let _turn = self.turns.take();
            let free = device::free(&self.device).unwrap_or(0) / Turns::AT_A_TIME as u64;
            let most = ((free / BYTES_A_PICTURE) as usize).clamp(1, MOST_PICTURES);
            in_parts(&sources, most, |part| self.look(part)).map_err(|error| told(&self.device, error))?
        };
        self.clock.count(pictures.len(), looked.iter().map(|looked| looked.read.len()).sum());
        let mut looked = looked.into_iter();
        let rows: Vec<_> = decoded
            .into_iter()
            .zip(pictures)
            .map(|(source, bytes)| {
                let photo = source.map(|source| source.photo);
                let looked = if photo.is_ok() { looked.next() } else { None };
                (photo, bytes, looked)
            })
            .collect();
        Ok(rows
            .into_par_iter()
            .map(|(photo, bytes, looked)| {
                let photo = photo?;
                Ok(self.finish(&photo, bytes, looked.unwrap_or(Looked { faces: Vec::new(), read: Vec::new() })))
            })
            .collect())
    }

    /// What the CPU measures beside the networks.
    fn finish(&self, photo: &Photo, bytes: &[u8], looked: Looked) -> SeenPhoto {
        let Looked { faces, read } = looked;
        let mut readings = Vec::with_capacity(read.len());
        for (face, read) in faces.iter().zip(read) {
            let mut lap = self.clock.start();
            readings.push(read.and_then(|Face { crop, embedding, looks, grain }| {
                let template = Template::from_embedding(&embedding).ok()?;
                let quality = quality::assess(face, &crop, &self.policy.quality);
                Some(Reading { quality, looks, grain, template })
            }));
            lap.book(Stage::Quality);
        }
        let mut lap = self.clock.start();
        let boxes: Vec<[f32; 4]> = faces.iter().map(|face| face.bbox).collect();
        let readings = readings.into_iter().chain(std::iter::repeat(None));
        let faces = faces.into_iter().zip(readings).map(|(detection, reading)| SeenFace { detection, reading });
        let reduced = Reduced::of(photo);
        let seen = SeenPhoto {
            width: photo.width as u32,
            height: photo.height as u32,
            turned: 0,
            fingerprint: Fingerprint::from_reduced(bytes, &reduced),
            traits: Traits::of(&reduced, photo, &boxes),
            faces: faces.collect(),
        };
        lap.book(Stage::Fingerprint);
        seen
    }

    /// Everything that the device does for some photos.
    fn look(&self, sources: &[&Source]) -> Result<Vec<Looked>> {
        let mut lap = self.clock.start();
        let pixels: Vec<Pixels<'_>> = sources.iter().map(|source| source.pixels()).collect();
        let pictures = Pictures::gather(&Card::of(&self.device)?, &pixels)?;
        let photos: Vec<&Photo> = sources.iter().map(|source| &source.photo).collect();
        let photos = photos.as_slice();
        let mut offset = 0;
        let placed: Vec<Placed> = photos
            .iter()
            .map(|photo| {
                let place = Placed { offset, width: photo.width, height: photo.height };
                offset += photo.rgb.len();
                place
            })
            .collect();
        let mut faces = self.find(photos, &placed, &pictures)?;
        for faces in &mut faces {
            // Tallest first; equal heights keep the detector's order, best score first.
            faces.sort_by(|a, b| b.bbox[3].total_cmp(&a.bbox[3]));
        }
        lap.book(Stage::Detect);
        self.read_faces(photos, &placed, &pictures, faces)
    }

    /// The faces of each photo, best score first.
    fn find(&self, photos: &[&Photo], placed: &[Placed], pictures: &Pictures) -> Result<Vec<Vec<Detection>>> {
        let policy = &self.policy.detection;
        let mut groups = std::collections::BTreeMap::<(usize, usize), Vec<(usize, Fit)>>::new();
        for (index, photo) in photos.iter().enumerate() {
            for fit in fits(photo, &policy.scales) {
                groups.entry(fit.padded()).or_default().push((index, fit));
            }
        }
        let mut candidates = Candidates::new(&Card::of(&self.device)?, photos.len())?;
        for ((width, height), jobs) in groups {
            for jobs in jobs.chunks(DETECTED_TOGETHER) {
                let from: Vec<_> = jobs.iter().map(|&(index, fit)| placed[index].shrink(fit)).collect();
                let p = PixelParams { blue_first: 1, ..plain(jobs.len(), width, height) };
                let heads = self.detector.network().raw(&pictures.shrink(DType::F32, &from, p)?)?;
                let inside = |fit: &Fit| (fit.width as f32, fit.height as f32);
                let place = |&(index, fit): &(usize, Fit)| {
                    let place = Placement { ratio: fit.ratio(photos[index]), inside: inside(&fit) };
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
            .zip(photos)
            .map(|(kept, photo)| match kept {
                Some(faces) => Ok(faces.iter().map(detection).collect()),
                // More candidates than a block of threads can sort.
                None => self.detector.detect(photo),
            })
            .collect()
    }

    /// Liveness and embedding of the tallest faces, all photos together.
    fn read_faces(
        &self,
        photos: &[&Photo],
        placed: &[Placed],
        pictures: &Pictures,
        faces: Vec<Vec<Detection>>,
    ) -> Result<Vec<Looked>> {
        let most = self.policy.detection.max_read;
        let mut chosen: Vec<(usize, Detection, Similarity)> = Vec::new();
        for (photo, faces) in faces.iter().enumerate() {
            let upright = |face: &Detection| Some((photo, *face, Similarity::to_template(face)?));
            chosen.extend(faces.iter().take(most).filter_map(upright));
        }
        let mut read = Vec::new();
        if !chosen.is_empty() {
            let mut lap = self.clock.start();
            let warps: Vec<_> = chosen.iter().map(|(photo, _, transform)| placed[*photo].warp(transform)).collect();
            let crops = pictures.warp(DType::F32, &warps, plain(warps.len(), SIDE, SIDE))?;
            let embeddings = self.embedder.embed(&crops)?.to_device(&Device::Cpu)?;
            let embeddings = embeddings.to_dtype(DType::F32)?.to_vec2::<f32>()?;
            lap.book(Stage::Embed);
            let subjects: Vec<Subject> = chosen
                .par_iter()
                .map(|(photo, face, _)| self.subject(*photo, photos[*photo], face, &faces[*photo]))
                .collect();
            let looks =
                self.look_at(&subjects, &|views| self.score_on_device(photos, (placed, pictures), &subjects, views))?;
            lap.book(Stage::Liveness);
            let crops = crops.flatten_from(1)?.to_vec2::<f32>()?;
            lap.book(Stage::Align);
            let seen = embeddings.into_iter().zip(looks.into_iter().zip(&subjects));
            for (((_, _, transform), rgb), (embedding, (looks, subject))) in chosen.iter().zip(crops).zip(seen) {
                let grain = subject.grain;
                read.push(Face { crop: Crop { rgb, transform: *transform }, embedding, looks, grain });
            }
        }
        let mut read = read.into_iter();
        Ok(faces
            .into_iter()
            .map(|faces| {
                let own = faces.iter().take(most);
                let read = own.map(|face| Similarity::to_template(face).and_then(|_| read.next())).collect();
                Looked { faces, read }
            })
            .collect())
    }
}

impl Engine {
    /// The log-odds of single views. Those of grainy faces, which are few, are cut out and denoised by the host.
    fn score_on_device(
        &self,
        photos: &[&Photo],
        (placed, pictures): (&[Placed], &Pictures),
        subjects: &[Subject],
        views: &[(usize, View)],
    ) -> Result<Vec<f32>> {
        let side = self.liveness.input_size();
        // By how they are cut out: 0 resized, 1 warped, 2 by the host.
        let way = |&(index, view): &(usize, View)| match (subjects[index].is_grainy(), view) {
            (true, _) => 2,
            (false, View::Wide) => 0,
            (false, _) => 1,
        };
        let mut order: Vec<usize> = (0..views.len()).collect();
        order.sort_by_key(|&at| way(&views[at]));
        let of_way = |wanted: usize| -> Vec<(usize, View)> {
            order.iter().map(|&at| views[at]).filter(|view| way(view) == wanted).collect()
        };
        let (resized, warped, by_host) = (of_way(0), of_way(1), of_way(2));
        let mut crops = Vec::new();
        if !resized.is_empty() {
            let region = |&(index, _): &(usize, View)| {
                let Subject { photo, face, .. } = subjects[index];
                let Photo { width, height, .. } = *photos[photo];
                placed[photo].crop(Region::around(face, self.liveness.box_scale(), width, height))
            };
            let regions: Vec<_> = resized.iter().map(region).collect();
            crops.push(pictures.crop_resize(DType::F32, &regions, plain(regions.len(), side, side))?);
        }
        if !warped.is_empty() {
            let square = |&(index, view): &(usize, View)| {
                let photo = subjects[index].photo;
                placed[photo].warp(&subjects[index].square(view, side, photos[photo]))
            };
            let squares: Vec<_> = warped.iter().map(square).collect();
            crops.push(pictures.warp(DType::F32, &squares, plain(squares.len(), side, side))?);
        }
        if !by_host.is_empty() {
            crops.push(self.cut_views(photos, subjects, &by_host)?);
        }
        let scored = self.liveness.log_odds(&Tensor::cat(&crops, 0)?)?;
        let mut odds = vec![0.0; views.len()];
        order.into_iter().zip(scored).for_each(|(at, score)| odds[at] = score);
        Ok(odds)
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
