//! What a charge drew from grants, and what its refunds returned to them.
//!
//! A draw names its grant by the number of an entry; here it gets the id that people and programs
//! see. A charge may draw from a thousand grants, so numbers are looked up and not searched.

use std::collections::BTreeMap;

use tollkeeper_engine::ChargeRecord;
use tollkeeper_ledger::{Draw, GrantId, Micros};

/// The ids of the grants that a charge drew from, by the number that its draws and refunds have.
#[derive(Debug)]
pub struct GrantIds(BTreeMap<u64, GrantId>);

/// A grant that a charge drew from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawnPart {
    /// The id of the grant.
    pub grant: GrantId,
    /// What was drawn when the charge was opened.
    pub drawn: Micros,
    /// What refunds returned of it.
    pub returned: Micros,
}

impl GrantIds {
    /// The grants of a charge.
    pub fn of(record: &ChargeRecord) -> GrantIds {
        let numbers = record.charge.details.draws.iter().map(|draw| draw.grant);
        GrantIds(numbers.zip(record.draws.iter().map(|(grant, _)| *grant)).collect())
    }

    /// The id of the grant that a draw names.
    pub fn find(&self, draw: &Draw) -> Option<GrantId> {
        self.0.get(&draw.grant).copied()
    }
}

/// The grants that a charge drew from, in the order in which they were drawn.
pub fn drawn_parts(record: &ChargeRecord, grants: &GrantIds) -> Vec<DrawnPart> {
    let mut returned: BTreeMap<u64, Micros> = BTreeMap::new();
    for back in record.refunds.iter().flat_map(|refund| &refund.refund.returns) {
        *returned.entry(back.grant).or_default() += back.amount;
    }
    let part = |draw: &Draw| {
        let returned = returned.get(&draw.grant).copied().unwrap_or_default();
        Some(DrawnPart { grant: grants.find(draw)?, drawn: draw.amount, returned })
    };
    record.charge.details.draws.iter().filter_map(part).collect()
}
