//! What the kernels of `kernels/` are told about faces and photos that lie one behind the other in a device's memory.
//!
//! Positions are worked out here in f64, as on the CPU, and handed on as whole squares and a rest, so that f32 on the device
//! loses nothing that could be seen.

use super::align::Similarity;
use super::crop::Region;
use super::decode::Placement;
use super::resize::Fit;
use crate::ops::params::{CropRegion, DecodePicture, ShrinkPicture, WarpFace};

/// A photo in a device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Of its first byte.
    pub offset: usize,
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
}

impl Placed {
    /// As [`super::align::warp_into`] cuts a face out.
    pub fn warp(&self, transform: &Similarity) -> WarpFace {
        let back = transform.inverse();
        let square = (back.scale().round() as usize).max(1);
        let unit = square as f64;
        // The centre of square i lies at i * unit + (unit - 1) / 2.
        let place = |at: f64| (at - (unit - 1.0) / 2.0) / unit;
        // A face far outside is black wherever it is; the kernel adds to these.
        let whole = |at: f64| place(at).floor().clamp(-1e9, 1e9);
        WarpFace {
            offset: self.offset as i64,
            width: self.width as i32,
            height: self.height as i32,
            square: square.min(1 << 14) as i32,
            left: whole(back.tx) as i32,
            top: whole(back.ty) as i32,
            x: (place(back.tx) - place(back.tx).floor()) as f32,
            y: (place(back.ty) - place(back.ty).floor()) as f32,
            a: (back.a / unit) as f32,
            b: (back.b / unit) as f32,
            reserved: 0,
        }
    }

    /// As [`super::crop::resize_into`] resizes a region.
    pub fn crop(&self, region: Region) -> CropRegion {
        CropRegion {
            offset: self.offset as i64,
            picture_width: self.width as i32,
            left: region.left as i32,
            top: region.top as i32,
            width: region.width as i32,
            height: region.height as i32,
            reserved: 0,
        }
    }

    /// As [`super::resize::shrink_into`] shrinks a photo.
    pub fn shrink(&self, fit: Fit) -> ShrinkPicture {
        ShrinkPicture {
            offset: self.offset as i64,
            width: self.width as i32,
            height: self.height as i32,
            fit_width: fit.width as i32,
            fit_height: fit.height as i32,
        }
    }
}

/// As [`super::decode::decode`] takes a picture of photo number `photo`.
pub fn decode_picture(photo: usize, place: Placement) -> DecodePicture {
    let Placement { ratio, inside } = place;
    DecodePicture { photo: photo as i32, ratio: [ratio.0, ratio.1], inside: [inside.0, inside.1] }
}
