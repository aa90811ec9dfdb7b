//! The query of a URL: only parameters that the route names, each at most once; and the page of a list.

use axum::http::Uri;
use tollkeeper_engine::Page;
use tollkeeper_ledger::{Timestamp, bounds};

use super::problem::Problem;
use crate::wire::write::read_time;

/// The longest cursor that is handed to an engine: they are all much shorter.
const CURSOR_MAX_BYTES: usize = 256;

/// The parameters of a request.
#[derive(Debug, Default)]
pub struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Reads the query of a URL against the names that a route knows.
    ///
    /// # Errors
    /// A name that is not known, or that is given twice.
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

    /// The text of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is read by `read`.
    ///
    /// # Errors
    /// When it cannot be.
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

    /// A parameter that is an instant.
    ///
    /// # Errors
    /// When it is not.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.value(name, read_time, "must be a time such as 2026-11-23T15:04:05Z")
    }

    /// Which part of a list is wanted.
    ///
    /// # Errors
    /// When `limit` is not 1 to [`bounds::PAGE_MAX`], or `cursor` is nothing a list gives out.
    pub fn page(&self) -> Result<Page, Problem> {
        let in_range = |text: &str| text.parse().ok().filter(|limit| (1..=bounds::PAGE_MAX).contains(limit));
        let limit = self.value("limit", in_range, &format!("must be 1 to {}", bounds::PAGE_MAX))?;
        let short =
            |text: &str| (text.len() <= CURSOR_MAX_BYTES && !text.is_empty()).then(|| text.to_owned());
        let cursor = self.value("cursor", short, "is not one that this list gave out")?;
        Ok(Page { limit: limit.unwrap_or(bounds::PAGE_DEFAULT), cursor })
    }
}
