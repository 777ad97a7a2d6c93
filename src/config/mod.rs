//! What a run is told: the policy, the column names, the limits.

mod columns;
mod file;
pub mod policy;

pub use columns::Columns;
pub use file::ConfigFile;
pub use policy::Policy;
