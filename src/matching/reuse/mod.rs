//! What was used before: mobile and voter-ID numbers, and pictures, tonight or on an earlier night.
//!
//! | part | |
//! |---|---|
//! | `numbers` | mobile and voter-ID numbers |
//! | `pictures` | files and encodings of one picture, by hash and miniature |
//! | `crops` | cropped and mirrored copies, by laying one picture over the other |
//! | `scenes` | one bystander or one background behind several workers |
//!
//! Everything here is told by comparing rows, never by one row alone. The later use is the one that is named, with the
//! submission that used it first: whoever came first may be the honest one.

mod crops;
mod numbers;
mod pictures;
mod scenes;

pub use crops::{Copied, Earlier, Later, copied};
pub use numbers::{Kind, NumberReuse, NumberUse, SamePerson, reused_numbers};
pub use pictures::{Index as PictureIndex, Likeness, MAX_DISTANCE, PictureReuse, PictureUse, reused_pictures};
pub use scenes::{Shared, Sighting, shared_backgrounds, shared_bystanders, usual_backgrounds};
