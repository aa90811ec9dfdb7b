//! Black-box tests of the binary: what it promises on its command line and over HTTP, with crashes and faults.
//!
//! Every test starts servers of its own on free ports in directories of its own, so all run at once. Nothing here looks
//! into the program; `harness` holds what all share.

mod bad_input;
mod commands;
mod contract;
mod demo;
mod documents;
mod faults;
mod harness;
mod kill;
mod race;
mod reference;
