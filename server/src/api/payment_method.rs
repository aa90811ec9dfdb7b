//! The saved card of a workspace, which pays for automatic top-ups, and the pages of the payment
//! provider for it. Of a card only what a person recognises it by is shown.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::Reads;
use tollkeeper_ledger::Scope::Manage;
use tollkeeper_ledger::{Card, WorkspaceId};
use utoipa::ToSchema;

use crate::access::Rule::Workspace;
use crate::actions::cards;
use crate::http::call::{Call, existing, json, no_content};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, of};
use crate::wire::read::{WebUrl, maybe_word};

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
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/payment-method",
        Workspace(&[Manage]),
        "Make a page to save a card",
        |call| Box::pin(card_page(call)),
    )
    .description(
        "Makes a page of the payment provider on which a payer saves a card. Once it is saved, it takes the place of the \
         one before. The provider `manual` has no such page (404 `not_found`).",
    )
    .request(of::<PageIn>, r#"{"return_url": "https://app.example.com/billing"}"#)
    .response(200, of::<PageJson>, PAGE_EXAMPLE)
    .problems(&[Code::NotFound, Code::PaymentProviderUnavailable]),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/billing-portal",
        Workspace(&[Manage]),
        "Make a page for cards and invoices",
        |call| Box::pin(billing_portal(call)),
    )
    .description(
        "Makes a page of the payment provider for cards, addresses and invoices. Subscriptions are changed here, not \
         there. The provider `manual` has no such page (404 `not_found`).",
    )
    .request(of::<PageIn>, r#"{"return_url": "https://app.example.com/billing"}"#)
    .response(200, of::<PageJson>, PAGE_EXAMPLE)
    .problems(&[Code::NotFound, Code::PaymentProviderUnavailable]),
];

const PAGE_EXAMPLE: &str = r#"{"url": "https://billing.stripe.com/p/session/example"}"#;

/// About the size of the address of a page in JSON.
const PAGE_BYTES: usize = 512;

/// A page to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PaymentPageRequest)]
pub struct PageIn {
    /// Where the payer comes back.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, format = "uri", max_length = 2_000)]
    return_url: Option<WebUrl>,
}

/// A page of the payment provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentPage)]
pub struct PageJson<'a> {
    /// The address of the page, for one visit.
    #[schema(format = "uri")]
    url: &'a str,
}

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
    cards::remove(&call, &workspace).await?;
    Ok(no_content())
}

/// `POST /v1/workspaces/{workspace}/payment-method`.
async fn card_page(mut call: Call) -> Result<Response, Problem> {
    let (workspace, back) = asked(&mut call).await?;
    let url = cards::card_page(&call, &workspace, &back).await?;
    Ok(json(StatusCode::OK, PAGE_BYTES, &PageJson { url: &url }))
}

/// `POST /v1/workspaces/{workspace}/billing-portal`.
async fn billing_portal(mut call: Call) -> Result<Response, Problem> {
    let (workspace, back) = asked(&mut call).await?;
    let url = cards::billing_portal(&call, &workspace, &back).await?;
    Ok(json(StatusCode::OK, PAGE_BYTES, &PageJson { url: &url }))
}

/// The workspace for which a page is asked, and where its payer comes back.
async fn asked(call: &mut Call) -> Result<(WorkspaceId, String), Problem> {
    let workspace = call.workspace()?;
    let PageIn { return_url: asked } = call.optional_json().await?;
    let back = return_url(call, &workspace, asked);
    Ok((workspace, back))
}

/// Where a payer comes back: as the request says, else where credit is added, else the portal.
pub(super) fn return_url(call: &Call, workspace: &WorkspaceId, asked: Option<WebUrl>) -> String {
    asked.map_or_else(|| cards::billing_url(call, workspace), |WebUrl(url)| url.into())
}
