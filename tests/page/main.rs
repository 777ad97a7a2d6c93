//! `report.html` in a real browser: layout, keyboard, languages, colours, no error, no request.
//!
//! Without a Chromium on the path (or in `CHEHRA_CHROMIUM`) every test here is counted as ignored, and it is said why.
//! `cargo test --release --test page -- --ignored` measures how long a large page takes to open; with
//! `CHEHRA_SCREENSHOTS=DIR` the pages are left there as pictures, to be looked at.

mod browser;
mod night;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64::Engine as _;
use browser::{Browser, DESKTOP, Look, PHONE};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

/// Persons of the large page.
const PERSONS: usize = 5_000;

type Test = fn(&mut Browser);

fn main() {
    let mut arguments = Arguments::from_args();
    let program = browser::find();
    if program.is_none() {
        eprintln!("no Chromium found (PATH, CHEHRA_CHROMIUM): the tests of report.html in a browser are ignored");
        arguments.ignored = false;
        arguments.include_ignored = false;
    }
    let tests: [(&str, Test, bool); 10] = [
        ("no_page_scrolls_sideways", no_page_scrolls_sideways, true),
        ("everything_is_reached_by_keyboard", everything_is_reached_by_keyboard, true),
        ("the_switch_of_languages_leaves_no_text_behind", the_switch_of_languages_leaves_no_text_behind, true),
        ("colours_can_be_read_in_the_light_and_in_the_dark", colours_can_be_read, true),
        ("screen_readers_find_their_way", screen_readers_find_their_way, true),
        ("a_large_page_shows_one_page_of_its_list", a_large_page_shows_one_page_of_its_list, true),
        ("a_page_prints_on_white_paper", a_page_prints_on_white_paper, true),
        ("paper_has_what_it_says", paper_has_what_it_says, true),
        ("the_page_answers_a_managers_questions", the_page_answers_a_managers_questions, true),
        ("measure_opening_of_a_large_page", measure_opening, false),
    ];
    let trials = tests.map(|(name, test, always)| {
        let program = program.clone();
        let run = move || -> Result<(), Failed> {
            let mut browser = Browser::start(program.as_deref().ok_or("no browser")?);
            test(&mut browser);
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(!always || browser::find().is_none())
    });
    // One browser at a time: the machines of continuous integration are small.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

/// The pages of the two sample nights.
fn samples() -> &'static [PathBuf; 2] {
    static PAGES: OnceLock<[PathBuf; 2]> = OnceLock::new();
    PAGES.get_or_init(|| night::samples(folder()))
}

fn large() -> &'static Path {
    static PAGE: OnceLock<PathBuf> = OnceLock::new();
    PAGE.get_or_init(|| night::large(folder(), PERSONS))
}

/// Leaves a picture of the page where `CHEHRA_SCREENSHOTS` says.
fn keep(browser: &mut Browser, name: &str, whole: bool) {
    if let Some(folder) = std::env::var_os("CHEHRA_SCREENSHOTS") {
        let png = base64::engine::general_purpose::STANDARD.decode(browser.screenshot(whole)).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), png).unwrap();
    }
}

fn quiet(browser: &mut Browser) {
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn hindi(browser: &mut Browser) {
    browser.evaluate("document.querySelector('[data-lang=hi]').click()");
}

fn no_page_scrolls_sideways(browser: &mut Browser) {
    let widths = [PHONE, Look { width: 320, ..PHONE }, Look { width: 768, ..DESKTOP }, DESKTOP];
    for (page, name) in samples().iter().map(PathBuf::as_path).chain([large()]).zip(["first", "second", "large"]) {
        browser.open(page, DESKTOP);
        for look in widths {
            browser.look(look);
            for language in ["en", "hi"] {
                browser.evaluate(&format!("document.querySelector('[data-lang={language}]').click()"));
                let wider =
                    browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
                assert_eq!(wider, 0, "{} at {} in {language}", page.display(), look.width);
                // What is cut off without a scroll bar of its own is lost.
                let lost = browser.evaluate(
                    "[...document.querySelectorAll('main *')].filter((e) => { if (!e.checkVisibility()) return false; const r = e.getBoundingClientRect(); \
                     return r.width > 0 && r.right > innerWidth + 1 && !e.closest('.scroll, .chart'); }) \
                     .map((e) => e.outerHTML.slice(0, 120)).slice(0, 3)",
                );
                assert_eq!(lost.as_array().map(Vec::len), Some(0), "{} in {language}: {lost}", look.width);
                keep(browser, &format!("{name}-{}-{language}", look.width), name != "large");
            }
        }
        quiet(browser);
    }
}

fn everything_is_reached_by_keyboard(browser: &mut Browser) {
    browser.open(large(), DESKTOP);
    let active = "(document.activeElement.dataset.lang || document.activeElement.id || document.activeElement.hash || \
                  document.activeElement.dataset.t || document.activeElement.tagName)";
    browser.press("Tab");
    assert_eq!(browser.evaluate(active), "#main", "the first stop is the way past the navigation");
    assert_eq!(browser.evaluate("document.activeElement.getBoundingClientRect().left >= 0"), true, "and it is seen");
    browser.press("Enter");
    assert_eq!(browser.evaluate(active), "main");
    let mut stops = Vec::new();
    for _ in 0..900 {
        browser.press("Tab");
        let stop = browser.evaluate(active).as_str().unwrap_or_default().to_owned();
        let outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle");
        assert!(stop == "BODY" || outline != "none", "the focus on {stop} is not seen");
        stops.push(stop.clone());
        // Tables of places and workers have pages, too.
        let is_of_persons = "document.activeElement.closest('#persons') !== null";
        if stop == "next" && browser.evaluate(is_of_persons) == true {
            break;
        }
    }
    for wanted in ["find", "kind", "next"] {
        assert!(stops.iter().any(|s| s == wanted), "{wanted} is not reached: {stops:?}");
    }
    browser.press("Enter");
    let status = "document.getElementById('persons-status').textContent";
    assert_eq!(browser.evaluate(status), "21 to 40 of 5,000", "the next page is shown");
    assert_eq!(browser.evaluate("document.activeElement.tagName"), "H3", "and the focus is at its start");
    browser.evaluate("document.getElementById('find').focus()");
    browser.insert("S-0000007");
    browser.evaluate("new Promise((done) => setTimeout(done, 300))");
    assert_eq!(browser.evaluate(status), "1 to 1 of 1", "the search found the person of this submission");
    browser.evaluate("document.querySelector('[data-lang=hi]').focus()");
    browser.press("Enter");
    assert_eq!(browser.evaluate("document.documentElement.lang"), "hi");
    browser.evaluate("document.querySelector('#places table.sort thead button').focus()");
    browser.press("Enter");
    assert_eq!(browser.evaluate("document.querySelector('#places table.sort [aria-sort]') !== null"), true);
    quiet(browser);
}

fn the_switch_of_languages_leaves_no_text_behind(browser: &mut Browser) {
    for page in samples() {
        browser.open(page, DESKTOP);
        hindi(browser);
        // Every text of the page's own is Hindi now; digits, names, codes and terms stay.
        let left = browser.evaluate(
            "[...document.querySelectorAll('[data-t]')].filter((e) => !/[\\u0900-\\u097f]/.test(e.textContent)) \
             .map((e) => e.dataset.t)",
        );
        assert_eq!(left, serde_json::json!([]), "English left");
        let open = browser.evaluate("document.body.innerText.match(/\\{\\d\\}|undefined|NaN|\\[object/)");
        assert!(open.is_null(), "a text that was not filled: {open}");
        browser.evaluate("document.querySelector('[data-lang=en]').click()");
        let hindi_left = browser.evaluate(
            "[...document.querySelectorAll('[data-t]')].filter((e) => /[\\u0900-\\u097f]/.test(e.textContent)).length",
        );
        assert_eq!(hindi_left, 0, "and back");
        quiet(browser);
    }
}

fn colours_can_be_read(browser: &mut Browser) {
    // WCAG 2.2, 1.4.3: at least 4.5 to 1 between text and what is behind it.
    let worst = "(() => { \
        const rgb = (c) => (c.match(/[\\d.]+/g) || []).map(Number); \
        const lum = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4) \
          .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0); \
        const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); \
          if (c.length === 3 || c[3] > 0.99) return c; } return [255, 255, 255]; }; \
        let least = [99, '']; \
        for (const e of document.querySelectorAll('body *')) { \
          if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || e.closest('svg, script, [disabled]')) continue; \
          const [x, y] = [lum(rgb(getComputedStyle(e).color)), lum(behind(e))]; \
          const ratio = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05); \
          if (ratio < least[0]) least = [ratio, e.outerHTML.slice(0, 150)]; } \
        return least; })()";
    for dark in [false, true] {
        browser.open(&samples()[0], Look { dark, ..DESKTOP });
        let found = browser.evaluate(worst);
        assert!(found[0].as_f64().unwrap() >= 4.5, "dark {dark}: {found}");
        let background = "getComputedStyle(document.body).backgroundColor";
        let before = browser.evaluate(background);
        let bar = "getComputedStyle(document.querySelector('.chart [fill=\"#C84600\"]')).fill";
        let fill = browser.evaluate(bar);
        keep(browser, if dark { "dark" } else { "light" }, true);
        browser.evaluate("document.getElementById('theme').click()");
        assert_ne!(browser.evaluate(background), before, "the switch");
        assert_ne!(browser.evaluate(bar), fill, "charts follow it");
        let found = browser.evaluate(worst);
        assert!(found[0].as_f64().unwrap() >= 4.5, "switched from dark {dark}: {found}");
        quiet(browser);
    }
}

fn screen_readers_find_their_way(browser: &mut Browser) {
    for page in samples().iter().map(PathBuf::as_path).chain([large()]) {
        browser.open(page, DESKTOP);
        for (what, none) in [
            (
                "headings that skip a level",
                "(() => { let l = 0; return [...document.querySelectorAll('h1,h2,h3,h4')] \
              .filter((h) => { const n = +h.tagName[1], bad = n > l + 1; l = n; return bad; }).length; })()",
            ),
            ("tables without a caption", "[...document.querySelectorAll('table')].filter((t) => !t.caption).length"),
            ("heads of columns without a scope", "document.querySelectorAll('th:not([scope])').length"),
            ("pictures without words", "[...document.images].filter((i) => !i.alt).length"),
            (
                "controls without a name",
                "[...document.querySelectorAll('button,input,select')] \
              .filter((b) => !b.textContent.trim() && !(b.labels && b.labels.length)).length",
            ),
            (
                "names that point nowhere",
                "[...document.querySelectorAll('[aria-labelledby],[aria-describedby]')] \
              .filter((e) => ['aria-labelledby','aria-describedby'].some((a) => e.hasAttribute(a) && \
              !document.getElementById(e.getAttribute(a)))).length",
            ),
            (
                "ids that are there twice",
                "(() => { const ids = [...document.querySelectorAll('[id]')].map((e) => e.id); \
              return ids.length - new Set(ids).size; })()",
            ),
            (
                "charts without words",
                "[...document.querySelectorAll('.chart')].filter((c) => \
              c.getAttribute('role') !== 'img' || !c.getAttribute('aria-labelledby')).length",
            ),
        ] {
            assert_eq!(browser.evaluate(none), 0, "{what}: {}", page.display());
        }
        assert_eq!(browser.evaluate("document.querySelectorAll('main').length"), 1);
        assert_eq!(browser.evaluate("document.querySelectorAll('h1').length"), 1);
        quiet(browser);
    }
}

fn a_large_page_shows_one_page_of_its_list(browser: &mut Browser) {
    browser.open(large(), DESKTOP);
    let shown = "document.querySelectorAll('#persons-list > li').length";
    assert_eq!(browser.evaluate(shown), 20);
    assert_eq!(browser.evaluate("document.querySelectorAll('#spoofs-list > li').length"), 24);
    let broken = "Promise.all([...document.images].map((i) => i.decode().then(() => 0, () => 1))) \
                  .then((all) => [all.length, all.reduce((s, x) => s + x, 0)])";
    assert_eq!(browser.evaluate(broken), serde_json::json!([20 * 2 + 24, 0]), "every picture that is shown decodes");
    browser.evaluate("document.querySelector('#persons .pager [data-t=last]').click()");
    let status = browser.evaluate("document.getElementById('persons-status').textContent");
    assert_eq!(status, "4,981 to 5,000 of 5,000");
    assert_eq!(browser.evaluate(shown), 20);
    let without = browser.evaluate("document.querySelectorAll('#persons-list .empty').length");
    assert_eq!(without, 40, "persons beyond those with pictures say so");
    quiet(browser);
}

fn a_page_prints_on_white_paper(browser: &mut Browser) {
    browser.open(&samples()[0], Look { dark: true, ..DESKTOP });
    browser.call("Emulation.setEmulatedMedia", serde_json::json!({"media": "print", "features": []}));
    let background = browser.evaluate("getComputedStyle(document.body).backgroundColor");
    assert_eq!(background, "rgb(255, 255, 255)", "paper is white");
    for gone in [".controls", "nav", ".pager", ".filter"] {
        let shown = format!("getComputedStyle(document.querySelector('{gone}')).display");
        assert_eq!(browser.evaluate(&shown), "none", "{gone} is not for paper");
    }
    let printed = browser.call("Page.printToPDF", serde_json::json!({"printBackground": true}));
    let pdf = base64::engine::general_purpose::STANDARD.decode(printed["data"].as_str().unwrap()).unwrap();
    assert!(pdf.starts_with(b"%PDF") && pdf.len() > 20_000, "{} bytes", pdf.len());
    if let Some(folder) = std::env::var_os("CHEHRA_SCREENSHOTS") {
        std::fs::write(Path::new(&folder).join("paper.pdf"), pdf).unwrap();
    }
    quiet(browser);
}

fn paper_has_what_it_says(browser: &mut Browser) {
    browser.open(large(), DESKTOP);
    let cards = "document.querySelectorAll('#persons-list > li').length";
    let note = "document.querySelector('#persons .paper').textContent";
    browser.evaluate("dispatchEvent(new Event('beforeprint'))");
    assert_eq!(browser.evaluate(cards), 300);
    assert_eq!(browser.evaluate(note), "On paper are the first 300 of 5,000; the page on the screen has the others.");
    browser.evaluate("dispatchEvent(new Event('afterprint'))");
    assert_eq!((browser.evaluate(cards), browser.evaluate(note)), (20.into(), "".into()));
    browser.open(&samples()[0], DESKTOP);
    browser.evaluate("dispatchEvent(new Event('beforeprint'))");
    assert_eq!((browser.evaluate(cards), browser.evaluate(note)), (2.into(), "".into()), "all of a short list");
    quiet(browser);
}

/// Whom do I call, how is my booth, who needs training, how many fakes in my division.
fn the_page_answers_a_managers_questions(browser: &mut Browser) {
    for look in [DESKTOP, PHONE] {
        browser.open(large(), look);
        // From the list of what to do to a worker's page with all selfies.
        browser.evaluate("document.querySelector('#todo a[href^=\"#worker=\"]').click()");
        browser.evaluate("new Promise((done) => setTimeout(done, 100))");
        assert_eq!(browser.evaluate("document.getElementById('worker').hidden"), false);
        assert_eq!(browser.evaluate("document.activeElement.id"), "worker-name");
        let top = "document.getElementById('worker').getBoundingClientRect().top";
        assert!(browser.evaluate(top).as_f64().unwrap().abs() < 200.0, "the worker's part is in sight");
        let rows = "document.querySelectorAll('#worker-body table')[2].tBodies[0].rows.length";
        assert_eq!(browser.evaluate(rows), 25, "every selfie of the worker");
        // From the drive down to a booth.
        for level in ["Malwa", "Ujjain", "B-"] {
            let link = format!(
                "[...document.querySelectorAll('#drill tbody a')].find((a) => a.textContent.startsWith('{level}')).click()"
            );
            browser.evaluate(&link);
            browser.evaluate("new Promise((done) => setTimeout(done, 100))");
        }
        let crumbs = browser.evaluate("document.querySelector('.crumbs').textContent");
        let crumbs = crumbs.as_str().unwrap();
        assert!(crumbs.starts_with("The drive › Malwa Division › Ujjain District › B-"), "{crumbs}");
        let fakes = browser.evaluate("document.querySelector('.line div:nth-child(4) dd').textContent");
        assert!(!fakes.as_str().unwrap().is_empty(), "{fakes}");
        // All workers, found by booth, and sorted.
        browser.evaluate("document.getElementById('who').focus()");
        browser.insert("B-003");
        let found = "[...document.querySelectorAll('#everyone tbody th a')].map((a) => a.textContent).join()";
        browser.evaluate("document.querySelectorAll('#everyone thead button')[0].click()");
        assert_eq!(browser.evaluate(found), "W-0006,W-0007");
        browser.evaluate("document.querySelectorAll('#everyone thead button')[0].click()");
        assert_eq!(browser.evaluate(found), "W-0007,W-0006");
        let name = if look.width < 600 { "worker-390" } else { "worker-1280" };
        keep(browser, name, false);
        quiet(browser);
    }
    let title = "document.title";
    browser.open(&samples()[0], DESKTOP);
    assert!(browser.evaluate(title).as_str().unwrap().starts_with("Night report"));
    hindi(browser);
    assert!(browser.evaluate(title).as_str().unwrap().starts_with("रात की रिपोर्ट"));
}

/// How long a large page takes from the start of its loading to its first list, five times over.
fn measure_opening(browser: &mut Browser) {
    let size = std::fs::metadata(large()).unwrap().len();
    let mut milliseconds: Vec<f64> = (0..5)
        .map(|_| {
            browser.open(large(), DESKTOP);
            let painted =
                "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)))";
            browser.evaluate(painted);
            let entry = "performance.getEntriesByType('navigation')[0].loadEventEnd";
            browser.evaluate(entry).as_f64().unwrap()
        })
        .collect();
    milliseconds.sort_by(f64::total_cmp);
    let [least, median, most] = [0, 2, 4].map(|at| milliseconds[at].round());
    eprintln!("{PERSONS} persons, {size} bytes: opened in {median} ms (median of 5, {least} to {most})");
    assert!(median < 2000.0, "{milliseconds:?}");
}
