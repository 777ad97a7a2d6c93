//! The whole desk in a real browser, by keys alone: three people, rows and pairs, a split, a merge, a corrected member, an appeal
//! and disputes; then the next audit, and what changed. Desktop and phone, both languages, the tree of a screen reader.

use std::path::Path;

use arrow::array::AsArray;
use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::review::client::{Desk, lines, runs};
use crate::review_page::assert_fits;
use crate::util::{Place, chehra, fixture, run, table};

/// What is shown is what was asked for, with all its pictures.
const READY: &str = "(() => { const mains = [...document.querySelectorAll('main')]; \
     if (typeof busy === 'undefined' || busy || mains.every((m) => m.hidden)) return false; \
     return finished || (view && view.id === current && [...document.querySelectorAll('main img')].every((i) => i.complete)); })()";

struct Person<'a> {
    browser: &'a mut Chromium,
    log: &'a Path,
}

impl Person<'_> {
    /// Another person sits down at a page.
    fn sit_down(&mut self, name: &str, address: &str) {
        self.browser.open(address);
        self.browser.wait("typeof greeting !== 'undefined' && greeting.languages !== undefined");
        self.browser.eval(&format!("sessionStorage.setItem('reviewer', {name:?}); sessionStorage.removeItem('queue')"));
        self.browser.open("about:blank");
        self.browser.open(address);
        self.browser.wait(&format!("typeof reviewer !== 'undefined' && reviewer === {name:?} && state !== null"));
        self.browser.wait(READY);
    }

    fn key(&mut self, code: &str) {
        let (key, number) = match code.strip_prefix("Key").or_else(|| code.strip_prefix("Digit")) {
            Some(letter) => (letter.to_lowercase(), u32::from(letter.as_bytes()[0])),
            None if code == "Space" => (" ".to_owned(), 32),
            None => (code.to_owned(), if code == "Enter" { 13 } else { 0 }),
        };
        self.browser.press(code, &key, number);
    }

    /// Presses a key that answers, and waits until the log has it.
    fn answer(&mut self, code: &str) -> Value {
        let before = lines(self.log).len();
        self.browser.wait(READY);
        self.key(code);
        self.browser.wait(READY);
        let after = lines(self.log);
        assert_eq!(after.len(), before + 1, "{code} is one line");
        after[before].clone()
    }

    /// Moves to an item of the list without deciding.
    fn go_to(&mut self, id: &str) {
        for _ in 0..200 {
            self.browser.wait(READY);
            let steps = self.browser.eval(&format!("place({id:?}) - place(current)")).as_i64().unwrap();
            match steps {
                0 if self.browser.eval("finished") == json!(false) => return,
                1.. => self.key("ArrowRight"),
                _ => self.key("ArrowLeft"),
            }
        }
        panic!("{id} is not reached");
    }

    fn text(&mut self, selector: &str) -> String {
        self.browser.eval(&format!("document.querySelector({selector:?}).innerText")).as_str().unwrap().to_owned()
    }

    /// Opens a page of the desk through its link, by keyboard.
    fn follow(&mut self, link: &str) {
        self.browser.wait(&format!("document.querySelector({link:?}).hidden === false"));
        let to = self.browser.eval(&format!("document.querySelector({link:?}).focus(), document.querySelector({link:?}).href"));
        self.key("Enter");
        self.browser.wait(&format!("location.href === {to}"));
        self.browser.wait(READY);
    }

    /// Opens the queue of rows of that name.
    fn queue(&mut self, name: &str) {
        self.browser.eval(&format!("document.querySelector('[data-queue={name}]').focus()"));
        self.key("Enter");
        self.browser.wait(&format!("state.queue === {name:?}"));
        self.browser.wait(READY);
    }

    /// Ticks members of the person on the screen, by arrows and space.
    fn tick(&mut self, members: &[u64]) {
        let boxes = self.browser.eval("[...document.querySelectorAll('#grid input')].map((b) => Number(b.value))");
        self.browser.eval("document.querySelector('#grid input').focus()");
        for member in boxes.as_array().unwrap() {
            if members.contains(&member.as_u64().unwrap()) {
                self.key("Space");
            }
            self.key("ArrowRight");
        }
        assert_eq!(self.browser.eval("chosen().sort((a, b) => a - b)"), json!(members));
    }
}

/// Everything that can be acted on has a name for who does not see it.
fn assert_named(browser: &mut Chromium, what: &str) {
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let acting = ["button", "link", "textbox", "checkbox", "slider", "searchbox", "spinbutton", "image", "img"];
    let mut seen = 0;
    for node in tree["nodes"].as_array().unwrap().iter().filter(|node| node["ignored"] == false) {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        if acting.contains(&role) {
            let name = node["name"]["value"].as_str().unwrap_or_default();
            assert!(!name.trim().is_empty(), "{what}: a {role} without a name: {node}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{what}: {seen}");
}

fn audit(place: &Place, name: &str, log: Option<&Path>) -> std::path::PathBuf {
    let out = place.path(name);
    let mut command = chehra();
    command.args(["audit", "-q", "--out"]).arg(&out).arg(fixture("night"));
    if let Some(log) = log {
        command.arg("--decisions").arg(log);
    }
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    out
}

/// Verdict and decision of a submission.
fn verdict(out: &Path, submission: &str) -> (String, String) {
    let rows = table(&[out.join("verdicts.parquet")]);
    let text = |name: &str, at: usize| {
        let cells = rows.column_by_name(name).unwrap().as_string::<i32>();
        cells.iter().nth(at).flatten().unwrap_or_default().to_owned()
    };
    let at = (0..rows.num_rows()).find(|&at| text("submission_id", at) == submission).unwrap();
    (text("verdict", at), text("decision", at))
}

pub fn three_people_decide_over_rows_and_pairs_and_the_next_audit_says_so() {
    let mut browser = Chromium::start();
    let place = Place::new();
    let log = place.path("d.jsonl");
    let before = audit(&place, "before", None);
    let desk = Desk::start(&before, &log, &["--second-share", "0", "--seeded-share", "0"]);
    browser.size(1280, 900, false);
    let mut person = Person { browser: &mut browser, log: &log };

    // Asha takes a person apart at once: of all faces, one does not belong to the others.
    person.sit_down("Asha Rao", &desk.address);
    person.browser.screenshot("desk-pairs");
    assert_fits(person.browser, "pairs");
    person.key("KeyG");
    person.browser.wait("document.querySelector('#person-dialog').open && [...document.querySelectorAll('#grid img')].every((i) => i.complete)");
    assert_named(person.browser, "person");
    let size = person.browser.eval("person.members.length").as_u64().unwrap();
    assert!(size >= 3, "{size} members");
    assert!(person.text("#weakest").contains("Weakest tie"), "{}", person.text("#weakest"));
    let weakest = person.browser.eval("(({ a, b }) => [a, b].sort((x, y) => x - y))(person.ties.find((tie) => tie.weakest))");
    person.tick(&[weakest[1].as_u64().unwrap()]);
    person.browser.screenshot("desk-person");
    person.key("KeyD");
    person.browser.wait("document.querySelector('#person-said').textContent.includes('told apart')");
    let split = lines(&log).len();
    assert!(split >= 1 && lines(&log).iter().all(|line| line["answer"] == "different"), "one act, every tie of it");
    // Two of the others are one person.
    let tie = person.browser.eval("(({ a, b }) => [a, b].sort((x, y) => x - y))(person.ties.find((tie) => !tie.answer))");
    person.tick(&[tie[0].as_u64().unwrap(), tie[1].as_u64().unwrap()]);
    person.key("KeyS");
    person.browser.wait("document.querySelector('#person-said').textContent.includes('are one person')");
    assert_eq!(lines(&log).last().unwrap()["answer"], "same");
    person.key("Escape");
    person.browser.wait("!document.querySelector('#person-dialog').open");
