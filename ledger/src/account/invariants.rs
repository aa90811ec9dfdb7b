//! The invariants as functions. Every entry is checked before it is committed, in release builds
//! too.
//!
//! - i01 an entry moves an amount between two accounts: the legs sum to zero, and the balance moved
//!   by just them
//! - i02 entries are numbered without gaps, each with the hash of the one before
//!   (`Account::record`, `Account::replay`)
//! - i03 0 ≤ remaining ≤ amount for every grant (also where it changes, in `grant`)
//! - i04 available = the sum of what remains in the grants, never negative; debt moves only by
//!   claw-backs, repayments and won disputes, and is repaid before credit is available
//! - i05 the draws of a charge sum to its amount, and it never gives back more than it took
//! - i06 a charge leaves pending once
//! - i07 same key, same answer (`decide::replay`)
//! - i08 usage rollups equal the sum of the entries they cover
//! - i09 an alert fires once per crossing (`alert`)
//! - i10 granted + refunded = charged + clawed back + available
//! - i13 what is taken and owed for a payment is its lost part, never more than it brought
//!   (`claw_back`, `Account::check_lost`)
//! - i11, i12 one grant per subscription, period and cause, no payment granted twice
//! - i14 at most one automatic top-up waits, and those of a month stay within the cap
//!   (`payments::auto_top_up`, `decide::auto_top_up`)
//! - i15 what was paid for a subscription is on its grants, or waits for months to come
//!   (`payments::subscription_change`)
//!
//! In an entry that is about to be written a [`Violation`] is a bug: `Account::record` panics, and
//! no credit moves. The engine answers the command at fault with an error. The embedded engine
//! fails the rest of the batch as unavailable; the PostgreSQL engine runs it without that command.
//! In an entry that is read back a violation is damage: `Account::replay` and the audits of the
//! engines report it.

use super::grant::{payment_key, payment_of_key};
use crate::journal::disagreement::{Violation, ensure};
use crate::journal::entry::sum;
use crate::payments::subscription::Cause;
use crate::{
    Balance, ChargeState, EntryBody, Grant, Grants, IdempotencyKey, LedgerAccount, Micros, Source, Status,
    Totals, UsageSums, bounds,
};

/// The sums of an account that an entry may change.
#[derive(Clone, Copy)]
pub(crate) struct Sums<'a> {
    pub balance: Balance,
    pub totals: Totals,
    pub grants: &'a Grants,
}

/// Checks i01, i03, i04, i05 and i10 after an entry was applied to an account whose balance was
/// `before`. Every entry pays for this, so the grants are walked once.
pub(crate) fn after_entry(sums: Sums, body: &EntryBody, before: Balance) -> Result<(), Violation> {
    i01_legs_move_the_balance(sums.balance, body, before)?;
    let remaining = i03_grants_in_range(sums.grants)?;
    i04_available_is_what_remains(sums.balance, remaining)?;
    i04_debt_moves_by_the_entry(sums.balance, body, before)?;
    i04_credit_repays_debt_first(body, before)?;
    i05_draws_sum_to_the_amount(body)?;
    i10_nothing_appears_nothing_vanishes(sums.totals, sums.balance)
}

fn i01_legs_move_the_balance(balance: Balance, body: &EntryBody, before: Balance) -> Result<(), Violation> {
    let (mut available, mut pending) = (Micros::ZERO, Micros::ZERO);
    if let Some(legs) = body.legs() {
        ensure(legs.amount >= Micros::ZERO, "i01: an entry moves an amount below zero")?;
        ensure(legs.from != legs.to, "i01: an entry moves from an account to itself")?;
        for (side, amount) in [(legs.from, Micros::ZERO - legs.amount), (legs.to, legs.amount)] {
            match side {
                LedgerAccount::Available => available += amount,
                LedgerAccount::Pending => pending += amount,
                LedgerAccount::Funding | LedgerAccount::Consumed | LedgerAccount::ClawedBack => {}
            }
        }
    }
    ensure(
        balance.available - before.available == available,
        "i01: the available balance did not move by the legs of the entry",
    )?;
    ensure(
        balance.pending - before.pending == pending,
        "i01: the pending balance did not move by the legs of the entry",
    )
}

/// Checks every grant, and returns the sum of what remains in them.
fn i03_grants_in_range(grants: &Grants) -> Result<Micros, Violation> {
    let mut sum = Micros::ZERO;
    for Grant { amount, remaining, .. } in grants.iter() {
        let in_range = *remaining >= Micros::ZERO && remaining <= amount;
        ensure(in_range, "i03: what remains of a grant is negative or more than its amount")?;
        sum += *remaining;
    }
    Ok(sum)
}

fn i04_available_is_what_remains(balance: Balance, remaining: Micros) -> Result<(), Violation> {
    let Balance { available, pending, debt } = balance;
    ensure(available >= Micros::ZERO, "i04: the available balance is negative")?;
    ensure(available == remaining, "i04: the available balance is not what remains in the grants")?;
    ensure(pending >= Micros::ZERO, "i04: the pending balance is negative")?;
    ensure(debt >= Micros::ZERO, "i04: debt is negative")
}

/// Debt grows by what a claw-back could not take, and falls only when it is repaid or forgiven.
fn i04_debt_moves_by_the_entry(balance: Balance, body: &EntryBody, before: Balance) -> Result<(), Violation> {
    let moved = balance.debt - before.debt;
    let expected = match body {
        EntryBody::ClawedBack { amount, draws, .. } => *amount - sum(draws),
        EntryBody::DebtRepaid { draw } => Micros::ZERO - draw.amount,
        EntryBody::ClawBackRestored { .. } => moved.min(Micros::ZERO),
        EntryBody::ClawBackIncreased { owed, .. } => *owed,
        EntryBody::ClawBackReduced { forgiven, .. } => Micros::ZERO - *forgiven,
        _ => Micros::ZERO,
    };
    ensure(
        moved <= Micros::ZERO || balance.available == Micros::ZERO,
        "i04: debt grows although credit is available",
    )?;
    ensure(moved == expected, "i04: debt did not move by what the entry takes, repays or forgives")
}

/// Credit that comes in or back repays debt in the same change. Entries that only follow repay it,
/// so the balance is checked before an entry that may be the first of the next change.
/// `Account::finish_change` asserts it after every change that is decided.
fn i04_credit_repays_debt_first(body: &EntryBody, before: Balance) -> Result<(), Violation> {
    // A partly used charge is settled after its refund, in one change; so are limits set after a
    // change of the time zone. Both kinds move no available credit.
    let may_follow =
        body.only_follows() || matches!(body, EntryBody::ChargeSettled(_) | EntryBody::LimitsSet(_));
    let unpaid = before.available > Micros::ZERO && before.debt > Micros::ZERO;
    ensure(may_follow || !unpaid, "i04: credit is available although debt is owed")
}

fn i05_draws_sum_to_the_amount(body: &EntryBody) -> Result<(), Violation> {
    match body {
        EntryBody::ChargeOpened(details) => {
            let price = details.price.amount(&details.quantity);
            ensure(price == Some(details.amount), "i05: a charge is not the price of its quantity")?;
            ensure(sum(&details.draws) == details.amount, "i05: the draws do not sum to the charge")
        }
        EntryBody::ChargeRefunded(refund) => {
            ensure(sum(&refund.returns) == refund.amount, "i05: the returns do not sum to the refund")
        }
        _ => Ok(()),
    }
}

fn i10_nothing_appears_nothing_vanishes(totals: Totals, balance: Balance) -> Result<(), Violation> {
    let Totals { granted, charged, refunded, clawed_back } = totals;
    let spent = charged + clawed_back + balance.available;
    ensure(granted + refunded == spent, "i10: credit appeared or vanished")?;
    ensure(refunded <= charged, "i10: more was refunded than was charged")?;
    let held = balance.available + balance.pending;
    ensure(held <= Micros::MAX, "i10: a workspace holds more than a balance can")?;
    let total_max = Micros::new(bounds::TOTAL_MAX_MICROS);
    ensure(granted <= total_max && charged <= total_max, "i10: a total is out of range")
}

/// Checks i05 and i06 on one entry about a charge of `amount` whose state was `before`. Returns the
/// state after it. This is the only place that states them: decisions and the audits of the engines
/// both call it.
///
/// # Errors
/// [`Violation`] if the entry is about no charge, or its state does not follow from `before`.
pub fn charge_transition(
    amount: Micros,
    before: ChargeState,
    body: &EntryBody,
) -> Result<ChargeState, Violation> {
    let next = body.state().ok_or(Violation("i06: the entry is about no charge"))?;
    let refund = match body {
        EntryBody::ChargeRefunded(refund) => refund.amount,
        _ => Micros::ZERO,
    };
    ensure(refund >= Micros::ZERO, "i05: a refund is negative")?;
    let refunded = before.refunded.checked_add(refund);
    ensure(refunded == Some(next.refunded), "i05: the refunds of a charge do not add up")?;
    ensure(next.refunded <= amount, "i05: a charge gives back more than it took")?;
    let refunds = before.refunds.checked_add(u32::from(refund > Micros::ZERO));
    ensure(refunds == Some(next.refunds), "i05: the number of a charge's refunds is wrong")?;
    ensure(next.refunds <= bounds::REFUNDS_MAX, "i05: a charge has too many refunds")?;
    // Of a free run nothing is refunded, in any status.
    let in_full = next.refunded == amount;
    let is_refunded = next.status == Status::Refunded;
    let matches = if amount == Micros::ZERO { in_full } else { is_refunded == in_full };
    ensure(matches, "i05: the status of a charge does not match its refunds")?;
    let was_pending = before.status == Status::Pending;
    let is_pending = next.status == Status::Pending;
    ensure(was_pending || !is_pending, "i06: a charge became pending again")?;
    ensure(is_pending == next.deadline.is_some(), "i06: the deadline of a charge does not match its status")?;
    Ok(next)
}

/// Checks i11 and i12: a grant that was paid for has the key of its payment, which an account
/// accepts only once. A month of a subscription that runs here is granted once because its months
/// are counted (`payments::subscription_change`): its key is that of a payment, or none.
pub(crate) fn payment_once(body: &EntryBody, key: Option<&IdempotencyKey>) -> Result<(), Violation> {
    let EntryBody::Granted { grant, origin, .. } = body else { return Ok(()) };
    if !grant.source.is_paid_for() {
        return Ok(());
    }
    let origin = origin.as_deref().ok_or(Violation("i12: a grant without its payment"))?;
    if grant.source == Source::Subscription && Cause::of_origin(origin).is_some() {
        let is_payment = key.is_none_or(|key| payment_of_key(grant.source, key).is_some());
        return ensure(is_payment, "i12: a grant of a subscription under another key than a payment's");
    }
    let keyed = key.is_some_and(|key| *key == payment_key(grant.source, origin));
    ensure(keyed, "i11, i12: a payment that could be granted twice")
}

/// Asserts i08: the rollups counted what the account was charged and refunded between two totals.
///
/// # Panics
/// If they did not; then the rollups must not be stored.
pub fn i08_usage_covers(usage: UsageSums, before: Totals, after: Totals) {
    assert!(
        usage.charged == after.charged - before.charged,
        "i08: the usage rollups must count every charge"
    );
    assert!(
        usage.refunded == after.refunded - before.refunded,
        "i08: the usage rollups must count every refund"
    );
}
