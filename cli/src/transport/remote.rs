//! Sends a request of the API to a running server over the network.
//!
//! The key comes from the environment and never from an argument, because every user of the machine
//! can see arguments.

use std::io::ErrorKind;
use std::time::Duration;

use ureq::Agent;
use ureq::http;

use super::request::{Answer, Request};
use crate::terminal::failure::{Exit, Failure};

/// How long connecting may take; a server that needs longer is not reachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a whole request may take; an overloaded server refuses requests much earlier.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The same for a request that reads the whole journal.
const LONG_REQUEST_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// The largest answer that is read. A page of 200 rows with the largest metadata has a fifth of it.
const ANSWER_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Sends a request to the server at `url`.
pub fn send(url: &str, request: Request) -> Result<Answer, Failure> {
    let key = key()?;
    let repeat_hint = request.repeat_hint();
    let timeout = if request.is_long { LONG_REQUEST_TIMEOUT } else { REQUEST_TIMEOUT };
    let message = message(url, &key, request)?;
    let agent = Agent::new_with_config(
        Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(timeout))
            .build(),
    );
    let mut response = agent.run(message).map_err(|why| unreachable(url, repeat_hint, &why))?;
    let text = response.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_string();
    let text = text.map_err(|why| unreachable(url, repeat_hint, &why))?;
    Ok(Answer::new(response.status().as_u16(), response.headers(), text))
}

fn key() -> Result<String, Failure> {
    let named = |name| std::env::var(name).ok().filter(|key| !key.is_empty());
    named("TOLLKEEPER_KEY").or_else(|| named("TOLLKEEPER_PLATFORM_KEY")).ok_or_else(|| {
        Failure::new(Exit::Usage, "no key for the server is set")
            .because("neither TOLLKEEPER_KEY nor TOLLKEEPER_PLATFORM_KEY is set")
            .hint("export TOLLKEEPER_KEY with the platform key, which the server printed at its first start, or with a key of the workspace (tollkeeper key create)")
    })
}

fn message(url: &str, key: &str, request: Request) -> Result<http::Request<Vec<u8>>, Failure> {
    let base = url.trim_end_matches('/');
    if !base.starts_with("http://") && !base.starts_with("https://") {
        return Err(Failure::new(Exit::Usage, format!("{} is not the address of a server", shown(url)))
            .hint("it must begin with http:// or https://, such as http://127.0.0.1:8080"));
    }
    let mut builder = http::Request::builder()
        .method(request.method)
        .uri(format!("{base}{}", request.path))
        .header("authorization", format!("Bearer {key}"))
        .header("accept", request.accept);
    if let Some(key) = &request.key {
        builder = builder.header("idempotency-key", key);
    }
    let body = request.body.map(|json| json.to_string().into_bytes());
    if body.is_some() {
        builder = builder.header("content-type", "application/json");
    }
    builder.body(body.unwrap_or_default()).map_err(|why| {
        Failure::new(Exit::Usage, "the request is malformed").because(why).hint(
            "check the address, the key in the environment and --key for characters that HTTP cannot hold",
        )
    })
}

fn unreachable(url: &str, repeat_hint: &str, why: &ureq::Error) -> Failure {
    let is_not_running = match why {
        ureq::Error::Io(io) => io.kind() == ErrorKind::ConnectionRefused,
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        _ => false,
    };
    let hint = if is_not_running {
        "check that the server is running; `tollkeeper serve` prints its address when it is ready"
    } else {
        repeat_hint
    };
    // The reason may repeat the address.
    let why = why.to_string().replace(url, shown(url));
    Failure::new(Exit::Unavailable, format!("the server at {} did not answer", shown(url)))
        .because(why)
        .hint(hint)
}

/// The address without the part that may hold a user and a password.
fn shown(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}
