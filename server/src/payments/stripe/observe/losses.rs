//! Money that goes back without us: refunds at Stripe's own pages, and disputes.
//!
//! What is lost of a payment is added up from all its refunds and disputes as they are now, and
//! never from the one that was heard of. So order, repeats, changed amounts and won disputes come
//! out the same. A refund that this ledger requested is no loss: it says how far its payment
//! refund is. One that names a payment refund which the ledger does not know was requested by a
//! copy of it, or before a backup was restored; it counts as lost elsewhere.
//!
//! An invoice may ask for more than a plan costs, such as for an item that an operator added. What
//! goes back of it is first of that rest, and only what exceeds it is lost of the plan. Money that
//! is on no grant is sent back by an operator or as surplus. If that fails later the money was
//! kept, so the failed refund is noted.

use std::fmt::Write;
use std::iter;

use tollkeeper_ledger::{
    AutoTopUpCommand, Command, PaymentCommand, PaymentRefundCommand, PaymentRefundId, Payments, Provider,
    StopReason, TopUp, WorkspaceId,
};

use super::invoices::tax_of_plan;
use super::missing::name_of;
use super::top_ups::USD;
use super::{NotObserved, Observed, Observer, top_up_of};
use crate::payments::stripe::calls::PAYMENT_REFUND;
use crate::payments::stripe::objects::{
    Dispute, DisputeStatus, Identified, ObjectId, PaymentIntent, Reference, Refund, RefundStatus,
};

/// The most bytes of what shows a loss.
const EVIDENCE_MAX_BYTES: usize = 1_000;

/// How long a warning of fraud stops automatic top-ups: as long as Stripe repeats its event.
const WARNS_SECONDS: i64 = 3 * 86_400;

/// What an operator reads about money that goes back.
const OTHER_CURRENCY: &str = "goes back in another currency than US dollars; no credit was taken";
const FAILED: &str = "a refund of money that is on no grant failed; the money is still here";

/// What is lost of a payment, and what shows it.
struct Loss<'a> {
    cents: i64,
    /// How much of it is disputed.
    disputed_cents: i64,
    evidence: String,
    /// What goes back in another currency, with its cents: it is not counted.
    other: Vec<(&'a ObjectId, i64, &'a str)>,
}

/// A payment of this ledger.
struct PaidSum {
    /// Its name.
    payment: Box<str>,
    /// What came in for credit, without tax.
    cents: i64,
    tax_cents: i64,
    /// What came in for something else, with tax.
    rest_cents: i64,
}

impl Observer<'_> {
    /// Money that went back, by us or at Stripe's own pages.
    pub(super) async fn refund(&self, id: &ObjectId) -> Result<Observed, NotObserved> {
        let refund = self.client.one_refund(id).await?;
        let payment = refund.payment_intent.clone();
        self.losses(payment.as_ref(), Some(refund), None).await
    }

    /// A dispute about a payment.
    pub(super) async fn dispute(&self, id: &ObjectId) -> Result<Observed, NotObserved> {
        let dispute = self.client.dispute(id).await?;
        let payment = dispute.payment_intent.clone();
        self.losses(payment.as_ref(), None, Some(dispute)).await
    }

    /// A payment that is probably fraudulent: no further automatic top-up is opened.
    pub(super) async fn fraud_warning(&self, id: &ObjectId) -> Result<Observed, NotObserved> {
        let warning = self.client.fraud_warning(id).await?;
        let Some(payment) = &warning.payment_intent else { return Ok(Observed::Foreign) };
        let intent = self.client.payment(payment.id()).await?;
        let workspace = match self.owner(&intent.metadata)? {
            Some(workspace) => Some(workspace),
            None => self.invoice_of(&intent.id).await?.map(|(workspace, _)| workspace),
        };
        let Some(workspace) = workspace else { return Ok(Observed::Foreign) };
        // An old one says nothing about a rule that was set since.
        if self.app.now().seconds() - warning.created > WARNS_SECONDS {
            return Ok(Observed::Ours);
        }
        self.stop(&workspace, StopReason::FraudWarning).await
    }

    /// Tells the ledger what is lost of a payment now. A list of Stripe may lack what is new: the
    /// refund or the dispute that was heard of counts, and others may be missing too, so all are
    /// to be looked at again.
    async fn losses(
        &self,
        payment: Option<&Reference<PaymentIntent>>,
        refund: Option<Refund>,
        dispute: Option<Dispute>,
    ) -> Result<Observed, NotObserved> {
        let Some(payment) = payment else { return Ok(Observed::Foreign) };
        let intent = self.client.payment(payment.id()).await?;
        let Some(workspace) = self.owner(&intent.metadata)? else {
            return self.losses_of_invoice(&intent.id, refund, dispute).await;
        };
        // The news of a loss may come first, and the credit of the payment must be there.
        let observed = self.payment_as_fetched(&intent).await?;
        let Some(top_up) = top_up_of(&intent.metadata)? else { return Ok(observed) };
        let mut refunds = self.client.refunds_of(&intent.id).await?;
        let mut disputes = self.client.disputes_of(&intent.id).await?;
        let is_behind = add_unlisted(&mut refunds, refund) | add_unlisted(&mut disputes, dispute);
        if observed != Observed::Ours {
            self.note_failed(&workspace, intent.amount_received, &refunds, &disputes).await?;
            return if is_behind { Err(NotObserved::NotListed) } else { Ok(observed) };
        }
        self.own_refunds(&workspace, &refunds).await?;
        let payments = self.payments(&workspace).await?;
        let top_up = payments.top_up(top_up).ok_or(NotObserved::Missing)?;
        let tax_cents = top_up.at_provider.tax_cents;
        // What was not paid is lost by nobody.
        let paid = top_up.payment.clone();
        let paid = paid.map(|payment| PaidSum { payment, cents: top_up.cents, tax_cents, rest_cents: 0 });
        let observed = self.report_loss(&workspace, paid, &refunds, &disputes).await?;
        if is_behind { Err(NotObserved::NotListed) } else { Ok(observed) }
    }

    /// Tells the ledger how far its own refunds are, the oldest first.
    async fn own_refunds(&self, workspace: &WorkspaceId, refunds: &[Refund]) -> Result<(), NotObserved> {
        for refund in refunds.iter().rev() {
            let payments = self.payments(workspace).await?;
            if let Some(id) = own(&payments, refund) {
                self.own_refund(workspace, id, refund).await?;
            }
        }
        Ok(())
    }

    /// Tells the ledger how far one of its refunds is. The end of it comes first: until it is
    /// placed, the job asks about it.
    pub(super) async fn own_refund(
        &self,
        workspace: &WorkspaceId,
        id: PaymentRefundId,
        refund: &Refund,
    ) -> Result<(), NotObserved> {
        let run =
            async |command| self.run(workspace, Command::Payment(PaymentCommand::Refund(command))).await;
        // Another one was made for it before, and says how far it is.
        if own(self.payments(workspace).await?.as_ref(), refund) != Some(id) {
            return Ok(());
        }
        let fail = |reason: &str| PaymentRefundCommand::Fail { refund: id, reason: reason.into() };
        match refund.status {
            RefundStatus::Succeeded => run(PaymentRefundCommand::Succeed(id)).await?,
            RefundStatus::Failed => run(fail("Stripe says that it failed")).await?,
            RefundStatus::Canceled => run(fail("it was cancelled at Stripe")).await?,
            RefundStatus::Pending | RefundStatus::RequiresAction | RefundStatus::Other => Observed::Ours,
        };
        run(PaymentRefundCommand::Place { refund: id, reference: refund.id.as_str().into() }).await?;
        Ok(())
    }

    /// The same of a payment for a subscription, which is known by its invoice.
    async fn losses_of_invoice(
        &self,
        payment: &ObjectId,
        refund: Option<Refund>,
        dispute: Option<Dispute>,
    ) -> Result<Observed, NotObserved> {
        let Some((workspace, invoice)) = self.invoice_of(payment).await? else {
            return Ok(Observed::Foreign);
        };
        let name = TopUp::provider_payment(Provider::Stripe, invoice.id.as_str());
        let paid_cents = self.payments(&workspace).await?.paid_cents(&name);
        let lines = self.client.lines_of(&invoice).await?;
        // What was owed at Stripe before may have come in too.
        let received_cents = invoice.received_cents();
        let all_cents = invoice.total.max(received_cents);
        // Of what is on no grant nothing is lost.
        let paid = paid_cents.map(|cents| {
            let tax_cents = tax_of_plan(&invoice, &lines, cents);
            let rest_cents = all_cents.saturating_sub(cents).saturating_sub(tax_cents).max(0);
            PaidSum { payment: name.into(), cents, tax_cents, rest_cents }
        });
        let (mut refunds, mut disputes) = (Vec::new(), Vec::new());
        let others = invoice.paid_with().map(|(paid, _)| paid).filter(|paid| *paid != payment);
        for payment in iter::once(payment).chain(others) {
            refunds.extend(self.client.refunds_of(payment).await?);
            disputes.extend(self.client.disputes_of(payment).await?);
        }
        let is_behind = add_unlisted(&mut refunds, refund) | add_unlisted(&mut disputes, dispute);
        if paid.is_none() {
            self.note_failed(&workspace, received_cents, &refunds, &disputes).await?;
        }
        let observed = self.report_loss(&workspace, paid, &refunds, &disputes).await?;
        if is_behind { Err(NotObserved::NotListed) } else { Ok(observed) }
    }

    /// Notes refunds that failed of money that is on no grant, as far as the money is still here.
    async fn note_failed(
        &self,
        workspace: &WorkspaceId,
        received_cents: i64,
        refunds: &[Refund],
        disputes: &[Dispute],
    ) -> Result<(), NotObserved> {
        let back = refunds.iter().filter(|refund| refund.takes()).map(|refund| refund.amount);
        let disputed = disputes.iter().filter(|dispute| dispute.status != DisputeStatus::TakesNothing);
        let gone = back.chain(disputed.map(|dispute| dispute.amount)).fold(0, i64::saturating_add);
        let kept = received_cents.saturating_sub(gone);
        for failed in refunds.iter().filter(|refund| !refund.takes() && kept > 0) {
            let cents = failed.amount.min(kept);
            tracing::error!(%workspace, refund = %failed.id, cents, "a refund of money that is on no grant failed");
            self.note(workspace, &name_of(&failed.id), (cents, &failed.currency), FAILED).await?;
        }
        Ok(())
    }

    async fn report_loss(
        &self,
        workspace: &WorkspaceId,
        paid: Option<PaidSum>,
        refunds: &[Refund],
        disputes: &[Dispute],
    ) -> Result<Observed, NotObserved> {
        let payments = self.payments(workspace).await?;
        let elsewhere = refunds.iter().filter(|refund| own(&payments, refund).is_none());
        let loss = loss_of(elsewhere, disputes);
        for (id, cents, currency) in &loss.other {
            tracing::error!(%workspace, %id, cents, currency, "money of another currency goes back; it is not counted");
            self.note(workspace, &name_of(id), (*cents, currency), OTHER_CURRENCY).await?;
        }
        let Some(PaidSum { payment, cents, tax_cents, rest_cents }) = paid else { return Ok(Observed::Ours) };
        let evidence = loss.evidence.trim_start().into();
        let lost = loss.cents.saturating_sub(rest_cents).max(0);
        let net = |lost| without_tax(lost, cents, tax_cents);
        let (elsewhere_cents, disputed_cents) = (net(lost), net(loss.disputed_cents.min(lost)));
        let is_more = elsewhere_cents > payments.back.elsewhere_cents(&payment);
        // Only a new one stops a rule: the payer may have set it since. It is reported afterwards,
        // so that a server that ends between the two stops it too. One that takes no credit leaves
        // nothing by which it is known again, so it is new for some days.
        let is_of_rest = lost == 0 && loss.cents > 0;
        let warns_since = self.app.now().seconds() - WARNS_SECONDS;
        let is_new = |dispute: &Dispute| is_more || is_of_rest && dispute.created >= warns_since;
        let takes = |dispute: &Dispute| dispute.status == DisputeStatus::Takes;
        if disputes.iter().any(|dispute| takes(dispute) && is_new(dispute)) {
            self.stop(workspace, StopReason::Disputed).await?;
        }
        let report = PaymentRefundCommand::ReportLoss { payment, elsewhere_cents, disputed_cents, evidence };
        self.run(workspace, Command::Payment(PaymentCommand::Refund(report))).await
    }

    async fn stop(&self, workspace: &WorkspaceId, why: StopReason) -> Result<Observed, NotObserved> {
        let stop = PaymentCommand::AutoTopUp(AutoTopUpCommand::Stop { why });
        self.run(workspace, Command::Payment(stop)).await
    }
}

/// Adds what was heard of to a list, newest first; returns true if the list lacked it.
fn add_unlisted<T: Identified>(list: &mut Vec<T>, heard_of: Option<T>) -> bool {
    let unlisted = heard_of.filter(|one| list.iter().all(|other| other.id() != one.id()));
    let is_behind = unlisted.is_some();
    list.splice(0..0, unlisted);
    is_behind
}

/// The part of a sum with tax that is no tax, rounded up: of what went back, as much was tax as of
/// what was paid. Rounded down, what is left could not be sent back whole.
fn without_tax(gross_cents: i64, paid_cents: i64, tax_cents: i64) -> i64 {
    let paid = i128::from(paid_cents);
    let whole = (paid + i128::from(tax_cents)).max(1);
    let net = (i128::from(gross_cents) * paid + whole - 1) / whole;
    i64::try_from(net).unwrap_or(i64::MAX)
}

/// The payment refund that a refund is; `None` if this ledger did not request it. A second refund
/// in the name of the same payment refund is not it.
fn own(payments: &Payments, refund: &Refund) -> Option<PaymentRefundId> {
    let id = refund.metadata.get(PAYMENT_REFUND)?.parse().ok()?;
    let placed = payments.back.refund(id)?.placed.as_deref();
    placed.is_none_or(|placed| placed == refund.id.as_str()).then_some(id)
}

/// What is lost by these refunds and disputes.
fn loss_of<'a>(refunds: impl Iterator<Item = &'a Refund>, disputes: &'a [Dispute]) -> Loss<'a> {
    let mut loss = Loss { cents: 0, disputed_cents: 0, evidence: String::new(), other: Vec::new() };
    let mut add = |id: &'a ObjectId, cents: i64, currency: &'a str, what: &str| {
        if currency != USD {
            loss.other.push((id, cents, currency));
            return;
        }
        loss.cents = loss.cents.saturating_add(cents.max(0));
        let start = loss.evidence.len();
        write!(loss.evidence, " {id}:{what}:{cents}").expect("writing to a String does not fail");
        if loss.evidence.len() > EVIDENCE_MAX_BYTES {
            loss.evidence.truncate(start);
        }
    };
    for refund in refunds {
        if refund.takes() {
            add(&refund.id, refund.amount, &refund.currency, "refund");
        }
    }
    let mut disputed_cents = 0_i64;
    for dispute in disputes.iter().filter(|dispute| dispute.status != DisputeStatus::TakesNothing) {
        add(&dispute.id, dispute.amount, &dispute.currency, "dispute");
        if dispute.currency == USD {
            disputed_cents = disputed_cents.saturating_add(dispute.amount.max(0));
        }
    }
    loss.disputed_cents = disputed_cents;
    if loss.evidence.is_empty() {
        loss.evidence.push_str("nothing");
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::{Dispute, Refund, loss_of, without_tax};

    #[test]
    fn what_goes_back_in_another_currency_is_not_counted_as_cents() {
        let refund = |id: &str, status: &str, currency: &str| -> Refund {
            let text = format!(r#"{{"id":"{id}","status":"{status}","amount":700,"currency":"{currency}"}}"#);
            serde_json::from_str(&text).expect("it is a refund")
        };
        let dispute = |id: &str, currency: &str| -> Dispute {
            let text =
                format!(r#"{{"id":"{id}","status":"lost","amount":90,"currency":"{currency}","created":1}}"#);
            serde_json::from_str(&text).expect("it is a dispute")
        };
        let refunds = [
            refund("re_1", "succeeded", "usd"),
            refund("re_2", "pending", "jpy"),
            refund("re_3", "failed", "eur"),
        ];
        let disputes = [dispute("dp_1", "usd"), dispute("dp_2", "eur")];
        let loss = loss_of(refunds.iter(), &disputes);
        assert_eq!((loss.cents, loss.evidence.trim_start()), (790, "re_1:refund:700 dp_1:dispute:90"));
        let other: Vec<_> =
            loss.other.iter().map(|(id, cents, currency)| (id.as_str(), *cents, *currency)).collect();
        assert_eq!(other, [("re_2", 700, "jpy"), ("dp_2", 90, "eur")]);
    }

    #[test]
    fn of_what_goes_back_the_tax_takes_no_credit() {
        assert_eq!(without_tax(1_000, 2_500, 0), 1_000);
        assert_eq!(without_tax(2_700, 2_500, 200), 2_500, "all of it");
        assert_eq!(without_tax(1_350, 2_500, 200), 1_250, "half of it");
        assert_eq!(without_tax(7, 2_500, 475), 6, "a part of a cent is a cent");
        assert_eq!(without_tax(0, 2_500, 200), 0);
        assert_eq!(without_tax(i64::MAX, 2_500, 0), i64::MAX);
    }
}
