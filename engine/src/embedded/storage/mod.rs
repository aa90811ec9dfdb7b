//! The files of a data directory, and who may write them: the journal, the state file, the lock.
//!
//! `journal`, `block` and `wal` hold the entries, `texts` and `text_lookup` what they name of
//! persons. `state_db` with `state_rows`, `state_meta`, `state_lists`, `state_runs` and
//! `state_search`, `key_index` and `bloom` hold what is derived from them; `checkpointer` writes
//! it. Rights and identities of files are in `files`. `opened_files` compares the open ones with
//! their names; `missing_note` says to the next start that they were moved or removed.
//! Nothing here knows the core, a thread or the queue.

pub(crate) mod block;
pub(crate) mod bloom;
pub(crate) mod checkpoint_task;
pub(crate) mod checkpointer;
pub(crate) mod checkpointer_handle;
pub(crate) mod files;
pub(crate) mod journal;
pub(crate) mod key_index;
pub(crate) mod lock;
pub(crate) mod maintenance_state;
pub(crate) mod missing_note;
pub(crate) mod opened_files;
pub(crate) mod sqlite;
pub(crate) mod state_days;
pub(crate) mod state_db;
pub(crate) mod state_lists;
pub(crate) mod state_meta;
pub(crate) mod state_rows;
pub(crate) mod state_runs;
pub(crate) mod state_search;
mod text_lookup;
pub(crate) mod texts;
pub(crate) mod wal;
