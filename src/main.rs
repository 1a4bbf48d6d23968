//! The story of start-up.
fn main() {}
