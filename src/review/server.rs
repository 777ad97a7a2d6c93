//! The desk over HTTP: its pages, their lists, pairs and members, pictures, and the requests that change something.
//!
//! One thread serves; whatever reads pictures or waits for the disk runs beside it. An answer to a decision is made of a
//! [`Receipt`], and only a flushed log hands one out.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use axum::serve::Listener;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;

use super::calls::{Calls, GivenCall, Wanted};
use super::desk::{Desk, Given};
use super::files;
use super::guard::{Guard, loopback, seal};
use super::person::GivenPerson;
use super::request::{Refusal, TakenBack};
use super::rows::{Appealing, GivenRow, RowPicture, RowUndo, Rows, SelfieView, letter};
use super::work::{Assigning, Looking};
use crate::decisions::KnownAnswers;
use crate::journal::Receipt;
use crate::{Error, Result};

/// Most bytes of a request: a decision with a long note.
const MOST_BYTES: usize = 16 << 10;

/// How long a connection may be silent: longer than the slowest picture takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A desk that listens.
#[derive(Debug)]
pub struct Server {
    listener: std::net::TcpListener,
    guard: Guard,
    desk: Arc<Desk>,
}

type Context = (Arc<Desk>, Arc<Guard>);

/// Closes connections over which nothing comes: whoever opens hundreds and says nothing does not keep others out.
struct Impatient {
    listener: TcpListener,
    patience: Duration,
}

impl Listener for Impatient {
    type Io = Pin<Box<TimeoutStream<TcpStream>>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, from) = Listener::accept(&mut self.listener).await;
        let mut stream = TimeoutStream::new(stream);
        stream.set_read_timeout(Some(self.patience));
        (Box::pin(stream), from)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Server {
    /// Listens on a loopback address; port 0 takes any that is free.
    ///
    /// # Errors
    /// [`Error::Usage`] for an address that other machines can reach, [`Error::Io`] when the port is taken.
    pub fn bind(desk: Desk, address: IpAddr, port: u16) -> Result<Server> {
        let address = SocketAddr::new(loopback(address)?, port);
        let refused = Error::io("listen at", address.to_string());
        let listener = std::net::TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(Error::io("listen at", address.to_string()))?;
        let bound = listener.local_addr().map_err(Error::io("listen at", address.to_string()))?;
        Ok(Server { listener, guard: Guard::new(bound)?, desk: Arc::new(desk) })
    }

    /// What to open in a browser.
    pub fn address(&self) -> String {
        self.guard.address()
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// [`Error::Io`] when the system takes the socket away.
    pub fn run(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(4)
            .build()
            .map_err(Error::io("start", "the desk"))?;
        let context: Context = (self.desk, Arc::new(self.guard));
        runtime.block_on(async {
            let listener = TcpListener::from_std(self.listener).map_err(Error::io("listen", "the desk"))?;
            let listener = Impatient { listener, patience: PATIENCE };
            let router = Router::new().fallback(answer).layer(DefaultBodyLimit::max(MOST_BYTES)).with_state(context);
            axum::serve(listener, router).await.map_err(Error::io("serve", "the desk"))
        })
    }
}

/// Every request comes through here: checked first, then answered on a thread that may wait.
async fn answer(
    Shared((desk, guard)): Shared<Context>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: std::result::Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Response {
    let mut response = match guard.check(&method, uri.path(), &headers) {
        Err(status) => plain(status),
        Ok(path) => {
            let (path, query) = (path.to_owned(), uri.query().unwrap_or_default().to_owned());
            let is_json = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
            match body {
                Err(_) => plain(StatusCode::PAYLOAD_TOO_LARGE),
                Ok(_) if method == Method::POST && !is_json => plain(StatusCode::UNSUPPORTED_MEDIA_TYPE),
                Ok(body) => tokio::task::spawn_blocking(move || route(&desk, &method, &path, &query, &body))
                    .await
                    .unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR)),
            }
        }
    };
    seal(response.headers_mut());
    response
}

fn route(desk: &Desk, method: &Method, path: &str, query: &str, body: &[u8]) -> Response {
    let parts: Vec<&str> = path.split('/').collect();
    let reviewer = || parameter(query, "reviewer").unwrap_or_default();
    let has_page = parts[0] != "calls" && parts[0] != "calls.js" || desk.calls().is_some();
    if let Some((kind, content)) = files::find(path).filter(|_| method == Method::GET && has_page) {
        return respond(StatusCode::OK, kind, content);
    }
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["desk"]) => json(&Greeting {
            reviewer: desk.only_reviewer(),
            without_dump: desk.without_dump(),
            calls: desk.calls().map(|calls| calls.size().0),
            promise: desk.has_promise(),
            rows: desk.rows().count(),
            districts: desk.districts(),
            liveness: desk.liveness(),
            languages: files::languages(),
        }),
        ("GET", ["promise"]) => match desk.promise() {
            Some(Ok(record)) => json(&record),
            Some(Err(error)) => respond(StatusCode::CONFLICT, "text/plain; charset=utf-8", error.to_string()),
            None => plain(StatusCode::NOT_FOUND),
        },
        ("GET", ["state"]) => desk.state(&reviewer()).map_or_else(refused, |state| json(&state)),
        ("GET", ["item", id]) => desk.view(&reviewer(), id).map_or_else(refused, |view| json(&view)),
        ("GET", ["picture", id, side @ ("a" | "b"), kind @ ("face" | "whole")]) => {
            desk.picture(id, *side == "b", *kind == "whole").map_or_else(refused, jpeg)
        }
        ("POST", ["decide"]) => change(body, |given: &Given| desk.decide(given)),
        ("POST", ["undo"]) => change(body, |given: &TakenBack| desk.undo(given)),
        (_, ["rows", ..]) => route_rows(desk.rows(), method, &parts, query, body),
        (_, ["person" | "worker" | "work" | "letter", ..]) => route_people(desk, method, &parts, query, body),
        (_, ["calls", ..]) => match desk.calls() {
            Some(calls) => route_calls(calls, method, &parts, &reviewer(), body),
            None => plain(StatusCode::NOT_FOUND),
        },
        ("GET" | "POST", _) => plain(StatusCode::NOT_FOUND),
        _ => plain(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// The queues of rows: a page of its own, and the same kinds of request.
fn route_rows(rows: &Rows, method: &Method, parts: &[&str], query: &str, body: &[u8]) -> Response {
    let asked = |name: &str| parameter(query, name).unwrap_or_default();
    let reviewer = || asked("reviewer");
    let picture = |id: &str, which: RowPicture, face: bool| rows.picture(id, which, face).map_or_else(refused, jpeg);
    match (method.as_str(), &parts[1..]) {
        ("GET", ["state"]) => rows.state(&reviewer(), &asked("queue")).map_or_else(refused, |state| json(&state)),
        ("GET", ["item", id]) => rows.view(&reviewer(), id).map_or_else(refused, |view| json(&view)),
        ("GET", ["find"]) => rows.find(&asked("submission")).map_or_else(refused, |id| json(&FoundRow { id })),
        ("GET", ["picture", id, "face"]) => picture(id, RowPicture::Selfie, true),
        ("GET", ["picture", id, "whole"]) => picture(id, RowPicture::Selfie, false),
        ("GET", ["picture", id, "photo"]) => picture(id, RowPicture::Photo, false),
        ("GET", ["picture", id, "reference"]) => picture(id, RowPicture::Reference, false),
        ("GET", ["picture", id, "twin"]) => picture(id, RowPicture::Twin, false),
        ("GET", ["picture", id, "worker", at]) => match at.parse() {
            Ok(at) => picture(id, RowPicture::Other(at), false),
            Err(_) => plain(StatusCode::NOT_FOUND),
        },
        ("POST", ["decide"]) => change(body, |given: &GivenRow| rows.decide(given)),
        ("POST", ["undo"]) => change(body, |given: &RowUndo| rows.undo(given)),
        ("POST", ["appeal"]) => change(body, |given: &Appealing| rows.appeal(given)),
        ("GET" | "POST", _) => plain(StatusCode::NOT_FOUND),
        _ => plain(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// Persons, workers, who has which part of the work, and letters to members.
fn route_people(desk: &Desk, method: &Method, parts: &[&str], query: &str, body: &[u8]) -> Response {
    let reviewer = || parameter(query, "reviewer").unwrap_or_default();
    match (method.as_str(), parts) {
        ("GET", ["person", item]) => desk.person(&reviewer(), item).map_or_else(refused, |view| json(&view)),
        ("GET", ["person", item, "picture", at, kind @ ("face" | "whole")]) => match at.parse() {
            Ok(at) => desk.person_picture(item, at, *kind == "whole").map_or_else(refused, jpeg),
            Err(_) => plain(StatusCode::NOT_FOUND),
        },
        ("POST", ["person", "decide"]) => change(body, |given: &GivenPerson| desk.decide_person(given)),
        ("GET", ["worker", item, side @ ("a" | "b")]) => {
            let selfies = desk.worker_selfies(item, *side == "b");
            selfies.map_or_else(refused, |selfies| json(&WorkerSelfies { selfies }))
        }
        ("GET", ["worker", item, side @ ("a" | "b"), "picture", at]) => match at.parse() {
            Ok(at) => desk.worker_selfie(item, *side == "b", at).map_or_else(refused, jpeg),
            Err(_) => plain(StatusCode::NOT_FOUND),
        },
        ("GET", ["letter", item]) => {
            let language = parameter(query, "language").unwrap_or_default();
            letter(desk.rows(), item, &language)
                .map_or_else(refused, |html| respond(StatusCode::OK, "text/html; charset=utf-8", html))
        }
        ("GET", ["work"]) => desk.work(&reviewer()).map_or_else(refused, |work| json(&work)),
        ("POST", ["work", "assign"]) => change(body, |given: &Assigning| desk.assign(given)),
        ("POST", ["work", "look"]) => change(body, |given: &Looking| desk.look(given)),
        ("GET" | "POST", _) => plain(StatusCode::NOT_FOUND),
        _ => plain(StatusCode::METHOD_NOT_ALLOWED),
    }
}

#[derive(Serialize)]
struct FoundRow {
    id: String,
}

#[derive(Serialize)]
struct WorkerSelfies {
    selfies: Vec<SelfieView>,
}

/// The queue of calls: a page of its own, and the same kinds of request.
fn route_calls(calls: &Calls, method: &Method, parts: &[&str], reviewer: &str, body: &[u8]) -> Response {
    match (method.as_str(), parts) {
        ("GET", ["calls", "state"]) => calls.state(reviewer).map_or_else(refused, |state| json(&state)),
        ("GET", ["calls", "item", id]) => calls.view(reviewer, id).map_or_else(refused, |view| json(&view)),
        ("GET", ["calls", "picture", id, kind @ ("face" | "whole")]) => {
            calls.picture(id, *kind == "whole").map_or_else(refused, jpeg)
        }
        ("POST", ["calls", "answer"]) => change(body, |given: &GivenCall| calls.answer(given)),
        ("POST", ["calls", "undo"]) => change(body, |given: &TakenBack| calls.undo(given)),
        ("POST", ["calls", "number"]) => change(body, |wanted: &Wanted| calls.number(wanted)),
        ("GET" | "POST", _) => plain(StatusCode::NOT_FOUND),
        _ => plain(StatusCode::METHOD_NOT_ALLOWED),
    }
}

#[derive(Serialize)]
struct Greeting<'a> {
    reviewer: Option<&'a str>,
    without_dump: Option<&'a str>,
    /// Members to call, where there is a sample.
    calls: Option<usize>,
    /// Whether there is something to promise.
    promise: bool,
    /// Rows with a queue.
    rows: usize,
    /// Districts of the run.
    districts: &'a [String],
    /// Below which liveness the run rejects, and below which it asks.
    liveness: Option<[f32; 2]>,
    /// Codes of the languages, the one to fall back to first.
    languages: Vec<&'static str>,
}

/// Something that goes into the log, and the answer to it.
fn change<T: DeserializeOwned, S: Serialize>(
    body: &[u8],
    act: impl FnOnce(&T) -> std::result::Result<(S, Receipt), Refusal>,
) -> Response {
    let Ok(given) = serde_json::from_slice(body) else { return plain(StatusCode::BAD_REQUEST) };
    act(&given).map_or_else(refused, |(state, receipt)| recorded(&state, receipt))
}

/// The only way to tell whoever sent it that something is recorded. It takes the proof that the disk has it.
fn recorded(state: &impl Serialize, _receipt: Receipt) -> Response {
    json(state)
}

fn refused(why: Refusal) -> Response {
    match why {
        Refusal::Stopped(KnownAnswers { wrong, asked }) => {
            let words =
                format!("{wrong} of {asked} known answers were wrong: somebody else has to look at yours first");
            respond(StatusCode::CONFLICT, "text/plain; charset=utf-8", words)
        }
        Refusal::Unknown => plain(StatusCode::NOT_FOUND),
        Refusal::Nothing => plain(StatusCode::CONFLICT),
        Refusal::Wrong(what) => respond(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", what),
        Refusal::Log(error) => {
            log::error!("{error}");
            respond(StatusCode::INSUFFICIENT_STORAGE, "text/plain; charset=utf-8", error.to_string())
        }
    }
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn jpeg(bytes: Vec<u8>) -> Response {
    respond(StatusCode::OK, "image/jpeg", bytes)
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => respond(StatusCode::OK, "application/json", bytes),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn respond(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A parameter of a query, percent-decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let bytes = value.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex = value.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_connection_is_closed_and_others_are_served() {
        use std::io::{Read, Write};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bound = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        bound.set_nonblocking(true).unwrap();
        let address = bound.local_addr().unwrap();
        let client = std::thread::spawn(move || {
            let mut silent = std::net::TcpStream::connect(address).unwrap();
            let mut found = String::new();
            assert_eq!(silent.read_to_string(&mut found).unwrap_or(0), 0, "closed without a word");
            let mut asking = std::net::TcpStream::connect(address).unwrap();
            asking.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            asking.read_to_string(&mut found).unwrap();
            found
        });
        let found = runtime.block_on(async {
            let listener = TcpListener::from_std(bound).unwrap();
            let listener = Impatient { listener, patience: Duration::from_millis(200) };
            let router = Router::new().fallback(async || "here");
            let serving = tokio::spawn(async move { axum::serve(listener, router).await });
            let found = tokio::task::spawn_blocking(move || client.join().unwrap()).await.unwrap();
            serving.abort();
            found
        });
        assert!(found.ends_with("here"), "{found}");
    }

    #[test]
    fn parameters_are_decoded() {
        assert_eq!(parameter("x=1&reviewer=%E0%A4%86%20b", "reviewer").as_deref(), Some("आ b"));
        assert_eq!(parameter("reviewer=a%", "reviewer").as_deref(), Some("a%"));
        assert_eq!(parameter("reviewer=%ff", "reviewer"), None);
        assert_eq!(parameter("", "reviewer"), None);
    }
}
