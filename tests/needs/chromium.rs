//! A headless Chromium over its debugging pipe: commands and events as JSON between zero bytes, on file descriptors 3 and
//! 4. Two named pipes and a shell put them there, so no library is needed.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::skip;

/// A browser with one page.
pub struct Chromium {
    child: Child,
    to: File,
    from: std::sync::mpsc::Receiver<Value>,
    next: u64,
    session: Option<String>,
    events: Vec<Value>,
    _place: TempDir,
}

impl Chromium {
    /// Starts a browser with an empty profile.
    pub fn start() -> Chromium {
        let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
        let given = std::env::var("CHEHRA_CHROMIUM").ok();
        let works = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
        let Some(name) = given.as_deref().into_iter().chain(names).find(works) else {
            skip("no Chromium (Debian: apt-get install chromium; or name one in CHEHRA_CHROMIUM)");
        };
        let place = tempfile::tempdir().unwrap();
        let (commands, answers) = (place.path().join("commands"), place.path().join("answers"));
        let made = Command::new("mkfifo").arg(&commands).arg(&answers).status().unwrap();
        assert!(made.success());
        let script = "commands=$1; answers=$2; shift 2; exec \"$@\" 3<\"$commands\" 4>\"$answers\"";
        let profile = format!("--user-data-dir={}", place.path().join("profile").display());
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(&commands).arg(&answers).arg(name);
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--hide-scrollbars", "--remote-debugging-pipe", &profile, "about:blank"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let to = OpenOptions::new().write(true).open(&commands).unwrap();
        let read = File::open(&answers).unwrap();
        let (send, from) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut read = BufReader::new(read);
            let mut bytes = Vec::new();
            while read.read_until(0, &mut bytes).is_ok_and(|n| n > 0) {
                bytes.pop();
                if send.send(serde_json::from_slice(&bytes).unwrap_or_default()).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        let mut browser = Chromium { child, to, from, next: 0, session: None, events: Vec::new(), _place: place };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let session = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = Some(session["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page.enable", "Runtime.enable", "Network.enable", "Log.enable"] {
            browser.call(domain, json!({}));
        }
        browser
    }

    /// Sends a command and waits for its answer; events that come meanwhile are kept.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = self.from.recv_timeout(left).unwrap_or_else(|e| panic!("{method}: {e}"));
            match answer["id"].as_u64() {
                Some(id) if id == self.next => {
                    assert!(answer["error"].is_null(), "{method}: {answer}");
                    return answer["result"].clone();
                }
                _ => self.events.push(answer),
            }
        }
    }

    /// What an expression comes to in the page.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub fn wait(&mut self, expression: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.eval(expression) != json!(true) {
            let seen = self.eval("document.body ? document.body.innerText : ''");
            assert!(Instant::now() < deadline, "{expression} never came true; the page says: {seen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn open(&mut self, address: &str) {
        self.call("Page.navigate", json!({ "url": address }));
    }

    /// Width and height in CSS pixels, phone or not.
    pub fn size(&mut self, width: u32, height: u32, phone: bool) {
        let scale = if phone { 2 } else { 1 };
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone }),
        );
    }

    pub fn prefers(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Presses a key: its code, what it means, and its Windows number.
    pub fn press(&mut self, code: &str, key: &str, number: u32) {
        let text = if key.chars().count() == 1 { key } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let mut params = json!({ "type": kind, "code": code, "key": key, "windowsVirtualKeyCode": number });
            if kind == "keyDown" && key == "Enter" {
                params["text"] = json!("\r");
            } else if kind == "keyDown" && !text.is_empty() {
                params["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    pub fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Errors and warnings of the console, uncaught exceptions.
    pub fn complaints(&mut self) -> Vec<Value> {
        self.eval("1");
        let bad = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] != "log",
            Some("Log.entryAdded") => event["params"]["entry"]["level"] != "info",
            _ => false,
        };
        self.events.iter().filter(bad).cloned().collect()
    }

    /// Every address that was asked for.
    pub fn requests(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["params"]["request"]["url"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Keeps a picture of the page where `CHEHRA_SCREENSHOTS` names a folder.
    pub fn screenshot(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("CHEHRA_SCREENSHOTS") else { return };
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": false }));
        let bytes = base64(shot["data"].as_str().unwrap());
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = four.iter().fold(0u32, |bits, &c| bits << 6 | u32::from(value(c))) << (6 * (4 - four.len()));
        out.extend(&bits.to_be_bytes()[1..four.len()]);
    }
    out
}
