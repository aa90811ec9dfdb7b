//! `bench --usage`: how long a report of a year takes, before its days are closed and after.
//!
//! One workspace gets its charges evenly over twelve simulated months, from 200 combinations of
//! operation, worker and member. Then the use by day and operation of the whole time is asked for,
//! many times, and four calls of the API: balance, burn rate by operation, the use of the last 30
//! days, the newest entries. Then the first page of the dashboard is loaded as a browser of an
//! admin does, over a socket. The clock of the engine is the benchmark's, so the year takes as long
//! as its charges.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use serde_json::json;
use tollkeeper_engine::{Engine, GroupBy, Reads, TimeStep, UsageFilter, UsageReport, UsageRequest};
use tollkeeper_ledger::{MemberId, Submission, Timestamp, WorkerId};
use tollkeeper_server::App;

use super::connection::Connection;
use super::credentials::PLATFORM_KEY;
use super::failure::{engine_failed, failed};
use super::hostile::call;
use super::http::{app_without_limits, serve};
use super::options::Args;
use super::stats::{percentile, sorted};
use super::workload::{PlannedCharge, Workload, workspace_id};
use super::{library, now};
use crate::terminal::failure::Failure;
use crate::terminal::output;
use crate::transport::request::{Request, path};
use crate::transport::{local, problem};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// The simulated time in which the charges are made.
const HOURS: u64 = 365 * 24;

/// With five operations, 200 combinations.
const WORKERS: u64 = 20;
const MEMBERS: u64 = 2;

/// The reports that are measured, each time.
const REPORTS: usize = 100;

/// The most charges of one batch.
const BATCH_MAX: u64 = 8_190;

/// Fills the store, measures reports and prints the result.
pub async fn run(args: &Args, shared: Arc<dyn Engine>) -> Result<(), Failure> {
    let engine = &*shared;
    let end = now();
    let begin = end.plus_seconds(-365 * DAY);
    let epoch = end.millis().unsigned_abs();
    let mut workload = Workload::new(1, args.keys, args.seed, epoch);
    library::prepare_at(engine, &workload, begin.plus_seconds(-1)).await?;
    let start = Instant::now();
    fill(args, engine, &mut workload, begin).await?;
    let fill = start.elapsed();
    let request = UsageRequest {
        from: begin.plus_seconds(-DAY),
        to: end.plus_seconds(DAY),
        timezone: None,
        group_by: GroupBy { operation: true, time: Some(TimeStep::Day), ..GroupBy::default() },
        filter: UsageFilter::default(),
    };
    let (open, of_rows) = measure(engine, &request, 10).await?;
    let start = Instant::now();
    // The last days stay open, as in a server: they are closed two days later.
    let days = close_days(engine, end).await?;
    let closing = start.elapsed();
    let (closed, of_days) = measure(engine, &request, REPORTS).await?;
    if of_rows.rows != of_days.rows || of_rows.total != of_days.total {
        return Err(failed("a report of closed days differs from one of hours"));
    }
    let app = app_without_limits(Arc::clone(&shared)).await?;
    let api = measure_api(&app).await?;
    let (page, page_bytes) = measure_page(&app).await?;
    engine.close().await.map_err(|error| engine_failed(&error))?;
    let object = json!({
        "engine": args.engine().name(),
        "charges": args.charges,
        "fill_ms": fill.as_millis() as u64,
        "rows": of_days.rows.len(),
        "days_closed": days,
        "closing_ms": closing.as_millis() as u64,
        "by_hours_p50_ms": percentile(&open, 50),
        "by_hours_p99_ms": percentile(&open, 99),
        "by_days_p50_ms": percentile(&closed, 50),
        "by_days_p99_ms": percentile(&closed, 99),
        "api_p50_ms": percentile(&api, 50),
        "api_p99_ms": percentile(&api, 99),
        "page_p50_ms": percentile(&page, 50),
        "page_p99_ms": percentile(&page, 99),
        "page_bytes": page_bytes,
    });
    if args.json {
        return line(&object.to_string());
    }
    let of = |name: &str, durations: &[Duration]| {
        format!("{name}  p50 {} ms  p99 {} ms", percentile(durations, 50), percentile(durations, 99))
    };
    line(&format!("{} charges of a year in {} s", args.charges, fill.as_secs()))?;
    line(&format!("{days} days closed in {} ms", closing.as_millis()))?;
    line(&of("use by day and operation, from hours       ", &open))?;
    line(&of("use by day and operation, from closed days ", &closed))?;
    line(&of("four calls of the API, one after another   ", &api))?;
    line(&of("the first page of the dashboard, over HTTP ", &page))
}

fn line(text: &str) -> Result<(), Failure> {
    output::data(&format!("{text}\n"))
}

/// Makes the charges, those of each hour in batches of their own.
async fn fill(
    args: &Args,
    engine: &dyn Engine,
    workload: &mut Workload,
    begin: Timestamp,
) -> Result<(), Failure> {
    let mut made = 0;
    for hour in 0..HOURS {
        let at = begin.plus_seconds(hour as i64 * HOUR + HOUR / 2);
        let until = args.charges * (hour + 1) / HOURS;
        while made < until {
            let count = (until - made).min(BATCH_MAX);
            let batch = (made..made + count).map(|number| combination(workload.next(), number)).collect();
            let answers = engine.run_batch(batch, at).await.map_err(|error| engine_failed(&error))?;
            if let Some(refusal) = answers.into_iter().find_map(Result::err) {
                return Err(failed(format!("the workload was refused: {}", refusal.code())));
            }
            made += count;
        }
    }
    Ok(())
}

/// A charge with its worker and member by its number.
fn combination(planned: PlannedCharge, number: u64) -> Submission {
    // Steps of a number that shares no divisor with the combinations reach all of them.
    let number = number * 7;
    let worker = WorkerId::new(format!("worker-{}", number % WORKERS)).expect("an allowed name");
    let member = MemberId::new(format!("member-{}", number / WORKERS % MEMBERS)).expect("an allowed name");
    PlannedCharge { worker, member, ..planned }.submission()
}

/// Closes all days that can be closed; returns how many.
async fn close_days(engine: &dyn Engine, at: Timestamp) -> Result<u64, Failure> {
    let mut days = 0;
    loop {
        let closed = engine.close_days(at, 1_000).await.map_err(|error| engine_failed(&error))?;
        days += closed.days;
        if !closed.has_more {
            return Ok(days);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Asks for the same report many times; returns how long each took, sorted, and the report.
async fn measure(
    engine: &dyn Engine,
    request: &UsageRequest,
    times: usize,
) -> Result<(Vec<Duration>, UsageReport), Failure> {
    let mut durations = Vec::with_capacity(times);
    let mut last = None;
    for _ in 0..times {
        let start = Instant::now();
        let answer = engine.usage_report(&workspace_id(0), request.clone()).await;
        durations.push(start.elapsed());
        last = answer.map_err(|error| engine_failed(&error))?.and_then(Result::ok);
    }
    let report = last.ok_or_else(|| failed("the report was refused"))?;
    Ok((sorted(durations.iter()), report))
}

/// Makes four calls of the API without sockets; returns how long all of them took each time,
/// sorted.
async fn measure_api(app: &Arc<App>) -> Result<Vec<Duration>, Failure> {
    let workspace = path(&["v1", "workspaces", workspace_id(0).as_str()]);
    let mut durations = Vec::with_capacity(REPORTS);
    for _ in 0..REPORTS {
        let start = Instant::now();
        for part in ["balance", "burn-rate?group_by=operation", "usage?group_by=day", "entries?limit=20"] {
            call(app, PLATFORM_KEY, Request::get(format!("{workspace}/{part}"))).await?;
        }
        durations.push(start.elapsed());
    }
    Ok(sorted(durations.iter()))
}

/// The admin whose browser loads the page.
const ADMIN: &str = "bench-admin";

/// Loads the first page of the dashboard over one connection; returns how long each took, sorted,
/// and the size of the page.
async fn measure_page(app: &Arc<App>) -> Result<(Vec<Duration>, usize), Failure> {
    let cookie = sign_in(app).await?;
    let address = serve(tollkeeper_server::router(Arc::clone(app))).await?;
    let mut connection = Connection::connect(address).await?;
    let head = format!("GET /portal HTTP/1.1\r\naccept: text/html\r\ncookie: {cookie}\r\n");
    let (mut durations, mut bytes) = (Vec::with_capacity(REPORTS), 0);
    for _ in 0..REPORTS {
        let start = Instant::now();
        let answer = connection.send(&head, b"").await?;
        durations.push(start.elapsed());
        bytes = answer.body.len();
        if answer.status != 200 {
            return Err(failed(format!("the page was answered {}", answer.status)));
        }
    }
    Ok((sorted(durations.iter()), bytes))
}

/// Signs in an admin; returns the cookie.
async fn sign_in(app: &Arc<App>) -> Result<String, Failure> {
    let workspace = path(&["v1", "workspaces", workspace_id(0).as_str()]);
    let member = json!({"id": ADMIN, "email": "admin@example.com", "name": "Ada", "role": "admin"});
    let added = Request::write("POST", format!("{workspace}/members"), member);
    let added = local::call(Arc::clone(app), PLATFORM_KEY, added).await?;
    if !matches!(added.status, 201 | 409) {
        return Err(problem::failure(&added));
    }
    let session = Request::write("POST", format!("{workspace}/portal-sessions"), json!({"member": ADMIN}));
    let session = call(app, PLATFORM_KEY, session).await?;
    let url = session["url"].as_str().unwrap_or_default();
    let at = url.find("/portal/").ok_or_else(|| failed("there is no link to sign in"))?;
    let link = axum::http::Request::post(&url[at..]).body(Body::empty());
    let link = link.map_err(|error| failed(error.to_string()))?;
    let response = tollkeeper_server::router(Arc::clone(app)).answer(link).await;
    let cookie = response.headers().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
    let pair = cookie.and_then(|cookie| cookie.split(';').next());
    pair.map(str::to_owned).ok_or_else(|| failed("the link gave no session"))
}
