//! What can be asked of a subscription, and what each entry does to it.
//!
//! A grant of a subscription is made by the same change as the entry that says for which month it
//! is, and comes just before it (i11, i12). Which change follows from a command is decided in
//! `decide::subscriptions`. The state is in `subscription`.

use super::card::Provider;
use super::collected::{Collected, CollectedCommand, Placement};
use super::paid::{Paid, read_cents};
use super::subscription::{Brings, Subscription, Upgrade, read_count, read_terms};
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::journal::disagreement::{Violation, ensure};
use crate::{Grant, GrantId, Kind, Micros, Plan, PlanId, Source, SubscriptionId, Timestamp, bounds};

/// What can be asked of the subscription of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionCommand {
    /// Starts this plan, or changes to it. The current plan takes back what is planned: another
    /// plan, or the end.
    StartOrChange {
        /// The plan.
        plan: PlanId,
        /// Who collects the payments of a new one; `None` if a person confirms them.
        collected_by: Option<Provider>,
    },
    /// Says that money came in, by a person who saw it. It grants credit once.
    Confirm {
        /// True for the change that waits; false for the oldest period that has begun and was not
        /// paid.
        change: bool,
        /// The name of the payment, under which the same confirmation is known again.
        payment: Box<str>,
    },
    /// Ends it with the period that is paid.
    Cancel,
    /// Writes what the present time makes true, one step. The caller repeats it until nothing is
    /// written.
    Tick {
        /// True if a period counts as paid when it begins.
        renews: bool,
    },
    /// Says what the provider that collects this subscription knows or did.
    Collected {
        /// The subscription.
        subscription: SubscriptionId,
        /// What it says.
        command: CollectedCommand,
    },
}

impl SubscriptionCommand {
    /// True if only the platform, or the system in its name, may say so: that money came in, and
    /// that time has passed.
    pub(crate) const fn is_reported(&self) -> bool {
        match self {
            SubscriptionCommand::Confirm { .. }
            | SubscriptionCommand::Tick { .. }
            | SubscriptionCommand::Collected { .. } => true,
            SubscriptionCommand::StartOrChange { .. } | SubscriptionCommand::Cancel => false,
        }
    }
}

/// What happened to the subscription of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionChange {
    /// It was started. A free plan runs at once, any other waits for its first payment.
    Started {
        /// The id of the subscription.
        subscription: SubscriptionId,
        /// The terms of the plan.
        plan: Plan,
        /// Who collects its payments; `None` if a person confirms them, or the plan is free.
        collected_by: Option<Provider>,
    },
    /// Another plan was asked for.
    ChangeAsked {
        /// The number of the change.
        number: u32,
        /// The terms of the plan.
        plan: Plan,
        /// What it costs and brings at once; `None` if it begins with the next period.
        at_once: Option<AtOnce>,
    },
    /// A change was paid and is in force. It follows the entry that grants its credit.
    Changed {
        /// The number of the change.
        number: u32,
        /// The payment.
        paid: Paid,
        /// How much of it was paid for the grant.
        cents: i64,
        /// The grant.
        grant: GrantId,
    },
    /// The change that was asked for is planned no more.
    ChangeDropped {
        /// The number of the change.
        number: u32,
    },
    /// A month was granted, or skipped because a free plan was not used. It follows the entry that
    /// grants its credit.
    Renewed {
        /// The month, counted from the anchor.
        month: u32,
        /// The payment of the period that begins with it; `None` for a month of a period that was
        /// paid before, or of a free plan.
        paid: Option<Paid>,
        /// How much was paid for the grant.
        cents: i64,
        /// The grant; `None` if the month was skipped.
        grant: Option<GrantId>,
    },
    /// A period has begun that was not paid.
    PastDue,
    /// It is to end with its period.
    CancelAsked {
        /// The end of the period.
        cancels_at: Timestamp,
    },
    /// It goes on as it was: it is to end no more, and no change is planned.
    Resumed,
    /// It ended.
    Ended,
    /// Its provider knows this from now on.
    Placed(Placement),
    /// A provider said that a period was paid. It follows the entry that grants its credit.
    PeriodPaid {
        /// The month with which the period begins, counted from the anchor.
        month: u32,
        /// When it began.
        start: Timestamp,
        /// The terms that were paid.
        plan: Plan,
        /// The payment.
        paid: Paid,
        /// How much of it was paid for the grant.
        cents: i64,
        /// The grant.
        grant: GrantId,
    },
}

/// What a change costs and brings at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtOnce {
    /// What it costs, in cents.
    pub due_cents: i64,
    /// What it brings for the rest of the month.
    pub credits: Micros,
    /// The end of the period, at which it is dropped if it is not paid.
    pub drop_at: Timestamp,
}

impl SubscriptionChange {
    /// The kind of the entry that carries the change.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            SubscriptionChange::Started { .. } => Kind::SubscriptionStarted,
            SubscriptionChange::ChangeAsked { .. } => Kind::SubscriptionChangeAsked,
            SubscriptionChange::Changed { .. } => Kind::SubscriptionChanged,
            SubscriptionChange::ChangeDropped { .. } => Kind::SubscriptionChangeDropped,
            SubscriptionChange::Renewed { .. } => Kind::SubscriptionRenewed,
            SubscriptionChange::PastDue => Kind::SubscriptionPastDue,
            SubscriptionChange::CancelAsked { .. } => Kind::SubscriptionCancelAsked,
            SubscriptionChange::Resumed => Kind::SubscriptionResumed,
            SubscriptionChange::Ended => Kind::SubscriptionEnded,
            SubscriptionChange::Placed(_) => Kind::SubscriptionPlaced,
            SubscriptionChange::PeriodPaid { .. } => Kind::SubscriptionPeriodPaid,
        }
    }

    /// The payment that the entry is about.
    #[must_use]
    pub const fn paid(&self) -> Option<&Paid> {
        match self {
            SubscriptionChange::Renewed { paid, .. } => paid.as_ref(),
            SubscriptionChange::Changed { paid, .. } | SubscriptionChange::PeriodPaid { paid, .. } => {
                Some(paid)
            }
            _ => None,
        }
    }

    /// Takes over the tax on a payment, which a decision has from its request alone.
    pub(crate) fn take_tax_of(&mut self, stored: &SubscriptionChange) {
        if let SubscriptionChange::Changed { paid, .. } | SubscriptionChange::PeriodPaid { paid, .. } = self {
            paid.tax_cents = stored.paid().map_or(0, |paid| paid.tax_cents);
        }
    }

    /// The grant that the entry names, if it names one. Then it follows the entry that made it.
    #[must_use]
    pub const fn grant(&self) -> Option<GrantId> {
        match self {
            SubscriptionChange::Changed { grant, .. } | SubscriptionChange::PeriodPaid { grant, .. } => {
                Some(*grant)
            }
            SubscriptionChange::Renewed { grant, .. } => *grant,
            _ => None,
        }
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        match self {
            SubscriptionChange::Started { subscription, plan, collected_by } => {
                w.id(subscription.0);
                // Entries of earlier versions name no provider. No plan has an empty id, so one
                // announces it.
                if let Some(provider) = collected_by {
                    w.text("");
                    w.byte(provider.code());
                }
                plan.write(w);
            }
            SubscriptionChange::ChangeAsked { number, plan, at_once } => {
                w.unsigned(u64::from(*number));
                plan.write(w);
                w.flag(at_once.is_some());
                if let Some(AtOnce { due_cents, credits, drop_at }) = at_once {
                    w.signed(*due_cents);
                    w.micros(*credits);
                    w.time(*drop_at);
                }
            }
            SubscriptionChange::Changed { number, paid, cents, grant } => {
                w.unsigned(u64::from(*number));
                paid.write(w);
                w.signed(*cents);
                w.id(grant.0);
            }
            SubscriptionChange::ChangeDropped { number } => w.unsigned(u64::from(*number)),
            SubscriptionChange::Renewed { month, paid, cents, grant } => {
                w.unsigned(u64::from(*month));
                w.flag(paid.is_some());
                if let Some(paid) = paid {
                    paid.write(w);
                }
                w.signed(*cents);
                w.flag(grant.is_some());
                if let Some(grant) = grant {
                    w.id(grant.0);
                }
            }
            SubscriptionChange::CancelAsked { cancels_at } => w.time(*cancels_at),
            SubscriptionChange::Placed(placement) => placement.write(w),
            SubscriptionChange::PeriodPaid { month, start, plan, paid, cents, grant } => {
                w.unsigned(u64::from(*month));
                w.time(*start);
                plan.write(w);
                paid.write(w);
                w.signed(*cents);
                w.id(grant.0);
            }
            SubscriptionChange::PastDue | SubscriptionChange::Resumed | SubscriptionChange::Ended => {}
        }
    }

    pub(crate) fn read(r: &mut Reader, kind: Kind) -> Result<SubscriptionChange, Malformed> {
        Ok(match kind {
            Kind::SubscriptionStarted => SubscriptionChange::Started {
                subscription: SubscriptionId(r.id("a subscription")?),
                collected_by: read_provider(r)?,
                plan: read_terms(r)?,
            },
            Kind::SubscriptionChangeAsked => SubscriptionChange::ChangeAsked {
                number: read_count(r, "a change's number")?,
                plan: read_terms(r)?,
                at_once: if r.flag("a change's cost")? { Some(AtOnce::read(r)?) } else { None },
            },
            Kind::SubscriptionChanged => SubscriptionChange::Changed {
                number: read_count(r, "a change's number")?,
                paid: Paid::read(r)?,
                cents: read_cents(r)?,
                grant: GrantId(r.id("a payment's grant")?),
            },
            Kind::SubscriptionChangeDropped => {
                SubscriptionChange::ChangeDropped { number: read_count(r, "a change's number")? }
            }
            Kind::SubscriptionRenewed => SubscriptionChange::Renewed {
                month: read_count(r, "a month")?,
                paid: if r.flag("a month's payment")? { Some(Paid::read(r)?) } else { None },
                cents: read_cents(r)?,
                grant: if r.flag("a month's grant")? {
                    Some(GrantId(r.id("a month's grant")?))
                } else {
                    None
                },
            },
            Kind::SubscriptionPastDue => SubscriptionChange::PastDue,
            Kind::SubscriptionCancelAsked => {
                SubscriptionChange::CancelAsked { cancels_at: r.time("a subscription's end")? }
            }
            Kind::SubscriptionResumed => SubscriptionChange::Resumed,
            Kind::SubscriptionEnded => SubscriptionChange::Ended,
            Kind::SubscriptionPlaced => SubscriptionChange::Placed(Placement::read(r)?),
            Kind::SubscriptionPeriodPaid => SubscriptionChange::PeriodPaid {
                month: read_count(r, "a period's month")?,
                start: r.time("a period's start")?,
                plan: read_terms(r)?,
                paid: Paid::read(r)?,
                cents: read_cents(r)?,
                grant: GrantId(r.id("a period's grant")?),
            },
            _ => return Err(Malformed("a subscription's change")),
        })
    }

    /// Applies the change to the subscription of a workspace. `granted` is the grant that it names.
    ///
    /// # Errors
    /// [`Violation`] if the change does not follow from the subscription as it is.
    pub(super) fn apply(
        &self,
        slot: &mut Option<Box<Subscription>>,
        granted: Option<&Grant>,
        at: Timestamp,
    ) -> Result<(), Violation> {
        if let SubscriptionChange::Started { subscription, plan, collected_by } = self {
            *slot = Some(Box::new(begun(slot.as_deref(), (*subscription, plan), *collected_by, at)?));
            return Ok(());
        }
        self.check_tax(slot.as_deref())?;
        // A provider may say more of one that has ended.
        if let (SubscriptionChange::Placed(_) | SubscriptionChange::PeriodPaid { .. }, Some(last)) =
            (self, slot.as_deref_mut())
        {
            return self.apply_collected(last, granted, at);
        }
        let running = slot.as_deref_mut().filter(|subscription| subscription.ended_at.is_none());
        let running = running.ok_or(Violation("i11: an entry is about a subscription that does not run"))?;
        match self {
            SubscriptionChange::Started { .. }
            | SubscriptionChange::Placed(_)
            | SubscriptionChange::PeriodPaid { .. } => {}
            SubscriptionChange::ChangeAsked { number, plan, at_once } => {
                running.ask(*number, plan, *at_once, at)?;
            }
            SubscriptionChange::Changed { number, paid, cents, grant } => {
                let due = running.upgrade.as_ref().map(|upgrade| upgrade.due_cents);
                let is_paid = due.is_some_and(|due| running.is_change_paid(due, paid.cents));
                ensure(is_paid, "i15: another sum was paid for a change than it costs")?;
                let granted = granted.filter(|granted| granted.id == *grant).ok_or(NO_GRANT)?;
                running.upgrade_paid(*number, (paid.cents, *cents), granted, at)?;
            }
            SubscriptionChange::ChangeDropped { number } => {
                ensure(running.changes == *number, "another change is dropped than was asked for")?;
                let is_planned = running.upgrade.is_some() || running.next_plan.is_some();
                ensure(is_planned, "a change is dropped that is not planned")?;
                (running.upgrade, running.next_plan) = (None, None);
            }
            SubscriptionChange::Renewed { month, paid, cents, grant } => {
                let granted = granted.filter(|granted| Some(granted.id) == *grant);
                ensure(granted.is_some() == grant.is_some(), NO_GRANT.0)?;
                if let Some(paid) = paid {
                    let price = running.next_terms().price_cents;
                    ensure(paid.cents == price, "i15: another sum was paid for a period than its price")?;
                    running.period_paid(*month, *cents, granted.ok_or(NO_GRANT)?, at)?;
                } else {
                    running.month_granted(*month, *cents, granted, at)?;
                }
            }
            SubscriptionChange::PastDue => {
                ensure(!running.is_past_due, "a subscription is past due twice")?;
                let has_begun = running.period_end().is_some_and(|end| end <= at);
                ensure(has_begun, "a subscription is past due before its period has begun")?;
                running.is_past_due = true;
            }
            SubscriptionChange::CancelAsked { cancels_at } => running.cancel(*cancels_at)?,
            SubscriptionChange::Resumed => {
                ensure(running.cancels_at.is_some(), "a subscription is resumed that was not canceled")?;
                (running.cancels_at, running.upgrade, running.next_plan) = (None, None, None);
            }
            SubscriptionChange::Ended => {
                let is_owed = !running.plan.is_free() && running.months_granted < running.months_paid;
                ensure(!is_owed, "i15: a subscription ends with months that were paid and not granted")?;
                (running.upgrade, running.next_plan, running.is_past_due) = (None, None, false);
                (running.cents_left, running.ended_at) = (0, Some(at));
            }
        }
        ensure(running.agrees(), "i15: the parts of a subscription do not agree")
    }

    /// Checks that only a provider took tax.
    fn check_tax(&self, last: Option<&Subscription>) -> Result<(), Violation> {
        let tax_cents = self.paid().map_or(0, |paid| paid.tax_cents);
        let is_collected = last.is_some_and(|last| last.collected.is_some());
        ensure(tax_cents == 0 || is_collected, "i15: tax is on a payment that no provider took")?;
        ensure(Paid::may_tax_be(tax_cents), "i15: the tax on a payment is out of range")
    }

    /// Applies what a provider knows or did.
    fn apply_collected(
        &self,
        last: &mut Subscription,
        granted: Option<&Grant>,
        at: Timestamp,
    ) -> Result<(), Violation> {
        match self {
            SubscriptionChange::Placed(placement) => {
                let collected = last.collected.as_deref_mut();
                let collected = collected.ok_or(Violation("what nobody collects is placed"))?;
                ensure(placement.is_possible(), "a subscription is placed without an id")?;
                collected.placement = placement.clone();
            }
            SubscriptionChange::PeriodPaid { month, start, plan, paid, cents, grant } => {
                let granted = granted.filter(|granted| granted.id == *grant).ok_or(NO_GRANT)?;
                last.apply_paid_period(plan, (*month, *start), (paid.cents, *cents), granted, at)?;
            }
            _ => {}
        }
        ensure(last.agrees(), "i15: the parts of a subscription do not agree")
    }
}

/// A subscription that begins, after the last one if there was one.
fn begun(
    last: Option<&Subscription>,
    (id, plan): (SubscriptionId, &Plan),
    collected_by: Option<Provider>,
    at: Timestamp,
) -> Result<Subscription, Violation> {
    let ends = |old: &Subscription| {
        old.ended_at.is_some() || old.anchor.is_none() || old.is_over(at) && !old.lags(at)
    };
    ensure(last.is_none_or(ends), "i11: a second subscription is started")?;
    ensure(last.is_none_or(|old| old.id != id), "i11: a subscription is started twice")?;
    let is_paid = collected_by.is_none() || !plan.is_free();
    ensure(is_paid, "a free plan has nobody who collects its payments")?;
    let mut started = Subscription::started(id, plan.clone(), at);
    started.collected = collected_by.map(Collected::new);
    Ok(started)
}

const NO_GRANT: Violation = Violation("i12: a subscription names a grant that is not there");

impl Subscription {
    fn cancel(&mut self, cancels_at: Timestamp) -> Result<(), Violation> {
        ensure(self.cancels_at.is_none(), "a subscription is canceled twice")?;
        ensure(self.period_end() == Some(cancels_at), "a subscription ends within its period")?;
        // A change that is paid after all would take the end back.
        (self.cancels_at, self.upgrade, self.next_plan) = (Some(cancels_at), None, None);
        Ok(())
    }

    fn ask(
        &mut self,
        number: u32,
        plan: &Plan,
        at_once: Option<AtOnce>,
        asked_at: Timestamp,
    ) -> Result<(), Violation> {
        ensure(number == self.changes + 1, "a change is not numbered by the one before it")?;
        ensure(plan.interval == self.plan.interval, "a change leads to another interval")?;
        let upgrade = at_once.map(|AtOnce { due_cents, credits, drop_at }| {
            let (plan, month) = (plan.clone(), self.months_granted);
            Upgrade { number, plan, due_cents, credits, asked_at, drop_at, month }
        });
        self.next_plan = upgrade.is_none().then(|| plan.clone());
        // A change that is not paid takes no cancellation back.
        self.cancels_at = self.cancels_at.filter(|_| upgrade.is_some());
        (self.upgrade, self.changes) = (upgrade, number);
        Ok(())
    }

    fn upgrade_paid(
        &mut self,
        number: u32,
        (paid_cents, cents): (i64, i64),
        granted: &Grant,
        at: Timestamp,
    ) -> Result<(), Violation> {
        let upgrade = self.upgrade.take().filter(|upgrade| upgrade.number == number);
        let upgrade = upgrade.ok_or(Violation("i12: a change is paid that does not wait for a payment"))?;
        // A provider may say so later.
        let is_in_time = at < upgrade.drop_at || self.collected.is_some();
        ensure(is_in_time, "i12: a change is paid after its period")?;
        let upgrade = Upgrade { due_cents: paid_cents, ..upgrade };
        let brings = self.paid_upgrade(&upgrade);
        check_grant(granted, brings, cents)?;
        let rest = upgrade.due_cents - brings.cents;
        let months = i64::from(self.months_paid - self.months_granted);
        ensure(months > 0 || rest == 0, "i15: a part of a payment is on no grant and for no month")?;
        self.cents_left += rest;
        self.month_cents += rest.checked_div(months).unwrap_or(0);
        (self.plan, self.granted_at, self.cancels_at) = (upgrade.plan, Some(at), None);
        Ok(())
    }

    /// The next period is paid; its first month is granted.
    fn period_paid(
        &mut self,
        month: u32,
        cents: i64,
        granted: &Grant,
        at: Timestamp,
    ) -> Result<(), Violation> {
        ensure(month == self.months_paid, "i11: another period is paid than the next")?;
        ensure(month == self.months_granted, "i11: a period is paid before the last one is granted")?;
        let start = *self.anchor.get_or_insert(at);
        ensure(start.plus_months(month) <= at, "i12: a period is paid before it has begun")?;
        ensure(self.cancels_at.is_none(), "i12: a period is paid after the end of a subscription")?;
        let brings = self.first_month();
        check_grant(granted, brings, cents)?;
        if let Some(plan) = self.next_plan.take() {
            self.plan = plan;
        }
        let months = self.plan.interval.months();
        ensure(!self.plan.is_free(), "i12: a free plan is paid for")?;
        (self.months_paid, self.months_granted) = (month + months, month + 1);
        (self.cents_left, self.month_cents) = (self.plan.price_cents - brings.cents, brings.cents);
        self.finish_month(at);
        self.is_past_due = false;
        Ok(())
    }

    /// A month of a period that was paid is granted, or of a free plan granted or skipped.
    fn month_granted(
        &mut self,
        month: u32,
        cents: i64,
        granted: Option<&Grant>,
        at: Timestamp,
    ) -> Result<(), Violation> {
        let has_begun = self.month_start(month).is_some_and(|start| start <= at);
        ensure(has_begun, "i12: a month is granted before it has begun")?;
        if month >= self.months_paid {
            ensure(self.next_terms().is_free(), "i12: a month is granted that is not paid")?;
            ensure(!self.is_over(at), "i12: a month is granted after the end of a subscription")?;
            if let Some(plan) = self.next_plan.take() {
                self.plan = plan;
            }
        }
        if self.plan.is_free() {
            ensure(month >= self.months_granted, "i11: a month is granted twice")?;
            ensure(month < bounds::SUBSCRIPTION_MONTHS_MAX, "a subscription runs longer than it may")?;
            let months = self.plan.interval.months();
            self.months_paid = self.months_paid.max((month / months + 1) * months);
            let brings = Brings { credits: self.plan.credits, cents: 0 };
            granted.map_or(Ok(()), |granted| check_grant(granted, brings, cents))?;
            ensure(cents == 0, "i15: a free plan is paid for")?;
            self.is_past_due = false;
        } else {
            ensure(month == self.months_granted, "i11: another month is granted than the next")?;
            let brings = self.next_month();
            check_grant(granted.ok_or(NO_GRANT)?, brings, cents)?;
            self.cents_left -= brings.cents;
        }
        self.months_granted = month + 1;
        if granted.is_some() {
            self.granted_at = Some(at);
        }
        let upgrade = self.upgrade.take();
        self.upgrade = upgrade.filter(|upgrade| Some(upgrade.drop_at) == self.period_end());
        if self.months_granted == self.months_paid {
            ensure(self.cents_left == 0, "i15: a part of a payment is on no grant")?;
            self.month_cents = 0;
        }
        Ok(())
    }

    /// What the grant of the first month of a period ends: the change that waited in the last one.
    fn finish_month(&mut self, at: Timestamp) {
        (self.upgrade, self.granted_at) = (None, Some(at));
        if self.months_granted == self.months_paid {
            assert!(self.cents_left == 0, "i15: the price of a period must be on its grants");
            self.month_cents = 0;
        }
    }
}

/// Checks that the grant is what the payment brings.
pub(super) fn check_grant(granted: &Grant, brings: Brings, cents: i64) -> Result<(), Violation> {
    ensure(granted.source == Source::Subscription, "i12: a plan pays for a grant of another kind")?;
    ensure(granted.amount == brings.credits, "i12: a plan grants another sum than its terms say")?;
    ensure(cents == brings.cents, "i15: another sum is on a grant than was paid for it")
}

impl AtOnce {
    fn read(r: &mut Reader) -> Result<AtOnce, Malformed> {
        const WHAT: &str = "a change's cost";
        let at_once = AtOnce { due_cents: r.signed(WHAT)?, credits: r.micros(WHAT)?, drop_at: r.time(WHAT)? };
        let is_paid_for = (1..=bounds::PLAN_PRICE_MAX_CENTS).contains(&at_once.due_cents)
            && (1..=bounds::PLAN_CREDITS_MAX_MICROS).contains(&at_once.credits.get());
        if is_paid_for { Ok(at_once) } else { Err(Malformed(WHAT)) }
    }
}

/// Reads the provider that an empty text before a plan announces.
fn read_provider(r: &mut Reader) -> Result<Option<Provider>, Malformed> {
    let mut ahead = Reader(r.0);
    if !ahead.text("a plan")?.is_empty() {
        return Ok(None);
    }
    *r = ahead;
    Provider::from_code(r.byte("a provider")?).map(Some)
}
