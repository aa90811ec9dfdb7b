//! Commits a batch: sends its writes and the end of its transaction, pipelined.
//!
//! BEGIN is the one statement that is not pipelined with them. If it failed alone, each of the
//! others would be a transaction of its own, and a crash between them would leave half a batch. So
//! nothing is written before the database has confirmed BEGIN.
//!
//! Keeps i02 and i07. An optimistic batch takes no lock before it is written: an account is updated
//! only if it is at the entry that the decision saw, and entry numbers and keys are unique. If
//! another server wrote in between, the whole transaction fails.
//!
//! `CheckGuard` comes first, if it is needed. Then changed accounts and then new ones are written,
//! each in the order of their workspace ids. Servers thus wait for one another in one direction
//! only and cannot deadlock. A transaction that has updated an account is the only one that writes
//! the account's team, usage and grants.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use super::columns::Columns;
use crate::Error;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{DbSession, with_timeout};
use crate::postgres::database::sql;

/// Sends everything that a batch writes, and the end of its transaction, pipelined. After `Ok` the
/// batch is committed. `is_begun`: the transaction is already open and holds the locks of all
/// existing accounts.
///
/// A batch that writes nothing sends at most the guard, which checks what the answers relied on. In
/// an open transaction it sends only COMMIT.
///
/// An answer without an entry can accept a command all the same: it says that the command was
/// carried out before, such as a repeated outcome. The earlier entry may be on the primary's disk
/// only. So with a standby, such a batch waits for it too. In an open transaction the row locks
/// make COMMIT wait; that is how each repeated key is answered. A refusal acknowledges nothing and
/// does not wait.
pub(crate) async fn commit(
    session: &DbSession,
    columns: &Columns<'_>,
    is_begun: bool,
) -> Result<(), Failure> {
    session.forget_warnings();
    let relies_on_unwritten = columns.relies_on_unwritten();
    let is_brief = !is_begun && !relies_on_unwritten && columns.only_update_accounts_and_add_entries();
    if columns.have_no_entries() && !is_begun {
        if !relies_on_unwritten {
            return Ok(());
        }
        let waits = with_timeout(columns.check_guard(session)).await??;
        if !(waits && columns.accept_a_command()) {
            return Ok(());
        }
        columns.wait_for_standby(session).await?;
    } else if is_brief && !session.is_distributed() {
        with_timeout(columns.update_accounts_and_add_entries(session)).await??;
    } else {
        send_transaction(session, columns, is_begun, relies_on_unwritten && !is_begun).await?;
    }
    if session.is_commit_doubtful() {
        // The commit may be on the primary's disk only.
        return Err(Failure::ResultUnknown(commit_not_confirmed()));
    }
    Ok(())
}

/// Begins the transaction, unless it is open. Then sends all statements and COMMIT, pipelined, and
/// waits for all results.
///
/// On a distributed database COMMIT is sent after the other results. Its failure does not mean that
/// nothing was written, which that of another statement does.
async fn send_transaction(
    session: &DbSession,
    columns: &Columns<'_>,
    is_begun: bool,
    with_guard: bool,
) -> Result<(), Failure> {
    if !is_begun {
        with_timeout(session.batch_execute(sql::BEGIN)).await??;
    }
    let mut statements: Vec<BoxFuture<'_, Result<(), Failure>>> = Vec::with_capacity(10);
    columns.push_statements(session, &mut statements, with_guard);
    if !session.is_distributed() {
        statements.push(session.batch_execute("COMMIT").boxed());
    }
    let results = with_timeout(join_all(statements)).await?;
    // The first failure is the cause; the later ones only report the aborted transaction.
    results.into_iter().collect::<Result<(), Failure>>()?;
    if session.is_distributed() {
        let committed = with_timeout(session.batch_execute("COMMIT")).await?;
        committed.map_err(Failure::of_commit_on_nodes)?;
    }
    Ok(())
}

/// The error of a commit that the database acknowledged with a warning.
pub(crate) fn commit_not_confirmed() -> Error {
    Error::unavailable("the database acknowledged the commit with a warning: a standby may not have it")
}
