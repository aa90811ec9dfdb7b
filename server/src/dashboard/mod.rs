//! The dashboard: pages for the members of a workspace, served under `/portal`. Messages to members
//! call it the billing page, because products usually show the link to it as "Billing".
//!
//! The pages are complete HTML: no script, no other host, no cache. A member comes in by a link
//! that the platform makes (`api::portal_sessions`) and stays signed in by a cookie
//! (`access::cookie`). The pages behind the links in mails need neither.

#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "no page shows a chart yet"))]
mod chart;
mod mail_links;
mod overview;
mod page;
mod sign_in;

use crate::http::route::{Pages, Route};

/// Every route of the dashboard, a slice per file.
pub const ROUTES: &[&[Route]] = &[sign_in::ROUTES, overview::ROUTES, mail_links::ROUTES];

/// How the router shows problems under the dashboard's path.
pub const PAGES: Pages = Pages {
    root: page::ROOT,
    wants_page: page::wants_page,
    problem: page::problem_page,
    protect: page::protect,
};

#[cfg(test)]
pub(crate) use page::problem_page;
