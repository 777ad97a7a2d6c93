//! What a run is told: the policy, the column names, the limits.

pub mod policy;

pub use policy::Policy;
