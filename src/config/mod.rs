//! What a run is told: the policy, the column names, the limits.

pub mod columns;
pub mod policy;

pub use columns::Columns;
pub use policy::Policy;
