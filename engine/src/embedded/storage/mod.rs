//! storage.

pub(crate) mod block;
pub(crate) mod bloom;
pub(crate) mod checkpoint_queue;
pub(crate) mod checkpointer;
pub(crate) mod journal;
pub(crate) mod key_index;
pub(crate) mod lock;
pub(crate) mod sqlite;
pub(crate) mod state_db;
