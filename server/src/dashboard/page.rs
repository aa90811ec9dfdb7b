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
use crate::access::cookie::{self, Place};
use crate::access::{Caller, SignedIn};
use crate::app::App;
use crate::http::call::{Call, no_content};
use crate::http::problem::{Code, Problem};
use crate::http::refusal;

/// The path of the dashboard. Over plain HTTP, the cookie of a session is limited to it.
pub const ROOT: &str = "/portal";

/// The path of the console, likewise.
pub const CONSOLE: &str = "/console";

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
    /// A button: its address and its text.
    pub link: Option<(&'a str, &'a str)>,
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
    let is_inside = path.starts_with(ROOT) || path.starts_with(CONSOLE);
    assert!(is_inside, "a redirection must stay in the dashboard");
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

/// A problem as a page, for a request of this path. Problems of the server show no detail, because
/// members cannot act on it.
pub fn problem_page(app: &App, headers: &HeaderMap, path: &str, problem: &Problem) -> Response {
    let frame = Frame::public(app, headers);
    let (words, refusals) = (frame.words, &frame.language.words().refusals);
    let is_console = path.starts_with(CONSOLE);
    let title = (refusals.title)(problem.code);
    let (title, text) = match problem.code {
        Code::Unauthenticated if is_console => (words.not_signed_in, words.console_session_ended.to_owned()),
        Code::Unauthenticated => (words.not_signed_in, words.session_ended.to_owned()),
        Code::NotFound => (title, words.no_such_page.to_owned()),
        code if code.status() >= 500 => (title, words.try_again.to_owned()),
        _ => (title, (refusals.text)(problem)),
    };
    let note = (words.code)(problem.code.as_str());
    // Who has a session can go on.
    let is_secure = cookie::is_secure(app.public_url.as_deref(), headers);
    let has_session = cookie::secrets(headers, Place::Portal, is_secure).next().is_some();
    let leads_inside = has_session && problem.code != Code::Unauthenticated;
    let link = match is_console {
        true => Some((CONSOLE, words.console)),
        false => leads_inside.then_some((ROOT, words.to_overview)),
    };
    let message = Message { frame, title, text: &text, note: &note, link };
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
