//! The charges of a workspace: the list with its filters, and one charge with its history.
//!
//! ```text
//! list     the page of the list
//! charge   the page of one charge
//! row      a charge as lists show it
//! status   the status of a charge in words
//! ```

mod charge;
mod list;
pub mod row;
pub mod status;

use axum::http::Method;
use tollkeeper_ledger::Role;

use crate::access::Rule;
use crate::http::route::Route;

/// The path of the list.
pub const PATH: &str = "/portal/charges";

/// The routes.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Rule::SignedIn(Role::Member), "The charges", |call| {
        Box::pin(list::show(call))
    })
    .page()
    .parameters(list::PARAMETERS),
    Route::new(Method::GET, "/portal/charges/{charge}", Rule::SignedIn(Role::Member), "A charge", |call| {
        Box::pin(charge::show(call))
    })
    .page(),
];
