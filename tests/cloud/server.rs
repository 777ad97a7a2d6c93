//! A server of the S3 protocol, and a proxy before it that counts and cuts.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::skip;
use crate::util::{Place, chehra, fixture};

/// What the program is given as its secret, and must never show.
pub const SECRET: &str = "wJalrXUtnFEMIchehraHIDDEN";

/// Servers that were started.
static CHILDREN: Mutex<Vec<Child>> = Mutex::new(Vec::new());

fn children() -> MutexGuard<'static, Vec<Child>> {
    CHILDREN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Ends all servers.
pub fn stop() {
    for child in children().iter_mut() {
        drop(child.kill());
        drop(child.wait());
    }
}

/// A running server.
pub struct Server {
    pub port: u16,
}

fn program() -> PathBuf {
    std::env::var_os("CHEHRA_MOTO").map_or_else(|| PathBuf::from("moto_server"), PathBuf::from)
}

impl Server {
    /// The one that all tests share, each with buckets of its own. It asks for no credentials.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Result<Server, String>> = OnceLock::new();
        match SHARED.get_or_init(|| Server::start(None)) {
            Ok(server) => server,
            Err(reason) => skip(reason.clone()),
        }
    }

    /// A server that checks credentials after so many requests.
    pub fn start(checks_after: Option<u32>) -> Result<Server, String> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program());
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(requests) = checks_after {
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", requests.to_string());
        }
        let child = command.spawn().map_err(|error| {
            format!("no S3 server: moto_server cannot be run ({error}); pip install 'moto[server,s3,iam]', or set CHEHRA_MOTO")
        })?;
        children().push(child);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(120), "moto_server does not listen");
            thread::sleep(Duration::from_millis(100));
        }
        Ok(Server { port })
    }

    /// One request, with credentials that nobody looks at: its status and body. What it writes anybody may read.
    pub fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request\r\nx-amz-acl: public-read\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(!head.contains("chunked"), "{head}");
        (status, answer[end + 4..].to_vec())
    }

    /// Makes a bucket.
    pub fn bucket(&self, name: &str) {
        assert_eq!(self.ask("PUT", &format!("/{name}"), b"").0, 200);
    }

    /// Writes an object, named `bucket/key`.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        assert_eq!(self.ask("PUT", &format!("/{name}"), bytes).0, 200, "{name}");
    }

    /// An object.
    pub fn get(&self, name: &str) -> Vec<u8> {
        let (status, bytes) = self.ask("GET", &format!("/{name}"), b"");
        assert_eq!(status, 200, "{name}");
        bytes
    }

    pub fn has(&self, name: &str) -> bool {
        self.ask("GET", &format!("/{name}"), b"").0 == 200
    }

    pub fn delete(&self, name: &str) {
        assert_eq!(self.ask("DELETE", &format!("/{name}"), b"").0, 204, "{name}");
    }

    /// A bucket with the files of a sample night below `night/`.
    pub fn bucket_of_a_night(&self, bucket: &str, night: &str) {
        self.bucket(bucket);
        for entry in fs::read_dir(fixture(night)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            self.put(&format!("{bucket}/night/{name}"), &fs::read(path).unwrap());
        }
    }

    /// The binary, with this server and credentials in its environment.
    pub fn chehra(&self, place: &Place) -> Command {
        at_port(self.port, place)
    }
}

/// The binary, with a server at this port.
pub fn at_port(port: u16, place: &Place) -> Command {
    let mut command = chehra();
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_ENDPOINT", format!("http://127.0.0.1:{port}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_REGION", "us-east-1")
        .env("XDG_STATE_HOME", place.path("state"));
    command
}

/// Nothing is left of what was unfinished or copied.
pub fn nothing_is_left(place: &Place) {
    let base = place.path("state/chehra");
    let left: Vec<PathBuf> = files_below(&base);
    assert!(left.is_empty(), "{left:?}");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => found.extend(files_below(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Hands connections on to a server, counts what it answers, and cuts some.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    answered: AtomicU64,
    /// Connections that are still to be cut.
    cuts: AtomicI64,
    /// After so many bytes of answers.
    after: u64,
}

impl Proxy {
    pub fn new(server: &Server, cuts: i64, after: u64) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, upstream) = (listener.local_addr().unwrap().port(), server.port);
        let state = Arc::new(State { answered: AtomicU64::new(0), cuts: AtomicI64::new(cuts), after });
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { continue };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || copy(from, to, &mut |_| true));
                let state = shared.clone();
                thread::spawn(move || {
                    let mut passed = 0;
                    copy(server, client, &mut |bytes| {
                        passed += bytes;
                        state.answered.fetch_add(bytes, SeqCst);
                        passed <= state.after || state.cuts.fetch_sub(1, SeqCst) <= 0
                    });
                });
            }
        });
        Proxy { port, state }
    }

    /// Bytes that the server has answered, heads included.
    pub fn answered(&self) -> u64 {
        self.state.answered.load(SeqCst)
    }

    /// Whether as many connections were cut as were to be.
    pub fn has_cut_all(&self) -> bool {
        self.state.cuts.load(SeqCst) <= 0
    }
}

/// Copies until `passes` says no to a piece; then both ends are closed.
fn copy(mut from: TcpStream, mut to: TcpStream, passes: &mut dyn FnMut(u64) -> bool) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !passes(read as u64) || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}
