//! How pages look: style, script and pictures, and the platform's name, logo and color.
//!
//! What a page contains is in `dashboard`.

mod assets;
mod settings;

pub use self::assets::Assets;
pub use self::settings::ThemeSettings;
#[cfg(test)]
pub(crate) use self::settings::{Color, LOGO_MAX_BYTES};
