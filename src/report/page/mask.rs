//! Mobile and voter-ID numbers as the page shows them.

/// All but the last three characters are hidden, and so is how many there are beyond ten.
pub fn masked(number: &str) -> String {
    let letters: Vec<char> = number.chars().filter(|c| c.is_alphanumeric()).collect();
    let shown = if letters.len() > 6 { 3 } else { 0 };
    let hidden = (letters.len() - shown).min(7);
    let tail = &letters[letters.len() - shown..];
    std::iter::repeat_n('•', hidden).chain(tail.iter().copied()).collect()
}

/// A number with its digits grouped as in India: 12,34,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let (head, tail) = digits.split_at(digits.len().saturating_sub(3));
    let mut text = String::new();
    for (at, digit) in head.chars().enumerate() {
        if at > 0 && (head.len() - at).is_multiple_of(2) {
            text.push(',');
        }
        text.push(digit);
    }
    if !head.is_empty() {
        text.push(',');
    }
    text + tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_left_of_a_number() {
        assert_eq!(masked("9876543210"), "•••••••210");
        assert_eq!(masked("+91 98765-43210"), "•••••••210");
        assert_eq!(masked("YHA1234567"), "•••••••567");
        assert_eq!(masked("123456"), "••••••");
        assert_eq!(masked("<b>"), "•");
        assert_eq!(masked(""), "");
        assert!(masked(&"9".repeat(1000)).chars().count() == 10);
    }

    #[test]
    fn digits_are_grouped_as_in_india() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (99_999, "99,999"), (100_000, "1,00,000")];
        for (number, text) in cases.into_iter().chain([(12_345_678, "1,23,45,678")]) {
            assert_eq!(grouped(number), text);
        }
    }
}
