//! The settings of webhooks: the secret of the instance, and where messages may go.

use std::time::Duration;

use super::secret::InstanceSecret;

/// The port of HTTPS, which is always allowed.
const HTTPS_PORT: u16 = 443;

/// The port of HTTP, which is allowed with `webhooks_allow_http`.
const HTTP_PORT: u16 = 80;

/// The most further ports.
const PORTS_MAX: usize = 32;

/// How messages are signed and where they may go.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// The secret from which those of endpoints are derived. In a data directory it is a file if it
    /// is not set.
    pub secret_key: Option<InstanceSecret>,
    /// Whether an endpoint may have an address without TLS.
    pub allow_http: bool,
    /// Whether a message may go to a private network.
    pub allow_private: bool,
    /// The ports of receivers besides 443.
    pub ports: Vec<u16>,
    /// How long an attempt may take. No setting of a file.
    pub attempt_timeout: Duration,
}

impl Default for WebhookSettings {
    fn default() -> WebhookSettings {
        WebhookSettings {
            secret_key: None,
            allow_http: false,
            allow_private: false,
            ports: Vec::new(),
            attempt_timeout: Duration::from_secs(15),
        }
    }
}

impl WebhookSettings {
    /// Sets one value from its text. `None` if `name` is not a setting of this struct, or the value
    /// is not what the setting must be.
    pub fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "secret_key" => self.secret_key = Some(InstanceSecret::from_hex(value)?),
            "webhooks_allow_http" => self.allow_http = value.parse().ok()?,
            "webhooks_allow_private" => self.allow_private = value.parse().ok()?,
            "webhooks_ports" => {
                let ports: Result<Vec<u16>, _> = value.split(',').map(|port| port.trim().parse()).collect();
                self.ports = ports.ok().filter(|ports| ports.len() <= PORTS_MAX && !ports.contains(&0))?;
            }
            _ => return None,
        }
        Some(())
    }

    /// True if a message may go to this port.
    #[must_use]
    pub fn allows_port(&self, port: u16) -> bool {
        port == HTTPS_PORT || (port == HTTP_PORT && self.allow_http) || self.ports.contains(&port)
    }
}
