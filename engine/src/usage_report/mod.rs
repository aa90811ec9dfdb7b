//! The use of a workspace, added up by operation, worker, member, API key and local time (P11,
//! P16): what is asked, how rows are folded, and the answer.
//!
//! ```text
//! request   what is asked: range, time zone, keys to group by, filters
//! slots     the range in effect and its periods, as the pieces of time that rows fall into
//! fold      adds up rows by piece of time and spender
//! answer    the sums, or why there are none
//! ```
//!
//! Every engine folds its own rows: those of its files or tables, and those that are in memory
//! only. Sums are exact, and they are those of the entries. A refund counts when it happens, so the
//! net of a period may be negative. Where rows are stored is not here.

mod answer;
mod fold;
mod request;
mod slots;

pub use answer::{UsageAnswer, UsageGroup, UsageRefusal, UsageReport};
pub(crate) use fold::{ENTRIES_MAX, Fold, GROUPS_MAX, Names, Used, used_by};
pub use request::{GroupBy, Named, TimeStep, USAGE_DAYS_MAX, USAGE_ROWS_MAX, UsageFilter, UsageRequest};
pub(crate) use slots::Slots;
