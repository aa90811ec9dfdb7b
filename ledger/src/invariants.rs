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
//! A violation is a bug, so these panic; the engine turns that into "no credit moved" for the one request at fault.

use crate::{
    Account, Balance, Body, Charge, IdempotencyKey, LedgerAccount, Micros, Source, Standing, Status, Totals,
    Used,
};

/// i01, i03, i04, i10 after an entry was applied.
pub(crate) fn after_entry(account: &Account, body: &Body, before: (Balance, Totals)) {
    i01_legs_move_the_balance(account, body, before.0);
    i03_grants_in_range(account);
    i04_available_is_what_remains(account);
    i10_nothing_appears_nothing_vanishes(account);
    if let Body::ChargeOpened(opening) = body {
        let drawn: Micros = opening.draws.iter().map(|draw| draw.amount).sum();
        assert!(drawn == opening.amount, "i05: the draws do not sum to the charge");
    }
}

fn i01_legs_move_the_balance(account: &Account, body: &Body, before: Balance) {
    let (mut available, mut pending) = (Micros::ZERO, Micros::ZERO);
    if let Some(legs) = body.legs() {
        assert!(legs.amount >= Micros::ZERO, "i01: an entry moves an amount below zero");
        assert!(legs.from != legs.to, "i01: an entry moves from an account to itself");
        for (side, amount) in [(legs.from, Micros::ZERO - legs.amount), (legs.to, legs.amount)] {
            match side {
                LedgerAccount::Available => available += amount,
                LedgerAccount::Pending => pending += amount,
                LedgerAccount::Funding | LedgerAccount::Consumed | LedgerAccount::ClawedBack => {}
            }
        }
    }
    assert!(account.balance.available - before.available == available, "i01: available moved otherwise");
    assert!(account.balance.pending - before.pending == pending, "i01: pending moved otherwise");
}

fn i03_grants_in_range(account: &Account) {
    for grant in account.grants.iter() {
        assert!(
            grant.remaining >= Micros::ZERO && grant.remaining <= grant.amount,
            "i03: a grant holds less than nothing or more than it brought"
        );
    }
}

fn i04_available_is_what_remains(account: &Account) {
    let available = account.balance.available;
    assert!(available >= Micros::ZERO, "i04: the balance is negative");
    assert!(available == account.grants.remaining(), "i04: the balance is not what the grants hold");
    assert!(account.balance.pending >= Micros::ZERO, "i04: pending is negative");
    assert!(account.balance.debt >= Micros::ZERO, "i04: debt is negative");
}

fn i10_nothing_appears_nothing_vanishes(account: &Account) {
    let totals = account.totals;
    assert!(
        totals.granted + totals.refunded == totals.charged + totals.clawed_back + account.balance.available,
        "i10: credit appeared or vanished"
    );
    assert!(
        totals.granted - totals.clawed_back <= Micros::MAX,
        "i10: more was granted than a balance can hold"
    );
}

/// i05 and i06 for what is about to become of a charge.
pub(crate) fn charge_moves_on(charge: &Charge, next: Standing) {
    let amount = charge.opening.amount;
    let now = charge.standing;
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
pub(crate) fn payment_once(body: &Body, key: Option<&IdempotencyKey>) {
    if let Body::Granted { grant, origin, .. } = body
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
