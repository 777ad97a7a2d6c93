//! Where results may be written: never over what is somebody's own, nor over what the command reads.
//!
//! A path is compared by the place to which it leads, links followed, as far as it exists. What a command reads or keeps is
//! [`Kept`]; [`check`] refuses an output that is one of them, holds one or, of stores and dumps, lies in one. No output lies in
//! a store, named or not. A file that is there is replaced only by one of its own kind, see [`check_file`].

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use crate::objects::{self, is_address};
use crate::{Error, Result};

/// Links that may follow each other: as many as Linux follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Something that an output must leave alone.
#[derive(Debug, Clone)]
pub struct Kept {
    what: &'static str,
    path: PathBuf,
    inside: bool,
}

impl Kept {
    /// A store or a dump: nothing is written into it either.
    pub fn whole(what: &'static str, path: impl AsRef<Path>) -> Kept {
        Kept { what, path: path.as_ref().to_path_buf(), inside: true }
    }

    /// A file, or a folder in which other things may lie as well.
    pub fn itself(what: &'static str, path: impl AsRef<Path>) -> Kept {
        Kept { what, path: path.as_ref().to_path_buf(), inside: false }
    }
}

/// Refuses an output that is, holds or lies in what must be left alone.
///
/// # Errors
/// [`Error::Usage`] that names the flag and what is in the way.
pub fn check(flag: &str, out: &Path, kept: &[Kept]) -> Result<()> {
    let place = resolved(out);
    for kept in kept {
        let other = resolved(&kept.path);
        let how = match () {
            () if place == other => "is",
            () if other.starts_with(&place) => "holds",
            () if kept.inside && place.starts_with(&other) => "lies in",
            () => continue,
        };
        let problem = format!("{} {how} {} ({})", out.display(), kept.what, kept.path.display());
        return Err(Error::usage(flag, problem, "name another place: what is read is never written to"));
    }
    if let Some(store) = place.ancestors().find(|folder| is_store(folder)) {
        let problem = format!("{} lies in a store ({})", out.display(), store.display());
        return Err(Error::usage(flag, problem, "name another place: a store holds its own files alone"));
    }
    Ok(())
}

/// [`check`], and refuses to replace a file unless `is_own` knows it as one of its `kind` ("a page of chehra").
///
/// # Errors
/// As [`check`]; [`Error::Input`] when something else stands there.
pub fn check_file(flag: &str, out: &Path, kept: &[Kept], kind: &str, is_own: impl FnOnce(&Path) -> bool) -> Result<()> {
    check(flag, out, kept)?;
    if is_address(out) {
        objects::check(flag, out)?;
        let is_own = || objects::is_own(out, is_own).map_err(Error::io("look at", out));
        return match objects::is_file(out).map_err(Error::io("look for", out))? && !is_own()? {
            false => Ok(()),
            true => {
                let expected = format!("no object of this name yet, or {kind}");
                Err(Error::input(
                    out,
                    flag,
                    expected,
                    "another object",
                    format!("name another {flag}, or remove it first"),
                ))
            }
        };
    }
    let found = match fs::symlink_metadata(out) {
        Err(_) => return Ok(()),
        Ok(there) if there.is_file() && is_own(out) => return Ok(()),
        Ok(there) if there.is_file() => "another file",
        Ok(there) if there.is_dir() => "a folder",
        Ok(there) if there.is_symlink() => "a link",
        Ok(_) => "neither file nor folder",
    };
    let expected = format!("no file of this name yet, or {kind}");
    Err(Error::input(out, flag, expected, found, format!("name another {flag}, or remove it first")))
}

fn is_store(folder: &Path) -> bool {
    folder.join("MANIFEST").is_file() && folder.join("segments").is_dir()
}

/// Where a path leads: absolute, every link followed, `.` and `..` taken away, also of what does not exist yet.
pub fn resolved(path: &Path) -> PathBuf {
    if is_address(path) {
        return path.components().collect();
    }
    // The fixed part of a relative glob may be empty: the working folder.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut parts: Vec<OsString> = whole.components().rev().map(|part| part.as_os_str().to_owned()).collect();
    let mut place = PathBuf::new();
    let mut links = 0;
    while let Some(part) = parts.pop() {
        match Path::new(&part).components().next() {
            Some(Component::ParentDir) => drop(place.pop()),
            Some(Component::CurDir) | None => {}
            _ => place.push(&part),
        }
        let Ok(target) = fs::read_link(&place) else { continue };
        links += 1;
        if links > MAX_LINKS {
            return whole;
        }
        // An absolute target takes the place of everything before it.
        place.pop();
        parts.extend(target.components().rev().map(|part| part.as_os_str().to_owned()));
    }
    place
}

/// Creates a folder and its parents for their owner alone (0700 on Unix).
pub(crate) fn create_private_folder(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(Error::io("create the folder", path))
}

/// Creates a file that only its owner can read, truncating what was there.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn create_private(path: &Path) -> Result<File> {
    private(OpenOptions::new().write(true).create(true).truncate(true)).open(path).map_err(Error::io("create", path))
}

/// Creates a file that only its owner can read in the place of one that an earlier process left; a link there is not
/// followed.
fn create_private_anew(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    let options = private(options.write(true).create_new(true));
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            fs::remove_file(path).map_err(Error::io("remove", path))?;
            options.open(path).map_err(Error::io("create", path))
        }
        opened => opened.map_err(Error::io("create", path)),
    }
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Makes renames inside a folder durable.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(path).and_then(|f| f.sync_all()).map_err(Error::io("flush", path))?;
    }
    Ok(())
}

/// The folder in which a path lies: `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file that is whole or absent, whatever happens: under another name beside it, flushed, renamed.
///
/// # Errors
/// [`Error::Io`]; then nothing of it is left.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes, |_| Ok(()))
}

/// As [`write_durably`], for everybody on the machine to read: for files that hold nobody's data.
///
/// # Errors
/// As [`write_durably`].
pub(crate) fn write_durably_for_all(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes, |_file| {
        #[cfg(unix)]
        _file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        Ok(())
    })
}

fn write_whole(path: &Path, bytes: &[u8], prepare: impl FnOnce(&File) -> std::io::Result<()>) -> Result<()> {
    if is_address(path) {
        return objects::put_bytes(path, bytes.to_vec()).map_err(Error::io("write", path));
    }
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let mut file = create_private_anew(&temporary)?;
    let written = prepare(&file).and_then(|()| file.write_all(bytes)).and_then(|()| file.sync_all());
    let written = written.map_err(Error::io("write", &temporary));
    let renamed = written.and_then(|()| fs::rename(&temporary, path).map_err(Error::io("rename", path)));
    if renamed.is_err() {
        // Best effort: the error that is told came first.
        drop(fs::remove_file(&temporary));
    }
    renamed?;
    sync_folder(parent(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(out: &Path, kept: &[Kept]) -> Option<String> {
        check("--out", out, kept).err().map(|error| error.to_string())
    }

    #[test]
    #[cfg(unix)]
    fn an_output_is_compared_by_the_place_to_which_it_leads() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let dump = root.join("data/dump");
        fs::create_dir_all(dump.join("night")).unwrap();
        std::os::unix::fs::symlink(&dump, root.join("link")).unwrap();
        std::os::unix::fs::symlink("missing/../data", root.join("dangling")).unwrap();
        std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
        let kept = [Kept::whole("the dump", root.join("link")), Kept::itself("a table", root.join("data/x.csv"))];
        for (out, how) in [
            ("data/dump", " is the dump"),
            ("link/night/out", " lies in the dump"),
            ("data", " holds the dump"),
            ("data/other/../dump/out", " lies in the dump"),
            ("dangling", " holds the dump"),
            ("data/x.csv", " is a table"),
        ] {
            let found = refused(&root.join(out), &kept);
            assert!(found.as_ref().is_some_and(|text| text.contains(how)), "{out}: {found:?}");
        }
        for out in ["data/dumper", "data/x.csv/out", "other/dump", "loop/out"] {
            assert_eq!(refused(&root.join(out), &kept), None, "{out}");
        }
        assert_eq!(resolved(&root.join("link/new/../other")), dump.join("other"));
        assert_eq!(resolved(Path::new("")), resolved(Path::new(".")));
    }

    #[test]
    fn nothing_is_written_into_a_store_nor_over_a_file_of_another_kind() {
        let temp = tempfile::tempdir().unwrap();
        let store = temp.path().join("store");
        fs::create_dir_all(store.join("segments")).unwrap();
        fs::write(store.join("MANIFEST"), "").unwrap();
        assert!(refused(&store.join("segments/x.parquet"), &[]).unwrap().contains("lies in a store"));
        let file = temp.path().join("notes.txt");
        fs::write(&file, "mine").unwrap();
        let own = |path: &Path| fs::read(path).is_ok_and(|bytes| bytes == b"page");
        let error = check_file("--out", &file, &[], "a page", own).unwrap_err().to_string();
        assert!(error.contains("another file") && error.contains("or a page"), "{error}");
        assert!(check_file("--out", temp.path(), &[], "a page", own).is_err());
        fs::write(&file, "page").unwrap();
        check_file("--out", &file, &[], "a page", own).unwrap();
        check_file("--out", &temp.path().join("new"), &[], "a page", own).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn a_file_is_whole_or_absent_and_a_link_in_its_way_is_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        let (file, victim) = (temp.path().join("a.html"), temp.path().join("a.tmp"));
        fs::write(&victim, "mine").unwrap();
        std::os::unix::fs::symlink(&victim, temp.path().join(".a.html.tmp")).unwrap();
        write_durably(&file, b"page").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"page");
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
        fs::create_dir(temp.path().join("folder")).unwrap();
        write_durably(&temp.path().join("folder"), b"page").unwrap_err();
        let mut names: Vec<_> = fs::read_dir(temp.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a.html", "a.tmp", "folder"]);
    }
}
