//! Records about small worlds.

mod records;
mod ways;
mod world;
