//! A payment for a period of a subscription or for a change, as an entry states it.
//!
//! What a payment has brought so far is in `subscription_payment`.

use crate::bounds;
use crate::journal::codec::{Malformed, Reader, Writer};

/// A payment for a period or for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The name of the payment: the provider's, or that of a confirmation.
    pub payment: Box<str>,
    /// What was paid, in cents, without tax. A year's is on the grants of its months.
    pub cents: i64,
    /// The tax that a provider took besides.
    pub tax_cents: i64,
}

impl Paid {
    /// True if a payment may have such a tax.
    pub(crate) fn may_tax_be(cents: i64) -> bool {
        (0..=bounds::PLAN_PRICE_MAX_CENTS).contains(&cents)
    }

    pub(super) fn write(&self, w: &mut Writer) {
        let Paid { payment, cents, tax_cents } = self;
        w.text(payment);
        // Entries of earlier versions have no tax. Nothing is paid with less than zero cents, so a
        // number below zero announces the tax.
        if *tax_cents != 0 {
            w.signed(-tax_cents);
        }
        w.signed(*cents);
    }

    pub(super) fn read(r: &mut Reader) -> Result<Paid, Malformed> {
        let payment = r.text("a payment")?.into();
        let mut ahead = Reader(r.0);
        let first = ahead.signed("the tax on a payment")?;
        if first >= 0 {
            return Ok(Paid { payment, cents: read_cents(r)?, tax_cents: 0 });
        }
        *r = ahead;
        let tax_cents = first.checked_neg().filter(|tax| Paid::may_tax_be(*tax));
        let tax_cents = tax_cents.ok_or(Malformed("the tax on a payment"))?;
        Ok(Paid { payment, cents: read_cents(r)?, tax_cents })
    }
}

/// Reads what was paid, in cents. Other sums would break assertions of those who show them.
pub(super) fn read_cents(r: &mut Reader) -> Result<i64, Malformed> {
    const WHAT: &str = "a grant's cents";
    let cents = r.signed(WHAT)?;
    if (0..=bounds::PLAN_PRICE_MAX_CENTS).contains(&cents) { Ok(cents) } else { Err(Malformed(WHAT)) }
}
