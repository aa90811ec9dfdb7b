//! What is spoken (being laid).
