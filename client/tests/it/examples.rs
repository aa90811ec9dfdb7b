//! The examples of the documentation, run against a server.

use tollkeeper_client::Client;
use tollkeeper_client::types::{ApiKeyRequest, ChargesQuery};

use crate::server::Server;

#[path = "../../examples/layer.rs"]
#[expect(dead_code, reason = "the test does what `main` does, with a client of its own")]
mod layer;
#[path = "../../examples/quick_start.rs"]
#[expect(dead_code, reason = "the test does what `main` does, with a client of its own")]
mod quick_start;

/// A workspace with 10 USD, and a client with a key that an AI service would have.
async fn service(server: &Server) -> (Client, Client) {
    let platform = server.client_with_credit("10.00").await;
    let scopes = ["charge", "settle", "read"].map(str::to_owned).to_vec();
    let key = platform.api_keys("acme").create(&ApiKeyRequest::new("service", scopes)).await;
    let secret = key.expect("the key is new").secret.expect("the secret is shown once");
    let client = Client::builder(&server.url, secret).build().expect("the key is valid");
    (platform, client)
}

#[tokio::test]
async fn the_quick_start_runs() {
    let server = Server::start().await;
    let (_, client) = service(&server).await;
    assert_eq!(
        quick_start::serve_all(&client).await.expect("nothing is unexpected"),
        [
            "(jacket.png) for 20000 micro-units",
            "there is no picture: settled",
            "the model does not answer: refunded",
            "Not enough credits",
            "9.60 USD are left"
        ]
    );
}

#[tokio::test]
async fn the_layer_charges_by_the_response() {
    let server = Server::start().await;
    let (platform, client) = service(&server).await;
    let mut statuses = Vec::new();
    for request in ["hello", "jacket", "unclear", "broken"] {
        statuses.push(layer::serve(&client, request).await.expect("the service has no errors").0);
    }
    assert_eq!(statuses, [200, 200, 422, 500]);
    let rows = platform.charges("acme").list(&ChargesQuery::default()).rows().collect().await;
    let outcomes = rows.expect("the list can be read").into_iter().map(|charge| charge.outcome);
    let outcomes: Vec<String> = outcomes.flatten().collect();
    assert_eq!(outcomes, ["failed_system", "failed_user", "succeeded"], "newest first; a greeting is free");
}

#[tokio::test]
async fn the_layer_refuses_before_the_service_runs() {
    let server = Server::start().await;
    let platform = server.client_with_credit("0.01").await;
    let (status, text) = layer::serve(&platform, "jacket").await.expect("a refusal is a response");
    assert_eq!(status, 402);
    assert!(text.contains("insufficient_credits"), "{text}");
}
