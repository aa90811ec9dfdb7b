//! Placeholder of the tests of exchanges.
