//! What will be done and what stands in its way: pure functions, no I/O, no clock.

pub mod cron;
pub mod windows;
