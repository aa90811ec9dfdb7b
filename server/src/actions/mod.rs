//! What both the API and the pages do for a caller, one file a subject: open a top-up, change the
//! plan, set thresholds, choose recipients, replace limits, create a key, send a test mail, send
//! money back.
//!
//! An action takes a call, a workspace and domain values, runs commands in the caller's name, and
//! returns domain values or the problem that the caller is answered with. JSON is in `api`, forms
//! are in `dashboard`. Nothing here decides about credit.

pub mod alerts;
pub mod api_keys;
pub mod auto_top_up;
pub mod cards;
pub mod limits;
pub mod payment_refunds;
pub mod recipients;
pub mod subscriptions;
pub mod test_mail;
pub mod top_ups;
