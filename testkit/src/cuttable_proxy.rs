//! A TCP proxy between a server and its database, whose connections a test can cut.
//!
//! A cut loses the bytes under way in both directions. A COMMIT that the database has already
//! received is carried out, and the server never gets its result. A severed proxy stays closed, so
//! a server behind it can never reach the database again. The proxy can also garble one statement
//! on its way to the database, which then refuses it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Forwards connections to a port of this machine.
#[derive(Debug)]
pub struct CuttableProxy {
    port: u16,
    connections: Arc<Connections>,
}

/// The connections that are open; shared with the thread that accepts new ones.
#[derive(Debug, Default)]
struct Connections {
    severed: AtomicBool,
    /// Both ends of each connection: the client's and the proxy's own to the target.
    open: Mutex<Vec<TcpStream>>,
    /// The text to garble when a client sends it next.
    to_garble: Mutex<Option<Vec<u8>>>,
}

impl Connections {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects `client` to the target port, with one copying thread for each direction.
    fn forward(self: &Arc<Self>, client: &TcpStream, port: u16) -> io::Result<()> {
        let target = TcpStream::connect(("127.0.0.1", port))?;
        for end in [client, &target] {
            end.set_nodelay(true)?;
        }
        let to_target = (client.try_clone()?, target.try_clone()?, Some(Arc::clone(self)));
        let directions = [to_target, (target.try_clone()?, client.try_clone()?, None)];
        let mut open = self.open();
        if self.severed.load(Ordering::SeqCst) {
            return Ok(());
        }
        open.extend([client.try_clone()?, target]);
        for (mut from, mut to, garbling) in directions {
            thread::spawn(move || {
                // When one direction ends, for any reason, the other ends too.
                let _ = match garbling {
                    Some(connections) => connections.copy_and_garble(&mut from, &mut to),
                    None => io::copy(&mut from, &mut to).map(drop),
                };
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
            });
        }
        Ok(())
    }

    /// Copies what a client sends, and changes one byte of the text to garble when it comes by. A
    /// statement is short and arrives whole.
    fn copy_and_garble(&self, from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let count = from.read(&mut bytes)?;
            if count == 0 {
                return Ok(());
            }
            let mut wanted = self.to_garble.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(text) = wanted.as_deref()
                && let Some(start) = bytes[..count].windows(text.len()).position(|window| window == text)
            {
                bytes[start] = b'!';
                *wanted = None;
            }
            drop(wanted);
            to.write_all(&bytes[..count])?;
        }
    }

    fn cut(&self) -> usize {
        let cut: Vec<TcpStream> = self.open().drain(..).collect();
        cut.iter().filter(|end| end.shutdown(Shutdown::Both).is_ok()).count()
    }
}

impl CuttableProxy {
    /// Starts a proxy to a port of this machine.
    #[must_use]
    pub fn to(target_port: u16) -> CuttableProxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the system has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let connections = Arc::new(Connections::default());
        let accepting = Arc::clone(&connections);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.severed.load(Ordering::SeqCst) {
                    return;
                }
                // If nothing listens at the target, the client's connection is closed.
                let _ = accepting.forward(&client, target_port);
            }
        });
        CuttableProxy { port, connections }
    }

    /// The port that clients connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts all open connections and returns how many ends were still open. New connections are
    /// accepted.
    pub fn cut(&self) -> usize {
        self.connections.cut()
    }

    /// Garbles `text` when a client sends it the next time, once.
    pub fn garble_next(&self, text: &str) {
        let mut wanted = self.connections.to_garble.lock().unwrap_or_else(PoisonError::into_inner);
        *wanted = Some(text.as_bytes().to_vec());
    }

    /// True if the text of the last [`CuttableProxy::garble_next`] was sent.
    #[must_use]
    pub fn has_garbled(&self) -> bool {
        self.connections.to_garble.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Cuts all open connections and accepts no more.
    pub fn sever(&self) {
        self.connections.severed.store(true, Ordering::SeqCst);
        self.connections.cut();
        // Wakes the accepting thread, so that it sees `severed` and ends.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Drop for CuttableProxy {
    fn drop(&mut self) {
        self.sever();
    }
}

#[cfg(test)]
mod tests {
    use super::CuttableProxy;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn cut_connections_end_and_a_severed_proxy_stays_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the system has a free port");
        let proxy = CuttableProxy::to(listener.local_addr().expect("it is bound").port());
        let connect = || TcpStream::connect(("127.0.0.1", proxy.port()));
        let mut bytes = [0; 4];
        for _ in 0..2 {
            let mut client = connect().expect("the proxy accepts");
            client.write_all(b"paid").expect("the connection is open");
            let (mut target, _) = listener.accept().expect("the proxy connects to its target");
            target.read_exact(&mut bytes).expect("the proxy forwards");
            assert_eq!(&bytes, b"paid");
            assert_eq!(proxy.cut(), 2, "both ends were open");
            let after = (client.read(&mut bytes).unwrap_or(0), target.read(&mut bytes).unwrap_or(0));
            assert_eq!(after, (0, 0), "both ends are closed");
        }
        proxy.sever();
        let refused = connect().and_then(|mut client| client.read(&mut bytes));
        assert_eq!(refused.unwrap_or(0), 0, "nothing is forwarded");
    }
}
