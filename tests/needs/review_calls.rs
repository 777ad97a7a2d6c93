//! The page of calls in a real browser: keys alone, both languages, light and dark, desktop and phone.

use serde_json::json;

use crate::chromium::Chromium;
use crate::review::client::{Desk, lines, runs};
use crate::review_page::assert_fits;
use crate::util::{Place, chehra, run};

const READY: &str = "(() => { const member = document.querySelector('#member'); if (!member || member.hidden) return false; \
     const shown = [...document.images]; return shown.length > 0 && shown.every((i) => i.complete && i.naturalWidth > 0); })()";

/// A desk with calls, and its log of calls.
fn desk(place: &Place, calls: &str) -> (Desk, std::path::PathBuf) {
    let (sample, log) = (place.path("list.sample"), place.path("calls.jsonl"));
    let mut command = chehra();
    command.arg("sample").arg(runs().join("one")).args(["--calls", calls, "--seed", "7", "--out"]).arg(&sample);
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    let promise = place.path("promise");
    let (code, _, stderr) = run(chehra().arg("assurance").arg(&sample).arg("--out").arg(&promise));
    assert_eq!(code, 0, "{stderr}");
    let promise = promise.join("assurance.json");
    let files = [("--calls", &sample), ("--call-log", &log), ("--assurance", &promise)];
    let files = files.iter().flat_map(|(flag, path)| [*flag, path.to_str().unwrap()]);
    let flags: Vec<&str> = files.chain(["--reviewer", "Asha Rao"]).collect();
    (Desk::start(&runs().join("one"), &place.path("d.jsonl"), &flags), log)
}

/// The member on the screen.
fn shown(browser: &mut Chromium) -> String {
    browser.eval("view.id").as_str().unwrap().to_owned()
}

pub fn a_list_is_called_through_by_keys_alone() {
    let mut browser = Chromium::start();
    let place = Place::new();
    let (desk, log) = desk(&place, "12");
    browser.size(1280, 900, false);
    browser.open(&desk.address);
    browser.wait("document.querySelector('#to-calls')?.hidden === false");
    browser.eval("document.querySelector('#to-calls').click()");
    browser.wait(READY);
    browser.screenshot("calls-desktop");
    assert_fits(&mut browser, "desktop");

    // The first member with a number: it comes on request, and goes with its call.
    while browser.eval("view.mobile").is_null() {
        let before = shown(&mut browser);
        browser.press("ArrowRight", "ArrowRight", 39);
        browser.wait(&format!("view.id !== {before:?} && view.id === current"));
    }
    browser.wait(READY);
    let first = shown(&mut browser);
    assert_eq!(browser.eval("document.querySelector('#shown').textContent"), json!(""));
    browser.press("KeyM", "m", 77);
    browser.wait("document.querySelector('#shown a.number') !== null");
    let number = browser.eval("document.querySelector('#shown a.number').textContent");
    let (number, masked) = (number.as_str().unwrap(), browser.eval("view.mobile"));
    assert!(number.len() == 10 && masked.as_str().unwrap() == format!("•••••••{}", &number[7..]), "{number} {masked}");
    let link = browser.eval("document.querySelector('#shown a.number').href");
    assert_eq!(link, json!(format!("tel:+91{number}")));
    browser.screenshot("calls-number");
    // What was said of worker, picture and enrolments; then one key for the answer.
    browser.press("KeyQ", "q", 81);
    browser.press("KeyE", "e", 69);
    browser.press("KeyE", "e", 69);
    assert_eq!(
        browser.eval("[...document.querySelectorAll('[data-told]')].map((b) => b.dataset.value)"),
        json!(["yes", "not_asked", "no"])
    );
    browser.press("KeyN", "n", 78);
    browser.wait("document.querySelector('#note-dialog').open");
    browser.write("125 कॉल <b>");
    browser.press("Tab", "Tab", 9);
    browser.press("Tab", "Tab", 9);
    browser.press("Enter", "Enter", 13);
    browser.wait("!document.querySelector('#note-dialog').open");
    browser.press("Digit1", "1", 49);
    browser.wait("document.querySelector('#last').textContent.includes('Confirmed')");
    browser.wait(&format!("view.id !== {first:?}"));
    let said = lines(&log).pop().unwrap();
    assert_eq!((&said["answer"], &said["caller"]), (&json!("confirmed"), &json!("Asha Rao")));
    assert_eq!((&said["in_person"], said.get("live"), &said["first_time"]), (&json!(true), None, &json!(false)));
    assert_eq!(said["note"], "125 कॉल <b>");

    // The wrong key is taken back; what was said beside it is asked anew.
    browser.wait(READY);
    let second = shown(&mut browser);
    browser.press("Digit2", "2", 50);
    browser.wait(&format!("view.id !== {second:?}"));
    browser.press("KeyU", "u", 85);
    browser.wait(&format!("view.id === {second:?}"));
    assert_eq!(lines(&log).last().unwrap()["event"], "undo");
    browser.press("ArrowRight", "ArrowRight", 39);
    browser.wait(&format!("view.id !== {second:?}"));
    browser.press("ArrowLeft", "ArrowLeft", 37);
    browser.wait(&format!("view.id === {second:?}"));
    let before = lines(&log).len();

    // To the end, with every answer in turn.
    for (turn, (code, key, number)) in
        [("Digit3", "3", 51), ("Digit4", "4", 52), ("Digit5", "5", 53), ("Digit2", "2", 50)]
            .iter()
            .cycle()
            .take(40)
            .enumerate()
    {
        if browser.eval("finished") == json!(true) {
            break;
        }
        browser.wait("!busy && view && view.id === current");
        browser.press(code, key, *number);
        browser.wait("!busy");
        browser.wait("finished || (view && view.id === current)");
        assert_eq!(lines(&log).len(), before + turn + 1, "each key is a line");
    }
    browser.wait("!document.querySelector('#finished').hidden");
    browser.screenshot("calls-finished");
    assert_eq!(browser.eval("state.left"), json!(0));
    assert!(browser.eval("state.later").as_u64().unwrap() > 0, "who was silent is tried again later");
    let outside: Vec<String> = browser
        .requests()
        .into_iter()
        .filter(|url| !url.starts_with(&desk.address) && !url.starts_with("about:"))
        .collect();
    assert_eq!(outside, Vec::<String>::new());
    assert_eq!(browser.complaints(), Vec::<serde_json::Value>::new());
}

pub fn the_page_of_calls_fits_phone_and_desktop_in_both_languages() {
    let mut browser = Chromium::start();
    let place = Place::new();
    let (desk, log) = desk(&place, "6");
    browser.size(390, 844, true);
    browser.prefers("light");
    browser.open(&format!("{}calls", desk.address));
    browser.wait(READY);
    assert_fits(&mut browser, "phone, English");
    browser.screenshot("calls-phone");
    browser.eval("document.querySelector('#language').click()");
    browser.wait("document.documentElement.lang === 'hi'");
    browser.wait(READY);
    assert_fits(&mut browser, "phone, Hindi");
    browser.screenshot("calls-phone-hindi");
    browser.size(320, 640, true);
    assert_fits(&mut browser, "small phone, Hindi");
    // What may be promised by now: nothing, before the first call.
    browser.eval("document.querySelector('#promise-open').click()");
    browser.wait("document.querySelector('#promise-dialog').open");
    let text = browser.eval("document.querySelector('#promises').innerText");
    assert!(text.as_str().unwrap().contains("पूरा अभियान") && text.as_str().unwrap().contains("अभी कुछ नहीं"), "{text}");
    let worth = browser.eval("document.querySelector('#worth').innerText");
    assert!(worth.as_str().unwrap().contains("फ़ोटो की फ़ोटो"), "{worth}");
    assert_fits(&mut browser, "small phone, promise");
    browser.screenshot("calls-promise");
    browser.eval("document.querySelector('#promise-close').click()");
    // A finger does what the keys do.
    browser.eval("document.querySelector('[data-told=live]').click()");
    browser.eval("document.querySelector('[data-answer=wrong_data]').click()");
    browser.wait("state.mine === 1");
    assert_eq!((lines(&log)[0]["answer"].clone(), lines(&log)[0]["live"].clone()), (json!("wrong_data"), json!(true)));
    browser.size(1280, 900, false);
    browser.prefers("dark");
    browser.wait(READY);
    assert_fits(&mut browser, "desktop, Hindi");
    browser.screenshot("calls-desktop-hindi-dark");
    let unknown = browser
        .eval("[...document.querySelectorAll('[data-word]')].map((e) => e.dataset.word).filter((w) => !WORDS.hi[w] || !WORDS.en[w])");
    assert_eq!(unknown, json!([]));
    assert_eq!(browser.complaints(), Vec::<serde_json::Value>::new());
}
