//! The settings of mails: the relay, the sender, and who gets mails about the platform.
//!
//! The URL of a relay contains a password. `Display` and `Debug` show it without.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::address::MailAddress;
use crate::access::secret::Secret;

/// The most addresses of the platform.
const PLATFORM_MAX: usize = 20;

/// The port of a relay with TLS from the first byte.
const SMTPS_PORT: u16 = 465;

/// The port on which a relay takes mails of its users, with STARTTLS.
const SUBMISSION_PORT: u16 = 587;

/// How mails leave the server.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// Where mails go; `None` if none is sent.
    pub relay: Option<RelayUrl>,
    /// The sender of every mail.
    pub from: Option<MailAddress>,
    /// Where answers of people go, if not to the sender.
    pub reply_to: Option<MailAddress>,
    /// Whether the subject of a mail contains an amount.
    pub amount_in_subject: bool,
    /// Who gets mails about the platform itself, such as its webhook endpoints.
    pub platform: Vec<MailAddress>,
    /// How long one step of the conversation with a relay may take. No setting of a file.
    pub step_timeout: Duration,
    /// How long one attempt to send a mail may take. No setting of a file.
    pub attempt_timeout: Duration,
}

impl Default for MailSettings {
    fn default() -> MailSettings {
        MailSettings {
            relay: None,
            from: None,
            reply_to: None,
            amount_in_subject: false,
            platform: Vec::new(),
            step_timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_secs(60),
        }
    }
}

impl MailSettings {
    /// Sets one value from its text. `None` if `name` is not a setting of this struct, or the value
    /// is not what the setting must be.
    pub fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "smtp_url" => self.relay = Some(RelayUrl::read(value)?),
            "mail_from" => self.from = Some(MailAddress::new(value)?),
            "mail_reply_to" => self.reply_to = Some(MailAddress::new(value)?),
            "mail_amount_in_subject" => self.amount_in_subject = value.parse().ok()?,
            "mail_platform" => {
                let addresses: Option<Vec<MailAddress>> = value.split(',').map(MailAddress::new).collect();
                self.platform = addresses.filter(|addresses| addresses.len() <= PLATFORM_MAX)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// Why these settings cannot be used together, as a sentence. `public_url` is in the links of
    /// every mail.
    #[must_use]
    pub fn contradiction(&self, public_url: Option<&str>) -> Option<&'static str> {
        match (&self.relay, &self.from, public_url) {
            (None, _, _) | (Some(_), Some(_), Some(_)) => None,
            (Some(_), None, _) => Some("with `smtp_url`, `mail_from` is required: the sender of every mail"),
            (Some(_), Some(_), None) => {
                Some("with `smtp_url`, `public_url` is required: mails contain links to this server")
            }
        }
    }
}

/// Where mails go.
#[derive(Clone, Debug)]
pub enum RelayUrl {
    /// To a server that takes mails by SMTP.
    Smtp(SmtpRelay),
    /// Into a folder, one file for each mail, for trials.
    Folder(PathBuf),
}

/// A server that takes mails by SMTP.
#[derive(Clone, Debug)]
pub struct SmtpRelay {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// Who this server is to the relay, if it must say so.
    pub login: Option<Login>,
    /// A file with certificates of authorities, as PEM, that are trusted besides the system's.
    pub authorities: Option<PathBuf>,
}

/// How the connection to a relay is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte.
    Immediate,
    /// By STARTTLS. A relay that does not offer it gets no mail.
    Required,
    /// By STARTTLS, if the relay offers it.
    Opportunistic,
    /// Not at all.
    None,
}

/// The user at a relay.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

impl RelayUrl {
    /// Reads `smtps://USER:PASSWORD@HOST:PORT`, `smtp://HOST:PORT?tls=required` or
    /// `file:///FOLDER`. A password is only accepted if it cannot be read on the way.
    #[must_use]
    pub fn read(url: &str) -> Option<RelayUrl> {
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (scheme, rest) = url.split_once("://")?;
        match scheme {
            "file" => {
                let folder = rest.strip_prefix('/').filter(|path| !path.is_empty())?;
                Some(RelayUrl::Folder(PathBuf::from(format!("/{}", decoded(folder)?))))
            }
            "smtps" => SmtpRelay::read(rest, Tls::Immediate, SMTPS_PORT).map(RelayUrl::Smtp),
            "smtp" => SmtpRelay::read(rest, Tls::Required, SUBMISSION_PORT).map(RelayUrl::Smtp),
            _ => None,
        }
    }
}

impl SmtpRelay {
    fn read(rest: &str, tls: Tls, port: u16) -> Option<SmtpRelay> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, place) = match place.rsplit_once('@') {
            Some((login, place)) => (Some(Login::read(login)?), place),
            None => (None, place),
        };
        let (host, port) = host_and_port(place.trim_end_matches('/'), port)?;
        let mut relay = SmtpRelay { host, port, tls, login, authorities: None };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=')? {
                ("tls", word) if tls != Tls::Immediate => relay.tls = Tls::read(word)?,
                ("ca", path) => relay.authorities = Some(PathBuf::from(decoded(path)?)),
                _ => return None,
            }
        }
        let is_private = matches!(relay.tls, Tls::Immediate | Tls::Required) || relay.is_this_machine();
        (relay.login.is_none() || is_private).then_some(relay)
    }

    fn is_this_machine(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl Tls {
    fn read(word: &str) -> Option<Tls> {
        match word {
            "required" => Some(Tls::Required),
            "opportunistic" => Some(Tls::Opportunistic),
            "none" => Some(Tls::None),
            _ => None,
        }
    }
}

impl Login {
    fn read(text: &str) -> Option<Login> {
        let (user, password) = text.split_once(':')?;
        let (user, password) = (decoded(user)?, decoded(password)?);
        let is_complete = !user.is_empty() && !password.is_empty();
        is_complete.then(|| Login { user, password: Secret::new(password) })
    }
}

/// A part of a URL without its escapes.
fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    (!text.chars().any(char::is_control)).then(|| text.into_owned())
}

/// `HOST`, `HOST:PORT`, `[V6]` or `[V6]:PORT`. The brackets are taken off.
fn host_and_port(text: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let is_host = !host.is_empty() && !host.contains(['/', '#', '@', '[', ']']);
    let port = port.map_or(Some(default), |port| port.parse().ok().filter(|port| *port != 0))?;
    is_host.then(|| (host.to_owned(), port))
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RelayUrl::Folder(folder) => write!(f, "the folder {}", folder.display()),
            RelayUrl::Smtp(SmtpRelay { host, port, .. }) => write!(f, "the relay {host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp(url: &str) -> SmtpRelay {
        match RelayUrl::read(url) {
            Some(RelayUrl::Smtp(relay)) => relay,
            other => panic!("{url} is {other:?}"),
        }
    }

    #[test]
    fn the_url_of_a_relay_says_how_it_is_reached() {
        for (url, host, port, tls) in [
            ("smtps://mail.example.com", "mail.example.com", 465, Tls::Immediate),
            ("smtps://mail.example.com:1465/", "mail.example.com", 1465, Tls::Immediate),
            ("smtp://mail.example.com", "mail.example.com", 587, Tls::Required),
            ("smtp://mail.example.com:25?tls=opportunistic", "mail.example.com", 25, Tls::Opportunistic),
            ("smtp://[::1]:2525?tls=none", "::1", 2525, Tls::None),
        ] {
            let relay = smtp(url);
            assert_eq!((relay.host.as_str(), relay.port, relay.tls), (host, port, tls));
            assert!(relay.login.is_none());
        }
        let relay = smtp("smtps://ada%40example.com:p%3Aw@h?ca=/etc/ca%20x.pem");
        let login = relay.login.as_ref().expect("it has a user");
        assert_eq!((login.user.as_str(), login.password.expose()), ("ada@example.com", "p:w"));
        assert_eq!(relay.authorities.as_deref(), Some(std::path::Path::new("/etc/ca x.pem")));
        let shown = format!("{relay:?} {}", RelayUrl::Smtp(relay.clone()));
        assert!(shown.contains("the relay h:465") && !shown.contains("p:w"), "{shown}");
        assert!(
            matches!(RelayUrl::read("file:///tmp/mails"), Some(RelayUrl::Folder(path)) if path.ends_with("mails"))
        );
    }

    #[test]
    fn a_password_must_not_cross_a_network_in_the_open() {
        for url in ["smtp://u:p@localhost:25?tls=none", "smtp://u:p@127.0.0.1?tls=opportunistic"] {
            assert!(smtp(url).login.is_some());
        }
        for wrong in [
            "smtp://u:p@mail.example.com?tls=none",
            "smtp://u:p@mail.example.com?tls=opportunistic",
            "smtp://u@mail.example.com",
            "smtp://u:@mail.example.com",
            "smtps://h?tls=none",
            "smtp://h?tls=maybe",
            "smtp://h?speed=1",
            "smtp://",
            "smtp://:25",
            "smtp://h:0",
            "smtp://h:x",
            "smtp://h/path",
            "smtp://[::1",
            "smtp://u:%0d%0a@h",
            "http://h",
            "file://relative",
            "file:///",
            "mail.example.com",
        ] {
            assert!(RelayUrl::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_relay_needs_a_sender_and_a_public_url() {
        let mut mail = MailSettings::default();
        assert_eq!(mail.contradiction(None), None);
        mail.set("smtp_url", "smtps://h").expect("it is a relay");
        assert!(mail.contradiction(Some("https://x")).is_some_and(|why| why.contains("`mail_from`")));
        mail.set("mail_from", "Acme <billing@example.com>").expect("it is an address");
        assert!(mail.contradiction(None).is_some_and(|why| why.contains("`public_url`")));
        assert_eq!(mail.contradiction(Some("https://x")), None);
        mail.set("mail_platform", "a@x.de, Ops <b@x.de>").expect("these are addresses");
        assert_eq!(mail.platform.len(), 2);
        for (name, wrong) in [
            ("mail_platform", "a@x.de,"),
            ("mail_platform", "a"),
            ("mail_amount_in_subject", "1"),
            ("mail_from", "a"),
        ] {
            assert_eq!(mail.set(name, wrong), None, "{name} = {wrong}");
        }
    }
}
