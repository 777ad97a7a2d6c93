//! What the camera and the programs after it wrote into a picture's file (EXIF 2.32): time, make, place, thumbnail.
//!
//! All of it is optional, written by anybody, and easily changed: facts to compare with others, and never more. Nothing of it
//! fails a picture; what cannot be read is absent.

use serde::{Deserialize, Serialize};

use super::picture::Photo;
use super::thumbnail::Thumbnail;
use super::tiff::{Entry, Tiff};
use super::{Format, jpeg, png, webp};
use crate::config::policy::PhotoLimits;
use crate::dump::Place;
use crate::error;

/// Most characters of a text that are kept.
const MOST_TEXT: usize = 64;
/// The year in which cameras began to write EXIF: a date before it comes from a clock that was never set.
const FIRST_YEAR: i16 = 1995;
/// A thumbnail less like its picture than this shows another one; see [`Thumbnail::likeness`].
///
/// Measured on 1,500 pictures of LFW, whose faces all stand in the middle: thumbnails of 160x120 in JPEG of quality 40 to 80 are all
/// above 0.99, those of other pictures (8,994 pairs) all below 0.85, and 99.7 % below 0.7.
const LEAST_LIKENESS: f64 = 0.85;
/// Thumbnails with more pixels on a side are not looked at: EXIF asks for 160 by 120.
const MOST_SIDE: u32 = 640;

/// Tags of the first directory, of EXIF's own and of GPS's (EXIF 2.32, 4.6.4 to 4.6.6).
mod tag {
    pub const MAKE: u16 = 0x010f;
    pub const MODEL: u16 = 0x0110;
    pub const SOFTWARE: u16 = 0x0131;
    pub const EXIF: u16 = 0x8769;
    pub const GPS: u16 = 0x8825;
    pub const THUMBNAIL: u16 = 0x0201;
    pub const THUMBNAIL_LENGTH: u16 = 0x0202;
    pub const TAKEN: u16 = 0x9003;
    pub const DIGITIZED: u16 = 0x9004;
    pub const TAKEN_OFFSET: u16 = 0x9011;
    pub const DIGITIZED_OFFSET: u16 = 0x9012;
    pub const WIDTH: u16 = 0xa002;
    pub const HEIGHT: u16 = 0xa003;
    pub const LATITUDE_SIDE: u16 = 1;
    pub const LATITUDE: u16 = 2;
    pub const LONGITUDE_SIDE: u16 = 3;
    pub const LONGITUDE: u16 = 4;
    pub const ACCURACY: u16 = 31;
}

/// What a picture's file says of its making; the default is a file that says nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Camera {
    /// When the picture was taken (DateTimeOriginal), microseconds: where there is [`Camera::zone_minutes`], since
    /// 1970-01-01T00:00:00Z; where there is none, since 1970-01-01T00:00:00 by the camera's own clock, in an unknown zone.
    pub taken_at: Option<i64>,
    /// Minutes by which the camera's clock is ahead of UTC (OffsetTimeOriginal), -1440..=1440.
    pub zone_minutes: Option<i16>,
    /// Who made the camera, at most 64 characters.
    pub make: Option<String>,
    /// Which camera, at most 64 characters.
    pub model: Option<String>,
    /// What wrote the file last, at most 64 characters.
    pub software: Option<String>,
    /// Where it was taken, by the file.
    pub place: Option<Place>,
    /// The size that the file says of its picture (PixelXDimension, PixelYDimension), as stored, before it is turned upright.
    pub stated_size: Option<StatedSize>,
    /// Whether the file's own thumbnail shows another picture; `None` without a thumbnail, or where nothing can be told.
    pub thumbnail_differs: Option<bool>,
}

/// A size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedSize {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

impl Camera {
    /// What the file of a picture says; `upright` is the picture as it was decoded, and `thumbnail` its own.
    pub fn of(bytes: &[u8], upright: &Photo, thumbnail: &Thumbnail) -> Camera {
        let shape = upright.width as f64 / upright.height.max(1) as f64;
        error::guarded(|| Self::read(bytes, thumbnail, shape)).flatten().unwrap_or_default()
    }

    fn read(bytes: &[u8], picture: &Thumbnail, shape: f64) -> Option<Camera> {
        let exif = match Format::of(bytes).ok()? {
            Format::Jpeg => jpeg::exif(bytes),
            Format::Png => png::exif(bytes),
            Format::WebP => webp::exif(bytes),
        };
        let tiff = Tiff::of(exif?)?;
        let first = tiff.first()?;
        let text = |tag: u16| tiff.find(first, tag).and_then(|entry| entry.text(MOST_TEXT));
        let directory = |tag: u16| tiff.find(first, tag).and_then(|entry| entry.whole());
        let own = directory(tag::EXIF);
        let entry = |tag: u16| own.and_then(|own| tiff.find(own, tag));
        let taken = [(tag::TAKEN, tag::TAKEN_OFFSET), (tag::DIGITIZED, tag::DIGITIZED_OFFSET)]
            .into_iter()
            .find_map(|(time, offset)| Some((clock_time(&entry(time)?)?, entry(offset).and_then(|o| minutes(&o)))));
        let zone_minutes = taken.and_then(|(_, zone)| zone);
        let ahead = i64::from(zone_minutes.unwrap_or(0)) * 60_000_000;
        let pixels = |tag: u16| entry(tag).and_then(|e| u32::try_from(e.whole()?).ok()).filter(|&side| side > 0);
        Some(Camera {
            taken_at: taken.map(|(time, _)| time - ahead),
            zone_minutes,
            make: text(tag::MAKE),
            model: text(tag::MODEL),
            software: text(tag::SOFTWARE),
            place: directory(tag::GPS).and_then(|gps| place(tiff, gps)),
            stated_size: pixels(tag::WIDTH)
                .zip(pixels(tag::HEIGHT))
                .map(|(width, height)| StatedSize { width, height }),
            thumbnail_differs: tiff.after(first).and_then(|second| differs(tiff, second, picture, shape)),
        })
    }

    /// The moment at which the picture was taken, microseconds since 1970-01-01T00:00:00Z; a clock whose zone the file does not
    /// say is taken to be so many minutes ahead of UTC.
    pub fn instant(&self, zone_minutes: i16) -> Option<i64> {
        let at = self.taken_at?;
        Some(if self.zone_minutes.is_some() { at } else { at - i64::from(zone_minutes) * 60_000_000 })
    }
}

/// `2026:11:20 09:00:00`, microseconds since 1970 by the camera's clock.
fn clock_time(entry: &Entry) -> Option<i64> {
    let text = entry.text(MOST_TEXT)?;
    let parts: Vec<&str> = text.split([':', ' ', '-', '/', 'T']).filter(|part| !part.is_empty()).collect();
    let [year, month, day, hour, minute, second] = parts.get(..6)?.try_into().ok()?;
    let short = |text: &str| text.parse::<i8>().ok();
    let second = second.get(..2).unwrap_or(second);
    let year = year.parse().ok().filter(|&year: &i16| year >= FIRST_YEAR)?;
    let date = jiff::civil::Date::new(year, short(month)?, short(day)?).ok()?;
    let time = jiff::civil::Time::new(short(hour)?, short(minute)?, short(second)?, 0).ok()?;
    Some(jiff::tz::Offset::UTC.to_timestamp(date.to_datetime(time)).ok()?.as_microsecond())
}

/// `+05:30`.
fn minutes(entry: &Entry) -> Option<i16> {
    let text = entry.text(MOST_TEXT)?;
    if text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.strip_prefix(['+', '-'])?.split_once(':')?;
    let (hours, minutes): (i16, i16) = (hours.parse().ok()?, minutes.parse().ok()?);
    ((0..=14).contains(&hours) && (0..60).contains(&minutes)).then_some(sign * (60 * hours + minutes))
}

fn place(tiff: Tiff, gps: usize) -> Option<Place> {
    let degrees = |tag: u16, side_tag: u16, negative: char| {
        let [degrees, minutes, seconds] = tiff.find(gps, tag)?.fractions::<3>()?;
        let value = degrees + minutes / 60.0 + seconds / 3600.0;
        let side = tiff.find(gps, side_tag).and_then(|entry| entry.text(1)).unwrap_or_default();
        Some(if side.starts_with(negative) { -value } else { value })
    };
    let north = degrees(tag::LATITUDE, tag::LATITUDE_SIDE, 'S')?;
    let place = Place::new(north, degrees(tag::LONGITUDE, tag::LONGITUDE_SIDE, 'W')?)?;
    let accuracy = tiff.find(gps, tag::ACCURACY).and_then(|entry| entry.fractions::<1>());
    Some(Place { accuracy_m: accuracy.map(|[metres]| metres as f32).filter(|&metres| metres > 0.0), ..place })
}

/// Whether the thumbnail in the second directory shows another picture.
fn differs(tiff: Tiff, second: usize, picture: &Thumbnail, shape: f64) -> Option<bool> {
    let number = |tag: u16| tiff.find(second, tag).and_then(|entry| entry.whole());
    let bytes = tiff.slice(number(tag::THUMBNAIL)?, number(tag::THUMBNAIL_LENGTH)?)?;
    let limits = PhotoLimits {
        max_bytes: bytes.len(),
        max_pixels: u64::from(MOST_SIDE * MOST_SIDE),
        min_side: 16,
        max_memory: 16 << 20,
    };
    if !matches!(Format::of(bytes), Ok(Format::Jpeg)) {
        return None;
    }
    let small = without_bars(jpeg::walk(bytes, &limits).ok()?.decode().ok()?);
    let small_shape = small.width as f64 / small.height.max(1) as f64;
    picture.likeness(shape, &Thumbnail::of(&small), small_shape).map(|likeness| likeness < LEAST_LIKENESS)
}

/// A picture without the black bars that fill it up to another shape, at most a quarter of it at each side.
fn without_bars(photo: Photo) -> Photo {
    const BLACK: u8 = 24;
    let Photo { width, height, ref rgb } = photo;
    let is_black = |x: usize, y: usize| rgb[3 * (y * width + x)..][..3].iter().all(|&value| value < BLACK);
    let row = |y: usize| (0..width).filter(|&x| is_black(x, y)).count() * 50 >= width * 49;
    let column = |x: usize| (0..height).filter(|&y| is_black(x, y)).count() * 50 >= height * 49;
    let top = (0..height / 4).take_while(|&y| row(y)).count();
    let bottom = (0..height / 4).take_while(|&y| row(height - 1 - y)).count();
    let left = (0..width / 4).take_while(|&x| column(x)).count();
    let right = (0..width / 4).take_while(|&x| column(width - 1 - x)).count();
    let kept = |y: usize| rgb[3 * (y * width + left)..3 * (y * width + width - right)].iter().copied();
    let inner: Vec<u8> = (top..height - bottom).flat_map(kept).collect();
    Photo { width: width - left - right, height: height - top - bottom, rgb: inner }
}
