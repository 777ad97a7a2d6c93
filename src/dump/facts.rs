//! What a row says besides its pictures, brought to one form and checked: voter-ID and mobile numbers, consent, time.
//!
//! Numbers are typed by hand, on phones, in several scripts, and pass through spreadsheets, so they are brought to one
//! form first ([`Epic`], [`Mobile`]); only the normal forms are compared with other rows. What cannot be read as a
//! number of its kind is malformed, and so is a placeholder (9999999999): both ask for another try, neither accuses
//! anybody. Whether a number was used before is for [`crate::matching`] to say.

use super::digits::digit;
use crate::config::policy::FactsPolicy;
use crate::dump::RowFacts;
use crate::reason::Reason;

/// Microseconds in a day.
const DAY: i64 = 86_400_000_000;

/// What is wrong with a row's own facts, in table order, each once. Numbers that are absent are not malformed.
///
/// `has_consent` says whether the dump has a consent column at all: only then is an empty cell a missing consent.
/// `read_at` is when the dump was read, microseconds since 1970-01-01T00:00:00Z, where the caller wants times in the
/// future found.
pub fn check(facts: &RowFacts, has_consent: bool, read_at: Option<i64>, policy: &FactsPolicy) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let required = [&facts.submission_id, &facts.worker_id, &facts.district];
    if required.iter().any(|field| field.is_none()) || facts.captured_at.is_none() {
        reasons.push(Reason::RequiredFieldMissing);
    }
    if facts.epic.as_deref().is_some_and(|epic| Epic::parse(epic).is_err()) {
        reasons.push(Reason::EpicMalformed);
    }
    if facts.mobile.as_deref().is_some_and(|mobile| Mobile::parse(mobile).is_err()) {
        reasons.push(Reason::MobileMalformed);
    }
    if has_consent && facts.consent != Some(true) {
        reasons.push(Reason::ConsentMissing);
    }
    if facts.captured_at.is_some_and(|at| !plausible(at, read_at, policy)) {
        reasons.push(Reason::CapturedAtImplausible);
    }
    if !facts.cut.is_empty() {
        reasons.push(Reason::TextTooLong);
    }
    reasons
}

/// Whether a picture can have been taken at `captured_at`: not before the policy's first day, and not more than a day
/// after the dump was read (phones are set to other time zones, never to another year by honest use).
fn plausible(captured_at: i64, read_at: Option<i64>, policy: &FactsPolicy) -> bool {
    captured_at >= policy.drive_begins() && read_at.is_none_or(|now| captured_at <= now.saturating_add(DAY))
}

/// Why a text is not the number it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not a form of this number that is known.
    #[error("not a known form of this number")]
    Form,
    /// A form that is known, filled with a placeholder.
    #[error("a placeholder, not a number that was given out")]
    Placeholder,
}

/// A voter-ID (Elector's Photo Identity Card) number in normal form: capitals and ASCII digits, no separators.
///
/// Three forms are known:
/// - `ABC1234567`: three letters, the functional unique serial number (FUSN) that the Election Commission of India
///   gives each assembly constituency, and seven digits. The last digit is said to be a Luhn check digit
///   (python-stdnum, `stdnum.in_.epic`); other validators know of none, so it is offered as
///   [`Epic::check_digit_holds`] and condemns nobody.
/// - `MP/12/345/678901`: state, assembly constituency, part of the roll and serial number: the older cards, whose
///   numbers are still on the rolls. Validators in use take one to three digits of constituency, two or three of part
///   and six or seven of serial; here one to four of part and five to seven of serial will do.
/// - `MP12345678901`: the same without its strokes, as web forms of today ask for it: two letters and ten to fourteen
///   digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epic(String);

impl Epic {
    /// Reads a number as it was typed: any case, spaces, dashes, dots or strokes between, digits of any Indian script.
    ///
    /// # Errors
    /// [`Malformed`] when it has none of the known forms, or is a placeholder: digits all alike, or the letters XXX.
    pub fn parse(typed: &str) -> Result<Epic, Malformed> {
        let groups = groups(typed).ok_or(Malformed::Form)?;
        let joined: String = groups.concat();
        let letters = joined.bytes().take_while(u8::is_ascii_uppercase).count();
        let (prefix, digits) = joined.split_at(letters);
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Malformed::Form);
        }
        let number = match (letters, digits.len(), &groups[..]) {
            (3, 7, _) => joined.clone(),
            (2, _, [state, constituency, part, serial]) if state.len() == 2 => {
                old(state, constituency, part, serial).ok_or(Malformed::Form)?
            }
            (2, 10..=14, _) => joined.clone(),
            _ => return Err(Malformed::Form),
        };
        let first = digits.as_bytes()[0];
        if prefix == "XXX" || digits.bytes().all(|b| b == first) {
            return Err(Malformed::Placeholder);
        }
        Ok(Epic(number))
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the last of seven digits is the Luhn check digit of the other six (ISO/IEC 7812-1, annex B); `None` for
    /// the old forms, which have none.
    pub fn check_digit_holds(&self) -> Option<bool> {
        let digits = self.0.get(3..).filter(|d| d.len() == 7 && d.bytes().all(|b| b.is_ascii_digit()))?;
        let value = |(place, digit): (usize, u8)| match (place % 2, u32::from(digit - b'0')) {
            (0, d) => d,
            (_, d) if d < 5 => 2 * d,
            (_, d) => 2 * d - 9,
        };
        Some(digits.bytes().rev().enumerate().map(value).sum::<u32>() % 10 == 0)
    }
}

/// The old form from its groups: constituency filled to two digits and part to three, as the cards print them, so
/// that with and without strokes is one number.
fn old(state: &str, constituency: &str, part: &str, serial: &str) -> Option<String> {
    let sized =
        (1..=3).contains(&constituency.len()) && (1..=4).contains(&part.len()) && (5..=7).contains(&serial.len());
    sized.then(|| format!("{state}{constituency:0>2}{part:0>3}{serial:0>6}"))
}

/// An Indian mobile number in normal form: ten digits, the first 6 to 9 (Department of Telecommunications, National
/// Numbering Plan 2003, and its later allotments of level 6).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mobile(String);

impl Mobile {
    /// Reads a number as it was typed: with or without the country code (`+91`, `91`, `0091`), a trunk `0`, spaces,
    /// dashes, brackets and dots, digits of any Indian script, and the `.0` that spreadsheets add. Landlines whose area
    /// code begins with 6 to 9 (0755, Bhopal) have the same form and cannot be told apart.
    ///
    /// # Errors
    /// [`Malformed`] when it is no mobile number of India, or a placeholder: ten digits alike, all zeros after the
    /// first, or counting up or down without a break.
    pub fn parse(typed: &str) -> Result<Mobile, Malformed> {
        let typed = typed.trim();
        let (before, number) = match typed.split_once('+') {
            Some((before, number)) => (Some(before), number),
            None => (None, typed),
        };
        if before.is_some_and(|text| text.chars().any(char::is_alphanumeric)) {
            return Err(Malformed::Form);
        }
        let digits = groups(number.strip_suffix(".0").unwrap_or(number)).ok_or(Malformed::Form)?.concat();
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Malformed::Form);
        }
        let national = match (before, digits.len()) {
            (None, 10) => Some(digits.as_str()),
            (None, 11) => digits.strip_prefix('0'),
            (_, 12) => digits.strip_prefix("91"),
            (None, 13) => digits.strip_prefix("091").or_else(|| digits.strip_prefix("910")),
            (Some(_), 13) => digits.strip_prefix("910"),
            (None, 14) => digits.strip_prefix("0091"),
            _ => None,
        };
        let national = national.ok_or(Malformed::Form)?;
        match national.as_bytes() {
            [b'6'..=b'9', ..] if placeholder(national.as_bytes()) => Err(Malformed::Placeholder),
            [b'6'..=b'9', ..] => Ok(Mobile(national.to_owned())),
            _ => Err(Malformed::Form),
        }
    }

    /// The ten digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ten digits that nobody was given: 9999999999, 9000000000, 9876543210, 6789012345.
fn placeholder(digits: &[u8]) -> bool {
    let steps = |step: u8| digits.windows(2).all(|w| (w[0] - b'0' + step) % 10 == w[1] - b'0');
    steps(0) || steps(1) || steps(9) || digits[1..].iter().all(|&d| d == b'0')
}

/// Capitals and ASCII digits of a typed text, parted where separators stood; `None` when something else is in it, or
/// nothing at all.
fn groups(typed: &str) -> Option<Vec<String>> {
    let mut groups = vec![String::new()];
    for letter in typed.chars() {
        match digit(letter) {
            Some(digit) => groups.last_mut()?.push(digit),
            None if letter.is_ascii_alphabetic() => groups.last_mut()?.push(letter.to_ascii_uppercase()),
            // Marks without width, which keyboards and web pages leave in a text.
            None if matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}') => {}
            None if letter.is_whitespace() || "-–—./\\()_".contains(letter) => groups.push(String::new()),
            None => return None,
        }
    }
    groups.retain(|group| !group.is_empty());
    (!groups.is_empty()).then_some(groups)
}

/// The normal form of a name of a place or an id, for comparison alone: one case, single spaces.
pub fn folded(text: &str) -> String {
    text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// Whether two names of a place are one name: [`folded`] alike.
pub fn is_same_name(a: &str, b: &str) -> bool {
    a == b || words_folded(a).eq(words_folded(b))
}

/// The letters of [`folded`], without a copy.
fn words_folded(text: &str) -> impl Iterator<Item = char> + '_ {
    let words = text.split_whitespace().enumerate();
    words.flat_map(|(at, word)| (at > 0).then_some(' ').into_iter().chain(word.chars().flat_map(char::to_lowercase)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn voter_ids_of_every_form_are_read() {
        let normal = |typed: &str| Epic::parse(typed).map(|e| e.as_str().to_owned());
        for typed in ["YHA1234567", "yha 1234567", "YHA-1234-567", "yha१२३४५६७", " YHA\u{200b}1234567 ", "YHA/1234567"]
        {
            assert_eq!(normal(typed).as_deref(), Ok("YHA1234567"), "{typed}");
        }
        for typed in ["MP/12/345/678901", "mp 12 345 678901", "MP12345678901", "MP/12/345/678901/"] {
            assert_eq!(normal(typed).as_deref(), Ok("MP12345678901"), "{typed}");
        }
        assert_eq!(normal("MP/2/9/123456").as_deref(), Ok("MP02009123456"));
        assert_eq!(normal("UP/01/234/1234567").as_deref(), Ok("UP012341234567"));
    }

    #[test]
    fn other_texts_are_not_voter_ids() {
        let wrong = [
            "",
            " ",
            "YHA123456",
            "YHA12345678",
            "YH1234567",
            "YHAB123456",
            "YHA12345O7",
            "1234567890",
            "YHA1234567X",
            "MP/12/345",
            "MP/12/345/67",
            "MP/1234/345/678901",
            "M/12/345/678901",
            "मप्र1234567",
            "YHA#1234567",
            "MP123456789",
        ];
        for typed in wrong {
            assert_eq!(Epic::parse(typed), Err(Malformed::Form), "{typed:?}");
        }
        for typed in ["YHA0000000", "XXX1234567", "ABC7777777", "MP/00/000/000000"] {
            assert_eq!(Epic::parse(typed), Err(Malformed::Placeholder), "{typed:?}");
        }
    }

    #[test]
    fn the_check_digit_is_luhns() {
        // The two examples of python-stdnum 2.0, stdnum.in_.epic.
        assert_eq!(Epic::parse("WKH1186253").unwrap().check_digit_holds(), Some(true));
        assert_eq!(Epic::parse("WKH1186263").unwrap().check_digit_holds(), Some(false));
        assert_eq!(Epic::parse("MP/12/345/678901").unwrap().check_digit_holds(), None);
    }

    #[test]
    fn mobile_numbers_of_every_form_are_read() {
        let typed = [
            "9826012345",
            "+91 98260 12345",
            "+91-9826012345",
            "919826012345",
            "09826012345",
            "00919826012345",
            "(+91) 98260-12345",
            "९८२६०१२३४५",
            "+९१ ९८२६० १२३४५",
            "9826012345.0",
            "\u{202a}+91 98260 12345\u{202c}",
            "۹۸۲۶۰۱۲۳۴۵",
            "+9109826012345",
        ];
        for typed in typed {
            let number = Mobile::parse(typed);
            assert_eq!(number.as_ref().map(Mobile::as_str), Ok("9826012345"), "{typed}");
        }
    }

    #[test]
    fn other_texts_are_not_mobile_numbers() {
        let wrong = [
            "",
            "982601234",
            "98260123456",
            "5826012345",
            "022-25512345",
            "+1 982 601 2345",
            "+9826012345",
            "abcdefghij",
            "9.82601E+09",
            "9826012345/9826012346",
            "98260l2345",
            "929826012345",
        ];
        for typed in wrong {
            assert_eq!(Mobile::parse(typed), Err(Malformed::Form), "{typed:?}");
        }
        for typed in ["9999999999", "9876543210", "+91 6789012345", "7000000000", "८८८८८८८८८८", "8901234567"]
        {
            assert_eq!(Mobile::parse(typed), Err(Malformed::Placeholder), "{typed:?}");
        }
    }

    #[test]
    fn a_row_says_everything_that_is_wrong_with_it() {
        let policy = FactsPolicy::default();
        let good = RowFacts {
            submission_id: Some("s".into()),
            worker_id: Some("w".into()),
            district: Some("Ujjain".into()),
            captured_at: Some(1_760_000_000_000_000),
            mobile: Some("9826012345".into()),
            epic: Some("YHA1234567".into()),
            consent: Some(true),
            ..RowFacts::default()
        };
        assert_eq!(check(&good, true, Some(1_760_000_100_000_000), &policy), []);
        let bad = RowFacts {
            worker_id: None,
            mobile: Some("12".into()),
            epic: Some("?".into()),
            consent: None,
            captured_at: Some(1_760_000),
            ..good.clone()
        };
        use Reason::*;
        let all = [RequiredFieldMissing, EpicMalformed, MobileMalformed, ConsentMissing, CapturedAtImplausible];
        assert_eq!(check(&bad, true, None, &policy), all);
        let silent = RowFacts { mobile: None, epic: None, consent: None, ..good.clone() };
        assert_eq!(check(&silent, false, None, &policy), []);
        assert_eq!(check(&RowFacts { consent: Some(false), ..good.clone() }, true, None, &policy), [ConsentMissing]);
        assert_eq!(check(&good, true, Some(1_750_000_000_000_000), &policy), [CapturedAtImplausible]);
        assert_eq!(check(&RowFacts { captured_at: Some(i64::MAX), ..good }, true, Some(i64::MAX), &policy), []);
    }

    #[test]
    fn a_name_is_the_same_in_any_case_and_with_any_white_space() {
        for other in ["pune", "PUNE", " Pune\u{a0}", "Pune"] {
            assert!(is_same_name("Pune", other), "{other:?}");
        }
        assert!(is_same_name("New Delhi", "NEW\u{a0} DELHI") && !is_same_name("New Delhi", "NewDelhi"));
        assert!(!is_same_name("Pune", "Puna"));
    }

    proptest! {
        #[test]
        fn folding_in_passing_is_folding(a in "[a-cA-C \u{a0}]{0,6}", b in "[a-cA-C \u{a0}]{0,6}") {
            prop_assert_eq!(is_same_name(&a, &b), folded(&a) == folded(&b));
        }

        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,40}") {
            let _ = (Epic::parse(&text), Mobile::parse(&text), folded(&text));
        }

        #[test]
        fn the_normal_form_is_its_own_normal_form(text in "[A-Z]{2,3}[ /]?[0-9]{1,3}/?[0-9]{2,4}/?[0-9]{4,7}") {
            if let Ok(epic) = Epic::parse(&text) {
                prop_assert_eq!(Epic::parse(epic.as_str()), Ok(epic.clone()));
            }
        }
    }
}
