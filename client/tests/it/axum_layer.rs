//! The tower layer on a router of axum: the credit after each response, and what a caller gets.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path};
use axum::http::{Request, Response, StatusCode};
use axum::routing::post;
use tollkeeper_client::types::{BalanceQuery, Charge, ChargeRequest, ChargesQuery};
use tollkeeper_client::{
    ChargeError, ChargeLayer, ChargePolicy, Client, Code, Error, Outcome, RunCharge, outcome_of_status,
};
use tower::ServiceExt;

use crate::server::Server;

/// A drawing is a virtual try-on. Everything else is free.
struct Prices;

/// The id of the charge that pays for a request.
#[derive(Clone)]
struct PaidBy(String);

impl ChargePolicy<Request<Body>, Response<Body>, Infallible> for Prices {
    fn charge(&self, request: &Request<Body>) -> Option<RunCharge> {
        let is_drawn = request.uri().path().starts_with("/draw/");
        let charge = RunCharge::new("acme", ChargeRequest::new("virtual_try_on"));
        let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok());
        is_drawn.then_some(match key {
            Some(key) => charge.idempotency_key(key),
            None => charge,
        })
    }

    fn attach(&self, request: &mut Request<Body>, charge: &Charge) {
        request.extensions_mut().insert(PaidBy(charge.id.clone()));
    }

    fn outcome(&self, result: Result<&Response<Body>, &Infallible>) -> Outcome {
        outcome_of_status(result.map_or(500, |response| response.status().as_u16()))
    }

    fn refuse(&self, error: ChargeError) -> Result<Response<Body>, Infallible> {
        let status = match &error {
            ChargeError::NotCharged(why) if why.code() == Some(&Code::InsufficientCredits) => {
                StatusCode::PAYMENT_REQUIRED
            }
            ChargeError::NotPending { .. } => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = Response::new(Body::from(error.to_string()));
        *response.status_mut() = status;
        Ok(response)
    }
}

/// Draws, and answers with this status and the charge that paid.
async fn draw(Path(status): Path<u16>, Extension(PaidBy(charge)): Extension<PaidBy>) -> (StatusCode, String) {
    (StatusCode::from_u16(status).expect("a test asks for a status"), charge)
}

fn service(client: Client) -> Router {
    let routes = Router::new().route("/draw/{status}", post(draw)).route("/hello", post(async || "hello"));
    routes.layer(ChargeLayer::new(client, Prices))
}

/// The status and the text of an answer.
async fn ask(service: &Router, path: &str, key: &str) -> (u16, String) {
    let request = Request::post(path).header("idempotency-key", key);
    let request = request.body(Body::empty()).expect("the request is well-formed");
    let response = service.clone().oneshot(request).await.expect("a router always answers");
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("the body is in memory");
    (status, String::from_utf8(bytes.to_vec()).expect("answers are texts"))
}

async fn available(client: &Client) -> i64 {
    let balance = client.workspaces().balance("acme", &BalanceQuery::default()).await;
    balance.expect("the balance can be read").available
}

#[tokio::test]
async fn each_status_of_a_route_settles_or_refunds() -> Result<(), Error> {
    let server = Server::start().await;
    let client = server.client_with_credit("1.00").await;
    let service = service(client.clone());
    assert_eq!(ask(&service, "/hello", "free").await, (200, "hello".to_owned()));
    assert_eq!(available(&client).await, 100_000, "what is free is not charged");
    for (status, left, outcome) in [
        (200, 80_000, "succeeded"),
        (422, 60_000, "failed_user"),
        (429, 60_000, "failed_system"),
        (503, 60_000, "failed_system"),
    ] {
        let (answered, charge) = ask(&service, &format!("/draw/{status}"), &format!("k{status}")).await;
        assert_eq!(answered, status, "{charge}");
        assert_eq!(available(&client).await, left, "{status}");
        let charge = client.charges("acme").get(&charge).await?;
        assert_eq!(charge.outcome.as_deref(), Some(outcome), "{status}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_paid_never_runs() -> Result<(), Error> {
    let server = Server::start().await;
    let client = server.client_with_credit("0.20").await;
    let service = service(client.clone());
    assert_eq!(ask(&service, "/draw/200", "first").await.0, 200);
    let (status, text) = ask(&service, "/draw/200", "first").await;
    assert_eq!(status, 409, "a key runs nothing twice: {text}");
    let (status, text) = ask(&service, "/draw/200", "second").await;
    assert_eq!(status, 402, "{text}");
    assert!(!text.starts_with("ch_"), "the route did not run: {text}");
    assert_eq!(client.charges("acme").list(&ChargesQuery::default()).rows().collect().await?.len(), 1);

    let away = Client::builder("http://127.0.0.1:1", "tk_none").retries(0).build()?;
    let (status, text) = ask(&self::service(away), "/draw/200", "third").await;
    assert_eq!(status, 503, "without a server nothing runs: {text}");
    Ok(())
}
