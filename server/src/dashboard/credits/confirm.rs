//! The page that asks once more before something is done: what it does, and a button that names it.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::dashboard::frame::Frame;
use crate::dashboard::page::page;

/// The page with the question.
#[derive(Template)]
#[template(path = "dashboard/credits_confirm.html")]
pub struct Confirm<'a> {
    pub frame: Frame<'a>,
    pub title: String,
    /// A message above all; empty for none.
    pub error: &'a str,
    pub lines: Vec<String>,
    pub facts: Vec<(&'a str, String)>,
    /// Where the form is sent.
    pub action: &'a str,
    pub token: &'a str,
    /// Hidden fields.
    pub fields: Vec<(&'a str, String)>,
    pub button: String,
    pub is_danger: bool,
    /// Where nothing is done.
    pub back: &'a str,
    pub back_text: &'a str,
}

impl Confirm<'_> {
    /// The response with the page.
    pub fn respond(&self) -> Response {
        page(StatusCode::OK, self)
    }
}
