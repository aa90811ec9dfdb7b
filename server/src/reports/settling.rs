//! When a charge was settled, or its outcome was reported. A charge does not carry that time; it is
//! the time of an entry, which is searched in the journal from the opening of the charge on.
//!
//! The search is bounded: if very much happened between both, the time is not known here.

use tollkeeper_engine::{EntryRecord, Follow, Page, Reads};
use tollkeeper_ledger::{Charge, EntryBody, Kind, Outcome, Timestamp, WorkspaceId, bounds};

use crate::http::call::{Call, existing};
use crate::http::problem::Problem;

/// How often entries are asked for. One answer looks at some thousand entries.
const ASKS_MAX: usize = 8;

/// The most settlements of one answer.
const FOUND_MAX: usize = 2_048;

/// The entry that settled a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settling {
    /// The time of the entry.
    pub at: Timestamp,
    /// The outcome that was reported.
    pub outcome: Option<Outcome>,
    /// What happened, for people.
    pub detail: Option<Box<str>>,
}

/// The entry that settled a charge; `None` if the search ends before it.
///
/// # Errors
/// There is no such workspace, or the engine cannot read.
pub async fn find(
    call: &Call,
    workspace: &WorkspaceId,
    charge: &Charge,
) -> Result<Option<Settling>, Problem> {
    let mut after = before(call, workspace, charge.created_at).await?;
    for _ in 0..ASKS_MAX {
        let follow = Follow { after, kinds: Some(vec![Kind::ChargeSettled]), limit: FOUND_MAX };
        let followed = existing(workspace, call.app.engine().entries_after(workspace, follow).await?)?;
        let found = followed.data.iter().find_map(|record| match &record.entry.body {
            EntryBody::ChargeSettled(settlement) if settlement.charge == charge.details.id => {
                Some(Settling {
                    at: record.entry.at,
                    outcome: settlement.state.outcome,
                    detail: settlement.detail.clone(),
                })
            }
            _ => None,
        });
        if found.is_some() || followed.through <= after || followed.through >= followed.last {
            return Ok(found);
        }
        after = followed.through;
    }
    Ok(None)
}

/// The number of an entry behind which everything of this time is. Entries are in the order of
/// their times, but for the deviation of clocks.
async fn before(call: &Call, workspace: &WorkspaceId, at: Timestamp) -> Result<u64, Problem> {
    let begin = Timestamp::from_millis(at.millis().saturating_sub(2 * bounds::CLOCK_DEVIATION_MAX_MILLIS));
    let newest = Page { limit: 1, cursor: None };
    let listing = existing(workspace, call.app.engine().entries(workspace, newest).await?)?;
    let (mut low, mut high) = (0, listing.data.first().map_or(0, |record| record.entry.n));
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        let follow = Follow { after: middle - 1, kinds: None, limit: 1 };
        let one = existing(workspace, call.app.engine().entries_after(workspace, follow).await?)?;
        let is_earlier = |record: &EntryRecord| record.entry.at < begin;
        if one.data.first().is_some_and(is_earlier) { low = middle } else { high = middle }
    }
    Ok(low)
}
