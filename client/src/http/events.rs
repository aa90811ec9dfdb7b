//! The stream of a workspace: server-sent events, connected again where it broke.
//!
//! Each event has a position as its id. After a broken connection, the stream asks for what is
//! behind the last position, so no event is missed and none comes twice.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::Connection;
use super::call::error_of;
use super::retry::pause;
use super::route::{Route, query_string};
use super::transport::{Message, next_data, receive};
use crate::error::Error;

/// The longest time without a byte. The server sends a comment every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// The most bytes of an event. An entry has less than a page.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// What happened in a workspace.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The position in the journal, `EPOCH-NUMBER`.
    pub id: String,
    /// The kind of the entry; `balance` for the first event, `restored` if the position is lost.
    pub kind: String,
    /// The entry with the balance after it, or the balance.
    pub data: Value,
}

/// The events of a workspace, as a stream without an end. After an error that no repetition helps
/// it ends.
#[must_use = "events are read when they are asked for"]
pub struct Events {
    events: BoxStream<'static, Result<Event, Error>>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// The next event. It waits until there is one.
    ///
    /// # Errors
    /// The server refuses the stream, or cannot be reached after several attempts.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        self.events.next().await
    }

    pub(crate) fn new(
        connection: &Arc<Connection>,
        route: &Route,
        workspace: &str,
        kinds: Option<String>,
        after: Option<String>,
    ) -> Events {
        let follower = Follower {
            connection: Arc::clone(connection),
            method: route.method.clone(),
            path: route.path(&[workspace]),
            kinds,
            after,
            body: None,
            buffer: Vec::new(),
            failures: 0,
        };
        let events = stream::unfold(Some(follower), |follower| async move {
            let mut follower = follower?;
            match follower.next().await {
                Ok(event) => Some((Ok(event), Some(follower))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Events { events: events.boxed() }
    }
}

impl Stream for Events {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.as_mut().poll_next(context)
    }
}

/// Reads a stream, and connects again.
struct Follower {
    connection: Arc<Connection>,
    method: hyper::Method,
    path: String,
    kinds: Option<String>,
    after: Option<String>,
    body: Option<Incoming>,
    buffer: Vec<u8>,
    /// The attempts to read that failed since the last event.
    failures: u32,
}

impl Follower {
    async fn next(&mut self) -> Result<Event, Error> {
        loop {
            while let Some(block) = take_block(&mut self.buffer) {
                if let Some(event) = parse(&block) {
                    self.failures = 0;
                    self.after = Some(event.id.clone());
                    return Ok(event);
                }
            }
            if let Err(error) = self.read().await {
                self.body = None;
                self.buffer.clear();
                let Some(pause) = pause(&error, self.failures, true, &self.connection.limits) else {
                    return Err(error);
                };
                self.failures += 1;
                sleep(pause).await;
            }
        }
    }

    /// Reads the next bytes, from a new connection if there is none.
    async fn read(&mut self) -> Result<(), Error> {
        let body = match self.body.take() {
            Some(body) => body,
            None => open(&self.connection, self.message()).await?,
        };
        let body = self.body.insert(body);
        let data = timeout(SILENCE_MAX, next_data(body)).await;
        match data.map_err(|_| Error::TimedOut { after: SILENCE_MAX })?? {
            Some(data) if self.buffer.len() + data.len() <= EVENT_BYTES_MAX => {
                self.buffer.extend_from_slice(&data);
                Ok(())
            }
            Some(_) => Err(Error::UnexpectedAnswer {
                status: 200,
                detail: format!("an event has more than {EVENT_BYTES_MAX} bytes"),
                retry_after: None,
            }),
            None => Err(Error::Connection { may_have_arrived: true, source: "the stream ended".into() }),
        }
    }

    fn message(&self) -> Message {
        let given = [("after", self.after.as_deref()), ("kinds", self.kinds.as_deref())];
        let given: Vec<(&str, &str)> =
            given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        Message {
            method: self.method.clone(),
            target: format!("{}{}", self.path, query_string(&(), &given)),
            body: None,
            idempotency_key: None,
            accept: "text/event-stream",
        }
    }
}

async fn open(connection: &Connection, message: Message) -> Result<Incoming, Error> {
    let limit = connection.limits.attempt_timeout;
    let response = timeout(limit, connection.transport.open(&message)).await;
    let response = response.map_err(|_| Error::TimedOut { after: limit })??;
    if response.status().is_success() {
        return Ok(response.into_body());
    }
    let received = timeout(limit, receive(response)).await;
    Err(error_of(received.map_err(|_| Error::TimedOut { after: limit })??))
}

/// Takes the lines up to the next empty line out of the buffer.
fn take_block(buffer: &mut Vec<u8>) -> Option<String> {
    let end = buffer.windows(2).position(|pair| pair == b"\n\n")?;
    let block: Vec<u8> = buffer.drain(..end + 2).collect();
    Some(String::from_utf8_lossy(&block).into_owned())
}

/// The event in a block; `None` for a comment.
fn parse(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let values: Vec<&str> = lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect();
        (!values.is_empty()).then(|| values.join("\n"))
    };
    let data = serde_json::from_str(&field("data")?).ok()?;
    Some(Event { id: field("id")?, kind: field("event")?, data })
}

#[cfg(test)]
mod tests {
    use super::{parse, take_block};

    #[test]
    fn events_are_taken_as_blocks_and_comments_are_not_events() {
        let mut buffer =
            b"retry: 2000\nid: 1-41\nevent: balance\ndata: {\"number\":41}\n\n:\n\nid: 1-42".to_vec();
        let event = parse(&take_block(&mut buffer).expect("a block is complete")).expect("it is an event");
        assert_eq!((event.id.as_str(), event.kind.as_str()), ("1-41", "balance"));
        assert_eq!(event.data["number"], 41);
        assert_eq!(parse(&take_block(&mut buffer).expect("a comment is a block")), None);
        assert_eq!(take_block(&mut buffer), None, "the rest is not complete");
    }
}
