//! The subscription of a workspace: a plan that runs (P4). With the provider `manual` the platform
//! confirms that a period or a change was paid, and only then its credit is granted. With Stripe
//! the first period is paid on a page of Stripe's, which collects the others, and says what was
//! paid. What is to be is written first, then placed at Stripe; a job does that too.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tollkeeper_engine::Reads;
use tollkeeper_ledger::Scope::{Manage, Read};
use tollkeeper_ledger::{Micros, PlanId, Preview, Subscription, SubscriptionId, Upgrade, WorkspaceId};
use utoipa::ToSchema;

use crate::access::Rule::{Platform, Workspace};
use crate::actions::cards::billing_url;
use crate::actions::subscriptions::{self, due};
use crate::http::call::{Call, existing, json, mark_replayed};
use crate::http::problem::{Code, Problem};
use crate::http::refusal::subscription_not_found;
use crate::http::route::{Route, of};
use crate::wire::read::word;
use crate::wire::write::{Text, Time, Usd};

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/v1/workspaces/{workspace}/subscription",
        Workspace(&[Read, Manage]),
        "Get the subscription",
        |call| Box::pin(get(call)),
    )
    .description("Returns the subscription that runs, or else the last one.")
    .problems(&[Code::SubscriptionNotFound])
    .response(200, of::<SubscriptionJson>, ACTIVE),
    Route::new(
        Method::PUT,
        "/v1/workspaces/{workspace}/subscription",
        Workspace(&[Manage]),
        "Start or change the subscription",
        |call| Box::pin(put(call)),
    )
    .description(
        "Starts a plan, or changes to it. A new subscription waits for its first payment; a free plan begins at once. A \
         dearer plan waits for the payment of the rest of the period, and brings the rest of the month's credit with \
         it. A cheaper one begins with the next period. The current plan takes back what is planned: another plan, or \
         the end. The same plan again changes nothing. With Stripe the first period is paid at `checkout_url`, and Stripe \
         collects the others; then a free plan and one that costs money do not change into each other.",
    )
    .problems(&[Code::PlanNotFound, Code::PlanIntervalDiffers, Code::PaymentProviderUnavailable])
    .request(of::<SubscriptionIn>, r#"{"plan": "starter"}"#)
    .response(200, of::<SubscriptionJson>, PENDING),
    Route::new(
        Method::DELETE,
        "/v1/workspaces/{workspace}/subscription",
        Workspace(&[Manage]),
        "Cancel the subscription",
        |call| Box::pin(cancel(call)),
    )
    .description(
        "Ends the subscription with the period that is paid; at once if none is. Its credit stays. Until then the \
         current plan takes the end back.",
    )
    .problems(&[Code::SubscriptionNotFound, Code::PaymentProviderUnavailable])
    .response(200, of::<SubscriptionJson>, CANCELED),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/subscription/confirm",
        Platform,
        "Confirm a payment of the subscription",
        |call| Box::pin(confirm(call)),
    )
    .description(
        "Says that the oldest period that has begun and was not paid is paid, and grants its credit once. With `change` \
         the change that waits is paid. Debt is repaid from the credit first.",
    )
    .idempotency_key()
    .problems(&[Code::SubscriptionNotFound, Code::NothingDue])
    .optional_request(of::<ConfirmIn>, r#"{"change": false}"#)
    .response(200, of::<SubscriptionJson>, ACTIVE),
    Route::new(
        Method::POST,
        "/v1/workspaces/{workspace}/subscription/preview",
        Workspace(&[Manage]),
        "Preview a plan",
        |call| Box::pin(preview(call)),
    )
    .description("Says what a plan would cost and bring if it were asked for now. Moves nothing.")
    .problems(&[Code::PlanNotFound, Code::PlanIntervalDiffers])
    .request(of::<SubscriptionIn>, r#"{"plan": "starter"}"#)
    .response(
        200,
        of::<PreviewJson>,
        r#"{"due_now_usd": "19.00", "credits_now": 2000000, "credits_now_usd": "20.00",
            "credits_per_month": 2000000, "credits_per_month_usd": "20.00", "from": "2026-11-23T15:04:05.678Z"}"#,
    ),
];

const PENDING: &str = r#"{"id": "sub_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme",
    "plan": "starter", "status": "pending", "period": null, "next_plan": null, "change": null,
    "cancels_at": null, "started_at": "2026-11-23T15:04:05.678Z", "ended_at": null,
    "due_usd": "19.00",
    "payment": {"provider": "manual", "instructions": "Pay the invoice that you will get by e-mail."}}"#;

const ACTIVE: &str = r#"{"id": "sub_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme",
    "plan": "starter", "status": "active",
    "period": {"start": "2026-11-23T15:04:05.678Z", "end": "2026-12-23T15:04:05.678Z"},
    "next_plan": null, "change": null, "cancels_at": null, "started_at": "2026-11-23T15:04:05.678Z",
    "ended_at": null, "due_usd": "0.00", "payment": {"provider": "manual"}}"#;

const CANCELED: &str = r#"{"id": "sub_01991234-5678-7abc-bfff-0123456789ab", "workspace": "acme",
    "plan": "starter", "status": "canceled",
    "period": {"start": "2026-11-23T15:04:05.678Z", "end": "2026-12-23T15:04:05.678Z"},
    "next_plan": null, "change": null, "cancels_at": "2026-12-23T15:04:05.678Z",
    "started_at": "2026-11-23T15:04:05.678Z", "ended_at": null, "due_usd": "0.00",
    "payment": {"provider": "manual"}}"#;

/// About the size of a subscription in JSON, with instructions.
const SUBSCRIPTION_BYTES: usize = 768;

/// A plan to start or to change to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubscriptionRequest)]
pub struct SubscriptionIn {
    /// The id of the plan.
    #[serde(deserialize_with = "word")]
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = r"^(?!\.+$)[A-Za-z0-9._:@-]+$")]
    plan: PlanId,
}

/// What was paid.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubscriptionConfirmRequest)]
pub struct ConfirmIn {
    /// True if the change that waits was paid; false if a period was.
    #[serde(default)]
    change: bool,
}

/// A plan that runs, waits for its first payment, or has ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub struct SubscriptionJson<'a> {
    /// The id of the subscription.
    #[schema(value_type = String, example = "sub_01991234-5678-7abc-bfff-0123456789ab")]
    id: Text<SubscriptionId>,
    /// The id of the workspace.
    workspace: &'a str,
    /// The id of its plan.
    plan: &'a str,
    /// `pending` until the first payment, then `active`; `past_due` when a period has begun that
    /// was not paid; `canceled` when it ends with its period; then `ended`.
    status: &'static str,
    /// The period that it is in; of one that is past due, the oldest that was not paid. Null if
    /// none has begun.
    #[schema(required)]
    period: Option<PeriodJson>,
    /// The id of the plan that begins with the next period; null if it stays.
    #[schema(required)]
    next_plan: Option<&'a str>,
    /// The change to a dearer plan that waits for its payment; null if there is none.
    #[schema(required)]
    change: Option<ChangeJson<'a>>,
    /// When it ends; null unless it was canceled.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    cancels_at: Option<Time>,
    /// When it was started.
    #[schema(value_type = String, format = DateTime)]
    started_at: Time,
    /// When it ended; null before.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    ended_at: Option<Time>,
    /// What waits to be paid now in dollars, without a change: the first period, or the oldest that
    /// is past due.
    #[schema(value_type = String, example = "19.00")]
    due_usd: Usd,
    /// The page on which the first period is paid; absent unless it waits for that at Stripe.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkout_url: Option<&'a str>,
    /// How it is paid.
    payment: PaymentJson<'a>,
}

/// A period of a subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionPeriod)]
pub struct PeriodJson {
    /// Its first instant.
    #[schema(value_type = String, format = DateTime)]
    start: Time,
    /// The first instant after it.
    #[schema(value_type = String, format = DateTime)]
    end: Time,
}

/// A change to a dearer plan that waits for its payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionChange)]
pub struct ChangeJson<'a> {
    /// The id of the plan.
    plan: &'a str,
    /// What it costs for the rest of the period, in dollars.
    #[schema(value_type = String, example = "12.50")]
    due_usd: Usd,
    /// The credit that it brings for the rest of the month, in micro-units.
    credits: i64,
    /// `credits` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "12.50")]
    credits_usd: Usd,
    /// When it is dropped if it is not paid.
    #[schema(value_type = String, format = DateTime)]
    until: Time,
}

/// How a subscription is paid.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionPayment)]
pub struct PaymentJson<'a> {
    /// `manual`: the platform confirms each payment; `stripe`: Stripe collects them.
    provider: &'static str,
    /// What the payer has to do; absent if nothing waits for a payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
}

/// What a plan would cost and bring.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionPreview)]
pub struct PreviewJson {
    /// What is to be paid now, in dollars.
    #[schema(value_type = String, example = "19.00")]
    due_now_usd: Usd,
    /// The credit that it brings once that is paid, in micro-units.
    credits_now: i64,
    /// `credits_now` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "20.00")]
    credits_now_usd: Usd,
    /// The credit of each month from then on, in micro-units.
    credits_per_month: i64,
    /// `credits_per_month` in dollars, as an exact decimal text.
    #[schema(value_type = String, example = "20.00")]
    credits_per_month_usd: Usd,
    /// When the plan begins.
    #[schema(value_type = String, format = DateTime)]
    from: Time,
}

impl<'a> SubscriptionJson<'a> {
    fn of(
        workspace: &'a str,
        subscription: &'a Subscription,
        (instructions, checkout_url): (&'a str, Option<&'a str>),
    ) -> SubscriptionJson<'a> {
        let Subscription {
            id, plan, started_at, upgrade, next_plan, cancels_at, ended_at, collected, ..
        } = subscription;
        let provider = collected.as_deref().map_or("manual", |collected| collected.provider.as_str());
        let status = subscription.status();
        let due = due(subscription);
        let waits = collected.is_none() && (due > Micros::ZERO || upgrade.is_some());
        SubscriptionJson {
            id: Text(*id),
            workspace,
            plan: plan.id.as_str(),
            status: status.as_str(),
            period: subscription
                .period()
                .map(|(start, end)| PeriodJson { start: Time(start), end: Time(end) }),
            next_plan: next_plan.as_ref().map(|plan| plan.id.as_str()),
            change: upgrade.as_ref().map(ChangeJson::of),
            cancels_at: cancels_at.map(Time),
            started_at: Time(*started_at),
            ended_at: ended_at.map(Time),
            due_usd: Usd(due),
            checkout_url,
            payment: PaymentJson { provider, instructions: waits.then_some(instructions) },
        }
    }
}

impl<'a> ChangeJson<'a> {
    fn of(upgrade: &'a Upgrade) -> ChangeJson<'a> {
        let Upgrade { number: _, plan, due_cents, credits, asked_at: _, drop_at, month: _ } = upgrade;
        ChangeJson {
            plan: plan.id.as_str(),
            due_usd: Usd(Micros::from_cents(*due_cents)),
            credits: credits.get(),
            credits_usd: Usd(*credits),
            until: Time(*drop_at),
        }
    }
}

/// `GET /v1/workspaces/{workspace}/subscription`.
async fn get(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let (_, url) = subscriptions::look(&call, &workspace, &billing_url(&call, &workspace)).await?;
    show(&call, &workspace, url.as_deref()).await
}

/// `PUT /v1/workspaces/{workspace}/subscription`.
async fn put(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let SubscriptionIn { plan } = call.json().await?;
    let return_url = billing_url(&call, &workspace);
    let url = subscriptions::start_or_change(&call, &workspace, plan, &return_url).await?;
    show(&call, &workspace, url.as_deref()).await
}

/// `DELETE /v1/workspaces/{workspace}/subscription`.
async fn cancel(call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    subscriptions::cancel(&call, &workspace).await?;
    show(&call, &workspace, None).await
}

/// `POST /v1/workspaces/{workspace}/subscription/confirm`.
async fn confirm(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let key = call.idempotency_key()?;
    let ConfirmIn { change } = call.optional_json().await?;
    let is_replayed = subscriptions::confirm(&call, &workspace, &key, change).await?;
    let mut response = show(&call, &workspace, None).await?;
    mark_replayed(&mut response, is_replayed);
    Ok(response)
}

/// `POST /v1/workspaces/{workspace}/subscription/preview`.
async fn preview(mut call: Call) -> Result<Response, Problem> {
    let workspace = call.workspace()?;
    let SubscriptionIn { plan } = call.json().await?;
    let Preview { due_cents, credits_now, credits_per_month, from } =
        subscriptions::preview(&call, &workspace, &plan).await?;
    let preview = PreviewJson {
        due_now_usd: Usd(Micros::from_cents(due_cents)),
        credits_now: credits_now.get(),
        credits_now_usd: Usd(credits_now),
        credits_per_month: credits_per_month.get(),
        credits_per_month_usd: Usd(credits_per_month),
        from: Time(from),
    };
    Ok(json(StatusCode::OK, 256, &preview))
}

async fn show(call: &Call, workspace: &WorkspaceId, url: Option<&str>) -> Result<Response, Problem> {
    let payments = existing(workspace, call.app.engine().payments(workspace).await?)?;
    let subscription = payments.subscription.as_deref().ok_or_else(subscription_not_found)?;
    let words = (call.app.payments.instructions.as_str(), url);
    let shown = SubscriptionJson::of(workspace.as_str(), subscription, words);
    Ok(json(StatusCode::OK, SUBSCRIPTION_BYTES, &shown))
}
