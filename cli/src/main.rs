//! What is typed (being laid).
fn main() {}
