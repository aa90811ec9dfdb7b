//! `tollkeeper bench --hostile`: what a tenant notices of a hostile neighbour.
//!
//! A *quiet* tenant charges at a fixed rate over one connection. First it is alone; then, once for
//! each attack, a hostile tenant sends as fast as it can beside it. The report shows the quiet
//! tenant's latencies with and without the attack, how many of its charges were not accepted, and
//! whether it kept its service.
//! The server has its default settings. Server, quiet tenant and hostile tenant share the machine,
//! so a part of every slowdown is the processor time that the attacker's own client takes.
//!
//! ```text
//! attacks    the requests of the hostile tenant
//! phase      one phase of a fixed length: the quiet tenant, and the attackers beside it
//! ```

mod attacks;
mod phase;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tollkeeper_engine::Engine;
use tollkeeper_server::settings::{AccessSettings, Secret};
use tollkeeper_server::{App, Settings};

use self::attacks::{ATTACKS, Attack, Target};
use self::phase::{Measured, Quiet};
use super::credentials::PLATFORM_KEY;
use super::failure::{engine_failed, failed};
use super::http::serve;
use super::options::Args;
use super::stats::{at_percent, peak_rss_mb, percentile, sorted};
use crate::terminal::failure::Failure;
use crate::terminal::output;
use crate::transport::request::{Request, path};
use crate::transport::{local, problem};

/// The quiet tenant keeps its service if its p99 is below this, or below [`SLOWER_MAX`] times its
/// p99 without an attack, and if all its charges are accepted.
const P99_MAX: Duration = Duration::from_millis(50);
const SLOWER_MAX: u32 = 10;

/// The workspace of the quiet tenant.
const QUIET: &str = "quiet";

/// The workspace of the hostile tenant.
const HOSTILE: &str = "hostile";

/// Measures all attacks on an engine, prints the report and closes the engine.
pub async fn run(args: &Args, engine: Arc<dyn Engine>) -> Result<(), Failure> {
    let access =
        AccessSettings { platform_key: Some(Secret::new(PLATFORM_KEY)), ..AccessSettings::default() };
    let app = App::new(Arc::clone(&engine), &Settings { access, ..Settings::default() });
    tollkeeper_server::prepare(&app).await.map_err(|error| failed(error.to_string()))?;
    let run = format!("{:x}", crate::server_process::now().millis());
    let quiet_key = tenant(&app, QUIET, &["charge"]).await?;
    let hostile_key = tenant(&app, HOSTILE, &["charge", "read", "manage"]).await?;
    let target = Target::prepare(&app, HOSTILE, hostile_key, run.clone()).await?;
    let address = serve(tollkeeper_server::router(app)).await?;
    let quiet = Quiet { address, workspace: QUIET, key: quiet_key, run };

    let alone = phase::run(&quiet, None).await?;
    let mut phases = Vec::new();
    for attack in &ATTACKS {
        phases.push((attack, phase::run(&quiet, Some((attack, &target))).await?));
    }
    engine.close().await.map_err(|error| engine_failed(&error))?;
    print(args, &alone, &phases)
}

/// Creates a tenant with credit and an API key, if it is not there; returns a new key.
pub async fn tenant(app: &Arc<App>, workspace: &str, scopes: &[&str]) -> Result<String, Failure> {
    let create =
        Request::write("POST", path(&["v1", "workspaces"]), json!({"id": workspace, "name": workspace}));
    let created = local::call(Arc::clone(app), PLATFORM_KEY, create).await?;
    if !matches!(created.status, 201 | 409) {
        return Err(problem::failure(&created));
    }
    let mut grant = Request::write(
        "POST",
        path(&["v1", "workspaces", workspace, "grants"]),
        json!({"source": "promotional", "amount": 100_000_000_000_i64, "reason": "benchmark"}),
    );
    grant.key = Some("benchmark".to_owned());
    call(app, PLATFORM_KEY, grant).await?;
    let key = Request::write(
        "POST",
        path(&["v1", "workspaces", workspace, "api-keys"]),
        json!({"name": "benchmark", "scopes": scopes}),
    );
    let key = call(app, PLATFORM_KEY, key).await?;
    key["secret"].as_str().map(str::to_owned).ok_or_else(|| failed("the new key has no secret"))
}

/// Sends a request to the server in this process; its JSON answer, or the problem as a failure.
pub async fn call(app: &Arc<App>, key: &str, request: Request) -> Result<Value, Failure> {
    let answer = local::call(Arc::clone(app), key, request).await?;
    if !(200..300).contains(&answer.status) {
        return Err(problem::failure(&answer));
    }
    serde_json::from_str(&answer.text).map_err(|error| failed(error.to_string()))
}

/// Whether the quiet tenant kept its service during an attack.
fn is_within_bounds(alone: &Measured, attacked: &Measured) -> bool {
    let p99 = |measured: &Measured| at_percent(&sorted(measured.latencies.iter()), 99);
    let (Some(alone), Some(p99)) = (p99(alone), p99(attacked)) else { return false };
    attacked.refused == 0 && p99 < P99_MAX.max(alone * SLOWER_MAX)
}

fn print(args: &Args, alone: &Measured, phases: &[(&Attack, Measured)]) -> Result<(), Failure> {
    let row = |name: &str, measured: &Measured| {
        let latencies = sorted(measured.latencies.iter());
        json!({
            "attack": name,
            "quiet_p50_ms": percentile(&latencies, 50),
            "quiet_p99_ms": percentile(&latencies, 99),
            "quiet_max_ms": percentile(&latencies, 100),
            "quiet_charges": latencies.len(),
            "quiet_refused": measured.refused,
            "hostile_requests": measured.hostile_requests,
        })
    };
    let mut rows = vec![row("none", alone)];
    rows.extend(phases.iter().map(|(attack, measured)| row(attack.name, measured)));
    let out_of_bounds: Vec<&str> = phases
        .iter()
        .filter(|(_, measured)| !is_within_bounds(alone, measured))
        .map(|(attack, _)| attack.name)
        .collect();
    if args.json {
        let report = json!({
            "engine": args.engine().name(),
            "hostile": rows,
            "out_of_bounds": out_of_bounds,
            "peak_rss_mb": peak_rss_mb(),
        });
        return output::data(&format!("{report}\n"));
    }
    let mut text = format!("engine: {}\n\n", args.engine().name());
    text += &format!(
        "{:<14}{:>10}{:>10}{:>10}{:>9}{:>9}{:>10}\n",
        "attack", "p50 ms", "p99 ms", "max ms", "charges", "refused", "attacks"
    );
    for row in &rows {
        let cell = |name: &str| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
        text += &format!(
            "{:<14}{:>10}{:>10}{:>10}{:>9}{:>9}{:>10}\n",
            cell("attack"),
            cell("quiet_p50_ms"),
            cell("quiet_p99_ms"),
            cell("quiet_max_ms"),
            cell("quiet_charges"),
            cell("quiet_refused"),
            cell("hostile_requests"),
        );
    }
    let bounds = format!(
        "p99 below {} ms or {SLOWER_MAX} times that without an attack, and no charge refused",
        P99_MAX.as_millis()
    );
    text += &match out_of_bounds.as_slice() {
        [] => format!("\nwithin bounds: {bounds}\n"),
        names => format!("\nout of bounds ({bounds}): {}\n", names.join(", ")),
    };
    if let Some(peak) = peak_rss_mb() {
        text += &format!("memory of server and clients together, at most: {peak} MiB\n");
    }
    output::data(&text)
}
