//! What a run is told: the policy, the column names, and every option of the command line wherever it was set.
//!
//! A value stands in a flag, a variable, `chehra.toml`, or is the default, in this order of weight. The mechanism knows
//! no option by name: [`options`] reads them off the command line's own description, so a new flag can be set in all
//! three places without a line here.

mod columns;
pub mod explain;
pub mod file;
pub mod layers;
pub mod options;
pub mod policy;
pub mod sample;

pub use columns::Columns;
pub use policy::Policy;
