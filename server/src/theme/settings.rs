//! The settings of how pages look: the platform's name, logo and color.

use std::fmt;
use std::path::PathBuf;

/// The largest logo. With it, every page and its files stay below 100 kB.
pub(crate) const LOGO_MAX_BYTES: u64 = 12 * 1024;

/// The longest name of a platform, in characters.
const NAME_MAX_CHARS: usize = 40;

/// How pages look.
#[derive(Clone, Debug)]
pub struct ThemeSettings {
    /// The name of the platform's product, shown on every page.
    pub brand_name: Option<String>,
    /// A file with the logo: SVG or PNG.
    pub brand_logo: Option<PathBuf>,
    /// The color of buttons and links.
    pub brand_accent: Color,
}

impl Default for ThemeSettings {
    fn default() -> ThemeSettings {
        ThemeSettings { brand_name: None, brand_logo: None, brand_accent: Color([0x1f, 0x5f, 0xd0]) }
    }
}

impl ThemeSettings {
    /// Sets a value by the name of its setting; `None` if the value is wrong or the name unknown.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "brand_name" => {
                let name = value.trim();
                let is_name = !name.is_empty()
                    && name.chars().count() <= NAME_MAX_CHARS
                    && !name.chars().any(char::is_control);
                self.brand_name = is_name.then(|| Some(name.to_owned()))?;
            }
            "brand_logo" => {
                let path = PathBuf::from(value);
                let size = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?.len();
                let is_known = path.extension().is_some_and(|kind| kind == "svg" || kind == "png");
                self.brand_logo = (is_known && size <= LOGO_MAX_BYTES).then_some(Some(path))?;
            }
            "brand_accent" => self.brand_accent = Color::read(value).filter(|color| color.is_readable())?,
            _ => return None,
        }
        Some(())
    }
}

/// The color of a card in the dark.
const DARK_CARD: Color = Color([0x1b, 0x20, 0x29]);

const WHITE: Color = Color([0xff; 3]);

/// The least contrast of text and its background (WCAG 2, AA).
const CONTRAST_MIN: f64 = 4.5;

/// The least contrast in the dark, where thin letters look thinner.
const DARK_CONTRAST_MIN: f64 = 6.0;

/// A color in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color([u8; 3]);

/// `#1f5fd0`.
impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Color {
    /// Reads `#1f5fd0`.
    #[must_use]
    pub fn read(text: &str) -> Option<Color> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
        let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        Some(Color([part(0)?, part(2)?, part(4)?]))
    }

    /// The relative luminance (WCAG 2).
    #[expect(clippy::float_arithmetic, reason = "it is a sum of powers; no credit is counted")]
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The contrast of two colors, 1 to 21.
    #[must_use]
    #[expect(clippy::float_arithmetic, reason = "it is a ratio; no credit is counted")]
    pub fn contrast(self, other: Color) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// Whether white text on it, and it on white, can be read.
    fn is_readable(self) -> bool {
        self.contrast(WHITE) >= CONTRAST_MIN
    }

    /// The same hue, as light as dark pages need.
    #[must_use]
    pub fn for_dark_pages(self) -> Color {
        let lighter = |steps: u16| {
            Color(self.0.map(|part| {
                let part = u16::from(part);
                u8::try_from(part + (255 - part) * steps / 20).unwrap_or(u8::MAX)
            }))
        };
        (0..=20).map(lighter).find(|color| color.contrast(DARK_CARD) >= DARK_CONTRAST_MIN).unwrap_or(WHITE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accent_that_cannot_be_read_is_refused() {
        let mut settings = ThemeSettings::default();
        for wrong in ["", "blue", "#12345", "#ffff00", "#ffffff", "#12345é", "1f5fd0", "#8ab4ff"] {
            assert_eq!(settings.set("brand_accent", wrong), None, "{wrong}");
        }
        assert_eq!(settings.brand_accent, ThemeSettings::default().brand_accent);
        for right in ["#1f5fd0", "#000000", "#7a0019"] {
            assert_eq!(settings.set("brand_accent", right), Some(()), "{right}");
            assert_eq!(settings.brand_accent.to_string(), right);
            let dark = settings.brand_accent.for_dark_pages();
            assert!(dark.contrast(DARK_CARD) >= DARK_CONTRAST_MIN, "{right} becomes {dark}");
        }
    }

    #[test]
    fn a_name_and_a_logo_are_checked() {
        let mut settings = ThemeSettings::default();
        for wrong in ["", "   ", "a\nb", &"x".repeat(41)] {
            assert_eq!(settings.set("brand_name", wrong), None, "{wrong:?}");
        }
        assert_eq!(settings.set("brand_name", "  Acme <Fashion>  "), Some(()));
        assert_eq!(settings.brand_name.as_deref(), Some("Acme <Fashion>"));
        let folder = tempfile::tempdir().expect("a directory");
        let file = |name: &str, bytes: usize| {
            let path = folder.path().join(name);
            std::fs::write(&path, vec![b' '; bytes]).expect("it is written");
            path.display().to_string()
        };
        let wrong = [file("logo.gif", 10), file("large.png", 33 * 1024), folder.path().display().to_string()];
        for wrong in wrong.iter().map(String::as_str).chain(["nowhere.svg"]) {
            assert_eq!(settings.set("brand_logo", wrong), None, "{wrong}");
        }
        assert_eq!(settings.set("brand_logo", &file("logo.svg", 10)), Some(()));
    }
}
