//! What the pages are made of, built into the binary: HTML, style, scripts, words and fonts.
//!
//! A language is one file of words and one line of [`LANGUAGES`]; the page fetches `words/CODE.json` before it draws.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::Deserialize;

/// The languages of the desk: code as in HTML's `lang`, and the file of its words. The first is what a text falls back to.
pub const LANGUAGES: [(&str, &str); 2] =
    [("en", include_str!("page/words.en.json")), ("hi", include_str!("page/words.hi.json"))];

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path below the desk's address, content type, content.
const FILES: [(&str, &str, &[u8]); 16] = [
    ("", HTML, include_bytes!("page/index.html")),
    ("rows", HTML, include_bytes!("page/rows.html")),
    ("calls", HTML, include_bytes!("page/calls.html")),
    ("desk.css", "text/css; charset=utf-8", include_bytes!("page/desk.css")),
    ("common.js", SCRIPT, include_bytes!("page/common.js")),
    ("frame.js", SCRIPT, include_bytes!("page/frame.js")),
    ("list.js", SCRIPT, include_bytes!("page/list.js")),
    ("pictures.js", SCRIPT, include_bytes!("page/pictures.js")),
    ("desk.js", SCRIPT, include_bytes!("page/desk.js")),
    ("person.js", SCRIPT, include_bytes!("page/person.js")),
    ("rows.js", SCRIPT, include_bytes!("page/rows.js")),
    ("calls.js", SCRIPT, include_bytes!("page/calls.js")),
    ("work.js", SCRIPT, include_bytes!("page/work.js")),
    ("icon.svg", "image/svg+xml", include_bytes!("page/icon.svg")),
    ("fonts/noto-sans-devanagari-400.woff2", "font/woff2", include_bytes!("page/fonts/noto-sans-devanagari-400.woff2")),
    ("fonts/noto-sans-devanagari-700.woff2", "font/woff2", include_bytes!("page/fonts/noto-sans-devanagari-700.woff2")),
];

/// Content type and content of a file of the pages.
pub fn find(path: &str) -> Option<(&'static str, &'static [u8])> {
    if let Some(code) = path.strip_prefix("words/").and_then(|name| name.strip_suffix(".json")) {
        let words = LANGUAGES.iter().find(|(language, _)| *language == code)?.1;
        return Some(("application/json", words.as_bytes()));
    }
    FILES.iter().find(|(name, _, _)| *name == path).map(|(_, kind, content)| (*kind, *content))
}

/// A text in a language; in the first one where that lacks it, and the key itself where nobody has it.
pub fn word(language: &str, key: &str) -> &'static str {
    static WORDS: OnceLock<Vec<(&'static str, HashMap<String, String>)>> = OnceLock::new();
    let read = |text: &str| serde_json::from_str::<Words>(text).map(|words| words.words).unwrap_or_default();
    let all = WORDS.get_or_init(|| LANGUAGES.iter().map(|(code, text)| (*code, read(text))).collect());
    let own = all.iter().filter(|(code, _)| *code == language);
    let found = own.chain(all.first()).find_map(|(_, words)| words.get(key));
    found.map_or("", String::as_str)
}

#[derive(Deserialize)]
struct Words {
    words: HashMap<String, String>,
}

/// The codes of all languages.
pub fn languages() -> Vec<&'static str> {
    LANGUAGES.iter().map(|(code, _)| *code).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::matching::evidence::Field;
    use crate::reason::{Reason, Verdict};

    #[derive(Deserialize)]
    struct AllWords {
        language_name: String,
        words: BTreeMap<String, String>,
        parts: BTreeMap<String, String>,
    }

    fn all() -> BTreeMap<&'static str, AllWords> {
        LANGUAGES.iter().map(|(code, text)| (*code, serde_json::from_str(text).unwrap())).collect()
    }

    /// The names between braces.
    fn slots(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }

    #[test]
    fn every_language_has_the_same_texts_with_the_same_slots() {
        let all = all();
        let first = &all[LANGUAGES[0].0];
        for (code, other) in &all {
            assert!(!other.language_name.is_empty());
            assert_eq!(
                first.words.keys().collect::<Vec<_>>(),
                other.words.keys().collect::<Vec<_>>(),
                "words of {code}"
            );
            assert_eq!(
                first.parts.keys().collect::<Vec<_>>(),
                other.parts.keys().collect::<Vec<_>>(),
                "parts of {code}"
            );
            for (key, text) in &other.words {
                assert!(!text.trim().is_empty(), "{code}: {key}");
                assert_eq!(slots(&first.words[key]), slots(text), "{code}: {key}");
            }
        }
    }

    #[test]
    fn every_reason_verdict_and_word_that_a_page_names_has_its_text() {
        let english = &all()[LANGUAGES[0].0].words;
        let reasons = Reason::ALL.iter().map(|reason| format!("reason_{}", reason.code()));
        let verdicts = Verdict::ALL.iter().map(|verdict| format!("verdict_{}", verdict.code()));
        let mut wanted: Vec<String> = reasons.chain(verdicts).collect();
        let coded = wanted.len();
        for (_, _, content) in FILES.iter().filter(|(_, kind, _)| [HTML, SCRIPT].contains(kind)) {
            let text = std::str::from_utf8(content).unwrap();
            for opening in ["data-word=\"", "word(\""] {
                wanted.extend(text.split(opening).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
        assert!(wanted.len() > coded + 100, "{}", wanted.len());
        let missing: Vec<&String> = wanted.iter().filter(|key| !english.contains_key(key.as_str())).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let parts = &all()[LANGUAGES[0].0].parts;
        assert!(Field::ALL.iter().flat_map(|field| field.levels()).all(|level| parts.contains_key(*level)));
    }

    #[test]
    fn a_file_is_found_by_its_path_alone() {
        assert!(find("").is_some_and(|(kind, html)| kind == HTML && html.starts_with(b"<!doctype html>")));
        assert!(find("words/hi.json").is_some_and(|(_, words)| words.starts_with(b"{")));
        assert!(find("fonts/noto-sans-devanagari-400.woff2").is_some_and(|(_, font)| font.starts_with(b"wOF2")));
        assert_eq!((find("words/xx.json"), find("fonts/OFL.txt"), find("../Cargo.toml")), (None, None, None));
    }
}
