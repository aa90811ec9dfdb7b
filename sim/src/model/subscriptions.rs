//! The rules of subscriptions, as facts about the months of a plan.
//!
//! Money that was paid is a list here: one sum for each month that is to come. The months are
//! counted by the calendar of the engines, not by that of the ledger.

use tollkeeper_engine::{Output, period_windows};
use tollkeeper_ledger::{
    Collected, CollectedCommand, Ends, GrantRequest, Interval, Kind, Micros, Placement, Plan, PlanId,
    Provider, Refusal, Source, Subscription, SubscriptionCommand, SubscriptionId, Timestamp, Upgrade,
};

use super::charges::invalid;
use super::collected::PaidPeriod;
use super::facts::{Fact, Pool};
use crate::model::step::nth;

const DAY_MILLIS: i64 = 86_400_000;

/// What happened to the subscription.
#[derive(Clone, Debug)]
pub enum Happened {
    /// It was started with this plan.
    Started(Plan, Option<Provider>),
    /// Another plan was asked for: what it costs and brings, if it does so at once.
    Asked(Plan, Option<(i64, Micros)>),
    /// The change was paid.
    Changed {
        /// What was paid.
        paid_cents: i64,
        /// How much of it is on the grant.
        cents: i64,
        /// The tax that was paid besides.
        tax_cents: i64,
        /// The name of the payment.
        payment: Box<str>,
    },
    /// The change was dropped.
    Dropped,
    /// A month was granted, or skipped; it began a period that was paid, or did not.
    Month {
        /// The month from the beginning.
        month: u32,
        /// The name of the payment, if it was paid by itself.
        paid: Option<Box<str>>,
        /// True if it was granted.
        is_granted: bool,
    },
    /// A period is past due.
    PastDue,
    /// It is to end.
    CancelAsked,
    /// It goes on.
    Resumed,
    /// It ended.
    Ended,
    /// Its provider knows this.
    Placed(Placement),
    /// A provider said that a period was paid.
    PeriodPaid(PaidPeriod),
}

impl Happened {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Happened::Started(..) => Kind::SubscriptionStarted,
            Happened::Asked(..) => Kind::SubscriptionChangeAsked,
            Happened::Changed { .. } => Kind::SubscriptionChanged,
            Happened::Dropped => Kind::SubscriptionChangeDropped,
            Happened::Month { .. } => Kind::SubscriptionRenewed,
            Happened::PastDue => Kind::SubscriptionPastDue,
            Happened::CancelAsked => Kind::SubscriptionCancelAsked,
            Happened::Resumed => Kind::SubscriptionResumed,
            Happened::Ended => Kind::SubscriptionEnded,
            Happened::Placed(_) => Kind::SubscriptionPlaced,
            Happened::PeriodPaid(_) => Kind::SubscriptionPeriodPaid,
        }
    }
}

/// The subscription that runs, or the last one.
#[derive(Clone, Debug)]
pub(super) struct Running {
    /// How many subscriptions there were before it.
    pub index: usize,
    pub started_at: Timestamp,
    pub plan: Plan,
    pub first: Option<Timestamp>,
    /// The months that were paid, and those that were granted or skipped.
    pub paid: u32,
    pub granted: u32,
    /// The cents of each month that was paid and is to come.
    pub to_come: Vec<i64>,
    pub granted_at: Option<Timestamp>,
    asked: u32,
    pub upgrade: Option<Upgrade>,
    pub next: Option<Plan>,
    pub is_past_due: bool,
    pub is_canceled: bool,
    pub ended_at: Option<Timestamp>,
    /// What its provider knows, if one collects its payments.
    pub known: Option<Placement>,
    /// The periods that later ones passed.
    pub missing: Vec<u32>,
}

pub(super) const fn length(plan: &Plan) -> u32 {
    match plan.interval {
        Interval::Month => 1,
        Interval::Year => 12,
    }
}

/// The same day of a later month, or the last one if there is none.
pub(super) fn months_later(at: Timestamp, months: u32) -> Timestamp {
    let mut month = period_windows("UTC", at).month;
    let since = at.millis() - month.start.millis();
    for _ in 0..months {
        month = period_windows("UTC", month.end).month;
    }
    let days = (month.end.millis() - month.start.millis()) / DAY_MILLIS;
    let day = (since / DAY_MILLIS).min(days - 1);
    Timestamp::from_millis(month.start.millis() + day * DAY_MILLIS + since % DAY_MILLIS)
}

/// Splits a sum over months; the last one takes what is left.
pub(super) fn split(cents: i64, months: u32) -> Vec<i64> {
    let months = i64::from(months);
    let share = cents / months;
    let mut split = vec![share; usize::try_from(months).expect("few months")];
    *split.last_mut().expect("at least a month") += cents - share * months;
    split
}

impl Running {
    pub fn start_of(&self, month: u32) -> Option<Timestamp> {
        self.first.map(|first| months_later(first, month))
    }

    pub(super) fn end(&self) -> Option<Timestamp> {
        self.start_of(self.paid)
    }

    fn is_free(plan: &Plan) -> bool {
        plan.price_cents == 0
    }

    pub(super) fn next_plan(&self) -> &Plan {
        self.next.as_ref().unwrap_or(&self.plan)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.is_canceled && self.end().is_some_and(|end| end <= now)
    }

    /// A month has begun that was paid for and is not granted.
    pub(super) fn owes(&self, now: Timestamp) -> bool {
        let is_paid = !Running::is_free(&self.plan) && self.granted < self.paid;
        is_paid && self.start_of(self.granted).is_some_and(|start| start <= now)
    }

    fn apply(&mut self, happened: &Happened, at: Timestamp) {
        match happened {
            Happened::Started(..) => unreachable!("it begins another subscription"),
            Happened::Asked(plan, at_once) => {
                self.asked += 1;
                self.is_canceled &= at_once.is_some();
                self.next = at_once.is_none().then(|| plan.clone());
                let end = self.end();
                self.upgrade = at_once.map(|(due_cents, credits)| Upgrade {
                    number: self.asked,
                    plan: plan.clone(),
                    due_cents,
                    credits,
                    asked_at: at,
                    drop_at: end.expect("it runs"),
                    month: self.granted,
                });
            }
            Happened::Changed { paid_cents, cents, tax_cents: _, payment: _ } => {
                let upgrade = self.upgrade.take().expect("it waited");
                let rest = paid_cents - cents;
                if self.granted < self.paid {
                    let more = split(rest, self.paid - self.granted);
                    self.to_come.iter_mut().zip(more).for_each(|(cents, more)| *cents += more);
                }
                (self.plan, self.is_canceled) = (upgrade.plan, false);
                self.granted_at = Some(at);
            }
            Happened::Dropped => (self.upgrade, self.next) = (None, None),
            Happened::Month { month, paid, is_granted } => {
                self.first.get_or_insert(at);
                let begins = *month >= self.paid;
                if begins {
                    self.plan = self.next.take().unwrap_or_else(|| self.plan.clone());
                    let length = length(&self.plan);
                    self.paid = (month / length + 1) * length;
                    (self.upgrade, self.is_past_due) = (None, false);
                    let price = if paid.is_some() { self.plan.price_cents } else { 0 };
                    self.to_come = split(price, length);
                }
                self.granted = month + 1;
                while self.to_come.len() > (self.paid - self.granted) as usize {
                    self.to_come.remove(0);
                }
                if *is_granted {
                    self.granted_at = Some(at);
                }
            }
            Happened::PastDue => self.is_past_due = true,
            Happened::CancelAsked => {
                (self.is_canceled, self.upgrade, self.next) = (true, None, None);
            }
            Happened::Resumed => (self.is_canceled, self.upgrade, self.next) = (false, None, None),
            Happened::Ended => {
                (self.upgrade, self.next, self.is_past_due) = (None, None, false);
                self.ended_at = Some(at);
            }
            Happened::Placed(placement) => self.known = Some(placement.clone()),
            Happened::PeriodPaid(period) => self.apply_paid_period(period, at),
        }
    }

    /// What a change to a plan costs and brings, if it does so at once.
    fn price_of(&self, plan: &Plan, now: Timestamp) -> Option<(i64, Micros)> {
        let (start, end) = (self.start_of(self.paid.checked_sub(length(&self.plan))?)?, self.end()?);
        let (month, next) = (self.start_of(self.granted.checked_sub(1)?)?, self.start_of(self.granted)?);
        let is_within = |from: Timestamp, to: Timestamp| from <= now && now < to;
        let cents = plan.price_cents - self.plan.price_cents;
        let credits = plan.credits.get() - self.plan.credits.get();
        if !is_within(start, end) || !is_within(month, next) || cents <= 0 || credits <= 0 {
            return None;
        }
        let between = |from: Timestamp, to: Timestamp| i128::from(to.millis() - from.millis());
        let credits = i128::from(credits) * between(now, next) / between(month, next);
        let whole = between(start, end);
        let due = (i128::from(cents) * between(now, end) + whole - 1) / whole;
        let [due, credits] = [due, credits].map(|part| i64::try_from(part).expect("a part"));
        (credits > 0).then_some((due, Micros::new(credits)))
    }

    pub(super) fn origin(&self, start: Timestamp, cause: &str) -> Box<str> {
        format!("subscription:{}:{}:{cause}", SubscriptionId(nth(self.index)), start.rfc3339()).into()
    }
}

impl Pool {
    pub(super) fn running(&self) -> Option<Running> {
        let mut last = None;
        self.walk_subscriptions(|_, _, after| last = after.cloned());
        last
    }

    /// Shows each fact, with the subscription before and after it.
    pub(super) fn walk_subscriptions<'a>(
        &'a self,
        mut show: impl FnMut(&'a Fact, Option<&Running>, Option<&Running>),
    ) {
        let mut last: Option<Running> = None;
        let mut started = 0;
        for line in &self.lines {
            let before = last.clone();
            let Fact::Subscription(happened) = &line.fact else {
                show(&line.fact, before.as_ref(), last.as_ref());
                continue;
            };
            let at = line.decided_at;
            if let Happened::Started(plan, provider) = happened {
                started += 1;
                last = Some(Running {
                    index: started - 1,
                    started_at: at,
                    first: (plan.price_cents == 0).then_some(at),
                    plan: plan.clone(),
                    paid: 0,
                    granted: 0,
                    to_come: Vec::new(),
                    granted_at: None,
                    asked: 0,
                    upgrade: None,
                    next: None,
                    is_past_due: false,
                    is_canceled: false,
                    ended_at: None,
                    known: provider.map(|_| Placement::default()),
                    missing: Vec::new(),
                });
                show(&line.fact, before.as_ref(), last.as_ref());
                continue;
            }
            last.as_mut().expect("it was started").apply(happened, at);
            show(&line.fact, before.as_ref(), last.as_ref());
        }
    }

    /// True if a step of the subscription is due.
    #[must_use]
    pub fn has_late_subscription(&self, now: Timestamp) -> bool {
        let due_at = self.subscription().and_then(|subscription| subscription.due_at());
        due_at.is_some_and(|at| at <= now)
    }

    /// The subscription, as the ledger keeps it. The cents of a further month are left out: the
    /// grants show them.
    #[must_use]
    pub fn subscription(&self) -> Option<Subscription> {
        let running = self.running()?;
        let cancels_at = running.end().filter(|_| running.is_canceled);
        let (provider, missing) = (Provider::Stripe, running.missing);
        let collected = running.known.map(|placement| Box::new(Collected { provider, placement, missing }));
        Some(Subscription {
            id: SubscriptionId(nth(running.index)),
            cents_left: running.to_come.iter().sum(),
            month_cents: 0,
            plan: running.plan,
            started_at: running.started_at,
            anchor: running.first,
            months_paid: running.paid,
            months_granted: running.granted,
            granted_at: running.granted_at,
            changes: running.asked,
            upgrade: running.upgrade,
            next_plan: running.next,
            is_past_due: running.is_past_due,
            cancels_at,
            ended_at: running.ended_at,
            collected,
        })
    }

    pub(super) fn subscribe(
        &mut self,
        command: &SubscriptionCommand,
        plans: &[Plan],
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let last = self.running();
        let current = last.clone().filter(|last| last.ended_at.is_none());
        match command {
            SubscriptionCommand::StartOrChange { plan, collected_by } => {
                let started = self.lines.iter();
                let started =
                    started.filter(|line| matches!(line.fact, Fact::Subscription(Happened::Started(..))));
                let id = SubscriptionId(nth(started.count()));
                let happened = asked_for(last, plan, *collected_by, plans, now)?;
                let starts = matches!(happened, Some(Happened::Started(..)));
                self.note(happened, now);
                Ok(if starts { Output::Subscription(id) } else { Output::Done })
            }
            SubscriptionCommand::Confirm { change, payment } => {
                if last.ok_or(Refusal::SubscriptionNotFound)?.known.is_some() {
                    return Err(invalid("subscription"));
                }
                let current = current.filter(|current| !current.is_over(now)).ok_or(Refusal::NothingDue)?;
                if *change {
                    self.pay_change(&current, payment, now)
                } else {
                    self.pay_period(&current, Some(payment), now)
                }
            }
            SubscriptionCommand::Cancel => {
                let current = current.ok_or(Refusal::SubscriptionNotFound)?;
                let has_passed = current.end().is_none_or(|end| end <= now);
                let happened = match () {
                    () if current.is_canceled => None,
                    () if has_passed && !current.owes(now) => Some(Happened::Ended),
                    () => Some(Happened::CancelAsked),
                };
                self.note(happened, now);
                Ok(Output::Done)
            }
            SubscriptionCommand::Tick { renews } => match current {
                Some(current) => self.tick(&current, *renews, now),
                None => Ok(Output::Done),
            },
            SubscriptionCommand::Collected { subscription, command } => {
                let pays = matches!(
                    command,
                    CollectedCommand::PayPeriod { .. } | CollectedCommand::PayChange { .. }
                );
                let refusal = if pays { Refusal::PaymentUnmatched } else { Refusal::SubscriptionNotFound };
                let last = last.filter(|last| SubscriptionId(nth(last.index)) == *subscription);
                let last = last.filter(|last| last.known.is_some()).ok_or(refusal)?;
                self.hear_of_subscription(&last, command, now)
            }
        }
    }

    pub(super) fn note(&mut self, happened: Option<Happened>, now: Timestamp) {
        if let Some(happened) = happened {
            self.add(now, Fact::Subscription(happened));
        }
    }

    fn tick(&mut self, current: &Running, renews: bool, now: Timestamp) -> Result<Output, Refusal> {
        let Some(end) = current.end() else { return Ok(Output::Done) };
        let is_over = current.is_over(now);
        let has_begun = |month: u32| current.start_of(month).is_some_and(|start| start <= now);
        let is_by_hand = current.known.is_none();
        let is_end_known = current.known.as_ref().is_none_or(|known| known.ends == Ends::Now);
        if is_by_hand && current.upgrade.is_some() && end <= now {
            self.note(Some(Happened::Dropped), now);
            return Ok(Output::Done);
        }
        if current.owes(now) {
            let start = current.start_of(current.granted).expect("it runs");
            let (cents, origin) = (current.to_come[0], current.origin(start, "month"));
            let month = Happened::Month { month: current.granted, paid: None, is_granted: true };
            let n = self.next_n();
            let granted = self.grant_month(current.plan.credits, cents, origin, month, now)?;
            let record = self.grants().into_iter().find(|record| record.grant.n == n);
            let lost = self.lost_of_plan_grant(n);
            self.go_towards(&record.expect("it was just made"), lost, now)?;
            return Ok(granted);
        }
        let is_in_year = Running::is_free(&current.plan) && current.granted < current.paid;
        if is_in_year && !is_over && has_begun(current.granted) {
            return self.free_month(current, now);
        }
        if is_over {
            self.note(is_end_known.then_some(Happened::Ended), now);
        } else if is_by_hand && end <= now {
            if Running::is_free(current.next_plan()) {
                return self.free_month(current, now);
            }
            if renews {
                return self.pay_period(current, None, now);
            }
            self.note((!current.is_past_due).then_some(Happened::PastDue), now);
        }
        Ok(Output::Done)
    }

    fn free_month(&mut self, current: &Running, now: Timestamp) -> Result<Output, Refusal> {
        let mut month = current.granted;
        while current.start_of(month + 1).is_some_and(|start| start <= now) {
            month += 1;
        }
        let ends = current.granted < current.paid && month >= current.paid;
        if ends {
            month = current.paid - 1;
        }
        let charged = self.lines.iter().rev().find(|line| matches!(line.fact, Fact::Charged(_)));
        let charged_at = charged.map(|line| line.decided_at);
        let is_used = current.granted_at.is_none_or(|last| charged_at.is_some_and(|at| at >= last));
        if ends || !is_used {
            self.note(Some(Happened::Month { month, paid: None, is_granted: false }), now);
            return Ok(Output::Done);
        }
        let plan = if month < current.paid { &current.plan } else { current.next_plan() };
        let start = current.start_of(month).expect("it runs");
        let happened = Happened::Month { month, paid: None, is_granted: true };
        self.grant_month(plan.credits, 0, current.origin(start, "month"), happened, now)
    }

    /// The next period; `asked` is the name of its payment, unless it renews by itself.
    fn pay_period(
        &mut self,
        current: &Running,
        asked: Option<&str>,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let plan = current.next_plan();
        let start = current.end().unwrap_or(now);
        if start > now || current.is_canceled || Running::is_free(plan) {
            return Err(Refusal::NothingDue);
        }
        if asked.is_some() && current.granted < current.paid {
            return Err(invalid("subscription"));
        }
        let cents = split(plan.price_cents, length(plan))[0];
        let renewed = format!("manual:{}:{}", SubscriptionId(nth(current.index)), start.rfc3339());
        let paid = Some(asked.map_or_else(|| renewed.into(), Into::into));
        let happened = Happened::Month { month: current.paid, paid, is_granted: true };
        self.grant_month(plan.credits, cents, current.origin(start, "period"), happened, now)
    }

    fn pay_change(&mut self, current: &Running, payment: &str, now: Timestamp) -> Result<Output, Refusal> {
        let upgrade = current.upgrade.as_ref().filter(|upgrade| now < upgrade.drop_at);
        let upgrade = upgrade.ok_or(Refusal::NothingDue)?;
        self.grant_change(current, upgrade, (payment, upgrade.due_cents, 0, None), now)
    }

    pub(super) fn grant_change(
        &mut self,
        current: &Running,
        upgrade: &Upgrade,
        (payment, paid_cents, tax_cents, reason): (&str, i64, i64, Option<Box<str>>),
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let more = upgrade.plan.credits.get() - current.plan.credits.get();
        let credits = upgrade.credits.get() + more * i64::from(current.granted - upgrade.month);
        let all = credits + more * i64::from(current.paid - current.granted);
        let cents = i128::from(paid_cents) * i128::from(credits) / i128::from(all);
        let cents = i64::try_from(cents).expect("a part");
        let start = if current.is_past_due { current.paid } else { current.paid - length(&current.plan) };
        let start = current.start_of(start).expect("it runs");
        let origin = current.origin(start, &format!("change-{}", upgrade.number));
        let happened = Happened::Changed { paid_cents, cents, tax_cents, payment: payment.into() };
        self.grant_because(Micros::new(credits), cents, (origin, reason), happened, now)
    }

    fn grant_month(
        &mut self,
        amount: Micros,
        paid_cents: i64,
        origin: Box<str>,
        happened: Happened,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        self.grant_because(amount, paid_cents, (origin, None), happened, now)
    }

    pub(super) fn grant_because(
        &mut self,
        amount: Micros,
        paid_cents: i64,
        (origin, reason): (Box<str>, Option<Box<str>>),
        happened: Happened,
        now: Timestamp,
    ) -> Result<Output, Refusal> {
        let source = Source::Subscription;
        let request = GrantRequest { source, amount, reason, origin: Some(origin), paid_cents };
        self.grant_with(&request, Some(Fact::Subscription(happened)), now)
    }
}

/// What a request for a plan leads to.
fn asked_for(
    last: Option<Running>,
    plan: &PlanId,
    collected_by: Option<Provider>,
    plans: &[Plan],
    now: Timestamp,
) -> Result<Option<Happened>, Refusal> {
    let current = last.clone().filter(|last| last.ended_at.is_none());
    let is_over = current.as_ref().is_some_and(|current| current.is_over(now));
    let running = current.as_ref().filter(|current| current.first.is_some() && !is_over);
    let may_not_change = |running: &Running| {
        running.known.as_ref().is_some_and(|known| {
            let waits = running.upgrade.as_ref().map(|upgrade| upgrade.number);
            known.ends == Ends::Now || waits.is_some_and(|number| number != known.change)
        })
    };
    if let Some(running) = running.filter(|running| running.plan.id == *plan) {
        let is_planned = running.upgrade.is_some() || running.next.is_some();
        if may_not_change(running) && (running.is_canceled || is_planned) {
            return Err(exists());
        }
        return Ok(match running.is_canceled {
            true => Some(Happened::Resumed),
            false => is_planned.then_some(Happened::Dropped),
        });
    }
    let plan = plans.iter().find(|other| other.id == *plan).ok_or(Refusal::PlanNotFound)?;
    let Some(running) = running else {
        let waits = current.as_ref().filter(|_| !is_over);
        if waits.is_some_and(|waiting| waiting.plan == *plan) {
            return Ok(None);
        }
        if current.is_some_and(|last| last.owes(now)) {
            return Err(invalid("subscription"));
        }
        let known = last.and_then(|last| last.known);
        if known.is_some_and(|known| known.reference.is_some() && known.ends == Ends::No) {
            return Err(exists());
        }
        let provider = collected_by.filter(|_| plan.price_cents > 0);
        return Ok(Some(Happened::Started(plan.clone(), provider)));
    };
    if running.plan.interval != plan.interval {
        return Err(Refusal::PlanIntervalDiffers);
    }
    let planned = running.upgrade.as_ref().map(|upgrade| &upgrade.plan).or(running.next.as_ref());
    if planned == Some(plan) {
        return Ok(None);
    }
    let is_collected = running.known.is_some() && plan.price_cents == 0;
    let turns_paid = running.plan.price_cents == 0 && collected_by.is_some();
    if is_collected {
        return Err(invalid("plan"));
    }
    if may_not_change(running) {
        return Err(exists());
    }
    if turns_paid {
        return Err(invalid("plan"));
    }
    Ok(Some(Happened::Asked(plan.clone(), running.price_of(plan, now))))
}

/// The refusal of a plan while the subscription that there is goes first.
fn exists() -> Refusal {
    Refusal::SubscriptionExists { why: "" }
}
