//! Pictures for the networks of a GPU: walked on all cores, then decoded there or by the card.
//!
//! What comes out is a photo on the host, for grain and fingerprints are measured in its pixels, and where the card decoded
//! it, the same pixels in the card's memory, so that they need not go over again.

use std::sync::Arc;

use candle_core::Storage;
use rayon::prelude::*;

use super::engine::Engine;
use crate::Result;
use crate::infer::clock::Stage;
use crate::ops::gpu::faces::Pixels;
use crate::photo::{Photo, Walked};
use crate::reason::Reject;

/// A photo, and where else its pixels are.
pub(super) struct DecodedPhoto {
    pub(super) photo: Photo,
    on_card: Option<(Arc<Storage>, usize)>,
}

impl DecodedPhoto {
    /// Of a photo that is on the host alone.
    pub(super) fn on_host(photo: Photo) -> DecodedPhoto {
        DecodedPhoto { photo, on_card: None }
    }

    /// Its pixels where a device has them soonest.
    pub(super) fn pixels(&self) -> Pixels<'_> {
        match &self.on_card {
            Some((buffer, from)) => {
                Pixels::Device { buffer: buffer.clone(), from: *from, length: self.photo.rgb.len() }
            }
            None => Pixels::Host(&self.photo.rgb),
        }
    }
}

/// A photo, or why there is none.
type Decoded = Result<DecodedPhoto, Reject>;

/// A picture on its way. Those for the card wait for each other.
enum Next<'a> {
    Done(Decoded),
    ForCard(Walked<'a>),
}

impl<'a> Next<'a> {
    fn for_card(&self) -> Option<&Walked<'a>> {
        match self {
            Next::Done(_) => None,
            Next::ForCard(walked) => Some(walked),
        }
    }
}

impl Engine {
    /// Decodes pictures, in order.
    ///
    /// # Errors
    /// Only the device's.
    pub(super) fn decode(&self, pictures: &[&[u8]]) -> Result<Vec<Decoded>> {
        let walked: Vec<Next<'_>> = pictures.par_iter().map(|bytes| self.walk(bytes)).collect();
        let waiting: Vec<&Walked<'_>> = walked.iter().filter_map(Next::for_card).collect();
        let mut lap = self.clock.start();
        let mut by_card = self.decode_on_card(&waiting)?.into_iter();
        lap.book(Stage::Decode);
        let missing = || crate::Error::bug("decoding on the card", "fewer pictures than were given");
        walked
            .into_iter()
            .map(|next| match next {
                Next::Done(decoded) => Ok(decoded),
                Next::ForCard(_) => by_card.next().ok_or_else(missing),
            })
            .collect()
    }

    /// Walks a picture, and decodes it there and then if it is not one for the card.
    fn walk<'a>(&'a self, bytes: &'a [u8]) -> Next<'a> {
        let mut lap = self.clock.start();
        let next = match crate::photo::walk(bytes, &self.policy.photo) {
            Ok(walked) if self.on_card(&walked) => Next::ForCard(walked),
            Ok(walked) => Next::Done(walked.decode().map(|photo| DecodedPhoto { photo, on_card: None })),
            Err(reject) => Next::Done(Err(reject)),
        };
        lap.book(Stage::Decode);
        next
    }
}

#[cfg(not(feature = "cuda"))]
impl Engine {
    fn on_card(&self, _: &Walked<'_>) -> bool {
        false
    }

    fn decode_on_card(&self, _: &[&Walked<'_>]) -> Result<Vec<Decoded>> {
        Ok(Vec::new())
    }
}

#[cfg(feature = "cuda")]
mod card {
    use super::*;
    use crate::device;
    use crate::device::nvjpeg::Accepted;
    use crate::infer::jpeg::card::{Decoded as OnCard, Decoder};
    use crate::ops::gpu::is_out_of_memory;
    use crate::photo::PlainJpeg;

    /// Pictures that the card decodes at a time: its engines are busy, and each batch is a fraction of a second.
    const TOGETHER: usize = 64;
    /// Decoded bytes at a time: those pictures from phones of 12 megapixels, and never more than a sixteenth of what is free.
    const BYTES: usize = 2 << 30;

    /// A picture with what the card's decoder needs of it.
    struct Job<'a> {
        walked: &'a Walked<'a>,
        plain: PlainJpeg<'a>,
        taken: Accepted<'a>,
    }

    impl Engine {
        pub(super) fn on_card(&self, walked: &Walked<'_>) -> bool {
            self.nvjpeg.is_some() && walked.plain_jpeg().is_some()
        }

        pub(super) fn decode_on_card(&self, pictures: &[&Walked<'_>]) -> Result<Vec<Decoded>> {
            let Some(decoder) = self.nvjpeg.as_ref().filter(|_| !pictures.is_empty()) else { return Ok(Vec::new()) };
            let mut decoder = decoder.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let free = device::free(&self.device).unwrap_or(0) as usize;
            let most = BYTES.min(free / 16);
            let mut done: Vec<Option<Decoded>> = pictures.iter().map(|_| None).collect();
            let mut jobs: Vec<(usize, Job<'_>)> = Vec::new();
            for (at, walked) in pictures.iter().enumerate() {
                let plain = walked.plain_jpeg();
                let taken = plain.and_then(|plain| decoder.jpeg.accept(plain.bytes, (plain.width, plain.height)));
                jobs.extend(plain.zip(taken).map(|(plain, taken)| (at, Job { walked, plain, taken })));
            }
            let mut rest = jobs.as_slice();
            while !rest.is_empty() {
                let mut bytes = 0;
                let fits = |(_, job): &&(usize, Job<'_>)| {
                    bytes += job.plain.width * job.plain.height * 3;
                    bytes <= most
                };
                let count = rest.iter().take(TOGETHER).take_while(fits).count().max(1);
                let (part, after) = rest.split_at(count);
                self.decode_part(&mut decoder, part, &mut done)?;
                rest = after;
            }
            drop(decoder);
            // Whatever the library did not take: the cores' work, as if there were no card.
            let by_cores = |(done, walked): (Option<Decoded>, &&Walked<'_>)| {
                done.unwrap_or_else(|| walked.decode().map(|photo| DecodedPhoto { photo, on_card: None }))
            };
            Ok(done.into_par_iter().zip(pictures).map(by_cores).collect())
        }

        /// Decodes some together; where that fails, halves, down to single ones that are left to the cores.
        fn decode_part(
            &self,
            decoder: &mut Decoder,
            part: &[(usize, Job<'_>)],
            done: &mut [Option<Decoded>],
        ) -> Result<()> {
            match self.decode_together(decoder, part) {
                Ok(sources) => {
                    part.iter().zip(sources).for_each(|((at, _), source)| done[*at] = Some(Ok(source)));
                    Ok(())
                }
                Err(_) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    self.decode_part(decoder, first, done)?;
                    self.decode_part(decoder, second, done)
                }
                // Who decodes a picture must follow from the picture.
                Err(error) if is_out_of_memory(&error) => {
                    Err(device::out_of_memory(&self.device, "decoding a picture on it", &error))
                }
                Err(error) => {
                    log::info!("the cores decode a picture that the card refused: {error}");
                    let walked = part.first().map(|(at, job)| (*at, job.walked));
                    walked.into_iter().for_each(|(at, walked)| {
                        done[at] = Some(walked.decode().map(|photo| DecodedPhoto { photo, on_card: None }));
                    });
                    Ok(())
                }
            }
        }

        fn decode_together(
            &self,
            decoder: &mut Decoder,
            part: &[(usize, Job<'_>)],
        ) -> std::result::Result<Vec<DecodedPhoto>, String> {
            let card = self.device.as_cuda_device().map_err(|error| error.to_string())?;
            let pictures: Vec<_> = part.iter().map(|(_, job)| (job.plain, job.taken)).collect();
            let decoded = decoder.decode(card, &pictures)?;
            let source = |OnCard { photo, buffer, from }| DecodedPhoto { photo, on_card: Some((buffer, from)) };
            Ok(decoded.into_iter().map(source).collect())
        }
    }
}
