//! The path of a batch of commands: prefetch, decide in memory, write in one transaction.
//!
//! ```text
//! queue           the commands that wait for a lane, in bounded lines that take turns
//! lane            takes commands from its queue, runs a batch with retries, sends the answers
//! aside           commands of accounts that are locked or damaged
//! open_batch      which commands of a batch are still to be run
//! prefetch        loads what the batch needs from the database
//! limit_usage     loads the usage from which limits are counted anew
//! recount_pauses  workspaces that wait for their next recount
//! texts           texts about persons: what is stored, what entries add and erase
//! state_machine   decides every command in memory and records its entries
//! write           collects what the batch writes
//! columns         the writes as one array per column, and their statements
//! usage_columns   rows of usage, and what they take back of closed days
//! search_columns  the rows by which workspaces are found
//! commit          sends them together with the end of the transaction
//! accounts        the accounts that a lane keeps in memory
//! current_hour    the usage of the current hour, stored in the account's row
//! ```

pub(crate) mod accounts;
mod aside;
pub(crate) mod columns;
pub(crate) mod commit;
pub(crate) mod current_hour;
pub(crate) mod lane;
mod limit_usage;
pub(crate) mod open_batch;
pub(crate) mod prefetch;
pub(crate) mod queue;
mod recount_pauses;
pub(crate) mod search_columns;
pub(crate) mod state_machine;
pub(crate) mod texts;
mod unsent_columns;
pub(crate) mod usage_columns;
pub(crate) mod write;
