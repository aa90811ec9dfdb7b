//! The invariants as functions, asserted on every entry before it is committed, in release builds too.
//!
//! - i01 the legs of an entry sum to zero, and the account moved by just them
//! - i02 entries are numbered without gaps, each with the hash of the one before (`Account::record`, `Account::replay`)
//! - i03 0 ≤ remaining ≤ amount for every grant (also where it changes, in `grant`)
//! - i04 available = what remains in the grants, never negative
//! - i05 a charge never gives back more than it took; its draws sum to its amount
//! - i06 a charge leaves pending once
//! - i07 same key, same answer (`decide`, before all else)
//! - i08 usage rollups equal the sum of the entries they cover
//! - i09 an alert fires once per crossing (`alert`)
//! - i10 granted + refunded = charged + clawed back + available
//! - i11, i12 one subscription grant per period, no payment granted twice
//!
//! In what is about to be written a violation is a bug, so it panics, and the engine turns that into "no credit moved"
//! for the one request at fault. In what is read back it is damage, and `Account::replay` reports it.

use crate::{
    Account, Balance, Charge, ChargeState, Draw, EntryBody, Grant, IdempotencyKey, LedgerAccount, Micros,
    Source, Status, Totals, Used,
};

/// The sentence that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation(pub &'static str);

/// Ends the check when the sentence does not hold.
pub(crate) fn holds(condition: bool, sentence: &'static str) -> Result<(), Violation> {
    if condition { Ok(()) } else { Err(Violation(sentence)) }
}

/// i01, i03, i04, i05, i10 after an entry was applied to an account that had `before`.
pub(crate) fn after_entry(account: &Account, body: &EntryBody, before: Balance) -> Result<(), Violation> {
    i01_legs_move_the_balance(account, body, before)?;
    i03_grants_in_range(account)?;
    i04_available_is_what_remains(account)?;
    i05_draws_sum_to_the_amount(body)?;
    i10_nothing_appears_nothing_vanishes(account)
}

fn i01_legs_move_the_balance(account: &Account, body: &EntryBody, before: Balance) -> Result<(), Violation> {
    let (mut available, mut pending) = (Micros::ZERO, Micros::ZERO);
    if let Some(legs) = body.legs() {
        holds(legs.amount >= Micros::ZERO, "i01: an entry moves an amount below zero")?;
        holds(legs.from != legs.to, "i01: an entry moves from an account to itself")?;
        for (side, amount) in [(legs.from, Micros::ZERO - legs.amount), (legs.to, legs.amount)] {
            match side {
                LedgerAccount::Available => available += amount,
                LedgerAccount::Pending => pending += amount,
                LedgerAccount::Funding | LedgerAccount::Consumed | LedgerAccount::ClawedBack => {}
            }
        }
    }
    let balance = account.balance;
    holds(balance.available - before.available == available, "i01: available moved otherwise")?;
    holds(balance.pending - before.pending == pending, "i01: pending moved otherwise")
}

fn i03_grants_in_range(account: &Account) -> Result<(), Violation> {
    let in_range = |grant: &Grant| grant.remaining >= Micros::ZERO && grant.remaining <= grant.amount;
    holds(account.grants.iter().all(in_range), "i03: a grant holds less than nothing or more than it brought")
}

fn i04_available_is_what_remains(account: &Account) -> Result<(), Violation> {
    let Balance { available, pending, debt } = account.balance;
    holds(available >= Micros::ZERO, "i04: the balance is negative")?;
    holds(available == account.grants.remaining(), "i04: the balance is not what the grants hold")?;
    holds(pending >= Micros::ZERO, "i04: pending is negative")?;
    holds(debt >= Micros::ZERO, "i04: debt is negative")
}

fn i05_draws_sum_to_the_amount(body: &EntryBody) -> Result<(), Violation> {
    let sum = |draws: &[Draw]| draws.iter().map(|draw| draw.amount).sum::<Micros>();
    match body {
        EntryBody::ChargeOpened(details) => {
            holds(sum(&details.draws) == details.amount, "i05: the draws do not sum to the charge")
        }
        EntryBody::ChargeRefunded(refund) => {
            holds(sum(&refund.returns) == refund.amount, "i05: what goes back does not sum to the refund")
        }
        _ => Ok(()),
    }
}

fn i10_nothing_appears_nothing_vanishes(account: &Account) -> Result<(), Violation> {
    let Totals { granted, charged, refunded, clawed_back } = account.totals;
    let spent = charged + clawed_back + account.balance.available;
    holds(granted + refunded == spent, "i10: credit appeared or vanished")?;
    holds(granted - clawed_back <= Micros::MAX, "i10: more was granted than a balance can hold")
}

/// i05 and i06 for what is about to become of a charge.
pub(crate) fn charge_moves_on(charge: &Charge, next: ChargeState) {
    let amount = charge.details.amount;
    let now = charge.state;
    assert!(next.refunded >= now.refunded, "i05: a refund was taken back");
    assert!(next.refunded <= amount, "i05: a charge gives back more than it took");
    assert!(
        (next.status == Status::Refunded) == (next.refunded == amount),
        "i05: refunded is refunded in full"
    );
    if now.status != Status::Pending {
        assert!(next.status != Status::Pending, "i06: a charge became pending again");
    }
    assert!(
        (next.status == Status::Pending) == next.deadline.is_some(),
        "i06: pending and only pending charges have a deadline"
    );
}

/// i11 and i12: what was bought or allocated carries its origin in its key, which can stand in the journal once only.
pub(crate) fn payment_once(body: &EntryBody, key: Option<&IdempotencyKey>) {
    if let EntryBody::Granted { grant, origin, .. } = body
        && matches!(grant.source, Source::Subscription | Source::TopUp)
    {
        let origin = origin.as_deref().expect("i12: a grant without its payment");
        let keyed = key.is_some_and(|key| key.as_str().ends_with(origin));
        assert!(keyed, "i11, i12: a payment that could be granted twice");
    }
}

/// i08: what the rollups gathered is what the account was charged and refunded meanwhile.
pub fn i08_usage_covers(usage: Used, before: Totals, after: Totals) {
    assert!(usage.charged == after.charged - before.charged, "i08: the usage rollups miss a charge");
    assert!(usage.refunded == after.refunded - before.refunded, "i08: the usage rollups miss a refund");
}
