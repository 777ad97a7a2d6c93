//! Texts of others on a terminal: a name in a dump must not move the cursor, hide what follows, or look like a line of the
//! program's own.

use std::borrow::Cow;

/// Marks that turn the direction of what follows (Unicode, UAX 9), with which one text is made to look like another.
const DIRECTIONS: [char; 12] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}', '\u{2066}',
    '\u{2067}', '\u{2068}', '\u{2069}',
];

/// Text with control characters and marks of direction written out (`\u{1b}`), except line breaks and tabs.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |letter| is_unseen(letter) && !"\n\t".contains(letter))
}

/// The same for what must stay in one line.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unseen)
}

fn is_unseen(letter: char) -> bool {
    letter.is_control() || DIRECTIONS.contains(&letter)
}

fn escaped(text: &str, is_unwanted: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_unwanted) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match is_unwanted(letter) {
            true => out.extend(letter.escape_default()),
            false => out.push(letter),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_written_out() {
        assert_eq!(visible("राम\u{200d} कुमार\n\tok"), "राम\u{200d} कुमार\n\tok");
        assert_eq!(visible("a\u{1b}[2J\u{7}\u{202e}b\r"), "a\\u{1b}[2J\\u{7}\\u{202e}b\\r");
        assert_eq!(visible_line("a\n[ERROR] b"), "a\\n[ERROR] b");
    }
}
