//! How the bytes of a body come in: only as JSON (from a browser, as a form), only up to a bound, only within a time.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, HeaderValue};
use futures_util::StreamExt;

use super::problem::{Code, Problem};

/// The largest body, 1 MiB: a batch of a thousand charges fits in.
pub const BODY_MAX_BYTES: usize = 1 << 20;

/// How much of a body that is too large is still taken in, so that its sender gets to read the answer.
const DRAIN_MAX_BYTES: usize = 32 << 20;

/// For how long a body may take to come, and one that is too large to be taken in.
const BODY_MAX_TIME: Duration = Duration::from_secs(30);

/// What a body is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// What programs send.
    Json,
    /// What browsers send: the fields of a form.
    Form,
}

impl Media {
    /// As `Content-Type` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Media::Json => "application/json",
            Media::Form => "application/x-www-form-urlencoded",
        }
    }
}

/// Takes in a body of this kind.
///
/// # Errors
/// When it says to be something else, is larger than [`BODY_MAX_BYTES`], or does not come whole.
pub async fn take(headers: &HeaderMap, body: Body, media: Media) -> Result<Bytes, Problem> {
    if !headers.get(CONTENT_TYPE).is_some_and(|value| is(value, media)) {
        let detail = format!("Send the body as `Content-Type: {}`.", media.as_str());
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let mut frames = body.into_data_stream();
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > BODY_MAX_BYTES as u64) {
        // Who asks first whether the body is welcome has not sent it and need not.
        if !headers.contains_key(EXPECT) {
            drain(&mut frames).await;
        }
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_MAX_TIME, gather(&mut frames)).await {
        Ok(Gathered::Whole(bytes)) => Ok(bytes),
        Ok(Gathered::TooLarge) => {
            drain(&mut frames).await;
            Err(too_large())
        }
        Ok(Gathered::Broken) | Err(_) => {
            Err(Problem::new(Code::MalformedJson, "The body ended before it was complete."))
        }
    }
}

enum Gathered {
    Whole(Bytes),
    TooLarge,
    Broken,
}

/// Most bodies come in one frame, which is handed on as it is.
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

/// Takes in what a sender is still sending, within bounds, so that it gets to read why it was refused.
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
    // Whether the body ends or the time does, the answer is the same.
    let _ = tokio::time::timeout(BODY_MAX_TIME, discard).await;
}

fn too_large() -> Problem {
    Problem::new(Code::BodyTooLarge, format!("A body may have at most {BODY_MAX_BYTES} bytes."))
        .with("max_bytes", BODY_MAX_BYTES)
}

fn is(value: &HeaderValue, media: Media) -> bool {
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(media.as_str().as_bytes())
}
