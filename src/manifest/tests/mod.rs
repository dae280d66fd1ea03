//! Tests that need the whole room.

mod generate;
mod patching;
mod plain;
mod properties;
mod reading;
mod traps;
mod undo;
mod undo_properties;
mod variants;

use super::*;
