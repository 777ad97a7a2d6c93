//! What analysts ask beside the nightly job: who among these rows is enrolled twice, who is in this photo, are these two
//! one person, what do the networks see here. Nothing here writes to a store or a dump.
//!
//! | part | |
//! |---|---|
//! | [`predicate`], [`moment`], [`facts`] | row filters in SQL, times as people mean them, which columns there are |
//! | [`source`], [`run_folder`] | dumps, run folders, exports and stores -> members with templates |
//! | [`pairs`], [`text`] | what was found, for tables, CSV and JSON |

pub mod facts;
pub mod moment;
pub mod pairs;
pub mod predicate;
pub mod run_folder;
pub mod source;
pub mod text;
