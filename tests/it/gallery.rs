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

fn forget(store: &Store, ids: &[&str]) -> chehra::gallery::Forgotten {
    let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
    store.begin().unwrap().forget(&ids).unwrap()
}

#[test]
fn forgotten_members_are_found_by_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let crowd = Crowd { duplicates: 0.0, copies: 0.0, ..crowd() };
    let all = rows(&crowd, 0..200);
    let store = store_with(folder.path(), &crowd, &[0..100, 100..200]);
    let ids: Vec<&str> = [7, 150].iter().map(|&row: &usize| all[row].0.submission_id.as_str()).collect();
    let forgotten = forget(&store, &[ids[0], ids[1], "nobody"]);
    let receipt = forgotten.receipt.unwrap();
    assert_eq!((receipt.rows, receipt.submission_ids.len(), receipt.segments.as_slice()), (2, 2, &[1, 2][..]));
    assert_eq!(forgotten.unknown, ["nobody"]);
    assert!(receipt.erased_commit.is_none());
    let json = serde_json::to_string(&receipt).unwrap();
    assert!(json.contains(ids[0]) && !json.contains("codes") && json.len() < 400, "{json}");
    let check = |gallery: &Gallery| {
        assert_eq!(gallery.live(), 198);
        let asked = probes(&all);
        for want in [Want::Above(0.98), Want::Top { count: 3, floor: -1.0 }] {
            let exact = exact::search(gallery, &asked, want, Kernel::best()).unwrap();
            let approximate = hnsw::search(gallery, &asked, want, Breadth::default(), Kernel::best()).unwrap();
            assert_eq!(exact, approximate);
            assert!(exact.iter().all(|hit| !ids.contains(&gallery.row(hit.row).unwrap().submission_id)));
        }
        let mut rows = BTreeSet::new();
        exact::all_pairs(gallery, -1.0, Kernel::best(), &mut |pairs| {
            rows.extend(pairs.iter().flat_map(|p| [p.first, p.second]));
            Ok(())
        })
        .unwrap();
        assert!(rows.iter().all(|&row| gallery.row(row).is_some()));
    };
    check(&store.view(None).unwrap());
    let report = store.begin().unwrap().compact(&Default::default()).unwrap();
    assert_eq!((report.segments_before, report.segments_after, report.rows_erased), (2, 1, 2));
    check(&store.view(None).unwrap());
    assert!(store.stats().unwrap().forgotten[0].erased_commit.is_some());
    assert!(forget(&store, &ids).receipt.is_none(), "they are gone");
    // What a run saw, it sees after compaction too, less the forgotten.
    assert_eq!(store.view(Some("night-1")).unwrap().live(), 99);
    assert!(store.begin().unwrap().add_run("night-1", &all).unwrap().repeated);
}

#[test]
fn compaction_merges_small_segments_and_keeps_order_and_bits() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(folder.path(), &crowd(), &[0..40, 40..41, 41..120, 120..121]);
    let before = store.view(None).unwrap();
    let report = store.begin().unwrap().compact(&Default::default()).unwrap();
    assert_eq!((report.segments_before, report.segments_after, report.rows_erased), (4, 1, 0));
    let after = Store::open(folder.path()).unwrap().view(None).unwrap();
    assert!(before.iter().eq(after.iter()), "a view taken before lives on, and the new one is the same");
    for row in 0..121 {
        assert_eq!(before.master(row).unwrap(), after.master(row).unwrap());
    }
    let again = store.begin().unwrap().compact(&Default::default()).unwrap();
    assert_eq!((again.segments_before, again.segments_after), (1, 1), "nothing is left to do");
    assert_eq!(store.stats().unwrap().segments[0].id, 5, "and nothing was written");
}

#[test]
fn an_export_comes_back_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = rows(&crowd(), 0..150);
    all[3].0.mobile = None;
    all[4].0.member_name = Some(String::new());
    let store = Store::open_or_create(folder.path().join("a")).unwrap();
    store.begin().unwrap().add_run("night", &all).unwrap();
    forget(&store, &[&all[9].0.submission_id]);
    let file = folder.path().join("export.parquet");
    assert_eq!(store.export(&file).unwrap(), 149);
    let other = Store::open_or_create(folder.path().join("b")).unwrap();
    assert_eq!(other.begin().unwrap().import(&file).unwrap().added, 149);
    assert!(other.begin().unwrap().import(&file).unwrap().repeated);
    let (a, b) = (store.view(None).unwrap(), other.view(None).unwrap());
    for ((x, left), (y, right)) in a.iter().zip(b.iter()) {
        let left = chehra::gallery::Row { run_key: right.run_key, commit: right.commit, ..left };
        assert_eq!(left, right);
        assert_eq!(a.template(x).unwrap(), b.template(y).unwrap());
    }
    assert_eq!(b.live(), 149);
    assert!(b.row(4).unwrap().member_name.is_none());
}

#[test]
fn importing_something_else_names_the_column() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_with(&folder.path().join("store"), &crowd(), &[0..5]);
    let text = folder.path().join("text");
    fs::write(&text, "submission_id,worker_id\n").unwrap();
    let segment = folder.path().join("store/segments/00000001.parquet");
    for (path, word) in [(&text, "Parquet"), (&segment, "selfie_sha256")] {
        let error = store.begin().unwrap().import(path).unwrap_err();
        assert!(matches!(error, Error::Input { .. }) && error.to_string().contains(word), "{error}");
    }
    assert_eq!(store.view(None).unwrap().live(), 5);
}

/// Opens a store and searches it by both engines: all rows are found, or there is an error that says what to do.
fn whole_or_error(path: &Path, all: &[(Member, Template)]) -> Result<(), Error> {
    let gallery = Store::open(path)?.view(None)?;
    let probes = probes(all);
    let found = exact::search(&gallery, &probes, Want::Above(0.3), Kernel::best())?;
    assert_eq!(found, brute_force(all, all, 0.3), "never silently fewer or others");
    let wide = Breadth { start: 1000, most: 1000 };
    assert_eq!(hnsw::search(&gallery, &probes, Want::Above(0.3), wide, Kernel::best())?, found);
    for (at, (row, (member, _))) in gallery.iter().zip(all).enumerate() {
        assert_eq!((row.0, row.1.submission_id), (at as u32, member.submission_id.as_str()));
    }
    Ok(())
}

#[test]
fn damaged_files_are_rebuilt_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let crowd = Crowd { dim: 16, ..crowd() };
    let all = rows(&crowd, 0..40);
    let store = store_with(folder.path(), &crowd, &[0..40]);
    whole_or_error(folder.path(), &all).unwrap();
    assert!(store.verify().unwrap().rebuildable.is_empty());
    for name in [
        "MANIFEST",
        "segments/00000001.parquet",
        "segments/00000001.codes",
        "segments/00000001.masters",
        "segments/00000001.graph",
    ] {
        let file = folder.path().join(name);
        let good = fs::read(&file).unwrap();
        let derived = !name.ends_with("parquet") && name != "MANIFEST";
        let mut cases = vec![
            ("empty", Vec::new()),
            ("foreign", b"GIF89a and so on\n".repeat(99)),
            ("half", good[..good.len() / 2].to_vec()),
        ];
        cases.push(("longer", [good.as_slice(), b"x"].concat()));
        let step = (good.len() / 60).max(1);
        cases.extend((0..good.len()).step_by(step).chain(good.len() - 8..good.len()).map(|at| {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            ("a flipped bit", bad)
        }));
        for (what, bad) in cases {
            fs::remove_file(&file).unwrap();
            fs::write(&file, &bad).unwrap();
            let verified = Store::open(folder.path()).and_then(|store| store.verify());
            match verified {
                Ok(v) => assert!(!v.is_sound() || (derived && !v.rebuildable.is_empty()), "{name}: {what} is noticed"),
                Err(e) => assert!(name == "MANIFEST" && matches!(e, Error::Input { .. }), "{name}: {what}: {e}"),
            }
            match whole_or_error(folder.path(), &all) {
                Err(Error::Input { path, fix, .. }) => {
                    assert!(path == file || path == folder.path(), "{name}: {what}: {}", path.display());
                    assert!(fix.len() > 20);
                }
                Err(other) => panic!("{name}: {what}: {other}"),
                Ok(()) => assert!(name != "MANIFEST", "{name}: {what} is not noticed"),
            }
            fs::remove_file(&file).unwrap();
            if derived {
                whole_or_error(folder.path(), &all).unwrap(); // missing: rebuilt
                assert_eq!(fs::read(&file).unwrap(), good, "{name} comes back as it was");
            } else {
                assert!(matches!(whole_or_error(folder.path(), &all), Err(Error::Input { .. })), "{name} missing");
            }
            fs::write(&file, &good).unwrap();
        }
    }
    whole_or_error(folder.path(), &all).unwrap();
}

#[test]
fn repair_rebuilds_what_can_be_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let all = rows(&crowd(), 0..40);
    let store = store_with(folder.path(), &crowd(), &[0..40]);
    let masters = folder.path().join("segments/00000001.masters");
    let mut bytes = fs::read(&masters).unwrap();
    bytes[5000] ^= 1;
    fs::remove_file(&masters).unwrap();
    fs::write(&masters, bytes).unwrap();
    let error = whole_or_error(folder.path(), &all).unwrap_err();
    assert!(error.to_string().contains("masters") && error.to_string().contains("delete this file"), "{error}");
    assert_eq!(store.verify().unwrap().rebuildable.len(), 1);
    store.repair().unwrap();
    assert!(store.verify().unwrap().rebuildable.is_empty());
    whole_or_error(folder.path(), &all).unwrap();
}

#[test]
fn a_store_of_the_future_is_not_guessed_at() {
    let folder = tempfile::tempdir().unwrap();
    store_with(folder.path(), &crowd(), &[0..5]);
    let file = folder.path().join("MANIFEST");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"version\":1", "\"version\":2", 1)).unwrap();
    let error = Store::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("version") && error.contains('2') && error.contains("later"), "{error}");
    assert!(Store::open_or_create(folder.path()).is_err(), "and not made anew");
}

#[test]
fn another_folder_is_not_taken_for_a_store() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open(folder.path().join("nowhere")), Err(Error::Input { .. })));
    fs::write(folder.path().join("holiday.jpg"), b"x").unwrap();
    let error = Store::open_or_create(folder.path()).unwrap_err();
    assert!(matches!(error, Error::Input { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is written into it");
}
