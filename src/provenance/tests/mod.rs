//! Fixtures: places and bytes written by hand.
