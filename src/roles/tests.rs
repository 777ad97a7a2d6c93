//! Nights of synthetic faces: a person is a random direction, a picture of a person that direction and some noise.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::dump::RowFacts;
use crate::face::{Detection, Quality};
use crate::infer::analysis::Traits;
use crate::infer::template::similarity;
use crate::infer::{Looks, ModelId, Reading, SeenFace, SeenPhoto};
use crate::photo::{Camera, Fingerprint, Photo, Reduced};
use crate::reason::Reason;
use crate::statistics::SplitMix64;

const DIM: usize = 128;

/// Numbers in -1..1 that look random and are the same everywhere.
fn noise(seed: u64) -> impl Iterator<Item = f32> {
    let mut random = SplitMix64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    std::iter::repeat_with(move || (random.next() >> 40) as f32 / (1 << 23) as f32 - 1.0)
}

/// A picture of a person: about 0.70 similar to other pictures of the same, about 0 to anybody else.
fn picture(person: u64, shot: u64) -> Template {
    let values: Vec<f32> =
        noise(person + 1).zip(noise(1_000_003 * (shot + 1))).map(|(p, n)| p + 0.65 * n).take(DIM).collect();
    Template::from_embedding(&values).unwrap()
}

fn photo(shot: u64, people: &[(u64, f32)]) -> SeenPhoto {
    let face = |&(person, height): &(u64, f32)| SeenFace {
        detection: Detection { bbox: [0.0, 0.0, height * 0.8, height], landmarks: [[0.0; 2]; 5], score: 0.9 },
        reading: Some(Reading {
            quality: Quality::default(),
            looks: Looks::default(),
            grain: 0.0,
            template: picture(person, shot * 100 + person),
        }),
    };
    let mut faces: Vec<SeenFace> = people.iter().map(face).collect();
    faces.sort_by(|a, b| b.detection.bbox[3].total_cmp(&a.detection.bbox[3]));
    let mut sha256 = [0; 32];
    sha256[..8].copy_from_slice(&shot.to_le_bytes());
    let dhash = noise(shot + 7).take(64).fold(0, |hash, v| hash << 1 | u64::from(v > 0.0));
    let mirrored_dhash = noise(shot + 7_000_000).take(64).fold(0, |hash, v| hash << 1 | u64::from(v > 0.0));
    let nothing = Photo { width: 1, height: 1, rgb: vec![0; 3] };
    let traits = Traits::of(&Reduced::of(&nothing), &nothing, &[]);
    SeenPhoto {
        width: 640,
        height: 480,
        turned: 0,
        composite: None,
        camera: Camera::default(),
        fingerprint: Fingerprint { sha256, dhash, mirrored_dhash },
        traits,
        faces,
    }
}

/// One submission of `worker` that shows these people with these face heights.
fn sent(worker: &str, shot: u64, people: &[(u64, f32)]) -> Analysis {
    let facts = RowFacts {
        submission_id: Some(format!("{worker}-{shot}")),
        worker_id: Some(worker.to_owned()),
        captured_at: Some(shot as i64),
        ..RowFacts::default()
    };
    Analysis { row: shot, facts, selfie: Ok(photo(shot, people)), photo: None }
}

fn night(analyses: &[Analysis]) -> Roles {
    assign(analyses, &BTreeMap::new(), &BTreeMap::new(), &RolePolicy::default())
}

/// The person that a face of a submission is.
fn person(analysis: &Analysis, face: Option<usize>, people: &[u64]) -> Option<u64> {
    let template = &analysis.faces()[face?].reading.as_ref()?.template;
    people.iter().copied().find(|&p| similarity(template, &picture(p, 999_983)) > 0.45)
}

const WORKER: u64 = 1_000;
const HELPER: u64 = 2_000;

/// `count` members of one worker, each once.
fn honest(worker: &str, face: u64, shots: std::ops::Range<u64>) -> Vec<Analysis> {
    shots.map(|shot| sent(worker, shot, &[(face, 100.0), (shot, 90.0 + (shot % 3) as f32 * 20.0)])).collect()
}

#[test]
fn the_face_that_recurs_is_the_worker_and_bystanders_are_nobody() {
    let mut analyses = honest("W", WORKER, 0..8);
    analyses.push(sent("W", 8, &[(WORKER, 90.0), (8, 100.0), (500, 60.0), (501, 20.0)]));
    let roles = night(&analyses);
    assert_eq!(roles.accounts["W"].worker.as_ref().unwrap().basis, Basis::Recurring { recurrences: 9, submissions: 9 });
    for (analysis, cast) in analyses.iter().zip(&roles.casts) {
        assert_eq!(cast.reasons, [], "{cast:?}");
        assert_eq!(person(analysis, cast.worker, &[WORKER]), Some(WORKER));
        assert_eq!(person(analysis, cast.member, &[analysis.row]), Some(analysis.row));
    }
    assert_eq!((roles.casts[8].role(2), roles.casts[8].role(3)), (Role::Bystander, Role::Bystander));
}

#[test]
fn what_a_single_selfie_lacks_is_said() {
    let mut analyses = honest("W", WORKER, 0..6);
    analyses.push(sent("W", 6, &[]));
    analyses.push(sent("W", 7, &[(WORKER, 100.0)]));
    analyses.push(sent("W", 8, &[(8, 100.0), (9, 90.0)]));
    analyses.push(sent("W", 9, &[(10, 100.0)]));
    analyses.push(sent("W", 10, &[(WORKER, 100.0), (WORKER, 90.0)]));
    analyses.push(sent("W", 11, &[(WORKER, 100.0), (11, 90.0), (12, 80.0), (13, 80.0), (14, 80.0)]));
    let reasons: Vec<Vec<Reason>> = night(&analyses).casts.into_iter().skip(6).map(|c| c.reasons).collect();
    use Reason::*;
    let expected = [
        vec![NoFace],
        vec![OneFace],
        vec![WorkerAbsent],
        vec![OneFace, WorkerAbsent],
        vec![MemberIsWorker],
        vec![TooManyFaces],
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn a_helper_in_every_picture_is_never_the_member() {
    // The worker holds the phone and stands nearer; the helper is there too, the member changes.
    let analyses: Vec<Analysis> =
        (0..10).map(|n| sent("W", n, &[(WORKER, 110.0), (HELPER, 95.0), (n, 80.0 + n as f32)])).collect();
    let roles = night(&analyses);
    assert_eq!(roles.accounts["W"].helpers.len(), 1);
    for (analysis, cast) in analyses.iter().zip(&roles.casts) {
        assert_eq!(cast.reasons, []);
        assert_eq!(person(analysis, cast.worker, &[WORKER, HELPER]), Some(WORKER));
        assert_eq!(person(analysis, cast.member, &[analysis.row]), Some(analysis.row));
    }
}

/// Worker and helper equally often nearer: only something else can tell them apart.
fn level_pair(worker: &str) -> Vec<Analysis> {
    let heights = |n: u64| if n.is_multiple_of(2) { (110.0, 95.0) } else { (95.0, 110.0) };
    let selfie = |n: u64| sent(worker, n, &[(WORKER, heights(n).0), (HELPER, heights(n).1), (n, 90.0)]);
    (0..10).map(selfie).collect()
}

#[test]
fn where_nothing_tells_worker_from_helper_that_is_said_and_the_member_found_all_the_same() {
    let analyses = level_pair("W");
    let roles = night(&analyses);
    assert_eq!(roles.accounts["W"].undecided.len(), 2);
    for (analysis, cast) in analyses.iter().zip(&roles.casts) {
        assert_eq!(cast.reasons, [Reason::WorkerUnknown]);
        assert_eq!(person(analysis, cast.member, &[analysis.row]), Some(analysis.row));
    }
}

#[test]
fn enrolment_memory_or_the_helpers_own_account_tell_worker_from_helper() {
    let policy = RolePolicy::default();
    let analyses = level_pair("W");
    let right = |roles: &Roles, reasons: &[Reason]| {
        for (analysis, cast) in analyses.iter().zip(&roles.casts) {
            assert_eq!(person(analysis, cast.worker, &[WORKER, HELPER]), Some(WORKER));
            assert_eq!(person(analysis, cast.member, &[analysis.row]), Some(analysis.row));
            assert_eq!(cast.reasons, reasons);
        }
    };
    let enrolled = BTreeMap::from([("W".to_owned(), picture(WORKER, 12_345))]);
    right(&assign(&analyses, &enrolled, &BTreeMap::new(), &policy), &[]);

    let model = ModelId("m".into());
    let memory = night(&honest("W", WORKER, 50..55)).remember(&BTreeMap::new(), &model, &policy);
    right(&assign(&analyses, &BTreeMap::new(), &memory, &policy), &[]);

    let mut with_helper = analyses.clone();
    with_helper.extend(honest("H", HELPER, 20..26));
    right(&night(&with_helper), &[Reason::WorkerUnknown]);
}

#[test]
fn two_who_share_an_account_are_each_the_worker_of_their_own_selfies() {
    let mut analyses = honest("W", WORKER, 0..8);
    analyses.extend(honest("W", HELPER, 8..13));
    let roles = night(&analyses);
    for (analysis, cast) in analyses.iter().zip(&roles.casts) {
        let second = analysis.row >= 8;
        assert_eq!(person(analysis, cast.worker, &[WORKER, HELPER]), Some(if second { HELPER } else { WORKER }));
        assert_eq!(person(analysis, cast.member, &[analysis.row]), Some(analysis.row));
        assert_eq!(cast.reasons, if second { vec![Reason::WorkerMismatch] } else { vec![] });
    }
}

#[test]
fn an_account_used_by_another_face_is_a_mismatch() {
    let policy = RolePolicy::default();
    let enrolled = BTreeMap::from([("W".to_owned(), picture(WORKER, 12_345))]);
    let usurped = honest("W", HELPER, 0..5);
    let roles = assign(&usurped, &enrolled, &BTreeMap::new(), &policy);
    assert!(roles.casts.iter().all(|c| c.reasons == [Reason::WorkerMismatch]), "{:?}", roles.casts);
    assert!(usurped.iter().zip(&roles.casts).all(|(a, c)| person(a, c.member, &[a.row]) == Some(a.row)));

    // One selfie is enough where the face is another worker's.
    let mut analyses = honest("W", WORKER, 0..5);
    analyses.extend(honest("V", HELPER, 5..10));
    analyses.push(sent("W", 20, &[(20, 110.0), (HELPER, 90.0)]));
    let cast = &night(&analyses).casts[10];
    assert_eq!(cast.reasons, [Reason::WorkerMismatch]);
    assert_eq!(person(&analyses[10], cast.worker, &[HELPER]), Some(HELPER));
    assert_eq!(person(&analyses[10], cast.member, &[20]), Some(20));
    assert_eq!(cast.other_worker.as_ref().unwrap().worker_id, "V");
}

#[test]
fn a_worker_enrolled_as_a_member_is_named() {
    let mut analyses = honest("W", WORKER, 0..5);
    analyses.extend(honest("V", HELPER, 5..10));
    analyses.push(sent("W", 20, &[(WORKER, 100.0), (HELPER, 90.0)]));
    let roles = night(&analyses);
    assert_eq!(roles.casts[10].reasons, [Reason::MemberIsOtherWorker]);
    let other = roles.casts[10].other_worker.as_ref().unwrap();
    assert_eq!(other.worker_id, "V");
    assert!(other.similarity >= RolePolicy::default().other_worker_similarity);
    assert!(roles.casts[..10].iter().all(|c| c.reasons.is_empty()));
}

#[test]
fn one_person_with_two_accounts_is_noted() {
    let mut analyses = honest("A", WORKER, 0..5);
    analyses.extend(honest("B", WORKER, 5..10));
    let roles = night(&analyses);
    assert_eq!(roles.accounts["A"].same_as.as_ref().unwrap().worker_id, "B");
    assert_eq!(roles.accounts["B"].same_as.as_ref().unwrap().worker_id, "A");
    assert!(roles.casts.iter().all(|c| c.reasons.is_empty()));

    let enrolled = BTreeMap::from([("A".to_owned(), picture(WORKER, 12_345))]);
    let roles = assign(&analyses, &enrolled, &BTreeMap::new(), &RolePolicy::default());
    assert!(roles.casts[..5].iter().all(|c| c.reasons.is_empty()), "the face is A's");
    assert!(roles.casts[5..].iter().all(|c| c.reasons == [Reason::WorkerMismatch]), "and not B's");
}

#[test]
fn a_new_worker_with_few_selfies() {
    // One: a guess. Two or three: the face that recurs, and still a guess.
    let one = night(&[sent("W", 0, &[(0, 90.0), (WORKER, 100.0)])]);
    assert_eq!(one.casts[0].reasons, [Reason::WorkerUnknown]);
    assert_eq!((one.casts[0].worker, one.casts[0].member), (Some(0), Some(1)));
    for count in 2..=3 {
        let analyses: Vec<Analysis> = (0..count).map(|n| sent("W", n, &[(n, 110.0), (WORKER, 90.0)])).collect();
        let roles = night(&analyses);
        for (analysis, cast) in analyses.iter().zip(&roles.casts) {
            assert_eq!(person(analysis, cast.worker, &[WORKER]), Some(WORKER), "{count}");
            assert_eq!(cast.reasons.contains(&Reason::WorkerUnknown), count < 3);
        }
    }
    // The same member sent twice leaves both faces recurring: nobody can say, and nobody is accused.
    let twice: Vec<Analysis> = (0..2).map(|n| sent("W", n, &[(7, 90.0), (WORKER, 100.0)])).collect();
    assert!(night(&twice).casts.iter().all(|c| c.reasons == [Reason::WorkerUnknown] && c.worker == Some(0)));
    // Nobody recurs.
    let strangers: Vec<Analysis> = (0..3).map(|n| sent("W", n, &[(2 * n, 90.0), (2 * n + 1, 100.0)])).collect();
    assert!(night(&strangers).casts.iter().all(|c| c.reasons == [Reason::WorkerUnknown]));
}

#[test]
fn a_picture_sent_again_makes_nobody_a_worker() {
    let mut analyses: Vec<Analysis> = (0..5).map(|_| sent("W", 0, &[(3, 90.0), (4, 100.0)])).collect();
    analyses.push(sent("W", 1, &[(5, 90.0), (6, 100.0)]));
    assert!(night(&analyses).accounts["W"].worker.is_none());
}

#[test]
fn memory_carries_a_slow_worker_from_night_to_night() {
    let (policy, model) = (RolePolicy::default(), ModelId("m".into()));
    let mut memory = BTreeMap::new();
    for night in 0..5 {
        let tonight = [sent("W", night, &[(night, 110.0), (WORKER, 90.0)])];
        let roles = assign(&tonight, &BTreeMap::new(), &memory, &policy);
        let certain = roles.accounts["W"].worker.as_ref().is_some_and(|w| w.certain);
        assert_eq!(certain, night >= 2, "night {night}");
        memory = roles.remember(&memory, &model, &policy);
        let bytes = postcard::to_stdvec(&memory).unwrap();
        assert_eq!(postcard::from_bytes::<BTreeMap<String, WorkerMemory>>(&bytes).unwrap(), memory);
    }
    assert_eq!((memory["W"].nights, memory["W"].submissions), (3, 5));
    assert!(similarity(memory["W"].template().unwrap(), &picture(WORKER, 31)) > 0.6);

    // A night without the worker changes nothing, another face takes no one's place, another model starts anew.
    let usurped = assign(&honest("W", HELPER, 0..6), &BTreeMap::new(), &memory, &policy);
    assert_eq!(usurped.remember(&memory, &model, &policy), memory);
    let idle = assign(&honest("V", HELPER, 0..6), &BTreeMap::new(), &memory, &policy);
    assert_eq!(idle.remember(&memory, &model, &policy)["W"], memory["W"]);
    let other = night(&[]).remember(&memory, &ModelId("n".into()), &policy);
    assert!(other.is_empty());
}

#[test]
fn nights_of_nothing_and_of_unreadable_pictures() {
    assert_eq!(night(&[]), Roles::default());
    let unreadable =
        Analysis { selfie: Err(crate::reason::Reject::new(Reason::UnreadableImage, "0 bytes")), ..sent("W", 0, &[]) };
    let nameless = Analysis { facts: RowFacts::default(), ..sent("W", 1, &[(1, 100.0), (2, 90.0)]) };
    let roles = night(&[unreadable, nameless]);
    assert_eq!(roles.casts[0].reasons, [Reason::NoFace]);
    assert_eq!(roles.casts[1].reasons, [Reason::WorkerUnknown]);
}

#[test]
fn the_nearest_worker_is_the_one_that_all_comparisons_give() {
    let templates: Vec<Template> = (0..60).map(|p| picture(p / 2, p)).collect();
    let ids: Vec<String> = (0..60).map(|p| format!("W{p:02}")).collect();
    let workers: Vec<WorkerFace> =
        ids.iter().zip(&templates).map(|(id, template)| WorkerFace { worker_id: id, template }).collect();
    let probes: Vec<Template> = (0..40).map(|p| picture(p, 5_000 + p)).collect();
    let faces: Vec<(&Template, Option<&str>)> =
        probes.iter().enumerate().map(|(i, p)| (p, (i % 3 == 0).then(|| ids[2 * (i % 30)].as_str()))).collect();
    let found = nearest_workers(&faces, &workers, 0.5);
    for ((face, own), found) in faces.iter().zip(&found) {
        let all =
            workers.iter().filter(|w| Some(w.worker_id) != *own).map(|w| (similarity(face, w.template), w.worker_id));
        let best = all.filter(|b| b.0 >= 0.5).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)));
        assert_eq!(found.as_ref().map(|o| (o.similarity, o.worker_id.as_str())), best);
    }
    assert!(found.iter().flatten().count() >= 30 && found.iter().any(Option::is_none));
    assert_eq!(nearest_workers(&faces, &[], 0.5), vec![None; faces.len()]);
    let short = Template::from_embedding(&[1.0, 2.0]).unwrap();
    assert_eq!(nearest_workers(&[(&short, None)], &workers, 0.0), [None]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was sent, the roles belong to the submissions and not to their order.
    #[test]
    fn order_does_not_matter(
        rows in prop::collection::vec((0usize..3, prop::collection::vec((0u64..8, 30f32..120.0), 0..4)), 1..14),
        seed in any::<u64>(),
    ) {
        let analyses: Vec<Analysis> = rows
            .iter()
            .enumerate()
            .map(|(n, (worker, people))| sent(&format!("W{worker}"), n as u64, people))
            .collect();
        let mut order: Vec<usize> = (0..analyses.len()).collect();
        let keys: Vec<f32> = noise(seed).take(order.len()).collect();
        order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
        let shuffled: Vec<Analysis> = order.iter().map(|&i| analyses[i].clone()).collect();
        let (straight, mixed) = (night(&analyses), night(&shuffled));
        prop_assert_eq!(&straight.accounts, &mixed.accounts);
        for (at, &from) in order.iter().enumerate() {
            prop_assert_eq!(&straight.casts[from], &mixed.casts[at]);
        }
        for (analysis, cast) in analyses.iter().zip(&straight.casts) {
            prop_assert!(cast.worker.is_none() || cast.worker != cast.member);
            prop_assert!(cast.worker.into_iter().chain(cast.member).all(|face| face < analysis.faces().len()));
        }
    }
}

const FARMED: u64 = 3_000;

/// Ten workers who enrol one member twelve times each, now the one and now the other nearer to the phone.
fn farmed(workers: u64) -> Vec<Analysis> {
    let mut analyses = Vec::new();
    for worker in 0..workers {
        for shot in 0..12 {
            // In a third of the accounts the member is the taller nearly always.
            let member_is_taller = if worker % 3 == 0 { shot != 5 } else { shot % 2 == 0 };
            let (near, far) = if member_is_taller { (FARMED, WORKER + worker) } else { (WORKER + worker, FARMED) };
            analyses.push(sent(&format!("W{worker}"), 100 * worker + shot, &[(near, 110.0), (far, 95.0)]));
        }
    }
    analyses
}

#[test]
fn a_face_under_many_accounts_is_nobodys_worker() {
    let analyses = farmed(10);
    let roles = night(&analyses);
    for (analysis, cast) in analyses.iter().zip(&roles.casts) {
        let worker = WORKER + analysis.row / 100;
        assert_eq!(cast.reasons, [], "row {}", analysis.row);
        assert_eq!(person(analysis, cast.worker, &[worker, FARMED]), Some(worker));
        assert_eq!(person(analysis, cast.member, &[worker, FARMED]), Some(FARMED));
    }
    // One person who works three accounts alone is the best that is known of each.
    let mut alone = honest("A", WORKER, 0..6);
    alone.extend(honest("B", WORKER, 6..12));
    alone.extend(honest("C", WORKER, 12..18));
    let roles = night(&alone);
    assert!(alone.iter().zip(&roles.casts).all(|(a, c)| person(a, c.worker, &[WORKER]) == Some(WORKER)));
}

#[test]
fn what_earlier_nights_took_for_the_worker_is_forgotten_when_it_is_everywhere() {
    let (policy, model) = (RolePolicy::default(), ModelId("m".into()));
    // On the first night each account shows the farmed member alone with ever new people.
    let mut first = Vec::new();
    for worker in 0..2 {
        first.extend(honest(&format!("W{worker}"), FARMED, 20 * worker..20 * worker + 6));
    }
    let memory = night(&first).remember(&BTreeMap::new(), &model, &policy);
    assert!(memory["W0"].template().is_some());
    let second = farmed(4);
    let roles = assign(&second, &BTreeMap::new(), &memory, &policy);
    for (analysis, cast) in second.iter().zip(&roles.casts) {
        let worker = WORKER + analysis.row / 100;
        assert_eq!(person(analysis, cast.worker, &[worker, FARMED]), Some(worker), "row {}", analysis.row);
    }
    let third = roles.remember(&memory, &model, &policy);
    let is_worker = |id: &str, face: u64| similarity(third[id].template().unwrap(), &picture(face, 77)) > 0.45;
    assert!(is_worker("W0", WORKER) && is_worker("W1", WORKER + 1) && !is_worker("W0", FARMED));
}

#[test]
fn a_helper_of_several_workers_stays_a_helper() {
    // A supervisor beside three workers in every picture, the tallest but for the worker.
    let mut analyses = Vec::new();
    for worker in 0..3 {
        let selfie = |shot: u64| {
            let faces = [(WORKER + worker, 110.0), (HELPER, 100.0), (100 * worker + shot, 90.0)];
            sent(&format!("W{worker}"), 100 * worker + shot, &faces)
        };
        analyses.extend((0..8).map(selfie));
    }
    let roles = night(&analyses);
    for (analysis, cast) in analyses.iter().zip(&roles.casts) {
        let worker = WORKER + analysis.row / 100;
        assert_eq!(person(analysis, cast.worker, &[worker, HELPER]), Some(worker));
        assert_eq!(person(analysis, cast.member, &[analysis.row]), Some(analysis.row));
    }
}

#[test]
fn a_face_in_the_place_of_several_absent_workers_is_a_stand_in_and_no_member() {
    const STAND_IN: u64 = 4_000;
    let mut analyses = Vec::new();
    for worker in 0..4 {
        analyses.extend(honest(&format!("W{worker}"), WORKER + worker, 100 * worker..100 * worker + 8));
        // Once the stand-in is the taller, once alone.
        let id = format!("W{worker}");
        analyses.push(sent(&id, 100 * worker + 8, &[(STAND_IN, 110.0), (100 * worker + 8, 90.0)]));
        if worker == 0 {
            analyses.push(sent(&id, 100 * worker + 9, &[(STAND_IN, 110.0)]));
        }
    }
    let roles = night(&analyses);
    let mut seen = 0;
    for (analysis, cast) in analyses.iter().zip(&roles.casts) {
        let is_alone = analysis.row == 9;
        match analysis.row % 100 {
            8 | 9 => {
                seen += 1;
                assert!(cast.reasons.contains(&Reason::StandIn), "{cast:?}");
                assert_eq!(cast.stand_in_accounts, Some(4));
                assert_eq!(person(analysis, cast.worker, &[STAND_IN]), Some(STAND_IN));
                let member = person(analysis, cast.member, &[analysis.row, STAND_IN]);
                assert_eq!(member, (!is_alone).then_some(analysis.row));
                assert_eq!(cast.reasons.contains(&Reason::OneFace), is_alone);
            }
            _ => assert_eq!(cast.reasons, []),
        }
    }
    assert_eq!(seen, 5);
}

#[test]
fn a_member_whose_worker_was_missed_now_and_then_is_no_stand_in() {
    // The farmed member, and in one picture of each account somebody else where the worker should be.
    let mut analyses = farmed(4);
    for worker in 0..4 {
        let faces = [(5_000 + worker, 110.0), (FARMED, 95.0)];
        analyses.push(sent(&format!("W{worker}"), 100 * worker + 50, &faces));
    }
    let roles = night(&analyses);
    for (analysis, cast) in analyses.iter().zip(&roles.casts).filter(|(a, _)| a.row % 100 == 50) {
        assert!(!cast.reasons.contains(&Reason::StandIn), "{} {cast:?}", analysis.row);
    }
}

#[test]
fn who_is_the_member_is_less_sure_among_many_faces() {
    let doubt = member_doubt_percent;
    assert_eq!(doubt(&[]), 0);
    assert!(doubt(&[Reason::TooManyFaces]) > doubt(&[Reason::WorkerAbsent]));
    assert!(doubt(&[Reason::WorkerAbsent]) > doubt(&[Reason::OneFace, Reason::WorkerAbsent]));
}
