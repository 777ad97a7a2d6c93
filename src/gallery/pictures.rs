//! What is kept of each night's selfies, so that a picture, a room or a stranger is known again on another night.
//!
//! A file of pictures belongs to one run and is named by the manifest like a segment: it appears with the run's commit or
//! not at all, and every reading checks its hash. Of a selfie it holds the hash of the file, a difference hash, means of
//! 64 cells and where the landmarks of up to four faces lie: about 300 bytes, from which nobody can be seen or
//! recognised (with what follows, 470 bytes a submission on synthetic nights). Besides, a few colour grids of backgrounds per worker and the templates of strangers behind the
//! principals; these do recognise people, so erasing a submission erases its strangers as well.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::failpoint;
use super::files::Pending;
use super::layout::PICTURES;
use super::manifest::{Manifest, Other, PictureFile, segment_file};
use super::member::hex;
use super::night_pictures::NightPictures;
use super::store::{Store, Writer};
use crate::infer::ModelId;
use crate::{Error, Result};

/// What a file begins with: kind and version.
const MAGIC: &[u8; 17] = b"chehra pictures 1";

impl PictureFile {
    pub(super) fn path(&self, store: &Path) -> PathBuf {
        segment_file(store, self.id, PICTURES)
    }

    /// Reads it whole.
    ///
    /// # Errors
    /// [`Error::Input`] when it is missing or not as it was written.
    pub(super) fn read(&self, store: &Path) -> Result<NightPictures> {
        let path = self.path(store);
        let refuse = |expected: &str, found: String| {
            let fix = "restore the file from a backup; until then run without --store, or with a store of its own";
            Error::input(&path, "pictures of an earlier night", expected, found, fix)
        };
        let bytes = fs::read(&path).map_err(|e| Error::of_file(&path, e, |found| refuse("a file", found)))?;
        let found = hex(&Sha256::digest(&bytes));
        if found != self.sha256 {
            return Err(refuse(&self.sha256, found));
        }
        let body = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| refuse("pictures of version 1", "another kind of file, or a later version".into()))?;
        postcard::from_bytes(body).map_err(|e| refuse("pictures of version 1", e.to_string()))
    }
}

impl Store {
    /// The pictures of each night, oldest first, one night in memory at a time; for a run that was added before, of the
    /// nights before it.
    ///
    /// # Errors
    /// As [`Store::open`]; each item [`Error::Input`] when its file is damaged.
    pub fn pictures(&self, as_seen_by: Option<&str>) -> Result<impl Iterator<Item = Result<NightPictures>> + '_> {
        let manifest = self.manifest()?;
        let before = as_seen_by.and_then(|key| manifest.run(key)).map_or(u64::MAX, |run| run.commit);
        let files = manifest.pictures.into_iter().filter(move |file| file.commit < before);
        Ok(files.map(|file| self.pictures_of(file)))
    }

    /// Reads a file of pictures, or the one that a writer has put in its place meanwhile.
    fn pictures_of(&self, file: PictureFile) -> Result<NightPictures> {
        file.read(self.path()).or_else(|error| {
            let newer = self.manifest()?;
            if newer.is_live(file.id) {
                return Err(error);
            }
            // Those of one run lie in one file, whatever its number; none, if all of them were forgotten.
            let file = newer.pictures.iter().find(|other| other.commit == file.commit);
            file.map_or_else(|| Ok(NightPictures::empty(ModelId(String::new()))), |file| file.read(self.path()))
        })
    }
}

impl Writer<'_> {
    /// Writes a file of pictures and names it in `next`. Nothing sees it before `next` is committed.
    pub(super) fn write_pictures(&self, next: &mut Manifest, commit: u64, night: &NightPictures) -> Result<()> {
        let id = next.next_segment;
        next.next_segment += 1;
        let path = segment_file(self.store.path(), id, PICTURES);
        let body = postcard::to_stdvec(night).map_err(|e| Error::bug("keeping pictures", e))?;
        let mut pending = Pending::create(&path)?;
        pending.write_all(MAGIC).and_then(|()| pending.write_all(&body)).map_err(Error::io("write", &path))?;
        let written = pending.commit()?;
        failpoint::reach("pictures-written");
        let pictures = night.pictures.len() as u64;
        let (bytes, sha256) = (written.bytes, written.sha256);
        next.pictures.push(PictureFile { id, commit, pictures, bytes, sha256, other: Other::new() });
        Ok(())
    }

    /// Writes anew, without these submissions, the files that hold any of them; gives the ids that were found and the
    /// numbers of the files that are no more.
    pub(super) fn forget_pictures(
        &self,
        next: &mut Manifest,
        submission_ids: &HashSet<&str>,
    ) -> Result<(Vec<String>, Vec<u64>)> {
        let (mut found, mut replaced) = (Vec::new(), Vec::new());
        for file in std::mem::take(&mut next.pictures) {
            let night = file.read(self.store.path())?;
            let Some(rest) = night.without(submission_ids) else {
                next.pictures.push(file);
                continue;
            };
            let ids = night.pictures.into_iter().map(|p| p.submission_id);
            found.extend(ids.filter(|id| submission_ids.contains(id.as_str())));
            replaced.push(file.id);
            if !rest.pictures.is_empty() {
                self.write_pictures(next, file.commit, &rest)?;
            }
        }
        Ok((found, replaced))
    }
}

#[cfg(test)]
mod tests {
    use super::super::night_pictures::{Backdrop, KeptPicture, Stranger};
    use super::*;
    use crate::infer::Template;
    use crate::photo::{Background, Miniature, Photo};

    fn night(names: &[&str]) -> NightPictures {
        let photo = Photo { width: 40, height: 30, rgb: (0..3600).map(|i| (i % 251) as u8).collect() };
        let picture = |name: &&str| KeptPicture {
            submission_id: (*name).to_owned(),
            worker_id: "W".into(),
            district: "Ujjain".into(),
            captured_at: 7,
            size: [40, 30],
            sha256: [3; 32],
            dhash: 5,
            miniature: Miniature::of(&photo),
            faces: vec![[[1, -2]; 5]],
        };
        let template = Template::from_embedding(&[0.6, 0.8, 0.1, 0.0]).unwrap();
        let backdrop = |picture| Backdrop { picture, background: Background::of(&photo, &[]) };
        NightPictures {
            model: ModelId("m".into()),
            pictures: names.iter().map(picture).collect(),
            backdrops: (0..names.len() as u32).map(backdrop).collect(),
            strangers: (0..names.len() as u32)
                .map(|picture| Stranger { picture, template: template.clone() })
                .collect(),
        }
    }

    /// A run that leaves pictures alone.
    fn left(pictures: &NightPictures) -> super::super::Night<'_> {
        static NOBODY: std::sync::LazyLock<HashSet<String>> = std::sync::LazyLock::new(HashSet::new);
        super::super::Night { members: &[], pictures, workers: None, renewed: &NOBODY, curve: None }
    }

    fn kept(store: &Store, key: Option<&str>) -> Vec<Vec<String>> {
        let ids = |n: NightPictures| n.pictures.into_iter().map(|p| p.submission_id).collect();
        store.pictures(key).unwrap().map(|n| ids(n.unwrap())).collect()
    }

    #[test]
    fn a_night_is_read_back_by_later_runs_and_not_by_itself() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(temp.path().join("s")).unwrap();
        let one = night(&["a", "b"]);
        store.begin().unwrap().add_night("1", left(&one)).unwrap();
        store.begin().unwrap().add_night("2", left(&night(&["c"]))).unwrap();
        assert_eq!(store.begin().unwrap().add_night("1", left(&one)).unwrap().added, 0);
        assert_eq!(kept(&store, None), [vec!["a", "b"], vec!["c"]]);
        assert_eq!(kept(&store, Some("2")), [["a", "b"]]);
        assert!(kept(&store, Some("1")).is_empty());
        assert_eq!(store.pictures(None).unwrap().next().unwrap().unwrap(), one);
    }

    #[test]
    fn what_is_forgotten_is_on_no_disk_and_damage_is_said() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(temp.path().join("s")).unwrap();
        store.begin().unwrap().add_night("1", left(&night(&["a-name", "b-name"]))).unwrap();
        let forgotten = store.begin().unwrap().forget(&["a-name".to_owned(), "nobody".to_owned()]).unwrap();
        assert_eq!(forgotten.unknown, ["nobody"]);
        assert_eq!(forgotten.receipt.unwrap().submission_ids, ["a-name"]);
        let left = store.pictures(None).unwrap().next().unwrap().unwrap();
        assert_eq!(left, NightPictures { ..night(&["b-name"]) });
        let files: Vec<_> = fs::read_dir(temp.path().join("s/segments")).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let bytes = fs::read(&files[0]).unwrap();
        assert!(!bytes.windows(6).any(|w| w == b"a-name") && bytes.windows(6).any(|w| w == b"b-name"));
        assert!(store.verify().unwrap().is_sound());
        fs::write(&files[0], &bytes[1..]).unwrap();
        assert!(matches!(store.pictures(None).unwrap().next().unwrap(), Err(Error::Input { .. })));
        assert!(!store.verify().unwrap().is_sound());
        assert!(store.begin().unwrap().forget(&["b-name".to_owned()]).is_err(), "not silently kept");
    }
}
