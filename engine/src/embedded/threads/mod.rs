//! The threads of the embedded engine that write.
//!
//! ```text
//! writer      owns the core: takes jobs from the queue, decides, commits small batches, answers
//! committer   appends large batches and answers them, while the writer decides the next one
//! checkpoint  runs the checkpointer, which writes the state file and moves the journal's WAL into
//!             journal.db
//! ```
//!
//! Only the writer uses the core. The other two get what they need by message and wake the writer
//! when they are done. The threads that read lists from disk are in `scan`.

pub(crate) mod checkpoint;
pub(crate) mod committer;
pub(crate) mod writer;
