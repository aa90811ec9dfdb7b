//! The details of the entries about thresholds, alerts and notices, as the journal shows them.
//!
//! They carry all that a message about them says: the threshold, the days of runway, what was
//! missing, how many charges were refused. The balance after it is in every entry.

use serde_json::{Value, json};
use tollkeeper_ledger::{Alert, AlertLine, Crossing, ReachedLimit, RefusedCharge};

use crate::wire::subject::SubjectFields;
use crate::wire::write::{Time, Usd};

/// The thresholds that were set. Amounts and days of runway are two lists.
pub(super) fn thresholds(lines: &[AlertLine], cooldown_seconds: i64) -> Value {
    let amounts = lines.iter().filter_map(|line| match line {
        AlertLine::Amount(amount) => Some(amount.get()),
        AlertLine::RunwayDays(_) => None,
    });
    let days = lines.iter().filter_map(|line| line.days());
    json!({
        "thresholds": amounts.collect::<Vec<_>>(),
        "runway_days": days.collect::<Vec<_>>(),
        "cooldown_seconds": cooldown_seconds,
    })
}

/// The details of an alert.
pub(crate) fn of(alert: &Alert) -> Value {
    match alert {
        Alert::Low(Crossing { amount, runway_days }) | Alert::Recovered(Crossing { amount, runway_days }) => {
            json!({
                "threshold": amount.get(),
                "threshold_usd": Usd(*amount).to_string(),
                "runway_days": runway_days,
            })
        }
        Alert::Refused(refused) => {
            let RefusedCharge { operation: _, required, available, refusals } = &**refused;
            json!({
                "required": required.get(),
                "required_usd": Usd(*required).to_string(),
                "available": available.get(),
                "available_usd": Usd(*available).to_string(),
                "shortfall": refused.shortfall().get(),
                "shortfall_usd": Usd(refused.shortfall()).to_string(),
                "refusals": refusals,
            })
        }
        Alert::LimitReached(reached) => {
            let ReachedLimit { subject, period, amount, resets_at } = &**reached;
            let SubjectFields { kind, id } = SubjectFields::from(subject);
            json!({
                "subject": kind,
                "id": id,
                "period": period.as_str(),
                "limit": amount.get(),
                "limit_usd": Usd(*amount).to_string(),
                "resets_at": Time(*resets_at).to_string(),
            })
        }
    }
}
