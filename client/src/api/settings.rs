//! Settings that move credit, which the journal keeps.

use super::OfPlatform;
use crate::http::call::Call;
use crate::http::routes;
use crate::types::{Settings, SettingsRequest};

/// The settings of the platform.
#[derive(Clone, Debug)]
pub struct PlatformSettings(pub(crate) OfPlatform);

impl PlatformSettings {
    /// Gets the settings.
    pub fn get(&self) -> Call<Settings> {
        self.0.call(&routes::GET_SETTINGS, &[])
    }

    /// Changes the settings.
    pub fn change(&self, request: &SettingsRequest) -> Call<Settings> {
        self.0.call(&routes::PUT_SETTINGS, &[]).body(request)
    }
}
