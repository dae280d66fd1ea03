//! Tests that need the whole room.

mod generate;
mod patching;
mod plain;
mod properties;
mod reading;
mod traps;
mod variants;

use super::*;
