//! Speed of the host table.
fn main() {}
