//! A decision in words, for the member: a page to print, in a language of the desk.
//!
//! It names the member's own submission and nobody else's. The run's details often name other members and workers, so they
//! stand in a letter only where all reasons are about the member's own picture.

use askama::Template;

use super::super::files;
use super::super::request::Refusal;
use super::super::views::instant;
use super::desk::Rows;
use super::list::Judged;
use crate::decisions::{Question, SettledRow};
use crate::dump::RowFacts;
use crate::matching::UNKNOWN_TIME;
use crate::reason::Reason;
use crate::verdict::RowDecision;

#[derive(Template)]
#[template(path = "letter.html")]
struct Page {
    language: &'static str,
    title: String,
    date: String,
    greeting: String,
    sent: String,
    verdict: String,
    reasons_head: String,
    reasons: Vec<String>,
    detail: Option<String>,
    outcome: Option<String>,
    advice_head: String,
    advice: Vec<&'static str>,
    right: String,
    signature: String,
}

/// The letter about a row, as HTML.
///
/// # Errors
/// [`Refusal::Unknown`] for a row or a language that is not there.
pub fn letter(rows: &Rows, item: &str, language: &str) -> Result<String, Refusal> {
    let language = files::languages().into_iter().find(|code| *code == language).ok_or(Refusal::Unknown)?;
    let (judged, settled, facts) = rows.for_letter(item)?;
    page(&judged, settled.as_ref(), &facts, language).render().map_err(|_| Refusal::Unknown)
}

fn page(judged: &Judged, settled: Option<&SettledRow>, facts: &RowFacts, language: &'static str) -> Page {
    let word = |key: &str| files::word(language, key).to_owned();
    let filled = |key: &str, values: &[(&str, &str)]| {
        values.iter().fold(word(key), |text, (slot, value)| text.replace(&format!("{{{slot}}}"), value))
    };
    let reason_words = |reason: &Reason| word(&format!("reason_{}", reason.code()));
    let decision = settled.and_then(RowDecision::of);
    let is_own_picture = judged.reasons.iter().all(|&reason| Question::about(reason) == Question::Liveness);
    let advised = judged.reasons.iter().filter_map(|reason| reason.advice());
    let mut advice: Vec<&'static str> =
        advised.map(|sentence| if language == "hi" { sentence.hindi } else { sentence.english }).collect();
    advice.dedup();
    let unknown = word("unknown");
    let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| unknown.clone());
    let taken = match judged.side.captured_at {
        UNKNOWN_TIME => unknown.clone(),
        at => instant(at).replace('T', " ").replace('Z', " UTC"),
    };
    Page {
        language,
        title: filled("letter_title", &[("submission", &judged.side.submission)]),
        date: jiff::Zoned::now().date().to_string(),
        greeting: filled("letter_greeting", &[("name", facts.member_name.as_deref().unwrap_or_default())]),
        sent: filled(
            "letter_sent",
            &[("at", &taken), ("district", &judged.district), ("booth", &or_unknown(&facts.booth_id))],
        ),
        verdict: word(&format!("letter_verdict_{}", judged.verdict.code())),
        reasons_head: word("letter_reasons"),
        reasons: judged.reasons.iter().map(reason_words).collect(),
        detail: judged.detail.clone().filter(|_| is_own_picture),
        outcome: decision.map(|decision| word(&format!("letter_{}", decision.code()))),
        advice_head: word("letter_advice"),
        advice,
        right: word("letter_right"),
        signature: word("letter_signature"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decisions::{Appealed, RowAnswer, Side};
    use crate::reason::Verdict;

    fn judged(reasons: &[Reason]) -> Judged {
        Judged {
            side: Side { submission: "S<1>".into(), worker: "W".into(), captured_at: 0, earlier_night: false },
            row: 0,
            question: Question::Liveness,
            held_against: reasons.to_vec(),
            district: "Ujjain".into(),
            verdict: Verdict::Reject,
            reasons: reasons.to_vec(),
            detail: Some("the picture of S99 (worker W7)".into()),
            duplicate_of: None,
            member_liveness: None,
            worker_liveness: None,
            photo_similarity: None,
            quality: None,
            faces: Vec::new(),
        }
    }

    #[test]
    fn a_letter_tells_its_reasons_and_the_outcome_in_each_language_and_nothing_of_others() {
        let appeal = Some(Appealed::Decided);
        let answer = Some(RowAnswer::Overturn);
        let settled = SettledRow { answer, reasons: vec![], member_face: None, people: 1, disputed: false, appeal };
        let facts = RowFacts { member_name: Some("Asha <b>".into()), ..RowFacts::default() };
        for language in files::languages() {
            let judged = judged(&[Reason::PhotoOfPhoto, Reason::DuplicateSelfie]);
            let html = page(&judged, Some(&settled), &facts, language).render().unwrap();
            for key in ["reason_photo_of_photo", "reason_duplicate_selfie", "letter_appeal_granted", "letter_right"] {
                let text = files::word(language, key);
                assert!(text != key && html.contains(text), "{language}: {key}\n{html}");
            }
            assert!(html.contains("S&#60;1&#62;") && html.contains("Asha &#60;b&#62;"), "as text, not as markup");
            assert!(!html.contains("S99") && !html.contains("W7"), "nobody else is named");
        }
        let own = page(&judged(&[Reason::PhotoOfPhoto]), None, &facts, "en").render().unwrap();
        assert!(own.contains("S99"), "details of one's own picture stand in it");
    }

    #[test]
    fn every_verdict_and_decision_has_its_words() {
        use RowDecision::*;
        let decisions = [Upheld, Overturned, Retake, Disputed, AppealOpen, AppealGranted, AppealRefused, AppealRetake];
        let decided = decisions.map(|decision| format!("letter_{}", decision.code()));
        let verdicts = Verdict::ALL.map(|verdict| format!("letter_verdict_{}", verdict.code()));
        for language in files::languages() {
            for key in decided.iter().chain(&verdicts) {
                assert_ne!(files::word(language, key), key, "{language}");
            }
        }
    }
}
