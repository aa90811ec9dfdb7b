//! What is read of Stripe's objects: ids, states and amounts.
//!
//! A field that is not used is not decoded, so a new field or a new value elsewhere breaks nothing.
//! A state that this version does not know is `Other`; it means: decide nothing, look again later.

pub mod subscriptions;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer};

use super::error::{Decline, OnlyId};

/// The most characters of an id; Stripe gives at most 255.
const ID_MAX: usize = 255;

/// The id of an object, such as `pi_3N…`: letters, digits and `_`, so it can stand in a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ObjectId(Box<str>);

impl ObjectId {
    /// An id from its text; `None` if the text cannot be one.
    #[must_use]
    pub fn new(text: &str) -> Option<ObjectId> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let fits = !text.is_empty() && text.len() <= ID_MAX && text.chars().all(is_plain);
        fits.then(|| ObjectId(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ObjectId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<ObjectId, &'static str> {
        ObjectId::new(&text).ok_or("not an id")
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An object that knows its id.
pub trait Identified {
    /// The id.
    fn id(&self) -> &ObjectId;
}

/// A field that holds an id, or the object if the request asked to expand it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum Reference<T> {
    /// The id alone.
    Id(ObjectId),
    /// The object.
    Whole(Box<T>),
}

impl<T: Identified> Reference<T> {
    /// The id.
    #[must_use]
    pub fn id(&self) -> &ObjectId {
        match self {
            Reference::Id(id) => id,
            Reference::Whole(object) => object.id(),
        }
    }

    /// The object, if it was expanded.
    #[must_use]
    pub fn whole(&self) -> Option<&T> {
        match self {
            Reference::Id(_) => None,
            Reference::Whole(object) => Some(object),
        }
    }
}

macro_rules! identified {
    ($($name:ident),+) => {
        $(impl Identified for $name {
            fn id(&self) -> &ObjectId {
                &self.id
            }
        })+
    };
}

identified!(
    Customer,
    FraudWarning,
    CheckoutSession,
    PaymentIntent,
    SetupIntent,
    PaymentMethod,
    Payment,
    Refund,
    Dispute,
    Event,
    PortalConfiguration
);

/// Our own words on an object, by name.
pub type Metadata = BTreeMap<String, String>;

/// Metadata that may be null.
/// An id, if the value is one. Events of objects that are not used may hold anything.
fn if_plain<'de, D: Deserializer<'de>>(value: D) -> Result<Option<ObjectId>, D::Error> {
    Ok(serde_json::Value::deserialize(value)?.as_str().and_then(ObjectId::new))
}

fn or_empty<'de, D: Deserializer<'de>>(value: D) -> Result<Metadata, D::Error> {
    Ok(Option::<Metadata>::deserialize(value)?.unwrap_or_default())
}

/// A page of a list, newest first.
#[derive(Clone, Debug, Deserialize)]
pub struct List<T> {
    /// The objects.
    pub data: Vec<T>,
    /// True if there are older ones.
    pub has_more: bool,
}

/// Who pays: the record of a workspace at Stripe.
#[derive(Clone, Debug, Deserialize)]
pub struct Customer {
    /// Its id.
    pub id: ObjectId,
    /// True if it was deleted.
    #[serde(default)]
    pub deleted: bool,
    /// Names the workspace.
    #[serde(default, deserialize_with = "or_empty")]
    pub metadata: Metadata,
}

/// Whether a Checkout session can be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// The payer may still pay.
    Open,
    /// The payer is done. A delayed payment may be under way.
    Complete,
    /// It can be paid no more.
    Expired,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

/// A page of Stripe on which a payer pays or saves a card.
#[derive(Clone, Debug, Deserialize)]
pub struct CheckoutSession {
    /// Its id.
    pub id: ObjectId,
    /// Whether it can be paid.
    pub status: Option<SessionStatus>,
    /// The page, while the session is open.
    pub url: Option<String>,
    /// When it expires, in seconds since 1970.
    pub expires_at: i64,
    /// What is paid, tax included, in cents.
    pub amount_total: Option<i64>,
    /// The parts of the total.
    pub total_details: Option<TotalDetails>,
    /// The currency, in lower case.
    pub currency: Option<String>,
    /// Our own name for what is paid.
    pub client_reference_id: Option<String>,
    /// Who pays.
    pub customer: Option<Reference<Customer>>,
    /// The payment, once the payer has begun.
    pub payment_intent: Option<Reference<PaymentIntent>>,
    /// The saving of a card, in a session without a payment.
    pub setup_intent: Option<Reference<SetupIntent>>,
    /// The subscription, once its first period was paid.
    pub subscription: Option<Reference<OnlyId>>,
    /// Our own words.
    #[serde(default, deserialize_with = "or_empty")]
    pub metadata: Metadata,
}

impl CheckoutSession {
    /// The tax in the total, in cents.
    #[must_use]
    pub fn tax_cents(&self) -> i64 {
        self.total_details.as_ref().map_or(0, |details| details.amount_tax)
    }
}

/// The parts of a session's total.
#[derive(Clone, Debug, Deserialize)]
pub struct TotalDetails {
    /// Tax in cents.
    pub amount_tax: i64,
}

/// How far a PaymentIntent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentStatus {
    /// The money came in.
    Succeeded,
    /// A delayed payment is under way.
    Processing,
    /// The payer must authenticate.
    RequiresAction,
    /// A card is missing, or was declined.
    RequiresPaymentMethod,
    /// It waits for our confirmation.
    RequiresConfirmation,
    /// It was cancelled.
    Canceled,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

/// A payment, from its beginning to the money.
#[derive(Clone, Debug, Deserialize)]
pub struct PaymentIntent {
    /// Its id.
    pub id: ObjectId,
    /// How far it is.
    pub status: IntentStatus,
    /// What came in, in cents.
    pub amount_received: i64,
    /// The currency, in lower case.
    pub currency: String,
    /// Who pays.
    pub customer: Option<Reference<Customer>>,
    /// The card.
    pub payment_method: Option<Reference<PaymentMethod>>,
    /// The last attempt.
    pub latest_charge: Option<Reference<Payment>>,
    /// Why the last attempt was declined.
    pub last_payment_error: Option<Decline>,
    /// `off_session` if the payer agreed that the card is saved.
    pub setup_future_usage: Option<String>,
    /// Our own words.
    #[serde(default, deserialize_with = "or_empty")]
    pub metadata: Metadata,
}

/// One attempt to take money. Stripe calls it a charge; here a charge pays for an operation.
#[derive(Clone, Debug, Deserialize)]
pub struct Payment {
    /// Its id.
    pub id: ObjectId,
    /// The page of the receipt.
    pub receipt_url: Option<String>,
}

/// How far the saving of a card is.
#[derive(Clone, Debug, Deserialize)]
pub struct SetupIntent {
    /// Its id.
    pub id: ObjectId,
    /// How far it is.
    pub status: IntentStatus,
    /// The card.
    pub payment_method: Option<Reference<PaymentMethod>>,
}

/// A saved card.
#[derive(Clone, Debug, Deserialize)]
pub struct PaymentMethod {
    /// Its id.
    pub id: ObjectId,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Whose it is; none once it was removed.
    pub customer: Option<Reference<Customer>>,
    /// The card; none if it is another method.
    pub card: Option<Card>,
}

/// What is known of a card.
#[derive(Clone, Debug, Deserialize)]
pub struct Card {
    /// The brand.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
    /// The last month in which it is valid.
    pub exp_month: u8,
    /// The year of that month.
    pub exp_year: u16,
}

/// How far a refund to the payer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// It is under way.
    Pending,
    /// The payer must act.
    RequiresAction,
    /// The money went back.
    Succeeded,
    /// The money came back to us.
    Failed,
    /// It was cancelled.
    Canceled,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

/// Money that goes back to the payer.
#[derive(Clone, Debug, Deserialize)]
pub struct Refund {
    /// Its id.
    pub id: ObjectId,
    /// How far it is.
    pub status: RefundStatus,
    /// Cents.
    pub amount: i64,
    /// The currency, in lower case.
    pub currency: String,
    /// The payment.
    pub payment_intent: Option<Reference<PaymentIntent>>,
    /// Our own words.
    #[serde(default, deserialize_with = "or_empty")]
    pub metadata: Metadata,
}

impl Refund {
    /// True if the money goes back, or went.
    #[must_use]
    pub const fn takes(&self) -> bool {
        !matches!(self.status, RefundStatus::Failed | RefundStatus::Canceled)
    }
}

/// How far a dispute is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum DisputeStatus {
    /// It takes no money: an inquiry, prevented, or won.
    TakesNothing,
    /// It takes the money and is not decided. What this version does not know counts as this.
    Takes,
    /// It took the money and is decided, unless an appeal follows.
    Lost,
}

impl From<String> for DisputeStatus {
    fn from(text: String) -> DisputeStatus {
        let takes_nothing = text.starts_with("warning_") || matches!(text.as_str(), "prevented" | "won");
        match text.as_str() {
            _ if takes_nothing => DisputeStatus::TakesNothing,
            "lost" => DisputeStatus::Lost,
            _ => DisputeStatus::Takes,
        }
    }
}

/// The payer's bank asks for the money back.
#[derive(Clone, Debug, Deserialize)]
pub struct Dispute {
    /// Its id.
    pub id: ObjectId,
    /// Whether it takes money.
    pub status: DisputeStatus,
    /// Cents.
    pub amount: i64,
    /// The currency, in lower case.
    pub currency: String,
    /// When it was opened, in seconds since 1970.
    pub created: i64,
    /// The payment.
    pub payment_intent: Option<Reference<PaymentIntent>>,
}

/// The network of a card reports that a payment is probably fraudulent.
#[derive(Clone, Debug, Deserialize)]
pub struct FraudWarning {
    /// Its id.
    pub id: ObjectId,
    /// When, in seconds since 1970.
    pub created: i64,
    /// The payment.
    pub payment_intent: Option<Reference<PaymentIntent>>,
}

/// A page on which a payer manages cards and invoices.
#[derive(Clone, Debug, Deserialize)]
pub struct PortalSession {
    /// The page.
    pub url: String,
}

/// What a billing portal lets a payer do.
#[derive(Clone, Debug, Deserialize)]
pub struct PortalConfiguration {
    /// Its id.
    pub id: ObjectId,
    /// Our own words.
    #[serde(default, deserialize_with = "or_empty")]
    pub metadata: Metadata,
}

/// Something that happened at Stripe. The object in it is a copy of that moment in a version that
/// may be another one, so only its id is read.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// Its id.
    pub id: ObjectId,
    /// What happened, such as `invoice.paid`.
    #[serde(rename = "type")]
    pub kind: String,
    /// False in test mode.
    pub livemode: bool,
    /// When, in seconds since 1970.
    pub created: i64,
    /// What it happened to.
    pub data: EventData,
}

/// What an event happened to.
#[derive(Clone, Debug, Deserialize)]
pub struct EventData {
    /// The object.
    pub object: EventObject,
    /// What was otherwise before.
    pub previous_attributes: Option<EventBefore>,
}

/// The object of an event.
#[derive(Clone, Debug, Deserialize)]
pub struct EventObject {
    /// Its id; none if it has none, or one of another form, such as that of a plan.
    #[serde(default, deserialize_with = "if_plain")]
    pub id: Option<ObjectId>,
    /// Our own words. They tell whose a deleted customer was, which Stripe says no more.
    #[serde(default, deserialize_with = "or_empty")]
    pub metadata: Metadata,
}

/// What was otherwise before an event.
#[derive(Clone, Debug, Deserialize)]
pub struct EventBefore {
    /// The customer. It tells whose a removed card was, which Stripe says no more.
    #[serde(default, deserialize_with = "if_plain")]
    pub customer: Option<ObjectId>,
}

#[cfg(test)]
mod tests {
    use super::{DisputeStatus, Event, IntentStatus, ObjectId, PaymentIntent};

    #[test]
    fn an_id_can_stand_in_a_path() {
        assert!(ObjectId::new("pi_3Nx").is_some());
        for wrong in ["", "a/b", "a?b", "a b", "..", "ü", "a\n", &"a".repeat(256)] {
            assert_eq!(ObjectId::new(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_state_that_is_not_known_decides_nothing() {
        let intent: PaymentIntent = serde_json::from_str(
            r#"{"id":"pi_1","status":"requires_something","amount_received":0,"currency":"usd","new":[1]}"#,
        )
        .expect("unknown fields and states are read");
        assert_eq!(intent.status, IntentStatus::Other);
        let of = |text: &str| DisputeStatus::from(text.to_owned());
        for takes in ["needs_response", "under_review", "appeal_under_review", "some_new_state"] {
            assert_eq!(of(takes), DisputeStatus::Takes, "{takes}");
        }
        assert_eq!(of("lost"), DisputeStatus::Lost);
        for keeps in ["warning_needs_response", "warning_closed", "prevented", "won"] {
            assert_eq!(of(keeps), DisputeStatus::TakesNothing, "{keeps}");
        }
    }

    #[test]
    fn of_an_event_only_type_mode_and_ids_are_read() {
        let event: Event = serde_json::from_str(
            r#"{"id":"evt_1","type":"balance.available","livemode":false,"created":5,"data":{"object":{"a":1}}}"#,
        )
        .expect("the object of an event may be anything");
        assert_eq!((event.kind.as_str(), event.data.object.id), ("balance.available", None));
        let plan: Event = serde_json::from_str(
            r#"{"id":"evt_2","type":"plan.created","livemode":false,"created":5,"data":{"object":{"id":"gold-plan"}}}"#,
        )
        .expect("the id of an object that is not used may be anything");
        assert_eq!(plan.data.object.id, None);
    }
}
