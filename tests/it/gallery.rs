//! The gallery as a whole: what goes in is found again, by every engine and kernel, now and after a restart.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use chehra::Error;
use chehra::gallery::dot::Kernel;
use chehra::gallery::generate::Crowd;
use chehra::gallery::hnsw::Breadth;
use chehra::gallery::{Engine, Filter, Gallery, Hit, Member, Probe, SearchPolicy, Store, Want, exact, hnsw, search};
use chehra::infer::Template;
use chehra::infer::template::similarity;

fn rows(crowd: &Crowd, range: std::ops::Range<u64>) -> Vec<(Member, Template)> {
    crowd.rows(range).unwrap()
}

fn probes(rows: &[(Member, Template)]) -> Vec<Probe<'_>> {
    rows.iter().map(|(m, t)| Probe { template: t, model: &m.model, filter: Filter::default() }).collect()
}

fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.iter().copied().filter(|k| k.is_available())
}

/// All pairs by the definition: no codes, no blocks.
fn brute_force(gallery: &[(Member, Template)], probes: &[(Member, Template)], threshold: f32) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (p, (_, probe)) in probes.iter().enumerate() {
        let mut found: Vec<Hit> = gallery
            .iter()
            .enumerate()
            .map(|(r, (_, t))| Hit { probe: p as u32, row: r as u32, similarity: similarity(probe, t) })
            .filter(|hit| hit.similarity >= threshold)
            .collect();
        found.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.row.cmp(&b.row)));
        hits.extend(found);
    }
    hits
}

fn crowd() -> Crowd {
    Crowd { duplicates: 0.1, lookalikes: 0.1, copies: 0.02, ..Crowd::new(128, 11) }
}

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
    exact::all_pairs(&gallery, 0.4, Kernel::best(), &mut |pairs| {
        found.extend(pairs.iter().map(|p| (p.first, p.second)));
        Ok(())
    })
    .unwrap();
    assert!(found.is_sorted());
    assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), expected);
    assert_eq!(found.len(), expected.len(), "each pair once");
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

fn store_with(path: &Path, crowd: &Crowd, nights: &[std::ops::Range<u64>]) -> Store {
    let store = Store::open_or_create(path).unwrap();
    for (night, range) in nights.iter().enumerate() {
        store.begin().unwrap().add_run(&format!("night-{night}"), &rows(crowd, range.clone())).unwrap();
    }
    store
}

#[test]
fn a_store_keeps_rows_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(store_with(&path, &crowd(), &[0..300, 300..333]));
    let store = Store::open(&path).unwrap();
    let gallery = store.view(None).unwrap();
    let original = rows(&crowd(), 0..333);
    assert_eq!(gallery.live(), 333);
    for (at, (member, template)) in original.iter().enumerate() {
        let row = gallery.row(at as u32).unwrap();
        assert_eq!(row.submission_id, member.submission_id);
        assert_eq!((row.worker_id, row.district), (member.worker_id.as_str(), member.district.as_str()));
        assert_eq!((row.mobile, row.epic), (member.mobile.as_deref(), member.epic.as_deref()));
        assert_eq!(row.member_name, member.member_name.as_deref());
        assert_eq!((row.captured_at, row.quality), (member.captured_at, member.quality));
        assert_eq!((row.selfie_sha256, row.selfie_dhash), (&member.selfie_sha256, member.selfie_dhash));
        assert_eq!(row.run_key, if at < 300 { "night-0" } else { "night-1" });
        assert_eq!(&gallery.template(at as u32).unwrap(), template);
    }
    let found = exact::search(&gallery, &probes(&original), Want::Above(0.3), Kernel::best()).unwrap();
    assert_eq!(found, brute_force(&original, &original, 0.3));
}

#[test]
fn a_run_added_twice_adds_nothing_and_sees_what_it_saw() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &crowd(), &[0..100, 100..150, 150..170]);
    let again = store.begin().unwrap().add_run("night-1", &rows(&crowd(), 100..150)).unwrap();
    assert!(again.repeated && again.added == 0);
    assert_eq!(store.view(None).unwrap().live(), 170);
    assert_eq!(store.view(Some("night-1")).unwrap().live(), 100);
    assert_eq!(store.view(Some("night-0")).unwrap().live(), 0);
    assert_eq!(store.view(Some("night-7")).unwrap().live(), 170, "a new run sees all");
    assert_eq!(store.runs().unwrap().iter().map(|r| r.rows).collect::<Vec<_>>(), [100, 50, 20]);
}

#[test]
fn empty_stores_and_runs_are_fine() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &crowd(), &[0..0]);
    let gallery = store.view(None).unwrap();
    assert!(gallery.is_empty() && gallery.rows() == 0);
    let asked = rows(&crowd(), 0..3);
    for engine in [Engine::Auto, Engine::Exact, Engine::Hnsw] {
        let policy = SearchPolicy { engine, ..SearchPolicy::default() };
        assert!(search(&gallery, &probes(&asked), Want::Above(0.0), &policy).unwrap().0.is_empty());
        assert!(search(&Gallery::empty(), &probes(&asked), Want::Above(0.0), &policy).unwrap().0.is_empty());
    }
    assert!(store.begin().unwrap().add_run("night-0", &asked).unwrap().repeated);
}

#[test]
fn two_writers_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &crowd(), &[0..10]);
    let writer = store.begin().unwrap();
    let other = Store::open(folder.path()).unwrap();
    match other.begin() {
        Err(Error::Busy { path, holder, fix }) => {
            assert!(path.ends_with("LOCK") && holder.contains(&std::process::id().to_string()), "{holder}");
            assert!(fix.contains("again"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(other.view(None).unwrap().live(), 10, "reading needs no lock");
    drop(writer);
    other.begin().unwrap();
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    store_with(&path, &crowd(), &[0..20]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("segments"))), (0o700, 0o700));
    let mut seen = 0;
    for folder in [&path, &path.join("segments")] {
        for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()) {
            assert_eq!(mode(&entry), 0o600, "{}", entry.display());
            seen += 1;
        }
    }
    assert_eq!(seen, 5, "manifest, lock, segment, codes, masters");
}
