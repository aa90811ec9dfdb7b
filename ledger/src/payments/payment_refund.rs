//! Money that goes back: payment refunds, and what is lost of a payment elsewhere.
//!
//! What is lost of a payment is what was lost elsewhere plus the workspace's own payment refunds
//! that did not fail, and at most what was paid. Elsewhere are disputes, and refunds that were made
//! at the provider's own page. The commands say what *is*, so they may come in any order and again.
//!
//! The credit of a payment refund is taken before its money is sent. If it fails, also after it
//! succeeded, the credit comes back (i13). What is taken and given is decided in
//! `decide::payment_refunds`. How money is sent is not here.

use super::at_provider::read_generation;
use super::{PaidPart, Payments};
use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::journal::disagreement::{Violation, ensure};
use crate::journal::kind::Kind;
use crate::{GrantId, Micros, PaymentRefundId, Timestamp, TopUpId, bounds};

/// What can be asked about money that goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentRefundCommand {
    /// Says what is lost of a payment besides the payment refunds of the workspace. What was said
    /// before counts no more.
    ReportLoss {
        /// The name of the payment.
        payment: Box<str>,
        /// What is lost now; it may be more than was paid.
        elsewhere_cents: i64,
        /// How much of it is disputed; the rest was refunded at the provider.
        disputed_cents: i64,
        /// What shows the loss, such as the refunds and disputes at the payment provider.
        evidence: Box<str>,
    },
    /// Sends back money that was paid for a top-up. Its credit is taken first.
    Request {
        /// The top-up that was paid.
        top_up: TopUpId,
        /// What to send back; all of it whose credit is unspent if `None`.
        cents: Option<i64>,
        /// The reason, for people.
        reason: Box<str>,
        /// True if a person sends the money, so that it counts as sent at once. A repeated request
        /// is not compared with it.
        by_hand: bool,
    },
    /// Says that the payment provider took over a payment refund.
    Place {
        /// The payment refund.
        refund: PaymentRefundId,
        /// The provider's own id of it.
        reference: Box<str>,
    },
    /// Says that the money of a payment refund reached the payer.
    Succeed(PaymentRefundId),
    /// Says that the money of a payment refund did not reach the payer, or came back from there.
    Fail {
        /// The payment refund.
        refund: PaymentRefundId,
        /// The reason, for people.
        reason: Box<str>,
    },
}

/// What happened to money that goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentRefundChange {
    /// More or less was lost of a payment elsewhere.
    Lost {
        /// The name of the payment.
        payment: Box<str>,
        /// What is lost now, besides the payment refunds of the workspace.
        elsewhere_cents: i64,
        /// How much of it is disputed; the rest was refunded at the provider.
        disputed_cents: i64,
        /// What shows the loss.
        evidence: Box<str>,
    },
    /// A payment refund was requested. Its credit is taken by the entry that follows.
    Requested {
        /// The id of the payment refund.
        refund: PaymentRefundId,
        /// The top-up that was paid.
        top_up: TopUpId,
        /// The name of its payment.
        payment: Box<str>,
        /// What goes back.
        cents: i64,
        /// What the request asked for; `None` if for all.
        asked: Option<i64>,
        /// The reason, for people.
        reason: Box<str>,
        /// True if a person sends the money.
        by_hand: bool,
    },
    /// The payment provider took it over.
    Placed {
        /// The payment refund.
        refund: PaymentRefundId,
        /// The provider's own id of it.
        reference: Box<str>,
    },
    /// The money reached the payer.
    Succeeded {
        /// The payment refund.
        refund: PaymentRefundId,
    },
    /// The money did not reach the payer, or came back from there.
    Failed {
        /// The payment refund.
        refund: PaymentRefundId,
        /// The reason, for people.
        reason: Box<str>,
    },
}

/// What became of a payment refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentRefundStatus {
    /// The money is on its way, or still to be sent.
    Pending,
    /// The money reached the payer.
    Succeeded,
    /// The money did not reach the payer, or came back from there.
    Failed,
}

coded!(PaymentRefundStatus, "the status of a payment refund", {
    Pending = 0 "pending",
    Succeeded = 1 "succeeded",
    Failed = 2 "failed",
});

/// Money that goes back to the payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRefund {
    /// The id of the payment refund.
    pub id: PaymentRefundId,
    /// The name of the payment.
    pub payment: Box<str>,
    /// What goes back.
    pub cents: i64,
    /// The reason, for people.
    pub reason: Box<str>,
    /// What became of it.
    pub status: PaymentRefundStatus,
    /// The time at which it was requested.
    pub requested_at: Timestamp,
    /// The time at which it got its status, unless it is pending.
    pub ended_at: Option<Timestamp>,
    /// The provider's own id of it, once the provider has it.
    pub placed: Option<Box<str>>,
    /// How often its call at the provider was begun anew.
    pub generation: u32,
    /// When it was begun anew last.
    pub renewed_at: Option<Timestamp>,
}

/// What is lost of a payment besides the payment refunds of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The name of the payment.
    pub payment: Box<str>,
    /// What is lost; it may be more than was paid, and it is never zero.
    pub elsewhere_cents: i64,
}

/// What is lost of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantLoss {
    /// The grant.
    pub grant: GrantId,
    /// What is lost, 0 to `paid_cents`.
    pub lost_cents: i64,
    /// What was paid for the grant.
    pub paid_cents: i64,
    /// The credit that is to be taken or owed.
    pub credit: Micros,
}

/// What went back of payments: a part of [`Payments`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoneyBack {
    /// What is lost elsewhere, by payment, in the order in which the losses began.
    pub losses: Vec<Loss>,
    /// The payment refunds, oldest first.
    pub refunds: Vec<PaymentRefund>,
}

impl PaymentRefund {
    /// The payment refund after the change that such an entry began; `None` if it requests none.
    #[must_use]
    pub fn of(change: &PaymentRefundChange, decided_at: Timestamp) -> Option<PaymentRefund> {
        let PaymentRefundChange::Requested { refund, payment, cents, reason, by_hand, .. } = change else {
            return None;
        };
        let refund = PaymentRefund::requested(*refund, payment.clone(), *cents, reason.clone(), decided_at);
        Some(if *by_hand { refund.ended(PaymentRefundStatus::Succeeded, decided_at) } else { refund })
    }

    /// A payment refund that was just requested.
    fn requested(
        id: PaymentRefundId,
        payment: Box<str>,
        cents: i64,
        reason: Box<str>,
        requested_at: Timestamp,
    ) -> PaymentRefund {
        assert!(cents > 0, "a payment refund must send something back");
        PaymentRefund {
            id,
            payment,
            cents,
            reason,
            status: PaymentRefundStatus::Pending,
            requested_at,
            ended_at: None,
            placed: None,
            generation: 0,
            renewed_at: None,
        }
    }

    /// True if its money counts as lost: it was requested and did not fail.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.status != PaymentRefundStatus::Failed
    }

    /// The same refund after its money was sent.
    #[must_use]
    pub fn ended(self, status: PaymentRefundStatus, at: Timestamp) -> PaymentRefund {
        assert!(status != PaymentRefundStatus::Pending, "a payment refund that ended must not be pending");
        assert!(status != self.status, "a payment refund must not end twice in the same way");
        PaymentRefund { status, ended_at: Some(at), ..self }
    }

    fn write(&self, w: &mut Writer) {
        // When its call was begun anew has a section of its own.
        let PaymentRefund { id, payment, cents, reason, status, requested_at, .. } = self;
        let PaymentRefund { ended_at, placed, generation, renewed_at: _, .. } = self;
        w.id(id.0);
        w.text(payment);
        w.signed(*cents);
        w.text(reason);
        w.byte(status.code());
        w.time(*requested_at);
        w.maybe_signed(ended_at.map(Timestamp::millis));
        w.maybe_text(placed.as_deref());
        w.unsigned(u64::from(*generation));
    }

    fn read(r: &mut Reader) -> Result<PaymentRefund, Malformed> {
        let refund = PaymentRefund {
            id: PaymentRefundId(r.id("a payment refund")?),
            payment: r.text("a payment refund's payment")?.into(),
            cents: r.signed("a payment refund's cents")?,
            reason: r.text("a payment refund's reason")?.into(),
            status: PaymentRefundStatus::from_code(r.byte("a payment refund's status")?)?,
            requested_at: r.time("a payment refund's time")?,
            ended_at: r.maybe_signed("a payment refund's end")?.map(Timestamp::from_millis),
            placed: r.maybe_text("a payment refund's reference")?.map(Into::into),
            generation: read_generation(r)?,
            renewed_at: None,
        };
        let is_pending = refund.status == PaymentRefundStatus::Pending;
        if refund.cents <= 0 || is_pending == refund.ended_at.is_some() {
            return Err(Malformed("a payment refund whose parts do not agree"));
        }
        Ok(refund)
    }
}

impl MoneyBack {
    /// True if nothing went back and nothing is lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.losses.is_empty() && self.refunds.is_empty()
    }

    /// A payment refund by id.
    #[must_use]
    pub fn refund(&self, id: PaymentRefundId) -> Option<&PaymentRefund> {
        self.refunds.iter().find(|refund| refund.id == id)
    }

    /// What is lost of a payment besides the payment refunds of the workspace.
    #[must_use]
    pub fn elsewhere_cents(&self, payment: &str) -> i64 {
        let loss = self.losses.iter().find(|loss| &*loss.payment == payment);
        loss.map_or(0, |loss| loss.elsewhere_cents)
    }

    /// The sum of the payment refunds that count. Each was at most what was left of its payment.
    fn own_cents(&self, payment: &str) -> i64 {
        let counted = self.refunds.iter().filter(|refund| refund.counts() && &*refund.payment == payment);
        counted.fold(0, |sum: i64, refund| sum.saturating_add(refund.cents))
    }

    pub(super) fn write(&self, w: &mut Writer) {
        assert!(!self.is_empty(), "what went back must not be written if it is nothing");
        w.list(&self.losses, |w, loss| {
            w.text(&loss.payment);
            w.signed(loss.elsewhere_cents);
        });
        w.list(&self.refunds, |w, refund| refund.write(w));
    }

    pub(super) fn read(r: &mut Reader) -> Result<MoneyBack, Malformed> {
        let losses = r.list("the losses", |r| {
            let payment = r.text("a loss's payment")?.into();
            let elsewhere_cents = r.signed("a loss's cents")?;
            if elsewhere_cents <= 0 {
                return Err(Malformed("a loss of nothing"));
            }
            Ok(Loss { payment, elsewhere_cents })
        })?;
        let back = MoneyBack { losses, refunds: r.list("the payment refunds", PaymentRefund::read)? };
        if back.is_empty() {
            return Err(Malformed("losses and payment refunds, of which there are none"));
        }
        Ok(back)
    }
}

impl Payments {
    /// What is lost of a payment, at most what was paid; `None` if there is no such payment.
    #[must_use]
    pub fn lost_cents(&self, payment: &str) -> Option<i64> {
        let paid = self.paid_cents(payment)?;
        let lost = self.back.elsewhere_cents(payment).saturating_add(self.back.own_cents(payment)).min(paid);
        assert!((0..=paid).contains(&lost), "i13: no more of a payment may be lost than was paid");
        Some(lost)
    }

    /// What is lost of each grant that a payment has brought so far. The parts of the lost cents
    /// are rounded down cumulatively, so that with those of the months to come they sum to them.
    /// The credit of each part is its share of the whole payment, so that all goes with all of it.
    #[must_use]
    pub fn lost_parts(&self, payment: &str) -> Vec<GrantLoss> {
        let (Some(paid), Some(lost)) = (self.paid_cents(payment), self.lost_cents(payment)) else {
            return Vec::new();
        };
        let up_to = |cents: i64| {
            let part = i128::from(lost) * i128::from(cents) / i128::from(paid);
            i64::try_from(part).expect("a part of an i64 is one")
        };
        let mut cents = 0;
        let parts = self.paid_parts(payment).into_iter().map(|part| {
            let before = up_to(cents);
            cents += part.cents;
            let PaidPart { grant, cents: paid_cents, credits } = part;
            let lost_cents = up_to(cents) - before;
            assert!((0..=paid_cents).contains(&lost_cents), "i13: no more may be lost than was paid");
            let credit = credits.share(lost, paid).expect("i13: what is lost is a part of what was paid");
            GrantLoss { grant, lost_cents, paid_cents, credit }
        });
        parts.collect()
    }

    /// What is lost of a grant, by all payments that brought it; `None` if the workspace keeps no
    /// payment of it.
    #[must_use]
    pub fn loss_of(&self, grant: GrantId) -> Option<GrantLoss> {
        let parts = self.payments_of(grant).flat_map(|payment| self.lost_parts(payment));
        let of_grant = parts.filter(|part| part.grant == grant);
        let all = of_grant.reduce(|one, other| GrantLoss {
            grant,
            lost_cents: one.lost_cents + other.lost_cents,
            paid_cents: one.paid_cents + other.paid_cents,
            credit: one.credit + other.credit,
        })?;
        assert!(all.lost_cents <= all.paid_cents, "i13: no more of a grant may be lost than was paid");
        Some(all)
    }

    /// True if a loss or a payment refund of this payment is kept.
    #[must_use]
    pub fn knows_losses_of(&self, payment: &str) -> bool {
        self.back.losses.iter().any(|loss| &*loss.payment == payment)
            || self.back.refunds.iter().any(|refund| &*refund.payment == payment)
    }

    /// Applies an entry about money that goes back.
    ///
    /// # Errors
    /// [`Violation`] if the change does not follow from the payments as they are.
    pub(super) fn apply_refund(
        &mut self,
        change: &PaymentRefundChange,
        decided_at: Timestamp,
    ) -> Result<(), Violation> {
        match change {
            PaymentRefundChange::Lost { payment, elsewhere_cents, disputed_cents, .. } => {
                let is_part = (0..=*elsewhere_cents).contains(disputed_cents);
                ensure(is_part || *elsewhere_cents < 0, "i13: more is disputed than is lost")?;
                self.set_loss(payment, *elsewhere_cents)
            }
            PaymentRefundChange::Requested { refund, top_up, payment, cents, reason, .. } => {
                let named = self.top_up(*top_up).and_then(|top_up| top_up.payment.as_deref());
                ensure(named == Some(&**payment), "i13: a payment refund is of another payment")?;
                ensure(self.back.refund(*refund).is_none(), "i13: a payment refund is requested twice")?;
                let left = self.paid_cents(payment).zip(self.lost_cents(payment));
                let left = left.map_or(0, |(paid, lost)| paid - lost);
                let in_range = *cents > 0 && *cents <= left;
                ensure(in_range, "i13: more goes back than is left of a payment")?;
                let refund =
                    PaymentRefund::requested(*refund, payment.clone(), *cents, reason.clone(), decided_at);
                self.back.refunds.push(refund);
                ensure(self.is_within_bounds(), "a workspace has more payment refunds than it may have")
            }
            PaymentRefundChange::Placed { refund, reference } => {
                let is_new = self.back.refunds.iter().all(|other| other.placed.as_ref() != Some(reference));
                ensure(is_new, "a refund of the provider is placed twice")?;
                let refund = self.refund_mut(*refund)?;
                ensure(refund.placed.is_none(), "a payment refund is placed twice")?;
                refund.placed = Some(reference.clone());
                Ok(())
            }
            PaymentRefundChange::Succeeded { refund } => {
                self.end(*refund, PaymentRefundStatus::Succeeded, decided_at)
            }
            PaymentRefundChange::Failed { refund, .. } => {
                self.end(*refund, PaymentRefundStatus::Failed, decided_at)
            }
        }
    }

    fn set_loss(&mut self, payment: &str, elsewhere_cents: i64) -> Result<(), Violation> {
        ensure(self.paid_cents(payment).is_some(), "i13: a payment is lost that does not exist")?;
        ensure(elsewhere_cents >= 0, "i13: less than nothing is lost")?;
        let losses = &mut self.back.losses;
        match losses.iter_mut().find(|loss| &*loss.payment == payment) {
            Some(loss) => loss.elsewhere_cents = elsewhere_cents,
            None => losses.push(Loss { payment: payment.into(), elsewhere_cents }),
        }
        losses.retain(|loss| loss.elsewhere_cents > 0);
        assert!(self.back.elsewhere_cents(payment) == elsewhere_cents, "i13: a loss must be kept as it is");
        Ok(())
    }

    fn end(
        &mut self,
        refund: PaymentRefundId,
        status: PaymentRefundStatus,
        at: Timestamp,
    ) -> Result<(), Violation> {
        let refund = self.refund_mut(refund)?;
        ensure(refund.status != status, "a payment refund ends twice in the same way")?;
        *refund = refund.clone().ended(status, at);
        Ok(())
    }

    fn refund_mut(&mut self, id: PaymentRefundId) -> Result<&mut PaymentRefund, Violation> {
        let refund = self.back.refunds.iter_mut().find(|refund| refund.id == id);
        refund.ok_or(Violation("i13: an entry names a payment refund that does not exist"))
    }
}

impl PaymentRefundCommand {
    /// The payment whose lost part the command may change; `None` if there is none.
    #[must_use]
    pub fn payment<'a>(&'a self, payments: &'a Payments) -> Option<&'a str> {
        match self {
            PaymentRefundCommand::ReportLoss { payment, .. } => Some(payment),
            PaymentRefundCommand::Request { top_up, .. } => payments.top_up(*top_up)?.payment.as_deref(),
            PaymentRefundCommand::Place { refund, .. }
            | PaymentRefundCommand::Succeed(refund)
            | PaymentRefundCommand::Fail { refund, .. } => {
                payments.back.refund(*refund).map(|refund| &*refund.payment)
            }
        }
    }
}

impl PaymentRefundChange {
    /// The kind of the entry that carries the change.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            PaymentRefundChange::Lost { .. } => Kind::PaymentLost,
            PaymentRefundChange::Requested { .. } => Kind::PaymentRefundRequested,
            PaymentRefundChange::Placed { .. } => Kind::PaymentRefundPlaced,
            PaymentRefundChange::Succeeded { .. } => Kind::PaymentRefundSucceeded,
            PaymentRefundChange::Failed { .. } => Kind::PaymentRefundFailed,
        }
    }

    /// The command that leads to the change.
    pub(crate) fn command(&self) -> PaymentRefundCommand {
        match self.clone() {
            PaymentRefundChange::Lost { payment, elsewhere_cents, disputed_cents, evidence } => {
                PaymentRefundCommand::ReportLoss { payment, elsewhere_cents, disputed_cents, evidence }
            }
            PaymentRefundChange::Requested { top_up, asked: cents, reason, by_hand, .. } => {
                PaymentRefundCommand::Request { top_up, cents, reason, by_hand }
            }
            PaymentRefundChange::Placed { refund, reference } => {
                PaymentRefundCommand::Place { refund, reference }
            }
            PaymentRefundChange::Succeeded { refund } => PaymentRefundCommand::Succeed(refund),
            PaymentRefundChange::Failed { refund, reason } => PaymentRefundCommand::Fail { refund, reason },
        }
    }

    /// The grants whose payment the entry is about. An audit needs them to decide it again.
    #[must_use]
    pub fn grants(&self, payments: &Payments) -> Vec<GrantId> {
        let command = self.command();
        let parts = command.payment(payments).map(|payment| payments.paid_parts(payment));
        parts.into_iter().flatten().map(|part| part.grant).collect()
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            PaymentRefundChange::Lost { payment, elsewhere_cents, disputed_cents, evidence } => {
                // No payment has an empty name, so one announces what is disputed.
                if *disputed_cents != 0 {
                    w.text("");
                    w.signed(*disputed_cents);
                }
                w.text(payment);
                w.signed(*elsewhere_cents);
                w.text(evidence);
            }
            PaymentRefundChange::Requested { refund, top_up, payment, cents, asked, reason, by_hand } => {
                w.id(refund.0);
                w.id(top_up.0);
                w.text(payment);
                w.signed(*cents);
                w.maybe_signed(*asked);
                w.text(reason);
                w.flag(*by_hand);
            }
            PaymentRefundChange::Placed { refund, reference: text }
            | PaymentRefundChange::Failed { refund, reason: text } => {
                w.id(refund.0);
                w.text(text);
            }
            PaymentRefundChange::Succeeded { refund } => w.id(refund.0),
        }
    }

    pub(crate) fn read(r: &mut Reader, kind: Kind) -> Result<PaymentRefundChange, Malformed> {
        let refund = |r: &mut Reader| r.id("a payment refund").map(PaymentRefundId);
        Ok(match kind {
            Kind::PaymentLost => read_lost(r)?,
            Kind::PaymentRefundRequested => PaymentRefundChange::Requested {
                refund: refund(r)?,
                top_up: TopUpId(r.id("a payment refund's top-up")?),
                payment: r.text("a payment refund's payment")?.into(),
                cents: read_cents(r)?,
                asked: r.maybe_signed("what was asked of a payment refund")?,
                reason: r.text("a payment refund's reason")?.into(),
                by_hand: r.flag("a payment refund by hand")?,
            },
            Kind::PaymentRefundPlaced => PaymentRefundChange::Placed {
                refund: refund(r)?,
                reference: r.text("a payment refund's reference")?.into(),
            },
            Kind::PaymentRefundSucceeded => PaymentRefundChange::Succeeded { refund: refund(r)? },
            Kind::PaymentRefundFailed => PaymentRefundChange::Failed {
                refund: refund(r)?,
                reason: r.text("a payment refund's reason")?.into(),
            },
            _ => return Err(Malformed("a payment refund's change")),
        })
    }
}

/// Reads a loss, and what of it is disputed if an empty name before it announces that.
fn read_lost(r: &mut Reader) -> Result<PaymentRefundChange, Malformed> {
    const WHAT: &str = "what is disputed of a loss";
    let first = r.text("a loss's payment")?;
    let (disputed_cents, payment) = match first {
        "" => (r.signed(WHAT)?, r.text("a loss's payment")?),
        payment => (0, payment),
    };
    if payment.is_empty() || first.is_empty() == (disputed_cents == 0) {
        return Err(Malformed(WHAT));
    }
    let elsewhere_cents = r.signed("a loss's cents")?;
    let (payment, evidence) = (payment.into(), r.text("the evidence of a loss")?.into());
    Ok(PaymentRefundChange::Lost { payment, elsewhere_cents, disputed_cents, evidence })
}

/// Reads what goes back. Other numbers would break assertions of those who show them.
fn read_cents(r: &mut Reader) -> Result<i64, Malformed> {
    const WHAT: &str = "a payment refund's cents";
    let cents = r.signed(WHAT)?;
    if (1..=bounds::TOP_UP_MAX_CENTS).contains(&cents) { Ok(cents) } else { Err(Malformed(WHAT)) }
}
