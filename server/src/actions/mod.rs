//! What a route of the API and a form of the dashboard both do: one file a subject.
//!
//! A function takes a call, a workspace and values of the domain. It returns values of the domain,
//! or the problem that the caller is answered with. JSON is in `api`, forms and pages are in
//! `dashboard`.

pub mod auto_top_up;
pub mod cards;
pub mod subscriptions;
pub mod top_ups;
