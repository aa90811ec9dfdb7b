//! The saved card of a workspace, which pays for automatic top-ups. Of a card only what a person
//! recognises it by is shown.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Serialize;
use tollkeeper_engine::Reads;
use tollkeeper_ledger::Scope::Manage;
use tollkeeper_ledger::{Card, CardCommand, Command, PaymentCommand};
use utoipa::ToSchema;

use crate::access::Rule::Workspace;
use crate::http::call::{Call, existing, json, no_content};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, of};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/payment-method",
        Workspace(&[Manage]),
        "Get the saved card",
        |call| Box::pin(get(call)),
    )
    .description("Returns the saved card of a workspace, which pays for automatic top-ups.")
    .response(200, of::<PaymentMethodJson>, EXAMPLE)
    .problems(&[Code::PaymentMethodNotFound]),
    Route::new(
        Method::DELETE,
        "/v1/workspaces/{workspace}/payment-method",
        Workspace(&[Manage]),
        "Remove the saved card",
        |call| Box::pin(remove(call)),
    )
    .description(
        "Removes the saved card of a workspace, and stops automatic top-ups. If no card is saved, nothing changes.",
    )
    .no_content(),
];

const EXAMPLE: &str = r#"{"brand": "visa", "last4": "4242", "expires": "2030-12"}"#;

/// About the size of a saved card in JSON.
const CARD_BYTES: usize = 96;

/// A saved card.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentMethod)]
pub struct PaymentMethodJson<'a> {
    /// The brand, as the payment provider spells it.
    #[schema(example = "visa")]
    brand: &'a str,
    /// The last four digits of the number.
    #[schema(example = "4242")]
    last4: &'a str,
    /// The month in which it expires.
    #[schema(example = "2030-12")]
    expires: String,
}

impl<'a> PaymentMethodJson<'a> {
    /// What is shown of a card.
    pub fn of(card: &'a Card) -> PaymentMethodJson<'a> {
        let Card { id: _, brand, last4, expires_month, expires_year } = card;
        PaymentMethodJson { brand, last4, expires: format!("{expires_year}-{expires_month:02}") }
    }
}

/// `GET /v1/workspaces/{workspace}/payment-method`.
async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let payments = existing(&workspace, call.app.engine().payments(&workspace).await?)?;
    let card = payments
        .card
        .as_ref()
        .ok_or_else(|| Problem::new(Code::PaymentMethodNotFound, "No card is saved for this workspace."))?;
    Ok(json(StatusCode::OK, CARD_BYTES, &PaymentMethodJson::of(card)))
}

/// `DELETE /v1/workspaces/{workspace}/payment-method`.
async fn remove(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let command = Command::Payment(PaymentCommand::Card(CardCommand::RemoveCard { id: None }));
    call.run(&workspace, None, command).await?;
    Ok(no_content())
}
