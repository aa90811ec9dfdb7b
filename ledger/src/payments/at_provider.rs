//! What is known of top-ups at a payment provider: the object that was made for each, which call
//! made it, and the tax that was paid on top; and which call sends a payment refund.
//!
//! Calls at a provider are derived from this state. A top-up or a payment refund that is pending
//! and was not placed is a call to make. One commit gives a call one *generation*, from which its
//! idempotency key at the provider follows, so that no call is carried out twice. A new generation
//! begins once it is certain that the call before left nothing. How calls are made is not here.

use super::Payments;
use super::card::is_provider_id;
use super::payment_refund::{PaymentRefund, PaymentRefundStatus};
use super::top_up::{TopUp, TopUpStatus, TopUpWay};
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::journal::disagreement::{Violation, ensure};
use crate::{Kind, PaymentRefundId, Timestamp, TopUpId, bounds};

/// What is known of a top-up at a payment provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtProvider {
    /// The provider's id of what was made for the top-up: a page to pay on, or a payment.
    pub reference: Option<Box<str>>,
    /// How often its call was begun anew.
    pub generation: u32,
    /// When it was begun anew last.
    pub renewed_at: Option<Timestamp>,
    /// The tax that was paid on top of its cents.
    pub tax_cents: i64,
}

/// A call at a payment provider that is made once for its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProviderCall {
    /// The one by which a top-up is paid.
    TopUp(TopUpId),
    /// The one that sends the money of a payment refund back.
    PaymentRefund(PaymentRefundId),
}

/// What a payment provider did, as far as it is not about cards or failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderCommand {
    /// Says what the provider made for a top-up. The first one counts.
    PlaceTopUp {
        /// The top-up.
        top_up: TopUpId,
        /// The provider's id of it.
        reference: Box<str>,
    },
    /// Says that the money of a top-up came in. It grants the credit once.
    SucceedTopUp {
        /// The top-up.
        top_up: TopUpId,
        /// The name of the payment ([`TopUp::provider_payment`]).
        payment: Box<str>,
        /// What came in without tax, which must be the cents of the top-up.
        cents: i64,
        /// The tax that came in with it.
        tax_cents: i64,
    },
    /// Says that the page of a top-up is over and was not paid. Its money may still come, and then
    /// grants.
    ExpireTopUp {
        /// The top-up.
        top_up: TopUpId,
    },
    /// Says that a call of this generation left nothing at the provider and never will, so it may
    /// be begun anew.
    RenewCall {
        /// The call.
        call: ProviderCall,
        /// The generation that left nothing.
        lost: u32,
    },
}

/// What happened at a payment provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderChange {
    /// The provider made something for a top-up.
    TopUpPlaced {
        /// The top-up.
        top_up: TopUpId,
        /// The provider's id of it.
        reference: Box<str>,
    },
    /// A call is begun anew under another key.
    CallRenewed {
        /// The call.
        call: ProviderCall,
        /// Its generation from now on.
        generation: u32,
    },
}

impl AtProvider {
    fn is_consistent(&self, status: TopUpStatus) -> bool {
        let AtProvider { reference, generation, renewed_at, tax_cents } = self;
        reference.as_deref().is_none_or(is_provider_id)
            && (*generation > 0) == renewed_at.is_some()
            && (0..=bounds::TOP_UP_MAX_CENTS).contains(tax_cents)
            && (*tax_cents == 0 || status == TopUpStatus::Succeeded)
    }

    fn write(&self, w: &mut Writer) {
        let AtProvider { reference, generation, renewed_at, tax_cents } = self;
        w.maybe_text(reference.as_deref());
        w.unsigned(u64::from(*generation));
        w.maybe_signed(renewed_at.map(Timestamp::millis));
        w.signed(*tax_cents);
    }

    fn read(r: &mut Reader) -> Result<AtProvider, Malformed> {
        Ok(AtProvider {
            reference: r.maybe_text("a top-up's reference")?.map(Into::into),
            generation: read_generation(r)?,
            renewed_at: r.maybe_signed("the time of a call")?.map(Timestamp::from_millis),
            tax_cents: r.signed("a top-up's tax")?,
        })
    }
}

impl ProviderCall {
    fn write(self, w: &mut Writer) {
        let (tag, id) = match self {
            ProviderCall::TopUp(top_up) => (0, top_up.0),
            ProviderCall::PaymentRefund(refund) => (1, refund.0),
        };
        w.byte(tag);
        w.id(id);
    }

    fn read(r: &mut Reader) -> Result<ProviderCall, Malformed> {
        match r.byte("a call")? {
            0 => Ok(ProviderCall::TopUp(TopUpId(r.id("the top-up of a call")?))),
            1 => Ok(ProviderCall::PaymentRefund(PaymentRefundId(r.id("the payment refund of a call")?))),
            _ => Err(Malformed("a call")),
        }
    }
}

pub(super) fn read_generation(r: &mut Reader) -> Result<u32, Malformed> {
    const WHAT: &str = "the generation of a call";
    r.unsigned(WHAT)?.try_into().map_err(|_| Malformed(WHAT))
}

impl ProviderChange {
    /// The kind of the entry that carries the change.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            ProviderChange::TopUpPlaced { .. } => Kind::TopUpPlaced,
            ProviderChange::CallRenewed { .. } => Kind::CallRenewed,
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            ProviderChange::TopUpPlaced { top_up, reference } => {
                w.id(top_up.0);
                w.text(reference);
            }
            ProviderChange::CallRenewed { call, generation } => {
                call.write(w);
                w.unsigned(u64::from(*generation));
            }
        }
    }

    pub(crate) fn read(r: &mut Reader, kind: Kind) -> Result<ProviderChange, Malformed> {
        Ok(match kind {
            Kind::TopUpPlaced => {
                let top_up = TopUpId(r.id("a top-up")?);
                ProviderChange::TopUpPlaced { top_up, reference: r.text("a top-up's reference")?.into() }
            }
            Kind::CallRenewed => {
                let call = ProviderCall::read(r)?;
                ProviderChange::CallRenewed { call, generation: read_generation(r)? }
            }
            _ => return Err(Malformed("what happened at a payment provider")),
        })
    }
}

impl Payments {
    /// The top-up for which the provider made this.
    #[must_use]
    pub fn top_up_of_reference(&self, reference: &str) -> Option<&TopUp> {
        self.top_ups.iter().find(|top_up| top_up.at_provider.reference.as_deref() == Some(reference))
    }

    /// Applies an entry about what happened at a payment provider.
    ///
    /// # Errors
    /// [`Violation`] if the change does not follow from the payments as they are.
    pub(super) fn apply_at_provider(
        &mut self,
        change: &ProviderChange,
        decided_at: Timestamp,
    ) -> Result<(), Violation> {
        match change {
            ProviderChange::TopUpPlaced { top_up, reference } => {
                ensure(is_provider_id(reference), "a top-up has a reference that is none")?;
                let is_new = self.top_up_of_reference(reference).is_none();
                ensure(is_new, "i12: two top-ups have one reference at the provider")?;
                self.unplaced(*top_up)?.at_provider.reference = Some(reference.clone());
            }
            ProviderChange::CallRenewed { call: ProviderCall::TopUp(top_up), generation } => {
                let at_provider = &mut self.unplaced(*top_up)?.at_provider;
                let follows = at_provider.generation.checked_add(1) == Some(*generation);
                ensure(follows, "i12: a call is begun anew twice, or before it was begun")?;
                (at_provider.generation, at_provider.renewed_at) = (*generation, Some(decided_at));
            }
            ProviderChange::CallRenewed { call: ProviderCall::PaymentRefund(id), generation } => {
                let refund = self.back.refunds.iter_mut().find(|refund| refund.id == *id);
                let refund = refund.filter(|refund| refund.waits_for_its_call());
                let refund = refund.ok_or(Violation("a payment refund is sent anew that does not wait"))?;
                let follows = refund.generation.checked_add(1) == Some(*generation);
                ensure(follows, "i13: a payment refund is sent anew twice, or before it was sent")?;
                (refund.generation, refund.renewed_at) = (*generation, Some(decided_at));
            }
        }
        Ok(())
    }

    /// A top-up whose call at the provider has brought nothing yet.
    fn unplaced(&mut self, id: TopUpId) -> Result<&mut TopUp, Violation> {
        let top_up = self.top_ups.iter_mut().find(|top_up| top_up.id == id);
        let top_up = top_up.filter(|top_up| top_up.waits_for_its_call());
        top_up.ok_or(Violation("a top-up is placed that does not wait for it"))
    }

    /// Writes what is known at the provider, of each top-up by its place in the list.
    pub(super) fn write_at_provider(&self, w: &mut Writer, tag: u8) {
        let unknown = AtProvider::default();
        let known = self.top_ups.iter().enumerate().filter(|(_, top_up)| top_up.at_provider != unknown);
        let known: Vec<(usize, &TopUp)> = known.collect();
        if known.is_empty() {
            return;
        }
        w.byte(tag);
        w.list(&known, |w, (place, top_up)| {
            assert!(top_up.at_provider.is_consistent(top_up.status), "i12: a top-up must fit its payment");
            w.unsigned(*place as u64);
            top_up.at_provider.write(w);
        });
    }

    /// Reads what [`Payments::write_at_provider`] wrote.
    pub(super) fn read_at_provider(&mut self, r: &mut Reader) -> Result<(), Malformed> {
        const WHAT: &str = "what is known of top-ups at a provider";
        let read = |r: &mut Reader| Ok((r.unsigned(WHAT)?, AtProvider::read(r)?));
        let known = r.list(WHAT, read)?;
        let is_ascending = known.is_sorted_by(|(one, _), (other, _)| one < other);
        if known.is_empty() || !is_ascending {
            return Err(Malformed(WHAT));
        }
        for (place, at_provider) in known {
            let top_up = usize::try_from(place).ok().and_then(|place| self.top_ups.get_mut(place));
            let top_up = top_up.ok_or(Malformed(WHAT))?;
            if at_provider == AtProvider::default() || !at_provider.is_consistent(top_up.status) {
                return Err(Malformed(WHAT));
            }
            top_up.at_provider = at_provider;
        }
        Ok(())
    }
}

impl Payments {
    /// Writes when the calls of payment refunds were begun anew, by their place in the list.
    pub(super) fn write_refund_calls(&self, w: &mut Writer, tag: u8) {
        let renewed = self.back.refunds.iter().enumerate();
        let renewed: Vec<_> =
            renewed.filter_map(|(place, refund)| Some((place, refund.renewed_at?))).collect();
        if renewed.is_empty() {
            return;
        }
        w.byte(tag);
        w.list(&renewed, |w, (place, renewed_at)| {
            assert!(self.back.refunds[*place].generation > 0, "a call begun anew must have a new key");
            w.unsigned(*place as u64);
            w.time(*renewed_at);
        });
    }

    /// Reads what [`Payments::write_refund_calls`] wrote.
    pub(super) fn read_refund_calls(&mut self, r: &mut Reader) -> Result<(), Malformed> {
        const WHAT: &str = "the calls of payment refunds";
        let renewed = r.list(WHAT, |r| Ok((r.unsigned(WHAT)?, r.time(WHAT)?)))?;
        if renewed.is_empty() || !renewed.is_sorted_by(|(one, _), (other, _)| one < other) {
            return Err(Malformed(WHAT));
        }
        for (place, renewed_at) in renewed {
            let refund = usize::try_from(place).ok().and_then(|place| self.back.refunds.get_mut(place));
            refund.ok_or(Malformed(WHAT))?.renewed_at = Some(renewed_at);
        }
        Ok(())
    }

    /// True if each payment refund whose call was begun anew says when.
    pub(super) fn are_refund_calls_consistent(&self) -> bool {
        self.back.refunds.iter().all(|refund| (refund.generation > 0) == refund.renewed_at.is_some())
    }
}

impl PaymentRefund {
    /// True if its money is to be sent by a provider, which has not taken it over yet.
    #[must_use]
    pub fn waits_for_its_call(&self) -> bool {
        self.status == PaymentRefundStatus::Pending
            && self.placed.is_none()
            && TopUp::is_provider_payment(&self.payment)
    }

    /// When its call at the provider was begun, the last time.
    #[must_use]
    pub fn call_began_at(&self) -> Timestamp {
        self.renewed_at.unwrap_or(self.requested_at)
    }
}

impl TopUp {
    /// When its call at the provider was begun, the last time.
    #[must_use]
    pub fn call_began_at(&self) -> Timestamp {
        self.at_provider.renewed_at.unwrap_or(self.opened_at)
    }

    /// True if it is to be paid at a provider, where nothing was made for it yet.
    #[must_use]
    pub fn waits_for_its_call(&self) -> bool {
        self.way != TopUpWay::Manual
            && self.status == TopUpStatus::Pending
            && self.at_provider.reference.is_none()
    }
}
