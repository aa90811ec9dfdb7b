//! Black-box tests of the binary: its command line and its HTTP API, also with crashes and faults.
//!
//! Every test starts its own servers on free ports, on its own directory or database, so that all
//! tests can run at the same time. Tests that must hold on both engines are in modules that
//! `embedded` and `postgres` both include. Tests on PostgreSQL do not run where it is missing,
//! unless `TOLLKEEPER_REQUIRE_POSTGRES=1`. `harness` holds what all tests share.

#![expect(clippy::duplicate_mod, reason = "the same tests on both engines")]

mod commands;
mod demo;
mod documents;
mod embedded;
mod faults;
mod files;
mod gate;
mod harness;
mod kill;
mod postgres;
