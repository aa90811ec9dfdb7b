//! Signing in to the console, and signing out.
//!
//! The operator names themself and enters the platform's secret: the password of the settings, else
//! a platform key. The secret is exchanged for a short session and is not kept.

use askama::Template;
use axum::http::header::SET_COOKIE;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tollkeeper_ledger::{Actor, Command, OperatorCommand, OperatorId, Submission, WorkspaceId};

use super::frame::ConsoleVisit;
use crate::access::cookie::{self, Place};
use crate::access::secret::{self, Kind};
use crate::access::{Denied, Rule};
use crate::dashboard::fields::Field;
use crate::dashboard::frame::{Frame, keep_language};
use crate::dashboard::page::{CONSOLE, page, see_other};
use crate::dashboard::words::ConsoleWords;
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::http::route::Route;
use crate::language::Language;

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::POST, "/console/sign-in", Rule::Public, "Sign in to the console", |call| {
        Box::pin(sign_in(call))
    })
    .page()
    .redirects()
    .problems(&[Code::RateLimited, Code::StoreUnavailable]),
    Route::new(
        Method::POST,
        "/console/language",
        Rule::Operator,
        "Choose a language of the console",
        |call| Box::pin(choose_language(call)),
    )
    .page()
    .redirects(),
    Route::new(Method::POST, "/console/sign-out", Rule::Operator, "Sign out of the console", |call| {
        Box::pin(sign_out(call))
    })
    .page()
    .redirects(),
    Route::new(Method::POST, "/console/sign-out-all", Rule::Operator, "Sign out all operators", |call| {
        Box::pin(sign_out_all(call))
    })
    .page()
    .redirects(),
];

#[derive(Template)]
#[template(path = "dashboard/console/sign_in.html")]
struct SignIn<'a> {
    frame: Frame<'a>,
    words: &'static ConsoleWords,
    /// What was wrong; empty for nothing.
    error: &'a str,
    name: Field,
    secret: Field,
}

/// The page with the form.
pub fn form(call: &Call) -> Response {
    show(call, StatusCode::OK, "", "")
}

/// The page with the form, and what was wrong with each field of the one before; empty for nothing.
fn show(call: &Call, status: StatusCode, wrong_name: &str, wrong_secret: &str) -> Response {
    let frame = Frame::public(&call.app, call.headers());
    let words = &frame.language.words().console;
    let typed = call.form().get("operator").unwrap_or_default().to_owned();
    let label = if call.app.access.takes_password() { words.password } else { words.platform_key };
    let shown = SignIn {
        words,
        error: if wrong_name.is_empty() { wrong_secret } else { wrong_name },
        name: Field::new("operator", "text", words.operator_name)
            .with_value(typed)
            .with_hint(words.operator_hint)
            .with_error(wrong_name),
        secret: Field::new("secret", "password", label).with_error(wrong_secret),
        frame,
    };
    page(status, &shown)
}

/// `POST /console/sign-in`.
async fn sign_in(mut call: Call) -> Result<Response, Problem> {
    call.read_form().await?;
    let words = &Frame::public(&call.app, call.headers()).language.words().console;
    let Some(Ok(operator)) = call.form().get("operator").map(OperatorId::new) else {
        return Ok(show(&call, StatusCode::UNPROCESSABLE_ENTITY, words.wrong_name, ""));
    };
    let access = &call.app.access;
    match access.opens_console(call.form().get("secret").unwrap_or_default()).await {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!(%operator, "a sign-in to the console was refused");
            return Ok(show(&call, StatusCode::UNPROCESSABLE_ENTITY, "", words.wrong_secret));
        }
        Err(denied) => return Err(Denied::into(denied)),
    }
    let secret = secret::make(Kind::Operator, None).map_err(|error| refusal::internal(&error))?;
    let valid_for_seconds = access.operator_seconds();
    let session = secret::hash(secret.as_bytes());
    // The caller is anonymous; the platform's secret proves that the platform acts.
    let command = Command::Operator(OperatorCommand::SignIn { operator, session, valid_for_seconds });
    let workspace = WorkspaceId::platform();
    let submission = Submission { workspace: workspace.clone(), key: None, actor: Actor::Platform, command };
    let result = call.app.engine().run(submission, call.now).await?;
    result.map_err(|refused| call.refused(&workspace, refused))?;
    let mut response = see_other(CONSOLE);
    let cookie = cookie::set(Place::Console, &secret, valid_for_seconds, call.is_secure());
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// `POST /console/language`.
async fn choose_language(call: Call) -> Result<Response, Problem> {
    let language = call.form().get("language").and_then(Language::of_tag).unwrap_or_default();
    let mut response = see_other(CONSOLE);
    response.headers_mut().insert(SET_COOKIE, keep_language(language, call.is_secure()));
    Ok(response)
}

/// `POST /console/sign-out`.
async fn sign_out(call: Call) -> Result<Response, Problem> {
    let session = ConsoleVisit::begin(&call)?.operator.session.id;
    end(&call, OperatorCommand::SignOut(Some(session))).await
}

/// `POST /console/sign-out-all`. It ends the caller's session too.
async fn sign_out_all(call: Call) -> Result<Response, Problem> {
    end(&call, OperatorCommand::SignOut(None)).await
}

/// Ends sessions, and removes the cookie of this browser.
async fn end(call: &Call, command: OperatorCommand) -> Result<Response, Problem> {
    let workspace = WorkspaceId::platform();
    let command = Command::Operator(command);
    let submission = Submission { workspace: workspace.clone(), key: None, actor: Actor::Platform, command };
    let result = call.app.engine().run(submission, call.now).await?;
    result.map_err(|refused| call.refused(&workspace, refused))?;
    let mut response = see_other(CONSOLE);
    response.headers_mut().insert(SET_COOKIE, cookie::set(Place::Console, "", 0, call.is_secure()));
    Ok(response)
}
