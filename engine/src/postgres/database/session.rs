//! A connection with its prepared statements, and the warnings that the database sends on it.
//!
//! A commit that was acknowledged after a warning about a standby does not count
//! ([`DbSession::is_commit_doubtful`]). A session never commits without a disk sync: it sets
//! `synchronous_commit` itself if the database has it off. Only deliveries commit without (see
//! `delivery::connection`).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryFutureExt;
use futures_util::future::{join_all, poll_fn};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, Connection, Row, Statement};
use tollkeeper_ledger::{ApiKeyId, Id};

use super::config::Address;
use super::failure::{Failure, UNREACHABLE_HINT};
use super::notices::{self, Warnings};
use super::shards::Shards;
use super::sql::{self, Sql};
use super::sql_text;
use crate::Error;

/// The longest wait for an answer before the connection counts as lost. It exceeds
/// `statement_timeout` in [`sql::SETTINGS`], so that the database normally gives up first and says
/// so.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);

/// The parameters of a statement, in the order of `$1`, `$2`, ….
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection with all statements of [`sql::ALL`] prepared.
#[derive(Debug)]
pub(crate) struct DbSession {
    client: Client,
    /// In the order of the variants of [`Sql`].
    statements: Vec<Statement>,
    warnings: Arc<Warnings>,
    abandoned: AtomicBool,
    /// The shards of the tables, if Citus distributes them.
    shards: Shards,
}

impl DbSession {
    /// Connects and prepares all statements. A task on the current runtime drives the connection.
    pub(crate) async fn open(address: &Address) -> Result<DbSession, Failure> {
        let mut address = address.clone();
        let own = address.config.get_options().map_or(String::new(), |own| format!("{own} "));
        address.config.options(format!("{own}{}", sql::SETTINGS));
        let Connected { client, warnings } = connect_and_watch(&address).await?;
        let about = with_timeout(client.query_one(ABOUT, &[])).await??;
        report_durability(column(&about, 1)?, column(&about, 2)?);
        let shards = if column(&about, 0)? { Shards::read(&client).await? } else { Shards::default() };
        let is_distributed = shards.count() > 0;
        if is_distributed {
            with_timeout(client.batch_execute(sql::SETTINGS_OF_NODES)).await??;
        }
        let texts: Vec<String> =
            sql::ALL.iter().map(|(_, text)| sql_text::text_for(text, is_distributed)).collect();
        let prepared = join_all(texts.iter().map(|text| client.prepare(text)));
        let statements: Vec<Statement> =
            with_timeout(prepared).await?.into_iter().collect::<Result<_, _>>()?;
        assert_eq!(statements.len(), sql::ALL.len(), "every statement is prepared once, in order");
        Ok(DbSession { client, statements, warnings, abandoned: AtomicBool::new(false), shards })
    }

    /// True if Citus distributes the tables. Rows may then be on several nodes, and one statement
    /// cannot lock rows of more than one node.
    pub(crate) fn is_distributed(&self) -> bool {
        self.shards.count() > 0
    }

    /// The shards of the tables.
    pub(crate) fn shards(&self) -> &Shards {
        &self.shards
    }

    /// Forgets the warnings so far: they concern the database as a whole, or earlier transactions.
    pub(crate) fn forget_warnings(&self) {
        self.warnings.clear();
    }

    /// True if the connection is closed or was abandoned.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed() || self.abandoned.load(Ordering::Relaxed)
    }

    /// Marks the connection as unusable: a request was not answered in time, although the
    /// connection is open.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// True if the database warned that a commit of this connection may be on one disk only, since
    /// warnings were last forgotten.
    pub(crate) fn is_commit_doubtful(&self) -> bool {
        self.warnings.make_commit_doubtful(self.is_distributed())
    }

    /// Runs a statement and returns its rows. The statement is sent when the future is first
    /// polled. Several futures are thus pipelined: their statements are sent in the order in which
    /// they are polled, without waiting for one another.
    pub(crate) async fn query(&self, sql: Sql, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        Ok(self.client.query(&self.statements[sql as usize], params).await?)
    }

    /// Like [`DbSession::query`], with the timeout [`ANSWER_TIMEOUT`].
    pub(crate) async fn query_with_timeout(&self, sql: Sql, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        with_timeout(self.query(sql, params)).await?
    }

    /// Runs a statement that is not one of [`sql::ALL`].
    pub(crate) async fn query_text(&self, text: &str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        Ok(self.client.query(&sql_text::text_for(text, self.is_distributed()), params).await?)
    }

    /// Runs a statement that must change `count` rows.
    pub(crate) async fn execute_for(
        &self,
        sql: Sql,
        params: Params<'_>,
        count: usize,
    ) -> Result<(), Failure> {
        let changed = self.client.execute(&self.statements[sql as usize], params).await?;
        match changed == count as u64 {
            true => Ok(()),
            false => Err(Error::bug(format!("{sql:?} has changed {changed} rows of {count}")).into()),
        }
    }

    /// Runs a statement that returns no rows.
    pub(crate) async fn execute(&self, sql: Sql, params: Params<'_>) -> Result<(), Failure> {
        self.client.execute(&self.statements[sql as usize], params).await?;
        Ok(())
    }

    /// Runs SQL text without parameters, for example BEGIN and COMMIT.
    pub(crate) async fn batch_execute(&self, text: &str) -> Result<(), Failure> {
        Ok(self.client.batch_execute(text).await?)
    }
}

/// Asks whether the database has Citus, and how it commits. Pins the way in which the session
/// commits: never without a disk sync, and never only on the primary if it has a standby. A later
/// change of the server's configuration does not reach the session.
const ABOUT: &str = "SELECT to_regclass('pg_dist_shard') IS NOT NULL,
    current_setting('synchronous_commit'), current_setting('fsync'),
    set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
        THEN 'on' ELSE current_setting('synchronous_commit') END, false)";

/// Logs settings of the database under which acknowledged commits could be lost.
fn report_durability(synchronous_commit: &str, fsync: &str) {
    if matches!(synchronous_commit, "off" | "local") {
        let text = format!("synchronous_commit is {synchronous_commit}; this server commits with `on`");
        notices::log_once(&text, "synchronous_commit");
    }
    if fsync == "off" {
        let text = "fsync is off: if the machine of the database crashes, acknowledged charges are lost";
        notices::log_once(text, "fsync");
    }
}

/// A client whose connection is driven by a task on the current runtime.
struct Connected {
    client: Client,
    /// Filled while the connection is driven.
    warnings: Arc<Warnings>,
}

/// Connects to the first host of the address that accepts. A task on the current runtime drives the
/// connection.
pub(crate) async fn connect(address: &Address) -> Result<Client, Failure> {
    Ok(connect_and_watch(address).await?.client)
}

/// Begins a transaction in which all reads see one snapshot. It may take hours, so the time limits
/// of the role do not apply to it.
pub(crate) async fn begin_snapshot(client: &Client) -> Result<(), Failure> {
    let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}", sql::WITHOUT_TIME_LIMITS);
    Ok(client.batch_execute(&begin).await?)
}

async fn connect_and_watch(address: &Address) -> Result<Connected, Failure> {
    let mut failure = Failure::ResultUnknown(Error::unavailable("the address contains no host"));
    for (host, timeout) in address.hosts() {
        match tokio::time::timeout(timeout, host.connect(address.tls.clone())).await {
            Ok(Ok((client, connection))) => return Ok(Connected { client, warnings: drive(connection) }),
            Ok(Err(error)) => failure = error.into(),
            Err(_) => {
                let error =
                    Error::unavailable("a host of the database accepts connections but does not answer");
                failure = Failure::ResultUnknown(error.with_hint(UNREACHABLE_HINT));
            }
        }
    }
    Err(failure)
}

/// Drives a connection in a task. Returns the warnings that the database will have sent on it.
fn drive<S, T>(mut connection: Connection<S, T>) -> Arc<Warnings>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let warnings = Arc::new(Warnings::default());
    let recorded = Arc::clone(&warnings);
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message {
                recorded.record(&notice);
            }
        }
    });
    warnings
}

/// Waits for a future for at most [`ANSWER_TIMEOUT`]. After a timeout the connection counts as
/// lost.
///
/// Not an `async fn`: its future would contain `future` twice, as the argument and as what it
/// awaits. The futures of queries and batches are several kilobytes long.
pub(crate) fn with_timeout<T>(future: impl Future<Output = T>) -> impl Future<Output = Result<T, Failure>> {
    let timed_out = |_| {
        Failure::ResultUnknown(Error::unavailable("the database does not answer").with_hint(UNREACHABLE_HINT))
    };
    tokio::time::timeout(ANSWER_TIMEOUT, future).map_err(timed_out)
}

/// Reads a column of a row, counted from 0.
///
/// # Errors
/// [`Error::is_damaged`] if there is no such column or it has another type.
pub(crate) fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, Error> {
    row.try_get(index)
        .map_err(|error| Error::damaged(format!("a row of the database cannot be read: {error}")))
}

/// The index of the array element that a row belongs to, from its column 0 (`WITH ORDINALITY`,
/// which counts from 1).
pub(crate) fn row_position(row: &Row, length: usize) -> Result<usize, Error> {
    let position: i64 = column(row, 0)?;
    let index = usize::try_from(position - 1).ok().filter(|index| *index < length);
    index
        .ok_or_else(|| Error::damaged(format!("the database gave a row for position {position} of {length}")))
}

/// The 16 bytes of a column of type `uuid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The column `usage.api_key`. It is part of the primary key and cannot be NULL, so all zeros
    /// mean none.
    pub(crate) fn of_api_key(key: Option<ApiKeyId>) -> Uuid {
        Uuid(key.map_or([0; 16], |key| key.0.to_bytes()))
    }

    /// The inverse of [`Uuid::of_api_key`].
    pub(crate) fn api_key(self) -> Option<ApiKeyId> {
        (self.0 != [0; 16]).then(|| ApiKeyId(Id::from_bytes(self.0)))
    }
}

impl ToSql for Uuid {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut tokio_postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::UUID
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Uuid {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Uuid, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Uuid(raw.try_into()?))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::UUID
    }
}
