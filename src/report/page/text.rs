//! Every text of the page, in English and in Hindi.
//!
//! `{0}`, `{1}` stand for what is put in. Keys with a first part are families: `v.` verdicts, `r.` reasons, `w.` the
//! review queue's kinds, `d.` decisions, `e.` levels of evidence, `q.` complaints of quality, `a.` advice, `p.` peers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::config::policy::Language;
use crate::reason::{Reason, Sentence};

/// Key, English, Hindi.
pub const TEXTS: &[(&str, &str, &str)] = &[
    ("title", "Night report", "रात की रिपोर्ट"),
    ("skip", "Skip to the content", "सीधे सामग्री पर जाएँ"),
    ("controls", "Language and appearance", "भाषा और रूप"),
    ("dark", "Dark", "गहरा रंग"),
    ("print", "Print", "प्रिंट करें"),
    ("sections", "Sections", "खंड"),
    ("nav.todo", "To do", "क्या करना है"),
    ("h.todo", "What to do today", "आज क्या करना है"),
    ("todo.none", "Nothing asks for anybody today.", "आज किसी के लिए कुछ करना बाकी नहीं है।"),
    ("todo.more", "and {0} more", "और {0}"),
    ("todo.call", "Call these workers", "इन कार्यकर्ताओं को फ़ोन करें"),
    (
        "todo.call.why",
        "They stand out among their peers for more than poor pictures. Listen first: it is a reason to ask, not a proof.",
        "ये कार्यकर्ता साथियों से अलग दिखते हैं, और बात केवल ख़राब फ़ोटो की नहीं है। पहले उनकी बात सुनें: यह पूछने का कारण है, साक्ष्य नहीं।",
    ),
    ("todo.look", "Look at these", "इन्हें देखें"),
    (
        "todo.look.why",
        "Persons who may be enrolled twice, and photos that may be of photos. “chehra review RUN” opens them one by one.",
        "ऐसे व्यक्ति जो शायद दो बार जुड़े हैं, और ऐसी फ़ोटो जो शायद फ़ोटो की फ़ोटो हैं। “chehra review RUN” से एक-एक करके देखें।",
    ),
    ("todo.teach", "Tell these workers how to take the picture", "इन कार्यकर्ताओं को बताएँ कि फ़ोटो कैसे लें"),
    (
        "todo.teach.why",
        "Their pictures have to be taken again. What to say to each stands in the worker’s page.",
        "इनकी फ़ोटो दोबारा लेनी हैं। किससे क्या कहना है, यह हर कार्यकर्ता के पृष्ठ पर लिखा है।",
    ),
    ("todo.outside", "Workers outside their booth", "अपने बूथ से बाहर के कार्यकर्ता"),
    (
        "todo.outside.why",
        "They sent members of other booths than the table of workers gives them.",
        "इन्होंने उन बूथों के सदस्य भेजे जो कार्यकर्ताओं की तालिका में इनके नहीं हैं।",
    ),
    ("todo.empty", "Booths without a worker", "बिना कार्यकर्ता के बूथ"),
    (
        "todo.empty.why",
        "They have a target, no worker in the table of workers, and sent nothing.",
        "इनका लक्ष्य है, पर कार्यकर्ताओं की तालिका में कोई कार्यकर्ता नहीं, और यहाँ से कुछ नहीं आया।",
    ),
    (
        "drill.lead",
        "Open a name to go down: division, district, sector, mandalam, booth, worker. Peers are the other rows of the same list together.",
        "नीचे जाने के लिए नाम खोलें: संभाग, ज़िला, सेक्टर, मंडलम, बूथ, कार्यकर्ता। साथी का अर्थ है उसी सूची की बाकी सब पंक्तियाँ मिलाकर।",
    ),
    (
        "fakes.mean",
        "Of what was flagged, about {0} memberships are expected to be fake (95 %: {1} to {2}), by the grades of pairs, by liveness and by decisions. Fakes that no check found are not in it.",
        "जो चिह्नित हुआ, उसमें लगभग {0} सदस्यताएँ नक़ली होने का अनुमान है (95 %: {1} से {2}); आधार: जोड़ियों की श्रेणी, चेहरे के असली होने की संभावना और निर्णय। जिन्हें कोई जाँच नहीं पकड़ पाई, वे इसमें नहीं हैं।",
    ),
    ("fakes", "Fake, estimate", "नक़ली, अनुमान"),
    ("fee", "Fee of these, ₹", "इनका शुल्क, ₹"),
    ("target", "Target", "लक्ष्य"),
    ("won", "Accepted tonight, of target", "आज रात स्वीकृत, लक्ष्य में से"),
    ("c.drill", "{0} rows; what is not accepted most first", "{0} पंक्तियाँ; जहाँ सबसे ज़्यादा स्वीकृत नहीं हुईं वे पहले"),
    ("sector", "Sector", "सेक्टर"),
    ("mandalam", "Mandalam", "मंडलम"),
    ("booth", "Booth", "बूथ"),
    ("h.everyone", "All workers", "सभी कार्यकर्ता"),
    ("c.everyone", "{0} workers", "{0} कार्यकर्ता"),
    ("filter.workers", "Find workers", "कार्यकर्ता खोजें"),
    ("find.worker", "Worker, district or booth", "कार्यकर्ता, ज़िला या बूथ"),
    ("outside", "Outside own booth", "अपने बूथ से बाहर"),
    ("home.booth", "Own booth", "अपना बूथ"),
    ("places", "Places", "स्थान"),
    ("c.why", "{0} reasons, commonest first", "{0} कारण, सबसे अधिक वाले पहले"),
    ("c.trend", "Nights of this worker: {0}", "इस कार्यकर्ता की रातें: {0}"),
    ("c.selfies", "All {0} selfies, the gravest first", "सभी {0} सेल्फ़ी, सबसे गंभीर पहले"),
    (
        "c.selfies.held",
        "{0} selfies that were not accepted; the accepted ones of this large night stand in verdicts.parquet",
        "{0} सेल्फ़ी जो स्वीकृत नहीं हुईं; इस बड़ी रात की स्वीकृत सेल्फ़ी verdicts.parquet में हैं",
    ),
    ("selfies", "Selfies", "सेल्फ़ी"),
    ("code", "Code", "कोड"),
    ("submission", "Submission", "प्रविष्टि"),
    ("taken", "Taken", "समय"),
    (
        "paper.part",
        "On paper are the first {0} of {1}; the page on the screen has the others.",
        "काग़ज़ पर {1} में से पहले {0} हैं; बाकी स्क्रीन वाले पृष्ठ पर हैं।",
    ),
    (
        "c.training",
        "For the next training: pictures to take again, by division",
        "अगले प्रशिक्षण के लिए: संभाग के अनुसार दोबारा लेने वाली फ़ोटो",
    ),
    ("nav.numbers", "Numbers", "आँकड़े"),
    ("nav.places", "Districts", "ज़िले"),
    ("nav.promises", "Promise", "भरोसा"),
    ("h.promises", "What may be promised", "क्या भरोसे से कहा जा सकता है"),
    (
        "promises.lead",
        "From calls to members drawn at random, with {0} confidence, however often one looks. Silent members count as not real.",
        "यादृच्छिक चुने गए सदस्यों को किए कॉल से, {0} विश्वास के साथ, चाहे जितनी बार देखें। जो सदस्य उत्तर नहीं देते, वे असली नहीं गिने जाते।",
    ),
    ("c.promises", "Accepted members that are not real, at most", "स्वीकृत सदस्य जो असली नहीं, अधिक से अधिक"),
    ("place", "Place", "स्थान"),
    ("the.drive", "The drive", "पूरा अभियान"),
    ("accepted.members", "Accepted members", "स्वीकृत सदस्य"),
    ("calls", "Calls", "कॉल"),
    ("at.most", "At most", "अधिक से अधिक"),
    ("found.share", "Found", "मिला"),
    ("more.calls", "More calls to the goal", "लक्ष्य तक और कॉल"),
    ("c.detectors", "Detectors, judged by members' answers and reviewers", "जाँचें, सदस्यों के उत्तरों और समीक्षकों के अनुसार"),
    ("detector", "Detector", "जाँच"),
    ("judged", "Judged", "परखे गए"),
    ("recall", "Finds", "पकड़ता है"),
    ("precision", "Right", "सही"),
    ("promised.recall", "Finds, promised (pairs)", "पकड़ता है, वादे के अनुसार (जोड़ियाँ)"),
    ("promised.precision", "Right, promised", "सही, वादे के अनुसार"),
    ("nav.call.first", "Call first", "पहले किसे फ़ोन करें"),
    ("nav.workers", "Workers", "कार्यकर्ता"),
    ("nav.persons", "Enrolled twice", "दोहरी सदस्यता"),
    ("nav.between", "Across districts", "ज़िलों के बीच"),
    ("nav.spoofs", "Photos of photos", "फ़ोटो की फ़ोटो"),
    ("nav.quality", "Picture quality", "फ़ोटो की गुणवत्ता"),
    ("nav.about", "About", "इस रिपोर्ट के बारे में"),
    (
        "noscript",
        "This browser does not run scripts here: the tables are complete, the lists with pictures need scripts.",
        "इस ब्राउज़र में स्क्रिप्ट बंद हैं: तालिकाएँ पूरी हैं, पर फ़ोटो वाली सूचियों के लिए स्क्रिप्ट चालू होनी चाहिए।",
    ),
    ("h.numbers", "The night in numbers", "रात के आँकड़े"),
    (
        "lead",
        "{0} submissions, read on {1}. All times are of the zone {2}.",
        "{0} प्रविष्टियाँ, {1} को पढ़ी गईं। सब समय {2} क्षेत्र के हैं।",
    ),
    (
        "lead.store",
        "Members were compared with each other and with {0} members of earlier nights.",
        "सदस्यों की तुलना आपस में और पिछली रातों के {0} सदस्यों से की गई।",
    ),
    (
        "lead.alone",
        "Members were compared with each other; no members of earlier nights were at hand.",
        "सदस्यों की तुलना केवल आपस में की गई; पिछली रातों के सदस्य उपलब्ध नहीं थे।",
    ),
    ("v.accept", "Accepted", "स्वीकृत"),
    ("v.retake", "Take again", "दोबारा फ़ोटो लें"),
    ("v.review", "To be reviewed", "जाँच बाकी"),
    ("v.reject", "Rejected", "अस्वीकृत"),
    ("v.unreadable", "Unreadable", "फ़ोटो नहीं खुली"),
    ("tile.persons", "Persons enrolled twice or more", "दो या अधिक बार जुड़े व्यक्ति"),
    ("tile.cross", "Of these, in several districts", "इनमें से कई ज़िलों में"),
    ("tile.pairs", "Flagged pairs", "चिह्नित जोड़ियाँ"),
    (
        "expected.poor",
        "Warning: the scores of different people here follow no known curve, so a shipped curve stands in. Look at the pairs before you trust the numbers.",
        "चेतावनी: यहाँ अलग-अलग लोगों के अंक किसी ज्ञात वक्र पर नहीं बैठते, इसलिए साथ आया वक्र लिया गया है। संख्याओं पर भरोसा करने से पहले जोड़ियाँ देखें।",
    ),
    (
        "expected.false",
        "Chance alone is expected to put {0} false pairs into the whole gallery at this bar (at most {1} with 95 % confidence). A face match sends to review; it never rejects anybody by itself.",
        "इस सीमा पर पूरे संग्रह में केवल संयोग से {0} ग़लत जोड़ियाँ बनने का अनुमान है (95 % विश्वास के साथ अधिक से अधिक {1})। चेहरा मिलने पर प्रविष्टि जाँच के लिए भेजी जाती है; केवल इस आधार पर किसी को अस्वीकार नहीं किया जाता।",
    ),
    ("h.reasons", "Reasons", "कारण"),
    (
        "c.reasons",
        "How often each reason was given; a submission may have several",
        "हर कारण कितनी बार मिला; एक प्रविष्टि के कई कारण हो सकते हैं",
    ),
    ("reason", "Reason", "कारण"),
    ("verdict", "Verdict", "निर्णय"),
    ("submissions", "Submissions", "प्रविष्टियाँ"),
    ("share", "Share", "हिस्सा"),
    ("usual", "Earlier nights", "पिछली रातें"),
    ("none", "None", "कोई नहीं"),
    ("h.nights", "Against earlier nights", "पिछली रातों से तुलना"),
    ("no.nights", "No run folders of earlier nights lie beside this one.", "इस फ़ोल्डर के साथ पिछली रातों के फ़ोल्डर नहीं हैं।"),
    (
        "f.nights",
        "Share of submissions that were not accepted, night by night; the last bar is this night",
        "हर रात कितने हिस्से की प्रविष्टियाँ स्वीकृत नहीं हुईं; आख़िरी पट्टी इस रात की है",
    ),
    ("c.nights", "Nights and their shares by verdict", "रातें और निर्णय के अनुसार हिस्से"),
    ("night", "Night", "रात"),
    ("read.on", "Read on", "पढ़ने की तारीख़"),
    ("this", "this night", "यह रात"),
    ("persons.twice", "Persons twice or more", "दो या अधिक बार जुड़े व्यक्ति"),
    ("h.places", "Divisions and districts", "संभाग और ज़िले"),
    (
        "f.places",
        "Share of submissions that were not accepted, by district, largest first",
        "ज़िले के अनुसार कितने हिस्से की प्रविष्टियाँ स्वीकृत नहीं हुईं, सबसे बड़ा हिस्सा पहले",
    ),
    ("c.divisions", "Divisions", "संभाग"),
    ("c.places", "Districts", "ज़िले"),
    ("division", "Division", "संभाग"),
    ("district", "District", "ज़िला"),
    ("other.district", "and district", "और ज़िला"),
    ("not.given", "not given", "नहीं दिया गया"),
    ("held", "Not accepted", "स्वीकृत नहीं"),
    ("spoofs", "Photos of photos", "फ़ोटो की फ़ोटो"),
    ("duplicates", "Duplicates", "दोहराव"),
    ("stands.out", "Stands out", "औरों से अलग"),
    ("others", "Other workers", "अन्य कार्यकर्ता"),
    ("h.call.first", "Enrolled from home? Call these workers first", "घर बैठे जोड़े गए? पहले इन कार्यकर्ताओं को फ़ोन करें"),
    (
        "call.first.lead",
        "Where, when and with which phone they enrol differs most from their peers. That is no proof: a camp, a family or a village with one phone looks the same. Ask before you judge.",
        "ये कहाँ, कब और किस फ़ोन से सदस्य जोड़ते हैं, यह साथियों से सबसे अलग है। यह सबूत नहीं है: शिविर, परिवार या एक ही फ़ोन वाला गाँव भी ऐसा ही दिखता है। निर्णय से पहले पूछें।",
    ),
    (
        "c.call.first",
        "{0} of {1} workers, those with the strongest evidence first",
        "{1} में से {0} कार्यकर्ता, सबसे मज़बूत संकेत वाले पहले",
    ),
    ("call.first.score", "Evidence (log10)", "संकेत की मज़बूती (log10)"),
    ("h.workers", "Workers who stand out", "औरों से अलग दिखने वाले कार्यकर्ता"),
    (
        "q.means",
        "The q-value says how far to trust the list: of all entries listed up to q = {0}, about {1} in 100 are expected to be there by chance alone.",
        "q-मान बताता है कि सूची पर कितना भरोसा करें: q = {0} तक के जो भी नाम सूची में हैं, उनमें से लगभग 100 में {1} के केवल संयोग से सूची में होने का अनुमान है।",
    ),
    (
        "q.more",
        "Each worker is compared with the other submissions of the same district. Listed are those with at least {0} submissions and a rate at least {1} times that of their peers. It is a reason to look, not a proof: poor light or an old phone stand out too.",
        "हर कार्यकर्ता की तुलना उसी ज़िले की बाकी प्रविष्टियों से की जाती है। सूची में वे हैं जिनकी कम से कम {0} प्रविष्टियाँ हैं और जिनकी दर साथियों से कम से कम {1} गुना है। यह देखने का कारण है, साक्ष्य नहीं: कम रोशनी या पुराना फ़ोन भी अलग दिखता है।",
    ),
    (
        "no.workers",
        "None of {0} workers stands out from the peers.",
        "{0} कार्यकर्ताओं में से कोई भी अपने साथियों से अलग नहीं दिखता।",
    ),
    (
        "c.workers",
        "{0} of {1} entries, of {2} workers in all, surest first",
        "{1} में से {0} मामले, कुल {2} कार्यकर्ताओं में से, सबसे पक्के पहले",
    ),
    ("c.booths", "Booths that stand out in the same way", "इसी तरह अलग दिखने वाले बूथ"),
    ("unit", "Worker or booth", "कार्यकर्ता या बूथ"),
    ("worker", "Worker", "कार्यकर्ता"),
    ("count", "With it", "कारण वाली"),
    ("rate", "Rate", "दर"),
    ("peer.rate", "Peers", "साथी"),
    ("times", "Times", "गुना"),
    ("q.value", "q-value", "q-मान"),
    (
        "f.workers",
        "Each worker by number of submissions (across) and share not accepted (up); larger dots are several workers",
        "हर कार्यकर्ता: प्रविष्टियों की संख्या (बाएँ से दाएँ) और स्वीकृत न हुआ हिस्सा (नीचे से ऊपर); बड़े बिंदु कई कार्यकर्ता हैं",
    ),
    ("p.district", "district", "ज़िला"),
    ("p.division", "division", "संभाग"),
    ("p.all", "all", "सभी"),
    ("h.persons", "Persons enrolled more than once", "एक से अधिक बार जुड़े व्यक्ति"),
    (
        "persons.lead",
        "Faces that agree, in the order in which a look is worth most: fraud across districts that repeats first, innocent retries last. The earliest membership is marked; that is an order in time, not a culprit.",
        "मिलते-जुलते चेहरे, उस क्रम में जिसमें देखना सबसे उपयोगी है: पहले कई ज़िलों में बार-बार होने वाली धोखाधड़ी, अंत में अनजाने दोहराव। सबसे पहली सदस्यता चिह्नित है; यह समय का क्रम है, दोषी का नहीं।",
    ),
    (
        "persons.shown",
        "The page lists {0} of {1} persons; {2} flagged pairs did not become one person and follow behind.",
        "यहाँ {1} में से {0} व्यक्ति हैं; {2} चिह्नित जोड़ियाँ एक व्यक्ति नहीं बनीं, वे अंत में हैं।",
    ),
    ("persons.pictures", "The first {0} have pictures.", "पहले {0} के साथ फ़ोटो हैं।"),
    (
        "no.pictures",
        "This page was made without the dump, so it has no pictures; “chehra report RUN --dump DUMP” puts them in.",
        "यह पृष्ठ डंप के बिना बना है, इसलिए इसमें फ़ोटो नहीं हैं; “chehra report RUN --dump DUMP” से फ़ोटो जुड़ जाएँगे।",
    ),
    ("no.persons", "Nobody was found twice.", "कोई भी दो बार नहीं मिला।"),
    ("filter", "Find persons", "व्यक्ति खोजें"),
    ("find", "Submission, worker or district", "प्रविष्टि, कार्यकर्ता या ज़िला"),
    ("kind", "Kind", "प्रकार"),
    ("kind.all", "All", "सभी"),
    ("w.cross_district_repeated", "Several districts, repeated", "कई ज़िलों में, बार-बार"),
    ("w.cross_district", "Several districts", "कई ज़िलों में"),
    ("w.repeated", "One district, repeated", "एक ज़िले में, बार-बार"),
    ("w.one_district", "One district", "एक ज़िले में"),
    ("w.retry", "Probably another try", "शायद दोबारा कोशिश"),
    ("w.pair", "A pair only", "केवल एक जोड़ी"),
    ("showing", "{0} to {1} of {2}", "{2} में से {0} से {1}"),
    ("first", "First", "पहला"),
    ("previous", "Previous", "पिछला"),
    ("next", "Next", "अगला"),
    ("last", "Last", "आख़िरी"),
    ("page", "Page {0} of {1}", "पृष्ठ {0} / {1}"),
    ("memberships", "{0} memberships", "{0} सदस्यताएँ"),
    ("cross", "several districts", "कई ज़िले"),
    ("g.near_certain", "near certain", "लगभग निश्चित"),
    ("g.likely", "likely", "संभावित"),
    ("g.possible", "possible", "हो सकता है"),
    ("g.none", "less than even", "आधे से कम"),
    ("sure", "How sure", "कितना पक्का"),
    ("original", "earliest", "सबसे पहली"),
    ("night.earlier", "An earlier night", "पिछली रात"),
    (
        "picture.earlier",
        "Picture of an earlier night: its run folder or dump is not at hand",
        "पिछली रात की फ़ोटो: उसका रन फ़ोल्डर या डंप उपलब्ध नहीं है",
    ),
    ("picture.none", "No picture on this page", "इस पृष्ठ पर फ़ोटो नहीं"),
    ("picture.broken", "The picture cannot be shown", "फ़ोटो दिखाई नहीं जा सकती"),
    ("more.members", "and {0} more memberships, in clusters.parquet", "और {0} सदस्यताएँ, clusters.parquet में"),
    ("c.links", "{0} of {1} flagged pairs, most similar first", "{1} में से {0} चिह्नित जोड़ियाँ, सबसे मिलती-जुलती पहले"),
    ("pair", "Pair", "जोड़ी"),
    ("evidence", "Evidence", "साक्ष्य"),
    ("d.confirmed", "reviewed: one person", "जाँच: एक ही व्यक्ति"),
    ("d.cleared", "reviewed: two people", "जाँच: दो अलग व्यक्ति"),
    ("d.not_sure", "reviewed: not sure", "जाँच: निश्चित नहीं"),
    ("alt.face", "Face of the member in submission {0}", "प्रविष्टि {0} में सदस्य का चेहरा"),
    ("alt.selfie", "Selfie of submission {0}", "प्रविष्टि {0} की सेल्फ़ी"),
    ("h.evidence", "How to read the evidence", "साक्ष्य कैसे पढ़ें"),
    (
        "evidence.means",
        "Each part is a power of ten: +2 makes “the same person” a hundred times likelier than “two people”, −1 ten times less likely. Parts add up. How much each weighs was fitted on this night’s own pairs.",
        "हर अंश दस की घात है: +2 का अर्थ है कि “एक ही व्यक्ति” होना “दो व्यक्ति” होने से सौ गुना अधिक संभव है, −1 का अर्थ दस गुना कम। अंश जुड़ते हैं। हर अंश का भार इसी रात की जोड़ियों से निकाला गया है।",
    ),
    ("e.face", "face", "चेहरा"),
    ("e.other mobile", "other mobile", "मोबाइल अलग"),
    ("e.near mobile", "mobile nearly the same", "मोबाइल लगभग वही"),
    ("e.same mobile", "same mobile", "मोबाइल वही"),
    ("e.other EPIC", "other voter ID", "मतदाता पहचान-पत्र अलग"),
    ("e.near EPIC", "voter ID nearly the same", "मतदाता पहचान-पत्र लगभग वही"),
    ("e.same EPIC", "same voter ID", "मतदाता पहचान-पत्र वही"),
    ("e.other district", "other district", "ज़िला अलग"),
    ("e.same district", "same district", "ज़िला वही"),
    ("e.same booth", "same booth", "बूथ वही"),
    ("e.same worker", "same worker", "कार्यकर्ता वही"),
    ("e.weeks apart", "weeks apart", "हफ़्तों का अंतर"),
    ("e.within a week", "within a week", "सात दिन के भीतर"),
    ("e.within a day", "within 24 hours", "24 घंटे के भीतर"),
    ("e.within an hour", "within an hour", "एक घंटे के भीतर"),
    // As earlier versions called them.
    ("e.same week", "within a week", "सात दिन के भीतर"),
    ("e.same day", "within 24 hours", "24 घंटे के भीतर"),
    ("e.same hour", "within an hour", "एक घंटे के भीतर"),
    ("e.other name", "other name", "नाम अलग"),
    ("e.name in part", "name in part", "नाम आंशिक रूप से वही"),
    ("e.similar name", "similar name", "मिलता-जुलता नाम"),
    ("e.same name", "same name", "नाम वही"),
    ("e.other picture", "other picture", "फ़ोटो अलग"),
    ("e.same picture", "same picture", "फ़ोटो वही"),
    ("h.between", "Duplicates across districts", "ज़िलों के बीच दोहरी सदस्यता"),
    (
        "between.lead",
        "Persons enrolled in both districts. A person in three districts counts for each two of them.",
        "दोनों ज़िलों में जुड़े व्यक्ति। तीन ज़िलों वाला व्यक्ति हर दो ज़िलों के लिए गिना गया है।",
    ),
    (
        "c.between",
        "{0} of {1} pairs of districts, most persons first",
        "ज़िलों की {1} में से {0} जोड़ियाँ, सबसे अधिक व्यक्ति पहले",
    ),
    ("no.between", "Nobody was found in two districts.", "कोई भी दो ज़िलों में नहीं मिला।"),
    ("h.spoofs", "Photos of photos", "फ़ोटो की फ़ोटो"),
    (
        "spoofs.lead",
        "Selfies in which the worker’s or the member’s face was photographed from a print or a screen (liveness below {0}, rejected), or may have been (below {1}, to be looked at). Rejected ones first, surest first; then the suspected ones of workers who send far more of them than their peers; then the others. The frames mark the faces that were judged.",
        "वे सेल्फ़ी जिनमें कार्यकर्ता या सदस्य का चेहरा काग़ज़ या स्क्रीन से लिया गया (जीवंतता {0} से कम, अस्वीकृत), या शायद लिया गया हो (जीवंतता {1} से कम, जाँचनी है)। पहले अस्वीकृत, सबसे पक्की पहले; फिर उन कार्यकर्ताओं की संदिग्ध सेल्फ़ी जो साथियों से कहीं अधिक ऐसी भेजते हैं; फिर बाकी। चौखटे उन चेहरों पर हैं जिन्हें परखा गया।",
    ),
    ("spoofs.shown", "The page lists {0} of {1}.", "यहाँ {1} में से {0} हैं।"),
    ("spoofs.pictures", "The first {0} have pictures.", "पहले {0} के साथ फ़ोटो हैं।"),
    ("no.spoofs", "No photo of a photo was found.", "कोई फ़ोटो की फ़ोटो नहीं मिली।"),
    ("role.worker", "Probability that the worker’s face is live", "कार्यकर्ता का चेहरा असली होने की संभावना"),
    ("role.member", "Probability that the member’s face is live", "सदस्य का चेहरा असली होने की संभावना"),
    ("role.bystander", "Probability that the bystander’s face is live", "पास खड़े व्यक्ति का चेहरा असली होने की संभावना"),
    ("h.quality", "Pictures to take again", "दोबारा लेने वाली फ़ोटो"),
    (
        "quality.lead",
        "What workers can do better. These are no accusations: tell the worker, and the next picture will do.",
        "कार्यकर्ता क्या बेहतर कर सकते हैं। यह कोई आरोप नहीं है: कार्यकर्ता को बता दें, अगली फ़ोटो ठीक आएगी।",
    ),
    (
        "c.quality",
        "{0} of {1} workers with such pictures, most first",
        "ऐसी फ़ोटो वाले {1} में से {0} कार्यकर्ता, सबसे अधिक पहले",
    ),
    ("no.quality", "No picture has to be taken again for its quality.", "गुणवत्ता के कारण कोई फ़ोटो दोबारा नहीं लेनी है।"),
    ("again", "To take again", "दोबारा लेनी हैं"),
    ("advice", "What to tell the worker", "कार्यकर्ता से क्या कहें"),
    ("q.liveness_unsure", "Face or photo? Unclear", "चेहरा या फ़ोटो? अस्पष्ट"),
    ("q.face_too_small", "Too far", "बहुत दूर"),
    ("q.face_blurred", "Blurred", "धुँधली"),
    ("q.face_covered", "Dark, bright or covered", "अँधेरा, तेज़ रोशनी या ढका चेहरा"),
    ("q.face_turned", "Turned away", "चेहरा मुड़ा हुआ"),
    ("q.one_face", "One face only", "केवल एक चेहरा"),
    ("q.no_face", "No face", "चेहरा नहीं"),
    ("q.unreadable_image", "Unreadable file", "फ़ोटो नहीं खुली"),
    ("q.image_too_large", "File too large", "फ़ाइल बहुत बड़ी"),
    ("h.about", "About this report", "इस रिपोर्ट के बारे में"),
    (
        "about.lead",
        "Made by chehra from the run folder; the tables there have every row, this page a selection.",
        "chehra ने इसे रन फ़ोल्डर से बनाया है; वहाँ की तालिकाओं में हर पंक्ति है, इस पृष्ठ पर चुनी हुई।",
    ),
    (
        "about.private",
        "This page holds faces. It is readable by its owner alone, loads nothing from any network, and mobile and voter-ID numbers are masked. Keep it where only those who review may read it, and delete it when the review is done.",
        "इस पृष्ठ में चेहरे हैं। इसे केवल इसका स्वामी पढ़ सकता है, यह नेटवर्क से कुछ नहीं लेता, और मोबाइल व मतदाता पहचान-पत्र संख्याएँ छिपाई गई हैं। इसे वहीं रखें जहाँ केवल जाँच करने वाले पढ़ सकें, और जाँच पूरी होने पर हटा दें।",
    ),
    (
        "about.font",
        "Hindi is shown in the system’s own Devanagari font (Noto Sans Devanagari, Nirmala UI, Kohinoor Devanagari, Mangal or Lohit).",
        "हिन्दी आपके सिस्टम के देवनागरी फ़ॉन्ट में दिखती है (Noto Sans Devanagari, Nirmala UI, Kohinoor Devanagari, Mangal या Lohit)।",
    ),
    ("about.run", "Run", "रन"),
    ("about.version", "Version", "संस्करण"),
    ("about.models", "Networks", "नेटवर्क"),
    ("about.device", "Device", "उपकरण"),
    ("about.inputs", "Files of the dump", "डंप की फ़ाइलें"),
    ("about.gallery", "Members compared", "तुलना किए गए सदस्य"),
    ("about.similarity", "A pair is flagged from similarity", "जोड़ी इस समानता से चिह्नित होती है"),
    ("about.queue", "Review queue", "जाँच की सूची"),
    ("any", "Any verdict but accepted", "स्वीकृत के अलावा कोई भी निर्णय"),
    ("r.required_field_missing", "A required value is missing", "ज़रूरी जानकारी नहीं है"),
    ("r.submission_id_repeated", "Submission id used before", "प्रविष्टि संख्या पहले भी आई है"),
    ("r.erased_before", "Erased on request, no new consent", "अनुरोध पर मिटाई गई, नई सहमति नहीं"),
    ("r.unreadable_image", "Picture cannot be read", "फ़ोटो नहीं खुली"),
    ("r.image_too_large", "Picture too large", "फ़ोटो बहुत बड़ी"),
    ("r.no_face", "No face", "कोई चेहरा नहीं"),
    ("r.one_face", "Only one face", "केवल एक चेहरा"),
    ("r.too_many_faces", "Too many faces in front", "सामने दो से ज़्यादा लोग"),
    ("r.worker_unknown", "Worker’s face not yet known", "कार्यकर्ता का चेहरा अभी ज्ञात नहीं"),
    ("r.worker_absent", "Worker is not in the selfie", "सेल्फ़ी में कार्यकर्ता नहीं है"),
    ("r.stand_in", "A stand-in in several workers’ place", "कई कार्यकर्ताओं की जगह एक ही चेहरा"),
    ("r.worker_mismatch", "Another person in the worker’s place", "कार्यकर्ता की जगह कोई और"),
    ("r.member_is_worker", "Member is the worker", "सदस्य स्वयं कार्यकर्ता है"),
    ("r.member_is_other_worker", "Member is another worker", "सदस्य कोई दूसरा कार्यकर्ता है"),
    ("r.photo_of_photo", "Photo of a photo", "फ़ोटो की फ़ोटो"),
    ("r.photo_of_photo_suspected", "Perhaps a photo of a photo", "शायद फ़ोटो की फ़ोटो"),
    ("r.composite_suspected", "Perhaps a screenshot, or two pictures joined", "शायद स्क्रीनशॉट, या दो फ़ोटो जोड़ी गई हैं"),
    (
        "r.liveness_unsure",
        "Too dark, bright, grainy or small to tell a face from a photo",
        "अँधेरे, तेज़ रोशनी, दानेदार या छोटी फ़ोटो के कारण चेहरा असली है या फ़ोटो, कहा नहीं जा सकता",
    ),
    ("r.face_too_small", "Face too small", "चेहरा बहुत छोटा"),
    ("r.face_blurred", "Face blurred", "चेहरा धुँधला"),
    ("r.face_turned", "Face turned away", "चेहरा मुड़ा हुआ"),
    ("r.face_covered", "Face covered, too dark or too bright", "चेहरा ढका, बहुत अँधेरा या बहुत उजला"),
    ("r.photo_mismatch", "Uploaded photo shows somebody else", "अपलोड की गई फ़ोटो किसी और की है"),
    ("r.duplicate_member", "Member enrolled before", "सदस्य पहले से जुड़ा है"),
    ("r.duplicate_selfie", "Same picture sent before", "यही फ़ोटो पहले भेजी जा चुकी है"),
    ("r.resubmitted", "Sent again within minutes", "कुछ ही मिनटों में दोबारा भेजी"),
    ("r.background_shared", "Same background as another worker", "दूसरे कार्यकर्ता जैसी ही पृष्ठभूमि"),
    ("r.bystander_recurs", "Same bystander behind several workers", "कई कार्यकर्ताओं के पीछे वही व्यक्ति"),
    ("r.mobile_reused", "Mobile number used for another member", "मोबाइल नंबर दूसरे सदस्य के लिए भी"),
    ("r.epic_reused", "Voter ID used for another member", "मतदाता पहचान-पत्र दूसरे सदस्य के लिए भी"),
    ("r.epic_malformed", "Voter ID not of a known form", "मतदाता पहचान-पत्र संख्या सही रूप में नहीं"),
    ("r.mobile_malformed", "Not an Indian mobile number", "भारतीय मोबाइल नंबर नहीं"),
    ("r.consent_missing", "Consent not recorded", "सहमति दर्ज नहीं है"),
    ("r.member_denied", "The member denies the enrolment", "सदस्य ने सदस्य बनने से इनकार किया"),
    ("r.number_undelivered", "The mobile number reaches nobody", "मोबाइल नंबर पर कोई नहीं मिलता"),
    ("r.booth_outside_district", "Booth lies in another district", "बूथ किसी दूसरे ज़िले में है"),
    ("r.captured_at_implausible", "Time of the picture is implausible", "फ़ोटो का समय संभव नहीं लगता"),
    ("r.text_too_long", "A text was too long and was cut", "कोई लिखी हुई जानकारी बहुत लंबी थी और काटी गई"),
    ("r.same_place", "Many of the worker’s members from one point", "कार्यकर्ता के बहुत से सदस्य एक ही जगह से"),
    ("r.same_room", "Many of the worker’s members before one wall", "कार्यकर्ता के बहुत से सदस्य एक ही दीवार के सामने"),
    ("r.burst", "Many members within minutes", "कुछ ही मिनटों में बहुत से सदस्य"),
    ("r.odd_hour", "At an hour when hardly anybody works", "ऐसे समय जब लगभग कोई काम नहीं करता"),
    ("r.regular_gaps", "Always after the same time", "हर बार ठीक उतने ही समय बाद"),
    ("r.impossible_travel", "Nobody travels so fast", "इतनी जल्दी कोई पहुँच नहीं सकता"),
    ("r.device_shared", "A phone of several accounts", "एक ही फ़ोन कई खातों में"),
    ("r.uploaded_late", "Arrived long after it was taken, or before", "फ़ोटो लेने के बहुत बाद, या उससे पहले पहुँची"),
    ("r.camera_time_differs", "Another time in the picture’s file", "फ़ोटो की फ़ाइल में दूसरा समय"),
    ("r.picture_edited", "Made by an editor or a screen", "संपादक या स्क्रीन से बनी फ़ोटो"),
];

/// The sentence of a key `a.REASON`.
fn advice_of(key: &str) -> Option<Sentence> {
    let code = key.strip_prefix("a.")?;
    Reason::ALL.iter().find(|reason| reason.code() == code)?.advice()
}

/// The English text of a key; the key itself where there is none, which a test excludes.
pub fn english(key: &str) -> &str {
    let advice = advice_of(key).map(|sentence| sentence.english);
    advice.or_else(|| TEXTS.iter().find(|text| text.0 == key).map(|text| text.1)).unwrap_or(key)
}

/// The text of a key without what is put in, for tables that are taken away.
pub fn word(key: &str, language: Language) -> &str {
    let found =
        TEXTS.iter().find(|text| text.0 == key).map(|text| if language == Language::Hi { text.2 } else { text.1 });
    found.or_else(|| advice_of(key).map(|sentence| language.of(sentence))).unwrap_or(key)
}

/// The English text with what is put in.
pub fn english_with(key: &str, values: &[&str]) -> String {
    let mut text = english(key).to_owned();
    for (at, value) in values.iter().enumerate() {
        text = text.replace(&format!("{{{at}}}"), value);
    }
    text
}

/// `{"key": ["English", "हिन्दी"], ...}` for the page's switch.
pub fn table() -> Value {
    let advice = Reason::ALL.iter().filter_map(|reason| {
        reason.advice().map(|sentence| (format!("a.{}", reason.code()), [sentence.english, sentence.hindi]))
    });
    let texts = TEXTS.iter().map(|&(key, english, hindi)| (key.to_owned(), [english, hindi]));
    json!(texts.chain(advice).collect::<BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::decisions::Answer;
    use crate::matching::decision_code;
    use crate::matching::evidence::Field;
    use crate::matching::review::Worth;
    use crate::reason::Verdict;

    fn keys() -> BTreeSet<&'static str> {
        TEXTS.iter().map(|t| t.0).collect()
    }

    #[test]
    fn every_text_is_there_in_both_languages() {
        assert_eq!(keys().len(), TEXTS.len(), "each key once");
        for (key, english, hindi) in TEXTS {
            let devanagari = hindi.chars().any(|c| ('\u{900}'..='\u{97f}').contains(&c));
            assert!(!english.is_empty() && (devanagari || *hindi == *english), "{key}: {hindi}");
            for at in 0..4 {
                let slot = format!("{{{at}}}");
                assert_eq!(english.contains(&slot), hindi.contains(&slot), "{key}: {slot}");
            }
        }
    }

    #[test]
    fn every_code_has_its_text() {
        let mut wanted: Vec<String> = Reason::ALL.iter().map(|r| format!("r.{}", r.code())).collect();
        wanted.extend(Verdict::ALL.iter().map(|v| format!("v.{}", v.code())));
        wanted.extend(Field::ALL.iter().flat_map(|f| f.levels()).map(|level| format!("e.{level}")));
        wanted.extend(super::super::night::COMPLAINTS.iter().map(|r| format!("q.{}", r.code())));
        assert!(super::super::night::COMPLAINTS.iter().all(|reason| reason.advice().is_some()));
        let kinds =
            [Worth::CrossDistrictRepeated, Worth::CrossDistrict, Worth::Repeated, Worth::OneDistrict, Worth::Retry];
        wanted.extend(kinds.map(|w| format!("w.{}", w.code())));
        wanted.extend([Answer::Same, Answer::Different, Answer::NotSure].map(|a| format!("d.{}", decision_code(a))));
        let keys = keys();
        let missing: Vec<&String> = wanted.iter().filter(|key| !keys.contains(key.as_str())).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn every_key_that_the_page_names_has_its_text() {
        let keys = keys();
        let mut named = 0;
        for (source, opening) in [
            (include_str!("report.html"), ["self.t(\"", "self.ta(\"", "self.en(\"", "data-tl=\""]),
            (include_str!("view.rs"), ["self.t(\"", "key: \"", "(\"about.", "heads(\""]),
            (include_str!("report.js"), ["say(\"span\", \"", "say(\"dt\", \"", "say(\"p\", \"", "text(\""]),
        ] {
            for open in opening {
                for part in source.split(open).skip(1) {
                    let key = part.split('"').next().unwrap();
                    let key = if open == "(\"about." { format!("about.{key}") } else { key.to_owned() };
                    // A family is completed at run time; `every_code_has_its_text` holds those.
                    if !key.ends_with('.') {
                        assert!(keys.contains(key.as_str()), "no text for {key}");
                        named += 1;
                    }
                }
            }
        }
        assert!(named > 80, "{named}");
    }
}
