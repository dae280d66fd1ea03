//! Tests that need the whole room.

mod patching;
mod reading;
mod traps;
mod variants;

use super::*;
