//! The report of an audit, and what all engines recompute alike: the price and the life of a
//! charge.
//!
//! Where the entries come from, and what is compared with them, is in each engine's own `audit`.

use tollkeeper_ledger::{
    Account, ChargeDetails, ChargeId, ChargeState, Entry, Micros, Platform, Totals, WorkspaceId, invariants,
};

/// What an audit found.
#[derive(Clone, Debug, Default)]
pub struct AuditReport {
    /// The number of entries that were read.
    pub entries: u64,
    /// The number of workspaces, without the platform's own chain.
    pub workspaces: u64,
    /// The sum of all available balances, in micro-units.
    pub available: Micros,
    /// The number of names and e-mail addresses of members that are stored.
    pub texts: u64,
    /// The number of those that were erased.
    pub texts_erased: u64,
    /// The totals of all workspaces: granted, charged, refunded, clawed back.
    pub totals: Totals,
    /// The first entry or stored row that disagrees; `None` if everything agrees.
    pub disagreement: Option<AuditDisagreement>,
}

/// The first entry or stored row that disagrees.
#[derive(Clone, Debug)]
pub struct AuditDisagreement {
    /// The workspace whose journal disagrees; `None` for the store as a whole.
    pub workspace: Option<WorkspaceId>,
    /// The number of the entry in that workspace, if a single one disagrees.
    pub entry: Option<u64>,
    /// What is wrong, for people.
    pub what: String,
}

impl AuditReport {
    /// Adds a recomputed workspace.
    pub(crate) fn add(&mut self, account: &Account) {
        self.workspaces += 1;
        // The totals of one workspace are bounded; a sum over all that leaves the range stays at
        // its end, because an audit must not fail for it.
        let add = |sum: &mut Micros, amount| *sum = sum.checked_add(amount).unwrap_or(Micros::new(i64::MAX));
        add(&mut self.available, account.balance.available);
        add(&mut self.totals.granted, account.totals.granted);
        add(&mut self.totals.charged, account.totals.charged);
        add(&mut self.totals.refunded, account.totals.refunded);
        add(&mut self.totals.clawed_back, account.totals.clawed_back);
    }
}

/// Checks that an entry about charge `id` of `amount` follows from the state before it (i05, i06).
pub(crate) fn life_disagrees(
    entry: &Entry,
    (id, amount): (ChargeId, Micros),
    before: ChargeState,
) -> Option<String> {
    let violation = invariants::charge_transition(amount, before, &entry.body).err()?;
    Some(format!("charge {id}: {violation}"))
}

/// What is wrong with the price of a new charge, if anything: it must be in the version of the
/// price book that the charge names, and the amount must be price × quantity.
pub(crate) fn price_disagrees(platform: &Platform, details: &ChargeDetails) -> Option<String> {
    let place = (details.price_version as usize).checked_sub(1);
    let version = place.and_then(|place| platform.price_book.versions().get(place));
    let price = version.and_then(|version| version.find(&details.spender.operation));
    if price.map(|operation| operation.unit_price) != Some(details.unit_price) {
        return Some(format!(
            "charge {}: its price is not in price version {}",
            details.id, details.price_version
        ));
    }
    if details.unit_price.checked_times(details.quantity) != Some(details.amount) {
        return Some(format!("charge {}: its amount is not price × quantity", details.id));
    }
    None
}
