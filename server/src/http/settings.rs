//! The settings of the HTTP layer: the address to listen on, and the URLs that responses carry.

use crate::wire::url::{is_origin, is_url};

/// Where the server listens and how it is reached.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The address to listen on, `HOST:PORT`; port 0 takes a free one.
    pub listen: String,
    /// The page where customers add credits, sent with every 402. `{workspace}` in it is replaced
    /// by the id of the workspace.
    pub add_credits_url: Option<String>,
    /// The address of the server from outside, without a path.
    pub public_url: Option<String>,
}

impl Default for HttpSettings {
    fn default() -> HttpSettings {
        HttpSettings { listen: "127.0.0.1:8080".to_owned(), add_credits_url: None, public_url: None }
    }
}

impl HttpSettings {
    /// Sets one value from its text. `None` if `name` is not a setting of this struct, or the value
    /// is not what the setting must be.
    pub fn set(&mut self, name: &str, value: &str) -> Option<()> {
        let value_if = |is_right: bool| is_right.then(|| value.to_owned());
        match name {
            "listen" => self.listen = value_if(is_address(value))?,
            "add_credits_url" => {
                self.add_credits_url = Some(value_if(is_url(value, &["http", "https"]))?);
            }
            "public_url" => self.public_url = Some(value_if(is_origin(value))?),
            _ => return None,
        }
        Some(())
    }
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
