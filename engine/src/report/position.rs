//! The numbers of all workspaces at one instant. A report is two of them.
//!
//! All are totals since the beginning, so what happened in a month is the difference of two
//! positions, and the position at the end of a month is that at the beginning of the next.

use std::collections::BTreeMap;

use tollkeeper_ledger::{LedgerAccount, Source, UnmatchedPayment};

use super::facts::{Facts, GrantFacts, PaymentFacts, Provider};
use super::month::Month;
use super::movement::{ACCOUNTS, Movement};

/// The grants of one source and provider: their credit in micro-units, the money in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The number of grants.
    pub grants: i128,
    /// The credit that was granted.
    pub granted: i128,
    /// The credit that pending charges hold.
    pub pending: i128,
    /// The credit that was consumed, less what was refunded.
    pub consumed: i128,
    /// The part of it for which nothing was paid.
    pub consumed_free: i128,
    /// The credit that was taken back: by claw-backs, as repaid debt, and when a grant was voided.
    pub taken: i128,
    /// What was paid, without tax, also for months to come.
    pub sold_cents: i128,
    /// The part of it that is for months to come and is not lost.
    pub not_granted_cents: i128,
    /// The tax that was paid besides; it belongs to no other number.
    pub tax_cents: i128,
    /// What is lost of what was sold: by refunds to the payer and by disputes.
    pub lost_cents: i128,
    /// The part of it that was refunded to the payer.
    pub refunded_cents: i128,
    /// What is earned: of each grant, paid × consumed ÷ granted, rounded down.
    pub recognised_cents: i128,
}

impl Line {
    fn add_grant(&mut self, grant: &GrantFacts) {
        self.add(&Line {
            grants: 1,
            granted: grant.amount.get().into(),
            pending: grant.pending.get().into(),
            consumed: grant.consumed.get().into(),
            consumed_free: if grant.paid_cents == 0 { grant.consumed.get().into() } else { 0 },
            taken: grant.taken.get().into(),
            sold_cents: grant.paid_cents.into(),
            tax_cents: grant.tax_cents.into(),
            lost_cents: grant.lost_cents.into(),
            recognised_cents: grant.recognised_cents().into(),
            ..Line::default()
        });
    }

    fn add_payment(&mut self, payment: &PaymentFacts) {
        let (to_come, lost) = (payment.to_come_cents, payment.to_come_lost_cents);
        self.add(&Line {
            sold_cents: to_come.into(),
            not_granted_cents: (to_come - lost).into(),
            lost_cents: lost.into(),
            refunded_cents: payment.refunded_cents.into(),
            ..Line::default()
        });
    }

    /// Adds another line.
    pub fn add(&mut self, other: &Line) {
        self.each(other, |one, other| *one += other);
    }

    /// What was added since `earlier`.
    #[must_use]
    pub fn since(mut self, earlier: &Line) -> Line {
        self.each(earlier, |one, other| *one -= other);
        self
    }

    fn each(&mut self, other: &Line, change: impl Fn(&mut i128, i128)) {
        let Line {
            grants,
            granted,
            pending,
            consumed,
            consumed_free,
            taken,
            sold_cents,
            not_granted_cents,
            tax_cents,
            lost_cents,
            refunded_cents,
            recognised_cents,
        } = self;
        let pairs = [
            (grants, other.grants),
            (granted, other.granted),
            (pending, other.pending),
            (consumed, other.consumed),
            (consumed_free, other.consumed_free),
            (taken, other.taken),
            (sold_cents, other.sold_cents),
            (not_granted_cents, other.not_granted_cents),
            (tax_cents, other.tax_cents),
            (lost_cents, other.lost_cents),
            (refunded_cents, other.refunded_cents),
            (recognised_cents, other.recognised_cents),
        ];
        for (one, other) in pairs {
            change(one, other);
        }
    }

    /// The credit that is unspent.
    #[must_use]
    pub fn remaining(&self) -> i128 {
        self.granted - self.pending - self.consumed - self.taken
    }

    /// What of what is lost is disputed.
    #[must_use]
    pub fn disputed_cents(&self) -> i128 {
        self.lost_cents - self.refunded_cents
    }

    /// What was paid and is neither earned nor lost, also for months to come. It is below zero
    /// where payments were lost whose credit was consumed.
    #[must_use]
    pub fn deferred_cents(&self) -> i128 {
        self.sold_cents - self.lost_cents - self.recognised_cents
    }
}

/// Debt in micro-units, since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debt {
    /// What was owed because a payment was lost whose credit was spent.
    pub arisen: i128,
    /// What later credit repaid.
    pub repaid: i128,
    /// What was forgiven because the money came back.
    pub forgiven: i128,
}

impl Debt {
    /// What is owed.
    #[must_use]
    pub fn owed(&self) -> i128 {
        self.arisen - self.repaid - self.forgiven
    }
}

/// The paid grants with unspent credit of one month, in workspaces that were last used in one
/// month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aged {
    /// The number of grants.
    pub grants: u64,
    /// Their unspent credit, in micro-units.
    pub remaining: i128,
    /// What was paid for them and is neither earned nor lost.
    pub deferred_cents: i128,
}

/// Money of one currency that came in and fits nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unmatched {
    /// The number of payments.
    pub payments: u64,
    /// What came in, in hundredths of the currency.
    pub cents: i128,
}

/// The numbers of all workspaces at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The number of workspaces with an entry.
    pub workspaces: u64,
    /// What moved, in the order of [`ACCOUNTS`].
    pub movements: [Movement; 5],
    /// The grants.
    pub lines: BTreeMap<(Source, Provider), Line>,
    /// The debt.
    pub debt: Debt,
    /// The money that came in and fits nothing, by the code of its currency.
    pub unmatched: BTreeMap<Box<str>, Unmatched>,
    /// The age of what is unspent: by the month in which it was bought, and the month in which its
    /// workspace was charged last.
    pub ageing: BTreeMap<(Month, Option<Month>), Aged>,
}

impl Position {
    /// Adds a workspace.
    pub(super) fn add(&mut self, facts: &Facts) {
        self.workspaces += 1;
        for (sum, moved) in self.movements.iter_mut().zip(&facts.moved) {
            sum.inward += i128::from(moved.inward.get());
            sum.outward += i128::from(moved.outward.get());
        }
        self.debt.arisen += i128::from(facts.debt.arisen.get());
        self.debt.repaid += i128::from(facts.debt.repaid.get());
        self.debt.forgiven += i128::from(facts.debt.forgiven.get());
        for payment in facts.payments() {
            self.lines.entry((payment.source, payment.provider)).or_default().add_payment(&payment);
        }
        let last_used = facts.last_used_at.map(Month::containing);
        for grant in &facts.grants {
            self.lines.entry((grant.source, grant.provider)).or_default().add_grant(grant);
            let remaining = i128::from(grant.remaining().get());
            if grant.paid_cents > 0 && remaining > 0 {
                let aged = self.ageing.entry((grant.bought, last_used)).or_default();
                aged.grants += 1;
                aged.remaining += remaining;
                aged.deferred_cents += i128::from(grant.deferred_cents());
            }
        }
    }

    /// Adds a payment that fits nothing.
    pub(super) fn add_unmatched(&mut self, payment: &UnmatchedPayment) {
        let of_currency = self.unmatched.entry(payment.currency.clone()).or_default();
        of_currency.payments += 1;
        of_currency.cents += i128::from(payment.cents);
    }

    /// The sum of all lines.
    #[must_use]
    pub fn total(&self) -> Line {
        let mut total = Line::default();
        self.lines.values().for_each(|line| total.add(line));
        total
    }

    /// Asserts that the numbers agree with one another.
    ///
    /// # Panics
    /// If credit appeared or vanished between the accounts and the grants: a bug.
    pub(super) fn assert_ties(&self) {
        let total = self.total();
        let balance = |account| Movement::get(&self.movements, account).balance();
        let sum: i128 = ACCOUNTS.iter().map(|account| balance(*account)).sum();
        assert!(sum == 0, "i01: a trial balance sums to zero");
        assert!(balance(LedgerAccount::Funding) == -total.granted, "i10: what came in was granted");
        assert!(balance(LedgerAccount::Available) == total.remaining(), "i04: what is available remains");
        assert!(balance(LedgerAccount::Pending) == total.pending, "i10: what is pending was drawn");
        assert!(balance(LedgerAccount::Consumed) == total.consumed, "i10: what is consumed was drawn");
        assert!(balance(LedgerAccount::ClawedBack) == total.taken, "i10: what is taken was drawn");
        assert!(total.disputed_cents() >= 0, "i13: no more is refunded than is lost");
        assert!(total.not_granted_cents >= 0, "i15: what is paid and not granted is not negative");
        assert!(self.debt.owed() >= 0, "i04: debt is not negative");
    }
}
