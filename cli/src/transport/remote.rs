//! A request of the API over the network, to a running server. The key comes from the environment, never from an
//! argument: arguments are seen by every user of the machine.

use std::io::ErrorKind;
use std::time::Duration;

use ureq::Agent;
use ureq::http;

use super::request::{Answer, Request};
use crate::terminal::failure::{Exit, Failure};

/// How long a server may take to take the connection: longer means that it is not there.
const CONNECT: Duration = Duration::from_secs(5);

/// How long an answer may take in all; a server sheds load long before.
const WHOLE: Duration = Duration::from_secs(60);

/// The largest answer: a page of 200 rows with the largest metadata is a fifth of it.
const ANSWER_MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Sends a request to the server at `url`.
pub fn send(url: &str, request: Request) -> Result<Answer, Failure> {
    let key = key()?;
    let again = request.again();
    let message = message(url, &key, request)?;
    let agent = Agent::new_with_config(
        Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(WHOLE))
            .build(),
    );
    let mut response = agent.run(message).map_err(|why| unreachable(url, again, &why))?;
    let replayed = response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
    let text = response.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_string();
    let text = text.map_err(|why| unreachable(url, again, &why))?;
    Ok(Answer { status: response.status().as_u16(), replayed, text })
}

fn key() -> Result<String, Failure> {
    let named = |name| std::env::var(name).ok().filter(|key| !key.is_empty());
    named("TOLLKEEPER_KEY").or_else(|| named("TOLLKEEPER_PLATFORM_KEY")).ok_or_else(|| {
        Failure::new(Exit::Usage, "there is no key for the server")
            .because("neither TOLLKEEPER_KEY nor TOLLKEEPER_PLATFORM_KEY is set")
            .hint("export TOLLKEEPER_KEY with the key that the server showed at its first start, or with a workspace's (tollkeeper key create)")
    })
}

fn message(url: &str, key: &str, request: Request) -> Result<http::Request<Vec<u8>>, Failure> {
    let base = url.trim_end_matches('/');
    if !base.starts_with("http://") && !base.starts_with("https://") {
        return Err(Failure::new(Exit::Usage, format!("not the address of a server: {url}"))
            .hint("it begins with http:// or https://, such as http://127.0.0.1:8080"));
    }
    let mut builder = http::Request::builder()
        .method(request.method)
        .uri(format!("{base}{}", request.path))
        .header("authorization", format!("Bearer {key}"))
        .header("accept", "application/json");
    if let Some(key) = &request.key {
        builder = builder.header("idempotency-key", key);
    }
    let body = request.body.map(|json| json.to_string().into_bytes());
    if body.is_some() {
        builder = builder.header("content-type", "application/json");
    }
    builder.body(body.unwrap_or_default()).map_err(|why| {
        Failure::new(Exit::Usage, "the request cannot be written")
            .because(why)
            .hint("look at the address, the key in the environment and --key for characters that HTTP does not carry")
    })
}

fn unreachable(url: &str, again: &str, why: &ureq::Error) -> Failure {
    let nobody_there = match why {
        ureq::Error::Io(io) => io.kind() == ErrorKind::ConnectionRefused,
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        _ => false,
    };
    let hint = if nobody_there {
        "is it running? `tollkeeper serve` says its address when it is ready"
    } else {
        again
    };
    Failure::new(Exit::NotNow, format!("the server at {url} did not answer")).because(why).hint(hint)
}
