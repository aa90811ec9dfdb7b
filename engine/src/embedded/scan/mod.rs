//! Long reads: lists, usage and past balances, read from disk on threads of their own.
//!
//! `lists` walks a workspace's chain of entries backwards; `readers` has the threads and their
//! queue. They ask the core for what is not in the files yet, and for the later entries of listed
//! charges.

pub(crate) mod lists;
pub(crate) mod readers;
