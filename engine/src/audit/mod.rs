//! The report of an audit, and what all engines recompute alike: workspaces, prices, the life of a
//! charge, and what the rules of today say about each entry.
//!
//! Where the entries come from, and what is compared with them, is in each engine's own `audit`.
//!
//! Guarantee: the memory of an audit does not grow with the number of entries. What can be many is
//! a checksum ([`Sketcher`]) or lies in a temporary file ([`Scratch`]).

mod closed_days;
mod platform_history;
mod recomputed;
pub(crate) mod rules;
mod scratch;
mod sketch;

pub(crate) use closed_days::ClosedDaysAudit;
pub(crate) use platform_history::PlatformHistory;
pub(crate) use recomputed::{GrantRows, Recomputed};
pub(crate) use scratch::{ChargeLife, Scratch};
pub(crate) use sketch::{Sketch, Sketcher};

use tollkeeper_ledger::{
    Account, ChargeDetails, ChargeId, ChargeState, Entry, Micros, Platform, Totals, WorkspaceId, invariants,
};

/// How much memory an audit uses for the accounts and charges that it recomputes, unless the caller
/// sets less.
const MEMORY_BYTES: usize = 256 << 20;

/// How many findings of the rules a report lists. All are counted.
const FINDINGS_LISTED: usize = 100;

/// What an audit does besides what it always does.
#[derive(Clone, Copy, Debug)]
pub struct AuditOptions {
    /// Decide each entry again by the rules of this program.
    pub rules: bool,
    /// About how much memory the accounts and charges use that are recomputed together. A smaller
    /// number takes more time.
    pub memory_bytes: usize,
}

impl Default for AuditOptions {
    fn default() -> AuditOptions {
        AuditOptions { rules: false, memory_bytes: MEMORY_BYTES }
    }
}

/// What the rules of this program would decide otherwise than the journal says. None of it is a
/// disagreement: an entry stands as it was decided.
#[derive(Clone, Debug, Default)]
pub struct RuleFindings {
    /// The number of all findings.
    pub count: u64,
    /// The first of them.
    pub first: Vec<AuditDisagreement>,
}

impl RuleFindings {
    /// Counts a finding, and lists it if it is one of the first.
    pub(crate) fn add(&mut self, workspace: &WorkspaceId, entry: u64, what: String) {
        self.count += 1;
        if self.first.len() < FINDINGS_LISTED {
            let (workspace, entry) = (Some(workspace.clone()), Some(entry));
            self.first.push(AuditDisagreement { kind: DisagreementKind::Rules, workspace, entry, what });
        }
    }
}

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
    /// What the rules of today would decide otherwise; `None` if the audit did not ask.
    pub rules: Option<RuleFindings>,
}

/// What of the store disagrees, which decides what mends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisagreementKind {
    /// The entries themselves: one is lost, damaged, or does not follow from those before it.
    Journal,
    /// What is derived from the entries. It can be built again.
    Derived,
    /// A text about a person. No entry has it.
    Text,
    /// An import was not finished.
    Import,
    /// A finding of the rules. What is stored agrees.
    Rules,
}

impl DisagreementKind {
    /// The name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            DisagreementKind::Journal => "journal",
            DisagreementKind::Derived => "derived",
            DisagreementKind::Text => "text",
            DisagreementKind::Import => "import",
            DisagreementKind::Rules => "rules",
        }
    }
}

/// The first entry or stored row that disagrees.
#[derive(Clone, Debug)]
pub struct AuditDisagreement {
    /// What disagrees.
    pub kind: DisagreementKind,
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
    if price.map(|operation| &operation.price) != Some(&details.price) {
        return Some(format!(
            "charge {}: its price is not in price version {}",
            details.id, details.price_version
        ));
    }
    if details.price.amount(&details.quantity) != Some(details.amount) {
        return Some(format!("charge {}: its amount is not price × quantity", details.id));
    }
    None
}
