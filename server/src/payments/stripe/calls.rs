//! The calls that are made at Stripe: their paths and parameters, one function each.
//!
//! Only US dollars are charged, and a price is always without tax. Objects carry our own ids as
//! metadata, so that a webhook event or a look-up finds what it belongs to.

pub mod subscriptions;

use serde::de::DeserializeOwned;

use super::client::{CallKey, Client};
use super::error::StripeError;
use super::form::Form;
use super::objects::{
    CheckoutSession, Customer, Dispute, Event, FraudWarning, Identified, List, ObjectId, PaymentIntent,
    PaymentMethod, PortalConfiguration, PortalSession, Refund,
};

/// The key of the metadata that holds the id of a workspace.
pub const WORKSPACE: &str = "workspace";

/// The key of the metadata that holds the id of a top-up.
pub const TOP_UP: &str = "top_up";

/// The key of the metadata that holds the id of the ledger: two ledgers may share one account.
pub const LEDGER: &str = "ledger";

/// The key of the metadata that holds the id of a payment refund. A refund without it was made at
/// Stripe's own pages.
pub const PAYMENT_REFUND: &str = "payment_refund";

/// The most objects of a list that are asked for at once.
const PAGE: u32 = 100;

/// Our own names, which an object at Stripe carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks<'a> {
    /// The ledger.
    pub ledger: &'a str,
    /// The workspace.
    pub workspace: &'a str,
    /// What the object is for within the workspace: the key of the metadata, and an id.
    pub subject: Option<(&'static str, &'a str)>,
}

impl Marks<'_> {
    fn write(&self, form: Form, field: &str) -> Form {
        let Marks { ledger, workspace, subject } = self;
        let named = |key: &str| format!("{field}[{key}]");
        let form = form.with(&named(LEDGER), ledger).with(&named(WORKSPACE), workspace);
        match subject {
            Some((key, id)) => form.with(&named(key), id),
            None => form,
        }
    }
}

/// A top-up to be paid on a page of Stripe.
#[derive(Debug)]
pub struct NewCheckout<'a> {
    /// Who pays.
    pub customer: &'a ObjectId,
    /// Cents, without tax.
    pub cents: i64,
    /// What the payer reads.
    pub description: &'a str,
    /// When the page expires, in seconds since 1970: 30 minutes to 24 hours from now.
    pub expires_at: i64,
    /// Where the payer comes back.
    pub return_url: &'a str,
    /// Whether Stripe adds tax.
    pub adds_tax: bool,
    /// Our own names.
    pub marks: Marks<'a>,
}

/// A payment with a saved card, without the payer.
#[derive(Debug)]
pub struct NewPayment<'a> {
    /// Who pays.
    pub customer: &'a ObjectId,
    /// The saved card.
    pub payment_method: &'a ObjectId,
    /// Cents.
    pub cents: i64,
    /// What the payer reads.
    pub description: &'a str,
    /// Our own names.
    pub marks: Marks<'a>,
}

/// A page on which one thing is bought.
struct Hosted<'a> {
    mode: &'a str,
    customer: &'a ObjectId,
    expires_at: i64,
    return_url: &'a str,
    adds_tax: bool,
}

impl Hosted<'_> {
    /// The parameters of the page, without what is bought.
    fn form(&self, marks: &Marks<'_>) -> Form {
        let form = Form::default()
            .with("mode", self.mode)
            .with("ui_mode", "hosted_page")
            .with("customer", self.customer)
            .maybe("client_reference_id", marks.subject.map(|(_, id)| id))
            .with("line_items[0][quantity]", 1)
            .with("allow_promotion_codes", false)
            // Otherwise the setting of the account may let the payer choose another currency.
            .with("adaptive_pricing[enabled]", false)
            .with("expires_at", self.expires_at)
            .with("success_url", self.return_url)
            .with("cancel_url", self.return_url);
        if !self.adds_tax {
            return form;
        }
        form.with("automatic_tax[enabled]", true)
            .with("customer_update[address]", "auto")
            .with("customer_update[name]", "auto")
            .with("tax_id_collection[enabled]", true)
    }
}

impl Client {
    /// Makes the record of a workspace.
    ///
    /// # Errors
    /// As for every call.
    pub async fn make_customer(
        &self,
        name: &str,
        marks: &Marks<'_>,
        key: &CallKey,
    ) -> Result<Customer, StripeError> {
        let form = marks.write(Form::default().with("name", name), "metadata");
        self.post("customers", form, key).await
    }

    /// The record of a workspace. Of one that was deleted only the id is left.
    ///
    /// # Errors
    /// As for every call.
    pub async fn customer(&self, id: &ObjectId) -> Result<Customer, StripeError> {
        self.get(&format!("customers/{id}"), Form::default()).await
    }

    /// Opens a page on which a top-up is paid.
    ///
    /// # Errors
    /// As for every call.
    pub async fn open_checkout(
        &self,
        new: &NewCheckout<'_>,
        key: &CallKey,
    ) -> Result<CheckoutSession, StripeError> {
        let NewCheckout { customer, cents, description, expires_at, return_url, adds_tax, marks } = new;
        let page =
            Hosted { mode: "payment", customer, expires_at: *expires_at, return_url, adds_tax: *adds_tax };
        let form = page
            .form(marks)
            .with("line_items[0][price_data][currency]", "usd")
            .with("line_items[0][price_data][unit_amount]", cents)
            .with("line_items[0][price_data][tax_behavior]", "exclusive")
            .with("line_items[0][price_data][product_data][name]", description);
        let form = marks.write(marks.write(form, "metadata"), "payment_intent_data[metadata]");
        self.post("checkout/sessions", form, key).await
    }

    /// Opens a page on which a card is saved.
    ///
    /// # Errors
    /// As for every call.
    pub async fn open_card_page(
        &self,
        customer: &ObjectId,
        return_url: &str,
        marks: &Marks<'_>,
        key: &CallKey,
    ) -> Result<CheckoutSession, StripeError> {
        let form = Form::default()
            .with("mode", "setup")
            .with("ui_mode", "hosted_page")
            .with("customer", customer)
            .with("allowed_payment_method_types[]", "card")
            .with("success_url", return_url)
            .with("cancel_url", return_url);
        let form = marks.write(marks.write(form, "metadata"), "setup_intent_data[metadata]");
        self.post("checkout/sessions", form, key).await
    }

    /// A page, with the payment and the card that came of it.
    ///
    /// # Errors
    /// As for every call.
    pub async fn checkout(&self, id: &ObjectId) -> Result<CheckoutSession, StripeError> {
        let query = Form::default()
            .with("expand[]", "payment_intent.latest_charge")
            .with("expand[]", "payment_intent.payment_method")
            .with("expand[]", "setup_intent.payment_method");
        self.get(&format!("checkout/sessions/{id}"), query).await
    }

    /// The pages of a customer, newest first. A new one may be missing for a moment.
    ///
    /// # Errors
    /// As for every call.
    pub async fn checkouts_of(&self, customer: &ObjectId) -> Result<List<CheckoutSession>, StripeError> {
        let query = Form::default().with("customer", customer).with("limit", PAGE);
        self.get("checkout/sessions", query).await
    }

    /// The page on which a payment was begun, if there is one. A new one may be missing for a
    /// moment.
    ///
    /// # Errors
    /// As for every call.
    pub async fn checkout_of(&self, payment: &ObjectId) -> Result<Option<CheckoutSession>, StripeError> {
        let query = Form::default().with("payment_intent", payment).with("limit", 1);
        let found: List<CheckoutSession> = self.get("checkout/sessions", query).await?;
        Ok(found.data.into_iter().next())
    }

    /// Closes a page that can still be paid.
    ///
    /// # Errors
    /// As for every call.
    pub async fn expire_checkout(
        &self,
        id: &ObjectId,
        key: &CallKey,
    ) -> Result<CheckoutSession, StripeError> {
        self.post(&format!("checkout/sessions/{id}/expire"), Form::default(), key).await
    }

    /// Takes a payment with a saved card.
    ///
    /// # Errors
    /// As for every call; `Declined` says that no money moved.
    pub async fn pay(&self, new: &NewPayment<'_>, key: &CallKey) -> Result<PaymentIntent, StripeError> {
        let NewPayment { customer, payment_method, cents, description, marks } = new;
        let form = Form::default()
            .with("amount", cents)
            .with("currency", "usd")
            .with("customer", customer)
            .with("payment_method", payment_method)
            .with("allowed_payment_method_types[]", "card")
            .with("confirm", true)
            .with("off_session", true)
            .with("error_on_requires_action", true)
            .with("description", description);
        self.post("payment_intents", marks.write(form, "metadata"), key).await
    }

    /// The payments of a customer, newest first. A new one may be missing for a moment.
    ///
    /// # Errors
    /// As for every call.
    pub async fn payments_of(&self, customer: &ObjectId) -> Result<Vec<PaymentIntent>, StripeError> {
        self.all_of("payment_intents", || Form::default().with("customer", customer)).await
    }

    /// A payment.
    ///
    /// # Errors
    /// As for every call.
    pub async fn payment(&self, id: &ObjectId) -> Result<PaymentIntent, StripeError> {
        let query = Form::default().with("expand[]", "latest_charge").with("expand[]", "payment_method");
        self.get(&format!("payment_intents/{id}"), query).await
    }

    /// A saved card.
    ///
    /// # Errors
    /// As for every call.
    pub async fn payment_method(&self, id: &ObjectId) -> Result<PaymentMethod, StripeError> {
        self.get(&format!("payment_methods/{id}"), Form::default()).await
    }

    /// Removes a saved card.
    ///
    /// # Errors
    /// As for every call.
    pub async fn remove_payment_method(
        &self,
        id: &ObjectId,
        key: &CallKey,
    ) -> Result<PaymentMethod, StripeError> {
        self.post(&format!("payment_methods/{id}/detach"), Form::default(), key).await
    }

    /// Sends money of a payment back.
    ///
    /// # Errors
    /// As for every call.
    pub async fn refund(
        &self,
        payment: &ObjectId,
        cents: i64,
        marks: &Marks<'_>,
        key: &CallKey,
    ) -> Result<Refund, StripeError> {
        let form = Form::default().with("payment_intent", payment).with("amount", cents);
        self.post("refunds", marks.write(form, "metadata"), key).await
    }

    /// One refund.
    ///
    /// # Errors
    /// As for every call.
    pub async fn one_refund(&self, id: &ObjectId) -> Result<Refund, StripeError> {
        self.get(&format!("refunds/{id}"), Form::default()).await
    }

    /// All that was sent back of a payment, by us and at Stripe's own pages.
    ///
    /// # Errors
    /// As for every call.
    pub async fn refunds_of(&self, payment: &ObjectId) -> Result<Vec<Refund>, StripeError> {
        self.all_of("refunds", || Form::default().with("payment_intent", payment)).await
    }

    /// One dispute.
    ///
    /// # Errors
    /// As for every call.
    pub async fn dispute(&self, id: &ObjectId) -> Result<Dispute, StripeError> {
        self.get(&format!("disputes/{id}"), Form::default()).await
    }

    /// All disputes about a payment.
    ///
    /// # Errors
    /// As for every call.
    pub async fn disputes_of(&self, payment: &ObjectId) -> Result<Vec<Dispute>, StripeError> {
        self.all_of("disputes", || Form::default().with("payment_intent", payment)).await
    }

    /// A page of the refunds that were made since a time, newest first.
    ///
    /// # Errors
    /// As for every call.
    pub async fn refunds_since(
        &self,
        since_seconds: i64,
        older_than: Option<&ObjectId>,
    ) -> Result<List<Refund>, StripeError> {
        self.since("refunds", since_seconds, older_than).await
    }

    /// A page of the disputes that were opened since a time, newest first.
    ///
    /// # Errors
    /// As for every call.
    pub async fn disputes_since(
        &self,
        since_seconds: i64,
        older_than: Option<&ObjectId>,
    ) -> Result<List<Dispute>, StripeError> {
        self.since("disputes", since_seconds, older_than).await
    }

    /// A warning that a payment is probably fraudulent.
    ///
    /// # Errors
    /// As for every call.
    pub async fn fraud_warning(&self, id: &ObjectId) -> Result<FraudWarning, StripeError> {
        self.get(&format!("radar/early_fraud_warnings/{id}"), Form::default()).await
    }

    /// Every object of a list that fits a query, page by page.
    async fn all_of<T: DeserializeOwned + Identified>(
        &self,
        list: &str,
        query: impl Fn() -> Form,
    ) -> Result<Vec<T>, StripeError> {
        let mut all: Vec<T> = Vec::new();
        loop {
            let last = all.last().map(Identified::id);
            let query = query().with("limit", PAGE).maybe("starting_after", last);
            let page: List<T> = self.get(list, query).await?;
            let is_last = !page.has_more || page.data.is_empty();
            all.extend(page.data);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// The billing portals that were set up.
    ///
    /// # Errors
    /// As for every call.
    pub async fn portals(&self) -> Result<List<PortalConfiguration>, StripeError> {
        let query = Form::default().with("active", true).with("limit", PAGE);
        self.get("billing_portal/configurations", query).await
    }

    /// Sets up a billing portal for cards, addresses and invoices. Subscriptions are changed and
    /// cancelled here alone, so that there is one path.
    ///
    /// # Errors
    /// As for every call.
    pub async fn make_portal(&self, ledger: &str, key: &CallKey) -> Result<PortalConfiguration, StripeError> {
        let form = Form::default()
            .with("features[payment_method_update][enabled]", true)
            .with("features[invoice_history][enabled]", true)
            .with("features[customer_update][enabled]", true)
            .with("features[customer_update][allowed_updates][]", "address")
            .with("features[customer_update][allowed_updates][]", "tax_id")
            .with("features[subscription_cancel][enabled]", false)
            .with("features[subscription_update][enabled]", false)
            .with("metadata[ledger]", ledger);
        self.post("billing_portal/configurations", form, key).await
    }

    /// A page of a billing portal for one customer.
    ///
    /// # Errors
    /// As for every call.
    pub async fn open_portal(
        &self,
        customer: &ObjectId,
        portal: &ObjectId,
        return_url: Option<&str>,
        key: &CallKey,
    ) -> Result<PortalSession, StripeError> {
        let form = Form::default().with("customer", customer).with("configuration", portal);
        self.post("billing_portal/sessions", form.maybe("return_url", return_url), key).await
    }

    /// A page of the events since a time, newest first, older than an event if one is named.
    ///
    /// # Errors
    /// As for every call.
    pub async fn events(
        &self,
        since_seconds: i64,
        older_than: Option<&ObjectId>,
    ) -> Result<List<Event>, StripeError> {
        self.since("events", since_seconds, older_than).await
    }

    /// A page of a list, newest first.
    async fn since<T: DeserializeOwned>(
        &self,
        list: &str,
        since_seconds: i64,
        older_than: Option<&ObjectId>,
    ) -> Result<List<T>, StripeError> {
        let query = Form::default().with("created[gte]", since_seconds).with("limit", PAGE);
        self.get(list, query.maybe("starting_after", older_than)).await
    }
}
