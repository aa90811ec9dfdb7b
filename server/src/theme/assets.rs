//! The files of pages: style, script and pictures, compiled into the program and served by names
//! that contain a hash of the content. A browser keeps them for ever; a changed file has another
//! name.
//!
//! The platform's color and logo come from the settings, so the files are put together when the
//! server starts.

use std::fmt::Write as _;

use axum::body::Bytes;
use sha2::{Digest, Sha256};

use super::settings::{LOGO_MAX_BYTES, ThemeSettings};

const STYLE: &str = include_str!("../../assets/dashboard.css");
const CHART_STYLE: &str = include_str!("../../assets/chart.css");
const SCRIPT: &str = include_str!("../../assets/dashboard.js");
const ICON: &str = include_str!("../../assets/icon.svg");

/// How many digits of the hash a name has.
const HASH_DIGITS: usize = 16;

/// A file.
#[derive(Debug)]
pub(crate) struct Asset {
    /// The path that pages name.
    path: String,
    /// Its media type.
    pub(crate) content_type: &'static str,
    /// Its content.
    pub(crate) bytes: Bytes,
}

/// The files of pages.
#[derive(Debug)]
pub struct Assets {
    style: Asset,
    script: Asset,
    icon: Asset,
    logo: Option<Asset>,
    /// The name of the platform's product.
    pub(crate) brand_name: Option<String>,
}

impl Asset {
    fn new(name: &str, kind: &str, content_type: &'static str, bytes: impl Into<Bytes>) -> Asset {
        let bytes = bytes.into();
        let mut hash = String::new();
        for byte in Sha256::digest(&bytes).iter().take(HASH_DIGITS / 2) {
            let _ = write!(hash, "{byte:02x}");
        }
        Asset { path: format!("/portal/assets/{name}-{hash}.{kind}"), content_type, bytes }
    }
}

impl Assets {
    /// Puts the files together. A logo that can no longer be read is left out.
    pub(crate) fn new(settings: &ThemeSettings) -> Assets {
        let accent = settings.brand_accent;
        let theme = format!(
            ":root{{--accent:{accent};--on-accent:#fff}}\
             @media screen and (prefers-color-scheme:dark){{:root{{--accent:{};--on-accent:#10141b}}}}\n",
            accent.for_dark_pages()
        );
        let logo = settings.brand_logo.as_ref().and_then(|path| {
            let read = std::fs::read(path);
            if let Err(error) = &read {
                tracing::warn!(path = %path.display(), %error, "the logo cannot be read, and pages have none");
            }
            let bytes = read.ok().filter(|bytes| bytes.len() as u64 <= LOGO_MAX_BYTES)?;
            let is_svg = path.extension().is_some_and(|kind| kind == "svg");
            let (kind, content_type) = if is_svg { ("svg", "image/svg+xml") } else { ("png", "image/png") };
            Some(Asset::new("logo", kind, content_type, bytes))
        });
        Assets {
            style: Asset::new(
                "style",
                "css",
                "text/css; charset=utf-8",
                format!("{STYLE}{CHART_STYLE}{theme}"),
            ),
            script: Asset::new("script", "js", "text/javascript; charset=utf-8", SCRIPT),
            icon: Asset::new("icon", "svg", "image/svg+xml", ICON),
            logo,
            brand_name: settings.brand_name.clone(),
        }
    }

    /// The path of the style sheet.
    #[must_use]
    pub fn style(&self) -> &str {
        &self.style.path
    }

    /// The path of the script.
    #[must_use]
    pub fn script(&self) -> &str {
        &self.script.path
    }

    /// The path of the small picture in the browser's tab.
    #[must_use]
    pub fn icon(&self) -> &str {
        &self.icon.path
    }

    /// The path of the platform's logo.
    #[must_use]
    pub fn logo(&self) -> Option<&str> {
        self.logo.as_ref().map(|logo| &*logo.path)
    }

    /// The file with this path.
    pub(crate) fn find(&self, path: &str) -> Option<&Asset> {
        let all = [&self.style, &self.script, &self.icon].into_iter().chain(&self.logo);
        all.into_iter().find(|asset| asset.path == path)
    }
}
