//! Subscriptions and their invoices. A period or a change grants when its invoice is paid.
//!
//! What is heard of an invoice or a subscription makes all of it be looked at: the invoices that
//! were paid and are not known here, oldest first, then whether it ends, and whether the change
//! that waits is still to be paid. So order, doubles and lost events come out the same. Money that
//! fits nothing grants nothing and is noted for an operator. A subscription that this ledger did
//! not start, or has replaced, is `surplus`.

use std::collections::BTreeMap;

use tollkeeper_engine::Reads;
use tollkeeper_ledger::{
    Collected, CollectedCommand, Command, Ends, PaymentCommand, Placement, Provider, Subscription,
    SubscriptionCommand, SubscriptionId, Terms, Timestamp, TopUp, UnmatchedPayment, WorkspaceId, bounds,
};

use super::{NotObserved, Observed, Observer};
use crate::payments::stripe::calls::subscriptions::SUBSCRIPTION;
use crate::payments::stripe::objects::ObjectId;
use crate::payments::stripe::objects::subscriptions::{Invoice, Line, StripeSubscription};
use crate::payments::subscriptions::catch_up;

/// The currency of every payment, as Stripe writes it.
const USD: &str = "usd";

/// What a paid invoice says.
enum Paid {
    /// Nothing was paid, such as for a trial.
    Nothing,
    /// A period, by the price and the second in which it began.
    Period { price: ObjectId, start: i64, cents: i64 },
    /// A change within a period.
    Change { price: ObjectId, cents: i64 },
    /// Something else.
    Other,
}

/// How long the invoice of a change may be missing that Stripe has carried out.
const INVOICED_SECONDS: i64 = 2 * 86_400;

/// How long before its end a subscription is not resumed for somebody who resumed it at Stripe.
const RESUMED_SECONDS: i64 = 60;

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
        if last.id.0 < name.0 {
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

    /// Keeps a paid invoice for an operator whose subscription is not there: the ledger is a
    /// restored copy from before it began. Returns true if there is money.
    ///
    /// # Errors
    /// Why it must be looked at again later.
    pub(super) async fn report_without_subscription(&self, id: &ObjectId) -> Result<bool, NotObserved> {
        let invoice = self.client.invoice(id).await?;
        let Some(subscription) = invoice.subscription() else { return Ok(false) };
        let found = self.client.subscription(subscription).await?;
        let Some(workspace) = self.owner(&found.metadata)? else { return Ok(false) };
        let name: Option<SubscriptionId> =
            found.metadata.get(SUBSCRIPTION).and_then(|text| text.parse().ok());
        let payments = self.app.engine().payments(&workspace).await?;
        let last = payments.as_deref().and_then(|payments| payments.subscription.as_deref());
        if name.is_none_or(|name| last.is_some_and(|last| last.id.0 >= name.0)) {
            return Err(NotObserved::Missing);
        }
        let payment = TopUp::provider_payment(Provider::Stripe, invoice.id.as_str());
        if !invoice.is_paid() || self.is_noted(&payment) {
            return Ok(false);
        }
        let why = "is of a subscription that is not there, as after a restored backup";
        self.note_unmatched(&workspace, &invoice, (&payment, invoice.total, why)).await?;
        Ok(true)
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
        let sum: i64 = lines.iter().map(Line::net_cents).fold(0, i64::saturating_add);
        let payments = self.payments(workspace).await?;
        if payments.is_payment(&payment) {
            // A server may have ended before it noted the rest.
            let rest = sum.saturating_sub(payments.paid_cents(&payment).unwrap_or(sum));
            return self.note_rest(workspace, invoice, (&payment, rest)).await;
        }
        let (price, start, cents) = match paid_by(invoice, &lines) {
            _ if invoice.currency != USD => (None, None, 0),
            Paid::Nothing => return Ok(Observed::Ours),
            Paid::Other => (None, None, 0),
            Paid::Change { price, cents } => (Some(price), None, cents),
            Paid::Period { price, start, cents } => (Some(price), Some(start), cents),
        };
        let terms = match price {
            Some(price) => self.client.price(&price).await?.terms(),
            None => None,
        };
        let observed = match terms {
            Some(terms) => {
                let (payment, tax_cents) = (payment.as_str().into(), invoice.tax_cents().max(0));
                let command = match start.map(|start| Timestamp::from_millis(start.saturating_mul(1_000))) {
                    Some(start) => CollectedCommand::PayPeriod { payment, terms, start, cents, tax_cents },
                    None => CollectedCommand::PayChange { payment, terms, cents, tax_cents },
                };
                self.say(workspace, subscription, command).await?
            }
            None => Observed::Unmatched,
        };
        let rest = if observed == Observed::Unmatched { sum } else { sum.saturating_sub(cents) };
        if sum < 0 {
            tracing::error!(%workspace, payment, cents = sum, "an invoice credits the customer at Stripe");
        }
        let noted = self.note_rest(workspace, invoice, (&payment, rest)).await?;
        Ok(if observed == Observed::Unmatched { observed } else { noted })
    }

    /// Notes what an invoice paid that fits nothing, unless it was noted before.
    async fn note_rest(
        &self,
        workspace: &WorkspaceId,
        invoice: &Invoice,
        (payment, cents): (&str, i64),
    ) -> Result<Observed, NotObserved> {
        if cents <= 0 || self.is_noted(payment) {
            return Ok(Observed::Ours);
        }
        let why = "is no period or change that waits, or another sum than it costs";
        self.note_unmatched(workspace, invoice, (payment, cents, why)).await?;
        Ok(Observed::Unmatched)
    }

    /// True if an operator looks after the payment.
    pub(super) fn is_noted(&self, payment: &str) -> bool {
        let platform = self.app.engine().platform();
        platform.unmatched.iter().any(|noted| &*noted.payment.payment == payment)
    }

    /// Keeps money that fits nothing in the platform's journal, once, for an operator.
    pub(super) async fn note_unmatched(
        &self,
        workspace: &WorkspaceId,
        invoice: &Invoice,
        (payment, cents, why): (&str, i64, &str),
    ) -> Result<(), NotObserved> {
        let currency = invoice.currency.as_str();
        let unmatched = UnmatchedPayment {
            payment: payment.into(),
            cents,
            currency: currency.into(),
            workspace: Some(workspace.clone()),
            why: why.into(),
        };
        tracing::error!(%workspace, payment, cents, currency, "money for a subscription fits nothing; no credit was granted");
        self.run(&WorkspaceId::platform(), Command::ReportUnmatched(unmatched)).await?;
        Ok(())
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
        if news.is.ends == Ends::Now {
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
            return Ok(News { adopts: None, drops: last.upgrade.is_some(), is });
        }
        let drops = drops_change(last, was, found, now)?;
        let (_, _, wanted) = last.wanted();
        // Another mark is that of a call of ours whose answer was lost, or of one that is newer
        // than what was fetched: nobody else decided anything.
        if was.mark.as_deref() != found.mark() {
            let mark = found.mark().map(Into::into);
            let is = Placement { terms: found.terms(), ends, mark, ..was.clone() };
            return Ok(News { adopts: None, drops, is });
        }
        // Near its end it may end before it is resumed, and another one would be started.
        let is_near_end = last.cancels_at.is_some_and(|end| end <= now.plus_seconds(RESUMED_SECONDS));
        if ends == Ends::No && was.ends != ends && is_near_end && last.ended_at.is_none() {
            return Err(NotObserved::NotListed);
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
        Ok(News { adopts, drops, is: Placement { ends, terms, change, ..was.clone() } })
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

/// What an invoice paid for. A line of nothing grants only what a discount made free.
fn paid_by(invoice: &Invoice, lines: &[Line]) -> Paid {
    let is_discounted = |line: &Line| line.discount_amounts.iter().any(|discount| discount.amount > 0);
    let is_something = |line: &&Line| line.net_cents() != 0 || is_discounted(line);
    let something: Vec<&Line> = lines.iter().filter(is_something).collect();
    let is_period = |line: &&&Line| line.item().is_some_and(|item| !item.proration);
    let periods: Vec<&&Line> = something.iter().filter(is_period).collect();
    let prorated = || something.iter().filter(|line| line.is_proration());
    let change: i64 = prorated().map(|line| line.net_cents()).fold(0, i64::saturating_add);
    // What is credited for the price before has a line of its own, which is negative.
    let changes_to = prorated().filter(|line| line.amount > 0).filter_map(|line| line.price()).next_back();
    match periods[..] {
        [line] => match line.price() {
            Some(price) => {
                Paid::Period { price: price.clone(), start: line.period.start, cents: line.net_cents() }
            }
            None => Paid::Other,
        },
        [] if something.is_empty() => Paid::Nothing,
        [] if change > 0 && invoice.billing_reason.as_deref() == Some("subscription_update") => {
            changes_to.map_or(Paid::Other, |price| Paid::Change { price: price.clone(), cents: change })
        }
        _ => Paid::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Invoice, Paid, paid_by};

    /// What an invoice with these lines paid for: amount, discount, whether it is a proration.
    fn paid(reason: &str, lines: &[(i64, i64, bool)]) -> String {
        let line = |(amount, discount, proration): &(i64, i64, bool)| {
            json!({
                "id": "il_1", "amount": amount, "period": { "start": 5, "end": 9 },
                "discount_amounts": if *discount >= 0 { json!([{ "amount": discount }]) } else { json!(null) },
                "pricing": { "price_details": { "price": "price_1", "product": "prod_1" } },
                "parent": { "subscription_item_details": { "proration": proration } },
            })
        };
        let lines: Vec<_> = lines.iter().map(line).collect();
        let invoice: Invoice = serde_json::from_value(json!({
            "id": "in_1", "status": "paid", "billing_reason": reason, "currency": "usd", "created": 1,
            "total": 0, "total_excluding_tax": null, "lines": { "data": lines, "has_more": false },
        }))
        .expect("it is an invoice");
        match paid_by(&invoice, &invoice.lines.data) {
            Paid::Nothing => "nothing".to_owned(),
            Paid::Period { price, start, cents } => format!("{price} from {start} for {cents}"),
            Paid::Change { price, cents } => format!("a change to {price} for {cents}"),
            Paid::Other => "something else".to_owned(),
        }
    }

    #[test]
    fn only_a_line_that_recurs_and_is_paid_or_discounted_grants_a_period() {
        assert_eq!(paid("subscription_create", &[(0, -1, false)]), "nothing", "a trial");
        assert_eq!(
            paid("subscription_create", &[(0, 0, false)]),
            "nothing",
            "its discount takes nothing off"
        );
        assert_eq!(
            paid("subscription_create", &[(3_000, 3_000, false)]),
            "price_1 from 5 for 0",
            "a discount"
        );
        assert_eq!(paid("subscription_cycle", &[(3_000, 500, false)]), "price_1 from 5 for 2500");
        assert_eq!(
            paid("subscription_update", &[(-1_000, 0, true), (3_000, 0, true)]),
            "a change to price_1 for 2000"
        );
        assert_eq!(
            paid("subscription_cycle", &[(-1_000, 0, true), (3_000, 0, false)]),
            "price_1 from 5 for 3000"
        );
        assert_eq!(paid("subscription_update", &[(-3_000, 0, true), (1_000, 0, true)]), "something else");
        assert_eq!(paid("subscription_cycle", &[(2_000, 0, true)]), "something else");
        assert_eq!(paid("subscription_cycle", &[(3_000, 0, false), (3_000, 0, false)]), "something else");
    }
}
