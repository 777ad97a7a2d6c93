//! Who to look at: how often each reason falls on a worker, a booth or a district, against their peers.
//!
//! Each unit's count is compared with the pooled count of its peers by Fisher's exact test, which knows that the peers
//! are a sample too; with ten thousand workers and a dozen reasons some p-values are tiny by chance alone, so a unit is
//! flagged by its q-value over all tests of the run (Benjamini and Hochberg), together with three demands on its size:
//! enough submissions, enough hits, and a rate that is a multiple of the peers' even after it was drawn towards theirs.
//! A worker with one bad selfie of two is never at the top of any list.
//!
//! Peers are the other submissions of the same district, where these are enough to say what is usual there; else those
//! of the division, else all. Nobody is compared with a group that holds nobody else. The tests assume that submissions
//! are independent; honest workers differ somewhat (phones, light), which is what the multiple is for.

use crate::config::policy::{PeersPolicy, VerdictPolicy};
use crate::reason::{Reason, Verdict};
use crate::statistics::wilson;
use crate::verdict::statistics::{fisher_greater, q_values};
use crate::verdict::tallies::{Group, PeerGroup, Tallies, most};
pub use crate::verdict::tallies::{Judged, Peers, Unit};

/// One unit and one reason: a row of `workers_audit.parquet`.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitRow {
    /// What it is.
    pub unit: Unit,
    /// Its id: worker id, booth id or name of the district, as the dump first spells it.
    pub id: String,
    /// The district of most of its submissions.
    pub district: Option<String>,
    /// The division of most of its submissions.
    pub division: Option<String>,
    /// Submissions of the unit.
    pub submissions: u64,
    /// The reason; `None` for any verdict but accept.
    pub reason: Option<Reason>,
    /// Submissions with it.
    pub count: u64,
    /// `count / submissions`.
    pub rate: f64,
    /// Lower end of the rate's 95 % interval (Wilson).
    pub rate_low: f64,
    /// Upper end.
    pub rate_high: f64,
    /// The rate drawn towards the peers': `(count + w * peer_rate) / (submissions + w)` with the policy's `prior_weight`
    /// w, the mean of a beta posterior. What lists should be sorted by.
    pub shrunken_rate: f64,
    /// With whom it is compared; `None` when there is nobody else.
    pub peers: Option<Peers>,
    /// Submissions of the peers.
    pub peer_submissions: u64,
    /// Those with the reason.
    pub peer_count: u64,
    /// One-sided p-value of Fisher's exact test.
    pub p_value: Option<f64>,
    /// The q-value over all tests of the run.
    pub q_value: Option<f64>,
    /// Whether a person should look at it.
    pub flagged: bool,
}

impl UnitRow {
    /// `peer_count / peer_submissions`, 0 without peers.
    pub fn peer_rate(&self) -> f64 {
        if self.peer_submissions == 0 { 0.0 } else { self.peer_count as f64 / self.peer_submissions as f64 }
    }
}

/// Compares all workers, booths and districts of a run. Reasons that lead to acceptance are no reasons to look at
/// anybody and are left out. Each unit has a row for "any verdict but accept", and one for each reason that fell on it,
/// by unit, id and reason; the order of the submissions does not matter.
pub fn compare(submissions: &[Judged], verdicts: &VerdictPolicy, policy: &PeersPolicy) -> Vec<UnitRow> {
    let tested: Vec<Reason> =
        Reason::ALL.iter().copied().filter(|&reason| verdicts.of(reason) != Verdict::Accept).collect();
    let tallies = Tallies::of(submissions, &tested);
    let columns: Vec<usize> = (0..=tested.len()).filter(|&c| c == 0 || tallies.all.hits[c] > 0).collect();
    let mut rows = Vec::new();
    let mut tests = 0;
    for ((unit, _, _), group) in &tallies.units {
        let peers = tallies.peers(*unit, group, policy);
        tests += if peers.kind.is_some() { columns.len() } else { 0 };
        for &column in columns.iter().filter(|&&c| c == 0 || group.tally.hits[c] > 0) {
            let reason = column.checked_sub(1).map(|c| tested[c]);
            rows.push(row(*unit, group, column, reason, &peers, policy));
        }
    }
    let p_values: Vec<f64> = rows.iter().filter_map(|row| row.p_value).collect();
    let mut q_values = q_values(&p_values, tests).into_iter();
    for row in rows.iter_mut().filter(|row| row.p_value.is_some()) {
        row.q_value = q_values.next();
        row.flagged = is_flagged(row, policy);
    }
    rows
}

fn row(
    unit: Unit,
    group: &Group,
    column: usize,
    reason: Option<Reason>,
    peers: &PeerGroup,
    policy: &PeersPolicy,
) -> UnitRow {
    let (submissions, count) = (group.tally.submissions, group.tally.hits[column]);
    let (peer_submissions, peer_count) = (peers.tally.submissions, peers.tally.hits[column]);
    let [rate_low, rate_high] = wilson(count, submissions);
    let mut row = UnitRow {
        unit,
        id: group.id.clone(),
        district: most(&group.districts),
        division: most(&group.divisions),
        submissions,
        reason,
        count,
        rate: count as f64 / submissions.max(1) as f64,
        rate_low,
        rate_high,
        shrunken_rate: 0.0,
        peers: peers.kind,
        peer_submissions,
        peer_count,
        p_value: peers.kind.map(|_| fisher_greater(count, submissions, peer_count, peer_submissions)),
        q_value: None,
        flagged: false,
    };
    let weight = if peers.kind.is_some() { policy.prior_weight } else { 0.0 };
    row.shrunken_rate = (count as f64 + weight * row.peer_rate()) / (submissions as f64 + weight).max(1.0);
    row
}

pub(crate) fn is_flagged(row: &UnitRow, policy: &PeersPolicy) -> bool {
    row.submissions >= policy.min_submissions
        && row.count >= policy.min_count
        && row.q_value.is_some_and(|q| q <= policy.max_q)
        && row.shrunken_rate >= policy.min_ratio * row.peer_rate()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row {
        worker: String,
        district: String,
        hit: bool,
    }

    fn compared(rows: &[Row]) -> Vec<UnitRow> {
        let judged: Vec<Judged> = rows
            .iter()
            .map(|row| Judged {
                worker_id: Some(&row.worker),
                booth_id: None,
                district: Some(&row.district),
                division: None,
                verdict: if row.hit { Verdict::Reject } else { Verdict::Accept },
                reasons: if row.hit { &[Reason::MemberIsWorker] } else { &[] },
            })
            .collect();
        compare(&judged, &VerdictPolicy::default(), &PeersPolicy::default())
    }

    /// `hits` of `count` submissions of one worker.
    fn sent(worker: &str, district: &str, hits: usize, count: usize) -> Vec<Row> {
        (0..count).map(|n| Row { worker: worker.into(), district: district.into(), hit: n < hits }).collect()
    }

    fn find<'a>(rows: &'a [UnitRow], unit: Unit, id: &str, reason: Option<Reason>) -> &'a UnitRow {
        rows.iter().find(|r| (r.unit, r.id.as_str(), r.reason) == (unit, id, reason)).unwrap()
    }

    #[test]
    fn a_worker_far_above_the_district_is_flagged_and_numbers_are_right() {
        let mut rows = sent("W", "Ujjain", 20, 50);
        for n in 0..10 {
            rows.extend(sent(&format!("V{n}"), "Ujjain", 1, 50));
        }
        rows.extend(sent("X", "Indore", 2, 300));
        let table = compared(&rows);
        let found = find(&table, Unit::Worker, "W", Some(Reason::MemberIsWorker));
        assert_eq!((found.count, found.submissions, found.peer_count, found.peer_submissions), (20, 50, 10, 500));
        assert_eq!((found.peers, found.flagged), (Some(Peers::District), true));
        assert!((found.shrunken_rate - (20.0 + 20.0 * 0.02) / 70.0).abs() < 1e-12);
        // scipy 1.17.1: fisher_exact([[20, 30], [10, 490]], alternative="greater").pvalue
        let p = found.p_value.unwrap();
        assert!((p / FISHER_20_OF_50 - 1.0).abs() < 1e-9, "{p:e}");
        // 12 workers and 2 districts, each with two tests: any verdict but accept, and the one reason there is.
        assert_eq!(found.q_value.unwrap(), p * 28.0 / 2.0);
        assert_eq!(table.iter().filter(|r| r.flagged && r.unit == Unit::Worker).count(), 2);
        let quiet = find(&table, Unit::Worker, "V3", Some(Reason::MemberIsWorker));
        assert!(!quiet.flagged && quiet.count == 1);
    }

    #[test]
    fn many_weak_signs_of_one_worker_are_a_strong_one_and_say_nothing_against_others() {
        // 3 found and 6 suspected of 60: neither stands out by itself beside peers with one in a hundred of each.
        let worker = |name: &str, found: usize, suspected: usize, rows: usize| -> Vec<(String, &'static [Reason])> {
            let reasons = |n: usize| -> &'static [Reason] {
                match n {
                    n if n < found => &[Reason::PhotoOfPhoto],
                    n if n < found + suspected => &[Reason::PhotoOfPhotoSuspected],
                    _ => &[],
                }
            };
            (0..rows).map(|n| (name.to_owned(), reasons(n))).collect()
        };
        let mut sent = worker("W", 3, 6, 60);
        (0..20).for_each(|n| {
            sent.extend(worker(&format!("V{n:02}"), usize::from(n % 2 == 0), usize::from(n % 3 == 0), 60))
        });
        let judged: Vec<Judged> = sent
            .iter()
            .map(|(worker, reasons)| Judged {
                worker_id: Some(worker),
                booth_id: None,
                district: Some("Ujjain"),
                division: None,
                verdict: VerdictPolicy::default().decide(reasons),
                reasons,
            })
            .collect();
        let table = compare(&judged, &VerdictPolicy::default(), &PeersPolicy::default());
        let found = find(&table, Unit::Worker, "W", Some(Reason::PhotoOfPhotoSuspected));
        assert_eq!((found.count, found.submissions, found.peer_count), (9, 60, 17), "both kinds together");
        assert!(found.flagged, "{found:?}");
        assert_eq!(find(&table, Unit::Worker, "W", Some(Reason::PhotoOfPhoto)).count, 3);
        let others = table.iter().filter(|row| row.flagged && row.unit == Unit::Worker && row.id != "W");
        assert_eq!(others.count(), 0);
        // The queue: W's suspected rows first, surest first; then those of others; nobody's verdict has changed.
        let rows: Vec<crate::verdict::VerdictRow> = sent
            .iter()
            .enumerate()
            .map(|(row, (worker, reasons))| {
                let liveness = 0.1 + 0.3 * (row % 7) as f32 / 7.0;
                crate::verdict::rows::tests::row(row as u64, worker, reasons, liveness)
            })
            .collect();
        let queue = crate::verdict::suspects::queue(&rows, &table);
        let suspected = sent.iter().filter(|(_, reasons)| reasons.contains(&Reason::PhotoOfPhotoSuspected)).count();
        assert_eq!(queue.len(), suspected);
        assert!(queue[..6].iter().all(|s| s.row.worker_id.as_deref() == Some("W") && s.worker.is_some()));
        assert!(queue[6..].iter().all(|s| s.row.worker_id.as_deref() != Some("W") && s.worker.is_none()));
        assert!(queue[..6].is_sorted_by(|a, b| a.liveness <= b.liveness));
    }

    const FISHER_20_OF_50: f64 = 4.35738899887725e-16;

    #[test]
    fn small_counts_never_look_like_scandal() {
        let mut rows = sent("new", "Ujjain", 2, 2);
        rows.extend(sent("few", "Ujjain", 3, 9));
        rows.extend(sent("one", "Ujjain", 1, 40));
        for n in 0..40 {
            rows.extend(sent(&format!("V{n:02}"), "Ujjain", 0, 50));
        }
        assert!(compared(&rows).iter().all(|r| !r.flagged));
        // Nor a large count a little above the usual.
        let mut rows = sent("big", "Ujjain", 1_300, 20_000);
        rows.extend(sent("other", "Ujjain", 1_000, 20_000));
        let table = compared(&rows);
        let big = find(&table, Unit::Worker, "big", None);
        assert!(big.q_value.unwrap() < 1e-6 && !big.flagged);
    }

    #[test]
    fn alone_in_a_district_or_in_the_world() {
        let mut rows = sent("only", "Ujjain", 5, 20);
        let table = compared(&rows);
        assert!(table.iter().all(|r| r.peers.is_none() && r.p_value.is_none() && r.q_value.is_none() && !r.flagged));
        assert_eq!(find(&table, Unit::Worker, "only", None).shrunken_rate, 0.25);
        rows.extend(sent("far", "Indore", 1, 200));
        let table = compared(&rows);
        let only = find(&table, Unit::Worker, "only", None);
        assert_eq!((only.peers, only.peer_submissions), (Some(Peers::All), 200));
        assert!(only.flagged);
        assert_eq!(find(&table, Unit::District, "Ujjain", None).peer_submissions, 200);
        assert!(compared(&[]).is_empty());
    }

    #[test]
    fn honest_nights_flag_hardly_anybody() {
        // 40 nights of 300 workers with one rate for all: a false discovery in at most about 5 % of them.
        let mut state = 1u64;
        let mut flagged_nights = 0;
        for _ in 0..40 {
            let mut rows = Vec::new();
            for worker in 0..300 {
                for _ in 0..5 + worker % 60 {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let hit = (state >> 33) % 1000 < 30;
                    rows.push(Row { worker: format!("W{worker}"), district: format!("D{}", worker % 6), hit });
                }
            }
            flagged_nights += usize::from(compared(&rows).iter().any(|r| r.flagged));
        }
        assert!(flagged_nights <= 4, "{flagged_nights} of 40");
    }

    #[test]
    fn order_and_spelling_do_not_matter() {
        let judged = |n: usize| Judged {
            worker_id: Some(["a", "b", "c"][n % 3]),
            booth_id: Some(["B1", "b1", "B2"][n % 3]),
            district: Some(["Ujjain", "UJJAIN ", "Indore"][n % 3]),
            division: n.is_multiple_of(2).then_some("Malwa"),
            verdict: if n.is_multiple_of(4) { Verdict::Review } else { Verdict::Accept },
            reasons: if n.is_multiple_of(4) { &[Reason::MobileReused] } else { &[Reason::WorkerUnknown] },
        };
        let straight: Vec<Judged> = (0..60).map(judged).collect();
        let reversed: Vec<Judged> = (0..60).rev().map(judged).collect();
        let (verdicts, policy) = (VerdictPolicy::default(), PeersPolicy::default());
        let table = compare(&straight, &verdicts, &policy);
        assert_eq!(table, compare(&reversed, &verdicts, &policy));
        assert_eq!(find(&table, Unit::Booth, "B1", None).submissions, 40);
        assert_eq!(find(&table, Unit::District, "UJJAIN ", None).submissions, 40);
        assert!(table.iter().all(|r| r.reason != Some(Reason::WorkerUnknown)), "accepted reasons accuse nobody");
    }
}
