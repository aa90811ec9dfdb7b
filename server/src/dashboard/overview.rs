//! The first page of the dashboard: the balance of the workspace and the way to sign out.

use askama::Template;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_engine::Reads;
use tollkeeper_ledger::Role;

use super::page::{ROOT, page, signed_in};
use crate::access::{Rule, SignedIn};
use crate::http::call::{Call, existing};
use crate::http::problem::Problem;
use crate::http::route::Route;
use crate::wire::write::{grouped, grouped_usd};

/// The routes.
pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, ROOT, Rule::SignedIn(Role::Member), "The first page", |call| {
        Box::pin(overview(call))
    })
    .page()];

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    /// The display name of the workspace.
    workspace: &'a str,
    /// The display name of the member; the id if the name was erased.
    name: &'a str,
    is_admin: bool,
    /// The available credit in micro-units, grouped.
    credits: String,
    /// The available credit in dollars, grouped.
    usd: String,
    return_url: Option<&'a str>,
    form_token: &'a str,
}

/// `GET /portal`.
async fn overview(call: Call) -> Result<Response, Problem> {
    let SignedIn { workspace, session, member, form_token } = signed_in(&call)?;
    let profile = existing(workspace, call.app.engine().workspace(workspace).await?)?;
    let balance = existing(workspace, call.app.engine().balance(workspace, None).await?)?;
    let available = balance.balance.available;
    let texts = call.personal_texts(workspace, std::iter::once(member)).await?;
    Ok(page(
        StatusCode::OK,
        &Overview {
            workspace: &profile.name,
            name: texts.get(&member.name).map_or(member.id.as_str(), |name| name),
            is_admin: member.role == Role::Admin,
            credits: grouped(available.get()),
            usd: grouped_usd(available),
            return_url: session.return_url.as_deref(),
            form_token,
        },
    ))
}
