//! The payments of subscriptions, each with the grants that it has brought so far.
//!
//! They are kept for ever, like top-ups: a payment may be lost long after its period is over. A
//! payment for a year, or for a change within one, brings a part of each month to come. So a month
//! may be paid by several payments: that of its year, and those of the changes since then. What was
//! paid is on parts, or waits for the months to come (i15). What is lost of a payment is in
//! `payment_refund`.

use super::{PaidPart, Payments};
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::journal::disagreement::{Violation, ensure};
use crate::payments::subscription::read_count;
use crate::{Grant, GrantId, Micros, SubscriptionChange, SubscriptionId, Timestamp, bounds};

/// A payment for a period of a subscription, or for a change to a dearer plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionPayment {
    /// The name of the payment.
    pub payment: Box<str>,
    /// What was paid, in cents, without tax.
    pub cents: i64,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The beginning of the period that was paid, or in which the change was.
    pub start: Timestamp,
    /// What it has brought so far, oldest first.
    pub parts: Vec<PaidPart>,
    /// How many months are to come of which it pays a part.
    pub months_left: u32,
    /// What it pays of each further month; the last one takes the rest.
    pub month_cents: i64,
    /// The credit of each further month that it pays for.
    pub month_credits: Micros,
}

impl SubscriptionPayment {
    /// What was paid and is on no grant yet.
    #[must_use]
    pub fn cents_left(&self) -> i64 {
        let left = self.cents - self.parts.iter().map(|part| part.cents).sum::<i64>();
        assert!(0 <= left && left <= self.cents, "i15: a payment must not be on grants for more than it is");
        assert!(self.months_left > 0 || left == 0, "i15: all of a payment must be on grants or for months");
        left
    }

    /// Adds its part of the next month; returns the part.
    fn bring_month(&mut self, grant: GrantId) -> PaidPart {
        assert!(self.months_left > 0, "i12: a month must be paid for before it is granted");
        let cents = if self.months_left == 1 { self.cents_left() } else { self.month_cents };
        let part = PaidPart { grant, cents, credits: self.month_credits };
        self.parts.push(part);
        self.months_left -= 1;
        assert!(self.cents_left() >= 0, "i15: a month must not take more than is left");
        part
    }

    fn write(&self, w: &mut Writer) {
        let SubscriptionPayment { payment, cents, subscription, start, parts, .. } = self;
        w.text(payment);
        w.signed(*cents);
        w.id(subscription.0);
        w.time(*start);
        w.list(parts, |w, part| {
            w.id(part.grant.0);
            w.signed(part.cents);
            w.micros(part.credits);
        });
        w.unsigned(u64::from(self.months_left));
        w.signed(self.month_cents);
        w.micros(self.month_credits);
    }

    fn read(r: &mut Reader) -> Result<SubscriptionPayment, Malformed> {
        const WHAT: &str = "a payment of a subscription";
        let payment = SubscriptionPayment {
            payment: r.text(WHAT)?.into(),
            cents: r.signed(WHAT)?,
            subscription: SubscriptionId(r.id(WHAT)?),
            start: r.time(WHAT)?,
            parts: r.list(WHAT, |r| {
                let (grant, cents) = (GrantId(r.id(WHAT)?), r.signed(WHAT)?);
                Ok(PaidPart { grant, cents, credits: r.micros(WHAT)? })
            })?,
            months_left: read_count(r, WHAT)?,
            month_cents: r.signed(WHAT)?,
            month_credits: r.micros(WHAT)?,
        };
        if payment.agrees() { Ok(payment) } else { Err(Malformed(WHAT)) }
    }

    /// True if the parts agree with each other, as they do after every entry.
    fn agrees(&self) -> bool {
        let prices = 0..=bounds::PLAN_PRICE_MAX_CENTS;
        let in_range = |part: &PaidPart| prices.contains(&part.cents) && part.credits > Micros::ZERO;
        let on_parts = self.parts.iter().map(|part| part.cents).fold(0, i64::saturating_add);
        let left = self.cents - on_parts;
        self.cents > 0
            && prices.contains(&self.cents)
            && !self.parts.is_empty()
            && self.parts.iter().all(in_range)
            && (0..=self.cents).contains(&left)
            && (self.months_left > 0 || left == 0)
            && self.months_left <= bounds::SUBSCRIPTION_MONTHS_MAX
            && prices.contains(&self.month_cents)
            && self.month_cents.saturating_mul(i64::from(self.months_left)) <= left
            && self.month_credits > Micros::ZERO
    }
}

impl Payments {
    /// True if money came in under this name, for a top-up or for a subscription.
    #[must_use]
    pub fn is_payment(&self, name: &str) -> bool {
        self.top_ups.iter().any(|top_up| top_up.payment.as_deref() == Some(name))
            || self.of_subscriptions.iter().any(|payment| &*payment.payment == name)
    }

    /// Keeps what an entry about the subscription says of a payment, after the entry was applied.
    /// `before`: the credit of a month before it. `granted`: the grant that it names.
    ///
    /// # Errors
    /// [`Violation`] if the parts of the payments are not what the grants cost.
    pub(super) fn keep_payment(
        &mut self,
        change: &SubscriptionChange,
        before: Micros,
        granted: Option<&Grant>,
    ) -> Result<(), Violation> {
        let Some(running) = self.subscription.as_deref() else { return Ok(()) };
        let (id, mut months_left) = (running.id, running.months_paid - running.months_granted);
        let made = match change {
            SubscriptionChange::Renewed { month, paid: Some(paid), cents, .. } => {
                let start = running.month_start(*month);
                Some((paid, *cents, start, running.plan.credits, running.month_cents))
            }
            // A discount may make it free, and then there is no payment to be kept.
            SubscriptionChange::Changed { paid, cents, .. } if paid.cents > 0 => {
                let start = running.period().map(|(start, _)| start);
                let month_cents = (paid.cents - cents).checked_div(i64::from(months_left)).unwrap_or(0);
                Some((paid, *cents, start, running.plan.credits - before, month_cents))
            }
            // What a provider collects may be paid late and whole, or be free by a discount.
            SubscriptionChange::PeriodPaid { start, plan, paid, cents, .. } if paid.cents > 0 => {
                let is_first = granted.is_some_and(|it| it.amount == plan.credits);
                let months = plan.interval.months() - 1;
                let month_cents = if is_first && months > 0 { *cents } else { 0 };
                months_left = if is_first { months } else { 0 };
                Some((paid, *cents, Some(*start), plan.credits, month_cents))
            }
            _ => None,
        };
        if let (Some((paid, cents, start, month_credits, month_cents)), Some(granted)) = (made, granted) {
            ensure(!self.is_payment(&paid.payment), "i12: a payment pays twice")?;
            let payment = SubscriptionPayment {
                payment: paid.payment.clone(),
                cents: paid.cents,
                subscription: id,
                start: start.ok_or(Violation("i12: a payment is for no period"))?,
                parts: vec![PaidPart { grant: granted.id, cents, credits: granted.amount }],
                months_left,
                month_cents,
                month_credits,
            };
            ensure(payment.agrees(), "i15: the parts of a payment do not agree")?;
            self.of_subscriptions.push(payment);
        } else if let (SubscriptionChange::Renewed { cents, .. }, Some(granted)) = (change, granted) {
            self.bring_month(*cents, granted)?;
        }
        let is_kept = self.are_months_paid();
        ensure(is_kept, "i15: what is paid and not granted is not what its payments have left")
    }

    /// Adds a month that has no payment of its own to the payments that paid for it. One of a free
    /// plan has none. If the year began with a free plan, its credit is of no payment.
    fn bring_month(&mut self, cents: i64, granted: &Grant) -> Result<(), Violation> {
        let (mut paid, mut credits) = (0, Micros::ZERO);
        for payment in self.of_subscriptions.iter_mut().filter(|payment| payment.months_left > 0) {
            let part = payment.bring_month(granted.id);
            (paid, credits) = (paid + part.cents, credits + part.credits);
        }
        ensure(paid == cents, "i15: a month takes another sum than its payments have for it")?;
        ensure(credits <= granted.amount, "i13: a month brings less than was paid for")
    }

    /// True if what is left of the payments is what the subscription has for its months to come.
    pub(super) fn are_months_paid(&self) -> bool {
        let left: i64 = self.of_subscriptions.iter().map(SubscriptionPayment::cents_left).sum();
        let running = self.subscription.as_deref();
        let has_paid = |id| self.of_subscriptions.iter().any(|payment| payment.subscription == id);
        left == running.map_or(0, |running| running.cents_left)
            && running.is_none_or(|it| {
                it.plan.is_free() || it.anchor.is_none() || it.collected.is_some() || has_paid(it.id)
            })
    }

    pub(super) fn write_of_subscriptions(&self, w: &mut Writer) {
        assert!(!self.of_subscriptions.is_empty(), "payments of subscriptions must not be written if none");
        w.list(&self.of_subscriptions, |w, payment| payment.write(w));
    }

    pub(super) fn read_of_subscriptions(&mut self, r: &mut Reader) -> Result<(), Malformed> {
        const WHAT: &str = "the payments of subscriptions";
        self.of_subscriptions = r.list(WHAT, SubscriptionPayment::read)?;
        if self.of_subscriptions.is_empty() { Err(Malformed(WHAT)) } else { Ok(()) }
    }
}
