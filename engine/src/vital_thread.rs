//! Threads without which an engine does not work.
//!
//! If such a thread ends by a panic, the process would go on without it: requests would wait for
//! ever, and a supervisor would see a healthy process. So the process ends at once (fail-stop). The
//! next start recovers as after a crash. A panic that belongs to one command or one read is caught
//! before it gets here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

use crate::Error;

/// Starts a thread. The process ends if the thread panics.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let ended = name.to_owned();
    let guarded = move || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
            let error = Error::panicked(&*panic);
            tracing::error!(thread = ended, %error, "a vital thread has ended; the process ends");
            std::process::abort();
        }
    };
    Builder::new().name(name.to_owned()).spawn(guarded).map_err(Error::cannot_start_thread)
}
