//! Both engines against the definition.

use std::collections::BTreeSet;

use chehra::Error;
use chehra::gallery::dot::Kernel;
use chehra::gallery::generate::Crowd;
use chehra::gallery::hnsw::Breadth;
use chehra::gallery::{
    Engine, Filter, Gallery, Hit, Member, Probe, SearchPolicy, Want, all_pairs, exact, hnsw, search, search_with,
};
use chehra::infer::Template;

use super::{brute_force, crowd, kernels, probes, rows, store_with};

#[test]
fn exact_search_is_the_definition_on_every_kernel() {
    let stored = rows(&crowd(), 0..1500);
    let asked = rows(&crowd(), 1400..1560);
    let gallery = Gallery::from_rows(&stored).unwrap();
    for threshold in [-1.0, 0.2, 0.45, 0.99, 1.0] {
        let expected = brute_force(&stored, &asked, threshold);
        for kernel in kernels() {
            let found = exact::search(&gallery, &probes(&asked), Want::Above(threshold), kernel).unwrap();
            assert_eq!(found, expected, "{} at {threshold}", kernel.name());
        }
    }
}

#[test]
fn the_best_few_are_the_definition_too() {
    let stored = rows(&crowd(), 0..1500);
    let asked = rows(&crowd(), 1450..1530);
    let gallery = Gallery::from_rows(&stored).unwrap();
    for (count, floor) in [(1, -1.0), (5, -1.0), (20, 0.3), (0, 0.0)] {
        let all = brute_force(&stored, &asked, floor);
        let expected: Vec<Hit> =
            all.chunk_by(|a, b| a.probe == b.probe).flat_map(|group| group.iter().take(count).copied()).collect();
        for kernel in kernels() {
            let found = exact::search(&gallery, &probes(&asked), Want::Top { count, floor }, kernel).unwrap();
            assert_eq!(found, expected, "{} of {count} from {floor}", kernel.name());
        }
    }
}

#[test]
fn filters_leave_out_what_they_name() {
    let stored = rows(&crowd(), 0..1000);
    let gallery = Gallery::from_rows(&stored).unwrap();
    let (me, template) = &stored[100];
    let ask = |filter, want| {
        let probe = Probe { template, model: &me.model, filter };
        let found = exact::search(&gallery, &[probe], want, Kernel::best()).unwrap();
        let approximate =
            hnsw::search(&gallery, &[probe], want, Breadth { start: 16, most: 64 }, Kernel::best()).unwrap();
        assert_eq!(found, approximate, "breadth grows until a filtered search is answered");
        found.into_iter().map(|hit| gallery.row(hit.row).unwrap()).collect::<Vec<_>>()
    };
    let all = Want::Above(-1.0);
    assert_eq!(ask(Filter::default(), all).len(), 1000);
    let own = Filter { not_submission: Some(&me.submission_id), ..Filter::default() };
    assert!(ask(own, all).len() == 999 && ask(own, all).iter().all(|r| r.submission_id != me.submission_id));
    let worker = Filter { not_worker: Some(&me.worker_id), ..Filter::default() };
    assert!(ask(worker, all).len() == 950 && ask(worker, all).iter().all(|r| r.worker_id != me.worker_id));
    let elsewhere = Filter { not_district: Some(&me.district), ..Filter::default() };
    assert!(ask(elsewhere, all).iter().all(|r| r.district != me.district));
    let here = Filter { only_district: Some(&me.district), ..own };
    let found = ask(here, Want::Top { count: 3, floor: -1.0 });
    assert!(found.len() == 3 && found.iter().all(|r| r.district == me.district));
}

#[test]
fn all_pairs_are_those_that_searching_each_row_finds() {
    let stored = rows(&crowd(), 0..2300);
    let (a, b) = stored.split_at(700);
    let gallery = Gallery::from_rows(a).unwrap().followed_by(&Gallery::from_rows(b).unwrap());
    let expected: BTreeSet<(u32, u32)> = brute_force(&stored, &stored, 0.4)
        .iter()
        .filter(|hit| hit.probe < hit.row)
        .map(|hit| (hit.probe, hit.row))
        .collect();
    let mut found = Vec::new();
    exact::all_pairs(&gallery, 0.4, Kernel::best(), &mut |_, pairs| {
        found.extend(pairs.iter().map(|p| (p.first, p.second)));
        Ok(())
    })
    .unwrap();
    assert!(found.is_sorted());
    assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!(found.len(), expected.len(), "each pair once");
}

#[test]
fn both_engines_find_the_pairs_of_a_whole_gallery() {
    let stored = rows(&crowd(), 0..2300);
    let gallery = Gallery::from_rows(&stored).unwrap();
    let find = |engine, checked_probes| {
        let policy = SearchPolicy { engine, checked_probes, ..SearchPolicy::default() };
        let mut done = 0;
        let mut progress = |now| {
            done = now;
            Ok(())
        };
        let answer = all_pairs(&gallery, 0.45, None, &policy, &mut progress).unwrap();
        assert_eq!(done, 2300);
        answer
    };
    let (exact, report) = find(Engine::Exact, 0);
    assert!(report.certificate.is_none() && report.hits == exact.len() && exact.len() > 200);
    let (hnsw, report) = find(Engine::Hnsw, 500);
    let certificate = report.certificate.unwrap();
    assert!(certificate.probes == 500 && certificate.true_pairs > 40 && certificate.missed == 0, "{certificate:?}");
    assert_eq!((report.engine, hnsw == exact), (Engine::Hnsw, true));
    let (auto, report) = find(Engine::Auto, 500);
    assert!(auto == exact && report.asked == Engine::Auto);
    let narrow = Breadth { start: 1, most: 1 };
    let policy = SearchPolicy { engine: Engine::Hnsw, breadth: narrow, max_missed: 0.0, ..SearchPolicy::default() };
    let (found, _) = all_pairs(&gallery, 0.45, None, &policy, &mut |_| Ok(())).unwrap();
    assert_eq!(found, exact, "what a narrow search misses is found by falling back, or not missed");
}

#[test]
fn part_of_a_gallery_is_searched_as_if_it_were_alone() {
    let mut stored = rows(&crowd(), 0..600);
    stored[500..].iter_mut().for_each(|row| row.0.model.0 = "another".into());
    let gallery = Gallery::from_rows(&stored).unwrap();
    let models = gallery.models();
    assert_eq!(
        models.iter().map(|(m, rows)| (m.0.as_str(), *rows)).collect::<Vec<_>>(),
        [("generated", 500), ("another", 100)]
    );
    let district = stored[0].0.district.as_str();
    let filter =
        Filter { only_district: Some(district), not_submission: Some(&stored[3].0.submission_id), ..Filter::default() };
    let some = gallery.only(&stored[0].0.model, &filter);
    assert_eq!(some.live(), stored[..500].iter().filter(|(m, _)| m.district == district).count() - 1);
    assert!(some.iter().all(|(_, row)| row.district == district && row.submission_id != stored[3].0.submission_id));
    let (pairs, report) = all_pairs(&some, -1.0, None, &SearchPolicy::default(), &mut |_| Ok(())).unwrap();
    assert_eq!((pairs.len(), report.rows), (some.live() * (some.live() - 1) / 2, some.live()));
}

#[test]
fn templates_of_two_models_are_never_compared() {
    let mut stored = rows(&crowd(), 0..100);
    stored[50..].iter_mut().for_each(|row| row.0.model.0 = "another".into());
    let gallery = Gallery::from_rows(&stored).unwrap();
    let probe = Probe { template: &stored[0].1, model: &stored[0].0.model, filter: Filter::default() };
    for engine in [Engine::Exact, Engine::Hnsw] {
        let policy = SearchPolicy { engine, ..SearchPolicy::default() };
        let (found, _) = search(&gallery, &[probe], Want::Above(-1.0), &policy).unwrap();
        assert_eq!(found.len(), 50);
        assert!(found.iter().all(|hit| gallery.model(hit.row) == Some(&stored[0].0.model)));
    }
}

#[test]
fn hnsw_finds_what_exact_search_finds() {
    let crowd = Crowd::new(128, 5);
    let stored = rows(&crowd, 0..6000);
    let asked: Vec<(Member, Template)> =
        (0..600).map(|i| (crowd.member(i), crowd.shot(i * 10, 1 << 40).unwrap())).collect();
    let gallery = Gallery::from_rows(&stored).unwrap();
    let policy = SearchPolicy { engine: Engine::Hnsw, checked_probes: 600, max_missed: 1.0, ..SearchPolicy::default() };
    let (hits, report) = search(&gallery, &probes(&asked), Want::Above(0.45), &policy).unwrap();
    let certificate = report.certificate.unwrap();
    assert_eq!(report.engine, Engine::Hnsw);
    assert!(certificate.true_pairs > 550 && certificate.missed_share < 0.005, "{certificate:?}");
    assert!(certificate.interval[0] <= certificate.missed_share && certificate.missed_share <= certificate.interval[1]);
    let truth = exact::search(&gallery, &probes(&asked), Want::Above(0.45), Kernel::best()).unwrap();
    assert!(hits.iter().all(|hit| truth.contains(hit)), "what HNSW finds has the exact similarity");
}

#[test]
fn one_picture_sent_five_hundred_times_hides_nobody() {
    let crowd = Crowd { duplicates: 0.0, copies: 0.0, ..Crowd::new(128, 6) };
    let mut stored = rows(&crowd, 0..3000);
    for row in (0..3000).step_by(6) {
        stored[row].1 = stored[0].1.clone();
    }
    let gallery = Gallery::from_rows(&stored).unwrap();
    let find = |want| hnsw::search(&gallery, &probes(&stored), want, Breadth::default(), Kernel::best()).unwrap();
    let found = find(Want::Above(0.9));
    let of = |row: u32| found.iter().filter(|hit| hit.probe == row).count();
    assert_eq!(of(0), 500, "every copy is found");
    let alone = (0..3000).filter(|row| row % 6 != 0);
    let lost = alone.filter(|&row| of(row) == 0).count();
    assert_eq!(lost, 0, "and every other row finds itself");
}

#[test]
fn one_person_enrolled_three_hundred_times_is_found_three_hundred_times() {
    let crowd = Crowd { duplicates: 0.0, copies: 0.0, ..Crowd::new(128, 8) };
    let mut stored = rows(&crowd, 0..3000);
    for row in (0..3000).step_by(10) {
        stored[row].1 = crowd.shot(0, row as u64).unwrap();
    }
    let gallery = Gallery::from_rows(&stored).unwrap();
    let policy =
        SearchPolicy { engine: Engine::Hnsw, checked_probes: 3000, max_missed: 1.0, ..SearchPolicy::default() };
    let (hits, report) = search(&gallery, &probes(&stored), Want::Above(0.45), &policy).unwrap();
    let certificate = report.certificate.unwrap();
    assert!(certificate.true_pairs > 300 * 290 && certificate.missed_share < 0.005, "{certificate:?}");
    assert!((0..3000).all(|row| hits.iter().any(|hit| hit.probe == row && hit.row == row)), "everyone finds himself");
}

#[test]
fn a_poor_hnsw_search_is_noticed_and_replaced() {
    let crowd = Crowd::new(128, 5);
    let gallery = Gallery::from_rows(&rows(&crowd, 0..4000)).unwrap();
    let asked = rows(&Crowd { seed: 99, ..crowd.clone() }, 0..50);
    let policy = SearchPolicy { engine: Engine::Hnsw, max_missed: 0.0, ..SearchPolicy::default() };
    let policy = SearchPolicy { breadth: Breadth { start: 1, most: 1 }, ..policy };
    // One best row at breadth 1 is a greedy walk: it ends in the wrong place for many a probe.
    let want = Want::Top { count: 1, floor: -1.0 };
    let (hits, report) = search(&gallery, &probes(&asked), want, &policy).unwrap();
    let certificate = report.certificate.unwrap();
    assert!(certificate.missed > 0, "{certificate:?}");
    assert_eq!((report.asked, report.engine), (Engine::Hnsw, Engine::Exact));
    assert_eq!(hits, exact::search(&gallery, &probes(&asked), want, Kernel::best()).unwrap());
}

#[test]
fn threads_change_nothing() {
    let crowd = crowd();
    let stored = rows(&crowd, 0..2000);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let gallery = Gallery::from_rows(&stored).unwrap();
            let asked = probes(&stored[..200]);
            let narrow = Breadth { start: 8, most: 16 };
            (
                exact::search(&gallery, &asked, Want::Top { count: 7, floor: 0.0 }, Kernel::best()).unwrap(),
                hnsw::search(&gallery, &asked, Want::Top { count: 7, floor: 0.0 }, narrow, Kernel::best()).unwrap(),
            )
        })
    };
    assert_eq!(run(1), run(4));
}

#[test]
fn a_search_tells_how_far_it_is_and_stops_when_told() {
    let stored = rows(&crowd(), 0..2500);
    let gallery = Gallery::from_rows(&stored).unwrap();
    let asked = probes(&stored);
    let mut done = Vec::new();
    let policy = SearchPolicy::default();
    let (hits, report) = search_with(&gallery, &asked, Want::Above(0.5), &policy, &mut |n| {
        done.push(n);
        Ok(())
    })
    .unwrap();
    assert_eq!(done, [2048, 2500]);
    assert_eq!(hits, exact::search(&gallery, &asked, Want::Above(0.5), Kernel::best()).unwrap());
    assert_eq!((report.engine, report.hits, report.rows), (Engine::Exact, hits.len(), 2500));
    let stopped = search_with(&gallery, &asked, Want::Above(0.5), &policy, &mut |_| Err(Error::Interrupted));
    assert!(matches!(stopped, Err(Error::Interrupted)));
}

#[test]
fn one_model_has_one_dimension() {
    let short = rows(&crowd(), 0..5);
    let long = rows(&Crowd { dim: 256, ..crowd() }, 0..5);
    let gallery = Gallery::from_rows(&long).unwrap();
    let wrong = search(&gallery, &probes(&short), Want::Above(0.5), &SearchPolicy::default());
    assert!(wrong.unwrap_err().to_string().contains("128 and 256 values"));
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &crowd(), &[5]);
    let error = store.begin().unwrap().add_run("other", &long).unwrap_err();
    assert!(error.to_string().contains("templates of 128 values"), "{error}");
    assert_eq!(store.view(None).unwrap().live(), 5);
}
