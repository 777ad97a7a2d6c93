//! The report for people.

use std::fmt::{Display, Formatter, Result};

use super::report::DedupReport;
use super::size::SizeReport;

impl Display for DedupReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "model                {}", self.model)?;
        writeln!(
            f,
            "labelled             {} templates of {} people, failures to enrol: {}",
            self.labelled,
            self.people,
            self.failed_to_enrol.len()
        )?;
        write!(f, "drawn                seed {}, {:.1} % duplicates", self.seed, 100.0 * self.duplicates)?;
        self.sizes.iter().try_for_each(|size| write!(f, "\n\n{size}"))
    }
}

impl Display for SizeReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "gallery of {}", self.gallery_size)?;
        if self.asked < self.gallery_size {
            write!(f, ", {} of it compared with all", self.asked)?;
        }
        writeln!(
            f,
            ": {} persons, {} duplicates, {} mated pairs; search {:.1} s, judging {} candidates {:.2} s",
            self.persons, self.duplicates, self.mated_pairs, self.seconds.search, self.candidates, self.seconds.judge
        )?;
        writeln!(
            f,
            "  {:>9} {:>9} {:>7} {:>9} {:>9} {:>17} {:>9} {:>9} {:>10}",
            "expected", "upper", "cosine", "FMR", "observed", "95 % interval", "pairs %", "FNIR %", "sum of fdr"
        )?;
        let percent = |rate: Option<f64>| rate.map_or("-".into(), |r| format!("{:.2}", 100.0 * r));
        for limit in &self.limits {
            let [low, high] = limit.observed_interval;
            writeln!(
                f,
                "  {:>9} {:>9.3} {:>7.4} {:>9.1e} {:>9} {:>17} {:>9} {:>9} {:>10.2}",
                limit.expected,
                limit.expected_upper,
                limit.similarity,
                limit.false_match_rate,
                limit.observed,
                format!("{low:.2} to {high:.2}"),
                percent(limit.pairs_found.rate),
                percent(limit.fnir.rate),
                limit.sum_of_local_fdr
            )?;
        }
        for review in &self.review {
            let [near_certain, likely, possible, below] =
                review.grades.each_ref().map(|rate| format!("{} of {}", rate.count, rate.of));
            writeln!(
                f,
                "  review, {}: {} memberships flagged, {} % false ({:.2} % expected, at most {:.2} %), {} % of pairs; \
                 pairs found {} %; false by grade: near certain {near_certain}, likely {likely}, possible {possible}, \
                 below {below}",
                review.pairs.replace('_', " "),
                review.memberships,
                percent(review.false_memberships.rate),
                100.0 * review.expected_false_share,
                100.0 * review.expected_false_share_upper,
                percent(review.false_pairs.rate),
                percent(review.pairs_found.rate)
            )?;
        }
        let c = &self.clusters;
        write!(
            f,
            "  at {} expected: {} clusters, {} % exact; B-cubed precision {:.4}, recall {:.4}",
            c.expected,
            c.clusters,
            percent(c.exact.rate),
            c.precision,
            c.recall
        )?;
        if let Some(worst) = self.most_similar_false_pairs.first() {
            write!(
                f,
                "\n  most similar false pair: {} and {}, {:.4}, {:.2e} expected",
                worst.a, worst.b, worst.similarity, worst.expected_false_matches
            )?;
        }
        self.groups.iter().try_for_each(|groups| write!(f, "\n{groups}"))
    }
}
