//! Files in object stores: `s3://`, `gs://`, `az://` and `https://` where a path may stand.
//!
//! An address is a path like any other to the rest of the program, and [`InputFile`] is a file that is read, wherever it lies.
//! What talks to a network is `client` alone, behind the feature `cloud`; without it `no_client` takes its place, and every
//! address is answered with how to get a program that has it.
//!
//! | part | |
//! |---|---|
//! | `address` | what an address is, and which is refused: those with secrets in them |
//! | `client`, `no_client` | requests: size, ranges, listing, writing, removing; retries with a limit |
//! | `input_file` | a file on a disk or an object, read in pieces |
//! | `marker` | `_SUCCESS`: a folder there is whole |
//! | `scratch` | folders on this machine for what is unfinished or copied |

mod address;
#[cfg(feature = "cloud")]
mod client;
mod input_file;
mod marker;
#[cfg(not(feature = "cloud"))]
mod no_client;
mod scratch;

use std::io;
use std::path::Path;

pub use address::{WEB, check, is_address, masked};
#[cfg(feature = "cloud")]
use client as store;
pub use input_file::InputFile;
pub use marker::{MARKER, Marker, RunCopy};
#[cfg(not(feature = "cloud"))]
use no_client as store;
pub use scratch::{Scratch, kept_place};
pub use store::{BUILT, Listed, delete, list, put, put_bytes};

/// Whether there is a file: an object of this name, or a file on a disk.
///
/// # Errors
/// The object store's, where it gives no answer.
pub fn is_file(path: &Path) -> io::Result<bool> {
    if !is_address(path) {
        return Ok(path.is_file());
    }
    match store::Object::open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether `is_own` knows the beginning of an object as its own.
///
/// # Errors
/// The object store's, or the disk's.
pub fn is_own(address: &Path, is_own: impl FnOnce(&Path) -> bool) -> io::Result<bool> {
    const HEAD: u64 = 64 << 10;
    let file = InputFile::open(address)?;
    let scratch = Scratch::new()?;
    let head = scratch.path().join("head");
    std::fs::write(&head, file.bytes_at(0, file.size()?.min(HEAD) as usize)?)?;
    Ok(is_own(&head))
}

/// Whether there is anything: a file or folder, or an object of this name or below it.
///
/// # Errors
/// As [`is_file`].
pub fn exists(path: &Path) -> io::Result<bool> {
    if !is_address(path) {
        return Ok(path.exists());
    }
    if is_file(path)? {
        return Ok(true);
    }
    match list(path) {
        Ok(found) => Ok(!found.is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
