//! Pictures, rooms and bystanders that were there before, tonight or on an earlier night.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use crate::Result;
use crate::config::Policy;
use crate::dump::RowFacts;
use crate::dump::facts::{Epic, Mobile, is_same_name};
use crate::gallery::{Backdrop, Gallery, KeptPicture, Marks, NightPictures, Processor, Store, Stranger};
use crate::infer::{Analysis, ModelId, SeenPhoto, Template};
use crate::matching::reuse::{
    Copied, Earlier, Later, Likeness, PictureIndex, PictureUse, Shared, Sighting, copied, reused_pictures,
    shared_backgrounds, shared_bystanders, usual_backgrounds,
};
use crate::matching::{TimeOrder, UNKNOWN_TIME};
use crate::pairs::Found;
use crate::photo::Background;
use crate::presence::{EarlierRoom, Tie, Together};
use crate::reason::Reason;
use crate::roles::{Cast, Role};
use crate::verdict::{Finding, Sign, VerdictRow};

/// Faces of a selfie whose landmarks are kept: the member's and so many others, tallest first.
const OTHERS_KEPT: usize = 3;

/// One of tonight's selfies that can be named.
struct Tonight<'a> {
    analysis: &'a Analysis,
    cast: &'a Cast,
    photo: &'a SeenPhoto,
    submission_id: &'a str,
    /// Where it stands in the order of the night.
    made_at: i64,
}

/// Tonight's selfies that could be read, and what earlier nights left.
pub struct Pictures<'a> {
    tonight: Vec<Tonight<'a>>,
    /// Earlier pictures that may be one of tonight's.
    near: Vec<KeptPicture>,
    backdrops: Vec<(KeptPicture, Background)>,
    strangers: Vec<(KeptPicture, Template)>,
    count: u64,
    order: TimeOrder,
}

impl<'a> Pictures<'a> {
    /// Reads what the nights before this run left, one at a time.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when a file of the store is damaged.
    pub fn gather(
        analyses: &'a [Analysis],
        casts: &'a [Cast],
        past: Past,
        model: &ModelId,
        own: &[VerdictRow],
    ) -> Result<Self> {
        let order = past.order;
        let mut tonight: Vec<Tonight> =
            analyses.iter().zip(casts).filter_map(|(a, cast)| named(a, cast, order)).collect();
        // A time that cannot be makes no picture the first.
        let is_late = |t: &Tonight| own[t.analysis.row as usize].reasons.contains(&Reason::CapturedAtImplausible);
        tonight.iter_mut().filter(|t| is_late(t)).for_each(|t| t.made_at = UNKNOWN_TIME);
        let uses: Vec<PictureUse> = tonight.iter().map(picture_use).collect();
        let index = PictureIndex::of(&uses);
        let mut pictures = Pictures {
            near: Vec::new(),
            backdrops: Vec::new(),
            strangers: Vec::new(),
            count: 0,
            tonight: Vec::new(),
            order,
        };
        for night in past.pictures()? {
            let night = night?;
            pictures.count += night.pictures.len() as u64;
            let of = |at: u32| night.pictures.get(at as usize).cloned();
            let backdrop = |b: Backdrop| Some((of(b.picture)?, b.background));
            pictures.backdrops.extend(night.backdrops.iter().cloned().filter_map(backdrop));
            if night.model == *model {
                let stranger = |s: Stranger| Some((of(s.picture)?, s.template));
                pictures.strangers.extend(night.strangers.iter().cloned().filter_map(stranger));
            }
            let near: Vec<KeptPicture> =
                night.pictures.into_par_iter().filter(|p| index.concerns(&kept_use(p, order))).collect();
            pictures.near.extend(near);
        }
        pictures.tonight = tonight;
        Ok(pictures)
    }

    /// Pictures of earlier nights that tonight's were compared with.
    pub fn count_of_earlier_nights(&self) -> u64 {
        self.count
    }

    /// Rows with the file, or the whole picture, of an earlier row. `earlier` knows files of stores that kept no pictures
    /// yet.
    pub fn same(&self, earlier: &Gallery, policy: &Policy) -> Vec<Finding> {
        let uses: Vec<PictureUse> = self.tonight.iter().map(picture_use).collect();
        let files: HashSet<&[u8; 32]> = uses.iter().map(|p| p.sha256).collect();
        let members: Vec<PictureUse> = earlier
            .iter()
            .filter(|(_, row)| files.contains(row.selfie_sha256))
            .map(|(_, row)| PictureUse {
                submission_id: row.submission_id,
                captured_at: self.order.earlier(row.captured_at),
                sha256: row.selfie_sha256,
                dhash: row.selfie_dhash,
                mirrored_dhash: None,
                miniature: None,
            })
            .collect();
        let past = self.near.par_iter().map(|p| kept_use(p, self.order)).chain(members.par_iter().copied());
        let facts: HashMap<&str, &RowFacts> =
            self.tonight.iter().rev().map(|t| (t.submission_id, &t.analysis.facts)).collect();
        let reuses = reused_pictures(&uses, past, policy.reuse.picture_difference);
        let mut found = Vec::new();
        for (this, reuse) in self.tonight.iter().zip(reuses) {
            let Some(reuse) = reuse.filter(|reuse| reuse.likeness > Likeness::Alike) else { continue };
            let (sign, what) = match (reuse.likeness, reuse.mirrored) {
                (Likeness::SameFile, _) => (Sign::SameFile, "the file of"),
                (_, true) => (Sign::WholeMirrored, "the mirror image of"),
                _ => (Sign::EncodedAnew, "encoded anew: the picture of"),
            };
            let first = facts.get(reuse.of.as_str());
            let repeats = |reason: Reason| Finding::repeats(this.analysis.row, reason, &reuse.of, sign);
            found.push(match first.is_some_and(|first| is_retry(&this.analysis.facts, first, policy)) {
                true => repeats(Reason::Resubmitted),
                false => repeats(Reason::DuplicateSelfie).noted(format!("{what} {}", reuse.of)),
            });
        }
        found
    }

    /// Rows whose picture is a part, or the mirror image, of the picture of a row with the same member; but those that are
    /// `repeats` already. The first one that a row is a copy of is named.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when a file of the store is damaged.
    pub fn copies(&self, matched: &Found, repeats: &HashSet<u64>, past: Past, policy: &Policy) -> Result<Vec<Finding>> {
        let age = |index: usize| matched.enrolments[index].age();
        let mut pairs: Vec<(usize, usize)> = Vec::with_capacity(matched.judged.pairs.len());
        for pair in &matched.judged.pairs {
            pairs.push(if age(pair.a) <= age(pair.b) { (pair.a, pair.b) } else { (pair.b, pair.a) });
        }
        pairs.sort_by_key(|&(first, second)| (age(second), age(first)));
        let asked: HashSet<&str> = pairs
            .iter()
            .map(|&(first, _)| &matched.enrolments[first])
            .filter(|e| e.row.is_none())
            .map(|e| e.submission_id.as_str())
            .collect();
        let kept = past.pictures_of(&asked)?;
        let tonight: HashMap<u64, &Tonight> = self.tonight.iter().map(|t| (t.analysis.row, t)).collect();
        let copy = |&(first, second): &(usize, usize)| {
            let row = matched.enrolments[second].row.filter(|row| !repeats.contains(row))?;
            let later = tonight.get(&row)?;
            let first = &matched.enrolments[first];
            let (size, faces, miniature) = match first.row {
                Some(row) => tonight.get(&row).map(|t| (size_of(t), marks(t), &t.photo.traits.miniature))?,
                None => kept.get(first.submission_id.as_str()).map(|p| (p.size, p.faces.clone(), &p.miniature))?,
            };
            let one = Earlier { size, faces: &faces, miniature };
            let other = Later { size: size_of(later), faces: &marks(later), thumbnail: &later.photo.traits.thumbnail };
            copied(one, other, &policy.reuse).map(|copy| (row, first.submission_id.as_str(), copy))
        };
        let copies: Vec<(u64, &str, Copied)> = pairs.par_iter().filter_map(copy).collect();
        let (mut found, mut named) = (Vec::new(), HashSet::new());
        for (row, first, copy) in copies.into_iter().filter(|&(row, ..)| named.insert(row)) {
            let (sign, what) = match copy.mirrored {
                true => (Sign::PartMirrored, "the mirror image of"),
                false => (Sign::Part, "a part of"),
            };
            let note = format!("{what} the picture of {first} (differs by {:.3})", copy.fit.residual);
            found.push(Finding::repeats(row, Reason::DuplicateSelfie, first, sign).noted(note));
        }
        Ok(found)
    }

    /// Rows with a background or a bystander that stands behind earlier selfies of other workers; but `copies`, for a
    /// picture that is known itself has the background of that picture.
    ///
    /// # Errors
    /// Only bugs.
    pub fn scenes(&self, copies: &HashSet<u64>, policy: &Policy, processor: &Processor) -> Result<Scenes> {
        let mut rooms: Vec<(Sighting, &Background)> =
            self.tonight.iter().filter_map(|t| Some((sighting(t)?, &t.photo.traits.background))).collect();
        rooms.extend(
            self.backdrops.iter().map(|(picture, background)| (kept_sighting(picture, self.order), background)),
        );
        let rooms = shared_backgrounds(&rooms, &policy.reuse);
        let mut faces: Vec<(Sighting, &Template)> = self.tonight.iter().flat_map(strangers).collect();
        faces.extend(self.strangers.iter().map(|(picture, template)| (kept_sighting(picture, self.order), template)));
        let people = shared_bystanders(&faces, &policy.reuse, processor)?;
        let ties = together(&rooms, Tie::Room).chain(together(&people, Tie::Bystander)).collect();
        let (shared_backgrounds, recurring_bystanders) = (rooms.len() as u64, people.len() as u64);

        let places: HashMap<&str, u64> = self.tonight.iter().rev().map(|t| (t.submission_id, t.analysis.row)).collect();
        let row_of = |submission_id: &str| places.get(submission_id).copied().filter(|row| !copies.contains(row));
        let mut findings = in_groups(&rooms, Reason::BackgroundShared, "the background of", &row_of);
        findings.extend(in_groups(&people, Reason::BystanderRecurs, "a bystander of", &row_of));
        Ok(Scenes { findings, ties, shared_backgrounds, recurring_bystanders })
    }

    /// Rooms in which workers were on earlier nights.
    pub fn earlier_rooms(&self) -> Vec<EarlierRoom<'_>> {
        let known = self.backdrops.iter();
        known.map(|(picture, background)| EarlierRoom { worker: &picture.worker_id, background }).collect()
    }

    /// What this night leaves: every selfie that can be named, of members who consented; rows whose id was there before
    /// leave nothing, for their id would name two pictures.
    pub fn to_store(&self, model: &ModelId, policy: &Policy, rows: &[VerdictRow]) -> NightPictures {
        let unkept = [Reason::ConsentMissing, Reason::SubmissionIdRepeated, Reason::RequiredFieldMissing];
        let stays = |t: &&Tonight| !unkept.iter().any(|r| rows[t.analysis.row as usize].reasons.contains(r));
        let kept: Vec<&Tonight> = self.tonight.iter().filter(stays).collect();
        let mut night = NightPictures::empty(model.clone());
        let mut rooms = Vec::new();
        let mut places: HashMap<&str, u32> = HashMap::new();
        for (place, this) in (0..).zip(&kept) {
            night.pictures.push(tonight_picture(this));
            places.insert(this.submission_id, place);
            rooms.extend(sighting(this).map(|g| (g, &this.photo.traits.background)));
            let stranger =
                |(_, template): (Sighting, &Template)| Stranger { picture: place, template: template.clone() };
            night.strangers.extend(strangers(this).map(stranger));
        }
        for (seen, background) in usual_backgrounds(&rooms, &policy.reuse) {
            let picture = places.get(seen.submission_id).copied();
            night.backdrops.extend(picture.map(|picture| Backdrop { picture, background: background.clone() }));
        }
        night.backdrops.sort_by_key(|b| b.picture);
        night
    }
}

/// The workers of each group.
fn together<'a>(groups: &'a [Shared], tie: Tie) -> impl Iterator<Item = Together> + use<'a> {
    let workers = |group: &Shared| group.workers.iter().map(|&worker| worker.to_owned()).collect();
    groups.iter().map(move |group| Together { tie, workers: workers(group) })
}

/// Tonight's rows in these groups, each once, but for the earliest of all in its group.
fn in_groups(groups: &[Shared], reason: Reason, what: &str, row_of: &dyn Fn(&str) -> Option<u64>) -> Vec<Finding> {
    let (mut found, mut named) = (Vec::new(), HashSet::new());
    for group in groups {
        let Some(first) = group.sightings.first() else { continue };
        for seen in group.sightings.iter().filter(|g| g.tonight && g.submission_id != first.submission_id) {
            // The earliest one of another worker: one's own room and company are nobody's business.
            let is_other = |g: &&Sighting| g.worker_id != seen.worker_id && g.captured_at <= seen.captured_at;
            let other = group.sightings.iter().find(is_other);
            if let (Some(row), Some(other)) = (row_of(seen.submission_id), other)
                && named.insert(row)
            {
                let (id, worker, least) = (other.submission_id, other.worker_id, group.weakest);
                let note = format!("{what} {id} (worker {worker}, similarity {least:.3} or more)");
                found.push(Finding::new(row, reason).noted(note));
            }
        }
    }
    found
}

/// Whether a submission is another try: the same worker, district and mobile number, minutes later.
fn is_retry(this: &RowFacts, first: &RowFacts, policy: &Policy) -> bool {
    let mobile = |facts: &RowFacts| facts.mobile.as_deref().and_then(|m| Mobile::parse(m).ok());
    let epic = |facts: &RowFacts| facts.epic.as_deref().and_then(|e| Epic::parse(e).ok());
    let both = epic(this).is_some() && epic(this) == epic(first);
    let soon = match (this.captured_at, first.captured_at) {
        (Some(this), Some(first)) => {
            const DAY: i64 = 86_400_000_000;
            let (gap, minutes) = (this.saturating_sub(first), i64::from(policy.facts.retry_minutes) * 60_000_000);
            // A phone whose date is off by one; both numbers say that it is one member.
            gap >= 0 && gap <= minutes || both && gap.abs_diff(DAY) <= minutes.unsigned_abs()
        }
        _ => false,
    };
    let same = this.worker_id.is_some()
        && this.worker_id == first.worker_id
        && match (&this.district, &first.district) {
            (Some(this), Some(first)) => is_same_name(this, first),
            (this, first) => this == first,
        };
    soon && same && mobile(this).is_some() && mobile(this) == mobile(first)
}

/// What earlier nights left, as the run's dump sees it.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// The store; `None` compares the dump with itself alone.
    pub store: Option<&'a Store>,
    /// By what the store knows the dump.
    pub key: &'a str,
    /// When the dump was first read, microseconds since 1970-01-01T00:00:00Z.
    pub read_at: i64,
    /// In which order submissions were made.
    pub order: TimeOrder,
}

impl Past<'_> {
    /// What each night before this run left of its pictures, one at a time.
    fn pictures(&self) -> Result<impl Iterator<Item = Result<NightPictures>>> {
        Ok(self.store.map(|store| store.pictures(Some(self.key))).transpose()?.into_iter().flatten())
    }

    /// Kept pictures of these submissions.
    fn pictures_of(&self, asked: &HashSet<&str>) -> Result<HashMap<String, KeptPicture>> {
        let mut found = HashMap::new();
        if asked.is_empty() {
            return Ok(found);
        }
        for night in self.pictures()? {
            let wanted = night?.pictures.into_iter().filter(|p| asked.contains(p.submission_id.as_str()));
            found.extend(wanted.map(|p| (p.submission_id.clone(), p)));
        }
        Ok(found)
    }
}

/// Backgrounds and bystanders that came again.
#[derive(Debug, Default)]
pub struct Scenes {
    /// The rows with them.
    pub findings: Vec<Finding>,
    /// Whose rooms and bystanders they are.
    pub ties: Vec<Together>,
    /// Backgrounds behind several workers.
    pub shared_backgrounds: u64,
    /// Bystanders behind several workers.
    pub recurring_bystanders: u64,
}

fn named<'a>(analysis: &'a Analysis, cast: &'a Cast, order: TimeOrder) -> Option<Tonight<'a>> {
    let photo = analysis.selfie.as_ref().ok()?;
    let submission_id = analysis.facts.submission_id.as_deref()?;
    // Without a time a picture comes after all others.
    let made_at = analysis.facts.captured_at.map_or(UNKNOWN_TIME, |at| order.tonight(at));
    Some(Tonight { analysis, cast, photo, submission_id, made_at })
}

fn picture_use<'a>(this: &Tonight<'a>) -> PictureUse<'a> {
    PictureUse {
        submission_id: this.submission_id,
        captured_at: this.made_at,
        sha256: &this.photo.fingerprint.sha256,
        dhash: this.photo.fingerprint.dhash,
        mirrored_dhash: Some(this.photo.fingerprint.mirrored_dhash),
        miniature: Some(&this.photo.traits.miniature),
    }
}

fn kept_use(picture: &KeptPicture, order: TimeOrder) -> PictureUse<'_> {
    PictureUse {
        submission_id: &picture.submission_id,
        captured_at: order.earlier(picture.captured_at),
        sha256: &picture.sha256,
        dhash: picture.dhash,
        mirrored_dhash: None,
        miniature: Some(&picture.miniature),
    }
}

fn sighting<'a>(this: &Tonight<'a>) -> Option<Sighting<'a>> {
    let facts = &this.analysis.facts;
    Some(Sighting {
        submission_id: this.submission_id,
        worker_id: facts.worker_id.as_deref()?,
        district: facts.district.as_deref()?,
        captured_at: this.made_at,
        tonight: true,
    })
}

fn kept_sighting(picture: &KeptPicture, order: TimeOrder) -> Sighting<'_> {
    Sighting {
        submission_id: &picture.submission_id,
        worker_id: &picture.worker_id,
        district: &picture.district,
        captured_at: order.earlier(picture.captured_at),
        tonight: false,
    }
}

/// Faces that are neither worker nor member.
fn strangers<'a>(this: &Tonight<'a>) -> impl Iterator<Item = (Sighting<'a>, &'a Template)> + use<'a> {
    let (cast, photo, sighting) = (this.cast, this.photo, sighting(this));
    photo.faces.iter().enumerate().filter_map(move |(index, face)| {
        let template = &face.reading.as_ref()?.template;
        (cast.role(index) == Role::Bystander).then_some((sighting?, template))
    })
}

fn tonight_picture(this: &Tonight) -> KeptPicture {
    let facts = &this.analysis.facts;
    KeptPicture {
        submission_id: this.submission_id.to_owned(),
        worker_id: facts.worker_id.clone().unwrap_or_default(),
        district: facts.district.clone().unwrap_or_default(),
        captured_at: facts.captured_at.unwrap_or(UNKNOWN_TIME),
        size: size_of(this),
        sha256: this.photo.fingerprint.sha256,
        dhash: this.photo.fingerprint.dhash,
        miniature: this.photo.traits.miniature,
        faces: marks(this),
    }
}

fn size_of(this: &Tonight) -> [u32; 2] {
    [this.photo.width, this.photo.height]
}

/// Landmarks of the member and of the tallest others; none where there is no member.
fn marks(&Tonight { photo, cast, .. }: &Tonight) -> Vec<Marks> {
    let Some(member) = cast.member.filter(|&member| member < photo.faces.len()) else { return Vec::new() };
    let others = (0..photo.faces.len()).filter(|&face| face != member).take(OTHERS_KEPT);
    let tenths = |face: usize| photo.faces[face].detection.landmarks.map(|p| p.map(|v| (v * 10.0).round() as i32));
    std::iter::once(member).chain(others).map(tenths).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_try_is_the_same_worker_place_and_mobile_within_minutes() {
        const MINUTE: i64 = 60_000_000;
        let policy = Policy::default();
        let sent = |minute: i64| RowFacts {
            worker_id: Some("W1".into()),
            district: Some("Ujjain".into()),
            mobile: Some("98260 12345".into()),
            captured_at: Some(minute * MINUTE),
            ..RowFacts::default()
        };
        let first = sent(0);
        let within = i64::from(policy.facts.retry_minutes);
        assert!(is_retry(&sent(within), &first, &policy));
        let spelled = RowFacts { district: Some("UJJAIN ".into()), mobile: Some("+919826012345".into()), ..sent(1) };
        assert!(is_retry(&spelled, &first, &policy));
        for (what, other) in [
            ("later", sent(within + 1)),
            ("before", sent(-1)),
            ("another worker", RowFacts { worker_id: Some("W2".into()), ..sent(1) }),
            ("nobody", RowFacts { worker_id: None, ..sent(1) }),
            ("elsewhere", RowFacts { district: Some("Indore".into()), ..sent(1) }),
            ("another mobile", RowFacts { mobile: Some("9826012346".into()), ..sent(1) }),
            ("no mobile", RowFacts { mobile: None, ..sent(1) }),
            ("no time", RowFacts { captured_at: None, ..sent(1) }),
        ] {
            assert!(!is_retry(&other, &first, &policy), "{what}");
        }
        // A clock a day off, where both numbers say that it is one member.
        let numbered = |minute| RowFacts { epic: Some("ABC1234567".into()), ..sent(minute) };
        assert!(is_retry(&numbered(24 * 60 - 3), &numbered(0), &policy));
        assert!(!is_retry(&sent(24 * 60 - 3), &first, &policy));
        assert!(!is_retry(&numbered(12 * 60), &numbered(0), &policy));
    }

    #[test]
    fn tonights_rows_of_a_group_are_said_once_against_another_worker() {
        let seen = |submission_id, worker_id, captured_at, tonight| Sighting {
            captured_at,
            submission_id,
            worker_id,
            district: "Ujjain",
            tonight,
        };
        let group = |sightings: Vec<Sighting<'static>>| Shared {
            workers: sightings.iter().map(|s| s.worker_id).collect(),
            sightings,
            districts: vec!["Ujjain"],
            weakest: 0.71,
        };
        let before = seen("before", "W1", 1, false);
        let groups = [
            group(vec![before, seen("own", "W1", 2, true), seen("a", "W2", 3, true)]),
            group(vec![before, seen("a", "W2", 3, true), seen("b", "W3", 4, true), seen("gone", "W4", 5, true)]),
        ];
        let row_of = |id: &str| ["own", "a", "b"].iter().position(|known| *known == id).map(|at| at as u64);
        let found = in_groups(&groups, Reason::BackgroundShared, "the background of", &row_of);
        let rows: Vec<u64> = found.iter().map(|finding| finding.row).collect();
        assert_eq!(rows, [1, 2], "not one's own room, no row twice, none that is not of tonight");
        assert!(found.iter().all(|f| f.reason == Reason::BackgroundShared && f.note.as_ref().unwrap().contains("before (worker W1")));
    }
}
