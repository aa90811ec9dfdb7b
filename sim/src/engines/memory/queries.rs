//! The queries of the engine in memory: each scans the journal from its beginning.

use std::sync::Arc;

use tollkeeper_engine::{
    BalanceAt, ChargeFilter, ChargeRecord, DuePlace, Follow, Followed, GrantRecord, JournalHead, Listing,
    Page, Query, QueryResult, RefundRecord, Report, ReportTime, WorkspaceRecord,
};
use tollkeeper_ledger::{
    Account, Balance, Charge, ChargeId, EntryBody, Hash, Limits, MemberId, PeriodWindows, Status, Timestamp,
    WorkspaceId,
};

use super::{State, StoredWorkspace};
use crate::model::{usage_report, used_by};

/// One page of a complete list, newest first. A cursor is the number of rows from there to the
/// oldest row, so that new rows do not shift it.
pub(super) fn paged<T>(rows: Vec<T>, page: &Page) -> Listing<T> {
    let from_here = page.cursor.as_deref().and_then(|cursor| cursor.parse().ok());
    let from_here = from_here.map_or(rows.len(), |left: usize| left.min(rows.len()));
    let skipped = rows.len() - from_here;
    let left = from_here.saturating_sub(page.limit);
    Listing {
        data: rows.into_iter().skip(skipped).take(page.limit).collect(),
        next: (left > 0).then(|| left.to_string()),
    }
}

impl StoredWorkspace {
    pub(super) fn balance_at(&self, at: Option<Timestamp>) -> BalanceAt {
        let before = |entry_at: Timestamp| at.is_none_or(|at| entry_at <= at);
        let last = self.entries().rev().find(|entry| before(entry.at));
        BalanceAt {
            balance: last.map_or(Balance::default(), |entry| entry.balance),
            last_entry_at: last.map_or(Timestamp::ZERO, |entry| entry.at),
        }
    }

    pub(super) fn charge_record(&self, id: ChargeId) -> Option<ChargeRecord> {
        let charge = self.charge(id)?;
        let named = |n: u64| self.account.grants.get(n).map(|grant| grant.id);
        let draws = charge.details.draws.iter();
        let draws = draws.map(|draw| (named(draw.grant).expect("a charge draws from grants"), draw.amount));
        let refunds = self.entries().filter_map(|entry| match &entry.body {
            EntryBody::ChargeRefunded(refund) if refund.charge == id => {
                Some(RefundRecord { at: entry.at, refund: refund.as_ref().clone() })
            }
            _ => None,
        });
        let settled = self.entries().rev().find_map(|entry| match &entry.body {
            EntryBody::ChargeSettled(settlement) if settlement.charge == id => settlement.used.as_deref(),
            _ => None,
        });
        let at_once = charge.details.quantity.meters().filter(|_| charge.details.deadline.is_none());
        Some(ChargeRecord {
            draws: draws.collect(),
            refunds: refunds.collect(),
            used: settled.map(|used| &used.quantities).or(at_once).cloned(),
            balance: self.account.balance,
            charge,
        })
    }

    /// The limits, and the day and month around an instant.
    fn limits_at(&self, now: Timestamp) -> (Limits, PeriodWindows) {
        let Account { profile, limits, .. } = &self.account;
        (limits.clone(), tollkeeper_engine::period_windows(&profile.timezone, self.account.present(now)))
    }

    /// The entries behind a number.
    fn entries_after(&self, follow: &Follow) -> Followed {
        let last = self.account.chain.n;
        let end = follow.through(last);
        let looked_at =
            self.journal.iter().filter(|record| (follow.after + 1..=end).contains(&record.entry.n));
        let mut wanted = looked_at.filter(|record| follow.admits(record.entry.body.kind()));
        let data: Vec<_> = wanted.by_ref().take(follow.limit).cloned().collect();
        let through = wanted.next().map_or(end, |next| next.entry.n - 1);
        Followed { data, through, last }
    }

    /// The charges that pass the filter, newest first.
    pub(super) fn charges(&self, filter: &ChargeFilter) -> Vec<Charge> {
        let ids = self.entries().rev().filter_map(|entry| match &entry.body {
            EntryBody::ChargeOpened(details) => Some(details.id),
            _ => None,
        });
        let charges = ids.filter_map(|id| self.charge(id));
        charges.filter(|charge| passes(filter, charge)).collect()
    }

    /// The grants, newest first.
    pub(super) fn grant_records(&self) -> Vec<GrantRecord> {
        let ids = self.entries().rev().filter_map(|entry| match &entry.body {
            EntryBody::Granted { grant, .. } => Some(grant.id),
            _ => None,
        });
        ids.filter_map(|id| self.grant(id)).collect()
    }
}

fn passes(filter: &ChargeFilter, charge: &Charge) -> bool {
    let ChargeFilter { operation, worker, member, status, reference, from, to } = filter;
    let details = &charge.details;
    operation.as_ref().is_none_or(|operation| *operation == details.spender.operation)
        && (worker.is_none() || *worker == details.spender.worker)
        && (member.is_none() || *member == details.spender.member)
        && status.is_none_or(|status| status == charge.state.status)
        && (reference.is_none() || *reference == details.reference)
        && from.is_none_or(|from| charge.created_at >= from)
        && to.is_none_or(|to| charge.created_at < to)
}

impl State {
    /// Answers a query.
    pub(super) fn answer(&self, query: &Query) -> QueryResult {
        match query {
            Query::Workspace { workspace } => QueryResult::Workspace(
                self.open(workspace).map(|stored| stored.account.profile.as_ref().clone()),
            ),
            Query::Workspaces { filter, page } => {
                let ids = self.opened.iter().rev();
                let records = ids.map(|id| WorkspaceRecord::of(&self.stored[id].account));
                let rows = records.filter(|record| filter.admits(record)).collect();
                QueryResult::Workspaces(paged(rows, page))
            }
            Query::Balance { workspace, at } => {
                QueryResult::Balance(self.open(workspace).map(|stored| stored.balance_at(*at)))
            }
            Query::Payments { workspace } => QueryResult::Payments(
                self.open(workspace).map(|stored| stored.account.payments.clone().unwrap_or_default()),
            ),
            Query::Team { workspace } => {
                QueryResult::Team(self.open(workspace).map(|stored| Arc::clone(&stored.account.team)))
            }
            Query::PersonalTexts { workspace, wanted } => {
                let stored = self.open(workspace);
                let text = |(member, digest): &(MemberId, Hash)| {
                    stored.and_then(|stored| stored.text(member, digest)).map(|text| text.text.clone())
                };
                QueryResult::PersonalTexts(wanted.iter().map(text).collect())
            }
            Query::Limits { workspace, now } => {
                QueryResult::Limits(self.open(workspace).map(|stored| stored.limits_at(*now)))
            }
            Query::Alerts { workspace } => {
                QueryResult::Alerts(self.open(workspace).map(|stored| stored.account.alerts.clone()))
            }
            Query::Charge { workspace, charge } => {
                let record = self.open(workspace).and_then(|stored| stored.charge_record(*charge));
                QueryResult::Charge(record.map(Box::new))
            }
            Query::Charges { workspace, filter, page } => {
                QueryResult::Charges(self.open(workspace).map(|stored| paged(stored.charges(filter), page)))
            }
            Query::Grants { workspace, page } => {
                QueryResult::Grants(self.open(workspace).map(|stored| paged(stored.grant_records(), page)))
            }
            Query::Entries { workspace, page } => {
                let newest_first = |stored: &StoredWorkspace| stored.journal.iter().rev().cloned().collect();
                QueryResult::Entries(
                    self.stored.get(workspace).map(|stored| paged(newest_first(stored), page)),
                )
            }
            Query::EntriesAfter { workspace, follow } => {
                QueryResult::EntriesAfter(self.open(workspace).map(|stored| stored.entries_after(follow)))
            }
            Query::CurrentPlatform {} => QueryResult::CurrentPlatform(Arc::clone(&self.platform)),
            Query::JournalHead {} => QueryResult::JournalHead(self.journal_head()),
            Query::Report { time } => QueryResult::Report(Box::new(self.report(*time))),
            Query::UsageReport { workspace, request } => {
                let answer = self.open(workspace).map(|stored| {
                    let used = stored.entries().flat_map(used_by);
                    Box::new(usage_report(&stored.account.profile.timezone, request, used))
                });
                QueryResult::UsageReport(answer)
            }
            Query::Usage { workspace, hours } => {
                let rows = self.open(workspace).map_or(Vec::new(), |stored| stored.usage.rows());
                let wanted = rows.into_iter().filter(|(key, _)| hours.contains(&key.hour));
                QueryResult::Usage(wanted.collect())
            }
        }
    }

    fn journal_head(&self) -> JournalHead {
        let entries = self.stored.values().map(|stored| stored.journal.len() as u64).sum();
        let mut hash = [0; 32];
        for end in self.stored.values().filter_map(|stored| stored.journal.last()) {
            hash.iter_mut().zip(end.hash).for_each(|(sum, byte)| *sum ^= byte);
        }
        JournalHead { epoch: self.platform.epoch, place: entries, hash, entries }
    }

    fn report(&self, time: ReportTime) -> Report {
        let workspaces = self.stored.iter().filter(|(id, _)| !id.is_platform());
        let journals = workspaces.map(|(_, stored)| stored.entries());
        let platform =
            self.stored.get(&WorkspaceId::platform()).into_iter().flat_map(|stored| stored.entries());
        Report::of_journals(time, platform, journals).expect("the journals were just written")
    }

    /// The pending charges whose deadline has passed.
    pub(super) fn due(&self, now: Timestamp) -> Vec<(WorkspaceId, ChargeId)> {
        let all = self.stored.iter().flat_map(|(id, stored)| {
            let pending = ChargeFilter { status: Some(Status::Pending), ..ChargeFilter::default() };
            stored.charges(&pending).into_iter().map(|charge| (id.clone(), charge))
        });
        let late = all.filter(|(_, charge)| charge.state.deadline.is_some_and(|at| at <= now));
        late.map(|(id, charge)| (id, charge.details.id)).collect()
    }

    /// The workspaces with work of payments that is due, in order.
    pub(super) fn due_payments(&self, now: Timestamp) -> Vec<DuePlace> {
        let place = |(id, stored): (&WorkspaceId, &StoredWorkspace)| {
            let payments = stored.account.payments.as_deref()?;
            let due_at = payments.due_at().filter(|_| !payments.due_work(now).is_empty())?;
            Some(DuePlace { due_at, workspace: id.clone() })
        };
        let mut due: Vec<DuePlace> = self.stored.iter().filter_map(place).collect();
        due.sort();
        due
    }
}
