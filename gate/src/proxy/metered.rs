//! The path of a metered request: read the body, hold a bound, forward with the limit written.
//!
//! If the route fits requests, a quote says first how much output is affordable, and the limit is
//! lowered to that. A quote reserves nothing, so the charge decides: what a quote promised and
//! another request took is refused.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response};
use tokio::sync::oneshot;

use super::caller::{Caller, Question, Units, charge_json, key_was_used, member_and_worker};
use super::{Gate, address, upstream_uri};
use crate::exchange::MeteredExchange;
use crate::headers;
use crate::quantity::hold::MeteredRequest;
use crate::quantity::{body_of, media_type};
use crate::refusal::{Refusal, unavailable};
use crate::settings::{Metering, OUTPUT, Route};

impl Gate {
    /// Charges a request by meters and forwards it. What can be refused without the ledger is
    /// refused first.
    pub(super) async fn charge_by_meters(
        self: Arc<Gate>,
        index: usize,
        metering: Arc<Metering>,
        request: Request<Body>,
        client: IpAddr,
    ) -> Result<Response<Body>, Refusal> {
        let route = &self.routes[index];
        let caller = Caller::of(request.headers())?;
        let uri = upstream_uri(&route.upstream, request.uri())?;
        media_type::refuse_unreadable(request.headers())?;
        let (mut head, body) = request.into_parts();
        let body = body_of(route, body).await?;
        let mut asked = MeteredRequest::read(&metering, &body)?;
        // A header that is wrong is refused here.
        member_and_worker(&head.headers)?;
        address(&mut head, uri);
        let (sender, answer) = oneshot::channel();
        let gate = Arc::clone(&self);
        tokio::spawn(async move {
            let route = &gate.routes[index];
            let fitted = gate.fit(route, &metering, &caller, &mut asked).await;
            let held = asked.held();
            let opened = match charge_json(route, &route.operation, &head.headers, Units::Quantities(&held)) {
                Ok(charge) => gate.charge(&caller, charge).await,
                Err(refusal) => Err(refusal),
            };
            let charge = match opened {
                Ok(charge) => charge,
                // What is held depends on what was affordable, so the same request may differ.
                Err(refusal) if refusal.code() == "idempotency_key_reused" => {
                    return drop(sender.send(Err(key_was_used())));
                }
                Err(refusal) => return drop(sender.send(Err(refusal))),
            };
            let (body_bytes, strips_usage) = (asked.body_bytes, asked.strips_usage);
            let body = asked.into_body();
            let key = route.upstream_key.as_ref();
            headers::to_upstream(&mut head.headers, client, &charge.header(), None, key);
            headers::of_written_body(&mut head.headers, body.len());
            media_type::write(&mut head.headers);
            let exchange = MeteredExchange {
                exchange: gate.exchange(route, charge, None, Arc::default()),
                metering,
                held,
                body_bytes,
                strips_usage,
                fitted,
                counts: Arc::clone(&gate.counts),
            };
            drop(gate);
            exchange.run(Request::from_parts(head, Body::from(body)), sender).await;
        });
        answer.await.map_err(|_| unavailable())?
    }

    /// Lowers the output to what is affordable, if the route does so; returns the new limit. The
    /// request stays as it is if that is too little or the quote fails. Then the charge decides.
    async fn fit(
        &self,
        route: &Route,
        metering: &Metering,
        caller: &Caller,
        asked: &mut MeteredRequest,
    ) -> Option<i64> {
        let least = metering.fit_min?;
        let held = asked.held();
        let question = Question { operation: &route.operation, units: Units::Quantities(&held) };
        let quote = match self.quote(caller, &question).await {
            Ok(quote) => quote,
            Err(refusal) => {
                tracing::warn!(code = refusal.code(), "a quote failed, so the output is not fitted");
                return None;
            }
        };
        if quote["affordable"] == true {
            return None;
        }
        let affordable = quote["affordable_quantities"][OUTPUT].as_i64()?;
        asked.fit(metering, affordable, least)
    }
}
