//! What is doubted.

pub mod disk;
pub mod random;
