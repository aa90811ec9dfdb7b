//! Reads the bytes of a body: only of the expected media type, only up to a size, only for a time.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, HeaderValue};
use futures_util::StreamExt;

use super::problem::{Code, Problem};

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

/// Reads a whole body.
///
/// # Errors
/// `Content-Type` is not `media`, the body is compressed, is larger than [`BODY_MAX_BYTES`], comes
/// too slowly, or ends early.
pub async fn collect(headers: &HeaderMap, body: Body, media: Media) -> Result<Bytes, Problem> {
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
    if declared.is_some_and(|length: u64| length > BODY_MAX_BYTES as u64) {
        // A client that sends `Expect: 100-continue` waits for permission and has sent nothing.
        if !headers.contains_key(EXPECT) {
            drain(&mut frames).await;
        }
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_MAX_TIME, gather(&mut frames)).await {
        // Some programs begin a text with a byte order mark; RFC 8259 allows to ignore it.
        Ok(Gathered::Whole(bytes)) if bytes.starts_with(BYTE_ORDER_MARK) => {
            Ok(bytes.slice(BYTE_ORDER_MARK.len()..))
        }
        Ok(Gathered::Whole(bytes)) => Ok(bytes),
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
            format!("The body did not arrive within {} s. Send the request again.", BODY_MAX_TIME.as_secs()),
        )),
    }
}

enum Gathered {
    Whole(Bytes),
    TooLarge,
    Broken,
}

/// Reads all frames. Most bodies have one frame, which is returned without a copy.
async fn gather(frames: &mut BodyDataStream) -> Gathered {
    let mut first = Bytes::new();
    let mut all: Vec<u8> = Vec::new();
    while let Some(frame) = frames.next().await {
        let Ok(frame) = frame else { return Gathered::Broken };
        if first.len().max(all.len()) + frame.len() > BODY_MAX_BYTES {
            return Gathered::TooLarge;
        }
        if first.is_empty() {
            first = frame;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&frame);
        }
    }
    Gathered::Whole(if all.is_empty() { first } else { Bytes::from(all) })
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
