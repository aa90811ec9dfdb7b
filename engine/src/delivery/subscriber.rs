//! Who is sent messages about entries: which entries a subscriber follows, and where it begins.
//!
//! Webhook endpoints come and go by entries of the platform. The sender of e-mail is always there:
//! it follows a fixed set of kinds in all workspaces, and begins when it is first served.

use std::sync::Arc;

use tollkeeper_ledger::{Entry, Kind, Kinds, MessageType, Platform, WebhookEndpoint, WorkspaceId};

/// The kinds of entries about which an e-mail may be sent. Every batch is compared with them, so
/// they are few, and none of them is of a charge.
pub(crate) const MAIL_KINDS: Kinds = Kinds::of(&[
    Kind::BalanceLow,
    Kind::BalanceRecovered,
    Kind::BalanceRefused,
    Kind::LimitReached,
    Kind::ClawBackIncreased,
    Kind::PaymentLost,
    Kind::PaymentRefundSucceeded,
    Kind::TopUpSucceeded,
    Kind::TopUpFailed,
    Kind::AutoTopUpPaused,
    Kind::AutoTopUpStopped,
    Kind::SubscriptionRenewed,
    Kind::SubscriptionPastDue,
    Kind::SubscriptionEnded,
    Kind::SubscriptionPeriodPaid,
    Kind::RecipientAdded,
    Kind::RecipientFailed,
    Kind::WebhookEndpointSet,
]);

/// Somebody who follows the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscriber {
    /// A webhook endpoint since its present beginning.
    Endpoint(Arc<WebhookEndpoint>),
    /// The sender of e-mail.
    Mail,
}

impl Subscriber {
    /// The name of the sender of e-mail.
    pub(crate) const MAIL: &str = "mail";

    /// The name under which an engine keeps what was sent.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Subscriber::Endpoint(endpoint) => endpoint.subscriber(),
            Subscriber::Mail => Subscriber::MAIL.to_owned(),
        }
    }

    /// The names of all subscribers that there are.
    pub(crate) fn names(platform: &Platform) -> Vec<String> {
        let endpoints = platform.webhook_endpoints.iter().map(|endpoint| endpoint.subscriber());
        endpoints.chain([Subscriber::MAIL.to_owned()]).collect()
    }

    /// The kinds among which the followed entries are.
    #[must_use]
    pub fn kinds(&self) -> Kinds {
        match self {
            Subscriber::Endpoint(endpoint) => endpoint.types.kinds(),
            Subscriber::Mail => MAIL_KINDS,
        }
    }

    /// The workspace whose entries are followed; `None` for all, and the platform.
    #[must_use]
    pub fn workspace(&self) -> Option<&WorkspaceId> {
        match self {
            Subscriber::Endpoint(endpoint) => endpoint.workspace.as_ref(),
            Subscriber::Mail => None,
        }
    }

    /// True if the subscriber follows the entry of one of its workspaces.
    #[must_use]
    pub fn follows(&self, entry: &Entry) -> bool {
        match self {
            Subscriber::Endpoint(endpoint) => {
                MessageType::of(entry).is_some_and(|message| endpoint.types.contains(message))
            }
            Subscriber::Mail => MAIL_KINDS.contains(entry.body.kind()),
        }
    }
}

/// True if somebody follows entries of this kind.
pub(crate) const fn is_followed(platform: &Platform, kind: Kind) -> bool {
    platform.followed.contains(kind) || MAIL_KINDS.contains(kind)
}
