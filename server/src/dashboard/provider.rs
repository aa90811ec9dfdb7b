//! Pages around the payment provider: the one that leads to it, the one that says that it does not
//! answer, and how a page looks again by itself until a payment is known.
//!
//! Forms of the dashboard are sent to this server only, also by way of a redirection. So a form
//! that leads to the provider is answered with a page of this server, which goes on by itself.
//!
//! A page looks again by the header `Refresh`, which needs no script. It stops after some minutes,
//! and at once if its reader wants that.

use askama::Template;
use axum::http::header::REFRESH;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::frame::{Frame, Tab, Visit};
use super::page::page;
use crate::http::call::Call;
use crate::http::problem::{Code, Problem};
use crate::http::refusal;
use crate::wire::url::is_url;

/// How often a page looks again by itself: five minutes long.
pub const LOOKS_MAX: u32 = 60;

/// The seconds from one look to the next.
const LOOK_SECONDS: u32 = 5;

/// The parameter with the number of looks so far.
pub const LOOKS: &str = "looks";

/// The page that leads to the payment provider, or says that it does not answer.
#[derive(Template)]
#[template(path = "dashboard/provider.html")]
struct ProviderPage<'a> {
    frame: Frame<'a>,
    title: &'a str,
    text: &'a str,
    /// The link of the page.
    url: &'a str,
    link: &'a str,
    /// Whether the page goes there by itself.
    goes_on: bool,
}

/// The page that leads to an address of the payment provider.
///
/// # Errors
/// The provider gave an address that is none, which is a fault of the provider (500).
pub fn leave(visit: &Visit<'_>, url: &str) -> Result<Response, Problem> {
    if !is_url(url, &["https", "http"]) {
        return Err(refusal::internal(&"the payment provider gave an address that is none"));
    }
    let words = &visit.words().top_up;
    let (title, text, link) = (words.leave, words.leave_text, words.leave_link);
    let shown = ProviderPage { frame: visit.frame(Tab::None), title, text, url, link, goes_on: true };
    Ok(page(StatusCode::OK, &shown))
}

/// The page that says that the provider does not answer, with a link to try again. Any other
/// problem stays one.
///
/// # Errors
/// The problem is another one.
pub fn away(visit: &Visit<'_>, problem: Problem, retry: &str) -> Result<Response, Problem> {
    if problem.code != Code::PaymentProviderUnavailable {
        return Err(problem);
    }
    let words = &visit.words().top_up;
    let (title, text, link) = (words.provider_away, words.provider_away_text, words.try_again);
    let shown = ProviderPage { frame: visit.frame(Tab::None), title, text, url: retry, link, goes_on: false };
    let mut response = page(problem.code.http_status(), &shown);
    problem.write_headers(response.headers_mut());
    Ok(response)
}

/// How often the page has looked by itself so far.
pub fn looks(call: &Call) -> u32 {
    call.query().get(LOOKS).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Lets a page look again by itself, at its own path.
pub fn look_again(response: &mut Response, path: &str, looks: u32) {
    let next = looks.saturating_add(1);
    let text = format!("{LOOK_SECONDS}; url={path}?{LOOKS}={next}");
    let value = HeaderValue::try_from(text).expect("paths of the dashboard are ASCII");
    response.headers_mut().insert(REFRESH, value);
}

/// The path of a page that does not look again by itself.
pub fn without_looks(path: &str) -> String {
    format!("{path}?{LOOKS}={LOOKS_MAX}")
}
