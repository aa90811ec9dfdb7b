//! The dashboard: pages for the members of a workspace, served under `/portal`. Messages to members
//! call it the billing page, because products usually show the link to it as "Billing".
//!
//! Every page is complete without its script, which only adds to it, and loads nothing from another
//! host. A member comes in by a link that the platform makes (`api::portal_sessions`) and stays
//! signed in by a cookie (`access::cookie`). The pages behind the links in mails need neither.
//!
//! ```text
//! one file a page      reads what it shows, from the same functions as the API
//! fields, form_key     the fields of forms; the key with which a form acts once
//! seen                 what a form showed, so that no change of another is overwritten
//! confirm              the page that asks once more
//! amounts              what people type in forms
//! commands             command lines to paste
//! provider             pages around the payment provider
//! frame, page          what stands around every page; headers; problems
//! links, names         addresses and the pages of lists; names of members and API keys
//! chart                the chart of use
//! words                all texts, in each language
//! files                serves style, script and pictures (see `theme`)
//! console              the pages of the platform's operators
//! ```

mod activity;
mod alerts;
mod amounts;
mod api_keys;
mod charges;
mod chart;
mod commands;
mod confirm;
mod console;
mod credits;
mod fields;
mod files;
mod form_key;
mod frame;
mod limits;
mod links;
mod mail_links;
mod names;
mod overview;
mod page;
mod plan;
mod provider;
mod seen;
mod sign_in;
mod team;
mod usage;
mod words;

use crate::http::route::{Pages, Route};

/// Every route of the dashboard, a slice per file.
pub const ROUTES: &[&[Route]] = &[
    files::ROUTES,
    sign_in::ROUTES,
    overview::ROUTES,
    usage::ROUTES,
    charges::ROUTES,
    alerts::ROUTES,
    limits::ROUTES,
    team::ROUTES,
    api_keys::ROUTES,
    activity::ROUTES,
    credits::ROUTES,
    credits::automatic::ROUTES,
    credits::top_up::ROUTES,
    plan::ROUTES,
    plan::forms::ROUTES,
    mail_links::ROUTES,
    console::workspaces::ROUTES,
    console::sign_in::ROUTES,
    console::workspace::ROUTES,
    console::acts::ROUTES,
    console::payments::ROUTES,
    console::deliveries::ROUTES,
    console::state::ROUTES,
];

/// How the router shows problems under the dashboard's path.
pub const PAGES: Pages = Pages {
    roots: &[page::ROOT, page::CONSOLE],
    wants_page: page::wants_page,
    problem: page::problem_page,
    protect: page::protect,
};

#[cfg(test)]
pub(crate) use page::problem_page;
