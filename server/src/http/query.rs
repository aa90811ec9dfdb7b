//! The query of a URL: only parameters of the route, each at most once; and the page of a list.

use axum::http::Uri;
use tollkeeper_engine::Page;
use tollkeeper_ledger::{Timestamp, bounds};

use super::problem::{CURSOR_RULE, Problem};
use crate::wire::write::read_time;

/// The longest cursor that is passed to an engine. The cursors of all lists are much shorter.
const CURSOR_MAX_BYTES: usize = 256;

/// The query parameters of a request, by name.
#[derive(Debug, Default)]
pub struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Reads the query of a URL; `known` are the parameters of the route.
    ///
    /// # Errors
    /// A parameter is unknown or given twice.
    pub fn read(uri: &Uri, known: &[&'static str]) -> Result<Query, Problem> {
        let Some(text) = uri.query().filter(|text| !text.is_empty()) else {
            return Ok(Query::default());
        };
        let mut query = Query::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let Some(name) = known.iter().find(|known| **known == name) else {
                let shown: String = name.chars().take(bounds::NAME_MAX_BYTES).collect();
                return Err(Problem::parameter(&shown, "is not a parameter of this request"));
            };
            if query.get(name).is_some() {
                return Err(Problem::parameter(name, "is given twice"));
            }
            query.0.push((name, value.into_owned()));
        }
        Ok(query)
    }

    /// The text of a parameter, decoded.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that `read` converts. `must` says what it must be, to follow its name.
    ///
    /// # Errors
    /// `read` returns `None`.
    pub fn value<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
        must: &str,
    ) -> Result<Option<T>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some(text) => read(text).map(Some).ok_or_else(|| Problem::parameter(name, must)),
        }
    }

    /// A parameter that is a time in RFC 3339.
    ///
    /// # Errors
    /// It is not one.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.value(name, read_time, "must be a time such as 2026-11-23T15:04:05Z")
    }

    /// The page of a list, from `limit` and `cursor`.
    ///
    /// # Errors
    /// `limit` is not 1 to [`bounds::PAGE_MAX`], or `cursor` cannot be one.
    pub fn page(&self) -> Result<Page, Problem> {
        let in_range = |text: &str| text.parse().ok().filter(|limit| (1..=bounds::PAGE_MAX).contains(limit));
        let limit = self.value("limit", in_range, &format!("must be 1 to {}", bounds::PAGE_MAX))?;
        let short =
            |text: &str| (text.len() <= CURSOR_MAX_BYTES && !text.is_empty()).then(|| text.to_owned());
        let cursor = self.value("cursor", short, CURSOR_RULE)?;
        Ok(Page { limit: limit.unwrap_or(bounds::PAGE_DEFAULT), cursor })
    }
}
