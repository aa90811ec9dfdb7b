//! Who may do what, and how much of it at once: API keys, sessions, rate limits, large bodies,
//! followers of journals.
//!
//! `admit` checks the rule of every route; no handler checks it again. This folder knows neither a
//! route nor a resource: it gets a [`Rule`] and the headers of a request, and returns a [`Caller`]
//! or a [`Denied`]. How a denial is written is in `http::refusal`.

mod admit;
mod caller;
pub(crate) mod cookie;
mod denied;
pub(crate) mod followers;
pub(crate) mod large;
mod operator;
mod password;
mod rate;
pub(crate) mod secret;
mod session;
pub(crate) mod settings;
mod team_cache;

pub use admit::{Access, Admission};
pub use caller::{Caller, Rule, SignedIn};
pub use denied::Denied;
pub use operator::SignedInOperator;
pub use password::hash_password;
pub use rate::{MonotonicNanos, RateStatus};
pub use session::check_form_token;
