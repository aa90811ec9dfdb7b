//! A connection with its prepared statements, and what the database says besides its answers.
//!
//! When a commit waits for a synchronous standby and the wait is cut short, PostgreSQL answers with success and a
//! *warning*: it is on the primary's disk alone, and a failover would lose it. So warnings are watched, and what was
//! acknowledged under one is not taken as committed ([`Session::was_warned`]).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{join_all, poll_fn};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::error::Severity;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, Connection, Row, Statement};
use tollkeeper_ledger::{ApiKeyId, Id};

use super::config::Address;
use super::failure::{Failure, REACH};
use super::sql::{self, Sql};
use crate::Error;

/// The longest that anything may take before the connection counts as lost; the database gives up before.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(12);

/// The parameters of a statement.
pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    statements: Vec<Statement>,
    warned: Arc<AtomicBool>,
    given_up: AtomicBool,
    distributed: bool,
}

impl Session {
    /// Connects, follows the connection on the runtime that this runs on, and prepares all statements.
    pub(crate) async fn open(address: &Address) -> Result<Session, Failure> {
        let mut address = address.clone();
        let own = address.config.get_options().map_or(String::new(), |own| format!("{own} "));
        address.config.options(format!("{own}{}", sql::SETTINGS));
        let (client, warned) = connect(&address).await?;
        let prepared = join_all(sql::ALL.iter().map(|(_, text)| client.prepare(text)));
        let statements = within(prepared).await?.into_iter().collect::<Result<_, _>>()?;
        // What was said at the beginning is about the database as a whole.
        warned.store(false, Ordering::Relaxed);
        let catalog = "SELECT to_regclass('pg_dist_partition') IS NOT NULL";
        let distributed = column(&within(client.query_one(catalog, &[])).await??, 0)?;
        Ok(Session { client, statements, warned, given_up: AtomicBool::new(false), distributed })
    }

    /// Whether the tables may lie on several nodes, where rows of more than one cannot be locked by one statement.
    pub(crate) fn is_distributed(&self) -> bool {
        self.distributed
    }

    /// Whether the connection is gone, or as good as gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed() || self.given_up.load(Ordering::Relaxed)
    }

    /// Takes the connection for gone: what was asked was not answered in time, although nobody has closed it.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Whether the database warned of something since the connection was made.
    pub(crate) fn was_warned(&self) -> bool {
        self.warned.load(Ordering::Relaxed)
    }

    /// Runs a statement of rows. Sent when first polled, so several are sent in the order in which they are polled.
    pub(crate) async fn query(&self, sql: Sql, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        Ok(self.client.query(&self.statements[sql as usize], params).await?)
    }

    /// Runs a statement of rows on its own, and does not wait for ever.
    pub(crate) async fn ask(&self, sql: Sql, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        within(self.query(sql, params)).await?
    }

    /// Runs a statement for its effect.
    pub(crate) async fn execute(&self, sql: Sql, params: Params<'_>) -> Result<(), Failure> {
        self.client.execute(&self.statements[sql as usize], params).await?;
        Ok(())
    }

    /// Runs plain text: the bounds of a transaction.
    pub(crate) async fn say(&self, text: &str) -> Result<(), Failure> {
        Ok(self.client.batch_execute(text).await?)
    }
}

/// Connects to the first host that will do, and follows the connection on the runtime that this runs on.
pub(crate) async fn connect(address: &Address) -> Result<(Client, Arc<AtomicBool>), Failure> {
    let mut failure = Failure::Lost(Error::unavailable("the address names no host"));
    for (host, within) in address.hosts() {
        match tokio::time::timeout(within, host.connect(address.tls.clone())).await {
            Ok(Ok((client, connection))) => return Ok((client, follow(connection))),
            Ok(Err(error)) => failure = error.into(),
            Err(_) => {
                failure =
                    Failure::Lost(Error::unavailable("a host of the database keeps silent").with_hint(REACH))
            }
        }
    }
    Err(failure)
}

/// Follows a connection; gives whether the database warned of something.
fn follow<S, T>(mut connection: Connection<S, T>) -> Arc<AtomicBool>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let warned = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&warned);
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message
                && notice.parsed_severity() == Some(Severity::Warning)
            {
                flag.store(true, Ordering::Relaxed);
            }
        }
    });
    warned
}

/// Waits, but not for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let late = |_| Failure::Lost(Error::unavailable("the database does not answer").with_hint(REACH));
    tokio::time::timeout(ANSWER_WITHIN, future).await.map_err(late)
}

/// A column of a row.
pub(crate) fn column<'a, T: FromSql<'a>>(row: &'a Row, place: usize) -> Result<T, Error> {
    row.try_get(place)
        .map_err(|error| Error::damaged(format!("a row of the database cannot be read: {error}")))
}

/// Sixteen bytes as the database keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Uuid(pub [u8; 16]);

impl Uuid {
    /// An API key as a column of the primary key, which cannot be empty: all zeros stand for none.
    pub(crate) fn of_api_key(key: Option<ApiKeyId>) -> Uuid {
        Uuid(key.map_or([0; 16], |key| key.0.to_bytes()))
    }

    /// See [`Uuid::of_api_key`].
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
