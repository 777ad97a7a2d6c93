//! Pictures in, what the models saw out: decode, detect, align, score liveness, embed.
//!
//! Cores are shared out by groups of pictures: each group goes through all networks on one core, so nothing waits for
//! a neighbour and one slow picture delays only its group: [`Engine::analyse`] works on the thread that calls it, and says
//! with [`Engine::lanes`] how it is best called. What is seen in a picture does not depend on its group, on
//! the number of threads or on the order: every operation gives the same bits for a row alone as for a row in a batch.

use candle_core::Device;
use rayon::prelude::*;

use crate::config::Policy;
use crate::dump::Submission;
use crate::face::detect::Detector;
use crate::infer::assembly::{self, Networks, look};
use crate::infer::clock::{Spent, Stage, StageClock};
use crate::infer::cores::Cores;
use crate::infer::parts::{Turns, told};
use crate::infer::{Analysis, JpegChoice, JpegReport, SeenPhoto};
use crate::memory::{LookingAt, room};
use crate::nn::{WeightStore, Yunet, load_embedder, load_liveness};
use crate::ops::Precision;
use crate::ops::cpu::Isa;
use crate::photo::Photo;
use crate::reason::{Reason, Reject};
use crate::{Error, Result};

/// Pictures that go through the networks together: few, so that activations stay in a core's cache.
const GROUP: usize = 2;

/// Rows that a GPU is given at a time, and threads that give them: one batch is being decoded, two are on the device, and of one
/// grain and hashes are measured.
pub(super) const DEVICE_LANES: Lanes = Lanes { threads: 4, rows: 128 };

/// How rows are best given to an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes {
    /// Threads that call [`Engine::analyse`] at the same time.
    pub threads: usize,
    /// Rows of one call.
    pub rows: usize,
}

/// Names of the weights that are used unless others are asked for.
pub const DEFAULT_EMBEDDER: &str = "sface";
/// See [`DEFAULT_EMBEDDER`].
pub const DEFAULT_LIVENESS: &str = "liveness";

/// What a liveness score is made of beside the network; changes whenever scores do, and with it the key of a run.
const LOOKS: &str = ":wide+close+middle";

/// The networks, ready to run.
pub struct Engine {
    pub(super) networks: Networks,
    pub(super) policy: Policy,
    pub(super) device: Device,
    detector_id: String,
    arithmetic: String,
    jpeg: JpegReport,
    /// The card's decoder, where it decodes.
    #[cfg(feature = "cuda")]
    pub(super) nvjpeg: Option<std::sync::Mutex<super::jpeg::card::Decoder>>,
    pub(super) clock: StageClock,
    /// Who may work on the device.
    pub(super) turns: Turns,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Engine({}, {:?})", self.models().join(", "), self.device)
    }
}

impl Engine {
    /// Loads the networks; `embedder` is a name of the manifest.
    ///
    /// The embedder computes in the precision of `weights`. Detector and liveness network do not follow it to bf16 or f16,
    /// in which liveness scores moved by as much as 0.19, and landmarks decide where everything else is cut out: with any
    /// precision but f32 they compute with split factors where the CPU multiplies tiles ([`Precision::Bf16x3`]), else in f32.
    ///
    /// # Errors
    /// [`Error::Input`] when weights are missing or not the ones of the manifest.
    /// [`Error::Device`] when they do not fit on the device.
    pub fn load(weights: &WeightStore, embedder: &str, device: Device, policy: &Policy) -> Result<Self> {
        Self::load_on(weights, embedder, device.clone(), policy).map_err(|error| told(&device, error))
    }

    fn load_on(weights: &WeightStore, embedder: &str, device: Device, policy: &Policy) -> Result<Self> {
        let weights = &weights.clone().with_device(device.clone());
        let split = weights.precision() != Precision::F32 && device.is_cpu() && Precision::Bf16x3.is_supported();
        let exact = weights.clone().with_precision(if split { Precision::Bf16x3 } else { Precision::F32 });
        let yunet = Yunet::load(&exact)?;
        let arithmetic = match weights.precision() {
            Precision::F32 => "f32".to_owned(),
            // These round their sums as the instructions do.
            other => format!("{other:?} by {}", Isa::current()?).to_lowercase(),
        };
        Ok(Engine {
            arithmetic,
            detector_id: yunet.id().to_owned(),
            networks: Networks {
                detector: Detector::new(yunet, policy.detection.clone()),
                embedder: load_embedder(weights, embedder)?,
                liveness: load_liveness(&exact, DEFAULT_LIVENESS)?,
            },
            policy: policy.clone(),
            jpeg: JpegReport::cpu(JpegChoice::Cpu, "not asked"),
            #[cfg(feature = "cuda")]
            nvjpeg: None,
            device,
            clock: StageClock::default(),
            turns: Turns::default(),
        })
    }

    /// Chooses who decodes JPEGs; without this the cores do.
    ///
    /// # Errors
    /// [`Error::Device`] when the card is asked for and cannot.
    #[cfg_attr(not(feature = "cuda"), expect(unused_mut, reason = "there is no card's decoder to keep"))]
    pub fn with_jpeg(mut self, asked: JpegChoice) -> Result<Self> {
        #[cfg(feature = "cuda")]
        if let Ok(card) = self.device.as_cuda_device() {
            let (decoder, report) = super::jpeg::card::choose(asked, card)?;
            self.nvjpeg = decoder.map(std::sync::Mutex::new);
            return Ok(Engine { jpeg: report, ..self });
        }
        if asked == JpegChoice::Gpu {
            let asked = format!("{} with --jpeg gpu", crate::device::name(&self.device));
            let (found, fix) = ("only an NVIDIA card decodes JPEGs", "use --jpeg auto or cpu, or --device cuda");
            return Err(Error::Device { asked, found: found.into(), fix: fix.into() });
        }
        Ok(Engine { jpeg: JpegReport::cpu(asked, "the networks run on no NVIDIA card"), ..self })
    }

    /// Who decodes JPEGs, and why.
    pub fn jpeg(&self) -> &JpegReport {
        &self.jpeg
    }

    /// The policy that it was loaded with: everything done with what it sees follows the same one.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Name and sum of the embedder's weights: what a template remembers.
    pub fn embedder_id(&self) -> &str {
        self.networks.embedder.id()
    }

    /// Name and sum of the liveness network's weights, and how often it looks.
    pub fn liveness_id(&self) -> String {
        format!("{}{LOOKS}", self.networks.liveness.id())
    }

    /// All networks: detector, liveness, embedder.
    pub fn models(&self) -> [String; 3] {
        [self.detector_id.clone(), self.liveness_id(), self.networks.embedder.id().to_owned()]
    }

    /// What results depend on beside models and device: the precision, and where it is not f32 the instruction set.
    pub fn arithmetic(&self) -> &str {
        &self.arithmetic
    }

    /// What seeing has cost so far.
    pub fn spent(&self) -> Spent {
        self.clock.spent()
    }

    /// The device the networks run on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How rows are best given to [`Engine::analyse`].
    pub fn lanes(&self) -> Lanes {
        match self.device.is_cpu() {
            false => DEVICE_LANES,
            true => Lanes { threads: rayon::current_num_threads(), rows: GROUP },
        }
    }

    /// Analyses rows of the dump, in order, on the thread that calls.
    ///
    /// # Errors
    /// Only the device's: a bad picture is a [`Reject`] in its row.
    pub fn analyse(&self, rows: &[Submission]) -> Result<Vec<Analysis>> {
        let _rows = rows.first().zip(rows.last()).map(|(first, last)| LookingAt::rows(first.row, last.row));
        let selfies = rows.iter().filter_map(|row| row.selfie.as_deref());
        let photos = rows.iter().filter_map(|row| row.photo.as_deref());
        let pictures: Vec<&[u8]> = selfies.chain(photos).collect();
        let mut seen = self.see_here(&pictures)?;
        let mut photos = seen.split_off(rows.iter().filter(|row| row.selfie.is_some()).count()).into_iter();
        let mut selfies = seen.into_iter();
        let missing = || Reject::new(Reason::UnreadableImage, "no selfie: the cell is null");
        Ok(rows
            .iter()
            .map(|row| Analysis {
                row: row.row,
                facts: row.facts.clone(),
                selfie: row.selfie.as_ref().and_then(|_| selfies.next()).unwrap_or_else(|| Err(missing())),
                photo: row.photo.as_ref().and_then(|_| photos.next()),
            })
            .collect())
    }

    /// What the models see in encoded pictures, in order.
    ///
    /// # Errors
    /// Only the device's.
    pub fn see(&self, pictures: &[&[u8]]) -> Result<Vec<Result<SeenPhoto, Reject>>> {
        if !self.device.is_cpu() {
            return self.see_on_device(pictures);
        }
        let groups: Vec<Vec<_>> =
            pictures.par_chunks(GROUP).map(|group| self.see_group(group)).collect::<Result<_>>()?;
        Ok(groups.into_iter().flatten().collect())
    }

    /// The same on the thread that calls.
    fn see_here(&self, pictures: &[&[u8]]) -> Result<Vec<Result<SeenPhoto, Reject>>> {
        if !self.device.is_cpu() {
            return self.see_on_device(pictures);
        }
        let mut seen = Vec::with_capacity(pictures.len());
        for group in pictures.chunks(GROUP) {
            seen.extend(self.see_group(group)?);
        }
        Ok(seen)
    }

    /// Takes room for all of a group before it begins, for a thread that held one picture and waited for room for another
    /// could wait for ever. A group for which there is none goes picture by picture; grouping changes no result.
    fn see_group(&self, pictures: &[&[u8]]) -> Result<Vec<Result<SeenPhoto, Reject>>> {
        let needed = pictures.iter().map(|bytes| crate::photo::memory(bytes, &self.policy.photo)).sum();
        if needed > room().total() && pictures.len() > 1 {
            let each = pictures.chunks(1).map(|one| self.see_group(one));
            return Ok(each.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect());
        }
        let room_for_all = room().take(needed);
        let mut lap = self.clock.start();
        let decoded: Vec<Result<Photo, Reject>> =
            pictures.iter().map(|bytes| crate::photo::decode(bytes, &self.policy.photo)).collect();
        lap.book(Stage::Decode);
        let mut seen = self.see_decoded(decoded, pictures)?;
        drop(room_for_all);
        self.turn_where_needed(pictures, &mut seen)?;
        Ok(seen)
    }

    /// As [`Engine::see`], of pictures that are decoded; on the cores.
    pub(super) fn see_decoded(
        &self,
        decoded: Vec<Result<Photo, Reject>>,
        pictures: &[&[u8]],
    ) -> Result<Vec<Result<SeenPhoto, Reject>>> {
        let photos: Vec<&Photo> = decoded.iter().filter_map(|photo| photo.as_ref().ok()).collect();
        let (networks, device, clock) = (&self.networks, &self.device, &self.clock);
        let looked = look(&Cores { networks, device, clock, photos: &photos }, &photos, &self.policy, clock)?;
        let pictures = assembly::pictures(pictures, decoded, looked);
        Ok(pictures.into_iter().map(|picture| picture.finish(&self.policy, clock)).collect())
    }
}
