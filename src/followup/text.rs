//! Texts for members, workers and callers, in English and Hindi.

use crate::config::policy::Language;
use crate::reason::{Reason, Sentence};

/// Fills `{name}`, `{worker}`, `{district}`, `{submission}` and `{reason}` into a template; what is not known is left blank.
pub fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let text = values.iter().fold(template.to_owned(), |text, (key, value)| text.replace(&format!("{{{key}}}"), value));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the worker should do better, by the reason for another selfie: a sentence without its full stop.
pub fn advice(reason: Reason, language: Language) -> &'static str {
    let again = Sentence {
        english: "Send the selfie again.", hindi: "सेल्फ़ी दोबारा भेजें।"
    };
    let sentence = reason.advice().unwrap_or(again);
    language.of(sentence).trim_end_matches(['.', '।'])
}

/// The questions of a caller, and the column into which each answer goes.
pub fn questions(language: Language) -> &'static str {
    match language {
        Language::En => QUESTIONS_EN,
        Language::Hi => QUESTIONS_HI,
    }
}

const QUESTIONS_EN: &str = "\
Questions for callers. Write the answers into callers.csv, one row for each member, and leave nothing out: a call that
nobody answered is an answer, too. Do not look up beforehand what the verdict was.

0. Dial. Wrong number, switched off or out of service: answer = undelivered. It rings and nobody speaks: answer = silent
   (after three calls at different hours).
1. Am I speaking with {name}? Did you yourself agree to become a member?
   yes: answer = confirmed    no, or knows nothing of it: answer = denied
2. Are name, booth and district as I read them to you?        no: answer = wrong_data
3. Did the worker stand beside you when the picture was taken?              in_person = yes / no
4. Was the picture taken of you there and then, not of a photo or a screen?  live = yes / no
5. Was it your first enrolment in this drive, or had anybody enrolled you before?
   the first: first_time = yes    enrolled before: first_time = no    enrolled again later: first_time = yes
Write the time of the call into at (2026-11-22T18:30:00+05:30), and never a guess: leave blank what was not asked.
";

const QUESTIONS_HI: &str = "\
कॉल करने वालों के प्रश्न। उत्तर callers.csv में लिखें, हर सदस्य की एक पंक्ति; कोई पंक्ति न छोड़ें: जिस कॉल का उत्तर न मिले, वह भी उत्तर है।
पहले से निर्णय न देखें।

0. नंबर मिलाएँ। ग़लत, बंद या सेवा में नहीं: answer = undelivered। घंटी बजे पर कोई न बोले: answer = silent (अलग-अलग समय पर तीन कॉल के बाद)।
1. क्या मैं {name} से बात कर रहा/रही हूँ? क्या आप स्वयं सदस्य बनने के लिए सहमत हुए?
   हाँ: answer = confirmed    नहीं, या पता नहीं: answer = denied
2. क्या नाम, बूथ और ज़िला सही है?                             नहीं: answer = wrong_data
3. फ़ोटो लेते समय क्या कार्यकर्ता आपके साथ खड़े थे?             in_person = yes / no
4. क्या फ़ोटो वहीं आपकी ही ली गई, किसी फ़ोटो या स्क्रीन की नहीं?  live = yes / no
5. क्या इस अभियान में यह आपका पहला नामांकन था, या किसी ने पहले भी आपका नामांकन किया था?
   पहला: first_time = yes    पहले भी हुआ था: first_time = no    बाद में फिर हुआ: first_time = yes
कॉल का समय at में लिखें (2026-11-22T18:30:00+05:30)। अनुमान न लिखें: जो नहीं पूछा, उसे ख़ाली छोड़ें।
";
