//! The calls about plans: prices, subscriptions and invoices.
//!
//! A price has the terms of a plan as its metadata, so a paid line says what it brings. A price and
//! an end that are in force with the next period say what is to be, so each call has a key of its
//! own. It leaves a mark on the subscription, by which an answer that was lost is known later. Only
//! the change to a dearer plan takes money, and has a key that is fixed before.

use tollkeeper_ledger::{Interval, Terms};

use super::{Hosted, Marks};
use crate::payments::stripe::client::{CallKey, Client};
use crate::payments::stripe::error::StripeError;
use crate::payments::stripe::form::Form;
use crate::payments::stripe::objects::subscriptions::{
    CREDITS, INTERVAL, Invoice, InvoicePayment, Line, PLAN, PRICE_CENTS, Price, StripeSubscription,
};
use crate::payments::stripe::objects::{CheckoutSession, List, ObjectId};

/// The key of the metadata that holds the id of a subscription.
pub const SUBSCRIPTION: &str = "subscription";

/// A subscription to be begun on a page of Stripe.
#[derive(Debug)]
pub struct NewSubscription<'a> {
    /// Who pays.
    pub customer: &'a ObjectId,
    /// What is paid.
    pub price: &'a ObjectId,
    /// When the page expires, in seconds since 1970.
    pub expires_at: i64,
    /// Where the payer comes back.
    pub return_url: &'a str,
    /// Whether Stripe adds tax.
    pub adds_tax: bool,
    /// Our own names, on the page and on the subscription.
    pub marks: Marks<'a>,
}

/// The key of the metadata of a subscription that holds the mark of the last call of
/// [`Client::set_next_period`].
pub const MARK: &str = "mark";

/// What a subscription is to be from its next period on.
#[derive(Clone, Copy, Debug)]
pub struct NextPeriod<'a> {
    /// The price, if another is to be paid.
    pub price: Option<&'a ObjectId>,
    /// Whether the subscription is to end instead, if that changes.
    pub is_ending: Option<bool>,
    /// What tells this call from others.
    pub mark: &'a str,
}

impl Client {
    /// The price with this name of ours, if there is one. A new one may be missing for a moment.
    ///
    /// # Errors
    /// As for every call.
    pub async fn price_named(&self, name: &str) -> Result<Option<Price>, StripeError> {
        let query = Form::default().with("lookup_keys[]", name).with("active", true).with("limit", 1);
        let found: List<Price> = self.get("prices", query).await?;
        Ok(found.data.into_iter().next())
    }

    /// A price.
    ///
    /// # Errors
    /// As for every call.
    pub async fn price(&self, id: &ObjectId) -> Result<Price, StripeError> {
        self.get(&format!("prices/{id}"), Form::default()).await
    }

    /// Makes the price of a plan, with the plan as its product.
    ///
    /// # Errors
    /// As for every call.
    pub async fn make_price(
        &self,
        terms: &Terms,
        (product, name, ledger): (&str, &str, &str),
        key: &CallKey,
    ) -> Result<Price, StripeError> {
        let Terms { plan, price_cents, credits, interval } = terms;
        let every = match interval {
            Interval::Month => "month",
            Interval::Year => "year",
        };
        let form = Form::default()
            .with("currency", "usd")
            .with("unit_amount", price_cents)
            .with("tax_behavior", "exclusive")
            .with("recurring[interval]", every)
            .with("lookup_key", name)
            .with("product_data[name]", product)
            .with("metadata[ledger]", ledger)
            .with(&format!("metadata[{PLAN}]"), plan)
            .with(&format!("metadata[{PRICE_CENTS}]"), price_cents)
            .with(&format!("metadata[{CREDITS}]"), credits.get())
            .with(&format!("metadata[{INTERVAL}]"), interval.as_str());
        self.post("prices", form, key).await
    }

    /// Opens a page on which the first period of a subscription is paid.
    ///
    /// # Errors
    /// As for every call.
    pub async fn open_subscription_page(
        &self,
        new: &NewSubscription<'_>,
        key: &CallKey,
    ) -> Result<CheckoutSession, StripeError> {
        let NewSubscription { customer, price, expires_at, return_url, adds_tax, marks } = new;
        let page = Hosted {
            mode: "subscription",
            customer,
            expires_at: *expires_at,
            return_url,
            adds_tax: *adds_tax,
        };
        let form = page
            .form(marks)
            .with("line_items[0][price]", price)
            .with("subscription_data[billing_mode][type]", "flexible");
        let form = marks.write(marks.write(form, "metadata"), "subscription_data[metadata]");
        self.post("checkout/sessions", form, key).await
    }

    /// A subscription.
    ///
    /// # Errors
    /// As for every call.
    pub async fn subscription(&self, id: &ObjectId) -> Result<StripeSubscription, StripeError> {
        self.get(&format!("subscriptions/{id}"), Form::default()).await
    }

    /// Says what is paid from the next period on, and whether the subscription ends with this one.
    ///
    /// # Errors
    /// As for every call.
    pub async fn set_next_period(
        &self,
        found: &StripeSubscription,
        next: NextPeriod<'_>,
        key: &CallKey,
    ) -> Result<StripeSubscription, StripeError> {
        let NextPeriod { price, is_ending, mark } = next;
        let form = match price {
            Some(price) => with_price(found, price).with("proration_behavior", "none"),
            None => Form::default(),
        };
        let form = form.maybe("cancel_at_period_end", is_ending).with(&format!("metadata[{MARK}]"), mark);
        self.post(&format!("subscriptions/{}", found.id), form, key).await
    }

    /// Changes the price for the rest of the period, which is paid at once, from this second on.
    /// Until it is paid nothing changes.
    ///
    /// # Errors
    /// As for every call.
    pub async fn change_at_once(
        &self,
        found: &StripeSubscription,
        (price, from_seconds): (&ObjectId, i64),
        key: &CallKey,
    ) -> Result<StripeSubscription, StripeError> {
        let form = with_price(found, price)
            .with("proration_behavior", "always_invoice")
            .with("payment_behavior", "pending_if_incomplete")
            .with("proration_date", from_seconds);
        self.post(&format!("subscriptions/{}", found.id), form, key).await
    }

    /// Ends a subscription now, without money back. One that has ended is not found.
    ///
    /// # Errors
    /// As for every call.
    pub async fn end_subscription(&self, id: &ObjectId) -> Result<StripeSubscription, StripeError> {
        self.delete(&format!("subscriptions/{id}")).await
    }

    /// An invoice, with how it was paid.
    ///
    /// # Errors
    /// As for every call.
    pub async fn invoice(&self, id: &ObjectId) -> Result<Invoice, StripeError> {
        self.get(&format!("invoices/{id}"), Form::default().with("expand[]", "payments")).await
    }

    /// Every invoice of a subscription that was paid, newest first. A new one may be missing for a
    /// moment.
    ///
    /// # Errors
    /// As for every call.
    pub async fn paid_invoices_of(&self, subscription: &ObjectId) -> Result<Vec<Invoice>, StripeError> {
        self.all_of("invoices", || {
            Form::default()
                .with("subscription", subscription)
                .with("status", "paid")
                .with("expand[]", "data.payments")
        })
        .await
    }

    /// Every line of an invoice.
    ///
    /// # Errors
    /// As for every call.
    pub async fn lines_of(&self, invoice: &Invoice) -> Result<Vec<Line>, StripeError> {
        if !invoice.lines.has_more {
            return Ok(invoice.lines.data.clone());
        }
        self.all_of(&format!("invoices/{}/lines", invoice.id), Form::default).await
    }

    /// Voids an invoice that is not paid.
    ///
    /// # Errors
    /// As for every call.
    pub async fn void_invoice(&self, id: &ObjectId, key: &CallKey) -> Result<Invoice, StripeError> {
        self.post(&format!("invoices/{id}/void"), Form::default(), key).await
    }

    /// The invoice that a payment paid, if it paid one.
    ///
    /// # Errors
    /// As for every call.
    pub async fn invoice_of_payment(&self, payment: &ObjectId) -> Result<Option<ObjectId>, StripeError> {
        let query = Form::default()
            .with("payment[type]", "payment_intent")
            .with("payment[payment_intent]", payment)
            .with("limit", 1);
        let found: List<InvoicePayment> = self.get("invoice_payments", query).await?;
        Ok(found.data.first().map(|payment| payment.invoice.id().clone()))
    }
}

/// The one item of a subscription with another price.
fn with_price(found: &StripeSubscription, price: &ObjectId) -> Form {
    let item = found.items.data.first().map(|item| &item.id);
    Form::default().maybe("items[0][id]", item).with("items[0][price]", price)
}
