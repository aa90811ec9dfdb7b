//! A request of the API to a data directory or a database, in this process: the same router that a server answers with,
//! without a socket. Whoever can open the store may do everything, so a key of chance is made for the one request.
//!
//! In a directory, reading works beside a running server and writing needs it for itself; a database is shared.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http;
use tollkeeper_engine::{Embedded, Engine, embedded};
use tollkeeper_server::settings::{LogLevel, Secret};
use tollkeeper_server::{self as server, App, Settings, Store};
use tower::ServiceExt;

use super::request::{Access, Answer, Request, random_hex};
use crate::server_process;
use crate::terminal::failure::{Exit, Failure};

/// Sends a request to what is kept there.
pub fn send(store: &Store, request: Request) -> Result<Answer, Failure> {
    let mut settings = Settings::load(None).map_err(|why| server_process::wrong_setting(&why))?;
    let key = random_hex()?;
    settings.platform_key = Some(Secret::new(key.clone()));
    // There is no request's `Host` to tell by where links lead.
    settings.public_url.get_or_insert_with(|| format!("http://{}", settings.listen));
    // An answer names an id in the log where it does not say what failed; there is no other log than this terminal.
    settings.log_level = LogLevel::Error;
    server::start_log(&settings);
    server_process::block_on(async {
        let engine = open(store, &settings, request.access).await?;
        let app = App::new(engine.clone(), &settings);
        let reads = request.access == Access::Reads;
        if !reads {
            server_process::prepare(&app).await?;
        }
        let answer = ask(app, &key, request).await?;
        // What only read has nothing to leave in order.
        if !reads {
            let closed = engine.close().await;
            closed.map_err(|why| Failure::of_engine("the store did not close in order", &why))?;
        }
        Ok(answer)
    })
}

async fn open(store: &Store, settings: &Settings, access: Access) -> Result<Arc<dyn Engine>, Failure> {
    let Store::Directory(directory) = store else {
        return server_process::open(store, settings).await;
    };
    if access != Access::Begins && !embedded::holds_ledger(directory) {
        let what = if directory.is_dir() { "there is no ledger in" } else { "there is no data directory" };
        return Err(Failure::new(Exit::NotNow, format!("{what} {}", directory.display())).hint(
            "give the right one with --data, a running server with --server, or begin with `tollkeeper demo`",
        ));
    }
    if access != Access::Reads {
        return server_process::open(store, settings)
            .await
            .map_err(|failure| failure.or_hint("ask the server that runs on it, with --server URL"));
    }
    let engine = Embedded::open_read_only(directory).map_err(|why| server_process::unusable(store, &why))?;
    Ok(Arc::new(engine))
}

/// Asks the router of an application, as a server would be asked.
pub async fn ask(app: Arc<App>, key: &str, request: Request) -> Result<Answer, Failure> {
    let body = request.body.map(|json| json.to_string());
    let mut builder = http::Request::builder()
        .method(request.method)
        .uri(&request.path)
        .header("authorization", format!("Bearer {key}"))
        .header("accept", "application/json");
    if let Some(key) = &request.key {
        builder = builder.header("idempotency-key", key);
    }
    if let Some(body) = &body {
        builder = builder.header("content-type", "application/json").header("content-length", body.len());
    }
    let message = builder.body(Body::from(body.unwrap_or_default())).map_err(|why| {
        Failure::new(Exit::Usage, "the request cannot be written")
            .because(why)
            .hint("look at --key for characters that HTTP does not carry")
    })?;
    let response = server::router(app).oneshot(message).await;
    let response = response.unwrap_or_else(|never| match never {});
    let status = response.status().as_u16();
    let replayed = response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
    let bytes = to_bytes(response.into_body(), usize::MAX).await;
    let bytes = bytes.map_err(|why| Failure::new(Exit::NotNow, "the answer broke off").because(why))?;
    Ok(Answer { status, replayed, text: String::from_utf8_lossy(&bytes).into_owned() })
}
