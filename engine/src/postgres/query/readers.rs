//! Connections for reading, apart from those of the lanes, so that no report makes a charge wait; and the thread on which
//! they live. It also keeps what the server knows of the platform fresh, because an idle server hears of it nowhere else.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{Mutex, oneshot};

use crate::Error;
use crate::postgres::batch::lane::Common;
use crate::postgres::database::failure::Failure;
use crate::postgres::database::session::{ANSWER_WITHIN, Session, within};
use crate::reply::engine_closed;

/// How often an idle server asks whether the platform's chain has grown.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// After how many such questions it counts what is in the database anew.
const COUNTED_EVERY: u32 = 60;

/// The pause before a read is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections.
#[derive(Debug)]
pub(crate) struct Readers {
    common: Arc<Common>,
    sessions: Vec<Mutex<Option<Arc<Session>>>>,
    next: AtomicUsize,
}

impl Readers {
    pub(crate) fn new(common: Arc<Common>, connections: usize) -> Readers {
        let sessions = (0..connections.max(1)).map(|_| Mutex::new(None)).collect();
        Readers { common, sessions, next: AtomicUsize::new(0) }
    }

    /// The next connection, made anew if it is gone. Several reads share one: what they ask is sent at once and answered
    /// in order.
    async fn session(&self) -> Result<Arc<Session>, Failure> {
        let place = self.next.fetch_add(1, Relaxed) % self.sessions.len();
        let mut session = self.sessions[place].lock().await;
        if let Some(session) = session.as_ref().filter(|session| !session.is_closed()) {
            return Ok(Arc::clone(session));
        }
        let opened = Arc::new(Session::open(&self.common.address).await?);
        *session = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Reads something; tries again while the database cannot be reached and patience lasts.
    async fn read<T, F>(&self, read: impl Fn(Arc<Session>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        // Whoever waits for a connection that another is making waits for that one's patience too.
        let longest = self.common.patience + ANSWER_WITHIN;
        let late = |_| Error::unavailable("the database does not answer");
        tokio::time::timeout(longest, self.read_patiently(read)).await.map_err(late)?
    }

    async fn read_patiently<T, F>(&self, read: impl Fn(Arc<Session>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let patience = Instant::now() + self.common.patience;
        loop {
            let failure = match self.session().await {
                Ok(session) => match within(read(Arc::clone(&session))).await {
                    Ok(Ok(value)) => return Ok(value),
                    Ok(Err(failure)) | Err(failure) => given_up(&session, failure),
                },
                Err(failure) => failure,
            };
            if matches!(failure, Failure::Never(_)) || Instant::now() >= patience {
                return Err(failure.into_error());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn refresh(&self, session: &Session, count: bool) -> Result<(), Failure> {
        if count {
            self.common.counted.count(session).await?;
        }
        self.common.platform.refresh(session).await
    }

    /// Keeps what the server knows fresh, for as long as it runs.
    async fn watch(&self) {
        let mut asked = 0;
        loop {
            tokio::time::sleep(ASKED_EVERY).await;
            asked += 1;
            let refreshed = match self.session().await {
                Ok(session) => {
                    let refreshed = self.refresh(&session, asked % COUNTED_EVERY == 0).await;
                    refreshed.map_err(|failure| given_up(&session, failure))
                }
                Err(failure) => Err(failure),
            };
            self.common.counted.writable.store(refreshed.is_ok(), Relaxed);
        }
    }
}

/// The same failure; a connection that is lost serves nobody any more.
fn given_up(session: &Session, failure: Failure) -> Failure {
    if matches!(failure, Failure::Lost(_)) {
        session.give_up();
    }
    failure
}

/// The thread of the readers, and the way to it.
#[derive(Debug)]
pub(crate) struct ReaderThread {
    handle: Handle,
    readers: Arc<Readers>,
    /// Dropped to end the thread.
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ReaderThread {
    /// Starts the thread.
    pub(crate) fn start(readers: Readers) -> Result<ReaderThread, Error> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::unavailable(format!("no runtime: {error}")))?;
        let (handle, readers) = (runtime.handle().clone(), Arc::new(readers));
        let (end, ended) = oneshot::channel();
        let watched = Arc::clone(&readers);
        let thread = std::thread::Builder::new().name("tollkeeper-readers".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = watched.watch() => {}
                    _ = ended => {}
                }
            });
        });
        let thread = thread.map_err(|error| Error::unavailable(format!("no thread: {error}")))?;
        Ok(ReaderThread { handle, readers, end: Some(end), thread: Some(thread) })
    }

    /// Makes the tables if need be, and reads what the server has to know before it can begin.
    pub(crate) async fn begin(&self) -> Result<(), Error> {
        let readers = Arc::clone(&self.readers);
        let begun = self.handle.spawn(async move {
            let Common { address, platform, counted, .. } = &*readers.common;
            crate::postgres::database::schema::migrate(address).await?;
            let session = readers.session().await?;
            crate::postgres::admin::import::refuse_half(&session).await?;
            platform.refresh(&session).await?;
            counted.count(&session).await?;
            counted.writable.store(true, Relaxed);
            Ok(())
        });
        begun.await.map_err(|_| engine_closed())?.map_err(Failure::into_error)
    }

    /// Reads something on the thread; whoever waits needs no runtime.
    pub(crate) async fn read<T, F>(
        &self,
        read: impl Fn(Arc<Session>) -> F + Send + Sync + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        let answered = self.handle.spawn(async move { readers.read(read).await });
        answered.await.map_err(|ended| match ended.is_panic() {
            true => Error::bug("a read came to no end"),
            false => engine_closed(),
        })?
    }
}

impl Drop for ReaderThread {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ = thread.join();
        }
    }
}
