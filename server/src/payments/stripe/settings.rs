//! The settings of Stripe: keys, address, tax.

use std::time::Duration;

use crate::access::secret::Secret;
use crate::wire::url::is_origin;

/// Where the API is.
const API_BASE: &str = "https://api.stripe.com";

/// The most webhook secrets: the present one and those that are being exchanged.
const WEBHOOK_SECRETS_MAX: usize = 8;

/// How long is waited for Stripe. No setting changes it; tests wait less.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// For a connection.
    pub connect: Duration,
    /// For the answer to a request, all tries together.
    pub answer: Duration,
    /// Before the second try of a request that was not carried out; the pause doubles.
    pub first_pause: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(20),
            first_pause: Duration::from_millis(150),
        }
    }
}

/// How Stripe is reached.
#[derive(Clone, Debug)]
pub struct StripeSettings {
    /// The key of the API, better a restricted one.
    pub api_key: Option<Secret>,
    /// The secrets of the webhook endpoint; one while none is exchanged.
    pub webhook_secrets: Vec<Secret>,
    /// The address of the API, without a path.
    pub api_base: String,
    /// Whether Stripe computes tax and adds it to what is paid.
    pub adds_tax: bool,
    /// How long is waited.
    pub times: Times,
}

impl Default for StripeSettings {
    fn default() -> StripeSettings {
        StripeSettings {
            api_key: None,
            webhook_secrets: Vec::new(),
            api_base: API_BASE.to_owned(),
            adds_tax: false,
            times: Times::default(),
        }
    }
}

impl StripeSettings {
    /// Sets one value from its text. `None` if `name` is not a setting of this struct, or the value
    /// is not what the setting must be.
    pub fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "stripe_api_key" => {
                let is_key = mode_of(value).is_some() && is_secret(value);
                self.api_key = is_key.then(|| Some(Secret::new(value)))?;
            }
            "stripe_webhook_secrets" => {
                let secrets: Vec<&str> = value.split(',').map(str::trim).collect();
                let is_right = |secret: &&str| secret.starts_with("whsec_") && is_secret(secret);
                let fits = secrets.len() <= WEBHOOK_SECRETS_MAX && secrets.iter().all(is_right);
                self.webhook_secrets = fits.then(|| secrets.into_iter().map(Secret::new).collect())?;
            }
            "stripe_api_base" => {
                let is_safe = is_origin(value)
                    && value.parse::<axum::http::Uri>().is_ok()
                    && (value.starts_with("https://") || is_loopback(value));
                self.api_base = is_safe.then(|| value.trim_end_matches('/').to_owned())?;
            }
            "tax" => {
                self.adds_tax = match value {
                    "none" => false,
                    "stripe" => true,
                    _ => return None,
                };
            }
            _ => return None,
        }
        Some(())
    }

    /// True if the key moves real money; a webhook event must be of the same mode.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.api_key.as_ref().is_some_and(|key| mode_of(key.expose()) == Some(true))
    }
}

/// Whether a key is of the live mode; `None` if it is no key.
fn mode_of(key: &str) -> Option<bool> {
    let rest = key.strip_prefix("rk_").or_else(|| key.strip_prefix("sk_"))?;
    let is_live = rest.starts_with("live_");
    (is_live || rest.starts_with("test_")).then_some(is_live)
}

fn is_secret(text: &str) -> bool {
    text.len() <= 255 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// True if the host is this machine, where nobody can listen to what is sent in clear.
fn is_loopback(origin: &str) -> bool {
    let host = origin.trim_end_matches('/').strip_prefix("http://").unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    matches!(name, "127.0.0.1" | "[::1]" | "localhost")
}

#[cfg(test)]
mod tests {
    use super::StripeSettings;

    fn set(name: &str, value: &str) -> Option<StripeSettings> {
        let mut settings = StripeSettings::default();
        settings.set(name, value).map(|()| settings)
    }

    #[test]
    fn a_key_says_which_mode_it_is_of() {
        let is_live = |key: &str| set("stripe_api_key", key).map(|settings| settings.is_live());
        assert_eq!(is_live("rk_live_51a"), Some(true));
        assert_eq!(is_live("rk_test_51a"), Some(false));
        assert_eq!(is_live("sk_live_51a"), Some(true));
        for wrong in ["pk_live_51a", "rk_51a", "live_", "rk_test_a b", "rk_test_\n"] {
            assert_eq!(is_live(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn webhook_secrets_are_a_list() {
        let count = |text: &str| set("stripe_webhook_secrets", text).map(|s| s.webhook_secrets.len());
        assert_eq!([count("whsec_a"), count("whsec_a, whsec_b")], [Some(1), Some(2)]);
        for wrong in ["", "a", "whsec_a,", "whsec_a,b", "whsec_a whsec_b", &["whsec_a"; 9].join(",")] {
            assert_eq!(count(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn without_encryption_only_this_machine_is_asked() {
        let base = |text: &str| set("stripe_api_base", text).map(|settings| settings.api_base);
        assert_eq!(base("https://api.stripe.com/").as_deref(), Some("https://api.stripe.com"));
        for own in ["http://127.0.0.1:8042", "http://[::1]:1", "http://localhost", "http://localhost:9/"] {
            assert_eq!(base(own).as_deref(), Some(own.trim_end_matches('/')));
        }
        for wrong in [
            "http://api.stripe.com",
            "http://127.0.0.1.example.com",
            "http://localhost:x",
            "http://ada@localhost",
            "https://api.stripe.com/v1",
            "ftp://localhost",
        ] {
            assert_eq!(base(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let mut settings = set("stripe_api_key", "rk_test_hidden").expect("it is a key");
        settings.set("stripe_webhook_secrets", "whsec_hidden").expect("it is a secret");
        assert!(!format!("{settings:?}").contains("hidden"));
    }
}
