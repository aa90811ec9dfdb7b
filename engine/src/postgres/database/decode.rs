//! Decodes stored bytes and rows into the types of the ledger.
//!
//! Every reader of the database uses these functions: the prefetch of a batch, the queries, the
//! audit and the import. Bytes that cannot be decoded, or whose checksum is wrong, give
//! [`Error::is_damaged`], never a panic.

use std::sync::Arc;

use tokio_postgres::Row;
use tollkeeper_ledger::{
    Account, Entry, Grant, HourPart, Micros, Payments, Team, Timestamp, UsageKey, UsageSums,
};

use super::seal::{Companions, unsealed, unsealed_account};
use super::session::{Uuid, column};
use super::usage_codec::{decode_usage, usage_key};
use crate::Error;
use crate::closed_days::ClosedUntil;

/// Decodes an entry from its canonical bytes.
pub(crate) fn decode_entry(bytes: &[u8]) -> Result<Entry, Error> {
    Entry::decode(bytes).map_err(|error| Error::damaged(format!("an entry cannot be decoded: {error}")))
}

/// Decodes an account without its team and payments, for a caller that does not need them.
pub(crate) fn decode_account(bytes: &[u8]) -> Result<Account, Error> {
    of_parts(unsealed_account(bytes)?.0, decode_team(None)?, None)
}

/// Decodes an account with its team and payments: the columns `data` of its rows in the tables of
/// these names. Whether they are the rows that go with it, [`check_companions`] says.
pub(crate) fn decode_whole_account(
    bytes: &[u8],
    team: Option<&[u8]>,
    payments: Option<&[u8]>,
) -> Result<Account, Error> {
    of_parts(unsealed_account(bytes)?.0, decode_team(team)?, decode_payments(payments)?)
}

fn of_parts(bytes: &[u8], team: Arc<Team>, payments: Option<Arc<Payments>>) -> Result<Account, Error> {
    Account::decode(bytes, team, payments)
        .map_err(|error| Error::damaged(format!("an account cannot be decoded: {error}")))
}

/// Checks that these are the rows that go with an account; returns what names them.
///
/// # Errors
/// [`Error::is_damaged`] if one is missing, of an earlier time, or of another workspace.
pub(crate) fn check_companions(
    account: &[u8],
    team: Option<&[u8]>,
    payments: Option<&[u8]>,
) -> Result<Companions, Error> {
    let (_, named) = unsealed_account(account)?;
    let found = Companions::of_rows(team, payments);
    check_team(named, found)?;
    check_payments(named, found)?;
    Ok(found)
}

fn check_team(named: Option<Companions>, found: Companions) -> Result<(), Error> {
    let goes_with_it = named.is_none_or(|named| named.team == found.team);
    let wrong = || Error::damaged("the stored team is not the one that its account names");
    goes_with_it.then_some(()).ok_or_else(wrong)
}

fn check_payments(named: Option<Companions>, found: Companions) -> Result<(), Error> {
    let go_with_it = named.is_none_or(|named| named.payments == found.payments);
    let wrong = || Error::damaged("the stored payments are not those that their account names");
    go_with_it.then_some(()).ok_or_else(wrong)
}

/// Decodes the team of an account, and checks that it goes with it.
pub(crate) fn decode_team_of(account: &[u8], team: Option<&[u8]>) -> Result<Arc<Team>, Error> {
    check_team(unsealed_account(account)?.1, Companions::of_rows(team, None))?;
    decode_team(team)
}

/// Decodes the payments of an account, and checks that they go with it.
pub(crate) fn decode_payments_of(
    account: &[u8],
    payments: Option<&[u8]>,
) -> Result<Option<Arc<Payments>>, Error> {
    check_payments(unsealed_account(account)?.1, Companions::of_rows(None, payments))?;
    decode_payments(payments)
}

/// Decodes a team; `None` stands for the empty team.
fn decode_team(bytes: Option<&[u8]>) -> Result<Arc<Team>, Error> {
    let bytes = bytes.map(unsealed).transpose()?;
    Team::decode(bytes).map_err(|error| Error::damaged(format!("a team cannot be decoded: {error}")))
}

/// Decodes payments; `None` stands for a workspace that never had one.
pub(crate) fn decode_payments(bytes: Option<&[u8]>) -> Result<Option<Arc<Payments>>, Error> {
    let bytes = bytes.map(unsealed).transpose()?;
    Payments::decode(bytes).map_err(|error| Error::damaged(format!("payments cannot be decoded: {error}")))
}

/// Decodes a grant from the `data` column of the table `lot`.
pub(crate) fn decode_grant(bytes: &[u8]) -> Result<Grant, Error> {
    Grant::decode(unsealed(bytes)?)
        .map_err(|error| Error::damaged(format!("a grant cannot be decoded: {error}")))
}

/// Decodes the `usage` column of the table `account`: the rollups of the current hour.
pub(crate) fn decode_current_usage(bytes: &[u8]) -> Result<Vec<(UsageKey, UsageSums)>, Error> {
    decode_usage(unsealed(bytes)?)
}

/// Decodes a row of the table `closed_until`: the zone and three instants, from a column on.
pub(crate) fn closed_until(row: &Row, first: usize) -> Result<ClosedUntil, Error> {
    let timezone: &str = column(row, first)?;
    let at = |index: usize| column(row, first + index).map(Timestamp::from_millis);
    let last = column::<Option<i64>>(row, first + 3)?.map(Timestamp::from_millis);
    Ok(ClosedUntil { timezone: timezone.into(), from: at(1)?, until: at(2)?, last })
}

/// Decodes a row of the table `usage`. Its columns from 1 on are hour, operation, worker, member,
/// API key, runs, quantity, charged, refunded, minute and until. Returns `None` if the operation is
/// NULL, which marks the row of the account in [`Sql::UsageOf`](super::sql::Sql::UsageOf).
pub(crate) fn decode_usage_row(row: &Row) -> Result<Option<(UsageKey, UsageSums)>, Error> {
    let Some(operation) = column::<Option<&str>>(row, 2)? else { return Ok(None) };
    let names = [operation, column(row, 3)?, column(row, 4)?];
    let minutes = [column::<i16>(row, 10)?, column::<i16>(row, 11)?].map(u8::try_from);
    let part = match minutes {
        [Ok(begin), Ok(end)] => HourPart::new(begin, end),
        _ => None,
    };
    let part = part.ok_or_else(|| Error::damaged("a row of the usage table covers no part of an hour"))?;
    let key = usage_key((column(row, 1)?, part), names, column::<Uuid>(row, 5)?.api_key());
    let key = key.ok_or_else(|| Error::damaged("a row of the usage table has an invalid name"))?;
    let used = UsageSums {
        runs: column(row, 6)?,
        quantity: column(row, 7)?,
        charged: Micros::new(column(row, 8)?),
        refunded: Micros::new(column(row, 9)?),
    };
    Ok(Some((key, used)))
}
