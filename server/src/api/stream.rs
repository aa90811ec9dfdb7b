//! The stream of a workspace: server-sent events, one for each entry as it is committed.
//!
//! A stream holds a position and buffers nothing. It is woken by the engine, reads what is behind
//! its position, and is asked for more when the connection has room. So a slow client reads later,
//! and one that takes nothing loses its connection. Each event has the position as its id. A client
//! that sends the last one as `Last-Event-ID` goes on without a gap and without a repetition.
//!
//! The key is checked again every 15 seconds, and when an entry ends keys or members. At a
//! shutdown a stream ends at once, and its client connects to another server.
//!
//! A page of the dashboard streams the workspace of its session: charges, credit and alerts, as far
//! as its reader may see them. Of the others it is sent the balance alone.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use futures_util::stream;
use serde::Serialize;
use tokio::time::Instant;
use tollkeeper_engine::{EntryRecord, Follow, Followed, Reads, Watch};
use tollkeeper_ledger::{Entry, Kind, Role, Scope, WorkspaceId};

use super::entries::{BalanceAfterJson, ENTRY_BYTES, EntryJson, shows_team, texts};
use super::follow::{POSITION_RULE, kinds, place};
use crate::access::Rule::{SignedIn, Workspace};
use crate::access::followers::Follower;
use crate::access::{Caller, Denied};
use crate::app::App;
use crate::http::call::{Call, existing};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::Route;
use crate::reports::journal_sight::Sight;
use crate::wire::position::Position;
use crate::wire::write::Time;

/// The routes.
pub const ROUTES: &[Route] = &[Route::new(
    Method::GET,
    "/v1/workspaces/{workspace}/stream",
    Workspace(&[Scope::Read]),
    "Stream entries",
    |call| Box::pin(open(call)),
)
.description(
    "Sends what happens in a workspace as server-sent events, for as long as the client stays. The first event is \
     `balance`, the current balance with the number of the entry after which it is. Each entry is an event: its \
     name is the kind of the entry, its data is the entry as in the list, with the balance after it. Its id is the \
     position of the entry, `EPOCH-NUMBER`.\n\n\
     A client that connects again sends the last id in the header `Last-Event-ID`, as browsers do by themselves, or in \
     `after`. The entries behind it come first. If the position is not in the journal, because the ledger was \
     restored from a copy, an event `restored` says so, and the stream begins at the end.\n\n\
     A comment comes every 15 seconds if there is nothing else. The server ends a stream when it shuts down, when the \
     client takes nothing for 30 seconds, or when the key is no longer valid.",
)
.parameters(&["after", "kinds"])
.events(
    "retry: 2000\nid: 1-41\nevent: balance\ndata: {\"workspace\":\"acme\",\"number\":41, …}\n\n\
     id: 1-42\nevent: charge.opened\ndata: {\"number\":42,\"kind\":\"charge.opened\", …}\n\n",
)
.problems(&[Code::TooManyFollowers])];

/// The route for pages of the dashboard.
pub const PAGE_ROUTES: &[Route] =
    &[Route::new(Method::GET, "/portal/stream", SignedIn(Role::Member), "Stream what pages show", |call| {
        Box::pin(open_for_page(call))
    })
    .private()];

/// The kinds of entries that a page is sent, as far as its reader may see them. Of the others the
/// reader is sent the balance alone.
const PAGE_KINDS: [Kind; 12] = [
    Kind::ChargeOpened,
    Kind::ChargeSettled,
    Kind::ChargeRefunded,
    Kind::Granted,
    Kind::GrantVoided,
    Kind::ClawedBack,
    Kind::DebtRepaid,
    Kind::ClawBackRestored,
    Kind::BalanceLow,
    Kind::BalanceRecovered,
    Kind::BalanceRefused,
    Kind::LimitReached,
];

/// The kinds of entries of which every page is sent the balance alone.
const PAGE_BALANCE_KINDS: [Kind; 3] = [Kind::ReturnTaken, Kind::ClawBackIncreased, Kind::ClawBackReduced];

/// The kinds of entries with which keys or sessions may end, or a role changes.
const ENDINGS: [Kind; 6] = [
    Kind::ApiKeyRevoked,
    Kind::MemberChanged,
    Kind::MemberRemoved,
    Kind::MemberErased,
    Kind::PortalSignedOut,
    Kind::PortalAllSignedOut,
];

/// The longest time without anything that is sent, below the time-outs of common proxies.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How often the key is checked.
const RECHECK: Duration = Duration::from_secs(15);

/// The pause between two reads of a stream that has reached the end of the journal. It bounds the
/// work for a workspace in which very much happens.
const PACE: Duration = Duration::from_millis(100);

/// The pause after a read that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The most entries that are read at a time.
const PAGE_ENTRIES: usize = 100;

/// When clients connect again after a stream has ended, in milliseconds.
const RECONNECT_MILLIS: u32 = 2_000;

/// The header in which a client names the last event that it has seen.
const LAST_EVENT_ID: &str = "last-event-id";

/// The balance: at the beginning of a stream, and instead of an entry that a page does not show.
#[derive(Serialize)]
struct BalanceEvent<'a> {
    workspace: &'a str,
    /// The number of the entry after which it is the balance.
    number: u64,
    as_of: Time,
    #[serde(flatten)]
    balance: BalanceAfterJson,
}

impl<'a> BalanceEvent<'a> {
    /// The balance after an entry.
    fn after(workspace: &'a WorkspaceId, entry: &Entry) -> BalanceEvent<'a> {
        BalanceEvent {
            workspace: workspace.as_str(),
            number: entry.n,
            as_of: Time(entry.at),
            balance: entry.balance.into(),
        }
    }
}

/// The position of a client is not in the journal.
#[derive(Serialize)]
struct RestoredEvent {
    epoch: u64,
    last: String,
}

/// An open stream.
struct Stream {
    app: Arc<App>,
    caller: Caller,
    workspace: WorkspaceId,
    shows_team: bool,
    /// What the reader of a page may see; `None` if the client is no page.
    sight: Option<Sight>,
    /// The epoch of the position, which is [`Follow::after`].
    epoch: u64,
    follow: Follow,
    /// The kinds of entries that are sent; all when `None`. More may be read.
    wanted: Option<Vec<Kind>>,
    watch: Watch,
    follower: Follower,
    /// What is sent first.
    first: Option<Bytes>,
    /// True if there may be entries behind the position.
    is_behind: bool,
    /// True if the key is to be checked before anything more is sent.
    must_recheck: bool,
    heartbeat_at: Instant,
    /// When the key is checked again.
    recheck_at: Instant,
    /// The time before which nothing is read.
    rests_until: Instant,
}

/// `GET /v1/workspaces/{workspace}/stream`.
async fn open(call: Call) -> Result<Response, Problem> {
    let (workspace, kinds) = (call.workspace()?, kinds(call.query())?);
    begin(&call, workspace, kinds, shows_team(&call.caller), None).await
}

/// `GET /portal/stream`.
async fn open_for_page(call: Call) -> Result<Response, Problem> {
    let Caller::Member(signed_in) = &call.caller else {
        return Err(refusal::internal(&"the stream of a page admitted a caller without a session"));
    };
    let kinds = PAGE_KINDS.into_iter().chain(PAGE_BALANCE_KINDS).collect();
    let sight = Sight::of(&call.app.access, &signed_in.member);
    begin(&call, signed_in.workspace.clone(), Some(kinds), false, Some(sight)).await
}

/// Begins a stream where the client has stopped, or at the end of the journal.
async fn begin(
    call: &Call,
    workspace: WorkspaceId,
    kinds: Option<Vec<Kind>>,
    shows_team: bool,
    sight: Option<Sight>,
) -> Result<Response, Problem> {
    let app = Arc::clone(&call.app);
    let epoch = app.engine().platform().epoch;
    let from = last_seen(call, epoch)?;
    let follower = place(&app, &workspace)?;
    // Watched before it is read, so that nothing is missed in between.
    let watch = app.engine().watch(&workspace);
    let newest = newest(&app, &workspace).await?;
    let last = newest.entry.n;
    let is_lost = from.is_some_and(|from| from.epoch != epoch || from.n > last);
    let after = from.filter(|_| !is_lost).map_or(last, |from| from.n);
    let mut first = format!("retry: {RECONNECT_MILLIS}\n").into_bytes();
    if is_lost {
        write_restored(&mut first, Position { epoch, n: last });
    }
    let balance = BalanceEvent::after(&workspace, &newest.entry);
    // The entries before it are still to come: the id is where the stream begins.
    write_event(&mut first, Position { epoch, n: after }, "balance", &balance);
    let now = Instant::now();
    let stream = Stream {
        shows_team,
        sight,
        caller: call.caller.clone(),
        app,
        workspace,
        epoch,
        follow: Follow { after, kinds: kinds.as_deref().map(with_endings), limit: PAGE_ENTRIES },
        wanted: kinds,
        watch,
        follower,
        first: Some(first.into()),
        is_behind: after < last,
        must_recheck: false,
        heartbeat_at: now + HEARTBEAT,
        recheck_at: now + RECHECK,
        rests_until: now,
    };
    Ok(respond(stream))
}

/// The newest entry of a workspace. It is read as followers read: after a restart of the server all
/// clients come back at once, and a browser gives up when it is refused.
async fn newest(app: &App, workspace: &WorkspaceId) -> Result<EntryRecord, Problem> {
    let follow = |after| Follow { after, kinds: None, limit: 1 };
    let end = existing(workspace, app.engine().entries_after(workspace, follow(u64::MAX)).await?)?;
    let before_last = follow(end.last.saturating_sub(1));
    let last = existing(workspace, app.engine().entries_after(workspace, before_last).await?)?;
    last.data.into_iter().next().ok_or_else(|| refusal::internal(&"a workspace has no entry"))
}

/// The position that the client has seen last. The header is newer than the query: a browser that
/// connects again repeats the query.
fn last_seen(call: &Call, epoch: u64) -> Result<Option<Position>, Problem> {
    let header = match call.headers().get(LAST_EVENT_ID) {
        Some(value) => {
            let position = value.to_str().ok().and_then(|text| Position::read(text, epoch));
            Some(position.ok_or_else(|| Problem::parameter("Last-Event-ID", POSITION_RULE))?)
        }
        None => None,
    };
    let query = call.query().value("after", |text| Position::read(text, epoch), POSITION_RULE)?;
    Ok(header.or(query))
}

fn respond(stream: Stream) -> Response {
    let chunks = stream::unfold(stream, |mut stream| async move {
        let chunk = stream.next().await?;
        Some((Ok::<Bytes, Infallible>(chunk), stream))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Nginx would collect the events.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl Stream {
    /// The next bytes; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            if self.follower.is_ending() {
                return None;
            }
            let now = Instant::now();
            if (now >= self.recheck_at || self.must_recheck) && !self.is_still_admitted().await {
                return None;
            }
            if now >= self.heartbeat_at {
                return Some(self.heartbeat());
            }
            if !self.is_behind {
                self.wait_for_news().await;
            } else if self.rests().await
                && let Some(chunk) = self.read().await
            {
                return Some(chunk);
            }
        }
    }

    /// Waits until there may be an entry, a heartbeat is due, or the stream has to end.
    async fn wait_for_news(&mut self) {
        tokio::select! {
            () = self.watch.changed() => self.is_behind = true,
            () = tokio::time::sleep_until(self.heartbeat_at.min(self.recheck_at)) => {}
            () = self.follower.ending() => {}
        }
    }

    /// Waits until it may read again; returns false if it has to end.
    async fn rests(&mut self) -> bool {
        if Instant::now() < self.rests_until {
            tokio::select! {
                () = tokio::time::sleep_until(self.rests_until) => {}
                () = self.follower.ending() => return false,
            }
        }
        true
    }

    /// The events behind the position; `None` if there are none.
    async fn read(&mut self) -> Option<Bytes> {
        let read = self.app.engine().entries_after(&self.workspace, self.follow.clone()).await;
        match read {
            Ok(Some(followed)) => {
                let epoch = self.app.engine().platform().epoch;
                if epoch != self.epoch || followed.last < self.follow.after {
                    return Some(self.begin_at_end(Position { epoch, n: followed.last }));
                }
                let written = self.write(&followed).await;
                written.unwrap_or_else(|problem| {
                    self.rest_after_failure(&problem.detail);
                    None
                })
            }
            // A workspace that existed is gone only with the store.
            Ok(None) => {
                self.rest_after_failure(&"the workspace is not there");
                None
            }
            Err(error) => {
                self.rest_after_failure(&error);
                None
            }
        }
    }

    fn rest_after_failure(&mut self, why: &dyn std::fmt::Display) {
        tracing::debug!(%why, "a stream could not read; it tries again");
        self.rests_until = Instant::now() + RETRY_PAUSE;
    }

    /// The events of entries, and moves the position behind them.
    async fn write(&mut self, followed: &Followed) -> Result<Option<Bytes>, Problem> {
        let Followed { data, through, last } = followed;
        if data.iter().any(|record| kind(record) == Kind::MemberChanged) {
            self.look_again().await;
        }
        let texts = texts(&self.app, &self.workspace, data, self.shows_team).await?;
        let mut bytes = Vec::with_capacity(ENTRY_BYTES * data.len());
        let wanted = self.wanted.as_deref();
        let is_wanted = |record: &&EntryRecord| wanted.is_none_or(|kinds| kinds.contains(&kind(record)));
        for record in data.iter().filter(is_wanted) {
            let position = Position { epoch: self.epoch, n: record.entry.n };
            if self.shows(record) {
                let entry = EntryJson::of(record, self.shows_team, &texts);
                write_event(&mut bytes, position, kind(record).as_str(), &entry);
            } else {
                let balance = BalanceEvent::after(&self.workspace, &record.entry);
                write_event(&mut bytes, position, "balance", &balance);
            }
        }
        self.must_recheck |= data.iter().any(|record| ENDINGS.contains(&kind(record)));
        self.follow.after = *through;
        self.is_behind = through < last;
        if !self.is_behind {
            self.rests_until = Instant::now() + PACE;
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        self.heartbeat_at = Instant::now() + HEARTBEAT;
        Ok(Some(bytes.into()))
    }

    /// Finds out what the member of a page may see in the present role. If that cannot be read, it
    /// stays as it was until the next check.
    async fn look_again(&mut self) {
        if let Caller::Member(signed_in) = &self.caller
            && signed_in.viewer.is_none()
            && let Ok(Some(team)) = self.app.access.team(&self.workspace).await
            && let Some(member) = team.member(&signed_in.member.id)
        {
            self.sight = Some(Sight::of(&self.app.access, member));
        }
    }

    /// Whether the client is sent an entry, and not the balance alone.
    fn shows(&self, record: &EntryRecord) -> bool {
        self.sight
            .as_ref()
            .is_none_or(|sight| sight.admits(&record.entry) && !PAGE_BALANCE_KINDS.contains(&kind(record)))
    }

    /// The event of a restore, after which the stream goes on at the end of the journal.
    fn begin_at_end(&mut self, last: Position) -> Bytes {
        self.epoch = last.epoch;
        self.follow.after = last.n;
        let mut bytes = Vec::new();
        write_restored(&mut bytes, last);
        bytes.into()
    }

    /// A comment, with the position: a client that connects again does not read all that its kinds
    /// left out.
    fn heartbeat(&mut self) -> Bytes {
        self.heartbeat_at = Instant::now() + HEARTBEAT;
        let position = Position { epoch: self.epoch, n: self.follow.after };
        format!(": heartbeat\nid: {position}\n\n").into()
    }

    /// Checks that the key is still valid, and what the member may see in the present role. While
    /// that cannot be read, it counts as it was.
    async fn is_still_admitted(&mut self) -> bool {
        self.must_recheck = false;
        self.recheck_at = Instant::now() + RECHECK;
        self.look_again().await;
        let checked = self.app.access.recheck(&self.caller, self.app.now()).await;
        !matches!(checked, Err(Denied::Unauthenticated(_)))
    }
}

fn kind(record: &EntryRecord) -> Kind {
    record.entry.body.kind()
}

/// The kinds that are read for a stream of these kinds.
fn with_endings(kinds: &[Kind]) -> Vec<Kind> {
    let more = ENDINGS.iter().filter(|kind| !kinds.contains(kind));
    kinds.iter().chain(more).copied().collect()
}

fn write_event(bytes: &mut Vec<u8>, id: Position, name: &str, data: &impl Serialize) {
    bytes.extend_from_slice(format!("id: {id}\nevent: {name}\ndata: ").as_bytes());
    // JSON that is not indented has no line breaks.
    serde_json::to_writer(&mut *bytes, data).expect("events have string keys and are written to memory");
    bytes.extend_from_slice(b"\n\n");
}

fn write_restored(bytes: &mut Vec<u8>, last: Position) {
    let event = RestoredEvent { epoch: last.epoch, last: last.to_string() };
    write_event(bytes, last, "restored", &event);
}
