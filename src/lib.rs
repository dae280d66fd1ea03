//! unship rolls back what is running, through Git.

pub mod manifest;
