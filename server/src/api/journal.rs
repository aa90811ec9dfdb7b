//! The end of the journal of all workspaces: an anchor that is kept outside the store.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Serialize;
use tollkeeper_engine::{JournalHead, Reads};
use tollkeeper_ledger::hex;
use utoipa::ToSchema;

use crate::access::Rule::Platform;
use crate::http::call::{Call, json};
use crate::http::problem::Problem;
use crate::http::route::{Route, of};

/// The routes.
pub const ROUTES: &[Route] = &[Route::new(
    Method::GET,
    "/v1/journal/head",
    Platform,
    "Read the end of the journal",
    |call| Box::pin(head(call)),
)
.description(
    "The last place of the journal and the hash there. Keep them outside: `tollkeeper audit --expect PLACE:HASH` later proves that a data directory still holds this entry. A database has no order of all entries; there `place` is the number of entries, and `hash` is over the ends of all chains. Both change with each entry, so no later audit of a database can find them again. There each request reads every account; one that takes longer than 10 seconds is answered 503. `epoch` is one more after each restore of a backup.",
)
.response(200, of::<JournalHeadJson>, EXAMPLE)];

const EXAMPLE: &str = r#"{"epoch": 1, "place": 1024, "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "entries": 1024}"#;

/// The end of the journal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JournalHead)]
pub struct JournalHeadJson {
    /// 1, and one more after each restore of a backup.
    epoch: u64,
    /// The place of the last entry; 0 if there is none.
    place: u64,
    /// The SHA-256 there, in hex digits.
    hash: String,
    /// The number of entries.
    entries: u64,
}

/// `GET /v1/journal/head`.
async fn head(call: Call) -> Result<Response, Problem> {
    let JournalHead { epoch, place, hash, entries } = call.app.engine().journal_head().await?;
    let head = JournalHeadJson { epoch, place, hash: hex(&hash), entries };
    Ok(json(StatusCode::OK, 128, &head))
}
