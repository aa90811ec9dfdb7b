//! The command line: help, output, JSON, errors, exit codes; the same answers locally and from a server.

mod data;
mod database;
mod moving;
mod place;
mod safety;
mod shell;
mod teams;
mod usage;
