//! Decides what concerns the platform as a whole, besides its prices: the settings that decide
//! money, payments that fit nothing, and the epoch that begins with a restored copy.
//!
//! Only the platform may do so; a workspace's caller has no actor in the platform's journal.

use super::view::View;
use crate::{EntryBody, PlatformSettings, Refusal, UnmatchedPayment, bounds};

/// Replaces the settings; no entry if they are in force already.
///
/// # Errors
/// `InvalidField`.
pub(super) fn set_settings(view: &View, settings: PlatformSettings) -> Result<Vec<EntryBody>, Refusal> {
    if settings.refund_window_days > bounds::REFUND_WINDOW_MAX_DAYS {
        return Err(Refusal::InvalidField { field: "refund_window_days", why: "must be 0 to 3650" });
    }
    if settings == view.platform.settings {
        return Ok(Vec::new());
    }
    Ok(vec![EntryBody::SettingsChanged(settings)])
}

/// Notes a payment that fits nothing.
///
/// # Errors
/// `InvalidField`.
pub(super) fn report_unmatched(payment: UnmatchedPayment) -> Result<Vec<EntryBody>, Refusal> {
    let refuse = |field, why| Err(Refusal::InvalidField { field, why });
    let fits = |text: &str| !text.is_empty() && text.chars().count() <= bounds::TEXT_MAX_CHARS;
    let is_currency = payment.currency.len() == 3 && payment.currency.bytes().all(|c| c.is_ascii_lowercase());
    if !fits(&payment.payment) {
        return refuse("payment", "must have 1 to 255 characters");
    }
    if payment.cents < 0 {
        return refuse("cents", "must not be less than zero");
    }
    if !is_currency {
        return refuse("currency", "must be three lower-case letters");
    }
    if !fits(&payment.why) {
        return refuse("why", "must have 1 to 255 characters");
    }
    Ok(vec![EntryBody::PaymentUnmatched(Box::new(payment))])
}

/// Begins the next epoch: this ledger is a restored copy, and the one that was copied may have gone
/// on.
pub(super) fn mark_restored(view: &View) -> Vec<EntryBody> {
    let last = view.platform.epoch;
    assert!(last > 0, "the first epoch of a ledger must be 1");
    let epoch = last.checked_add(1).expect("a ledger is not restored 2^64 times");
    vec![EntryBody::LedgerRestored { epoch }]
}
