//! How sure a pair is, in three grades that people understand.
//!
//! A grade follows from the local error alone: the probability that a pair as similar as this one, with records that agree
//! as much, is of two different people (Efron, "Large-scale inference", 2010, chapter 5). Identical twins are left out of
//! all of them: no face tells them apart.

use serde::Serialize;

use super::Pair;

/// How sure it is that two memberships are one person; the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// At most one such pair in a thousand is wrong.
    NearCertain,
    /// At most one in twenty.
    Likely,
    /// At most one in two.
    Possible,
}

impl Grade {
    /// All of them, the surest first.
    pub const ALL: [Grade; 3] = [Grade::NearCertain, Grade::Likely, Grade::Possible];

    /// The grade of a local error, 0..=1; `None` where two different people are the likelier, and for NaN.
    pub fn of_local_error(error: f64) -> Option<Grade> {
        Grade::ALL.into_iter().find(|grade| error <= grade.most_local_error())
    }

    /// The largest local error that it has.
    pub fn most_local_error(self) -> f64 {
        match self {
            Grade::NearCertain => 0.001,
            Grade::Likely => 0.05,
            Grade::Possible => 0.5,
        }
    }

    /// What it says to people.
    pub fn words(self) -> &'static str {
        match self {
            Grade::NearCertain => "near certain",
            Grade::Likely => "likely",
            Grade::Possible => "possible",
        }
    }

    /// The word in tables.
    pub fn code(self) -> &'static str {
        match self {
            Grade::NearCertain => "near_certain",
            Grade::Likely => "likely",
            Grade::Possible => "possible",
        }
    }
}

impl Pair {
    /// The probability that the two are different people. Records that agree make it smaller; records that disagree do not
    /// make it larger, for who enrols a person twice makes them disagree.
    pub fn local_error(&self) -> f64 {
        self.local_fdr.min(self.probability_false)
    }

    /// How sure it is that the two are one person; `None` where chance is the likelier.
    pub fn grade(&self) -> Option<Grade> {
        Grade::of_local_error(self.local_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grade_has_its_limit_and_nothing_is_certain() {
        let grades = [0.0, 0.001, 0.0011, 0.05, 0.051, 0.5, 0.51, 1.0, f64::NAN].map(Grade::of_local_error);
        let (near, likely, possible) = (Some(Grade::NearCertain), Some(Grade::Likely), Some(Grade::Possible));
        assert_eq!(grades, [near, near, likely, likely, possible, possible, None, None, None]);
        assert!(Grade::ALL.is_sorted());
    }

    #[test]
    fn records_raise_a_grade_and_never_lower_it() {
        let pair = |local_fdr, probability_false| Pair { local_fdr, probability_false, ..Pair::default() };
        assert_eq!(pair(0.02, 0.0005).grade(), Some(Grade::NearCertain));
        assert_eq!(pair(0.02, 0.3).grade(), Some(Grade::Likely));
        assert_eq!(pair(0.9, 0.8).grade(), None);
    }
}
