//! Five AI operations as stub models, without a line about billing: the gate charges each request
//! before it arrives here, and refunds it if it fails here.
//!
//! A request that is not understood is answered 4xx, and its charge is kept. A text with the word
//! "crash" stands for a model that breaks: 503, and its charge is refunded.
//!
//! `gate.toml`, beside this crate's manifest, has the routes of the gate. A model with the chat API
//! of OpenAI is in `chat`, and its route in `chat.toml`.

mod chat;

use std::error::Error;

use axum::extract::Json;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Router, serve};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The address unless one is given as the first argument.
const ADDRESS: &str = "127.0.0.1:9000";

/// The result of a model, or how it failed.
type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

#[derive(Deserialize)]
struct ListingRequest {
    title: String,
}

#[derive(Deserialize)]
struct TryOnRequest {
    person: String,
    garment: String,
    images: u8,
}

#[derive(Deserialize)]
struct SupportRequest {
    message: String,
}

#[derive(Deserialize)]
struct ImageRequest {
    image: String,
}

#[derive(Deserialize)]
struct PricingRequest {
    category: String,
    products: u16,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| ADDRESS.to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("worker listening on http://{}", listener.local_addr()?);
    Ok(serve(listener, models()).await?)
}

fn models() -> Router {
    Router::new()
        .route("/listings", post(write_listing))
        .route("/try-on", post(try_on))
        .route("/support", post(answer_customer))
        .route("/background-removal", post(remove_background))
        .route("/pricing", post(suggest_prices))
        .route("/v1/chat/completions", post(chat::complete))
}

async fn write_listing(Json(ListingRequest { title }): Json<ListingRequest>) -> Answer {
    let description = format!("{} — made to last, easy to love.", run(&title)?);
    Ok(Json(json!({"title": title, "description": description})))
}

async fn try_on(Json(TryOnRequest { person, garment, images }): Json<TryOnRequest>) -> Answer {
    let (person, garment) = (run(&person)?, run(&garment)?);
    let drawn: Vec<String> = (1..=images).map(|n| format!("{person} in {garment}, view {n}")).collect();
    Ok(Json(json!({"images": drawn})))
}

async fn answer_customer(Json(SupportRequest { message }): Json<SupportRequest>) -> Answer {
    Ok(Json(json!({"reply": format!("Thank you for asking about “{}”.", run(&message)?)})))
}

async fn remove_background(Json(ImageRequest { image }): Json<ImageRequest>) -> Answer {
    Ok(Json(json!({"image": format!("{} on white", run(&image)?)})))
}

async fn suggest_prices(Json(PricingRequest { category, products }): Json<PricingRequest>) -> Answer {
    let category = run(&category)?;
    let prices: Vec<Value> = (1..=products).map(|n| json!({"product": n, "usd": 10 + n % 7})).collect();
    Ok(Json(json!({"category": category, "prices": prices})))
}

/// Runs a stub model on a text.
fn run(text: &str) -> Result<&str, (StatusCode, Json<Value>)> {
    match text {
        "" => Err((StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"error": "a text is empty"})))),
        text if text.contains("crash") => {
            Err((StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": "the model broke"}))))
        }
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    /// The status and the body of an answer.
    async fn ask(path: &str, body: &Value) -> (u16, String) {
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.body(Body::from(body.to_string())).expect("the request is well-formed");
        let response = models().oneshot(request).await.expect("a router always answers");
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("the body is in memory");
        (head.status.as_u16(), String::from_utf8(bytes.to_vec()).expect("answers are texts"))
    }

    #[tokio::test]
    async fn every_model_answers_and_can_fail() {
        for (path, body) in [
            ("/listings", json!({"title": "Linen shirt"})),
            ("/try-on", json!({"person": "Ada", "garment": "a jacket", "images": 2})),
            ("/support", json!({"message": "Where is my order?"})),
            ("/background-removal", json!({"image": "shirt.png"})),
            ("/pricing", json!({"category": "shoes", "products": 3})),
        ] {
            let (status, text) = ask(path, &body).await;
            assert_eq!(status, 200, "{path}: {text}");
            let first = body.as_object().and_then(|fields| fields.keys().find(|key| body[*key].is_string()));
            let field = first.expect("every model takes a text");
            for (text, expected) in [("crash", 503), ("", 422)] {
                let mut broken = body.clone();
                broken[field] = text.into();
                assert_eq!(ask(path, &broken).await.0, expected, "{path}: {field} is {text:?}");
            }
            assert_eq!(ask(path, &json!({})).await.0, 422, "{path}: a field is missing");
        }
        let (_, drawn) = ask("/try-on", &json!({"person": "Ada", "garment": "a jacket", "images": 2})).await;
        assert!(drawn.contains("Ada in a jacket, view 2"), "{drawn}");
    }
    #[tokio::test]
    async fn a_chat_answers_whole_and_as_a_stream_and_reports_its_usage() {
        let asked = |more: Value| {
            let mut body = json!({"model": "stub", "max_tokens": 3});
            body["messages"] = json!([{"role": "user", "content": "red or blue?"}]);
            body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            body
        };
        let usage = r#""usage":{"completion_tokens":3,"prompt_tokens":3,"total_tokens":6}"#;
        let (status, whole) = ask("/v1/chat/completions", &asked(json!({}))).await;
        assert!(status == 200 && whole.contains("red or blue?") && whole.contains(usage), "{whole}");
        let options = json!({"stream": true, "stream_options": {"include_usage": true}});
        let (_, stream) = ask("/v1/chat/completions", &asked(options)).await;
        assert!(stream.ends_with("data: [DONE]\n\n") && stream.contains(usage), "{stream}");
        assert_eq!(stream.matches("\"delta\":{\"content\"").count(), 3, "{stream}");
        let (_, stream) = ask("/v1/chat/completions", &asked(json!({"stream": true}))).await;
        assert!(!stream.contains("usage"), "{stream}");
    }
}
