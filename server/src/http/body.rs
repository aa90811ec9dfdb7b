//! Reads the bytes of a body: only of the expected media type, only up to a size, only for a time,
//! and only if its tenant has a share left for it (`access::large`).

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, HeaderValue};
use futures_util::StreamExt;

use super::problem::{Code, Problem};
use crate::access::large::{LargeBodies, SMALL_MAX_BYTES, Share, Tenant};

/// The largest body: 1 MiB, enough for a batch of 1,000 charges.
pub const BODY_MAX_BYTES: usize = 1 << 20;

/// How many bytes of a body that is too large are still read and discarded. Many clients read the
/// response only after they have sent their body.
const DRAIN_MAX_BYTES: usize = 32 << 20;

/// The longest time to read a body, and to discard one that is too large.
const BODY_MAX_TIME: Duration = Duration::from_secs(30);

/// What some programs write before a text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The media type of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// JSON, from API clients.
    Json,
    /// The fields of an HTML form, from browsers.
    Form,
}

impl Media {
    /// The value of the header `Content-Type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Media::Json => "application/json",
            Media::Form => "application/x-www-form-urlencoded",
        }
    }
}

/// The bytes of a body, and its share of the bytes that are under way.
pub type Collected = (Bytes, Option<Share>);

/// Reads a whole body.
///
/// # Errors
/// `Content-Type` is not `media`, the body is compressed, is larger than [`BODY_MAX_BYTES`], comes
/// too slowly, or ends early, or its tenant has too many bytes under way.
pub async fn collect(
    headers: &HeaderMap,
    body: Body,
    media: Media,
    bounds: (&Arc<LargeBodies>, &Tenant),
) -> Result<Collected, Problem> {
    collect_within(BODY_MAX_TIME, headers, body, media, bounds).await
}

async fn collect_within(
    max_time: Duration,
    headers: &HeaderMap,
    body: Body,
    media: Media,
    (large, tenant): (&Arc<LargeBodies>, &Tenant),
) -> Result<Collected, Problem> {
    if !headers.get(CONTENT_TYPE).is_some_and(|value| is(value, media)) {
        let detail = format!("Send the body as `Content-Type: {}`.", media.as_str());
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let detail =
            "Send the body as it is: the header `Content-Encoding` names an encoding, and none is taken.";
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let mut frames = body.into_data_stream();
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > BODY_MAX_BYTES) {
        // A client that sends `Expect: 100-continue` waits for permission and has sent nothing.
        if !headers.contains_key(EXPECT) {
            drain(&mut frames).await;
        }
        return Err(too_large());
    }
    let mut share = match declared {
        Some(length) if length > SMALL_MAX_BYTES => Some(take_share(large, tenant, length).await?),
        _ => None,
    };
    let small = if share.is_some() { BODY_MAX_BYTES } else { SMALL_MAX_BYTES };
    let mut gathering = Gathering::new(declared.unwrap_or_default());
    let mut gathered = tokio::time::timeout(max_time, gathering.read_to(&mut frames, small)).await;
    if matches!(gathered, Ok(Gathered::TooLarge)) && share.is_none() {
        // The body did not say how long it is.
        share = Some(take_share(large, tenant, BODY_MAX_BYTES).await?);
        gathered = tokio::time::timeout(max_time, gathering.read_to(&mut frames, BODY_MAX_BYTES)).await;
    }
    match gathered {
        // Some programs begin a text with a byte order mark; RFC 8259 allows to ignore it.
        Ok(Gathered::Whole(bytes)) if bytes.starts_with(BYTE_ORDER_MARK) => {
            Ok((bytes.slice(BYTE_ORDER_MARK.len()..), share))
        }
        Ok(Gathered::Whole(bytes)) => Ok((bytes, share)),
        Ok(Gathered::TooLarge) => {
            drain(&mut frames).await;
            Err(too_large())
        }
        Ok(Gathered::Broken) => Err(Problem::new(
            Code::MalformedJson,
            "The body did not arrive completely. Send the request again.",
        )),
        Err(_) => Err(Problem::new(
            Code::RequestTimeout,
            format!("The body did not arrive within {} s. Send the request again.", max_time.as_secs()),
        )),
    }
}

async fn take_share(large: &Arc<LargeBodies>, tenant: &Tenant, bytes: usize) -> Result<Share, Problem> {
    let share = large.share(tenant, bytes).await;
    share.ok_or_else(|| {
        let detail =
            "Too many large requests are under way, and this one was not processed. Repeat it in a moment.";
        Problem::new(Code::Overloaded, detail)
    })
}

enum Gathered {
    Whole(Bytes),
    TooLarge,
    Broken,
}

/// A body that is being read. Most bodies have one frame, which is returned without a copy.
struct Gathering {
    declared: usize,
    first: Bytes,
    all: Vec<u8>,
}

impl Gathering {
    fn new(declared: usize) -> Gathering {
        Gathering { declared, first: Bytes::new(), all: Vec::new() }
    }

    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    /// Reads until the end, or until there are more than `most` bytes.
    async fn read_to(&mut self, frames: &mut BodyDataStream, most: usize) -> Gathered {
        while self.len() <= most {
            let Some(frame) = frames.next().await else {
                let (first, all) = (std::mem::take(&mut self.first), std::mem::take(&mut self.all));
                return Gathered::Whole(if all.is_empty() { first } else { Bytes::from(all) });
            };
            let Ok(frame) = frame else { return Gathered::Broken };
            if self.first.is_empty() {
                self.first = frame;
            } else {
                if self.all.is_empty() {
                    self.all.reserve_exact(self.declared);
                    self.all.extend_from_slice(&self.first);
                }
                self.all.extend_from_slice(&frame);
            }
        }
        Gathered::TooLarge
    }
}

/// Reads and discards the rest of a body within bounds, so that the client gets to read the
/// response.
async fn drain(frames: &mut BodyDataStream) {
    let discard = async {
        let mut left = DRAIN_MAX_BYTES;
        while let Some(Ok(frame)) = frames.next().await {
            left = left.saturating_sub(frame.len());
            if left == 0 {
                break;
            }
        }
    };
    // The response is the same, whether the body ended or the time ran out.
    let _ = tokio::time::timeout(BODY_MAX_TIME, discard).await;
}

fn too_large() -> Problem {
    Problem::new(Code::BodyTooLarge, format!("The body may have at most {BODY_MAX_BYTES} bytes."))
        .with("max_bytes", BODY_MAX_BYTES)
}

fn is(value: &HeaderValue, media: Media) -> bool {
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(media.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn collected(frames: &[&str], is_whole: bool) -> Result<Bytes, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let frame = |frame: &&str| match *frame {
            "broken" => Err(std::io::Error::other("the client is gone")),
            bytes => Ok(Bytes::copy_from_slice(bytes.as_bytes())),
        };
        let frames: Vec<_> = frames.iter().map(frame).collect();
        let frames = stream::iter(frames);
        let body = if is_whole {
            Body::from_stream(frames)
        } else {
            Body::from_stream(frames.chain(stream::pending()))
        };
        let bounds = (&LargeBodies::new(), &Tenant::Nobody);
        collect_within(Duration::ZERO, &headers, body, Media::Json, bounds).await.map(|(bytes, _)| bytes)
    }

    #[tokio::test]
    async fn a_body_is_whole_or_says_why_it_is_not() {
        let whole = collected(&["{\"a\":", "1", "}"], true).await.expect("it is whole");
        assert_eq!(whole, "{\"a\":1}");
        let slow = collected(&["{\"a\":"], false).await.expect_err("the rest does not come");
        assert_eq!((slow.code, slow.code.status(), slow.code.retryable()), (Code::RequestTimeout, 408, true));
        let broken = collected(&["{", "broken"], true).await;
        assert_eq!(broken.expect_err("it broke").code, Code::MalformedJson);
        let half = "x".repeat(BODY_MAX_BYTES / 2);
        let large = collected(&[&half, &half, "x"], true).await;
        assert_eq!(large.expect_err("it is too large").code, Code::BodyTooLarge);
    }
}
