//! Answers a request of the API in this process: opens the store and calls the router of the server
//! crate, without a socket.
//!
//! Anyone who can open the store has all rights on it, so the request carries a platform key that
//! is made at random for this one call. In a data directory, a request that reads works while a
//! server runs; a request that writes needs the directory for itself. A database can be shared.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http;
use tollkeeper_engine::{Embedded, Engine, embedded};
use tollkeeper_server::settings::{LogLevel, Secret};
use tollkeeper_server::{self as server, App, Settings, Store};

use super::request::{Access, Answer, Request, random_hex};
use crate::server_process;
use crate::terminal::failure::{Exit, Failure};

/// Answers a request from a store and closes it. A request that only reads prepares nothing there.
pub fn send(store: &Store, request: Request) -> Result<Answer, Failure> {
    let mut settings = Settings::load(None).map_err(|why| server_process::invalid_setting(&why))?;
    settings.store = store.clone();
    let key = random_hex()?;
    settings.access.platform_key = Some(Secret::new(key.clone()));
    // The public URL of links cannot come from a `Host` header here.
    settings.http.public_url.get_or_insert_with(|| format!("http://{}", settings.http.listen));
    // A 500 refers to the log by an id. The log of this process is this terminal.
    settings.log.level = LogLevel::Error;
    server::start_log(&settings.log);
    server_process::block_on(async {
        let engine = open(store, &settings, request.access).await?;
        let app = App::new(engine.clone(), &settings);
        let reads = request.access == Access::Reads;
        if !reads {
            server_process::prepare(&app, |_| {}).await?;
        }
        let answer = call(app, &key, request).await?;
        // An engine that only read has nothing to write before it closes.
        if !reads {
            let closed = engine.close().await;
            closed.map_err(|why| Failure::of_engine("the store did not close cleanly", &why))?;
        }
        Ok(answer)
    })
}

async fn open(store: &Store, settings: &Settings, access: Access) -> Result<Arc<dyn Engine>, Failure> {
    let Store::Directory(directory) = store else {
        return server_process::open(store, settings).await;
    };
    if access != Access::Creates && !embedded::holds_ledger(directory) {
        let what = if directory.is_dir() { "there is no ledger in" } else { "there is no data directory" };
        return Err(Failure::new(Exit::Unavailable, format!("{what} {}", directory.display())).hint(
            "name the right directory with --data or a running server with --server, or start with `tollkeeper demo`",
        ));
    }
    if access != Access::Reads {
        return server_process::open(store, settings)
            .await
            .map_err(|failure| failure.or_hint("send the command to the server that uses it: --server URL"));
    }
    let engine =
        Embedded::open_read_only(directory).map_err(|why| server_process::cannot_open(store, &why))?;
    Ok(Arc::new(engine))
}

/// Calls the router of the server crate, with `key` as the bearer, and reads the whole answer.
pub async fn call(app: Arc<App>, key: &str, request: Request) -> Result<Answer, Failure> {
    let body = request.body.map(|json| json.to_string());
    let mut builder = http::Request::builder()
        .method(request.method)
        .uri(&request.path)
        .header("authorization", format!("Bearer {key}"))
        .header("accept", request.accept);
    if let Some(key) = &request.key {
        builder = builder.header("idempotency-key", key);
    }
    if let Some(body) = &body {
        builder = builder.header("content-type", "application/json").header("content-length", body.len());
    }
    let message = builder.body(Body::from(body.unwrap_or_default())).map_err(|why| {
        Failure::new(Exit::Usage, "the request is malformed")
            .because(why)
            .hint("check --key for characters that an HTTP header cannot hold")
    })?;
    let response = server::router(app).answer(message).await;
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await;
    let bytes =
        bytes.map_err(|why| Failure::new(Exit::Unavailable, "the answer is incomplete").because(why))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Answer::new(parts.status.as_u16(), &parts.headers, text))
}
