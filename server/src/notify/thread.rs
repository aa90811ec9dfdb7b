//! The thread of the dispatcher: deliveries must not take the processor from charges.
//!
//! The thread has a low priority. While the machine is busy, messages wait in the journal; when
//! something is left of the processor, they are sent. A low priority still has a share, so a
//! message is never put off without end.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;

use super::dispatcher;
use crate::app::App;

/// By how much the priority is lower, in steps of `nice`: about a tenth of the share that another
/// thread has.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

/// The pause before the thread is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A thread that is running. It is ended and waited for when this is dropped, so that nothing is
/// sent or noted while the engine closes.
struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic was logged.
            let _ = thread.join();
        }
    }
}

/// Runs the dispatcher on a thread of its own, without end.
pub(crate) async fn run(app: &Arc<App>) {
    loop {
        let (stop, stopped) = oneshot::channel();
        let (end, ending) = oneshot::channel::<()>();
        let app = Arc::clone(app);
        let body = move || {
            let _end = end;
            lower_priority();
            serve(&app, stopped);
        };
        match Builder::new().name("tollkeeper-deliveries".to_owned()).spawn(body) {
            Ok(thread) => {
                let _running = Running { stop: Some(stop), thread: Some(thread) };
                // The sender is dropped when the thread ends, also by a panic.
                let _ = ending.await;
                tracing::error!("the thread of deliveries has ended; it is started again");
            }
            Err(error) => tracing::error!(%error, "the thread of deliveries cannot start; it is tried again"),
        }
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

fn serve(app: &App, stopped: oneshot::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "deliveries have no runtime"),
    };
    runtime.block_on(async {
        tokio::select! {
            _ = stopped => {}
            () = dispatcher::run(app) => {}
        }
    });
    // A name that is being resolved may take long, and nobody needs its address any more.
    runtime.shutdown_background();
}

/// Lowers the priority of this thread. Where the system has one for whole processes only, it stays.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::warn!(%error, "the priority of deliveries could not be lowered");
    }
}
