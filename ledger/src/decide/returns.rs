//! Decides what becomes at once of credit that goes back to its grants, by a refund, a time-out or
//! a loss that became smaller.
//!
//! In this order: what goes back to a voided grant is taken; what is left repays debt; what is then
//! left of a disputed grant replaces what its claw-backs took from other grants. So no credit is
//! available while debt is owed (i04), a voided grant holds nothing, and a claw-back takes exactly
//! the lost part of its payment, from the disputed grant if it can (i13). Each is an entry of its
//! own, right after the one that gave the credit back.

use crate::journal::disagreement::assert_no_violation;
use crate::journal::entry::sum;
use crate::{Account, ClawBack, ClawBacks, Draw, EntryBody, Micros};

/// The entries, each that gives credit back followed by what becomes of it at once.
pub(super) fn with_consequences(account: Option<&Account>, bodies: Vec<EntryBody>) -> Vec<EntryBody> {
    let Some(account) = account else { return bodies };
    let mut all = Vec::with_capacity(bodies.len());
    for body in bodies {
        let consequences = match &body {
            EntryBody::ChargeRefunded(refund) => consequences_of_refund(account, &refund.returns),
            EntryBody::ClawBackReduced { lost, forgiven, returns } => {
                let mut claw_backs = account.claw_backs.clone();
                assert_no_violation(claw_backs.reduce(lost.grant, *forgiven + sum(returns)));
                consequences(account, returns, claw_backs)
            }
            _ => Vec::new(),
        };
        all.push(body);
        all.extend(consequences);
    }
    all
}

/// What becomes of the returns of a refund. Nearly always nothing, which costs no copy.
fn consequences_of_refund(account: &Account, returns: &[Draw]) -> Vec<EntryBody> {
    let voided = assert_no_violation(account.grants.returned_to_voided(returns));
    if voided.is_empty() && account.claw_backs.is_empty() {
        return Vec::new();
    }
    consequences(account, returns, account.claw_backs.clone())
}

/// What becomes of these returns. `claw_backs`: as they are after the entry that gives the credit
/// back.
fn consequences(account: &Account, returns: &[Draw], mut claw_backs: ClawBacks) -> Vec<EntryBody> {
    let voided = assert_no_violation(account.grants.returned_to_voided(returns));
    let mut bodies = Vec::new();
    for draw in returns.iter().filter(|draw| !voided.contains(draw)) {
        let repaid = Draw { amount: claw_backs.owed().min(draw.amount), ..*draw };
        if repaid.amount > Micros::ZERO {
            assert_no_violation(claw_backs.repay(repaid));
            bodies.push(EntryBody::DebtRepaid { draw: repaid });
        }
        let left = Draw { amount: draw.amount - repaid.amount, ..*draw };
        assert!(
            left.amount == Micros::ZERO || claw_backs.owed() == Micros::ZERO,
            "i04: credit must repay all debt before any of it is left"
        );
        bodies.extend(exchanges(account, &mut claw_backs, left));
    }
    if !voided.is_empty() {
        bodies.insert(0, EntryBody::ReturnTaken { draws: voided });
    }
    bodies
}

/// The exchanges of what is left of one return, for the claw-backs of its grant, oldest first.
fn exchanges(account: &Account, claw_backs: &mut ClawBacks, mut left: Draw) -> Vec<EntryBody> {
    let grant = account.grants.get(left.grant).expect("the grants that credit returns to are in the view");
    let mut bodies = Vec::new();
    for claw_back in claw_backs.clone().of_grant(grant.id) {
        let returns = exchangeable(account, claw_backs, claw_back, left);
        let draw = Draw { amount: sum(&returns), ..left };
        assert!(draw.amount <= left.amount, "i13: an exchange must not take more than came back");
        if draw.amount > Micros::ZERO {
            let dispute = claw_back.dispute.clone();
            assert_no_violation(claw_backs.exchange(&dispute, draw, &returns));
            bodies.push(EntryBody::ClawBackExchanged { dispute, draw, returns });
            left.amount -= draw.amount;
        }
    }
    bodies
}

/// What a claw-back took from other grants and gives back for `left`, what was taken last first. A
/// voided or disputed grant gets nothing back: its credit is not available.
fn exchangeable(account: &Account, claw_backs: &ClawBacks, claw_back: &ClawBack, left: Draw) -> Vec<Draw> {
    let mut missing = left.amount;
    let mut returns = Vec::new();
    for taken in claw_back.taken.iter().rev().filter(|taken| taken.grant != left.grant) {
        let grant = account.grants.get(taken.grant);
        let grant = grant.expect("the grants that a claw-back drew from are in the view");
        let is_free = grant.voided_at.is_none() && claw_backs.of_grant(grant.id).next().is_none();
        let amount = taken.amount.min(missing);
        if is_free && amount > Micros::ZERO {
            returns.push(Draw { grant: taken.grant, amount });
            missing -= amount;
        }
    }
    assert!(sum(&returns) + missing == left.amount, "i13: an exchange must give back just what it takes");
    returns
}
