//! The links in mails that work without a key: one confirms an address, another mutes a topic.
//!
//! A link carries a token: an HMAC of what the link does, made with the secret of the instance. So
//! nothing is stored for a link, every server checks it alike, and nobody else can make one. It
//! covers the digest of the address, so it ends with the address: when a member's address changes,
//! or a typed one is removed. It has no other end, because a mail may be read years later.
//!
//! The pages behind the links are in `dashboard::mail_links`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use subtle::ConstantTimeEq;
use tollkeeper_ledger::{Hash, MailTopic, RecipientId, RecipientSubject, WorkspaceId, hex};

use super::secret::InstanceSecret;

/// What the text that is signed begins with.
const PURPOSE: &str = "tollkeeper mail";

/// What a link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailAction {
    /// Confirms a typed address.
    Confirm,
    /// Mutes a topic for a recipient.
    Mute(MailTopic),
}

/// What a link is about.
#[derive(Clone, Copy, Debug)]
pub struct MailLink<'a> {
    /// The workspace.
    pub workspace: &'a WorkspaceId,
    /// The recipient.
    pub subject: &'a RecipientSubject,
    /// The digest of the recipient's address.
    pub address: &'a Hash,
    /// What the link does.
    pub action: MailAction,
}

impl MailLink<'_> {
    /// The token of the link.
    #[must_use]
    pub fn token(&self, secret: &InstanceSecret) -> String {
        BASE64.encode(self.mac(secret))
    }

    /// True if a token is that of the link. The time that it takes says nothing of the right one.
    #[must_use]
    pub fn has_token(&self, secret: &InstanceSecret, token: &str) -> bool {
        let given = BASE64.decode(token).unwrap_or_default();
        self.mac(secret).ct_eq(&given).into()
    }

    /// No part contains the separator, so two links never have the same text.
    fn mac(&self, secret: &InstanceSecret) -> [u8; 32] {
        let MailLink { workspace, subject, address, action } = self;
        let (verb, topic) = match action {
            MailAction::Confirm => ("confirm", ""),
            MailAction::Mute(topic) => ("mute", topic.as_str()),
        };
        let parts = [PURPOSE, verb, workspace.as_str(), &subject.to_string(), topic, &hex(address)];
        secret.mac(parts.join("\0").as_bytes())
    }
}

/// The URL of the page that confirms a typed address. `origin`: the address of this server from
/// outside, without a slash at the end.
#[must_use]
pub fn confirm_url(
    origin: &str,
    secret: &InstanceSecret,
    workspace: &WorkspaceId,
    (recipient, address): (RecipientId, &Hash),
) -> String {
    let subject = RecipientSubject::Address(recipient);
    let token = MailLink { workspace, subject: &subject, address, action: MailAction::Confirm }.token(secret);
    format!("{origin}/mail/confirm/{workspace}/{recipient}?token={token}")
}

/// The URL of the page that mutes a topic for a recipient; a POST to it does so at once (RFC 8058).
#[must_use]
pub fn unsubscribe_url(
    origin: &str,
    secret: &InstanceSecret,
    workspace: &WorkspaceId,
    (subject, address): (&RecipientSubject, &Hash),
    topic: MailTopic,
) -> String {
    let token = MailLink { workspace, subject, address, action: MailAction::Mute(topic) }.token(secret);
    format!("{origin}/mail/unsubscribe/{workspace}/{subject}/{}?token={token}", topic.as_str())
}

#[cfg(test)]
mod tests {
    use tollkeeper_ledger::{Id, MemberId};

    use super::*;

    #[test]
    fn a_token_fits_one_link_only() {
        let secret = InstanceSecret::from_hex(&"a1".repeat(32)).expect("64 digits");
        let other_secret = InstanceSecret::from_hex(&"a2".repeat(32)).expect("64 digits");
        let [acme, other] = ["acme", "acme2"].map(|id| WorkspaceId::new(id).expect("a name"));
        let ada = RecipientSubject::Member(MemberId::new("ada").expect("a name"));
        let typed = RecipientSubject::Address(RecipientId(Id::v7(1, 2, 3)));
        let mut links = Vec::new();
        for workspace in [&acme, &other] {
            for subject in [&ada, &typed] {
                for address in [&[1; 32], &[2; 32]] {
                    let topics = MailTopic::ALL.into_iter().map(MailAction::Mute);
                    let actions = topics.chain([MailAction::Confirm]);
                    links.extend(actions.map(|action| MailLink { workspace, subject, address, action }));
                }
            }
        }
        for (index, link) in links.iter().enumerate() {
            let token = link.token(&secret);
            assert_eq!(token.len(), 43);
            assert!(!link.has_token(&other_secret, &token));
            for (at, other) in links.iter().enumerate() {
                assert_eq!(other.has_token(&secret, &token), at == index, "{link:?} {other:?}");
            }
        }
        for wrong in ["", "A", &"A".repeat(43), &"A".repeat(44), "ä", &"-".repeat(10_000)] {
            assert!(!links[0].has_token(&secret, wrong), "{wrong}");
        }
    }

    #[test]
    fn a_url_needs_no_escaping() {
        let secret = InstanceSecret::from_hex(&"a1".repeat(32)).expect("64 digits");
        let acme = WorkspaceId::new("a.b_c:d@e-f").expect("a name");
        let subject = RecipientSubject::Member(MemberId::new("ada:x@y").expect("a name"));
        let url =
            unsubscribe_url("https://credits.example", &secret, &acme, (&subject, &[7; 32]), MailTopic::Low);
        let (path, token) = url.split_once("?token=").expect("a token");
        let expected = "https://credits.example/mail/unsubscribe/a.b_c:d@e-f/member:ada:x@y/balance.low";
        assert_eq!(path, expected);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        assert!(token.chars().all(plain), "{token}");
        let id = RecipientId(Id::v7(1, 2, 3));
        let url = confirm_url("https://credits.example", &secret, &acme, (id, &[7; 32]));
        assert!(url.starts_with(&format!("https://credits.example/mail/confirm/a.b_c:d@e-f/{id}?token=")));
    }
}
