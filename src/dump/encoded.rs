//! Pictures that were written as text: base64, with or without line breaks, `data:` URLs, and hex as databases print it.
//!
//! Only what begins as such a text of a picture begins is decoded, so that the bytes of a picture are looked at once and
//! never changed; a text that is cut or broken stays as it is, and [`crate::photo`] names it.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// How JPEG (in JSON too), PNG, WebP (RIFF), and HEIC and AVIF (a box of less than 16 MiB) begin in base64.
const BASE64: [&[u8]; 5] = [b"/9j/", b"\\/9j", b"iVBORw0KGgo", b"UklGR", b"AAAA"];
/// The same without `/`, for addresses.
const URL_SAFE_JPEG: &[u8] = b"_9j_";
/// The same in hexadecimal digits, lower case.
const HEX: [&[u8]; 4] = [b"ffd8ff", b"89504e470d0a1a0a", b"52494646", b"000000"];

/// The bytes that a text stands for; `None` for bytes that are no such text, or a broken one.
pub fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
    // Bytes of pictures end here: none of them begins with a character of text.
    if !bytes.first().is_some_and(|&first| first.is_ascii_graphic() || first.is_ascii_whitespace() || first == 0xef) {
        return None;
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
    let text = text.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(text);
    let text = data_url(text).unwrap_or(text);
    let digits = [b"\\x".as_slice(), b"0x", b"0X", b"X'", b"x'"].iter().find_map(|prefix| text.strip_prefix(*prefix));
    let digits = digits.map_or(text, |digits| digits.strip_suffix(b"'").unwrap_or(digits));
    let begins = |kind: &[u8]| digits.get(..kind.len()).is_some_and(|head| head.eq_ignore_ascii_case(kind));
    if HEX.iter().any(|kind| begins(kind)) {
        return hex(digits);
    }
    let is_url_safe = text.starts_with(URL_SAFE_JPEG);
    (is_url_safe || BASE64.iter().any(|kind| text.starts_with(kind))).then(|| base64(text)).flatten()
}

/// What follows `data:image/jpeg;base64,`.
fn data_url(text: &[u8]) -> Option<&[u8]> {
    let head = text.get(..5).filter(|head| head.eq_ignore_ascii_case(b"data:"))?.len();
    let comma = text.iter().take(256).position(|&byte| byte == b',')?;
    let kind = text.get(head..comma)?;
    kind.to_ascii_lowercase().ends_with(b";base64").then(|| text[comma + 1..].trim_ascii())
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let bytes = pairs.iter().map(|&[high, low]| Some(value(high)? << 4 | value(low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    // Line breaks (MIME, `base64` of coreutils), also as the two characters of a JSON text.
    let mut plain: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    for broken in [b"\\n".as_slice(), b"\\r", b"\\/"] {
        if plain.windows(2).any(|pair| pair == broken) {
            let kept = if broken == b"\\/" { "/" } else { "" };
            let text = String::from_utf8(plain).ok()?;
            plain = text.replace(std::str::from_utf8(broken).ok()?, kept).into_bytes();
        }
    }
    let is_url_safe = plain.iter().any(|byte| b"-_".contains(byte));
    let alphabet = if is_url_safe { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, config).decode(&plain).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn what_stands_for_a_picture_is_decoded_and_a_picture_is_not() {
        let picture = [b"\xff\xd8\xff\xe0".as_slice(), &[7; 100], b"\xfb\xff\xbf\xd9"].concat();
        let plain = STANDARD.encode(&picture);
        let lines = plain.as_bytes().chunks(76).collect::<Vec<_>>().join(&b"\r\n"[..]);
        let hex: String = picture.iter().map(|byte| format!("{byte:02X}")).collect();
        let texts = [
            plain.clone(),
            String::from_utf8(lines).unwrap(),
            format!("data:image/jpeg;base64,{plain}"),
            format!("\"{}\"", plain.replace('/', "\\/")),
            plain.trim_end_matches('=').to_owned(),
            URL_SAFE_NO_PAD.encode(&picture),
            format!("\\x{}", hex.to_lowercase()),
            format!("0x{hex}"),
            hex,
        ];
        for text in texts {
            assert_eq!(decoded(text.as_bytes()).as_deref(), Some(&picture[..]), "{text}");
        }
        assert_eq!(decoded(&picture), None);
        for text in ["", "/9j/4AAQ?", "ffd8ff0", "/storage/emulated/0/1.jpg", "data:image/jpeg,x", "RIFF\x10\0\0\0WEBP"]
        {
            assert_eq!(decoded(text.as_bytes()), None, "{text}");
        }
    }
}
