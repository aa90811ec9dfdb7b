//! The parts of the first page, as texts: banners, how long the credit lasts, the plan.

use tollkeeper_ledger::{Alerts, Balance, Micros, Payments, Timestamp, TopUpStatus};

use crate::dashboard::frame::Visit;
use crate::dashboard::words::OverviewWords;
use crate::language::Format;
use crate::reports::burn_rate::BurnRate;
use crate::reports::forecast::Reason;

/// How long a failed payment is shown: a week.
const FAILED_SHOWN_SECONDS: i64 = 7 * 24 * 3_600;

/// The operations that are named as those that use most.
const TOP_SHOWN: usize = 3;

/// Stands where a figure is not known.
const UNKNOWN: &str = "—";

/// What a reader should know at once.
pub struct Banner {
    /// The class that colours it.
    pub class: &'static str,
    pub title: &'static str,
    pub text: String,
}

/// What a reader should know at once, the worst first.
///
/// `ask`: whom a member asks to add credits; empty for an admin.
pub fn banners(
    visit: &Visit<'_>,
    payments: &Payments,
    alerts: &Alerts,
    is_first_run: bool,
    ask: &str,
) -> Vec<Banner> {
    let (words, format) = (&visit.words().overview, &visit.format);
    let error = |title, text: String| Banner { class: "is-error", title, text };
    let warning = |title, text: String| Banner { class: "is-warning", title, text };
    let mut banners = Vec::new();
    if visit.profile.suspended {
        banners.push(error(words.suspended, words.suspended_text.to_owned()));
    }
    if visit.balance.debt > Micros::ZERO {
        banners.push(error(words.in_debt, (words.in_debt_text)(&format.both_units(visit.balance.debt))));
    } else if is_used_up(visit, is_first_run) {
        banners.push(error(words.empty, format!("{} {ask}", words.empty_text).trim_end().to_owned()));
    }
    let refused_at = alerts.notices.as_ref().map_or(Timestamp::ZERO, |notices| notices.refused_at);
    if refused_at > Timestamp::ZERO && format.date_at(refused_at) == format.date_at(visit.now()) {
        banners
            .push(warning(words.refused_today, (words.refused_today_text)(&format.clock_time(refused_at))));
    }
    let last = payments.top_ups.last().filter(|_| visit.is_admin());
    let failed = last.filter(|top_up| {
        let ended_at = top_up.ended_at.unwrap_or(Timestamp::ZERO);
        top_up.status == TopUpStatus::Failed && ended_at.plus_seconds(FAILED_SHOWN_SECONDS) > visit.now()
    });
    if let Some(top_up) = failed {
        let amount = format.cents(top_up.cents);
        banners.push(warning(words.payment_failed, (words.payment_failed_text)(&amount)));
    }
    if payments.subscription.as_ref().is_some_and(|plan| plan.is_past_due && plan.ended_at.is_none()) {
        banners.push(warning(words.past_due, words.past_due_text.to_owned()));
    }
    banners
}

/// Whether nothing is left and nothing is owed; the banner about it says who can add credits.
pub fn is_used_up(visit: &Visit<'_>, is_first_run: bool) -> bool {
    let Balance { available, debt, .. } = visit.balance;
    available == Micros::ZERO && debt == Micros::ZERO && !is_first_run
}

/// How long the credit lasts.
pub struct Lasts {
    /// "12 days"; a dash if it is not known.
    pub figure: String,
    /// When it runs out, or why that is not known.
    pub text: String,
    /// Whether the plan adds credit before that; empty if there is nothing to say.
    pub plan: String,
    pub daily: String,
    pub monthly: String,
    /// The operations that use most, each with its use of a day.
    pub top: Vec<(String, String)>,
}

impl Lasts {
    /// `available`: what is left.
    pub fn of(rate: &BurnRate, available: Micros, format: &Format, words: &OverviewWords) -> Lasts {
        let (figure, text, plan) = match rate.runway() {
            Ok((days, on)) => {
                let figure = (words.days)(&format.number(days.into()), days == 1);
                let plan = rate.next_grant_on().map(|grant| {
                    let date = format.date(grant);
                    if on > grant { (words.plan_in_time)(&date) } else { (words.plan_too_late)(&date) }
                });
                if available == Micros::ZERO {
                    let next = rate.next_grant_on().map(|grant| (words.next_credit)(&format.date(grant)));
                    (figure, words.used_up.to_owned(), next.unwrap_or_default())
                } else {
                    (figure, (words.runs_out)(&format.date(on)), plan.unwrap_or_default())
                }
            }
            Err(reason) => {
                let text = match reason {
                    Reason::NoRecentUse => words.no_recent_use,
                    Reason::OverAYear => words.over_a_year,
                    Reason::CreditGrows => words.credit_grows,
                };
                (UNKNOWN.to_owned(), text.to_owned(), String::new())
            }
        };
        // Without a complete day there is no average.
        let average = |amount| if rate.days() == 0 { UNKNOWN.to_owned() } else { format.usd(amount) };
        let top = rate.operations().into_iter().take(TOP_SHOWN);
        Lasts {
            figure,
            text,
            plan,
            daily: average(rate.daily_average()),
            monthly: average(rate.monthly_average()),
            top: top.map(|(name, daily)| (name, (words.a_day)(&format.usd(daily)))).collect(),
        }
    }
}

/// The plan in a few words.
pub struct PlanLine {
    /// The plan and what it brings.
    pub text: String,
    /// When it brings credit the next time; empty if that is not known.
    pub next: String,
}

impl PlanLine {
    pub fn of(payments: &Payments, format: &Format, words: &OverviewWords) -> PlanLine {
        let plan = payments.subscription.as_deref().filter(|plan| plan.ended_at.is_none());
        let Some(subscription) = plan else {
            return PlanLine { text: words.no_plan.to_owned(), next: String::new() };
        };
        let next = subscription.next_grant_at().map(|at| format.date(format.date_at(at)));
        PlanLine {
            text: (words.plan_brings)(&subscription.plan.name, &format.usd(subscription.plan.credits)),
            next: next.map(|date| (words.next_credit)(&date)).unwrap_or_default(),
        }
    }
}
