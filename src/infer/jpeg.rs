//! Who decodes JPEGs: the cores, or the card beside its networks.
//!
//! Every JPEG is walked whole on a core first, whoever decodes, so that damage is refused alike; what phones write then goes to
//! the card ([`crate::photo::PlainJpeg`]), and all else, with whatever the card's library refuses, to the cores. `auto` takes
//! the card where it decodes at least as many pictures a second as all cores together: measured once, when the networks are
//! loaded, on a made-up picture of a phone's size.
//!
//! Two decoders round differently, by a level or two a sample. Therefore a run has one rule for all its pictures: which
//! decoder a picture goes to follows from its bytes and from the choice made at the start, never from load, and the choice is
//! part of the run's key, so that a run resumed with the other one starts anew. All that is measured in a picture (faces, grain,
//! hashes, means) is measured in the pixels of the decoder that it went to: the card's come back to the host for it. Across
//! nights a picture may meet itself decoded by the other one. The same file is known by the hash of its bytes; one that was
//! encoded anew by difference hash and means, which leave far more room than rounding takes (`tests/it/photo.rs`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The decoder as asked for with `--jpeg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JpegChoice {
    /// The card's where it is there and measures at least as fast as the cores, else the cores.
    #[default]
    Auto,
    /// The cores.
    Cpu,
    /// The card's, or an error.
    Gpu,
}

impl FromStr for JpegChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(JpegChoice::Auto),
            "cpu" => Ok(JpegChoice::Cpu),
            "gpu" => Ok(JpegChoice::Gpu),
            _ => Err(format!("'{text}' is not one of auto, cpu, gpu")),
        }
    }
}

impl fmt::Display for JpegChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JpegChoice::Auto => "auto",
            JpegChoice::Cpu => "cpu",
            JpegChoice::Gpu => "gpu",
        })
    }
}

/// Who decodes what phones write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JpegDecoder {
    /// The cores.
    Cpu,
    /// The card's library.
    Gpu,
}

/// Who decodes, and why: in `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JpegReport {
    /// What was asked for.
    pub asked: JpegChoice,
    /// Who decodes what phones write; all else is the cores' work.
    pub decoder: JpegDecoder,
    /// Why.
    pub reason: String,
    /// The card's library and which part of the card it uses.
    pub library: Option<String>,
    /// Pictures a second of all cores, of a made-up one, where that was measured.
    pub cpu_pictures_per_s: Option<f64>,
    /// The same of the card, until they are back on the host.
    pub gpu_pictures_per_s: Option<f64>,
}

impl JpegReport {
    /// The cores decode.
    pub(super) fn cpu(asked: JpegChoice, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        JpegReport {
            asked,
            decoder: JpegDecoder::Cpu,
            reason,
            library: None,
            cpu_pictures_per_s: None,
            gpu_pictures_per_s: None,
        }
    }

    /// Whether the card decodes.
    pub fn on_card(&self) -> bool {
        self.decoder == JpegDecoder::Gpu
    }
}

#[cfg(feature = "cuda")]
pub(super) mod card {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use candle_core::cuda_backend::cudarc::driver::{CudaContext, CudaStream};
    use candle_core::{CudaDevice, CudaStorage, Device, Storage};
    use rayon::prelude::*;

    use super::{JpegChoice, JpegDecoder, JpegReport};
    use crate::config::policy::PhotoLimits;
    use crate::device::nvjpeg::{self, Accepted, NvJpeg};
    use crate::ops::gpu::Card;
    use crate::ops::gpu::faces::upright;
    use crate::ops::params::UprightPicture;
    use crate::photo::{self, Photo, PlainJpeg, Walked};
    use crate::{Error, Result};

    /// Of the made-up picture, pixels.
    const SIDES: (u32, u32) = (1280, 960);
    /// Pictures that the card decodes at a time while it is measured.
    const TOGETHER: usize = 64;
    /// How long each is measured.
    const TIME: Duration = Duration::from_millis(300);

    /// The card's decoder and a stream for it, beside that of the networks.
    #[derive(Debug)]
    pub struct Decoder {
        pub(in crate::infer) jpeg: NvJpeg,
        pub(in crate::infer) stream: Arc<CudaStream>,
    }

    /// A picture that the card decoded: its pixels on the host, and where on the card.
    pub(in crate::infer) struct Decoded {
        pub photo: Photo,
        pub buffer: Arc<Storage>,
        pub from: usize,
    }

    impl Decoder {
        /// Decodes pictures together, turns them upright, and brings their pixels back as well.
        pub(in crate::infer) fn decode(
            &mut self,
            device: &CudaDevice,
            pictures: &[(PlainJpeg<'_>, Accepted<'_>)],
        ) -> std::result::Result<Vec<Decoded>, String> {
            let taken: Vec<Accepted<'_>> = pictures.iter().map(|(_, taken)| *taken).collect();
            let decoded = self.jpeg.decode(&taken, &self.stream)?;
            let mut total = 0;
            let place = |((plain, _), &from): (&(PlainJpeg<'_>, Accepted<'_>), &usize)| {
                let ((width, height), to) = (plain.upright(), total);
                total += width * height * 3;
                UprightPicture {
                    from: from as i64,
                    to: to as i64,
                    width: width as i32,
                    height: height as i32,
                    orientation: plain.orientation.into(),
                    reserved: 0,
                }
            };
            let places: Vec<UprightPicture> = pictures.iter().zip(&decoded.offsets).map(place).collect();
            let said = |error: candle_core::Error| error.to_string();
            let card = Card::of(&Device::Cuda(device.clone())).map_err(said)?;
            let stored = Storage::Cuda(CudaStorage::wrap_cuda_slice(decoded.bytes, device.clone()));
            let (buffer, host) = upright(&card, &stored, &places, total).map_err(said)?;
            let buffer = Arc::new(buffer);
            let decoded = |place: &UprightPicture| {
                let (from, width, height) = (place.to as usize, place.width as usize, place.height as usize);
                let rgb = host[from..from + width * height * 3].to_vec();
                Decoded { photo: Photo { width, height, rgb }, buffer: buffer.clone(), from }
            };
            Ok(places.par_iter().map(decoded).collect())
        }

        fn new(context: &Arc<CudaContext>) -> std::result::Result<Decoder, String> {
            let jpeg = NvJpeg::new(context.clone())?;
            Ok(Decoder { jpeg, stream: context.new_stream().map_err(|error| format!("CUDA: {error}"))? })
        }
    }

    /// Opens the card's decoder if it is asked for, or measures faster.
    pub fn choose(asked: JpegChoice, device: &CudaDevice) -> Result<(Option<Decoder>, JpegReport)> {
        if asked == JpegChoice::Cpu {
            return Ok((None, JpegReport::cpu(asked, "asked for")));
        }
        let opened = nvjpeg::version().and_then(|version| Ok((version, Decoder::new(device.cuda_stream().context())?)));
        let (version, mut decoder) = match (opened, asked) {
            (Ok(opened), _) => opened,
            (Err(found), JpegChoice::Gpu) => {
                let fix = "install nvJPEG of CUDA 13 or name its folder in CHEHRA_CUDA_LIBS; or use --jpeg auto or cpu";
                return Err(Error::Device { asked: "cuda with --jpeg gpu".into(), found, fix: fix.into() });
            }
            (Err(found), _) => {
                log::warn!("the cores decode JPEGs: {found}");
                return Ok((None, JpegReport::cpu(asked, found)));
            }
        };
        let library = format!("nvJPEG {version}, {}", decoder.jpeg.backend().name());
        let mut report =
            JpegReport { decoder: JpegDecoder::Gpu, library: Some(library), ..JpegReport::cpu(asked, "asked for") };
        if asked == JpegChoice::Gpu {
            return Ok((Some(decoder), report));
        }
        let (bytes, limits) = (sample(), PhotoLimits::default());
        let bug = |reject: crate::reason::Reject| Error::bug("decoding a made-up picture", reject.detail);
        let walked = photo::walk(&bytes, &limits).map_err(bug)?;
        let cores = cores(&walked);
        report.cpu_pictures_per_s = Some(cores);
        match card(&mut decoder, device, &walked) {
            Ok(rate) => {
                report.gpu_pictures_per_s = Some(rate);
                report.reason = format!("the card decodes {rate:.0} made-up pictures a second, the cores {cores:.0}");
                if rate >= cores {
                    return Ok((Some(decoder), report));
                }
            }
            Err(found) => report.reason = found,
        }
        report.decoder = JpegDecoder::Cpu;
        log::info!("the cores decode JPEGs: {}", report.reason);
        Ok((None, report))
    }

    /// Pictures a second of all cores, walked before.
    fn cores(walked: &Walked<'_>) -> f64 {
        let (started, mut done) = (Instant::now(), 0);
        while started.elapsed() < TIME {
            let count = rayon::current_num_threads() * 2;
            done += (0..count).into_par_iter().filter(|_| walked.decode().is_ok()).count();
        }
        f64::from(u32::try_from(done).unwrap_or(u32::MAX)) / started.elapsed().as_secs_f64()
    }

    /// Pictures a second of the card, until they are back, by the very way that pictures of a night go.
    fn card(decoder: &mut Decoder, device: &CudaDevice, walked: &Walked<'_>) -> std::result::Result<f64, String> {
        let plain = walked.plain_jpeg().ok_or("the made-up picture is not plain")?;
        let size = (plain.width, plain.height);
        let taken = decoder.jpeg.accept(plain.bytes, size).ok_or("nvJPEG does not take the made-up picture")?;
        let batch = vec![(plain, taken); TOGETHER];
        let mut round = || -> std::result::Result<(), String> {
            std::hint::black_box(decoder.decode(device, &batch)?);
            Ok(())
        };
        // The first takes memory, and locks the host's.
        round()?;
        let (started, mut done) = (Instant::now(), 0u32);
        while started.elapsed() < TIME {
            round()?;
            done += TOGETHER as u32;
        }
        Ok(f64::from(done) / started.elapsed().as_secs_f64())
    }

    /// A JPEG as a phone writes it, of soft shapes with grain, quality 90.
    fn sample() -> Vec<u8> {
        let (width, height) = SIDES;
        let picture = image::RgbImage::from_fn(width, height, |x, y| {
            let grain = (x.wrapping_mul(0x9e37_79b9) ^ y.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0xc2b2_ae35) >> 28;
            let soft = |a: f32, b: f32| ((x as f32 * a).sin() * 70.0 + (y as f32 * b).cos() * 40.0 + 120.0) as u32;
            image::Rgb([soft(0.011, 0.017), soft(0.013, 0.007), soft(0.005, 0.012)].map(|v| (v + grain).min(255) as u8))
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90);
        // Into memory nothing fails; without bytes the walk says so.
        drop(picture.write_with_encoder(encoder));
        bytes.into_inner()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_made_up_picture_is_one_that_the_card_would_get() {
            let (bytes, limits) = (sample(), PhotoLimits::default());
            let walked = photo::walk(&bytes, &limits).unwrap();
            assert_eq!(walked.plain_jpeg().map(|plain| (plain.width, plain.height)), Some((1280, 960)));
            // As dense as photographs are: a tenth to one byte a pixel.
            let density = bytes.len() as f64 / (1280.0 * 960.0);
            assert!((0.1..1.0).contains(&density), "{density}");
            assert!(cores(&walked) > 0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_printed_alike() {
        for text in ["auto", "cpu", "gpu"] {
            assert_eq!(text.parse::<JpegChoice>().map(|choice| choice.to_string()), Ok(text.to_owned()));
        }
        assert!("nvjpeg".parse::<JpegChoice>().is_err());
    }
}
