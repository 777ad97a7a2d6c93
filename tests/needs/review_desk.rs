//! The whole desk in a real browser, by keys alone: three people, rows and pairs, a split, a merge, a corrected member, an appeal
//! and disputes; then the next audit, and what changed. Desktop and phone, both languages, the tree of a screen reader.

use std::path::Path;

use arrow::array::AsArray;
use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::review::client::{Desk, lines};
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
        let begun = "typeof greeting !== 'undefined' && greeting.languages !== undefined && \
             (state !== null || document.querySelector('#name-dialog')?.open === true)";
        self.browser.wait(begun);
        self.browser.eval(&format!("sessionStorage.setItem('reviewer', {name:?}); sessionStorage.removeItem('queue')"));
        self.browser.open("about:blank");
        self.browser.open(address);
        self.browser.wait(&format!("typeof reviewer !== 'undefined' && reviewer === {name:?} && state !== null"));
        self.browser.wait(READY);
    }

    fn key(&mut self, code: &str) {
        let (key, number) = match code.strip_prefix("Key").or_else(|| code.strip_prefix("Digit")) {
            Some(letter) => (letter.to_lowercase(), u32::from(letter.as_bytes()[0])),
            None => {
                let number = match code {
                    "Space" => 32,
                    "Enter" => 13,
                    "Escape" => 27,
                    "Tab" => 9,
                    "ArrowLeft" => 37,
                    "ArrowRight" => 39,
                    other => panic!("no such key here: {other}"),
                };
                (if code == "Space" { " " } else { code }.to_owned(), number)
            }
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
        let to = self
            .browser
            .eval(&format!("document.querySelector({link:?}).focus(), document.querySelector({link:?}).href"));
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

    /// Finds a row by its submission.
    fn find(&mut self, submission: &str) {
        self.browser.eval("document.querySelector('#find').value = ''; document.querySelector('#find').focus()");
        self.browser.write(submission);
        self.key("Enter");
        self.browser.wait(&format!(
            "view?.submission === {submission:?} && item() !== undefined && document.activeElement.id === 'row'"
        ));
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

/// Shows that the member of the first row with two faces is the other one; the submission.
fn correct_a_member(person: &mut Person) -> String {
    for _ in 0..50 {
        if person.browser.eval("(view.picture?.faces ?? []).length >= 2") == json!(true) {
            break;
        }
        person.key("ArrowRight");
        person.browser.wait(READY);
    }
    person.key("KeyM");
    person.browser.wait("document.querySelectorAll('button.box').length >= 2");
    person.browser.screenshot("desk-member");
    let face = "view.picture.faces.findIndex((face, at) => at !== judgedFace(view.picture) && face.role !== 'worker') + 1 || 1";
    let face = person.browser.eval(face).as_u64().unwrap();
    person.key(&format!("Digit{face}"));
    let submission = person.browser.eval("view.submission").as_str().unwrap().to_owned();
    person.browser.wait("document.querySelector('#standing').textContent.includes('is the member')");
    assert_eq!(
        lines(person.log).iter().filter(|line| line["event"] == "decide_row").count(),
        0,
        "it goes with the answer"
    );
    let said = person.answer("Digit2");
    assert_eq!(
        (&said["answer"], said["member_face"].as_array().map(Vec::len)),
        (&json!("overturn"), Some(4)),
        "{said}"
    );
    submission
}

/// A rejected submission of a run, other than that one.
fn rejected(run: &Path, but: &str) -> String {
    let rows = table(&[run.join("verdicts.parquet")]);
    let column = |name: &str| rows.column_by_name(name).unwrap().as_string::<i32>().clone();
    let (ids, verdicts) = (column("submission_id"), column("verdict"));
    let found = (0..rows.num_rows()).rev().find(|&at| verdicts.value(at) == "reject" && ids.value(at) != but);
    ids.value(found.unwrap()).to_owned()
}

/// The pages on a phone and in Hindi: nothing is cut off, everything has a name.
fn phone_in_hindi(person: &mut Person) {
    person.browser.size(390, 844, true);
    person.browser.eval("document.querySelector('#language').click()");
    person.browser.wait("document.documentElement.lang === 'hi'");
    for (link, name) in [("#to-pairs", "phone-pairs"), ("#to-rows", "phone-rows")] {
        person.follow(link);
        if person.browser.eval("finished") == json!(true) {
            person.browser.eval("document.querySelector('#look-back').click()");
            person.browser.wait(READY);
        }
        assert_fits(person.browser, name);
        assert_named(person.browser, name);
        person.browser.screenshot(name);
        person.browser.eval("document.querySelector('#work-open').click()");
        person.browser.wait("document.querySelector('#work-dialog').open");
        assert_named(person.browser, "work");
        person.browser.screenshot("phone-work");
        person.key("Escape");
    }
}

/// Everything that can be acted on has a name for who does not see it.
fn assert_named(browser: &mut Chromium, what: &str) {
    // The tree follows the page after a while.
    let mut seen = 0;
    for _ in 0..50 {
        seen = named(browser, what);
        // An open dialog leaves nothing else to act on.
        if seen > 5 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{what}: {seen}");
}

/// How many parts of the page can be acted on, each with a name.
fn named(browser: &mut Chromium, what: &str) -> usize {
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
    seen
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
    let weakest =
        person.browser.eval("(({ a, b }) => [a, b].sort((x, y) => x - y))(person.ties.find((tie) => tie.weakest))");
    person.tick(&[weakest[1].as_u64().unwrap()]);
    person.browser.screenshot("desk-person");
    person.key("KeyD");
    person.browser.wait("document.querySelector('#person-said').textContent.includes('told apart')");
    let split = lines(&log).len();
    assert!(split >= 1 && lines(&log).iter().all(|line| line["answer"] == "different"), "one act, every tie of it");
    // One act is taken back at once, and done again.
    person.key("Escape");
    person.browser.wait("!document.querySelector('#person-dialog').open");
    person.browser.wait(READY);
    // A key that comes while the page is at work is let pass, as for a person, who presses it again.
    for _ in 0..20 {
        if lines(&log).len() > split {
            break;
        }
        person.key("KeyU");
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    assert_eq!(lines(&log).len(), 2 * split, "each line of it");
    person.browser.wait(READY);
    person.key("KeyG");
    person.browser.wait("document.querySelector('#person-dialog').open");
    assert_eq!(person.browser.eval("person.ties.filter((tie) => tie.answer).length"), json!(0));
    person.tick(&[weakest[1].as_u64().unwrap()]);
    person.key("KeyD");
    person.browser.wait("document.querySelector('#person-said').textContent.includes('told apart')");
    // Two of the others are one person.
    let tie =
        person.browser.eval("(({ a, b }) => [a, b].sort((x, y) => x - y))(person.ties.find((tie) => !tie.answer))");
    person.tick(&[tie[0].as_u64().unwrap(), tie[1].as_u64().unwrap()]);
    person.key("KeyS");
    person.browser.wait("document.querySelector('#person-said').textContent.includes('are one person')");
    assert_eq!(lines(&log).last().unwrap()["answer"], "same");
    person.key("Escape");
    person.browser.wait("!document.querySelector('#person-dialog').open");

    // The same face, but on one side it is not the member, who is shown by a number.
    let open = person.browser.eval("state.items.find((i) => i.open).id");
    person.go_to(open.as_str().unwrap());
    person.key("KeyI");
    person
        .browser
        .wait("!document.querySelector('#pick').hidden && document.querySelectorAll('button.box').length >= 2");
    person.browser.screenshot("desk-not-member");
    let other = "(() => { const { picture } = view.sides[SIDES.indexOf(picking)]; return picture.faces.findIndex((_, at) => at !== judgedFace(picture)) + 1; })()";
    let other = person.browser.eval(other).as_u64().unwrap();
    let said = person.answer(&format!("Digit{other}"));
    assert_eq!(
        (&said["answer"], said["not_member"]["face"].as_array().map(Vec::len)),
        (&json!("different"), Some(4)),
        "{said}"
    );

    // Closer looks, undone by the next pair.
    person.browser.wait("!finished");
    for code in ["KeyZ", "KeyB", "KeyH", "KeyO"] {
        person.key(code);
    }
    assert_eq!(
        person.browser.eval("[look.zoom, look.light, look.mirrored, !document.querySelector('#overlay').hidden]"),
        json!([1.5, 1.4, true, true])
    );
    person.browser.screenshot("desk-overlay");
    let disputed_pair = person.browser.eval("view.id");
    assert_eq!(person.answer("KeyJ")["answer"], "same");
    assert_eq!(
        person.browser.eval("[look.zoom, look.light, look.mirrored, look.overlaid]"),
        json!([1, 1, false, false])
    );
    person.key("KeyW");
    person.browser.wait("document.querySelector('#selfies-dialog').open");
    person.key("Escape");
    for code in ["KeyL", "KeyJ", "KeyK", "KeyL", "KeyJ", "KeyL", "KeyL", "KeyJ"] {
        if person.browser.eval("finished") == json!(false) {
            person.answer(code);
        }
    }

    // Rows: the queues in turn. Of the first row the member is another face.
    person.follow("#to-rows");
    person.browser.screenshot("desk-rows");
    assert_fits(person.browser, "rows");
    assert_named(person.browser, "rows");
    let corrected = correct_a_member(&mut person);
    let disputed_row = person.browser.eval("[view.id, view.submission]");
    assert_eq!(person.answer("Digit1")["answer"], "uphold");
    let passed = person.browser.eval("view.id");
    assert_eq!(person.answer("Digit4")["answer"], "pass");
    let is_open = person.browser.eval(&format!("state.items.find((i) => i.id === {passed}).open"));
    assert_eq!(is_open, json!(false), "not for whoever passed it");
    for code in ["Digit2", "Digit3", "Digit1", "Digit1", "Digit2", "Digit1", "Digit1", "Digit3", "Digit1", "Digit1"] {
        if person.browser.eval("finished && !nextQueue()") == json!(true) {
            break;
        }
        if person.browser.eval("finished") == json!(true) {
            person.key("KeyQ");
            person.browser.wait("!finished");
            person.browser.wait(READY);
        }
        person.answer(code);
    }

    // A member appeals: found by the submission, filed in the member's words, not for who filed it.
    let appealed = rejected(&before, disputed_row[1].as_str().unwrap());
    person.find(&appealed);
    person.key("KeyA");
    person.browser.wait("document.querySelector('#appeal-dialog').open");
    person.browser.write("मैं स्वयं वहाँ थी <b>");
    person.key("Tab");
    person.key("Tab");
    person.browser.screenshot("desk-appeal");
    person.key("Enter");
    person.browser.wait("!document.querySelector('#appeal-dialog').open");
    assert_eq!(lines(&log).last().unwrap()["event"], "appeal");
    let letter =
        person.browser.eval("fetch(document.querySelector('#letters a').href).then((answer) => answer.text())");
    assert!(letter.as_str().unwrap().contains(&appealed), "{letter}");

    // Ravi decides about the appeal, and otherwise than Asha about a row and a pair.
    person.sit_down("Ravi", &format!("{}rows", desk.address));
    person.queue("appeals");
    assert!(person.text("#appeal-text").contains("<b>"), "words of members are text");
    let granted = person.answer("Digit2");
    assert_eq!((&granted["why"], &granted["row"]["submission"]), (&json!("appeal"), &json!(appealed)));
    person.find(disputed_row[1].as_str().unwrap());
    person.go_to(disputed_row[0].as_str().unwrap());
    assert_eq!(person.answer("Digit2")["answer"], "overturn");
    while person.browser.eval("finished") == json!(false) && lines(&log).len() < 62 {
        person.answer("Digit1");
    }
    person.follow("#to-pairs");
    person.go_to(disputed_pair.as_str().unwrap());
    assert_eq!(person.answer("KeyL")["answer"], "different");

    // Meera sees who said what, and decides between them.
    person.sit_down("Meera", &desk.address);
    assert!(person.text("#notices").contains("disagree"), "{}", person.text("#notices"));
    person.go_to(disputed_pair.as_str().unwrap());
    let standing = person.text("#standing");
    assert!(standing.contains("Asha Rao: Same") && standing.contains("Ravi: Different"), "{standing}");
    assert_eq!(person.answer("KeyJ")["why"], "dispute");
    person.follow("#to-rows");
    person.queue("disputes");
    let standing = person.text("#standing");
    assert!(standing.contains("Asha Rao: Uphold") && standing.contains("Ravi: Overturn"), "{standing}");
    person.browser.screenshot("desk-dispute");
    assert_eq!(person.answer("Digit2")["why"], "dispute");
    person.queue("worker");
    while person.browser.eval("finished") == json!(false) && lines(&log).len() < 62 {
        person.answer("Digit1");
    }

    phone_in_hindi(&mut person);
    let outside: Vec<String> = browser
        .requests()
        .into_iter()
        .filter(|url| !url.starts_with(&desk.address) && !url.starts_with("about:"))
        .collect();
    assert_eq!(outside, Vec::<String>::new());
    assert_eq!(browser.complaints(), Vec::<Value>::new());
    let decided = lines(&log).iter().filter(|line| line["event"] == "decide" || line["event"] == "decide_row").count();
    assert!(decided >= 40, "{decided} decisions");

    // The next audit has all of it.
    let after = audit(&place, "after", Some(&log));
    let disputed_row = disputed_row[1].as_str().unwrap();
    assert_eq!(verdict(&after, &appealed).1, "appeal_granted");
    assert_eq!(verdict(&after, disputed_row).1, "overturned");
    for (submission, had) in [(appealed.as_str(), "reject"), (disputed_row, "review or reject")] {
        let (now, was) = (verdict(&after, submission).0, verdict(&before, submission).0);
        assert!(had.contains(&was) && now != "reject", "{submission}: {was} -> {now}");
    }
    let record: Value = serde_json::from_slice(&std::fs::read(after.join("run.json")).unwrap()).unwrap();
    assert!(
        record.to_string().contains("\"members_corrected\":2"),
        "the corrected member of {corrected} and of the pair"
    );
}
