//! How pages look: style, script and pictures, and the platform's name, logo and colour.
//!
//! What a page contains is in `dashboard`.

mod assets;
mod settings;

pub use self::assets::Assets;
pub use self::settings::ThemeSettings;
