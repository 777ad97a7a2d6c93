//! What analysts ask beside the nightly job: who among these rows is enrolled twice, who is in this photo, are these two
//! one person, what do the networks see here. Nothing here writes to a store or a dump.
//!
//! | part | |
//! |---|---|
//! | [`predicate`], [`moment`], [`facts`] | row filters in SQL, times as people mean them, which columns there are |
//! | [`source`], [`run_folder`] | dumps, run folders, exports and stores -> members with templates |
//! | [`pairs`], [`text`] | what was found, for tables, CSV and JSON |
//! | [`curve`] | how often chance makes two people as alike, and what that rests on |
//! | [`faces`] | one photo, its faces left to right |
//! | [`search`], [`thumbnails`] | who of a store is in a photo, and their faces |
//! | [`compare`] | whether two photos show one person |
//! | [`inspect`], [`draw`] | what the networks see in one photo, as numbers and as a picture |

pub mod compare;
pub mod curve;
pub mod draw;
pub mod faces;
pub mod facts;
pub mod inspect;
pub mod moment;
pub mod pairs;
pub mod predicate;
pub mod run_folder;
pub mod search;
pub mod source;
pub mod text;
pub mod thumbnails;
