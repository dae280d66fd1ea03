//! The `unship` program.
fn main() {}
