//! Support for the tests of every crate: what they start, wait for and clean up.
//!
//! ```text
//! postgres         PostgreSQL servers and databases of the tests' own
//! cuttable_proxy   a TCP proxy whose connections a test can cut
//! stripe           a stateful stand-in for Stripe with a clock of its own
//! smtp             a real SMTP server from PyPI
//! scratch          temporary directories
//! random           seeded chance
//! blocking         waiting for a future without a runtime
//! retry            repeating a check until it passes or its time is over
//! ```
//!
//! Everything here cleans up after itself, also when a test panics. The crate knows nothing of
//! Tollkeeper, so that every crate can use it as a dev-dependency; only the simulator depends on it
//! otherwise. Not here: the simulated disk and the model (crate `sim`), and the helpers that talk
//! to a running server (the tests of crate `cli`).

pub mod blocking;
pub mod cuttable_proxy;
mod note;
pub mod postgres;
pub mod random;
pub mod retry;
pub mod scratch;
pub mod smtp;
pub mod stripe;
