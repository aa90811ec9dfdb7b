//! Requests that are sent again, those that are not, and deadlines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tollkeeper_client::types::{
    BalanceQuery, ChargeRequest, ChargesQuery, GrantRequest, MemberRequest, WorkspaceRequest,
};
use tollkeeper_client::{Client, Code, Error};

use crate::cutting_proxy::CuttingProxy;
use crate::server::{PLATFORM_KEY, Server};

/// A server of the test: it answers the requests in turn with these heads and bodies, and the last
/// one again and again. Without an answer it keeps the connection open.
struct Scripted {
    url: String,
    requests: Arc<AtomicUsize>,
}

impl Scripted {
    async fn start(answers: Vec<String>) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a free port");
        let url = format!("http://{}", listener.local_addr().expect("a listener has an address"));
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = vec![0; 64 << 10];
                let _ = stream.read(&mut bytes).await;
                let number = count.fetch_add(1, Ordering::SeqCst);
                match answers.get(number).or(answers.last()) {
                    Some(answer) => stream.write_all(answer.as_bytes()).await.expect("the client reads"),
                    None => {
                        tokio::spawn(async move { stream.read(&mut bytes).await });
                    }
                }
            }
        });
        Scripted { url, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// An answer as it is sent, on a connection that ends with it.
fn answer(status: u16, header: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{header}Content-Length: {length}\r\n\r\n{body}")
}

fn problem(code: &str, status: u16, retry_after: &str) -> String {
    let body = format!(
        r#"{{"type":"x","title":"x","status":{status},"detail":"x","code":"{code}","retryable":true}}"#
    );
    answer(status, &format!("{retry_after}Content-Type: application/problem+json\r\n"), &body)
}

const BALANCE: &str = r#"{"workspace":"acme","available":7,"available_usd":"0.00007","pending":0,"pending_usd":"0.00",
    "debt":0,"debt_usd":"0.00","as_of":"2026-11-23T15:04:05.678Z","of_a_newer_server":[1,2]}"#;

async fn balance(client: &Client) -> Result<i64, Error> {
    Ok(client.workspaces().balance("acme", &BalanceQuery::default()).await?.available)
}

fn client(url: &str) -> Client {
    Client::builder(url, PLATFORM_KEY).build().expect("the address is valid")
}

#[tokio::test]
async fn a_charge_whose_answer_is_lost_is_charged_once() {
    let server = Server::start().await;
    let direct = server.client_with_credit("10.00").await;
    let proxy = CuttingProxy::to(server.address()).await;
    let client = client(&proxy.url);
    balance(&client).await.expect("the proxy forwards");
    proxy.lose_answers(2);
    let request = ChargeRequest::new("virtual_try_on");
    let answer = client.charges("acme").create(&request).send().await.expect("the third answer arrives");
    assert_eq!(proxy.left_to_lose(), 0, "two answers were lost");
    assert!(answer.is_replayed, "the server had charged before");
    assert_eq!(answer.charge_status.as_deref(), Some("settled"));
    let charges = direct.charges("acme").list(&ChargesQuery::default()).rows().collect().await;
    let charges = charges.expect("the list can be read");
    assert_eq!(charges.len(), 1, "one charge for three attempts");
    assert_eq!(charges[0].id, answer.value.id);
    assert_eq!(balance(&direct).await.expect("the balance"), 980_000);
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::start().await;
    server.client_with_credit("10.00").await;
    let proxy = CuttingProxy::to(server.address()).await;
    let client = client(&proxy.url);
    for _ in 0..20 {
        balance(&client).await.expect("the proxy forwards");
    }
    // A call that comes before the last connection is back makes one more.
    assert!(proxy.connections() <= 3, "{} connections for 20 calls", proxy.connections());
}

#[tokio::test]
async fn a_request_that_could_be_done_twice_is_not_repeated() {
    let server = Server::start().await;
    let direct = server.client_with_credit("10.00").await;
    let proxy = CuttingProxy::to(server.address()).await;
    let client = client(&proxy.url);
    proxy.lose_answers(1);
    let member = MemberRequest::new("ada", "ada@example.com", "Ada Lovelace", "admin");
    let error = client.members("acme").add(&member).await.expect_err("the answer is lost");
    assert!(matches!(error, Error::Connection { may_have_arrived: true, .. }), "{error:?}");
    let found = direct.members("acme").get("ada").await.expect("the request was carried out");
    assert_eq!(found.email.as_deref(), Some("ada@example.com"));
}

#[tokio::test]
async fn a_refusal_for_want_of_credit_is_final_and_says_what_is_missing() {
    let server = Server::start().await;
    let client = server.client_with_credit("0.10").await;
    let request = ChargeRequest::new("virtual_try_on");
    let charge = client.charges("acme").create(&request).idempotency_key("order-1");
    let error = charge.await.expect_err("10,000 do not cover 20,000");
    let found = error.problem().expect("it is a problem");
    assert_eq!((&found.code, found.status, found.retryable), (&Code::InsufficientCredits, 402, false));
    assert_eq!((found.integer("shortfall"), found.integer("affordable_quantity")), (Some(10_000), Some(0)));

    // Even one that claims to be retryable is sent once.
    let scripted = Scripted::start(vec![problem("insufficient_credits", 402, "")]).await;
    let error = balance(&self::client(&scripted.url)).await.expect_err("it is a refusal");
    assert_eq!((error.code(), scripted.requests()), (Some(&Code::InsufficientCredits), 1));

    // After credit is added, the same request under the same key succeeds.
    let grant = GrantRequest { amount: Some(10_000), ..GrantRequest::new("promotional", "more") };
    client.grants("acme").create(&grant).await.expect("the platform grants credit");
    let charge = client.charges("acme").create(&request).idempotency_key("order-1").send().await;
    let charge = charge.expect("the credit covers it");
    assert_eq!((charge.value.amount, charge.is_replayed), (20_000, false));
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let answers = vec![
        problem("overloaded", 503, "Retry-After: 1\r\n"),
        problem("rate_limited", 429, "Retry-After: 1\r\n"),
        answer(200, "", BALANCE),
    ];
    let scripted = Scripted::start(answers).await;
    let begun = Instant::now();
    assert_eq!(balance(&client(&scripted.url)).await.expect("the third answer is a balance"), 7);
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(scripted.requests(), 3);
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_an_error_at_once() {
    for seconds in [3_600, 20] {
        let answers = vec![problem("overloaded", 503, &format!("Retry-After: {seconds}\r\n"))];
        let scripted = Scripted::start(answers).await;
        let builder = Client::builder(&scripted.url, PLATFORM_KEY).total_timeout(Duration::from_secs(10));
        let begun = Instant::now();
        let error = balance(&builder.build().expect("it is valid")).await.expect_err("it takes too long");
        let found = error.problem().expect("it is the problem of the server");
        assert_eq!(found.retry_after, Some(Duration::from_secs(seconds)));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(scripted.requests(), 1);
    }
}

#[tokio::test]
async fn repetitions_are_bounded() {
    let scripted = Scripted::start(vec![problem("store_unavailable", 503, "")]).await;
    let builder = Client::builder(&scripted.url, PLATFORM_KEY).retries(2);
    let error = balance(&builder.build().expect("it is valid")).await.expect_err("it never succeeds");
    assert_eq!((error.code(), scripted.requests()), (Some(&Code::StoreUnavailable), 3));

    // Nothing listens there.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a free port");
    let url = format!("http://{}", listener.local_addr().expect("a listener has an address"));
    drop(listener);
    let builder = Client::builder(url, PLATFORM_KEY).retries(1);
    let error = balance(&builder.build().expect("it is valid")).await.expect_err("there is no server");
    assert!(matches!(error, Error::Connection { may_have_arrived: false, .. }), "{error:?}");
    assert!(error.to_string().contains("refused"), "it says why: {error}");
}

#[tokio::test]
async fn deadlines_are_kept() {
    let scripted = Scripted::start(Vec::new()).await;
    let call = |client: &Client| client.workspaces().balance("acme", &BalanceQuery::default());
    let client = client(&scripted.url);
    let begun = Instant::now();
    let total = Duration::from_millis(300);
    let error = call(&client).total_timeout(total).await.expect_err("there is no answer");
    assert!(matches!(error, Error::TimedOut { after } if after == total), "{error:?}");
    assert!(begun.elapsed() >= total && begun.elapsed() < Duration::from_secs(5));
    assert_eq!(scripted.requests(), 1);

    let attempt = Duration::from_millis(200);
    let error = call(&client).attempt_timeout(attempt).retries(2).await.expect_err("there is no answer");
    assert!(matches!(error, Error::TimedOut { after } if after == attempt), "{error:?}");
    assert_eq!(scripted.requests(), 4, "three more attempts");
}

#[tokio::test]
async fn what_is_not_an_answer_of_the_server_says_so() {
    let scripted = Scripted::start(vec![answer(404, "", "<html>nothing here</html>")]).await;
    match balance(&client(&scripted.url)).await {
        Err(Error::UnexpectedAnswer { status: 404, detail, .. }) => assert!(detail.contains("nothing here")),
        other => panic!("{other:?}"),
    }
    for (url, key) in [("ftp://example.com", "k"), ("example.com", "k"), ("http://example.com", "a\nb")] {
        let error = Client::builder(url, key).build().expect_err("address or key is not valid");
        assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
    }
    let shown = format!("{:?} {:?}", Client::builder("http://a", "tk_secret"), client("http://a"));
    assert!(!shown.contains("tk_"), "{shown}");
}

#[tokio::test]
async fn the_server_names_the_field_that_is_wrong() {
    let server = Server::start().await;
    let client = server.client();
    let request = WorkspaceRequest { id: Some("acme/eu".into()), ..WorkspaceRequest::new("Acme Shop") };
    let error = client.workspaces().create(&request).await.expect_err("an id has no slash");
    let found = error.problem().expect("it is a problem");
    assert_eq!((&found.code, found.text("field")), (&Code::InvalidField, Some("id")));
    let error = client.workspaces().get("no/such?workspace").await.expect_err("there is none");
    assert_eq!(error.code(), Some(&Code::WorkspaceNotFound));
}
