//! A TCP proxy to a server that loses answers: it takes the whole answer and then closes the
//! connection of the client.
//!
//! So the server has carried the request out, and the client cannot know it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The proxy. It ends with the runtime of its test.
pub struct CuttingProxy {
    pub url: String,
    to_lose: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl CuttingProxy {
    /// A proxy to the server at `target`, a host and port.
    pub async fn to(target: &str) -> CuttingProxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a listener has an address"));
        let to_lose = Arc::new(AtomicUsize::new(0));
        let connections = Arc::new(AtomicUsize::new(0));
        let (target, counter, accepted) = (target.to_owned(), Arc::clone(&to_lose), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(forward(client, target.clone(), Arc::clone(&counter)));
            }
        });
        CuttingProxy { url, to_lose, connections }
    }

    /// The connections that clients have made.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Loses the next answers, this many.
    pub fn lose_answers(&self, count: usize) {
        self.to_lose.store(count, Ordering::SeqCst);
    }

    /// The answers that are still to be lost.
    pub fn left_to_lose(&self) -> usize {
        self.to_lose.load(Ordering::SeqCst)
    }
}

/// Forwards both directions until either end closes. An answer begins with the first bytes of the
/// server behind bytes of the client.
async fn forward(mut client: TcpStream, target: String, to_lose: Arc<AtomicUsize>) {
    let mut server = TcpStream::connect(target).await.expect("the server accepts");
    let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            count = client.read(&mut asked) => match count {
                Ok(count) if count > 0 => {
                    if server.write_all(&asked[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            count = server.read(&mut answered) => match count {
                Ok(count) if count > 0 => {
                    let lost = to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                    if lost.is_ok() || client.write_all(&answered[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
