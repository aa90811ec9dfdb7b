//! Top-ups: credit that is bought once (P5). With the provider `manual` the platform confirms that
//! the money came in; with Stripe the payer pays on a page of Stripe's. Only then the credit is
//! granted.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_ledger::Scope::Manage;
use tollkeeper_ledger::{
    Command, GrantId, Micros, PaymentCommand, Provider, TopUp, TopUpFailure, TopUpId, TopUpStatus, TopUpWay,
    WorkspaceId,
};
use utoipa::ToSchema;

use super::PAGE;
use super::payment_method::return_url;
use crate::access::Rule::{Platform, Workspace};
use crate::actions::top_ups::{self, Known};
use crate::http::call::{Call, json, mark_replayed};
use crate::http::problem::{Code, Problem};
use crate::http::route::{Route, list_of, of};
use crate::payments::settings::PaymentSettings;
use crate::wire::ReadError;
use crate::wire::page::{ListJson, newest_first};
use crate::wire::read::{Dollars, WebUrl, maybe_word, word};
use crate::wire::write::{Text, Time, Usd};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/top-ups",
        Workspace(&[Manage]),
        "Open a top-up",
        |call| Box::pin(open(call)),
    )
    .description(
        "Opens a top-up, which waits for its payment. Credit is granted once, after the payment was confirmed. A \
         dollar buys 100,000 micro-units of credit. A top-up that nobody pays expires after 90 days. The settings `top_up_min_usd` and `top_up_max_usd` bound the amount. \
         With Stripe, `payment.checkout_url` is the page to pay on. If Stripe does not answer, the top-up waits: the \
         same request under the same key gives the page later. A repeated request shows the top-up as it is now.",
    )
    .idempotency_key()
    .problems(&[Code::PaymentProviderUnavailable])
    .request(of::<TopUpIn>, r#"{"amount_usd": "25.00"}"#)
    .response(201, of::<TopUpJson>, PENDING),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/top-ups",
        Workspace(&[Manage]),
        "List top-ups",
        |call| Box::pin(list(call)),
    )
    .description("Lists the top-ups of a workspace, newest first.")
    .parameters(PAGE)
    .response(200, list_of::<TopUpJson>, SUCCEEDED),
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/top-ups/{top_up}",
        Workspace(&[Manage]),
        "Get a top-up",
        |call| Box::pin(get(call)),
    )
    .description(
        "Returns a top-up of a workspace. If it waits on a page of Stripe's, or was paid at Stripe, Stripe is asked about \
         it, at most every five seconds.",
    )
    .response(200, of::<TopUpJson>, SUCCEEDED),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/top-ups/{top_up}/confirm",
        Platform,
        "Confirm a top-up",
        |call| Box::pin(confirm(call)),
    )
    .description(
        "Says that the payment of a top-up came in, and grants its credit, also if the top-up has expired. A second \
         confirmation changes nothing, so no idempotency key is needed. Debt is repaid from the credit first.",
    )
    .response(200, of::<TopUpJson>, SUCCEEDED),
];

const PENDING: &str = r#"{"id": "tu_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme",
    "status": "pending", "credits": 2500000, "credits_usd": "25.00", "amount_usd": "25.00",
    "created_at": "2026-11-23T15:04:05.678Z", "paid_at": null, "grant": null,
    "failure": null, "payment": {"provider": "manual", "way": "manual", "instructions": "Pay the invoice that you will get by e-mail."}}"#;

const SUCCEEDED: &str = r#"{"id": "tu_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme",
    "status": "succeeded", "credits": 2500000, "credits_usd": "25.00", "amount_usd": "25.00",
    "created_at": "2026-11-23T15:04:05.678Z", "paid_at": "2026-11-24T09:00:00.000Z",
    "grant": "gr_01991234-9abc-7abc-bfff-0123456789ab", "failure": null,
    "payment": {"provider": "manual", "way": "manual"}}"#;

/// About the size of one top-up in JSON, with instructions.
const TOP_UP_BYTES: usize = 640;

/// The credit to be bought.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TopUpRequest)]
pub struct TopUpIn {
    /// What is to be paid, in whole cents, as a decimal text in dollars, without tax.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, pattern = r"^[0-9]+(\.[0-9]{1,2}0{0,3})?$", example = "25.00")]
    amount_usd: Dollars,
    /// Where a payer comes back from a page of the payment provider. The provider `manual` has no
    /// page. A repeated request must name the same one.
    #[serde(default, deserialize_with = "maybe_word")]
    #[schema(value_type = Option<String>, format = "uri", max_length = 2_000)]
    return_url: Option<WebUrl>,
}

/// Credit that is bought once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TopUp)]
pub struct TopUpJson<'a> {
    /// The id of the top-up.
    #[schema(value_type = String, example = "tu_01991234-5678-7abc-bfff-0123456789ab")]
    id: Text<TopUpId>,
    /// The id of the workspace.
    workspace: &'a str,
    /// `pending` until the payment was confirmed, then `succeeded`; `failed` if it was not paid,
    /// `expired` if nobody paid it in time, or before its page was over.
    status: &'static str,
    /// The credit that it buys, in micro-units.
    credits: i64,
    /// `credits` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "25.00")]
    credits_usd: Usd,
    /// What is paid, in dollars, as an exact decimal text, without tax.
    #[schema(value_type = String, example = "25.00")]
    amount_usd: Usd,
    /// When the top-up was opened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    /// When the payment was confirmed; null before.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    paid_at: Option<Time>,
    /// The id of the grant that the payment brought; null before.
    #[schema(required, value_type = Option<String>)]
    grant: Option<Text<GrantId>>,
    /// Why it failed: `declined`, `declined_for_good`, `authentication_needed`, `not_paid` or
    /// `refused_by_provider`; null unless it failed.
    #[schema(required)]
    failure: Option<&'static str>,
    /// How it is paid.
    payment: PaymentJson<'a>,
    /// The receipt of the payment provider, if it took the money and answers. Only one top-up shows
    /// it, not a list. The provider may end the address after some weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri")]
    receipt_url: Option<&'a str>,
}

/// The addresses that the payment provider gives for a top-up.
#[derive(Clone, Copy, Debug, Default)]
struct Addresses<'a> {
    checkout_url: Option<&'a str>,
    receipt_url: Option<&'a str>,
}

/// How a top-up is paid.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TopUpPayment)]
pub struct PaymentJson<'a> {
    /// `manual`: the platform confirms the payment. Otherwise the payment provider.
    provider: &'static str,
    /// `manual`, `checkout` for a page of the provider, or `automatic` if it was opened because the
    /// balance was low.
    way: &'static str,
    /// What the payer has to do; absent once it was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    /// The page to pay on, while it can be paid and the provider answers. Only one top-up shows it,
    /// not a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri")]
    checkout_url: Option<&'a str>,
}

impl<'a> TopUpJson<'a> {
    fn of(
        workspace: &'a str,
        top_up: &'a TopUp,
        settings: &'a PaymentSettings,
        Addresses { checkout_url, receipt_url }: Addresses<'a>,
    ) -> TopUpJson<'a> {
        let TopUp { id, cents, way, status, opened_at, ended_at, payment: _, grant, failure, at_provider: _ } =
            top_up;
        let waits = *status == TopUpStatus::Pending && *way == TopUpWay::Manual;
        TopUpJson {
            id: Text(*id),
            workspace,
            status: status.as_str(),
            credits: top_up.credits().get(),
            credits_usd: Usd(top_up.credits()),
            amount_usd: Usd(Micros::from_cents(*cents)),
            created_at: Time(*opened_at),
            paid_at: ended_at.filter(|_| *status == TopUpStatus::Succeeded).map(Time),
            grant: grant.map(Text),
            failure: failure.map(TopUpFailure::as_str),
            payment: PaymentJson {
                provider: match way {
                    TopUpWay::Manual => TopUpWay::Manual.as_str(),
                    TopUpWay::Checkout | TopUpWay::Automatic => Provider::Stripe.as_str(),
                },
                way: way.as_str(),
                instructions: waits.then_some(settings.instructions.as_str()),
                checkout_url,
            },
            receipt_url,
        }
    }
}

/// `POST /v1/workspaces/{workspace}/top-ups`.
async fn open(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let key = call.idempotency_key()?;
    let TopUpIn { amount_usd: Dollars(amount), return_url: back } = call.json().await?;
    let cents = amount.whole_cents();
    let cents = cents.ok_or_else(|| ReadError::field("amount_usd", "must be a number of whole cents"))?;
    let (opened, is_replayed) = top_ups::open(&call, &workspace, key, cents).await?;
    let mut response = if call.app.stripe.is_some() {
        let back = return_url(&call, &workspace, back);
        let url = top_ups::checkout_page(&call, &workspace, opened.id, &back).await?;
        let top_up = top_ups::find(&call, &workspace, opened.id).await?;
        let addresses = Addresses { checkout_url: url.as_deref(), receipt_url: None };
        respond(StatusCode::CREATED, &call, &workspace, &top_up, addresses)
    } else {
        respond(StatusCode::CREATED, &call, &workspace, &opened, Addresses::default())
    };
    mark_replayed(&mut response, is_replayed);
    Ok(response)
}

/// `GET /v1/workspaces/{workspace}/top-ups`.
async fn list(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let page = call.query().page()?;
    let payments = top_ups::payments(&call, &workspace).await?;
    let listing = newest_first(&payments.top_ups, |top_up| top_up.opened_at, &page)?;
    let settings = &call.app.payments;
    let none = Addresses::default();
    let rows = ListJson::of(&listing, |top_up| TopUpJson::of(workspace.as_str(), top_up, settings, none));
    Ok(json(StatusCode::OK, TOP_UP_BYTES * listing.data.len() + 64, &rows))
}

/// `GET /v1/workspaces/{workspace}/top-ups/{top_up}`.
async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let id = call.top_up(&workspace).await?;
    find(&call, &workspace, id).await
}

/// `POST /v1/workspaces/{workspace}/top-ups/{top_up}/confirm`.
async fn confirm(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let id = call.top_up(&workspace).await?;
    let command = Command::Payment(PaymentCommand::ConfirmTopUp(id));
    let answer = call.run(&workspace, None, command).await?;
    let mut response = find(&call, &workspace, id).await?;
    mark_replayed(&mut response, answer.replayed);
    Ok(response)
}

async fn find(call: &Call, workspace: &WorkspaceId, id: TopUpId) -> Result<Response, Problem> {
    let Known { top_up, checkout_url, receipt_url } = top_ups::look(call, workspace, id).await?;
    let addresses = Addresses { checkout_url: checkout_url.as_deref(), receipt_url: receipt_url.as_deref() };
    Ok(respond(StatusCode::OK, call, workspace, &top_up, addresses))
}

fn respond(
    status: StatusCode,
    call: &Call,
    workspace: &WorkspaceId,
    top_up: &TopUp,
    addresses: Addresses<'_>,
) -> Response {
    let shown = TopUpJson::of(workspace.as_str(), top_up, &call.app.payments, addresses);
    json(status, TOP_UP_BYTES, &shown)
}
