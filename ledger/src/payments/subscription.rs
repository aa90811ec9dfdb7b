//! A subscription: a plan that runs, with its periods, its months and the money that is not granted
//! yet (P4).
//!
//! Periods begin k months or years after the anchor, the time at which the first one was confirmed,
//! and never after the one before: so 31 January does not drift. A period of a year brings its
//! credit month by month. What was paid is on grants, or waits for the months to come (i15). Each
//! month is granted once, in order (i11), and only of a period that was paid, or of a free plan
//! that is used (i12).
//!
//! All that follows from the present time is in [`Subscription::due`]. What is accepted is decided
//! in `decide::subscriptions`; the entries are in `subscription_change`.

use super::collected::{Collected, Ends};
use crate::journal::codec::{Malformed, Reader, Writer};
use crate::{Micros, Plan, SubscriptionId, Timestamp, TopUp, bounds};

/// What became of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// It waits for its first payment.
    Pending,
    /// Its period is paid, or its plan is free.
    Active,
    /// A period has begun that is not paid.
    PastDue,
    /// It ends with its period.
    Canceled,
    /// It grants nothing more.
    Ended,
}

impl SubscriptionStatus {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            SubscriptionStatus::Pending => "pending",
            SubscriptionStatus::Active => "active",
            SubscriptionStatus::PastDue => "past_due",
            SubscriptionStatus::Canceled => "canceled",
            SubscriptionStatus::Ended => "ended",
        }
    }
}

/// A change to a dearer plan that waits for its payment. What it costs and brings was fixed when it
/// was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The number of the change: 1, 2, 3 … in its subscription.
    pub number: u32,
    /// The plan that it leads to.
    pub plan: Plan,
    /// What it costs, in cents.
    pub due_cents: i64,
    /// What it brings for the rest of the month in which it was asked for.
    pub credits: Micros,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// The end of the period, at which it is dropped if it is not paid.
    pub drop_at: Timestamp,
    /// How many months had been granted then. Those that are granted before it is paid are made up.
    pub month: u32,
}

/// A plan that runs, waits for its first payment, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The id of the subscription.
    pub id: SubscriptionId,
    /// The terms of the plan. A new version of the plans does not change them.
    pub plan: Plan,
    /// The time at which it was started.
    pub started_at: Timestamp,
    /// The beginning of the first period; `None` until it is confirmed.
    pub anchor: Option<Timestamp>,
    /// The months from the anchor to the end of the last period that was paid, or of a free one.
    pub months_paid: u32,
    /// The months from the anchor that were granted, or skipped because a free plan was not used.
    pub months_granted: u32,
    /// What was paid and is on no grant yet.
    pub cents_left: i64,
    /// How much of it each further month takes; the last one takes the rest.
    pub month_cents: i64,
    /// The time of its last grant.
    pub granted_at: Option<Timestamp>,
    /// The number of changes that were asked for.
    pub changes: u32,
    /// The change that waits for its payment.
    pub upgrade: Option<Upgrade>,
    /// The plan that begins with the next period.
    pub next_plan: Option<Plan>,
    /// True if a period has begun that was not paid.
    pub is_past_due: bool,
    /// The end of the period with which it ends.
    pub cancels_at: Option<Timestamp>,
    /// The time at which it ended.
    pub ended_at: Option<Timestamp>,
    /// What its provider knows; `None` if a person confirms its payments, or its plan is free.
    pub collected: Option<Box<Collected>>,
}

/// What the present time makes of a subscription, one step at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The change that waits was not paid in its period.
    DropUpgrade,
    /// A month has begun that was paid for, or is of a free period.
    Month,
    /// It was canceled, and its period is over.
    End,
    /// The next period has begun.
    Period,
}

/// What a change to another plan costs and brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proposal {
    /// At once, for a payment.
    AtOnce {
        /// What it costs.
        due_cents: i64,
        /// What it brings for the rest of the month.
        credits: Micros,
    },
    /// With the next period that is paid.
    NextPeriod,
}

/// What one month of a subscription brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Brings {
    /// The credit.
    pub credits: Micros,
    /// What was paid for it.
    pub cents: i64,
}

impl Subscription {
    /// A subscription that was just started. A free plan runs at once.
    #[must_use]
    pub fn started(id: SubscriptionId, plan: Plan, at: Timestamp) -> Subscription {
        let anchor = plan.is_free().then_some(at);
        Subscription {
            id,
            plan,
            started_at: at,
            anchor,
            months_paid: 0,
            months_granted: 0,
            cents_left: 0,
            month_cents: 0,
            granted_at: None,
            changes: 0,
            upgrade: None,
            next_plan: None,
            is_past_due: false,
            cancels_at: None,
            ended_at: None,
            collected: None,
        }
    }

    /// What became of it.
    #[must_use]
    pub const fn status(&self) -> SubscriptionStatus {
        match self {
            Subscription { ended_at: Some(_), .. } => SubscriptionStatus::Ended,
            Subscription { anchor: None, .. } => SubscriptionStatus::Pending,
            Subscription { cancels_at: Some(_), .. } => SubscriptionStatus::Canceled,
            Subscription { is_past_due: true, .. } => SubscriptionStatus::PastDue,
            _ => SubscriptionStatus::Active,
        }
    }

    /// The period that it is in, from its start to its end: the last one that was paid, or of one
    /// that is past due the oldest that was not. `None` if none has begun.
    #[must_use]
    pub fn period(&self) -> Option<(Timestamp, Timestamp)> {
        let length = self.plan.interval.months();
        let first = if self.is_past_due { self.months_paid } else { self.months_paid.saturating_sub(length) };
        Some((self.month_start(first)?, self.month_start(first + length)?))
    }

    /// The first time at which `Subscription::due` is not empty; `None` if no time changes
    /// anything. A period that is past due waits for its payment, not for a time.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        if self.ended_at.is_some() {
            return None;
        }
        let month = (self.months_granted < self.months_paid).then_some(self.months_granted);
        // A provider says what becomes of its periods and changes.
        let is_by_hand = self.collected.is_none();
        let period = is_by_hand && (!self.is_past_due || self.next_terms().is_free());
        let period = period.then_some(self.months_paid);
        let times = [
            self.upgrade.as_ref().filter(|_| is_by_hand).map(|upgrade| upgrade.drop_at),
            month.and_then(|month| self.month_start(month)),
            self.cancels_at.filter(|_| self.is_end_known()),
            period.and_then(|month| self.month_start(month)),
        ];
        let due_at = times.into_iter().flatten().min()?;
        assert!(self.due(due_at).is_some(), "a subscription must have something to do when it is due");
        Some(due_at)
    }

    /// When it brings credit the next time, if what is due is paid in time; `None` if that is not
    /// known: it waits for a payment, or ends before.
    #[must_use]
    pub fn next_grant_at(&self) -> Option<Timestamp> {
        let next = self.month_start(self.months_granted).filter(|_| self.ended_at.is_none())?;
        let is_paid = self.months_granted < self.months_paid;
        let waits = self.is_past_due && !is_paid;
        let ends_before = self.cancels_at.is_some_and(|end| end <= next);
        (!waits && !ends_before).then_some(next)
    }

    /// True if a period is past due that is paid as soon as periods count as paid when they begin.
    #[must_use]
    pub fn waits_to_renew(&self) -> bool {
        let goes_on = self.ended_at.is_none() && self.cancels_at.is_none();
        self.is_past_due && goes_on && self.collected.is_none() && !self.next_terms().is_free()
    }

    /// The first step that the present time asks for.
    pub(crate) fn due(&self, now: Timestamp) -> Option<Due> {
        let period_end = self.period_end().filter(|_| self.ended_at.is_none())?;
        let is_over = self.cancels_at.is_some_and(|end| end <= now);
        let month = self.month_start(self.months_granted)?;
        let is_by_hand = self.collected.is_none();
        if is_by_hand && self.upgrade.as_ref().is_some_and(|upgrade| upgrade.drop_at <= now) {
            return Some(Due::DropUpgrade);
        }
        // A free plan promised no month.
        let is_promised = self.months_granted < self.months_paid && !(self.plan.is_free() && is_over);
        if is_promised && month <= now {
            return Some(Due::Month);
        }
        if is_over {
            return self.is_end_known().then_some(Due::End);
        }
        (is_by_hand && period_end <= now).then_some(Due::Period)
    }

    /// True if time ends it. A provider that collects says that it ended: its end may have been
    /// taken back there, unheard.
    fn is_end_known(&self) -> bool {
        self.collected.as_deref().is_none_or(|collected| collected.placement.ends == Ends::Now)
    }

    /// True if it was canceled and its period is over, although no entry says yet that it ended.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.cancels_at.is_some_and(|end| end <= now)
    }

    /// True if it has not ended at `now`.
    pub(crate) fn runs_at(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && !self.is_over(now)
    }

    /// True if a month was paid for that has begun and was not granted yet.
    pub(crate) fn lags(&self, now: Timestamp) -> bool {
        let is_paid = !self.plan.is_free() && self.months_granted < self.months_paid;
        is_paid && self.month_start(self.months_granted).is_some_and(|start| start <= now)
    }

    /// The start of a month that is counted from the anchor.
    pub(crate) fn month_start(&self, month: u32) -> Option<Timestamp> {
        self.anchor.map(|anchor| anchor.plus_months(month))
    }

    /// The end of the last period that was paid.
    pub(crate) fn period_end(&self) -> Option<Timestamp> {
        self.month_start(self.months_paid)
    }

    /// The terms of the next period.
    pub(crate) fn next_terms(&self) -> &Plan {
        self.next_plan.as_ref().unwrap_or(&self.plan)
    }

    /// The terms of the free plan that brings this month.
    pub(crate) fn free_terms(&self, month: u32) -> &Plan {
        let terms = if month < self.months_paid { &self.plan } else { self.next_terms() };
        assert!(terms.is_free(), "i12: a month that nobody paid for must be of a free plan");
        terms
    }

    /// What the payment of the next period brings at once: the first month.
    pub(crate) fn first_month(&self) -> Brings {
        let terms = self.next_terms();
        let months = i64::from(terms.interval.months());
        assert!(self.cents_left == 0, "i15: a period must not be paid before the last one is granted");
        Brings { credits: terms.credits, cents: terms.price_cents / months }
    }

    /// What the next month of a period that was paid brings. The last one takes the rest.
    pub(crate) fn next_month(&self) -> Brings {
        assert!(self.months_granted < self.months_paid, "i12: a month must be paid for before it is granted");
        let is_last = self.months_granted + 1 == self.months_paid;
        let cents = if is_last { self.cents_left } else { self.month_cents };
        assert!(0 <= cents && cents <= self.cents_left, "i15: a month must not take more than is left");
        Brings { credits: self.plan.credits, cents }
    }

    /// What the payment of the change that waits brings at once: what was fixed, and what the
    /// months since then would have brought more. The rest of the money waits for the months to
    /// come.
    pub(crate) fn paid_upgrade(&self, upgrade: &Upgrade) -> Brings {
        assert!(self.months_granted >= upgrade.month, "i11: months must not be taken back");
        let more = upgrade.plan.credits - self.plan.credits;
        assert!(more > Micros::ZERO, "a change that is paid for must bring more credit");
        let made_up = times(more, self.months_granted - upgrade.month);
        let credits = upgrade.credits + made_up;
        let to_come = times(more, self.months_paid - self.months_granted);
        let due = Micros::new(upgrade.due_cents);
        let cents = due.share(credits.get(), (credits + to_come).get());
        let cents = cents.expect("what it brings at once is a part of all it brings").get();
        assert!(cents <= upgrade.due_cents, "i15: a grant must not have cost more than was paid");
        Brings { credits, cents }
    }

    /// What a change to `plan` costs and brings at `now`. A dearer plan is paid for the rest of the
    /// period and brings its credit at once; any other begins with the next period.
    pub(crate) fn propose(&self, plan: &Plan, now: Timestamp) -> Proposal {
        let length = self.plan.interval.months();
        let (Some(start), Some(end)) =
            (self.month_start(self.months_paid.saturating_sub(length)), self.period_end())
        else {
            return Proposal::NextPeriod;
        };
        let more_cents = plan.price_cents - self.plan.price_cents;
        let more = plan.credits - self.plan.credits;
        let month = self.months_granted.saturating_sub(1);
        let (month_start, month_end) = (self.month_start(month), self.month_start(self.months_granted));
        let (Some(month_start), Some(month_end)) = (month_start, month_end) else {
            return Proposal::NextPeriod;
        };
        let is_in_period = (start..end).contains(&now) && (month_start..month_end).contains(&now);
        if !is_in_period || more_cents <= 0 || more <= Micros::ZERO {
            return Proposal::NextPeriod;
        }
        let credits = more.share(millis(now, month_end), millis(month_start, month_end));
        let credits = credits.expect("the rest of a month is a part of it");
        // Rounded up, so that no part of a period is given away.
        let passed = Micros::new(more_cents).share(millis(start, now), millis(start, end));
        let due_cents = more_cents - passed.expect("what has passed of a period is a part of it").get();
        assert!(0 < due_cents && due_cents <= more_cents, "the rest of a period must cost a part of it");
        if credits == Micros::ZERO { Proposal::NextPeriod } else { Proposal::AtOnce { due_cents, credits } }
    }

    /// The name of the payment of a period that renews by itself.
    pub(crate) fn renewal_payment(&self, start: Timestamp) -> String {
        format!("{}{}:{}", TopUp::MANUAL, self.id, start.rfc3339())
    }

    /// True for a name that a period of it may have that renews by itself.
    pub(crate) fn renews_as(&self, payment: &str) -> bool {
        let rest = payment.strip_prefix(TopUp::MANUAL).and_then(|rest| rest.split_once(':'));
        rest.is_some_and(|(id, _)| id.parse() == Ok(self.id))
    }

    /// The subscription and the month of a name that [`Subscription::origin`] gave.
    pub(crate) fn of_origin(origin: &str) -> Option<(SubscriptionId, Timestamp)> {
        Cause::of_origin(origin)?;
        let (id, rest) = origin.strip_prefix(ORIGIN)?.split_once(':')?;
        let (start, _) = rest.rsplit_once(':')?;
        Some((id.parse().ok()?, Timestamp::of_rfc3339(start)?))
    }

    /// The name of a grant of this subscription (i11): the month from which it is, and its cause.
    pub(crate) fn origin(&self, start: Timestamp, cause: Cause) -> Box<str> {
        let cause = match cause {
            Cause::Period => "period".to_owned(),
            Cause::Month => "month".to_owned(),
            Cause::Change(number) => format!("change-{number}"),
        };
        format!("{ORIGIN}{}:{}:{cause}", self.id, start.rfc3339()).into()
    }
}

/// Why a subscription grants credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A period was paid.
    Period,
    /// A month began, of a year that was paid or of a free plan.
    Month,
    /// A change to a dearer plan was paid.
    Change(u32),
}

impl Cause {
    /// The cause of a grant by the name that [`Subscription::origin`] gave it; `None` if it is not
    /// of a subscription that runs here.
    pub(crate) fn of_origin(origin: &str) -> Option<Cause> {
        let (id, rest) = origin.strip_prefix(ORIGIN)?.split_once(':')?;
        id.parse::<SubscriptionId>().ok()?;
        let (_, cause) = rest.rsplit_once(':')?;
        match cause {
            "period" => Some(Cause::Period),
            "month" => Some(Cause::Month),
            change => change.strip_prefix("change-")?.parse().ok().map(Cause::Change),
        }
    }
}

/// Begins the name of a grant of a subscription.
const ORIGIN: &str = "subscription:";

/// The milliseconds between two times.
fn millis(from: Timestamp, to: Timestamp) -> i64 {
    assert!(from <= to, "a part of a period must not end before it begins");
    to.millis() - from.millis()
}

fn times(credits: Micros, months: u32) -> Micros {
    credits.checked_times(i64::from(months)).expect("the credit of a plan is bounded, as are its months")
}

impl Subscription {
    pub(crate) fn write(&self, w: &mut Writer) {
        let Subscription { id, plan, started_at, anchor, months_paid, months_granted, .. } = self;
        w.id(id.0);
        plan.write(w);
        w.time(*started_at);
        w.maybe_signed(anchor.map(Timestamp::millis));
        w.unsigned(u64::from(*months_paid));
        w.unsigned(u64::from(*months_granted));
        w.signed(self.cents_left);
        w.signed(self.month_cents);
        w.maybe_signed(self.granted_at.map(Timestamp::millis));
        w.unsigned(u64::from(self.changes));
        w.flag(self.upgrade.is_some());
        if let Some(upgrade) = &self.upgrade {
            upgrade.write(w);
        }
        w.flag(self.next_plan.is_some());
        if let Some(plan) = &self.next_plan {
            plan.write(w);
        }
        w.flag(self.is_past_due);
        w.maybe_signed(self.cancels_at.map(Timestamp::millis));
        w.maybe_signed(self.ended_at.map(Timestamp::millis));
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Subscription, Malformed> {
        let maybe_time = |r: &mut Reader, what| Ok(r.maybe_signed(what)?.map(Timestamp::from_millis));
        let subscription = Subscription {
            id: SubscriptionId(r.id("a subscription")?),
            plan: read_terms(r)?,
            started_at: r.time("a subscription's time")?,
            anchor: maybe_time(r, "a subscription's anchor")?,
            months_paid: read_count(r, "a subscription's months")?,
            months_granted: read_count(r, "a subscription's months")?,
            cents_left: r.signed("a subscription's cents")?,
            month_cents: r.signed("a subscription's cents")?,
            granted_at: maybe_time(r, "a subscription's last grant")?,
            changes: read_count(r, "a subscription's changes")?,
            upgrade: if r.flag("a subscription's change")? { Some(Upgrade::read(r)?) } else { None },
            next_plan: if r.flag("a subscription's next plan")? { Some(read_terms(r)?) } else { None },
            is_past_due: r.flag("a subscription that is past due")?,
            cancels_at: maybe_time(r, "a subscription's end")?,
            ended_at: maybe_time(r, "a subscription's end")?,
            collected: None,
        };
        if subscription.agrees() { Ok(subscription) } else { Err(Malformed("a subscription")) }
    }

    /// True if the parts agree with each other, as they do after every entry.
    pub(crate) fn agrees(&self) -> bool {
        let months = self.months_granted <= self.months_paid
            && self.months_paid <= bounds::SUBSCRIPTION_MONTHS_MAX
            && self.months_paid.is_multiple_of(self.plan.interval.months());
        let runs = self.anchor.is_some_and(|anchor| anchor >= Timestamp::ZERO);
        let has_run =
            self.months_paid > 0 || self.is_past_due || self.cancels_at.is_some() || self.next_plan.is_some();
        let left = 0..=bounds::PLAN_PRICE_MAX_CENTS * 2;
        let cents = left.contains(&self.cents_left)
            && left.contains(&self.month_cents)
            && (self.months_granted < self.months_paid || self.cents_left == 0)
            && self
                .month_cents
                .saturating_mul(i64::from(self.months_paid - self.months_granted.min(self.months_paid)))
                <= self.cents_left;
        let upgrade = self.upgrade.as_ref().is_none_or(|upgrade| {
            runs && self.next_plan.is_none()
                && Some(upgrade.drop_at) == self.period_end()
                && upgrade.month <= self.months_granted
                && upgrade.number <= self.changes
                && upgrade.plan.interval == self.plan.interval
                && upgrade.plan.credits > self.plan.credits
                && upgrade.plan.price_cents > self.plan.price_cents
        });
        let next = self.next_plan.as_ref().is_none_or(|plan| plan.interval == self.plan.interval);
        months
            && (runs || self.anchor.is_none() && !has_run)
            && (runs || !self.plan.is_free())
            && cents
            && upgrade
            && next
            && (self.cancels_at.is_none() || self.cancels_at == self.period_end())
    }
}

impl Upgrade {
    pub(crate) fn write(&self, w: &mut Writer) {
        let Upgrade { number, plan, due_cents, credits, asked_at, drop_at, month } = self;
        w.unsigned(u64::from(*number));
        plan.write(w);
        w.signed(*due_cents);
        w.micros(*credits);
        w.time(*asked_at);
        w.time(*drop_at);
        w.unsigned(u64::from(*month));
    }

    fn read(r: &mut Reader) -> Result<Upgrade, Malformed> {
        const WHAT: &str = "a change of a plan";
        let upgrade = Upgrade {
            number: read_count(r, WHAT)?,
            plan: read_terms(r)?,
            due_cents: r.signed(WHAT)?,
            credits: r.micros(WHAT)?,
            asked_at: r.time(WHAT)?,
            drop_at: r.time(WHAT)?,
            month: read_count(r, WHAT)?,
        };
        let is_paid_for = (1..=bounds::PLAN_PRICE_MAX_CENTS).contains(&upgrade.due_cents)
            && (1..=bounds::PLAN_CREDITS_MAX_MICROS).contains(&upgrade.credits.get());
        if is_paid_for { Ok(upgrade) } else { Err(Malformed(WHAT)) }
    }
}

/// Reads the terms of a plan. Others than can be set would break assertions of those who use them.
pub(super) fn read_terms(r: &mut Reader) -> Result<Plan, Malformed> {
    let plan = Plan::read(r)?;
    if plan.fault().is_none() { Ok(plan) } else { Err(Malformed("the terms of a plan")) }
}

pub(super) fn read_count(r: &mut Reader, what: &'static str) -> Result<u32, Malformed> {
    u32::try_from(r.unsigned(what)?).map_err(|_| Malformed(what))
}
