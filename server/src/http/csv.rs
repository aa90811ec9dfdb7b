//! Comma-separated values (RFC 4180): how a client asks for them, and how rows are written.
//!
//! A spreadsheet runs a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return as a
//! formula. Names are chosen by tenants, so a guarded text gets a `'` in front of such a character.
//! Numbers are never guarded.

use std::fmt::{Display, Write};

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

/// Whether a client asks for comma-separated values instead of JSON.
pub fn wants_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/csv"))
}

/// Rows of comma-separated values, the names of the columns first.
#[derive(Debug)]
pub struct Csv {
    text: String,
    is_guarded: bool,
    /// True if the next field is the first one of its row.
    is_at_start: bool,
}

impl Csv {
    /// The row of the names of the columns. `is_guarded`: whether texts are made safe for
    /// spreadsheets.
    pub fn new(columns: &[&str], is_guarded: bool) -> Csv {
        let mut csv = Csv { text: String::new(), is_guarded: false, is_at_start: true };
        columns.iter().for_each(|name| csv.text(name));
        csv.end_row();
        Csv { is_guarded, ..csv }
    }

    /// Adds a field that is a text.
    pub fn text(&mut self, field: &str) {
        self.separate();
        let guard = if self.is_guarded && begins_a_formula(field) { "'" } else { "" };
        if field.contains([',', '"', '\r', '\n']) {
            self.text += &format!("\"{guard}{}\"", field.replace('"', "\"\""));
        } else {
            self.text.push_str(guard);
            self.text.push_str(field);
        }
    }

    /// Adds a field that this program writes without a comma: a number or a time.
    pub fn value(&mut self, field: impl Display) {
        self.separate();
        write!(self.text, "{field}").expect("a string takes every text");
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.is_at_start) {
            self.text.push(',');
        }
    }

    /// Ends the row.
    pub fn end_row(&mut self) {
        self.text.push_str("\r\n");
        self.is_at_start = true;
    }

    /// The response that carries it.
    pub fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.text));
        let media_type = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        response
    }
}

fn begins_a_formula(field: &str) -> bool {
    field.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(is_guarded: bool, fields: &[&str]) -> String {
        let mut csv = Csv::new(&["a", "b"], is_guarded);
        fields.iter().for_each(|field| csv.text(field));
        csv.value(-5);
        csv.end_row();
        csv.text
    }

    #[test]
    fn texts_are_quoted_and_guarded() {
        assert_eq!(written(true, &["w-1", "=1+1"]), "a,b\r\nw-1,'=1+1,-5\r\n");
        assert_eq!(written(false, &["-w", "=1+1"]), "a,b\r\n-w,=1+1,-5\r\n");
        assert_eq!(written(true, &["@x", "\tx"]), "a,b\r\n'@x,'\tx,-5\r\n");
        assert_eq!(written(true, &["a,b", "say \"a\""]), "a,b\r\n\"a,b\",\"say \"\"a\"\"\",-5\r\n");
        assert_eq!(written(true, &["\rx", ""]), "a,b\r\n\"'\rx\",,-5\r\n");
    }

    #[test]
    fn a_client_asks_by_the_header_accept() {
        let of = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            wants_csv(&headers)
        };
        assert!(of("text/csv") && of("application/json;q=0.5, text/csv"));
        assert!(!of("application/json") && !wants_csv(&HeaderMap::new()));
    }
}
