//! The command line: help, output, JSON, errors, exit codes; the same answers locally and from a server.

mod data;
mod safety;
mod usage;
