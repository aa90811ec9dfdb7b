//! The servers of a history: one over a directory, or two on one database, which take turns.

use tollkeeper_engine::Postgres;
use tollkeeper_engine::embedded::audit;
use tollkeeper_engine::postgres::{self, Options};
use tollkeeper_testkit::postgres::Database;

use super::*;

/// What the jobs of a server remember.
#[derive(Debug, Default)]
pub struct Jobs {
    due: RefCell<DuePayments>,
    walks: RefCell<Reconciliation>,
}

impl Jobs {
    /// Does the due work.
    pub async fn poll(&self, app: &App) {
        // A job of its own for the time of the poll: no borrow is held while it waits.
        let mut due = self.due.take();
        due.poll(app).await;
        self.due.replace(due);
    }

    /// Walks over the events of Stripe, of which some were lost on the way.
    pub async fn walk(&self, app: &App) {
        let mut walks = self.walks.take();
        walks.poll(app).await;
        self.walks.replace(walks);
    }
}

/// Where servers keep what they know.
pub enum Place {
    Directory,
    /// A database, and the server that waits for its turn.
    Database(Database<'static>, Option<Box<(Served, Jobs)>>),
}

impl Place {
    pub async fn open(&self, dir: &Path, settings: &Settings, clock: &Arc<AtomicI64>) -> Arc<App> {
        let Place::Database(database, _) = self else { return super::super::open(dir, settings, clock) };
        let options = Options { lanes: Some(1), readers: Some(1), ..Options::default() };
        let engine = Postgres::open(&database.url(), options).await.expect("a database of its own opens");
        let clock = Arc::clone(clock);
        let now = move || Timestamp::from_millis(clock.load(Ordering::Relaxed));
        App::with_clock(Arc::new(engine), settings, Box::new(now))
    }

    /// Opens the second server on a database.
    pub async fn open_other(&mut self, dir: &Path, settings: &Settings, clock: &Arc<AtomicI64>) {
        if matches!(self, Place::Directory) {
            return;
        }
        let app = self.open(dir, settings, clock).await;
        if let Place::Database(_, other) = self {
            *other = Some(Box::new((app.into(), Jobs::default())));
        }
    }

    /// Asserts that an audit of what was kept finds nothing.
    pub async fn assert_audit_is_clean(self, dir: &Path) {
        let report = match self {
            Place::Directory => audit(&dir.join("data")),
            Place::Database(database, other) => {
                if let Some(other) = other {
                    other.0.engine().close().await.expect("the engine closes");
                }
                let url = database.url();
                let audited = tokio::task::spawn_blocking(move || postgres::audit(&url)).await;
                audited.expect("the audit ends")
            }
        };
        let report = report.expect("it can be audited");
        assert!(report.disagreement.is_none(), "{:?}", report.disagreement);
        assert!(report.entries > 0);
    }
}

impl Shop {
    /// Webhooks come while the jobs of all servers work.
    pub async fn do_all_at_once(&self) {
        let others = async {
            if let Place::Database(_, Some(other)) = &self.place {
                let (app, jobs) = &**other;
                futures_util::join!(jobs.poll(app), jobs.walk(app));
            }
        };
        futures_util::join!(self.deliver_due(), self.poll(), self.walk(), others);
    }

    /// The other server takes over, if there is one.
    pub fn take_turns(&mut self) {
        if let Place::Database(_, Some(other)) = &mut self.place {
            let (app, jobs) = &mut **other;
            std::mem::swap(app, &mut self.world.app);
            std::mem::swap(jobs, &mut self.jobs);
        }
    }
}
