//! Waiting for a future without a runtime: the thread sleeps until it is woken.
//!
//! The engines answer from threads of their own and need no reactor, so the simplest waiting is enough and brings no
//! scheduling of its own into a simulation.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits until the future is done.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            // A wake-up that comes before this line leaves a token, so it is never missed.
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::wait;
    use std::task::Poll;

    #[test]
    fn a_future_that_is_woken_from_another_thread_is_waited_for() {
        let mut asked = 0;
        let answer = wait(std::future::poll_fn(|context| {
            asked += 1;
            if asked == 3 {
                return Poll::Ready(asked);
            }
            let waker = context.waker().clone();
            std::thread::spawn(move || waker.wake());
            Poll::Pending
        }));
        assert_eq!(answer, 3);
    }
}
