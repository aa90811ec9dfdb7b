//! Queries of the PostgreSQL engine: one match from a [`Query`] to the function that answers it.
//!
//! ```text
//! point      a workspace, a balance, a team, one charge, due charges
//! lists      entries, charges, grants and usage
//! follow     the entries behind a number, and what other servers have committed
//! workspaces lists and searches of workspaces
//! usage_report  the use of a workspace, added up by the database
//! report     a report of all workspaces, on a thread and a connection of its own
//! readers    the connections for queries, apart from those of the lanes
//! ```

pub(crate) mod follow;
pub(crate) mod lists;
pub(crate) mod point;
pub(crate) mod readers;
pub(crate) mod report;
mod usage_report;
mod workspaces;

use super::database::failure::Failure;
use super::database::session::DbSession;
use super::shared::SharedState;
use crate::{Error, Query, QueryResult, calendar};

/// Answers a query on one connection.
pub(crate) async fn answer(
    session: &DbSession,
    query: &Query,
    shared: &SharedState,
) -> Result<QueryResult, Failure> {
    Ok(match query {
        Query::Workspace { workspace } => {
            let account = point::account(session, workspace).await?;
            QueryResult::Workspace(account.map(|account| *account.profile))
        }
        Query::Workspaces { filter, page } => {
            QueryResult::Workspaces(workspaces::list(session, &shared.repairs, filter, page).await?)
        }
        Query::Balance { workspace, at } => {
            QueryResult::Balance(point::balance(session, workspace, *at).await?)
        }
        Query::Payments { workspace } => QueryResult::Payments(point::payments(session, workspace).await?),
        Query::Team { workspace } => {
            QueryResult::Team(point::team(session, workspace, &shared.teams_seen).await?)
        }
        Query::PersonalTexts { workspace, wanted } => {
            QueryResult::PersonalTexts(point::personal_texts(session, workspace, wanted).await?)
        }
        Query::Limits { workspace, now } => {
            let account = point::account(session, workspace).await?;
            QueryResult::Limits(account.map(|account| calendar::limits(&account, *now)))
        }
        Query::Alerts { workspace } => {
            let account = point::account(session, workspace).await?;
            QueryResult::Alerts(account.map(|account| account.alerts))
        }
        Query::Charge { workspace, charge } => {
            QueryResult::Charge(point::charge(session, workspace, *charge).await?.map(Box::new))
        }
        Query::Charges { workspace, filter, page } => {
            QueryResult::Charges(lists::charges(session, workspace, filter, page).await?)
        }
        Query::Grants { workspace, page } => {
            QueryResult::Grants(lists::grants(session, workspace, page).await?)
        }
        Query::Entries { workspace, page } => {
            QueryResult::Entries(lists::entries(session, workspace, page).await?)
        }
        Query::EntriesAfter { workspace, follow } => {
            QueryResult::EntriesAfter(follow::entries_after(session, workspace, follow).await?)
        }
        Query::CurrentPlatform {} => {
            shared.platform.refresh(session).await?;
            QueryResult::CurrentPlatform(shared.platform.snapshot().platform)
        }
        Query::JournalHead {} => {
            QueryResult::JournalHead(point::journal_head(session, &shared.platform).await?)
        }
        Query::Report { .. } => {
            return Err(Error::bug("a report is read on a connection of its own").into());
        }
        Query::UsageReport { workspace, request } => {
            let answer = usage_report::usage_report(session, workspace, request).await?;
            QueryResult::UsageReport(answer.map(Box::new))
        }
        Query::Usage { workspace, hours } => {
            QueryResult::Usage(lists::usage(session, workspace, hours.clone()).await?)
        }
    })
}
