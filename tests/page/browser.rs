//! A headless Chromium, spoken to in the DevTools protocol over its pipe: no port is opened and no driver is needed.
//!
//! Messages are JSON with a zero byte at the end, read by the browser from descriptor 3 and written to 4
//! (`--remote-debugging-pipe`). Two named pipes and a shell's redirections stand there.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The browser of this machine: `CHEHRA_CHROMIUM`, or the first of the usual names on the path.
pub fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHEHRA_CHROMIUM") {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    let files = names.iter().flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)));
    files.into_iter().find(|file| file.is_file())
}

/// A running browser with one open page.
pub struct Browser {
    process: Child,
    to: File,
    from: BufReader<File>,
    session: Option<String>,
    next: u64,
    /// What the page has reported since it was opened.
    events: Vec<Value>,
    _folder: TempDir,
}

/// How a page is looked at.
#[derive(Clone, Copy)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
}

pub const DESKTOP: Look = Look { width: 1280, height: 900, dark: false };
pub const PHONE: Look = Look { width: 390, height: 844, dark: false };

impl Browser {
    /// Starts it.
    pub fn start(program: &Path) -> Browser {
        let folder = tempfile::tempdir().unwrap();
        let pipes = ["in", "out"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").args(&pipes).status().unwrap().success());
        let [to, from] = &pipes;
        let mut process = Command::new("sh")
            .args(["-c", "to=$1 from=$2; shift 2; exec \"$@\" 3<\"$to\" 4>\"$from\"", "sh"])
            .args([to, from])
            .arg(program)
            .args(["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--mute-audio"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Opening a pipe waits for its other end, which the shell opens in this order.
        let to = OpenOptions::new().write(true).open(to).unwrap();
        let from = BufReader::new(File::open(from).unwrap());
        assert!(process.try_wait().unwrap().is_none(), "the browser ended at once");
        Browser { process, to, from, session: None, next: 0, events: Vec::new(), _folder: folder }
    }

    /// One command and its answer; what the page reports meanwhile is kept.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.clone().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.read();
            if answer["id"] == self.next {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser ended");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Opens a file in a new page and waits until it and its script are done.
    pub fn open(&mut self, file: &Path, look: Look) {
        self.session = None;
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = self.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        self.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.look(look);
        self.events.clear();
        self.call("Page.navigate", json!({"url": format!("file://{}", file.display())}));
        while !self.events.iter().any(|e| e["method"] == "Page.loadEventFired") {
            let event = self.read();
            self.events.push(event);
        }
        assert_eq!(self.evaluate("document.documentElement.dataset.ready"), "yes", "the page's script ran to its end");
    }

    /// Changes size and colours.
    pub fn look(&mut self, look: Look) {
        let size =
            json!({"width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": look.width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if look.dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"media": "", "features": features}));
    }

    /// The value of an expression in the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Presses and releases a key.
    pub fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            other => panic!("no such key here: {other}"),
        };
        for kind in [if text.is_empty() { "rawKeyDown" } else { "keyDown" }, "keyUp"] {
            let typed = if kind == "keyDown" { text } else { "" };
            let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": typed});
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Types into what has the focus.
    pub fn insert(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// What went wrong in the page: errors of its script, the console and the policy, and every request but the file's.
    pub fn complaints(&mut self) -> Vec<String> {
        // A round trip, so that what was reported before it is here.
        self.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(1), 50)))");
        let mut documents = 0;
        let mut found = Vec::new();
        for event in &self.events {
            let parameters = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" | "Network.webSocketCreated" => found.push(parameters.to_string()),
                "Runtime.consoleAPICalled" => found.push(parameters["args"].to_string()),
                "Log.entryAdded" => found.push(parameters["entry"]["text"].to_string()),
                "Network.requestWillBeSent" => {
                    let url = parameters["request"]["url"].as_str().unwrap_or_default();
                    documents += i32::from(url.starts_with("file://"));
                    if !(url.starts_with("data:") || url.starts_with("file://") && documents == 1) {
                        found.push(format!("a request to {url}"));
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// A picture of the page as it is seen, or of all of it, as base64 of a PNG.
    pub fn screenshot(&mut self, whole: bool) -> String {
        let asked = json!({"format": "png", "captureBeyondViewport": whole});
        self.call("Page.captureScreenshot", asked)["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
