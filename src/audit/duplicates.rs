//! Members and pictures that were there before, tonight or on an earlier night.

use std::collections::{HashMap, HashSet};

use crate::Result;
use crate::audit::Job;
use crate::audit::impostors;
use crate::audit::numbers::Retries;
use crate::decisions::{Answer, Decisions};
use crate::dedup;
use crate::dump::facts::{Epic, Mobile};
use crate::gallery::{self, Filter, Gallery, Hit, Member, Probe, SearchReport, Want};
use crate::infer::template::similarity;
use crate::infer::{Analysis, ModelId, Template};
use crate::matching::strata::quality_group;
use crate::matching::{
    Candidate, Case, Cluster, Decided, Enrolment, Impostors, Judged, Pair, Searched, UNKNOWN_TIME, candidate_floor,
    judge_with, pairs_of,
};
use crate::reason::{Reason, Verdict};
use crate::roles::Cast;
use crate::verdict::{VerdictRow, rules};

/// What the search found.
#[derive(Debug)]
pub struct Duplicates {
    /// Tonight's members in row order, as the store takes them.
    pub enrolled: Vec<(Member, Template)>,
    /// Tonight's enrolments, then those of earlier nights that are in a pair.
    pub enrolments: Vec<Enrolment>,
    /// Pairs and clusters, with what chance alone would give.
    pub judged: Judged,
    /// How the gallery was searched.
    pub report: SearchReport,
    /// What people decided about pairs of the enrolments.
    pub decided: Decided,
}

/// Marks ids that came before: in an earlier row, or on an earlier night.
pub fn mark_repeated_ids(analyses: &[Analysis], earlier: &Gallery, rows: &mut [VerdictRow]) {
    let mut first_id: HashMap<&str, usize> = HashMap::new();
    for (index, analysis) in analyses.iter().enumerate() {
        if let Some(id) = &analysis.facts.submission_id
            && *first_id.entry(id).or_insert(index) != index
        {
            rows[index].add(Reason::SubmissionIdRepeated);
        }
    }
    for (_, stored) in earlier.iter() {
        if let Some(&index) = first_id.get(stored.submission_id) {
            rows[index].add(Reason::SubmissionIdRepeated);
        }
    }
}

/// Compares tonight's members with each other and with earlier nights.
///
/// A row enrols its member when the verdict so far is accept or review: somebody who is told to take the selfie again,
/// or whose photo of a photo was refused, may come back and is no duplicate of that attempt. A face that belongs to a
/// worker is no member. A row whose id was there before is compared, but enrols nobody: its id would name two people. So is one
/// that lacks its id, worker, district or time: the face is there.
pub fn find(
    analyses: &[Analysis],
    casts: &[Cast],
    rows: &[VerdictRow],
    earlier: &Gallery,
    (model, job, decisions): (&ModelId, &Job, &Decisions),
) -> Result<Duplicates> {
    let mut tonight = Vec::new();
    let mut enrolments = Vec::new();
    for ((analysis, cast), row) in analyses.iter().zip(casts).zip(rows) {
        if let (true, Some(member)) = (stands(row), member(analysis, cast, model)) {
            let facts = &analysis.facts;
            let mut enrolled =
                Enrolment { row: Some(row.row), booth_id: facts.booth_id.clone(), ..enrolment(&member.0) };
            if row.reasons.contains(&Reason::CapturedAtImplausible) {
                enrolled.captured_at = UNKNOWN_TIME;
            }
            enrolments.push(enrolled);
            tonight.push(member);
        }
    }
    let gallery = earlier.followed_by(&Gallery::from_rows(&tonight)?);
    let impostors = Impostors::new(model, &impostors::scores(analyses, casts, &tonight));
    let size = gallery.live() as u64;
    let floor = candidate_floor(&impostors, size, &job.policy.matching);
    let compared = pairs_of(tonight.len() as u64) + tonight.len() as f64 * earlier.live() as f64;
    let impostors = dedup::with_upper(impostors, (&gallery, model), (compared, floor), &mut |_| Ok(()))?;
    let probes: Vec<Probe> =
        tonight.iter().map(|(_, template)| Probe { template, model, filter: Filter::default() }).collect();
    let (hits, report) = gallery::search(&gallery, &probes, Want::Above(floor), &job.search)?;

    let (candidates, met) = candidates(&hits, &gallery, earlier.rows(), &mut enrolments);
    let searched = Searched { gallery_size: size, compared, floor };
    let met: Vec<Template> = met.into_iter().map(|row| gallery.template(row)).collect::<Result<_>>()?;
    let template = |index: usize| tonight.get(index).map_or_else(|| &met[index - tonight.len()], |(_, t)| t);
    let score = |a: usize, b: usize| similarity(template(a), template(b));
    let case = Case { enrolments: &enrolments, candidates: &candidates, impostors: &impostors, searched };
    let decided = Decided::among(&enrolments, decisions);
    let judged = judge_with(&case, &decided, &job.policy.matching, &score);
    let unnamed = [Reason::SubmissionIdRepeated, Reason::RequiredFieldMissing];
    let repeated = |row: u64| rows[row as usize].reasons.iter().any(|reason| unnamed.contains(reason));
    let enrolled = tonight
        .into_iter()
        .zip(&enrolments)
        .filter_map(|(member, enrolment)| (!enrolment.row.is_some_and(repeated)).then_some(member))
        .collect();
    Ok(Duplicates { enrolled, enrolments, judged, report, decided })
}

impl Duplicates {
    /// Leaves out of the store the rows that came to light as copies of a picture or other tries: what they repeat is
    /// there already.
    pub fn keep_first_tries(&mut self, rows: &[VerdictRow]) {
        let again =
            |row: &&VerdictRow| [Reason::DuplicateSelfie, Reason::Resubmitted].iter().any(|r| row.reasons.contains(r));
        let ids: HashSet<&str> = rows.iter().filter(again).filter_map(|row| row.submission_id.as_deref()).collect();
        self.enrolled.retain(|(member, _)| !ids.contains(member.submission_id.as_str()));
    }
}

/// Whether a row's member is compared with others.
pub fn stands(row: &VerdictRow) -> bool {
    let is_worker = [Reason::MemberIsWorker, Reason::MemberIsOtherWorker].iter().any(|r| row.reasons.contains(r));
    matches!(row.verdict, Verdict::Accept | Verdict::Review) && !is_worker
}

/// Hits as pairs of enrolments; rows of earlier nights become enrolments when they are first met. Gives those rows, too.
fn candidates(
    hits: &[Hit],
    gallery: &Gallery,
    earlier: usize,
    enrolments: &mut Vec<Enrolment>,
) -> (Vec<Candidate>, Vec<u32>) {
    let mut place: HashMap<u32, usize> = HashMap::new();
    let (mut candidates, mut met) = (Vec::new(), Vec::new());
    for hit in hits {
        let a = hit.probe as usize;
        let b = match (hit.row as usize).checked_sub(earlier) {
            // Each of tonight's pairs is found from both ends, and each of tonight's members finds itself.
            Some(mate) if mate <= a => continue,
            Some(mate) => mate,
            None => match (place.get(&hit.row), gallery.row(hit.row)) {
                (Some(&mate), _) => mate,
                (None, Some(stored)) => {
                    enrolments.push(dedup::enrolment(&stored));
                    place.insert(hit.row, enrolments.len() - 1);
                    met.push(hit.row);
                    enrolments.len() - 1
                }
                (None, None) => continue,
            },
        };
        // A submission delivered again is no second membership.
        if enrolments[a].submission_id != enrolments[b].submission_id || enrolments[b].row.is_some() {
            candidates.push(Candidate { a, b, similarity: hit.similarity });
        }
    }
    (candidates, met)
}
/// Marks tonight's duplicates.
///
/// A row is a duplicate of the earliest of: its own cluster's original, and, for every flagged pair it is in, the mate or
/// the original of the mate's cluster. So a flagged pair is never silent, also where all pairs together speak against
/// making one person of two clusters. Only another try for the same member ([`Retries`]) is no second membership.
pub fn mark(found: &Duplicates, retries: &Retries, rows: &mut [VerdictRow]) {
    let clusters = &found.judged.clusters;
    let mut cluster_of: HashMap<usize, &Cluster> = HashMap::new();
    clusters.iter().for_each(|cluster| cluster_of.extend(cluster.members.iter().map(|&m| (m, cluster))));
    let original = |index: usize| cluster_of.get(&index).map_or(index, |cluster| cluster.original);
    let age = |index: usize| (found.enrolments[index].captured_at, &found.enrolments[index].submission_id, index);

    let mut first: HashMap<usize, usize> = cluster_of.iter().map(|(&member, c)| (member, c.original)).collect();
    let mut best: HashMap<usize, &Pair> = HashMap::new();
    for pair in &found.judged.pairs {
        for (side, mate) in [(pair.a, pair.b), (pair.b, pair.a)] {
            let known = best.entry(side).or_insert(pair);
            if pair.similarity > known.similarity {
                *known = pair;
            }
            let known = first.entry(side).or_insert(side);
            *known = [*known, side, original(mate)].into_iter().min_by_key(|&i| age(i)).unwrap_or(side);
        }
    }
    for (index, first) in first {
        let Some(row) = found.enrolments[index].row.and_then(|row| rows.get_mut(row as usize)) else { continue };
        if let Some(cluster) = cluster_of.get(&index) {
            row.cluster_id = Some(cluster.id.clone());
            row.cross_district = Some(cluster.cross_district());
        }
        if let Some(pair) = best.get(&index) {
            row.similarity = Some(pair.similarity);
            row.expected_false_matches = Some(pair.expected_false_matches);
            row.evidence = Some(pair.parts.text());
        }
        if first != index {
            let original = &found.enrolments[first].submission_id;
            row.duplicate_of = Some(original.clone());
            let retry = retries.first_try(&found.enrolments[index].submission_id) == Some(original.as_str());
            row.add(if retry { Reason::Resubmitted } else { Reason::DuplicateMember });
        }
    }
    note_decisions(found, rows);
}

/// Says in tonight's rows what people decided about them.
fn note_decisions(found: &Duplicates, rows: &mut [VerdictRow]) {
    for pair in found.judged.pairs.iter().chain(&found.judged.cleared) {
        let said = match pair.decision {
            Some(Answer::Same) => "confirmed by review as the same person",
            Some(Answer::Different) => "cleared by review as another person",
            Some(Answer::NotSure) | None => continue,
        };
        for (side, mate) in [(pair.a, pair.b), (pair.b, pair.a)] {
            if let Some(row) = found.enrolments[side].row.and_then(|row| rows.get_mut(row as usize)) {
                row.note(format!("{}: {said}", found.enrolments[mate].submission_id));
            }
        }
    }
}

/// A row's member as a store takes it, were all of its values there; `None` where the face is missing.
pub fn member(analysis: &Analysis, cast: &Cast, model: &ModelId) -> Option<(Member, Template)> {
    let reading = rules::member_reading(analysis, cast)?;
    let photo = analysis.selfie.as_ref().ok()?;
    let facts = &analysis.facts;
    let member = Member {
        submission_id: facts.submission_id.clone().unwrap_or_else(|| format!("(row {})", analysis.row)),
        worker_id: facts.worker_id.clone().unwrap_or_default(),
        district: facts.district.clone().unwrap_or_default(),
        captured_at: facts.captured_at.unwrap_or(UNKNOWN_TIME),
        mobile: facts.mobile.as_deref().and_then(|m| Mobile::parse(m).ok()).map(|m| m.as_str().to_owned()),
        epic: facts.epic.as_deref().and_then(|e| Epic::parse(e).ok()).map(|e| e.as_str().to_owned()),
        member_name: facts.member_name.clone(),
        quality: reading.quality.score,
        model: model.clone(),
        selfie_sha256: photo.fingerprint.sha256,
        selfie_dhash: photo.fingerprint.dhash,
    };
    Some((member, reading.template.clone()))
}

fn enrolment(member: &Member) -> Enrolment {
    Enrolment {
        submission_id: member.submission_id.clone(),
        worker_id: member.worker_id.clone(),
        district: member.district.clone(),
        captured_at: member.captured_at,
        mobile: member.mobile.clone(),
        epic: member.epic.clone(),
        member_name: member.member_name.clone(),
        picture: Some(member.selfie_dhash),
        group: quality_group(member.quality),
        ..Enrolment::default()
    }
}
