//! The sums of an account: what it has now ([`Balance`]) and what has moved since it was created
//! ([`Totals`]).

use crate::Micros;

/// What a workspace has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What can be spent; the sum of what remains in the grants, never negative (i04).
    pub available: Micros,
    /// What was deducted for charges that are pending.
    pub pending: Micros,
    /// What is owed after lost payments; while it is above zero no charge is accepted.
    pub debt: Micros,
}

/// What has moved since the workspace was created; i10 ties the sums to the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The sum of the amounts of all grants.
    pub granted: Micros,
    /// Deducted by charges.
    pub charged: Micros,
    /// Refunded from charges.
    pub refunded: Micros,
    /// Taken back from grants, less what was given back after a won dispute. Counts claw-backs,
    /// repaid debt and voided grants.
    pub clawed_back: Micros,
}
