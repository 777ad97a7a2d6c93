//! What is an address of an object store, and what must not be in one.

use std::path::Path;

use crate::{Error, Result};

/// Addresses of single files that are read.
pub const WEB: [&str; 2] = ["https", "http"];
const SCHEMES: [&str; 6] = ["s3", "s3a", "gs", "az", "https", "http"];

/// Whether a path is an address: `s3://bucket/folder` and the like.
pub fn is_address(path: &Path) -> bool {
    scheme(path).is_some()
}

/// The scheme of an address.
pub(super) fn scheme(path: &Path) -> Option<&'static str> {
    let (scheme, _) = path.to_str()?.split_once("://")?;
    SCHEMES.into_iter().find(|known| *known == scheme)
}

/// The parts of an address: scheme, bucket or host, and the rest without slashes around it.
pub(super) fn parts(path: &Path) -> Option<(&'static str, &str, &str)> {
    let scheme = scheme(path)?;
    let rest = path.to_str()?.split_once("://")?.1;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    Some((scheme, bucket, key.trim_matches('/')))
}

/// Refuses an address that cannot be meant, or has a secret in it: addresses stand in `run.json` and in logs.
///
/// # Errors
/// [`Error::Usage`] that names the flag and not the secret.
pub fn check(flag: &str, address: &Path) -> Result<()> {
    let Some((scheme, bucket, key)) = parts(address) else { return Ok(()) };
    let shown = masked(&address.to_string_lossy());
    let refuse = |found: &str, fix: &str| Err(Error::usage(flag, format!("{shown}: {found}"), fix));
    if bucket.contains('@') {
        let fix = "give credentials in the environment (AWS_ACCESS_KEY_ID and the like): an address stands in run.json";
        return refuse("an address with a user or a password in it", fix);
    }
    if WEB.contains(&scheme) && key.contains(['?', '#']) {
        let fix = "a signed address is a secret, and stands in run.json: name the object itself (s3://, gs://, az://) with \
                   credentials in the environment, or copy the file to this machine";
        return refuse("an address with a query", fix);
    }
    if bucket.is_empty() {
        return refuse(
            "no bucket",
            "write s3://BUCKET/FOLDER, gs://BUCKET/FOLDER, az://CONTAINER/FOLDER or https://HOST/FILE",
        );
    }
    if key.split('/').any(|part| part == "." || part == ".." || part.is_empty() && !key.is_empty()) {
        return refuse("a folder without a name, `.` or `..` in it", "write the address out");
    }
    Ok(())
}

/// A text without what may be secret in addresses: users, passwords and queries; nor what the environment has as secrets.
pub fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        masked += before;
        let end = after.find(|letter: char| letter.is_whitespace() || "\"'<>)".contains(letter)).unwrap_or(after.len());
        let (address, left) = after.split_at(end);
        let (place, query) = match address.find('?') {
            Some(at) => (&address[..at], "?..."),
            None => (address, ""),
        };
        let host = place.find('/').unwrap_or(place.len());
        match place[..host].rfind('@') {
            Some(at) => masked.push_str(&format!("***{}", &place[at..])),
            None => masked += place,
        }
        masked += query;
        rest = left;
    }
    masked += rest;
    for secret in secrets() {
        masked = masked.replace(&secret, "***");
    }
    masked
}

/// Values of variables whose names say that they are secret.
fn secrets() -> Vec<String> {
    const WORDS: [&str; 5] = ["SECRET", "TOKEN", "PASSWORD", "SAS", "KEY"];
    const OWNERS: [&str; 4] = ["AWS_", "AZURE_", "GOOGLE_", "GCP_"];
    let is_secret = |name: &str| {
        OWNERS.iter().any(|owner| name.starts_with(owner))
            && WORDS.iter().any(|word| name.contains(word))
            && name != "AWS_ACCESS_KEY_ID"
    };
    let found =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    // Shorter ones are no secrets, and would take letters out of every message.
    found.filter(|(name, value)| is_secret(name) && value.len() >= 8).map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_paths() {
        for address in ["s3://b/x", "gs://b", "az://c/x/y.parquet", "https://h/x", "s3a://b/k"] {
            assert!(is_address(Path::new(address)), "{address}");
        }
        for path in ["/s3/b", "s3:/b", "file:///x", "ftp://h/x", "", "x"] {
            assert!(!is_address(Path::new(path)), "{path}");
        }
        let joined = Path::new("s3://b/x").join("y.parquet");
        assert_eq!(parts(&joined), Some(("s3", "b", "x/y.parquet")));
        assert_eq!(parts(joined.parent().unwrap()), Some(("s3", "b", "x")));
    }

    #[test]
    fn secrets_in_addresses_are_refused_and_not_repeated() {
        for wrong in [
            "https://me:hidden@h/x",
            "s3://me:hidden@b/x",
            "https://h/x?X-Amz-Signature=hidden",
            "s3:///x",
            "s3://b/../x",
        ] {
            let error = check("DUMP", Path::new(wrong)).unwrap_err();
            assert!(matches!(error, Error::Usage { .. }) && !error.to_string().contains("hidden"), "{error}");
        }
        // A question mark is a glob where files are listed.
        for right in ["s3://b/part-?.parquet", "https://h/x.parquet", "s3://b", "s3://b/x/", "/no/address?"] {
            check("DUMP", Path::new(right)).unwrap();
        }
        let text = masked("GET https://u:hidden@h/a?sig=hidden failed, (http://h/b) too");
        assert_eq!(text, "GET https://***@h/a?... failed, (http://h/b) too");
    }
}
