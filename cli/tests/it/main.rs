//! Black-box tests of the binary: what it promises on its command line and over HTTP, with crashes and faults.
//!
//! Every test starts servers of its own on free ports, in a directory or on a database of its own, so all run at once.
//! What every engine keeps is a suite of its own and runs on each: `embedded` and `postgres` hold the same modules.
//! Nothing here looks into the program; `harness` holds what all share.

#![expect(clippy::duplicate_mod, reason = "the same tests on both engines")]

mod commands;
mod demo;
mod documents;
mod embedded;
mod faults;
mod harness;
mod kill;
mod postgres;
