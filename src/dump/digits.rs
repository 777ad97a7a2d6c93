//! Digits as people of India type them.

/// A decimal digit of a script used in India (Unicode 16, general category Nd), as ASCII.
pub(super) fn digit(letter: char) -> Option<char> {
    /// Zero in Devanagari, Bengali, Gurmukhi, Gujarati, Odia, Tamil, Telugu, Kannada, Malayalam, Arabic-Indic, its
    /// eastern form (Urdu), and full width; the other nine follow each.
    const ZEROS: [u32; 12] = [0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0x660, 0x6f0, 0xff10];
    if letter.is_ascii_digit() {
        return Some(letter);
    }
    let value = ZEROS.iter().find_map(|&zero| u32::from(letter).checked_sub(zero).filter(|v| *v < 10))?;
    char::from_digit(value, 10)
}
