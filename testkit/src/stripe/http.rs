//! The HTTP server: one thread with a runtime, one connection loop, faults on the way.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use axum::body::{Body, to_bytes};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use super::error::StripeError;
use super::faults::Fault;
use super::idempotency::{KeyState, Saved};
use super::params::Params;
use super::recorded::RecordedRequest;
use super::router;
use super::world::{Call, Cause, World};

/// More than any request that Stripe takes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// What the server thread and the controls share.
#[derive(Debug)]
pub(super) struct Shared {
    world: Mutex<World>,
    /// Grows with each release of hanging requests.
    pub released: watch::Sender<u64>,
    pub hanging: watch::Sender<u64>,
    /// Open connections, and requests that are not answered.
    pub open: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(world: World) -> Shared {
        let [released, hanging, open] = [(); 3].map(|()| watch::Sender::new(0));
        Shared { world: Mutex::new(world), released, hanging, open }
    }

    /// The state. A test that panics while it holds the lock does not hide its message.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hang(&self) {
        let mut released = self.released.subscribe();
        let seen = *released.borrow_and_update();
        let _counted = Hanging::count(self);
        // An error means that the stand-in is gone, and so is the reason to wait.
        let _ = released.wait_for(|now| *now > seen).await;
    }
}

/// One request that hangs. A client that gives up drops it.
struct Hanging<'a>(&'a Shared);

impl Hanging<'_> {
    fn count(shared: &Shared) -> Hanging<'_> {
        shared.hanging.send_modify(|count| *count += 1);
        Hanging(shared)
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.hanging.send_modify(|count| *count -= 1);
    }
}

/// One open connection, or one request that is not answered.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Open {
        shared.open.send_modify(|count| *count += 1);
        Open(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|count| *count -= 1);
    }
}

/// The running server.
#[derive(Debug)]
pub(super) struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server thread was printed; a second one here would abort the test.
            let _ = thread.join();
        }
    }
}

/// Binds a port of this machine and returns its address with the listener.
pub(super) fn bind() -> (SocketAddr, std::net::TcpListener) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("this machine has a free port");
    listener.set_nonblocking(true).expect("a listener can be polled");
    (listener.local_addr().expect("it is bound"), listener)
}

/// Serves on a thread of its own until the server is dropped.
pub(super) fn start(listener: std::net::TcpListener, shared: Arc<Shared>) -> Server {
    let (stop, stopped) = oneshot::channel();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("the listener is nonblocking");
            tokio::select! {
                () = accept(&listener, shared) => {}
                _ = stopped => {}
            }
        });
        runtime.shutdown_background();
    };
    let thread = std::thread::Builder::new().name("stripe-stand-in".to_owned()).spawn(run);
    Server { stop: Some(stop), thread: Some(thread.expect("a thread can be started")) }
}

async fn accept(listener: &TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let counted = Open::new(&shared);
        tokio::spawn(async move {
            let shared = Arc::clone(&counted.0);
            // A task of its own: a request goes on when its client has given up, as at Stripe.
            let service = service_fn(move |request| {
                let answer = tokio::spawn(serve(Arc::clone(&shared), request));
                async move { answer.await.unwrap_or(Err(Cut)) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            // A cut connection ends with an error, which is what was asked for.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was cut")
    }
}

impl std::error::Error for Cut {}

impl From<Infallible> for Cut {
    fn from(never: Infallible) -> Cut {
        match never {}
    }
}

/// What is sent: status, body, and whether it is a replay.
struct Sent {
    status: u16,
    body: String,
    replayed: bool,
}

impl Sent {
    fn error(error: &StripeError) -> Sent {
        Sent { status: error.status, body: error.body.to_string(), replayed: false }
    }

    fn kept(&self) -> Saved {
        Saved { status: self.status, body: self.body.clone() }
    }
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
    let _counted = Open::new(&shared);
    let (head, body) = request.into_parts();
    let body = to_bytes(Body::new(body), BODY_BYTES_MAX).await.map_err(|_| Cut)?;
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
    let (number, fault) = {
        let mut world = shared.world();
        let path = head.uri.path().to_owned();
        let number = world.requests.len();
        let fault = world.faults.take(number, head.method.as_str(), &path);
        let request = RecordedRequest {
            method: head.method.as_str().to_owned(),
            path,
            query: pairs(head.uri.query().unwrap_or_default().as_bytes()),
            headers: headers.collect(),
            form: pairs(&body),
            status: None,
            replayed: false,
            fault,
            at: world.now,
        };
        world.requests.push(request);
        (number, fault)
    };
    let begun = begin(&mut shared.world(), number, fault);
    let sent = match begun {
        Err(sent) => sent,
        Ok(key) => {
            if fault == Some(Fault::HangBefore) {
                shared.hang().await;
            }
            let (sent, saved) = carry_out(&mut shared.world(), number, key.as_deref(), fault);
            // The key stays in use until the answer is ready.
            match fault {
                Some(Fault::HangAfter) => shared.hang().await,
                Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
                _ => {}
            }
            if let Some(key) = key {
                match saved {
                    Some(saved) => shared.world().keys.save(&key, saved),
                    None => shared.world().keys.abandon(&key),
                }
            }
            sent
        }
    };
    if matches!(fault, Some(Fault::CutBefore | Fault::CutAfter)) {
        return Err(Cut);
    }
    shared.world().requests[number].status = Some(sent.status);
    shared.world().requests[number].replayed = sent.replayed;
    let mut response = Response::builder()
        .status(sent.status)
        .header("content-type", "application/json")
        .header("request-id", request_id(number));
    if sent.replayed {
        response = response.header("idempotent-replayed", "true");
    }
    response.body(Body::from(sent.body)).map_err(|_| Cut)
}

fn request_id(number: usize) -> String {
    format!("req_{number:08}")
}

/// Admits a request and takes its idempotency key. A refusal or a replay is the answer.
fn begin(world: &mut World, number: usize, fault: Option<Fault>) -> Result<Option<String>, Sent> {
    let request = world.requests[number].clone();
    admitted(world, &request).map_err(|refused| Sent::error(&refused))?;
    match fault {
        Some(Fault::RateLimited) => return Err(Sent::error(&StripeError::rate_limited())),
        Some(Fault::KeyInUse) => return Err(Sent::error(&StripeError::key_in_use())),
        _ => {}
    }
    let key = request.idempotency_key().filter(|_| request.method == "POST").map(str::to_owned);
    let Some(key) = key else { return Ok(None) };
    let fingerprint = format!("{} {} {:?}", request.method, request.path, request.form);
    match world.keys.begin(&key, &fingerprint, world.now) {
        KeyState::New => Ok(Some(key)),
        KeyState::Replay(Saved { status, body }) => Err(Sent { status, body, replayed: true }),
        KeyState::Refused(error) => Err(Sent::error(&error)),
    }
}

/// The effect of an admitted request: what is sent, and what is kept for its key.
fn carry_out(
    world: &mut World,
    number: usize,
    key: Option<&str>,
    fault: Option<Fault>,
) -> (Sent, Option<Saved>) {
    let request = world.requests[number].clone();
    let failed = Sent::error(&StripeError::internal());
    if fault.is_some_and(Fault::is_before) {
        let saved = (fault == Some(Fault::SavedError)).then(|| failed.kept());
        return (failed, saved);
    }
    let (sent, is_kept) = effect(world, number, &request, key);
    let saved = is_kept.then(|| sent.kept());
    match fault {
        Some(Fault::SavedErrorAfter) => {
            let saved = failed.kept();
            (failed, Some(saved))
        }
        Some(Fault::ErrorAfter) => (failed, saved),
        Some(Fault::GarbledAfter) => (Sent { body: "<html>".to_owned(), ..sent }, saved),
        _ => (sent, saved),
    }
}

/// Runs the endpoint. The second value is true if the answer is kept for the key.
fn effect(world: &mut World, number: usize, request: &RecordedRequest, key: Option<&str>) -> (Sent, bool) {
    world.cause = Cause { request_id: Some(request_id(number)), idempotency_key: key.map(str::to_owned) };
    let pairs = if request.method == "POST" { &request.form } else { &request.query };
    let mut call = Call { id: String::new(), path: request.path.clone(), params: Params::parse(pairs) };
    let answer = router::answer(world, &request.method, &mut call);
    world.cause = Cause::default();
    match answer {
        Ok(value) => (ok(&value), true),
        Err(error) => (Sent::error(&error), error.is_kept()),
    }
}

fn ok(value: &Value) -> Sent {
    Sent { status: 200, body: value.to_string(), replayed: false }
}

/// Checks the API key and the version.
fn admitted(world: &World, request: &RecordedRequest) -> Result<(), StripeError> {
    let given = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
    if !given.is_some_and(|given| world.options.api_keys.iter().any(|key| key == given)) {
        return Err(StripeError::unauthorized());
    }
    let version = request.header("stripe-version").unwrap_or_default();
    if version != world.options.api_version {
        return Err(StripeError::version(version));
    }
    Ok(())
}
