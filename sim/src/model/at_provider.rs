//! The rules of what a payment provider says about top-ups: what was made for one, that its money
//! came in, that its page is over, and that a call left nothing, also one of a payment refund.

use tollkeeper_engine::Output;
use tollkeeper_ledger::{
    GrantRequest, Micros, ProviderCall, ProviderCommand, Refusal, Source, Timestamp, TopUp, TopUpId,
    TopUpStatus, TopUpWay,
};

use super::charges::invalid;
use super::facts::{Fact, Pool};
use super::payment_refunds::waits_for_its_call;

impl Pool {
    pub(super) fn hear_from_provider(
        &mut self,
        command: &ProviderCommand,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        match command {
            ProviderCommand::PlaceTopUp { top_up, reference } => {
                let (index, found) = self.find_top_up(*top_up)?;
                if reference.is_empty() {
                    return Err(invalid("reference"));
                }
                if !waits(&found) {
                    return Ok(Output::Done);
                }
                let taken =
                    |other: &TopUp| other.at_provider.reference.as_deref() == Some(reference.as_ref());
                if self.top_ups().iter().any(taken) {
                    return Err(invalid("reference"));
                }
                self.add(now, Fact::TopUpPlaced { top_up: index, reference: reference.clone() });
                Ok(Output::Done)
            }
            ProviderCommand::SucceedTopUp { top_up, payment, cents, tax_cents } => {
                let (index, found) = self.find_top_up(*top_up)?;
                let is_second = found.payment.is_some_and(|paid| paid != *payment);
                let is_manual = found.way == TopUpWay::Manual;
                if is_second || is_manual || *cents != found.cents || *tax_cents < 0 {
                    return Err(Refusal::PaymentUnmatched);
                }
                assert!(found.status != TopUpStatus::Succeeded, "the same payment is a repeated request");
                let request = GrantRequest {
                    source: Source::TopUp,
                    amount: Micros::new(cents * 1_000),
                    reason: Some(format!("top-up {top_up}").into()),
                    origin: Some(payment.clone()),
                    paid_cents: *cents,
                };
                let grant = self.next_n();
                let paid =
                    Fact::TopUpPaid { top_up: index, grant, payment: payment.clone(), tax_cents: *tax_cents };
                self.grant_with(&request, Some(paid), now)
            }
            ProviderCommand::ExpireTopUp { top_up } => {
                let (index, found) = self.find_top_up(*top_up)?;
                if found.way == TopUpWay::Checkout && found.status == TopUpStatus::Pending {
                    self.add(now, Fact::TopUpExpired(index));
                }
                Ok(Output::Done)
            }
            ProviderCommand::RenewCall { call: ProviderCall::TopUp(top_up), lost } => {
                let (index, found) = self.find_top_up(*top_up)?;
                if waits(&found) && found.at_provider.generation == *lost {
                    self.add(now, Fact::CallRenewed { top_up: index });
                }
                Ok(Output::Done)
            }
            ProviderCommand::RenewCall { call: ProviderCall::PaymentRefund(refund), lost } => {
                let index = self.named_refund(*refund)?;
                let refund = self.refunds().swap_remove(index);
                if waits_for_its_call(&refund) && refund.generation == *lost {
                    self.add(now, Fact::RefundCallRenewed { refund: index });
                }
                Ok(Output::Done)
            }
        }
    }

    fn find_top_up(&self, id: TopUpId) -> Result<(usize, TopUp), Refusal> {
        let found = self.top_ups().into_iter().enumerate().find(|(_, top_up)| top_up.id == id);
        found.ok_or(Refusal::TopUpNotFound)
    }
}

/// True if something is to be made for a top-up at a provider.
fn waits(top_up: &TopUp) -> bool {
    top_up.way != TopUpWay::Manual
        && top_up.status == TopUpStatus::Pending
        && top_up.at_provider.reference.is_none()
}
