//! What was seen, as Parquet: the first stage of an audit by itself, so that many machines can share a dump.
//!
//! A SEEN folder holds two kinds of tables, told apart by their columns, in any number of files and folders:
//!
//! | table | |
//! |---|---|
//! | rows | one row per row of the dump: facts, and of each picture its marks, faces, templates and liveness ([`record`]) |
//! | dump | one row per file of the dump: path, size, rows, columns, and its SHA-256 in at least one part ([`files`]) |
//!
//! Everything that results depend on stands in columns of every row ([`contract`]), for Spark's writer drops metadata. So parts
//! are merged by putting them into one folder, and [`folder`] refuses, by name, what does not belong together: a row that is
//! missing or there twice, a part of another dump, model, precision, limit or version. `docs/past-one-machine.md` has the
//! columns with their units.

pub mod contract;
pub mod files;
pub mod folder;
mod parquet;
pub mod record;

pub use contract::Contract;
pub use files::DumpFileRow;
pub use folder::{SeenFolder, erase, holds, origin_of, remove};
pub use parquet::{write_dump, write_rows};
pub use record::Origin;

/// Changes when a row is written differently.
pub const SEEN_VERSION: i32 = 2;
