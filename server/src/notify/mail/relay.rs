//! Hands a mail to the relay by SMTP and says what became of it.
//!
//! The conversation is led step by step, because the same code means something else at each step: a
//! 550 after RCPT is about the recipient, a 550 after MAIL about this server. Each step has a
//! time-out of this file's own; the library's covers the connection alone. An idle connection is
//! used again for a moment, so that many mails share one.
//!
//! A mail whose last answer was not heard may have been accepted. It is sent again under the same
//! `Message-ID`.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use sha2::{Digest, Sha256};
use tollkeeper_ledger::hex;

use super::address::MailAddress;
use super::letter::{Letter, Sealed, Unsendable};
use super::settings::{MailSettings, RelayUrl, SmtpRelay, Tls};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is used again. Relays close it after minutes.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// The most idle connections.
const IDLE_MAX: usize = 8;

/// The most characters of a relay's answer that are shown.
const ANSWER_MAX_CHARS: usize = 200;

/// The code for an address that cannot be written in the protocol: the mailbox name is not allowed.
const BAD_ADDRESS: u16 = 553;

/// The code for a letter that cannot be written.
const BAD_LETTER: u16 = 554;

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The relay took it over.
    Accepted,
    /// The relay says that there is no such recipient. Another attempt will not help.
    AddressRefused {
        /// The code of its answer.
        code: u16,
        /// The text of its answer.
        text: String,
    },
    /// The relay does not take this mail, and not because of the recipient. A rule of the relay or
    /// a quota of the sender can be the cause, so it may take the mail later.
    Refused {
        /// The code of its answer.
        code: u16,
        /// The text of its answer.
        text: String,
    },
    /// Not now: the relay, the network or the settings are at fault, and not the mail.
    Later {
        /// The code of the relay's answer, if there was one.
        code: Option<u16>,
        /// What happened.
        text: String,
    },
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sent::Accepted => f.write_str("accepted"),
            Sent::AddressRefused { code, text } => write!(f, "the recipient was refused: {code} {text}"),
            Sent::Refused { code, text } => write!(f, "the mail was refused: {code} {text}"),
            Sent::Later { code: Some(code), text } => write!(f, "not now: {code} {text}"),
            Sent::Later { code: None, text } => write!(f, "not now: {text}"),
        }
    }
}

/// A step of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connect,
    Encrypt,
    SignIn,
    Sender,
    Recipient,
    Data,
    Content,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Step::Connect => "connecting",
            Step::Encrypt => "STARTTLS",
            Step::SignIn => "signing in",
            Step::Sender => "MAIL",
            Step::Recipient => "RCPT",
            Step::Data => "DATA",
            Step::Content => "the content",
        }
    }
}

/// Why a step failed.
#[derive(Debug)]
enum Failure {
    /// The relay answered with a code of 400 or more.
    Answer { step: Step, code: u16, text: String },
    /// There was no answer, or none that can be read.
    Broken { step: Step, text: String },
}

/// The way of mails out of this server.
pub struct Relay {
    from: MailAddress,
    reply_to: Option<MailAddress>,
    url: RelayUrl,
    tls: Option<TlsParameters>,
    hello: ClientId,
    step_timeout: Duration,
    attempt_timeout: Duration,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("url", &self.url).field("from", &self.from).finish_non_exhaustive()
    }
}

impl Relay {
    /// The relay of these settings. Nothing is sent yet.
    ///
    /// # Errors
    /// No relay or no sender is set, or the certificates of the authorities cannot be read.
    pub fn new(settings: &MailSettings) -> io::Result<Relay> {
        let missing = |name| io::Error::other(format!("the setting `{name}` is missing"));
        let url = settings.relay.clone().ok_or_else(|| missing("smtp_url"))?;
        let from = settings.from.clone().ok_or_else(|| missing("mail_from"))?;
        let tls = match &url {
            RelayUrl::Smtp(relay) if relay.tls != Tls::None => Some(tls(relay)?),
            RelayUrl::Smtp(_) | RelayUrl::Folder(_) => None,
        };
        if let RelayUrl::Folder(folder) = &url {
            std::fs::create_dir_all(folder)
                .map_err(|error| io::Error::other(format!("{}: {error}", folder.display())))?;
        }
        Ok(Relay {
            hello: ClientId::Domain(from.domain().to_owned()),
            from,
            reply_to: settings.reply_to.clone(),
            url,
            tls,
            step_timeout: settings.step_timeout,
            attempt_timeout: settings.attempt_timeout,
            idle: Mutex::default(),
        })
    }

    /// The domain of the sender, which the ids of mails end with.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.from.domain()
    }

    /// Hands over a mail, and waits until the relay has answered.
    pub async fn send(&self, letter: &Letter) -> Sent {
        let sealed = match letter.seal(&self.from, self.reply_to.as_ref()) {
            Ok(sealed) => sealed,
            Err(why @ Unsendable::Address) => {
                return Sent::AddressRefused { code: BAD_ADDRESS, text: why.to_string() };
            }
            Err(why @ Unsendable::Field(_)) => {
                return Sent::Refused { code: BAD_LETTER, text: why.to_string() };
            }
        };
        match &self.url {
            RelayUrl::Folder(folder) => match write_file(folder, letter, &sealed) {
                Ok(()) => Sent::Accepted,
                Err(error) => Sent::Later { code: None, text: format!("{}: {error}", folder.display()) },
            },
            RelayUrl::Smtp(relay) => {
                let attempt = tokio::time::timeout(self.attempt_timeout, self.attempt(relay, &sealed)).await;
                attempt.unwrap_or_else(|_| Sent::Later {
                    code: None,
                    text: "the relay did not take the mail in time".to_owned(),
                })
            }
        }
    }

    /// One attempt. If an idle connection turns out to be closed, a new one is opened.
    async fn attempt(&self, relay: &SmtpRelay, sealed: &Sealed) -> Sent {
        if let Some(mut connection) = self.take_idle() {
            match self.converse(&mut connection, sealed).await {
                Err(Failure::Broken { step: Step::Sender, .. }) => {}
                Err(Failure::Answer { step: Step::Sender, code: 421, .. }) => {}
                result => return self.end(connection, result),
            }
        }
        match self.connect(relay).await {
            Ok(mut connection) => {
                let result = self.converse(&mut connection, sealed).await;
                self.end(connection, result)
            }
            Err(failure) => outcome(failure),
        }
    }

    fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE_TIME);
        idle.pop().map(|(connection, _)| connection)
    }

    /// Keeps a connection over which a mail went. One with a failure is closed.
    fn end(&self, connection: AsyncSmtpConnection, result: Result<(), Failure>) -> Sent {
        if let Err(failure) = result {
            return outcome(failure);
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push((connection, Instant::now()));
        }
        Sent::Accepted
    }

    async fn connect(&self, relay: &SmtpRelay) -> Result<AsyncSmtpConnection, Failure> {
        let wrapped = self.tls.clone().filter(|_| relay.tls == Tls::Immediate);
        let place = (relay.host.as_str(), relay.port);
        let opening =
            AsyncSmtpConnection::connect_tokio1(place, Some(CONNECT_TIMEOUT), &self.hello, wrapped, None);
        let mut connection = self.step(Step::Connect, opening).await?;
        match (relay.tls, &self.tls) {
            (Tls::Required, _) if !connection.can_starttls() => {
                let text = "the relay does not offer STARTTLS".to_owned();
                return Err(Failure::Broken { step: Step::Encrypt, text });
            }
            (Tls::Required | Tls::Opportunistic, Some(tls)) if connection.can_starttls() => {
                self.step(Step::Encrypt, connection.starttls(tls.clone(), &self.hello)).await?;
            }
            _ => {}
        }
        if let Some(login) = &relay.login {
            let credentials = Credentials::new(login.user.clone(), login.password.expose().to_owned());
            self.step(Step::SignIn, connection.auth(DEFAULT_MECHANISMS, &credentials)).await?;
        }
        Ok(connection)
    }

    /// Hands over one mail on a connection.
    async fn converse(&self, connection: &mut AsyncSmtpConnection, sealed: &Sealed) -> Result<(), Failure> {
        let from = self.from.bare();
        let is_ascii = |address: &lettre::Address| AsRef::<str>::as_ref(address).is_ascii();
        let mut parameters = Vec::new();
        if !is_ascii(&sealed.to) || !is_ascii(&from) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let text = "the relay takes no addresses with such characters".to_owned();
                return Err(Failure::Answer { step: Step::Recipient, code: BAD_ADDRESS, text });
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        self.step(Step::Sender, connection.command(Mail::new(Some(from), parameters))).await?;
        self.step(Step::Recipient, connection.command(Rcpt::new(sealed.to.clone(), Vec::new()))).await?;
        self.step(Step::Data, connection.command(Data)).await?;
        self.step(Step::Content, connection.message(&sealed.bytes)).await?;
        Ok(())
    }

    /// Waits for one step.
    async fn step<T>(
        &self,
        step: Step,
        answer: impl Future<Output = Result<T, SmtpError>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.step_timeout, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(failure(step, &error)),
            Err(_) => {
                let text = format!("the relay did not answer in time ({})", step.name());
                Err(Failure::Broken { step, text })
            }
        }
    }
}

fn failure(step: Step, error: &SmtpError) -> Failure {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match error.status() {
        Some(code) => Failure::Answer { step, code: code.into(), text: shown(&source) },
        None => Failure::Broken { step, text: shown(&format!("{}: {error}", step.name())) },
    }
}

/// A text of a relay on one line, not too long for a page.
fn shown(text: &str) -> String {
    super::letter::one_line(text).chars().take(ANSWER_MAX_CHARS).collect()
}

/// What a failure means for the mail.
fn outcome(failure: Failure) -> Sent {
    let (step, code, text) = match failure {
        Failure::Broken { step: _, text } => return Sent::Later { code: None, text },
        Failure::Answer { step, code, text } => (step, code, text),
    };
    let status = enhanced(&text);
    match (step, code) {
        (_, ..500) => Sent::Later { code: Some(code), text },
        (Step::Recipient, _) if is_about_recipient(code, status) => Sent::AddressRefused { code, text },
        (Step::Content, _) if matches!(status, Some((1, _))) => Sent::AddressRefused { code, text },
        (Step::Content, _) => Sent::Refused { code, text },
        (Step::Connect | Step::Encrypt | Step::SignIn | Step::Sender | Step::Recipient | Step::Data, _) => {
            Sent::Later { code: Some(code), text }
        }
    }
}

/// Subject and detail of an enhanced status code, such as 1 and 1 of `5.1.1 No such user`.
fn enhanced(text: &str) -> Option<(u16, u16)> {
    let mut parts = text.split(' ').next()?.split('.');
    let class = parts.next()?;
    let numbers = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (class == "5" && parts.next().is_none()).then_some(numbers)
}

/// True if a code of 500 or more after RCPT is about the address or the mailbox. A relay that does
/// not trust this server refuses every recipient (530, `5.7.1 Relay access denied`): then no
/// address is at fault.
fn is_about_recipient(code: u16, status: Option<(u16, u16)>) -> bool {
    match status {
        Some((subject, _)) => matches!(subject, 1 | 2),
        None => matches!(code, 550..=553 | 556),
    }
}

fn tls(relay: &SmtpRelay) -> io::Result<TlsParameters> {
    let mut builder = TlsParameters::builder(relay.host.clone());
    if let Some(path) = &relay.authorities {
        let wrong = |why: String| io::Error::other(format!("{}: {why}", path.display()));
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let authority = Certificate::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
        builder = builder.add_root_certificate(authority);
    }
    builder.build().map_err(|error| io::Error::other(format!("{}: {error}", relay.host)))
}

/// Writes a mail to a file that is named by its id, so that a second attempt replaces the first.
fn write_file(folder: &Path, letter: &Letter, sealed: &Sealed) -> io::Result<()> {
    let digest = hex(&Sha256::digest(letter.message_id.as_bytes()).into());
    let name = format!("{}-{}.eml", letter.date.millis(), &digest[..16]);
    let part = folder.join(format!(".{name}.part"));
    std::fs::write(&part, &sealed.bytes)?;
    std::fs::rename(part, folder.join(name))
}
