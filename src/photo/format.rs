//! What bytes are, by how they begin: one of the formats that are read, or the name of something else.
//!
//! Whoever sent something else is told what it is, and the worker what to set on the phone.

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Baseline, extended sequential and progressive, Huffman-coded, 8 bits a sample.
    Jpeg,
    /// All colour types and depths, interlaced or not.
    Png,
    /// Lossy, lossless, and the first frame of an animation.
    WebP,
}

/// Where something begins, how, and what it is.
type Magic = (usize, &'static [u8], &'static str);

const OTHERS: &[Magic] = &[
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"JXL \r\n\x87\n", "a JPEG XL picture"),
    (4, b"jP  \r\n\x87\n", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (0, b"GIF8", "a GIF"),
    (0, b"BM", "a BMP"),
    (0, b"\0\0\x01\0", "an icon (ICO)"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF", "a PDF"),
    (4, b"ftypavi", "an AVIF picture: set the phone's camera to save JPEG"),
    (4, b"ftypcrx", "a RAW picture (CR3): set the phone's camera to save JPEG"),
    (0, b"FUJIFILM", "a RAW picture (RAF): set the camera to save JPEG"),
    (0, b"II*\0\x10\0\0\0CR", "a RAW picture (CR2): set the camera to save JPEG"),
    (0, b"IIRO", "a RAW picture (ORF): set the camera to save JPEG"),
    (0, b"IIU\0", "a RAW picture (RW2): set the camera to save JPEG"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "gzip data: unpack the column"),
    (0, b"\x28\xb5\x2f\xfd", "zstd data: unpack the column"),
    (0, b"\xfd7zXZ\0", "xz data: unpack the column"),
    (0, b"\xff\x06\0\0sNaPpY", "snappy data: unpack the column"),
    (0, b"\x80\x02", "a Python pickle: write the picture's own bytes"),
    (0, b"\x80\x03", "a Python pickle: write the picture's own bytes"),
    (0, b"\x80\x04", "a Python pickle: write the picture's own bytes"),
    (0, b"\x80\x05", "a Python pickle: write the picture's own bytes"),
    (0, b"\x93NUMPY", "a NumPy array: write the picture's own bytes"),
    (0, b"\xac\xed\0\x05", "a serialised Java object: write the picture's own bytes"),
    (0, b"\x1aE\xdf\xa3", "a film (Matroska or WebM)"),
    (0, b"\xc3\xbf\xc3\x98", "a JPEG that was written as text and is broken: write the column as binary"),
    (0, b"\xef\xbf\xbd\xef\xbf\xbd", "a picture that was written as text and is broken: write the column as binary"),
    (0, b"b'\\x", "a picture as Python prints bytes: write the column as binary"),
    (0, b"<svg", "an SVG"),
    (0, b"<", "a web page or XML"),
    (0, b"{", "JSON"),
];

/// Brands of HEIF files with HEVC pictures (ISO/IEC 23008-12), as phones write them.
const HEIC_BRANDS: [&[u8; 4]; 8] = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"];

/// What iPhones and Galaxies are to be set to.
const HEIC: &str = "a HEIC picture: set the phone to save JPEG (iPhone: Settings, Camera, Formats, Most Compatible; Galaxy: \
                    Camera settings, Advanced picture options, High efficiency pictures off)";

impl Format {
    /// The format by its first bytes, or what else the bytes look like, for the message.
    ///
    /// # Errors
    /// What the bytes are instead.
    pub fn of(bytes: &[u8]) -> Result<Format, &'static str> {
        if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            return Ok(Format::Jpeg);
        }
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            return Ok(Format::Png);
        }
        if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            return Ok(Format::WebP);
        }
        Err(other(bytes))
    }
}

fn other(bytes: &[u8]) -> &'static str {
    let brand = bytes.get(8..12).filter(|_| bytes.get(4..8) == Some(b"ftyp"));
    let is_avif = brand == Some(b"mif1") && bytes.get(16..64).is_some_and(|rest| rest.windows(4).any(|w| w == b"avif"));
    if !is_avif && brand.is_some_and(|brand| HEIC_BRANDS.iter().any(|known| brand == *known)) {
        return HEIC;
    }
    if is_avif {
        return "an AVIF picture: set the phone's camera to save JPEG";
    }
    if let Some((.., name)) =
        OTHERS.iter().find(|(at, magic, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
    {
        return name;
    }
    if bytes.starts_with(b"II*\0") || bytes.starts_with(b"MM\0*") {
        // A DNG says so in a tag of its own, 50706.
        let head = &bytes[..bytes.len().min(1024)];
        let is_raw = head.windows(2).any(|tag| tag == [0x12, 0xc6] || tag == [0xc6, 0x12]);
        return if is_raw { "a RAW picture (DNG): set the phone to save JPEG" } else { "a TIFF" };
    }
    if brand.is_some() {
        return "a film";
    }
    if bytes.iter().all(|&byte| byte == 0) {
        return "nothing but zeros";
    }
    if bytes.windows(3).take(64).skip(1).any(|three| three == [0xff, 0xd8, 0xff]) {
        return "a JPEG behind other bytes: write the picture's own bytes";
    }
    text(bytes).unwrap_or("bytes of no known kind")
}

/// What a text is.
fn text(bytes: &[u8]) -> Option<&'static str> {
    let head = std::str::from_utf8(&bytes[..bytes.len().min(4096)]).ok().or_else(|| {
        // The cut may be within a character.
        std::str::from_utf8(&bytes[..bytes.len().min(4096)])
            .map_err(|e| e.valid_up_to())
            .err()
            .filter(|&n| n > 4000)
            .and_then(|n| std::str::from_utf8(&bytes[..n]).ok())
    })?;
    let head = head.trim();
    let lower = head.get(..12).unwrap_or(head).to_ascii_lowercase();
    if head.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let ends = |ending: &str| head.to_ascii_lowercase().ends_with(ending);
    let is_name = head.len() < 1024 && !head.contains('\n');
    if is_name && (lower.contains("://") || lower.starts_with("s3:")) {
        return Some("the address of a picture and not the picture: write its bytes");
    }
    if is_name
        && (head.contains('/') || head.contains('\\') || head.contains('.'))
        && [".jpg", ".jpeg", ".png", ".webp", ".heic"].iter().any(|ending| ends(ending))
    {
        return Some("the path of a file and not the picture: write its bytes");
    }
    if lower.starts_with("data:") {
        return Some("a data: URL that is broken or of another kind");
    }
    if ["null", "none", "nan", "na", "n/a"].contains(&lower.as_str()) {
        return Some("the word for nothing as text: write a null");
    }
    let digits = head.strip_prefix("\\x").or_else(|| head.strip_prefix("0x")).unwrap_or(head);
    if digits.len() >= 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some("hexadecimal text that is broken or of no picture that is read");
    }
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_\r\n".contains(&byte);
    if head.len() >= 32 && head.bytes().all(is_base64) {
        return Some("base64 text that is broken or of no picture that is read");
    }
    Some("text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_picture_is_named() {
        for (bytes, word) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "AVIF"),
            (b"\xff\x0a\xfa\x1f", "JPEG XL"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
            (b"GIF89a", "GIF"),
            (b"II*\0\x08\0\0\0\x02\0\x12\xc6\x01\0", "DNG"),
            (b"II*\0\x08\0\0\0\x02\0", "TIFF"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"\x80\x04\x95", "pickle"),
            (b"/storage/emulated/0/DCIM/IMG_1.jpg", "path of a file"),
            (b"C:\\selfies\\1.JPG", "path of a file"),
            (b"https://cdn.example.org/1", "address"),
            (b"/9j/4AAQSkZJRgABAQEAYABgAAD/2wBDA?", "text"),
            (b"/9j/4AAQSkZJRgABAQEAYABgAAD/2wBDAA", "base64"),
            (b"data:image/jpeg,xx", "data: URL"),
            (b"ffd8ffe000104a46494600010101006", "text"),
            (b"ffd8ffe000104a46494600010101006000", "hexadecimal"),
            (b"\n\xff\xd8\xff\xe0", "behind other bytes"),
            (b"\0\0\0\0", "zeros"),
            (b"null", "nothing"),
            (b"\x07\x91\xfe\x13", "no known kind"),
        ] {
            let found = Format::of(bytes).unwrap_err();
            assert!(found.contains(word), "{word}: {found}");
        }
        assert_eq!(Format::of(b"\xff\xd8\xff\xdb"), Ok(Format::Jpeg));
    }
}
