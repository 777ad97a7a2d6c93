//! Photos -> their faces, with what was read in them: the one order of stages, for cores and GPUs alike.
//!
//! What differs between the two is behind [`Backend`]. Each face is written to its own picture by its place there, so what
//! a backend is given, and in which order it works, joins nothing wrongly.

use rayon::prelude::*;

use super::analysis::{Looks, Reading, SeenFace, SeenPhoto, Traits};
use super::clock::{Stage, StageClock};
use super::looks::{Glance, Subject, look_at};
use super::template::Template;
use crate::Result;
use crate::config::Policy;
use crate::face::detect::Detector;
use crate::face::{Crop, Detection, Similarity, grain, quality};
use crate::nn::{Embedder, Liveness, Yunet};
use crate::photo::{Camera, Composite, Fingerprint, Photo, Reduced};
use crate::reason::Reject;

/// The networks, ready to run.
pub(super) struct Networks {
    pub detector: Detector<Yunet>,
    pub embedder: Box<dyn Embedder>,
    pub liveness: Box<dyn Liveness>,
}

/// Where some photos go through the networks.
pub(super) trait Backend {
    /// The faces of each photo, best score first.
    ///
    /// # Errors
    /// The device's.
    fn find(&self) -> Result<Vec<Vec<Detection>>>;

    /// Aligns and embeds at least one face, in order.
    ///
    /// # Errors
    /// The device's.
    fn embed(&self, subjects: &[Subject]) -> Result<Vec<Embedded>>;

    /// The liveness network's log-odds of at least one glance, in order.
    ///
    /// # Errors
    /// The device's.
    fn score(&self, glances: &[Glance]) -> Result<Vec<f32>>;

    /// Whether the cores have nothing else to do meanwhile, so that grain is measured on all of them.
    fn leaves_cores_idle(&self) -> bool;
}

/// An aligned face and its embedding, not normalised.
pub(super) struct Embedded {
    pub crop: Crop,
    pub embedding: Vec<f32>,
}

/// A face as far as the networks have seen it.
pub(super) struct LookedFace {
    detection: Detection,
    /// `None` where the face is too far in the background, or its landmarks coincide.
    read: Option<ReadFace>,
}

struct ReadFace {
    embedded: Embedded,
    looks: Looks,
    grain: f32,
}

/// Faces of each photo, tallest first; the tallest are read: liveness and embedding in batches over all photos.
///
/// # Errors
/// The backend's.
pub(super) fn look(
    backend: &dyn Backend,
    photos: &[&Photo],
    policy: &Policy,
    clock: &StageClock,
) -> Result<Vec<Vec<LookedFace>>> {
    let mut lap = clock.start();
    let mut found = backend.find()?;
    for faces in &mut found {
        // Equal heights keep the detector's order, best score first.
        faces.sort_by(|a, b| b.bbox[3].total_cmp(&a.bbox[3]));
    }
    lap.book(Stage::Detect);
    let subjects = subjects(backend, photos, &found, policy);
    lap.book(Stage::Liveness);
    let unread = |detection| LookedFace { detection, read: None };
    let mut looked: Vec<Vec<LookedFace>> =
        found.into_iter().map(|faces| faces.into_iter().map(unread).collect()).collect();
    if subjects.is_empty() {
        clock.count(photos.len(), 0);
        return Ok(looked);
    }
    let embedded = backend.embed(&subjects)?;
    let mut lap = clock.start();
    let looks = look_at(&subjects, &|glances| backend.score(glances))?;
    lap.book(Stage::Liveness);
    for ((subject, embedded), looks) in subjects.iter().zip(embedded).zip(looks) {
        let read = ReadFace { embedded, looks, grain: subject.grain };
        looked[subject.photo_index][subject.face_index].read = Some(read);
    }
    clock.count(photos.len(), subjects.len());
    Ok(looked)
}

/// The faces to read: of each photo the tallest whose landmarks do not coincide.
fn subjects<'a>(
    backend: &dyn Backend,
    photos: &[&'a Photo],
    found: &[Vec<Detection>],
    policy: &Policy,
) -> Vec<Subject<'a>> {
    let mut subjects = Vec::new();
    for (photo_index, (&photo, faces)) in photos.iter().zip(found).enumerate() {
        let least_height = faces.first().map_or(0.0, |tallest| tallest.bbox[3] * policy.roles.principal_ratio);
        for (face_index, &detection) in faces.iter().take(policy.detection.max_read).enumerate() {
            let Some(transform) = Similarity::to_template(&detection) else { continue };
            let is_principal = detection.bbox[3] >= least_height;
            subjects.push(Subject { photo, photo_index, face_index, detection, transform, is_principal, grain: 0.0 });
        }
    }
    let measure = |subject: &mut Subject| subject.grain = grain::estimate(subject.photo, &subject.detection);
    match backend.leaves_cores_idle() {
        true => subjects.par_iter_mut().for_each(measure),
        false => subjects.iter_mut().for_each(measure),
    }
    subjects
}

/// A picture as it came, decoded or refused, and its faces.
pub(super) struct Picture<'a> {
    bytes: &'a [u8],
    photo: Result<Photo, Reject>,
    faces: Vec<LookedFace>,
}

/// Gives each picture that could be decoded its faces; `looked` is those pictures', in order.
pub(super) fn pictures<'a>(
    bytes: &[&'a [u8]],
    photos: Vec<Result<Photo, Reject>>,
    looked: Vec<Vec<LookedFace>>,
) -> Vec<Picture<'a>> {
    let whole = |(&bytes, photo)| Picture { bytes, photo, faces: Vec::new() };
    let mut pictures: Vec<Picture> = bytes.iter().zip(photos).map(whole).collect();
    let decoded = pictures.iter_mut().filter(|picture| picture.photo.is_ok());
    decoded.zip(looked).for_each(|(picture, faces)| picture.faces = faces);
    pictures
}

impl Picture<'_> {
    /// Measures what needs no network: quality of faces, fingerprint and traits of the picture.
    ///
    /// # Errors
    /// Why it could not be decoded.
    pub(super) fn finish(self, policy: &Policy, clock: &StageClock) -> Result<SeenPhoto, Reject> {
        let photo = self.photo?;
        Ok(measure(&photo, self.bytes, self.faces, policy, clock))
    }
}

fn measure(photo: &Photo, bytes: &[u8], faces: Vec<LookedFace>, policy: &Policy, clock: &StageClock) -> SeenPhoto {
    let mut lap = clock.start();
    let faces: Vec<SeenFace> = faces
        .into_iter()
        .map(|LookedFace { detection, read }| {
            let reading = read.and_then(|ReadFace { embedded, looks, grain }| {
                let template = Template::from_embedding(&embedded.embedding).ok()?;
                let quality = quality::assess(&detection, &embedded.crop, &policy.quality);
                Some(Reading { quality, looks, grain, template })
            });
            SeenFace { detection, reading }
        })
        .collect();
    lap.book(Stage::Quality);
    let boxes: Vec<[f32; 4]> = faces.iter().map(|face| face.detection.bbox).collect();
    let reduced = Reduced::of(photo);
    let traits = Traits::of(&reduced, photo, &boxes);
    let seen = SeenPhoto {
        width: photo.width as u32,
        height: photo.height as u32,
        turned: 0,
        composite: Composite::find(photo, foreground(&boxes, policy)),
        camera: Camera::of(bytes, photo, &traits.thumbnail),
        fingerprint: Fingerprint::from_reduced(bytes, &reduced),
        traits,
        faces,
    };
    lap.book(Stage::Fingerprint);
    seen
}

/// The boxes of faces in the foreground; they are sorted, the tallest first.
fn foreground<'a>(boxes: &'a [[f32; 4]], policy: &Policy) -> &'a [[f32; 4]] {
    let least = boxes.first().map_or(0.0, |tallest| tallest[3] * policy.roles.principal_ratio);
    &boxes[..boxes.partition_point(|face| face[3] >= least)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::align::TEMPLATE;

    /// Sees in each photo the faces that it is given, and answers with their heights.
    struct Heights(Vec<Vec<f32>>);

    /// A face of this height; a negative one has landmarks that coincide.
    fn face(height: f32) -> Detection {
        let landmarks = if height < 0.0 { [[5.0; 2]; 5] } else { TEMPLATE.map(|point| point.map(|v| v as f32)) };
        Detection { bbox: [0.0, 0.0, 80.0, height.abs()], landmarks, score: 0.9 }
    }

    impl Backend for Heights {
        fn find(&self) -> Result<Vec<Vec<Detection>>> {
            Ok(self.0.iter().map(|heights| heights.iter().map(|&height| face(height)).collect()).collect())
        }

        fn embed(&self, subjects: &[Subject]) -> Result<Vec<Embedded>> {
            let embedded = |subject: &Subject| Embedded {
                crop: Crop::cut(subject.photo, subject.transform),
                embedding: vec![subject.detection.bbox[3]],
            };
            Ok(subjects.iter().map(embedded).collect())
        }

        fn score(&self, glances: &[Glance]) -> Result<Vec<f32>> {
            Ok(glances.iter().map(|glance| glance.subject.detection.bbox[3]).collect())
        }

        fn leaves_cores_idle(&self) -> bool {
            true
        }
    }

    #[test]
    fn every_reading_is_written_to_its_own_face() {
        let photo = Photo { width: 120, height: 120, rgb: vec![128; 120 * 120 * 3] };
        let mut policy = Policy::default();
        policy.detection.max_read = 2;
        let backend = Heights(vec![vec![40.0, -100.0, 90.0], vec![], vec![50.0, 60.0, 70.0]]);
        let clock = StageClock::default();
        let looked = look(&backend, &[&photo; 3], &policy, &clock).unwrap();
        let heights: Vec<Vec<(f32, Option<[f32; 2]>)>> = looked
            .iter()
            .map(|faces| {
                let read =
                    |face: &LookedFace| face.read.as_ref().map(|read| [read.looks.wide, read.embedded.embedding[0]]);
                faces.iter().map(|face| (face.detection.bbox[3], read(face))).collect()
            })
            .collect();
        // Tallest first; two are read, and of those not the one without an upright crop.
        let first = vec![(100.0, None), (90.0, Some([90.0; 2])), (40.0, None)];
        let third = vec![(70.0, Some([70.0; 2])), (60.0, Some([60.0; 2])), (50.0, None)];
        assert_eq!(heights, [first, vec![], third]);
        assert_eq!((clock.spent().pictures, clock.spent().faces), (3, 3));
    }

    #[test]
    fn a_refused_picture_keeps_its_place() {
        let photo = || Ok(Photo { width: 1, height: 1, rgb: vec![1, 2, 3] });
        let refused = Err(Reject::new(crate::reason::Reason::UnreadableImage, "no picture"));
        let faces = |height| vec![LookedFace { detection: face(height), read: None }];
        let bytes: [&[u8]; 3] = [b"a", b"b", b"c"];
        let pictures = pictures(&bytes, vec![photo(), refused, photo()], vec![faces(1.0), faces(2.0)]);
        let seen: Vec<(&[u8], bool, Option<f32>)> = pictures
            .iter()
            .map(|picture| (picture.bytes, picture.photo.is_ok(), picture.faces.first().map(|f| f.detection.bbox[3])))
            .collect();
        assert_eq!(seen, [(bytes[0], true, Some(1.0)), (bytes[1], false, None), (bytes[2], true, Some(2.0))]);
    }
}
