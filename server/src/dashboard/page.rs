//! What all pages share: rendering, headers, and the page of a problem.

use askama::Template;
use axum::body::Body;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::frame::Frame;
use crate::access::{Caller, SignedIn};
use crate::app::App;
use crate::http::call::{Call, no_content};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;

/// The path of the dashboard. Over plain HTTP, the cookie of a session is limited to it.
pub const ROOT: &str = "/portal";

/// Pages load the files of this server only, and their forms are sent to this server only. Style
/// and script within a page do not run.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A page that shows a title and a sentence.
#[derive(Template)]
#[template(path = "dashboard/message.html")]
pub struct Message<'a> {
    /// The frame.
    pub frame: Frame<'a>,
    /// The title.
    pub title: &'a str,
    /// The sentence.
    pub text: &'a str,
    /// What stands below, in small letters; empty for nothing.
    pub note: &'a str,
    /// The page of the platform's product that a button leads back to.
    pub return_url: Option<&'a str>,
}

/// A response with a page.
pub fn page(status: StatusCode, template: &impl Template) -> Response {
    let text = template.render().expect("the templates are written to a String");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// A redirection to a page of the dashboard, 303.
pub fn see_other(path: &str) -> Response {
    assert!(path.starts_with(ROOT), "a redirection stays in the dashboard");
    let mut response = no_content();
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::try_from(path).expect("paths of the dashboard are ASCII");
    response.headers_mut().insert(LOCATION, location);
    response
}

/// Whether the client is a browser that shows the response to a person.
pub fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// A problem as a page. Problems of the server show no detail, because members cannot act on it.
pub fn problem_page(app: &App, headers: &HeaderMap, problem: &Problem) -> Response {
    let frame = Frame::public(app, headers);
    let (words, refusals) = (frame.words, &frame.language.words().refusals);
    let title = (refusals.title)(problem.code);
    let (title, text) = match problem.code {
        Code::Unauthenticated => (words.not_signed_in, words.session_ended.to_owned()),
        code if code.status() >= 500 => (title, words.try_again.to_owned()),
        _ => (title, (refusals.text)(problem)),
    };
    let note = (words.code)(problem.code.as_str());
    let message = Message { frame, title, text: &text, note: &note, return_url: None };
    let mut response = page(problem.code.http_status(), &message);
    problem.write_headers(response.headers_mut());
    response
}

/// Adds the headers of every response of the dashboard. Its path may contain a secret, and its
/// content is private.
pub fn protect(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// The member who is signed in.
///
/// # Errors
/// The caller has no session: the route has a wrong rule, which is a bug (500).
pub fn signed_in(call: &Call) -> Result<&SignedIn, Problem> {
    match &call.caller {
        Caller::Member(signed_in) => Ok(signed_in),
        _ => Err(refusal::internal(&"a route of the dashboard admitted a caller without a session")),
    }
}
