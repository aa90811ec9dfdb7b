//! The rules of money that goes back: what is lost of a payment is what was lost elsewhere plus the
//! payment refunds that did not fail, at most what was paid. The credit follows it.

use std::collections::BTreeMap;

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    PaymentRefund, PaymentRefundCommand, PaymentRefundId, PaymentRefundStatus, Refusal, Timestamp, TopUpId,
};

use super::charges::invalid;
use super::credit::share;
use super::facts::{Fact, Pool};
use crate::model::step::{index_of, nth};

impl Pool {
    /// Runs a command about money that goes back. A refusal leaves no fact.
    pub(super) fn go_back(
        &mut self,
        command: &PaymentRefundCommand,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let before = self.lines.len();
        let answer = self.try_to_go_back(command, now);
        if answer.is_err() {
            self.lines.truncate(before);
        }
        answer
    }

    fn try_to_go_back(&mut self, command: &PaymentRefundCommand, now: Timestamp) -> Result<Output, Refusal> {
        match command {
            PaymentRefundCommand::ReportLoss { payment, elsewhere_cents, disputed_cents, evidence } => {
                let paid = self.top_up_paid_by(payment);
                if paid.is_none() && self.grants_of_plan_payment(payment).is_none() {
                    return Err(invalid("payment"));
                }
                if *elsewhere_cents < 0 {
                    return Err(invalid("elsewhere_cents"));
                }
                if *disputed_cents < 0 || disputed_cents > elsewhere_cents {
                    return Err(invalid("disputed_cents"));
                }
                if evidence.len() > 2_000 {
                    return Err(invalid("evidence"));
                }
                if self.elsewhere(payment) == *elsewhere_cents {
                    return Ok(Output::Done);
                }
                self.add(
                    now,
                    Fact::PaymentLost {
                        payment: payment.clone(),
                        elsewhere_cents: *elsewhere_cents,
                        disputed_cents: *disputed_cents,
                    },
                );
                match paid {
                    Some(top_up) => self.follow(top_up, now),
                    None => self.follow_plan(payment, now),
                }
            }
            PaymentRefundCommand::Request { top_up, cents, reason, by_hand } => {
                self.send_back(*top_up, *cents, (reason, *by_hand), now)
            }
            PaymentRefundCommand::Place { refund, reference } => {
                let refund = self.named_refund(*refund)?;
                let refunds = self.refunds();
                let holder = refunds.iter().position(|other| other.placed.as_ref() == Some(reference));
                if holder == Some(refund) {
                    return Ok(Output::Done);
                }
                if holder.is_some() || refunds[refund].placed.is_some() {
                    return Err(invalid("reference"));
                }
                if reference.is_empty() || reference.chars().count() > 255 {
                    return Err(invalid("reference"));
                }
                self.add(now, Fact::RefundPlaced { refund, reference: reference.clone() });
                Ok(Output::Done)
            }
            PaymentRefundCommand::Succeed(refund) => self.end(*refund, PaymentRefundStatus::Succeeded, now),
            PaymentRefundCommand::Fail { refund, reason: _ } => {
                self.end(*refund, PaymentRefundStatus::Failed, now)
            }
        }
    }

    fn send_back(
        &mut self,
        id: TopUpId,
        asked: Option<i64>,
        (reason, by_hand): (&str, bool),
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let top_ups = self.top_ups();
        let index = top_ups.iter().position(|top_up| top_up.id == id).ok_or(Refusal::TopUpNotFound)?;
        let top_up = top_ups[index].clone();
        let grant = top_up.grant.ok_or(Refusal::NothingToRefund)?;
        let unspent = self.grants()[index_of(grant.0)].grant.remaining.get() / 1_000;
        let refundable_cents = unspent.min(top_up.cents - self.lost_of_top_up(index));
        if refundable_cents == 0 {
            return Err(Refusal::NothingToRefund);
        }
        if self.refunds().len() >= 10_000 {
            return Err(invalid("refunds"));
        }
        let cents = asked.unwrap_or(refundable_cents);
        if cents < 1 || cents > refundable_cents {
            return Err(Refusal::RefundOutOfBounds { refundable_cents });
        }
        self.add(now, Fact::RefundRequested { top_up: index, cents, reason: reason.into() });
        let refund = self.refunds().len() - 1;
        self.follow(index, now)?;
        // What came in at a provider goes back there.
        let is_at_provider = top_up.payment.is_some_and(|payment| payment.starts_with("stripe:"));
        if by_hand && !is_at_provider {
            self.add(now, Fact::RefundEnded { refund, status: PaymentRefundStatus::Succeeded });
        }
        Ok(Output::PaymentRefund(Box::new(self.refunds().swap_remove(refund)), self.balance()))
    }

    fn end(
        &mut self,
        id: PaymentRefundId,
        status: PaymentRefundStatus,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let refund = self.named_refund(id)?;
        if self.refunds()[refund].status == status {
            return Ok(Output::Done);
        }
        self.add(now, Fact::RefundEnded { refund, status });
        let top_up = self.top_up_of(refund);
        self.follow(top_up, now)
    }

    /// Takes or gives back the credit of what is lost of a top-up's payment.
    fn follow(&mut self, top_up: usize, now: Timestamp) -> Result<Output, Refusal> {
        let grant = self.top_ups()[top_up].grant.expect("the top-up was paid");
        let record = self.grants()[index_of(grant.0)].clone();
        let lost = self.lost_of_top_up(top_up);
        self.go_towards(&record, (lost, share(&record, lost)), now)
    }

    /// The same for a payment for a plan, grant by grant.
    fn follow_plan(&mut self, payment: &str, now: Timestamp) -> Result<Output, Refusal> {
        for n in self.grants_of_plan_payment(payment).expect("it was found before") {
            let record = self.grants().into_iter().find(|record| record.grant.n == n);
            let lost = self.lost_of_plan_grant(n);
            self.go_towards(&record.expect("the grant was made"), lost, now)?;
        }
        Ok(Output::Done)
    }

    fn top_up_paid_by(&self, payment: &str) -> Option<usize> {
        self.top_ups().iter().position(|top_up| top_up.payment.as_deref() == Some(payment))
    }

    pub(super) fn named_refund(&self, id: PaymentRefundId) -> Result<usize, Refusal> {
        let index = index_of(id.0);
        if index < self.refunds().len() { Ok(index) } else { Err(invalid("refund")) }
    }

    /// The index of the top-up of whose payment a refund is.
    fn top_up_of(&self, refund: usize) -> usize {
        let requested = self.lines.iter().filter_map(|line| match &line.fact {
            Fact::RefundRequested { top_up, .. } => Some(*top_up),
            _ => None,
        });
        requested.into_iter().nth(refund).expect("the refund was requested")
    }

    /// What is lost of a payment besides its refunds.
    fn elsewhere(&self, payment: &str) -> i64 {
        self.lost_elsewhere().get(payment).copied().unwrap_or_default()
    }

    /// The payment refunds of a top-up that count.
    fn own_refunds(&self, top_up: usize) -> i128 {
        let refunds = self.refunds().into_iter().enumerate();
        let counted = refunds.filter(|(refund, it)| {
            it.status != PaymentRefundStatus::Failed && self.top_up_of(*refund) == top_up
        });
        counted.map(|(_, refund)| i128::from(refund.cents)).sum()
    }

    fn lost_of_top_up(&self, top_up: usize) -> i64 {
        let own = self.own_refunds(top_up);
        let paid_for = &self.top_ups()[top_up];
        let (name, paid) = (paid_for.payment.as_deref(), i128::from(paid_for.cents));
        let elsewhere = name.map_or(0, |name| self.elsewhere(name));
        let lost = (own + i128::from(elsewhere)).min(paid);
        i64::try_from(lost).expect("it is at most what was paid")
    }

    /// True if the money of a refund is to be sent by the provider that took it, or if the provider
    /// has said nothing of it for a day.
    pub(super) fn has_due_refund(&self, now: Timestamp) -> bool {
        let is_unheard = |refund: &PaymentRefund| is_on_its_way(refund) && unheard_at(refund) <= now;
        self.refunds().iter().any(|refund| waits_for_its_call(refund) || is_unheard(refund))
    }

    /// What is lost of payments besides their refunds, by the name of the payment.
    #[must_use]
    pub fn lost_elsewhere(&self) -> BTreeMap<Box<str>, i64> {
        let mut losses = BTreeMap::new();
        for line in &self.lines {
            if let Fact::PaymentLost { payment, elsewhere_cents, .. } = &line.fact {
                losses.insert(payment.clone(), *elsewhere_cents);
            }
        }
        losses.retain(|_, cents| *cents > 0);
        losses
    }

    /// How much of each payment was refunded to the payer, and if it was for a plan. What is lost
    /// and not disputed was refunded.
    pub(super) fn refunded_to_payers(&self) -> Vec<(Box<str>, bool, i64)> {
        let mut disputed = BTreeMap::new();
        for line in &self.lines {
            if let Fact::PaymentLost { payment, disputed_cents, .. } = &line.fact {
                disputed.insert(payment.clone(), *disputed_cents);
            }
        }
        let disputed_of = |name: &str| disputed.get(name).copied().unwrap_or(0);
        let mut refunded = Vec::new();
        for (index, top_up) in self.top_ups().iter().enumerate() {
            let Some(name) = &top_up.payment else { continue };
            let own = self.own_refunds(index);
            let elsewhere = i128::from(self.elsewhere(name) - disputed_of(name).min(self.elsewhere(name)));
            let cents = (own + elsewhere).min(i128::from(top_up.cents));
            refunded.push((name.clone(), false, i64::try_from(cents).expect("at most what was paid")));
        }
        for payment in self.payments_of_subscriptions() {
            let elsewhere = self.elsewhere(&payment.payment);
            let cents = elsewhere - disputed_of(&payment.payment).min(elsewhere);
            refunded.push((payment.payment, true, cents.min(payment.cents)));
        }
        refunded.retain(|(_, _, cents)| *cents > 0);
        refunded
    }

    /// The payment refunds in the order in which they were requested.
    #[must_use]
    pub fn refunds(&self) -> Vec<PaymentRefund> {
        let (top_ups, mut refunds) = (self.top_ups(), Vec::new());
        for line in &self.lines {
            match &line.fact {
                Fact::RefundRequested { top_up, cents, reason } => refunds.push(PaymentRefund {
                    id: PaymentRefundId(nth(refunds.len())),
                    payment: top_ups[*top_up].payment.clone().expect("the top-up was paid"),
                    cents: *cents,
                    reason: reason.clone(),
                    status: PaymentRefundStatus::Pending,
                    requested_at: line.decided_at,
                    ended_at: None,
                    placed: None,
                    generation: 0,
                    renewed_at: None,
                }),
                Fact::RefundPlaced { refund, reference } => {
                    refunds[*refund].placed = Some(reference.clone());
                }
                Fact::RefundCallRenewed { refund } => {
                    let renewed: &mut PaymentRefund = &mut refunds[*refund];
                    renewed.generation += 1;
                    renewed.renewed_at = Some(line.decided_at);
                }
                Fact::RefundEnded { refund, status } => {
                    refunds[*refund].status = *status;
                    refunds[*refund].ended_at = Some(line.decided_at);
                }
                _ => {}
            }
        }
        refunds
    }
}

/// True if the provider that took the money has not taken the refund over yet.
pub(super) fn waits_for_its_call(refund: &PaymentRefund) -> bool {
    let is_pending = refund.status == PaymentRefundStatus::Pending;
    is_pending && refund.placed.is_none() && refund.payment.starts_with("stripe:")
}

/// When a provider is asked what became of a refund: a day after its call was begun.
pub fn unheard_at(refund: &PaymentRefund) -> Timestamp {
    refund.renewed_at.unwrap_or(refund.requested_at).plus_seconds(24 * 3_600)
}

/// True if the provider has taken over the refund and does not say yet what became of it.
fn is_on_its_way(refund: &PaymentRefund) -> bool {
    let is_pending = refund.status == PaymentRefundStatus::Pending;
    is_pending && refund.placed.is_some() && refund.payment.starts_with("stripe:")
}
