//! Stands in for the client where the feature `cloud` is not built in: every address is refused.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::error::StoreRefusal;

/// Whether addresses can be read and written.
pub const BUILT: bool = false;

/// An object that is read: there is none.
#[derive(Debug)]
pub enum Object {}

/// An object that was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its address.
    pub address: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

fn refused<T>() -> io::Result<T> {
    Err(StoreRefusal::Unusable("this program was built without `cloud`, so it reads and writes no addresses".into())
        .into())
}

#[allow(missing_docs)] // as the client's
impl Object {
    pub fn open(_: &Path) -> io::Result<Arc<Object>> {
        refused()
    }

    pub fn size(&self) -> u64 {
        match *self {}
    }

    pub fn ends(&self) -> [(u64, Bytes); 2] {
        match *self {}
    }

    pub fn read(&self, _: Range<u64>) -> io::Result<Bytes> {
        match *self {}
    }

    pub fn read_many(&self, _: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        match *self {}
    }
}

/// Lists all objects below an address.
///
/// # Errors
/// Always.
pub fn list(_: &Path) -> io::Result<Vec<Listed>> {
    refused()
}

/// Writes a file to an address.
///
/// # Errors
/// Always.
pub fn put(_: &Path, _: &Path) -> io::Result<()> {
    refused()
}

/// Writes bytes to an address.
///
/// # Errors
/// Always.
pub fn put_bytes(_: &Path, _: Vec<u8>) -> io::Result<()> {
    refused()
}

/// Removes an object.
///
/// # Errors
/// Always.
pub fn delete(_: &Path) -> io::Result<()> {
    refused()
}
