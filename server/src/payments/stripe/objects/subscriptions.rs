//! What is read of Stripe's prices, subscriptions and invoices.

use serde::{Deserialize, Deserializer};
use tollkeeper_ledger::{Ends, Interval, Micros, PlanId, Terms};

use super::{Identified, List, Metadata, ObjectId, Reference, or_empty};
use crate::payments::stripe::calls::subscriptions::MARK;
use crate::payments::stripe::error::OnlyId;

/// The keys of the metadata of a price that hold the terms of its plan.
pub const PLAN: &str = "plan";
pub const PRICE_CENTS: &str = "price_cents";
pub const CREDITS: &str = "credits";
pub const INTERVAL: &str = "interval";

/// What a plan costs.
#[derive(Clone, Debug, Deserialize)]
pub struct Price {
    /// Its id.
    pub id: ObjectId,
    /// What an interval costs, in cents.
    pub unit_amount: Option<i64>,
    /// The currency, in lower case.
    pub currency: String,
    /// The terms of the plan, by name.
    #[serde(default, deserialize_with = "or_empty")]
    pub metadata: Metadata,
}

impl Price {
    /// The terms of the plan that it was made for; `None` if it was not made here.
    #[must_use]
    pub fn terms(&self) -> Option<Terms> {
        let text = |key: &str| self.metadata.get(key).map(String::as_str);
        let interval = [Interval::Month, Interval::Year].into_iter();
        let terms = Terms {
            plan: PlanId::new(text(PLAN)?).ok()?,
            price_cents: text(PRICE_CENTS)?.parse().ok()?,
            credits: Micros::new(text(CREDITS)?.parse().ok()?),
            interval: interval.clone().find(|interval| Some(interval.as_str()) == text(INTERVAL))?,
        };
        (self.unit_amount == Some(terms.price_cents)).then_some(terms)
    }
}

/// A plan that runs at Stripe.
#[derive(Clone, Debug, Deserialize)]
pub struct StripeSubscription {
    /// Its id.
    pub id: ObjectId,
    /// How it is, such as `active` or `past_due`.
    pub status: String,
    /// Our own words.
    #[serde(default, deserialize_with = "or_empty")]
    pub metadata: Metadata,
    /// True if it ends with its period.
    #[serde(default)]
    pub cancel_at_period_end: bool,
    /// When it ends, which may be set instead.
    pub cancel_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Its one item.
    pub items: List<Item>,
    /// A change that waits for its payment.
    pub pending_update: Option<PendingUpdate>,
    /// The last invoice.
    pub latest_invoice: Option<Reference<OnlyId>>,
}

impl StripeSubscription {
    /// True if nothing more is paid for it by itself.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended_at.is_some() || matches!(self.status.as_str(), "canceled" | "incomplete_expired")
    }

    /// True if it will end with its period. One that is to end later is paid for until then.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        let end = self.items.data.first().map_or(0, |item| item.current_period_end);
        self.cancel_at_period_end || self.cancel_at.is_some_and(|at| at <= end)
    }

    /// The mark of the last call of this ledger that set its next period; `None` if there was none.
    #[must_use]
    pub fn mark(&self) -> Option<&str> {
        self.metadata.get(MARK).map(String::as_str)
    }

    /// Whether it ends.
    #[must_use]
    pub fn ends(&self) -> Ends {
        match () {
            () if self.has_ended() => Ends::Now,
            () if self.is_ending() => Ends::WithPeriod,
            () => Ends::No,
        }
    }

    /// The terms that are paid next.
    #[must_use]
    pub fn terms(&self) -> Option<Terms> {
        self.items.data.first()?.price.terms()
    }
}

/// A change that waits for its payment.
#[derive(Clone, Debug, Deserialize)]
pub struct PendingUpdate {
    /// What the subscription will be about.
    pub subscription_items: Option<Vec<PendingItem>>,
}

/// What a subscription will be about.
#[derive(Clone, Debug, Deserialize)]
pub struct PendingItem {
    /// The price.
    pub price: Price,
}

impl PendingUpdate {
    /// The terms that the change leads to.
    #[must_use]
    pub fn terms(&self) -> Option<Terms> {
        self.subscription_items.as_ref()?.first()?.price.terms()
    }
}

/// What a subscription is about.
#[derive(Clone, Debug, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: ObjectId,
    /// The price.
    pub price: Price,
    /// When its period ends, in seconds since 1970.
    pub current_period_end: i64,
}

/// A bill.
#[derive(Clone, Debug, Deserialize)]
pub struct Invoice {
    /// Its id.
    pub id: ObjectId,
    /// How far it is, such as `paid`.
    pub status: Option<String>,
    /// Why it was made.
    pub billing_reason: Option<String>,
    /// The currency, in lower case.
    pub currency: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// What it belongs to.
    pub parent: Option<InvoiceParent>,
    /// What is to be paid, in cents.
    pub total: i64,
    /// The same without tax.
    pub total_excluding_tax: Option<i64>,
    /// The first of its lines.
    pub lines: List<Line>,
    /// How it was paid, if the request asked to expand it.
    pub payments: Option<List<InvoicePayment>>,
}

impl Invoice {
    /// True if its money came in.
    #[must_use]
    pub fn is_paid(&self) -> bool {
        self.status.as_deref() == Some("paid")
    }

    /// What came in by all its payments, in cents.
    #[must_use]
    pub fn received_cents(&self) -> i64 {
        self.paid_with().map(|(_, cents)| cents).fold(0, i64::saturating_add)
    }

    /// The tax in its total, in cents.
    #[must_use]
    pub fn tax_cents(&self) -> i64 {
        self.total_excluding_tax.map_or(0, |net| self.total.saturating_sub(net))
    }

    /// The payments that it was paid with, and what came in by each, in cents.
    pub fn paid_with(&self) -> impl Iterator<Item = (&ObjectId, i64)> {
        let paid = self.payments.iter().flat_map(|payments| &payments.data);
        paid.filter_map(|paid| Some((paid.payment.payment_intent.as_ref()?.id(), paid.amount_paid?)))
    }

    /// The subscription.
    #[must_use]
    pub fn subscription(&self) -> Option<&ObjectId> {
        self.parent.as_ref()?.subscription_details.as_ref()?.subscription.as_ref().map(Reference::id)
    }
}

/// What an invoice belongs to.
#[derive(Clone, Debug, Deserialize)]
pub struct InvoiceParent {
    /// The subscription, if it is of one.
    pub subscription_details: Option<SubscriptionDetails>,
}

/// The subscription of an invoice.
#[derive(Clone, Debug, Deserialize)]
pub struct SubscriptionDetails {
    /// Its id.
    pub subscription: Option<Reference<OnlyId>>,
}

/// A line of an invoice.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    /// Its id.
    pub id: ObjectId,
    /// Cents, without tax and before discounts.
    pub amount: i64,
    /// What is taken off.
    #[serde(default, deserialize_with = "or_none")]
    pub discount_amounts: Vec<DiscountAmount>,
    /// Its taxes.
    #[serde(default, deserialize_with = "or_none")]
    pub taxes: Vec<LineTax>,
    /// The time that is paid for.
    pub period: Period,
    /// The price.
    pub pricing: Option<Pricing>,
    /// What it belongs to.
    pub parent: Option<LineParent>,
}

impl Line {
    /// Cents, without tax and after discounts.
    #[must_use]
    pub fn net_cents(&self) -> i64 {
        self.discount_amounts
            .iter()
            .fold(self.amount, |cents, discount| cents.saturating_sub(discount.amount))
    }

    /// Cents of tax that come on top.
    #[must_use]
    pub fn tax_cents(&self) -> i64 {
        let on_top = self.taxes.iter().filter(|tax| tax.tax_behavior.as_deref() != Some("inclusive"));
        on_top.map(|tax| tax.amount).fold(0, i64::saturating_add)
    }

    /// The item of the subscription that it is about; `None` if it is about something else.
    #[must_use]
    pub fn item(&self) -> Option<&LineItem> {
        self.parent.as_ref()?.subscription_item_details.as_ref()
    }

    /// True if it is about a change within a period.
    #[must_use]
    pub fn is_proration(&self) -> bool {
        self.item().is_some_and(|item| item.proration)
    }

    /// The id of its price.
    #[must_use]
    pub fn price(&self) -> Option<&ObjectId> {
        self.pricing.as_ref()?.price_details.as_ref()?.price.as_ref().map(Reference::id)
    }
}

impl Identified for Line {
    fn id(&self) -> &ObjectId {
        &self.id
    }
}

impl Identified for Invoice {
    fn id(&self) -> &ObjectId {
        &self.id
    }
}

/// A tax on a line.
#[derive(Clone, Debug, Deserialize)]
pub struct LineTax {
    /// Cents.
    pub amount: i64,
    /// Whether the amount of the line has it in it (`inclusive`) or not.
    pub tax_behavior: Option<String>,
}

/// What is taken off a line.
#[derive(Clone, Debug, Deserialize)]
pub struct DiscountAmount {
    /// Cents.
    pub amount: i64,
}

/// The time that a line pays for, in seconds since 1970.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Period {
    /// Its first second.
    pub start: i64,
}

/// The price of a line.
#[derive(Clone, Debug, Deserialize)]
pub struct Pricing {
    /// The price, if it has one.
    pub price_details: Option<PriceDetails>,
}

/// The price of a line.
#[derive(Clone, Debug, Deserialize)]
pub struct PriceDetails {
    /// Its id.
    pub price: Option<Reference<OnlyId>>,
}

/// What a line belongs to.
#[derive(Clone, Debug, Deserialize)]
pub struct LineParent {
    /// The item of a subscription, if it is of one.
    pub subscription_item_details: Option<LineItem>,
}

/// The item of a subscription that a line is about.
#[derive(Clone, Debug, Deserialize)]
pub struct LineItem {
    /// True if it is about a change within a period.
    #[serde(default)]
    pub proration: bool,
}

/// How an invoice was paid.
#[derive(Clone, Debug, Deserialize)]
pub struct InvoicePayment {
    /// The invoice.
    pub invoice: Reference<OnlyId>,
    /// What came in, in cents.
    pub amount_paid: Option<i64>,
    /// With what.
    pub payment: PaidWith,
}

/// With what an invoice was paid.
#[derive(Clone, Debug, Deserialize)]
pub struct PaidWith {
    /// The payment.
    pub payment_intent: Option<Reference<OnlyId>>,
}

fn or_none<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(value)?.unwrap_or_default())
}
