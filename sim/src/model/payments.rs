//! The rules of top-ups: one grants its credit once, after it was confirmed. One that nobody paid
//! in 90 days, or on its page, is given up, and grants all the same if it is confirmed later.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    AtProvider, GrantRequest, Micros, PaymentCommand, Refusal, Source, Timestamp, TopUp, TopUpId,
    TopUpStatus, TopUpWay,
};

use super::charges::invalid;
use super::facts::{Fact, Pool};
use crate::model::step::{nth, of_charge};

impl Pool {
    pub(super) fn pay(&mut self, command: &PaymentCommand, now: Timestamp) -> Result<Output, Refusal> {
        match command {
            PaymentCommand::OpenTopUp { cents, way, allowed } => {
                let fits = (1..100_000_000).contains(cents);
                if !fits || *cents < allowed.min_cents || *cents > allowed.max_cents {
                    return Err(Refusal::TopUpOutOfBounds { allowed: *allowed });
                }
                let top_ups = self.top_ups();
                let pending = top_ups.iter().filter(|top_up| top_up.status == TopUpStatus::Pending).count();
                assert!(top_ups.len() < 10_000, "a history must be too short for a top-up to leave");
                if pending >= 100 {
                    return Err(invalid("top_ups"));
                }
                self.check_balance_bound(Micros::new(cents * 1_000))?;
                self.add(now, Fact::TopUpOpened { cents: *cents, way: *way, charge: None });
                let opened = self.top_ups().pop().expect("it was just opened");
                Ok(Output::TopUp(Box::new(opened)))
            }
            PaymentCommand::Refund(command) => self.go_back(command, now),
            PaymentCommand::Subscription(_) => unreachable!("answered in `subscriptions`"),
            PaymentCommand::ConfirmTopUp(id) => {
                let top_ups = self.top_ups();
                let index = top_ups.iter().position(|top_up| top_up.id == *id);
                let index = index.ok_or(Refusal::TopUpNotFound)?;
                let top_up = &top_ups[index];
                if top_up.status == TopUpStatus::Succeeded {
                    let is_confirmed = top_up.payment.as_deref() == Some(&*payment_of(*id));
                    assert!(!is_confirmed, "a second confirmation is a repeated request");
                    return Ok(Output::Done);
                }
                if top_up.way != TopUpWay::Manual {
                    return Err(invalid("top_up"));
                }
                let request = GrantRequest {
                    source: Source::TopUp,
                    amount: Micros::new(top_up.cents * 1_000),
                    reason: None,
                    origin: Some(payment_of(*id).into()),
                    paid_cents: top_up.cents,
                };
                // The fact of the payment follows the grant, and a repayment of debt follows both.
                let grant = self.next_n();
                let payment = payment_of(*id).into();
                let paid = Fact::TopUpPaid { top_up: index, grant, payment, tax_cents: 0 };
                self.grant_with(&request, Some(paid), now)
            }
            PaymentCommand::FailTopUp { top_up, failure } => self.fail_top_up(*top_up, *failure, now),
            PaymentCommand::Card(command) => self.change_card(command, now),
            PaymentCommand::AutoTopUp(command) => self.change_rule(command, now),
            PaymentCommand::Provider(command) => self.hear_from_provider(command, now),
            PaymentCommand::ExpireTopUp(id) => {
                let top_ups = self.top_ups();
                let index = top_ups.iter().position(|top_up| top_up.id == *id);
                let index = index.ok_or(Refusal::TopUpNotFound)?;
                if is_late(&top_ups[index], now) {
                    self.add(now, Fact::TopUpExpired(index));
                }
                Ok(Output::Done)
            }
        }
    }

    /// The top-ups in the order in which they were opened.
    #[must_use]
    pub fn top_ups(&self) -> Vec<TopUp> {
        let mut top_ups: Vec<TopUp> = Vec::new();
        let mut asked_for = 0;
        for line in &self.lines {
            match &line.fact {
                Fact::TopUpOpened { cents, way, charge } => {
                    let id = charge.map_or_else(|| nth(asked_for), of_charge);
                    asked_for += usize::from(charge.is_none());
                    top_ups.push(TopUp {
                        id: TopUpId(id),
                        cents: *cents,
                        way: *way,
                        status: TopUpStatus::Pending,
                        opened_at: line.decided_at,
                        ended_at: None,
                        payment: None,
                        grant: None,
                        failure: None,
                        at_provider: AtProvider::default(),
                    });
                }
                Fact::TopUpFailed { top_up, failure } => {
                    let failed: &mut TopUp = &mut top_ups[*top_up];
                    failed.status = TopUpStatus::Failed;
                    failed.ended_at = Some(line.decided_at);
                    failed.failure = Some(*failure);
                }
                Fact::TopUpPlaced { top_up, reference } => {
                    top_ups[*top_up].at_provider.reference = Some(reference.clone());
                }
                Fact::CallRenewed { top_up } => {
                    let renewed: &mut TopUp = &mut top_ups[*top_up];
                    renewed.at_provider.generation += 1;
                    renewed.at_provider.renewed_at = Some(line.decided_at);
                }
                Fact::TopUpPaid { top_up, grant, payment, tax_cents } => {
                    let granted = self.grants().into_iter().find(|record| record.grant.n == *grant);
                    let paid: &mut TopUp = &mut top_ups[*top_up];
                    paid.status = TopUpStatus::Succeeded;
                    paid.ended_at = Some(line.decided_at);
                    paid.failure = None;
                    paid.payment = Some(payment.clone());
                    paid.at_provider.tax_cents = *tax_cents;
                    paid.grant = granted.map(|record| record.grant.id);
                }
                Fact::TopUpExpired(top_up) => {
                    let expired: &mut TopUp = &mut top_ups[*top_up];
                    expired.status = TopUpStatus::Expired;
                    expired.ended_at = Some(line.decided_at);
                }
                _ => {}
            }
        }
        top_ups
    }

    /// True if a top-up waits that nobody paid in time.
    #[must_use]
    pub fn has_late_top_up(&self, now: Timestamp) -> bool {
        self.top_ups().iter().any(|top_up| is_late(top_up, now))
    }
}

impl Pool {
    /// True if a top-up waits for something whose time has come.
    pub(super) fn has_due_top_up(&self, now: Timestamp) -> bool {
        let pending = self.top_ups().into_iter().filter(|top_up| top_up.status == TopUpStatus::Pending);
        let mut due_at = pending.map(|top_up| {
            let AtProvider { reference, renewed_at, .. } = &top_up.at_provider;
            let began_at = renewed_at.unwrap_or(top_up.opened_at);
            match top_up.way {
                // A clock may have been ahead when a call was begun, so it is due at once.
                TopUpWay::Automatic if reference.is_none() => Timestamp::ZERO,
                // The provider did not say within an hour what became of the charge.
                TopUpWay::Automatic => began_at.plus_seconds(3_600),
                // Nobody knows the address of a page that was not made in 20 hours.
                TopUpWay::Checkout if reference.is_none() => began_at.plus_seconds(20 * 3_600),
                TopUpWay::Checkout | TopUpWay::Manual => gives_up_at(&top_up),
            }
        });
        due_at.any(|at| at <= now)
    }
}

/// When a top-up is given up: 90 days after it was opened.
pub fn gives_up_at(top_up: &TopUp) -> Timestamp {
    Timestamp::from_millis(top_up.opened_at.millis() + 90 * 24 * 3_600_000)
}

fn is_late(top_up: &TopUp, now: Timestamp) -> bool {
    let ends_by_itself = top_up.way != TopUpWay::Automatic;
    ends_by_itself && top_up.status == TopUpStatus::Pending && gives_up_at(top_up) <= now
}

/// The name of the payment of a top-up that the platform confirms.
pub(super) fn payment_of(top_up: TopUpId) -> String {
    format!("manual:{top_up}")
}
