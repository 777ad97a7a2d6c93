//! JPEG: segments, frame header, EXIF orientation, and pixels through `zune-jpeg`.
//!
//! The decoder is asked directly and not through `image`, which reads a JPEG leniently (strict mode off) and copies
//! it once more. [`super::scan`] has checked the data before the decoder sees them.

use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Header, Photo, be16, orient, scan, unreadable};
use crate::config::policy::PhotoLimits;
use crate::reason::Reject;

/// One marker segment: the marker's second byte and where its payload lies (empty for markers that stand alone).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The second byte of the marker.
    pub marker: u8,
    /// Where the payload begins, after the length.
    pub start: usize,
    /// Where it ends, and the next segment begins.
    pub end: usize,
}

/// The frame header (T.81, B.2.2).
#[derive(Debug, Clone)]
pub struct Frame {
    /// Width in pixels as stored.
    pub width: usize,
    /// Height in pixels as stored.
    pub height: usize,
    /// Progressive and not sequential.
    pub progressive: bool,
    /// Baseline sequential (SOF0).
    pub baseline: bool,
    /// One (grey), three (YCbCr or RGB) or four (CMYK or YCCK) of them.
    pub components: Vec<Component>,
}

/// One colour component.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// The number by which scans name it.
    pub id: u8,
    /// Blocks side by side in a unit, 1..=4.
    pub horizontal: usize,
    /// Blocks on top of each other in a unit, 1..=4.
    pub vertical: usize,
}

impl Frame {
    fn parse(marker: u8, payload: &[u8]) -> Result<Frame, Reject> {
        let kind = match marker {
            0xc0..=0xc2 => Ok(()),
            0xc3 | 0xc7 | 0xcb | 0xcf => Err("lossless"),
            0xc5 | 0xc6 | 0xcd | 0xce => Err("hierarchical"),
            _ => Err("arithmetic-coded"),
        };
        kind.map_err(|kind| unreadable(format!("a {kind} JPEG; baseline or progressive expected")))?;
        let short = || unreadable("JPEG with a short frame header");
        let [precision, _, _, _, _, count] = *payload.first_chunk::<6>().ok_or_else(short)?;
        if precision != 8 {
            return Err(unreadable(format!("a JPEG of {precision} bits a sample; 8 expected")));
        }
        if ![1, 3, 4].contains(&count) || payload.len() != 6 + 3 * usize::from(count) {
            return Err(unreadable(format!("a JPEG of {count} components; 1, 3 or 4 expected")));
        }
        let height = usize::from(be16(payload, 1).unwrap_or(0));
        let width = usize::from(be16(payload, 3).unwrap_or(0));
        if width == 0 || height == 0 {
            return Err(unreadable(format!("JPEG header says {width}x{height} pixels")));
        }
        let mut components = Vec::with_capacity(usize::from(count));
        for part in payload[6..].chunks_exact(3) {
            let (horizontal, vertical) = (usize::from(part[1] >> 4), usize::from(part[1] & 15));
            if !(1..=4).contains(&horizontal) || !(1..=4).contains(&vertical) {
                return Err(unreadable("JPEG with an impossible subsampling"));
            }
            components.push(Component { id: part[0], horizontal, vertical });
        }
        Ok(Frame { width, height, progressive: marker == 0xc2, baseline: marker == 0xc0, components })
    }

    fn largest(&self) -> (usize, usize) {
        let horizontal = self.components.iter().map(|c| c.horizontal).max().unwrap_or(1);
        (horizontal, self.components.iter().map(|c| c.vertical).max().unwrap_or(1))
    }

    /// Columns and rows of interleaved units.
    pub fn mcus(&self) -> (usize, usize) {
        let (horizontal, vertical) = self.largest();
        (self.width.div_ceil(8 * horizontal), self.height.div_ceil(8 * vertical))
    }

    /// Columns and rows of the blocks of one component in a scan of its own (T.81, A.2.2).
    pub fn blocks(&self, component: usize) -> (usize, usize) {
        let (horizontal, vertical) = self.largest();
        let part = &self.components[component];
        let columns = (self.width * part.horizontal).div_ceil(horizontal).div_ceil(8);
        (columns, (self.height * part.vertical).div_ceil(vertical).div_ceil(8))
    }

    /// Samples of all components in whole units.
    fn samples(&self) -> usize {
        let (columns, rows) = self.mcus();
        columns * rows * 64 * self.components.iter().map(|c| c.horizontal * c.vertical).sum::<usize>()
    }
}

/// The segment that begins at `at`; fill bytes before the marker are skipped.
///
/// # Errors
/// `unreadable_image` if the file ends here or no marker stands here.
pub fn next_segment(bytes: &[u8], at: usize) -> Result<Segment, Reject> {
    let truncated = || unreadable(format!("JPEG cut off after {} bytes, before its end marker", bytes.len()));
    let mut here = at;
    if *bytes.get(here).ok_or_else(truncated)? != 0xff {
        return Err(unreadable(format!("JPEG without a marker at byte {at}")));
    }
    while *bytes.get(here).ok_or_else(truncated)? == 0xff {
        here += 1;
    }
    let marker = bytes[here];
    let start = here + 1;
    match marker {
        0xd0..=0xd9 | 0x01 => Ok(Segment { marker, start, end: start }),
        0x00 | 0x02..=0xbf => Err(unreadable(format!("JPEG without a marker at byte {at}"))),
        _ => {
            let length = usize::from(be16(bytes, start).ok_or_else(truncated)?);
            if length < 2 {
                return Err(unreadable(format!("JPEG with a segment of length {length} at byte {at}")));
            }
            if start + length > bytes.len() {
                return Err(truncated());
            }
            Ok(Segment { marker, start: start + 2, end: start + length })
        }
    }
}

/// Everything before the first scan.
struct Prologue {
    frame: Frame,
    /// Marker and payload of the segments that define tables.
    tables: Vec<(u8, usize, usize)>,
    orientation: Orientation,
    /// Whether an Adobe segment says that CMYK is stored inverted, as Adobe's always is.
    adobe: bool,
    /// Where the first scan header's marker stands.
    scans: usize,
}

fn prologue(bytes: &[u8]) -> Result<Prologue, Reject> {
    let mut frame = None;
    let mut tables = Vec::new();
    let mut orientation = None;
    let mut adobe = false;
    let mut at = 2;
    loop {
        let segment = next_segment(bytes, at)?;
        let payload = &bytes[segment.start..segment.end];
        match segment.marker {
            0xda => break,
            0xc4 | 0xdd => tables.push((segment.marker, segment.start, segment.end)),
            0xc0..=0xcf if frame.is_some() => return Err(unreadable("JPEG with two frame headers")),
            0xc8 | 0xcc => return Err(unreadable("an arithmetic-coded JPEG; baseline or progressive expected")),
            0xc0..=0xcf => frame = Some(Frame::parse(segment.marker, payload)?),
            0xe1 if orientation.is_none() => {
                orientation = payload.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk);
            }
            0xee => adobe |= payload.starts_with(b"Adobe"),
            0xd0..=0xd9 => return Err(unreadable("JPEG that ends before its first scan")),
            _ => {}
        }
        at = segment.end;
    }
    let frame = frame.ok_or_else(|| unreadable("JPEG without a frame header"))?;
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok(Prologue { frame, tables, orientation, adobe, scans: at })
}

/// A JPEG that was walked whole and is within the limits.
#[derive(Debug)]
pub struct Walked<'a> {
    bytes: &'a [u8],
    frame: Frame,
    orientation: Orientation,
    adobe: bool,
    whole: scan::Whole,
}

/// What the header says, without a look at the scans.
pub fn header(bytes: &[u8]) -> Result<Header, Reject> {
    prologue(bytes).map(|prologue| prologue.header())
}

impl Prologue {
    fn header(&self) -> Header {
        let Prologue { frame, orientation, adobe, .. } = self;
        let plain_cmyk = frame.components.len() == 4 && !adobe;
        let picture = (frame.width * frame.height * 3) as u64;
        let turned = if orient::swaps(*orientation) { picture } else { 0 };
        // Coefficients as i16, and a bit for each in the check before.
        let coefficients = if frame.progressive { frame.samples() as u64 * 2 + frame.samples() as u64 / 8 } else { 0 };
        let cmyk = if plain_cmyk { picture / 3 * 4 } else { 0 };
        Header {
            width: frame.width as u32,
            height: frame.height as u32,
            memory: picture + turned.max(coefficients).max(cmyk),
        }
    }
}

/// Walks a JPEG down to its last Huffman code and holds it to the limits, without making a pixel.
pub fn walk<'a>(bytes: &'a [u8], limits: &PhotoLimits) -> Result<Walked<'a>, Reject> {
    let prologue = prologue(bytes)?;
    prologue.header().check(limits)?;
    let Prologue { frame, tables, orientation, adobe, scans } = prologue;
    let whole = scan::verify(bytes, &frame, &tables, scans)?;
    Ok(Walked { bytes, frame, orientation, adobe, whole })
}

impl<'a> Walked<'a> {
    /// Decodes it; see [`super::decode`].
    pub fn decode(&self) -> Result<Photo, Reject> {
        let Frame { width, height, .. } = self.frame;
        let plain_cmyk = self.frame.components.len() == 4 && !self.adobe;
        let colour = if plain_cmyk { ColorSpace::CMYK } else { ColorSpace::RGB };
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(usize::from(u16::MAX))
            .set_max_height(usize::from(u16::MAX))
            .jpeg_set_out_colorspace(colour);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(self.bytes), options);
        let pixels = decoder.decode().map_err(|error| unreadable(format!("JPEG: {error}")))?;
        if decoder.dimensions() != Some((width, height)) {
            return Err(unreadable("JPEG whose two frame headers differ"));
        }
        let rgb = if plain_cmyk { ink_to_light(&pixels) } else { pixels };
        Ok(orient::upright(Photo { width, height, rgb }, self.orientation))
    }

    /// What a decoder beside this one needs, where it surely reads the file as this one does: what phones write, which is
    /// one baseline scan of luma and two chroma in one of four samplings. Anything else is decoded here.
    pub fn plain(&self) -> Option<PlainJpeg<'a>> {
        let Frame { width, height, baseline, ref components, .. } = self.frame;
        let [luma, blue, red] = components[..] else { return None };
        let ids = [luma.id, blue.id, red.id];
        let sampling = (luma.horizontal <= 2 && luma.vertical <= 2)
            && [blue, red].iter().all(|chroma| chroma.horizontal == 1 && chroma.vertical == 1);
        // Other numbers, or Adobe's segment, may mean that these are no luma and chroma.
        let colours = !self.adobe && (ids == [1, 2, 3] || ids == [0, 1, 2]);
        (baseline && sampling && colours && self.whole.scans == 1).then_some(PlainJpeg {
            bytes: &self.bytes[..self.whole.end],
            width,
            height,
            orientation: self.orientation.to_exif(),
        })
    }
}

/// A whole JPEG of the kind that every decoder reads, up to its end marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlainJpeg<'a> {
    /// What came after the end marker is cut off.
    pub bytes: &'a [u8],
    /// Pixels as stored.
    pub width: usize,
    /// Pixels as stored.
    pub height: usize,
    /// EXIF 2.32, tag 0x0112: how it is turned upright, 1 for not at all.
    pub orientation: u8,
}

impl PlainJpeg<'_> {
    /// Width and height of the upright picture.
    pub fn upright(&self) -> (usize, usize) {
        if self.orientation >= 5 { (self.height, self.width) } else { (self.width, self.height) }
    }
}

/// CMYK as ink (0 = none) to RGB as light. Adobe stores the complement, which the decoder itself reads.
fn ink_to_light(cmyk: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(cmyk.len() / 4 * 3);
    for ink in cmyk.chunks_exact(4) {
        let paper = 255 - u32::from(ink[3]);
        rgb.extend(ink[..3].iter().map(|&i| (((255 - u32::from(i)) * paper + 127) / 255) as u8));
    }
    rgb
}
