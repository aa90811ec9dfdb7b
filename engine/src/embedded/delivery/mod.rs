//! Deliveries of the embedded engine: a subscriber's place is a place in the journal of all
//! workspaces.
//!
//! One process serves the directory, so every turn is its own. Entries are read on threads for
//! that, never by the writer. What is kept is in a file of its own (`store`). The file is made when
//! deliveries are first asked for; how entries are found is in `scan::followed`.

pub(crate) mod store;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tollkeeper_ledger::{Timestamp, WorkspaceId};

use self::store::{Cursor, DeliveryStore};
use super::Embedded;
use super::scan::lists::Reader;
use super::scan::readers::Readers;
use crate::{
    BoxFuture, Deliveries, DeliveryNotes, DeliveryPortion, Error, FollowedEntry, JournalPlace, Subscriber,
    SubscriberState,
};

/// What the deliveries of a directory need.
#[derive(Debug)]
pub(super) struct DeliveryFiles {
    directory: PathBuf,
    /// The SQLite VFS of the file; the system's when `None`.
    vfs: Option<String>,
    readers: Readers,
    store: Arc<Mutex<Option<DeliveryStore>>>,
    /// True once something was asked for.
    is_used: AtomicBool,
    is_read_only: bool,
}

impl DeliveryFiles {
    pub(super) fn new(
        directory: PathBuf,
        vfs: Option<String>,
        readers: Readers,
        is_read_only: bool,
    ) -> DeliveryFiles {
        let is_used = AtomicBool::new(false);
        DeliveryFiles { directory, vfs, readers, store: Arc::default(), is_used, is_read_only }
    }

    /// Runs `work` with the store on a reading thread; makes the store if it is not there.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader, &DeliveryStore) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        if self.is_read_only {
            return Err(Error::unavailable("the data directory is open for reading only"));
        }
        self.is_used.store(true, Relaxed);
        let (store, directory, vfs) = (Arc::clone(&self.store), self.directory.clone(), self.vfs.clone());
        let read = move |reader: &Reader, _: &WorkspaceId| {
            let (vfs, end) = (vfs.as_deref(), || reader.journal_end());
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            if store.is_none() {
                *store = Some(DeliveryStore::open_or_begin_anew(&directory, vfs, end)?);
            }
            let done = work(reader, store.as_ref().expect("it was opened above"));
            if done.as_ref().is_err_and(Error::is_damaged) {
                // The damage may be of the journal. The file is closed before it is looked at.
                *store = None;
                if DeliveryStore::set_aside_if_damaged(&directory, vfs)? {
                    return Err(Error::unavailable("what is kept of deliveries was damaged and begins anew"));
                }
            }
            done
        };
        self.readers.read(WorkspaceId::platform(), read).await
    }
}

impl Deliveries for Embedded {
    fn prepare(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.deliveries.with_store(|_, _| Ok(())))
    }

    fn distribute(&self) -> BoxFuture<'_, Result<(), Error>> {
        if !self.deliveries.is_used.load(Relaxed) {
            // Nothing is kept yet, and the file is made only for those who need it.
            return Box::pin(std::future::ready(Ok(())));
        }
        let names = Subscriber::names(&self.core.platform());
        Box::pin(self.deliveries.with_store(move |_, store| store.retain(&names)))
    }

    fn take_turn(
        &self,
        subscriber: Subscriber,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<SubscriberState>, Error>> {
        Box::pin(self.deliveries.with_store(move |reader, store| {
            let name = subscriber.name();
            if subscriber == Subscriber::Mail && store.cursor(&name)?.is_none() {
                store.set(&name, reader.journal_end()?, &SubscriberState::default())?;
            }
            store.state(&name).map(Some)
        }))
    }

    fn portion(&self, subscriber: Subscriber, most: usize) -> BoxFuture<'_, Result<DeliveryPortion, Error>> {
        let most = most.max(1);
        Box::pin(self.deliveries.with_store(move |reader, store| {
            let at = place(reader, store, &subscriber)?;
            reader.followed(&subscriber, at, most)
        }))
    }

    fn note(
        &self,
        subscriber: Subscriber,
        notes: DeliveryNotes,
        _now: Timestamp,
    ) -> BoxFuture<'_, Result<SubscriberState, Error>> {
        Box::pin(self.deliveries.with_store(move |reader, store| {
            let name = subscriber.name();
            let mut state = store.state(&name)?;
            if notes == (DeliveryNotes { ends_turn: true, ..DeliveryNotes::default() }) {
                // No other server waits for the turn.
                return Ok(state);
            }
            state.apply(&notes);
            let at = place(reader, store, &subscriber)?;
            let reached = notes.reached.iter().max_by_key(|reached| reached.seq);
            let at = match reached {
                Some(JournalPlace { seq, hash, .. }) if *seq >= at.seq => Cursor { seq: *seq, hash: *hash },
                _ => at,
            };
            store.set(&name, at, &state)?;
            Ok(state)
        }))
    }

    fn state(&self, subscriber: Subscriber) -> BoxFuture<'_, Result<SubscriberState, Error>> {
        if self.deliveries.is_read_only {
            let read = DeliveryStore::open_to_read(&self.deliveries.directory)
                .and_then(|store| store.map(|store| store.state(&subscriber.name())).transpose());
            return Box::pin(std::future::ready(read.map(Option::unwrap_or_default)));
        }
        Box::pin(self.deliveries.with_store(move |_, store| store.state(&subscriber.name())))
    }

    fn entry_at(&self, place: JournalPlace) -> BoxFuture<'_, Result<Option<FollowedEntry>, Error>> {
        let read = move |reader: &Reader, _: &WorkspaceId| reader.followed_at(&place);
        Box::pin(self.deliveries.readers.read(WorkspaceId::platform(), read))
    }

    fn committed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.core.committed())
    }
}

/// The place of a subscriber, which it keeps until something is noted.
fn place(reader: &Reader, store: &DeliveryStore, subscriber: &Subscriber) -> Result<Cursor, Error> {
    let own = store.cursor(&subscriber.name())?;
    reader.place_to_go_on(subscriber, own, store.origin())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tollkeeper_ledger::{
        Actor, Command, GrantRequest, Id, MessageTypes, Micros, Source, Submission, WebhookEndpoint,
        WebhookEndpointId,
    };

    use super::*;
    use crate::Engine;
    use crate::embedded::{Options, backup, restore};

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn open(directory: &Path) -> Embedded {
        Embedded::open(directory, Options::default()).expect("the directory opens")
    }

    async fn run(engine: &Embedded, workspace: WorkspaceId, command: Command) {
        let submission = Submission { workspace, key: None, actor: Actor::Platform, command };
        engine.run(submission, NOW).await.expect("a healthy disk").expect("it is accepted");
    }

    async fn grants(engine: &Embedded, amounts: std::ops::Range<i64>) {
        for amount in amounts {
            let grant = GrantRequest::new(Source::Promotional, Micros::new(amount));
            run(engine, WorkspaceId::new("acme").expect("a name"), Command::Grant(grant)).await;
        }
    }

    fn endpoint() -> WebhookEndpoint {
        WebhookEndpoint {
            id: WebhookEndpointId(Id::v7(1, 0, 1)),
            version: 1,
            url: "https://receiver.example".into(),
            types: MessageTypes::All,
            workspace: None,
            enabled: true,
            fault: None,
            generation: 1,
            previous_signs_until: None,
            beginning: 1,
            secret_digest: [1; 32],
            created_at: NOW,
        }
    }

    fn subscriber() -> Subscriber {
        Subscriber::Endpoint(Arc::new(endpoint()))
    }

    /// The amounts that the next portion is about, and how many other entries. Notes them.
    async fn next(engine: &Embedded) -> (Vec<i64>, usize) {
        let portion = engine.portion(subscriber(), 100).await.expect("it reads");
        let notes = DeliveryNotes { reached: portion.end, ..DeliveryNotes::default() };
        engine.note(subscriber(), notes, NOW).await.expect("it writes");
        let amount =
            |followed: &FollowedEntry| followed.record.entry.body.legs().map(|legs| legs.amount.get());
        let amounts: Vec<i64> = portion.entries.iter().filter_map(amount).collect();
        let others = portion.entries.len() - amounts.len();
        (amounts, others)
    }

    #[tokio::test]
    async fn a_restored_ledger_goes_back_to_what_both_have_in_common() {
        let scratch = tempfile::tempdir().expect("a directory");
        let [data, copy, restored] = ["data", "copy", "restored"].map(|name| scratch.path().join(name));
        let engine = open(&data);
        engine.prepare().await.expect("it is ready");
        run(&engine, WorkspaceId::new("acme").expect("a name"), Command::CreateWorkspace(Default::default()))
            .await;
        run(&engine, WorkspaceId::platform(), Command::SetWebhookEndpoint(Box::new(endpoint()))).await;
        grants(&engine, 1..3).await;
        assert_eq!(next(&engine).await, (vec![1, 2], 0));
        grants(&engine, 3..4).await;
        backup(&data, &copy).expect("it is copied");
        grants(&engine, 4..6).await;
        assert_eq!(next(&engine).await, (vec![3, 4, 5], 0));
        engine.close().await.expect("it closes");
        drop(engine);

        restore(&copy, &restored, NOW).expect("it is restored");
        let engine = open(&restored);
        assert_eq!(next(&engine).await, (vec![3], 1), "what was not sent before the copy, and the epoch");
        grants(&engine, 7..8).await;
        assert_eq!(next(&engine).await, (vec![7], 0));
        engine.close().await.expect("it closes");
        drop(engine);

        // The places of the ledger that was copied are later than the restored journal.
        std::fs::copy(data.join(store::FILE), restored.join(store::FILE)).expect("it is copied");
        let engine = open(&restored);
        assert_eq!(next(&engine).await, (vec![7], 1), "from the epoch on");
        assert_eq!(next(&engine).await, (vec![], 0));
    }

    #[tokio::test]
    async fn a_store_that_is_made_anew_begins_at_the_end() {
        let scratch = tempfile::tempdir().expect("a directory");
        let engine = open(scratch.path());
        engine.prepare().await.expect("it is ready");
        run(&engine, WorkspaceId::new("acme").expect("a name"), Command::CreateWorkspace(Default::default()))
            .await;
        run(&engine, WorkspaceId::platform(), Command::SetWebhookEndpoint(Box::new(endpoint()))).await;
        grants(&engine, 1..3).await;
        engine.close().await.expect("it closes");
        drop(engine);
        std::fs::remove_file(scratch.path().join(store::FILE)).expect("it is there");
        let engine = open(scratch.path());
        engine.prepare().await.expect("it is ready");
        grants(&engine, 3..4).await;
        assert_eq!(next(&engine).await, (vec![3], 0));
        let read_only = Embedded::open_read_only(scratch.path()).expect("it reads");
        assert_eq!(read_only.state(subscriber()).await.expect("it reads"), SubscriberState::default());
        assert!(read_only.portion(subscriber(), 1).await.is_err(), "it writes nothing");
    }
}
