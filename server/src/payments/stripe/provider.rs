//! Stripe as this server has it: the client, the mode, the webhook secrets, the name of the ledger.

use axum::body::Bytes;
use serde::de::Error as _;
use tokio::sync::OnceCell;
use tollkeeper_ledger::{Platform, SubscriptionId, Timestamp, TopUpId};

use super::asked::Asked;
use super::client::Client;
use super::error::{StripeError, Why};
use super::heard::Heard;
use super::objects::{Event, ObjectId};
use super::settings::StripeSettings;
use super::signature::{self, NotSigned};
use super::unanswered::Unanswered;
use crate::access::secret::Secret;

/// Stripe, as the settings say.
#[derive(Debug)]
pub struct Stripe {
    client: std::io::Result<Client>,
    webhook_secrets: Vec<Secret>,
    is_live: bool,
    portal: OnceCell<ObjectId>,
    asked: Asked<TopUpId>,
    receipts: Asked<TopUpId>,
    plan_pages: Asked<SubscriptionId>,
    unanswered: Unanswered,
    heard: Heard,
}

impl Stripe {
    /// Stripe with these settings. Nothing is sent yet.
    #[must_use]
    pub fn new(settings: &StripeSettings) -> Stripe {
        Stripe {
            client: Client::new(settings),
            webhook_secrets: settings.webhook_secrets.clone(),
            is_live: settings.is_live(),
            portal: OnceCell::new(),
            asked: Asked::default(),
            receipts: Asked::default(),
            plan_pages: Asked::default(),
            unanswered: Unanswered::default(),
            heard: Heard::default(),
        }
    }

    /// Checks that requests can be sent.
    ///
    /// # Errors
    /// There is no key, or the operating system has no trusted certificate authorities.
    pub fn check(&self) -> std::io::Result<()> {
        match &self.client {
            Ok(_) => Ok(()),
            Err(error) => Err(std::io::Error::other(format!("Stripe cannot be reached: {error}"))),
        }
    }

    /// The client.
    ///
    /// # Errors
    /// No request can be sent; see [`Stripe::check`].
    pub fn client(&self) -> Result<&Client, StripeError> {
        self.client.as_ref().map_err(|_| StripeError::Unknown(Why::Unreachable))
    }

    /// The billing portal of this ledger, once it is known.
    pub fn portal(&self) -> &OnceCell<ObjectId> {
        &self.portal
    }

    /// When Stripe was asked about which top-up.
    pub fn asked(&self) -> &Asked<TopUpId> {
        &self.asked
    }

    /// When Stripe was asked for the receipt of which top-up.
    pub fn receipts(&self) -> &Asked<TopUpId> {
        &self.receipts
    }

    /// When Stripe was asked for the page of which subscription.
    pub fn plan_pages(&self) -> &Asked<SubscriptionId> {
        &self.plan_pages
    }

    /// What was heard of calls whose outcome is not known.
    pub(super) fn unanswered(&self) -> &Unanswered {
        &self.unanswered
    }

    /// Which events were carried out.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// The webhook event in a body, if it comes from Stripe.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn event(&self, header: &str, body: &Bytes, now: Timestamp) -> Result<Event, NotHeard> {
        signature::verify(header, body, &self.webhook_secrets, now).map_err(NotHeard::NotSigned)?;
        // What is not decoded must be UTF-8 too, which serde_json does not check.
        let text = std::str::from_utf8(body).map_err(serde_json::Error::custom);
        let event: Event = text.and_then(serde_json::from_str).map_err(|_| NotHeard::Malformed)?;
        if event.livemode == self.is_live { Ok(event) } else { Err(NotHeard::OtherMode) }
    }
}

/// The name of a ledger, which marks its objects at Stripe: two ledgers may share one account. It
/// is the time of its first prices, in milliseconds, which an import elsewhere keeps.
///
/// # Panics
/// If there are no prices: the first start was not prepared.
pub fn ledger_name(platform: &Platform) -> String {
    let first = platform.price_book.versions().first();
    let first = first.expect("the first start writes prices before the first request");
    first.effective_at.millis().to_string()
}

/// Why a webhook event is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotHeard {
    /// Its signature is absent, wrong or old.
    NotSigned(NotSigned),
    /// Its body is no event.
    Malformed,
    /// It is of the other mode: a test at a key that moves real money, or the reverse.
    OtherMode,
}
