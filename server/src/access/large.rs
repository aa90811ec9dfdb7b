//! Large bodies: how many bytes of them are under way, and which threads read them.
//!
//! A body is in memory until its request is answered, so the bytes of all bodies together are
//! bounded, and those of one tenant more tightly. A request waits for its share before its body is
//! read. Meanwhile the body lies in the buffers of the network and costs the server nothing.
//!
//! A large body takes milliseconds to parse. On the threads of the network, the small requests of
//! everybody would wait behind it. So that is done on other threads, as many at a time as the
//! machine has processors, and one at a time for a workspace: the loud one waits for itself.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tollkeeper_ledger::WorkspaceId;

use super::Caller;

/// A body up to this size takes no share; the number of connections bounds these.
pub const SMALL_MAX_BYTES: usize = 8 << 10;

/// From this size on, a body is parsed apart from the threads of the network.
const APART_MIN_BYTES: usize = 16 << 10;

/// What all bodies, those of platform keys, and those of one workspace may have under way: 32, 16
/// and 2 of the largest.
const ALL_KIB: usize = 32 << 10;
const PLATFORM_KIB: usize = 16 << 10;
const WORKSPACE_KIB: usize = 2 << 10;

/// The longest wait for a share. After it, the client is asked to repeat its request.
const WAIT_MAX_TIME: Duration = Duration::from_secs(10);

const NEVER_CLOSED: &str = "nothing closes these semaphores";

/// Whose share a body takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tenant {
    /// Everybody without a key, together.
    Nobody,
    /// The holders of platform keys, together.
    Platform,
    /// All keys and sessions of a workspace.
    Workspace(WorkspaceId),
}

impl Tenant {
    /// The tenant of a caller.
    pub fn of(caller: &Caller) -> Tenant {
        match caller {
            Caller::Anonymous => Tenant::Nobody,
            Caller::Platform | Caller::Operator(_) => Tenant::Platform,
            Caller::Key(holder) => Tenant::Workspace(holder.workspace.clone()),
            Caller::Member(signed_in) => Tenant::Workspace(signed_in.workspace.clone()),
        }
    }
}

/// The large bodies of all tenants.
#[derive(Debug)]
pub struct LargeBodies {
    bytes: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    tenants: Mutex<HashMap<Tenant, Arc<OfTenant>>>,
    /// The longest wait for a share.
    wait_max: Duration,
}

/// What one tenant may have under way.
#[derive(Debug)]
struct OfTenant {
    bytes: Arc<Semaphore>,
    threads: Arc<Semaphore>,
}

/// The share of a body; others may have it when this is dropped.
#[derive(Debug)]
pub struct Share {
    large: Arc<LargeBodies>,
    tenant: Tenant,
    /// `None` only while this is dropped.
    of_tenant: Option<Arc<OfTenant>>,
    permits: Option<[OwnedSemaphorePermit; 2]>,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.permits = None;
        let mut tenants = self.large.tenants();
        // Given back under the lock: of two shares that end at once, the second finds it unused.
        self.of_tenant = None;
        if tenants.get(&self.tenant).is_some_and(|unused| Arc::strong_count(unused) == 1) {
            tenants.remove(&self.tenant);
        }
    }
}

impl Share {
    fn of_tenant(&self) -> &OfTenant {
        self.of_tenant.as_ref().expect("only drop takes it away")
    }
}

impl LargeBodies {
    /// No body is under way.
    pub fn new() -> Arc<LargeBodies> {
        LargeBodies::waiting_at_most(WAIT_MAX_TIME)
    }

    fn waiting_at_most(wait_max: Duration) -> Arc<LargeBodies> {
        Arc::new(LargeBodies {
            bytes: Arc::new(Semaphore::new(ALL_KIB)),
            threads: Arc::new(Semaphore::new(processors())),
            tenants: Mutex::default(),
            wait_max,
        })
    }

    fn tenants(&self) -> MutexGuard<'_, HashMap<Tenant, Arc<OfTenant>>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place in the tenant's line, which holds nothing yet.
    fn enter(self: &Arc<Self>, tenant: &Tenant) -> Share {
        let (kib, threads) = match tenant {
            Tenant::Platform => (PLATFORM_KIB, processors()),
            Tenant::Nobody | Tenant::Workspace(_) => (WORKSPACE_KIB, 1),
        };
        let make = || {
            let (bytes, threads) = (Arc::new(Semaphore::new(kib)), Arc::new(Semaphore::new(threads)));
            Arc::new(OfTenant { bytes, threads })
        };
        let of_tenant = Arc::clone(self.tenants().entry(tenant.clone()).or_insert_with(make));
        Share { large: Arc::clone(self), tenant: tenant.clone(), of_tenant: Some(of_tenant), permits: None }
    }

    /// Waits until a body of this size may be read; `None` if too many bytes are under way for too
    /// long.
    pub async fn share(self: &Arc<Self>, tenant: &Tenant, bytes: usize) -> Option<Share> {
        let kib = u32::try_from(bytes.div_ceil(1_024)).unwrap_or(u32::MAX);
        let mut share = self.enter(tenant);
        // The tenant's own bound first: a tenant that waits for itself holds nothing of the others.
        let wait = async {
            let own = Arc::clone(&share.of_tenant().bytes).acquire_many_owned(kib).await;
            let of_all = Arc::clone(&self.bytes).acquire_many_owned(kib).await;
            [own.expect(NEVER_CLOSED), of_all.expect(NEVER_CLOSED)]
        };
        let permits = tokio::time::timeout(self.wait_max, wait).await;
        share.permits = permits.ok();
        share.permits.is_some().then_some(share)
    }

    /// Does work on a body or an answer of `bytes` bytes: here if it is small, else on another
    /// thread, at the tenant's turn.
    pub async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        tenant: &Tenant,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        if bytes < APART_MIN_BYTES {
            return work();
        }
        let place = self.enter(tenant);
        let turn = Arc::clone(&place.of_tenant().threads).acquire_owned().await.expect(NEVER_CLOSED);
        let thread = Arc::clone(&self.threads).acquire_owned().await.expect(NEVER_CLOSED);
        let worked = tokio::task::spawn_blocking(move || {
            // Held until the work is done, also if the client hangs up.
            let _held = (place, turn, thread);
            work()
        });
        match worked.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(value) => value,
            Err(Ok(panic)) => resume_unwind(panic),
            // The runtime ends, and this request with it.
            Err(Err(_)) => std::future::pending().await,
        }
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const BODY_MAX_BYTES: usize = 1 << 20;

    fn workspace(name: &str) -> Tenant {
        Tenant::Workspace(WorkspaceId::new(name).expect("the id is valid"))
    }

    #[tokio::test]
    async fn a_loud_tenant_waits_for_itself_and_for_nobody_else() {
        let large = LargeBodies::new();
        let (loud, quiet) = (workspace("loud"), workspace("quiet"));
        let now = |tenant, bytes| large.share(tenant, bytes).now_or_never().flatten();
        let first = now(&loud, BODY_MAX_BYTES).expect("there is room");
        let second = now(&loud, BODY_MAX_BYTES).expect("there is room");
        assert!(now(&loud, SMALL_MAX_BYTES + 1).is_none(), "its own bound is reached");
        assert!(now(&quiet, BODY_MAX_BYTES).is_some());
        drop(first);
        assert!(now(&loud, BODY_MAX_BYTES).is_some(), "there is room again");
        drop(second);
        assert!(large.tenants().is_empty(), "nothing is kept of tenants without a large body");
    }

    #[tokio::test]
    async fn the_bytes_of_all_tenants_together_are_bounded() {
        let large = LargeBodies::new();
        let mut held = Vec::new();
        for number in 0.. {
            let tenant = workspace(&format!("w{number}"));
            match large.share(&tenant, BODY_MAX_BYTES).now_or_never() {
                Some(share) => held.push(share.expect("there is room")),
                None => break,
            }
        }
        assert_eq!(held.len() * BODY_MAX_BYTES, ALL_KIB << 10);
        assert!(large.share(&Tenant::Platform, BODY_MAX_BYTES).now_or_never().is_none());
        held.pop();
        assert!(large.share(&Tenant::Platform, BODY_MAX_BYTES).now_or_never().is_some());
    }

    #[test]
    fn nothing_is_kept_of_a_tenant_whose_shares_end_at_once() {
        let large = LargeBodies::new();
        let tenants: Vec<Tenant> = (0..1_000).map(|n| workspace(&format!("w{n}"))).collect();
        let barrier = std::sync::Barrier::new(2);
        let pairs = tenants.iter().map(|tenant| (large.enter(tenant), large.enter(tenant)));
        let (one, other): (Vec<Share>, Vec<Share>) = pairs.unzip();
        std::thread::scope(|scope| {
            for shares in [one, other] {
                scope.spawn(|| {
                    for share in shares {
                        barrier.wait();
                        drop(share);
                    }
                });
            }
        });
        assert!(large.tenants().is_empty());
    }

    #[tokio::test]
    async fn a_body_that_waits_for_too_long_gets_no_share() {
        let large = LargeBodies::waiting_at_most(Duration::ZERO);
        let held = large.share(&Tenant::Nobody, WORKSPACE_KIB << 10).await.expect("there is room");
        assert!(large.share(&Tenant::Nobody, BODY_MAX_BYTES).await.is_none());
        drop(held);
    }

    #[tokio::test]
    async fn large_work_is_done_on_another_thread_one_at_a_time_for_a_workspace() {
        let large = LargeBodies::new();
        let (loud, quiet) = (workspace("loud"), workspace("quiet"));
        let here = std::thread::current().id();
        let thread = || std::thread::current().id();
        assert_eq!(large.work(&loud, APART_MIN_BYTES - 1, thread).await, here);
        assert_ne!(large.work(&loud, APART_MIN_BYTES, thread).await, here);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let long = large.work(&loud, APART_MIN_BYTES, move || released.recv().is_ok());
        let mut long = Box::pin(long);
        assert!((&mut long).now_or_never().is_none(), "it runs until it is released");
        assert!(large.work(&loud, APART_MIN_BYTES, thread).now_or_never().is_none());
        assert_eq!(large.threads.available_permits(), processors() - 1, "a second one has not begun");
        if processors() > 1 {
            large.work(&quiet, APART_MIN_BYTES, thread).await;
        }
        release.send(()).expect("the work waits");
        assert!(long.await);
        let panicked = std::panic::AssertUnwindSafe(large.work(&loud, APART_MIN_BYTES, || panic!("a bug")));
        assert!(panicked.catch_unwind().await.is_err(), "a panic reaches the request");
    }
}
