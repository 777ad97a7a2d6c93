//! What a phone writes into a picture's file (EXIF 2.32): one segment, big-endian, with a thumbnail where there is one.

use crate::dump::Place;

/// What is written; nothing of what is `None`.
#[derive(Debug, Clone, Default)]
pub struct Exif {
    /// How the picture lies in the file, 1 to 8.
    pub orientation: u8,
    /// Maker and model of the phone.
    pub camera: Option<(String, String)>,
    /// What wrote the file last.
    pub software: Option<String>,
    /// When it was taken: `2026:11:20 09:00:00` by the phone's clock.
    pub taken: Option<String>,
    /// The phone's zone: `+05:30`.
    pub zone: Option<String>,
    /// Where it was taken.
    pub place: Option<Place>,
    /// Width and height as stored.
    pub size: Option<[u32; 2]>,
    /// A small JPEG.
    pub thumbnail: Option<Vec<u8>>,
}

/// One entry: tag, type, count, and the bytes of its value.
type Entry = (u16, u16, u32, Vec<u8>);

fn short(tag: u16, value: u16) -> Entry {
    (tag, 3, 1, value.to_be_bytes().to_vec())
}

fn long(tag: u16, value: u32) -> Entry {
    (tag, 4, 1, value.to_be_bytes().to_vec())
}

fn text(tag: u16, value: &str) -> Entry {
    let bytes = [value.as_bytes(), &[0]].concat();
    (tag, 2, bytes.len() as u32, bytes)
}

fn fractions(tag: u16, values: &[(u32, u32)]) -> Entry {
    let bytes = values.iter().flat_map(|(above, below)| [above.to_be_bytes(), below.to_be_bytes()]).flatten().collect();
    (tag, 5, values.len() as u32, bytes)
}

/// Degrees as degrees, minutes and ten thousandths of a second.
fn degrees(tag: u16, value: f64) -> Entry {
    let seconds = (value.abs() * 36_000_000.0).round() as u64;
    let (whole, minutes, rest) = (seconds / 36_000_000, seconds / 600_000 % 60, seconds % 600_000);
    fractions(tag, &[(whole as u32, 1), (minutes as u32, 1), (rest as u32, 10_000)])
}

/// A directory at `start` with its values behind it; `next` is where the directory after it lies.
fn directory(start: usize, mut entries: Vec<Entry>, next: u32) -> Vec<u8> {
    entries.sort_by_key(|entry| entry.0);
    let mut out = (entries.len() as u16).to_be_bytes().to_vec();
    let mut values = Vec::new();
    let behind = start + 2 + 12 * entries.len() + 4;
    for (tag, kind, count, mut bytes) in entries {
        out.extend([tag.to_be_bytes(), kind.to_be_bytes()].concat());
        out.extend(count.to_be_bytes());
        if bytes.len() <= 4 {
            bytes.resize(4, 0);
            out.extend(bytes);
        } else {
            out.extend(((behind + values.len()) as u32).to_be_bytes());
            values.extend(bytes);
            values.resize(values.len().next_multiple_of(2), 0);
        }
    }
    out.extend(next.to_be_bytes());
    out.extend(values);
    out
}

impl Exif {
    /// The TIFF structure, without what stands before it in a file.
    pub fn tiff(&self) -> Vec<u8> {
        let mut first = vec![short(0x0112, self.orientation.max(1).into())];
        if let Some((make, model)) = &self.camera {
            first.extend([text(0x010f, make), text(0x0110, model)]);
        }
        first.extend(self.software.as_ref().map(|software| text(0x0131, software)));
        let mut own = vec![];
        own.extend(self.taken.as_ref().map(|taken| text(0x9003, taken)));
        own.extend(self.zone.as_ref().map(|zone| text(0x9011, zone)));
        own.extend(self.size.iter().flat_map(|[width, height]| [long(0xa002, *width), long(0xa003, *height)]));
        let gps = self.place.map(|place| {
            let mut gps = vec![
                text(1, if place.latitude < 0.0 { "S" } else { "N" }),
                degrees(2, place.latitude),
                text(3, if place.longitude < 0.0 { "W" } else { "E" }),
                degrees(4, place.longitude),
            ];
            gps.extend(place.accuracy_m.map(|metres| fractions(31, &[((metres * 100.0) as u32, 100)])));
            gps
        });
        // Each directory's length is known before its place is: the pointers hold four bytes whatever they say.
        first.push(long(0x8769, 0));
        first.extend(gps.as_ref().map(|_| long(0x8825, 0)));
        let own_at = 8 + directory(8, first.clone(), 0).len();
        let gps_at = own_at + directory(own_at, own.clone(), 0).len();
        let second_at = gps_at + gps.as_ref().map_or(0, |gps| directory(gps_at, gps.clone(), 0).len());
        for entry in &mut first {
            match entry.0 {
                0x8769 => *entry = long(0x8769, own_at as u32),
                0x8825 => *entry = long(0x8825, gps_at as u32),
                _ => {}
            }
        }
        let second = self.thumbnail.as_ref().map_or(0, |_| second_at as u32);
        let mut out = b"MM\0\x2a\0\0\0\x08".to_vec();
        out.extend(directory(8, first, second));
        out.extend(directory(own_at, own, 0));
        out.extend(gps.map(|gps| directory(gps_at, gps, 0)).unwrap_or_default());
        if let Some(thumbnail) = &self.thumbnail {
            let entries = |at: u32| vec![short(0x0103, 6), long(0x0201, at), long(0x0202, thumbnail.len() as u32)];
            let at = second_at + directory(second_at, entries(0), 0).len();
            out.extend(directory(second_at, entries(at as u32), 0));
            out.extend(thumbnail);
        }
        out
    }

    /// The JPEG with this segment right after its first marker; as it was where the segment would be too long for one.
    pub fn put_into(&self, jpeg: Vec<u8>) -> Vec<u8> {
        let segment = [b"Exif\0\0".to_vec(), self.tiff()].concat();
        let Ok(length) = u16::try_from(segment.len() + 2) else { return jpeg };
        [&jpeg[..2], &[0xff, 0xe1], &length.to_be_bytes(), &segment, &jpeg[2..]].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::policy::PhotoLimits;
    use crate::photo::{Camera, Thumbnail, decode};

    fn picture(seed: u32, width: u32, height: u32) -> image::RgbImage {
        image::RgbImage::from_fn(width, height, |x, y| {
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            let wave = (seed as f32 + 9.0 * u).sin() * 60.0 + (7.0 * v * (1.0 + seed as f32 % 3.0)).cos() * 50.0;
            image::Rgb([(128.0 + wave) as u8, (120.0 + wave / 2.0) as u8, 90])
        })
    }

    fn jpeg(image: &image::RgbImage) -> Vec<u8> {
        let mut bytes = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 80).encode_image(image).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Camera {
        let photo = decode(bytes, &PhotoLimits::default()).unwrap();
        Camera::of(bytes, &photo, &Thumbnail::of(&photo))
    }

    fn whole(thumbnail: Option<Vec<u8>>) -> Exif {
        Exif {
            orientation: 6,
            camera: Some(("Phones of Pune".into(), "P7".into())),
            software: Some("P7 build 12".into()),
            taken: Some("2026:11:20 09:00:00".into()),
            zone: Some("+05:30".into()),
            place: Some(Place { accuracy_m: Some(12.5), ..Place::new(-12.9716, 77.5946).unwrap() }),
            size: Some([640, 480]),
            thumbnail,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let whole = whole(None);
        let camera = read(&whole.put_into(jpeg(&picture(1, 640, 480))));
        let at = "2026-11-20T03:30:00Z".parse::<jiff::Timestamp>().unwrap().as_microsecond();
        assert_eq!((camera.taken_at, camera.zone_minutes, camera.instant(0)), (Some(at), Some(330), Some(at)));
        assert_eq!(camera.make.as_deref(), Some("Phones of Pune"));
        assert_eq!((camera.model.as_deref(), camera.software.as_deref()), (Some("P7"), Some("P7 build 12")));
        let place = camera.place.unwrap();
        assert!(place.metres_to(&whole.place.unwrap()) < 0.1 && place.accuracy_m == Some(12.5), "{place:?}");
        assert_eq!(camera.stated_size.map(|size| [size.width, size.height]), Some([640, 480]));
        assert_eq!(camera.thumbnail_differs, None);
        let local = Exif { zone: None, ..whole };
        let camera = read(&local.put_into(jpeg(&picture(1, 640, 480))));
        assert_eq!(
            (camera.zone_minutes, camera.instant(330)),
            (None, Some(at)),
            "the camera's own clock, and its zone"
        );
        assert_eq!(read(&jpeg(&picture(1, 64, 48))), Camera::default());
    }

    #[test]
    fn a_thumbnail_of_another_picture_is_told_from_its_own() {
        let own = picture(1, 640, 480);
        let small = |image: &image::RgbImage, width, height| {
            jpeg(&image::imageops::resize(image, width, height, image::imageops::FilterType::Triangle))
        };
        let boxed = {
            let mut canvas = image::RgbImage::new(160, 160);
            let inner = image::imageops::resize(&own, 160, 120, image::imageops::FilterType::Triangle);
            image::imageops::overlay(&mut canvas, &inner, 0, 20);
            jpeg(&canvas)
        };
        let cut = small(&image::imageops::crop_imm(&own, 80, 0, 480, 480).to_image(), 120, 120);
        let turned = jpeg(&image::imageops::rotate90(&image::imageops::resize(
            &own,
            160,
            120,
            image::imageops::FilterType::Triangle,
        )));
        let differs = |thumbnail: Vec<u8>| read(&whole(Some(thumbnail)).put_into(jpeg(&own))).thumbnail_differs;
        for (what, thumbnail) in
            [("the same", small(&own, 160, 120)), ("with bars", boxed), ("cut square", cut), ("turned", turned)]
        {
            assert_eq!(differs(thumbnail), Some(false), "{what}");
        }
        assert_eq!(differs(small(&picture(2, 640, 480), 160, 120)), Some(true));
        assert_eq!(differs(jpeg(&image::RgbImage::from_pixel(160, 120, image::Rgb([80; 3])))), None, "a plain surface");
        assert_eq!(differs(b"\xff\xd8\xff no picture".to_vec()), None);
    }

    /// Whatever is written there, the picture stays and nothing runs away: huge counts, loops, offsets past the end.
    #[test]
    fn hostile_entries_cost_themselves_alone() {
        let plain = whole(Some(jpeg(&picture(1, 160, 120)))).tiff();
        let base = jpeg(&picture(1, 96, 64));
        let put = |tiff: &[u8]| {
            let length = (tiff.len() + 8) as u16;
            [&base[..2], &[0xff, 0xe1], &length.to_be_bytes(), b"Exif\0\0", tiff, &base[2..]].concat()
        };
        for at in 0..plain.len().min(700) {
            for value in [0x00, 0x08, 0x7f, 0xff] {
                let mut tiff = plain.clone();
                tiff[at] = value;
                let camera = read(&put(&tiff));
                let texts = [&camera.make, &camera.model, &camera.software];
                assert!(texts.into_iter().flatten().all(|text| text.chars().count() <= 64));
            }
            read(&put(&plain[..at]));
        }
        // A directory whose next is itself, whose own and GPS directories are itself, with 65,535 entries of 4 GiB each.
        let mut endless = b"MM\0\x2a\0\0\0\x08\xff\xff".to_vec();
        for k in 0..5000u32 {
            let tag = [0x8769u16, 0x8825, 0x010f, 0x9003][k as usize % 4];
            endless.extend([tag.to_be_bytes(), 4u16.to_be_bytes()].concat());
            endless.extend(if tag == 0x010f { u32::MAX } else { 1 }.to_be_bytes());
            endless.extend(8u32.to_be_bytes());
        }
        assert_eq!(read(&put(&endless)), Camera::default());
    }
}
