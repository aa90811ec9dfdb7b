//! What both the API and the pages do for a caller, one file a subject: set thresholds, choose
//! recipients, replace limits, create a key, send a test mail.
//!
//! An action takes domain values, runs commands in the caller's name, and returns domain values or
//! a problem. JSON is in `api`, forms are in `dashboard`. Nothing here decides about credit.

pub mod alerts;
pub mod api_keys;
pub mod limits;
pub mod recipients;
pub mod test_mail;
