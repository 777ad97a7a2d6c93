//! Runs to review, desks that serve them, and a client of few words.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::util::{chehra, fixture, run};

/// Two nights audited into one store: `one`, and `two` whose members were partly there before.
pub fn runs() -> &'static Path {
    static RUNS: OnceLock<PathBuf> = OnceLock::new();
    RUNS.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("review-runs");
        drop(std::fs::remove_dir_all(&place));
        std::fs::create_dir_all(&place).unwrap();
        for (night, out) in [("night", "one"), ("night2", "two")] {
            let mut command = chehra();
            command.args(["audit", "-q", "--store"]).arg(place.join("store")).arg("--out").arg(place.join(out));
            let (code, _, stderr) = run(command.arg(fixture(night)));
            assert_eq!(code, 0, "{stderr}");
        }
        place
    })
}

/// A desk that was started; it ends with the test.
pub struct Desk {
    pub child: Child,
    #[allow(dead_code, reason = "for a browser, in `needs`")]
    pub address: String,
    pub host: String,
    pub token: String,
}

/// What a server said.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{} {}", self.head, String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Desk {
    pub fn start(run: &Path, log: &Path, flags: &[&str]) -> Desk {
        let mut command = chehra();
        command.arg("review").arg(run).arg("--decisions").arg(log).args(flags);
        Desk::spawn(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    pub fn spawn(child: Child) -> Desk {
        Desk::try_spawn(child).expect("a desk that says where it is")
    }

    /// `None` where the process ends before it says where it is.
    pub fn try_spawn(mut child: Child) -> Option<Desk> {
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        if address.is_empty() {
            child.wait().unwrap();
            return None;
        }
        let rest = address.strip_prefix("http://").unwrap_or_else(|| panic!("no address: {address:?}"));
        let (host, token) = rest.trim_end_matches('/').split_once('/').unwrap();
        Some(Desk { child, host: host.to_owned(), token: token.to_owned(), address })
    }

    /// One request with just these header lines, besides Connection and Content-Length.
    pub fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.try_raw(method, path, headers, body).unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    /// As `raw`; `None` where the desk ends instead of answering.
    fn try_raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(&self.host).ok()?;
        let mut text = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Answer { status, head, body: bytes[end + 4..].to_vec() })
    }

    pub fn get(&self, path: &str) -> Answer {
        self.raw("GET", &format!("/{}/{path}", self.token), &[("Host", &self.host)], "")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).unwrap_or_else(|| panic!("POST {path}: no answer"))
    }

    /// As `post`; `None` where the desk ends instead of answering.
    pub fn try_post(&self, path: &str, body: &Value) -> Option<Answer> {
        let origin = format!("http://{}", self.host);
        let headers = [
            ("Host", self.host.as_str()),
            ("Origin", &origin),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/json"),
        ];
        self.try_raw("POST", &format!("/{}/{path}", self.token), &headers, &body.to_string())
    }

    pub fn state(&self, reviewer: &str) -> Value {
        self.get(&format!("state?reviewer={reviewer}")).json()
    }

    pub fn view(&self, reviewer: &str, item: &str) -> Value {
        self.get(&format!("item/{item}?reviewer={reviewer}")).json()
    }

    pub fn decide(&self, reviewer: &str, item: &str, answer: &str) -> Answer {
        self.post("decide", &Desk::decision(reviewer, item, answer))
    }

    pub fn decision(reviewer: &str, item: &str, answer: &str) -> Value {
        json!({ "reviewer": reviewer, "nonce": nonce(), "item": item, "answer": answer })
    }

    pub fn undo(&self, reviewer: &str) -> Answer {
        self.post("undo", &json!({ "reviewer": reviewer, "nonce": nonce() }))
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A nonce that no test used before.
pub fn nonce() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:016x}{:08x}", NEXT.fetch_add(1, Ordering::Relaxed), std::process::id())
}

pub fn items(state: &Value) -> Vec<Value> {
    state["items"].as_array().unwrap().clone()
}

pub fn id(item: &Value) -> String {
    item["id"].as_str().unwrap().to_owned()
}

/// The lines of a log.
pub fn lines(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
