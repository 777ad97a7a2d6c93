//! How alike two Indian names are, in Latin or Devanagari.
//!
//! Devanagari is written out in Latin letters (consonants carry an `a` unless a vowel sign or virama follows), spelling
//! habits are levelled (`Laxmi` = `Lakshmi`, `Chaudhary` = `Choudhry`), and what remains is compared word by word by
//! Jaro-Winkler similarity (Winkler 1990), the measure of record linkage for names. Titles and the like say nothing.

use strsim::jaro_winkler;

/// How alike two names are, from nothing in common to the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// Nothing in common.
    Different,
    /// Some word in common: a family name, or a given name.
    Partly,
    /// All words of the shorter name are in the longer one, or nearly so.
    Similar,
    /// The same words by sound, in any order.
    Same,
}

/// Words that are no part of a name.
const TITLES: [&str; 22] = [
    "shri", "shree", "sri", "smt", "shrimati", "srimati", "kumari", "km", "ku", "mr", "mrs", "ms", "miss", "dr",
    "prof", "adv", "late", "so", "do", "wo", "ji", "jee",
];

/// Short forms in which clerks write names, and one spelling as common as the other.
#[rustfmt::skip]
const SHORT_FORMS: [(&str, &str); 9] = [
    ("kr", "kumar"), ("md", "mohammad"), ("mohd", "mohammad"), ("mo", "mohammad"), ("pd", "prasad"),
    ("prd", "prasad"), ("ch", "chaudhari"), ("sk", "shekh"), ("verma", "varma"),
];

/// Characters and words of a name that are compared, and characters of a word. Names have fewer; a text that is none must
/// not cost more than a name, for each is compared with many.
const MOST_CHARACTERS: usize = 256;
const MOST_WORDS: usize = 12;
const LONGEST_WORD: usize = 40;

/// Words nearer than this by Jaro-Winkler are taken for one word spelled twice.
const NEAR: f64 = 0.90;

/// Compares two names; `None` where either has no words, or where they are in scripts that are not compared with each other:
/// Latin and Devanagari are, a name in Tamil is compared with names in Tamil alone.
pub fn likeness(a: &str, b: &str) -> Option<Likeness> {
    let (mut a, mut b) = (words(a), words(b));
    // A name may be written twice, in two scripts: what both have is compared, in Latin letters if they can be.
    let shared = |wanted: Script| [&a, &b].iter().all(|words| words.iter().any(|word| script(word) == wanted));
    let common = std::iter::once(Script::Latin).chain(a.iter().map(|word| script(word))).find(|&one| shared(one))?;
    a.retain(|word| script(word) == common);
    b.retain(|word| script(word) == common);
    let (short, long) = if a.len() <= b.len() { (&a, &b) } else { (&b, &a) };
    if short.is_empty() {
        return None;
    }
    let keys = |list: &[String]| {
        let mut keys: Vec<String> = list.iter().map(|w| key(w)).collect();
        keys.sort();
        keys
    };
    if keys(&a) == keys(&b) {
        return Some(Likeness::Same);
    }
    // Words are paired greedily, so both ways round are tried: likeness is the same from either side.
    let near = in_common(short, long).max(in_common(long, short));
    Some(match near {
        0 => Likeness::Different,
        n if n == short.len() && (short.len() > 1 || long.len() == 1) => Likeness::Similar,
        _ => Likeness::Partly,
    })
}

/// What a word is written in, once Devanagari is written out in Latin letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Arabic,
    /// One of the scripts of India, of which each has 128 code points of its own (Unicode blocks 0900 to 0D80).
    Indian(u32),
    /// A block of 256 code points of another.
    Other(u32),
}

fn script(word: &str) -> Script {
    match word.chars().next().map_or(0, u32::from) {
        0..0x370 | 0x1e00..0x1f00 => Script::Latin,
        0x600..0x780 | 0x8a0..0x900 | 0xfb50..0xfe00 | 0xfe70..0xff00 => Script::Arabic,
        point @ 0x900..0xe00 => Script::Indian(point / 128),
        point => Script::Other(point / 256),
    }
}

fn in_common(words: &[String], others: &[String]) -> usize {
    let mut free: Vec<&String> = others.iter().collect();
    let mut near = 0;
    for word in words {
        // An initial stands for any word that begins with it, but proves little: it is no word in common.
        let found = free.iter().position(|other| word.chars().count() > 1 && alike(word, other));
        if let Some(at) = found {
            free.remove(at);
            near += 1;
        }
    }
    near
}

fn alike(a: &str, b: &str) -> bool {
    key(a) == key(b) || jaro_winkler(&level(a), &level(b)) >= NEAR
}

/// The words of a name in plain Latin letters, without titles, short forms written out.
fn words(name: &str) -> Vec<String> {
    let latin = transliterate(first_characters(name, MOST_CHARACTERS)).to_lowercase();
    let words = latin.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty() && !TITLES.contains(w));
    let words = words.take(MOST_WORDS).map(|word| first_characters(word, LONGEST_WORD));
    words.map(|w| SHORT_FORMS.iter().find(|(short, _)| *short == w).map_or(w, |(_, full)| full).to_owned()).collect()
}

/// So many characters of a text, or all of it.
fn first_characters(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

/// Spelling habits levelled, longest first: aspirates, long vowels, letters that sound alike.
#[rustfmt::skip]
const HABITS: [(&str, &str); 32] = [
    ("chh", "c"), ("ngh", "n"), ("nh", "n"), ("ksh", "ks"), ("sch", "s"), ("tch", "c"), ("ch", "c"), ("sh", "s"),
    ("ph", "f"), ("bh", "b"), ("dh", "d"), ("th", "t"), ("gh", "g"), ("kh", "k"), ("jh", "j"), ("rh", "r"),
    ("aa", "a"), ("ee", "i"), ("ii", "i"), ("oo", "u"), ("uu", "u"), ("ou", "au"), ("ow", "au"), ("ai", "e"),
    ("ay", "e"), ("ey", "e"), ("x", "ks"), ("w", "v"), ("z", "j"), ("q", "k"), ("y", "i"), ("ck", "k"),
];

fn level(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let (taken, written) = match HABITS.iter().find(|(habit, _)| rest.starts_with(habit)) {
            Some((habit, plain)) => (habit.len(), *plain),
            None => (first.len_utf8(), &rest[..first.len_utf8()]),
        };
        for c in written.chars() {
            // Doubled letters sound as one; a nasal before a consonant is an n, however written.
            if !out.ends_with(c) {
                out.push(c);
            }
        }
        rest = &rest[taken..];
    }
    let nasal = out.replace("mb", "nb").replace("mp", "np");
    // The last a of a word is spoken in few names and written in any.
    match nasal.strip_suffix('a') {
        Some(stem) if stem.chars().count() > 1 => stem.to_owned(),
        _ => nasal,
    }
}

/// Phonetic key: consonants of the levelled word and its vowels as three kinds, `a` only at the beginning, since the
/// inherent vowel comes and goes (`Kamla`, `Kamala`).
fn key(word: &str) -> String {
    let levelled = level(word);
    let mut key = String::with_capacity(levelled.len());
    for (at, c) in levelled.chars().enumerate() {
        let c = match c {
            'a' if at > 0 => continue,
            'e' => 'i',
            'o' => 'u',
            'h' if at > 0 => continue,
            c => c,
        };
        if !key.ends_with(c) {
            key.push(c);
        }
    }
    key
}

/// Independent vowels, consonants and vowel signs of Devanagari (Unicode block 0900) in the letters in which Indians
/// write them. A nukta after a letter (the form without its own code point) is left out: most people leave it out too.
#[rustfmt::skip]
const VOWELS: [(char, &str); 14] = [
    ('अ', "a"), ('आ', "a"), ('इ', "i"), ('ई', "i"), ('उ', "u"), ('ऊ', "u"), ('ऋ', "ri"), ('ए', "e"), ('ऐ', "ai"),
    ('ओ', "o"), ('औ', "au"), ('ऍ', "e"), ('ऑ', "o"), ('ॐ', "om"),
];
#[rustfmt::skip]
const SIGNS: [(char, &str); 12] = [
    ('ा', "a"), ('ि', "i"), ('ी', "i"), ('ु', "u"), ('ू', "u"), ('ृ', "ri"), ('े', "e"), ('ै', "ai"), ('ो', "o"),
    ('ौ', "au"), ('ॅ', "e"), ('ॉ', "o"),
];
#[rustfmt::skip]
const CONSONANTS: [(char, &str); 41] = [
    ('क', "k"), ('ख', "kh"), ('ग', "g"), ('घ', "gh"), ('ङ', "n"), ('च', "ch"), ('छ', "chh"), ('ज', "j"), ('झ', "jh"),
    ('ञ', "n"), ('ट', "t"), ('ठ', "th"), ('ड', "d"), ('ढ', "dh"), ('ण', "n"), ('त', "t"), ('थ', "th"), ('द', "d"),
    ('ध', "dh"), ('न', "n"), ('प', "p"), ('फ', "ph"), ('ब', "b"), ('भ', "bh"), ('म', "m"), ('य', "y"), ('र', "r"),
    ('ल', "l"), ('ळ', "l"), ('व', "v"), ('श', "sh"), ('ष', "sh"), ('स', "s"), ('ह', "h"), ('\u{958}', "k"),
    ('\u{959}', "kh"), ('\u{95a}', "g"), ('\u{95b}', "z"), ('\u{95c}', "d"), ('\u{95d}', "dh"), ('\u{95e}', "f"),
];

/// Devanagari in Latin letters; everything else stays, accents of Latin letters too.
pub fn transliterate(text: &str) -> String {
    let find = |table: &'static [(char, &'static str)], c: char| table.iter().find(|(x, _)| *x == c).map(|(_, l)| *l);
    let mut out = String::with_capacity(text.len());
    // Whether a consonant still waits for its vowel.
    let mut open = false;
    for c in text.chars() {
        if let Some(latin) = find(&CONSONANTS, c) {
            if open {
                out.push('a');
            }
            out.push_str(latin);
            open = true;
        } else if let Some(latin) = find(&SIGNS, c) {
            out.push_str(latin);
            open = false;
        } else if c == '\u{94d}' {
            // Virama: no vowel follows.
            open = false;
        } else if c == '\u{93c}' || c == '\u{200c}' || c == '\u{200d}' {
            // Nukta and joiners change no letter here.
        } else if c == '\u{902}' || c == '\u{901}' {
            if open {
                out.push('a');
            }
            out.push('n');
            open = false;
        } else {
            // A word's last consonant keeps no vowel: that is how Hindi is spoken, and written in Latin letters.
            open = false;
            match find(&VOWELS, c) {
                Some(latin) => out.push_str(latin),
                None if c == '\u{903}' => out.push('h'),
                None => out.push(c),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Likeness::*;
    use super::*;

    #[test]
    fn devanagari_is_written_as_indians_write_it() {
        for (name, latin) in [
            ("राम कुमार शर्मा", "ram kumar sharma"),
            ("लक्ष्मी", "lakshmi"),
            ("संजय सिंह", "sanjay sinh"),
            ("ज़ाकिर", "jakir"),
            ("प्रदीप", "pradip"),
            ("O'Neil", "O'Neil"),
        ] {
            assert_eq!(transliterate(name), latin);
        }
    }

    #[test]
    fn one_name_in_many_spellings() {
        for (a, b) in [
            ("Ram Kumar Sharma", "राम कुमार शर्मा"),
            ("Laxmi Devi", "लक्ष्मी देवी"),
            ("Shri Ram Kr. Sharma", "SHARMA RAM KUMAR"),
            ("Kamla Bai", "Kamala Baai"),
            ("Sunita Choudhary", "सुनीता चौधरी"),
            ("Mohd. Zakir", "Mohammad Jakir"),
            ("Vijay Singh", "विजय सिंह"),
            ("Pooja Verma", "Puja Varma"),
        ] {
            assert!(likeness(a, b).unwrap() >= Similar, "{a} / {b}: {:?}", likeness(a, b));
        }
        assert_eq!(likeness("Ram Kumar Sharma", "राम कुमार शर्मा"), Some(Same));
        assert_eq!(likeness("Kamla Bai", "Kamala Baai"), Some(Same));
    }

    #[test]
    fn a_name_in_a_script_that_is_not_compared_is_no_evidence() {
        let scripts = [
            ("Tamil", "மோகன்"),
            ("Malayalam", "മോഹൻ"),
            ("Bengali", "মোহন"),
            ("Gurmukhi", "ਮੋਹਨ"),
            ("Gujarati", "મોહન"),
            ("Telugu", "మోహన్"),
            ("Kannada", "ಮೋಹನ್"),
            ("Odia", "ମୋହନ"),
            ("Urdu", "موہن"),
        ];
        for (script, name) in scripts {
            assert_eq!(likeness(name, "Mohan"), None, "{script}");
            assert_eq!(likeness("मोहन", name), None, "{script}");
            assert_eq!(likeness(name, name), Some(Same), "{script}");
            assert_eq!(likeness(&format!("Mohan {name}"), "मोहन"), Some(Same), "{script}: what both have is compared");
        }
        assert_eq!(likeness("மோகன்", "മോഹൻ"), None);
        assert_eq!(likeness("Zoë", "Zoe"), likeness("Zoe", "Zoë"));
    }

    #[test]
    fn other_names_are_other_names() {
        assert_eq!(likeness("Ram Kumar", "Sita Devi"), Some(Different));
        assert_eq!(likeness("राम कुमार", "Suresh Patel"), Some(Different));
        assert_eq!(likeness("Ram Sharma", "Mohan Sharma"), Some(Partly));
        assert_eq!(likeness("Sunita", "Sunita Devi"), Some(Partly));
        assert_eq!(likeness("Smt.", "Ram"), None);
        assert_eq!(likeness("", "Ram"), None);
        assert_eq!(likeness("R", "Ram Sharma"), Some(Different));
    }

    /// What is compared of a name is bounded, whatever its length; by words and letters, and not by the clock.
    #[test]
    fn of_a_text_that_is_no_name_only_the_beginning_is_compared() {
        let many = "Ram ".repeat(1_000_000);
        let long = "क".repeat(3_000_000);
        for text in [&many, &long] {
            let words = words(text);
            assert!(words.len() <= MOST_WORDS && words.iter().all(|word| word.chars().count() <= LONGEST_WORD));
        }
        assert_eq!(likeness(&many, &long), Some(Different));
        assert_eq!(likeness("Ram Kumar Sharma", &format!("Ram Kumar Sharma {}", "x".repeat(9_000_000))), Some(Similar));
    }

    #[test]
    fn a_name_is_as_like_another_as_that_to_it() {
        let names = ["Ram Kumar Sharma", "राम शर्मा", "Sita Devi", "Sita", "M K Gandhi", "मोहनदास गांधी"];
        for a in names {
            assert_eq!(likeness(a, a), Some(Same));
            for b in names {
                assert_eq!(likeness(a, b), likeness(b, a), "{a} / {b}");
            }
        }
    }
}
