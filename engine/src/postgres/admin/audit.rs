//! The audit: recomputes every number from the entries and says the first line that disagrees.
//!
//! It reads all tables side by side, in the order of the workspaces, and replays each workspace from nothing: numbers,
//! links of the hash chain, balances, grants, prices, the life of every charge. Then it compares what is kept beside the
//! entries (the account, its team, usage, lots, pending charges, keys and places of ids) with what was recomputed. One look
//! at one moment of the database, so it is safe beside running servers.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio_postgres::{Client, Row};
use tollkeeper_ledger::{
    Account, ChargeId, ChargeState, Entry, EntryBody, Grant, GrantId, Id, Micros, Platform, Status, Usage,
    UsageKey, Used, WorkspaceId,
};

use crate::audit::{AuditDisagreement, AuditReport, life_disagrees, price_disagrees};
use crate::postgres::batch::current_hour::{OpenHour, usage_key};
use crate::postgres::batch::prefetch::{decoded, decoded_account, decoded_grant};
use crate::postgres::batch::state_machine::digest;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::schema;
use crate::postgres::database::session::{Uuid, column, connect};
use crate::postgres::ids::{fingerprint, number_in};
use crate::{Error, answer, rollups};

/// Rows that are fetched at once.
const FETCHED: usize = 2_000;

/// Recomputes everything from the entries; safe beside running servers. Waits on this thread, which must not be one of a
/// runtime.
///
/// # Errors
/// When the database cannot be read at all (a disagreement is not an error).
pub fn audit(url: &str) -> Result<AuditReport, Error> {
    let config = crate::postgres::database::config::parse(url)?;
    crate::postgres::block_on(async {
        let (client, _) = connect(&config).await.map_err(Failure::into_error)?;
        schema::known(&client).await.map_err(Failure::into_error)?;
        let mut auditor = Auditor::begin(&client).await.map_err(Failure::into_error)?;
        match auditor.run().await {
            Ok(()) => {}
            Err(Stop::Disagreement(found)) => auditor.report.disagreement = Some(found),
            Err(Stop::Failure(failure)) => return Err(failure.into_error()),
        }
        Ok(auditor.report)
    })
}

/// Why the audit ends before its end.
enum Stop {
    Disagreement(AuditDisagreement),
    Failure(Failure),
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

/// What cannot be read is what disagrees.
impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Disagreement(AuditDisagreement { workspace: None, entry: None, what: error.to_string() })
    }
}

/// A table, read in the order of the workspaces.
struct Table<'a> {
    client: &'a Client,
    fetch: String,
    rows: VecDeque<Row>,
    over: bool,
}

impl<'a> Table<'a> {
    async fn open(client: &'a Client, name: &str, columns: &str, order: &str) -> Result<Table<'a>, Failure> {
        let declare = format!(
            "DECLARE audit_{name} NO SCROLL CURSOR FOR SELECT {columns} FROM {name} ORDER BY {order}"
        );
        client.batch_execute(&declare).await?;
        let fetch = format!("FETCH FORWARD {FETCHED} FROM audit_{name}");
        Ok(Table { client, fetch, rows: VecDeque::new(), over: false })
    }

    /// The workspace of the next row.
    async fn next_workspace(&mut self) -> Result<Option<&str>, Stop> {
        if self.rows.is_empty() && !self.over {
            self.rows = self.client.query(&self.fetch, &[]).await?.into();
            self.over = self.rows.is_empty();
        }
        Ok(self.rows.front().map(|row| column(row, 0)).transpose()?)
    }

    /// The next row, if it is one of this workspace.
    async fn next_of(&mut self, workspace: &str) -> Result<Option<Row>, Stop> {
        let is = self.next_workspace().await? == Some(workspace);
        Ok(if is { self.rows.pop_front() } else { None })
    }
}

struct Auditor<'a> {
    client: &'a Client,
    entries: Table<'a>,
    accounts: Table<'a>,
    teams: Table<'a>,
    usage: Table<'a>,
    lots: Table<'a>,
    pending: Table<'a>,
    moved: Table<'a>,
    platform: Platform,
    report: AuditReport,
}

/// A charge that is pending or was touched since it was opened.
struct Life {
    id: ChargeId,
    amount: Micros,
    state: ChargeState,
}

/// A workspace as it is recomputed.
struct Book {
    name: String,
    account: Account,
    usage: Usage,
    /// By the number of the opening.
    lives: HashMap<u64, Life>,
    /// Ids that are found in the table `moved`.
    moved: HashMap<Id, u64>,
}

impl Book {
    fn disagrees(&self, entry: Option<u64>, what: impl Into<String>) -> Stop {
        let workspace = match self.name == WorkspaceId::platform().as_str() {
            true => Some(WorkspaceId::platform()),
            false => WorkspaceId::new(self.name.as_str()).ok(),
        };
        Stop::Disagreement(AuditDisagreement { workspace, entry, what: what.into() })
    }

    /// An entry without its bytes' meaning: where it stands, its key, what it points at.
    fn check_columns(&self, row: &Row, entry: &Entry) -> Result<(), Stop> {
        let n: i64 = column(row, 1)?;
        if entry.n as i64 != n {
            return Err(self.disagrees(Some(n as u64), "it is kept under another number"));
        }
        if column::<Option<Uuid>>(row, 2)? != entry.key.as_ref().map(fingerprint) {
            return Err(self.disagrees(Some(entry.n), "it is not found under its key"));
        }
        let opened = entry.body.charge().and_then(|(_, opened)| opened);
        if column::<Option<i64>>(row, 3)? != opened.map(|opened| opened as i64) {
            return Err(self.disagrees(Some(entry.n), "it points at another charge"));
        }
        let id = match &entry.body {
            EntryBody::ChargeOpened(details) => details.id.0,
            EntryBody::Granted { grant, .. } => grant.id.0,
            _ => return Ok(()),
        };
        if number_in(id) != n && self.moved.get(&id) != Some(&entry.n) {
            return Err(self.disagrees(Some(entry.n), "it is not found by the id it made"));
        }
        Ok(())
    }
}

impl<'a> Auditor<'a> {
    async fn begin(client: &'a Client) -> Result<Auditor<'a>, Failure> {
        client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let table = |name, columns, order| Table::open(client, name, columns, order);
        Ok(Auditor {
            client,
            entries: table("entry", "workspace, n, key, opened, data", "workspace, n").await?,
            accounts: table("account", "workspace, n, created_at, data, usage", "workspace").await?,
            teams: table("team", "workspace, data", "workspace").await?,
            usage: table(
                "usage",
                "workspace, hour, operation, worker, member, api_key, runs, quantity, charged, refunded",
                "workspace",
            )
            .await?,
            lots: table("lot", "workspace, n, data", "workspace, n").await?,
            pending: table("pending", "workspace, n, charge, deadline", "workspace").await?,
            moved: table("moved", "workspace, id, n", "workspace").await?,
            platform: Platform::default(),
            report: AuditReport::default(),
        })
    }

    async fn run(&mut self) -> Result<(), Stop> {
        let mut platforms = 0;
        // The platform's own chain comes first: its name sorts before all others.
        while let Some(name) = self.next_name().await? {
            let account = self.workspace(&name).await?;
            if name == WorkspaceId::platform().as_str() {
                platforms = account.chain.n;
            } else {
                self.report.add(&account);
            }
        }
        let row = self.client.query_one("SELECT n FROM platform", &[]).await?;
        if column::<i64>(&row, 0)? as u64 != platforms {
            return Err(Error::damaged("the platform's number differs from its journal").into());
        }
        self.double_keys().await
    }

    /// The first workspace that any table speaks of.
    async fn next_name(&mut self) -> Result<Option<String>, Stop> {
        let mut first: Option<String> = None;
        for table in [
            &mut self.entries,
            &mut self.accounts,
            &mut self.teams,
            &mut self.usage,
            &mut self.lots,
            &mut self.pending,
            &mut self.moved,
        ] {
            if let Some(name) = table.next_workspace().await?
                && first.as_deref().is_none_or(|first| name < first)
            {
                first = Some(name.to_owned());
            }
        }
        Ok(first)
    }

    /// Recomputes a workspace and compares what is kept of it.
    async fn workspace(&mut self, name: &str) -> Result<Account, Stop> {
        let mut moved = HashMap::new();
        while let Some(row) = self.moved.next_of(name).await? {
            moved.insert(Id::from_bytes(column::<Uuid>(&row, 1)?.0), column::<i64>(&row, 2)? as u64);
        }
        let id = match name == WorkspaceId::platform().as_str() {
            true => WorkspaceId::platform(),
            false => WorkspaceId::new(name).map_err(|_| Error::damaged("a workspace of no name"))?,
        };
        let account = Account::new(id);
        let mut book =
            Book { name: name.to_owned(), account, usage: Usage::default(), lives: HashMap::new(), moved };
        while let Some(row) = self.entries.next_of(name).await? {
            self.line(&mut book, &row).await?;
        }
        self.compare(&mut book).await?;
        Ok(book.account)
    }

    /// Checks one entry.
    async fn line(&mut self, book: &mut Book, row: &Row) -> Result<(), Stop> {
        let n: i64 = column(row, 1)?;
        let bytes: &[u8] = column(row, 4)?;
        let entry = decoded(bytes).map_err(|error| book.disagrees(Some(n as u64), error.to_string()))?;
        book.check_columns(row, &entry)?;
        let named =
            matches!(&entry.body, EntryBody::WorkspaceCreated(profile) if profile.id.as_str() == book.name);
        if n == 1 && !named && book.name != WorkspaceId::platform().as_str() {
            return Err(book.disagrees(Some(1), "the workspace was never created"));
        }
        self.check_charge(book, &entry).await?;
        let replayed = book.account.replay(&entry, digest(bytes));
        replayed.map_err(|wrong| book.disagrees(Some(entry.n), wrong.to_string()))?;
        book.usage.record(&entry);
        if book.name == WorkspaceId::platform().as_str() {
            self.platform.apply(&entry);
        }
        self.report.entries += 1;
        Ok(())
    }

    /// Checks the price of a charge at birth, and that every later entry follows from what stood.
    async fn check_charge(&self, book: &mut Book, entry: &Entry) -> Result<(), Stop> {
        let (Some((id, opened)), Some(next)) = (entry.body.charge(), entry.body.state()) else {
            return Ok(());
        };
        if let EntryBody::ChargeOpened(details) = &entry.body {
            if let Some(what) = price_disagrees(&self.platform, details) {
                return Err(book.disagrees(Some(entry.n), what));
            }
            if details.deadline.is_some() {
                let life = Life { id, amount: details.amount, state: next };
                book.lives.insert(entry.n, life);
            }
            return Ok(());
        }
        let opened = opened.unwrap_or_default();
        if !book.lives.contains_key(&opened) {
            let life = self.opening(book, opened).await?;
            book.lives.extend(life.map(|life| (opened, life)));
        }
        let known = book.lives.get_mut(&opened).filter(|life| life.id == id);
        let Some(life) = known else {
            return Err(book.disagrees(Some(entry.n), format!("charge {id} was never opened")));
        };
        let before = std::mem::replace(&mut life.state, next);
        match life_disagrees(entry, (id, life.amount), before, next) {
            None => Ok(()),
            Some(what) => Err(book.disagrees(Some(entry.n), what)),
        }
    }

    /// A charge that was settled at birth, as it was opened.
    async fn opening(&self, book: &Book, opened: u64) -> Result<Option<Life>, Stop> {
        let sql = "SELECT data FROM entry WHERE workspace = $1 AND n = $2";
        let row = self.client.query_opt(sql, &[&book.name, &(opened as i64)]).await?;
        let entry = row.map(|row| decoded(column(&row, 0)?)).transpose()?;
        let charge = entry.and_then(answer::charge_of);
        Ok(charge.map(|charge| Life {
            id: charge.details.id,
            amount: charge.details.amount,
            state: charge.state,
        }))
    }

    /// Compares what is kept beside the entries with what was recomputed from them.
    async fn compare(&mut self, book: &mut Book) -> Result<(), Stop> {
        let n = book.account.chain.n;
        let all_grants: BTreeMap<u64, Grant> =
            book.account.grants.iter().map(|grant| (grant.n, grant.clone())).collect();
        book.account.grants.release_spent();
        let mut usage = self.kept_usage(book).await?;
        let Some(row) = self.accounts.next_of(&book.name).await? else {
            return Err(book.disagrees(None, "the account is missing"));
        };
        let team = self.teams.next_of(&book.name).await?;
        let team = team.as_ref().map(|row| column(row, 1)).transpose()?;
        let unreadable = |error: Error| book.disagrees(Some(n), error.to_string());
        let kept = decoded_account(column(&row, 3)?, team).map_err(unreadable)?;
        if kept.team != book.account.team {
            return Err(book.disagrees(Some(n), "the kept team differs from the journal"));
        }
        let columns = (column::<i64>(&row, 1)?, column::<i64>(&row, 2)?);
        let recomputed = (n as i64, book.account.profile.created_at.millis());
        if kept != book.account || columns != recomputed {
            return Err(book.disagrees(Some(n), "the kept state of the account differs from the journal"));
        }
        usage.extend(OpenHour::decode(column(&row, 4)?)?.rows().iter().cloned());
        if rollups::folded(usage) != rollups::folded(book.usage.take()) {
            return Err(book.disagrees(Some(n), "i08: the kept usage differs from the sum of the entries"));
        }
        self.compare_lots(book, all_grants).await?;
        self.compare_pending(book).await
    }

    async fn kept_usage(&mut self, book: &Book) -> Result<Vec<(UsageKey, Used)>, Stop> {
        let mut rows = Vec::new();
        while let Some(row) = self.usage.next_of(&book.name).await? {
            let names = [column(&row, 2)?, column(&row, 3)?, column(&row, 4)?];
            let key = usage_key(column(&row, 1)?, names, column::<Uuid>(&row, 5)?.api_key());
            let key = key.ok_or_else(|| book.disagrees(None, "a row of usage is counted under no name"))?;
            let (charged, refunded) = (Micros::new(column(&row, 8)?), Micros::new(column(&row, 9)?));
            rows.push((key, Used { runs: column(&row, 6)?, quantity: column(&row, 7)?, charged, refunded }));
        }
        Ok(rows)
    }

    /// Every grant has its row: with what remains once it is spent, as it came before.
    async fn compare_lots(&mut self, book: &Book, mut grants: BTreeMap<u64, Grant>) -> Result<(), Stop> {
        while let Some(row) = self.lots.next_of(&book.name).await? {
            let lot = decoded_grant(column(&row, 2)?)?;
            let n = column::<i64>(&row, 1)? as u64;
            let same = grants.remove(&n).is_some_and(|grant| {
                let remaining = if grant.remaining == Micros::ZERO { Micros::ZERO } else { lot.remaining };
                lot == Grant { remaining, ..grant }
            });
            if !same {
                return Err(
                    book.disagrees(Some(n), format!("the kept grant {} differs from the journal", lot.id))
                );
            }
        }
        match grants.into_values().next() {
            None => Ok(()),
            Some(Grant { id: GrantId(id), n, .. }) => {
                Err(book.disagrees(Some(n), format!("grant {} is not kept", GrantId(id))))
            }
        }
    }

    /// What awaits an outcome is what is pending.
    async fn compare_pending(&mut self, book: &Book) -> Result<(), Stop> {
        let mut kept = BTreeMap::new();
        while let Some(row) = self.pending.next_of(&book.name).await? {
            let charge = ChargeId(Id::from_bytes(column::<Uuid>(&row, 2)?.0));
            kept.insert(column::<i64>(&row, 1)? as u64, (charge, column::<i64>(&row, 3)?));
        }
        let open = book.lives.iter().filter(|(_, life)| life.state.status == Status::Pending);
        let deadline = |life: &Life| life.state.deadline.map_or(0, |deadline| deadline.millis());
        let open: BTreeMap<u64, (ChargeId, i64)> =
            open.map(|(n, life)| (*n, (life.id, deadline(life)))).collect();
        let differs = open.iter().find(|(n, charge)| kept.get(*n) != Some(*charge));
        let differs = differs.or_else(|| kept.iter().find(|(n, _)| !open.contains_key(*n)));
        match differs {
            None => Ok(()),
            Some((n, (charge, _))) => {
                Err(book
                    .disagrees(Some(*n), format!("charge {charge}: what is kept of its deadline differs")))
            }
        }
    }

    /// A key must stand once.
    async fn double_keys(&self) -> Result<(), Stop> {
        let sql = "SELECT workspace, max(n) FROM entry WHERE key IS NOT NULL
                   GROUP BY workspace, key HAVING count(*) > 1 ORDER BY 1, 2 LIMIT 1";
        let Some(row) = self.client.query_opt(sql, &[]).await? else { return Ok(()) };
        let workspace = WorkspaceId::new(column::<&str>(&row, 0)?).ok();
        let entry = Some(column::<i64>(&row, 1)? as u64);
        let what = "i07: its idempotency key stands twice".to_owned();
        Err(Stop::Disagreement(AuditDisagreement { workspace, entry, what }))
    }
}
