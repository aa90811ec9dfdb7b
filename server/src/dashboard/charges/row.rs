//! A charge as lists of charges show it.

use tollkeeper_ledger::{Charge, Timestamp};

use super::status::{ShortStatus, in_short};
use crate::dashboard::names::Names;
use crate::dashboard::words::ChargeWords;
use crate::language::Format;

/// A row.
pub struct ChargeRow {
    /// The path of the page of the charge.
    pub href: String,
    pub when: String,
    pub operation: String,
    /// The number of units; `None` for one.
    pub quantity: Option<String>,
    pub cost: String,
    /// Who used the operation; `None` if the charge names nobody.
    pub who: Option<String>,
    pub status: ShortStatus,
}

impl ChargeRow {
    /// The row of a charge.
    pub fn of(
        charge: &Charge,
        names: &Names,
        words: &ChargeWords,
        format: &Format,
        now: Timestamp,
    ) -> ChargeRow {
        let details = &charge.details;
        ChargeRow {
            href: format!("{}/{}", super::PATH, details.id),
            when: format.recent_time(charge.created_at, now),
            operation: details.spender.operation.to_string(),
            quantity: (details.quantity.total() != 1)
                .then(|| format!("×\u{a0}{}", format.number(details.quantity.total()))),
            cost: format.usd(details.amount),
            who: names.who(&details.spender),
            status: in_short(charge, words, format),
        }
    }
}
