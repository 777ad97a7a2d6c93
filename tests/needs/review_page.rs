//! The page in a real browser: keys alone, both languages, light and dark, desktop and phone, nothing from elsewhere.

use std::collections::BTreeSet;

use serde_json::json;

use crate::chromium::Chromium;
use crate::review::client::{Desk, lines, runs};
use crate::util::Place;

const READY: &str = "(() => { const pair = document.querySelector('#pair'); if (!pair) return false; const shown = [...document.images]; \
     return !pair.hidden && shown.length === 4 && shown.every((i) => i.complete && i.naturalWidth > 0); })()";

/// The pair on the screen.
fn shown(browser: &mut Chromium) -> String {
    browser.eval("view.id").as_str().unwrap().to_owned()
}

/// Nothing is wider than the window but what scrolls by itself, no text is cut off inside its button.
pub fn assert_fits(browser: &mut Chromium, what: &str) {
    let wide = browser.eval(
        "[...document.querySelectorAll('body *')].filter((e) => { const r = e.getBoundingClientRect(); \
         return r.width > 0 && !e.closest('dialog:not([open]), .tools, .queues, .sideways') && !e.classList.contains('skip') && (r.right > innerWidth + 1 || r.left < -1) \
         && getComputedStyle(e).position !== 'absolute'; }).map((e) => e.tagName + '#' + e.id + '.' + e.className)",
    );
    assert_eq!(wide, json!([]), "{what}");
    let scrolls = browser.eval("document.documentElement.scrollWidth <= innerWidth");
    assert_eq!(scrolls, json!(true), "{what}");
    let hidden = browser.eval("[...document.querySelectorAll('.keys button')].every((b) => { const r = b.getBoundingClientRect(); return r.bottom <= innerHeight + 1 && r.top >= 0; })");
    assert_eq!(hidden, json!(true), "{what}: the keys are in sight");
}

pub fn a_queue_is_worked_through_by_keys_alone() {
    let mut browser = Chromium::start();
    let place = Place::new();
    let log = place.path("d.jsonl");
    let desk = Desk::start(&runs().join("two"), &log, &["--second-share", "0", "--seeded-share", "0.2"]);
    browser.size(1280, 900, false);
    browser.open(&desk.address);
    browser.wait("document.querySelector('#name-dialog')?.open === true");
    browser.screenshot("name");
    browser.press("Enter", "Enter", 13);
    browser.wait("document.querySelector('#name-error').textContent !== ''");
    browser.write("Asha Rao");
    browser.press("Enter", "Enter", 13);
    browser.wait(READY);
    browser.screenshot("desktop");
    assert_fits(&mut browser, "desktop");
    assert_eq!(lines(&log).len(), 0);

    // One key, one line, one step.
    let first = shown(&mut browser);
    browser.press("KeyJ", "j", 74);
    browser.wait("document.querySelector('#last').textContent.includes('Same')");
    browser.wait(&format!("view.id !== {first:?}"));
    browser.wait(READY);
    assert_eq!((lines(&log).len(), lines(&log)[0]["answer"].clone()), (1, json!("same")));
    assert_eq!(lines(&log)[0]["reviewer"], "Asha Rao");

    // Undo goes back to the pair.
    browser.press("KeyU", "u", 85);
    browser.wait(&format!("view.id === {first:?}"));
    assert_eq!(lines(&log)[1]["event"], "undo");

    // A note, typed: its letters are no commands. It goes with the decision.
    browser.press("KeyN", "n", 78);
    browser.wait("document.querySelector('#note-dialog').open");
    browser.write("jkl? निशान <b>");
    browser.press("Tab", "Tab", 9);
    browser.press("Tab", "Tab", 9);
    browser.press("Enter", "Enter", 13);
    browser.wait("!document.querySelector('#note-dialog').open");
    browser.wait("document.querySelector('#standing').textContent.includes('<b>')");
    browser.press("KeyL", "l", 76);
    browser.wait("document.querySelector('#last').textContent.includes('Different')");
    assert_eq!(lines(&log).last().unwrap()["note"], "jkl? निशान <b>");

    // Arrows move and decide nothing; help opens and closes.
    browser.wait(&format!("view.id !== {first:?}"));
    browser.wait(READY);
    browser.press("ArrowLeft", "ArrowLeft", 37);
    browser.wait(&format!("view.id === {first:?}"));
    browser.wait(READY);
    assert_eq!(
        browser.eval("document.querySelector('[data-answer=different]').getAttribute('aria-pressed')"),
        json!("true")
    );
    browser.screenshot("decided");
    browser.press("Slash", "?", 191);
    browser.wait("document.querySelector('#help-dialog').open");
    browser.screenshot("help");
    browser.press("KeyJ", "j", 74);
    browser.press("Escape", "Escape", 27);
    browser.wait("!document.querySelector('#help-dialog').open");
    assert_eq!(lines(&log).len(), 3);
    browser.press("KeyF", "f", 70);
    browser.wait("document.body.classList.contains('large')");
    browser.screenshot("large");

    // To the end. What is the same person needs no more pairs; "not sure" would bring up all others of the person.
    for _ in 0..500 {
        if browser.eval("finished") == json!(true) {
            break;
        }
        let before = lines(&log).len();
        browser.wait("!busy && view && view.id === current");
        browser.press("KeyJ", "j", 74);
        browser.wait("!busy");
        browser.wait("finished || (view && view.id === current)");
        assert!(lines(&log).len() == before + 1, "each key is a line");
    }
    browser.wait("!document.querySelector('#finished').hidden");
    browser.screenshot("finished");
    assert_eq!(browser.eval("state.left"), json!(0));

    let outside: BTreeSet<String> =
        browser.requests().into_iter().filter(|url| !url.starts_with(&desk.address)).collect();
    assert_eq!(outside, BTreeSet::from(["about:blank".to_owned()]).intersection(&outside).cloned().collect());
    assert_eq!(browser.complaints(), Vec::<serde_json::Value>::new());
}

pub fn the_page_fits_phone_and_desktop_in_both_languages_light_and_dark() {
    let mut browser = Chromium::start();
    let place = Place::new();
    let desk = Desk::start(&runs().join("two"), &place.path("d.jsonl"), &["--reviewer", "Asha"]);
    browser.size(390, 844, true);
    browser.prefers("light");
    browser.open(&desk.address);
    browser.wait(READY);
    assert_fits(&mut browser, "phone, English");
    browser.screenshot("phone");
    browser.eval("document.querySelector('#language').click()");
    browser.wait("document.documentElement.lang === 'hi'");
    browser.wait(READY);
    assert_fits(&mut browser, "phone, Hindi");
    browser.screenshot("phone-hindi");
    browser.size(320, 640, true);
    assert_fits(&mut browser, "small phone, Hindi");
    browser.size(1280, 900, false);
    browser.prefers("dark");
    browser.wait(READY);
    assert_fits(&mut browser, "desktop, Hindi");
    browser.screenshot("desktop-hindi-dark");
    let paper = browser.eval("getComputedStyle(document.body).backgroundColor");
    assert_eq!(paper, json!("rgb(20, 24, 28)"), "dark follows the system");
    browser.eval("document.querySelector('#theme').click()");
    assert_eq!(browser.eval("getComputedStyle(document.body).backgroundColor"), json!("rgb(246, 245, 241)"));
    // Each text is there in both languages.
    let missing = browser.eval(
        "[...new Set([...Object.keys(WORDS.en), ...Object.keys(WORDS.hi)])].filter((k) => !WORDS.en[k] || !WORDS.hi[k])",
    );
    assert_eq!(missing, json!([]));
    let unknown = browser
        .eval("[...document.querySelectorAll('[data-word]')].map((e) => e.dataset.word).filter((w) => !WORDS.hi[w])");
    assert_eq!(unknown, json!([]));
    // Hindi letters have a font: their width is not that of the box that stands for a missing one.
    let drawn = browser.eval(
        "(() => { const c = document.createElement('canvas').getContext('2d'); c.font = getComputedStyle(document.body).font; \
         return c.measureText('क').width !== c.measureText('\\u{10ffff}').width && c.measureText('कि').width !== 2 * c.measureText('क').width; })()",
    );
    if drawn != json!(true) {
        eprintln!("this system has no Devanagari font (Debian: apt-get install fonts-noto-core)");
    }
    assert_eq!(browser.complaints(), Vec::<serde_json::Value>::new());
}

pub fn a_page_without_its_desk_says_so_and_loses_nothing() {
    let mut browser = Chromium::start();
    let place = Place::new();
    let log = place.path("d.jsonl");
    let mut desk = Desk::start(&runs().join("one"), &log, &["--reviewer", "Asha"]);
    browser.size(1280, 900, false);
    browser.open(&desk.address);
    browser.wait(READY);
    let first = shown(&mut browser);
    desk.kill();
    browser.press("KeyJ", "j", 74);
    browser.wait("document.querySelector('#notices').textContent.includes('Not recorded')");
    assert_eq!(shown(&mut browser), first, "the pair stays until its decision is on the disk");
    browser.screenshot("offline");
    assert_eq!(lines(&log).len(), 0);
}
