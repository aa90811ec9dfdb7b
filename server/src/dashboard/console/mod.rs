//! The console: pages for the operators of the platform, served under `/console`.
//!
//! An operator signs in with a name of their own and the platform's secret, sees every workspace,
//! and acts with a reason that stands in the journal. What the console does, the API does too.
//!
//! ```text
//! frame, sign_in       what stands around every page; the session
//! workspaces           the search for a workspace
//! workspace            one workspace, what can be done about it, its pages as its admins see them
//! act, acts            what an operator can do; the form, the question and the act itself
//! payments             payments that fit nothing
//! deliveries           webhook messages and mails that were not accepted
//! state                what is not as it should be
//! ```

mod act;
pub mod acts;
pub mod deliveries;
mod frame;
pub mod payments;
pub mod sign_in;
pub mod state;
pub mod workspace;
pub mod workspaces;

pub use self::act::ActKind;
