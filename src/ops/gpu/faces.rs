//! Pictures to network input, and the detector's output to faces.

use candle_core::{DType, Result, Storage, Tensor, bail};

use super::{Arg, Card, File, Grid, Held, suffix, tensor};
use crate::ops::params::{
    CELL_VALUES, CropRegion, DecodeParams, DecodePicture, FACE_VALUES, MOST_CANDIDATES, PixelParams, Plain,
    ShrinkPicture, WarpFace,
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
