//! The page that asks once more before something is done: what follows from it, and a button that
//! names it.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::frame::Frame;
use super::page::page;

/// The page with the question. Its form carries `confirmed`.
#[derive(Template)]
#[template(path = "dashboard/confirm.html")]
pub struct Confirm<'a> {
    pub frame: Frame<'a>,
    pub title: String,
    /// What was wrong with the form before; empty for nothing.
    pub error: &'a str,
    /// What follows from it, a paragraph each.
    pub lines: Vec<String>,
    /// What it is about: names and values.
    pub facts: Vec<(&'a str, String)>,
    /// Where the form goes.
    pub action: &'a str,
    /// The hidden fields that it carries.
    pub fields: Vec<(&'a str, String)>,
    /// The text of the button; empty if it cannot be done.
    pub button: String,
    /// Whether it cannot be undone.
    pub is_danger: bool,
    /// The page that a link leads back to.
    pub back: &'a str,
    /// The text of that link.
    pub back_text: &'a str,
}

impl Confirm<'_> {
    /// The response with the page.
    pub fn respond(&self, status: StatusCode) -> Response {
        page(status, self)
    }
}
