//! What every audit finds and how it is told, and what all of them recompute alike: the price and the life of a charge.
//! Where the lines come from and what is kept beside them is each engine's own.

use tollkeeper_ledger::{
    Account, ChargeDetails, ChargeId, ChargeState, Entry, Micros, Platform, Totals, WorkspaceId, invariants,
};

/// What an audit found.
#[derive(Clone, Debug, Default)]
pub struct AuditReport {
    /// Entries read.
    pub entries: u64,
    /// Workspaces (the platform's own chain not counted).
    pub workspaces: u64,
    /// The sum of all available balances, in micro-units.
    pub available: Micros,
    /// Granted, charged, refunded, clawed back over all workspaces.
    pub totals: Totals,
    /// The first line that disagrees; `None` if all is well.
    pub disagreement: Option<AuditDisagreement>,
}

/// The first line that disagrees.
#[derive(Clone, Debug)]
pub struct AuditDisagreement {
    /// In whose journal; `None` for the store as a whole.
    pub workspace: Option<WorkspaceId>,
    /// The number of the entry in that workspace, if one is at fault.
    pub entry: Option<u64>,
    /// What is wrong, for people.
    pub what: String,
}

impl AuditReport {
    /// Adds a workspace as it was recomputed.
    pub(crate) fn add(&mut self, account: &Account) {
        self.workspaces += 1;
        self.available += account.balance.available;
        self.totals.granted += account.totals.granted;
        self.totals.charged += account.totals.charged;
        self.totals.refunded += account.totals.refunded;
        self.totals.clawed_back += account.totals.clawed_back;
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

/// Whether a charge was priced by the version of the price book that it names.
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
