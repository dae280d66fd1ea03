//! Tests that need the whole room.

mod reading;
mod variants;

use super::*;
