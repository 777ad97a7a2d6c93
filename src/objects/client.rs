//! Requests to object stores. Every one is repeated with a growing pause when the connection or the server fails, up to
//! [`RETRIES`] times and not after [`PATIENCE`]; a refusal (no rights, not there) is told at once. Credentials come from the
//! environment, as the crate `object_store` takes them.

use std::collections::HashMap;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, ObjectStore, ObjectStoreExt, RetryConfig, coalesce_ranges,
};
use tokio::runtime::{Builder, Runtime};

use super::address::{WEB, masked, parts};
use crate::error::StoreRefusal;

/// Whether addresses can be read and written.
pub const BUILT: bool = true;

/// How often a request that failed is repeated.
const RETRIES: usize = 6;
/// The pause before the first repetition, at least; the others are longer.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// After so long it is not repeated any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is kept of the beginning and the end of an object that is opened: its magic number, and its footer as a rule.
const HEAD: u64 = 4 << 10;
const TAIL: u64 = 64 << 10;
/// Bytes between two ranges that are fetched along with them rather than by another request.
const GAP: u64 = 64 << 10;
/// Files that are larger are written in parts of this size: S3 wants 5 MiB at least, and 10,000 parts at most.
const PART: u64 = 16 << 20;
/// Folders nested deeper than this are a mistake.
const MAX_DEPTH: usize = 16;

/// An object that is read. It is looked at once: should it be changed meanwhile, reading fails.
#[derive(Debug)]
pub struct Object {
    store: Arc<dyn ObjectStore>,
    key: Key,
    size: u64,
    /// What tells whether it is still the same, where the server says so.
    tag: Option<String>,
    /// Positions and bytes of its beginning and its end.
    ends: [(u64, Bytes); 2],
}

/// An object that was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its address.
    pub address: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// Objects that were opened.
fn opened() -> &'static Mutex<HashMap<PathBuf, Arc<Object>>> {
    static OPENED: OnceLock<Mutex<HashMap<PathBuf, Arc<Object>>>> = OnceLock::new();
    OPENED.get_or_init(Mutex::default)
}

fn forget(address: &Path) {
    opened().lock().unwrap_or_else(PoisonError::into_inner).remove(address);
}

impl Object {
    /// Looks at an object, unless that was done before.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where there is none; else what the store says.
    pub fn open(address: &Path) -> io::Result<Arc<Object>> {
        if let Some(known) = opened().lock().unwrap_or_else(PoisonError::into_inner).get(address) {
            return Ok(known.clone());
        }
        let (store, key) = store_of(address)?;
        if key.as_ref().is_empty() {
            return Err(StoreRefusal::NotThere("a bucket is no file".into()).into());
        }
        let meta = wait(store.head(&key))?;
        // A weak tag matches nothing in a request that must match it.
        let tag = meta.e_tag.filter(|tag| !tag.starts_with("W/"));
        let mut object = Object { store, key, size: meta.size, tag, ends: [(0, Bytes::new()), (0, Bytes::new())] };
        let size = object.size;
        if size > 0 {
            let ranges = [0..size.min(HEAD), size.saturating_sub(TAIL)..size];
            let bytes = object.read_many(&ranges)?;
            let mut bytes = ranges.iter().map(|range| range.start).zip(bytes);
            object.ends = [bytes.next().unwrap_or_default(), bytes.next().unwrap_or_default()];
        }
        let object = Arc::new(object);
        opened().lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_path_buf(), object.clone());
        Ok(object)
    }

    /// Bytes of it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Positions and bytes of what is known of it already.
    pub fn ends(&self) -> [(u64, Bytes); 2] {
        self.ends.clone()
    }

    /// Reads a range, in one request.
    ///
    /// # Errors
    /// What the store says; [`StoreRefusal::Unusable`] where the object has changed.
    pub fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let read = wait(self.get(range.clone()))?;
        match read.len() as u64 == range.end - range.start {
            true => Ok(read),
            false => {
                Err(StoreRefusal::Unusable("fewer bytes than it has: it was changed while it was read".into()).into())
            }
        }
    }

    /// Reads ranges, some at a time; those that lie close together in one request.
    ///
    /// # Errors
    /// As [`Object::read`].
    pub fn read_many(&self, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        wait(coalesce_ranges(ranges, |range| self.get(range), GAP))
    }

    async fn get(&self, range: Range<u64>) -> object_store::Result<Bytes> {
        let options = GetOptions::new().with_range(Some(range)).with_if_match(self.tag.clone());
        self.store.get_opts(&self.key, options).await?.bytes().await
    }
}

/// Lists all objects below an address, sorted.
///
/// # Errors
/// What the store says; nothing below it is an empty list.
pub fn list(folder: &Path) -> io::Result<Vec<Listed>> {
    let (store, key) = store_of(folder)?;
    let Some((scheme, bucket, _)) = parts(folder) else { return Err(no_address()) };
    if WEB.contains(&scheme) {
        return Err(StoreRefusal::Unusable("https:// names single files: nothing can be listed there".into()).into());
    }
    let mut found = Vec::new();
    let mut folders = vec![(key, 0)];
    while let Some((prefix, depth)) = folders.pop() {
        if depth > MAX_DEPTH {
            return Err(StoreRefusal::Unusable(format!("folders nested deeper than {MAX_DEPTH} below {prefix}")).into());
        }
        let here = wait(store.list_with_delimiter((!prefix.as_ref().is_empty()).then_some(&prefix)))?;
        let address = |key: &Key| PathBuf::from(format!("{scheme}://{bucket}/{key}"));
        found.extend(here.objects.iter().map(|meta| Listed { address: address(&meta.location), size: meta.size }));
        folders.extend(here.common_prefixes.into_iter().map(|below| (below, depth + 1)));
    }
    found.sort_by(|a, b| a.address.cmp(&b.address));
    Ok(found)
}

/// Writes a file to an address: the object appears whole or not at all.
///
/// # Errors
/// What the store or the disk says.
pub fn put(address: &Path, from: &Path) -> io::Result<()> {
    let mut file = File::open(from)?;
    let size = file.metadata()?.len();
    if size <= PART {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        return put_bytes(address, bytes);
    }
    let (store, key) = writable(address)?;
    let mut upload = wait(store.put_multipart(&key))?;
    let sent = (|| {
        loop {
            let mut part = Vec::new();
            file.by_ref().take(PART).read_to_end(&mut part)?;
            if part.is_empty() {
                return wait(upload.complete()).map(drop);
            }
            wait(upload.put_part(part.into()))?;
        }
    })();
    if sent.is_err() {
        // Best effort: the error that is told came first.
        drop(wait(upload.abort()));
    }
    forget(address);
    sent
}

/// Writes bytes to an address.
///
/// # Errors
/// What the store says.
pub fn put_bytes(address: &Path, bytes: Vec<u8>) -> io::Result<()> {
    let (store, key) = writable(address)?;
    let written = wait(store.put(&key, bytes.into())).map(drop);
    forget(address);
    written
}

/// Removes an object; none there is fine.
///
/// # Errors
/// What the store says.
pub fn delete(address: &Path) -> io::Result<()> {
    let (store, key) = writable(address)?;
    let removed = wait(store.delete(&key));
    forget(address);
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn no_address() -> io::Error {
    StoreRefusal::Unusable("no address".into()).into()
}

fn writable(address: &Path) -> io::Result<(Arc<dyn ObjectStore>, Key)> {
    match parts(address) {
        Some((scheme, ..)) if WEB.contains(&scheme) => {
            Err(StoreRefusal::Unusable("https:// is read alone: write to s3://, gs:// or az://".into()).into())
        }
        _ => store_of(address),
    }
}

/// Stores by scheme and bucket.
type Stores = HashMap<(&'static str, String), Arc<dyn ObjectStore>>;

/// The store of an address, and the key in it.
fn store_of(address: &Path) -> io::Result<(Arc<dyn ObjectStore>, Key)> {
    static STORES: OnceLock<Mutex<Stores>> = OnceLock::new();
    let (scheme, bucket, key) = parts(address).ok_or_else(no_address)?;
    let key = match WEB.contains(&scheme) {
        true => Key::from_url_path(key),
        false => Key::parse(key),
    };
    let key = key.map_err(|error| io::Error::from(StoreRefusal::Unusable(error.to_string())))?;
    let mut stores = STORES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let store = match stores.get(&(scheme, bucket.to_owned())) {
        Some(store) => store.clone(),
        None => {
            let store = connect(scheme, bucket).map_err(|error| told(&error))?;
            stores.insert((scheme, bucket.to_owned()), store.clone());
            store
        }
    };
    Ok((store, key))
}

fn connect(scheme: &str, bucket: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    // Another one is there already: as good.
    PROVIDER.get_or_init(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let retry = RetryConfig {
        backoff: BackoffConfig { init_backoff: FIRST_PAUSE, ..BackoffConfig::default() },
        max_retries: RETRIES,
        retry_timeout: PATIENCE,
    };
    Ok(match scheme {
        "gs" => Arc::new(GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry).build()?),
        "az" => Arc::new(MicrosoftAzureBuilder::from_env().with_container_name(bucket).with_retry(retry).build()?),
        "https" | "http" => {
            // Plain HTTP only where the environment allows it, as for the others (AWS_ALLOW_HTTP).
            let allowed = std::env::var("ALLOW_HTTP").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
            let options = ClientOptions::new().with_allow_http(allowed);
            let url = format!("{scheme}://{bucket}");
            Arc::new(HttpBuilder::new().with_url(url).with_client_options(options).with_retry(retry).build()?)
        }
        _ => Arc::new(AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).build()?),
    })
}

/// Waits for an answer. Not to be called from within a runtime.
fn wait<T>(request: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
    static RUNTIME: OnceLock<io::Result<Runtime>> = OnceLock::new();
    let start = || Builder::new_multi_thread().worker_threads(2).thread_name("objects").enable_all().build();
    let runtime =
        RUNTIME.get_or_init(start).as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
    runtime.block_on(request).map_err(|error| told(&error))
}

/// What went wrong, in words without secrets.
fn told(error: &object_store::Error) -> io::Error {
    let mut words = error.to_string();
    let mut next = std::error::Error::source(error);
    let mut last = String::new();
    while let Some(source) = next {
        last = source.to_string();
        next = source.source();
    }
    // The system's number would be taken for a refusal of this machine's disk.
    let last = last.split(" (os error").next().unwrap_or_default();
    if !last.is_empty() && !words.contains(last) {
        words += &format!(" ({last})");
    }
    let status = words.split("status code: ").nth(1).map(|rest| rest.chars().take(3).collect::<String>());
    let code = words.split("<Code>").nth(1).and_then(|rest| rest.split("</Code>").next()).map(str::to_owned);
    let short = match (&status, &code) {
        (Some(status), Some(code)) => format!("the server answers {status} {code}"),
        (Some(status), None) => format!("the server answers {status}"),
        _ => {
            let line: String = words.split_whitespace().collect::<Vec<_>>().join(" ");
            masked(&line)
        }
    };
    use object_store::Error as E;
    let refusal = match error {
        E::NotFound { .. } => StoreRefusal::NotThere(short),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => StoreRefusal::NoRights(short),
        E::Precondition { .. } => StoreRefusal::Unusable("it was changed while it was read".into()),
        E::Generic { .. } => match status.as_deref() {
            Some("404") => StoreRefusal::NotThere(short),
            Some("401" | "403") => StoreRefusal::NoRights(short),
            Some("408" | "429") => StoreRefusal::Later(masked(&words)),
            Some(status) if status.starts_with('4') || status.starts_with('3') => StoreRefusal::Unusable(short),
            Some(_) => StoreRefusal::Later(format!("{short}, after up to {RETRIES} retries")),
            None if words.contains("URL scheme is not allowed") => StoreRefusal::Unusable(
                "plain HTTP is not allowed: set AWS_ALLOW_HTTP=true (ALLOW_HTTP=true for http:// addresses) if it is meant".into(),
            ),
            None if words.contains("without LOCATION") => {
                StoreRefusal::Unusable(format!("{short}; set AWS_REGION to the bucket's region"))
            }
            None if words.contains("redentials") || words.contains("169.254.169.254") => {
                StoreRefusal::NoRights(format!("no credentials in the environment, and none from the machine: {short}"))
            }
            None if words.contains(" retries") => StoreRefusal::Later(short),
            None => StoreRefusal::Later(format!("{short}, after up to {RETRIES} retries")),
        },
        _ => StoreRefusal::Unusable(short),
    };
    refusal.into()
}
