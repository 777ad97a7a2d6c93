//! Pictures to network input, and the detector's output to faces.

use candle_core::cuda_backend::cudarc::driver::{CudaSlice, DeviceRepr, LaunchConfig};
use candle_core::cuda_backend::{CudaDevice, CudaStorage, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{Device, Result, Shape, Storage, Tensor, bail};
use half::f16;

use super::{File, Number, elements, launch, view};
use crate::ops::params::{
    CELL_VALUES, CropRegion, DecodeParams, DecodePicture, FACE_VALUES, MOST_CANDIDATES, PixelParams, ShrinkPicture,
    WarpFace,
};

/// Photos one behind the other in the device's memory.
pub struct Pictures {
    bytes: CudaSlice<u8>,
    device: CudaDevice,
}

impl Pictures {
    /// Copies photos over through page-locked memory, where the copy runs beside other work.
    ///
    /// # Errors
    /// The driver's, out of memory among them.
    pub fn upload(device: &Device, photos: &[&[u8]]) -> Result<Pictures> {
        let device = device.as_cuda_device()?.clone();
        let stream = device.cuda_stream();
        let total: usize = photos.iter().map(|photo| photo.len()).sum();
        // SAFETY: written in full below, before anything reads it.
        let mut pinned = unsafe { stream.context().alloc_pinned::<u8>(total.max(1)) }.w()?;
        let mut rest = pinned.as_mut_slice().w()?;
        for photo in photos {
            let (own, after) = rest.split_at_mut(photo.len());
            own.copy_from_slice(photo);
            rest = after;
        }
        // SAFETY: the copy fills it.
        let mut bytes = unsafe { device.alloc::<u8>(total.max(1))? };
        stream.memcpy_htod(&pinned, &mut bytes).w()?;
        Ok(Pictures { bytes, device })
    }

    /// Aligned faces `(faces, height, width, 3)`.
    ///
    /// # Errors
    /// The driver's.
    pub fn warp<T: Number>(&self, faces: &[WarpFace], p: PixelParams) -> Result<Tensor> {
        self.run::<T, _>("warp", faces, p)
    }

    /// Resized regions `(regions, height, width, 3)`.
    ///
    /// # Errors
    /// The driver's.
    pub fn crop_resize<T: Number>(&self, regions: &[CropRegion], p: PixelParams) -> Result<Tensor> {
        self.run::<T, _>("crop_resize", regions, p)
    }

    /// Shrunk photos `(photos, height, width, 3)`, zero where a photo does not reach.
    ///
    /// # Errors
    /// The driver's.
    pub fn shrink<T: Number>(&self, from: &[ShrinkPicture], p: PixelParams) -> Result<Tensor> {
        self.run::<T, _>("shrink", from, p)
    }

    fn run<T: Number, P: DeviceRepr>(&self, name: &str, items: &[P], p: PixelParams) -> Result<Tensor> {
        if items.is_empty() || p.count as usize != items.len() {
            bail!("{name}: expected {} items, at least one, got {}", p.count, items.len());
        }
        let list = self.device.cuda_stream().clone_htod(items).w()?;
        let pixels = items.len() * p.height as usize * p.width as usize;
        // SAFETY: the kernel writes every element.
        let mut out = unsafe { self.device.alloc::<T>(pixels * 3)? };
        launch!(&self.device, File::Faces, &format!("{name}_{}", T::SUFFIX), elements(pixels)?;
            &self.bytes, &list, &mut out, &p);
        let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(out, self.device.clone()));
        let shape = Shape::from((items.len(), p.height as usize, p.width as usize, 3));
        Ok(Tensor::from_storage(storage, shape, BackpropOp::none(), false))
    }

    /// Aligned faces in f16, as [`Pictures::warp`].
    ///
    /// # Errors
    /// The driver's.
    pub fn warp_f16(&self, faces: &[WarpFace], p: PixelParams) -> Result<Tensor> {
        self.warp::<f16>(faces, p)
    }
}

/// Lists of candidates, one a photo, filled level by level.
pub struct Candidates {
    faces: CudaSlice<f32>,
    counts: CudaSlice<u32>,
    photos: usize,
    device: CudaDevice,
}

/// The faces of one photo, [`FACE_VALUES`] numbers each, best first; `None` where there were more candidates than a list
/// holds, and the host must decode.
pub type Kept = Option<Vec<[f32; FACE_VALUES]>>;

impl Candidates {
    /// Empty lists.
    ///
    /// # Errors
    /// The driver's.
    pub fn new(device: &Device, photos: usize) -> Result<Candidates> {
        let device = device.as_cuda_device()?.clone();
        let faces = device.alloc_zeros::<f32>(photos.max(1) * MOST_CANDIDATES * FACE_VALUES)?;
        let counts = device.alloc_zeros::<u32>(photos.max(1))?;
        Ok(Candidates { faces, counts, photos, device })
    }

    /// Adds those of one level: `heads` is `(pictures, rows, columns, 16)`, f32, as the network gives them.
    ///
    /// # Errors
    /// When the shape is another; the driver's.
    pub fn add(&mut self, heads: &Tensor, pictures: &[DecodePicture], stride: usize, min_score: f32) -> Result<()> {
        let (n, rows, columns, values) = heads.dims4()?;
        let known = pictures.iter().all(|p| (p.photo as usize) < self.photos);
        if values != CELL_VALUES || n != pictures.len() || !known {
            bail!("decode_faces: expected ({}, rows, columns, {CELL_VALUES}), got {:?}", pictures.len(), heads.shape());
        }
        let list = self.device.cuda_stream().clone_htod(pictures).w()?;
        let [pictures, rows_i, columns_i, stride] = [n, rows, columns, stride].map(|v| v as i32);
        let capacity = MOST_CANDIDATES as i32;
        let p = DecodeParams { pictures, rows: rows_i, columns: columns_i, stride, capacity, min_score };
        let (storage, layout) = heads.storage_and_layout();
        let Storage::Cuda(storage) = &*storage else { bail!("decode_faces: expected heads on the device") };
        let heads = view::<f32>("decode_faces", storage, layout)?;
        launch!(&self.device, File::Faces, "decode_faces", elements(n * rows * columns)?;
            &heads, &list, &mut self.faces, &mut self.counts, &p);
        Ok(())
    }

    /// The best of each group of overlapping candidates: the only thing that comes back to the host.
    ///
    /// # Errors
    /// The driver's.
    pub fn suppress(self, max_iou: f32, max_faces: usize) -> Result<Vec<Kept>> {
        if self.photos == 0 || max_faces == 0 {
            return Ok(vec![Some(Vec::new()); self.photos]);
        }
        let mut kept = self.device.alloc_zeros::<f32>(self.photos * max_faces * FACE_VALUES)?;
        let mut found = self.device.alloc_zeros::<u32>(self.photos)?;
        let (capacity, most) = (MOST_CANDIDATES as i32, max_faces as i32);
        let config = LaunchConfig { grid_dim: (self.photos as u32, 1, 1), block_dim: (256, 1, 1), shared_mem_bytes: 0 };
        launch!(&self.device, File::Faces, "suppress_faces", config;
            &self.faces, &self.counts, &mut kept, &mut found, &capacity, &max_iou, &most);
        let (kept, found) = (self.device.clone_dtoh(&kept)?, self.device.clone_dtoh(&found)?);
        let counts = self.device.clone_dtoh(&self.counts)?;
        let photos = kept.chunks_exact(max_faces * FACE_VALUES).zip(found).zip(counts);
        Ok(photos
            .map(|((faces, found), count)| {
                let faces = faces.as_chunks::<FACE_VALUES>().0.iter().take(found as usize).copied();
                (count as usize <= MOST_CANDIDATES).then(|| faces.collect())
            })
            .collect())
    }
}
