//! A row in full, and its pictures.

use std::sync::Arc;
use std::time::Instant;

use super::super::nights::Missing;
use super::super::pictures::{Shown, show};
use super::super::request::{Refusal, lock};
use super::super::selfies::Selfie;
use super::super::tables::Face;
use super::super::views::{instant, masked};
use super::desk::Rows;
use super::item::{Item, RowPicture};
use super::list::Judged;
use super::views::{AppealView, DecidedView, RowView, SelfieView, TwinView};
use crate::decisions::{Appealed, Question};
use crate::matching::UNKNOWN_TIME;
use crate::reason::Verdict;

/// Selfies of the worker beside a row.
const BESIDE: usize = 6;

impl Rows {
    /// One row in full. Whoever asks for it holds it for a while.
    pub fn view(&self, reviewer: &str, id: &str) -> Result<RowView, Refusal> {
        let reviewer = self.name(reviewer)?;
        lock(&self.held).insert(id.to_owned(), (reviewer.clone(), Instant::now()));
        let (record, row) = self.record_and_row(id)?;
        let judged = &record.judged;
        let is_seed = row.is_some();
        let read =
            self.nights.own().ok_or(Missing::Night).and_then(|night| night.submission(row.unwrap_or(judged.row)));
        // A known row borrows its facts: those of the row whose record it bears.
        let facts = match is_seed {
            true => self.nights.own().and_then(|night| night.submission(judged.row).ok()).map(|s| s.facts),
            false => read.as_ref().ok().map(|submission| submission.facts.clone()),
        };
        let facts = facts.unwrap_or_default();
        let shown = self.shown(id, RowPicture::Selfie);
        let log = lock(&self.log);
        let filed = log.ledger().appeal(&record.key).filter(|_| !is_seed);
        let stand = self.stand(log.ledger(), &reviewer, &record);
        let settled = log.ledger().settled_row(&record.key).filter(|_| !is_seed);
        let may_know = stand.may_know;
        Ok(RowView {
            id: id.to_owned(),
            queue: judged.question.code(),
            submission: judged.side.submission.clone(),
            worker: judged.side.worker.clone(),
            district: judged.district.clone(),
            booth_id: facts.booth_id,
            member_name: facts.member_name,
            mobile: facts.mobile.as_deref().map(masked),
            epic: facts.epic.as_deref().map(masked),
            captured_at: time(judged.side.captured_at),
            verdict: judged.verdict.code(),
            reasons: judged.reasons.iter().map(|reason| reason.code()).collect(),
            detail: judged.detail.clone(),
            member_liveness: judged.member_liveness,
            worker_liveness: judged.worker_liveness,
            photo_similarity: judged.photo_similarity,
            quality: judged.quality,
            has_face: shown.as_ref().is_ok_and(|shown| shown.face.is_some()),
            picture: shown.as_ref().ok().map(|shown| shown.place.clone()),
            missing: shown.err(),
            has_photo: !is_seed && read.is_ok_and(|submission| submission.photo.is_some()),
            has_reference: !is_seed && self.references.has(&judged.side.worker),
            selfies: self.beside(id, &record),
            twin: if is_seed { None } else { self.twin(id, judged) },
            appeal: filed.map(|filed| AppealView {
                text: filed.appeal.text.clone(),
                by: filed.by.to_owned(),
                at: filed.at.to_owned(),
            }),
            decided: settled.filter(|_| may_know).map(|settled| DecidedView {
                answer: settled.answer,
                people: settled.people,
                disputed: settled.disputed,
                appeal: settled.appeal == Some(Appealed::Decided),
            }),
        })
    }

    /// A JPEG of a row: of the selfie the cut-out face or the whole picture, of all others the whole.
    pub fn picture(&self, id: &str, which: RowPicture, face: bool) -> Result<Vec<u8>, Refusal> {
        let shown = self.shown(id, which).map_err(|_| Refusal::Unknown)?;
        match face {
            false => Ok(shown.whole.clone()),
            true => shown.face.clone().ok_or(Refusal::Unknown),
        }
    }

    /// Other selfies of the worker, as the page lists them.
    fn beside(&self, id: &str, record: &Item) -> Vec<SelfieView> {
        let view = |(at, selfie): (usize, &Selfie)| SelfieView {
            at,
            submission: selfie.submission.clone(),
            captured_at: time(selfie.captured_at),
            verdict: Verdict::ALL.into_iter().find(|v| v.code() == selfie.verdict).map_or("", Verdict::code),
        };
        let own = self.selfies.beside(&record.judged.side.worker, Some(record.judged.row));
        // What a known row has beside it bears the words of the record, too.
        let count = self.seeds.iter().find(|seed| seed.id == id).map_or(BESIDE, |seed| seed.seed.beside.len());
        own.into_iter().take(count).enumerate().map(view).collect()
    }

    fn twin(&self, id: &str, judged: &Judged) -> Option<TwinView> {
        let submission = judged.duplicate_of.clone()?;
        let found = self.nights.find_anywhere(&submission);
        let (facts, earlier) = match &found {
            Ok((found, earlier)) => (Some(&found.submission.facts), *earlier),
            Err(_) => (None, true),
        };
        let shown = self.shown(id, RowPicture::Twin);
        Some(TwinView {
            submission,
            worker: facts.and_then(|facts| facts.worker_id.clone()),
            district: facts.and_then(|facts| facts.district.clone()),
            captured_at: facts.and_then(|facts| facts.captured_at).map(time),
            earlier_night: earlier,
            missing: shown.as_ref().err().copied(),
            picture: shown.ok().map(|shown| shown.place.clone()),
        })
    }

    fn shown(&self, id: &str, which: RowPicture) -> Result<Arc<Shown>, Missing> {
        self.shown.get(&(id.to_owned(), which), || self.make(id, which))
    }

    fn make(&self, id: &str, which: RowPicture) -> Result<Shown, Missing> {
        let night = self.nights.own().ok_or(Missing::Night)?;
        let (record, seed_row) = self.record_and_row(id).map_err(|_| Missing::Night)?;
        let selfie_of = |row: u64| night.submission(row)?.selfie.ok_or(Missing::Picture);
        match which {
            RowPicture::Selfie => {
                let row = seed_row.unwrap_or(record.judged.row);
                // The faces of a known row are its own, wherever the record comes from.
                let faces = if seed_row.is_some() { night.faces(row) } else { record.judged.faces.clone() };
                show(&selfie_of(row)?, &night.limits, &faces, Some(asked_about(&record.judged, &faces)))
            }
            RowPicture::Photo => {
                let photo = night.submission(record.judged.row)?.photo.ok_or(Missing::Picture)?;
                show(&photo, &night.limits, &[], None)
            }
            RowPicture::Reference => {
                let photo = self.references.photo(&record.judged.side.worker).ok_or(Missing::Picture)?;
                show(&photo, &night.limits, &[], None)
            }
            RowPicture::Twin => {
                let original = record.judged.duplicate_of.as_deref().ok_or(Missing::Picture)?;
                self.nights.find_anywhere(original)?.0.show("member")
            }
            RowPicture::Other(at) => {
                let seed = self.seeds.iter().find(|seed| seed.id == id);
                let own = self.selfies.beside(&record.judged.side.worker, Some(record.judged.row));
                let row = match seed {
                    Some(seed) => seed.seed.beside.get(at).copied(),
                    None => own.get(at).map(|selfie| selfie.row),
                };
                show(&selfie_of(row.ok_or(Missing::Picture)?)?, &night.limits, &[], None)
            }
        }
    }
}

fn time(captured_at: i64) -> String {
    if captured_at == UNKNOWN_TIME { String::new() } else { instant(captured_at) }
}

/// Whose face a row is asked about: the worker's where it is about who is there, the one that looks less alive where it is
/// about pictures of pictures, else the member's.
fn asked_about(judged: &Judged, faces: &[Face]) -> &'static str {
    let is_worker = match judged.question {
        Question::Worker => true,
        Question::Liveness => match (judged.worker_liveness, judged.member_liveness) {
            (Some(worker), Some(member)) => worker < member,
            (worker, _) => worker.is_some(),
        },
        _ => false,
    };
    if is_worker && faces.iter().any(|face| face.role == "worker") { "worker" } else { "member" }
}
