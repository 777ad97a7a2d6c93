//! What was used before: mobile and voter-ID numbers, and pictures, tonight or on an earlier night.
//!
//! Everything here is told by comparing rows, never by one row alone. The later use is the one that is named, with the
//! submission that used it first: whoever came first may be the honest one.

mod numbers;

pub use numbers::{Kind, NumberReuse, NumberUse, SamePerson, reused_numbers};
