//! Candidates -> pairs -> clusters.
