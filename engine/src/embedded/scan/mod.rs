//! Long reads: lists, usage and past balances, read from disk on threads of their own.
//!
//! `lists` walks a workspace's chain of entries backwards; `readers` has the threads and their
//! queue. They ask the core only for what is not in the files yet, so that no report makes a charge
//! wait.

pub(crate) mod lists;
pub(crate) mod readers;
