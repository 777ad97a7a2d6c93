//! Pictures to network input, and the detector's output to faces.

use std::sync::Arc;

use candle_core::{DType, Result, Storage, Tensor, bail};

use super::{Arg, Card, File, Grid, Held, suffix, tensor};
use crate::ops::params::{
    CELL_VALUES, CropRegion, DecodeParams, DecodePicture, FACE_VALUES, MOST_CANDIDATES, PixelParams, Plain,
    ShrinkPicture, UprightPicture, WarpFace,
};

/// Photos one behind the other in a device's memory.
#[derive(Debug)]
pub struct Pictures {
    card: Card,
    bytes: Storage,
}

impl Pictures {
    /// Copies photos over.
    ///
    /// # Errors
    /// The driver's, out of memory among them.
    pub fn upload(card: &Card, photos: &[&[u8]]) -> Result<Pictures> {
        Ok(Pictures { bytes: card.gpu.upload(&card.device, photos)?, card: card.clone() })
    }

    /// Puts photos one behind the other that lie here and there: the host's are copied over, the device's within it.
    ///
    /// # Errors
    /// As [`Pictures::upload`].
    pub fn gather(card: &Card, photos: &[Pixels<'_>]) -> Result<Pictures> {
        let host: Vec<&[u8]> = photos.iter().filter_map(Pixels::host).collect();
        if host.len() == photos.len() {
            return Pictures::upload(card, &host);
        }
        let total = photos.iter().map(Pixels::len).sum();
        let mut bytes = card.room(DType::U8, total)?;
        let over = Arc::new(card.gpu.upload(&card.device, &host)?);
        // Of each buffer that photos lie in: which, from where, to where.
        let mut moves: Vec<(&Arc<Storage>, Vec<UprightPicture>)> = Vec::new();
        let (mut from_host, mut to) = (0, 0);
        for photo in photos {
            let (buffer, from) = match photo {
                Pixels::Host(_) => (&over, from_host),
                Pixels::Device { buffer, from, .. } => (buffer, *from),
            };
            let length = photo.len();
            from_host += if photo.host().is_some() { length } else { 0 };
            // As a picture of one row, which is upright.
            let own = UprightPicture {
                from: from as i64,
                to: to as i64,
                width: (length / 3) as i32,
                height: 1,
                orientation: 1,
                reserved: 0,
            };
            match moves.iter_mut().find(|(known, _)| Arc::ptr_eq(known, buffer)) {
                Some((_, list)) => list.push(own),
                None => moves.push((buffer, vec![own])),
            }
            to += length;
        }
        for (buffer, list) in moves {
            turn(card, buffer, &mut bytes, &list)?;
        }
        Ok(Pictures { bytes, card: card.clone() })
    }

    /// Aligned faces `(faces, height, width, 3)`.
    ///
    /// # Errors
    /// When their number is not that of `p`, or `dtype` is none of f32, f16 and bf16; the driver's.
    pub fn warp(&self, dtype: DType, faces: &[WarpFace], p: PixelParams) -> Result<Tensor> {
        self.run("warp", dtype, faces, p)
    }

    /// Resized regions `(regions, height, width, 3)`.
    ///
    /// # Errors
    /// As [`Pictures::warp`].
    pub fn crop_resize(&self, dtype: DType, regions: &[CropRegion], p: PixelParams) -> Result<Tensor> {
        self.run("crop_resize", dtype, regions, p)
    }

    /// Shrunk photos `(photos, height, width, 3)`, zero where a photo does not reach.
    ///
    /// # Errors
    /// As [`Pictures::warp`].
    pub fn shrink(&self, dtype: DType, from: &[ShrinkPicture], p: PixelParams) -> Result<Tensor> {
        self.run("shrink", dtype, from, p)
    }

    fn run<P: Plain>(&self, name: &str, dtype: DType, items: &[P], p: PixelParams) -> Result<Tensor> {
        if items.is_empty() || p.count as usize != items.len() {
            bail!("{name}: expected {} items, at least one, got {}", p.count, items.len());
        }
        let list = self.card.upload(items)?;
        let (height, width) = (p.height as usize, p.width as usize);
        let pixels = items.len() * height * width;
        let mut out = self.card.room(dtype, pixels * 3)?;
        self.card.launch(
            File::Faces,
            &format!("{name}_{}", suffix(name, dtype)?),
            Grid::elements(pixels)?,
            &mut [Arg::whole(&self.bytes), Arg::whole(&list), Arg::Out(&mut out), Arg::value(&p)],
        )?;
        Ok(tensor(out, (items.len(), height, width, 3)))
    }
}

/// Where the pixels of a photo lie: red, green, blue, rows without gaps.
#[derive(Debug, Clone)]
pub enum Pixels<'a> {
    /// In the host's memory.
    Host(&'a [u8]),
    /// In a device's, among others.
    Device {
        /// All of them.
        buffer: Arc<Storage>,
        /// Its first byte.
        from: usize,
        /// Its bytes.
        length: usize,
    },
}

impl Pixels<'_> {
    fn host(&self) -> Option<&[u8]> {
        match self {
            Pixels::Host(bytes) => Some(bytes),
            Pixels::Device { .. } => None,
        }
    }

    #[expect(clippy::len_without_is_empty, reason = "no photo is empty")]
    /// Bytes.
    pub fn len(&self) -> usize {
        match self {
            Pixels::Host(bytes) => bytes.len(),
            Pixels::Device { length, .. } => *length,
        }
    }
}

/// Stored pictures of one buffer, of these sizes and EXIF orientations, turned upright one behind the other: the buffer, and a
/// copy of it on the host.
///
/// # Errors
/// The driver's, out of memory among them.
pub fn upright(card: &Card, stored: &Storage, pictures: &[UprightPicture], total: usize) -> Result<(Storage, Vec<u8>)> {
    let mut bytes = card.room(DType::U8, total)?;
    turn(card, stored, &mut bytes, pictures)?;
    let host = card.read(&bytes, total)?;
    Ok((bytes, host))
}

fn turn(card: &Card, stored: &Storage, into: &mut Storage, pictures: &[UprightPicture]) -> Result<()> {
    for p in pictures {
        let pixels = p.width as usize * p.height as usize;
        let args = &mut [Arg::whole(stored), Arg::Out(into), Arg::value(p)];
        card.launch(File::Faces, "upright", Grid::elements(pixels)?, args)?;
    }
    Ok(())
}

/// Lists of candidates, one a photo, filled level by level.
#[derive(Debug)]
pub struct Candidates {
    card: Card,
    faces: Storage,
    counts: Storage,
    photos: usize,
}

/// The faces of one photo, [`FACE_VALUES`] numbers each, best first; `None` where there were more candidates than a list
/// holds, and the host must decode.
pub type Kept = Option<Vec<[f32; FACE_VALUES]>>;

impl Candidates {
    /// Empty lists.
    ///
    /// # Errors
    /// The driver's.
    pub fn new(card: &Card, photos: usize) -> Result<Candidates> {
        let faces = card.room(DType::F32, photos * MOST_CANDIDATES * FACE_VALUES)?;
        let counts = card.upload(&vec![0u32; photos])?;
        Ok(Candidates { card: card.clone(), faces, counts, photos })
    }

    /// Adds those of one level: `heads` is `(pictures, rows, columns, 16)`, f32, as the network gives them.
    ///
    /// # Errors
    /// When the shape is another; the driver's.
    pub fn add(&mut self, heads: &Tensor, pictures: &[DecodePicture], stride: usize, min_score: f32) -> Result<()> {
        let (n, rows, columns, values) = heads.dims4()?;
        let known = pictures.iter().all(|p| (p.photo as usize) < self.photos);
        if values != CELL_VALUES || n != pictures.len() || !known || heads.dtype() != DType::F32 {
            let (got, dtype) = (heads.shape(), heads.dtype());
            bail!(
                "decode_faces: expected ({}, rows, columns, {CELL_VALUES}), f32, got {got:?}, {dtype:?}",
                pictures.len()
            );
        }
        let list = self.card.upload(pictures)?;
        let [pictures, rows_i, columns_i, stride] = [n, rows, columns, stride].map(|v| v as i32);
        let capacity = MOST_CANDIDATES as i32;
        let p = DecodeParams { pictures, rows: rows_i, columns: columns_i, stride, capacity, min_score };
        self.card.launch(
            File::Faces,
            "decode_faces",
            Grid::elements(n * rows * columns)?,
            &mut [
                Held::of("decode_faces", heads)?.arg(),
                Arg::whole(&list),
                Arg::Out(&mut self.faces),
                Arg::Out(&mut self.counts),
                Arg::value(&p),
            ],
        )
    }

    /// The best of each group of overlapping candidates: the only thing that comes back to the host.
    ///
    /// # Errors
    /// The driver's.
    pub fn suppress(self, max_iou: f32, max_faces: usize) -> Result<Vec<Kept>> {
        if self.photos == 0 || max_faces == 0 {
            return Ok(vec![Some(Vec::new()); self.photos]);
        }
        let mut kept = self.card.room(DType::F32, self.photos * max_faces * FACE_VALUES)?;
        let mut found = self.card.room(DType::U32, self.photos)?;
        let (capacity, most) = (MOST_CANDIDATES as i32, max_faces as i32);
        self.card.launch(
            File::Faces,
            "suppress_faces",
            Grid { blocks: [self.photos, 1], threads: super::THREADS, shared: 0 },
            &mut [
                Arg::whole(&self.faces),
                Arg::whole(&self.counts),
                Arg::Out(&mut kept),
                Arg::Out(&mut found),
                Arg::value(&capacity),
                Arg::value(&max_iou),
                Arg::value(&most),
            ],
        )?;
        let kept: Vec<f32> = self.card.read(&kept, self.photos * max_faces * FACE_VALUES)?;
        let found: Vec<u32> = self.card.read(&found, self.photos)?;
        let counts: Vec<u32> = self.card.read(&self.counts, self.photos)?;
        let photos = kept.chunks_exact(max_faces * FACE_VALUES).zip(found).zip(counts);
        Ok(photos
            .map(|((faces, found), count)| {
                let faces = faces.as_chunks::<FACE_VALUES>().0.iter().take(found as usize).copied();
                (count as usize <= MOST_CANDIDATES).then(|| faces.collect())
            })
            .collect())
    }
}
