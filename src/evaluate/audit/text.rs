//! The report for people. Rates are in percent, each with its 95 % interval and its counts.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter, Result};

use super::attacks::{AttackReport, Species};
use super::duplicates::{BCubed, Clusters, DuplicateReport, Pairs, Share};
use super::presence::{Group, PresenceReport};
use super::workers::WorkerReport;
use super::{AuditReport, Rate};

/// Width of a rate with its interval and counts.
const WIDE: usize = 32;

impl Display for AuditReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "{} rows of {} nights; rates in percent [95 % interval]", self.rows, self.nights.len())?;
        self.not_measured.iter().try_for_each(|note| writeln!(f, "  the truth has no {note}"))?;
        answers(f, self)?;
        if let Some(workers) = &self.workers {
            write!(f, "{workers}")?;
        }
        write!(f, "{}{}", self.duplicates, self.attacks)?;
        self.presence.iter().try_for_each(|presence| write!(f, "{presence}"))
    }
}

fn answers(f: &mut Formatter<'_>, report: &AuditReport) -> Result {
    writeln!(f, "\nverdicts: expected, and what was given")?;
    for (expected, given) in &report.verdicts.counts {
        writeln!(f, "  {expected:<28} {}", tally(given))?;
    }
    line(f, "as expected", &report.verdicts.right)?;
    line(f, "as expected or allowed", &report.verdicts.right_or_allowed)?;
    writeln!(f, "\nhonest rows")?;
    line(f, "with a false alarm", &report.honest.false_alarms)?;
    line(f, "with a wrong verdict", &report.honest.wrong_verdicts)?;
    report.honest.reasons.iter().try_for_each(|(reason, rate)| line(f, reason, rate))?;
    writeln!(f, "\n{:<30} {:<WIDE$} {:<WIDE$} false alarms", "reason", "recall", "precision")?;
    for r in &report.reasons {
        writeln!(f, "  {:<28} {:<WIDE$} {:<WIDE$} {}", r.reason, r.recall, r.precision, r.false_alarm_rate)?;
    }
    if report.patterns.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{:<30} {:<WIDE$} {:<WIDE$} missing; beyond", "planted pattern", "recall", "exactly right")?;
    for p in &report.patterns {
        let wrong = format!("{}; {}", tally(&p.missing), tally(&p.beyond));
        let wrong = wrong.trim_end_matches("; ");
        writeln!(f, "  {:<28} {:<WIDE$} {:<WIDE$} {wrong}", p.pattern, p.recall, p.exact)?;
    }
    Ok(())
}

fn line(f: &mut Formatter<'_>, name: &str, rate: &Rate) -> Result {
    writeln!(f, "  {name:<28} {rate}")
}

fn tally(counts: &BTreeMap<&str, usize>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

impl Display for WorkerReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "\nworker and member, by {}", self.by)?;
        line(f, "both there, both seen", &self.both_seen)?;
        line(f, "worker right", &self.right)?;
        line(f, "member right", &self.member_right)?;
        if let Some(exchanged) = &self.exchanged {
            line(f, "member taken for worker", exchanged)?;
        }
        if !self.denied.is_empty() {
            writeln!(f, "  {:<28} {}", "worker denied", tally(&self.denied))?;
        }
        line(f, "worker's absence noticed", &self.absence_noticed)
    }
}

impl Display for DuplicateReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let title = format!("duplicates, by {}", self.persons_by);
        writeln!(f, "\n{title:<30} {:<WIDE$} {:<WIDE$} found, missed, false, allowed", "recall", "precision")?;
        let slices = [
            ("pairs", &self.pairs),
            ("  same district", &self.same_district),
            ("  across districts", &self.cross_district),
            ("  same night", &self.same_night),
            ("  across nights", &self.across_nights),
        ];
        for (name, Pairs { found, missed, false_pairs, allowed, recall, precision }) in slices {
            let counts = format!("{found}, {missed}, {false_pairs}, {allowed}");
            writeln!(f, "  {name:<28} {recall:<WIDE$} {precision:<WIDE$} {counts}")?;
        }
        let whole = [("clusters", &self.clusters), ("  across districts", &self.cross_district_clusters)];
        for (name, Clusters { recall, precision, touched, mixed }) in whole {
            writeln!(f, "  {name:<28} {recall:<WIDE$} {precision:<WIDE$} touched {touched}, mixed {mixed}")?;
        }
        let by_row = [("B-cubed", &self.b_cubed), ("  across districts", &self.cross_district_b_cubed)];
        for (name, BCubed { rows, precision, recall }) in by_row {
            writeln!(f, "  {name:<28} {recall:<WIDE$} {precision:<WIDE$} {rows} rows")?;
        }
        line(f, "first enrolment named", &self.original_named)?;
        match self.outside {
            0 => Ok(()),
            n => writeln!(f, "  {n} submissions named by clusters or truth are in none of these nights"),
        }
    }
}

impl Display for Share {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [low, high] = self.interval.map(|end| 100.0 * end);
        match self.mean {
            None => f.pad("- of none"),
            Some(mean) => f.pad(&format!("{:.2} [{low:.1}, {high:.1}]", 100.0 * mean)),
        }
    }
}

impl Display for PresenceReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "\naccounts that enrol from home")?;
        line(f, "among the first ten", &self.found_in_first_ten)?;
        line(f, "first ten that are right", &self.right_in_first_ten)?;
        line(f, "stand out", &self.flagged)?;
        line(f, "flagged that are right", &self.right_among_flagged)?;
        line(f, "honest accounts flagged", &self.honest_flagged)?;
        let groups = |f: &mut Formatter<'_>, title: &str, groups: &[Group]| {
            writeln!(f, "\n{title:<30} {:<WIDE$} {:<WIDE$} indicators", "first ten", "flagged")?;
            groups.iter().try_for_each(|group| {
                let Group { name, in_first_ten, flagged, indicators } = group;
                let named = indicators.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>();
                writeln!(f, "  {name:<28} {in_first_ten:<WIDE$} {flagged:<WIDE$} {}", named.join(", "))
            })
        };
        groups(f, "from home, by way", &self.ways)?;
        groups(f, "honest, by habit", &self.habits)
    }
}

impl Display for AttackReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "\n{:<30} {:<WIDE$} {:<WIDE$} {:<WIDE$} accepted", "attack", "APCER", "not asked", "not judged")?;
        let row = |f: &mut Formatter<'_>, name: &str, s: &Species| {
            writeln!(
                f,
                "  {name:<28} {:<WIDE$} {:<WIDE$} {:<WIDE$} {}",
                s.apcer, s.apcer_asking, s.non_responses, s.accepted
            )
        };
        let several = self.instruments.iter().filter(|(name, _)| !self.species.contains_key(*name));
        several.chain(&self.species).try_for_each(|(name, species)| row(f, name, species))?;
        if let Some(worst) = &self.worst {
            writeln!(f, "  {:<28} {worst}", "worst")?;
        }
        line(f, "BPCER", &self.bpcer)?;
        line(f, "BPCER, rejected or asked", &self.bpcer_asking)?;
        line(f, "bona fide, not judged", &self.bona_fide_non_responses)?;
        match self.area_under_curve {
            None => Ok(()),
            Some(area) => writeln!(f, "  {:<28} {area:.4}", "AUC of the liveness"),
        }
    }
}
