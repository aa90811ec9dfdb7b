//! What is shown of the use of a workspace, everywhere alike: in the API, as comma-separated
//! values, on the command line, on pages and in mails.
//!
//! ```text
//! usage          the use of a range, by operation, worker, member, API key and time (P11, P16)
//! changes        what changed between two ranges, and whether by quantity, price or refunds
//! burn_rate      the average use, and how long the credit lasts (P12)
//! forecast       the use of each day to come, from the use of the days before
//! draws          what a charge drew from grants and what came back
//! settling       when a charge was settled
//! journal_page   a page of the journal, newest first or further on, with a filter
//! journal_group  the groups of kinds of entries
//! journal_sight  what a signed-in member may see of the journal
//! local_time     dates and hours of a time zone
//! ```
//!
//! The engine adds up; here the sums become figures and texts. Nothing here is stored, and nothing
//! decides about credit. The routes are in `api`.

pub mod burn_rate;
pub mod changes;
pub mod draws;
pub mod forecast;
pub mod journal_group;
pub mod journal_page;
pub mod journal_sight;
pub mod local_time;
pub mod settling;
pub mod usage;
