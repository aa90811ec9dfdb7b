//! The entries behind a position, oldest first, and waiting for the next one: how a client follows
//! the journal by requests. The stream of `stream` follows it by one response.
//!
//! A position is only good in its epoch (see `wire::position`). A request that waits is woken by
//! the engine, and reads again; at a shutdown it is answered at once.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use tokio::time::Instant;
use tollkeeper_engine::{Follow, Followed, Reads};
use tollkeeper_ledger::{Kind, WorkspaceId};

use super::entries::{ENTRY_BYTES, EntryJson, shows_team, texts};
use crate::access::followers::{FOLLOWERS_OF_WORKSPACE_MAX, Follower, NoPlace};
use crate::app::App;
use crate::http::call::{Call, existing, json};
use crate::http::problem::{Code, Problem};
use crate::http::query::Query;
use crate::wire::position::Position;

/// The longest time that a request waits: less than the minute after which many proxies give up.
pub(super) const WAIT_MAX_SECONDS: u64 = 30;

/// The rule for positions, to follow the parameter's name.
pub(super) const POSITION_RULE: &str = "must be the number of an entry, or its epoch and number such as 1-42";

/// The most characters of an unknown kind that are repeated in the problem.
const KIND_SHOWN: usize = 64;

/// A list of entries behind a position.
#[derive(Debug, Serialize)]
struct FollowedJson<'a> {
    data: Vec<EntryJson<'a>>,
    /// Always null: `after` says where to go on.
    next_cursor: Option<&'a str>,
    after: String,
}

/// `GET /v1/workspaces/{workspace}/entries?after=`.
pub(super) async fn list(call: &Call, after: &str) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let app = &call.app;
    let page = call.query().page()?;
    if page.cursor.is_some() {
        return Err(Problem::parameter("cursor", "is not taken with `after`"));
    }
    let position = Position::read(after, app.engine().platform().epoch);
    let position = position.ok_or_else(|| Problem::parameter("after", POSITION_RULE))?;
    let kinds = kinds(call.query())?;
    let seconds = |text: &str| text.parse().ok().filter(|seconds| *seconds <= WAIT_MAX_SECONDS);
    let wait = call.query().value("wait", seconds, "must be 0 to 30 seconds")?.unwrap_or(0);
    let follow = Follow { after: position.n, kinds, limit: page.limit };
    let followed = match wait {
        0 => read(app, &workspace, position.epoch, follow).await?,
        _ => {
            let followed = wait_for(app, &workspace, position.epoch, follow, wait).await?;
            // The key may have been revoked meanwhile.
            app.access.recheck(&call.caller, app.now()).await?;
            followed
        }
    };
    let shows_team = shows_team(&call.caller);
    let texts = texts(app, &workspace, &followed.data, shows_team).await?;
    let answer = FollowedJson {
        data: followed.data.iter().map(|record| EntryJson::of(record, shows_team, &texts)).collect(),
        next_cursor: None,
        after: Position { epoch: position.epoch, n: followed.through }.to_string(),
    };
    Ok(json(StatusCode::OK, ENTRY_BYTES * followed.data.len() + 64, &answer))
}

/// Reads what is behind a position of this epoch.
///
/// # Errors
/// The position is not in the journal; or the engine cannot read.
async fn read(app: &App, workspace: &WorkspaceId, epoch: u64, follow: Follow) -> Result<Followed, Problem> {
    let after = follow.after;
    let followed = existing(workspace, app.engine().entries_after(workspace, follow).await?)?;
    let current = app.engine().platform().epoch;
    if epoch != current || followed.last < after {
        let last = Position { epoch: current, n: followed.last }.to_string();
        let detail = "The position is not in the journal: the ledger was restored from a copy, \
                      or the position is of another workspace.";
        return Err(Problem::new(Code::PositionLost, detail).with("epoch", current).with("last", last));
    }
    Ok(followed)
}

/// The same, and waits for an entry if there is none.
async fn wait_for(
    app: &App,
    workspace: &WorkspaceId,
    epoch: u64,
    mut follow: Follow,
    seconds: u64,
) -> Result<Followed, Problem> {
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut follower = place(app, workspace)?;
    let mut watch = app.engine().watch(workspace);
    loop {
        let followed = read(app, workspace, epoch, follow.clone()).await?;
        if !followed.data.is_empty() || follower.is_ending() || Instant::now() >= until {
            return Ok(followed);
        }
        follow.after = followed.through;
        if followed.through < followed.last {
            continue;
        }
        tokio::select! {
            () = watch.changed() => {}
            () = follower.ending() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

/// A place among those who follow journals.
///
/// # Errors
/// Too many follow the workspace (429), or any (503).
pub(super) fn place(app: &App, workspace: &WorkspaceId) -> Result<Follower, Problem> {
    app.followers.enter(workspace).map_err(|why| match why {
        NoPlace::OfServer => {
            Problem::new(Code::Overloaded, "The server has no place for another stream at the moment.")
        }
        NoPlace::OfWorkspace => Problem::new(
            Code::TooManyFollowers,
            format!("The workspace has {FOLLOWERS_OF_WORKSPACE_MAX} open streams and waiting requests."),
        ),
    })
}

/// The kinds of the parameter `kinds`; `None` for all.
///
/// # Errors
/// One of them is no kind of entry.
pub(super) fn kinds(query: &Query) -> Result<Option<Vec<Kind>>, Problem> {
    let Some(names) = query.get("kinds") else { return Ok(None) };
    let mut kinds = Vec::new();
    for name in names.split(',') {
        let kind = Kind::named(name).ok_or_else(|| {
            let shown: String = name.chars().take(KIND_SHOWN).collect();
            Problem::parameter("kinds", &format!("has `{shown}`, which is no kind of entry"))
        })?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(Some(kinds))
}
