//! What moved between the ledger accounts, for a trial balance.

use tollkeeper_ledger::LedgerAccount;

/// The ledger accounts, in the order of a trial balance.
pub const ACCOUNTS: [LedgerAccount; 5] = [
    LedgerAccount::Funding,
    LedgerAccount::Available,
    LedgerAccount::Pending,
    LedgerAccount::Consumed,
    LedgerAccount::ClawedBack,
];

/// What came into an account and left it, in micro-units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Movement {
    /// What came in.
    pub inward: i128,
    /// What left.
    pub outward: i128,
}

impl Movement {
    /// What is in the account.
    #[must_use]
    pub fn balance(&self) -> i128 {
        self.inward - self.outward
    }

    /// The movement of an account.
    #[must_use]
    pub fn get(all: &[Movement; 5], account: LedgerAccount) -> Movement {
        all[place_of(account)]
    }
}

/// The place of an account in [`ACCOUNTS`].
pub(super) fn place_of(account: LedgerAccount) -> usize {
    let place = ACCOUNTS.iter().position(|other| *other == account);
    place.expect("every account is in the trial balance")
}
