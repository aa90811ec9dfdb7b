//! Settings: types of requests and answers.
//!
//! Printed from the server's OpenAPI document by a test; not to be edited.

use serde::{Deserialize, Serialize};

/// The settings that decide money.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Settings {
    /// The days after its creation in which a settled charge is still refunded by a late failure of
    /// the system.
    pub refund_window_days: u32,
}

/// All settings that decide money.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SettingsRequest {
    /// The days after its creation in which a settled charge is still refunded by a late failure of
    /// the system.
    pub refund_window_days: u32,
}

impl SettingsRequest {
    /// The request with the fields it must have; the others are left out.
    #[must_use]
    pub fn new(refund_window_days: u32) -> SettingsRequest {
        SettingsRequest { refund_window_days }
    }
}
