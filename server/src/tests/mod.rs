//! Tests of the whole API (being laid).
