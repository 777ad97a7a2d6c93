//! JPEG: EXIF orientation, colours, and pixels through two decoders.
//!
//! [`super::scan`] has checked the data before a decoder sees them. `zune-jpeg` is fast and right on what phones write; on
//! scans of single components, on odd samplings and on colours that three markers argue about it is not, so those go to
//! `jpeg-decoder`, which is held to libjpeg's pixels on all of `fixtures/jpeg`, and gets a file rebuilt from the codes alone.

use image::metadata::Orientation;
use jpeg_decoder::ColorTransform;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::markers::{Frame, Segment, next_segment};
use super::picture::{Header, Photo, unreadable};
use super::{orient, scan};
use crate::config::policy::PhotoLimits;
use crate::reason::Reject;

/// What the samples of a picture's components mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    Grey,
    Rgb,
    Ycc,
    /// Four components; `true`: stored inverted, as Adobe's always are.
    Ink(bool),
}

/// Everything before the first scan.
struct Prologue {
    frame: Frame,
    /// Marker, and where the payload lies, of the segments that define tables.
    tables: Vec<Segment>,
    orientation: Orientation,
    colours: Colours,
    /// Whether Adobe's segment has a say in that.
    has_adobe: bool,
    /// Whether colours are those that every decoder sees.
    are_colours_plain: bool,
    /// Whether nothing stood between the segments.
    is_regular: bool,
    /// Whether the first scan has all components.
    is_interleaved: bool,
    /// Where the first scan header's marker stands.
    scans: usize,
}

fn prologue(bytes: &[u8]) -> Result<Prologue, Reject> {
    let mut frame = None;
    let mut tables = Vec::new();
    let (mut exif, mut xmp) = (None, None);
    let (mut jfif, mut adobe) = (false, None);
    let (mut at, mut is_regular) = (2, true);
    let in_first_scan = loop {
        let (segment, junk) = next_segment(bytes, at)?;
        is_regular &= junk == 0;
        let payload = &bytes[segment.start..segment.end];
        match segment.marker {
            0xda => break payload.first().copied().unwrap_or(0),
            0xc4 | 0xdb | 0xdd => tables.push(segment),
            0xc0..=0xcf if frame.is_some() => return Err(unreadable("JPEG with two frame headers")),
            0xc8 | 0xcc => return Err(unreadable("an arithmetic-coded JPEG; baseline or progressive expected")),
            0xc0..=0xcf => frame = Some(Frame::parse(segment.marker, payload)?),
            0xe0 => jfif |= payload.len() >= 14 && payload.starts_with(b"JFIF\0"),
            0xe1 => {
                exif =
                    exif.or_else(|| payload.strip_prefix(b"Exif\0").and_then(|rest| orient::of_exif(rest.get(1..)?)));
                xmp = xmp.or_else(|| payload.strip_prefix(XMP).and_then(orient::of_xmp));
            }
            0xee if payload.len() >= 12 && payload.starts_with(b"Adobe") => adobe = Some(payload[11]),
            0xd0..=0xd7 | 0x01 => is_regular = false,
            0xd8 | 0xd9 => return Err(unreadable("JPEG that ends before its first scan")),
            _ => {}
        }
        at = segment.end;
    };
    let frame = frame.ok_or_else(|| unreadable("JPEG without a frame header"))?;
    let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
    let colours = colours(&ids, jfif, adobe);
    let are_colours_plain = match colours {
        Colours::Ycc => matches!(adobe, None | Some(1)) && (ids == [1, 2, 3] || ids == [0, 1, 2]),
        Colours::Rgb => false,
        Colours::Grey | Colours::Ink(_) => true,
    };
    let is_interleaved = usize::from(in_first_scan) == frame.components.len();
    let orientation = exif.or(xmp).unwrap_or(Orientation::NoTransforms);
    Ok(Prologue {
        frame,
        tables,
        orientation,
        colours,
        has_adobe: adobe.is_some(),
        are_colours_plain,
        is_regular,
        is_interleaved,
        scans: at,
    })
}

/// The first EXIF segment before the first scan; `None` without one.
pub fn exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 2;
    loop {
        let (segment, _) = next_segment(bytes, at).ok()?;
        let payload = &bytes[segment.start..segment.end];
        match segment.marker {
            0xd8..=0xda => return None,
            0xe1 if payload.starts_with(b"Exif\0") => return payload.get(6..),
            _ => at = segment.end,
        }
    }
}

/// What XMP in a JPEG begins with (XMP specification, part 3, 1.1.3).
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// What the components are, by libjpeg's rules (`default_decompress_parms`, jdapimin.c): JFIF outweighs Adobe's segment, and
/// that the numbers of the components.
fn colours(ids: &[u8], jfif: bool, adobe: Option<u8>) -> Colours {
    match (ids, adobe) {
        ([_], _) => Colours::Grey,
        ([_, _, _], _) if jfif => Colours::Ycc,
        ([_, _, _], Some(0)) => Colours::Rgb,
        ([b'R', b'G', b'B'], None) => Colours::Rgb,
        ([_, _, _], _) => Colours::Ycc,
        (_, adobe) => Colours::Ink(adobe.is_some()),
    }
}

/// A JPEG that was walked whole and is within the limits.
#[derive(Debug)]
pub struct Walked<'a> {
    bytes: &'a [u8],
    frame: Frame,
    orientation: Orientation,
    colours: Colours,
    has_adobe: bool,
    /// How it is decoded.
    how: How,
    /// Bytes up to and with the EOI marker.
    end: usize,
    scans: usize,
}

/// Which decoder makes the pixels.
#[derive(Debug)]
enum How {
    /// The fast one: what phones and programs write every day, from the file as it is.
    Plain,
    /// The one that knows every order of scans and every sampling, from these bytes: the same codes without what stood
    /// between them.
    Rebuilt(Vec<u8>),
}

/// What the header says, without a look at the scans.
pub fn header(bytes: &[u8]) -> Result<Header, Reject> {
    prologue(bytes).map(|prologue| prologue.header())
}

impl Prologue {
    fn header(&self) -> Header {
        let Prologue { frame, orientation, colours, .. } = self;
        let plain_cmyk = *colours == Colours::Ink(false);
        let picture = (frame.width * frame.height * 3) as u64;
        let turned = if orient::swaps(*orientation) { picture } else { 0 };
        let samples = frame.samples() as u64;
        // Coefficients as i16, and a bit for each in the check before.
        let coefficients = if frame.progressive { samples * 2 + samples / 8 } else { 0 };
        // The other decoder holds planes, and coefficients as well.
        let planes = if self.is_plain() { 0 } else { samples * 3 };
        let cmyk = if plain_cmyk { picture / 3 * 4 } else { 0 };
        Header {
            width: frame.width as u32,
            height: frame.height as u32,
            memory: picture + turned.max(coefficients).max(cmyk).max(planes),
        }
    }

    /// Whether the fast decoder surely reads it as libjpeg does, as far as the header tells. `fixtures/jpeg` holds both to it.
    fn is_plain(&self) -> bool {
        let Frame { width, height, ref components, .. } = self.frame;
        let is_sampling_plain = match components.as_slice() {
            [luma, chroma @ ..] => {
                (luma.horizontal <= 2 && luma.vertical <= 2 || chroma.is_empty())
                    && (self.frame.components.len() == 4
                        || chroma.iter().all(|chroma| chroma.horizontal == 1 && chroma.vertical == 1))
            }
            [] => false,
        };
        is_sampling_plain && self.are_colours_plain && self.is_interleaved && width.min(height) >= LEAST_PLAIN
    }
}

/// Where chroma is a few samples wide, the fast decoder's edges are not libjpeg's.
const LEAST_PLAIN: usize = 32;

/// Walks a JPEG down to its last Huffman code and holds it to the limits, without making a pixel.
pub fn walk<'a>(bytes: &'a [u8], limits: &PhotoLimits) -> Result<Walked<'a>, Reject> {
    let prologue = prologue(bytes)?;
    prologue.header().check(limits)?;
    let whole = scan::verify(bytes, &prologue.frame, &prologue.tables, prologue.scans, None)?;
    let is_plain = prologue.is_plain() && prologue.is_regular && whole.is_regular;
    let is_plain = is_plain && (prologue.frame.progressive || whole.scans == 1);
    let Prologue { frame, tables, orientation, colours, has_adobe, scans, .. } = prologue;
    let how = match is_plain {
        true => How::Plain,
        false => {
            let mut rebuilt = Vec::with_capacity(bytes.len());
            scan::verify(bytes, &frame, &tables, scans, Some(&mut rebuilt))?;
            How::Rebuilt(rebuilt)
        }
    };
    Ok(Walked { bytes, frame, orientation, colours, has_adobe, how, end: whole.end, scans: whole.scans })
}

impl<'a> Walked<'a> {
    /// Decodes it; see [`super::decode`].
    pub fn decode(&self) -> Result<Photo, Reject> {
        let rgb = match &self.how {
            How::Plain => self.decode_plain()?,
            How::Rebuilt(bytes) => self.decode_rebuilt(bytes)?,
        };
        let Frame { width, height, .. } = self.frame;
        match rgb.len() == width * height * 3 {
            true => Ok(orient::upright(Photo { width, height, rgb }, self.orientation)),
            false => Err(unreadable("JPEG whose two frame headers differ")),
        }
    }

    fn decode_plain(&self) -> Result<Vec<u8>, Reject> {
        let plain_cmyk = self.colours == Colours::Ink(false);
        let colour = if plain_cmyk { ColorSpace::CMYK } else { ColorSpace::RGB };
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(usize::from(u16::MAX))
            .set_max_height(usize::from(u16::MAX))
            .jpeg_set_out_colorspace(colour);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(self.bytes), options);
        let pixels = decoder.decode().map_err(|error| unreadable(format!("JPEG: {error}")))?;
        Ok(if plain_cmyk { ink_to_light(&pixels) } else { pixels })
    }

    fn decode_rebuilt(&self, bytes: &[u8]) -> Result<Vec<u8>, Reject> {
        let mut decoder = jpeg_decoder::Decoder::new(bytes);
        decoder.set_color_transform(match self.colours {
            Colours::Grey => ColorTransform::Grayscale,
            Colours::Rgb => ColorTransform::RGB,
            Colours::Ycc => ColorTransform::YCbCr,
            Colours::Ink(_) => return Err(unreadable("a CMYK JPEG in several scans; one expected")),
        });
        let pixels = decoder.decode().map_err(|error| unreadable(format!("JPEG: {error}")))?;
        Ok(match self.colours {
            Colours::Grey => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
            _ => pixels,
        })
    }

    /// What a decoder beside this one needs, where it surely reads the file as this one does: what phones write, which is
    /// one baseline scan of luma and two chroma in one of four samplings. Anything else is decoded here.
    pub fn plain(&self) -> Option<PlainJpeg<'a>> {
        let Frame { width, height, baseline, ref components, .. } = self.frame;
        let is_plain = matches!(self.how, How::Plain) && components.len() == 3 && self.colours == Colours::Ycc;
        (baseline && is_plain && !self.has_adobe && self.scans == 1).then_some(PlainJpeg {
            bytes: &self.bytes[..self.end],
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
