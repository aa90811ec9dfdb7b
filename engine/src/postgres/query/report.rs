//! The report: reads the entries of all workspaces in the order of the primary key, on a thread and
//! a connection of its own.
//!
//! It takes many short statements instead of one snapshot, which would keep the database from
//! cleaning up. Entries never change, so each journal is read as it was at one of these moments,
//! and what was written before the report began is in it.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};
use tollkeeper_ledger::WorkspaceId;

use crate::Error;
use crate::postgres::database::blocking::block_on;
use crate::postgres::database::config::Address;
use crate::postgres::database::decode::decode_entry;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{DbSession, column};
use crate::postgres::database::sql::Sql;
use crate::postgres::shared::SharedState;
use crate::report::{Report, ReportTime, Workspace};

/// How many entries a statement reads: a few megabytes.
const READ_MAX: i64 = 8_192;

/// The reports of a server: one at a time.
#[derive(Debug)]
pub(crate) struct Reports(Arc<Semaphore>);

impl Default for Reports {
    fn default() -> Reports {
        Reports(Arc::new(Semaphore::new(1)))
    }
}

impl Reports {
    /// Computes a report, and stops when the caller goes away.
    ///
    /// # Errors
    /// [`Error::is_overloaded`] while another report is computed.
    pub(crate) fn report(
        &self,
        shared: &SharedState,
        time: ReportTime,
    ) -> impl Future<Output = Result<Report, Error>> + Send + use<> {
        let turn = Arc::clone(&self.0).try_acquire_owned();
        let address = shared.address.clone();
        async move {
            let turn = turn.map_err(|_| Error::overloaded())?;
            let (mut reply, answer) = oneshot::channel();
            let work = move || {
                let read = block_on(async {
                    tokio::select! {
                        read = read(&address, time) => Some(read.map_err(Failure::into_error)).transpose(),
                        () = reply.closed() => Ok(None),
                    }
                });
                drop(turn);
                // The caller may have gone away; then the answer is not needed.
                if let Some(read) = read.transpose() {
                    drop(reply.send(read));
                }
            };
            let thread = std::thread::Builder::new().name("tollkeeper-report".into());
            thread.spawn(work).map_err(Error::cannot_start_thread)?;
            answer.await.map_err(|_| Error::engine_closed())?
        }
    }
}

async fn read(address: &Address, time: ReportTime) -> Result<Report, Failure> {
    let session = DbSession::open(address).await?;
    let (mut name, mut n) = (String::new(), 0_i64);
    let (mut report, mut workspace) = (Report::default(), Workspace::default());
    loop {
        let rows = session.query_with_timeout(Sql::EntriesInOrder, &[&name, &n, &READ_MAX]).await?;
        for row in &rows {
            let of: &str = column(row, 0)?;
            if of != name {
                report.add(&workspace)?;
                workspace = Workspace::default();
                of.clone_into(&mut name);
            }
            n = column(row, 1)?;
            let entry = decode_entry(column(row, 2)?)?;
            if name == WorkspaceId::platform().as_str() {
                report.add_of_platform(time, &entry);
            } else {
                workspace.add(time, &entry)?;
            }
        }
        if (rows.len() as i64) < READ_MAX {
            report.add(&workspace)?;
            return Ok(report.finished());
        }
    }
}
