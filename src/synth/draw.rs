//! One row of the story -> the bytes of its selfie.
//!
//! A row is drawn from its own keys alone (see [`super::rng`]), so rows can be drawn in any order on any thread.

use std::f32::consts::PI;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, RgbImage, imageops};

use super::canvas::Canvas;
use super::exif::Exif;
use super::field::{Made, clock_text};
use super::people::{Person, Source};
use super::plan::{Pattern, Plan};
use super::recapture::{held, paper, screen, tilted};
use super::rng::{Rng, Use};
use super::row::{Pick, Row};
use super::scene::{Stand, background, camera, put};
use super::story::Story;
use crate::{Error, Result};

/// Everything a row is drawn from.
#[derive(Clone, Copy)]
pub struct Studio<'a> {
    /// The resolved plan.
    pub plan: &'a Plan,
    /// The people.
    pub people: &'a [Person],
    /// Who stands where.
    pub story: &'a Story,
}

impl Studio<'_> {
    /// The encoded selfie of row `k`.
    ///
    /// # Errors
    /// [`Error::Input`] when a face picture cannot be read.
    pub fn selfie(&self, k: usize) -> Result<Vec<u8>> {
        let row = &self.story.rows[k];
        let mut rng = self.rng(Use::Damage, row);
        match (row.pattern, row.of) {
            (Pattern::SameFile, Some(of)) => self.selfie(of),
            (Pattern::Reencoded, Some(of)) => {
                let seen = self.as_sent(of)?;
                let scale = rng.between(0.6, 1.0);
                let side = |v: usize| ((v as f32 * scale) as usize).max(16);
                jpeg(&seen.resized(side(seen.width), side(seen.height)).to_image(), 50 + rng.below(25) as u8)
            }
            (Pattern::Cropped, Some(of)) => {
                let seen = self.as_sent(of)?;
                let (w, h) = (seen.width as f32, seen.height as f32);
                let cut: [f32; 4] = std::array::from_fn(|_| rng.between(0.01, 0.07));
                let kept = seen.cropped(
                    (w * cut[0]) as usize,
                    (h * cut[1]) as usize,
                    (w * (1.0 - cut[0] - cut[2])) as usize,
                    (h * (1.0 - cut[1] - cut[3])) as usize,
                );
                jpeg(&kept.to_image(), 80)
            }
            (Pattern::Mirrored, Some(of)) => jpeg(&self.as_sent(of)?.mirrored().to_image(), 80),
            (Pattern::BrokenFile, _) => {
                let whole = self.encoded(row)?;
                Ok(damaged(&mut rng, whole))
            }
            _ => self.encoded(row),
        }
    }

    /// The encoded uploaded photo of row `k`, if it has one: a plain portrait, somewhat compressed.
    ///
    /// # Errors
    /// [`Error::Input`] when the face picture cannot be read.
    pub fn photo(&self, k: usize) -> Result<Option<Vec<u8>>> {
        let photo = self.story.rows[k].photo;
        photo.map(|p| jpeg(&self.source(p)?.picture.to_image(), 82)).transpose()
    }

    /// The encoded reference photo of a worker.
    ///
    /// # Errors
    /// [`Error::Input`] when the face picture cannot be read.
    pub fn reference(&self, person: u32) -> Result<Vec<u8>> {
        jpeg(&self.source(Pick { person, portrait: 0 })?.picture.to_image(), 88)
    }

    fn rng(&self, what: Use, row: &Row) -> Rng {
        Rng::new(self.plan.seed, what, row.slot.into())
    }

    fn source(&self, pick: Pick) -> Result<Source> {
        self.people[pick.person as usize].portraits[pick.portrait as usize].load()
    }

    /// The upright picture of a row as its file shows it, after the file's own JPEG.
    fn as_sent(&self, k: usize) -> Result<Canvas> {
        let row = &self.story.rows[k];
        let quality = self.quality(&mut self.rng(Use::Damage, row));
        rejpeg(&self.frame(row)?, quality)
    }

    fn quality(&self, rng: &mut Rng) -> u8 {
        let [from, to] = self.plan.quality;
        from + rng.below(usize::from(to - from) + 1) as u8
    }

    fn encoded(&self, row: &Row) -> Result<Vec<u8>> {
        let upright = self.frame(row)?.to_image();
        let mut rng = self.rng(Use::Damage, row);
        let quality = self.quality(&mut rng);
        let made = self.made(row);
        let upright = if made.is_some_and(|made| made.is_screenshot) { screenshot(&upright) } else { upright };
        let is_turned = rng.chance(self.plan.exif_share);
        if !is_turned {
            return self.with_exif(row, jpeg(&upright, quality)?, &upright, 1);
        }
        // Orientation 6 is shown turned clockwise by a quarter, so it is stored turned the other way (Exif 2.32, 4.6.4).
        let (tag, stored) = match rng.below(3) {
            0 => (3, imageops::rotate180(&upright)),
            1 => (6, imageops::rotate270(&upright)),
            _ => (8, imageops::rotate90(&upright)),
        };
        self.with_exif(row, jpeg(&stored, quality)?, &stored, tag)
    }

    /// What the row says of its making, where the drive has that.
    fn made(&self, row: &Row) -> Option<&Made> {
        self.story.field.made.get(&row.slot)
    }

    /// The file with what the phone wrote into it: its EXIF where it keeps one, else how the picture lies, where it is turned.
    fn with_exif(&self, row: &Row, file: Vec<u8>, stored: &RgbImage, tag: u8) -> Result<Vec<u8>> {
        let Some((made, exif)) = self.made(row).and_then(|made| Some((made, made.exif.as_ref()?))) else {
            return Ok(if tag == 1 { file } else { with_orientation(file, tag) });
        };
        let shown = match made.foreign_thumbnail {
            true => {
                let person = (row.slot as usize * 7_919 + 1) % self.people.len();
                self.source(Pick { person: person as u32, portrait: 0 })?.picture.to_image()
            }
            false => stored.clone(),
        };
        let [width, height] = if shown.width() >= shown.height() { [160, 120] } else { [120, 160] };
        let small = imageops::thumbnail(&shown, width, height);
        let size = exif.size.or((!made.is_screenshot).then_some([stored.width(), stored.height()]));
        let exif = Exif {
            orientation: tag,
            taken: clock_text(row.at - made.taken_before),
            size,
            thumbnail: (!made.is_screenshot).then(|| jpeg(&small, 60)).transpose()?,
            ..exif.clone()
        };
        Ok(exif.put_into(file))
    }

    /// What the camera of a row saw, upright.
    fn frame(&self, row: &Row) -> Result<Canvas> {
        let mut rng = self.rng(Use::Camera, row);
        let scene = match row.pattern {
            Pattern::PhoneMember => self.beside_a_phone(row, row.front, row.member)?,
            Pattern::PhoneWorker => self.beside_a_phone(row, row.member, row.front)?,
            Pattern::PrintMember => self.beside_a_print(row)?,
            Pattern::MonitorFrame | Pattern::PrintFrame => {
                let first = camera(&mut rng, &self.people_together(row)?, self.plan.noise);
                self.whole_recapture(row, &rejpeg(&first, 72)?)
            }
            _ => self.people_together(row)?,
        };
        Ok(camera(&mut rng, &scene, self.plan.noise))
    }

    /// An empty scene. Rows that reuse a background take the earlier row's, and its shape.
    fn empty(&self, row: &Row) -> Result<Canvas> {
        let like = match (row.pattern, row.of) {
            (Pattern::BackgroundReused, Some(of)) => &self.story.rows[of],
            _ => row,
        };
        let room = self.made(like).and_then(|made| made.room);
        let mut rng = match room {
            Some(room) => Rng::new(self.plan.seed, Use::Background, (1 << 62) | room),
            None => self.rng(Use::Background, like),
        };
        let (long, short) = (self.plan.long_side, self.plan.long_side * 3 / 4);
        let (width, height) = if rng.chance(self.plan.portrait_share) { (short, long) } else { (long, short) };
        if room.is_some() {
            // One wall, and a phone that is held a little differently each time.
            let wall = background(&mut rng, width, height, None);
            let mut hand = Rng::new(self.plan.seed, Use::Field, (1 << 60) | u64::from(like.slot));
            let cut: [f32; 4] = std::array::from_fn(|_| hand.between(0.0, 0.06));
            let (w, h) = (width as f32, height as f32);
            let (x, y) = ((w * cut[0]) as usize, (h * cut[1]) as usize);
            let seen =
                wall.cropped(x, y, (w * (1.0 - cut[0] - cut[2])) as usize, (h * (1.0 - cut[1] - cut[3])) as usize);
            return Ok(seen.resized(width, height));
        }
        let own = like.member.map(|m| self.source(m)).transpose()?;
        Ok(background(&mut rng, width, height, own.as_ref().map(|s| &s.picture)))
    }

    fn people_together(&self, row: &Row) -> Result<Canvas> {
        let mut canvas = self.empty(row)?;
        let mut rng = self.rng(Use::Layout, row);
        let (w, h) = (canvas.width as f32, canvas.height as f32);
        let long = self.plan.long_side as f32;
        let member = long * rng.between(self.plan.face[0], self.plan.face[1]);
        let worker = member * rng.between(1.0, 1.2);
        let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
        // Faces a good width apart, whatever the frame's shape.
        let apart = (0.72 * worker / w).clamp(0.17, 0.27) + rng.between(0.0, 0.03);
        let group = row.pattern == Pattern::Group;
        let helper = self.story.workers[row.worker as usize].helper;
        for (n, &other) in row.others.iter().enumerate() {
            let (height, x, y) = if group {
                (member * rng.between(0.8, 1.0), 0.14 + 0.72 * n as f32 / (row.others.len() - 1).max(1) as f32, 0.36)
            } else if Some(other.person) == helper {
                (member * 0.85, 0.5 + rng.between(-0.02, 0.02), 0.42)
            } else {
                let x = [0.5, 0.1, 0.9][(n + rng.below(3)) % 3];
                (member * rng.between(0.24, 0.38), x + rng.between(-0.04, 0.04), 0.36)
            };
            let centre = [x * w, (y + rng.between(-0.03, 0.03)) * h];
            self.put(&mut canvas, other, centre, height, &mut rng)?;
        }
        let principals = [(row.member, member, -side, 0.58), (row.front, worker, side, 0.62)];
        for (pick, height, side, y) in principals {
            let centre = [(0.5 + side * apart + rng.between(-0.02, 0.02)) * w, (y + rng.between(-0.04, 0.04)) * h];
            if let Some(pick) = pick {
                self.put(&mut canvas, pick, centre, height, &mut rng)?;
            }
        }
        Ok(canvas)
    }

    fn put(&self, canvas: &mut Canvas, pick: Pick, centre: [f32; 2], height: f32, rng: &mut Rng) -> Result<()> {
        let stand = Stand {
            centre,
            height,
            angle: rng.between(-7.0, 7.0) * PI / 180.0,
            mirror: rng.chance(0.3),
            gain: rng.between(0.94, 1.06),
        };
        put(canvas, &self.source(pick)?, &stand, rng);
        Ok(())
    }

    /// A picture of one person by itself, as somebody would show it on a phone or print it.
    fn picture_of(&self, pick: Option<Pick>, rng: &mut Rng, size: [f32; 3]) -> Result<Canvas> {
        let [width, height, face] = size;
        let source = pick.map(|p| self.source(p)).transpose()?;
        let mut canvas = background(rng, width as usize, height as usize, source.as_ref().map(|s| &s.picture));
        if let Some(source) = source {
            let stand =
                Stand { centre: [width / 2.0, height * 0.46], height: face, angle: 0.0, mirror: false, gain: 1.0 };
            put(&mut canvas, &source, &stand, rng);
        }
        rejpeg(&canvas, 62)
    }

    fn live_beside(&self, row: &Row, live: Option<Pick>, rng: &mut Rng) -> Result<Canvas> {
        let mut canvas = self.empty(row)?;
        let (w, h) = (canvas.width as f32, canvas.height as f32);
        let height = self.plan.long_side as f32 * rng.between(self.plan.face[0], self.plan.face[1]) * 1.1;
        if let Some(live) = live {
            self.put(&mut canvas, live, [w * 0.28, h * rng.between(0.55, 0.62)], height, rng)?;
        }
        Ok(canvas)
    }

    fn beside_a_phone(&self, row: &Row, live: Option<Pick>, shown: Option<Pick>) -> Result<Canvas> {
        let mut rng = self.rng(Use::Recapture, row);
        let mut canvas = self.live_beside(row, live, &mut rng)?;
        let long = self.plan.long_side as f32;
        let shown = self.picture_of(shown, &mut rng, [0.5 * long, 0.9 * long, 0.36 * long])?;
        let pitch = rng.between(2.9, 3.7);
        let bezel = [0.02 * long, 0.045 * long, 0.02 * long, 0.045 * long].map(|v| v as usize);
        let phone = screen(&mut rng, &shown, pitch, 0.03).framed(bezel, [12.0, 12.0, 14.0]);
        let (w, h) = (canvas.width as f32, canvas.height as f32);
        let top = h * 0.55 - 0.25 * long + rng.between(-0.03, 0.03) * long;
        let quad = tilted(&mut rng, w * 0.53, top, 0.29 * long, 0.53 * long, 0.05);
        held(&mut canvas, &phone, quad);
        Ok(canvas)
    }

    fn beside_a_print(&self, row: &Row) -> Result<Canvas> {
        let mut rng = self.rng(Use::Recapture, row);
        let mut canvas = self.live_beside(row, row.front, &mut rng)?;
        let long = self.plan.long_side as f32;
        let shown = self.picture_of(row.member, &mut rng, [0.56 * long, 0.7 * long, 0.33 * long])?;
        let pitch = rng.between(3.8, 5.0);
        let sheet = paper(&mut rng, &shown, pitch).framed([(0.035 * long) as usize; 4], [232.0, 228.0, 214.0]);
        let (w, h) = (canvas.width as f32, canvas.height as f32);
        let top = h * 0.55 - 0.24 * long + rng.between(-0.03, 0.03) * long;
        let quad = tilted(&mut rng, w * 0.52, top, 0.35 * long, 0.44 * long, 0.05);
        held(&mut canvas, &sheet, quad);
        Ok(canvas)
    }

    fn whole_recapture(&self, row: &Row, first: &Canvas) -> Canvas {
        let mut rng = self.rng(Use::Recapture, row);
        let (w, h) = (first.width as f32, first.height as f32);
        let mut canvas = background(&mut rng, first.width, first.height, None);
        let edge = (0.035 * self.plan.long_side as f32) as usize;
        if row.pattern == Pattern::MonitorFrame {
            let (pitch, fringes) = (rng.between(2.2, 2.7), rng.between(0.0, 0.06));
            let panel = screen(&mut rng, first, pitch, fringes).framed([edge; 4], [20.0, 20.0, 22.0]);
            canvas.each(|_, _, p| *p = p.map(|v| v * 0.35));
            let quad = tilted(&mut rng, -0.03 * w, -0.03 * h, 1.06 * w, 1.06 * h, 0.015);
            held(&mut canvas, &panel, quad);
        } else {
            let pitch = rng.between(3.2, 4.6);
            let sheet = paper(&mut rng, first, pitch).framed([edge; 4], [230.0, 225.0, 210.0]);
            let quad = tilted(&mut rng, 0.02 * w, 0.02 * h, 0.96 * w, 0.96 * h, 0.02);
            held(&mut canvas, &sheet, quad);
        }
        // A flat thing this near is rarely in focus all over.
        canvas.softened(0.9).softened(0.9)
    }
}

/// A picture as a phone's screen shows it, on a panel of nine by twenty.
fn screenshot(picture: &RgbImage) -> RgbImage {
    let (width, height) = (picture.width(), picture.width() * 20 / 9);
    if height <= picture.height() {
        return picture.clone();
    }
    let mut panel = RgbImage::from_pixel(width, height, image::Rgb([16, 16, 18]));
    imageops::overlay(&mut panel, picture, 0, i64::from((height - picture.height()) / 2));
    panel
}

fn jpeg(image: &RgbImage, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(image, image.width(), image.height(), ExtendedColorType::Rgb8)
        .map_err(|e| Error::bug("encoding a JPEG", e))?;
    Ok(bytes)
}

/// One trip through JPEG.
fn rejpeg(picture: &Canvas, quality: u8) -> Result<Canvas> {
    let bytes = jpeg(&picture.to_image(), quality)?;
    let image = image::load_from_memory(&bytes).map_err(|e| Error::bug("reading back a JPEG", e))?;
    Ok(Canvas::from_image(&image.to_rgb8()))
}

/// The file with an EXIF segment, right after its first marker, that holds the orientation and nothing else.
fn with_orientation(jpeg: Vec<u8>, orientation: u8) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    out.extend([0xff, 0xe1, 0, 34]);
    out.extend(b"Exif\0\0");
    out.extend(b"MM\0\x2a\0\0\0\x08"); // big-endian TIFF, its first directory at byte 8
    out.extend([0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]); // one entry: tag 0x0112, one short
    out.extend([0, 0, 0, 0]); // no further directory
    out.extend(&jpeg[2..]);
    out
}

/// What a bad connection or a full disk leaves of a file.
fn damaged(rng: &mut Rng, mut bytes: Vec<u8>) -> Vec<u8> {
    match rng.below(3) {
        0 => bytes.truncate(bytes.len() / 8 + rng.below(bytes.len() / 2)),
        1 => bytes.clear(),
        _ => {
            let from = rng.below(bytes.len() / 50);
            for byte in &mut bytes[from..] {
                *byte = rng.bits() as u8;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::ImageDecoder;

    #[test]
    fn the_orientation_segment_is_read_back() {
        let image = RgbImage::from_pixel(24, 16, image::Rgb([90, 120, 60]));
        for tag in [3u8, 6, 8] {
            let bytes = with_orientation(jpeg(&image, 80).unwrap(), tag);
            let mut decoder = image::codecs::jpeg::JpegDecoder::new(std::io::Cursor::new(&bytes)).unwrap();
            assert_eq!(decoder.orientation().unwrap().to_exif(), tag);
            assert_eq!(image::load_from_memory(&bytes).unwrap().width(), 24);
        }
    }

    #[test]
    fn damaged_files_do_not_decode() {
        let mut noise = RgbImage::new(160, 160);
        let mut rng = Rng::new(1, Use::Camera, 1);
        noise.pixels_mut().for_each(|p| p.0 = [rng.bits() as u8; 3]);
        let whole = jpeg(&noise, 85).unwrap();
        for k in 0..20 {
            let bytes = damaged(&mut Rng::new(5, Use::Damage, k), whole.clone());
            assert!(bytes.len() <= whole.len() && bytes != whole);
        }
    }
}
