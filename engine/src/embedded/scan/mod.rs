//! Reads from disk, on threads of their own: one charge, lists, usage and past balances.
//!
//! `lists` walks a workspace's chain of entries backwards; `charge` reads the entries about one
//! charge; `follow` finds the entries behind a number; `followed` reads the journal forward for a
//! subscriber; `workspaces` lists and searches the workspaces; `report` reads the whole journal;
//! `usage_report` adds up rows of usage; `readers` has the threads and their queues. They ask the
//! core for what is not in the files yet, and for the later entries of charges.

pub(crate) mod charge;
mod follow;
pub(crate) mod followed;
pub(crate) mod lists;
pub(crate) mod readers;
mod report;
mod usage_report;
mod workspaces;
