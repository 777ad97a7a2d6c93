//! Turning a picture upright: the eight EXIF orientations (EXIF 2.32, tag 0x0112).

use image::metadata::Orientation;

use super::picture::Photo;
use super::tiff::Tiff;

/// The orientation that a TIFF structure (EXIF 2.32, 4.6.2) says: tag 0x0112 of its first directory, as any whole number and
/// of any count, for phones and editors write it as BYTE, SHORT and LONG. `Exif\0\0` before it is passed over.
pub fn of_exif(bytes: &[u8]) -> Option<Orientation> {
    const TAG: u16 = 0x0112;
    let tiff = Tiff::of(bytes)?;
    let value = tiff.find(tiff.first()?, TAG)?.whole()?;
    Orientation::from_exif(u8::try_from(value).ok()?)
}

/// The orientation that XMP says (`tiff:Orientation`, as an attribute or an element).
pub fn of_xmp(xmp: &[u8]) -> Option<Orientation> {
    const NAME: &[u8] = b"tiff:Orientation";
    let at = xmp.windows(NAME.len()).position(|name| name == NAME)?;
    let rest = xmp.get(at + NAME.len()..)?.trim_ascii_start();
    let rest = rest.strip_prefix(b"=").map(<[u8]>::trim_ascii_start).unwrap_or(rest);
    let value = rest.strip_prefix(b"\"").or_else(|| rest.strip_prefix(b"'")).or_else(|| rest.strip_prefix(b">"))?;
    let digits = value.trim_ascii_start();
    let is_alone = digits.get(1).is_none_or(|next| !next.is_ascii_digit());
    digits.first().filter(|digit| digit.is_ascii_digit() && is_alone).and_then(|d| Orientation::from_exif(d - b'0'))
}

/// Whether width and height change places.
pub fn swaps(orientation: Orientation) -> bool {
    use Orientation::*;
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// The picture turned clockwise by 90, 180 or 270 degrees.
pub fn turned(photo: &Photo, degrees: u16) -> Photo {
    match degrees {
        90 => upright(photo.clone(), Orientation::Rotate90),
        270 => upright(photo.clone(), Orientation::Rotate270),
        180 => upright(photo.clone(), Orientation::Rotate180),
        _ => photo.clone(),
    }
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

    /// One directory with one entry: (type, count, the four bytes of the value).
    fn tiff(is_big: bool, kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        let two = |n: u16| if is_big { n.to_be_bytes() } else { n.to_le_bytes() };
        let four = |n: u32| if is_big { n.to_be_bytes() } else { n.to_le_bytes() };
        let order: &[u8] = if is_big { b"MM" } else { b"II" };
        [order, &two(42), &four(8), &two(1), &two(0x112), &two(kind), &four(count), &value, &four(0)].concat()
    }

    #[test]
    fn orientation_is_read_in_every_form() {
        let six = Orientation::from_exif(6);
        for (is_big, kind, count, value) in [
            (true, 3, 1, [0, 6, 0, 0]),
            (false, 3, 1, [6, 0, 0, 0]),
            (true, 4, 1, [0, 0, 0, 6]),
            (false, 4, 1, [6, 0, 0, 0]),
            (true, 1, 1, [6, 0, 0, 0]),
            (false, 1, 4, [6, 0, 0, 0]),
            (true, 3, 2, [0, 6, 0, 1]),
        ] {
            let plain = tiff(is_big, kind, count, value);
            assert_eq!(of_exif(&plain), six, "{is_big} {kind} {count}");
            assert_eq!(of_exif(&[b"Exif\0\0", plain.as_slice()].concat()), six);
        }
        // Three SHORTs lie behind the directory, at byte 26.
        let far = [tiff(false, 3, 3, [26, 0, 0, 0]), vec![6, 0, 1, 0, 1, 0]].concat();
        assert_eq!(of_exif(&far), six);
        for broken in [&b""[..], b"MM", &tiff(true, 3, 1, [0, 9, 0, 0]), &tiff(true, 2, 1, [54, 0, 0, 0]), &far[..26]] {
            assert_eq!(of_exif(broken), None);
        }
        for text in ["<x tiff:Orientation=\"6\"/>", "<tiff:Orientation>6</tiff:Orientation>", "tiff:Orientation = '6'"]
        {
            assert_eq!(of_xmp(text.as_bytes()), six, "{text}");
        }
        for text in ["", "tiff:Orientation", "tiff:Orientation=\"66\"", "tiff:Orientation=\"\""] {
            assert_eq!(of_xmp(text.as_bytes()), None, "{text}");
        }
    }

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
