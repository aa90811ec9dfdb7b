//! Deliveries of the PostgreSQL engine: what is owed to a subscriber is a row for each workspace.
//!
//! ```text
//! batch            adds one row to `unsent` with its entries, if somebody follows some of them
//! distribute       takes rows of `unsent` and gives each subscriber a row of `owed` a workspace
//! take_turn        one server serves a subscriber, until it has not asked again for some time
//! portion          reads the entries that are owed, for the server that has the turn
//! note             moves the place; removes what is sent
//! ```
//!
//! A number of the whole database would not be in the order of commits. The numbers of a workspace
//! are, so places are numbers of workspaces. No transaction is open while a message is sent.
//!
//! The sender of e-mail is a subscriber once it was served for the first time, which makes its row.
//!
//! Guarantee: an endpoint that is committed before a batch is given the entries of the batch. Every
//! batch checks the number of the platform's last entry, and a distribution checks it after it has
//! taken the rows. So neither works with an older list of endpoints than the rows were written
//! with. An endpoint may also be given entries of the second before it was created.

pub(crate) mod connection;
mod statements;

use std::collections::BTreeMap;
use std::sync::Arc;

use tollkeeper_ledger::{Platform, Timestamp, WorkspaceId};

use self::connection::transaction;
use super::Postgres;
use super::database::decode::decode_entry;
use super::database::failure::Failure;
use super::database::session::{DbSession, column};
use super::database::sql::Sql;
use super::shared::SharedState;
use crate::hash::digest;
use crate::{
    BoxFuture, Deliveries, DeliveryNotes, DeliveryPortion, EntryRecord, Error, FollowedEntry, JournalPlace,
    Subscriber, SubscriberState,
};

/// How many rows of batches are distributed in one transaction.
const DISTRIBUTED_AT_ONCE: i64 = 1_000;

/// How long a turn lasts after it was last taken: longer than the slowest answer of a receiver.
const TURN_SECONDS: i64 = 60;

/// From how many workspaces a portion has entries.
const WORKSPACES_MAX: i64 = 256;

/// How many entries one portion looks at, of all its workspaces and at least of each.
const LOOKS_MAX: usize = 2_048;
const LOOKS_MIN: usize = 8;

/// The byte of an entry that is the code of its kind.
const KIND_BYTE: usize = 1;

impl Deliveries for Postgres {
    fn prepare(&self) -> BoxFuture<'_, Result<(), Error>> {
        // The tables are there since the migration.
        Box::pin(std::future::ready(Ok(())))
    }

    fn distribute(&self) -> BoxFuture<'_, Result<(), Error>> {
        let shared = Arc::clone(&self.shared);
        self.on_reader_thread(async move {
            while distribute(&shared).await? {}
            Ok(())
        })
    }

    fn take_turn(
        &self,
        subscriber: Subscriber,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SubscriberState>, Error>> {
        let (name, holder) = (subscriber.name(), self.shared.deliveries.holder);
        self.read(move |session: Arc<DbSession>| {
            let name = name.clone();
            async move {
                let rows = session.query_text(statements::HAS_WORK, &[&name]).await?;
                if let Some(row) = rows.first() {
                    let state = state_of(&name, column(row, 0)?)?;
                    let is_due = state.waiting().any(|waiting| waiting.next_at.is_some_and(|at| at <= now));
                    if !column::<bool>(row, 1)? && !is_due {
                        // Nothing is to be done, so no turn is written down.
                        return Ok(Some(state));
                    }
                }
                let until = now.plus_seconds(TURN_SECONDS).millis();
                let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                    [&name, &holder, &now.millis(), &until];
                let rows = session.query_text(statements::TAKE_TURN, &params).await?;
                Ok(rows.first().map(|row| state_of(&name, column(row, 0)?)).transpose()?)
            }
        })
    }

    fn portion(&self, subscriber: Subscriber, most: usize) -> BoxFuture<'_, Result<DeliveryPortion, Error>> {
        let holder = self.shared.deliveries.holder;
        self.read(move |session: Arc<DbSession>| {
            let subscriber = subscriber.clone();
            async move { portion(&session, (&subscriber, holder), most.max(1)).await }
        })
    }

    fn note(
        &self,
        subscriber: Subscriber,
        notes: DeliveryNotes,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<SubscriberState, Error>> {
        let shared = Arc::clone(&self.shared);
        self.on_reader_thread(async move {
            let until = if notes.ends_turn { 0 } else { now.plus_seconds(TURN_SECONDS).millis() };
            let turn = (shared.deliveries.holder, until);
            transaction(&shared, |session| note(session, subscriber.name(), notes, turn)).await
        })
    }

    fn state(&self, subscriber: Subscriber) -> BoxFuture<'_, Result<SubscriberState, Error>> {
        let name = subscriber.name();
        self.read(move |session: Arc<DbSession>| {
            let name = name.clone();
            async move {
                let rows = session.query_text(statements::STATE, &[&name]).await?;
                let state = rows.first().map(|row| state_of(&name, column(row, 0)?)).transpose()?;
                Ok(state.unwrap_or_default())
            }
        })
    }

    fn entry_at(&self, place: JournalPlace) -> BoxFuture<'_, Result<Option<FollowedEntry>, Error>> {
        self.read(move |session: Arc<DbSession>| {
            let place = place.clone();
            async move {
                let numbers = vec![place.n as i64];
                let rows =
                    session.query(Sql::EntriesByNumber, &[&place.workspace.as_str(), &numbers]).await?;
                let Some(row) = rows.first() else { return Ok(None) };
                let bytes: &[u8] = column(row, 0)?;
                let record = EntryRecord { entry: decode_entry(bytes)?, hash: digest(bytes) };
                Ok((record.hash == place.hash).then_some(FollowedEntry { place, record }))
            }
        })
    }

    fn committed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.shared.deliveries.committed.notified())
    }
}

/// What is kept of a subscriber. Bytes that cannot be read are as good as none.
fn state_of(name: &str, bytes: &[u8]) -> Result<SubscriberState, Error> {
    if bytes.is_empty() {
        return Ok(SubscriberState::default());
    }
    Ok(SubscriberState::decode(bytes).unwrap_or_else(|| {
        tracing::error!(subscriber = name, "what failed of a subscriber cannot be read");
        SubscriberState::default()
    }))
}

/// Distributes some workspaces; returns true if there may be more.
async fn distribute(shared: &SharedState) -> Result<bool, Failure> {
    let snapshot = shared.platform.snapshot();
    let mut retained_for = shared.deliveries.retained_for.lock().await;
    let retains = *retained_for != Some(snapshot.n);
    let platform = Arc::clone(&snapshot.platform);
    let distributed = transaction(shared, |session| async move {
        let rows = session.query_text(statements::UNSENT, &[&DISTRIBUTED_AT_ONCE]).await?;
        let mut names: Vec<&str> = rows.iter().map(|row| column(row, 0)).collect::<Result<_, _>>()?;
        names.sort_unstable();
        names.dedup();
        let taken = match names.is_empty() {
            true => Vec::new(),
            false => session.query_text(statements::TAKE_UNSENT, &[&names]).await?,
        };
        if taken.is_empty() && !retains {
            return Ok(false);
        }
        let rows = session.query_text(statements::PLATFORM_NUMBER, &[]).await?;
        let number: i64 = rows.first().map_or(Ok(0), |row| column(row, 0))?;
        if number as u64 != snapshot.n {
            // The rows may be of an endpoint that this server does not know yet.
            return Err(Failure::Conflict);
        }
        let mail_follows = !session.query_text(statements::EXISTS, &[&Subscriber::MAIL]).await?.is_empty();
        let owed = Owed::of(&platform, mail_follows, &taken)?;
        if !owed.workspace.is_empty() {
            let Owed { workspace, subscriber, after_n, n } = &owed;
            session.query_text(statements::ADD_OWED, &[workspace, subscriber, after_n, n]).await?;
        }
        if retains {
            let names = Subscriber::names(&platform);
            for statement in statements::RETAIN {
                session.query_text(statement, &[&names]).await?;
            }
        }
        Ok(rows.len() as i64 == DISTRIBUTED_AT_ONCE)
    });
    match distributed.await {
        Ok(more) => {
            *retained_for = Some(snapshot.n);
            Ok(more)
        }
        // The snapshot is refreshed every second, and the next call goes on.
        Err(Failure::Conflict) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Rows of the table `owed`.
#[derive(Debug, Default)]
struct Owed {
    workspace: Vec<String>,
    subscriber: Vec<String>,
    after_n: Vec<i64>,
    n: Vec<i64>,
}

impl Owed {
    /// What each subscriber is given of rows of `unsent`, in the order of the workspaces.
    fn of(platform: &Platform, mail_follows: bool, taken: &[tokio_postgres::Row]) -> Result<Owed, Error> {
        let endpoints = platform.webhook_endpoints.iter().cloned().map(Subscriber::Endpoint);
        let subscribers: Vec<Subscriber> =
            endpoints.chain(mail_follows.then_some(Subscriber::Mail)).collect();
        let mut owed = Owed::default();
        for (workspace, (after_n, n)) in ranges(taken)? {
            let follows = |subscriber: &&Subscriber| {
                subscriber.workspace().is_none_or(|only| only.as_str() == workspace)
            };
            for subscriber in subscribers.iter().filter(follows) {
                owed.workspace.push(workspace.to_owned());
                owed.subscriber.push(subscriber.name());
                owed.after_n.push(after_n);
                owed.n.push(n);
            }
        }
        Ok(owed)
    }
}

/// The entries that rows of `unsent` are about: for each workspace the number before the first and
/// the number of the last.
fn ranges(taken: &[tokio_postgres::Row]) -> Result<BTreeMap<&str, (i64, i64)>, Error> {
    let mut ranges = BTreeMap::new();
    for row in taken {
        let workspaces: Vec<&str> = column(row, 0)?;
        let (after, last): (Vec<i64>, Vec<i64>) = (column(row, 1)?, column(row, 2)?);
        if workspaces.len() != after.len() || workspaces.len() != last.len() {
            return Err(Error::damaged("a row of unsent entries has lists of different lengths"));
        }
        for (workspace, (after, last)) in workspaces.into_iter().zip(after.into_iter().zip(last)) {
            let range = ranges.entry(workspace).or_insert((after, last));
            *range = (range.0.min(after), range.1.max(last));
        }
    }
    Ok(ranges)
}

async fn portion(
    session: &DbSession,
    (subscriber, holder): (&Subscriber, i64),
    most: usize,
) -> Result<DeliveryPortion, Failure> {
    let owed = session.query_text(statements::OWED, &[&subscriber.name(), &WORKSPACES_MAX, &holder]).await?;
    let mut portion = DeliveryPortion { more: owed.len() as i64 == WORKSPACES_MAX, ..Default::default() };
    if owed.is_empty() {
        return Ok(portion);
    }
    let looks = (LOOKS_MAX / owed.len()).max(LOOKS_MIN) as i64;
    let rows = entries_after(session, &owed, looks).await?;
    let mut rows = rows.iter().peekable();
    for (position, row) in (1..).zip(&owed) {
        let of_workspace =
            std::iter::from_fn(|| rows.next_if(|row| column::<i64>(row, 0).is_ok_and(|of| of == position)));
        if portion.entries.len() >= most {
            portion.more = true;
            break;
        }
        let owed = (column::<&str>(row, 0)?, column(row, 1)?, column(row, 2)?);
        let most_left = most - portion.entries.len();
        portion.more |= add_of_workspace(subscriber, &mut portion, owed, of_workspace, most_left)?;
        // Those that were too many are read again.
        while rows.next_if(|row| column::<i64>(row, 0).is_ok_and(|of| of == position)).is_some() {}
    }
    Ok(portion)
}

/// The entries that rows of `owed` are about, at most `most` of each. The first column is the
/// position of the row, counted from 1.
async fn entries_after(
    session: &DbSession,
    owed: &[tokio_postgres::Row],
    most: i64,
) -> Result<Vec<tokio_postgres::Row>, Failure> {
    let places = (1_i64..).zip(owed).map(|(position, row)| Ok((column::<&str>(row, 0)?, position, row)));
    let places = places.collect::<Result<Vec<_>, Error>>()?;
    let mut rows = Vec::new();
    for part in session.shards().divide(places, |(workspace, ..)| workspace) {
        let (mut names, mut after, mut last) = (Vec::new(), Vec::<i64>::new(), Vec::<i64>::new());
        let mut positions = Vec::new();
        for (workspace, position, row) in part {
            names.push(workspace);
            after.push(column(row, 1)?);
            last.push(column(row, 2)?);
            positions.push(position);
        }
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&names, &after, &last, &most, &positions];
        rows.extend(session.query_text(statements::ENTRIES_AFTER, &params).await?);
    }
    let mut placed = Vec::with_capacity(rows.len());
    for row in rows {
        placed.push((column::<i64>(&row, 0)?, row));
    }
    // The rows of a workspace stay in the order of their entries.
    placed.sort_by_key(|(position, _)| *position);
    Ok(placed.into_iter().map(|(_, row)| row).collect())
}

/// Adds the entries of one workspace; returns true if some are left.
fn add_of_workspace<'a>(
    subscriber: &Subscriber,
    portion: &mut DeliveryPortion,
    (name, after_n, n): (&str, i64, i64),
    rows: impl Iterator<Item = &'a tokio_postgres::Row>,
    most: usize,
) -> Result<bool, Failure> {
    let platform = WorkspaceId::platform();
    let workspace = if name == platform.as_str() {
        platform
    } else {
        WorkspaceId::new(name).map_err(|_| Error::damaged("a row is of no workspace"))?
    };
    let kinds = subscriber.kinds();
    let (mut end, mut found) = (None::<JournalPlace>, 0);
    for row in rows {
        if found == most {
            break;
        }
        let bytes: &[u8] = column(row, 1)?;
        let is_of_kind = bytes.get(KIND_BYTE).is_some_and(|code| kinds.contains_code(*code));
        let number = end.as_ref().map_or(after_n as u64, |end| end.n) + 1;
        let place = JournalPlace { workspace: workspace.clone(), n: number, seq: 0, hash: digest(bytes) };
        if is_of_kind {
            let entry = decode_entry(bytes)?;
            if entry.n != number {
                return Err(Error::damaged(format!("the journal of workspace {name} has a gap")).into());
            }
            if subscriber.follows(&entry) {
                let record = EntryRecord { entry, hash: place.hash };
                portion.entries.push(FollowedEntry { place: place.clone(), record });
                found += 1;
            }
        }
        end = Some(place);
    }
    let reached = end.as_ref().map_or(after_n, |end| end.n as i64);
    portion.end.extend(end);
    Ok(reached < n)
}

async fn note(
    session: Arc<DbSession>,
    name: String,
    notes: DeliveryNotes,
    (holder, until): (i64, i64),
) -> Result<SubscriberState, Failure> {
    session.query_text(statements::ADD_SUBSCRIBER, &[&name]).await?;
    let rows = session.query_text(statements::LOCK_STATE, &[&name]).await?;
    let mut state = rows.first().map(|row| state_of(&name, column(row, 0)?)).transpose()?.unwrap_or_default();
    state.apply(&notes);
    let bytes = state.encode();
    session.query_text(statements::SET_STATE, &[&name, &bytes, &holder, &until]).await?;
    if !notes.reached.is_empty() {
        let mut reached: Vec<(&str, i64)> =
            notes.reached.iter().map(|place| (place.workspace.as_str(), place.n as i64)).collect();
        reached.sort_unstable();
        let (workspaces, numbers): (Vec<&str>, Vec<i64>) = reached.into_iter().unzip();
        session.query_text(statements::REACH, &[&name, &workspaces, &numbers]).await?;
        session.query_text(statements::REMOVE_SENT, &[&name, &workspaces]).await?;
    }
    Ok(state)
}
