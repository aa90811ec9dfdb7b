//! What a paid invoice says: which period or change it paid for, with how much money and tax.
//!
//! Only the recurring line grants a period, and only lines that are reckoned from one time are one
//! change. What else is on an invoice, such as an item that an operator added, is for no plan. What
//! follows from that is not here.

use tollkeeper_ledger::{Payments, Upgrade};

use crate::payments::stripe::objects::ObjectId;
use crate::payments::stripe::objects::subscriptions::{Invoice, Line};

/// What a paid invoice says.
pub(super) enum Paid {
    /// Nothing was paid, such as for a trial.
    Nothing,
    /// A period, by the price and the second in which it began.
    Period { price: ObjectId, start: i64, cents: i64, tax_cents: i64 },
    /// A change within a period, by the price and the second from which it is reckoned.
    Change { price: ObjectId, start: i64, cents: i64, tax_cents: i64 },
    /// Something else.
    Other,
}

/// By how many seconds the time from which Stripe reckons a change may be before the change was
/// asked for.
const RECKONED_SECONDS: i64 = 60;

/// The tax on what an invoice paid for a plan: all of it, unless it paid for something else too. Of
/// a line that is dearer than the cents of its grant it is their part, rounded down.
pub(super) fn tax_of_plan(invoice: &Invoice, lines: &[Line], granted_cents: i64) -> i64 {
    let sum = lines.iter().map(Line::net_cents).fold(0, i64::saturating_add);
    let all = invoice.tax_cents().max(0);
    let (cents, tax_cents) = match paid_by(invoice, lines) {
        Paid::Period { cents, tax_cents, .. } | Paid::Change { cents, tax_cents, .. } => {
            (cents, if cents == sum { all } else { tax_cents.clamp(0, all) })
        }
        Paid::Nothing | Paid::Other => return 0,
    };
    if granted_cents >= cents {
        return tax_cents;
    }
    let part = i128::from(tax_cents) * i128::from(granted_cents) / i128::from(cents);
    i64::try_from(part).expect("a part is not more than the whole")
}

/// What an invoice paid for. A line of nothing grants only what a discount made free.
pub(super) fn paid_by(invoice: &Invoice, lines: &[Line]) -> Paid {
    let is_discounted = |line: &Line| line.discount_amounts.iter().any(|discount| discount.amount > 0);
    let is_something = |line: &&Line| line.net_cents() != 0 || is_discounted(line);
    let something: Vec<&Line> = lines.iter().filter(is_something).collect();
    let is_period = |line: &&&Line| line.item().is_some_and(|item| !item.proration);
    let periods: Vec<&&Line> = something.iter().filter(is_period).collect();
    let prorated = || something.iter().filter(|line| line.is_proration());
    // What is credited for the price before has a line of its own, which is negative. Other
    // changes that were made at Stripe are reckoned from other times.
    let changes_to = prorated().rfind(|line| line.amount > 0 && line.price().is_some());
    match periods[..] {
        [line] => match line.price() {
            Some(price) => Paid::Period {
                price: price.clone(),
                start: line.period.start,
                cents: line.net_cents(),
                tax_cents: line.tax_cents(),
            },
            None => Paid::Other,
        },
        [] if something.is_empty() => Paid::Nothing,
        [] if invoice.billing_reason.as_deref() == Some("subscription_update") => {
            let Some((line, price)) = changes_to.and_then(|line| Some((line, line.price()?))) else {
                return Paid::Other;
            };
            let start = line.period.start;
            let change: Vec<_> = prorated().filter(|line| line.period.start == start).collect();
            let cents = change.iter().map(|line| line.net_cents()).fold(0, i64::saturating_add);
            let tax_cents = change.iter().map(|line| line.tax_cents()).fold(0, i64::saturating_add);
            // A coupon may make it free, or credit the customer with what was paid before.
            if cents > 0 || change.iter().any(|line| is_discounted(line)) {
                Paid::Change { price: price.clone(), start, cents: cents.max(0), tax_cents }
            } else {
                Paid::Other
            }
        }
        _ => Paid::Other,
    }
}

/// The number of the change that waits and that an invoice pays for which is reckoned from this
/// second; 0 if none waits, or if it was asked for later. No change has the number 0.
pub(super) fn number_of_change(payments: &Payments, start: i64) -> u32 {
    let waits = payments.subscription.as_deref().and_then(|last| last.upgrade.as_ref());
    let is_of = |upgrade: &&Upgrade| upgrade.asked_at.seconds() - RECKONED_SECONDS <= start;
    waits.filter(is_of).map_or(0, |upgrade| upgrade.number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Invoice, Paid, paid_by};

    /// What an invoice with these lines paid for: amount, discount, whether it is a proration.
    fn paid(reason: &str, lines: &[(i64, i64, bool)]) -> String {
        let line = |(amount, discount, proration): &(i64, i64, bool)| {
            json!({
                "id": "il_1", "amount": amount, "period": { "start": 5, "end": 9 },
                "discount_amounts": if *discount >= 0 { json!([{ "amount": discount }]) } else { json!(null) },
                "pricing": { "price_details": { "price": "price_1", "product": "prod_1" } },
                "parent": { "subscription_item_details": { "proration": proration } },
            })
        };
        let lines: Vec<_> = lines.iter().map(line).collect();
        let invoice: Invoice = serde_json::from_value(json!({
            "id": "in_1", "status": "paid", "billing_reason": reason, "currency": "usd", "created": 1,
            "total": 0, "total_excluding_tax": null, "lines": { "data": lines, "has_more": false },
        }))
        .expect("it is an invoice");
        match paid_by(&invoice, &invoice.lines.data) {
            Paid::Nothing => "nothing".to_owned(),
            Paid::Period { price, start, cents, .. } => format!("{price} from {start} for {cents}"),
            Paid::Change { price, cents, .. } => format!("a change to {price} for {cents}"),
            Paid::Other => "something else".to_owned(),
        }
    }

    #[test]
    fn only_a_line_that_recurs_and_is_paid_or_discounted_grants_a_period() {
        assert_eq!(paid("subscription_create", &[(0, -1, false)]), "nothing", "a trial");
        assert_eq!(
            paid("subscription_create", &[(0, 0, false)]),
            "nothing",
            "its discount takes nothing off"
        );
        assert_eq!(
            paid("subscription_create", &[(3_000, 3_000, false)]),
            "price_1 from 5 for 0",
            "a discount"
        );
        assert_eq!(paid("subscription_cycle", &[(3_000, 500, false)]), "price_1 from 5 for 2500");
        assert_eq!(
            paid("subscription_update", &[(-1_000, 0, true), (3_000, 0, true)]),
            "a change to price_1 for 2000"
        );
        assert_eq!(
            paid("subscription_cycle", &[(-1_000, 0, true), (3_000, 0, false)]),
            "price_1 from 5 for 3000"
        );
        for credited in [0, -100] {
            let lines = [(credited, -1, true), (3_000, 3_000, true)];
            assert_eq!(paid("subscription_update", &lines), "a change to price_1 for 0", "a discount");
        }
        assert_eq!(paid("subscription_update", &[(-3_000, 0, true), (3_000, 0, true)]), "something else");
        assert_eq!(paid("subscription_update", &[(-3_000, 0, true), (1_000, 0, true)]), "something else");
        assert_eq!(paid("subscription_cycle", &[(2_000, 0, true)]), "something else");
        assert_eq!(paid("subscription_cycle", &[(3_000, 0, false), (3_000, 0, false)]), "something else");
    }
}
