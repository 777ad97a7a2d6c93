//! The queues of rows: whatever the run put in review or rejected for another reason than a likeness to another member,
//! asked about one row at a time, and the appeals of members.
//!
//! | part | |
//! |---|---|
//! | `list` | the run's table of verdicts -> the rows to ask about, and what about each |
//! | `seeds` | rows whose answer is known, mixed in unmarked |
//! | `item` | a row, the queues, and how a row stands for a reviewer |
//! | `queue` | what a reviewer may be asked of them, in which order |
//! | `desk` | what becomes of an answer or an appeal |
//! | `views` | what the page is told |
//! | `letter` | a decision in words, for the member |

mod desk;
mod item;
mod letter;
mod list;
mod queue;
mod seeds;
mod views;

pub use desk::{Appealing, GivenRow, Opening, RowPicture, RowUndo, Rows};
pub use letter::letter;
pub use list::{Judged, RowList};
pub use seeds::seeds;
pub use views::SelfieView;
