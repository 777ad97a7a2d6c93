//! What may be promised of a drive, from random calls: statistics, and the record that says it.
//!
//! | part | |
//! |---|---|
//! | [`random`] | draws that anybody can repeat |
//! | [`design`] | how many calls a stratum gets, who is called, how likely that was |
//! | [`betting`] | confidence sequences for a mean over strata |
//! | [`promise`] | answers -> the share of members that are not real |
//! | [`detectors`] | decisions and answers -> precision and recall |
//! | [`record`] | what is said of a drive, as it is written and shown |
//! | [`simulate`] | drives with a known truth: do the intervals hold? |

pub mod betting;
pub mod design;
pub mod detectors;
pub mod promise;
pub mod random;
pub mod record;
pub mod simulate;
