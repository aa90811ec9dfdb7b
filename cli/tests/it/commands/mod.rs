//! The command line: help, output, JSON, errors, exit codes; the same answers locally and from a
//! server.

mod data;
mod database;
mod following;
mod reports;
mod safety;
mod shell;
mod target;
mod teams;
mod transfer;
mod usage;
