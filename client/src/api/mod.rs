//! The calls of each resource: a file for each, in the words of the server's documentation.

pub mod alerts;
pub mod api_keys;
pub mod auto_top_up;
pub mod charges;
pub mod grants;
pub mod journal;
pub mod limits;
pub mod members;
pub mod operations;
pub mod plans;
pub mod portal_sessions;
pub mod price_book;
pub mod report;
pub mod settings;
pub mod subscriptions;
pub mod top_ups;
pub mod usage;
pub mod webhook_endpoints;
pub mod workspaces;

use std::sync::Arc;

use serde::Serialize;

use crate::http::Connection;
use crate::http::call::Call;
use crate::http::pages::List;
use crate::http::route::Route;

/// Makes calls about one workspace.
#[derive(Clone, Debug)]
pub(crate) struct InWorkspace {
    pub connection: Arc<Connection>,
    pub workspace: String,
}

impl InWorkspace {
    fn parameters<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let workspace = self.workspace.as_str();
        [&[workspace], more].concat()
    }

    fn call<T>(&self, route: &Route, more: &[&str]) -> Call<T> {
        Call::new(&self.connection, route, &self.parameters(more))
    }

    fn list<T>(&self, route: Route, more: &[&str], query: &impl Serialize) -> List<T> {
        List::new(&self.connection, route, &self.parameters(more), query)
    }
}

/// Makes calls about the platform.
#[derive(Clone, Debug)]
pub(crate) struct OfPlatform(pub Arc<Connection>);

impl OfPlatform {
    fn call<T>(&self, route: &Route, parameters: &[&str]) -> Call<T> {
        Call::new(&self.0, route, parameters)
    }

    fn list<T>(&self, route: Route, parameters: &[&str], query: &impl Serialize) -> List<T> {
        List::new(&self.0, route, parameters, query)
    }
}
