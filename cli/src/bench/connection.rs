//! One keep-alive HTTP connection of the benchmark's client. Requests are written and answers are
//! parsed by hand, so that the client takes little of the machine from the server. It understands
//! only answers with a length.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::failure::failed;
use crate::terminal::failure::Failure;

/// A connection to the server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    write: Vec<u8>,
}

/// An answer, valid until the next request.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

impl Connection {
    /// Connects to a server.
    pub async fn connect(address: std::net::SocketAddr) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(address).await.map_err(|error| failed(error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
        Ok(Connection { stream, read: Vec::with_capacity(4_096), write: Vec::with_capacity(4_096) })
    }

    /// Sends a request and waits for its answer. `head` holds the request line and all headers
    /// except `host` and those about the body.
    pub async fn send(&mut self, head: &str, body: &[u8]) -> Result<Answer<'_>, Failure> {
        self.write.clear();
        self.write.extend_from_slice(head.as_bytes());
        self.write.extend_from_slice(b"host: bench\r\ncontent-type: application/json\r\ncontent-length: ");
        self.write.extend_from_slice(body.len().to_string().as_bytes());
        self.write.extend_from_slice(b"\r\n\r\n");
        self.write.extend_from_slice(body);
        self.stream.write_all(&self.write).await.map_err(|error| failed(error.to_string()))?;
        self.read.clear();
        let mut head_end = None;
        loop {
            let read =
                self.stream.read_buf(&mut self.read).await.map_err(|error| failed(error.to_string()))?;
            if read == 0 {
                return Err(failed("the server closed the connection"));
            }
            if head_end.is_none() {
                head_end = find(&self.read, b"\r\n\r\n").map(|at| at + 4);
            }
            if let Some(from) = head_end {
                let length = content_length(&self.read[..from])?;
                if self.read.len() >= from + length {
                    let status = status(&self.read)?;
                    return Ok(Answer { status, body: &self.read[from..from + length] });
                }
            }
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn content_length(head: &[u8]) -> Result<usize, Failure> {
    let missing = || failed("the server's answer has no content-length");
    // Proxies write the name with capital letters.
    const NAME: &[u8] = b"content-length: ";
    let at = head.windows(NAME.len()).position(|window| window.eq_ignore_ascii_case(NAME));
    let at = at.ok_or_else(missing)? + NAME.len();
    let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Ok(digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0')))
}

fn status(head: &[u8]) -> Result<u16, Failure> {
    let digits = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| failed("the server's answer is not HTTP"))
}
