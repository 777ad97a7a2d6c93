//! Turning a picture upright: the eight EXIF orientations (EXIF 2.32, tag 0x0112).

use image::metadata::Orientation;

use super::Photo;

/// Whether width and height change places.
pub fn swaps(orientation: Orientation) -> bool {
    use Orientation::*;
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// The picture as it should be seen. Turns by a right angle need a second buffer, all others work in place.
pub fn upright(mut photo: Photo, orientation: Orientation) -> Photo {
    match orientation {
        Orientation::NoTransforms => photo,
        Orientation::FlipHorizontal => {
            photo.rgb.chunks_exact_mut(photo.width * 3).for_each(reverse_pixels);
            photo
        }
        Orientation::Rotate180 => {
            reverse_pixels(&mut photo.rgb);
            photo
        }
        Orientation::FlipVertical => {
            let (stride, height) = (photo.width * 3, photo.height);
            let (upper, lower) = photo.rgb.split_at_mut(height.div_ceil(2) * stride);
            for (top, bottom) in upper.chunks_exact_mut(stride).zip(lower.chunks_exact_mut(stride).rev()) {
                top.swap_with_slice(bottom);
            }
            photo
        }
        // Where the pixel at (x, y) of the result comes from, as "column from the right", "row from the bottom".
        Orientation::Rotate90FlipH => transpose(&photo, false, false),
        Orientation::Rotate90 => transpose(&photo, false, true),
        Orientation::Rotate270FlipH => transpose(&photo, true, true),
        Orientation::Rotate270 => transpose(&photo, true, false),
    }
}

fn reverse_pixels(row: &mut [u8]) {
    let (pixels, _) = row.as_chunks_mut::<3>();
    pixels.reverse();
}

/// Rows become columns: result(x, y) = photo(column y, row x), each counted from the far side if so told. It goes in
/// squares, so that both pictures stay in the cache.
fn transpose(photo: &Photo, from_right: bool, from_bottom: bool) -> Photo {
    const SIDE: usize = 16;
    let (width, height) = (photo.height, photo.width);
    let mut rgb = vec![0; photo.rgb.len()];
    let (source, _) = photo.rgb.as_chunks::<3>();
    let (target, _) = rgb.as_chunks_mut::<3>();
    for top in (0..height).step_by(SIDE) {
        for left in (0..width).step_by(SIDE) {
            for y in top..(top + SIDE).min(height) {
                let column = if from_right { height - 1 - y } else { y };
                for x in left..(left + SIDE).min(width) {
                    let row = if from_bottom { width - 1 - x } else { x };
                    target[y * width + x] = source[row * photo.width + column];
                }
            }
        }
    }
    Photo { width, height, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `image`'s own transformation is the reference.
    #[test]
    fn equals_the_reference_for_all_eight() {
        for (width, height) in [(1, 1), (3, 2), (17, 35), (40, 16)] {
            let rgb: Vec<u8> = (0..width * height * 3).map(|i| (i * 7 % 251) as u8).collect();
            for tag in 1..=8 {
                let orientation = Orientation::from_exif(tag).unwrap();
                let photo = Photo { width, height, rgb: rgb.clone() };
                let buffer = image::RgbImage::from_raw(width as u32, height as u32, rgb.clone()).unwrap();
                let mut expected = image::DynamicImage::ImageRgb8(buffer);
                expected.apply_orientation(orientation);
                let found = upright(photo, orientation);
                assert_eq!((found.width as u32, found.height as u32), (expected.width(), expected.height()));
                assert_eq!(found.rgb, expected.into_rgb8().into_raw(), "orientation {tag} of {width}x{height}");
                assert_eq!(swaps(orientation), tag >= 5);
            }
        }
    }
}
