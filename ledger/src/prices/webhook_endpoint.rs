//! Webhook endpoints: where the platform is sent a message about each entry of some kinds.
//!
//! An endpoint is state of the platform's journal. An entry carries the whole record, so that the
//! last one of an endpoint is the endpoint. Nothing secret is in it: the secret with which messages
//! are signed is derived outside, from a secret of the instance, the id and the generation. The
//! record names the digest of that secret, so that a server with another one notices.
//!
//! Which messages exist, and which entries they are about, is in `prices::message`. What was sent
//! is not in the ledger. What may be set is decided in `decide::webhook_endpoints`.

use super::message::MessageTypes;
use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::{Hash, Timestamp, WebhookEndpointId, WorkspaceId};

/// Why the system has disabled an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointFault {
    /// It answered 410.
    Gone,
    /// It has accepted nothing for days.
    Failing,
}

coded!(EndpointFault, "why an endpoint is disabled", {
    Gone = 1 "gone",
    Failing = 2 "failing",
});

/// A webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookEndpoint {
    /// The id of the endpoint.
    pub id: WebhookEndpointId,
    /// 1 when it is created, and one more with each change. A change that was made without knowing
    /// the one before is refused.
    pub version: u64,
    /// The address to which messages are sent.
    pub url: Box<str>,
    /// The types of messages that are sent.
    pub types: MessageTypes,
    /// Only messages about this workspace are sent, if one is named.
    pub workspace: Option<WorkspaceId>,
    /// False while nothing is sent.
    pub enabled: bool,
    /// Why the system has disabled it; `None` while it is enabled, or if the platform did.
    pub fault: Option<EndpointFault>,
    /// Which secret signs: 1 when it is created, and one more with each rotation.
    pub generation: u32,
    /// Until when the secret of the generation before signs too.
    pub previous_signs_until: Option<Timestamp>,
    /// How often the endpoint has begun: 1 when it is created, and one more each time it leaves out
    /// what it has missed. The messages of a beginning are about the entries after it.
    pub beginning: u32,
    /// SHA-256 of the secret of the instance, from which the secrets of endpoints are derived.
    pub secret_digest: Hash,
    /// The time of its creation.
    pub created_at: Timestamp,
}

impl WebhookEndpoint {
    /// The name under which an engine keeps what was sent: the id and the beginning.
    #[must_use]
    pub fn subscriber(&self) -> String {
        format!("{}.{}", self.id, self.beginning)
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        let WebhookEndpoint {
            id,
            version,
            url,
            types,
            workspace,
            enabled,
            fault,
            generation,
            previous_signs_until,
            beginning,
            secret_digest,
            created_at,
        } = self;
        w.id(id.0);
        w.unsigned(*version);
        w.text(url);
        types.write(w);
        w.maybe_text(workspace.as_ref().map(WorkspaceId::as_str));
        w.flag(*enabled);
        w.byte(fault.map_or(0, EndpointFault::code));
        w.unsigned(u64::from(*generation));
        w.maybe_signed(previous_signs_until.map(Timestamp::millis));
        w.unsigned(u64::from(*beginning));
        w.raw(secret_digest);
        w.time(*created_at);
    }

    pub(crate) fn read(r: &mut Reader) -> Result<WebhookEndpoint, Malformed> {
        Ok(WebhookEndpoint {
            id: WebhookEndpointId(r.id("an endpoint")?),
            version: r.unsigned("an endpoint's version")?,
            url: r.text("an endpoint's url")?.into(),
            types: MessageTypes::read(r)?,
            workspace: r.maybe_text("an endpoint's workspace")?.map(WorkspaceId::known),
            enabled: r.flag("whether an endpoint is enabled")?,
            fault: match r.byte("why an endpoint is disabled")? {
                0 => None,
                code => Some(EndpointFault::from_code(code)?),
            },
            generation: number(r, "the generation of a secret")?,
            previous_signs_until: r.maybe_signed("until when a secret signs")?.map(Timestamp::from_millis),
            beginning: number(r, "the beginning of an endpoint")?,
            secret_digest: r.hash("the digest of a secret")?,
            created_at: r.time("an endpoint's creation")?,
        })
    }
}

fn number(r: &mut Reader, what: &'static str) -> Result<u32, Malformed> {
    u32::try_from(r.unsigned(what)?).map_err(|_| Malformed(what))
}
