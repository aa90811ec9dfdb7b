//! Subscriptions and their invoices. A period or a change grants when its invoice is paid.
//!
//! What is heard of an invoice or a subscription makes all of it be looked at: the invoices that
//! were paid and are not known here, oldest first, then whether it ends, and whether the change
//! that waits is still to be paid. So order, doubles and lost events come out the same. Money that
//! fits nothing grants nothing and is noted for an operator. A subscription that this ledger did
//! not start, or has replaced, is `surplus`.

use std::collections::BTreeMap;

use tollkeeper_ledger::{
    Collected, CollectedCommand, Command, Ends, PaymentCommand, Placement, Provider, Subscription,
    SubscriptionCommand, SubscriptionId, Terms, Timestamp, TopUp, UnmatchedPayment, WorkspaceId, bounds,
};

use super::invoices::{Paid, number_of_change, paid_by, tax_of_plan};
use super::missing::has_begun;
use super::{NotObserved, Observed, Observer};
use crate::payments::stripe::calls::subscriptions::SUBSCRIPTION;
use crate::payments::stripe::objects::ObjectId;
use crate::payments::stripe::objects::subscriptions::{Invoice, StripeSubscription};
use crate::payments::subscriptions::catch_up;

/// The currency of every payment, as Stripe writes it.
const USD: &str = "usd";

/// How long the invoice of a change may be missing that Stripe has carried out.
const INVOICED_SECONDS: i64 = 2 * 86_400;

/// How long before its end a subscription is not resumed for somebody who resumed it at Stripe.
const RESUMED_SECONDS: i64 = 60;

/// How long after its end a subscription that goes on at Stripe may be paid there.
const COLLECTED_SECONDS: i64 = 86_400;

impl Observer<'_> {
    /// An invoice, with its subscription.
    pub(super) async fn invoice(&self, id: &ObjectId) -> Result<Observed, NotObserved> {
        let invoice = self.client.invoice(id).await?;
        let Some(subscription) = invoice.subscription().cloned() else { return Ok(Observed::Foreign) };
        self.whole_subscription(&subscription, Some(invoice)).await
    }

    /// The invoice of this ledger that a payment paid, and its workspace. What it paid is granted
    /// first.
    pub(super) async fn invoice_of(
        &self,
        payment: &ObjectId,
    ) -> Result<Option<(WorkspaceId, Invoice)>, NotObserved> {
        let Some(id) = self.client.invoice_of_payment(payment).await? else { return Ok(None) };
        let invoice = self.client.invoice(&id).await?;
        let Some(subscription) = invoice.subscription() else { return Ok(None) };
        let found = self.client.subscription(subscription).await?;
        let Some(workspace) = self.owner(&found.metadata)? else { return Ok(None) };
        self.whole_subscription(&found.id, Some(invoice.clone())).await?;
        Ok(Some((workspace, invoice)))
    }

    /// A subscription, with its invoices.
    pub(super) async fn subscription(&self, id: &ObjectId) -> Result<Observed, NotObserved> {
        self.whole_subscription(id, None).await
    }

    async fn whole_subscription(
        &self,
        id: &ObjectId,
        heard: Option<Invoice>,
    ) -> Result<Observed, NotObserved> {
        let found = self.client.subscription(id).await?;
        let Some(workspace) = self.owner(&found.metadata)? else { return Ok(Observed::Foreign) };
        let Some(text) = found.metadata.get(SUBSCRIPTION) else { return Ok(Observed::Ours) };
        let name: SubscriptionId = text.parse().map_err(|_| NotObserved::Missing)?;
        let payments = self.payments(&workspace).await?;
        let last = payments.subscription.as_deref().ok_or(NotObserved::Missing)?;
        if !has_begun(&payments, name) {
            // This is a restored copy, or the start is not written yet.
            return Err(NotObserved::Missing);
        }
        let invoices = self.paid_invoices(&found, heard).await?;
        if !is_of(last, name, &found.id) {
            return self.send_back(&workspace, &found, invoices).await;
        }
        self.place_reference(&workspace, last, &found).await?;
        let now = self.app.now();
        // What is paid comes after the months that were paid before.
        drop(catch_up(self.app.engine(), &workspace, false, now).await?);
        let (mut observed, mut refused) = (Observed::Ours, None);
        for invoice in invoices {
            match self.paid_invoice(&workspace, name, &invoice).await {
                Ok(Observed::Unmatched) => observed = Observed::Unmatched,
                Ok(_) => {}
                // One that the ledger refuses now keeps the others from nothing.
                Err(NotObserved::Refused(code)) => refused = refused.or(Some(code)),
                Err(why) => return Err(why),
            }
        }
        self.follow(&workspace, name, &found, refused.is_none()).await?;
        refused.map_or(Ok(observed), |code| Err(NotObserved::Refused(code)))
    }

    /// The invoices that were paid, oldest first. The list may lack the newest for a moment.
    async fn paid_invoices(
        &self,
        found: &StripeSubscription,
        heard: Option<Invoice>,
    ) -> Result<Vec<Invoice>, NotObserved> {
        let mut invoices = BTreeMap::new();
        let mut add = |invoice: Invoice| {
            if invoice.is_paid() {
                invoices.insert((invoice.created, invoice.id.clone()), invoice);
            }
        };
        self.client.paid_invoices_of(&found.id).await?.into_iter().for_each(&mut add);
        if let Some(latest) = &found.latest_invoice {
            add(self.client.invoice(latest.id()).await?);
        }
        heard.into_iter().for_each(&mut add);
        Ok(invoices.into_values().collect())
    }

    /// Notes the subscription that a page brought.
    async fn place_reference(
        &self,
        workspace: &WorkspaceId,
        last: &Subscription,
        found: &StripeSubscription,
    ) -> Result<(), NotObserved> {
        let Some(Collected { placement, .. }) = last.collected.as_deref() else { return Ok(()) };
        if placement.reference.is_some() {
            return Ok(());
        }
        let is = Placement {
            reference: Some(found.id.as_str().into()),
            terms: found.terms(),
            mark: found.mark().map(Into::into),
            ..placement.clone()
        };
        self.place(workspace, last.id, placement, is).await
    }

    async fn place(
        &self,
        workspace: &WorkspaceId,
        id: SubscriptionId,
        was: &Placement,
        is: Placement,
    ) -> Result<(), NotObserved> {
        let was = Box::new(was.clone());
        self.say(workspace, id, CollectedCommand::Place { was, is: Box::new(is) }).await?;
        Ok(())
    }

    async fn say(
        &self,
        workspace: &WorkspaceId,
        subscription: SubscriptionId,
        command: CollectedCommand,
    ) -> Result<Observed, NotObserved> {
        let command = SubscriptionCommand::Collected { subscription, command };
        self.run(workspace, Command::Payment(PaymentCommand::Subscription(command))).await
    }

    /// Grants what an invoice paid, once, and notes what it paid besides.
    async fn paid_invoice(
        &self,
        workspace: &WorkspaceId,
        subscription: SubscriptionId,
        invoice: &Invoice,
    ) -> Result<Observed, NotObserved> {
        let payment = TopUp::provider_payment(Provider::Stripe, invoice.id.as_str());
        let lines = self.client.lines_of(invoice).await?;
        let payments = self.payments(workspace).await?;
        if let Some(cents) = payments.paid_cents(&payment) {
            // A server may have ended before it noted the rest.
            let tax_cents = tax_of_plan(invoice, &lines, cents);
            let rest = invoice.total.saturating_sub(cents).saturating_sub(tax_cents);
            return self.note_rest(workspace, invoice, (&payment, rest)).await;
        }
        let paid = if invoice.currency == USD { paid_by(invoice, &lines) } else { Paid::Other };
        let (price, cents) = match &paid {
            Paid::Nothing => return Ok(Observed::Ours),
            Paid::Other => (None, 0),
            Paid::Change { price, cents, .. } | Paid::Period { price, cents, .. } => (Some(price), *cents),
        };
        let terms = match price {
            Some(price) => self.client.price(price).await?.terms(),
            None => None,
        };
        // More was paid than a period costs if its quantity was set at Stripe.
        let cents = match (&paid, &terms) {
            (Paid::Period { .. }, Some(Terms { price_cents, .. })) => cents.min(*price_cents),
            _ => cents,
        };
        let tax_cents = tax_of_plan(invoice, &lines, cents);
        let command = terms.and_then(|terms| {
            let payment = payment.as_str().into();
            Some(match paid {
                Paid::Period { start, .. } => {
                    let start = Timestamp::from_millis(start.saturating_mul(1_000));
                    CollectedCommand::PayPeriod { payment, terms, start, cents, tax_cents }
                }
                Paid::Change { start, .. } => {
                    let number = number_of_change(&payments, start);
                    CollectedCommand::PayChange { number, payment, terms, cents, tax_cents }
                }
                Paid::Nothing | Paid::Other => return None,
            })
        });
        let observed = match command {
            Some(command) => self.say(workspace, subscription, command).await?,
            None => Observed::Unmatched,
        };
        let total = invoice.total;
        if total < 0 {
            tracing::error!(%workspace, payment, cents = total, "an invoice credits the customer at Stripe");
        }
        let of_plan = if observed == Observed::Unmatched { 0 } else { cents.saturating_add(tax_cents) };
        self.note_rest(workspace, invoice, (&payment, total.saturating_sub(of_plan))).await
    }

    /// Notes what an invoice paid that fits nothing, unless it was noted before.
    async fn note_rest(
        &self,
        workspace: &WorkspaceId,
        invoice: &Invoice,
        (payment, cents): (&str, i64),
    ) -> Result<Observed, NotObserved> {
        if cents <= 0 || self.is_noted(payment).await? {
            return Ok(Observed::Ours);
        }
        let why = "is no period or change that waits, or another sum than it costs";
        self.note_unmatched(workspace, invoice, (payment, cents, why)).await?;
        Ok(Observed::Unmatched)
    }

    /// True if an operator looks after the payment. The platform's state has the newest notes. Of
    /// older ones the ledger has the key: a note without a reason is refused, unless one was made
    /// before.
    pub(super) async fn is_noted(&self, payment: &str) -> Result<bool, NotObserved> {
        let platform = self.app.engine().platform();
        if platform.unmatched.iter().any(|noted| &*noted.payment.payment == payment) {
            return Ok(true);
        }
        if platform.unmatched.len() < bounds::UNMATCHED_KEPT {
            return Ok(false);
        }
        let why = Box::default();
        let (payment, currency, workspace) = (payment.into(), USD.into(), None);
        let without_reason = UnmatchedPayment { payment, cents: 0, currency, workspace, why };
        match self.run(&WorkspaceId::platform(), Command::ReportUnmatched(without_reason)).await {
            Ok(_) => Ok(true),
            Err(NotObserved::Refused(_)) => Ok(false),
            Err(why) => Err(why),
        }
    }

    /// Keeps money that fits nothing in the platform's journal, once, for an operator.
    pub(super) async fn note_unmatched(
        &self,
        workspace: &WorkspaceId,
        invoice: &Invoice,
        (payment, cents, why): (&str, i64, &str),
    ) -> Result<(), NotObserved> {
        let currency = invoice.currency.as_str();
        tracing::error!(%workspace, payment, cents, currency, "money for a subscription fits nothing; no credit was granted");
        self.note(workspace, payment, (cents, currency), why).await
    }

    /// Follows what was done at Stripe: an end, a change that was not paid. What this ledger wants
    /// otherwise is placed at Stripe later, and comes first. While a paid invoice is refused, no
    /// change is dropped: the invoice may be the change's.
    async fn follow(
        &self,
        workspace: &WorkspaceId,
        name: SubscriptionId,
        found: &StripeSubscription,
        may_drop: bool,
    ) -> Result<(), NotObserved> {
        let Some((last, was)) = self.collected(workspace, name).await? else { return Ok(()) };
        let mut news = News::of(&last, &was, found, self.app.now())?;
        news.drops &= may_drop;
        if news.is_by_others() {
            // What was fetched before the ledger was read may be older than what the ledger knows.
            let found = self.client.subscription(&found.id).await?;
            let mut again = News::of(&last, &was, &found, self.app.now())?;
            again.drops &= may_drop;
            let is_same = self.collected(workspace, name).await?.is_some_and(|(now, _)| now == last);
            if again != news || !is_same {
                return Err(NotObserved::NotListed);
            }
        }
        if news.is_over {
            self.say(workspace, name, CollectedCommand::End).await?;
        }
        if let Some(command) = news.adopts {
            self.run(workspace, Command::Payment(PaymentCommand::Subscription(command))).await?;
            let now = self.collected(workspace, name).await?;
            if now.is_none_or(|(now, _)| now.ended_at.is_some()) {
                // It was past due, so it ended at once, and is ended there next.
                return Ok(());
            }
        }
        if news.is != was {
            self.place(workspace, name, &was, news.is).await?;
        }
        if news.drops {
            self.say(workspace, name, CollectedCommand::DropChange(last.changes)).await?;
        }
        self.say(workspace, name, CollectedCommand::Lapse).await?;
        Ok(())
    }

    /// The subscription with this name, and what is known of it at Stripe.
    async fn collected(
        &self,
        workspace: &WorkspaceId,
        name: SubscriptionId,
    ) -> Result<Option<(Subscription, Placement)>, NotObserved> {
        let payments = self.payments(workspace).await?;
        let last = payments.subscription.as_deref().filter(|last| last.id == name);
        Ok(last.and_then(|last| Some((last.clone(), last.collected.as_deref()?.placement.clone()))))
    }
}

/// What a subscription at Stripe says that the ledger does not know.
#[derive(Debug, PartialEq, Eq)]
struct News {
    /// What somebody else decided there, to be followed.
    adopts: Option<SubscriptionCommand>,
    /// True if it has ended there, or was to end and is not paid for one more period.
    is_over: bool,
    /// True if the change that waits will not be paid.
    drops: bool,
    /// What is known from now on.
    is: Placement,
}

impl News {
    /// # Errors
    /// A change was carried out, and its invoice was not seen yet.
    fn of(
        last: &Subscription,
        was: &Placement,
        found: &StripeSubscription,
        now: Timestamp,
    ) -> Result<News, NotObserved> {
        let ends = found.ends();
        if ends == Ends::Now {
            let is = Placement { ends, ..was.clone() };
            return Ok(News { adopts: None, is_over: true, drops: last.upgrade.is_some(), is });
        }
        let drops = drops_change(last, was, found, now)?;
        let (_, _, wanted) = last.wanted();
        // Another mark is that of a call of ours whose answer was lost, or of one that is newer
        // than what was fetched: nobody else decided anything.
        if was.mark.as_deref() != found.mark() {
            let mark = found.mark().map(Into::into);
            let is = Placement { terms: found.terms(), ends, mark, ..was.clone() };
            return Ok(News { adopts: None, is_over: false, drops, is });
        }
        // Near its end it may end before it is resumed, and another one would be started. After
        // its end it goes on once Stripe has taken the money of one more period.
        let is_near_end = last.cancels_at.is_some_and(|end| end <= now.plus_seconds(RESUMED_SECONDS));
        if ends == Ends::No && was.ends != ends && is_near_end && last.ended_at.is_none() {
            let is_paid_no_more = last.cancels_at <= Some(now.plus_seconds(-COLLECTED_SECONDS));
            if !is_paid_no_more {
                return Err(NotObserved::NotListed);
            }
            return Ok(News {
                adopts: None,
                is_over: true,
                drops: false,
                is: Placement { ends, ..was.clone() },
            });
        }
        let is_by_others = ends != was.ends && wanted == was.ends && last.ended_at.is_none();
        let adopts = is_by_others.then(|| match ends {
            Ends::No => SubscriptionCommand::StartOrChange { plan: last.plan.id.clone(), collected_by: None },
            _ => SubscriptionCommand::Cancel,
        });
        // What has ended here and goes on there is ended there next.
        let goes_on = last.ended_at.is_some() && ends == Ends::No;
        let is_known = wanted == ends || is_by_others || goes_on;
        let ends = if is_known { ends } else { was.ends };
        // A change that was taken back while its answer was lost is noted, and undone at Stripe.
        let (terms, change) = match (&last.upgrade, &found.pending_update) {
            (Some(_), _) => (was.terms.clone(), was.change),
            (None, Some(_)) => (found.terms(), last.changes),
            (None, None) => (found.terms(), was.change),
        };
        let is = Placement { ends, terms, change, ..was.clone() };
        Ok(News { adopts, is_over: false, drops, is })
    }

    /// True if somebody else decided something.
    const fn is_by_others(&self) -> bool {
        self.adopts.is_some() || self.drops
    }
}

/// True if Stripe asked the payer for the change that waits in vain, or if it was not placed in
/// time.
///
/// # Errors
/// The change was carried out, and its invoice was not seen yet.
fn drops_change(
    last: &Subscription,
    was: &Placement,
    found: &StripeSubscription,
    now: Timestamp,
) -> Result<bool, NotObserved> {
    let Some(upgrade) = last.upgrade.as_ref().filter(|_| found.pending_update.is_none()) else {
        return Ok(false);
    };
    let is_new = now < upgrade.asked_at.plus_seconds(INVOICED_SECONDS);
    if is_new && found.terms().as_ref() == Some(&Terms::of(&upgrade.plan)) {
        return Err(NotObserved::Missing);
    }
    let is_late = upgrade.asked_at.plus_seconds(bounds::CALL_KEY_SECONDS) <= now;
    Ok(was.change == upgrade.number || is_late)
}

/// True if the subscription at Stripe is the one of the workspace.
fn is_of(last: &Subscription, name: SubscriptionId, reference: &ObjectId) -> bool {
    let Some(Collected { placement, .. }) = last.collected.as_deref() else { return false };
    let is_first = || placement.reference.is_none() && last.ended_at.is_none();
    let is_known = placement.reference.as_deref().map_or_else(is_first, |known| known == reference.as_str());
    last.id == name && is_known
}
