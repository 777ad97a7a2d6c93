//! Who is answered: the page of this desk, on this machine, with its secret address. Nobody else is told anything.
//!
//! - The desk listens on a loopback address and on no other.
//! - Every path begins with a token of 128 bits from the operating system. A request without it is answered 403, empty.
//! - `Host` must be the address itself. A name that somebody pointed at 127.0.0.1 (DNS rebinding) is not.
//! - `Sec-Fetch-Site`, which browsers send and scripts cannot change, must be `same-origin`, or `none` for an address that
//!   was typed. A request that changes something must also carry the desk's own `Origin`.
//! - The page may load nothing from elsewhere and be put into no frame (`Content-Security-Policy`), nothing is stored by
//!   the browser, and no address is passed on as a referrer.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::{Error, Result};

/// What every answer carries.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// The secret address of a desk.
#[derive(Debug, Clone)]
pub struct Guard {
    token: String,
    hosts: Vec<String>,
}

/// Refuses to listen anywhere but on this machine.
///
/// # Errors
/// [`Error::Usage`] for an address that is not a loopback address.
pub fn loopback(address: IpAddr) -> Result<IpAddr> {
    match address.is_loopback() {
        true => Ok(address),
        false => Err(Error::usage(
            "--bind",
            format!("{address} can be reached from other machines, and the desk shows people's faces"),
            "use 127.0.0.1 or ::1; from another machine use a tunnel: ssh -L 4173:127.0.0.1:4173 HOST, with --port 4173",
        )),
    }
}

impl Guard {
    /// Draws a token for a desk that listens at `address`.
    ///
    /// # Errors
    /// [`Error::Io`] when the operating system gives no random bytes.
    pub fn new(address: SocketAddr) -> Result<Guard> {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes)
            .map_err(|e| Error::io("draw", "the system's random bytes")(std::io::Error::other(e.to_string())))?;
        let token = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let port = address.port();
        Ok(Guard { token, hosts: vec![address.to_string(), format!("localhost:{port}")] })
    }

    /// What to open in a browser.
    pub fn address(&self) -> String {
        format!("http://{}/{}/", self.hosts[0], self.token)
    }

    /// Checks a request; what is let pass is the path behind the token.
    ///
    /// # Errors
    /// The status to answer with, and nothing else.
    pub fn check<'p>(&self, method: &Method, path: &'p str, headers: &HeaderMap) -> Result<&'p str, StatusCode> {
        const NO: StatusCode = StatusCode::FORBIDDEN;
        let one = |name: HeaderName| {
            let mut values = headers.get_all(name).iter();
            let first = values.next().map(|value| value.to_str().unwrap_or("?"));
            if values.next().is_some() { Some("?") } else { first }
        };
        let host = one(header::HOST).filter(|host| self.hosts.iter().any(|own| own == host)).ok_or(NO)?;
        let changes = *method != Method::GET && *method != Method::HEAD;
        match one(HeaderName::from_static("sec-fetch-site")) {
            Some("same-origin") => {}
            // An address that was typed, or no browser at all.
            Some("none") | None if !changes || one(header::ORIGIN).is_some() => {}
            _ => return Err(NO),
        }
        match one(header::ORIGIN) {
            Some(origin) if origin == format!("http://{host}") => {}
            None if !changes => {}
            _ => return Err(NO),
        }
        let (token, rest) = path.strip_prefix('/').and_then(|path| path.split_once('/')).ok_or(NO)?;
        if same(token.as_bytes(), self.token.as_bytes()) { Ok(rest) } else { Err(NO) }
    }
}

/// Adds what every answer carries.
pub fn seal(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Compares in a time that does not tell how much is right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (x, y)| differ | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard::new("127.0.0.1:4173".parse().unwrap()).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_this_machine_is_listened_to() {
        for address in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert!(loopback(address.parse().unwrap()).is_ok(), "{address}");
        }
        for address in ["0.0.0.0", "::", "192.168.1.4", "10.0.0.1", "8.8.8.8", "::ffff:127.0.0.1", "fe80::1"] {
            assert!(loopback(address.parse().unwrap()).is_err(), "{address}");
        }
    }

    #[test]
    fn tokens_are_long_and_new_each_time() {
        let (one, two) = (guard(), guard());
        assert_eq!(one.token.len(), 32);
        assert_ne!(one.token, two.token);
    }

    #[test]
    fn nobody_else_is_answered() {
        let guard = guard();
        let path = format!("/{}/state", guard.token);
        let check = |method: Method, path: &str, pairs: &[(&'static str, &str)]| {
            guard.check(&method, path, &headers(pairs)).map(str::to_owned).map_err(|status| status.as_u16())
        };
        let host = ("host", "127.0.0.1:4173");
        let own = ("origin", "http://127.0.0.1:4173");
        assert_eq!(check(Method::GET, &path, &[host]), Ok("state".into()));
        assert_eq!(check(Method::GET, &path, &[("host", "localhost:4173")]), Ok("state".into()));
        assert_eq!(check(Method::GET, &path, &[host, ("sec-fetch-site", "none")]), Ok("state".into()));
        assert_eq!(check(Method::POST, &path, &[host, own]), Ok("state".into()));
        assert_eq!(check(Method::POST, &path, &[host, own, ("sec-fetch-site", "same-origin")]), Ok("state".into()));
        type Request<'a> = (Method, &'a str, Vec<(&'static str, &'a str)>);
        let refused: [Request; 14] = [
            (Method::GET, &path, vec![]),
            (Method::GET, &path, vec![("host", "evil.example:4173")]),
            (Method::GET, &path, vec![("host", "127.0.0.1")]),
            (Method::GET, &path, vec![("host", "127.0.0.1:80")]),
            (Method::GET, &path, vec![host, host]),
            (Method::GET, &path, vec![host, ("sec-fetch-site", "cross-site")]),
            (Method::GET, &path, vec![host, ("sec-fetch-site", "same-site")]),
            (Method::GET, &path, vec![host, ("origin", "http://evil.example")]),
            (Method::GET, "/state", vec![host]),
            (Method::GET, "/00000000000000000000000000000000/state", vec![host]),
            (Method::POST, &path, vec![host]),
            (Method::POST, &path, vec![host, ("origin", "null")]),
            (Method::POST, &path, vec![host, ("origin", "http://localhost:4173")]),
            (Method::POST, &path, vec![host, own, ("sec-fetch-site", "cross-site")]),
        ];
        for (method, path, pairs) in refused {
            assert_eq!(check(method.clone(), path, &pairs), Err(403), "{method} {path} {pairs:?}");
        }
    }
}
