//! The tables of an audit, each read by a cursor in the order of the workspaces, all in one
//! snapshot.

use std::collections::VecDeque;

use tokio_postgres::{Client, Row};
use tollkeeper_ledger::WorkspaceId;

use crate::Error;
use crate::audit::{AuditDisagreement, DisagreementKind};
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{begin_snapshot, column};

/// How many rows one FETCH reads.
const FETCH_ROWS: usize = 2_000;

/// The same of rows that may be large.
const FETCH_LARGE_ROWS: usize = 100;

/// Why the audit stops before its end.
pub(super) enum Stop {
    Disagreement(AuditDisagreement),
    Failure(Failure),
    /// The temporary file of the audit failed.
    Scratch(Error),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

impl From<tokio_postgres::Error> for Stop {
    fn from(error: tokio_postgres::Error) -> Stop {
        Stop::Failure(error.into())
    }
}

/// A row that cannot be decoded is a disagreement: of the journal, unless the caller says more
/// ([`Stop::of`]).
impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        let (kind, what) = (DisagreementKind::Journal, error.to_string());
        Stop::Disagreement(AuditDisagreement { kind, workspace: None, entry: None, what })
    }
}

impl Stop {
    /// The same disagreement, of this kind. `workspace`: the one whose rows were read.
    pub(super) fn of(self, kind: DisagreementKind, workspace: &WorkspaceId) -> Stop {
        match self {
            Stop::Disagreement(found) => Stop::Disagreement(AuditDisagreement {
                kind,
                workspace: found.workspace.or_else(|| Some(workspace.clone())),
                ..found
            }),
            Stop::Failure(_) | Stop::Scratch(_) => self,
        }
    }
}

/// A table read by a cursor. Column 0 is the workspace.
pub(super) struct Table<'a> {
    client: &'a Client,
    fetch: String,
    rows: VecDeque<Row>,
    is_at_end: bool,
}

impl<'a> Table<'a> {
    async fn open(
        client: &'a Client,
        (name, fetched): (&str, usize),
        columns: &str,
        order: &str,
    ) -> Result<Table<'a>, Failure> {
        let declare = format!(
            "DECLARE audit_{name} NO SCROLL CURSOR FOR SELECT {columns} FROM {name} ORDER BY {order}"
        );
        client.batch_execute(&declare).await?;
        let fetch = format!("FETCH FORWARD {fetched} FROM audit_{name}");
        Ok(Table { client, fetch, rows: VecDeque::new(), is_at_end: false })
    }

    /// The workspace of the next row.
    async fn next_workspace(&mut self) -> Result<Option<&str>, Stop> {
        if self.rows.is_empty() && !self.is_at_end {
            self.rows = self.client.query(&self.fetch, &[]).await?.into();
            self.is_at_end = self.rows.is_empty();
        }
        Ok(self.rows.front().map(|row| column(row, 0)).transpose()?)
    }

    /// The next row, if it belongs to `workspace`; it stays the next one.
    pub(super) async fn peek_of(&mut self, workspace: &str) -> Result<Option<&Row>, Stop> {
        let belongs = self.next_workspace().await? == Some(workspace);
        Ok(self.rows.front().filter(|_| belongs))
    }

    /// The next row, if it belongs to `workspace`.
    pub(super) async fn next_of(&mut self, workspace: &str) -> Result<Option<Row>, Stop> {
        let belongs = self.next_workspace().await? == Some(workspace);
        Ok(if belongs { self.rows.pop_front() } else { None })
    }
}

/// All tables with a workspace column.
pub(super) struct Tables<'a> {
    pub entries: Table<'a>,
    pub accounts: Table<'a>,
    pub teams: Table<'a>,
    pub payments: Table<'a>,
    pub usage: Table<'a>,
    pub closed_until: Table<'a>,
    pub closed_days: Table<'a>,
    pub grant_rows: Table<'a>,
    pub pending: Table<'a>,
    pub foreign_ids: Table<'a>,
    pub texts: Table<'a>,
    pub search: Table<'a>,
    pub search_words: Table<'a>,
}

impl<'a> Tables<'a> {
    /// Begins the transaction of the audit and opens a cursor for each table.
    pub(super) async fn open(client: &'a Client) -> Result<Tables<'a>, Failure> {
        begin_snapshot(client).await?;
        let usage = "workspace, hour, operation, worker, member, api_key, runs, quantity, charged, refunded, \
                     minute, until";
        let closed_until = "workspace, timezone, since, until, last";
        let search = "workspace, created_at, name, suspended, debt, used_day";
        let table = |name, columns, order| Table::open(client, (name, FETCH_ROWS), columns, order);
        let of_large = |name, columns, order| Table::open(client, (name, FETCH_LARGE_ROWS), columns, order);
        Ok(Tables {
            entries: table("entry", "workspace, n, key, opened, data", "workspace, n").await?,
            accounts: of_large("account", "workspace, n, created_at, data, usage", "workspace").await?,
            teams: of_large("team", "workspace, data", "workspace").await?,
            payments: of_large("payments", "workspace, data, due_at", "workspace").await?,
            usage: table("usage", usage, "workspace").await?,
            closed_until: table("closed_until", closed_until, "workspace").await?,
            closed_days: of_large("closed_day", "workspace, day, part, data", "workspace, day, part").await?,
            grant_rows: table("lot", "workspace, n, data", "workspace, n").await?,
            pending: table("pending", "workspace, n, charge, deadline", "workspace").await?,
            foreign_ids: table("moved", "workspace, id, n", "workspace, n").await?,
            texts: table("personal", "workspace, member, digest, n, salt, text", "workspace").await?,
            search: table("search", search, "workspace").await?,
            search_words: table("search_word", "workspace, word, created_at", "workspace, word").await?,
        })
    }

    /// The smallest workspace id among the next rows of all tables.
    pub(super) async fn first_workspace(&mut self) -> Result<Option<String>, Stop> {
        let mut first: Option<String> = None;
        for table in [
            &mut self.entries,
            &mut self.accounts,
            &mut self.teams,
            &mut self.payments,
            &mut self.usage,
            &mut self.closed_until,
            &mut self.closed_days,
            &mut self.grant_rows,
            &mut self.pending,
            &mut self.foreign_ids,
            &mut self.texts,
            &mut self.search,
            &mut self.search_words,
        ] {
            if let Some(name) = table.next_workspace().await?
                && first.as_deref().is_none_or(|first| name < first)
            {
                first = Some(name.to_owned());
            }
        }
        Ok(first)
    }
}
