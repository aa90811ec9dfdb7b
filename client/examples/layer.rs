//! Charges for the requests of a tower service. Here a request is the text that is to be drawn.
//!
//! `TOLLKEEPER_URL` is the address of the server, `TOLLKEEPER_KEY` a key with the scopes `charge`
//! and `settle`. The workspace `acme` pays.

use std::error::Error;

use tollkeeper_client::types::ChargeRequest;
use tollkeeper_client::{
    ChargeError, ChargeLayer, ChargePolicy, Client, Outcome, RunCharge, outcome_of_status,
};
use tower::{BoxError, Layer, Service, ServiceExt};

/// A response: its status and its text. With axum it is a response of HTTP.
type Response = (u16, String);

/// A greeting is free. Everything else is a removal of a background.
struct Prices;

impl ChargePolicy<String, Response, BoxError> for Prices {
    fn charge(&self, request: &String) -> Option<RunCharge> {
        let charge = RunCharge::new("acme", ChargeRequest::new("background_removal"));
        (request != "hello").then_some(charge)
    }

    fn outcome(&self, result: Result<&Response, &BoxError>) -> Outcome {
        outcome_of_status(result.map_or(500, |(status, _)| *status))
    }

    fn refuse(&self, error: ChargeError) -> Result<Response, BoxError> {
        Ok((402, error.to_string()))
    }
}

/// The service of your product.
async fn draw(request: String) -> Result<Response, BoxError> {
    Ok(match request.as_str() {
        "broken" => (500, "the model does not answer".to_owned()),
        "unclear" => (422, "this is no picture".to_owned()),
        text => (200, format!("({text})")),
    })
}

/// Sends a request through the layer.
pub async fn serve(client: &Client, request: &str) -> Result<Response, BoxError> {
    let layer = ChargeLayer::new(client.clone(), Prices);
    let mut service = layer.layer(tower::service_fn(draw));
    service.ready().await?.call(request.to_owned()).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let client =
        Client::builder(std::env::var("TOLLKEEPER_URL")?, std::env::var("TOLLKEEPER_KEY")?).build()?;
    for request in ["hello", "jacket", "unclear", "broken"] {
        let (status, text) = serve(&client, request).await?;
        println!("{status} {text}");
    }
    Ok(())
}
