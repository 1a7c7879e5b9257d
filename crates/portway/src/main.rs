//! portway
fn main() {}
