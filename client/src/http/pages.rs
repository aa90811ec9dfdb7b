//! Lists: page by page, or row by row as a stream that turns the pages.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::Connection;
use super::call::Call;
use super::route::{Route, query_string};
use crate::error::Error;

/// One page of a list, newest first. It may have fewer rows than asked for, or none, although there
/// is a next page.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// The cursor of the next page; `None` if this is the last one.
    pub next_cursor: Option<String>,
    /// Only of entries that follow a position: the position up to which rows were looked at.
    #[serde(default)]
    pub after: Option<String>,
}

/// A list of the server, which is not read yet.
#[must_use = "a list is read by `rows` or `page`"]
pub struct List<T> {
    connection: Arc<Connection>,
    route: Route,
    path: String,
    query: Map<String, serde_json::Value>,
    rows: PhantomData<fn() -> T>,
}

impl<T> Clone for List<T> {
    fn clone(&self) -> List<T> {
        List {
            connection: Arc::clone(&self.connection),
            route: self.route.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            rows: PhantomData,
        }
    }
}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("path", &self.path).field("query", &self.query).finish_non_exhaustive()
    }
}

impl<T> List<T> {
    pub(crate) fn new(
        connection: &Arc<Connection>,
        route: Route,
        parameters: &[&str],
        query: &impl Serialize,
    ) -> List<T> {
        let path = route.path(parameters);
        let query = serde_json::to_value(query).ok().and_then(|query| query.as_object().cloned());
        let query = query.unwrap_or_default();
        List { connection: Arc::clone(connection), route, path, query, rows: PhantomData }
    }

    /// The most rows of a page: 1 to 200, 50 if it is not set.
    pub fn limit(mut self, rows: u32) -> List<T> {
        self.query.insert("limit".to_owned(), rows.into());
        self
    }

    /// The page behind a cursor; without one, the first page.
    pub fn page(&self, cursor: Option<&str>) -> Call<Page<T>> {
        let cursor: Vec<(&str, &str)> = cursor.map(|cursor| ("cursor", cursor)).into_iter().collect();
        let target = format!("{}{}", self.path, query_string(&self.query, &cursor));
        Call::of_target(&self.connection, &self.route, target)
    }
}

/// Where a stream of rows stands.
enum Place {
    /// Before the page with this cursor; `None` is the first page.
    Before(Option<String>),
    End,
}

impl<T: DeserializeOwned + Send + 'static> List<T> {
    /// All rows, newest first. A page is read when a row of it is asked for.
    pub fn rows(self) -> Rows<T> {
        let pages = stream::try_unfold((self, Place::Before(None)), |(list, place)| async move {
            let Place::Before(cursor) = place else { return Ok(None) };
            let page = list.page(cursor.as_deref()).await?;
            let next = page.next_cursor.map_or(Place::End, |cursor| Place::Before(Some(cursor)));
            Ok(Some((page.data, (list, next))))
        });
        let rows = pages.map_ok(|page: Vec<T>| stream::iter(page.into_iter().map(Ok))).try_flatten();
        Rows { rows: rows.boxed() }
    }
}

/// The rows of a list, as a stream. After an error it ends.
#[must_use = "rows are read when they are asked for"]
pub struct Rows<T> {
    rows: BoxStream<'static, Result<T, Error>>,
}

impl<T> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").finish_non_exhaustive()
    }
}

impl<T> Rows<T> {
    /// The next row; `None` behind the last one.
    ///
    /// # Errors
    /// The next page cannot be read.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        self.rows.next().await
    }

    /// All rows that are left.
    ///
    /// # Errors
    /// A page cannot be read.
    pub async fn collect(self) -> Result<Vec<T>, Error> {
        self.rows.try_collect().await
    }
}

impl<T> Stream for Rows<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.rows.as_mut().poll_next(context)
    }
}
