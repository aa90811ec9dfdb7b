//! Compares the ledger with the books of the stand-in, by sums that are worked out here anew.
//!
//! - Each payment that succeeded there is the payment of its top-up here, with its cents and tax,
//!   and no top-up has two. What fits none is listed as unmatched.
//! - What was refunded and disputed there is what is lost here. A payment refund was sent once.
//! - The balance and the debt follow from these, and from what was given and used.
//! - No idempotency key carried two requests out. None of a call that moves money was sent after
//!   Stripe had forgotten it.

use std::collections::{BTreeMap, BTreeSet};

use tollkeeper_engine::{DuePlace, Reads};
use tollkeeper_ledger::{PaymentRefundStatus, Payments, TopUp, TopUpStatus, TopUpWay, WorkspaceId};

use super::plan_books::PlanSums;
use super::*;

/// Stripe forgets a key after a day.
const KEY_SECONDS: i64 = DAY;

/// How the paths of the calls begin that may move money.
const MOVES_MONEY: [&str; 3] = ["/v1/payment_intents", "/v1/refunds", "/v1/subscriptions"];

/// What a test knows of a workspace besides its payments, in micro-units.
#[derive(Clone, Copy, Debug, Default)]
pub struct Besides {
    /// The credit that was given.
    pub given: i64,
    /// The credit that was used.
    pub used: i64,
}

/// What the comparison counted, to be printed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    pub payments: u64,
    pub cents: i64,
    pub lost_cents: i64,
    pub in_debt: u64,
    pub automatic: u64,
    pub sent_back: u64,
    pub plans: PlanSums,
}

impl std::ops::AddAssign for Counted {
    fn add_assign(&mut self, other: Counted) {
        self.payments += other.payments;
        self.cents += other.cents;
        self.lost_cents += other.lost_cents;
        self.in_debt += other.in_debt;
        self.automatic += other.automatic;
        self.sent_back += other.sent_back;
        self.plans += other.plans;
    }
}

/// A payment at the stand-in that brought money for a workspace.
#[derive(Debug)]
struct Received {
    id: String,
    top_up: String,
    /// Without tax.
    cents: i64,
    tax_cents: i64,
    /// What went back or is disputed, with tax, besides the payment refunds of the ledger.
    lost_elsewhere_cents: i64,
    /// The refunds that were made for payment refunds of the ledger, failed ones too.
    sent_back: Vec<SentBack>,
}

/// A refund at the stand-in that was made for a payment refund of the ledger.
#[derive(Debug)]
struct SentBack {
    payment_refund: String,
    status: String,
    /// With its part of the tax.
    cents: i64,
}

impl SentBack {
    fn of(refund: &Value) -> SentBack {
        SentBack {
            payment_refund: text(&refund["metadata"], "payment_refund").to_owned(),
            status: text(refund, "status").to_owned(),
            cents: int(refund, "amount"),
        }
    }
}

impl Received {
    /// What is lost of the payment, without tax; a part of a cent is a cent. The payment refunds of
    /// the ledger say what they are without tax.
    fn lost_cents(&self, payments: &Payments) -> i64 {
        let (net, gross) = (i128::from(self.cents), i128::from(self.cents + self.tax_cents));
        let mut lost = lost_without_tax(self.lost_elsewhere_cents, (self.cents, self.tax_cents));
        for SentBack { payment_refund, status, cents } in &self.sent_back {
            let id = payment_refund.parse().expect("it is an id");
            let here = payments.back.refund(id).unwrap_or_else(|| panic!("{payment_refund} is not known"));
            let is_over = matches!(status.as_str(), "failed" | "canceled");
            let expected = if is_over { PaymentRefundStatus::Failed } else { PaymentRefundStatus::Succeeded };
            assert_eq!(here.status, expected, "{here:?} is {status} at Stripe");
            assert_eq!(i128::from(*cents), i128::from(here.cents) * gross / net, "{here:?}");
            lost += if is_over { 0 } else { here.cents };
        }
        lost.min(self.cents)
    }
}

/// What is lost without its part of the tax; a part of a cent is a cent.
pub fn lost_without_tax(lost_cents: i64, (cents, tax_cents): (i64, i64)) -> i64 {
    let (net, gross) = (i128::from(cents), i128::from(cents + tax_cents));
    i64::try_from((i128::from(lost_cents) * net + gross - 1) / gross).expect("a part of an i64 is one")
}

/// What went back of a payment or is disputed, with tax, besides the payment refunds of the ledger.
pub fn lost_elsewhere(payment: &str, refunds: &[Value], disputes: &[Value]) -> i64 {
    let of_payment = |value: &&Value| value["payment_intent"] == payment;
    let goes_back = |refund: &&Value| {
        let is_over = matches!(text(refund, "status"), "failed" | "canceled");
        !is_over && !is_ours(refund)
    };
    let takes = |dispute: &&Value| {
        let status = text(dispute, "status");
        !status.starts_with("warning_") && !matches!(status, "won" | "prevented")
    };
    let refunds = refunds.iter().filter(of_payment).filter(goes_back);
    let disputes = disputes.iter().filter(of_payment).filter(takes);
    refunds.chain(disputes).map(|one| int(one, "amount")).sum()
}

/// True for a refund that was made for a payment refund of the ledger.
fn is_ours(refund: &Value) -> bool {
    refund["metadata"]["payment_refund"].is_string()
}

impl Shop {
    /// Asserts that the ledger and the stand-in agree about these workspaces, and about nothing
    /// else; then audits the directory.
    pub async fn assert_books_agree(self, workspaces: &BTreeMap<String, Besides>) -> Counted {
        let mut counted = Counted::default();
        let received = self.received();
        let unmatched = self.unmatched();
        for (name, besides) in workspaces {
            let workspace = WorkspaceId::new(name).expect("it is a name");
            let payments = self.world.app.engine().payments(&workspace).await.expect("a healthy disk");
            let payments = payments.unwrap_or_default();
            let of_workspace = received.get(name).map(Vec::as_slice).unwrap_or_default();
            let granted = assert_top_ups_agree(name, &payments, of_workspace, &unmatched);
            let plans = self.assert_plans_agree(name).await;
            counted.plans += plans;
            let besides = Besides { given: besides.given + plans.micros, ..*besides };
            self.assert_balance(name, besides, (&payments, &granted), &mut counted).await;
            assert_refunds_agree(name, &payments, of_workspace);
            assert_nothing_waits(name, &payments);
        }
        let others = received.keys().filter(|name| !workspaces.contains_key(*name));
        assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new(), "payments of unknown workspaces");
        self.assert_keys();
        let now = self.world.app.now();
        let due = self.world.app.engine().due_payments(now, None, 100).await.expect("a healthy disk");
        for DuePlace { workspace, .. } in due {
            let payments = self.world.app.engine().payments(&workspace).await.expect("a healthy disk");
            let payments = payments.unwrap_or_default();
            let mut left = payments.due_work(now);
            // Of these Stripe has no news.
            left.retain(|work| !payments.is_looked_at_daily(*work));
            assert_eq!(left, [], "{workspace}: this is left of {payments:#?}");
        }
        self.assert_audit_is_clean().await;
        counted
    }

    /// The payments of top-ups that succeeded at the stand-in, by workspace.
    fn received(&self) -> BTreeMap<String, Vec<Received>> {
        let ledger = self.ledger();
        let mut received: BTreeMap<String, Vec<Received>> = BTreeMap::new();
        let sessions = self.stripe.objects("checkout.session");
        let (refunds, disputes) = (self.stripe.objects("refund"), self.stripe.objects("dispute"));
        let of_invoices = self.stripe.objects("invoice_payment");
        let of_invoices = of_invoices.iter().map(|payment| text(&payment["payment"], "payment_intent"));
        let of_invoices: BTreeSet<&str> = of_invoices.collect();
        for intent in self.stripe.objects("payment_intent") {
            let id = text(&intent, "id").to_owned();
            if text(&intent, "status") != "succeeded" || of_invoices.contains(&*id) {
                continue;
            }
            let metadata = &intent["metadata"];
            assert_eq!(text(metadata, "ledger"), ledger, "money without its ledger: {intent:#}");
            let page = sessions.iter().find(|session| session["payment_intent"] == id.as_str());
            let tax_cents = page.map_or(0, |page| int(&page["total_details"], "amount_tax"));
            let ours = |refund: &&Value| refund["payment_intent"] == id.as_str() && is_ours(refund);
            let payment = Received {
                top_up: text(metadata, "top_up").to_owned(),
                cents: int(&intent, "amount_received") - tax_cents,
                tax_cents,
                lost_elsewhere_cents: lost_elsewhere(&id, &refunds, &disputes),
                sent_back: refunds.iter().filter(ours).map(SentBack::of).collect(),
                id,
            };
            received.entry(text(metadata, "workspace").to_owned()).or_default().push(payment);
        }
        received
    }

    /// The names of the payments that are listed for an operator.
    pub fn unmatched(&self) -> BTreeSet<String> {
        let platform = self.world.app.engine().platform();
        platform.unmatched.iter().map(|noted| noted.payment.payment.to_string()).collect()
    }

    /// True if an operator reads that this money could not be sent back.
    pub fn is_left_to_an_operator(&self, payment: &str) -> bool {
        let platform = self.world.app.engine().platform();
        let mut noted = platform.unmatched.iter().map(|noted| &noted.payment);
        noted.any(|noted| &*noted.payment == payment && noted.why.contains("could not be sent back"))
    }

    /// What is available and what is owed, by the sum of all that came and went.
    async fn assert_balance(
        &self,
        name: &str,
        besides: Besides,
        (payments, granted): (&Payments, &[&Received]),
        counted: &mut Counted,
    ) {
        let cents: i64 = granted.iter().map(|payment| payment.cents).sum();
        let lost: i64 = granted.iter().map(|payment| payment.lost_cents(payments)).sum();
        let net = besides.given + 1_000 * (cents - lost) - besides.used;
        let balance = self.world.get(&format!("/v1/workspaces/{name}/balance")).await.json();
        let shown = (int(&balance, "available"), int(&balance, "debt"));
        assert_eq!(shown, (net.max(0), (-net).max(0)), "{name}: {besides:?}, {granted:#?}");
        counted.payments += granted.len() as u64;
        counted.cents += cents;
        counted.lost_cents += lost;
        counted.in_debt += u64::from(net < 0);
        let is_automatic = |top_up: &&TopUp| top_up.way == TopUpWay::Automatic && top_up.grant.is_some();
        counted.automatic += payments.top_ups.iter().filter(is_automatic).count() as u64;
        counted.sent_back += granted.iter().map(|payment| payment.sent_back.len() as u64).sum::<u64>();
    }

    fn assert_keys(&self) {
        let mut first_sent: BTreeMap<String, i64> = BTreeMap::new();
        let mut carried_out: BTreeMap<String, (String, Vec<(String, String)>)> = BTreeMap::new();
        for request in self.stripe.requests() {
            let Some(key) = request.idempotency_key().map(str::to_owned) else {
                assert_ne!(request.method, "POST", "a call without a key: {request:?}");
                continue;
            };
            let age = request.at - *first_sent.entry(key.clone()).or_insert(request.at);
            // What is called twice otherwise does no harm: records, pages, removed cards.
            let moves_money = MOVES_MONEY.iter().any(|begin| request.path.starts_with(begin));
            let is_fresh = age < KEY_SECONDS || !moves_money;
            assert!(is_fresh, "{key} was sent again after {age} s, when Stripe had forgotten it");
            // Another request that Stripe refuses may have the key, as with a card that was
            // replaced.
            if matches!(request.status, Some(200 | 402)) {
                let request = (request.path, request.form);
                let first = carried_out.entry(key.clone()).or_insert_with(|| request.clone());
                assert_eq!(*first, request, "{key} carried two requests out");
            }
        }
    }

    async fn assert_audit_is_clean(self) {
        let World { app, clock: _, _dir } = self.world;
        app.engine().close().await.expect("the engine closes");
        drop(app);
        self.place.assert_audit_is_clean(_dir.path()).await;
    }
}

/// Asserts that the top-ups have the payments that came in for them; returns those.
fn assert_top_ups_agree<'a>(
    name: &str,
    payments: &Payments,
    received: &'a [Received],
    unmatched: &BTreeSet<String>,
) -> Vec<&'a Received> {
    let named = |payment: &Received| format!("stripe:{}", payment.id);
    let mut granted = Vec::new();
    for payment in received {
        let top_up = payment.top_up.parse().ok().and_then(|id| payments.top_up(id));
        let top_up: &TopUp = top_up.unwrap_or_else(|| panic!("{name}: money for no top-up: {payment:?}"));
        if top_up.payment.as_deref() != Some(&named(payment)) {
            let known = unmatched.contains(&named(payment));
            assert!(known, "{name}: money without credit: {payment:?} of {top_up:?}");
            continue;
        }
        let here = (top_up.cents, top_up.at_provider.tax_cents, top_up.status);
        assert_eq!(here, (payment.cents, payment.tax_cents, TopUpStatus::Succeeded), "{name}: {payment:?}");
        let lost = payments.lost_cents(&named(payment));
        assert_eq!(lost, Some(payment.lost_cents(payments)), "{name}: what is lost of {payment:?}");
        granted.push(payment);
    }
    let paid = payments.top_ups.iter().filter(|top_up| top_up.status == TopUpStatus::Succeeded);
    assert_eq!(paid.count(), granted.len(), "{name}: credit without money: {payments:#?}");
    granted
}

/// Asserts that each payment refund was sent once, or failed.
fn assert_refunds_agree(name: &str, payments: &Payments, received: &[Received]) {
    for refund in &payments.back.refunds {
        let id = refund.id.to_string();
        let sent = received.iter().flat_map(|payment| &payment.sent_back);
        let sent = sent.filter(|sent| sent.payment_refund == id).count();
        let expected = match refund.status {
            PaymentRefundStatus::Pending => panic!("{name}: {refund:?} waits after all"),
            PaymentRefundStatus::Succeeded => 1..=1,
            PaymentRefundStatus::Failed => 0..=1,
        };
        assert!(expected.contains(&sent), "{name}: {refund:?} was sent {sent} times");
    }
}

/// Asserts that no top-up waits for its payment.
fn assert_nothing_waits(name: &str, payments: &Payments) {
    for top_up in &payments.top_ups {
        assert_ne!(top_up.status, TopUpStatus::Pending, "{name}: {top_up:?} waits after all");
    }
}
