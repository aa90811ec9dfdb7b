//! The network between a server and its database, which can be cut.
//!
//! A cut loses what is on its way in both directions: a commit that the database has already received is carried out, and
//! nobody hears of it. A severed cable stays cut, so that a server behind it is as good as dead, whatever it still tries.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Forwards connections to a port of this machine.
#[derive(Debug)]
pub struct Cable {
    port: u16,
    ends: Arc<Ends>,
}

#[derive(Debug, Default)]
struct Ends {
    severed: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Ends {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins a connection with one of its own to `port`, a thread in each direction.
    fn join(&self, near: &TcpStream, port: u16) -> io::Result<()> {
        let far = TcpStream::connect(("127.0.0.1", port))?;
        for end in [near, &far] {
            end.set_nodelay(true)?;
        }
        let pairs = [(near.try_clone()?, far.try_clone()?), (far.try_clone()?, near.try_clone()?)];
        let mut open = self.open();
        if self.severed.load(Ordering::SeqCst) {
            return Ok(());
        }
        open.extend([near.try_clone()?, far]);
        for (mut from, mut to) in pairs {
            thread::spawn(move || {
                // However one direction ends, the other ends with it.
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
            });
        }
        Ok(())
    }

    fn cut(&self) -> usize {
        let cut: Vec<TcpStream> = self.open().drain(..).collect();
        cut.iter().filter(|end| end.shutdown(Shutdown::Both).is_ok()).count()
    }
}

impl Cable {
    /// Lays a cable to a port of this machine.
    #[must_use]
    pub fn to(port: u16) -> Cable {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let near_port = listener.local_addr().expect("it is bound").port();
        let ends = Arc::new(Ends::default());
        let joined = Arc::clone(&ends);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if joined.severed.load(Ordering::SeqCst) {
                    return;
                }
                // Nobody at the far end: the near one is closed, as a port that refuses.
                let _ = joined.join(&near, port);
            }
        });
        Cable { port: near_port, ends }
    }

    /// The port of its near end.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts whatever is connected; gives how many ends were still open. New connections are made as before.
    pub fn cut(&self) -> usize {
        self.ends.cut()
    }

    /// Cuts whatever is connected, for ever.
    pub fn sever(&self) {
        self.ends.severed.store(true, Ordering::SeqCst);
        self.ends.cut();
        // Wakes the thread that waits for connections, so that it sees and goes.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.sever();
    }
}

#[cfg(test)]
mod tests {
    use super::Cable;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn what_is_cut_ends_and_what_is_severed_stays_so() {
        let far = TcpListener::bind("127.0.0.1:0").expect("a port");
        let cable = Cable::to(far.local_addr().expect("bound").port());
        let connect = || TcpStream::connect(("127.0.0.1", cable.port()));
        let mut bytes = [0; 4];
        for _ in 0..2 {
            let mut near = connect().expect("it forwards");
            near.write_all(b"paid").expect("it is open");
            let (mut end, _) = far.accept().expect("it is forwarded");
            end.read_exact(&mut bytes).expect("it arrives");
            assert_eq!(&bytes, b"paid");
            assert_eq!(cable.cut(), 2);
            assert_eq!((near.read(&mut bytes).unwrap_or(0), end.read(&mut bytes).unwrap_or(0)), (0, 0));
        }
        cable.sever();
        let refused = connect().and_then(|mut near| near.read(&mut bytes));
        assert_eq!(refused.unwrap_or(0), 0);
    }
}
