//! A subscription that a payment provider collects: what was made for it there, which terms and
//! which end the provider knows, and the periods that it says were paid.
//!
//! Calls at the provider are derived from this state: what the subscription is to be, against what
//! was last placed ([`Subscription::wants_placing`]). The provider counts the periods, so one may
//! be paid late, after later ones, or never. Each begins k months from the anchor, which is the
//! start of the first that was paid, and is granted once (i11): a period that a later one passes is
//! kept as missing until it is paid. What was paid is on its grants (i15), also with a discount.
//!
//! How calls are made, and what is read of the provider's objects, is not here.

use super::card::{Provider, is_provider_id};
use super::due::FIRST_LOOK_SECONDS;
use super::subscription::{Brings, Subscription, read_count};
use crate::journal::codec::{Malformed, Reader, Writer, coded};
use crate::journal::disagreement::{Violation, ensure};
use crate::{Grant, Interval, Micros, Plan, PlanId, Timestamp, bounds};

/// The seconds by which the start of a period may differ from its months from the anchor.
const START_TOLERANCE_SECONDS: i64 = 6 * 3_600;

/// The seconds after which a period that was not paid is past due: a provider takes an hour to
/// send its bill.
const LATE_SECONDS: i64 = 2 * 3_600;

/// The seconds after which a page to pay on, or a change that waits, is over at the provider.
const OVER_SECONDS: i64 = 24 * 3_600;

/// Whether a subscription ends at its provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ends {
    /// It goes on.
    #[default]
    No,
    /// It ends with its period.
    WithPeriod,
    /// It has ended.
    Now,
}

coded!(Ends, "how a subscription ends at its provider", {
    No = 1 "no",
    WithPeriod = 2 "with_period",
    Now = 3 "now",
});

/// The terms of a plan as a price at a provider has them: all but the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The id of the plan.
    pub plan: PlanId,
    /// What an interval costs, in cents.
    pub price_cents: i64,
    /// The credit of a month.
    pub credits: Micros,
    /// How often the price is paid.
    pub interval: Interval,
}

/// What a provider knows of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The provider's id of the page on which the first period is paid.
    pub page: Option<Box<str>>,
    /// How often the call for a page was begun anew.
    pub generation: u32,
    /// When it was begun anew last.
    pub renewed_at: Option<Timestamp>,
    /// The provider's id of the subscription, once the first period was paid.
    pub reference: Option<Box<str>>,
    /// The terms of the next period.
    pub terms: Option<Terms>,
    /// The number of the last change that was asked for there, to be paid at once; 0 for none.
    pub change: u32,
    /// Whether it ends.
    pub ends: Ends,
    /// The mark of the last call that set the terms or the end there. A provider that shows another
    /// mark has carried out a call whose answer was lost; one that shows this mark and other facts
    /// was changed by somebody else.
    pub mark: Option<Box<str>>,
}

/// What is known of a subscription that a provider collects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// The provider.
    pub provider: Provider,
    /// What was placed there.
    pub placement: Placement,
    /// The first months of periods that were not paid although a later one was, in order.
    pub missing: Vec<u32>,
}

/// What a provider says of a subscription that it collects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CollectedCommand {
    /// Says what the provider knows now, if the caller saw what is known here.
    Place {
        /// What was known.
        was: Box<Placement>,
        /// What is known from now on.
        is: Box<Placement>,
    },
    /// Says that a period was paid. It grants its credit once.
    PayPeriod {
        /// The name of the payment.
        payment: Box<str>,
        /// The terms of the price that was paid.
        terms: Terms,
        /// When the period began.
        start: Timestamp,
        /// What was paid for it, without tax and after discounts.
        cents: i64,
        /// The tax that came in with it.
        tax_cents: i64,
    },
    /// Says that the change that waits was paid. It grants its credit once.
    PayChange {
        /// The number of the change.
        number: u32,
        /// The name of the payment.
        payment: Box<str>,
        /// The terms of the price that the change leads to.
        terms: Terms,
        /// What was paid for it, without tax and after discounts.
        cents: i64,
        /// The tax that came in with it.
        tax_cents: i64,
    },
    /// Says that the change of this number will not be paid.
    DropChange(u32),
    /// Says that the provider was asked, and the period that has begun is not paid.
    Lapse,
    /// Says that it ended.
    End,
}

/// A period that was paid, as it is to be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PaidPeriod {
    /// The month with which it begins.
    pub month: u32,
    /// When it began.
    pub start: Timestamp,
    /// What is granted now. What is paid late is granted whole.
    pub brings: Brings,
    /// True if no month of it is to come.
    pub is_whole: bool,
}

impl Terms {
    /// The terms of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Terms {
        let Plan { id, name: _, price_cents, credits, interval } = plan;
        Terms { plan: id.clone(), price_cents: *price_cents, credits: *credits, interval: *interval }
    }

    /// The plan with these terms: one of the subscription's, or one that is named by its id.
    /// `None` if no plan may have them.
    pub(crate) fn plan_of(&self, subscription: &Subscription) -> Option<Plan> {
        let upgrade = subscription.upgrade.as_ref().map(|upgrade| &upgrade.plan);
        let known = [Some(&subscription.plan), subscription.next_plan.as_ref(), upgrade];
        if let Some(plan) = known.into_iter().flatten().find(|plan| Terms::of(plan) == *self) {
            return Some(plan.clone());
        }
        let Terms { plan, price_cents, credits, interval } = self.clone();
        let plan = Plan { name: plan.as_str().into(), id: plan, price_cents, credits, interval };
        (plan.fault().is_none() && !plan.is_free()).then_some(plan)
    }

    /// The reason of a grant that was paid at a provider, from which an audit reads the terms.
    pub(crate) fn reason(&self, paid_cents: i64) -> String {
        let Terms { plan, price_cents, credits, interval } = self;
        let (interval, credits) = (interval.as_str(), credits.get());
        format!(
            "plan {plan} at {price_cents} cents per {interval} for {credits} paid with {paid_cents} cents"
        )
    }

    /// The terms and the cents of [`Terms::reason`].
    pub(crate) fn of_reason(reason: &str) -> Option<(Terms, i64)> {
        let words: Vec<&str> = reason.split(' ').collect();
        let [
            "plan",
            plan,
            "at",
            price,
            "cents",
            "per",
            interval,
            "for",
            credits,
            "paid",
            "with",
            paid,
            "cents",
        ] = words[..]
        else {
            return None;
        };
        let terms = Terms {
            plan: PlanId::new(plan).ok()?,
            price_cents: price.parse().ok()?,
            credits: Micros::new(credits.parse().ok()?),
            interval: Interval::named(interval)?,
        };
        Some((terms, paid.parse().ok()?))
    }

    fn write(&self, w: &mut Writer) {
        let Terms { plan, price_cents, credits, interval } = self;
        w.text(plan.as_str());
        w.signed(*price_cents);
        w.micros(*credits);
        w.byte(interval.code());
    }

    fn read(r: &mut Reader) -> Result<Terms, Malformed> {
        const WHAT: &str = "terms at a provider";
        Ok(Terms {
            plan: PlanId::new(r.text(WHAT)?).map_err(|_| Malformed(WHAT))?,
            price_cents: r.signed(WHAT)?,
            credits: r.micros(WHAT)?,
            interval: Interval::from_code(r.byte(WHAT)?)?,
        })
    }
}

impl Placement {
    /// True if it can be what a provider knows.
    pub(crate) fn is_possible(&self) -> bool {
        let Placement { page, generation, renewed_at, reference, mark, .. } = self;
        [page, reference, mark].into_iter().flatten().all(|id| is_provider_id(id))
            && (*generation > 0) == renewed_at.is_some()
    }

    pub(crate) fn write(&self, w: &mut Writer) {
        let Placement { page, generation, renewed_at, reference, terms, change, ends, mark } = self;
        w.maybe_text(page.as_deref());
        w.unsigned(u64::from(*generation));
        w.maybe_signed(renewed_at.map(Timestamp::millis));
        w.maybe_text(reference.as_deref());
        w.flag(terms.is_some());
        if let Some(terms) = terms {
            terms.write(w);
        }
        w.unsigned(u64::from(*change));
        // Entries of earlier versions have no mark. No end has the code 0, so one announces it.
        if let Some(mark) = mark {
            w.byte(0);
            w.text(mark);
        }
        w.byte(ends.code());
    }

    pub(crate) fn read(r: &mut Reader) -> Result<Placement, Malformed> {
        const WHAT: &str = "a subscription at its provider";
        let mut placement = Placement {
            page: r.maybe_text(WHAT)?.map(Into::into),
            generation: read_count(r, WHAT)?,
            renewed_at: r.maybe_signed(WHAT)?.map(Timestamp::from_millis),
            reference: r.maybe_text(WHAT)?.map(Into::into),
            terms: if r.flag(WHAT)? { Some(Terms::read(r)?) } else { None },
            change: read_count(r, WHAT)?,
            ends: Ends::No,
            mark: None,
        };
        let mut code = r.byte(WHAT)?;
        if code == 0 {
            placement.mark = Some(r.text(WHAT)?.into());
            code = r.byte(WHAT)?;
        }
        placement.ends = Ends::from_code(code)?;
        if placement.is_possible() { Ok(placement) } else { Err(Malformed(WHAT)) }
    }
}

impl Collected {
    /// What is known of a subscription that was just started.
    pub(crate) fn new(provider: Provider) -> Box<Collected> {
        Box::new(Collected { provider, placement: Placement::default(), missing: Vec::new() })
    }

    /// True if it can be of this subscription.
    pub(super) fn fits(&self, subscription: &Subscription) -> bool {
        let length = subscription.plan.interval.months();
        let is_passed = |month: &u32| *month < subscription.months_paid && month.is_multiple_of(length);
        !subscription.plan.is_free()
            && self.missing.iter().all(is_passed)
            && self.missing.is_sorted_by(|one, other| one < other)
    }

    pub(super) fn write(&self, w: &mut Writer) {
        let Collected { provider, placement, missing } = self;
        w.byte(provider.code());
        placement.write(w);
        w.list(missing, |w, month| w.unsigned(u64::from(*month)));
    }

    pub(super) fn read(r: &mut Reader) -> Result<Collected, Malformed> {
        const WHAT: &str = "a period that was not paid";
        Ok(Collected {
            provider: Provider::from_code(r.byte("a provider")?)?,
            placement: Placement::read(r)?,
            missing: r.list(WHAT, |r| read_count(r, WHAT))?,
        })
    }
}

impl Subscription {
    /// What the provider is to know: the terms of the next period, the change that waits, the end.
    #[must_use]
    pub fn wanted(&self) -> (Terms, u32, Ends) {
        let ends = match (self.ended_at, self.cancels_at) {
            (Some(_), _) => Ends::Now,
            (None, Some(_)) => Ends::WithPeriod,
            (None, None) => Ends::No,
        };
        (Terms::of(self.next_terms()), self.upgrade.as_ref().map_or(0, |upgrade| upgrade.number), ends)
    }

    /// True if the provider knows something else than it is to know.
    #[must_use]
    pub fn wants_placing(&self) -> bool {
        let Some(Collected { placement, .. }) = self.collected.as_deref() else { return false };
        if placement.reference.is_none() || placement.ends == Ends::Now {
            return false;
        }
        let (terms, change, ends) = self.wanted();
        // What ends with its period at the provider has ended there when it has ended here.
        let has_ended = ends == Ends::Now;
        if has_ended {
            return placement.ends == Ends::No;
        }
        placement.terms.as_ref() != Some(&terms) || placement.change != change || placement.ends != ends
    }

    /// True if its provider takes nothing more for it. Months that were paid may still be to come.
    pub(crate) fn has_ended_at_provider(&self) -> bool {
        self.collected.as_deref().is_some_and(|collected| collected.placement.ends == Ends::Now)
    }

    /// True if a change waits whose call at the provider may be under way. A second call would be
    /// reckoned from the first one.
    pub(crate) fn is_change_under_way(&self) -> bool {
        let placed = self.collected.as_deref().map(|collected| collected.placement.change);
        self.upgrade.as_ref().is_some_and(|upgrade| placed.is_some_and(|placed| placed != upgrade.number))
    }

    /// The time at which the provider is to be asked what it knows; `None` if nothing waits.
    #[must_use]
    pub fn look_at(&self) -> Option<Timestamp> {
        let placement = &self.collected.as_deref()?.placement;
        if let Some(ended_at) = self.ended_at {
            // It may go on there after all, if its end was taken back.
            let is_ending = placement.ends == Ends::WithPeriod;
            return is_ending.then(|| ended_at.plus_seconds(LATE_SECONDS));
        }
        let Some(end) = self.period_end() else {
            let begun_at = placement.renewed_at.unwrap_or(self.started_at);
            let is_placed = placement.page.is_some() || placement.reference.is_some();
            return is_placed.then(|| begun_at.plus_seconds(OVER_SECONDS));
        };
        // One that is past due may be paid at any time, or be given up.
        let rest_seconds = if self.is_past_due { FIRST_LOOK_SECONDS } else { 0 };
        let period = end.plus_seconds(LATE_SECONDS + rest_seconds);
        let change = self.upgrade.as_ref().map(|upgrade| upgrade.asked_at.plus_seconds(OVER_SECONDS));
        change.into_iter().chain([period]).min()
    }

    /// True if a period has begun long enough ago to be past due.
    pub(crate) fn is_late(&self, now: Timestamp) -> bool {
        let goes_on = self.cancels_at.is_none();
        goes_on && self.period_end().is_some_and(|end| end.plus_seconds(LATE_SECONDS) <= now)
    }

    /// True if the sum pays for a change that costs `due_cents`. A provider that collects says what
    /// was paid: it knows the discounts on both plans, so it may be less, nothing, or more.
    pub(crate) fn is_change_paid(&self, due_cents: i64, cents: i64) -> bool {
        match self.collected {
            Some(_) => (0..=bounds::PLAN_PRICE_MAX_CENTS).contains(&cents),
            None => cents == due_cents && cents > 0,
        }
    }

    /// What the payment of the period that begins at `start` brings; `None` if there is no such
    /// period, or it was paid before. An earlier version took more than the price, so entries may.
    pub(crate) fn paid_period(&self, plan: &Plan, start: Timestamp, cents: i64) -> Option<PaidPeriod> {
        let collected = self.collected.as_deref()?;
        let length = plan.interval.months();
        let is_price = (0..=bounds::PLAN_PRICE_MAX_CENTS).contains(&cents);
        if plan.interval != self.plan.interval || plan.is_free() || !is_price || start < Timestamp::ZERO {
            return None;
        }
        let (month, start) = match self.anchor {
            None => (0, start),
            Some(anchor) => {
                let month = anchor.whole_months_until(start.plus_seconds(START_TOLERANCE_SECONDS))?;
                let nominal = anchor.plus_months(month);
                let is_near = nominal <= start.plus_seconds(START_TOLERANCE_SECONDS)
                    && start <= nominal.plus_seconds(START_TOLERANCE_SECONDS);
                (is_near && month.is_multiple_of(length)).then_some((month, nominal))?
            }
        };
        let is_missing = collected.missing.contains(&month);
        if month < self.months_paid && !is_missing || month + length > bounds::SUBSCRIPTION_MONTHS_MAX {
            return None;
        }
        let is_whole = is_missing || self.ended_at.is_some() || length == 1;
        let months = i64::from(if is_whole { length } else { 1 });
        let credits = plan.credits.checked_times(months).expect("the credit of a plan is bounded");
        let cents = if is_whole { cents } else { cents / i64::from(length) };
        Some(PaidPeriod { month, start, brings: Brings { credits, cents }, is_whole })
    }

    /// Applies that a period was paid.
    pub(super) fn apply_paid_period(
        &mut self,
        plan: &Plan,
        (month, start): (u32, Timestamp),
        (paid_cents, cents): (i64, i64),
        granted: &Grant,
        at: Timestamp,
    ) -> Result<(), Violation> {
        let paid = self.paid_period(plan, start, paid_cents);
        let paid = paid.ok_or(Violation("i11: a period is paid that is none, or was paid before"))?;
        ensure(paid.month == month && paid.start == start, "i11: a period begins at another time")?;
        super::subscription_change::check_grant(granted, paid.brings, cents)?;
        self.granted_at = Some(at);
        let length = plan.interval.months();
        let collected = self.collected.as_deref_mut();
        let missing = &mut collected.ok_or(Violation("a period is paid where nobody collects"))?.missing;
        if month < self.months_paid {
            let before = missing.len();
            missing.retain(|other| *other != month);
            return ensure(missing.len() + 1 == before, "i11: a period is paid twice");
        }
        let lags = self.months_granted < self.months_paid;
        ensure(!lags, "i15: a period is paid before the last one is granted")?;
        missing.extend((self.months_paid..month).step_by(length as usize));
        self.anchor.get_or_insert(start);
        self.months_paid = month + length;
        self.months_granted = if paid.is_whole { self.months_paid } else { month + 1 };
        self.cents_left = paid_cents - cents;
        self.month_cents = if paid.is_whole { 0 } else { cents };
        self.next_plan = self.next_plan.take().filter(|next| Terms::of(next) != Terms::of(plan));
        self.plan = plan.clone();
        (self.upgrade, self.is_past_due) = (None, false);
        // The provider took money for one more period, so it ends after that.
        self.cancels_at = self.cancels_at.and(self.period_end());
        Ok(())
    }
}
