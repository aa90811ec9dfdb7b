//! Takes the webhook events of Stripe. An event is a hint: it says which object to fetch, and the
//! object says what happened.
//!
//! First the signature is checked, then nothing but type, mode and ids is read. Stripe gets 200
//! after the ledger has committed what the object says, or if the object is not this ledger's. It
//! gets 5xx if that is not known now, and sends the event again for three days. No list of events
//! is kept: the ledger decides what is new. Nothing of a body gets into the log.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::json as json_value;

use super::objects::Event;
use super::observe::{self, Hint, NotObserved, Observed, Subject};
use super::provider::{NotHeard, Stripe};
use super::signature::NotSigned;
use crate::access::Rule::Public;
use crate::app::App;
use crate::http::call::{Call, json};
use crate::http::problem::{Code, Problem};
use crate::http::refusal::no_such_path;
use crate::http::route::Route;
use crate::observe::metrics::WebhookResult;

/// The header with the signature.
const SIGNATURE: &str = "Stripe-Signature";

/// The route. It is not for clients, so it is not in the description of the API.
pub const ROUTES: &[Route] =
    &[Route::new(Method::POST, "/webhooks/stripe", Public, "Take a webhook event of Stripe", |call| {
        Box::pin(take(call))
    })];

/// `POST /webhooks/stripe`.
async fn take(mut call: Call) -> Result<Response, Problem> {
    let app = Arc::clone(&call.app);
    let Some(stripe) = &app.stripe else { return Err(no_such_path()) };
    let (result, response) = match hear(&mut call, stripe).await {
        Ok(event) => obey(&app, stripe, event).await,
        Err((result, problem)) => (result, Err(problem)),
    };
    app.metrics.count_webhook(result);
    response
}

/// The event that the request carries.
async fn hear(call: &mut Call, stripe: &Stripe) -> Result<Event, (WebhookResult, Problem)> {
    let body = call.body().await.map_err(|problem| (WebhookResult::Malformed, problem))?;
    let header = call.headers().get(SIGNATURE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    stripe.event(header, &body, call.now).map_err(|why| {
        let signature = |result, why| (result, Problem::parameter(SIGNATURE, why));
        match why {
            NotHeard::NotSigned(NotSigned::Malformed) => {
                signature(WebhookResult::NotSigned, "is missing or malformed")
            }
            NotHeard::NotSigned(NotSigned::Wrong) => {
                signature(WebhookResult::WrongSignature, "fits no secret of this endpoint")
            }
            NotHeard::NotSigned(NotSigned::Stale) => {
                signature(WebhookResult::StaleSignature, "is older or newer than five minutes")
            }
            NotHeard::Malformed => {
                let detail = "The body is not an event of Stripe.";
                (WebhookResult::Malformed, Problem::new(Code::MalformedJson, detail))
            }
            NotHeard::OtherMode => {
                let why = "is of the other mode than the API key of this server";
                (WebhookResult::OtherMode, Problem::field("livemode", why))
            }
        }
    })
}

/// Does what the event asks for, and says what became of it.
async fn obey(app: &App, stripe: &Stripe, event: Event) -> (WebhookResult, Result<Response, Problem>) {
    let Event { id: name, kind, data, .. } = event;
    let Some((subject, id)) = Subject::of_event(&kind).zip(data.object.id.clone()) else {
        return (WebhookResult::Ignored, Ok(taken()));
    };
    let hint = Hint::of(&data);
    let result = match observe::observe(app, stripe, subject, &id, &hint).await {
        Ok(Observed::Ours) => WebhookResult::Done,
        Ok(Observed::Foreign) => WebhookResult::Foreign,
        Ok(Observed::Unmatched) => WebhookResult::Unmatched,
        Err(NotObserved::Store(error)) => return (WebhookResult::Failed, Err(error.into())),
        Err(why) => {
            let (event, object) = (name.as_str(), id.as_str());
            tracing::warn!(event, kind = subject.as_str(), object, %why, "a webhook event waits for its repetition");
            let detail = "What the event is about is not known now. Send it again later.";
            return (WebhookResult::Failed, Err(Problem::new(Code::PaymentProviderUnavailable, detail)));
        }
    };
    // Lists may lack what has just happened, and two events of one payment may cross. So a walk
    // adds up later once more what is lost.
    if !matches!(subject, Subject::Refund | Subject::Dispute) {
        stripe.heard().note(name);
    }
    (result, Ok(taken()))
}

fn taken() -> Response {
    json(StatusCode::OK, 32, &json_value!({ "received": true }))
}
