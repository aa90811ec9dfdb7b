//! Compares the subscriptions of the ledger with those of the stand-in.
//!
//! - Each invoice that was paid there is one payment here, with its cents and the credit that its
//!   price promises, also for the months to come. What fits none is listed as unmatched, and money
//!   for a subscription that is not the workspace's went back.
//! - What was refunded and disputed of it is lost here, with its share of the credit, as far as it
//!   exceeds what the invoice asked for besides the plan.
//! - At most one subscription of a workspace goes on at Stripe. It is the one that goes on here,
//!   with the same price of the next period, the same end, and as many periods.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use tollkeeper_engine::{GrantRecord, Page, Reads};
use tollkeeper_ledger::{Payments, Source, Subscription, SubscriptionPayment, Terms, WorkspaceId};

use super::books::lost_without_tax;
use super::*;

/// Stripe tries to collect a period an hour after it began, and the ledger waits for two.
const LATE: i64 = 3 * HOUR;

/// The terms that the price of an invoice promises.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Promise {
    plan: String,
    cents: i64,
    credits: i64,
    interval: String,
}

impl Promise {
    fn of(price: &Value) -> Promise {
        let word = |name: &str| text(&price["metadata"], name).to_owned();
        let promise = Promise {
            plan: word("plan"),
            cents: int(price, "unit_amount"),
            credits: word("credits").parse().expect("a price says what it brings"),
            interval: text(&price["recurring"], "interval").to_owned(),
        };
        assert_eq!(
            (word("price_cents"), word("interval")),
            (promise.cents.to_string(), promise.interval.clone())
        );
        promise
    }

    fn months(&self) -> i64 {
        if self.interval == "year" { 12 } else { 1 }
    }

    fn is_of(&self, terms: &Terms) -> bool {
        (self.plan.as_str(), self.cents, self.credits, self.interval.as_str())
            == (terms.plan.as_str(), terms.price_cents, terms.credits.get(), terms.interval.as_str())
    }
}

/// What a paid invoice paid for.
#[derive(Clone, Debug)]
enum Bought {
    Nothing,
    Period { start: i64, promise: Promise },
    Change { at: i64, before: Promise, after: Promise },
}

/// An invoice at the stand-in that was paid.
#[derive(Debug)]
struct PaidInvoice {
    id: String,
    /// The subscription at the stand-in.
    reference: String,
    /// The subscription of the ledger.
    subscription: String,
    anchor: i64,
    bought: Bought,
    /// What was paid for the plan, without tax.
    cents: i64,
    tax_cents: i64,
    /// What it asked for besides, and what was owed before and came in too, with tax.
    rest_cents: i64,
    /// True if it has something besides the plan, which is listed.
    has_rest: bool,
    /// What went back of its payment or is disputed, with tax.
    lost_cents: i64,
    /// What came in for it, with tax.
    received_cents: i64,
    /// The names of the refunds of it that failed.
    failed_refunds: Vec<String>,
    /// True if a dispute about its payment was opened.
    was_disputed: bool,
}

impl PaidInvoice {
    fn name(&self) -> String {
        format!("stripe:{}", self.id)
    }

    /// All credit that it brings: at once, and with the months to come.
    fn credits(&self) -> i64 {
        match &self.bought {
            Bought::Nothing => 0,
            Bought::Period { promise, .. } => promise.credits * promise.months(),
            Bought::Change { at, before, after } => {
                let more = i128::from(after.credits - before.credits);
                // The clock of the ledger has milliseconds.
                let asked_at = 1_000 * at + NOW.rem_euclid(1_000);
                let months = whole_months(self.anchor, *at);
                let month = |number| 1_000 * month_start(self.anchor, number);
                let (start, end) = (month(months), month(months + 1));
                let share = more * i128::from(end - asked_at) / i128::from(end - start);
                let length = after.months();
                let to_come = more * i128::from(length - 1 - months.rem_euclid(length));
                i64::try_from(share + to_come).expect("the credit of plans is bounded")
            }
        }
    }
}

/// The lines of an invoice that are for a plan.
fn plan_lines(invoice: &Value) -> Vec<&Value> {
    let lines = invoice["lines"]["data"].as_array().into_iter().flatten();
    lines.filter(|line| line["parent"]["subscription_item_details"].is_object()).collect()
}

fn sum(list: &Value) -> i64 {
    list.as_array().into_iter().flatten().map(|one| int(one, "amount")).sum()
}

/// The start of a month, k months after the anchor, in seconds.
fn month_start(anchor: i64, number: i64) -> i64 {
    let anchor = jiff::Timestamp::from_second(anchor).expect("it is a time").to_zoned(TimeZone::UTC);
    let start: Zoned = anchor.checked_add(number.months()).expect("it is within the calendar");
    start.timestamp().as_second()
}

/// The number of whole months from the anchor to a time.
fn whole_months(anchor: i64, at: i64) -> i64 {
    (0..).take_while(|number| month_start(anchor, number + 1) <= at).count().try_into().expect("they are few")
}

/// What a comparison of plans found, in micro-units, cents and numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanSums {
    /// The credit that is not lost.
    pub micros: i64,
    pub periods: u64,
    pub changes: u64,
    pub cents: i64,
    pub lost_cents: i64,
    /// Invoices that were paid, fit nothing, and are listed.
    pub unmatched: u64,
    pub running: u64,
    pub ended: u64,
    pub past_due: u64,
}

impl std::ops::AddAssign for PlanSums {
    fn add_assign(&mut self, other: PlanSums) {
        let PlanSums { micros, periods, changes, cents, lost_cents, unmatched, running, ended, past_due } =
            other;
        self.micros += micros;
        self.periods += periods;
        self.changes += changes;
        self.cents += cents;
        self.lost_cents += lost_cents;
        self.unmatched += unmatched;
        self.running += running;
        self.ended += ended;
        self.past_due += past_due;
    }
}

impl Shop {
    /// Asserts that the ledger and the stand-in agree about the plans of a workspace.
    pub async fn assert_plans_agree(&self, name: &str) -> PlanSums {
        let workspace = WorkspaceId::new(name).expect("it is a name");
        let payments = self.world.app.engine().payments(&workspace).await.expect("a healthy disk");
        let payments = payments.unwrap_or_default();
        let there: Vec<Value> = self.stripe.objects("subscription");
        let is_own = |subscription: &&Value| subscription["metadata"]["workspace"] == name;
        let there: Vec<&Value> = there.iter().filter(is_own).collect();
        let invoices = self.paid_invoices(&there);
        let unmatched = self.unmatched();
        let mut sums = PlanSums::default();
        let mut known = BTreeSet::new();
        for invoice in &invoices {
            let payment = payments.of_subscriptions.iter().find(|payment| *payment.payment == invoice.name());
            match payment {
                Some(payment) => {
                    assert_payment(name, invoice, payment, &payments);
                    known.insert(invoice.name());
                    let is_listed = unmatched.contains(&invoice.name());
                    assert_eq!(is_listed, invoice.has_rest, "{name}: the rest of {invoice:#?}");
                    sums.cents += payment.cents;
                    sums.lost_cents += payments.lost_cents(&payment.payment).unwrap_or_default();
                    match invoice.bought {
                        Bought::Change { .. } => sums.changes += 1,
                        _ => sums.periods += 1,
                    }
                }
                None if invoice.received_cents == 0 && invoice.cents + invoice.tax_cents <= 0 => {
                    let is_listed = unmatched.contains(&invoice.name());
                    assert!(is_listed || !invoice.has_rest, "{name}: {invoice:#?}");
                }
                None => {
                    let is_listed = unmatched.contains(&invoice.name());
                    assert!(is_listed, "{name}: money without credit: {invoice:#?} {payments:#?}");
                    let is_surplus = !is_known(&payments, invoice, &invoices);
                    // What failed to go back is left to an operator. So is what was disputed when
                    // it was to go back: Stripe refuses that, also if the dispute is won later.
                    let is_back = invoice.lost_cents >= invoice.received_cents
                        || invoice.failed_refunds.iter().any(|failed| unmatched.contains(failed))
                        || invoice.was_disputed && self.is_left_to_an_operator(&invoice.name());
                    assert!(!is_surplus || is_back, "{name}: surplus money was kept: {invoice:#?}");
                    sums.unmatched += 1;
                }
            }
        }
        for payment in &payments.of_subscriptions {
            assert!(known.contains(&*payment.payment), "{name}: credit without money: {payment:#?}");
        }
        let grants = self.plan_grants(&workspace).await;
        assert_grants(name, &grants, &payments);
        sums.micros = credit_left(&grants, &payments);
        assert_states(name, &payments, (&there, &invoices), self.stripe.now(), &mut sums);
        sums
    }

    async fn plan_grants(&self, workspace: &WorkspaceId) -> Vec<GrantRecord> {
        let page = Page { limit: 200, cursor: None };
        let grants = self.world.app.engine().grants(workspace, page).await.expect("a healthy disk");
        let grants = grants.expect("it exists").data;
        assert!(grants.len() < 200, "a history has one page of grants");
        grants.into_iter().filter(|grant| grant.grant.source == Source::Subscription).collect()
    }

    /// The invoices of these subscriptions that were paid.
    fn paid_invoices(&self, there: &[&Value]) -> Vec<PaidInvoice> {
        let (refunds, disputes) = (self.stripe.objects("refund"), self.stripe.objects("dispute"));
        let payments = self.stripe.objects("invoice_payment");
        let of = |subscription: &str| there.iter().find(|one| one["id"] == subscription).copied();
        let invoices = self.stripe.objects("invoice").into_iter();
        let paid = invoices.filter(|invoice| invoice["status"] == "paid").filter_map(|invoice| {
            let details = &invoice["parent"]["subscription_details"];
            let subscription = of(text(details, "subscription"))?;
            let is_of = |payment: &&Value| payment["invoice"] == invoice["id"] && payment["status"] == "paid";
            let payment = payments.iter().find(is_of);
            let intent = payment.map_or("", |payment| text(&payment["payment"], "payment_intent"));
            let of_plan = plan_lines(&invoice);
            let net = |line: &&Value| int(line, "amount") - sum(&line["discount_amounts"]);
            let cents = of_plan.iter().map(net).sum::<i64>().max(0);
            let tax_cents = of_plan.iter().map(|line| sum(&line["taxes"])).sum::<i64>().max(0);
            let total = int(&invoice, "total");
            let has_failed = |refund: &&Value| {
                refund["payment_intent"] == intent && matches!(text(refund, "status"), "failed" | "canceled")
            };
            let failed_refunds = refunds.iter().filter(has_failed);
            let failed_refunds = failed_refunds.map(|refund| format!("stripe:{}", text(refund, "id")));
            let received_cents = payment.map_or(0, |payment| int(payment, "amount_paid"));
            Some(PaidInvoice {
                id: text(&invoice, "id").to_owned(),
                reference: text(subscription, "id").to_owned(),
                subscription: text(&subscription["metadata"], "subscription").to_owned(),
                anchor: int(subscription, "billing_cycle_anchor"),
                bought: self.bought(&invoice),
                cents,
                tax_cents,
                rest_cents: (total.max(received_cents) - cents - tax_cents).max(0),
                has_rest: total > cents + tax_cents,
                lost_cents: super::books::lost_elsewhere(intent, &refunds, &disputes),
                received_cents,
                failed_refunds: failed_refunds.collect(),
                was_disputed: disputes.iter().any(|dispute| dispute["payment_intent"] == intent),
            })
        });
        paid.collect()
    }

    fn bought(&self, invoice: &Value) -> Bought {
        let lines = plan_lines(invoice);
        let promise = |line: &Value| {
            let price = text(&line["pricing"]["price_details"], "price");
            Promise::of(&self.stripe.object(price, &[]))
        };
        let start = |line: &Value| int(&line["period"], "start");
        match lines[..] {
            [] => Bought::Nothing,
            [line] if int(line, "amount") == 0 => Bought::Nothing,
            [line] => Bought::Period { start: start(line), promise: promise(line) },
            [before, after] => {
                Bought::Change { at: start(after), before: promise(before), after: promise(after) }
            }
            _ => panic!("an invoice has one line or two: {invoice:#}"),
        }
    }
}

/// Asserts that a payment here is what the invoice says.
fn assert_payment(name: &str, invoice: &PaidInvoice, payment: &SubscriptionPayment, payments: &Payments) {
    let shown = || format!("{name}: {invoice:#?} {payment:#?}");
    assert_eq!(payment.cents, invoice.cents, "{}", shown());
    assert_eq!(payment.subscription.to_string(), invoice.subscription, "{}", shown());
    let brought: i64 = payment.parts.iter().map(|part| part.credits.get()).sum();
    let credits = brought + i64::from(payment.months_left) * payment.month_credits.get();
    assert_eq!(credits, invoice.credits(), "the credit of {}", shown());
    if let Bought::Period { start, .. } = invoice.bought {
        assert_eq!(payment.start.millis(), 1_000 * start, "{}", shown());
    }
    let lost = (invoice.lost_cents - invoice.rest_cents).max(0);
    let lost = lost_without_tax(lost, (invoice.cents, invoice.tax_cents)).min(invoice.cents);
    assert_eq!(payments.lost_cents(&payment.payment), Some(lost), "what is lost of {}", shown());
}

/// True if the invoice is of the subscription that goes on here, or of one that granted.
fn is_known(payments: &Payments, invoice: &PaidInvoice, all: &[PaidInvoice]) -> bool {
    let placement = |last: &Subscription| last.collected.as_deref()?.placement.reference.clone();
    let reference = payments.subscription.as_deref().and_then(placement);
    let has_granted =
        |other: &PaidInvoice| other.reference == invoice.reference && payments.is_payment(&other.name());
    reference.as_deref() == Some(&invoice.reference) || all.iter().any(has_granted)
}

/// Asserts that each grant that was paid is made of the parts of payments, and each other one is of
/// the free plan.
fn assert_grants(name: &str, grants: &[GrantRecord], payments: &Payments) {
    let mut parts = BTreeMap::new();
    for part in payments.of_subscriptions.iter().flat_map(|payment| &payment.parts) {
        let sum = parts.entry(part.grant).or_insert((0, 0));
        *sum = (sum.0 + part.credits.get(), sum.1 + part.cents);
    }
    let mut origins = BTreeSet::new();
    for GrantRecord { grant, origin, paid_cents, .. } in grants {
        let is_first = origins.insert(origin.clone().expect("it names its month"));
        assert!(is_first, "{name}: {origin:?} is granted twice");
        let free = PLANS[5].2;
        let expected = parts.remove(&grant.id).unwrap_or((free, 0));
        assert_eq!((grant.amount.get(), *paid_cents), expected, "{name}: {origin:?}");
    }
    assert!(parts.is_empty(), "{name}: {parts:?} are of no grant");
}

/// The credit of these grants without what is lost of the payments that brought it.
fn credit_left(grants: &[GrantRecord], payments: &Payments) -> i64 {
    let granted: i64 = grants.iter().map(|grant| grant.grant.amount.get()).sum();
    let lost = payments.of_subscriptions.iter().map(|payment| {
        let lost = payments.lost_cents(&payment.payment).unwrap_or_default();
        let share = |credits: i64| i128::from(credits) * i128::from(lost) / i128::from(payment.cents);
        payment.parts.iter().map(|part| share(part.credits.get())).sum::<i128>()
    });
    granted - i64::try_from(lost.sum::<i128>()).expect("a part of an i64 is one")
}

/// Asserts that what goes on here goes on there, and nothing else.
fn assert_states(
    name: &str,
    payments: &Payments,
    (there, invoices): (&[&Value], &[PaidInvoice]),
    now: i64,
    sums: &mut PlanSums,
) {
    let last = payments.subscription.as_deref();
    let is_ended = |one: &Value| matches!(text(one, "status"), "canceled" | "incomplete_expired");
    let live: Vec<&Value> = there.iter().copied().filter(|one| !is_ended(one)).collect();
    sums.ended += (there.len() - live.len()) as u64;
    sums.running += live.len() as u64;
    let Some(one) = live.first() else {
        // One that was paid for months to come has an end here.
        let goes_on = |last: &&Subscription| {
            let is_collected = last.collected.is_some() && last.anchor.is_some();
            is_collected && last.ended_at.is_none() && last.cancels_at.is_none()
        };
        let goes_on = last.filter(goes_on);
        assert!(goes_on.is_none(), "{name}: it goes on here alone: {goes_on:#?}");
        return;
    };
    assert_eq!(live.len(), 1, "{name}: more than one goes on at Stripe: {live:#?}");
    let last = last.unwrap_or_else(|| panic!("{name}: it goes on at Stripe alone: {one:#}"));
    let shown = || format!("{name}: {last:#?} and {one:#}");
    let placement = &last.collected.as_deref().unwrap_or_else(|| panic!("{}", shown())).placement;
    assert_eq!(one["metadata"]["subscription"], last.id.to_string(), "{}", shown());
    assert_eq!(one["id"], placement.reference.as_deref().unwrap_or_default(), "{}", shown());
    assert_eq!(last.ended_at, None, "{}", shown());
    let is_ending = one["cancel_at_period_end"] == true || one["cancel_at"].is_i64();
    assert_eq!(is_ending, last.cancels_at.is_some(), "whether it ends: {}", shown());
    let item = &one["items"]["data"][0];
    let terms = Terms::of(last.next_plan.as_ref().unwrap_or(&last.plan));
    assert!(Promise::of(&item["price"]).is_of(&terms), "the next price: {}", shown());
    // Until its call is answered, a change waits here alone. That is work which is left.
    let change = last.upgrade.as_ref().filter(|change| change.number == placement.change);
    assert_eq!(one["pending_update"].is_object(), change.is_some(), "a change: {}", shown());
    let is_period = |invoice: &&PaidInvoice| {
        invoice.reference == text(one, "id") && matches!(invoice.bought, Bought::Period { .. })
    };
    let periods: Vec<&PaidInvoice> = invoices.iter().filter(is_period).collect();
    let missing = last.collected.as_deref().map_or(0, |collected| collected.missing.len());
    let paid = last.months_paid as usize / last.plan.interval.months() as usize - missing;
    assert_eq!(paid, periods.len(), "the periods that were paid: {}", shown());
    let begun = int(item, "current_period_start");
    let is_current =
        |invoice: &&&PaidInvoice| matches!(invoice.bought, Bought::Period { start, .. } if start == begun);
    let is_paid = periods.iter().any(|invoice| is_current(&invoice));
    if is_paid || begun + LATE < now {
        assert_eq!(!is_paid, last.is_past_due, "past due: {}", shown());
    }
    sums.past_due += u64::from(last.is_past_due);
}
