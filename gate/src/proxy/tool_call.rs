//! The path of a message of the Model Context Protocol: a call of a tool is charged, all else is
//! passed on free.
//!
//! Free does not mean open: the gate may have the key of the upstream, so the API must know the
//! caller. The gate asks it for a quote, which changes nothing.
//!
//! A free stream may never end. So a shutdown ends that of a GET at once, and others at its end.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::caller::{Caller, Question, Units, charge_json};
use super::{Gate, address, upstream_uri};
use crate::headers;
use crate::quantity::tool_call::{Fault, Message};
use crate::quantity::{body_of, media_type};
use crate::refusal::{Refusal, unavailable};
use crate::relay;
use crate::settings::{Dialect, Route, Tools};
use crate::shutdown::Phase;

/// A request whose message was read.
struct Read {
    caller: Caller,
    message: Message,
    request: Request<Body>,
}

impl Gate {
    /// Answers a message, or a request for the stream of messages or for the end of a session.
    pub(super) async fn answer_message(
        self: Arc<Gate>,
        index: usize,
        tools: Arc<Tools>,
        request: Request<Body>,
        client: IpAddr,
    ) -> Response<Body> {
        let Read { caller, message, request } = match read(&self.routes[index], request).await {
            Ok(read) => read,
            Err(response) => return response,
        };
        match message {
            Message::Free => {
                let answered = self.pass_on_free(index, &caller, request, client).await;
                answered.unwrap_or_else(|refusal| refusal.into_response(Dialect::Problem))
            }
            Message::Call(call) => {
                let operation = tools.operations.get(&call.tool);
                let operation = operation.unwrap_or(&self.routes[index].operation).clone();
                let answered = self.charge_call(index, operation, caller, request, client).await;
                answered.unwrap_or_else(|refusal| call.refused(refusal))
            }
        }
    }

    /// Charges for a call and forwards it. Its answer decides about the charge, as for every route
    /// with a fixed price.
    async fn charge_call(
        self: Arc<Gate>,
        index: usize,
        operation: String,
        caller: Caller,
        request: Request<Body>,
        client: IpAddr,
    ) -> Result<Response<Body>, Refusal> {
        let (mut head, body) = request.into_parts();
        let charge = charge_json(&self.routes[index], &operation, &head.headers, Units::Quantity(1))?;
        let (sender, answer) = oneshot::channel();
        let gate = Arc::clone(&self);
        tokio::spawn(async move {
            let route = &gate.routes[index];
            let charge = match gate.charge(&caller, charge).await {
                Ok(charge) => charge,
                Err(refusal) => return drop(sender.send(Err(refusal))),
            };
            headers::to_upstream(
                &mut head.headers,
                client,
                &charge.header(),
                None,
                route.upstream_key.as_ref(),
            );
            let exchange = gate.exchange(route, charge, None, Arc::default());
            drop(gate);
            exchange.run(Request::from_parts(head, body), sender).await;
        });
        answer.await.map_err(|_| unavailable())?
    }

    /// Passes a request on without a charge, after the API has accepted its caller.
    async fn pass_on_free(
        &self,
        index: usize,
        caller: &Caller,
        request: Request<Body>,
        client: IpAddr,
    ) -> Result<Response<Body>, Refusal> {
        let route = &self.routes[index];
        let (mut head, body) = request.into_parts();
        let question = Question { operation: &route.operation, units: Units::Quantity(1) };
        match self.quote(caller, &question).await {
            // Only the caller matters: an operation with meters, or none, has no quote.
            Err(refusal) if !refusal.is_of_question() => return Err(refusal),
            _ => {}
        }
        let ends_at = if head.method == Method::GET { Phase::Draining } else { Phase::Ending };
        headers::to_upstream_free(&mut head.headers, client, route.upstream_key.as_ref());
        let answered = self.upstreams.request(Request::from_parts(head, body));
        let time = Duration::from_secs(route.timeout_seconds.into());
        let failed = |status, code, title, detail| Err(Refusal::new(status, code, title, detail));
        match timeout(time, answered).await {
            Ok(Ok(response)) if !response.status().is_informational() => {
                let (mut head, body) = response.into_parts();
                headers::to_client_free(&mut head.headers);
                let ended = self.phases.clone().reached(ends_at);
                Ok(Response::from_parts(head, relay::until(Body::new(body), ended)))
            }
            Ok(_) => failed(
                StatusCode::BAD_GATEWAY,
                "upstream_failed",
                "Upstream failed",
                "The upstream could not be reached, or broke off.",
            ),
            Err(_) => failed(
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_timed_out",
                "Upstream timed out",
                "The upstream took too long.",
            ),
        }
    }
}

/// Reads the message of a request, which gets the address of the upstream. A GET and a DELETE have
/// no message, so their body is dropped.
async fn read(route: &Route, request: Request<Body>) -> Result<Read, Response<Body>> {
    let refused = |refusal: Refusal| refusal.into_response(Dialect::Problem);
    let caller = Caller::of(request.headers()).map_err(refused)?;
    let uri = upstream_uri(&route.upstream, request.uri()).map_err(refused)?;
    let (mut head, body) = request.into_parts();
    address(&mut head, uri);
    if head.method != Method::POST {
        without_body(&mut head);
        let request = Request::from_parts(head, Body::empty());
        return Ok(Read { caller, message: Message::Free, request });
    }
    media_type::refuse_unreadable(&head.headers).map_err(refused)?;
    let body = body_of(route, body).await.map_err(refused)?;
    let message = Message::read(&body).map_err(Fault::into_response)?;
    head.headers.remove(TRANSFER_ENCODING);
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    media_type::write(&mut head.headers);
    Ok(Read { caller, message, request: Request::from_parts(head, Body::from(body)) })
}

fn without_body(head: &mut Parts) {
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
}
